# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for 1, 10, 100 and 1000 members: the collection's one module call against its alternatives."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

from runner.places import staging_root

from ringfence_bench import layout
from ringfence_bench.figures import Run, wall
from ringfence_bench.ground import Ground
from ringfence_bench.part import Outcome, Setting
from ringfence_bench.report import Table

SIZES = (1, 10, 100, 1000)
COMMUNITY_MOST = 100
"""Members up to which community.crypto is measured; 3000 modules would take half an hour a round."""
START = "one module start"
MODULE, PLAYBOOK = "etcd_peer_certificates, process", "etcd_peer_certificates, playbook"
BARE, OPENSSL, COMMUNITY = "bare cryptography", "openssl shell loop", "community.crypto, playbook"
ONCE_FROM = {COMMUNITY: 100, OPENSSL: 1000}
"""Members from which on a contestant is measured in one round alone, because that takes a minute or so."""
_MODULE_NAME = "ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_certificates"


def module_arguments(count: int, authority: pathlib.Path) -> str:
    """What a module reads, and bare.py too."""
    arguments = {
        "members": layout.issue_members(count),
        "ca_certificate_path": str(authority / "ca.crt"),
        "ca_private_key_path": str(authority / "ca.key"),
        # As the role calls it: the keys are in the answer, which nothing keeps.
        "_ansible_no_log": True,
    }
    return json.dumps({"ANSIBLE_MODULE_ARGS": arguments})


class _Issuing:
    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.authority = ground.folder / "issuing-ca"
        self.out = ground.folder / "issued"
        self.bare = str(ground.bench / "issuing" / "bare.py")
        self.python = ground.program("python")
        self.environment = {"PYTHONPATH": str(staging_root(ground.root))}
        ground.measure([self.python, self.bare, "--authority", str(self.authority)])

    def _empty(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(mode=0o700)

    def start(self) -> Run:
        """A module that does nothing."""
        arguments = self.ground.write("ping.json", json.dumps({"ANSIBLE_MODULE_ARGS": {}}))
        return self.ground.measure([self.python, "-m", "ansible.modules.ping", arguments], self.environment)

    def contestants(self, count: int) -> dict[str, t.Callable[[], Run]]:
        """Who issues so many."""
        arguments = self.ground.write(f"issue-{count}.json", module_arguments(count, self.authority))
        places = {"bench_ca_directory": str(self.authority), "bench_directory": str(self.out)}
        members = self.ground.write(
            f"members-{count}.json", json.dumps({**places, "bench_members": layout.issue_members(count)})
        )
        inventory = self.ground.write(f"local-{count}.json", layout.local_inventory(count))

        def playbook() -> Run:
            self._empty()
            path = str(self.ground.bench / "playbooks" / "issue-ringfence.yml")
            words = [self.ground.program("ansible-playbook"), "-i", "localhost,", path]
            local = {"ansible_connection": "local", "ansible_python_interpreter": self.python}
            return self.ground.measure([*words, "-e", f"@{members}", "-e", json.dumps(local)])

        def openssl() -> Run:
            self._empty()
            script = str(self.ground.bench / "issuing" / "openssl.sh")
            return self.ground.measure(["sh", script, str(count), str(self.authority), str(self.out)])

        def community() -> Run:
            self._empty()
            return self.ground.play("issue-community-crypto.yml", inventory, places, unchanged=False)

        found: dict[str, t.Callable[[], Run]] = {
            START: self.start,
            BARE: lambda: self.ground.measure([self.python, self.bare, arguments]),
            MODULE: lambda: self.ground.measure([self.python, "-m", _MODULE_NAME, arguments], self.environment),
            PLAYBOOK: playbook,
            OPENSSL: openssl,
        }
        if count <= COMMUNITY_MOST:
            found[COMMUNITY] = community
        return found


def run(setting: Setting) -> Outcome:
    """All sizes, the contestants of a size alternating."""
    issuing, outcome = _Issuing(setting.ground), Outcome()
    medians: dict[str, dict[int, float]] = {}
    for count in SIZES:
        setting.say(f"issuing {count}")
        # The first size warms all of them up; a round of the larger ones takes minutes.
        is_cold = count == SIZES[0]
        contestants = issuing.contestants(count)
        slow = {name for name in contestants if count >= ONCE_FROM.get(name, count + 1)}
        found = setting.take_turns(
            {name: one for name, one in contestants.items() if name not in slow}, warm_up=is_cold
        )
        found.update({name: [contestants[name]()] for name in sorted(slow)})
        for name, runs in found.items():
            outcome.keep(f"issuing {count}, {name}", runs)
            medians.setdefault(name, {})[count] = wall(runs)
    table = Table("Issuing for N members, seconds", ("contestant", *map(str, SIZES), "1000: bare"))
    largest = SIZES[-1]
    for name, own in medians.items():
        cells = [f"{own[count]:.2f}" if count in own else "" for count in SIZES]
        reckoned = own.get(largest)
        if reckoned is None:
            reckoned = own[COMMUNITY_MOST] * largest / COMMUNITY_MOST
            cells[-1] = f"~{reckoned:.0f}"
        table.rows.append((name, *cells, f"{reckoned / medians[BARE][largest]:.2f}" if name != START else ""))
    once = ", ".join(f"{name} from {count} members on" for name, count in ONCE_FROM.items())
    table.notes.append(f"Measured once, and no median: {once}.")
    table.notes.append(
        f"~: not measured, reckoned from {COMMUNITY_MOST} members, with which it grows in a straight line. Bare "
        "cryptography and the module as a process write nothing to disk (as the role calls it); the others write files."
    )
    start, bare, module = (medians[name][largest] for name in (START, BARE, MODULE))
    outcome.found["issue_to_bare"] = (module - start) / bare
    outcome.tables.append(table)
    return outcome
