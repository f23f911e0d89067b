# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Green means proved: what could not be shown fails a run, and why is told as what it is."""

from __future__ import annotations

import base64
import json
import re
import shutil
import typing as t
from pathlib import Path

import pytest
from forge import Forge, authority
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Run

Proof = dict[str, t.Any]

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    controller.bare()
    made = controller.inventory(etcd_peer_tls_probe_timeout_seconds=2)
    controller.succeed(made)
    return made


def verify(controller: Controller, inventory: Path, *words: str, **variables: t.Any) -> tuple[Run, Proof]:
    report = controller.folder / "verified.json"
    report.unlink(missing_ok=True)
    playbook = PLAYBOOKS / "verify.yml"
    run = controller.play(inventory, *words, playbook=playbook, etcd_peer_tls_report_json=str(report), **variables)
    assert "Traceback" not in run.output, run.output[-6000:]
    assert report.exists(), run.output[-6000:]
    assert not any(run.changed.values()), run.output[-6000:]
    proof: Proof = json.loads(report.read_text())
    return run, proof


def in_one_line(run: Run) -> str:
    return " ".join(run.output.split())


def fence(run: Run) -> dict[str, list[str]]:
    """The strangers' rows of the table: what is said of each member."""
    lines = run.output.splitlines()
    rows = {"stranger": "stranger ", "unknown CA": "unknown CA ", "no certificate": "no certificate "}
    return {
        case: next(line for line in lines if line.startswith(start)).removeprefix(case).split()
        for case, start in rows.items()
    }


# -- a play without hosts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("playbook", ["site", "verify"])
@pytest.mark.parametrize(
    ("pattern", "words", "reported"),
    [
        ("etdc", (), "the pattern 'etdc' matches no host; the inventory's groups are etcd (3 hosts)"),
        ("etdc", ("--check",), "the pattern 'etdc' matches no host"),
        ("etcd:etcd_old", (), "the pattern 'etcd_old' matches no host"),
        ("etcd:!etcd-3", ("--limit", "etcd-3"), "--limit etcd-3 leaves none of the hosts of 'etcd,!etcd-3'"),
    ],
)
def test_a_play_that_would_match_no_host_fails(
    controller: Controller, inventory: Path, playbook: str, pattern: str, words: tuple[str, ...], reported: str
) -> None:
    run = controller.refuse(
        inventory,
        *words,
        playbook=PLAYBOOKS / f"{playbook}.yml",
        etcd_peer_tls_hosts=pattern,
        # Nobody is asked for anything, whatever holds for the hosts.
        ansible_become=True,
        ansible_become_method="sudo",
    )
    assert reported in in_one_line(run)
    assert "PROVED" not in run.output


def test_an_inventory_without_hosts_fails(controller: Controller) -> None:
    empty = controller.folder / "empty.yml"
    empty.write_text("all: {}\n")
    for words in ((), ("--limit", "etcd-1"), ("--check",)):
        run = controller.refuse(empty, *words, playbook=PLAYBOOKS / "verify.yml")
        assert "the inventory has no host" in in_one_line(run)


def test_a_playbook_of_one_s_own_imports_the_check(controller: Controller, inventory: Path) -> None:
    playbook = controller.playbook(
        "- import_playbook: ringfence.etcd.hosts\n  vars: {etcd_peer_tls_hosts: quorum}\n"
        "- hosts: quorum\n  gather_facts: false\n  roles: [ringfence.etcd.etcd_peer_tls]\n"
    )
    assert "the pattern 'quorum' matches no host" in in_one_line(controller.refuse(inventory, playbook=playbook))


# -- the report on a host that stays ---------------------------------------------------------------------------------


def test_the_report_is_kept_on_a_host_that_stays(controller: Controller, lab: Lab, inventory: Path) -> None:
    """Whoever that is decides nothing: it is told where it can't, and the proof has been shown by then."""
    kept = {"etcd_peer_tls_report_host": "etcd-2", "etcd_peer_tls_report_metrics": "/srv/etcd.prom"}
    for words in ((), ("--check",)):
        run = controller.succeed(
            inventory, *words, playbook=PLAYBOOKS / "verify.yml", etcd_peer_tls_report_html="/srv/etcd.html", **kept
        )
        assert not any(run.changed.values()) and "PROVED" in run.output, run.output[-6000:]
        assert "<html" in lab.execute("etcd-2", "cat /srv/etcd.html").stdout
        assert lab.execute("etcd-2", "stat -c '%a %U' /srv/etcd.prom").stdout.split() == ["644", "root"]
        lab.execute("etcd-2", "rm /srv/etcd.html /srv/etcd.prom")
    nowhere = "/srv/no/such/etcd.html"
    run = controller.refuse(inventory, playbook=PLAYBOOKS / "verify.yml", etcd_peer_tls_report_html=nowhere, **kept)
    assert f"html_path: can't write {nowhere} on etcd-2" in in_one_line(run) and "PROVED" in run.output


# -- a copy of the CA --------------------------------------------------------------------------------------------------


def test_a_copy_of_the_ca_is_tried_and_not_touched(controller: Controller, lab: Lab, inventory: Path) -> None:
    copy = controller.folder / "copy of the ca"
    shutil.copytree(lab.ca_folder, copy)

    def tried(**variables: t.Any) -> Run:
        before = {path.name: path.read_bytes() for path in copy.iterdir()}
        run = controller.play(
            inventory, playbook=PLAYBOOKS / "verify_ca.yml", etcd_peer_tls_ca_copy=str(copy), **variables
        )
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
        assert not any(run.changed.values()) and "PRIVATE KEY" not in run.output, run.output[-6000:]
        return run

    good = tried()
    assert good.returncode == 0 and "can sign for cluster etcd: each member refused" in in_one_line(good), good.output
    other = authority("etcd peer CA")
    # A key of another CA signs nothing, and another CA of the same name is refused for its issuer.
    for name, text in (("ca.key", other.key_pem), ("ca.crt", other.pem)):
        (copy / name).write_text(text)
        bad = tried()
        assert bad.returncode != 0 and "can sign for cluster etcd: each" not in in_one_line(bad), bad.output[-6000:]
        assert "It was not shown that the CA in" in in_one_line(bad), bad.output[-6000:]


# -- hosts that are away ----------------------------------------------------------------------------------------------


def test_a_host_that_is_cut_off_fails_the_proof(controller: Controller, lab: Lab, inventory: Path) -> None:
    lab.cut("etcd-3")
    try:
        run, proof = verify(controller, inventory)
        left_out, passed = verify(controller, inventory, etcd_peer_tls_verify_without=["absent_hosts"])
        strangers, other = verify(controller, inventory, etcd_peer_tls_verify_without=["strangers"])
    finally:
        lab.heal("etcd-3")
    assert run.returncode != 0 and (proof["verdict"], proof["passed"]) == ("partly_proved", False), run.output[-4000:]
    assert "nothing is known of etcd-3, and it did not call" in run.output
    assert "etcd_peer_tls_verify_without: [absent_hosts]" in in_one_line(run)
    # Those who did refuse are not doubted for it.
    assert set(map(tuple, fence(run).values())) == {("refused", "refused", "unproved")}
    # Told so, the run is green, and says what it is green without.
    assert left_out.returncode == 0, left_out.output[-4000:]
    assert (passed["verdict"], passed["passed"], passed["without"]) == ("partly_proved", True, ["absent_hosts"])
    assert "passed without what was not to be shown: absent hosts" in in_one_line(left_out)
    assert strangers.returncode != 0 and other["passed"] is False


def test_a_limit_is_told_by_an_option(controller: Controller, inventory: Path) -> None:
    run, proof = verify(controller, inventory, "--limit", "etcd-1,etcd-2")
    assert run.returncode != 0 and proof["verdict"] == "partly_proved"
    assert "its host is not in this run (--limit), or failed before" in in_one_line(run)
    run, proof = verify(
        controller, inventory, "--limit", "etcd-1,etcd-2", etcd_peer_tls_verify_without=["absent_hosts"]
    )
    assert run.returncode == 0 and proof["passed"] is True
    # A deployment's end has the same rule.
    alone = controller.play(inventory, "--limit", "etcd-1")
    assert alone.failed == {"etcd-1"} and alone.changed == {"etcd-1": 0}
    controller.succeed(inventory, "--limit", "etcd-1", etcd_peer_tls_verify_without=["absent_hosts"])


# -- no stranger ------------------------------------------------------------------------------------------------------


def stranger(proof: Proof) -> set[tuple[str, str]]:
    return {(pair["outcome"], pair["reason"]) for pair in proof["pairs"] if pair["case"] == "stranger"}


def test_a_ca_that_is_not_there_fails_the_proof(controller: Controller, inventory: Path) -> None:
    gone = {"etcd_peer_tls_ca_directory": str(controller.folder / "no-ca")}
    run, proof = verify(controller, inventory, **gone)
    assert run.returncode != 0 and stranger(proof) == {("not_probed", "no_ca_key")}
    assert f"there is no {gone['etcd_peer_tls_ca_directory']}/ca.crt" in in_one_line(run)
    run, proof = verify(controller, inventory, etcd_peer_tls_verify_without=["strangers"], **gone)
    assert run.returncode == 0 and proof["passed"] is True
    assert "passed without what was not to be shown: strangers" in in_one_line(run)
    assert {pair["verdict"] for pair in proof["pairs"] if pair["case"] != "stranger"} == {"ok"}


def test_a_fault_of_the_tool_s_own_is_told_as_that(controller: Controller, lab: Lab, inventory: Path) -> None:
    """A CA's host without cryptography, one that can't be reached, a passphrase that is not the key's."""
    run, proof = verify(controller, inventory, etcd_peer_tls_ca_host="etcd-2", etcd_peer_tls_ca_directory="/root/ca")
    assert run.returncode != 0 and stranger(proof) == {("not_probed", "no_cryptography")}
    assert "install Python's cryptography on the CA's host" in in_one_line(run)
    assert "give the CA's key" not in run.output

    run, proof = verify(controller, inventory, etcd_peer_tls_ca_passphrase="not the passphrase")
    assert run.returncode != 0 and stranger(proof) == {("not_probed", "wrong_passphrase")}
    assert "mend etcd_peer_tls_ca_passphrase" in in_one_line(run) and "not the passphrase" not in run.output

    lab.cut("etcd-3")
    try:
        run, proof = verify(controller, inventory, etcd_peer_tls_ca_host="etcd-3")
    finally:
        lab.heal("etcd-3")
    assert run.returncode != 0
    assert ("not_probed", "ca_host_unreachable") in stranger(proof)
    assert "bring the CA's host (etcd_peer_tls_ca_host) back" in in_one_line(run)


def test_what_an_ordinary_user_can_not_see_is_told_by_an_option(controller: Controller, inventory: Path) -> None:
    run, proof = verify(controller, inventory, ansible_become_user="nobody")
    assert run.returncode != 0 and proof["verdict"] == "partly_proved"
    run, proof = verify(controller, inventory, ansible_become_user="nobody", etcd_peer_tls_verify_without=["root"])
    assert run.returncode == 0 and proof["passed"] is True, run.output[-4000:]
    assert stranger(proof) == {("refused", "common_name")}


# -- what the process was told ----------------------------------------------------------------------------------------

REPORTED = "/etc/ssl/told"
DROP_IN = "/etc/systemd/system/etcd.service.d/told.conf"


@pytest.fixture
def reported_otherwise(controller: Controller, lab: Lab, inventory: Path) -> t.Iterator[t.Callable[[str], None]]:
    """Let etcd-2 run by an environment file, with flags of its unit taken away and files from elsewhere."""

    def put(path: str, text: str) -> None:
        lab.execute("etcd-2", f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {path}")

    def restart(lines: str) -> None:
        lab.execute("etcd-2", f"mkdir -p {DROP_IN.rsplit('/', 1)[0]} && cp -a {PKI} {REPORTED}")
        unit = lab.execute("etcd-2", "cat /etc/systemd/system/etcd.service").stdout.replace("\\\n", " ")
        (command,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
        left = re.sub(r" --peer-(trusted-ca-file|client-cert-auth|cert-allowed-cn)=\S*", "", command)
        put(f"{REPORTED}/etcd.env", lines)
        put(DROP_IN, f"[Service]\nEnvironmentFile={REPORTED}/etcd.env\nExecStart=\n{left}\n")
        lab.execute("etcd-2", "systemctl daemon-reload && systemctl restart etcd")

    yield restart
    lab.execute("etcd-2", f"rm -rf {DROP_IN} {REPORTED}; systemctl daemon-reload; systemctl restart etcd")
    controller.succeed(inventory)


def test_what_an_environment_file_says_is_what_is_judged(
    controller: Controller, lab: Lab, inventory: Path, reported_otherwise: t.Callable[[str], None]
) -> None:
    names = ",".join(f"{name}.example.com" for name in TRIO)
    reported_otherwise(
        f"ETCD_PEER_CLIENT_CERT_AUTH=True\nETCD_PEER_CERT_ALLOWED_CN={names}\nETCD_PEER_TRUSTED_CA_FILE={REPORTED}/ca.crt\n"
    )
    run, proof = verify(controller, inventory)
    assert run.returncode == 0 and proof["verdict"] == "proved", run.output[-4000:]
    assert [one["text"] for one in proof["checks"] if one["check"] == "peer_tls"] == (
        ["peers need a certificate of the trusted CA"] * 3
    )
    assert not [one for one in proof["findings"] if one["verdict"] != "ok"], proof["findings"]
    # What lies where a deployment would put it is in nobody's use, and does not hide what is.
    both = lab.execute("etcd-2", f"cat {PKI}/ca.crt").stdout + Forge.stranger_authority().ca_pem
    lab.execute("etcd-2", f"echo {base64.b64encode(both.encode()).decode()} | base64 -d > {REPORTED}/ca.crt")
    lab.execute("etcd-2", "systemctl restart etcd")
    run, proof = verify(controller, inventory)
    assert run.returncode != 0
    (found,) = [one for one in proof["checks"] if one["check"] == "trust_bundle" and one["member"] == "etcd-2"]
    assert found["verdict"] == "failed" and found["text"].startswith(f"{REPORTED}/ca.crt also trusts")


def test_a_setting_that_is_given_twice_is_told_before_the_next_start_dies(
    controller: Controller, lab: Lab, inventory: Path
) -> None:
    drop_in = f"mkdir -p {DROP_IN.rsplit('/', 1)[0]} && printf '[Service]\\nEnvironment=ETCD_NAME=other\\n' > {DROP_IN}"
    lab.execute("etcd-1", f"{drop_in} && systemctl daemon-reload")
    try:
        run, proof = verify(controller, inventory)
    finally:
        lab.execute("etcd-1", f"rm -rf {DROP_IN.rsplit('/', 1)[0]} && systemctl daemon-reload")
    # The fence stands as it is.
    assert run.returncode == 0 and proof["verdict"] == "proved"
    (found,) = [one for one in proof["findings"] if one["code"] == "next_start"]
    assert (found["verdict"], found["subject"]) == ("warning", "etcd-1")
    assert "the next start will fail: ETCD_NAME stands beside --name" in in_one_line(run)
