# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of allowed common names put into etcd's configuration file as text, and taken out again. Pure.

The file stays as its deployer wrote it, but for one line, which is marked. What was made is read back: it differs in
that key alone, or it is a ValueError.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import Values, parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import PEER_SECTION

KEY = "allowed-cn"
MARK = "# by ringfence.etcd.takeover"
_OURS = re.compile(rf"[ ]+{KEY}: \[[^\[\]]*\] {re.escape(MARK)}\r?")
_HEADER = re.compile(rf"""(?:{PEER_SECTION}|"{PEER_SECTION}"|'{PEER_SECTION}')[ ]*:[ ]*(?:[ ]#.*|\r)?""", re.I)
_UNWRITABLE = re.compile(r"[\"'\\,$`\[\]\x00-\x1f\x7f]")


def with_list(text: str, names: t.Sequence[str]) -> str:
    """The file's text with a list of these names, in the place of one that was put there before."""
    if not names or any(not name or _UNWRITABLE.search(name) for name in names):
        raise ValueError("a name that can't be written there")
    bare = without_list(text)
    section = _section(parse_config(bare))
    if KEY in section:
        raise ValueError(f"it has {PEER_SECTION}.{KEY} of its own")
    lines = bare.split("\n")
    headers = [number for number, line in enumerate(lines) if _HEADER.fullmatch(line)]
    if len(headers) != 1:
        raise ValueError(f"where {PEER_SECTION} begins is not seen")
    below = [line for line in lines[headers[0] + 1 :] if line.strip(" \r") and not line.lstrip(" ").startswith("#")]
    indent = len(below[0]) - len(below[0].lstrip(" ")) if below else 0
    ending = "\r" if lines[headers[0]].endswith("\r") else ""
    quoted = ", ".join(f'"{name}"' for name in names)
    lines.insert(headers[0] + 1, f"{' ' * indent}{KEY}: [{quoted}] {MARK}{ending}")
    made = "\n".join(lines)
    wanted = {**parse_config(bare), PEER_SECTION: {**section, KEY: list(names)}}
    if indent == 0 or parse_config(made) != wanted or without_list(made) != bare:
        raise ValueError("with the list in it, it would not be read as it is now")
    return made


def without_list(text: str) -> str:
    """The file's text without the line that ``with_list`` put there; the same text where there is none."""
    lines = text.split("\n")
    kept = [line for line in lines if not _OURS.fullmatch(line)]
    if len(kept) == len(lines):
        return text
    before, made = parse_config(text), "\n".join(kept)
    section = {key: value for key, value in _section(before).items() if key != KEY}
    if len(lines) - len(kept) != 1 or parse_config(made) != {**before, PEER_SECTION: section}:
        raise ValueError("without the list in it, it would not be read as it is now")
    return made


def _section(values: Values) -> dict[str, t.Any]:
    section = values.get(PEER_SECTION)
    if not isinstance(section, dict):
        raise ValueError(f"it has no {PEER_SECTION}")
    return section


__all__ = ("KEY", "MARK", "with_list", "without_list")
