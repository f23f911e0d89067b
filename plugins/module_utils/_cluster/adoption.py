# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a unit of this role starts a member with the settings that it runs with under somebody else's. Pure.

Two things may differ. The fence: the list of allowed common names, where it is not to stay as it is. And where the
member's own pair and CA are: the role has copies of them in its folder.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import plain_flag
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import harmless, what_it_breaks

Flags = t.Mapping[str, str]

LIST = "peer-cert-allowed-cn"
# etcd reads both while its data folder is empty, and never again.
FIRST_START = ("initial-cluster", "initial-cluster-state")
# What etcd takes where the flag is not given, of those that the role writes in any case (embed/config.go, v3.5.15 to
# v3.7.3). Any other default is the program's own, and stays it.
_DEFAULTS = {
    "advertise-client-urls": "http://localhost:2379",
    "auto-tls": "false",
    "client-cert-auth": "false",
    "initial-cluster-token": "etcd-cluster",
    "listen-client-urls": "http://localhost:2379",
    "listen-peer-urls": "http://localhost:2380",
    "logger": "zap",
    "name": "default",
    "peer-client-cert-auth": "false",
    "tls-min-version": "TLS1.2",
}
_URLS = ("advertise-client-urls", "initial-advertise-peer-urls", "listen-client-urls", "listen-peer-urls")
# By the flag of a peer's file: the client's one, and what the role calls the file in its folder.
_FILES = {
    "peer-cert-file": ("cert-file", "{name}.crt"),
    "peer-key-file": ("key-file", "{name}.key"),
    "peer-trusted-ca-file": ("trusted-ca-file", "ca.crt"),
}


class Difference(t.NamedTuple):
    """A setting of the process, and what it would be; None where it is not set."""

    flag: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"--{self.flag} is {_told(self.before)} and would be {_told(self.after)}"


def _told(value: str | None) -> str:
    return "not set" if value is None else value


def effective(flags: Flags) -> dict[str, str]:
    """The settings by flag in one spelling: what is as etcd has it by default, or counts no more, is left out."""
    found = {}
    for flag, value in flags.items():
        value = plain_flag(flag, value)
        if flag in _URLS:
            value = ",".join(sorted(url.rstrip("/") for url in value.split(",") if url))
        if flag not in FIRST_START and value not in ("", _DEFAULTS.get(flag)) and not harmless(flag, value):
            found[flag] = value
    if "peer-trusted-ca-file" in found:
        # With a CA etcd asks each peer for a certificate, whatever the flag says (TLSInfo.ServerConfig).
        found["peer-client-cert-auth"] = "true"
    return found


def differences(before: Flags, after: Flags, directory: str, keeps_list: bool = False) -> list[Difference]:
    """All settings that differ, but for the list and the places of the member's own files.

    ``before``: what the process runs with. ``after``: what the unit gives. ``directory``: the role's credentials.
    ``keeps_list``: whether the list counts as well.
    """
    old, new = effective(before), effective(after)
    listed, will_be = (set(flags.get(LIST, "").split(",")) for flags in (old, new))
    carried = {*_carried_files(old, new, directory), *(() if keeps_list and listed != will_be else (LIST,))}
    return [
        Difference(flag, old.get(flag), new.get(flag))
        for flag in sorted({*old, *new})
        if flag not in carried and old.get(flag) != new.get(flag)
    ]


def _carried_files(old: Flags, new: Flags, directory: str) -> t.Iterator[str]:
    for flag, (client_flag, file) in _FILES.items():
        own = f"{directory.rstrip('/')}/{file.format(name=new.get('name', 'default'))}"
        if flag not in old or new.get(flag) != own:
            continue
        yield flag
        if old.get(client_flag) == old[flag] and new.get(client_flag) == own:
            # One pair for both ports, before and after.
            yield client_flag


def why_never(difference: Difference) -> str | None:
    """Why no unit of the role has a setting that the process has; None where it may have it."""
    if difference.before is None:
        return None
    return what_it_breaks(difference.flag, difference.before)


def as_lines(flags: Flags) -> str:
    """The settings for a diff, one a line."""
    return "".join(f"--{flag}={value}\n" for flag, value in sorted(effective(flags).items()))


__all__ = ("FIRST_START", "LIST", "Difference", "as_lines", "differences", "effective", "why_never")
