# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why etcd did not start, out of what it wrote: one line in its own words, and no stack trace. Pure.

etcd 3.5 and later write JSON, 3.4 capnslog's lines; Go writes flags' faults and panics as plain text, systemd what
keeps it from starting the program at all. Real ones of each are in the tests (last_words_maker.py).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
import typing as t

_MOST_CHARACTERS = 300

# How much a line says. With FATAL the process ends, and what comes behind it is its echo.
_FATAL, _ERROR, _SYSTEMD = 3, 2, 1

_LEVELS = {"fatal": _FATAL, "panic": _FATAL, "dpanic": _FATAL, "error": _ERROR}
# With these two warnings etcd ends as well, the second without a further word.
_LAST_WARNINGS = ("failed to start etcd", "failed to verify flags")
# The words of a server that was asked to stop.
_FAREWELLS = re.compile(r"server closed|use of closed network connection", re.IGNORECASE)
# Words that say no more than that something failed.
_EMPTY_WORDS = (*_LAST_WARNINGS, "discovery failed", "listener failed")
# What every line has, and what is too long.
_COMMON_FIELDS = {"level", "ts", "caller", "logger", "msg", "error", "stacktrace"}

_CAPNSLOG = re.compile(r"^\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d\.\d+ (?P<level>[CE]) \| (?P<text>.*)$")
_PLAIN = re.compile(
    r"^(?:flag provided but not defined: |flag needs an argument: |invalid (?:boolean )?(?:flag|value) )"
    r"|^'.*' is not a valid flag$|^(?:fatal error|panic): |^SIG[A-Z]+: |^unexpected fault address "
)
_OF_SYSTEMD = re.compile(
    r"^(?:\S+\.service: )?(?P<text>Failed to (?:execute|locate executable|load environment files|set up) .*"
    r"|Failed at step .*|A process of this unit has been killed by the OOM killer\.?)$"
)
# A Go structure in a sentence: IDs and URLs of all members.
_STRUCTURE = re.compile(r"\s*\{ClusterID:.*\}")

# etcd's own words, and what they mean to a reader.
_MEANINGS = (
    (
        re.compile(r"invalid downgrade|cannot be downgraded|^version \"[0-9.]+\" is not supported"),
        "its data is of a newer version than this etcd: put the newer program back",
    ),
    (re.compile(r"no space left on device|disk quota exceeded"), "make room on the disk of its data folder"),
    (
        re.compile(
            r"crc mismatch|(?:^|: )(?:walpb|wal|snap): |failed to (?:open|read) (?:the )?WAL|invalid database|"
            r"file checksum mismatch|database file is not valid|(?:^|: )(?:proto: |unexpected EOF)"
        ),
        "the member's data is damaged: save its data folder, then remove the member and add it again with an empty "
        "one, or restore a snapshot (playbook restore)",
    ),
)


def cause_of(lines: t.Iterable[str]) -> str | None:
    """Why a process of etcd ended, as one line of its log; None where no line says it.

    ``lines``: what it wrote since its start, and what systemd wrote about it.
    """
    entries = [found for line in lines for found in [_entry_of(line.strip())] if found is not None]
    fatal = [text for rank, text in entries if rank == _FATAL]
    errors = [text for rank, text in entries if rank == _ERROR]
    others = [text for rank, text in entries if rank == _SYSTEMD]
    # After the first fatal one come its echoes; of mere errors the last one is the nearest to the end.
    found = next(iter([*fatal, *reversed(errors), *others]), None)
    return None if found is None else _with_meaning(found)


def _entry_of(line: str) -> tuple[int, str] | None:
    if line.startswith("{"):
        return _entry_of_json(line)
    capnslog = _CAPNSLOG.match(line)
    if capnslog:
        text = re.sub(r"^[a-z0-9/]+: ", "", capnslog["text"])
        return (_FATAL if capnslog["level"] == "C" else _ERROR), text
    if _PLAIN.search(line):
        return _FATAL, re.sub(r"^panic: ", "", line)
    by_systemd = _OF_SYSTEMD.match(line)
    return (_SYSTEMD, by_systemd["text"]) if by_systemd else None


def _entry_of_json(line: str) -> tuple[int, str] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    message, error = entry.get("msg"), entry.get("error")
    if not isinstance(message, str):
        return None
    rank = _LEVELS.get(str(entry.get("level")))
    if rank is None and message in _LAST_WARNINGS:
        rank = _ERROR
    if rank is None or (rank != _FATAL and isinstance(error, str) and _FAREWELLS.search(error)):
        return None
    parts = [message]
    if isinstance(error, str) and error:
        parts = [error] if message.endswith(_EMPTY_WORDS) else [message, error]
    text = ": ".join(parts)
    fields = [
        f"{name}: {value}"
        for name, value in entry.items()
        if name not in _COMMON_FIELDS and isinstance(value, (str, int)) and str(value) not in text
    ]
    return rank, f"{text} ({', '.join(fields)})" if fields else text


def _with_meaning(text: str) -> str:
    text = " ".join(_STRUCTURE.sub("", text).split())
    short = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
    meaning = next((sentence for pattern, sentence in _MEANINGS if pattern.search(text)), None)
    return f"{short} ({meaning})" if meaning else short


__all__ = ("cause_of",)
