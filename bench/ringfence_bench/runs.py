# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hosts: the role, with and without its proof, a community.crypto playbook, one ping; unchanged, and first."""

from __future__ import annotations

import typing as t

from ringfence_bench.figures import Run, cpu, kb_a_host, median, spread, wall
from ringfence_bench.ground import Ground
from ringfence_bench.part import ROLE, WITHOUT_PROOF, Outcome, Setting
from ringfence_bench.report import Table, number

MINE, PROVED, COMMUNITY, PING = "etcd_peer_tls", "etcd_peer_tls, proof", "community.crypto", "one ping"

# Side by side on the same hosts: other ports, folders and unit than the role's.
COMMUNITY_PLACES = {
    "bench_peer_port": 12380,
    "bench_client_port": 12379,
    "bench_unit": "etcd-community.service",
    "bench_directory": "/etc/etcd-community",
    "bench_state": "etcd/community",
}
_REPLACED = (
    ("12380", "2380"),
    ("12379", "2379"),
    ("/etc/etcd-community", "/etc/etcd/pki"),
    ("/var/lib/etcd/community", "/var/lib/etcd/etcd"),
)


def differing(role: t.Iterable[str], community: t.Iterable[str]) -> list[str]:
    """Arguments that only one of two running etcds has, its places put aside."""
    other = []
    for argument in community:
        for found, meant in _REPLACED:
            argument = argument.replace(found, meant)
        other.append(argument)
    return sorted(set(role) ^ set(other))


def _arguments(ground: Ground, unit: str) -> dict[str, list[str]]:
    command = f"tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID {unit})/cmdline"
    return {host: answer.split("\n")[:-1] for host, answer in ground.on_each(command).items()}


def _bare(ground: Ground, name: str) -> None:
    if name == COMMUNITY:
        ground.bare("etcd-community", ("/etc/etcd-community", "/var/lib/etcd/community", "/var/lib/private"))
    else:
        ground.bare("etcd", ("/etc/etcd", "/var/lib/etcd/etcd"))
    ground.on_each("sync")
    # The CA goes with its cluster.
    for path in sorted((ground.folder / name.partition(",")[0]).glob("*")):
        path.unlink()


def run(setting: Setting) -> Outcome:
    """Both deployments, alternating."""
    ground, outcome = setting.ground, Outcome()
    authorities = {name: ground.folder / name for name in (MINE, COMMUNITY)}
    for folder in authorities.values():
        folder.mkdir(mode=0o700)
    inventory = ground.write("three.yml", ground.lab.inventory({"etcd": [host.name for host in ground.lab.hosts]}))
    mine = {"etcd_peer_tls_ca_directory": str(authorities[MINE])}
    variables: dict[str, dict[str, t.Any]] = {
        MINE: {**mine, **WITHOUT_PROOF},
        PROVED: mine,
        COMMUNITY: {"bench_ca_directory": str(authorities[COMMUNITY]), **COMMUNITY_PLACES},
        PING: {},
    }
    playbooks = {MINE: ROLE, PROVED: ROLE, COMMUNITY: "community-crypto.yml", PING: "ping.yml"}

    def first(name: str) -> t.Callable[[], Run]:
        def contestant() -> Run:
            _bare(ground, name)
            return ground.play(playbooks[name], inventory, variables[name], unchanged=False)

        return contestant

    def again(name: str) -> t.Callable[[], Run]:
        return lambda: ground.play(playbooks[name], inventory, variables[name])

    setting.say("first deploy, three hosts")
    deploys = setting.take_turns({name: first(name) for name in (MINE, PROVED, COMMUNITY)})
    setting.say("no changes, three hosts")
    names = (MINE, PROVED, COMMUNITY, PING)
    unchanged = setting.take_turns({name: again(name) for name in names})

    _evaluate_outcome(ground, outcome)
    base = wall(unchanged[PING])
    table = Table(
        "A run without changes, 3 hosts",
        (
            "contestant",
            "seconds",
            "least-most",
            ": ping",
            ": community",
            "CPU s",
            "modules",
            "local",
            "round trips",
            "kB sent",
        ),
    )
    for name in names:
        runs = unchanged[name]
        counts = ground.count(playbooks[name], inventory, variables[name])
        outcome.keep(f"unchanged, {name}", runs)
        outcome.keep_counts(f"unchanged, {name}", counts)
        table.rows.append(
            (
                name,
                f"{wall(runs):.2f}",
                spread([run.wall_seconds for run in runs]),
                f"{wall(runs) / base:.2f}",
                f"{wall(runs) / wall(unchanged[COMMUNITY]):.2f}",
                f"{cpu(runs):.2f}",
                number(counts.modules_a_host),
                number(counts.local_modules),
                number(counts.most_round_trips),
                f"{median(run.sent_bytes for run in runs) / 1000:.0f}",
            )
        )
        if name == PROVED:
            outcome.found["round_trips"] = counts.most_round_trips
            outcome.found["kb_a_host"] = kb_a_host(runs, len(ground.lab.hosts))
            ping = kb_a_host(unchanged[PING], len(ground.lab.hosts))
            outcome.found["kb_beyond_ping"] = outcome.found["kb_a_host"] - ping
            outcome.remarks["kb_a_host"] = f"of which one ping takes {ping:.0f}"
    table.notes.append(
        "modules: executions a host over SSH, the mean; local: on the controller, all hosts together; round trips: of "
        "the host with the most; kB sent: by the controller to all hosts, with all headers."
    )
    first_table = Table(
        "The first deploy, 3 bare hosts", ("contestant", "seconds", "least-most", ": community", "CPU s")
    )
    for name, runs in deploys.items():
        outcome.keep(f"first, {name}", runs)
        ratio = wall(runs) / wall(deploys[COMMUNITY])
        first_table.rows.append(
            (name, f"{wall(runs):.2f}", spread([run.wall_seconds for run in runs]), f"{ratio:.2f}", f"{cpu(runs):.2f}")
        )
    outcome.tables += [table, first_table]
    outcome.found["unchanged_to_community"] = wall(unchanged[MINE]) / wall(unchanged[COMMUNITY])
    outcome.found["unchanged_to_ping"] = wall(unchanged[MINE]) / base
    outcome.found["proved_to_ping"] = wall(unchanged[PROVED]) / base
    ground.bare("etcd*", ("/etc/etcd", "/etc/etcd-community", "/var/lib/etcd/*"))
    return outcome


def _evaluate_outcome(ground: Ground, outcome: Outcome) -> None:
    """Only who reaches the same may be compared: the two running etcds have the same arguments."""
    role, community = _arguments(ground, "etcd.service"), _arguments(ground, "etcd-community.service")
    different = [argument for host in role for argument in differing(role[host], community[host])]
    outcome.found["outcome"] = len(different)
    if different:
        outcome.remarks["outcome"] = different[0]
