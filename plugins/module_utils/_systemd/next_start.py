# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What etcd gets at the unit's next start: from its text, drop-ins, environment files and systemd's own variables.

A process that was started with something else keeps it until its next start, whatever the unit's configuration hash
says: a drop-in that is gone since, one that systemd has not read yet, a variable of systemctl set-environment.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    SET_TWICE,
    Deployed,
    deployed_from_text,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import (
    OWN_FLAGS,
    REVOCATION_LISTS,
    harmless,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import list_names, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    environment_files,
    exec_command,
    parse_unit,
    unit_environment,
)

# Where systemd looks for units of the system, the first one wins (systemd.unit(5)).
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
# What systemd replaces by something that is not in the text. %% stands for itself.
_SPECIFIER = re.compile(r"%[^%]")


@dataclass(frozen=True)
class NextStart:
    """The command and the ETCD_* variables, as far as they have a value: etcd skips those without."""

    argv: tuple[str, ...]
    environment: t.Mapping[str, str]

    def is_in_effect(self, argv: t.Sequence[str], environment: t.Mapping[str, str]) -> bool:
        """Whether a process has just these arguments and variables; one behind a script may have more, and so it is."""
        if tuple(argv[:1]) != self.argv[:1]:
            return True
        return tuple(argv) == self.argv and of_etcd(environment) == self.environment


def of_etcd(environment: t.Mapping[str, str]) -> dict[str, str]:
    """The ETCD_* variables that have a value."""
    return {name: value for name, value in environment.items() if name.startswith("ETCD_") and value}


def settings_at_start(
    text: str, from_files: t.Mapping[str, str] | None = None, inherited: t.Mapping[str, str] | None = None
) -> NextStart | None:
    """Pure: what etcd gets from a text with its drop-ins; None where the text does not show it.

    ``inherited``: the variables that systemd gives to every service.
    """
    values = [
        value
        for key, value in parse_unit(text).get("Service", [])
        if key in ("ExecStart", "Environment", "UnsetEnvironment")
    ]
    if any(_SPECIFIER.search(value.replace("%%", "")) for value in values):
        return None
    environment = unit_environment(text, from_files, inherited)
    command = exec_command(text, environment)
    return NextStart(tuple(command), of_etcd(environment)) if command else None


def next_start(
    text: str, unit: str, drop_ins: t.Sequence[str], inherited: t.Mapping[str, str] | None = None
) -> NextStart | None:
    """What etcd gets at the unit's next start, with drop-ins and environment files as they are now; None: not known."""
    try:
        whole = "\n".join((text, text_of(drop_ins)))
        return settings_at_start(whole, from_environment_files(whole, unit), inherited)
    except RingfenceError:
        return None


def overrides(
    planned: str, unit: str, drop_ins: t.Sequence[str], inherited: t.Mapping[str, str] | None = None
) -> list[str]:
    """What would make another member of a planned unit, or keep it from starting, in a line each; empty where nothing.

    That is a flag that the fence or the role's own calls stand on, and one that etcd would be given twice.
    """
    try:
        whole = "\n".join((planned, text_of(drop_ins)))
        found = deployed_from_text(whole, from_environment_files(whole, unit), inherited)
    except RingfenceError as exc:
        return [f"{exc} (named by {', '.join(drop_ins) or unit})"]
    meant = deployed_from_text(planned)
    if found is None or meant is None:
        return [f"{', '.join(drop_ins) or unit} leaves the unit without ExecStart="]
    return list(_overridden(meant["flags"], found, drop_ins, inherited or {}))


def _overridden(
    meant: t.Mapping[str, str], found: Deployed, drop_ins: t.Sequence[str], inherited: t.Mapping[str, str]
) -> t.Iterator[str]:
    def source(flag: str) -> str:
        variable = f"ETCD_{flag.upper().replace('-', '_')}"
        if variable in inherited:
            return f"systemd's own environment (systemctl unset-environment {variable})"
        return ", ".join(drop_ins) or "an environment file of the unit"

    for warning in found["warnings"]:
        if warning["code"] == SET_TWICE:
            variable = warning["text"].split()[0]
            yield f"{warning['text']} ({source(variable[len('ETCD_') :].lower().replace('_', '-'))})"
    for flag in sorted(OWN_FLAGS):
        if found["flags"].get(flag) == meant.get(flag) or harmless(flag, found["flags"].get(flag)):
            continue
        if flag in REVOCATION_LISTS and flag not in meant:
            continue
        now = f"gives etcd --{flag}={found['flags'][flag]}" if flag in found["flags"] else f"takes --{flag} from etcd"
        yield f"{source(flag)} {now}"


def text_of(paths: t.Sequence[str]) -> str:
    """The texts of a unit's files one after the other; one that is gone says nothing."""
    contents = (read_file(path) for path in paths)
    return "\n".join(content.decode("utf-8", "replace") for content in contents if content is not None)


def drop_in_paths(unit: str, properties: t.Mapping[str, str], folders: t.Sequence[str] = UNIT_FOLDERS) -> list[str]:
    """The drop-ins of the next start: those that systemd has read, as far as they are still there, and new ones."""
    found = {os.path.basename(path): path for path in properties.get("DropInPaths", "").split()}
    for folder in reversed([os.path.join(one, f"{unit}.d") for one in folders]):
        try:
            names = list_names(folder) or ()
        except RingfenceError:
            continue
        found.update({name: os.path.join(folder, name) for name in names if name.endswith(".conf")})
    return [found[name] for name in sorted(found) if os.path.lexists(found[name])]


def from_environment_files(text: str, unit: str, planned: t.Mapping[str, bytes] | None = None) -> dict[str, str]:
    """The variables that a unit's environment files hold; FileError where one of them can't be read.

    ``planned``: what files will hold that are going to be written.
    """
    variables: dict[str, str] = {}
    for path, may_be_missing in environment_files(text, unit):
        content = planned[path] if planned and path in planned else read_file(path)
        if content is None and not may_be_missing:
            raise FileError(f"{path}, an environment file of the unit, does not exist: it can't be started", path=path)
        try:
            variables.update(parse_environment((content or b"").decode("utf-8", "replace")))
        except ValueError as exc:
            raise FileError(f"{path}, an environment file of the unit, can't be understood: {exc}", path=path) from exc
    return variables


__all__ = (
    "UNIT_FOLDERS",
    "NextStart",
    "drop_in_paths",
    "from_environment_files",
    "next_start",
    "of_etcd",
    "overrides",
    "settings_at_start",
    "text_of",
)
