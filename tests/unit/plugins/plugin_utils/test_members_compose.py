# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules compose: what the filter etcd_members gives is taken as it is by every module that takes members."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ringfence.etcd.plugins.filter.etcd_arguments import etcd_arguments
from ansible_collections.ringfence.etcd.plugins.filter.etcd_members import etcd_members
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.gate import gone_hosts
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import client_urls_of, cluster_from
from ansible_collections.ringfence.etcd.plugins.modules import (
    etcd_adopt,
    etcd_cluster_check,
    etcd_member,
    etcd_peer_credentials,
    etcd_peer_proof,
    etcd_peer_service,
    etcd_restore,
    etcd_takeover,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_plan import ClientQuestion, plan_clients
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict, member_from
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

MODULES = pathlib.Path(etcd_peer_service.__file__).parent
CA = factory.authority()
CONTENT = {"ca_certificate_content": CA.pem.decode(), "ca_private_key_content": CA.key_pem.decode()}
NAMES = ["etcd-1", "etcd-2", "etcd-3"]


def members() -> list[dict[str, t.Any]]:
    given = [{"name": name, "address": f"127.0.0.{number}"} for number, name in enumerate(NAMES, 1)]
    return t.cast("list[dict[str, t.Any]]", etcd_members(given, cluster_name="etcd"))


def certificates(_folder: pathlib.Path) -> None:
    answer = run_module("etcd_peer_certificates", {"members": members(), **CONTENT}, no_log=True)
    assert [one["name"] for one in answer["members"]] == NAMES and all(one["issued"] for one in answer["members"])


def authority(folder: pathlib.Path) -> None:
    answer = run_module("etcd_ca", {"ca_directory": str(folder / "ca"), "members": members()})
    assert answer["changed"] and "msg" not in answer


def stranger(_folder: pathlib.Path) -> None:
    answer = run_module("etcd_peer_stranger", {"members": members(), **CONTENT}, no_log=True)
    assert [one["name"] for one in answer["members"]] == NAMES and answer["problem"] is None


def probe(folder: pathlib.Path) -> None:
    given = {"name": "etcd-1", "members": members(), "directory": str(folder), "owner": str(os.geteuid())}
    none = {"etcd_binary": "/none/etcd", "unit": "ringfence-test-none.service", "timeout_seconds": 0.5}
    answer = run_module("etcd_peer_probe", {**given, **none})
    assert {one["to"] for one in answer["probes"]} == {"etcd-2", "etcd-3"}


def service(_folder: pathlib.Path) -> None:
    given = {"state": "healthy", "name": "etcd-1", "members": members()}
    checked = ArgumentSpecValidator(etcd_peer_service.ARGUMENT_SPEC).validate(given)
    assert checked.error_messages == []
    assert_urls(checked.validated_parameters)


def member(folder: pathlib.Path) -> None:
    given = {"state": "absent", "name": "etcd-1", "members": members(), "remove": ["etcd-9"]}
    checked = ArgumentSpecValidator(etcd_member.ARGUMENT_SPEC).validate(given)
    assert checked.error_messages == []
    assert_urls(checked.validated_parameters)


def credentials(_folder: pathlib.Path) -> None:
    given = {"name": "etcd-1", "members": members()}
    checked = ArgumentSpecValidator(etcd_peer_credentials.ARGUMENT_SPEC).validate(given)
    assert checked.error_messages == []
    assert_urls(checked.validated_parameters)


def takeover(_folder: pathlib.Path) -> None:
    given = {"name": "etcd-1", "unit": "etcd.service", "members": members(), "common_names": NAMES}
    checked = ArgumentSpecValidator(etcd_takeover.ARGUMENT_SPEC).validate(given)
    assert checked.error_messages == []
    assert_urls(checked.validated_parameters)


def adopt(_folder: pathlib.Path) -> None:
    given = {"name": "etcd-1", "unit": "etcd.service", "unit_content": "x", "directory": "/etc/etcd/pki"}
    checked = ArgumentSpecValidator(etcd_adopt.ARGUMENT_SPEC).validate(
        {**given, "members": members(), "common_names": NAMES}
    )
    assert checked.error_messages == []
    assert_urls(checked.validated_parameters)


def assert_urls(params: t.Mapping[str, t.Any]) -> None:
    cluster = cluster_from(params["name"], params["members"])
    assert cluster.client_urls == {one["name"]: one["client_url"] for one in members()}


def snapshot(_folder: pathlib.Path) -> None:
    assert client_urls_of(members()) == {one["name"]: one["client_url"] for one in members()}


def restore(_folder: pathlib.Path) -> None:
    given = {"state": "planned", "name": "etcd-1", "members": members(), "cluster_name": "etcd"}
    more = {"snapshot": "/snapshot.db", "data_dir": "/var/lib/etcd/etcd-1"}
    checked = ArgumentSpecValidator(etcd_restore.ARGUMENT_SPEC).validate({**given, **more})
    assert checked.error_messages == []
    found = etcd_restore.peer_urls_from(checked.validated_parameters)
    assert found == {one["name"]: one["peer_url"] for one in members()}


def gate(_folder: pathlib.Path) -> None:
    assert gone_hosts(members(), {"etcd-1", "etcd-3"}, lambda name, host: True) == ["etcd-2"]


def clients(_folder: pathlib.Path) -> None:
    nothing = {"present": {"certificate": None, "private_key_matches": None, "authorities": []}}
    seen = {one["name"]: nothing for one in members()}
    requests = plan_clients(ClientQuestion(members(), [], seen, {}, {})).requests
    for key in ("name", "common_name", "dns_names", "ip_addresses"):
        assert [one[key] for one in requests] == [one[key] for one in members()]


def on_the_controller(_folder: pathlib.Path) -> None:
    """The actions take each by the same function, which gives back what it was given."""
    assert [member_as_dict(member_from(one)) for one in members()] == members()


TAKE_MEMBERS: dict[str, t.Callable[[pathlib.Path], None]] = {
    "etcd_ca": authority,
    "etcd_peer_certificates": certificates,
    "etcd_peer_stranger": stranger,
    "etcd_peer_probe": probe,
    "etcd_peer_credentials": credentials,
    "etcd_peer_service": service,
    "etcd_member": member,
    "etcd_snapshot": snapshot,
    "etcd_restore": restore,
    "etcd_takeover": takeover,
    "etcd_adopt": adopt,
    "etcd_cluster_gate": gate,
    "etcd_client_check": clients,
    etcd_cluster_check.__name__.rpartition(".")[2]: on_the_controller,
    etcd_peer_proof.__name__.rpartition(".")[2]: on_the_controller,
}


def options_of(path: pathlib.Path) -> dict[str, t.Any]:
    documentation = path.read_text("utf-8").split('DOCUMENTATION = r"""', 1)[1].split('"""', 1)[0]
    return t.cast("dict[str, t.Any]", yaml.safe_load(documentation).get("options", {}))


def test_every_module_that_takes_members_is_asked() -> None:
    assert {path.stem for path in MODULES.glob("*.py") if "members" in options_of(path)} == set(TAKE_MEMBERS)


@pytest.mark.parametrize("module", TAKE_MEMBERS)
def test_it_takes_what_the_filter_gives(module: str, tmp_path: pathlib.Path) -> None:
    TAKE_MEMBERS[module](tmp_path)


def test_the_filter_of_the_flags_takes_it_too() -> None:
    settings = {"cluster_name": "etcd", "data_dir": "/var/lib/etcd/etcd-1", "credentials_directory": "/etc/etcd/pki"}
    assert "--peer-cert-allowed-cn=etcd-1,etcd-2,etcd-3" in etcd_arguments("etcd-1", members(), settings)


# Which options of several modules mean the same: each has one name. On the right, names that were or could be theirs.
ONE_NAME: dict[str, set[str]] = {
    "ca_certificate_content": {"ca_certificate", "ca_content", "ca"},
    "ca_private_key_passphrase": {"passphrase", "private_key_passphrase"},
    "client_ca_file": {"ca_file", "cacert"},
    "client_cert_file": {"cert_file"},
    "client_key_file": {"key_file"},
    "members": {"endpoints", "targets", "peers"},
    "name": {"member_name", "member"},
    "states": {"looks", "results"},
    "states_variable": {"looks_variable", "results_variable"},
    "unit_content": {"content"},
    "etcd_binary": {"binary"},
    "archive_sha256": {"sha256", "checksum"},
    "force_restart": {"force"},
    "overrule_distribution_etcd": {"overrule_other_etcd"},
}


def test_an_option_has_one_name_everywhere() -> None:
    found = {path.stem: set(options_of(path)) for path in MODULES.glob("*.py")}
    others = set[str]().union(*ONE_NAME.values()) - {"ca"}
    assert {name: options & others for name, options in found.items() if options & others} == {}
    # The CA itself, as etcd_peer_stranger gives it, is no certificate.
    assert [name for name, options in found.items() if "ca" in options] == ["etcd_cluster_check"]
