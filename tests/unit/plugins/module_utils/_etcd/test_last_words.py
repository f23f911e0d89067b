# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What real etcds wrote (last_words.json, made by last_words_maker.py), and what is told of it."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from hypothesis import given
from hypothesis import strategies as st

SAID: dict[str, dict[str, list[str]]] = json.loads(pathlib.Path(__file__).with_name("last_words.json").read_text())

REPORTED = {
    "unknown flag": r"flag provided but not defined: -no-such-flag",
    "bad value": r'invalid value "fast" for flag -heartbeat-interval: parse error',
    "bad boolean": r'invalid boolean value "maybe" for -peer-client-cert-auth: parse error',
    "heartbeat": r".*--election-timeout\[1000ms\] should be at least as 5 times as --heartbeat-interval\[2000ms\].*",
    "election": r".*--election-timeout\[60000ms\] (is too long|should be at least as 5 times as).*",
    "port in use": r"listen tcp 127\.0\.0\.1:\d+: bind: address already in use",
    "no such address": r"listen tcp 192\.0\.2\.1:2379: bind: cannot assign requested address",
    # 3.4 tells no more.
    "permission denied": r".*(open|mkdir) /tmp/etcd/f/data: permission denied|error listing data dir: /tmp/etcd/f/data",
    "no certificate": r"open /nonexistent/peer\.crt: no such file or directory",
    "no CA": r"open /nonexistent/ca\.crt: no such file or directory",
    "damaged CA": r"x509: malformed certificate",
    "key of another certificate": r"tls: private key does not match public key",
    # 3.4 has no such flag.
    "cipher suites with TLS 1.3": r"cipher suites cannot be configured when only TLS1\.3 is .*|.*: -tls-min-version",
    "no such cipher suite": r'unexpected TLS cipher suite "TLS_BEST"',
    "name not in the cluster": r'couldn\'t find local name "etcd-1" in the initial cluster configuration',
    "flag and environment": r"conflicting environment variable .*ETCD_NAME.*",
    "damaged WAL": r".*(crc mismatch|proto: |unexpected EOF).* \(the member's data is damaged: .*\)",
    "damaged database": r".*(invalid database|file is not valid).* \(the member's data is damaged: .*\)",
    "not added to the cluster": r"error validating peerURLs: member count is unequal",
    "disk full": r".*: no space left on device.* \(make room on the disk of its data folder\)",
    "invalid downgrade": r'(invalid downgrade|cluster cannot|version "3\.7\.0" is not).* \(its data is of a newer .*\)',
}
CASES = [(version, case) for version in sorted(SAID) for case in sorted(SAID[version])]


@pytest.mark.parametrize(("version", "case"), CASES)
def test_the_cause_in_etcds_own_words(version: str, case: str) -> None:
    cause = cause_of(SAID[version][case])
    assert cause is not None and re.fullmatch(REPORTED[case], cause), cause
    assert "goroutine" not in cause and "stacktrace" not in cause and ".go:" not in cause


def test_every_case_was_produced() -> None:
    assert {case for cases in SAID.values() for case in cases} == set(REPORTED)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], None),
        (["", "Usage:", "{", "{}", '{"level":"fatal"}', '{"level":"fatal","msg":7}', "[1]", '{"a":'], None),
        (['{"level":"warn","msg":"prober found high clock drift","error":"x"}'], None),
        # etcd 3.6 when it is told to stop.
        (['{"level":"error","msg":"setting up serving failed.","error":"http: Server closed"}'], None),
        # A fatal one, and what came behind it.
        (['{"level":"error","msg":"a"}', '{"level":"fatal","msg":"b"}', '{"level":"error","msg":"c"}'], "b"),
        # No fatal one: the nearest to the end.
        (['{"level":"error","msg":"a"}', '{"level":"error","msg":"c"}'], "c"),
        (
            ["etcd.service: Failed to execute /x/etcd: Exec format error"],
            "Failed to execute /x/etcd: Exec format error",
        ),
        (
            ["etcd.service: Failed at step EXEC spawning /x/etcd: No such file or directory"],
            "Failed at step EXEC spawning /x/etcd: No such file or directory",
        ),
        (
            ["A process of this unit has been killed by the OOM killer.", '{"level":"error","msg":"etcd says"}'],
            "etcd says",
        ),
        (["fatal error: out of memory", "goroutine 1 [running]:"], "fatal error: out of memory"),
        (
            ["panic: tocommit(8) is out of range [lastIndex(0)]", "goroutine 1 [running]:"],
            "tocommit(8) is out of range",
        ),
        (['{"level":"fatal","msg":"' + "x" * 5000 + '"}'], "x" * 300 + "..."),
        (['{"level":"fatal","msg":"two\\nlines","error":"and\\ttabs"}'], "two lines: and tabs"),
        (['{"level":"fatal","msg":"m","error":{"not":"text"},"path":"/p","n":3,"deep":[1]}'], "m (path: /p, n: 3)"),
    ],
)
def test_lines_by_rank(lines: list[str], cause: str | None) -> None:
    found = cause_of(lines)
    assert found == cause or (cause is not None and found is not None and found.startswith(cause + " ["))


def test_a_deep_line_is_no_end() -> None:
    """What a node's log holds is anybody's."""
    assert cause_of(["{" * 100_000, '{"a":' * 50_000, '{"level":"fatal","msg":' + "[" * 100_000]) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["level", "msg", "error", "ts", "path", "stacktrace"])
LINES = (
    st.text(max_size=60)
    | st.dictionaries(FIELDS, JSON | st.sampled_from(["fatal", "error", "failed to start etcd"])).map(json.dumps)
    | st.sampled_from([line for cases in SAID.values() for lines in cases.values() for line in lines])
)


@given(st.lists(LINES, max_size=6))
def test_any_log_gives_one_line_or_none(lines: list[str]) -> None:
    found = cause_of(lines)
    assert found is None or (found == " ".join(found.split()) and len(found) < 600)
