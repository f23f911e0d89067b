# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment file, as systemd reads it."""

from __future__ import annotations

import random

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=b c  \n", {"A": "b c"}),
        ("# A=no\n; A=no\nB=1", {"B": "1"}),
        ("A=\"x y\"\nB='z'", {"A": "x y", "B": "z"}),
        ('A="x " \nB=" y"', {"A": "x ", "B": " y"}),
        # What stands in a value, quotes too, belongs to it.
        ('A=x "y" # z', {"A": 'x "y" # z'}),
        ("export A=b\nno line\nB=c", {"B": "c"}),
        ("A = b", {"A": "b"}),
        ("A='one\ntwo'\nB=c", {"A": "one\ntwo", "B": "c"}),
        ("A=one\\\ntwo", {"A": "onetwo"}),
        ('A="a\\"b\\c"', {"A": 'a"b\\c'}),
        ("A=\nB=", {"A": "", "B": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ],
)
def test_an_environment_file(text: str, values: dict[str, str]) -> None:
    assert parse_environment(text) == values


@pytest.mark.parametrize("text", ['A="x', "A='x\nB=c", "A=x\\", "# no \\\nA=x"])
def test_an_environment_file_that_is_not_read_for_certain(text: str) -> None:
    with pytest.raises(ValueError):
        parse_environment(text)


def test_an_environment_file_of_anything_ends_in_values_or_a_value_error() -> None:
    random.seed(13)
    for _round in range(5000):
        text = "".join(random.choices("AB= '\"\\#;\n\r$`\t\0x", k=random.randint(0, 30)))
        try:
            found = parse_environment(text)
        except ValueError:
            continue
        assert all(key.isidentifier() for key in found)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("ETCD_NAME=etcd-1\n", {"ETCD_NAME": "etcd-1"}),
        ("# no\n; no\n\n  A=1  \nB = 2", {"A": "1", "B": "2"}),
        ('A=\'a  b\'\nB="a \\"b\\" \\x"\nC=a\\ b\\\'', {"A": "a  b", "B": 'a "b" \\x', "C": "a b'"}),
        ("A='x'\"y\" z\nB='two\nlines'\n", {"A": "xyz", "B": "two\nlines"}),
        ('A=one\\\ntwo\nB="one\\\ntwo"\n', {"A": "onetwo", "B": "onetwo"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("export A=1\n1A=1\nnothing\n=x\nB=\n", {"B": ""}),
        ("A=it's\n", {"A": "it's"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=$B %n\n", {"A": "$B %n"}),
    ],
)
def test_parse_environment_file(text: str, variables: dict[str, str]) -> None:
    assert parse_environment(text) == variables


def test_an_environment_file_that_ends_within_quotes_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="ends within a quoted text"):
        parse_environment("A='never closed\nB=1")
