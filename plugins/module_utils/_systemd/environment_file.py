# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: an environment file of a unit, as systemd reads it (EnvironmentFile=).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re

_WHITESPACE = " \t\n\r"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_environment(text: str) -> dict[str, str]:
    """Name and value of each variable of an environment file, as systemd reads it (systemd.exec(5)); else ValueError.

    What systemd leaves out, a line without "=" or with a name that is none, is left out. Where its versions differ, in
    a comment that ends with a backslash, it is a ValueError.
    """
    reader = _EnvironmentReader()
    for character in text.replace("\r\n", "\n"):
        reader.take(character)
    return reader.end()


class _EnvironmentReader:
    """systemd's parse_env_file, character by character: one method a state."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._state = self._before_key
        self._key = self._value = ""
        # How much of the value is kept when its end comes: what was quoted keeps its spaces, what was not does not.
        self._kept = 0

    def take(self, character: str) -> None:
        self._state(character)

    def end(self) -> dict[str, str]:
        if self._state in (self._in_single, self._in_double, self._in_double_escape, self._in_escape):
            raise ValueError("it ends within a quoted text, or behind a backslash")
        if self._state in (self._before_value, self._in_value):
            self._push()
        return self._found

    def _push(self) -> None:
        value = self._value[: self._kept] + self._value[self._kept :].rstrip(_WHITESPACE)
        key = self._key.rstrip(_WHITESPACE)
        if _NAME.fullmatch(key):
            self._found[key] = value
        self._state = self._before_key

    def _before_key(self, character: str) -> None:
        if character in "#;":
            self._state = self._in_comment
        elif character not in _WHITESPACE:
            self._key, self._value, self._kept = character, "", 0
            self._state = self._in_key

    def _in_key(self, character: str) -> None:
        if character in "\n\r":
            self._state = self._before_key
        elif character == "=":
            self._state = self._before_value
        else:
            self._key += character

    def _before_value(self, character: str) -> None:
        if character in "\n\r":
            self._push()
        elif character == "'":
            self._state = self._in_single
        elif character == '"':
            self._state = self._in_double
        elif character == "\\":
            self._state = self._in_escape
        elif character not in _WHITESPACE:
            self._value += character
            self._state = self._in_value

    def _in_value(self, character: str) -> None:
        if character in "\n\r":
            self._push()
        elif character == "\\":
            self._state = self._in_escape
        else:
            self._value += character

    def _in_escape(self, character: str) -> None:
        self._state = self._in_value
        if character not in "\n\r":
            self._value += character
            self._kept = len(self._value)

    def _in_single(self, character: str) -> None:
        if character == "'":
            self._kept = len(self._value)
            self._state = self._before_value
        else:
            self._value += character

    def _in_double(self, character: str) -> None:
        if character == '"':
            self._kept = len(self._value)
            self._state = self._before_value
        elif character == "\\":
            self._state = self._in_double_escape
        else:
            self._value += character

    def _in_double_escape(self, character: str) -> None:
        self._state = self._in_double
        if character in '"\\`$':
            self._value += character
        elif character != "\n":
            self._value += "\\" + character

    def _in_comment(self, character: str) -> None:
        if character == "\\":
            self._state = self._in_comment_escape
        elif character in "\n\r":
            self._state = self._before_key

    def _in_comment_escape(self, character: str) -> None:
        if character in "\n\r":
            raise ValueError(
                "a comment ends with a backslash, which systemd reads in one way or another by its version"
            )
        self._state = self._in_comment if character != "\\" else self._in_comment_escape


__all__ = ("parse_environment",)
