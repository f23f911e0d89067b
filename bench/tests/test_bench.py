# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bench's own reckoning: medians, growth, limits, tables, layouts, counts. Nothing is timed here."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

_BENCH = pathlib.Path(__file__).resolve().parents[1]
_TESTS = _BENCH.parent / "tests"
sys.path[:0] = [str(_BENCH), str(_TESTS), str(_TESTS / "lab")]

from ringfence_bench import counter, figures, layout, limits, main, meter, report, runs, sizes, turns  # noqa: E402
from ringfence_bench.figures import Counts, Run  # noqa: E402
from ringfence_bench.ground import read_events  # noqa: E402
from runner.cores import NEWEST  # noqa: E402
from runner.places import Venv  # noqa: E402


def made(seconds: float, **steps: float) -> Run:
    return Run(seconds, seconds / 2, steps=tuple(steps.items()))


# --------------------------------------------------------------------------- figures
def test_a_median_is_not_moved_by_one_slow_run() -> None:
    assert figures.wall([made(1), made(90), made(2)]) == 2
    assert figures.cpu([made(1), made(90), made(2)]) == 1


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_is_the_power_with_which_a_cost_grows(power: int) -> None:
    hosts = (9, 30, 90)
    assert figures.exponent(hosts, [0.3 * size**power for size in hosts]) == pytest.approx(power)


def test_tasks_of_one_name_count_together() -> None:
    run = Run(1, 1, steps=(("look", 1.0), ("write", 2.0), ("look", 3.0)))
    assert figures.step_costs([run]) == {"look": 4.0, "write": 2.0}


def test_the_steepest_step_is_found_by_its_growth_and_not_by_its_size() -> None:
    by_size = {size: [made(1, flat=50.0, square=0.01 * size**2, linear=1.0 * size)] for size in (9, 30, 90)}
    name, power = figures.steepest_step(by_size, 0.02)
    assert (name, round(power, 6)) == ("square", 2)


def test_a_step_that_takes_next_to_nothing_is_not_judged() -> None:
    by_size = {size: [made(1, noise=0.000001 * size**2, linear=1.0 * size)] for size in (9, 30, 90)}
    assert figures.steepest_step(by_size, 0.02)[0] == "linear"


# --------------------------------------------------------------------------- limits and report
def test_a_figure_on_its_bound_passes_and_one_beyond_fails() -> None:
    found = {"unchanged_to_community": 0.25, "unchanged_to_ping": 1.61, "cpu_a_host_90": 0.84}
    verdicts = {verdict.limit.key: verdict.passed for verdict in limits.evaluate(found, {})}
    assert verdicts == {"unchanged_to_community": True, "unchanged_to_ping": False, "cpu_a_host_90": False}


def test_only_what_was_measured_is_judged_and_a_mistyped_key_is_an_error() -> None:
    assert limits.evaluate({}, {}) == []
    with pytest.raises(KeyError):
        limits.evaluate({"unchanged_to_pong": 1}, {})


def test_every_limit_of_the_issue_is_in_the_table() -> None:
    most = {limit.key: limit.most for limit in limits.LIMITS}
    assert (most["unchanged_to_community"], most["unchanged_to_ping"], most["proved_to_ping"]) == (0.25, 1.6, 1.8)
    assert (most["unchanged_to_ping_90"], most["kb_a_host"]) == (2, 150)
    assert (most["round_trips"], most["issue_to_bare"], most["cpu_a_host_90"]) == (5, 1.5, 1.15)


def test_bytes_are_the_hosts_and_not_the_runs() -> None:
    runs = [Run(1, 1, sent_bytes=900_000), Run(1, 1, sent_bytes=450_000), Run(1, 1, sent_bytes=90_000_000)]
    assert figures.kb_a_host(runs, 3) == 300


def test_the_report_ends_with_the_runners_kind_of_line() -> None:
    verdicts = limits.evaluate({"round_trips": 4, "unchanged_to_ping": 4.083}, {"unchanged_to_ping": "why"})
    table = report.Table("Runs", ("who", "seconds"), [("mine", "1.00"), ("theirs", "12.00")], ["a note"])
    text = report.as_text(["fact"], [table], verdicts)
    assert text.startswith("fact\n\nRuns\n  who     seconds\n  mine       1.00\n  theirs    12.00\na note\n")
    assert "one ping: why\n" in text
    assert "4.08  <= 1.6   FAILED" in text
    assert text.endswith("\n1 passed, 1 failed\n")


def test_the_json_has_no_infinite_numbers() -> None:
    verdicts = limits.evaluate({"round_trips": 4}, {})
    found = json.loads(report.as_json([], {"runs": {"a": [1]}}, verdicts))
    assert found["limits"][0]["least"] is None
    assert found["runs"] == {"runs": {"a": [1]}}


def test_bounds_on_both_sides_are_shown() -> None:
    assert [report.bounds(v) for v in limits.evaluate({"round_trips": 4, "cpu_a_host_90": 1}, {})] == [
        "<= 5",
        "0.85 to 1.15",
    ]


# --------------------------------------------------------------------------- turns, meter, counter
def test_contestants_take_turns_and_the_warm_up_is_not_kept() -> None:
    order: list[str] = []

    def contestant(name: str) -> int:
        order.append(name)
        return len(order)

    found = turns.take_turns({n: lambda n=n: contestant(n) for n in "ab"}, 2, lambda text: None)  # type: ignore[misc]
    assert "".join(order) == "ababab"
    assert found == {"a": [3, 5], "b": [4, 6]}


def test_the_loopback_is_not_the_network() -> None:
    text = (
        "Inter-|   Receive  |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier\n"
        "    lo: 700 1 0 0 0 0 0 0 700 1 0 0 0 0 0 0\n"
        "  eth0: 100 1 0 0 0 0 0 0 4200 1 0 0 0 0 0 0\n"
    )
    assert meter.sent_bytes(text) == 4200


def test_the_meter_tells_how_a_command_ended(tmp_path: pathlib.Path) -> None:
    result = tmp_path / "result.json"
    words = [sys.executable, "-c", "print('said'); raise SystemExit(3)"]
    assert meter.main([str(result), str(tmp_path / "log"), *words]) == 1
    found = json.loads(result.read_text())
    assert found["returncode"] == 3
    assert found["cpu_seconds"] > 0
    assert (tmp_path / "log").read_text() == "said\n"


def events(*lines: dict[str, object]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_events_are_counted_by_host_and_the_controllers_apart() -> None:
    counts = read_events(
        events(
            {"kind": "module", "host": "a", "name": "ping", "transport": "ssh"},
            {"kind": "round_trip", "host": "a", "bytes": 10},
            {"kind": "round_trip", "host": "a", "bytes": 5},
            {"kind": "round_trip", "host": "b", "bytes": 1},
            {"kind": "module", "host": "b", "name": "etcd_ca", "transport": "local"},
            {"kind": "fork", "host": "a", "private_kib": 2048},
            {"kind": "fork", "host": "b", "private_kib": 1024},
        )
    )
    assert counts == Counts({"a": 1}, 1, {"a": 2, "b": 1}, 16, 2.0)
    assert counts.most_round_trips == 2


def test_a_miscount_is_seen() -> None:
    known = counter.Known("ping", "ping", 1, 0, 1)
    assert counter.miscounts(known, Counts({"a": 1, "b": 1}, 0, {"a": 1, "b": 1}, 9, 1.0), 2) == 0
    assert counter.miscounts(known, Counts({"a": 1}, 0, {"a": 1, "b": 2}, 9, 1.0), 2) == 2


# --------------------------------------------------------------------------- what is compared
def test_the_two_deployments_may_differ_in_their_places_only() -> None:
    role = ["/usr/bin/etcd", "--listen-peer-urls=https://10.0.0.1:2380", "--data-dir=/var/lib/etcd/etcd"]
    community = ["/usr/bin/etcd", "--listen-peer-urls=https://10.0.0.1:12380", "--data-dir=/var/lib/etcd/community"]
    assert runs.differing(role, community) == []
    assert runs.differing([*role, "--client-cert-auth=true"], community) == ["--client-cert-auth=true"]


def test_members_that_share_a_machine_share_nothing_else() -> None:
    clusters = layout.trios(30, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    seats = [seat for cluster in clusters.values() for seat in cluster]
    assert len(seats) == 90
    for key in ("etcd_peer_tls_unit", "etcd_peer_tls_data_dir", "etcd_peer_tls_directory", "etcd_peer_tls_peer_port"):
        assert len({seat.variables()[key] for seat in seats}) == 90
    ports = [seat.variables()[f"etcd_peer_tls_{kind}_port"] for seat in seats for kind in ("peer", "client")]
    assert len(set(ports)) == 180
    assert all(len({seat.machine for seat in cluster}) == 3 for cluster in clusters.values())


def test_in_a_crowd_each_member_has_an_address_and_vouches_for_its_machines() -> None:
    (seats,) = layout.crowd(50, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], 10).values()
    assert len({seat.address for seat in seats}) == 50
    assert seats[0].address == "10.0.0.110"
    assert seats[-1].address == "10.0.0.159"
    assert seats[1].variables()["etcd_peer_tls_extra_sans"] == ["10.0.0.2"]


def test_a_smaller_inventory_is_a_part_of_the_larger_one() -> None:
    machines = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    small, large = (
        json.loads(layout.inventory(layout.trios(count, machines), {"ansible_user": "root"}, "/ca"))["all"]
        for count in (1, 30)
    )
    group = small["children"]["members"]["children"]["trio01"]
    assert group == large["children"]["members"]["children"]["trio01"]
    assert group["vars"]["etcd_peer_tls_ca_directory"] == "/ca/trio01"


def test_members_to_issue_for_have_names_and_addresses_of_their_own() -> None:
    members = layout.issue_members(1000)
    assert len({member["common_name"] for member in members}) == 1000
    assert len({member["ip_addresses"][0] for member in members}) == 1000


def test_memory_by_fork_counts_the_main_process_once() -> None:
    assert sizes.memory_a_fork(100, 20, 90) == 40
    assert sizes.memory_a_fork(60, 20, 3) == 40


# --------------------------------------------------------------------------- the command line
def test_quick_is_one_round_and_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.parse([]).repetitions == 5
    assert main.parse(["--quick", "--only", "runs"]).repetitions == 1
    with pytest.raises(SystemExit):
        main.parse(["--repetitions", "0"])
    assert "at least one" in capsys.readouterr().err


def test_what_is_compared_with_is_pinned() -> None:
    python = main.Python("3.13", "3.13.0", "/usr/bin/python3", True)
    pins = Venv("bench", python, NEWEST, main.REQUIREMENTS).pins()
    assert [pin.partition("==")[0] for pin in pins] == ["ansible-core", "ansible", "cryptography"]
    assert all("==" in pin for pin in pins)
