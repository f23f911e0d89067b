# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ``Config`` and etcd's flags, both ways: what a command line accepts, and the command line that accepts it. Pure.

What is written is read as the same again, or a plan would restart a member for ever. So the two ways are in one file.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Config, url_host
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import (
    FlagSettings,
    allowed_common_names,
    etcd_flags,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.listeners import (
    LOOPBACK,
    Listener,
    companions,
    heard,
    listener_of,
    url_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member, natural_key
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.unit_settings import set_by_variables
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, understands_list

_LISTENERS = ("listen-peer-urls", "listen-client-urls")
# What is told by the other fields of a Config, and what etcd reads at its first start alone.
_NOT_SETTINGS = frozenset(
    (
        *_LISTENERS,
        "advertise-client-urls",
        "initial-advertise-peer-urls",
        "initial-cluster",
        "initial-cluster-state",
        "initial-cluster-token",
        "name",
        "peer-cert-allowed-cn",
        "peer-crl-file",
    )
)
# For TLS at the client URLs, in the order of the unit: etcd ignores them where all of these are http.
_CLIENT_FLAGS = ("cert-file", "key-file", "trusted-ca-file", "client-cert-auth", "client-crl-file")
_PEER_PAIR = ("peer-cert-file", "peer-key-file")


@dataclass(frozen=True)
class Trust:
    """The CAs, by fingerprint, in the bundles that a start reads. ``clients``: None where that is the peers' bundle."""

    peers: frozenset[str] = frozenset()
    clients: frozenset[str] | None = None


@dataclass(frozen=True)
class Place:
    """Where a member is wanted, and by which URLs the others know it now: what its listeners are called by."""

    member: Member
    peer_urls: tuple[str, ...] = ()


# From flags to a Config -----------------------------------------------------------------------------------------------


def config_of(
    settings: t.Mapping[str, t.Any], place: Place, trust: Trust, version: Version | None, crl_is_wanted: bool = False
) -> Config:
    """What an etcd with these settings (a ``Deployed``) accepts, and where it answers.

    ``version``: of the etcd that reads them; None: not known, and then a list lets nobody in for sure.
    ``crl_is_wanted``: where it is not, no member is looked at for the flag.
    """
    flags = settings["flags"]
    return Config(
        name=settings["member_name"],
        common_names=_common_names(flags, settings["allowed_common_names"], version),
        authorities=trust.peers,
        serves=frozenset(peer_listeners(settings, place)),
        peer_tls=all(flags.get(flag) for flag in _PEER_PAIR),
        has_crl=not crl_is_wanted or bool(flags.get("peer-crl-file")),
        client_authorities=trust.peers if trust.clients is None else trust.clients,
        client_serves=frozenset(client_listeners(settings, place)),
        client_flags=client_flags_in(flags),
        settings=settings_digest(flags),
    )


def _common_names(
    flags: t.Mapping[str, str], allowed: t.Sequence[str], version: Version | None
) -> frozenset[str] | None:
    if "peer-cert-allowed-cn" not in flags:
        return None
    if len(allowed) > 1 and version is None:
        return frozenset()
    if version is not None and not understands_list(version):
        # It compares the whole text.
        return frozenset((flags["peer-cert-allowed-cn"],))
    return frozenset(allowed)


def peer_listeners(settings: t.Mapping[str, t.Any], place: Place) -> dict[str, str]:
    """The peer URLs, as the others call them, and the listener that answers at each."""
    own = settings["peer_urls"]
    return heard(settings["listen_peer_urls"], place.member.peer_url, place.member, own, place.peer_urls or own)


def client_listeners(settings: t.Mapping[str, t.Any], place: Place) -> dict[str, str]:
    """The client URLs, as clients call them, and the listener that answers at each; not the loopback beside one."""
    urls, own = settings["listen_client_urls"], settings["client_urls"]
    beside = companions(urls)
    return heard([url for url in urls if url not in beside], place.member.client_url, place.member, own, own)


def settings_digest(flags: t.Mapping[str, str]) -> str:
    """A digest of all that etcd is told beside what a ``Config`` has. Of its listeners: whether one is everywhere."""
    rest = {flag: value for flag, value in flags.items() if flag not in (*_NOT_SETTINGS, *_CLIENT_FLAGS)}
    listeners = [listener_of(url) for name in _LISTENERS for url in _listed(flags.get(name))]
    is_everywhere = any(one is not None and one.is_wildcard for one in listeners)
    return hashlib.sha256(json.dumps([rest, is_everywhere], sort_keys=True).encode()).hexdigest()


def client_flags_in(flags: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Those of the flags that are for TLS at the client URLs."""
    return tuple((flag, flags[flag]) for flag in _CLIENT_FLAGS if flag in flags)


def wanted_flags(
    member: Member,
    members: t.Sequence[Member],
    settings: FlagSettings,
    added: t.Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """What etcd gets from the unit as it is wanted. ``added``: what drop-ins and the like make of it; None: they take
    it.
    """
    given = etcd_flags(member, members, settings)
    flags = {**dict(given), **_by_variables(settings, given)}
    flags["tls-min-version"] = settings.min_tls_version
    changed = {**flags, **(added or {})}
    return {flag: value for flag, value in changed.items() if value is not None}


def _by_variables(settings: FlagSettings, given: t.Iterable[tuple[str, str]]) -> dict[str, str]:
    return set_by_variables(settings.unit_settings, dict(given))


# From a Config to flags -----------------------------------------------------------------------------------------------


def flags_with(
    config: Config,
    member: Member,
    members: t.Sequence[Member],
    settings: FlagSettings,
    present: t.Mapping[str, t.Any] | None = None,
) -> list[tuple[str, str]]:
    """The flags of the unit as it is wanted, but for what a ``Config`` says otherwise, as ``etcd_flags`` gives them.

    ``present``: the settings of what runs, else of the unit that is there: a name that only it answers to stays with
    its listener.
    """
    peers = {} if present is None else peer_listeners(present, Place(member))
    clients = {} if present is None else client_listeners(present, Place(member))
    listeners = [_listening(url, member.client_url, member, clients) for url in _first(config.client_serves, member)]
    has_loopback = settings.listen_loopback and _beside(_listening(member.client_url, member.client_url, member, {}))
    loopbacks = [_beside(url) for url in dict.fromkeys(listeners)] if has_loopback else []
    said: dict[str, str | None] = {
        "name": config.name,
        "peer-cert-allowed-cn": None if config.common_names is None else _in_order(config.common_names, members),
        # Read at the first start alone, and then by this collection: what it is called by beside its addresses.
        "initial-advertise-peer-urls": _joined(_first(config.serves, member)),
        "listen-peer-urls": _joined(
            _listening(url, member.peer_url, member, peers) for url in _first(config.serves, member)
        ),
        "advertise-client-urls": _joined(_first(config.client_serves, member)),
        "listen-client-urls": _joined([*listeners, *(url for url in loopbacks if url is not None)]),
    }
    wanted, clients = etcd_flags(member, members, settings), dict(config.client_flags)
    # What the unit's own variables say etcd gets from there, and ends where a flag says it as well.
    more = [pair for pair in config.client_flags if pair[0] not in {**dict(wanted), **_by_variables(settings, wanted)}]
    made: list[tuple[str, str | None]] = []
    for flag, value in wanted:
        made.append((flag, clients.get(flag) if flag in _CLIENT_FLAGS else said.get(flag, value)))
        made += more if flag == "listen-client-urls" else []
    return [(flag, value) for flag, value in made if value is not None]


def _in_order(names: t.Collection[str], members: t.Sequence[Member]) -> str:
    """As the unit has them in the end, those that are no member's last, so that the text is the same then."""
    wanted = [name for name in allowed_common_names(members) if name in names]
    return ",".join([*wanted, *sorted(set(names) - set(wanted), key=natural_key)])


def _first(urls: t.Collection[str], member: Member) -> list[str]:
    return sorted(urls, key=lambda url: (url not in (member.peer_url, member.client_url), natural_key(url)))


def _listening(url: str, wanted: str, member: Member, present: t.Mapping[str, str]) -> str:
    """The listener for a URL, as others call it."""
    called = listener_of(url)
    if called is None:
        return url
    place = Listener(called.scheme, member.listen_address, called.port)
    if url == wanted or place.is_wildcard:
        return place.url
    found = listener_of(present[url]) if url in present else None
    if found is not None and not found.is_wildcard:
        return found.url
    is_own = called.address is not None and member.listen_address == url_host(wanted)
    return called.url if is_own else place.url


def _beside(url: str) -> str | None:
    """The loopback beside a listener; None where it has that already."""
    found = listener_of(url)
    if found is None or found.address is None or found.is_wildcard or found.address.is_loopback:
        return None
    return url_of(found.scheme, LOOPBACK[found.address.version != 4], found.port)


def _joined(urls: t.Iterable[str]) -> str:
    return ",".join(dict.fromkeys(urls))


def _listed(value: str | None) -> list[str]:
    return [entry for entry in (value or "").split(",") if entry]


__all__ = (
    "Place",
    "Trust",
    "client_flags_in",
    "client_listeners",
    "config_of",
    "flags_with",
    "peer_listeners",
    "settings_digest",
    "wanted_flags",
)
