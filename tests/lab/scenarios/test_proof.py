# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof: a sound cluster is proved, and each fault that is put in by hand is found under its own name.

Seven members, so that seven faults are there at once, each on a member of its own, for one proof to tell apart.
"""

from __future__ import annotations

import base64
import json
import time
import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Run

HOSTS = 7
NAMES = tuple(f"etcd-{number}" for number in range(1, HOSTS + 1))
FIRST_WITH_A_LIST = (3, 5, 15)
UNIT = "/etc/systemd/system/etcd.service"

Proof = dict[str, t.Any]


@pytest.fixture(scope="module")
def is_list(lab: Lab) -> bool:
    line = lab.ssh("etcd-1", "etcd --version").stdout.splitlines()[0]
    return tuple(int(part) for part in line.split(":")[1].strip().split(".")) >= FIRST_WITH_A_LIST


@pytest.fixture(scope="module")
def inventory(controller: Controller, is_list: bool) -> Path:
    controller.bare(*NAMES)
    options: dict[str, t.Any] = {} if is_list else {"etcd_peer_tls_identity": "shared"}
    # A hung or unreachable member costs this time once for each wave of calls.
    options["etcd_peer_tls_probe_timeout_seconds"] = 2
    return controller.inventory({"etcd": NAMES}, **options)


class Faults:
    """Puts faults into members' files and units, and takes them all away again."""

    def __init__(self, controller: Controller, lab: Lab) -> None:
        self.controller = controller
        self.lab = lab
        self.forge = Forge(Path(lab.ca_folder))
        self._restarted: set[str] = set()
        controller.on_each(NAMES, f"rm -rf /root/sound; mkdir /root/sound; cp -a {PKI} {UNIT} /root/sound/")

    def pair(self, host: str, pair: tuple[str, str]) -> None:
        """Put a certificate and its key in place of the member's; etcd reads them at the next handshake."""
        for content, kind in zip(pair, ("crt", "key")):
            self.put(host, f"{PKI}/{host}.{kind}", content.encode())

    def put(self, host: str, path: str, content: bytes) -> None:
        """New content; owner and mode of a file that is there stay."""
        self.lab.execute(host, f"echo {base64.b64encode(content).decode()} | base64 -d > {path}")

    def flags(self, host: str, edit: str) -> None:
        """Change the unit with sed and start etcd by it, as somebody's own hand would."""
        pid = "$(systemctl show -P MainPID etcd)"
        restart = "systemctl daemon-reload && systemctl restart --no-block etcd"
        # Not by systemd's own waiting: one that a fault shuts out never gets ready.
        wait = (
            f"for _ in $(seq 200); do now={pid}; [ $now != $old ] && [ $now != 0 ] && exit 0; sleep 0.1; done; exit 1"
        )
        self.lab.execute(host, f"old={pid}; sed -i {edit} {UNIT} && {restart} && {wait}")
        self._restarted.add(host)

    def wait_listening(self, hosts: t.Iterable[str]) -> None:
        wait = "for _ in $(seq 150); do ss -Hltn 'sport = :2380' | grep -q . && exit 0; sleep 0.1; done; exit 1"
        self.controller.on_each(hosts, wait)

    def mend(self) -> None:
        """Everything as it was; restarted is who was started with a fault."""
        self.controller.on_each(
            NAMES, f"rm -rf {PKI}; cp -a /root/sound/pki {PKI}; cp -a /root/sound/etcd.service {UNIT}"
        )
        if self._restarted:
            restart = "systemctl daemon-reload; systemctl restart --no-block etcd"
            self.controller.on_each(self._restarted, restart)
            self.controller.on_each(
                self._restarted,
                "for _ in $(seq 300); do systemctl -q is-active etcd && exit 0; sleep 0.1; done; exit 1",
            )
            self._restarted.clear()


@pytest.fixture
def faults(controller: Controller, lab: Lab, inventory: Path) -> t.Iterator[Faults]:
    found = Faults(controller, lab)
    yield found
    found.mend()


def verify(controller: Controller, inventory: Path, *words: str, **variables: t.Any) -> tuple[Run, Proof]:
    report = controller.folder / "proof.json"
    report.unlink(missing_ok=True)
    playbook = controller.named("verify")
    run = controller.play(inventory, *words, playbook=playbook, etcd_peer_tls_report_json=str(report), **variables)
    assert "Traceback" not in run.output, run.output[-6000:]
    assert report.exists(), run.output[-6000:]
    proof: Proof = json.loads(report.read_text())
    assert not any(run.changed.values()), run.output[-6000:]
    return run, proof


def pairs(proof: Proof, case: str, source: str | None = None, target: str | None = None) -> set[tuple[str, str | None]]:
    """Outcome and reason of the pairs of a case."""
    return {
        (pair["outcome"], pair["reason"])
        for pair in proof["pairs"]
        if pair["case"] == case and source in (None, pair["from"]) and target in (None, pair["to"])
    }


def check(proof: Proof, name: str, member: str | None) -> tuple[str, str]:
    """Verdict and text of a check."""
    found = [one for one in proof["checks"] if one["check"] == name and one["member"] == member]
    assert len(found) == 1, found
    return found[0]["verdict"], found[0]["text"]


def failed_checks(proof: Proof, member: str) -> set[str]:
    return {one["check"] for one in proof["checks"] if one["member"] == member and one["verdict"] == "failed"}


def test_a_sound_cluster_is_proved_at_the_end_of_its_deployment(controller: Controller, inventory: Path) -> None:
    run = controller.succeed(inventory)
    calls = HOSTS * (HOSTS - 1)
    reported = " ".join(run.output.split())
    assert f"etcd: PROVED - {HOSTS} members, {calls} of {calls} calls of members accepted" in reported
    assert f"{4 * calls} of {4 * calls} of strangers refused" in reported
    again, proof = verify(controller, inventory)
    assert again.returncode == 0, again.output[-3000:]
    assert proof["verdict"] == "proved" and proof["findings"] == []
    assert pairs(proof, "member") == {("accepted", None)}
    assert pairs(proof, "stranger") == {("refused", "common_name")}
    assert pairs(proof, "unknown_ca") == {("refused", "unknown_authority")}
    assert pairs(proof, "no_certificate") == {("refused", "no_certificate")}
    assert {one["verdict"] for one in proof["checks"]} == {"ok"}


def test_faults_of_certificates_and_files(
    controller: Controller, lab: Lab, inventory: Path, faults: Faults, is_list: bool
) -> None:
    forge = faults.forge

    def forged(host: str, *names: str, **options: t.Any) -> tuple[str, str]:
        return forge.certificate(f"{host}.example.com" if is_list else "etcd.peers", *names, **options)

    def address(host: str) -> tuple[str, str]:
        return lab.host(host).address, "127.0.0.1"

    faults.pair("etcd-1", forged("etcd-1", *address("etcd-1"), days=-1))
    faults.pair("etcd-2", forged("etcd-2", *address("etcd-2"), days=3, begins_in_days=1))
    faults.pair("etcd-3", forged("etcd-3", *address("etcd-3"), client=False))
    faults.pair("etcd-4", forged("etcd-4"))
    faults.pair("etcd-5", forged("etcd-5", "10.99.99.99", "127.0.0.1"))
    sound = lab.execute("etcd-6", f"cat {PKI}/ca.crt").stdout
    faults.put("etcd-6", f"{PKI}/ca.crt", (sound + Forge.stranger_authority().ca_pem).encode())
    lab.execute("etcd-7", f"chown root: {PKI}/etcd-7.key")

    run, proof = verify(controller, inventory)
    assert run.returncode != 0 and proof["verdict"] == "failed"
    assert pairs(proof, "member", "etcd-1", "etcd-6") == {("refused", "expired")}
    assert pairs(proof, "member", "etcd-6", "etcd-1") == {("refused", "server_expired")}
    assert "certificate_days" in failed_checks(proof, "etcd-1")
    assert "has expired" in check(proof, "certificate_days", "etcd-1")[1]
    assert pairs(proof, "member", "etcd-2", "etcd-6") == {("refused", "not_yet_valid")}
    assert pairs(proof, "member", "etcd-6", "etcd-2") == {("refused", "server_not_yet_valid")}
    assert "is not valid before" in check(proof, "certificate_days", "etcd-2")[1]
    assert pairs(proof, "member", "etcd-3", "etcd-6") == {("refused", "key_usage")}
    assert "clientAuth" in check(proof, "extended_key_usage", "etcd-3")[1]
    # It may call, since etcd skips the address check for it; nobody can call it.
    assert pairs(proof, "member", "etcd-6", "etcd-4") == {("refused", "server_name")}
    assert check(proof, "subject_alternative_names", "etcd-4")[0] == "failed"
    assert pairs(proof, "member", "etcd-5", "etcd-6") == {("refused", "address")}
    assert pairs(proof, "member", "etcd-6", "etcd-5") == {("refused", "server_name")}
    assert "no subject alternative name for " + lab.host("etcd-5").address in run.output
    assert "also trusts etcd peer CA" in check(proof, "trust_bundle", "etcd-6")[1]
    assert check(proof, "process_current", "etcd-6")[0] == "warning"
    assert check(proof, "files_readable", "etcd-7")[0] == "failed"
    assert "etcd-7.key (0600 root:root) is not readable" in run.output
    # Each fault is told of the member that has it, and of no other.
    assert [failed_checks(proof, name) for name in NAMES] == [
        {"certificate_days"},
        {"certificate_days"},
        {"extended_key_usage"},
        {"subject_alternative_names"},
        {"subject_alternative_names"},
        {"trust_bundle"},
        {"files_readable"},
    ]


def test_faults_of_processes(controller: Controller, lab: Lab, inventory: Path, faults: Faults, is_list: bool) -> None:
    revoked = lab.execute("etcd-1", f"cat {PKI}/etcd-1.crt").stdout
    faults.put("etcd-7", f"{PKI}/peer.crl", faults.forge.revoking(revoked))
    stranger = Forge.stranger_authority()
    shorter = r"'s/,etcd-5\.example\.com//'" if is_list else r"'s/=etcd\.peers/=etcd.others/'"
    faults.flags("etcd-1", shorter)
    extra = r"'s/\(--peer-cert-allowed-cn=[^\" ]*\)/\1,mallory.example.com/'"
    if is_list:
        faults.flags("etcd-2", extra)
    faults.put("etcd-3", f"{PKI}/ca.crt", stranger.ca_pem.encode())
    faults.flags("etcd-3", "'s/^# none$//'")
    faults.flags("etcd-4", shorter)
    lab.execute("etcd-4", f"cp -a /root/sound/etcd.service {UNIT}; systemctl daemon-reload")
    faults.flags("etcd-5", r"'s#--listen-peer-urls=https:#--listen-peer-urls=http:#'")
    faults.flags(
        "etcd-6",
        r"-e 's/--peer-client-cert-auth\(=true\)\?//' -e 's/--peer-trusted-ca-file=[^\" ]*//'",
    )
    faults.flags("etcd-7", rf"'s#--peer-crl-file=[^\" ]*#--peer-crl-file={PKI}/peer.crl#'")
    faults.wait_listening(NAMES)

    run, proof = verify(controller, inventory)
    assert run.returncode != 0 and proof["verdict"] == "failed"
    if is_list:
        assert pairs(proof, "member", "etcd-5", "etcd-1") == {("refused", "common_name")}
        assert check(proof, "allowed_common_names", "etcd-1") == ("failed", "the running list lacks etcd-5.example.com")
        assert "has mallory.example.com, which no member has" in check(proof, "allowed_common_names", "etcd-2")[1]
    else:
        assert "lacks etcd.peers" in check(proof, "allowed_common_names", "etcd-1")[1]
    assert pairs(proof, "member", "etcd-2", "etcd-3") == {("refused", "unknown_authority")}
    assert pairs(proof, "member", "etcd-3", "etcd-2") == {("refused", "server_unknown_authority")}
    assert "does not trust" in check(proof, "trust_bundle", "etcd-3")[1]
    assert "the unit's file is right, the process is older" in check(proof, "allowed_common_names", "etcd-4")[1]
    assert pairs(proof, "member", "etcd-2", "etcd-5") == {("refused", "not_tls")}
    assert check(proof, "peer_tls", "etcd-5")[0] == "failed"
    for case in ("stranger", "unknown_ca", "no_certificate"):
        assert pairs(proof, case, "etcd-2", "etcd-6") == {("accepted", None)}
    assert "etcd-6 lets in a stranger" in run.output
    assert check(proof, "peer_tls", "etcd-6")[0] == "failed"
    assert pairs(proof, "member", "etcd-1", "etcd-7") == {("refused", "revoked")}
    assert pairs(proof, "member", "etcd-2", "etcd-7") == {("accepted", None)}


def test_members_that_do_not_answer(controller: Controller, lab: Lab, inventory: Path, faults: Faults) -> None:
    lab.cut("etcd-1")
    lab.execute("etcd-2", "systemctl stop etcd")
    lab.execute("etcd-3", "systemctl kill -s STOP etcd")
    try:
        run, proof = verify(controller, inventory)
    finally:
        lab.heal("etcd-1")
        lab.execute("etcd-3", "systemctl kill -s CONT etcd")
        lab.execute("etcd-2", "systemctl start etcd")
    assert run.returncode != 0 and proof["verdict"] == "failed"
    assert pairs(proof, "member", "etcd-1") == {("not_probed", "host_not_in_run")}
    assert pairs(proof, "member", "etcd-4", "etcd-1") <= {("timed_out", "connect"), ("unreachable", "network")}
    assert pairs(proof, "member", "etcd-4", "etcd-2") == {("unreachable", "port_closed")}
    assert check(proof, "running", "etcd-2")[0] == "failed"
    assert pairs(proof, "member", "etcd-4", "etcd-3") == {("timed_out", "answer")}
    assert pairs(proof, "member", "etcd-4", "etcd-5") == {("accepted", None)}


def test_what_can_not_be_shown_is_said(controller: Controller, inventory: Path) -> None:
    """Without the CA's key, and as a user who may see little: the rest is proved, and the run fails for what is not."""
    empty = str(controller.folder / "no-ca")
    run, proof = verify(controller, inventory, etcd_peer_tls_ca_directory=empty)
    assert run.returncode != 0 and proof["verdict"] == "partly_proved", run.output[-3000:]
    assert pairs(proof, "stranger") == {("not_probed", "no_ca_key")}
    assert pairs(proof, "member") == {("accepted", None)}
    assert pairs(proof, "unknown_ca") == {("refused", "unknown_authority")}
    assert f"there is no {empty}/ca.crt" in " ".join(run.output.split())

    run, proof = verify(controller, inventory, ansible_become_user="nobody")
    assert run.returncode != 0 and proof["verdict"] == "partly_proved", run.output[-3000:]
    assert pairs(proof, "member") == {("not_probed", "no_own_certificate")}
    assert pairs(proof, "stranger") == {("refused", "common_name")}


def test_thresholds_make_a_monitor(controller: Controller, inventory: Path) -> None:
    run, proof = verify(controller, inventory, "--check", etcd_peer_tls_warn_days=400)
    assert run.returncode == 0 and proof["verdict"] == "proved"
    assert {one["verdict"] for one in proof["checks"] if one["check"] == "certificate_days"} == {"warning"}
    run, proof = verify(controller, inventory, etcd_peer_tls_fail_days=400)
    assert run.returncode != 0 and failed_checks(proof, "etcd-1") == {"certificate_days"}


def test_a_name_that_one_host_does_not_know(controller: Controller, lab: Lab, is_list: bool) -> None:
    controller.bare(*NAMES)
    names = {name: {"etcd_peer_tls_address": lab.host(name).fqdn} for name in TRIO}
    identity = {} if is_list else {"etcd_peer_tls_identity": "shared"}
    inventory = controller.inventory(host_variables=names, **identity)
    controller.succeed(inventory)
    lab.execute("etcd-1", "cp /etc/hosts /root/hosts; sed -i /etcd-2/d /etc/hosts")
    # For five seconds Go, and so etcd, takes what it has read of that file for what is in it.
    time.sleep(6)
    run, proof = verify(controller, inventory)
    lab.execute("etcd-1", "cp /root/hosts /etc/hosts")
    assert run.returncode != 0
    assert pairs(proof, "member", "etcd-1", "etcd-2") == {("unreachable", "name_unknown")}
    # etcd-1 can't tell that the caller's address is that of the name in its certificate.
    assert pairs(proof, "member", "etcd-2", "etcd-1") == {("refused", "address")}
    assert pairs(proof, "member", "etcd-3") == {("accepted", None)}
