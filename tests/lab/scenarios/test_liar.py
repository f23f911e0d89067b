# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member that was broken into: its Python changes what modules answer. It gets nothing, and decides about nobody.

The CA is given by variables, as a job template of AWX does, and its folder is away: so what the liar hears of the key
came from the run.
"""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Run

LIAR, HEARD = "/usr/local/bin/scenario-python", "/tmp/scenario-heard"
LIAR_SOURCE = Path(__file__).resolve().parents[2] / "unit" / "plugins" / "action" / "liar.py"
MARK = "scenario-not-for-members"


class Liars:
    """The cluster, its CA as a user has it in a vault, and lies for its members."""

    def __init__(self, controller: Controller, lab: Lab) -> None:
        self.controller, self.lab = controller, lab
        controller.bare()
        controller.succeed(controller.inventory())
        folder = Path(lab.ca_folder)
        self.key = (folder / "ca.key").read_text()
        self.credential = controller.folder / "lying-credential.json"
        content = {
            "etcd_peer_tls_ca_certificate": (folder / "ca.crt").read_text(),
            "etcd_peer_tls_ca_private_key": self.key,
            # The list that came with the folder stays in use.
            "etcd_peer_tls_extra_flags": {"peer-crl-file": f"{PKI}/ca.crl"},
        }
        self.credential.write_text(json.dumps(content))
        # The controller's own: an archive's folder that a member would get copied, and a report that it would write.
        self.secret_folder = controller.folder / "lying-secrets"
        self.secret_folder.mkdir()
        (self.secret_folder / MARK).write_text(MARK)
        self.report = controller.folder / "lying-report.html"
        self.away = folder.with_name("ca-away")
        folder.rename(self.away)

    def settings(self, host: str) -> dict[str, t.Any]:
        """What a member would like the run's settings to be."""
        return {
            "etcd_peer_tls_ca_host": host,
            "etcd_peer_tls_install": "archive",
            "etcd_peer_tls_archive": str(self.secret_folder),
            "etcd_peer_tls_report_html": str(self.report),
            "etcd_peer_tls_extra_sans": ["etcd-3.example.com", self.lab.host("etcd-3").address],
        }

    def lie(self, host: str, **lie: t.Any) -> Path:
        """An inventory in which this host's Python tells a lie."""
        text = json.dumps({"hear": HEARD, **lie})
        script = f"#!/usr/bin/python3\n{LIAR_SOURCE.read_text('utf-8')}"
        self.lab.execute(
            host,
            f"rm -f {HEARD}; printf %s {shlex.quote(script)} > {LIAR}; chmod 755 {LIAR}; "
            f"printf %s {shlex.quote(text)} > {Path(LIAR).with_name('lie.json')}",
        )
        return self.controller.inventory(host_variables={host: {"ansible_python_interpreter": LIAR}})

    def heard(self, host: str) -> str:
        return self.lab.execute(host, f"cat {HEARD}").stdout

    def play(self, inventory: Path, *words: str, verify: bool = False, **variables: t.Any) -> Run:
        playbook = self.controller.repository / "playbooks" / ("verify.yml" if verify else "site.yml")
        words = ("-e", f"@{self.credential}", *words)
        return self.controller.play(inventory, *words, playbook=playbook, **variables)


@pytest.fixture(scope="module")
def liars(controller: Controller, lab: Lab) -> t.Iterator[Liars]:
    made = Liars(controller, lab)
    yield made
    made.away.rename(lab.ca_folder)


def names_of(controller: Controller, host: str) -> str:
    return controller.on_each([host], f"openssl x509 -noout -ext subjectAltName -in {PKI}/{host}.crt")[host]


@pytest.mark.parametrize("host", ["etcd-1", "etcd-2"])
def test_facts_of_a_member_change_no_setting(liars: Liars, controller: Controller, host: str) -> None:
    """The first host is the one that speaks for the cluster: what it says would count for all of them."""
    settings = liars.settings(host)
    inventory = liars.lie(host, add={"ansible_facts": settings, "_ansible_facts_gathered": True})
    run = liars.play(inventory, "-v", etcd_peer_tls_new_keys=True)
    heard = liars.heard(host)
    lines = [line for line in liars.key.splitlines() if line and not line.startswith("-----")]
    assert len(heard) > 10_000 and lines and not any(line in heard for line in lines), "it got the CA's key"
    assert MARK not in heard and not liars.report.exists()
    assert run.returncode == 0 and "PROVED" in run.output, run.output[-4000:]
    covered = names_of(controller, host)
    assert f"{host}.example.com" in covered and "etcd-3" not in covered
    assert controller.lab.host("etcd-3").address not in covered
    found = controller.on_each([host], f"find / -xdev -name {MARK} -not -path '/proc/*'")[host]
    assert found == "" and controller.is_healthy()


@pytest.mark.parametrize("host", ["etcd-1", "etcd-2"])
def test_no_report_is_written_for_a_member_that_asks_for_one(liars: Liars, host: str) -> None:
    run = liars.play(liars.lie(host, add={"ansible_facts": liars.settings(host)}), verify=True)
    assert run.returncode == 0 and not liars.report.exists(), run.output[-4000:]


USELESS = {
    "a wrong type": ({"info": {"process": {"pid": [1, 2]}}}, "info.process.pid as a list, an integer is wanted"),
    "huge": (
        {"info": {"etcd": {"version": {"repeat": ["3", 5_000_000]}}}},
        "info.etcd.version with 5000000 characters",
    ),
}


@pytest.mark.parametrize("lie", USELESS)
def test_an_answer_that_can_not_be_used_is_one_line_and_the_others_are_proved(
    liars: Liars, controller: Controller, lie: str
) -> None:
    added, words = USELESS[lie]
    inventory = liars.lie("etcd-2", add=added, having=["live_members_problem"])
    before = controller.processes()
    run = liars.play(inventory, verify=True)
    line = f"etcd-2: the answer of etcd_peer_probe has {words}"
    assert line in run.output and "Traceback" not in run.output and "HTML" not in run.output, run.output[-4000:]
    assert len(run.output) < 100_000
    # The two others called each other, and etcd-2; strangers were refused wherever they were tried.
    assert "PARTLY PROVED" in run.output and "4 of 6 calls of members accepted" in run.output, run.output[-4000:]
    assert "LET IN" not in run.output
    changing = liars.play(inventory, etcd_peer_tls_new_keys=True)
    assert line in changing.output and "etcd-2" in changing.failed and "Traceback" not in changing.output
    assert controller.processes() == before and controller.is_healthy()


def test_the_others_are_as_they_were(controller: Controller) -> None:
    assert set(controller.allowed_names().values()) == {",".join(f"{host}.example.com" for host in TRIO)}
