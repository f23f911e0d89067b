# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts tell, as a plan has it: the unknown accepts nobody and is not well, and a lie counts for who tells it."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_authorities import (
    Authorities,
    authorities_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_gather import desired_of, state_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Data, Host, State, Words
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Next
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings, etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import WantedCluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    PreflightQuestion,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519

CA, OTHER_CA, STRANGE_CA = (factory.authority(number=number) for number in (0, 1, 2))
FINGERPRINTS = {ca: certificates.fingerprint(ca.certificate) for ca in (CA, OTHER_CA, STRANGE_CA)}
SETTINGS = FlagSettings("blue", "/var/lib/etcd/blue", "/etc/etcd/pki")
MEMBERS = make_members(
    [{"name": f"etcd-{n}", "host": f"host-{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)],
    ClusterSettings(name="blue", domain="example.com"),
)
IDS = {member.name: f"a{number}" for number, member in enumerate(MEMBERS, 1)}
LISTED = [
    {
        "member_id": IDS[member.name],
        "name": member.name,
        "peer_urls": [member.peer_url],
        "client_urls": [member.client_url],
        "is_learner": False,
    }
    for member in MEMBERS
]


def leaf(member: Member, ca: factory.Authority = CA, **changes: t.Any) -> str:
    names = changes.pop("dns_names", member.dns_names)
    profile = rules.peer_profile(member.name, member.common_name, names, member.ip_addresses, "ecdsa-p256")
    return factory.member_pem(ca, profile, **changes).decode()


def answer(member: Member) -> dict[str, t.Any]:
    """Of a host as it should be, as far as it counts here."""
    arguments = [f"--{flag}={value}" for flag, value in etcd_flags(member, MEMBERS, SETTINGS)]
    settings = deployed_from_arguments(["/usr/bin/etcd", *arguments], {"ETCD_TLS_MIN_VERSION": "TLS1.3"})
    info = {
        "etcd": {"found": True, "version": "3.5.16", "problem": None},
        "credentials": {
            "ca": {"path": "/etc/etcd/pki/ca.crt", "pem": CA.pem.decode()},
            "certificate": {"pem": leaf(member)},
            "private_key": {"matches_certificate": True},
        },
        "unit": {"managed": True, "settings": settings, "enabled": True, "added_flags": {}},
        "process": {
            "running": True,
            "configuration_hash": "00",
            "settings": settings,
            "newer_files": [],
            "version": "3.5.16",
        },
        "data": {
            "directory": "/var/lib/etcd/blue",
            "exists": True,
            "member_id": IDS[member.name],
            "cluster_id": "c1",
            "formed": True,
            "problem": None,
        },
        "formed_marker": {"exists": True},
        "addresses": [member.address, "127.0.0.1"],
    }
    return {
        "info": info,
        "process_credentials": None,
        "pending": [],
        "live_members": [dict(one) for one in LISTED],
        "live_member_id": IDS[member.name],
        "live_cluster_id": "c1",
        "live_leader_id": "a2",
        "live_cluster_version": "3.5.0",
        "live_healthy": True,
        "live_health_problem": None,
        "live_active_peers": [one for one in IDS.values() if one != IDS[member.name]],
    }


class Case:
    """A cluster as it should be, for a test to change."""

    def __init__(self) -> None:
        self.states: dict[str, t.Any] = {member.name: answer(member) for member in MEMBERS}
        self.settings = SETTINGS
        self.authority: str | None = CA.pem.decode()
        self.unreachable: list[str] = []
        self.words = Words()
        self.known: list[str] = []
        self.infos: dict[str, t.Any] = {}

    @property
    def first(self) -> t.Any:
        return self.states["etcd-1"]

    @property
    def info(self) -> t.Any:
        return self.first["info"]

    def cluster(self) -> Cluster:
        infos = {name: self.infos.get(name, state["info"]) for name, state in self.states.items()}
        question = PreflightQuestion("blue", authority=self.authority, flag_settings=self.settings)
        return Cluster(MEMBERS, infos, question, self.states)

    def authorities(self) -> Authorities:
        return authorities_of(self.cluster(), self.known)

    def state(self) -> State:
        return state_of(self.cluster(), self.authorities(), WantedCluster(), factory.NOW, self.unreachable)

    def host(self) -> Host:
        return self.state().hosts["host-1"]

    def next(self) -> Next:
        return next_step(desired_of(self.cluster(), self.authorities(), self.words), self.state())


def test_a_cluster_as_it_should_be() -> None:
    case = Case()
    host, state = case.host(), case.state()
    assert case.next() is None
    assert host.process == host.disk and host.running == host.program == (3, 5, 16)
    assert host.problem is None and not host.links_down and host.enabled and host.marked
    assert host.data == Data("a1", "c1") and host.addresses == {"10.0.0.1", "127.0.0.1"}
    assert host.leaf is not None and host.leaf.issuer == FINGERPRINTS[CA] and not host.leaf.renewal_due
    assert state.cluster_version == (3, 5) and state.member_list is not None
    assert state.member_list.leader_id == "a2" and state.member_list.problem is None


# What is not known ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"live_healthy": None}, "it did not say whether it is healthy"),
        ({"live_healthy": False, "live_health_problem": "no\nleader"}, "no leader"),
        ({"live_member_id": "ff"}, "member ff answers in its place"),
    ],
)
def test_who_does_not_say_that_it_is_well_is_not(changes: dict[str, t.Any], problem: str) -> None:
    case = Case()
    case.first.update(changes)
    assert case.host().problem == problem
    refused = case.next()
    assert isinstance(refused, PreflightFailure) and refused.code == "member_unwell"


@pytest.mark.parametrize("active", [None, [], ["a2"]])
def test_a_link_that_is_not_told_is_down(active: list[str] | None) -> None:
    case = Case()
    case.first["live_active_peers"] = active
    assert case.host().links_down == {"a2", "a3"} - set(active or ())
    assert isinstance(case.next(), PreflightFailure)


def test_links_are_counted_by_the_list_that_others_tell_where_it_has_none() -> None:
    case = Case()
    case.first.update(live_members=None, live_active_peers=None)
    assert case.host().links_down == {"a2", "a3"}


def test_a_bundle_that_is_newer_than_the_process_is_not_what_it_accepts() -> None:
    case = Case()
    case.info["process"]["newer_files"] = ["/etc/etcd/pki/ca.crt"]
    host = case.host()
    assert host.process is not None and not host.process.authorities and not host.process.client_authorities
    assert host.disk is not None and host.disk.authorities == {FINGERPRINTS[CA]}


@pytest.mark.parametrize("pem", [None, "", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_bundle_that_can_not_be_read_accepts_nobody(pem: str | None) -> None:
    case = Case()
    case.info["credentials"]["ca"]["pem"] = pem
    host = case.host()
    assert host.process is not None and not host.process.authorities


def test_the_files_of_the_process_count_where_they_are_others() -> None:
    case = Case()
    other = "/srv/pki/ca.crt"
    flags = [f"--{flag}={value}" for flag, value in etcd_flags(MEMBERS[0], MEMBERS, SETTINGS) if "-ca-" not in flag]
    flags += [f"--peer-trusted-ca-file={other}", f"--trusted-ca-file={other}"]
    case.info["process"]["settings"] = deployed_from_arguments(["/usr/bin/etcd", *flags])
    case.first["process_credentials"] = {
        "ca": {"path": other, "pem": OTHER_CA.pem.decode()},
        "certificate": {"pem": leaf(MEMBERS[0], OTHER_CA)},
        "private_key": {"matches_certificate": True},
    }
    host = case.host()
    assert host.process is not None and host.process.authorities == {FINGERPRINTS[OTHER_CA]}
    assert host.disk is not None and host.disk.authorities == {FINGERPRINTS[CA]}
    assert host.leaf is not None and host.leaf.issuer == FINGERPRINTS[OTHER_CA]


def test_a_client_ca_that_is_the_users_is_not_compared() -> None:
    case = Case()
    case.settings = replace(SETTINGS, client_ca_file="/srv/ca", client_cert_file="/srv/crt", client_key_file="/srv/key")
    for member in MEMBERS:
        arguments = [f"--{flag}={value}" for flag, value in etcd_flags(member, MEMBERS, case.settings)]
        settings = deployed_from_arguments(["/usr/bin/etcd", *arguments], {"ETCD_TLS_MIN_VERSION": "TLS1.3"})
        for part in ("process", "unit"):
            case.states[member.name]["info"][part]["settings"] = settings
    assert case.next() is None


@pytest.mark.parametrize("version", [None, "", "3.5", "latest", "3.5.16\n"])
def test_a_version_that_is_none_is_not_known(version: str | None) -> None:
    case = Case()
    case.info["process"]["version"] = version
    host = case.host()
    assert host.running == ((3, 5, 16) if version == "3.5.16\n" else None)
    if host.running is None:
        assert host.process is not None and host.process.common_names == frozenset()


def test_data_that_can_not_be_read_may_be_anybodys() -> None:
    case = Case()
    case.info["data"].update(exists=False, member_id=None, cluster_id=None, formed=None, problem="no permission")
    assert case.host().data == Data(None, None, True)
    case.info["data"]["problem"] = None
    assert case.host().data is None


# Who says what --------------------------------------------------------------------------------------------------------


def test_two_that_tell_different_lists_are_not_believed() -> None:
    case = Case()
    case.states["etcd-3"]["live_members"][0]["peer_urls"] = ["https://10.6.6.6:2380"]
    problem = (case.state().member_list or pytest.fail("no list")).problem
    assert problem == "the members report different member lists (etcd-1 and etcd-3)"
    assert isinstance(case.next(), PreflightFailure)


def test_two_that_tell_different_clusters_are_not_believed() -> None:
    case = Case()
    case.states["etcd-3"]["live_cluster_id"] = "c2"
    problem = (case.state().member_list or pytest.fail("no list")).problem
    assert problem == "the members report different clusters (c1, c2)"


def test_client_urls_may_come_later() -> None:
    case = Case()
    case.states["etcd-3"]["live_members"][0]["client_urls"] = ["https://10.0.0.1:12379"]
    assert (case.state().member_list or pytest.fail("no list")).problem is None


def test_a_leader_that_not_all_tell_is_not_known() -> None:
    case = Case()
    case.states["etcd-3"]["live_leader_id"] = "a3"
    assert (case.state().member_list or pytest.fail("no list")).leader_id is None


def test_nobody_moves_the_cluster_by_telling_a_newer_version() -> None:
    case = Case()
    case.states["etcd-3"]["live_cluster_version"] = "9.9.0"
    case.states["etcd-2"]["live_cluster_version"] = "not_decided"
    assert case.state().cluster_version == (3, 5)


def test_a_ca_that_one_host_shows_counts_for_that_host_alone() -> None:
    case = Case()
    case.info["credentials"]["ca"]["pem"] += STRANGE_CA.pem.decode()
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], STRANGE_CA)
    authorities = case.authorities()
    host = case.host()
    assert host.leaf is not None and host.leaf.issuer == FINGERPRINTS[STRANGE_CA]
    assert FINGERPRINTS[STRANGE_CA] not in {*authorities.known, *authorities.wanted}
    assert FINGERPRINTS[STRANGE_CA] in authorities.at("etcd-1")
    with pytest.raises(InputError, match="is not at hand"):
        authorities.bundle("etcd-2", [FINGERPRINTS[STRANGE_CA]])
    found = case.next()
    actions = () if found is None or isinstance(found, PreflightFailure) else found.actions
    for action in actions:
        if action.host != "host-1" and action.config is not None:
            assert FINGERPRINTS[STRANGE_CA] not in action.config.authorities


def test_an_older_ca_is_known_where_all_have_it_or_it_is_given() -> None:
    case = Case()
    for state in case.states.values():
        state["info"]["credentials"]["ca"]["pem"] = OTHER_CA.pem.decode() + CA.pem.decode()
    assert set(case.authorities().known) == {FINGERPRINTS[CA], FINGERPRINTS[OTHER_CA]}
    # One that has data and no bundle shows nothing.
    case.info["credentials"]["ca"]["pem"] = None
    assert not case.authorities().known
    case.known = [OTHER_CA.pem.decode()]
    assert set(case.authorities().known) == {FINGERPRINTS[OTHER_CA]}


def test_a_bundle_has_the_wanted_ca_first_and_as_it_is_given() -> None:
    case = Case()
    case.known = [OTHER_CA.pem.decode()]
    bundle = case.authorities().bundle("etcd-1", [FINGERPRINTS[OTHER_CA], FINGERPRINTS[CA]])
    assert bundle == CA.pem.decode() + OTHER_CA.pem.decode()
    assert case.authorities().bundle("etcd-1", [FINGERPRINTS[CA]]) == CA.pem.decode()


def test_without_a_ca_nothing_is_planned() -> None:
    case = Case()
    case.authority = None
    with pytest.raises(InputError, match="there is no CA certificate at hand"):
        case.authorities()


# Certificates ---------------------------------------------------------------------------------------------------------


def test_the_issuer_is_who_signed_and_not_who_is_named() -> None:
    case = Case()
    # All three have the same name.
    assert CA.certificate.subject == STRANGE_CA.certificate.subject
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], STRANGE_CA)
    host = case.host()
    assert host.leaf is not None and host.leaf.issuer == ""
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], OTHER_CA)
    case.known = [OTHER_CA.pem.decode()]
    assert (case.host().leaf or pytest.fail("no leaf")).issuer == FINGERPRINTS[OTHER_CA]


@pytest.mark.parametrize("pem", [None, "", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_can_not_be_read_is_none(pem: str | None) -> None:
    case = Case()
    case.info["credentials"]["certificate"]["pem"] = pem
    assert case.host().leaf is None


def test_a_ca_with_a_key_that_signs_nothing_is_nobodys_issuer() -> None:
    case = Case()
    case.info["credentials"]["ca"]["pem"] = _x25519_certificate() + CA.pem.decode()
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], STRANGE_CA)
    assert (case.host().leaf or pytest.fail("no leaf")).issuer == ""


def _x25519_certificate() -> str:
    name = x509.Name([])
    return certificates.certificate_pem(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(t.cast("t.Any", x25519.X25519PrivateKey.generate().public_key()))
        .serial_number(7)
        .not_valid_before(factory.NOW)
        .not_valid_after(factory.NOW + factory.DAY)
        .sign(CA.key, hashes.SHA256())
    ).decode()


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, False),
        ({"not_after": factory.NOW + 5 * factory.DAY}, True),
        # What a plan sees by itself is not told twice.
        ({"dns_names": ["etcd-1.example.org"]}, False),
    ],
)
def test_when_a_certificate_is_due(changes: dict[str, t.Any], due: bool) -> None:
    case = Case()
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], **changes)
    assert (case.host().leaf or pytest.fail("no leaf")).renewal_due is due


@pytest.mark.parametrize("matches", [False, None])
def test_a_certificate_without_its_key_is_due(matches: bool | None) -> None:
    case = Case()
    case.info["credentials"]["private_key"]["matches_certificate"] = matches
    assert (case.host().leaf or pytest.fail("no leaf")).renewal_due


def test_a_certificate_of_an_older_ca_is_not_due_for_that_alone() -> None:
    case = Case()
    case.known = [OTHER_CA.pem.decode()]
    case.info["credentials"]["certificate"]["pem"] = leaf(MEMBERS[0], OTHER_CA)
    assert not (case.host().leaf or pytest.fail("no leaf")).renewal_due


# Hosts ----------------------------------------------------------------------------------------------------------------


def test_what_drop_ins_add_is_wanted_as_far_as_it_is_left_to_them() -> None:
    case = Case()
    for part in ("process", "unit"):
        rendered = etcd_flags(MEMBERS[0], MEMBERS, SETTINGS)
        flags = [f"--{flag}={value}" for flag, value in rendered if flag != "logger"]
        environment = {"ETCD_TLS_MIN_VERSION": "TLS1.3", "ETCD_HEARTBEAT_INTERVAL": "150"}
        case.info[part]["settings"] = deployed_from_arguments(["/usr/bin/etcd", *flags], environment)
    assert case.next() is not None
    case.info["unit"]["added_flags"] = {"heartbeat-interval": "150", "logger": None, "data-dir": "/x"}
    assert case.next() is None


def test_a_unit_that_is_not_ours_is_no_next_start() -> None:
    case = Case()
    case.info["unit"]["managed"] = False
    assert case.host().disk is None


def test_another_etcd_under_the_units_name_is_not_the_member() -> None:
    case = Case()
    case.info["process"].update(configuration_hash=None)
    # With the member's own data it is: it was there before the role.
    assert case.host().process is not None
    case.info["process"]["settings"] = {**case.info["process"]["settings"], "data_dir": "/var/lib/etcd/default"}
    host = case.host()
    assert host.process is None and host.problem is None and host.running is None


def test_who_was_not_reached_is_told_apart_from_who_was_not_asked() -> None:
    case = Case()
    del case.states["etcd-1"]
    assert "host-1" not in case.state().hosts
    case.unreachable = ["etcd-1"]
    assert case.state().hosts["host-1"] == Host("host-1", reachable=False)


def test_a_program_that_is_tried_and_does_not_start_is_told() -> None:
    case = Case()
    staged = {"found": True, "version": None, "staged": True, "problem": "flag --x\nis not known"}
    case.infos["etcd-1"] = {**case.info, "etcd": staged}
    host = case.host()
    assert host.new_program_problem == "flag --x is not known" and host.program == (3, 5, 16)


@pytest.mark.parametrize("why", ["no unit was told", "not told", "behind a name"])
def test_addresses_are_compared_where_the_host_is_called_by_its_own(why: str) -> None:
    case = Case()
    if why == "no unit was told":
        case.first["pending"] = None
    elif why == "not told":
        case.info["addresses"] = None
    else:
        flags = dict(etcd_flags(MEMBERS[0], MEMBERS, SETTINGS))
        flags["initial-advertise-peer-urls"] = "https://etcd-1.example.org:2381"
        flags["listen-peer-urls"] = "https://10.0.0.1:2381"
        arguments = [f"--{flag}={value}" for flag, value in flags.items()]
        case.info["process"]["settings"] = deployed_from_arguments(["/usr/bin/etcd", *arguments])
        for state in case.states.values():
            state["live_members"][0]["peer_urls"] = ["https://etcd-1.example.org:2381"]
    assert case.host().addresses is None


@pytest.mark.parametrize(
    ("crl", "is_newer", "found", "at_start"),
    [
        (None, False, None, set()),
        ({"serial_numbers": None, "problem": "it is PEM"}, False, None, set()),
        ({"serial_numbers": ["aa"], "problem": None}, False, {"aa"}, {"aa"}),
        ({"serial_numbers": ["aa"], "problem": None}, True, {"aa"}, set()),
    ],
)
def test_a_crl_counts_where_the_unit_is_to_have_one(
    crl: t.Any, is_newer: bool, found: t.Any, at_start: set[str]
) -> None:
    case = Case()
    assert case.host().crl == frozenset() and case.host().process is not None
    case.settings = replace(SETTINGS, extra_flags={"peer-crl-file": "/etc/etcd/pki/crl.der"})
    case.info["crl"] = crl
    case.info["process"]["crl_is_newer"] = is_newer
    host = case.host()
    assert host.crl == found and host.crl_at_start == at_start
    assert host.process is not None and not host.process.has_crl
