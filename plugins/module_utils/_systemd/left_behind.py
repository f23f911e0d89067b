# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody else's unit says beside etcd's own settings, and a unit of this role in its place would not say. Pure.

Limits of memory, a nice value, a mount that has to be there first, a command before the start: nobody would notice that
they are gone. What only makes the service's room smaller is the role's own matter, and so is how etcd is started.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    parse_unit,
    setting_words,
    unit_environment,
)

_OWN = {
    "Unit": frozenset(("Description", "Documentation", "StartLimitBurst", "StartLimitInterval")),
    "Service": frozenset(
        (
            *("Type", "User", "Group", "ExecStart", "Environment", "EnvironmentFile", "UnsetEnvironment"),
            *("NotifyAccess", "PermissionsStartOnly", "WorkingDirectory", "UMask", "KillMode", "SyslogIdentifier"),
            *("Restart", "RestartSec", "StartLimitBurst", "StartLimitInterval", "StartLimitIntervalSec"),
            *("TimeoutSec", "TimeoutStartSec", "TimeoutStopSec", "StateDirectory", "StateDirectoryMode"),
            *("RuntimeDirectory", "LogsDirectory", "ConfigurationDirectory"),
        )
    ),
    "Install": frozenset(("Alias",)),
}
# Those that take something from a service.
_HARDENING = re.compile(
    r"Protect|Private|Restrict|NoNewPrivileges|CapabilityBoundingSet|SystemCall|LockPersonality|"
    r"MemoryDenyWriteExecute|RemoveIPC|KeyringMode|ReadWritePaths|ReadWriteDirectories|ReadOnlyPaths|InaccessiblePaths"
)
# Settings that are lists of words, and words of them that say nothing here.
_WORDS = {"After", "Wants", "WantedBy"}
# Those that may stand in one line or in several.
_LISTS = {*_WORDS, "Before", "BindsTo", "Conflicts", "PartOf", "RequiredBy", "Requires", "RequiresMountsFor"}
_TARGETS = re.compile(
    r"(basic|local-fs|multi-user|network|network-online|nss-lookup|remote-fs|time-sync|syslog)\.target"
)
_OPEN_FILES = 65536


def left_behind(theirs: str, ours: str, their_files: t.Mapping[str, str]) -> list[str]:
    """Settings of their unit that ours lacks, as they are written; of variables the names alone.

    ``their_files``: the variables in the files that their unit names.
    """
    own = parse_unit(ours)
    found = []
    for section, lines in parse_unit(theirs).items():
        known = {one for key, value in own.get(section, []) for one in ((key, value), *_one_by_one(key, value))}
        for key, value in lines:
            words = _one_by_one(key, value) or [(key, value)]
            if value and not _is_own(section, key, value) and not known.issuperset(words):
                found.append(f"{key}={value}")
    return [*dict.fromkeys(found), *_variables(theirs, ours, their_files)]


def _one_by_one(key: str, value: str) -> list[tuple[str, str]]:
    """A list's words, each as if it stood alone; nothing of another setting."""
    return [(key, word) for word in setting_words(value)] if key in _LISTS else []


def _is_own(section: str, key: str, value: str) -> bool:
    if key in _OWN.get(section, ()) or (section == "Service" and _HARDENING.match(key)):
        return True
    if key in _WORDS:
        return all(_TARGETS.fullmatch(word) or word == "syslog.target" for word in setting_words(value))
    return key == "LimitNOFILE" and value.isdigit() and int(value) <= _OPEN_FILES


def _variables(theirs: str, ours: str, their_files: t.Mapping[str, str]) -> list[str]:
    """Names of variables that etcd's runtime may read (GOGC, a proxy); what the command line takes is in its words.

    Those of etcdctl are for people, who source kubespray's file.
    """
    wanted = unit_environment(ours)
    command = " ".join(value for key, value in parse_unit(theirs).get("Service", []) if key == "ExecStart")
    given = unit_environment(theirs, their_files)
    return sorted(
        f"the variable {name}"
        for name, value in given.items()
        if not name.startswith(("ETCD_", "ETCDCTL_"))
        and wanted.get(name) != value
        and not re.search(rf"\$\{{?{re.escape(name)}\b", command)
    )


def log_outside(flags: t.Mapping[str, str], text: str) -> str | None:
    """A file that etcd would write its log to, where a unit lets it write no file; None where there is none."""
    folders = [
        word.lstrip("-+").rstrip("/")
        for key, value in parse_unit(text).get("Service", [])
        if key == "ReadWritePaths"
        for word in setting_words(value)
    ]
    for flag in ("log-outputs", "log-output"):
        for place in flags.get(flag, "").split(","):
            if place.startswith("/") and not any(place.startswith(f"{folder}/") for folder in folders):
                return place
    return None


def may_pass_all_folders(text: str) -> bool:
    """Whether root, run by this unit, may do with files what root may: the role takes all capabilities away."""
    words = [
        word
        for key, value in parse_unit(text).get("Service", [])
        if key == "CapabilityBoundingSet"
        for word in setting_words(value)
    ]
    return "CAP_DAC_OVERRIDE" in words


__all__ = ("left_behind", "log_outside", "may_pass_all_folders")
