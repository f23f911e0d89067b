# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A state, read with the cluster that is wanted in mind: who is who, who is well, what everybody has to accept. Pure.

What a host shows of itself never widens what another one accepts: names and CAs come from the inventory and the CA, or
are those that all the others accept already.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Desired,
    Host,
    Leaf,
    ListedMember,
    State,
    WantedMember,
    accepts,
    has_https,
    is_of,
    is_to_go,
    quorum_of,
    same_socket,
    url_host,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Quorum
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import natural_key
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import may_be_listed

# What a unit's settings say while it makes a snapshot soon.
SHORT_LOG = "+short-log"

_MOST_TOLD = 3


@dataclass(frozen=True)
class Matched:
    """A member of the list with what belongs to it: as it is wanted, and its host. None where there is none."""

    listed: ListedMember
    wanted: WantedMember | None
    host: Host | None

    @property
    def label(self) -> str:
        """What people call it."""
        if self.wanted is not None:
            return self.wanted.name
        return self.listed.name or ", ".join(self.listed.peer_urls) or self.listed.member_id

    @property
    def process(self) -> Config | None:
        return None if self.host is None else self.host.process

    @property
    def configs(self) -> tuple[Config, ...]:
        """What accepts others in its name: what runs, and what its next start will be, which may come by itself."""
        if self.host is None:
            return ()
        return tuple(config for config in (self.host.process, self.host.disk) if config is not None)

    @property
    def has_its_data(self) -> bool:
        data = None if self.host is None else self.host.data
        return data is not None and data.member_id == self.listed.member_id


class View:
    """The state and the wish, side by side."""

    def __init__(self, desired: Desired, state: State) -> None:
        self.desired = desired
        self.state = state
        self.words = desired.words
        listed = () if state.member_list is None else state.member_list.members
        self.matched = tuple(self._match(one) for one in sorted(listed, key=lambda one: natural_key(one.name)))
        self.voters = tuple(one for one in self.matched if not one.listed.is_learner)
        self.learners = tuple(one for one in self.matched if one.listed.is_learner)
        well = self._well_voters()
        self.well = tuple(one for one in self.voters if one.listed.member_id in well)
        self.unwell = tuple(one for one in self.voters if one.listed.member_id not in well)
        # Whose host is no part of this run, and to whom all that are well have links.
        unseen = tuple(one for one in self.unwell if one.host is None and self._is_linked(one))
        self.voting = (*self.well, *(unseen if self.well else ()))
        by_wanted = {one.wanted.name for one in self.matched if one.wanted is not None}
        self.joining = tuple(wanted for wanted in desired.members if wanted.name not in by_wanted)

    # Who is who

    def _match(self, one: ListedMember) -> Matched:
        wanted = next((member for member in self.desired.members if is_of(one, member)), None)
        if wanted is not None:
            return Matched(one, wanted, self.host(wanted))
        for host in self.state.hosts.values():
            if host.data is not None and host.data.member_id == one.member_id:
                return Matched(one, None, host)
        return Matched(one, None, None)

    def host(self, wanted: WantedMember) -> Host | None:
        return self.state.hosts.get(wanted.host)

    def is_leader(self, one: Matched) -> bool:
        member_list = self.state.member_list
        return member_list is not None and one.listed.member_id == member_list.leader_id

    def leader_last(self, members: t.Iterable[Matched]) -> list[Matched]:
        return sorted(members, key=lambda one: (self.is_leader(one), natural_key(one.label)))

    # What was said

    def is_to_go(self, one: Matched) -> bool:
        """Whether a member is off the inventory, and somebody said that it goes."""
        return one.wanted is None and is_to_go(self.words, one.listed)

    def is_to_start_anew(self, one: Matched) -> bool:
        """Whether a member's data is lost, and somebody said that it leaves and joins again without."""
        return one.wanted is not None and self.is_lost(one) and one.wanted.name in self.words.replace

    def is_lost(self, one: Matched) -> bool:
        """Whether a wanted member that has run has no data on its host any more."""
        return bool(
            one.wanted is not None
            and one.listed.started
            and one.host is not None
            and one.host.reachable
            and one.host.process is None
            and one.host.data is None
        )

    def leaving(self) -> list[Matched]:
        """Members that somebody said are to go: off the inventory, or to come back with new data."""
        return [one for one in self.matched if self.is_to_go(one) or self.is_to_start_anew(one)]

    def coming(self) -> list[WantedMember]:
        """Members that join once the others have left, and those whose join was begun: as far as their hosts are there.

        One that was there when the cluster was formed, and missed its first start, is listed by its name and starts.
        """
        leaving = {one.listed.member_id for one in self.leaving()}
        staying = {one.wanted.name: one for one in self.matched if one.wanted and one.listed.member_id not in leaving}
        return [wanted for wanted in self.desired.members if self._comes(wanted, staying.get(wanted.name))]

    def _comes(self, wanted: WantedMember, one: Matched | None) -> bool:
        host = self.host(wanted)
        if host is None or not host.reachable:
            return False
        if host.data is not None:
            # Begun and not ended: a learner, or one whose name has not come to the others yet.
            return one is not None and one.has_its_data and (one.listed.is_learner or not one.listed.name)
        if host.marked and wanted.name not in self.words.replace:
            return False
        return one is None or not one.listed.name

    def is_one_of_us(self, host: Host) -> bool:
        """Whether a host's data is that of a member which is in the list."""
        return host.data is not None and any(one.listed.member_id == host.data.member_id for one in self.matched)

    # Who is well

    def _well_voters(self) -> set[str]:
        """IDs of the voters that are healthy and have all links among themselves.

        Of two that do not get through to each other, the one that has more such links is out, then the one that can't
        be called.
        """
        running = {
            one.listed.member_id: one.host
            for one in self.voters
            if one.host is not None and one.host.reachable and one.host.process is not None and not one.host.problem
        }
        while True:
            down = {
                number: (
                    sum(
                        number in other.links_down or other_number in host.links_down
                        for other_number, other in running.items()
                        if other_number != number
                    ),
                    sum(number in other.links_down for other in running.values()),
                )
                for number, host in running.items()
            }
            worst = max(down.values(), default=(0, 0))
            if not worst[0]:
                return set(running)
            running.pop(max(number for number, count in down.items() if count == worst))

    def _is_linked(self, one: Matched) -> bool:
        return all(other.host is None or one.listed.member_id not in other.host.links_down for other in self.well)

    def quorum(self, without: Matched | None = None, change: int = 0) -> Quorum:
        """What becomes of the votes while ``without`` is restarted, or where the number of voters changes."""
        well = len(self.well)
        gone = 1 if without is not None and without in self.well else 0
        voters = len(self.voters)
        return Quorum(voters, well, well - gone, voters + change)

    def has_quorum(self) -> bool:
        return len(self.voting) >= quorum_of(len(self.voters))

    def minor_beside(self, host: Host) -> Version | None:
        """A version that runs already, of the minor version that a host is going to start: its own, if there is one."""
        running = [one.host.running for one in self.well if one.host is not None and one.host.running is not None]
        same = [version for version in running if host.program is not None and version[:2] == host.program[:2]]
        return next(iter((*same, *running)), None)

    def cluster_is_behind(self, minor: tuple[int, int]) -> bool:
        """Whether the cluster as a whole has not moved to the version that all its members run, or does not tell."""
        version = self.state.cluster_version
        return version is None or version < minor

    # What everybody has to accept

    def _retained(self, leaf_of: t.Callable[[Leaf], str], in_config: t.Callable[[Config, str], bool]) -> set[str]:
        """What members present now, as far as all the others accept it already."""
        found = set()
        for one in self.matched:
            if one.host is None or one.host.leaf is None:
                continue
            value = leaf_of(one.host.leaf)
            others = [config for other in self.matched if other is not one for config in other.configs]
            own = one.configs
            if all(in_config(config, value) for config in (others or own)):
                found.add(value)
        return found

    def needed_names(self) -> frozenset[str]:
        """Common names of all that are, or will be, members."""
        return self._needed_names

    def needed_authorities(self) -> frozenset[str]:
        """CAs of all certificates that members present, or are going to."""
        return self._needed_authorities

    # Every member is compared with every other for these: once, and not for each that asks.

    @functools.cached_property
    def _needed_names(self) -> frozenset[str]:
        retained = self._retained(
            lambda leaf: leaf.common_name,
            lambda config, name: config.common_names is None or name in config.common_names,
        )
        # One that no list can have stays without a list as long as somebody presents it.
        return frozenset({*filter(may_be_listed, retained), *(member.common_name for member in self.desired.members)})

    @functools.cached_property
    def _needed_authorities(self) -> frozenset[str]:
        retained = self._retained(
            lambda leaf: leaf.issuer, lambda config, authority: not config.peer_tls or authority in config.authorities
        )
        at_hand = self.desired.authorities | self.desired.known_authorities
        return frozenset((retained & at_hand) | self.desired.authorities)

    def revoked(self) -> frozenset[str]:
        """Serial numbers for the CRL: none that a member still presents."""
        wanted_hosts = {member.host for member in self.desired.members}
        gone = {
            host.leaf.serial_number
            for host in self.state.hosts.values()
            if host.leaf is not None
            and host.name not in wanted_hosts
            and not self.is_one_of_us(host)
            and self.is_host_meant(host, self.words.removed)
            and host.leaf.issuer in self.desired.authorities | self.desired.known_authorities
        }
        return (self.desired.revoked | self.words.leaked | gone) - self._presented()

    def _presented(self) -> frozenset[str]:
        hosts = [one.host for one in self.matched] + [self.host(member) for member in self.joining]
        return frozenset(host.leaf.serial_number for host in hosts if host is not None and host.leaf is not None)

    def is_revoked(self, leaf: Leaf) -> bool:
        """Whether its serial number is to be in the CRL, or is in the one of a member, which refuses it for that."""
        in_use = [one.host.crl for one in self.matched if one.host is not None and one.host.crl is not None]
        return any(leaf.serial_number in numbers for numbers in (self.desired.revoked, self.words.leaked, *in_use))

    def _names_of(self, host: Host) -> set[str]:
        """By what a word may name a host that is no member any more."""
        names = {host.name}
        names |= {config.name for config in (host.process, host.disk) if config is not None}
        names |= {member.name for member in self.desired.members if member.host == host.name}
        if host.data is not None and host.data.member_id:
            names.add(host.data.member_id)
        return names

    def is_host_meant(self, host: Host, said: t.Collection[str]) -> bool:
        return _any_means(said, self._names_of(host))

    # Certificates

    def wanted_leaf(self, wanted: WantedMember, one: Matched | None) -> Leaf:
        """The certificate that a member ought to present. While it moves it has the names of both places."""
        names = set(wanted.names)
        if one is not None:
            names |= {url_host(url) for url in one.listed.peer_urls}
            names |= set() if one.host is None else {url_host(url) for url in self._served(one.host)}
        return Leaf(wanted.common_name, frozenset(names), self.desired.issuer, "")

    def leaf_due(self, leaf: Leaf | None, wanted: Leaf) -> str | None:
        """Why a certificate is to be replaced; None where it is as it ought to be."""
        if leaf is None:
            return "it has none"
        if self.is_revoked(leaf):
            return f"serial number {leaf.serial_number} is revoked, or its key has leaked"
        if leaf.common_name != wanted.common_name:
            return f"its common name becomes {wanted.common_name}"
        if leaf.issuer != wanted.issuer:
            return f"the CA becomes {wanted.issuer[:16]}"
        if leaf.names != wanted.names:
            more, less = wanted.names - leaf.names, leaf.names - wanted.names
            told = [f"it gets {', '.join(sorted(more))}"] if more else []
            told += [f"it loses {', '.join(sorted(less))}"] if less else []
            return ", ".join(told)
        return "it ends soon" if leaf.renewal_due else None

    def refusers(self, leaf: Leaf, present: Leaf | None) -> list[str]:
        """Who of the members would refuse a certificate, or can't be seen to accept it.

        ``present``: what the member presents now: one that differs in neither name nor CA is met as before.
        """
        as_before = present is not None and (present.common_name, present.issuer) == (leaf.common_name, leaf.issuer)
        return [one.label for one in self.matched if not self._lets_in(one, leaf, as_before)]

    @staticmethod
    def _lets_in(one: Matched, leaf: Leaf, as_before: bool) -> bool:
        if one.host is None or not one.host.reachable:
            return as_before
        return all(accepts(config, leaf) for config in one.configs)

    # What a start gets

    def wide(self, wanted: WantedMember, host: Host, one: Matched | None) -> Config:
        """All that a host accepts or is going to, and what it has to: nothing is taken away."""
        configs = [config for config in (host.process, host.disk) if config is not None]
        names: set[str] | None = set(self.needed_names())
        for config in configs:
            # With links that are http the names have not counted yet.
            if config.common_names is None and config.peer_tls:
                names = None
            elif names is not None:
                names |= config.common_names or set()
        authorities, clients = set(self.needed_authorities()), set(self.desired.clients)
        clients_at = {wanted.client_url}
        for config in configs:
            authorities |= config.authorities
            clients |= config.client_authorities
            clients_at |= {url for url in config.client_serves if not same_socket(url, wanted.client_url)}
        clashing = clashing_clients(wanted, host)
        if clashing and not self.words.clients_followed:
            clients_at = (clients_at - {wanted.client_url}) | clashing
        return Config(
            name=wanted.name,
            common_names=None if names is None else frozenset(names),
            authorities=frozenset(authorities),
            serves=self.serves(wanted, host, one),
            peer_tls=True,
            has_crl=True,
            client_authorities=frozenset(clients),
            client_serves=frozenset(clients_at),
            client_flags=_client_flags(wanted, configs, clients_at),
            settings=self._settings(wanted, host),
        )

    def wide_without_names_of_nobody(self, wanted: WantedMember, host: Host, one: Matched | None) -> Config:
        """The same as ``wide`` without the names of those who have left, and of those who never came."""
        wide, names = self.wide(wanted, host, one), self.needed_names()
        leaves = [None if other.host is None else other.host.leaf for other in self.matched]
        # Whose name is not known may be anybody's in the list.
        keeps_names = any(leaf is None or leaf.common_name not in names for leaf in leaves)
        keeps_names = keeps_names or any(other.wanted is None for other in self.matched)
        return replace(wide, common_names=wide.common_names if keeps_names else names)

    def _settings(self, wanted: WantedMember, host: Host) -> str:
        """A log that was shortened for an upgrade stays short until that has come."""
        short, target = wanted.settings + SHORT_LOG, self.desired.version
        is_short = host.process is not None and host.process.settings == short
        waits = target is not None and host.running is not None and host.running[:2] != target[:2]
        return short if is_short and waits else wanted.settings

    def serves(self, wanted: WantedMember, host: Host, one: Matched | None) -> frozenset[str]:
        """The peer URLs at which a member answers for the time being, none taken away."""
        served = self._served(host)
        listed = () if one is None else one.listed.peer_urls
        if not served or (host.process is None and served.isdisjoint(listed)):
            # The others call it there, until the list says https.
            clashing = {url for url in listed if same_socket(url, wanted.peer_url)}
            return frozenset(clashing or (wanted.peer_url,))
        clashes = any(same_socket(url, wanted.peer_url) for url in served)
        # It calls from its new address then, too: its certificate has that before.
        if clashes or self.leaf_due(host.leaf, self.wanted_leaf(wanted, one)) is not None:
            return served
        return served | {wanted.peer_url}

    @staticmethod
    def _served(host: Host) -> frozenset[str]:
        """Where it answers; of one that does not run, where it did and still can."""
        config = host.process or host.disk
        if config is None:
            return frozenset()
        has_moved = host.process is None and host.addresses is not None
        return frozenset(url for url in config.serves if not has_moved or url_host(url) in (host.addresses or ()))

    def narrow(self, wanted: WantedMember, host: Host, one: Matched) -> Config:
        """What a host accepts in the end, as far as it was said or harms nobody."""
        wide = self.wide_without_names_of_nobody(wanted, host, one)
        leaves = [None if other.host is None else other.host.leaf for other in self.matched]
        in_use = self.needed_authorities() | {leaf.issuer for leaf in leaves if leaf is not None}
        authorities = wide.authorities - (self.words.retire_ca - in_use)
        clients = wide.client_authorities - (self.words.retire_ca - self.desired.clients)
        serves = frozenset(url for url in wide.serves if url in (*one.listed.peer_urls, wanted.peer_url))
        is_followed = self.words.clients_followed
        return replace(
            wide,
            authorities=authorities,
            client_authorities=clients,
            client_serves=frozenset((wanted.client_url,)) if is_followed else wide.client_serves,
            client_flags=wanted.client_flags if is_followed else wide.client_flags,
            serves=serves or wide.serves,
        )


def _any_means(said: t.Collection[str], names: t.Collection[str]) -> bool:
    return any(one == name or one.startswith(f"{name}.") for one in said for name in names)


def _client_flags(
    wanted: WantedMember, configs: t.Iterable[Config], serves: t.Collection[str]
) -> tuple[tuple[str, str], ...]:
    """The flags for TLS at these client URLs: the wanted ones; those that are there as long as the wanted URL is not
    served, or an https URL stays that is not wanted any more.
    """
    is_served = wanted.client_url in serves
    if is_served and (has_https((wanted.client_url,)) or not has_https(serves)):
        return wanted.client_flags
    present = [config for config in configs if config.has_client_tls or not has_https(serves)]
    return present[0].client_flags if present else wanted.client_flags


def clashing_clients(wanted: WantedMember, host: Host) -> set[str]:
    """Client URLs in use that the wanted one would take the place of: the same port by another scheme."""
    configs = (config for config in (host.process, host.disk) if config is not None)
    return {url for config in configs for url in config.client_serves if same_socket(url, wanted.client_url)}


def lacks(config: Config, wide: Config) -> list[str]:
    """What a process, or its next start, does not accept yet, a few words each."""
    found = []
    if config.common_names is not None:
        more = (
            (wide.common_names or frozenset()) - config.common_names if wide.common_names is not None else frozenset()
        )
        if more:
            found.append(f"the names {_some(more)}")
    for authority in sorted(wide.authorities - config.authorities):
        found.append(f"the CA {authority[:16]}")
    for authority in sorted(wide.client_authorities - config.client_authorities - wide.authorities):
        found.append(f"the CA {authority[:16]} of clients")
    if wide.client_authorities - config.client_authorities and not found:
        found.append("a CA of clients")
    found += [f"clients at {url}" for url in sorted(wide.client_serves - config.client_serves)]
    found += [f"peers at {url}" for url in sorted(wide.serves - config.serves)]
    if not config.peer_tls:
        found.append("TLS of its peers")
    if not config.has_crl:
        found.append("a CRL")
    return found


def _some(names: t.Collection[str]) -> str:
    """Names as part of a line: a few of them, and how many more."""
    told = sorted(names, key=natural_key)
    more = len(told) - _MOST_TOLD
    return ", ".join(told) if more < 2 else f"{', '.join(told[:_MOST_TOLD])} and {more} more"


__all__ = ("SHORT_LOG", "Matched", "View", "clashing_clients", "lacks")
