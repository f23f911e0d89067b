# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit goes by: who is in one cluster, which certificate each member presents, who called as whom. Pure.

What a host tells of itself decides about its own etcd alone. Which certificate is a member's is what other hosts were
shown at its peer port; and a member's certificate that lies on a host without a member is a stranger's all the same.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import STRANGER
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import PeerPort
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import (
    Answer,
    Claim,
    certificates_in,
    issued_by,
    place_of,
)

Call = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Stranger:
    """A pair that lies on a host and is none of a member's there; or one that was given or made (``path`` None)."""

    host: str
    fingerprint: str
    path: str | None = None
    certificate: Certificate | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        if self.certificate is None:
            return "the stranger that was given"
        return self.certificate.common_name or "a certificate without a common name"


@dataclass(frozen=True)
class Run:
    """All hosts of an audit. ``answers`` and ``calls``: by host, of the two modules; ``absent``: hosts without, why."""

    hosts: tuple[str, ...]
    claims: tuple[Claim, ...]
    ports: tuple[PeerPort, ...]
    answers: t.Mapping[str, Answer]
    calls: t.Mapping[str, Answer]
    absent: t.Mapping[str, str]

    @cached_property
    def port_of(self) -> dict[str, PeerPort]:
        return {port.name: port for port in self.ports}

    @cached_property
    def pairs(self) -> dict[tuple[str, str], tuple[str, Certificate]]:
        """What lies on the hosts: by host and fingerprint, file and certificate."""
        found = {}
        for host, answer in self.calls.items():
            for pair in answer["pairs"]:
                for certificate in _readable(pair["pem"])[:1]:
                    # The certificate says its fingerprint, whatever the host says.
                    found[host, certificate.fingerprint] = (str(pair["path"]), certificate)
        return found

    def clusters(self) -> list[Cluster]:
        """The processes of each cluster. Two are of one cluster where neither denies the other, and one lists it."""
        left = list(self.claims)
        found = []
        while left:
            cluster = [left.pop(0)]
            for one in cluster:
                joined = [other for other in left if self._belong_together(one, other)]
                cluster += joined
                left = [other for other in left if other not in joined]
            found.append(Cluster(self, tuple(sorted(cluster, key=lambda claim: claim.name))))
        return found

    def _belong_together(self, one: Claim, other: Claim) -> bool:
        said = [self._lists(*pair) for pair in ((one, other), (other, one))]
        return True in said and False not in said

    def _lists(self, one: Claim, other: Claim) -> bool | None:
        listed = listed_urls(one)
        if listed is None:
            return None
        return bool({place_of(url) for url in other.peer_urls} & {place_of(url) for url in listed} - {None})


def listed_urls(claim: Claim) -> list[str] | None:
    """The peer URLs of its cluster as a process reports them, else as it was given them; None where that is unknown."""
    live = claim.told["live_members"]
    if live is not None:
        return [url for member in live for url in member["peer_urls"]]
    if claim.settings is None or not claim.settings["initial_cluster"]:
        return None
    return [url for urls in claim.settings["initial_cluster"].values() for url in urls.split(",")]


def _readable(pem: str) -> tuple[Certificate, ...]:
    try:
        return certificates_in(pem)
    except RingfenceError:
        return ()


@dataclass(frozen=True)
class Cluster:
    """One cluster of an audit."""

    run: Run
    members: tuple[Claim, ...]

    @cached_property
    def hosts(self) -> frozenset[str]:
        return frozenset(claim.host for claim in self.members)

    @cached_property
    def presented(self) -> dict[str, tuple[Certificate, ...]]:
        """By member, the certificates that its peer port presented to other hosts; to its own where none called."""
        found = {}
        for claim in self.members:
            found[claim.name] = self._served(claim, to_others=True) or self._served(claim, to_others=False)
        return found

    def _served(self, claim: Claim, to_others: bool) -> tuple[Certificate, ...]:
        found: dict[str, Certificate] = {}
        for host, answer in self.run.calls.items():
            for served in answer["served"]:
                if served["to"] == claim.name and (host != claim.host) is to_others:
                    for certificate in _readable(served["pem"])[:1]:
                        found[certificate.fingerprint] = certificate
        return tuple(found.values())

    def unseen_members(self, claim: Claim) -> list[t.Mapping[str, t.Any]] | None:
        """Members that a process lists, and that no host of this run has; None where it does not list them."""
        live = claim.told["live_members"]
        if live is None:
            return None
        here = {place_of(url) for one in self.members for url in one.peer_urls} - {None}
        return [member for member in live if not {place_of(url) for url in member["peer_urls"]} & here]

    @cached_property
    def seen_names(self) -> tuple[str, ...] | None:
        """The common names that the members of this run present; None where one of them is not known."""
        names = []
        for claim in self.members:
            seen = self.presented[claim.name]
            if len(seen) != 1 or not seen[0].common_name:
                return None
            names.append(seen[0].common_name)
        return tuple(dict.fromkeys(names))

    def wanted_names(self, claim: Claim) -> tuple[str, ...] | None:
        """The common names that a process has to let in; None where a member that it lists was not seen.

        A list without that one would lock it out.
        """
        return self.seen_names if self.unseen_members(claim) == [] else None

    @cached_property
    def presented_fingerprints(self) -> frozenset[str]:
        """Of members that present one certificate, whoever asks."""
        return frozenset(seen[0].fingerprint for seen in self.presented.values() if len(seen) == 1)

    @cached_property
    def own_pairs(self) -> dict[tuple[str, str], Claim]:
        """Pairs beside a member's peer pair, on its own host, with its name: by host and fingerprint, whose they are.

        etcdadm's pair for clients is one. By its name no list tells it from the other, and who has it has that, too.
        """
        found = {}
        for (host, fingerprint), (_path, certificate) in self.run.pairs.items():
            for claim in self.members:
                seen = self.presented[claim.name]
                is_its_name = len(seen) == 1 and seen[0].common_name and certificate.common_name == seen[0].common_name
                if claim.host == host and is_its_name and fingerprint != seen[0].fingerprint:
                    found[host, fingerprint] = claim
        return found

    def is_members(self, host: str, fingerprint: str) -> bool:
        """Whether a pair on a host is one with which that host may well call: a member's, on a member's host."""
        return (host, fingerprint) in self.own_pairs or (
            host in self.hosts and fingerprint in self.presented_fingerprints
        )

    def strangers_calls(self, claim: Claim) -> t.Iterator[tuple[Stranger, Call]]:
        """The calls of strangers at a member, from all hosts: those that would be shown a list of names."""
        for host, answer in self.run.calls.items():
            for call in answer["calls"]:
                if call["to"] != claim.name or call["case"] != STRANGER or call["fingerprint"] is None:
                    continue
                path, certificate = self.run.pairs.get((host, call["fingerprint"]), (None, None))
                if not self.is_members(host, call["fingerprint"]):
                    yield Stranger(host, call["fingerprint"], path, certificate), call

    def is_of_its_ca(self, claim: Claim, stranger: Stranger) -> bool:
        """Whether the member trusts the stranger's CA, so that its refusal says something of the list.

        One that was given is refused for its name or not at all: nothing else of it is known.
        """
        return stranger.certificate is None or issued_by(stranger.certificate, claim.peer_authority.certificates)


__all__ = ("Call", "Cluster", "Run", "Stranger", "listed_urls")
