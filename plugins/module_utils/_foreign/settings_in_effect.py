# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of an etcd that somebody else deployed, from its unit, environment files, shell, configuration file.

Pure: files are read by a function that is given. What can't be known for certain is a ``problem`` and never a default:
the data folder that follows from it decides whether a living cluster is replaced.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import (
    ConfigSettings,
    settings_of_config,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_arguments, parse_unit

# etcd's program as it is, or with its version behind its name.
_ETCD_NAME = re.compile(r"etcd(?:[-_]?v?[0-9][0-9.]*)?")
_SHELLS = ("sh", "bash", "dash")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BARE_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SHELL_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
# In front of a shell's command: a variable that is not etcd's, from a command that says nothing about etcd.
_COUNTED = re.compile(r"(?!ETCD_)([A-Za-z_][A-Za-z0-9_]*)=(\$\([A-Za-z0-9_ ./-]*\))\s+")
_SHELL_SYNTAX = re.compile(r"[;&|<>()`*?\[\]{}~#!\n\\]")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:,=@%+-]*")
_EXEC_PREFIXES = "@-:+!|"

# Settings with which a path of the unit is another than the same path of the host.
_OTHER_ROOT = frozenset(
    (
        "BindPaths",
        "BindReadOnlyPaths",
        "ExtensionDirectories",
        "ExtensionImages",
        "MountImages",
        "RootDirectory",
        "RootImage",
        "TemporaryFileSystem",
    )
)


class FileReader(t.Protocol):
    """How a file of the host is read: None where there is none, RingfenceError where it can't be read."""

    def __call__(self, path: str) -> bytes | None:
        """The content of the file at the path."""


@dataclass(frozen=True)
class SettingsInEffect:
    """The settings of an etcd. ``data_dir`` is absolute, and None where ``problem`` says why it is not known."""

    program: str | None = None
    data_dir: str | None = None
    wal_dir: str | None = None
    listen_peer_urls: tuple[str, ...] = ()
    listen_client_urls: tuple[str, ...] = ()
    files: t.Mapping[str, str | None] = field(default_factory=dict)
    problem: str | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where its data is: the data folder, and the folder of its log where that is another."""
        return tuple(path for path in (self.data_dir, self.wal_dir) if path is not None)


class UnknownSettings(Exception):
    """Why something can't be known, in a few words that follow a colon."""


class UnitStart(t.NamedTuple):
    """What a unit starts an etcd with: etcd's own words, and all variables; as written where a shell works them out."""

    argv: list[str]
    variables: dict[str, str]


def settings_of_unit(text: str, unit: str, host: str, read: FileReader) -> SettingsInEffect:
    """What a unit (its drop-ins behind it) would start an etcd with. ``host``: the host's name, for %H."""
    try:
        lines = parse_unit(text).get("Service", [])
        for key, value in lines:
            if key in _OTHER_ROOT and value:
                raise UnknownSettings(f"its unit has {key}=, so that its paths are not the host's")
        start = start_of_unit(text, unit, host, read)
        return _settings_of(start.argv, start.variables, _working_directory(lines, unit, host), read)
    except UnknownSettings as exc:
        return SettingsInEffect(problem=str(exc))


def start_of_unit(
    text: str, unit: str, host: str, read: FileReader, inherited: t.Mapping[str, str] | None = None
) -> UnitStart:
    """The start itself, out of ``env`` and a shell's one plain command; UnknownSettings where it is not known.

    ``inherited``: the variables that systemd gives to every service.
    """
    lines = parse_unit(text).get("Service", [])
    environment = _unit_environment(lines, unit, host, read, inherited or {})
    return UnitStart(*_etcd_command(_unit_words(lines, unit, host, environment), environment))


def settings_of_process(
    argv: t.Sequence[str], environment: t.Mapping[str, str], folder: str | None, read: FileReader
) -> SettingsInEffect:
    """What a running etcd was started with. ``folder``: its working directory."""
    try:
        return _settings_of(argv, environment, folder, read)
    except UnknownSettings as exc:
        return SettingsInEffect(problem=str(exc))


def starts_etcd(text: str) -> bool:
    """Whether a unit's text starts something that is called etcd: a program, itself or by a shell, or a container."""
    commands = [value for key, value in parse_unit(text).get("Service", []) if key == "ExecStart"]
    words = [word for value in commands for word in re.split(r"[\s\"'=:;&|(]+", value.lstrip(_EXEC_PREFIXES))]
    return any(is_etcd(word) for word in words)


def is_etcd(path: str) -> bool:
    """Whether a program is called as etcd is."""
    return _ETCD_NAME.fullmatch(os.path.basename(path)) is not None


def _settings_of(
    argv: t.Sequence[str], environment: t.Mapping[str, str], folder: str | None, read: FileReader
) -> SettingsInEffect:
    if len(argv) > 1 and not argv[1].startswith("-"):
        raise UnknownSettings(f"it runs as etcd {argv[1]}, which is no member")
    deployed = deployed_from_arguments(argv, environment)
    config_file = deployed["flags"].get("config-file")
    if config_file:
        # etcd takes nothing from flags and environment then.
        in_file = config_settings(_below(folder, config_file), read).deployed
        return replace(_settings_from(in_file, folder), program=deployed["program"])
    return _settings_from(deployed, folder)


def _settings_from(deployed: Deployed, folder: str | None) -> SettingsInEffect:
    return SettingsInEffect(
        program=deployed["program"],
        data_dir=_below(folder, deployed["data_dir"]),
        wal_dir=_below(folder, deployed["flags"]["wal-dir"]) if deployed["flags"].get("wal-dir") else None,
        listen_peer_urls=tuple(deployed["listen_peer_urls"]),
        listen_client_urls=tuple(deployed["listen_client_urls"]),
        files={key: _below(folder, path) if path else None for key, path in deployed["files"].items()},
    )


def config_settings(path: str, read: FileReader) -> ConfigSettings:
    """What a configuration file says; UnknownSettings where it is not there, or can't be read for certain."""
    content = _read(path, read)
    if content is None:
        raise UnknownSettings(f"its configuration file {path} does not exist")
    try:
        return settings_of_config(parse_config(content.decode("utf-8")))
    except ValueError as exc:
        raise UnknownSettings(f"its configuration file {path} can't be read for certain ({exc})") from None


def _below(folder: str | None, path: str) -> str:
    if os.path.isabs(path):
        return os.path.normpath(path)
    if folder is None:
        raise UnknownSettings(f"{path} is a relative path, and the folder that it counts from is not known")
    return os.path.normpath(os.path.join(folder, path))


def _read(path: str, read: FileReader) -> bytes | None:
    try:
        return read(path)
    except RingfenceError as exc:
        raise UnknownSettings(str(exc)) from None


# A unit ---------------------------------------------------------------------------------------------------------------


def _unit_environment(
    lines: t.Sequence[tuple[str, str]], unit: str, host: str, read: FileReader, inherited: t.Mapping[str, str]
) -> dict[str, str]:
    """The variables that systemd gives to the unit's program: what files say comes last."""
    own: dict[str, str] = {}
    paths: list[str] = []
    unset: list[str] = []
    for key, value in lines:
        if key == "PassEnvironment" and "ETCD_" in value:
            raise UnknownSettings("its unit has PassEnvironment= for what etcd reads")
        if key == "Environment":
            own = own if value else {}
            words = (word.partition("=") for word in exec_arguments(_protected(value, unit, host)))
            own.update({name: _plain(content) for name, equals, content in words if equals})
        elif key == "EnvironmentFile":
            paths = [*paths, _plain(_protected(value, unit, host))] if value else []
        elif key == "UnsetEnvironment":
            unset = [*unset, *exec_arguments(value)] if value else []
    own = {**inherited, **own}
    for path in paths:
        own.update(_environment_file(path, read))
    for word in unset:
        name, equals, value = word.partition("=")
        if not equals or own.get(name) == value:
            own.pop(name, None)
    return own


def _environment_file(path: str, read: FileReader) -> dict[str, str]:
    optional, path = path.startswith("-"), path.lstrip("-")
    if not os.path.isabs(path) or re.search(r"[*?\[]", path):
        raise UnknownSettings(f"its environment file {path} is a pattern")
    content = _read(path, read)
    if content is None:
        if optional:
            return {}
        raise UnknownSettings(f"its environment file {path} does not exist")
    try:
        return parse_environment(content.decode("utf-8"))
    except ValueError as exc:
        raise UnknownSettings(f"its environment file {path} can't be read for certain ({exc})") from None


def _unit_words(
    lines: t.Sequence[tuple[str, str]], unit: str, host: str, environment: t.Mapping[str, str]
) -> list[str]:
    """The words of its one ExecStart=, as systemd hands them on."""
    commands: list[str] = []
    for key, value in lines:
        if key == "ExecStart":
            commands = [*commands, value] if value else []
    if len(commands) != 1:
        raise UnknownSettings(f"its unit has {len(commands)} lines ExecStart=")
    if re.search(r"(?:^|\s);(?:\s|$)", commands[0]):
        raise UnknownSettings("its unit has two commands in one line ExecStart=")
    words = exec_arguments(_protected(commands[0], unit, host))
    if not words:
        raise UnknownSettings("its unit starts no program")
    program = words[0].lstrip(_EXEC_PREFIXES)
    prefix = words[0][: len(words[0]) - len(program)]
    # Behind "@" comes the name that the program gets as its own.
    words = [program, *words[(2 if "@" in prefix else 1) :]]
    return [_plain(word) for word in (words if ":" in prefix else _substituted(words, environment))]


def _substituted(words: t.Sequence[str], environment: t.Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for word in words:
        bare = _BARE_VARIABLE.fullmatch(word)
        if bare is None:
            found.append(_VARIABLE.sub(lambda match: environment.get(match.group(1), ""), word))
            continue
        # A bare variable is split into words, one in braces is not (systemd.service(5)).
        value = environment.get(bare.group(1), "")
        if re.search(r"[\"'\\]", value):
            raise UnknownSettings(f"${bare.group(1)} has quotes in it")
        found += value.split()
    return found


def _working_directory(lines: t.Sequence[tuple[str, str]], unit: str, host: str) -> str | None:
    value = "/"
    for key, written in lines:
        if key == "WorkingDirectory":
            value = _plain(_protected(written, unit, host)) if written else "/"
    # The home folder is not looked up. With "-" in front it may be missing, and then the root is meant.
    return value if os.path.isabs(value) else None


def _protected(value: str, unit: str, host: str) -> str:
    """Specifiers (systemd.unit(5)) expanded; ``%%`` and ``$$`` as marks that no later step takes for something."""
    name = unit.rsplit(".", 1)[0]
    prefix, _at, instance = name.partition("@")
    known = {
        "%%": "\x02",
        "%n": unit,
        "%N": name,
        "%p": prefix,
        "%H": host,
        "%S": "/var/lib",
        "%C": "/var/cache",
        "%L": "/var/log",
        "%E": "/etc",
        "%t": "/run",
        "%T": "/tmp",
    }
    if "\\" not in instance:
        known["%i"] = instance
        # With slashes for dashes.
        known.update({} if "-" in instance else {"%I": instance})

    def expanded(match: re.Match[str]) -> str:
        if match.group(0) not in known:
            raise UnknownSettings(f"its unit has the specifier {match.group(0)}")
        return known[match.group(0)]

    return re.sub(r"%.?", expanded, value).replace("$$", "\x01")


def _plain(value: str) -> str:
    return value.replace("\x01", "$").replace("\x02", "%")


# What wraps it --------------------------------------------------------------------------------------------------------


def _etcd_command(words: t.Sequence[str], environment: t.Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """etcd's own words and environment, taken out of ``env`` and a shell's one plain command."""
    found, variables = list(words), dict(environment)
    for _layer in range(4):
        if not found:
            raise UnknownSettings("its unit starts no program")
        name = os.path.basename(found[0])
        if is_etcd(name):
            return found, variables
        if name in _SHELLS and len(found) == 3 and found[1] == "-c":
            found, counted = _shell_words(found[2], variables)
            variables.update(counted)
        elif name != "env" and not _ASSIGNMENT.fullmatch(found[0]):
            break
        else:
            found = found[1:] if name == "env" else found
        while found:
            assigned = _ASSIGNMENT.fullmatch(found[0])
            if assigned is None:
                break
            variables[assigned.group(1)] = assigned.group(2)
            found = found[1:]
    raise UnknownSettings(f"its unit starts {words[0]}, which is no etcd that can be looked into")


def _shell_words(command: str, environment: t.Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The words of a shell's command where it is one plain command; what a shell does more than that is unknown.

    And the variables in front of it that a command gives, as they are written.
    """
    for name in environment:
        if name.startswith("BASH_"):
            raise UnknownSettings(f"it is started by a shell, for which {name} is more than a variable")
    text, counted = command.strip(), {}
    while True:
        found = _COUNTED.match(text)
        if found is not None:
            counted[found.group(1)] = found.group(2)
            text = text[found.end() :]
        shorter = re.sub(r"\Aexec\s+", "", text)
        if found is None and shorter == text:
            break
        text = shorter
    if "$" in text and "'" in text:
        raise UnknownSettings("it is started by a shell's command with quotes and variables")

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        found = environment.get(name)
        if found is None or not _PLAIN_VALUE.fullmatch(found):
            raise UnknownSettings(f"it is started by a shell's command with ${name}")
        return found

    text = _SHELL_VARIABLE.sub(value, text)
    if "$" in text or _SHELL_SYNTAX.search(text):
        raise UnknownSettings("it is started by a shell's command that is more than one plain command")
    try:
        return shlex.split(text), counted
    except ValueError:
        raise UnknownSettings("it is started by a shell's command with an open quote") from None


__all__ = (
    "FileReader",
    "SettingsInEffect",
    "UnitStart",
    "UnknownSettings",
    "config_settings",
    "is_etcd",
    "settings_of_process",
    "settings_of_unit",
    "start_of_unit",
    "starts_etcd",
)
