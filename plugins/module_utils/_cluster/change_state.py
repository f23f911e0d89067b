# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of a running cluster is planned from: the cluster that is wanted, and the state of all its hosts.

Pure. A state is what was gathered in one moment, and nothing else: no memory of an earlier run. So a run that was
killed is continued by the next one, from what it finds.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version

AFTER_WIDEN, AFTER_PRESENT = "widen", "present"


# What is wanted -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WantedMember:
    """A member as the inventory has it.

    ``names``: all subject alternative names of its certificate, the host of its peer URL among them. ``settings``: a
    digest of all that its unit says beside what ``Config`` has. ``client_flags``: see ``Config``.
    """

    name: str
    host: str
    common_name: str
    peer_url: str
    client_url: str
    names: frozenset[str]
    settings: str = ""
    client_flags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Words:
    """What was said in this run, on its command line: all that takes something away needs its word each time.

    ``removed``: members, see ``is_said``. ``removed_urls``: where they were, by the inventory: one that was added there
    and never ran has no other name. ``replace``: members that are wanted, by name. ``retire_ca``: fingerprints of CAs
    that no client needs any more. ``leaked``: serial numbers of certificates whose keys are known to others.
    ``disconnect``: who is connected with a revoked certificate is cut off, by restarts. ``clients_followed``: no client
    asks at the old client URLs any more. ``stop_after``: ``widen`` or ``present``, so that clients can follow.
    """

    removed: frozenset[str] = frozenset()
    removed_urls: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()
    new_ca: bool = False
    retire_ca: frozenset[str] = frozenset()
    leaked: frozenset[str] = frozenset()
    disconnect: bool = False
    upgrade: bool = False
    clients_followed: bool = False
    stop_after: str | None = None


@dataclass(frozen=True)
class Desired:
    """The cluster that is wanted.

    CAs are known by the SHA-256 fingerprints of their certificates. ``authorities``: the trust bundle in the end.
    ``issuer``: the one of them that signs. ``known_authorities``: older ones whose certificates are at hand, so that
    they can be written beside the new. ``client_authorities``: None where clients are checked by the peers' bundle.
    ``revoked``: serial numbers for the CRL. ``version``: of the etcd to run; None: the one that is there.
    """

    members: tuple[WantedMember, ...]
    issuer: str
    authorities: frozenset[str]
    known_authorities: frozenset[str] = frozenset()
    client_authorities: frozenset[str] | None = None
    revoked: frozenset[str] = frozenset()
    version: Version | None = None
    words: Words = field(default_factory=Words)

    @property
    def clients(self) -> frozenset[str]:
        """The bundle by which clients are checked."""
        return self.authorities if self.client_authorities is None else self.client_authorities


# What is there ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """A certificate as it lies on a host: etcd reads it anew at each handshake, so a new one needs no restart.

    ``issuer``: fingerprint of the CA that signed it, whatever its issuer is called. ``renewal_due``: it ends soon, or
    key, usage or type of it are not what they ought to be.
    """

    common_name: str
    names: frozenset[str]
    issuer: str
    serial_number: str
    renewal_due: bool = False


@dataclass(frozen=True)
class Config:
    """All that etcd reads at its start and keeps until it ends: what a process accepts, and where it answers.

    The same type tells what a process was started with, what its next start will read from the disk, and what a step
    writes. ``common_names``: whom it lets in; None: whoever has a certificate of the CA. ``serves``: peer URLs, as the
    others call them, that its listeners answer. ``has_crl``: whether it has the flag for the CRL (the file itself is
    read at each handshake). ``client_flags``: those for TLS at its client URLs, which only those with https need.
    """

    name: str
    common_names: frozenset[str] | None
    authorities: frozenset[str]
    serves: frozenset[str]
    peer_tls: bool = True
    has_crl: bool = True
    client_authorities: frozenset[str] = frozenset()
    client_serves: frozenset[str] = frozenset()
    client_flags: tuple[tuple[str, str], ...] = ()
    settings: str = ""

    @property
    def has_client_tls(self) -> bool:
        """Whether it answers clients by https anywhere."""
        return has_https(self.client_serves)


@dataclass(frozen=True)
class Data:
    """Whose data lies in a host's data folder. ``formed``: its cluster has had a leader."""

    member_id: str | None
    cluster_id: str | None
    formed: bool = True


@dataclass(frozen=True)
class Host:
    """One host as it was gathered. Of one that can't be reached nothing is known.

    ``process``: what the process that runs was started with; None: none runs. ``disk``: what its next start will read;
    None: there is no unit. ``running``, ``program``: the version that runs, and that the next start will run.
    ``problem``: why the process is not healthy by its own account. ``links_down``: IDs of the members that it has no
    connection to. ``crl``: the serial numbers in the CRL's file; None: no file, or none that etcd could use.
    ``crl_at_start``: the same when the process was started. ``marked``: root's marker says that a member of a formed
    cluster has had data here. ``new_program_problem``: why the program that is to be installed would not start with
    this host's flags. ``old_entries``: whether the log still has entries of an older minor version; None: not known.
    ``addresses``: those that the host has, where its etcd listens at one of them; None: they need not be compared.
    """

    name: str
    reachable: bool = True
    process: Config | None = None
    disk: Config | None = None
    running: Version | None = None
    program: Version | None = None
    problem: str | None = None
    links_down: frozenset[str] = frozenset()
    leaf: Leaf | None = None
    crl: frozenset[str] | None = None
    crl_at_start: frozenset[str] = frozenset()
    data: Data | None = None
    enabled: bool = False
    marked: bool = False
    new_program_problem: str | None = None
    old_entries: bool | None = None
    addresses: frozenset[str] | None = None


@dataclass(frozen=True)
class ListedMember:
    """A member in the cluster's own list. One that was added has no name until it starts.

    ``started``: whether it ever was; the list then has its client URLs.
    """

    member_id: str
    name: str
    peer_urls: tuple[str, ...]
    is_learner: bool = False
    started: bool = True


@dataclass(frozen=True)
class MemberList:
    """The cluster's own list. ``problem``: what keeps it from being believed, for one that two members differ."""

    members: tuple[ListedMember, ...]
    cluster_id: str
    leader_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class State:
    """All that was gathered. ``hosts`` by the inventory's name. ``member_list``: None where no member tells one.

    ``cluster_version``: the minor version that the cluster as a whole is at; None: not known.
    """

    hosts: t.Mapping[str, Host]
    member_list: MemberList | None = None
    cluster_version: tuple[int, int] | None = None


# Who is who in a list -----------------------------------------------------------------------------------------------


class InList(t.Protocol):
    """What tells a member in a list that somebody reports."""

    @property
    def member_id(self) -> str:
        """Its ID in hexadecimal digits."""

    @property
    def name(self) -> str:
        """Empty before its first start."""

    @property
    def peer_urls(self) -> tuple[str, ...]:
        """Where the others reach it."""


class InInventory(t.Protocol):
    """What tells a member in the inventory."""

    @property
    def name(self) -> str:
        """The member's name."""

    @property
    def peer_url(self) -> str:
        """Where the others are to reach it."""


def is_of(one: InList, wanted: InInventory) -> bool:
    """Whether a member of a list is the wanted one: by its name, and before it has one by its peer URL."""
    return one.name == wanted.name if one.name else wanted.peer_url in one.peer_urls


def is_said(said: t.Collection[str], one: InList) -> bool:
    """Whether a member is meant by what the user said: its name, alone or with a domain, its id, or its peer URL."""
    return any(
        word in (one.name, one.member_id, *one.peer_urls) or (bool(one.name) and word.startswith(f"{one.name}."))
        for word in said
    )


def is_to_go(words: Words, one: InList) -> bool:
    """Whether the user said that a member is to go. Who was added and never ran is known by its place alone."""
    is_there = not one.name and not words.removed_urls.isdisjoint(one.peer_urls)
    return is_there or is_said(words.removed, one)


def url_host(url: str) -> str:
    """The host of a URL, an IPv6 address without its brackets."""
    return url.partition("://")[2].rpartition(":")[0].strip("[]")


def same_socket(url: str, other: str) -> bool:
    """Whether two URLs that differ can't be served side by side: the same host and port by another scheme."""
    return url != other and url.partition("://")[2] == other.partition("://")[2]


def has_https(urls: t.Iterable[str]) -> bool:
    """Whether any of the URLs needs TLS."""
    return any(url.startswith("https:") for url in urls)


def accepts(config: Config, leaf: Leaf) -> bool:
    """Whether a process lets a certificate in by its name and its CA. Without TLS nobody is asked for one."""
    if not config.peer_tls:
        return True
    return leaf.issuer in config.authorities and (
        config.common_names is None or leaf.common_name in config.common_names
    )


def quorum_of(voters: int) -> int:
    """How many of so many voters have to agree."""
    return voters // 2 + 1


__all__ = (
    "AFTER_PRESENT",
    "AFTER_WIDEN",
    "Config",
    "Data",
    "Desired",
    "Host",
    "InInventory",
    "InList",
    "Leaf",
    "ListedMember",
    "MemberList",
    "State",
    "WantedMember",
    "Words",
    "accepts",
    "has_https",
    "is_of",
    "is_said",
    "is_to_go",
    "quorum_of",
    "same_socket",
    "url_host",
)
