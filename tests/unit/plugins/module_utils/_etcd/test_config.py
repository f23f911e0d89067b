# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config

# As etcd's own example of a configuration file is written, shortened.
SAMPLE = """# This is the configuration file for the etcd server.

# Human-readable name for this member.
name: 'default'

# Path to the data directory.
data-dir:

# Number of committed transactions to trigger a snapshot to disk.
snapshot-count: 10000

# List of comma separated URLs to listen on for peer traffic.
listen-peer-urls: http://localhost:2380

client-transport-security:
  # Path to the client server TLS cert file.
  cert-file: /etc/etcd/server.crt

  # Enable client cert authentication.
  client-cert-auth: false

log-outputs: [stderr]

cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
"""


def test_etcds_own_example() -> None:
    assert parse_config(SAMPLE) == {
        "name": "default",
        "data-dir": None,
        "snapshot-count": "10000",
        "listen-peer-urls": "http://localhost:2380",
        "client-transport-security": {"cert-file": "/etc/etcd/server.crt", "client-cert-auth": "false"},
        "log-outputs": ["stderr"],
        "cipher-suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("---\nname: a\n", {"name": "a"}),
        ("name: a\r\ndata-dir: /d\r\n", {"name": "a", "data-dir": "/d"}),
        ("name : a", {"name": "a"}),
        ('"data-dir": "/d e" # there\n', {"data-dir": "/d e"}),
        ("'data-dir': '/it''s'", {"data-dir": "/it's"}),
        # etcd takes a name in any case.
        ("Data-Dir: /d", {"data-dir": "/d"}),
        ("data-dir: /d#e # f", {"data-dir": "/d#e"}),
        ("data-dir: # nothing", {"data-dir": None}),
        ("data-dir: ~", {"data-dir": None}),
        ("data-dir: ''", {"data-dir": ""}),
        ("urls:\n- a\n- 'b: c'\nname: x", {"urls": ["a", "b: c"], "name": "x"}),
        ("urls:\n  - a\n  - b\n", {"urls": ["a", "b"]}),
        # As the list of allowed common names is written.
        ("p:\n  cn:\n    - a\n    - b,c\n  ca: /x\nq: 1", {"p": {"cn": ["a", "b,c"], "ca": "/x"}, "q": "1"}),
        ("p:\n  cn:\n  - a\n  - b\n  ca: /x\n", {"p": {"cn": ["a", "b"], "ca": "/x"}}),
        ("p:\n  ca: /x\n  cn:\n  - a\nq:\n- b\n", {"p": {"ca": "/x", "cn": ["a"]}, "q": ["b"]}),
        ('p:\n  cn: ["a", "b c,d"]\n', {"p": {"cn": ["a", "b c,d"]}}),
        ("p:\n  cn: [a, b]  # both\n", {"p": {"cn": ["a", "b"]}}),
        ("cn: [a, b,]", {"cn": ["a", "b"]}),
        ("cn: []", {"cn": []}),
        ("cn: [\n]", {"cn": []}),
    ],
)
def test_what_is_read(text: str, values: dict[str, t.Any]) -> None:
    assert parse_config(text) == values


@pytest.mark.parametrize(
    "text",
    [
        "{name: a, data-dir: /d}",
        "data-dir: {a: b}",
        "data-dir: &x /d",
        "data-dir: *x",
        "data-dir: !!str /d",
        "data-dir: |\n  /d",
        "data-dir: >-\n  /d",
        "data-dir: /d\n  /e",
        "data-dir: '/d\n/e'",
        'data-dir: "/d\\x2fe"',
        "data-dir: a: b",
        "data-dir: /a\ndata-dir: /b",
        "data-dir: /a\nDATA-DIR: /b",
        "? data-dir\n: /d",
        "<<: *x",
        "data-dir:\t/d",
        "\tdata-dir: /d",
        "name: a\n---\ndata-dir: /d",
        "name: a\n...\ndata-dir: /d",
        "%YAML 1.1\n---\nname: a",
        "cipher-suites: [a,\ndata-dir: /d]",
        "cipher-suites: [a,",
        "urls:\n- - a",
        "urls:\n- a: b",
        "- a",
        "urls:\n  a: b\n  - c",
        "urls:\n  - c\n  a: b",
        "a:\n  b: c\n   d: e",
        "a:\n  b: c\n  b: d",
        "a:\n  b:\n    c: d",
        "a:\n  b:\n    - c\n   - d",
        "a:\n  b:\n    - c\n      d",
        "a:\n  b:\n    - c\n    d: e",
        "a:\n  b: c\n  - d",
        "a:\n  b: c\n- d",
        "a: [b, , c]",
        "a: [b, ~]",
        "a: [b: c]",
        'a: ["b" "c"]',
        "a: [- b]",
        "name: a\x85data-dir: /d",
        "name: a\rdata-dir: /d",
        "\ufeffname: a",
        "name",
    ],
)
def test_what_is_not_read_for_certain(text: str) -> None:
    with pytest.raises(ValueError):
        parse_config(text)


_PIECES = (
    *("data-dir", "name", "wal-dir", "a", "'name'", '"data-dir"', ":", ": ", " :", "\n", "\n", "\n  ", "\n- ", "- "),
    *("/var/lib/etcd", "x y", "'", '"', "''", "#", " # c", "[", "]", "[a, b]", "{", "}", ",", "|", ">", "&", "*", "!"),
    *("~", "null", "true", "12", "0x1", "---", "...", "?", "\\", "%", "@", "`", "\t", "  ", "\r", "http://a:1"),
)


def test_whatever_is_read_is_what_a_whole_reader_of_yaml_reads() -> None:
    """Never another value, never a name overlooked: at most a refusal."""
    random.seed(13)
    read = 0
    for _round in range(10000):
        text = "".join(random.choices(_PIECES, k=random.randint(1, 14)))
        try:
            found = parse_config(text)
        except ValueError:
            continue
        try:
            whole = yaml.load(text, Loader=yaml.BaseLoader) or {}
        except yaml.YAMLError:
            # etcd does not start with it.
            continue
        assert isinstance(whole, dict), text
        expected = {str(key).lower(): _told(value) for key, value in whole.items()}
        assert {key: "" if value is None else value for key, value in found.items()} == expected, text
        read += 1
    # Many of those are no mappings at all: those that are read are enough to mean something.
    assert read > 150


def _told(value: t.Any) -> t.Any:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return {key.lower(): one if isinstance(one, list) else _null(one) for key, one in value.items()}
    # The loader knows no null, which is a text there.
    return _null(value) or ""


def _null(value: str) -> str | None:
    return None if value in ("", "~", "null") else value
