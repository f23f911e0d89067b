# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import settings_of_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_list import MARK, with_list, without_list

NAMES = ["etcd-member-1", "system:etcd peer 2", "*.etcd.example.com"]
CONFIG = """# as a guide has it
name: m1
initial-cluster: m1=https://10.0.0.1:2380
peer-transport-security:
  # the peers'
  cert-file: /etc/etcd/peer.crt
  key-file: '/etc/etcd/peer.key'
  trusted-ca-file: /etc/etcd/ca.crt
  client-cert-auth: true
client-transport-security:
  cert-file: /etc/etcd/server.crt
log-outputs: [stderr]
"""


def test_one_line_is_all_that_differs() -> None:
    made = with_list(CONFIG, NAMES)
    line = f'  allowed-cn: ["etcd-member-1", "system:etcd peer 2", "*.etcd.example.com"] {MARK}'
    assert [one for one in made.splitlines() if one not in CONFIG.splitlines()] == [line]
    assert settings_of_config(parse_config(made)).deployed["allowed_common_names"] == NAMES
    assert without_list(made) == CONFIG
    assert with_list(made, NAMES) == made


def test_another_list_takes_the_place_of_the_one_before() -> None:
    made = with_list(with_list(CONFIG, NAMES), ["a"])
    assert made.count("allowed-cn") == 1 and '["a"]' in made


@pytest.mark.parametrize(
    "text",
    [
        CONFIG.replace("\n", "\r\n"),
        CONFIG.rstrip("\n"),
        CONFIG.replace("peer-transport-security:", '"Peer-Transport-Security" :   # theirs'),
        "---\n" + CONFIG,
        re.sub(r"(?m)^  ", "      ", CONFIG),
        CONFIG.replace("log-outputs: [stderr]", "log-outputs:\n- stderr\n- /var/log/etcd"),
    ],
    ids=["windows", "no end", "quoted", "document", "deep", "list"],
)
def test_whatever_its_way_of_writing(text: str) -> None:
    made = with_list(text, NAMES)
    assert without_list(made) == text and made != text
    assert [one for one in made.split("\n") if one not in text.split("\n")] == [
        one for one in made.split("\n") if MARK in one
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: m1\n", "has no peer-transport-security"),
        ("peer-transport-security:\n", "has no peer-transport-security"),
        ("peer-transport-security: {cert-file: /c}\n", "line 1"),
        (CONFIG.replace("  client-cert-auth", "  allowed-cn: [other]\n  client-cert-auth"), "of its own"),
        (CONFIG.replace("  client-cert-auth", "  Allowed-CN:\n  client-cert-auth"), "of its own"),
        (CONFIG + "note: |\n  peer-transport-security:\n", "no plain text"),
        (CONFIG + "peer-transport-security:\n  cert-file: /d\n", "for a second time"),
        (CONFIG + "a: &b c\n", "no plain text"),
    ],
)
def test_what_is_not_known_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        with_list(text, NAMES)


@pytest.mark.parametrize("name", ["", "a,b", 'a"b', "a\\b", "a\nb", "a]b", "$a"])
def test_a_name_that_would_break_out_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be written"):
        with_list(CONFIG, ["good", name])


def test_a_line_of_somebody_else_is_left_alone() -> None:
    text = CONFIG.replace("  client-cert-auth", '  allowed-cn: ["a"] # mine\n  client-cert-auth')
    assert without_list(text) == text


def _any_config(chance: random.Random) -> str:
    """A file as etcd's are, its parts in any order, with comments and empty lines between them."""
    indent = " " * chance.randint(1, 6)
    inside = [
        f"{indent}{key}: {chance.choice(['/a b', 'true', chr(39) + '/x' + chr(39), '~'])}"
        for key in ("cert-file", "key-file")
    ]
    chance.shuffle(inside)
    blocks = [
        ["peer-transport-security:", *inside],
        ["client-transport-security:", f"{indent}allowed-cn: [x, y]"],
        ["name: m1"],
        ["log-outputs: [a,", "  b]"],
        ["cors:", "- a", "- 'b # c'"],
        ['discovery: "peer-transport-security:"'],
    ]
    chance.shuffle(blocks)
    lines = [line for block in blocks[: chance.randint(1, 6)] for line in block]
    if "peer-transport-security:" not in lines:
        lines += blocks[[block[0] for block in blocks].index("peer-transport-security:")]
    for _number in range(chance.randint(0, 4)):
        place = chance.randint(0, len(lines))
        # Within a list of several lines a comment is none that the reader knows.
        if place == 0 or not lines[place - 1].startswith("log-outputs"):
            lines.insert(place, chance.choice(["", "# peer-transport-security:", indent + "# b", "   "]))
    return chance.choice(["\n", "\r\n"]).join([*lines, ""])


@pytest.mark.parametrize("seed", range(300))
def test_nothing_else_is_read_otherwise(seed: int) -> None:
    text = _any_config(random.Random(seed))
    before, made = parse_config(text), with_list(text, NAMES)
    after = parse_config(made)
    section = after["peer-transport-security"]
    assert isinstance(section, dict) and section.pop("allowed-cn") == NAMES
    assert after == before and without_list(made) == text
