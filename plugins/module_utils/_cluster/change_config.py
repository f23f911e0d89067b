# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ``Config`` and etcd's flags, both ways: what a command line accepts, and the command line that accepts it. Pure.

What is written is read as the same again, or a plan would restart a member for ever. So the two ways are in one file.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Config, url_host
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import (
    FlagSettings,
    allowed_common_names,
    etcd_flags,
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
_PEER_PAIR = ("peer-cert-file", "peer-key-file")
_URL = re.compile(r"(https?)://(\[[^\]]+\]|[^/:\[\]]+):([0-9]{1,5})/?")

_Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]


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


class _Listener(t.NamedTuple):
    scheme: str
    host: str
    port: str

    @property
    def address(self) -> _Address:
        return _address(self.host)

    @property
    def is_wildcard(self) -> bool:
        return self.address is not None and self.address.is_unspecified

    @property
    def url(self) -> str:
        return _url(self.scheme, self.host, self.port)


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
    known = place.peer_urls or tuple(settings["peer_urls"])
    return _heard(settings["listen_peer_urls"], place.member.peer_url, place.member.listen_address, known)


def client_listeners(settings: t.Mapping[str, t.Any], place: Place) -> dict[str, str]:
    """The client URLs, as clients call them, and the listener that answers at each; not the loopback beside one."""
    urls = [url for url in settings["listen_client_urls"] if url not in _companions(settings["listen_client_urls"])]
    return _heard(urls, place.member.client_url, place.member.listen_address, settings["client_urls"])


def settings_digest(flags: t.Mapping[str, str]) -> str:
    """A digest of all that etcd is told beside what a ``Config`` has."""
    rest = {flag: value for flag, value in flags.items() if flag not in _NOT_SETTINGS}
    listeners = [_listener(url) for name in _LISTENERS for url in _listed(flags.get(name))]
    shape = (
        any(one is not None and one.is_wildcard for one in listeners),
        bool(_companions(_listed(flags.get("listen-client-urls")))),
    )
    return hashlib.sha256(json.dumps([rest, shape], sort_keys=True).encode()).hexdigest()


def wanted_settings(
    member: Member,
    members: t.Sequence[Member],
    settings: FlagSettings,
    added: t.Mapping[str, str] | None = None,
) -> str:
    """The same of the unit as it is wanted. ``added``: what drop-ins and the like give etcd beside the unit."""
    flags = dict(etcd_flags(member, members, settings))
    flags.update(set_by_variables(settings.unit_settings, flags))
    flags["tls-min-version"] = settings.min_tls_version
    return settings_digest({**flags, **(added or {})})


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
    loopbacks = [_beside(url, member) for url in dict.fromkeys(listeners)] if settings.listen_loopback else []
    said: dict[str, str | None] = {
        "name": config.name,
        "peer-cert-allowed-cn": None if config.common_names is None else _in_order(config.common_names, members),
        "listen-peer-urls": _joined(
            _listening(url, member.peer_url, member, peers) for url in _first(config.serves, member)
        ),
        "advertise-client-urls": _joined(_first(config.client_serves, member)),
        "listen-client-urls": _joined([*listeners, *(url for url in loopbacks if url is not None)]),
    }
    made = [(flag, said.get(flag, value)) for flag, value in etcd_flags(member, members, settings)]
    return [(flag, value) for flag, value in made if value is not None]


def _in_order(names: t.Collection[str], members: t.Sequence[Member]) -> str:
    """As the unit has them in the end, those that are no member's last, so that the text is the same then."""
    wanted = [name for name in allowed_common_names(members) if name in names]
    return ",".join([*wanted, *sorted(set(names) - set(wanted), key=natural_key)])


def _first(urls: t.Collection[str], member: Member) -> list[str]:
    return sorted(urls, key=lambda url: (url not in (member.peer_url, member.client_url), natural_key(url)))


def _listening(url: str, wanted: str, member: Member, present: t.Mapping[str, str]) -> str:
    """The listener for a URL, as others call it."""
    called = _listener(url)
    if called is None:
        return url
    wildcard = _is_wildcard(member.listen_address)
    if url == wanted or wildcard:
        return _url(called.scheme, member.listen_address, called.port)
    found = _listener(present[url]) if url in present else None
    if found is not None and not found.is_wildcard:
        return found.url
    is_own = called.address is not None and member.listen_address == url_host(wanted)
    return _url(called.scheme, called.host if is_own else member.listen_address, called.port)


def _beside(url: str, member: Member) -> str | None:
    """The loopback beside a listener; None where it has that already."""
    found = _listener(url)
    if found is None or found.address is None or found.is_wildcard or found.address.is_loopback:
        return None
    return _url(found.scheme, "127.0.0.1" if found.address.version == 4 else "::1", found.port)


def _joined(urls: t.Iterable[str]) -> str:
    return ",".join(dict.fromkeys(urls))


# Listeners ------------------------------------------------------------------------------------------------------------


def _heard(urls: t.Sequence[str], wanted: str, listen_address: str, known: t.Iterable[str]) -> dict[str, str]:
    """By URL as others call it, the listener that answers there; one that nobody is known to call, by itself."""
    listeners = {url: found for url in urls for found in [_listener(url)] if found is not None}
    hosts = {one.host for one in listeners.values()}
    # Behind an address that is not the host's own.
    is_behind = listen_address != url_host(wanted)
    found: dict[str, str] = {}
    for call in dict.fromkeys((wanted, *known)):
        called = _listener(call)
        for url, one in listeners.items():
            if called is None or (one.scheme, one.port) != (called.scheme, called.port):
                continue
            # By a name, or by an address of somebody before it, whoever has the port is meant.
            is_elsewhere = called.host not in hosts and (called.address is None or is_behind)
            by_port = call != wanted and is_elsewhere
            if one.is_wildcard or one.host == called.host or by_port or (call == wanted and one.host == listen_address):
                found.setdefault(_plain(call), url)
    heard = set(found.values())
    for url, one in listeners.items():
        if url not in heard:
            found.setdefault(one.url if not one.is_wildcard else _url(one.scheme, url_host(wanted), one.port), url)
    # What can't be read is told as it stands: it is no URL that is wanted.
    found.update({url: url for url in urls if url not in listeners})
    return found


def _companions(urls: t.Sequence[str]) -> set[str]:
    """The loopback listeners that stand beside one at the same port."""
    found = {url: one for url in urls for one in [_listener(url)] if one is not None and one.address is not None}
    outside = {(one.scheme, one.port) for one in found.values() if one.address and not one.address.is_loopback}
    return {
        url
        for url, one in found.items()
        if one.address and one.address.is_loopback and (one.scheme, one.port) in outside
    }


def _listener(url: str) -> _Listener | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host = match[2].strip("[]")
    address = _address(host)
    return _Listener(match[1], host.lower() if address is None else str(address), match[3])


def _plain(url: str) -> str:
    found = _listener(url)
    return url if found is None else found.url


def _address(host: str) -> _Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_wildcard(address: str) -> bool:
    found = _address(address)
    return found is not None and found.is_unspecified


def _url(scheme: str, host: str, port: str) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _listed(value: str | None) -> list[str]:
    return [entry for entry in (value or "").split(",") if entry]


__all__ = (
    "Place",
    "Trust",
    "client_listeners",
    "config_of",
    "flags_with",
    "peer_listeners",
    "settings_digest",
    "wanted_settings",
)
