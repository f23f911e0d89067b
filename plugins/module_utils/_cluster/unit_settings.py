# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user adds to the unit, as far as etcd gets it: only what can be seen, and nothing twice. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import HASH_VARIABLE, setting_words

UNIT_SETTINGS = "etcd_peer_tls_extra_unit_settings"
_TLS_VARIABLE = "ETCD_TLS_MIN_VERSION"

# Settings of [Service] that are the role's, and what is to be used in their place.
_OWN_KEYS = {
    "BusName": "the role's unit is of Type=notify, by which it knows that a member has joined",
    "DynamicUser": "use etcd_peer_tls_owner: the files are that user's",
    "EnvironmentFile": "what a file says is not seen here, and may change later: give variables by Environment=",
    "ExecStart": "there is one command, the role's: use etcd_peer_tls_extra_flags for flags",
    "Group": "use etcd_peer_tls_owner_group",
    "Type": "the role's unit is of Type=notify, by which it knows that a member has joined",
    "User": "use etcd_peer_tls_owner",
}


def variable_of(flag: str) -> str:
    """The variable by which etcd takes a flag."""
    return f"ETCD_{flag.upper().replace('-', '_')}"


def set_by_variables(settings: t.Mapping[str, t.Any], flags: t.Container[str]) -> dict[str, str]:
    """Flag → value of the ETCD_* variables in a user's settings; InputError for what the role does not let pass.

    ``flags``: what etcd is given by flag; the same by a variable is fatal to it.
    """
    service = settings.get("Service") or {}
    if not isinstance(service, t.Mapping):
        raise InputError(f"{UNIT_SETTINGS}: Service is {service!r}: settings with their values are wanted")
    for key in service:
        if str(key).strip() in _OWN_KEYS:
            raise InputError(f"{UNIT_SETTINGS}: {str(key).strip()}= is refused: {_OWN_KEYS[str(key).strip()]}")
    found: dict[str, str] = {}
    for value in _values(service.get("Environment")):
        if not value.strip():
            raise InputError(f"{UNIT_SETTINGS}: an empty Environment= is refused: it would take the role's variables")
        for word in setting_words(value):
            name, equals, content = word.partition("=")
            if equals:
                found.update(_checked(name, content, flags))
    for key in ("UnsetEnvironment", "PassEnvironment"):
        for value in _values(service.get(key)):
            _check_names(key, value)
    return found


def _values(value: t.Any) -> list[str]:
    """One value or several, as the template writes them."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [one for item in value for one in _values(item)]
    return [str(value)]


def _checked(name: str, value: str, flags: t.Container[str]) -> dict[str, str]:
    flag = name[len("ETCD_") :].lower().replace("_", "-")
    if name == HASH_VARIABLE:
        raise InputError(f"{UNIT_SETTINGS}: Environment={name} is refused: it is the role's own mark")
    if name == _TLS_VARIABLE:
        raise InputError(f"{UNIT_SETTINGS}: Environment={name} is refused: use etcd_peer_tls_min_version")
    if not name.startswith("ETCD_") or not value:
        # etcd skips what is empty.
        return {}
    if flag in flags:
        raise InputError(
            f"{UNIT_SETTINGS}: Environment={name} is refused: etcd ends at once where it is given --{flag} as well, "
            "and it is: leave the variable out"
        )
    return {flag: value}


def _check_names(key: str, value: str) -> None:
    words = [word.partition("=")[0] for word in setting_words(value)]
    if key == "UnsetEnvironment" and not words:
        raise InputError(
            f"{UNIT_SETTINGS}: an empty {key}= is refused: a configuration file or a proxy that is named in systemd's "
            "own environment would come in"
        )
    own = [
        word
        for word in words
        if word in (HASH_VARIABLE, _TLS_VARIABLE) or (key == "PassEnvironment" and word.startswith("ETCD_"))
    ]
    if own:
        what = "the unit needs it" if key == "UnsetEnvironment" else "what systemd has there is not seen here"
        raise InputError(f"{UNIT_SETTINGS}: {key}={own[0]} is refused: {what}: leave it out")


__all__ = ("UNIT_SETTINGS", "set_by_variables", "variable_of")
