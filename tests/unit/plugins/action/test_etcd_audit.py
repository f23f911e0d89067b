# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of an audit: what hosts registered is checked once more, and a CA's key stays on the controller."""

from __future__ import annotations

import functools
import json
import pathlib
import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_audit, etcd_process_probe
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import addresses_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    WORKER,
    Met,
    fenced,
    process,
    told,
    url,
)


class Registered:
    """The variables of all hosts, as Ansible has them."""

    def __init__(self, states: t.Mapping[str, t.Any], calls: t.Mapping[str, t.Any]) -> None:
        self.variables = {host: {"processes": state, "calls": calls.get(host)} for host, state in states.items()}

    def raw_get(self, host: str) -> dict[str, t.Any]:
        return self.variables[host]

    def task_vars(self, host: str = "etcd-1") -> dict[str, t.Any]:
        return {"hostvars": self, "ansible_play_hosts_all": list(self.variables), "inventory_hostname": host}


def audit(
    states: t.Mapping[str, t.Any], met: Met, display: mock.Mock | None = None, **options: t.Any
) -> dict[str, t.Any]:
    registered = Registered(states, met.answers())
    given = {"states_variable": "processes", "calls_variable": "calls", **options}
    return run_action(etcd_audit.ActionModule, given, registered.task_vars(), display)


def test_a_fenced_cluster_passes_and_is_written_down(tmp_path: pathlib.Path) -> None:
    paths = {f"{kind}_path": str(tmp_path / f"a.{kind}") for kind in ("html", "json")}
    found = audit(*fenced(), metrics_path=str(tmp_path / "a.prom"), **paths)
    assert found["passed"] is True and found["failing"] == [] and found["changed"] is False
    assert json.loads((tmp_path / "a.json").read_text())["verdict"] == "proved"
    assert 'proof_verdict{cluster="etcd",verdict="proved"} 1' in (tmp_path / "a.prom").read_text()
    assert "<html" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    "lie",
    [
        None,
        "text",
        {"failed": True, "msg": "no python"},
        {"unreachable": True, "msg": "no route"},
        told(process("etcd-2"), module_user=7),
        told({**process("etcd-2"), "settings": {"flags": []}}),
        told({**process("etcd-2"), "live_members": "all"}),
        told(*(process("etcd-2", pid=number) for number in range(17))),
        functools.reduce(lambda inner, _number: [inner], range(5000), []),
    ],
    ids=["nothing", "text", "failed", "unreachable", "user", "settings", "members", "many", "deep"],
)
def test_what_a_host_can_not_mean_is_its_own_matter(lie: t.Any) -> None:
    states, met = fenced()
    found = audit({**states, "etcd-2": lie}, met)
    assert "failed" not in found and found["passed"] is False
    text = "\n".join(found["failing"])
    assert "nothing is known of host etcd-2" in text
    # The others are judged all the same.
    assert [member["name"] for member in found["audits"][0]["members"]] == ["etcd-1", "etcd-3"]


def test_wrong_options_are_one_line() -> None:
    for options, words in (
        ({"metrics_path": "a.txt"}, "ends in .prom"),
        ({"without": ["all"]}, "must be one or more"),
        ({"cluster_name": ""}, "cluster_name is empty"),
    ):
        found = audit(*fenced(), **options)
        assert found["failed"] is True and words in found["msg"] and "\n" not in found["msg"]


@pytest.mark.parametrize("show", [True, False])
def test_the_table_is_shown_where_it_is_wanted(show: bool) -> None:
    display = mock.Mock()
    found = audit(*fenced(), display, show=show)
    assert "PROVED" in found["table"][0]
    assert display.display.mock_calls == [mock.call(line) for line in (found["table"] if show else [])]


def probe(
    host: str, states_variable: str | None = "processes", **options: t.Any
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The action's result, and what the module on the host was given."""
    states, met = fenced()
    given: dict[str, t.Any] = {}

    def execute(self: t.Any, module_args: dict[str, t.Any], **_more: t.Any) -> dict[str, t.Any]:
        given.update(module_args)
        return met.answers()[host]

    with mock.patch.object(etcd_process_probe.ActionModule, "_execute_module", execute):
        result = run_action(
            etcd_process_probe.ActionModule,
            options if states_variable is None else {"states_variable": states_variable, **options},
            Registered(states, {}).task_vars(host),
        )
    return result, given


@pytest.mark.parametrize(
    ("address", "wanted"), [("10.0.0.9", ["etcd-1"]), ("{{ lookup('pipe', 'id') }}", []), (7, []), (None, [])]
)
def test_where_ansible_reaches_a_host_is_a_plain_text(address: t.Any, wanted: list[str]) -> None:
    registered = Registered(fenced()[0], {})
    registered.variables["etcd-1"]["ansible_host"] = address
    assert addresses_of(registered.task_vars(), HOSTS) == dict.fromkeys(wanted, address)


def test_the_calls_of_a_host_are_worked_out_here() -> None:
    result, given = probe(WORKER, folders=["/srv/pairs"])
    assert "failed" not in result and given["own"] == [] and given["folders"] == ["/srv/pairs"]
    assert [port["url"] for port in given["peer_ports"]] == [url(host) for host in HOSTS]
    assert "BEGIN CERTIFICATE" in given["unknown_ca_certificate"] and "states_variable" not in given
    assert "stranger_certificate" not in given


def test_without_the_states_the_module_gets_what_was_given() -> None:
    result, given = probe("etcd-1", states_variable=None, folders=["/srv/pairs"])
    assert "failed" not in result and given == {"folders": ["/srv/pairs"]}
    # A CA's key would go to the host.
    ca = {"stranger_ca_certificate": CA.pem, "stranger_ca_private_key": CA.key_pem}
    result, given = probe("etcd-1", states_variable=None, **ca)
    assert result["failed"] is True and "is for states_variable" in result["msg"] and given == {}


def test_a_ca_s_key_stays_on_the_controller() -> None:
    ca = {"stranger_ca_certificate": CA.pem, "stranger_ca_private_key": CA.key_pem}
    _result, given = probe("etcd-1", **ca)
    sent = json.dumps(given)
    assert "BEGIN CERTIFICATE" in given["stranger_certificate"] and CA.key_pem.split("\n")[1] not in sent
    assert not [name for name in given if name.startswith("stranger_ca_")]
    _result, other = probe("etcd-2", **ca)
    assert other["stranger_private_key"] != given["stranger_private_key"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stranger_ca_certificate": CA.pem}, "belong together"),
        (
            {"stranger_ca_certificate": CA.pem, "stranger_ca_private_key": issue("x", is_ca=True).key_pem},
            "is not the key of the CA certificate",
        ),
        (
            {
                "stranger_ca_certificate": CA.pem,
                "stranger_ca_private_key": CA.key_pem,
                "stranger_certificate": CA.pem,
                "stranger_private_key": CA.key_pem,
            },
            "give one of the two",
        ),
    ],
)
def test_a_ca_that_can_not_be_used_is_one_line(options: dict[str, str], words: str) -> None:
    result, given = probe("etcd-1", **options)
    assert result["failed"] is True and words in result["msg"] and given == {}
    assert "PRIVATE KEY" not in result["msg"]
