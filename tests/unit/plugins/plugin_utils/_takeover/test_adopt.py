# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs, the variables that say so, the unit that these make, and what that would run with: all the same."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import differences
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    deployed_from_arguments,
    deployed_from_text,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import settings_of_config
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.adopt import (
    Authority,
    WantedUnit,
    adoption_of,
    told_variables,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.variables import (
    for_inventory,
    templates_in,
    variables_of,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    fenced,
    process,
    told,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.test_unit_text import SETTINGS

PKI = "/etc/ssl/etcd/ssl"
PREFIX = "etcd_peer_tls_"
NAMES = tuple(f"member-{host}" for host in HOSTS)
NO_LIST: dict[str, str | None] = {"peer-cert-allowed-cn": None}
MORE: dict[str, str | None] = {
    "cert-file": f"{PKI}/member-HOST.pem",
    "key-file": f"{PKI}/member-HOST-key.pem",
    "client-cert-auth": "true",
}
CLIENTS = {"cert-file": f"{PKI}/c.pem", "key-file": f"{PKI}/c-key.pem", "trusted-ca-file": f"{PKI}/clients.pem"}
# A pair of its own for the client port, and the peers' CA.
ONE_CA = {"cert-file": f"{PKI}/c.pem", "key-file": f"{PKI}/c-key.pem", "trusted-ca-file": f"{PKI}/ca.pem"}
HTTP = {
    **dict.fromkeys(("cert-file", "key-file", "trusted-ca-file", "client-cert-auth")),
    "listen-client-urls": "http://ADDRESS:2379,http://127.0.0.1:2379",
    "advertise-client-urls": "http://ADDRESS:2379",
}
OTHER_CA = issue("another CA", is_ca=True)
Flags = t.Mapping[str, t.Optional[str]]


def told_by(changed: Flags | None = None, **state: t.Any) -> dict[str, t.Any]:
    """What the hosts tell of a cluster without a list, with certificates for its client port as well."""
    answers = {}
    for host in HOSTS:
        flags = {**NO_LIST, **MORE, **(changed or {})}
        made = {
            flag: value and value.replace("HOST", host).replace("ADDRESS", f"10.0.0.{host[-1]}")
            for flag, value in flags.items()
        }
        answers[host] = told(process(host, made, **state))
    return answers


def run_of(answers: t.Mapping[str, t.Any]) -> Run:
    claims = claims_of(answers)
    calls = {host: answer for host, answer in fenced()[1].answers().items() if host in answers}
    return Run(tuple(answers), tuple(claims), tuple(peer_ports(claims, {})), answers, calls, {})


def settings_of(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {**SETTINGS, **{name[len(PREFIX) :]: value for name, value in variables.items()}}


def units_of(variables: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, WantedUnit]:
    """As the role makes them of an inventory with these variables, by host."""
    settings = {host: settings_of(one) for host, one in variables.items()}
    first = next(iter(settings.values()))
    cluster = ClusterSettings(
        name=first["cluster_name"],
        client_tls=first["client_tls"],
        peer_port=first["peer_port"],
        client_port=first["client_port"],
    )
    members = make_members(
        [
            {**{key: one.get(key) for key in ("name", "address", "common_name", "listen_address")}, "host": host}
            for host, one in settings.items()
        ],
        cluster,
    )
    return {
        member.host: WantedUnit(
            text=unit_text(settings[member.host], members, member, has_revocation_list=False),
            http_text=unit_text(
                settings[member.host], members, member, has_revocation_list=False, has_tls_of_peers=False
            ),
            text_with=functools.partial(_text_with, settings[member.host], members, member),
            unit=settings[member.host]["unit"],
            unit_directory="/etc/systemd/system",
            directory=settings[member.host]["directory"],
            owner=settings[member.host]["owner"],
            owner_group=settings[member.host]["owner_group"],
        )
        for member in members
    }


def _text_with(
    settings: t.Mapping[str, t.Any], members: t.Sequence[Member], member: Member, names: t.Sequence[str]
) -> str:
    return unit_text(settings, members, member, has_revocation_list=False, peer_names=names)


def all_variables(run: Run) -> dict[str, dict[str, t.Any]]:
    """The variables as they are printed, put together again as an inventory does."""
    found = told_variables(run)
    assert found["problems"] == []
    return {host: {**found["vars"], **own} for host, own in found["hosts"].items()}


def plan(
    run: Run, units: t.Mapping[str, WantedUnit] | None = None, authority: Authority | None = None, is_back: bool = False
) -> Takeover:
    units = units_of(all_variables(run)) if units is None else units
    return adoption_of(run, {}, units, authority or Authority(CA.pem, None), is_back)


def refused(*said: str, run: Run | None = None, **options: t.Any) -> str:
    with pytest.raises(RefusedError) as caught:
        plan(run or run_of(told_by()), **options)
    text = str(caught.value)
    assert text.startswith("nothing is adopted: ") and "\n" not in text
    assert all(one in text for one in said), text
    return text


# There and back again ------------------------------------------------------------------------------------------------

KUBESPRAY = {
    "heartbeat-interval": "250",
    "election-timeout": "5000",
    "metrics": "basic",
    "auto-compaction-retention": "8",
    "initial-cluster-token": "k8s_etcd",
    "initial-cluster-state": "existing",
    "listen-client-urls": "https://ADDRESS:2379,https://127.0.0.1:2379",
}


@pytest.mark.parametrize(("changed", "is_one"), [(ONE_CA, True), (CLIENTS, None), ({}, None)])
def test_that_clients_have_the_peers_ca_is_told_where_it_is_seen(changed: Flags, is_one: bool | None) -> None:
    """Else a proof would take a peer at the client port for a breach. By the path, which is what etcd was told."""
    told = for_inventory(all_variables(run_of(told_by(changed))))["vars"]
    assert told.get(f"{PREFIX}peers_are_clients") is is_one


@pytest.mark.parametrize(
    "changed",
    [
        {},
        KUBESPRAY,
        HTTP,
        CLIENTS,
        ONE_CA,
        {"listen-client-urls": "https://127.0.0.1:2379,https://ADDRESS:2379/"},
        {"tls-min-version": "TLS1.3"},
        {"cipher-suites": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
        {"wal-dir": "/wal/etcd", "quota-backend-bytes": "8589934592", "snapshot-count": "5000"},
        {"listen-metrics-urls": "http://127.0.0.1:2381", "log-level": "warn", "logger": "zap"},
        {"peer-crl-file": f"{PKI}/crl.pem", "experimental-initial-corrupt-check": "T"},
        {"auto-compaction-mode": "periodic", "cors": "a,b", "host-whitelist": "x y", "pre-vote": "0"},
        {"listen-peer-urls": "https://0.0.0.0:2380", "listen-client-urls": "https://0.0.0.0:2379"},
    ],
    ids=lambda changed: ",".join(changed)[:40],
)
def test_the_settings_are_the_same_afterwards(changed: Flags) -> None:
    run = run_of(told_by(changed))
    units = units_of(all_variables(run))
    for claim in run.claims:
        after = deployed_from_text(units[claim.host].text)
        assert after is not None
        assert differences(claim.flags, after["flags"], units[claim.host].directory) == []
        assert after["allowed_common_names"] == list(NAMES)
    made = plan(run, units)
    assert made.names == NAMES and made.options["etcd-2"]["unit_content"] == units["etcd-2"].text
    assert {key: made.options["etcd-2"][key] for key in ("unit", "directory", "owner", "group")} == {
        "unit": "etcd.service",
        "directory": "/etc/etcd/pki",
        "owner": "etcd",
        "group": "etcd",
    }


def test_a_configuration_file_and_a_command_line_say_the_same() -> None:
    """The shapes of two deployers, through the readers of each."""
    text = f"""name: etcd-1
data-dir: /var/lib/etcd
listen-peer-urls: https://10.0.0.1:2380
listen-client-urls: http://10.0.0.1:2379,http://127.0.0.1:2379
initial-advertise-peer-urls: https://10.0.0.1:2380
advertise-client-urls: http://10.0.0.1:2379
quota-backend-bytes: 8000000000
peer-transport-security:
  cert-file: {PKI}/member-etcd-1.pem
  key-file: {PKI}/member-etcd-1-key.pem
  trusted-ca-file: {PKI}/ca.pem
  client-cert-auth: true
  allowed-cns: [a, b]
"""
    words = [
        "/usr/local/bin/etcd",
        "--name",
        "etcd-1",
        "--data-dir=/var/lib/etcd",
        "--quota-backend-bytes",
        "8000000000",
    ]
    words += ["-listen-peer-urls=https://10.0.0.1:2380", "--initial-advertise-peer-urls", "https://10.0.0.1:2380"]
    words += ["--listen-client-urls", "http://10.0.0.1:2379,http://127.0.0.1:2379"]
    words += ["--advertise-client-urls=http://10.0.0.1:2379", f"--peer-cert-file={PKI}/member-etcd-1.pem"]
    words += [f"--peer-key-file={PKI}/member-etcd-1-key.pem", f"--peer-trusted-ca-file={PKI}/ca.pem"]
    words += ["--peer-client-cert-auth"]
    found = []
    for settings in (settings_of_config(parse_config(text)).deployed, deployed_from_arguments(words)):
        answers = told_by(HTTP)
        answers["etcd-1"]["processes"][0]["settings"] = settings
        claims = run_of(answers).claims
        found.append(variables_of(claims[0], "member-etcd-1"))
    assert found[0] == found[1]
    assert found[0][f"{PREFIX}extra_flags"] == {"cipher-suites": "", "quota-backend-bytes": "8000000000"}
    assert (
        found[0][f"{PREFIX}client_tls"] is False
        and f"{PREFIX}peers_are_clients" not in found[0]
        and found[0][f"{PREFIX}listen_loopback"] is True
    )


def test_the_data_folder_is_the_one_that_is_open() -> None:
    """A relative path counts from a folder that the role's unit does not have."""
    run = run_of(told_by({"data-dir": "HOST.etcd"}))
    assert all_variables(run)["etcd-1"][f"{PREFIX}data_dir"] == "/var/lib/etcd"
    assert set(plan(run).options) == set(HOSTS)


def test_what_hosts_have_in_common_is_told_once() -> None:
    found = told_variables(run_of(told_by(KUBESPRAY)))
    assert found["vars"][f"{PREFIX}cluster_name"] == "k8s_etcd"
    assert found["vars"][f"{PREFIX}extra_flags"]["heartbeat-interval"] == "250"
    assert set(found["hosts"]["etcd-2"]) == {PREFIX + name for name in ("address", "common_name", "name")}
    assert for_inventory({}) == {"vars": {}, "hosts": {}}


def test_who_runs_as_root_keeps_its_rights_on_files() -> None:
    run = run_of(told_by(owner="root", owner_group="root"))
    found = all_variables(run)
    assert found["etcd-1"][f"{PREFIX}extra_unit_settings"] == {"Service": {"CapabilityBoundingSet": "CAP_DAC_OVERRIDE"}}
    lines = units_of(found)["etcd-1"].text.splitlines()
    # The later line adds to the one that takes all of them.
    assert lines.index("CapabilityBoundingSet=") < lines.index("CapabilityBoundingSet=CAP_DAC_OVERRIDE")


def test_a_host_gets_no_template_into_the_inventory() -> None:
    """What is pasted there is templated on the controller."""
    answers = told_by()
    evil = told_by({"metrics": "{{ lookup('pipe', 'id') }}"})
    answers["etcd-3"] = evil["etcd-3"]
    found = told_variables(run_of(answers))
    assert "lookup" not in str(found["vars"]) + str(found["hosts"])
    assert found["problems"] == [
        f"etcd-3: {PREFIX}extra_flags has a value with braces, which an inventory would read as a template: write it "
        "by hand"
    ]
    assert templates_in({"a": {"x": "{% raw %}"}, "b": "{#", "c": "{}", "d": {"{{x": 1}, "e": 1}) == ["a", "b", "d"]


# What is refused -----------------------------------------------------------------------------------------------------


def changed_units(**changes: t.Any) -> dict[str, WantedUnit]:
    """The units of an inventory in which the variables of etcd-1 are other ones."""
    variables = all_variables(run_of(told_by()))
    variables["etcd-1"] |= {PREFIX + name: value for name, value in changes.items()}
    return units_of(variables)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_version": "TLS1.3"}, "etcd-1: --tls-min-version is not set and would be TLS1.3"),
        ({"extra_flags": {}}, "--cipher-suites is not set and would be TLS_ECDHE"),
        ({"extra_flags": {"cipher-suites": "", "metrics": "extensive"}}, "--metrics is not set and would be extensive"),
        ({"cluster_name": "other"}, "--initial-cluster-token is not set and would be other"),
        ({"data_dir": "/srv/etcd"}, "--data-dir is /var/lib/etcd and would be /srv/etcd"),
        ({"etcd_binary": "/usr/bin/etcd"}, "its program is /usr/local/bin/etcd and would be /usr/bin/etcd"),
        ({"unit": "etcd3.service"}, "its unit is etcd.service and would be etcd3.service"),
        ({"owner": "root"}, "its user is etcd and would be root"),
        ({"owner_group": "root"}, "its group is etcd and would be root"),
        ({"name": "etcd-9"}, "--name is etcd-1 and would be etcd-9"),
        ({"address": "10.0.0.9"}, "--initial-advertise-peer-urls is https://10.0.0.1:2380"),
    ],
)
def test_an_inventory_that_says_something_else(changes: dict[str, t.Any], said: str) -> None:
    refused(said, "put what it has into the inventory (the run prints the variables)", units=changed_units(**changes))


def test_a_list_of_other_names() -> None:
    units = changed_units(common_name="etcd-1.example.com")
    text = refused("the list would be etcd-1.example.com,member-etcd-2,member-etcd-3, and they present", units=units)
    assert text.startswith("nothing is adopted: etcd-1, etcd-2, etcd-3: the list")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unsafe-no-fsync": "true"}, "it has --unsafe-no-fsync=true, which no unit of this role has (a power cut"),
        ({"client-cert-auth": "false"}, "--client-cert-auth is not set and would be true"),
        ({"listen-client-urls": "https://0.0.0.0:2379"}, "--listen-client-urls is https://0.0.0.0:2379"),
        ({"listen-client-urls": "https://ADDRESS:2379,https://ADDRESS:4001"}, "--listen-client-urls is"),
    ],
)
def test_what_no_variable_says(changed: Flags, said: str) -> None:
    run = run_of(told_by(changed))
    refused(said, run=run)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"unknown_settings": ["root-password"]}, "it is given root-password, which is no flag of etcd that is known"),
        ({"kind": "container"}, "it runs in a container"),
        ({"kind": "pod"}, "it runs in a pod of Kubernetes"),
        ({"version": "3.5.12"}, "reads no list of names"),
    ],
)
def test_what_a_member_is(state: dict[str, t.Any], said: str) -> None:
    units = units_of(all_variables(run_of(told_by())))
    refused(said, run=run_of(told_by(**state)), units=units)


@pytest.mark.parametrize(
    ("authority", "said"),
    [
        (Authority("", None), "the cluster: there is no CA in the role's variables that can be used"),
        (Authority("no certificate", None), "there is no CA in the role's variables"),
        (Authority(CA.pem.replace("MII", "AAA", 1), None), "there is no CA in the role's variables"),
        (Authority(OTHER_CA.pem, None), "(another CA) has not signed what etcd-1, etcd-2, etcd-3 presents"),
        (Authority(CA.pem, "there is no ca.key"), "the role's CA can't issue (there is no ca.key): give the members'"),
    ],
)
def test_the_ca_has_to_be_theirs_with_its_key(authority: Authority, said: str) -> None:
    refused(said, "without the key the role could renew no certificate", authority=authority)


def test_a_host_without_settings_or_without_a_service() -> None:
    units = units_of(all_variables(run_of(told_by())))
    left = {host: unit for host, unit in units.items() if host != "etcd-2"}
    refused("etcd-2: its host has no settings of this role", units=left)
    units["etcd-3"] = replace(units["etcd-3"], manages_service=False)
    refused("etcd-3: the role starts no service here", units=units)


def test_members_that_are_adopted_already_are_left_to_the_role() -> None:
    """Whatever the inventory says of them: that is the deployment's matter, and the way back asks for no fence."""
    units = changed_units(etcd_binary="/usr/bin/etcd")
    run = run_of(told_by(managed=True))
    assert set(plan(run, units).options) == set(HOSTS)
    assert told_variables(run) == {"vars": {}, "hosts": {}, "problems": []}
    back = plan(run_of(told_by()), units, Authority("", None), is_back=True)
    assert back.names == () and back.options["etcd-1"]["unit_content"] == units["etcd-1"].text
    with pytest.raises(RefusedError, match="nothing is given back: etcd-1, etcd-2, etcd-3: its host has no settings"):
        plan(run, {}, is_back=True)
