# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: which parts, how often; then the report and the verdict."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import sys
import time
import typing as t

from ringfence_lab import surroundings, system
from ringfence_lab.errors import LabError
from ringfence_lab.lab import Lab
from runner import trees
from runner.cores import NEWEST
from runner.machine import MachineError, Python, need_command, need_packages, whole_pythons
from runner.places import Places, Venv, stage

from ringfence_bench import counter, issuing, proofs, report, runs, sizes
from ringfence_bench.ground import FORKS, BenchError, Ground
from ringfence_bench.limits import evaluate
from ringfence_bench.part import Outcome, Setting

PARTS: dict[str, t.Callable[[Setting], Outcome]] = {
    "counter": counter.run,
    "runs": runs.run,
    "issuing": issuing.run,
    "sizes": sizes.run,
    "proofs": proofs.run,
}
REPETITIONS = 5
MACHINES = 3
REQUIREMENTS = ("bench", "cryptography-newest")


def parse(arguments: t.Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure the collection against its alternatives.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="this part alone; may be given again")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help=f"rounds, {REPETITIONS} without it")
    parser.add_argument(
        "--quick", action="store_true", help="one round, not warmed up: does it work? Its figures say little"
    )
    parser.add_argument("--lab", metavar="NAME", default=os.environ.get("RINGFENCE_LAB_NAME"), help="the lab's name")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repetitions = 1
    if options.repetitions < 1:
        parser.error("--repetitions: at least one")
    return options


def find_python() -> Python:
    """One that runs the newest ansible-core: of this machine, or of a Debian tree."""
    found = whole_pythons()
    for version in NEWEST.pythons:
        if version in found:
            return found[version]
    return trees.python_from_tree(next(version for version in NEWEST.pythons if version in trees.TREES))


def _command(words: t.Sequence[str]) -> str:
    """For installing: what was printed, or one line on why not."""
    return system.run(words, timeout_seconds=1800).stdout


def facts(ground: Ground, repetitions: int) -> list[str]:
    """What was measured with what."""
    question = (
        "import importlib.metadata as m, json, pathlib, ansible_collections.community.crypto as c\n"
        "version = lambda name: m.version(name)\n"
        "manifest = pathlib.Path(list(c.__path__)[0], 'MANIFEST.json')\n"
        "crypto = json.loads(manifest.read_text())['collection_info']['version']\n"
        "print(json.dumps([version('ansible-core'), version('ansible'), crypto, version('cryptography')]))\n"
    )
    venv = ground.venv
    python = str(venv.bin(ground.places) / "python")
    answer = system.run([*venv.python.enter, python, "-c", question], environment=ground.environment).stdout
    core, package, crypto, cryptography = json.loads(answer)
    openssl = system.run([*venv.python.enter, "openssl", "version"]).stdout.split()[1]
    return [
        f"ringfence.etcd bench, {time.strftime('%Y-%m-%d %H:%M')}: medians of {repetitions}, contestants taking turns",
        f"ansible-core {core} on Python {venv.python.full}, {FORKS} forks, pipelining; community.crypto {crypto} (of "
        f"ansible {package}), cryptography {cryptography}, openssl {openssl}",
        f"{len(ground.lab.hosts)} lab hosts, Debian {ground.lab.release}, etcd {ground.lab.etcd_version}; machine: "
        f"{os.cpu_count()} cores, Linux {platform.release()}",
    ]


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)


def main(arguments: t.Sequence[str]) -> int:
    """Measure; return 0 where every limit is reached."""
    options = parse(arguments)
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        return _measure(options)
    except (BenchError, LabError, MachineError) as exc:
        print(f"bench/run: {exc}", file=sys.stderr)
        return 1


def _measure(options: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise MachineError("the bench boots hosts of its own and needs root for that: run it with sudo")
    need_command("git", "git")
    need_command("openssl", "openssl")
    need_packages(lambda: surroundings.missing_packages().values())
    surroundings.check_machine()
    places = Places()
    places.prepare()
    venv = Venv("bench", find_python(), NEWEST, REQUIREMENTS)
    system.say(f"{venv.make(places, _command)}; {places.cache}")
    root = stage(places, "bench")
    lab = Lab(options.lab or f"{places.short_name}-bench", hosts=MACHINES)
    outcomes: dict[str, Outcome] = {}
    with contextlib.ExitStack() as end:
        if not options.keep:
            end.callback(lab.down)
        lab.up()
        ground = Ground(lab, places, venv, root, places.logs / "bench")
        ground.prepare()
        heading = facts(ground, options.repetitions)
        print("\n".join(heading), flush=True)
        setting = Setting(ground, options.repetitions, system.say, warm_up=not options.quick)
        for name in options.only or PARTS:
            system.say(f"part {name}")
            outcomes[name] = PARTS[name](setting)
            for table in outcomes[name].tables:
                print("", *table.lines(), sep="\n", flush=True)
    return _conclude(heading, outcomes, places)


def _conclude(heading: list[str], outcomes: t.Mapping[str, Outcome], places: Places) -> int:
    found = {key: value for outcome in outcomes.values() for key, value in outcome.found.items()}
    remarks = {key: value for outcome in outcomes.values() for key, value in outcome.remarks.items()}
    verdicts = evaluate(found, remarks)
    tables = [table for outcome in outcomes.values() for table in outcome.tables]
    text = report.as_text(heading, tables, verdicts)
    everything = report.as_json(heading, {name: outcome.raw for name, outcome in outcomes.items()}, verdicts)
    kept = [places.logs, *(pathlib.Path(folder) for folder in [os.environ.get("RINGFENCE_RESULTS")] if folder)]
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench-results.txt").write_text(text, encoding="utf-8")
        (folder / "bench-results.json").write_text(everything, encoding="utf-8")
    print(f"\n{text}\nkept as bench-results.txt and bench-results.json: {kept[-1]}")
    print(report.counts(verdicts), flush=True)
    return 0 if all(verdict.passed for verdict in verdicts) else 1
