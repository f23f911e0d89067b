# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host answers is data: the documented keys in their types and sizes, and nothing else. Pure.

A module's answer is whatever the host's Python prints. Ansible makes variables of some of its keys, and the actions
count on the types of the others. So each answer is rebuilt here from the keys that the module's RETURN documents; the
rest is dropped in silence. A documented key that lacks, or that is not what RETURN says, is an AnswerError.

RETURN is the one source:

- ``type``, ``elements`` and ``contains`` are meant as they are written. A dictionary without ``contains`` is a table of
  texts.
- A key may be null where its description says ``null``; in a table of texts it is the values that may.
- A key may lack where ``returned`` says anything but ``always`` or ``success``.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError

MAX_TEXT, MAX_PEM, MAX_ENTRIES, MAX_TOTAL = 16 * 1024, 64 * 1024, 2000, 4 * 1024 * 1024
_MAX_DETAILS_DEPTH, _MAX_DIFF, _MAX_WARNINGS, _MAX_LINE = 6, 256 * 1024, 20, 2000

# Where RETURN says in words that a dictionary has the form of another one: the keys are the same.
_SAME_AS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("etcd_peer_probe", "info"): ("etcd_peer_info",),
    ("etcd_peer_probe", "process_credentials"): ("etcd_peer_info", "credentials"),
    ("etcd_peer_probe", "probes", "server"): ("etcd_peer_info", "credentials", "ca", "certificates"),
    ("etcd_peer_info", "process", "settings"): ("etcd_peer_info", "unit", "settings"),
    ("etcd_process_info", "processes", "settings"): ("etcd_peer_info", "unit", "settings"),
}

ADVICE = "look at this host's Python and at the module that it runs"

_NOISE = {"warnings", "deprecations"}
# What Ansible needs of an answer beside what is documented; the secrets are those that it masks (2.22).
_COMMON = {"changed", "failed", "msg", "exception", "rc", "diff", "problem", "details", *_NOISE}
_COMMON |= {"_ansible_new_secrets", "_ansible_trusted_utf8"}

_TYPES = {"str": "a text", "int": "an integer", "bool": "true or false", "float": "a number", "list": "a list"}
_TYPES["dict"] = "a dictionary"
_NULL = re.compile(r"\bnull\b")

# What can change how a terminal, a log or a page shows the text round it, and what is no character at all.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_KEPT_IN_LINES = "\n\r\t"
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

# Texts of more lines than one, by the name of their key.
_LINES = re.compile(r"(.*_)?(pem|certificate|private_key)")
_SECRET = re.compile(r"(.*_)?private_key")
_HEX = (re.compile(r"-?[0-9a-f]{1,128}"), "lower-case hexadecimal digits")
# What is parsed later, by the name of its key.
_FORMATS: dict[str, tuple[re.Pattern[str], str]] = {
    **dict.fromkeys(("fingerprint", "serial_number", "configuration_hash", "member_id", "cluster_id"), _HEX),
    **dict.fromkeys(("live_member_id", "live_cluster_id", "live_leader_id", "live_active_peers"), _HEX),
    **dict.fromkeys(
        ("time", "not_before", "not_after"),
        (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"), "a time like 2026-11-24T09:00:00Z"),
    ),
}


class AnswerError(RingfenceError):
    """What a host answered can't be used; the message says in which key, the caller says whose answer it is."""

    problem = "answer"


@dataclass(frozen=True)
class Kind:
    """What a documented value is. ``fields``: None for a dictionary that is a table of texts."""

    type: str
    is_nullable: bool = False
    is_required: bool = True
    elements: Kind | None = None
    fields: t.Mapping[str, Kind] | None = None


@dataclass(frozen=True)
class Schema:
    """What a module answers where it did not fail."""

    module: str
    fields: t.Mapping[str, Kind] = field(default_factory=dict)


def schema_from(module: str, documents: t.Mapping[str, str]) -> Schema:
    """The schema of a module, from the RETURN documents by module's name: its own, and those that it refers to."""
    loaded = {name: yaml_load(text) for name, text in documents.items()}

    def kinds(fields: t.Mapping[str, t.Any], path: tuple[str, ...]) -> dict[str, Kind]:
        return {name: kind(documented, (*path, name)) for name, documented in fields.items()}

    def kind(documented: t.Mapping[str, t.Any], path: tuple[str, ...]) -> Kind:
        description = documented["description"]
        text = description if isinstance(description, str) else " ".join(description)
        contains = contained(documented, path)
        shape = str(documented["type"])
        inner = None
        if shape == "list":
            of_dict = documented["elements"] == "dict"
            inner = Kind(documented["elements"], fields=contains if of_dict else None)
        return Kind(
            type=shape,
            is_nullable=bool(_NULL.search(text)),
            is_required=documented.get("returned", "always") in ("always", "success"),
            elements=inner,
            fields=contains if shape == "dict" else None,
        )

    def contained(documented: t.Mapping[str, t.Any], path: tuple[str, ...]) -> dict[str, Kind] | None:
        if "contains" in documented:
            return kinds(documented["contains"], path)
        if path not in _SAME_AS:
            return None
        name, *rest = _SAME_AS[path]
        found: t.Any = loaded[name]
        for step in rest:
            found = found[step] if found is loaded[name] else found["contains"][step]
        return kinds(found["contains"] if rest else found, _SAME_AS[path])

    return Schema(module, kinds(loaded[module], (module,)))


def checked_answer(schema: Schema, answer: t.Any) -> dict[str, t.Any]:
    """The answer rebuilt from what is documented, in built-in values; AnswerError where it can't be used.

    Beside the documented keys: ``changed``, ``warnings`` and ``diff``, and of a module that failed ``failed`` and
    ``msg``, with ``problem`` and ``details``.
    """
    if not isinstance(answer, Mapping):
        raise AnswerError(f"is {_type_of(answer)}, a dictionary is wanted")
    walk = _Rebuilding()
    common = _common(answer, walk)
    if not common.get("failed"):
        return {**walk.fields(schema.fields, answer, ""), **common}
    # A failure says why in one line; what came with it is taken where it can be.
    for name, kind in schema.fields.items():
        if name in answer and name not in ("problem", "details"):
            try:
                common[name] = walk.value(kind, answer[name], name)
            except AnswerError:
                pass
    return common


def printable(schema: Schema, printed: str) -> str:
    """What a host printed, without the keys that are dropped anyway, and with warnings that do no harm.

    Ansible shows warnings, and some of the keys that it has no use for, before anybody can look at the answer.
    """
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        return printed
    if not isinstance(answer, dict):
        return printed
    kept = {name: value for name, value in answer.items() if name in schema.fields or name in _COMMON}
    kept.pop("deprecations", None)
    if "warnings" in kept:
        kept["warnings"] = [line for line in map(_warning_text, _listed(kept["warnings"])[:_MAX_WARNINGS]) if line]
    return json.dumps(kept) if kept.keys() != answer.keys() or _NOISE & kept.keys() else printed


def _common(answer: t.Mapping[str, t.Any], walk: _Rebuilding) -> dict[str, t.Any]:
    """What Ansible itself makes of an answer, the harmless part."""
    found: dict[str, t.Any] = {"changed": walk.value(_TRUTH, answer.get("changed", False), "changed")}
    warnings = [line for line in map(_warning_text, _listed(answer.get("warnings"))[:_MAX_WARNINGS]) if line]
    if warnings:
        found["warnings"] = warnings
    diff = _checked_diff(answer.get("diff"), walk)
    if diff is not None:
        found["diff"] = diff
    if walk.value(_TRUTH, answer.get("failed", False), "failed"):
        found["failed"] = True
        found["msg"] = one_line(answer.get("msg")) or _unexpected(answer.get("exception"))
        if isinstance(answer.get("problem"), str):
            found["problem"] = one_line(answer["problem"])
        if isinstance(answer.get("details"), Mapping):
            found["details"] = walk.plain(answer["details"], "details", _MAX_DETAILS_DEPTH)
    return found


def _unexpected(exception: t.Any) -> str:
    """Why a module failed that has no message: from ansible-core 2.19 on its error comes as an event alone."""
    said = one_line(getattr(getattr(exception, "event", None), "msg", None))
    return f"it ended with an error that it does not expect: {said}" if said else "it failed and does not say why"


class _Rebuilding:
    """One answer's rebuilding, which may take so many characters in all."""

    def __init__(self) -> None:
        self._left = MAX_TOTAL

    def fields(self, kinds: t.Mapping[str, Kind], found: t.Mapping[t.Any, t.Any], path: str) -> dict[str, t.Any]:
        made = {}
        for name, kind in kinds.items():
            where = f"{path}.{name}" if path else name
            if name in found:
                made[name] = self.value(kind, found[name], where, name)
            elif kind.is_required:
                raise AnswerError(f"lacks {where}")
        return made

    def value(self, kind: Kind, found: t.Any, path: str, name: str = "") -> t.Any:
        if found is None:
            if kind.is_nullable:
                return None
            raise AnswerError(f"has {path} as null, {_TYPES[kind.type]} is wanted")
        if kind.type == "dict":
            if not isinstance(found, Mapping):
                raise self._wrong(kind, found, path)
            if kind.fields is None:
                return self._table(found, path, kind.is_nullable)
            return self.fields(kind.fields, found, path)
        if kind.type == "list":
            return self._list(kind, found, path, name)
        if kind.type == "str":
            if not isinstance(found, str):
                raise self._wrong(kind, found, path)
            return self.text(found, path, name)
        if kind.type == "bool":
            if not isinstance(found, bool):
                raise self._wrong(kind, found, path)
            return found
        if isinstance(found, bool) or not isinstance(found, int if kind.type == "int" else (int, float)):
            raise self._wrong(kind, found, path)
        if not abs(found) < 2**63:
            raise AnswerError(f"has {path} as a number beyond 64 bits, {_TYPES[kind.type]} is wanted")
        return int(found) if kind.type == "int" else float(found)

    def text(self, found: str, path: str, name: str = "") -> str:
        """The text in built-in form with nothing in it that does harm where it is shown."""
        is_long = _LINES.fullmatch(name) is not None
        limit = MAX_PEM if is_long else MAX_TEXT
        self._take(found, path, limit, "characters")
        self._left -= len(found)
        if self._left < 0:
            raise AnswerError(f"has more than {MAX_TOTAL} characters, which {path} is beyond")
        made = harmless(found, keep=_KEPT_IN_LINES if is_long else "", with_private_key=bool(_SECRET.fullmatch(name)))
        pattern, wanted = _FORMATS.get(name, (None, ""))
        if pattern is not None and not _fits(pattern, made):
            raise AnswerError(f"has {path} as {shown(made)}, {wanted} {'is' if 'like' in wanted else 'are'} wanted")
        return made

    def plain(self, found: t.Any, path: str, depth: int) -> t.Any:
        """What is documented in words alone: any values, few and not deep."""
        if found is None or isinstance(found, bool):
            return found
        if isinstance(found, str):
            return self.text(found, path)
        if isinstance(found, int):
            return self.value(_NUMBER, found, path)
        if isinstance(found, (Mapping, list, tuple)) and depth > 0:
            self._take(found, path, MAX_ENTRIES, "entries")
            if isinstance(found, Mapping):
                return {
                    self._key(key, path): self.plain(item, f"{path}.{shown(key)}", depth - 1)
                    for key, item in found.items()
                }
            return [self.plain(item, f"{path}[{number}]", depth - 1) for number, item in enumerate(found)]
        return None

    def _list(self, kind: Kind, found: t.Any, path: str, name: str) -> list[t.Any]:
        if not isinstance(found, (list, tuple)):
            raise self._wrong(kind, found, path)
        self._take(found, path, MAX_ENTRIES, "entries")
        elements = t.cast(Kind, kind.elements)
        return [self.value(elements, item, f"{path}[{number}]", name) for number, item in enumerate(found)]

    def _table(self, found: t.Mapping[t.Any, t.Any], path: str, values_are_nullable: bool) -> dict[str, str | None]:
        self._take(found, path, MAX_ENTRIES, "entries")
        kind = Kind("str", is_nullable=values_are_nullable)
        return {self._key(key, path): self.value(kind, item, f"{path}.{shown(key)}") for key, item in found.items()}

    def _key(self, key: t.Any, path: str) -> str:
        if not isinstance(key, str):
            raise AnswerError(f"has in {path} a key that is {_type_of(key)}, a text is wanted")
        return self.text(key, f"a key of {path}")

    def _take(self, found: t.Sized, path: str, limit: int, what: str) -> None:
        if len(found) > limit:
            raise AnswerError(f"has {path} with {len(found)} {what}, at most {limit} are wanted")

    def _wrong(self, kind: Kind, found: t.Any, path: str) -> AnswerError:
        return AnswerError(f"has {path} as {_type_of(found)}, {_TYPES[kind.type]} is wanted")


_TRUTH, _NUMBER = Kind("bool"), Kind("int")


def harmless(text: str, keep: str = "", with_private_key: bool = False) -> str:
    """The text with no control character (but those to keep), in built-in form, and no private key unless wanted."""
    made = "".join(text)
    if not with_private_key and "PRIVATE KEY-----" in made:
        made = _PRIVATE_KEY.sub("(a private key, not shown)", made)
    if _HARMFUL.search(made):
        made = _HARMFUL.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), made)
    return made


def one_line(said: t.Any) -> str:
    """A host's message as one harmless line of bounded length; empty where it is no text."""
    if not isinstance(said, str):
        return ""
    # Far more than is kept, and no more than can be looked through at once.
    line = harmless(" ".join(said[: 50 * _MAX_LINE].split()))
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]} (and so on)"


def shown(value: t.Any) -> str:
    """A value of a host in a message: harmless, and short."""
    line = one_line(value if isinstance(value, str) else repr(value)[:100])
    return line if len(line) <= 60 else f"{line[:60]}..."


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    if not pattern.fullmatch(text):
        return False
    if text.endswith("Z"):
        try:
            datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            return False
    return True


def _listed(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _warning_text(warning: t.Any) -> str:
    """A warning's line. From ansible-core 2.19 on a module sends more than that, of which Ansible makes an object."""
    if isinstance(warning, Mapping):
        event = warning.get("event")
        return one_line(event.get("msg") if isinstance(event, Mapping) else None)
    return one_line(warning if isinstance(warning, str) else getattr(getattr(warning, "event", None), "msg", None))


def _checked_diff(diff: t.Any, walk: _Rebuilding) -> t.Any:
    """A diff as Ansible shows it, None where it is none or too long: it is shown, and nothing hangs on it."""
    entries = [diff] if isinstance(diff, Mapping) else _listed(diff)[:100]
    made = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        texts = {}
        for name in ("before_header", "after_header", "before", "after", "prepared"):
            value = entry.get(name)
            if isinstance(value, str):
                short = value if len(value) <= _MAX_DIFF else f"{value[:_MAX_DIFF]}\n(and so on)\n"
                texts[name] = harmless(short, keep="" if name.endswith("header") else _KEPT_IN_LINES)
            elif isinstance(value, Mapping):
                try:
                    texts[name] = walk.plain(value, f"diff.{name}", _MAX_DETAILS_DEPTH)
                except AnswerError:
                    continue
        if texts:
            made.append(texts)
    if not made:
        return None
    return made[0] if isinstance(diff, Mapping) else made


def _type_of(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    for known, words in ((str, "a text"), (int, "an integer"), (float, "a number"), (Mapping, "a dictionary")):
        if isinstance(value, known):
            return words
    return "a list" if isinstance(value, (list, tuple)) else "something else"


__all__ = (
    "ADVICE",
    "AnswerError",
    "Kind",
    "Schema",
    "checked_answer",
    "harmless",
    "one_line",
    "printable",
    "schema_from",
    "shown",
)
