# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due in a cluster: each reason by itself, and nothing where all is as it should be."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import pending_changes
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import (
    FoundPending,
    WantedCluster,
    cluster_pending_changes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightQuestion,
    is_install_pending,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory

NOW, DAY = factory.NOW, factory.DAY
CA, OTHER_CA = factory.authority(), factory.authority(number=1)
ENDING = factory.authority(not_after=NOW + 10 * DAY)
ENTRIES = [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2)]
MEMBERS = make_members(ENTRIES, ClusterSettings(name="blue", domain="example.com"))
Codes = list[tuple[t.Optional[str], str, str]]


def pem(ca: factory.Authority) -> str:
    return ca.pem.decode()


def certificate(member: Member, ca: factory.Authority = CA, **changes: t.Any) -> str:
    profile = rules.peer_profile(
        member.name, member.common_name, member.dns_names, member.ip_addresses, changes.pop("key_type", "ecdsa-p256")
    )
    return factory.member_pem(ca, profile, **changes).decode()


def info(member: Member, ca: factory.Authority = CA, **changes: t.Any) -> dict[str, t.Any]:
    """What was found on a member's host, as far as it counts here."""
    return {
        "etcd": {"found": True, "version": "3.5.16"},
        "credentials": {
            "ca": {"pem": pem(ca)},
            "certificate": {"pem": certificate(member, ca, **changes)},
            "private_key": {"matches_certificate": True},
        },
    }


class Case:
    """A cluster as it should be, for a test to change."""

    def __init__(self, ca: factory.Authority = CA, **changes: t.Any) -> None:
        self.infos: dict[str, t.Any] = {member.name: info(member, ca, **changes) for member in MEMBERS}
        self.wanted = WantedCluster()
        self.found = FoundPending(authority=pem(ca), hosts_pending={member.name: [] for member in MEMBERS})
        self.members: t.Sequence[Member] = MEMBERS

    @property
    def second(self) -> t.Any:
        return self.infos["etcd-2"]

    def credentials(self, kind: str, **changes: t.Any) -> None:
        self.second["credentials"][kind].update(changes)

    def want(self, **changes: t.Any) -> None:
        self.wanted = replace(self.wanted, **changes)

    def find(self, **changes: t.Any) -> None:
        self.found = replace(self.found, **changes)

    def pending(self) -> list[pending_changes.PendingChange]:
        cluster = Cluster(self.members, self.infos, PreflightQuestion("blue"))
        found = cluster_pending_changes(cluster, self.wanted, self.found, NOW)
        assert all(one["text"] and "\n" not in one["text"] for one in found)
        return found


def codes(found: t.Iterable[pending_changes.PendingChange]) -> Codes:
    return [(one["member"], one["part"], one["code"]) for one in found]


def both(part: str, code: str) -> Codes:
    return [(member.name, part, code) for member in MEMBERS]


def second(part: str, code: str) -> Codes:
    return [("etcd-2", part, code)]


def certificates(case: Case, *more: t.Any, **changes: t.Any) -> None:
    case.credentials("certificate", pem=certificate(MEMBERS[1], *more, **changes))


def all_of(*changes: t.Callable[[Case], None]) -> t.Callable[[Case], None]:
    def change(case: Case) -> None:
        for one in changes:
            one(case)

    return change


def without_etcd(case: Case) -> None:
    case.second["etcd"].update(found=False, version=None)


def with_rubbish(case: Case) -> None:
    for one in case.infos.values():
        one["credentials"]["ca"]["pem"] = "rubbish"


HOST_REASON = {"part": "service", "code": "start", "text": "etcd.service: start"}
CA_REASON = {"code": "mode", "text": "ca.key has mode 0644, 0600 is wanted"}
CASES: dict[str, tuple[t.Callable[[Case], None], Codes]] = {
    "nothing": (lambda case: None, []),
    # etcd itself
    "missing, and nobody installs it": (without_etcd, []),
    "missing, from a package": (
        all_of(lambda case: case.want(install="package"), without_etcd),
        second("etcd", "install"),
    ),
    "another version in the archive's name": (
        lambda case: case.want(install="archive", archive="/srv/etcd-v3.6.1-linux-amd64.tar.gz"),
        both("etcd", "install"),
    ),
    # the CA
    "no CA": (lambda case: case.find(authority=None), [(None, "ca", "missing")]),
    "no CA, and why": (lambda case: case.find(authority=None, authority_pending=[CA_REASON]), [(None, "ca", "mode")]),
    "a drift of the CA": (lambda case: case.find(authority_pending=[CA_REASON]), [(None, "ca", "mode")]),
    "white space round the CA": (lambda case: case.find(authority=f"\n{pem(CA)}\n\n"), []),
    "a CA that can't be read": (
        all_of(lambda case: case.find(authority="rubbish"), with_rubbish),
        both("certificate", "crypto"),
    ),
    # what the hosts say
    "a host that was not asked": (lambda case: case.find(hosts_pending={"etcd-1": []}), second("host", "not_asked")),
    "a host that was not asked what is due": (
        lambda case: case.find(hosts_pending={"etcd-1": [], "etcd-2": None}),
        second("host", "not_asked"),
    ),
    "something on a host": (
        lambda case: case.find(hosts_pending={"etcd-1": [], "etcd-2": [HOST_REASON, HOST_REASON]}),
        second("service", "start") * 2,
    ),
    # the certificates
    "no trust bundle": (lambda case: case.credentials("ca", pem=None), second("ca", "content")),
    "two CAs in the bundle": (
        lambda case: case.credentials("ca", pem=pem(CA) + pem(OTHER_CA)),
        second("ca", "content"),
    ),
    "no certificate": (lambda case: case.credentials("certificate", pem=None), second("certificate", "missing")),
    "no key": (
        lambda case: case.credentials("private_key", matches_certificate=None),
        second("certificate", "private_key_missing"),
    ),
    "another key": (
        lambda case: case.credentials("private_key", matches_certificate=False),
        second("certificate", "private_key_mismatch"),
    ),
    "near its end": (
        lambda case: certificates(case, not_after=NOW + 29 * DAY),
        second("certificate", "expires_soon"),
    ),
    "not yet near its end": (lambda case: certificates(case, not_after=NOW + 31 * DAY), []),
    "near its end for who asks for more": (
        all_of(
            lambda case: case.want(renew_before_days=60),
            lambda case: certificates(case, not_after=NOW + 31 * DAY),
        ),
        second("certificate", "expires_soon"),
    ),
    "ended": (
        lambda case: certificates(case, not_before=NOW - 2 * DAY, not_after=NOW),
        second("certificate", "expired"),
    ),
    "new keys": (lambda case: case.want(new_keys=True), both("certificate", "new_key_requested")),
    "another kind of key": (
        lambda case: case.want(key_type="ecdsa-p384"),
        both("certificate", "key_type"),
    ),
    "of another CA": (
        lambda case: certificates(case, OTHER_CA),
        [*second("certificate", "other_ca"), *second("certificate", "profile")],
    ),
    "another member's": (
        lambda case: case.credentials("certificate", pem=certificate(MEMBERS[0])),
        [
            *second("certificate", "common_name"),
            *second("certificate", "subject_alternative_names"),
            *second("certificate", "new_key_requested"),
        ],
    ),
    # what can't be: a reason, no exception
    "a wish that no certificate can fulfil": (
        lambda case: case.want(validity_days=30, renew_before_days=30),
        both("certificate", "input"),
    ),
    "no days at all": (lambda case: case.want(validity_days=0), both("certificate", "input")),
    "a name that no certificate can have": (
        lambda case: setattr(case, "members", [MEMBERS[0], replace(MEMBERS[1], common_name="x" * 65)]),
        second("certificate", "input"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_reason(name: str) -> None:
    change, expected = CASES[name]
    case = Case()
    change(case)
    assert codes(case.pending()) == expected


def test_a_ca_that_is_not_there_says_so_once_and_asks_for_no_certificate() -> None:
    case = Case()
    case.find(authority=None)
    case.credentials("certificate", pem=None)
    (pending,) = case.pending()
    assert pending["text"] == "there is no CA certificate at hand"


def test_a_certificate_that_ends_with_its_ca_is_told_though_none_can_be_issued() -> None:
    """Who issues has a warning for it, so the run has to go there."""
    case = Case(ENDING, not_after=NOW + 10 * DAY)
    assert codes(case.pending()) == both("certificate", "ca_ends_soon")
    case = Case(factory.authority(not_after=NOW + 40 * DAY), not_after=NOW + 40 * DAY)
    assert case.pending() == []


def test_a_certificate_that_is_due_ends_with_its_ca_and_is_told_once() -> None:
    case = Case(ENDING, not_after=NOW + 10 * DAY)
    case.want(new_keys=True)
    assert codes(case.pending()) == both("certificate", "new_key_requested")


def test_the_order_is_the_ca_then_member_by_member() -> None:
    case = Case()
    case.want(install="package", new_keys=True)
    case.find(authority_pending=[CA_REASON, CA_REASON], hosts_pending={"etcd-1": None, "etcd-2": [HOST_REASON]})
    for one in case.infos.values():
        one["etcd"].update(found=False, version=None)
        one["credentials"]["ca"]["pem"] = None
    each = [("ca", "content"), ("certificate", "new_key_requested")]
    assert codes(case.pending()) == [
        (None, "ca", "mode"),
        (None, "ca", "mode"),
        ("etcd-1", "etcd", "install"),
        ("etcd-1", "host", "not_asked"),
        *(("etcd-1", *one) for one in each),
        ("etcd-2", "etcd", "install"),
        ("etcd-2", "service", "start"),
        *(("etcd-2", *one) for one in each),
    ]


def test_reasons_come_with_the_words_of_who_found_them() -> None:
    case = Case()
    case.find(authority_pending=[CA_REASON], hosts_pending={"etcd-1": [], "etcd-2": [HOST_REASON]})
    assert case.pending() == [
        {"member": None, "part": "ca", **CA_REASON},
        {"member": "etcd-2", **HOST_REASON},
    ]


def test_a_host_that_was_left_out_has_nothing_due() -> None:
    """With --limit a run is for the hosts that it names; whether that is allowed, the guards say."""
    case = Case()
    case.find(hosts_pending={"etcd-1": []})
    del case.infos["etcd-2"]
    assert case.pending() == []


def test_a_cluster_that_nobody_looked_at_is_not_settled() -> None:
    case = Case()
    case.infos.clear()
    assert codes(case.pending()) == [(None, "host", "not_asked")]


@pytest.mark.parametrize(
    ("is_found", "version", "install", "archive", "pending"),
    [
        (True, "3.5.16", "none", "", False),
        (False, None, "none", "etcd-v3.6.1-linux-amd64.tar.gz", False),
        (True, "3.5.16", "package", "", False),
        (False, None, "package", "", True),
        # An archive that somebody named before is no wish where packages are to be used.
        (True, "3.5.16", "package", "etcd-v3.6.1-linux-amd64.tar.gz", False),
        (False, None, "archive", "/srv/etcd.tar.gz", True),
        (True, "3.5.16", "archive", "/srv/etcd.tar.gz", False),
        # A file of that name that does not answer as etcd does: the guard that refuses it waits for the installation.
        (True, None, "package", "", True),
        (True, None, "archive", "/srv/etcd.tar.gz", True),
        (True, None, "none", "", False),
        (True, "3.5.16", "archive", "/srv/etcd-v3.5.16-linux-amd64.tar.gz", False),
        (True, "3.5.16", "archive", "https://example.com/v3.6.1/etcd-v3.6.1-linux-arm64.tar.gz", True),
        (True, "3.5.16", "archive", "https://example.com/etcd-v3.5.16/etcd-v3.5.16-linux-arm64.tar.gz", False),
    ],
)
def test_when_etcd_is_to_be_installed(
    is_found: bool, version: str | None, install: str, archive: str, pending: bool
) -> None:
    assert is_install_pending(is_found, version, install, archive) is pending


@pytest.mark.parametrize(("version", "words"), [(None, "(found: none)"), ("3.5.16", "(found: 3.5.16)")])
def test_the_version_that_is_there_is_said(version: str | None, words: str) -> None:
    case = Case()
    case.want(install="archive", archive="etcd-v3.6.1-linux-amd64.tar.gz")
    case.second["etcd"].update(found=version is not None, version=version)
    assert case.pending()[-1]["text"] == f"etcd is to be installed {words}"


def test_ansible_is_not_loaded() -> None:
    loaded = f"import sys, {pending_changes.__name__}; print([n for n in ('ansible',) if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", loaded],
        env={**os.environ, "PYTHONPATH": str(Path(pending_changes.__file__).parents[6])},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
