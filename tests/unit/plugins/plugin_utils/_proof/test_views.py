# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What table, page and metrics share: a hole is never a success, and no text moves a cursor."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import views
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import at, certificate
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_samples import HOSTILE, make_proof

LIMITS = {"warn_days": 14, "fail_days": 2, "ca_warn_days": 90}


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "warning"], "warning"),
        (["warning", "unproved", "ok"], "unproved"),
        (["unproved", "failed"], "failed"),
        ([], "unproved"),
        (["ok", "splendid"], "unproved"),
    ],
)
def test_the_worst_verdict(verdicts: list[str], worst: str) -> None:
    assert views.worst(verdicts) == worst


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_all_pairs_are_there(size: int) -> None:
    proof = make_proof(size)
    found = views.pairs_of(proof)
    assert len(found) == len(proof["pairs"]) == 4 * max(size * (size - 1), 1)
    assert {pair["verdict"] for pair in found.values()} == {"ok"}


def test_what_the_document_lacks_is_not_proved() -> None:
    proof = make_proof(3)
    gone = proof["pairs"].pop(7)
    pair = views.pairs_of(proof)[gone["from"], gone["to"], gone["case"]]
    assert (pair["verdict"], pair["outcome"], pair["text"]) == ("unproved", "not_probed", "not in the proof")


def test_of_a_pair_that_is_there_twice_the_worse_counts() -> None:
    for first, second in (("ok", "failed"), ("failed", "ok")):
        proof = make_proof(2)
        proof["pairs"][0]["verdict"] = first
        proof["pairs"].append({**proof["pairs"][0], "verdict": second})
        assert views.pairs_of(proof)["etcd-1", "etcd-2", "member"]["verdict"] == "failed"


def test_who_dials_whom() -> None:
    assert views.diallers_of("b", ["a", "b", "c"]) == ["a", "c"]
    assert views.diallers_of("a", ["a"]) == ["a"]


def test_times_are_utc() -> None:
    assert views.instant("2026-11-24T09:00:00Z") == datetime.datetime(2026, 11, 24, 9, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("begins", "ends", "leaf", "ca"),
    [
        (-10, 90, "ok", "ok"),
        (-10, 89, "ok", "warning"),
        (-10, 14, "ok", "warning"),
        (-10, 13, "warning", "warning"),
        (-10, 2, "warning", "warning"),
        (-10, 1, "failed", "failed"),
        (-10, -1, "failed", "failed"),
        (1, 300, "failed", "failed"),
    ],
)
def test_dates_are_judged_as_the_checks_do(begins: int, ends: int, leaf: str, ca: str) -> None:
    proof = {"time": at(0), "thresholds": LIMITS}
    found = certificate("x", begins, ends)
    assert views.life_verdict(found, proof) == leaf
    assert views.life_verdict(found, proof, is_authority=True) == ca


@pytest.mark.parametrize(
    ("subject", "text", "line"),
    [
        ("etcd-1", "etcd-1 refuses etcd-2", "etcd-1 refuses etcd-2"),
        ("etcd-1", "etcd-10 refuses etcd-1", "etcd-1: etcd-10 refuses etcd-1"),
        ("etcd-1, etcd-2", "old", "etcd-1, etcd-2: old"),
    ],
)
def test_a_finding_names_whom_it_is_about_once(subject: str, text: str, line: str) -> None:
    assert "".join(views.split_finding({"subject": subject, "text": text})) == line


def test_a_certificate_may_have_no_common_name() -> None:
    found: dict[str, t.Any] = {"common_name": None, "issuer_common_name": "CA"}
    assert views.common_name_of(found) == "(no common name)"
    assert views.common_name_of(found, "issuer_common_name") == "CA"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain é", "plain é"),
        ("a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        ("\ud800", "\\ud800"),
        (7, "7"),
    ],
)
def test_what_moves_a_cursor_is_made_visible(text: object, line: str) -> None:
    assert views.one_line(text) == line
    assert views.one_line(HOSTILE).isprintable()


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short", 5, "short"),
        ("etcd-member-07", 10, "etcd...-07"),
        ("abcdefgh", 4, "a...h"),
    ],
)
def test_of_a_long_name_both_ends_stay(text: str, width: int, cut: str) -> None:
    assert views.cut_middle(text, width) == cut
