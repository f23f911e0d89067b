# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answers of a survey as they were typed: texts, where ansible-core makes other values of them.

AWX writes each answer as a text behind ``!unsafe`` into a file for ``-e``. From 2.19 on ansible-core takes the tag off,
and reads what is left as if it had no quotes: a passphrase of ``01234567`` is the number 342391 then, and 1.50 is 1.5.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

# Ansible's own YAML reader, which comes with it.
import yaml  # type: ignore[import-untyped, unused-ignore]

_TAG = "!unsafe"
_FILE_MARK = "@"
_MOST_BYTES = 4 * 1024 * 1024


# A text for what is tagged, whatever its letters are, and no other tag of Ansible's.
_Loader: t.Any = type("_Loader", (yaml.SafeLoader,), {})


def _as_typed(loader: t.Any, node: t.Any) -> t.Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(_TAG, _as_typed)


def typed_answers(given: t.Iterable[t.Any], known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """By variable, what was typed, for answers that AWX wrote into files.

    ``given``: what ``-e`` was given, in its order. ``known``: the variables that Ansible made of all of it. A file that
    can't be read here, and one in which nothing is tagged, tells nothing.
    """
    found: dict[str, t.Any] = {}
    for one in given:
        if str(one).startswith(_FILE_MARK):
            found.update(_of_file(str(one)[1:]))
    # What a later -e says otherwise is not what was typed.
    return {name: value for name, value in found.items() if name in known and _reads_as(value, known[name])}


def _of_file(path: str) -> dict[str, t.Any]:
    path = os.path.expanduser(path)
    try:
        if not os.path.isfile(path):
            return {}
        with open(path, encoding="utf-8") as stream:
            text = stream.read(_MOST_BYTES)
        answers = yaml.load(text, Loader=_Loader) if _TAG in text else None  # a SafeLoader
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return answers if isinstance(answers, dict) else {}


def _reads_as(typed: t.Any, known: t.Any) -> bool:
    """Whether Ansible's value is what the typed one is read as without its quotes."""
    if isinstance(typed, str):
        return bool(typed == known or _plain(typed) == known)
    if isinstance(typed, list) and isinstance(known, list):
        return len(typed) == len(known) and all(map(_reads_as, typed, known))
    return bool(typed == known)


def _plain(text: str) -> t.Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(yaml.ScalarNode(loader.resolve(yaml.ScalarNode, text, (True, False)), text))
    except (ValueError, yaml.YAMLError):
        return text


__all__ = ("typed_answers",)
