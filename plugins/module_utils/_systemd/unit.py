# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads and writes the text of a systemd unit: quoting, etcd's arguments, the configuration hash. Pure.

Nothing here reads a file or starts a program.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason

HASH_VARIABLE = "RINGFENCE_CONFIGURATION_HASH"
# The code of the warning about a setting that is given by a flag and by a variable.
SET_TWICE = "set_twice"

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

# etcd's flags of type bool (3.4 to 3.7): Go takes the next word as a value for every other flag.
_BOOLEAN_FLAGS = frozenset(
    (
        "auto-tls",
        "client-cert-auth",
        "debug",
        "enable-distributed-tracing",
        "enable-grpc-gateway",
        "enable-log-rotation",
        "enable-pprof",
        "enable-v2",
        "experimental-compact-hash-check-enabled",
        "experimental-enable-distributed-tracing",
        "experimental-enable-lease-checkpoint",
        "experimental-enable-lease-checkpoint-persist",
        "experimental-initial-corrupt-check",
        "experimental-memory-mlock",
        "experimental-peer-skip-client-san-verification",
        "experimental-stop-grpc-service-on-defrag",
        "experimental-txn-mode-write-with-shared-buffer",
        "force-new-cluster",
        "h",
        "help",
        "initial-election-tick-advance",
        "memory-mlock",
        "peer-auto-tls",
        "peer-client-cert-auth",
        "peer-skip-client-san-verification",
        "pre-vote",
        "socket-reuse-address",
        "socket-reuse-port",
        "strict-reconfig-check",
        "unsafe-no-fsync",
        "version",
    )
)
# Go's strconv.ParseBool takes these, and nothing else.
_GO_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_GO_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))

# Names in a Deployed's ``files`` and the flags they come from.
_FILE_FLAGS = (
    "cert-file",
    "client-crl-file",
    "key-file",
    "peer-cert-file",
    "peer-crl-file",
    "peer-key-file",
    "peer-trusted-ca-file",
    "trusted-ca-file",
)
_SKIP_SAN_FLAGS = ("peer-skip-client-san-verification", "experimental-peer-skip-client-san-verification")

# Of a service's unit, in the order in which it is rendered.
SECTIONS = ("Unit", "Service", "Install")


class Deployed(t.TypedDict):
    """What an etcd command line says. ``flags`` has them all; the rest is what this collection asks about most."""

    program: str | None
    member_name: str
    data_dir: str
    allowed_common_names: list[str]
    allowed_hostnames: list[str]
    initial_cluster: dict[str, str]
    peer_urls: list[str]
    listen_peer_urls: list[str]
    client_urls: list[str]
    listen_client_urls: list[str]
    files: dict[str, str | None]
    flags: dict[str, str]
    warnings: list[Reason]


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


# The settings that etcd gets ----------------------------------------------------------------------------------------


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


def deployed_from_text(
    text: str, from_files: t.Mapping[str, str] | None = None, inherited: t.Mapping[str, str] | None = None
) -> Deployed | None:
    """The settings of the etcd that a unit text starts; None where the text has no ExecStart= in [Service].

    ``from_files``: the variables of its environment files, which win over those in the text (systemd.exec(5)).
    """
    environment = unit_environment(text, from_files, inherited)
    arguments = exec_command(text, environment)
    return deployed_from_arguments(arguments, environment) if arguments else None


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


def deployed_from_arguments(argv: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Deployed:
    """What an etcd command line (the program first) says, read as etcd from 3.5.15 on reads it.

    ``environment`` may hold ETCD_* variables: etcd takes them for flags that are not given and skips empty ones.
    """
    flags = _flags_of(argv[1:])
    given = set(flags)
    twice: list[str] = []
    for name, value in (environment or {}).items():
        flag = name[len("ETCD_") :].lower().replace("_", "-")
        if name.startswith("ETCD_") and flag and value:
            if flag in given:
                twice.append(name)
            else:
                flags[flag] = value
    name = flags.get("name", "default")
    listen_peer = _comma_list(flags.get("listen-peer-urls", "http://localhost:2380"))
    listen_client = _comma_list(flags.get("listen-client-urls", "http://localhost:2379"))
    return {
        "program": argv[0] if argv else None,
        "member_name": name,
        "data_dir": flags.get("data-dir", f"{name}.etcd"),
        "allowed_common_names": _allowed(flags, "peer-cert-allowed-cn"),
        "allowed_hostnames": _allowed(flags, "peer-cert-allowed-hostname"),
        "initial_cluster": _initial_cluster(flags.get("initial-cluster", "")),
        "peer_urls": _comma_list(flags["initial-advertise-peer-urls"])
        if "initial-advertise-peer-urls" in flags
        else list(listen_peer),
        "listen_peer_urls": listen_peer,
        "client_urls": _comma_list(flags["advertise-client-urls"]) if "advertise-client-urls" in flags else [],
        "listen_client_urls": listen_client,
        "files": {flag.replace("-", "_"): flags.get(flag) or None for flag in _FILE_FLAGS},
        "flags": dict(sorted(flags.items())),
        "warnings": [*_warnings(flags), *map(_set_twice, sorted(twice))],
    }


def is_true(value: str | None) -> bool:
    """Whether etcd takes a boolean flag's value for true, in whatever spelling; a flag that is not given is not."""
    return value in _GO_TRUE


def plain_flag(flag: str, value: str) -> str:
    """A flag's value in one spelling: those that etcd takes for true and false are many."""
    if flag in _BOOLEAN_FLAGS and value in (*_GO_TRUE, *_GO_FALSE):
        return "true" if value in _GO_TRUE else "false"
    return value


def _set_twice(variable: str) -> Reason:
    flag = variable[len("ETCD_") :].lower().replace("_", "-")
    text = f"{variable} stands beside --{flag}: etcd ends at once where both are given, so leave one of them out"
    return {"code": SET_TWICE, "text": text}


def _flags_of(words: t.Sequence[str]) -> dict[str, str]:
    """Flag → value as Go's flag package reads them: one or two dashes, the last one given wins."""
    flags: dict[str, str] = {}
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if len(word) < 2 or not word.startswith("-") or word == "--":
            break
        name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
        if not equals:
            if name in _BOOLEAN_FLAGS or index >= len(words):
                value = "true"
            else:
                value = words[index]
                index += 1
        flags[name] = value
    return flags


def _comma_list(value: str) -> list[str]:
    return [entry for entry in value.split(",") if entry]


def _allowed(flags: t.Mapping[str, str], flag: str) -> list[str]:
    """Exactly etcd's reading: split at commas, nothing trimmed; the empty text is a list of one empty name."""
    return flags[flag].split(",") if flag in flags else []


def _initial_cluster(value: str) -> dict[str, str]:
    members: dict[str, list[str]] = {}
    for entry in value.split(","):
        name, equals, url = entry.strip().partition("=")
        if equals:
            members.setdefault(name, []).append(url)
    return {name: ",".join(sorted(urls)) for name, urls in members.items()}


def _warnings(flags: t.Mapping[str, str]) -> list[Reason]:
    found: list[Reason] = []

    def warn(code: str, text: str) -> None:
        found.append({"code": code, "text": text})

    if flags.get("config-file"):
        warn("config_file", f"--config-file={flags['config-file']} makes etcd ignore every other flag: use flags only")
    for flag in _SKIP_SAN_FLAGS:
        if flags.get(flag) in _GO_TRUE:
            warn("address_check_off", f"--{flag} switches the check of a peer's address off: remove it")
    if "peer-cert-allowed-cn" in flags:
        names = _allowed(flags, "peer-cert-allowed-cn")
        if names == [""]:
            warn("allowed_common_names_empty", "--peer-cert-allowed-cn is empty: etcd refuses every peer with a CN")
        elif "" in names:
            warn(
                "allowed_common_names_hole",
                f"--peer-cert-allowed-cn={flags['peer-cert-allowed-cn']} "
                "has an empty entry: a certificate without a CN is let in",
            )
        if any(name != name.strip() for name in names):
            warn(
                "allowed_common_names_spaces",
                f"--peer-cert-allowed-cn={flags['peer-cert-allowed-cn']!r} has spaces, which etcd does not trim",
            )
        if not flags.get("peer-trusted-ca-file"):
            warn(
                "no_peer_trust_bundle",
                "--peer-cert-allowed-cn without --peer-trusted-ca-file checks nobody who connects: name the CA file",
            )
    return found


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
    "SET_TWICE",
    "Deployed",
    "check_rendered",
    "configuration_hash_is_valid",
    "configuration_hash_of",
    "deployed_from_arguments",
    "deployed_from_text",
    "environment_files",
    "exec_arguments",
    "exec_command",
    "glob_value",
    "is_true",
    "parse_unit",
    "plain_flag",
    "plain_value",
    "quote_argument",
    "quote_program",
    "quote_value",
    "raw_value",
    "setting_words",
    "unit_environment",
    "with_configuration_hash",
)
