# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, CA and places of a running cluster change while somebody writes: no acknowledged write is lost."""

from __future__ import annotations

import hashlib
import re
import ssl
import typing as t
from pathlib import Path

from ringfence_lab.lab import Lab
from support import TRIO, Controller, Writer

# What the tests before have changed for good.
SO_FAR: dict[str, t.Any] = {}
SO_FAR_OF_HOSTS: dict[str, dict[str, t.Any]] = {}


def test_another_domain(controller: Controller, inventory: Path) -> None:
    SO_FAR["etcd_peer_tls_domain"] = "example.org"
    moved = controller.inventory(**SO_FAR)
    check = controller.succeed(moved, "--check")
    assert "1 of 9: restart etcd-" in check.output and "2 of 3 voters stay, 2 are needed" in check.output
    assert sum(check.changed.values()) == 1
    assert set(controller.allowed_names(TRIO).values()) == {",".join(f"{name}.example.com" for name in TRIO)}
    with Writer(controller, operation="another domain") as writer:
        run = controller.succeed(moved)
    assert "PROVED - 3 members" in run.output
    # Each in the plan, and where it is done.
    assert [run.output.count(f"{number} of 9: ") for number in range(1, 10)] == [2] * 9
    assert set(controller.allowed_names(TRIO).values()) == {",".join(f"{name}.example.org" for name in TRIO)}
    writer.check_nothing_is_lost()
    assert set(controller.succeed(moved).changed.values()) == {0}


def issuers(controller: Controller) -> set[str]:
    command = "openssl x509 -noout -issuer -in /etc/etcd/pki/$(hostname).crt"
    return set(controller.on_each(TRIO, command).values())


def certificate_fingerprint(path: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()


def bundles(controller: Controller) -> set[str]:
    """How many CAs each member's bundle has."""
    return {text.strip() for text in controller.on_each(TRIO, "grep -c BEGIN /etc/etcd/pki/ca.crt").values()}


def test_another_ca(controller: Controller, inventory: Path) -> None:
    folder = controller.folder / "second-ca"
    SO_FAR.update(etcd_peer_tls_ca_directory=str(folder), etcd_peer_tls_ca_common_name="second CA")
    other = controller.inventory(**SO_FAR)
    run = controller.refuse(other)
    assert "or change to a new one with etcd_peer_tls_new_ca: true" in " ".join(run.output.split())
    assert not folder.exists()
    check = controller.succeed(other, "--check", etcd_peer_tls_new_ca=True)
    assert "restart etcd-1 to accept more: it does not know the CA (to be made) yet" in check.output
    assert not folder.exists()
    # Killed in the middle of what widens, and goes on without the word.
    controller.kill_at(other, "Restart etcd, one member at a time", 1.0, controller.named("rotate_ca"))
    with Writer(controller, operation="another CA, until it issues") as writer:
        run = controller.succeed(other, etcd_peer_tls_stop_after="widen")
        assert {"second CA" in one for one in issuers(controller)} == {False} and bundles(controller) == {"2"}
        run = controller.succeed(other)
    assert "PROVED - 3 members" in run.output
    assert {"second CA" in one for one in issuers(controller)} == {True} and bundles(controller) == {"2"}
    writer.check_nothing_is_lost()
    again = controller.succeed(other)
    assert set(again.changed.values()) == {0}
    said = re.search(r"drop it with etcd_peer_tls_retire_ca: \[([0-9a-f]{64})\]", " ".join(again.output.split()))
    assert said is not None
    new = certificate_fingerprint(folder / "ca.crt")
    assert "is one that this run trusts or issues with" in controller.refuse(other, etcd_peer_tls_retire_ca=new).output
    with Writer(controller, operation="the old CA goes") as writer:
        assert (
            "PROVED - 3 members"
            in controller.succeed(other, playbook=controller.named("retire_ca"), etcd_peer_tls_retire_ca=said[1]).output
        )
    assert bundles(controller) == {"1"}
    writer.check_nothing_is_lost()
    assert set(controller.succeed(other).changed.values()) == {0}


def test_another_port(controller: Controller, inventory: Path) -> None:
    SO_FAR["etcd_peer_tls_peer_port"] = 2480
    port = controller.inventory(**SO_FAR)
    with Writer(controller, operation="another peer port") as writer:
        assert "PROVED - 3 members" in controller.succeed(port).output
    writer.check_nothing_is_lost()
    listed = controller.etcdctl("etcd-1", "member list")
    assert listed.count(":2480,") == 3 and ":2380" not in listed
    assert controller.argument("etcd-2", "listen-peer-urls") == "https://10.0.0.2:2480"
    assert set(controller.succeed(port).changed.values()) == {0}


def test_another_address(controller: Controller, inventory: Path, lab: Lab) -> None:
    lab.execute("etcd-2", "ip address replace 10.0.0.22/24 dev $(ip -o -4 address show to 10.0.0.2 | awk '{print $2}')")
    # Its host goes on to call the others from the address that it had.
    own = {"etcd_peer_tls_address": "10.0.0.22", "etcd_peer_tls_extra_sans": ["10.0.0.2"]}
    SO_FAR_OF_HOSTS["etcd-2"] = own
    moved = controller.inventory(host_variables=SO_FAR_OF_HOSTS, **SO_FAR)
    with Writer(controller, operation="another address") as writer:
        # It answers clients at both places until they have followed.
        assert "PROVED - 3 members" in controller.succeed(moved, etcd_peer_tls_stop_after="present").output
        assert "https://10.0.0.2:2379" in controller.argument("etcd-2", "listen-client-urls")
        assert "PROVED - 3 members" in controller.succeed(moved).output
    writer.check_nothing_is_lost()
    assert "https://10.0.0.22:2" in controller.etcdctl("etcd-1", "member list")
    assert controller.argument("etcd-2", "listen-client-urls") == "https://10.0.0.22:2379,https://127.0.0.1:2379"
    assert set(controller.succeed(moved).changed.values()) == {0}
