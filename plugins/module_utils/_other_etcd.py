# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An etcd under our unit's name that is not ours: Debian's package starts a one-member etcd when it is installed.

What it was told stands in its unit, in the unit's environment files and, while it runs, in its process.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import socket
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd_api import count_keys_plain
from ansible_collections.ringfence.etcd.plugins.module_utils._files import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._unit import (
    Deployed,
    deployed_from_arguments,
    exec_arguments,
    parse_unit,
)

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_ANSWER_SECONDS = 5.0


def other_etcd(unit_path: str | None, told: Deployed | None, running: bool) -> dict[str, t.Any]:
    """What there would be to lose: its data folder, whether anything is in it, and how many keys it answers with.

    ``key_count`` is None where nobody can say: it does not run but has data, or it does not answer without TLS.
    """
    data_dir = None if told is None else os.path.join("/", told["data_dir"])
    has_data = data_dir is not None and os.path.isdir(os.path.join(data_dir, "member"))
    key_count: int | None = None
    if running and told is not None:
        urls = [url for url in told["listen_client_urls"] if url.startswith("http://")]
        key_count = count_keys_plain(urls[0], _ANSWER_SECONDS) if urls else None
    elif data_dir is not None and not has_data:
        key_count = 0
    return {
        "unit_path": unit_path,
        "running": running,
        "data_dir": data_dir,
        "has_data": has_data,
        "key_count": key_count,
    }


def told_by_unit(text: str, unit: str) -> Deployed | None:
    """What a foreign unit's etcd is told, environment files and variables in ExecStart= included; None without one."""
    environment: dict[str, str] = {}
    files: list[str] = []
    commands: list[str] = []
    for key, value in parse_unit(text).get("Service", []):
        value = _expanded(value, unit)
        if key == "Environment":
            words = (word.partition("=") for word in exec_arguments(value))
            environment.update({name: content for name, equals, content in words if equals})
        elif key == "EnvironmentFile":
            files = [*files, value.lstrip("-")] if value else []
        elif key == "ExecStart":
            commands = [*commands, value] if value else []
    for path in files:
        environment.update(_environment_file(path))
    if not commands:
        return None
    argv: list[str] = []
    for word in exec_arguments(commands[-1]):
        if re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", word):
            # A bare variable is split into words, one in braces is not (systemd.service(5)).
            argv.extend(environment.get(word[1:], "").split())
        else:
            argv.append(_VARIABLE.sub(lambda match: environment.get(match.group(1), ""), word))
    return deployed_from_arguments(argv, environment)


def _expanded(value: str, unit: str) -> str:
    """The specifiers that a package's unit has in its paths; all others stay as they stand."""
    name = unit.rsplit(".", 1)[0]
    known = {"%%": "%%", "%n": unit, "%N": name, "%p": name.split("@")[0], "%H": socket.gethostname()}
    return re.sub(r"%.", lambda match: known.get(match.group(0), match.group(0)), value)


def _environment_file(path: str) -> dict[str, str]:
    try:
        content = read_file(path)
    except FileError:
        return {}
    found: dict[str, str] = {}
    for line in (content or b"").decode("utf-8", "replace").splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            # exec_arguments takes the quotes off; a value of several words stays one.
            found[match.group(1)] = " ".join(exec_arguments(match.group(2).replace("%", "%%").replace("$", "$$")))
    return found


__all__ = ("other_etcd", "told_by_unit")
