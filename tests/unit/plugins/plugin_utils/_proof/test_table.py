# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table: right, in ASCII, and no wider than a job's log, whatever the members are called."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import table
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils import proof_samples as made
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    evaluated,
    proof_of,
    set_probe,
    some_members,
    sound,
)

PROOFS = {**made.samples(), **evaluated(), **{f"{size}-members": made.make_proof(size) for size in range(8, 14)}}
PROOFS["cut"] = made.make_proof(9, "a-name-of-23-characte-{}")
PROOFS["long-50"] = made.long_names(50)
PROOFS["away-long"] = made.not_probed(50)


def lines_of(name: str) -> list[str]:
    return table.proof_table(PROOFS[name])


def row(lines: t.Sequence[str], first: str) -> list[str]:
    """The words of the one row that begins so."""
    (found,) = [line for line in lines if line.split("  ")[0] == first]
    return found[len(first) :].split()


@pytest.mark.parametrize("name", PROOFS)
def test_no_line_is_wider_than_a_log_but_those_that_are_searched_for_names(name: str) -> None:
    lines = lines_of(name)
    free = ("FAILED ", "UNPROVED ", "WARNING ", "not probed: ")
    for line in lines:
        assert line.isascii() and line.isprintable()
        assert line == line.rstrip()
        is_name = line.split(" = ")[0].strip().isdigit()
        assert len(line) <= table.WIDTH or line.startswith(free) or is_name, line


def test_all_is_well() -> None:
    assert lines_of("ok-3") == [
        "etcd: PROVED - 3 members, 6 pairs accepted, every stranger refused",
        "",
        "dials           etcd-1   etcd-2   etcd-3",
        "etcd-1          -        ok       ok",
        "etcd-2          ok       -        ok",
        "etcd-3          ok       ok       -",
        "-----------------------------------------",
        "stranger        refused  refused  refused",
        "unknown CA      refused  refused  refused",
        "no certificate  refused  refused  refused",
        "days left       355      355      355",
        "stranger: a valid certificate of the members' own CA, with a common name that is not allowed",
        "CA etcd peer CA (4b650e5c): 3640 days left",
    ]


def test_one_member_dials_itself() -> None:
    lines = lines_of("ok-1")
    assert row(lines, "etcd-1") == ["ok"] and row(lines, "stranger") == ["refused"]


def test_what_is_wrong_stands_where_it_is() -> None:
    lines = lines_of("failed-5")
    assert lines[0].startswith("etcd: FAILED - ")
    assert row(lines, "etcd-3") == ["NO", "ok", "-", "ok", "ok"]
    assert row(lines, "stranger") == ["refused", "ACCEPTED", "refused", "refused", "refused"]
    assert row(lines, "unknown CA")[-1] == "unproved"
    assert "NO not accepted" in lines
    assert any(line.startswith("days left") and line.endswith("9 !      -5 !") for line in lines)
    findings = [line for line in lines if line.split(" ")[0] in ("FAILED", "UNPROVED", "WARNING")]
    assert [line.split(":")[0] for line in findings] == [
        "FAILED etcd-2",
        "FAILED etcd-1",
        "FAILED etcd-5",
        "UNPROVED etcd-5",
        "WARNING etcd-4",
    ]
    assert findings[3].endswith(" -> look for a firewall, then prove again")


def test_a_finding_without_a_remedy_has_no_arrow() -> None:
    proof = made.make_proof(3)
    made.find(proof, "warning", "x", "etcd-1", "etcd-1 is slow", "")
    assert table.proof_table(proof)[-1] == "WARNING etcd-1 is slow"


def test_signs_that_are_shown_are_told() -> None:
    assert "?? not proved" in lines_of("not-probed")
    proof = made.make_proof(3)
    for verdict, to in (("warning", "etcd-2"), ("failed", "etcd-3")):
        made.set_pairs(proof, "member", lambda _, target, to=to: target == to, verdict=verdict)  # type: ignore[misc]
    lines = table.proof_table(proof)
    assert row(lines, "etcd-1") == ["-", "ok*", "NO"]
    assert "ok* accepted with a warning, NO not accepted" in lines


def test_who_was_not_probed_and_why() -> None:
    assert "not probed: etcd-3: unreachable by SSH" in lines_of("not-probed")
    proof = made.not_probed()
    proof["members"][-1]["problem"] = None
    assert "not probed: etcd-3: no reason known" in table.proof_table(proof)
    assert row(lines_of("not-probed"), "days left")[-1] == "?"


def test_a_ca_has_its_own_threshold() -> None:
    proof = made.make_proof(3)
    proof["authorities"][0].update(days_left=89)
    assert table.proof_table(proof)[-1].endswith(": 89 ! days left")
    proof["authorities"][0].update(days_left=90, common_name=None)
    assert "CA (no common name) (4b650e5c): 90 days left" in table.proof_table(proof)


def test_names_that_fit_into_no_column_are_numbers_with_a_legend() -> None:
    lines = lines_of("long-names")
    assert lines[2].split() == ["dials", *map(str, range(1, 8))]
    full = [line for line in lines if " = " in line]
    assert full[6].strip() == "7 = " + PROOFS["long-names"]["members"][6]["name"]
    # Shorter ones are the legend themselves.
    proof = made.make_proof(7, "member-number-{}")
    lines = table.proof_table(proof)
    assert lines[9].split()[:2] == ["7", "member-number-7"] and not any(" = " in line for line in lines)


def test_a_matrix_that_does_not_fit_is_none() -> None:
    first = [lines_of(f"{size}-members")[2].split()[0] for size in range(8, 14)]
    assert first == ["dials"] * 2 + ["member"] * 4
    # A name that had to be cut is told in full there too.
    lines = lines_of("cut")
    assert lines[3].split()[1] == "a-name-of-...haracte-1"
    assert "  1 = a-name-of-23-characte-1" in lines


def test_a_large_cluster_has_a_line_for_each_member() -> None:
    lines = lines_of("failed-50")
    assert lines[2].split("  ")[0] == "member"
    assert [line.split()[1] for line in lines[3:53]] == [f"etcd-{number:02}" for number in range(1, 51)]
    cells = [cell.strip() for cell in lines[4].split("  ") if cell.strip()]
    assert cells == ["2 etcd-02", "49 of 49", "49 of 49", "0 of 49", "49 of 49", "49 of 49", "355"]
    assert "  ACCEPTED stranger to etcd-02 from etcd-01, etcd-03, etcd-04 and 46 more (accepted)" in lines
    assert "  NO member to etcd-01 from etcd-03 (common_name)" in lines
    assert not any("not as it must be" in line for line in lines_of("13-members"))


def test_one_host_that_is_away_is_one_line_for_each_case() -> None:
    lines = lines_of("away-long")
    away = [line for line in lines if line.endswith("(host_not_in_run)")]
    assert len(away) == 8
    assert away[0] == "  ?? member from etcd-50 to etcd-01, etcd-02, etcd-03 and 46 more (host_not_in_run)"


def test_details_end_somewhere() -> None:
    proof = made.make_proof(13)
    for number, pair in enumerate(proof["pairs"]):
        pair.update(verdict="failed", outcome="refused", reason=f"reason_{number}")
    lines = table.proof_table(proof)
    details = lines[lines.index("not as it must be:") + 1 :]
    assert len(details) == 42 and details[40] == "  and 584 lines more, which are in the proof"


def test_text_of_others_can_t_write_into_the_terminal() -> None:
    text = "\n".join(lines_of("hostile"))
    assert "\x1b" not in text and "\\x1b[31m" in text and "\\xe9" in text


def test_who_refuses_all_that_called_is_not_unproved_for_a_host_that_is_away() -> None:
    members = some_members(3)
    results = sound(members)
    del results["etcd-3"]
    for source in ("etcd-1", "etcd-2"):
        for case in ("member", "stranger", "unknown_ca", "no_certificate"):
            set_probe(results, source, "etcd-3", case, "timed_out", "connect")
    lines = table.proof_table(proof_of(members, results, {"etcd-3": "unreachable"}))
    assert lines[0].startswith("blue: PARTLY PROVED")
    for case in ("stranger", "unknown CA", "no certificate"):
        # Of the one that is away nothing is known.
        assert row(lines, case)[-3:] == ["refused", "refused", "unproved"]
    assert row(lines, "etcd-3")[-3:] == ["??", "??", "-"]


@pytest.mark.parametrize("without", [[], ["strangers"], ["absent_hosts", "strangers"]])
def test_a_proof_with_holes_that_passes_says_so(without: list[str]) -> None:
    members = some_members(3)
    results = sound(members)
    del results["etcd-3"]
    last = table.proof_table(proof_of(members, results, without=without, away=["etcd-3"]))[-1]
    said = last == "passed without what was not to be shown: absent hosts, strangers (etcd_peer_tls_verify_without)"
    assert said is ("absent_hosts" in without)
    assert "passed" not in " ".join(table.proof_table(proof_of(members, sound(members), without=without)))
