# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of an adoption: units come from the settings of the operator, and a host's word only refuses."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_adopt
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.test_etcd_audit import Registered
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.test_etcd_takeover import ANSWER
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils._takeover.test_adopt import (
    NAMES,
    all_variables,
    run_of,
    settings_of,
    told_by,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    WORKER,
    fenced,
    pair,
    told,
)

GIVEN = {
    "states_variable": "processes",
    "calls_variable": "calls",
    "settings_variable": "settings",
    "ca_variable": "strangers",
}
VARIABLES = all_variables(run_of(told_by()))
MEMBERS = make_members(
    [
        {**{key: own[f"etcd_peer_tls_{key}"] for key in ("name", "address", "common_name")}, "host": host}
        for host, own in VARIABLES.items()
    ],
    ClusterSettings(name="etcd-cluster"),
)
Change = t.Mapping[str, t.Any]


def settings_from_inventory(host: str, **changes: t.Any) -> dict[str, t.Any]:
    """As etcd_settings gives them."""
    own = next(member for member in MEMBERS if member.host == host)
    settings = {**settings_of(VARIABLES[host]), "manage_service": True, "unit_directory": "/etc/systemd/system"}
    made = {"members": list(map(member_as_dict, MEMBERS)), "member": member_as_dict(own), "coordinator": "etcd-1"}
    return {**settings, **made, "unit_text": unit_text(settings, MEMBERS, own), **changes}


def adopted(
    host: str,
    answer: t.Any = None,
    settings: Change | None = None,
    ca: t.Any = None,
    registered: Registered | None = None,
    **options: t.Any,
) -> tuple[dict[str, t.Any], dict[str, t.Any] | None]:
    """The action's result, and the options that the module got on the host. ``settings``: what differs, everywhere."""
    registered = registered or Registered({**told_by(), WORKER: told()}, fenced()[1].answers())
    task_vars = registered.task_vars(host)
    for one in HOSTS:
        task_vars["hostvars"].raw_get(one)["settings"] = settings_from_inventory(one, **(settings or {}))
    given = {"problem": None, "ca": {"certificate": CA.pem}} if ca is None else ca
    task_vars["hostvars"].raw_get("etcd-1")["strangers"] = given
    with mock.patch.object(etcd_adopt.ActionModule, "_execute_module", return_value=answer or ANSWER) as executed:
        found = run_action(etcd_adopt.ActionModule, {**GIVEN, **options}, task_vars)
    return found, executed.call_args.kwargs["module_args"] if executed.called else None


def test_a_member_gets_the_unit_of_the_inventory() -> None:
    found, options = adopted("etcd-2", unit_content="evil", directory="/evil", wait_seconds=7)
    assert options is not None and not found.get("failed"), found
    assert "--name=etcd-2" in options["unit_content"] and options["directory"] == "/etc/etcd/pki"
    assert options["wait_seconds"] == 7 and options["common_names"] == list(NAMES) == found["common_names"]
    # No host has the CA's list yet.
    assert "crl" not in options["unit_content"] and "crl" in settings_from_inventory("etcd-2")["unit_text"]
    assert found["is_member"] and not found["takes_snapshot"] and found["restarted"]


def test_a_host_without_a_member_is_not_asked() -> None:
    found, options = adopted(WORKER)
    assert options is None and not found["changed"] and not found["is_member"] and found["pending"] == []


def test_the_variables_are_told_and_nobody_is_asked() -> None:
    found, options = adopted("etcd-1", tell=True, settings={"data_dir": "/elsewhere"})
    assert options is None and not found["changed"] and set(found["variables"]) == {"vars", "hosts", "problems"}
    assert found["variables"]["vars"]["etcd_peer_tls_data_dir"] == "/var/lib/etcd"


def test_a_ca_that_is_given_as_content() -> None:
    given = {"settings": {"ca_certificate": CA.pem}, "ca": {"problem": None, "ca": None}}
    assert adopted("etcd-1", **given)[1] is not None  # type: ignore[arg-type]
    found, options = adopted("etcd-1", settings={"ca_certificate": CA.pem}, ca={"problem": "no key", "ca": None})
    assert options is None and "the role's CA can't issue (no key)" in found["msg"]


def sharing() -> Registered:
    """All members present one certificate."""
    file = {"path": "/c", "pem": pair("etcd").pem, "problem": None}
    met = fenced()[1]
    for seen in met.served.values():
        for one in seen:
            one["pem"] = file["pem"]
    return Registered({**told_by(peer_certificate=file), WORKER: told()}, met.answers())


@pytest.mark.parametrize("word", ["true", "yes", True, 1])
def test_who_shares_a_certificate_is_taken_where_that_was_said(word: t.Any) -> None:
    found, options = adopted("etcd-1", registered=sharing(), keep_certificates=word)
    assert options is not None and not found.get("failed"), found
    assert "allowed-cn" not in options["unit_content"] and options["keep_certificates"] is True
    assert found["common_names"] == options["common_names"] == []


@pytest.mark.parametrize("word", [None, "", False, "no", "false"])
def test_who_shares_a_certificate_is_refused_otherwise(word: t.Any) -> None:
    found, options = adopted("etcd-1", registered=sharing(), keep_certificates=word)
    assert found["failed"] and "present one common name (etcd)" in found["msg"] and options is None


def test_without_variables_the_module_has_its_own_options() -> None:
    none = dict.fromkeys(GIVEN)
    found, options = adopted("etcd-1", unit="x.service", **none)
    assert options is not None and options["unit"] == "x.service" and "members" not in found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calls_variable": None}, "belong together: give all of them"),
        ({"state": "gone"}, "state is 'gone': it is present or absent (etcd_adopt_state)"),
        ({"states_variable": "none"}, "no etcd was found on these hosts"),
        ({"settings_variable": "none"}, "its host has no settings of this role"),
        ({"ca_variable": "none"}, "there is no CA in the role's variables"),
        ({"ca": {"failed": True, "msg": "boom", "problem": None, "ca": {"certificate": CA.pem}}}, "can't issue (boom)"),
        ({"ca": "nonsense"}, "there is no CA in the role's variables"),
        ({"settings": {"owner": "root"}}, "its user is etcd and would be root"),
        ({"keep_certificates": "maybe"}, "etcd_adopt_keep_certificates is 'maybe': it is true or false"),
    ],
)
def test_what_is_refused_on_the_controller(options: dict[str, t.Any], said: str) -> None:
    found, asked = adopted("etcd-1", **options)
    assert found["failed"] and said in found["msg"] and asked is None
