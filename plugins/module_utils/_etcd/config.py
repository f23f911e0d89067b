# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: etcd's configuration file in YAML (--config-file), as far as it can be understood without a library.

A node has no YAML library, and needs none: etcd's file is a mapping of a few names. What is read here is the small part
of YAML that such files are written in. Everything else is a ValueError, never a guess: callers take it for unknown.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

# A value is a text, None where the file has the name without a value, or the names below it.
Values = dict[str, t.Union[str, dict[str, t.Optional[str]], None]]

_KEY = re.compile(
    r"""(?:([A-Za-z0-9_][A-Za-z0-9_-]*)|"([A-Za-z0-9_-]+)"|'([A-Za-z0-9_-]+)')[ ]*:(?:[ ]+(.*))?""", re.DOTALL
)
_SINGLE_QUOTED = re.compile(r"'((?:[^']|'')*)'[ ]*(?:[ ]#.*)?")
_DOUBLE_QUOTED = re.compile(r'"([^"\\]*)"[ ]*(?:[ ]#.*)?')
_FLOW_ON_ONE_LINE = re.compile(r"""(?:\[[^\[\]{}#'"&*!|>%@`]*\]|\[[ ]*(?:"[^"\\]*"[ ]*,?[ ]*)*\])[ ]*(?:[ ]#.*)?""")
_FLOW_BEGINS = re.compile(r"\[[A-Za-z0-9_, -]*")
_FLOW_GOES_ON = re.compile(r"[ ]*[A-Za-z0-9_, -]*(\]?)[ ]*")
_NULLS = ("", "~", "null", "Null", "NULL")
# Characters that begin something else than a plain text, and the breaks of lines beside \n that YAML knows.
_INDICATORS = tuple("&*!|>%@`{}[],?'\"")
_OTHER_BREAKS = re.compile("[\0\r\x85\u2028\u2029\ufeff]")
# A list is not read as a value: nothing that this collection asks for is a list.
_A_LIST = "[...]"


def parse_config(text: str) -> Values:
    """Names, in lower case as etcd compares them, and values of etcd's configuration file; ValueError beyond that."""
    text = text.replace("\r\n", "\n")
    if _OTHER_BREAKS.search(text):
        raise ValueError("it has a character that no line of it should have")
    lines = enumerate(text.split("\n"), 1)
    found: Values = {}
    # The name that takes what is indented below it; None where an indented line would be a text that goes on.
    parent: str | None = None
    indentation = 0
    in_flow = False
    for number, line in lines:
        stripped = line.strip(" ")
        if in_flow:
            match = _FLOW_GOES_ON.fullmatch(line)
            if match is None:
                raise ValueError(f"line {number}: a list that is not a plain one")
            in_flow = not match.group(1)
            continue
        if not stripped or stripped.startswith("#"):
            continue
        if line.rstrip(" ") == "---" and not found:
            continue
        if "\t" in line.split("#", 1)[0]:
            raise ValueError(f"line {number}: a tab")
        depth = len(line) - len(line.lstrip(" "))
        if depth and parent is None:
            raise ValueError(f"line {number}: a text of several lines, or an indented name")
        if depth == 0:
            if re.match(r"-(?: |$)", line):
                if parent is None or found[parent] not in (None, _A_LIST) or indentation:
                    raise ValueError(f"line {number}: a list")
                _list_entry(line, number)
                found[parent] = _A_LIST
                continue
            key, value, in_flow = _entry(line, number)
            if key in found:
                raise ValueError(f"line {number}: {key} for a second time")
            found[key] = value
            parent, indentation = (key if value is None else None), 0
            continue
        indentation = indentation or depth
        if depth != indentation:
            raise ValueError(f"line {number}: indented otherwise than the lines above it")
        _nested(found, t.cast(str, parent), stripped, number)
    if in_flow:
        raise ValueError("a list without its end")
    return found


def _nested(found: Values, parent: str, text: str, number: int) -> None:
    """An indented line: a name below its parent, or an entry of its list."""
    below = found[parent]
    if re.match(r"-(?: |$)", text):
        if isinstance(below, dict):
            raise ValueError(f"line {number}: a list among names")
        _list_entry(text, number)
        found[parent] = _A_LIST
        return
    if below == _A_LIST:
        raise ValueError(f"line {number}: a name in a list")
    names = below if isinstance(below, dict) else {}
    key, value, in_flow = _entry(text, number)
    if in_flow or key in names:
        raise ValueError(f"line {number}: {key} for a second time, or a list of several lines")
    names[key] = value
    found[parent] = names


def _entry(line: str, number: int) -> tuple[str, str | None, bool]:
    """Name, value, and whether the value is a list that goes on in the next line."""
    match = _KEY.fullmatch(line)
    if match is None:
        raise ValueError(f"line {number}: not a name and its value")
    key = (match.group(1) or match.group(2) or match.group(3)).lower()
    raw = (match.group(4) or "").strip(" ")
    if raw.startswith("["):
        if _FLOW_ON_ONE_LINE.fullmatch(raw):
            return key, _A_LIST, False
        if _FLOW_BEGINS.fullmatch(raw):
            return key, _A_LIST, True
        raise ValueError(f"line {number}: a list that is not a plain one")
    return key, _scalar(raw, number), False


def _list_entry(text: str, number: int) -> None:
    """ValueError unless the entry is one text on its line."""
    value = text[1:].strip(" ")
    if _scalar(value, number) is None or re.match(r"[^'\"#]*:(?: |$)", value) or re.match(r"-(?: |$)", value):
        raise ValueError(f"line {number}: a list of something else than texts")


def _scalar(raw: str, number: int) -> str | None:
    for pattern in (_SINGLE_QUOTED, _DOUBLE_QUOTED):
        match = pattern.fullmatch(raw)
        if match is not None:
            return match.group(1).replace("''", "'") if pattern is _SINGLE_QUOTED else match.group(1)
    if raw.startswith("#"):
        return None
    plain = re.split(r"[ ]+#", raw, maxsplit=1)[0].strip(" ")
    if plain in _NULLS:
        return None
    if plain.startswith(_INDICATORS) or re.search(r":(?: |$)", plain) or re.match(r"[-?:](?: |$)", plain):
        raise ValueError(f"line {number}: a value that is no plain text")
    return plain


__all__ = (
    "Values",
    "parse_config",
)
