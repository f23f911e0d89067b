# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads and writes the text of a systemd unit: quoting, what it starts, the configuration hash. Pure.

Nothing here reads a file or starts a program.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

HASH_VARIABLE = "RINGFENCE_CONFIGURATION_HASH"

# The one line with the configuration hash; other spellings of the same setting are refused, so that it has one place.
_HASH_LINE = re.compile(rf"^Environment={HASH_VARIABLE}=([^\n]*)$", re.MULTILINE)
_HASH_VALUE = re.compile(r"[0-9a-f]{64}")

# Characters that mean nothing to systemd's word splitting; a word of only these needs no quotes. A word may not begin
# with "-", "@", ":" or "+" by this rule alone: those are prefixes only in front of the program, see quote_program().
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%$+=:,./\[\]-]+")

_WHITESPACE = " \t\n\r"

_BARE_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
_NUMERIC_ESCAPES = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}

# Of a service's unit, in the order in which it is rendered.
SECTIONS = ("Unit", "Service", "Install")


# Quoting ------------------------------------------------------------------------------------------------------------


def _refuse_unwritable(value: str) -> None:
    """Refuse what systemd would drop the whole line for, or what would end the line."""
    for character in value:
        number = ord(character)
        if number < 0x20 or 0x7F <= number <= 0x9F or character in "\u2028\u2029":
            raise InputError(
                f"{value!r} holds the control character {character!r}, which can't stand in a systemd unit: remove it",
                value=value,
            )
        # systemd's own idea of a valid character: no surrogates, no noncharacters.
        if 0xD800 <= number <= 0xDFFF or 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE:
            raise InputError(
                f"{value!a} holds the invalid character U+{number:04X}, "
                "for which systemd would ignore the line: remove it",
                value=ascii(value),
            )


def _quote_word(value: str) -> str:
    if _PLAIN_WORD.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quote_argument(value: str) -> str:
    """One argument of ExecStart=, such that the program gets exactly this value."""
    _refuse_unwritable(value)
    return _quote_word(value.replace("%", "%%").replace("$", "$$"))


def quote_program(value: str) -> str:
    """The program in front of ExecStart='s arguments: an absolute path; systemd expands no variable there."""
    if not value.startswith("/") or "$" in value:
        raise InputError(f"the program {value!r} must be an absolute path without a dollar sign", value=value)
    _refuse_unwritable(value)
    return _quote_word(value.replace("%", "%%"))


def quote_value(value: str) -> str:
    """One word of a setting that takes a list of words (Environment=, ReadWritePaths=): no variables there."""
    _refuse_unwritable(value)
    return _quote_word(value.replace("%", "%%"))


def plain_value(value: str) -> str:
    """The whole value of a setting that knows no quotes (User=, WorkingDirectory=, Description=)."""
    _refuse_unwritable(value)
    if value != value.strip(_WHITESPACE) or value.endswith("\\"):
        raise InputError(f"{value!r} begins or ends with a space, or ends with a backslash: remove it", value=value)
    return value.replace("%", "%%")


def glob_value(value: str) -> str:
    """A path in front of a pattern, in a setting that takes one (AssertPathExistsGlob=): nothing in it is a pattern."""
    return re.sub(r"[\\*?\[\]{}]", lambda match: "\\" + match.group(0), plain_value(value))


def raw_value(value: str) -> str:
    """A setting's value that is systemd's syntax already: as it is, refused where it would end the line."""
    _refuse_unwritable(value)
    if value.endswith("\\"):
        raise InputError(f"{value!r} ends with a backslash, which would take in the next line: remove it", value=value)
    return value


# Reading ------------------------------------------------------------------------------------------------------------


def parse_unit(text: str) -> dict[str, list[tuple[str, str]]]:
    """Section → (key, value) in their order, as systemd reads a unit file; what systemd would ignore is left out."""
    sections: dict[str, list[tuple[str, str]]] = {}
    section: str | None = None
    for line in _logical_lines(text):
        stripped = line.strip(_WHITESPACE)
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1]
            sections.setdefault(section, [])
        elif "=" in stripped and section is not None and not stripped.startswith("["):
            key, _equals, value = stripped.partition("=")
            sections[section].append((key.rstrip(_WHITESPACE), value.lstrip(_WHITESPACE)))
    return sections


def _logical_lines(text: str) -> t.Iterator[str]:
    """Lines with continuations joined. A comment is dropped even between the lines of a continuation."""
    collected = ""
    for line in re.split(r"\r\n|\n|\r", text):
        if line.lstrip(_WHITESPACE)[:1] in ("#", ";"):
            continue
        collected += line
        backslashes = len(collected) - len(collected.rstrip("\\"))
        if backslashes % 2:
            collected = collected[:-1] + " "
            continue
        if collected:
            yield collected
        collected = ""
    if collected:
        yield collected


def exec_arguments(value: str, environment: t.Mapping[str, str] | None = None) -> list[str]:
    """The words of an ExecStart= value as the program gets them: the inverse of quoted arguments joined by spaces.

    Specifiers other than ``%%`` are left as they stand, and without an ``environment`` variables as well: what they
    expand to is not in the text. A second command behind a lone semicolon is left out.
    """
    words: list[str] = []
    for word in _split_words(value):
        if word is None:
            break
        word = word.replace("%%", "%")
        if environment is None:
            words.append(word.replace("$$", "$"))
        elif _BARE_VARIABLE.fullmatch(word):
            # A bare variable is split into words, one in braces is not (systemd.service(5)).
            words.extend(environment.get(word[1:], "").split())
        else:
            words.append(_VARIABLE.sub(lambda match: _expanded(match, environment), word))
    return words


def _expanded(match: re.Match[str], environment: t.Mapping[str, str]) -> str:
    return "$" if match.group(0) == "$$" else environment.get(match.group(1), "")


def environment_files(text: str, unit: str) -> list[tuple[str, bool]]:
    """The paths of a unit text's EnvironmentFile= in their order, and whether each may be missing.

    InputError where a path can't be known from the text: a pattern, or a specifier other than the unit's own name.
    """
    name = unit.rsplit(".", 1)[0]
    known = {"%%": "%", "%n": unit, "%N": name, "%p": name.split("@")[0]}
    found: list[tuple[str, bool]] = []
    for key, value in parse_unit(text).get("Service", []):
        if key != "EnvironmentFile":
            continue
        path = value[1:] if value.startswith("-") else value
        if any(character in path for character in "*?[") or set(re.findall("%.?", path)) - set(known):
            raise InputError(f"EnvironmentFile={value} of {unit} is a pattern: name each file, so that it can be read")
        path = re.sub("%.", lambda match: known[match.group(0)], path)
        # An empty value takes all earlier ones back.
        found = [*found, (path, value.startswith("-"))] if value else []
    return found


def _split_words(value: str) -> t.Iterator[str | None]:
    """systemd's extract_first_word with unquoting and C escapes; None stands for an unquoted lone semicolon."""
    position, end = 0, len(value)
    while True:
        while position < end and value[position] in _WHITESPACE:
            position += 1
        if position >= end:
            return
        following = value[position + 1 : position + 2]
        if value[position] == ";" and (not following or following in _WHITESPACE):
            position += 1
            yield None
            continue
        if value[position : position + 2] == "\\;" and value[position + 2 : position + 3] in ("", *_WHITESPACE):
            position += 2
            yield ";"
            continue
        word = ""
        quote = ""
        while position < end:
            character = value[position]
            if character == "\\":
                text, position = _unescape(value, position)
                word += text
                continue
            position += 1
            if quote:
                if character == quote:
                    quote = ""
                else:
                    word += character
            elif character in "\"'":
                quote = character
            elif character in _WHITESPACE:
                break
            else:
                word += character
        yield word


def setting_words(value: str) -> list[str]:
    """The words of a setting that takes a list of them (Environment=), as systemd reads them."""
    return [word.replace("%%", "%") for word in _split_words(value) if word is not None]


def _unescape(value: str, position: int) -> tuple[str, int]:
    """The text that a backslash escape at a position stands for, and the position after it. Unknown ones stay."""
    kind = value[position + 1 : position + 2]
    if kind in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[kind], position + 2
    digits, base, start = "", 8, position + 1
    if kind in _NUMERIC_ESCAPES:
        length, base = _NUMERIC_ESCAPES[kind]
        start = position + 2
        digits = value[start : start + length]
        if len(digits) != length:
            digits = ""
    elif kind and kind in "01234567":
        digits = value[start : start + 3]
        if len(digits) != 3:
            digits = ""
    allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
    if digits and all(digit in allowed for digit in digits):
        number = int(digits, base)
        if 0 < number < 0x110000 and not 0xD800 <= number <= 0xDFFF and (base != 8 or number < 256):
            return chr(number), start + len(digits)
    return "\\", position + 1


# What it starts -----------------------------------------------------------------------------------------------------


def exec_command(text: str, environment: t.Mapping[str, str] | None = None) -> list[str]:
    """The program and its arguments that a unit text starts; empty where the text has no ExecStart= in [Service]."""
    commands: list[str] = []
    for key, value in parse_unit(text).get("Service", []):
        if key == "ExecStart":
            # An empty value takes all earlier ones back.
            commands = [*commands, value] if value else []
    arguments = exec_arguments(commands[-1], environment) if commands else []
    prefix = arguments[0][: len(arguments[0]) - len(arguments[0].lstrip("@-:+!|"))] if arguments else ""
    if prefix:
        program = arguments[0][len(prefix) :]
        arguments = [program, *arguments[(2 if "@" in prefix else 1) :]]
    return arguments


def unit_environment(
    text: str, from_files: t.Mapping[str, str] | None = None, inherited: t.Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables that a unit text gives its program, beside those that systemd gives to every service."""
    environment: dict[str, str] = {}
    unset: list[str] = []
    for key, value in parse_unit(text).get("Service", []):
        if key == "Environment":
            if not value:
                environment = {}
            for word in _split_words(value):
                name, equals, content = (word or "").partition("=")
                if equals:
                    environment[name] = content.replace("%%", "%")
        elif key == "UnsetEnvironment":
            unset = [*unset, *(word or "" for word in _split_words(value))] if value else []
    environment = {**(inherited or {}), **environment, **(from_files or {})}
    for name in unset:
        # A name without a value, or with the one value that is taken away.
        plain, equals, content = name.partition("=")
        if not equals or environment.get(plain) == content:
            environment.pop(plain, None)
    return environment


# Rendering -----------------------------------------------------------------------------------------------------------


def check_rendered(text: str, arguments: list[str]) -> None:
    """InputError where a rendered unit is not of its three sections, or starts etcd with other arguments."""
    sections = parse_unit(text)
    if tuple(sections) != SECTIONS:
        raise InputError(
            f"the rendered unit has the sections {', '.join(sections) or 'none'}: {', '.join(SECTIONS)} are wanted"
        )
    commands = [value for key, value in sections["Service"] if key == "ExecStart"]
    if len(commands) != 1:
        raise InputError(
            f"the rendered unit has {len(commands)} lines ExecStart=: one is wanted; leave it out of the extra settings"
        )
    found = exec_arguments(commands[0])[1:]
    if found != arguments:
        wrong = [item for item in found if item not in arguments] or ["another order"]
        lacking = [item for item in arguments if item not in found] or ["none"]
        raise InputError(
            f"the rendered unit would start etcd with other arguments: {wrong[0]} is wrong, {lacking[0]} is lacking"
        )


# The configuration hash ---------------------------------------------------------------------------------------------


def _hash_match(text: str) -> re.Match[str]:
    found = list(_HASH_LINE.finditer(text))
    if len(found) != 1:
        raise InputError(
            f"the unit text has {len(found)} lines that begin with Environment={HASH_VARIABLE}=, exactly one is needed "
            "in its [Service] section"
        )
    in_service = [
        value for key, value in parse_unit(text).get("Service", []) if key == "Environment" and HASH_VARIABLE in value
    ]
    if in_service != [found[0].group(0)[len("Environment=") :]]:
        raise InputError(f"the line Environment={HASH_VARIABLE}= must stand alone in the unit's [Service] section")
    return found[0]


def _computed_hash(text: str, match: re.Match[str]) -> str:
    empty = text[: match.start(1)] + text[match.end(1) :]
    return hashlib.sha256(empty.encode("utf-8")).hexdigest()


def with_configuration_hash(text: str) -> str:
    """The text with its hash set to the SHA-256 of the text with an empty one. Doing so twice changes nothing."""
    match = _hash_match(text)
    return text[: match.start(1)] + _computed_hash(text, match) + text[match.end(1) :]


def configuration_hash_of(text: str) -> str | None:
    """The hash that a unit text carries, right or wrong; None where there is none: such a unit is not ours."""
    try:
        value = _hash_match(text).group(1)
    except InputError:
        return None
    return value if _HASH_VALUE.fullmatch(value) else None


def configuration_hash_is_valid(text: str) -> bool:
    """Whether the configuration hash is the one of this very text, that is: nobody changed the text since."""
    try:
        match = _hash_match(text)
    except InputError:
        return False
    return match.group(1) == _computed_hash(text, match)


__all__ = (
    "HASH_VARIABLE",
    "SECTIONS",
    "check_rendered",
    "configuration_hash_is_valid",
    "configuration_hash_of",
    "environment_files",
    "exec_arguments",
    "exec_command",
    "glob_value",
    "parse_unit",
    "plain_value",
    "quote_argument",
    "quote_program",
    "quote_value",
    "raw_value",
    "setting_words",
    "unit_environment",
    "with_configuration_hash",
)
