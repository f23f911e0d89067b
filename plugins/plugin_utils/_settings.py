# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's settings from the user's variables: which there are, their types, and the members of the cluster.

What they may be stands in one place, the role's ``meta/argument_specs.yml``.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import difflib
import json
import pathlib
import typing as t

from ansible.module_utils.common import validation
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import SECTIONS
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import WITHOUT

# Of all variables of the role.
PREFIX = "etcd_peer_tls_"
# These never stand in a result, a message or a log.
SECRETS = (
    "api_password",
    "ca_passphrase",
    "ca_private_key",
    "client_ca_passphrase",
    "probe_client_private_key",
    "stranger_private_key",
)

# Words of one run. Each takes something away, or puts a living cluster at risk: in the inventory it would be said
# again by every run that a schedule starts.
WORDS_OF_A_RUN = (
    "force_restart",
    "keys_leaked",
    "new_ca",
    "new_keys",
    "overrule_distribution_etcd",
    "removed",
    "replaced",
    "restore",
    "restore_over_running",
    "retire_ca",
    "revoked",
    "upgrade",
)

_SPECS_PATH = pathlib.Path(__file__).parents[2] / "roles" / "etcd_peer_tls" / "meta" / "argument_specs.yml"
_TYPE_NAMES = {
    "bool": "true or false",
    "dict": "a dictionary",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "str": "a text",
}

# What Ansible's own check would not take in every form that a user gives it: the keys of dictionaries that have
# dictionaries in them, and the choices of a list.
_DICTIONARIES: dict[str, tuple[str, ...]] = {"extra_flags": (), "extra_unit_settings": SECTIONS}
_CHOICES_OF_ITEMS: dict[str, tuple[str, ...]] = {
    "report_artifacts": ("table", "proof", "page"),
    "verify_without": WITHOUT,
}

# The names with our prefix that are no options of the role: what it registers.
_NAMES_BESIDE = ("etcd_peer_tls_proof", "etcd_peer_tls_snapshot")

DEFAULT_GROUP = "etcd"
_ALL_HOSTS = ("all", "ungrouped")

Option = t.Mapping[str, t.Any]


def _read_options() -> dict[str, dict[str, Option]]:
    specs = yaml_load(_SPECS_PATH.read_text(encoding="utf-8"))["argument_specs"]
    return {
        entry_point: {name[len(PREFIX) :]: option for name, option in spec["options"].items()}
        for entry_point, spec in specs.items()
    }


# Once, when Ansible imports the action, before it starts a process for each host and task.
OPTIONS_OF = _read_options()
OPTIONS: dict[str, Option] = {name: option for options in OPTIONS_OF.values() for name, option in options.items()}
_KNOWN_NAMES = frozenset(PREFIX + name for name in OPTIONS) | frozenset(_NAMES_BESIDE)


def check_names(names: t.Iterable[str]) -> None:
    """InputError where one of a host's variables has our prefix and is none of ours, with the nearest name of ours.

    Most are mistyped: what was meant would not be done, and nobody would notice.
    """
    unknown = sorted({str(name) for name in names if name.startswith(PREFIX)} - _KNOWN_NAMES)
    if unknown:
        raise InputError(" ".join(map(_unknown_name, unknown)))


def _unknown_name(name: str) -> str:
    # Without the prefix, which would make any two of them alike.
    known = sorted(one[len(PREFIX) :] for one in _KNOWN_NAMES)
    near = difflib.get_close_matches(name[len(PREFIX) :], known, n=1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else f"give it a name that does not begin with {PREFIX}."
    return f"{name[:100]} is no variable of this role: {hint}"


def group_of_play(pattern: t.Iterable[str], groups: t.Mapping[str, t.Sequence[str]], host: str) -> str:
    """The group of a host's cluster where none was named: the one group of the play's hosts that the host is in.

    ``pattern``: what the play says in ``hosts``, in its parts. Two of them, or a pattern of another kind, name none:
    then it is the group ``etcd``.
    """
    named = {part for part in pattern if part not in _ALL_HOSTS and host in groups.get(part, ())}
    return named.pop() if len(named) == 1 else DEFAULT_GROUP


def is_blank(value: t.Any) -> bool:
    """Whether a value is blank, as an optional answer of a survey that was left empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def converted(name: str, value: t.Any) -> t.Any:
    """A setting in the type that it is documented with; InputError with one line, which has no secret in it.

    ``name``: without the prefix. ``value``: built-in types only. Texts are taken as a survey, a command line or a vault
    gives them: ``true``, ``30``, ``{"Service": {…}}``, ``a,b`` or one item a line.
    """
    option = OPTIONS[name]
    result = _typed(name, "dict" if name in _DICTIONARIES else option.get("type", "str"), value)
    if option.get("elements", "raw") != "raw":
        result = [_typed(name, option["elements"], item, "an item of it") for item in result]
    items = result if isinstance(result, list) else [result]
    choices = _CHOICES_OF_ITEMS.get(name) or option.get("choices") or ()
    strange = [item for item in items if choices and item not in choices]
    if strange:
        # Empty and null are among the choices, and stand for the default.
        raise InputError(f"{PREFIX}{name} is {strange[0]!r}: {', '.join(filter(None, choices))} can be chosen")
    for key in _DICTIONARIES.get(name, ()):
        if result.get(key) is not None:
            result[key] = _typed(name, "dict", result[key], f"{key} of it")
    return result


def _typed(name: str, kind: str, value: t.Any, what: str = "") -> t.Any:
    try:
        return _CONVERTERS[kind](value)
    except (TypeError, ValueError, OverflowError):
        found = f"a {type(value).__name__}" if name in SECRETS else f"{value!r}"[:200]
        where = f"{what} is {found}" if what else f"it is {found}"
        raise InputError(f"{PREFIX}{name}: {where}: {_TYPE_NAMES[kind]} is wanted") from None


def _text(value: t.Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError
    return str(value)


def _whole_number(value: t.Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    number: int = validation.check_type_int(value)
    return number


def _number(value: t.Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number: float = validation.check_type_float(value)
    return number


def _list(value: t.Any) -> list[t.Any]:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            value = json.loads(text)
        else:
            value = [item.strip() for line in text.splitlines() for item in line.split(",") if item.strip()]
    if isinstance(value, (str, int, float)):
        return [value]
    if not isinstance(value, list):
        raise TypeError
    return value


def _dictionary(value: t.Any) -> dict[str, t.Any]:
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise TypeError
    return dict(value)


_CONVERTERS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "bool": validation.check_type_bool,
    "dict": _dictionary,
    "float": _number,
    "int": _whole_number,
    "list": _list,
    "path": _text,
    "raw": lambda value: value,
    "str": _text,
}

__all__ = (
    "DEFAULT_GROUP",
    "OPTIONS",
    "OPTIONS_OF",
    "PREFIX",
    "SECRETS",
    "WORDS_OF_A_RUN",
    "check_names",
    "converted",
    "group_of_play",
    "is_blank",
)
