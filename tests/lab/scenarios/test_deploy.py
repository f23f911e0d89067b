# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From bare hosts to a fenced cluster, and what a second run does: nothing."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller

NAMES = "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com"

HOSTS = 4
# One host of the cluster can prove a part of it only, which a run fails for unless it is told.
ALONE = {"etcd_peer_tls_verify_without": ["absent_hosts"]}


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    controller.bare()
    return controller.inventory()


def everything_on(controller: Controller) -> dict[str, str]:
    """All that a run could change, with content, owner, mode and time."""
    command = (
        f"find /etc/systemd/system /etc/etcd /var/lib/etcd -maxdepth 2 -printf '%p %u %g %m %T@ %l\\n' | sort; "
        f"cat /etc/systemd/system/etcd.service {PKI}/* 2>/dev/null | sha256sum; getent passwd etcd; "
        "systemctl show -P MainPID,ActiveState,UnitFileState etcd.service"
    )
    return controller.on_each(TRIO, command)


def test_check_mode_on_bare_hosts_tells_what_would_come_and_changes_nothing(
    controller: Controller, inventory: Path, lab: Lab
) -> None:
    before = everything_on(controller)
    run = controller.succeed(inventory, "--check", "--diff")
    assert run.changed == {"etcd-1": 5, "etcd-2": 3, "etcd-3": 3}
    assert "ca.key" in run.output and "--peer-cert-allowed-cn=" + NAMES in run.output
    assert everything_on(controller) == before
    assert not Path(lab.ca_folder).exists()


def test_the_first_run_makes_a_healthy_cluster(controller: Controller, inventory: Path) -> None:
    run = controller.succeed(inventory)
    # The CA and the certificates are made by the host that speaks for the cluster. Last, that it was formed is noted.
    assert run.changed == {"etcd-1": 5, "etcd-2": 3, "etcd-3": 3}
    assert controller.is_healthy()
    assert len(controller.etcdctl("etcd-2", "member list").strip().splitlines()) == 3


def test_a_second_run_changes_nothing(controller: Controller, inventory: Path) -> None:
    before = everything_on(controller)
    assert set(controller.succeed(inventory).changed.values()) == {0}
    assert set(controller.succeed(inventory, "--check", "--diff").changed.values()) == {0}
    assert everything_on(controller) == before


def test_every_process_has_the_full_list_in_one_order(controller: Controller) -> None:
    assert controller.allowed_names() == dict.fromkeys(TRIO, NAMES)


def test_a_run_with_limit_renders_the_same_list(controller: Controller, inventory: Path) -> None:
    assert controller.succeed(inventory, "--limit", "etcd-2", **ALONE).changed == {"etcd-2": 0}


def test_owner_and_mode_of_all_files(controller: Controller) -> None:
    answers = controller.on_each(
        TRIO, f"stat -c '%n %U %G %a' {PKI} {PKI}/* /var/lib/etcd/etcd /etc/systemd/system/etcd.service"
    )
    for host, answer in answers.items():
        assert answer.splitlines() == [
            f"{PKI} root etcd 755",
            f"{PKI}/ca.crl root root 644",
            f"{PKI}/ca.crt root root 644",
            f"{PKI}/{host}.crt root root 644",
            f"{PKI}/{host}.formed root root 644",
            f"{PKI}/{host}.key etcd etcd 600",
            "/var/lib/etcd/etcd etcd etcd 700",
            "/etc/systemd/system/etcd.service root root 644",
        ]


def test_the_authority_keeps_its_key_to_itself(controller: Controller, lab: Lab) -> None:
    folder = Path(lab.ca_folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    secret = (folder / "ca.key").read_text().splitlines()[1]
    for host, answer in controller.on_each(TRIO, f"grep -rlF '{secret}' /etc /root /tmp /var/lib || true").items():
        assert answer == "", f"{host} has the CA's key in {answer}"
    assert not [path for path in folder.rglob("*") if path.name.startswith("etcd-")]


def test_systemd_reads_the_arguments_that_the_unit_shows(controller: Controller) -> None:
    answer = controller.lab.ssh("etcd-1", "systemctl show -P ExecStart etcd.service").stdout
    assert f"--peer-cert-allowed-cn={NAMES} " in answer and "--client-cert-auth=true" in answer


def test_drift_of_each_kind_is_found_and_mended(controller: Controller, inventory: Path) -> None:
    drifts = {
        f"chmod 0644 {PKI}/etcd-2.key": f"stat -c %a {PKI}/etcd-2.key",
        f"chown root {PKI}/etcd-2.key": f"stat -c %U {PKI}/etcd-2.key",
        f"cat {PKI}/etcd-2.crt >> {PKI}/ca.crt": f"sha256sum {PKI}/ca.crt",
        f"chmod 0600 {PKI}/etcd-2.crt": f"stat -c %a {PKI}/etcd-2.crt",
        "echo '# by hand' >> /etc/systemd/system/etcd.service": "sha256sum /etc/systemd/system/etcd.service",
        "systemctl disable etcd.service": "systemctl is-enabled etcd.service",
        "chmod 0755 /var/lib/etcd/etcd": "stat -c %a /var/lib/etcd/etcd",
    }
    before = {look: controller.lab.ssh("etcd-2", look).stdout for look in drifts.values()}
    pids = controller.processes()
    for drift in drifts:
        controller.lab.ssh("etcd-2", drift)
    run = controller.succeed(inventory, "--check")
    assert run.changed["etcd-2"] > 0 and run.changed["etcd-1"] == run.changed["etcd-3"] == 0
    controller.succeed(inventory)
    assert {look: controller.lab.ssh("etcd-2", look).stdout for look in drifts.values()} == before
    assert set(controller.succeed(inventory).changed.values()) == {0}
    after = controller.processes()
    assert (after["etcd-1"], after["etcd-3"]) == (pids["etcd-1"], pids["etcd-3"])


def test_a_stopped_member_is_started(controller: Controller, inventory: Path) -> None:
    controller.lab.ssh("etcd-3", "systemctl stop etcd.service")
    assert controller.succeed(inventory).changed == {"etcd-1": 0, "etcd-2": 0, "etcd-3": 1}
    assert controller.is_healthy()


def test_a_renewed_certificate_is_served_without_a_restart(controller: Controller, inventory: Path, lab: Lab) -> None:
    def served() -> dict[str, str]:
        command = (
            "echo | openssl s_client -connect {0}:2380 -CAfile {1}/ca.crt -cert {1}/{2}.crt -key {1}/{2}.key "
            "2>/dev/null "
            "| openssl x509 -noout -serial"
        )
        return {
            host.name: lab.ssh("etcd-1", command.format(host.address, PKI, "etcd-1")).stdout for host in lab.hosts[:3]
        }

    files = f"{PKI}/{{0}}.key"
    keys = {host: lab.ssh(host, f"sha256sum {files.format(host)}").stdout for host in TRIO}
    pids, before = controller.processes(), served()
    assert all(before.values())
    run = controller.succeed(inventory, etcd_peer_tls_validity_days=400, etcd_peer_tls_renew_before_days=380)
    assert run.changed == {"etcd-1": 2, "etcd-2": 1, "etcd-3": 1}
    after = served()
    assert all(after.values()) and not set(after.values()) & set(before.values())
    assert controller.processes() == pids
    assert {host: lab.ssh(host, f"sha256sum {files.format(host)}").stdout for host in TRIO} == keys
    assert set(controller.succeed(inventory).changed.values()) == {0}


def test_a_new_key_on_request_keeps_the_old_one_beside(controller: Controller, inventory: Path, lab: Lab) -> None:
    old = lab.ssh("etcd-1", f"cat {PKI}/etcd-1.key").stdout
    pids = controller.processes()
    controller.succeed(inventory, "--limit", "etcd-1", etcd_peer_tls_new_keys=True, **ALONE)
    assert lab.ssh("etcd-1", f"cat {PKI}/etcd-1.key").stdout != old
    kept = lab.ssh("etcd-1", f"ls {PKI} | grep replaced").stdout.split()
    assert len(kept) == 1 and lab.ssh("etcd-1", f"cat {PKI}/{kept[0]}").stdout == old
    assert controller.processes() == pids and controller.is_healthy()


def test_a_lost_certificate_is_made_again(controller: Controller, inventory: Path, lab: Lab) -> None:
    lab.ssh("etcd-2", f"rm {PKI}/etcd-2.crt")
    controller.succeed(inventory)
    assert controller.is_healthy()
    assert set(controller.succeed(inventory).changed.values()) == {0}


@pytest.fixture(scope="class")
def dial(lab: Lab) -> t.Callable[..., dict[str, t.Any]]:
    forge = Forge(Path(lab.ca_folder))
    source, target = lab.host("etcd-4"), lab.host("etcd-1")

    def call(pair: tuple[str, str] | None) -> dict[str, t.Any]:
        files = {} if pair is None else {"certificate": pair[0], "private_key": pair[1]}
        return lab.probe(source, address=target.address, ca=forge.ca_pem, **files)

    call.forge = forge  # type: ignore[attr-defined]
    call.address = source.address  # type: ignore[attr-defined]
    return call


class TestTheSevenRefusals:
    """The facts document's table: what a client sees at the peer port. Dialed from etcd-4, which is no member."""

    def test_a_listed_name_is_accepted(self, dial: t.Any) -> None:
        found = dial(dial.forge.certificate("etcd-1.example.com", dial.address))
        assert found["accepted"] and found["status"] == 200, found

    @pytest.mark.parametrize(
        ("case", "words"),
        [
            ("stranger", "bad certificate"),
            ("expired", "certificate expired"),
            ("server_only", "bad certificate"),
            ("none", "certificate required"),
            ("other_ca", "unknown ca"),
            ("other_address", "closed"),
            ("no_name", "bad certificate"),
        ],
    )
    def test_the_rest_is_refused(self, dial: t.Any, case: str, words: str) -> None:
        forge, address = dial.forge, dial.address
        pairs: dict[str, t.Callable[[], tuple[str, str] | None]] = {
            "stranger": lambda: forge.certificate("stranger", address),
            "expired": lambda: forge.certificate("etcd-1.example.com", address, days=-1),
            "server_only": lambda: forge.certificate("etcd-1.example.com", address, client=False),
            "none": lambda: None,
            "other_ca": lambda: forge.stranger_authority().certificate("etcd-1.example.com", address),
            "other_address": lambda: forge.certificate("etcd-1.example.com", "10.9.8.7"),
            "no_name": lambda: forge.certificate("", address),
        }
        found = dial(pairs[case]())
        assert not found["accepted"], found
        assert words in found["detail"].lower(), found
