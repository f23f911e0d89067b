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

# A value is a text, None where the file has the name without a value, a list of texts, or the names below it.
Entry = t.Union[str, list[str], None]
Values = dict[str, t.Union[Entry, dict[str, Entry]]]

_KEY = re.compile(
    r"""(?:([A-Za-z0-9_][A-Za-z0-9_-]*)|"([A-Za-z0-9_-]+)"|'([A-Za-z0-9_-]+)')[ ]*:(?:[ ]+(.*))?""", re.DOTALL
)
_SINGLE_QUOTED = re.compile(r"'((?:[^']|'')*)'[ ]*(?:[ ]#.*)?")
_DOUBLE_QUOTED = re.compile(r'"([^"\\]*)"[ ]*(?:[ ]#.*)?')
_FLOW_ON_ONE_LINE = re.compile(
    r"""(?:\[([^\[\]{}#'"&*!|>%@`]*)\]|\[([ ]*(?:"[^"\\]*"[ ]*(?:,[ ]*|(?=\])))*)\])[ ]*(?:[ ]#.*)?"""
)
_FLOW_BEGINS = re.compile(r"\[([A-Za-z0-9_, -]*)")
_FLOW_GOES_ON = re.compile(r"[ ]*([A-Za-z0-9_, -]*)(\]?)[ ]*")
_QUOTED_ENTRY = re.compile(r'"([^"\\]*)"')
_NULLS = ("", "~", "null", "Null", "NULL")
# Characters that begin something else than a plain text, and the breaks of lines beside \n that YAML knows.
_INDICATORS = tuple("&*!|>%@`{}[],?'\"")
_OTHER_BREAKS = re.compile("[\0\r\x85\u2028\u2029\ufeff]")


def parse_config(text: str) -> Values:
    """Names, in lower case as etcd compares them, and values of etcd's configuration file; ValueError beyond that."""
    text = text.replace("\r\n", "\n")
    if _OTHER_BREAKS.search(text):
        raise ValueError("it has a character that no line of it should have")
    reader = _ConfigReader()
    for number, line in enumerate(text.split("\n"), 1):
        reader.take(line, number)
    return reader.end()


class _Block:
    """The names at one depth. ``key``: the last one where it has no value yet, so that lines below may be its value."""

    def __init__(self, depth: int, names: dict[str, t.Any]) -> None:
        self.depth = depth
        self.names = names
        self.key: str | None = None


class _ConfigReader:
    """Reads line by line: names, names below a name, and lists of texts at either depth."""

    def __init__(self) -> None:
        self._blocks = [_Block(0, {})]
        # How deep the entries of the list that is being read stand; None where there is none.
        self._list_depth: int | None = None
        self._flow: list[str] | None = None

    def take(self, line: str, number: int) -> None:
        stripped = line.strip(" ")
        if self._flow is not None:
            self._go_on(line, number)
            return
        if not stripped or stripped.startswith("#"):
            return
        if line.rstrip(" ") == "---" and not self._blocks[0].names:
            return
        if "\t" in line.split("#", 1)[0]:
            raise ValueError(f"line {number}: a tab")
        depth = len(line) - len(line.lstrip(" "))
        if re.match(r"-(?: |$)", stripped):
            self._list(stripped, depth, number)
        else:
            self._name(stripped, depth, number)

    def end(self) -> Values:
        if self._flow is not None:
            raise ValueError("a list without its end")
        return self._blocks[0].names

    def _list(self, text: str, depth: int, number: int) -> None:
        if self._list_depth is None:
            while len(self._blocks) > 1 and depth < self._blocks[-1].depth:
                self._blocks.pop()
            block = self._blocks[-1]
            # An entry may stand as deep as the name that it is of.
            if block.key is None or depth < block.depth:
                raise ValueError(f"line {number}: a list")
            block.names[block.key] = []
            self._list_depth = depth
        elif depth != self._list_depth:
            raise ValueError(f"line {number}: indented otherwise than the entries above it")
        block = self._blocks[-1]
        block.names[t.cast(str, block.key)].append(_list_entry(text, number))

    def _name(self, text: str, depth: int, number: int) -> None:
        block = self._blocks[-1]
        if depth > block.depth:
            if block.key is None or self._list_depth is not None:
                raise ValueError(f"line {number}: a text of several lines, or an indented name")
            if len(self._blocks) > 1:
                raise ValueError(f"line {number}: names below names below names")
            names: dict[str, t.Any] = {}
            block.names[block.key] = names
            block.key = None
            block = _Block(depth, names)
            self._blocks.append(block)
        while depth < block.depth:
            self._blocks.pop()
            block = self._blocks[-1]
        if depth != block.depth:
            raise ValueError(f"line {number}: indented otherwise than the lines above it")
        self._list_depth = None
        key, value = self._entry(text, number)
        if key in block.names:
            raise ValueError(f"line {number}: {key} for a second time")
        block.names[key] = value
        block.key = key if value is None else None

    def _entry(self, line: str, number: int) -> tuple[str, Entry]:
        match = _KEY.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: not a name and its value")
        key = (match.group(1) or match.group(2) or match.group(3)).lower()
        raw = (match.group(4) or "").strip(" ")
        if not raw.startswith("["):
            return key, _scalar(raw, number)
        whole = _FLOW_ON_ONE_LINE.fullmatch(raw)
        if whole is not None:
            if whole.group(2) is not None and '"' in whole.group(2):
                return key, _QUOTED_ENTRY.findall(whole.group(2))
            return key, _flow_entries(whole.group(1) or "", number)
        begins = _FLOW_BEGINS.fullmatch(raw)
        if begins is None or len(self._blocks) > 1:
            raise ValueError(f"line {number}: a list that is not a plain one")
        self._flow = [begins.group(1)]
        self._flow_list: list[str] = []
        return key, self._flow_list

    def _go_on(self, line: str, number: int) -> None:
        match = _FLOW_GOES_ON.fullmatch(line)
        if match is None or self._flow is None:
            raise ValueError(f"line {number}: a list that is not a plain one")
        self._flow.append(match.group(1))
        if match.group(2):
            self._flow_list += _flow_entries(" ".join(self._flow), number)
            self._flow = None


def _flow_entries(text: str, number: int) -> list[str]:
    entries = [entry.strip(" ") for entry in text.split(",")]
    if entries[-1] == "":
        entries.pop()
    if any(entry in _NULLS or re.match(r"[-?:](?: |$)", entry) or re.search(r":(?: |$)", entry) for entry in entries):
        raise ValueError(f"line {number}: a list of something else than texts")
    return entries


def _list_entry(text: str, number: int) -> str:
    """The entry, which is one text on its line; else ValueError."""
    value = text[1:].strip(" ")
    found = _scalar(value, number)
    if found is None or re.match(r"[^'\"#]*:(?: |$)", value) or re.match(r"-(?: |$)", value):
        raise ValueError(f"line {number}: a list of something else than texts")
    return found


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
    "Entry",
    "Values",
    "parse_config",
)
