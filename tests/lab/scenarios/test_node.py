# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the node: etcd's user gets nothing of root's, holds no run up, and etcd itself has a small room."""

from __future__ import annotations

import json
import re
import time
import typing as t
from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import PAIR, PKI, Controller

MEMBERS = PAIR
HOST = "etcd-2"
DATA = "/var/lib/etcd/etcd"
STATE = "stat -c '%U:%G %a %n' /etc /etc/shadow /etc/ssl /etc/passwd"

# Which versions of TLS, and which suites of TLS 1.2, each port takes; by the node's own files.
_TLS = f"""
import json, socket, ssl
def calls(port, version, suites):
    context = ssl.create_default_context(cafile="{PKI}/ca.crt")
    context.load_cert_chain("{PKI}/{HOST}.crt", "{PKI}/{HOST}.key")
    context.check_hostname = False
    context.maximum_version = version
    if suites:
        context.set_ciphers(suites)
    try:
        with context.wrap_socket(socket.create_connection(("ADDRESS", port), 5)) as stream:
            return stream.version()
    except ssl.SSLError:
        return None
v = ssl.TLSVersion
print(json.dumps([[calls(port, *how) for how in (
    (v.TLSv1_3, None), (v.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"), (v.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"))]
    for port in (2379, 2380)]))
"""


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    controller.bare()
    path = controller.inventory()
    controller.succeed(path)
    return path


def as_etcd(lab: Lab, command: str) -> None:
    lab.execute(HOST, f"runuser -u etcd -- sh -ec '{command}'")


def taken(lab: Lab) -> list[list[str | None]]:
    """For the client port and the peer port: the answer in TLS 1.3, in TLS 1.2 with GCM, and with CBC."""
    script = _TLS.replace("ADDRESS", lab.host(HOST).address)
    answer = lab.execute(HOST, f"python3 - <<'END'\n{script}\nEND").stdout
    return t.cast("list[list[str | None]]", json.loads(answer))


@pytest.mark.parametrize("mode", ["--check", "--diff"])
def test_a_data_folder_that_became_a_link_gives_nothing_away(
    controller: Controller, inventory: Path, lab: Lab, mode: str
) -> None:
    before = lab.execute(HOST, STATE).stdout
    as_etcd(lab, "cd /var/lib/etcd; mv etcd etcd.mine; ln -s /etc etcd")
    try:
        run = controller.play(inventory, mode)
        after = lab.execute(HOST, STATE).stdout
    finally:
        as_etcd(lab, "cd /var/lib/etcd; rm etcd; mv etcd.mine etcd")
    assert after == before
    assert HOST in run.failed and "Traceback" not in run.output
    assert re.search(rf"{DATA}\b.*symbolic link that belongs to etcd", run.output), run.output[-4000:]


@pytest.mark.parametrize("playbook", ["site.yml", "verify.yml"])
def test_a_pipe_among_the_logs_holds_nobody_up(
    controller: Controller, inventory: Path, lab: Lab, playbook: str
) -> None:
    as_etcd(lab, f"mkfifo {DATA}/member/wal/zzzz.wal")
    began = time.monotonic()
    try:
        run = controller.play(inventory, playbook=controller.repository / "playbooks" / playbook)
    finally:
        as_etcd(lab, f"rm {DATA}/member/wal/zzzz.wal")
    assert time.monotonic() - began < 300 and "Traceback" not in run.output
    assert f"{DATA}/member/wal/zzzz.wal is not a regular file" in run.output
    # What the fence stands on is sound, and whether the next run may go on is another matter.
    assert (run.returncode != 0) is (playbook == "site.yml") and not any(run.changed.values())
    assert controller.is_healthy()


def test_of_replaced_keys_the_last_one_is_kept(controller: Controller, inventory: Path, lab: Lab) -> None:
    for _time in range(2):
        old = lab.execute(HOST, f"cat {PKI}/{HOST}.key").stdout
        alone = {"etcd_peer_tls_verify_without": ["absent_hosts"]}
        run = controller.succeed(inventory, "--limit", HOST, etcd_peer_tls_new_keys=True, **alone)
        folded = " ".join(run.output.split())
        assert f"the replaced private key is kept as {PKI}/{HOST}.key.replaced" in folded
        assert "its certificate is valid until 20" in folded
    names = lab.execute(HOST, f"ls -A {PKI}").stdout.split()
    assert sorted(names) == ["ca.crl", "ca.crt", f"{HOST}.crt", f"{HOST}.formed", f"{HOST}.key", f"{HOST}.key.replaced"]
    assert lab.execute(HOST, f"cat {PKI}/{HOST}.key.replaced").stdout == old


def test_the_unit_leaves_etcd_little_room(controller: Controller, inventory: Path, lab: Lab) -> None:
    said = lab.execute(HOST, "systemd-analyze security --no-pager etcd.service | tail -n 1").stdout
    exposure = re.search(r"([0-9]+\.[0-9]+) OK", said)
    print(said)
    assert exposure is not None and float(exposure[1]) <= 1.4, said
    # And what it needs it has: the backlog that the kernel allows, and the limit of open files.
    allowed = lab.execute(HOST, "cat /proc/sys/net/core/somaxconn").stdout.strip()
    backlogs = lab.execute(HOST, "ss -Hltn 'sport = 2379 or sport = 2380' | awk '{print $3}'").stdout.split()
    assert set(backlogs) == {allowed}
    log = lab.execute(HOST, "journalctl -q -o cat -u etcd.service -b").stdout
    assert "failed to get file descriptor" not in log and "unrecognized environment" not in log


def test_tls_1_3_alone_and_no_cbc_on_request_of_tls_1_2(controller: Controller, inventory: Path, lab: Lab) -> None:
    assert taken(lab) == [["TLSv1.3", None, None]] * 2
    controller.succeed(inventory, etcd_peer_tls_min_version="TLS1.2")
    try:
        assert taken(lab) == [["TLSv1.3", "TLSv1.2", None]] * 2
        assert set(controller.succeed(inventory, etcd_peer_tls_min_version="TLS1.2").changed.values()) == {0}
    finally:
        controller.succeed(inventory)
    assert taken(lab) == [["TLSv1.3", None, None]] * 2
