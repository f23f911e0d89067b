# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody did to hosts by hand, or what happened to them: told, refused, rolled out or taken back."""

from __future__ import annotations

import contextlib
import time
import typing as t
from pathlib import Path

import pytest
from support import DATA, PKI, RESTART, TRIO, Controller, overlaps, refuse_twice, start_members

_ASK = """
import http.client, json, ssl, sys
context = ssl.create_default_context(cafile="PKI/ca.crt")
context.load_cert_chain("PKI/etcd-1.crt", "PKI/etcd-1.key")
def ask(path, message):
    connection = http.client.HTTPSConnection("127.0.0.1", 2379, context=context, timeout=10)
    connection.request("POST", path, body=json.dumps(message))
    return json.loads(connection.getresponse().read())
me = ask("/v3/maintenance/status", {})["header"]["member_id"]
print(ask("/v3/maintenance/alarm", {"action": "ACTIVATE", "memberID": me, "alarm": "NOSPACE"}))
""".replace("PKI", PKI)


@contextlib.contextmanager
def without_data(controller: Controller, host: str) -> t.Iterator[None]:
    controller.on_each([host], f"systemctl stop etcd.service; mv {DATA} /var/lib/etcd/aside")
    try:
        yield
    finally:
        controller.on_each([host], f"rm -rf {DATA}; mv /var/lib/etcd/aside {DATA}")


@contextlib.contextmanager
def as_built_anew(controller: Controller, host: str) -> t.Iterator[None]:
    """Without unit and certificates as well."""
    unit, aside = "/etc/systemd/system/etcd.service", "/root/aside"
    controller.on_each([host], f"mkdir {aside}; mv /etc/etcd {unit} {aside}; systemctl daemon-reload")
    try:
        yield
    finally:
        back = f"rm -rf /etc/etcd; mv {aside}/etcd /etc/; mv {aside}/etcd.service {unit}; rmdir {aside}"
        controller.on_each([host], f"{back}; systemctl daemon-reload")


@pytest.mark.usefixtures("no_file_is_changed")
def test_a_member_whose_data_is_gone(controller: Controller, inventory: Path) -> None:
    try:
        with without_data(controller, "etcd-3"):
            said = ["member etcd-3 had data and has none in /var/lib/etcd/etcd", "etcd_peer_tls_replaced: [etcd-3]"]
            refuse_twice(controller, inventory, said=said)
            said = ["member etcd-3 had data of member", "as /etc/etcd/pki/etcd-3.formed says"]
            refuse_twice(controller, inventory, "--limit", "etcd-3", said=said)
            with as_built_anew(controller, "etcd-3"):
                refuse_twice(controller, inventory, said=["member etcd-3 had data and has none"])
                said = ["member etcd-3 has no data, and etcd-1, etcd-2 can't be seen in this run"]
                refuse_twice(controller, inventory, "--limit", "etcd-3", said=said)
    finally:
        start_members(controller, "etcd-3")


def put(controller: Controller, count: int) -> int:
    """How many writes etcd-1 acknowledges, one after the other, each with a key of its own."""
    files = f"--cacert {PKI}/ca.crt --cert {PKI}/etcd-1.crt --key {PKI}/etcd-1.key"
    one = f"etcdctl --endpoints https://127.0.0.1:2379 {files} put late/$n $n"
    script = f"for n in $(seq {count}); do {one} >/dev/null 2>&1 && echo $n; done"
    return len(controller.on_each(["etcd-1"], script)["etcd-1"].split())


@pytest.mark.usefixtures("no_file_is_changed")
def test_an_empty_member_while_all_others_are_off(controller: Controller, inventory: Path) -> None:
    """Powered on first, it would have a quorum with one that missed the latest writes, and these would be lost.

    Not by the role, which is asked last, but by systemd: where it restarts what has died, and at a start, as at a boot.
    """
    controller.on_each(["etcd-3"], "systemctl stop etcd.service")
    acknowledged = put(controller, 20)
    empty = f"rm -rf {DATA}; mkdir -m 700 {DATA}; chown etcd: {DATA}"
    controller.on_each(["etcd-2"], f"mv {DATA} /var/lib/etcd/aside; {empty}; systemctl kill -s KILL etcd.service")
    controller.on_each(["etcd-1"], "systemctl stop etcd.service")
    show = "systemctl show -P ActiveState -P SubState etcd.service"
    try:
        # Off, and not tried again: neither running, nor between two attempts.
        deadline, state = time.monotonic() + 30, {""}
        while not {"inactive", "dead"} <= state:
            assert time.monotonic() < deadline, state
            state = set(controller.on_each(["etcd-2"], f"sleep 0.5; {show}")["etcd-2"].split())
        for folder in (empty, f"rmdir {DATA}"):
            said = controller.on_each(["etcd-2"], f"{folder}; systemctl start etcd.service 2>&1; echo $?")["etcd-2"]
            assert "Assertion failed" in said and said.endswith("1\n")
        controller.on_each(["etcd-3"], "systemctl start --no-block etcd.service")
        said = ["member etcd-2 had data of member ", f"as {PKI}/etcd-2.formed says, and has none in {DATA}"]
        refuse_twice(
            controller, inventory, said=[*said, "start etcd on etcd-1, etcd-3 (systemctl start) and run again"]
        )
        # The third is back, with what etcd-3 has never seen.
        controller.on_each(["etcd-1"], "systemctl start etcd.service")
        stored = controller.etcdctl("etcd-3", "get late/ --prefix --keys-only").split()
        assert acknowledged == len(stored) == 20
    finally:
        controller.on_each(["etcd-2"], f"rm -rf {DATA}; mv /var/lib/etcd/aside {DATA}")
        start_members(controller, *TRIO)


@pytest.mark.usefixtures("no_file_is_changed")
def test_all_folders_gone_at_once(controller: Controller, inventory: Path) -> None:
    """No first start: each host knows that it has had data, and what to take away where it is to start empty."""
    controller.on_each(TRIO, "systemctl stop etcd.service")
    try:
        with contextlib.ExitStack() as stack:
            for host in TRIO:
                stack.enter_context(without_data(controller, host))
            said = [f"form the cluster anew and empty on purpose, rm {PKI}/{host}.formed on each host" for host in TRIO]
            run = controller.refuse(inventory, "--check")
            assert all(one in run.output for one in said), run.output[-3000:]
    finally:
        start_members(controller, *TRIO)


@pytest.mark.usefixtures("no_file_is_changed")
def test_a_gateway_that_is_off(controller: Controller, inventory: Path) -> None:
    """Put in by hand: a flag that the role itself would refuse."""
    folder = "/etc/systemd/system/etcd.service.d"
    off = f"mkdir -p {folder}; printf '[Service]\nEnvironment=ETCD_ENABLE_GRPC_GATEWAY=false\n' > {folder}/off.conf"
    for host in TRIO:
        controller.on_each([host], f"{off}; systemctl daemon-reload; systemctl restart etcd.service")
    try:
        refuse_twice(
            controller, inventory, said=["--enable-grpc-gateway=false", "take the flag out, and restart"], **RESTART
        )
    finally:
        for host in TRIO:
            controller.on_each([host], f"rm -r {folder}; systemctl daemon-reload; systemctl restart etcd.service")
        start_members(controller, *TRIO)


@pytest.mark.usefixtures("nothing_is_changed")
def test_an_alarm(controller: Controller, inventory: Path) -> None:
    controller.on_each(["etcd-1"], f"python3 -c '{_ASK}'")
    try:
        refuse_twice(controller, inventory, said=["alarm NOSPACE of etcd-1", "etcdctl alarm disarm"], **RESTART)
        # Nothing to restart, nothing to refuse; and it is told.
        run = controller.play(inventory, "--check")
        assert run.returncode == 0 and "alarm NOSPACE of etcd-1" in run.output
    finally:
        controller.etcdctl("etcd-1", "alarm disarm")


def test_a_larger_quota_is_rolled_out_as_the_alarm_s_remedy_says(controller: Controller, inventory: Path) -> None:
    """Under the alarm etcd gives no lease, and so no lock: one by one all the same, and then it is disarmed."""
    raised = {"etcd_peer_tls_extra_flags": {"quota-backend-bytes": 4294967296}}
    controller.on_each(["etcd-1"], f"python3 -c '{_ASK}'")
    assert set(controller.succeed(inventory, "--check", **raised).changed.values()) == {2}
    run = controller.succeed(inventory, "--forks", "20", **raised)
    assert {controller.argument(host, "quota-backend-bytes") for host in TRIO} == {"4294967296"}
    assert overlaps(controller) == []
    # The proof at its end, and any other, tells what is left to do.
    for done in (run, controller.succeed(inventory, playbook=controller.named("verify"))):
        assert "alarm NOSPACE is on, raised by etcd-1" in done.output and "etcdctl alarm disarm" in done.output
    assert set(controller.succeed(inventory, **raised).changed.values()) == {0}
    controller.etcdctl("etcd-1", "alarm disarm")
    assert controller.is_healthy()
    # Back to the smaller one, which is rolled out under the lock.
    controller.succeed(inventory)


@pytest.mark.usefixtures("no_file_is_changed")
def test_a_drop_in_that_was_taken_away_again(controller: Controller, inventory: Path) -> None:
    """The unit is as it should be, and so is its configuration hash in the process: only the arguments tell."""
    opened = (
        "set -e; folder=/etc/systemd/system/etcd.service.d; mkdir -p $folder; "
        "command=$(sed -n '/^ExecStart=/,/[^\\\\]$/p' /etc/systemd/system/etcd.service); "
        "printf '[Service]\\nExecStart=\\n%s --max-wals=9\\n' \"$command\" > $folder/open.conf; "
        "systemctl daemon-reload; systemctl restart etcd.service; rm -r $folder; systemctl daemon-reload"
    )
    controller.on_each(["etcd-2"], opened)
    assert controller.argument("etcd-2", "max-wals") == "9"
    assert controller.succeed(inventory, "--check").changed == {"etcd-1": 0, "etcd-2": 1, "etcd-3": 0}
    assert controller.succeed(inventory).changed == {"etcd-1": 0, "etcd-2": 1, "etcd-3": 0}
    assert "--max-wals" not in controller.on_each(["etcd-2"], "tr '\\0' '\\n' < /proc/$(pidof etcd)/cmdline")["etcd-2"]
    assert set(controller.succeed(inventory).changed.values()) == {0}


def test_a_drop_in_that_opens_the_fence_and_is_still_there(controller: Controller, inventory: Path) -> None:
    """Named and refused, since no run could close it; so is a variable that systemd gives to all services."""
    folder = "/etc/systemd/system/etcd.service.d"
    opened = (
        f"set -e; mkdir -p {folder}; command=$(sed -n '/^ExecStart=/,/[^\\\\]$/p' /etc/systemd/system/etcd.service | "
        f"sed /allowed-cn/d); printf '[Service]\\nExecStart=\\n%s\\n' \"$command\" > {folder}/open.conf; "
        "systemctl daemon-reload; systemctl restart etcd.service"
    )
    controller.on_each(["etcd-2"], opened)
    try:
        said = f"member etcd-2: {folder}/open.conf takes --peer-cert-allowed-cn from etcd, other than the role's unit"
        refuse_twice(controller, inventory, said=[said])
    finally:
        # systemd is not told: the run does it.
        controller.on_each(["etcd-2"], f"rm -r {folder}")
    before = controller.processes()
    assert controller.succeed(inventory).changed == {"etcd-1": 0, "etcd-2": 2, "etcd-3": 0}
    assert [host for host, pid in controller.processes().items() if pid != before[host]] == ["etcd-2"]
    controller.on_each(["etcd-2"], "systemctl set-environment ETCD_PEER_AUTO_TLS=true")
    try:
        refuse_twice(
            controller, inventory, said=["systemctl unset-environment ETCD_PEER_AUTO_TLS) gives etcd --peer-auto-t"]
        )
    finally:
        controller.on_each(["etcd-2"], "systemctl unset-environment ETCD_PEER_AUTO_TLS")
    # What does no harm is rolled out, and taken back, whoever wrote it.
    controller.on_each(["etcd-2"], "systemctl set-environment ETCD_SNAPSHOT_COUNT=4321")
    assert controller.succeed(inventory).changed == {"etcd-1": 0, "etcd-2": 1, "etcd-3": 0}
    controller.on_each(["etcd-2"], "systemctl unset-environment ETCD_SNAPSHOT_COUNT")
    assert controller.succeed(inventory).changed == {"etcd-1": 0, "etcd-2": 1, "etcd-3": 0}
    assert set(controller.succeed(inventory).changed.values()) == {0}
