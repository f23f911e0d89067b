# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that would change nothing looks at each host once: every kind of drift is in that look, each by itself."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI, Controller

UNIT = "/etc/systemd/system/etcd.service"
DATA = "/var/lib/etcd/etcd"
HOST = "etcd-2"
KEY = f"{PKI}/{HOST}.key"

# What somebody's hand does to a host, by the kind of drift.
DRIFTS = {
    "owner of the key": f"chown root {KEY}",
    "group of the folder": f"chgrp root {PKI}",
    "mode of the key": f"chmod 0644 {KEY}",
    "mode of the certificate": f"chmod 0600 {PKI}/{HOST}.crt",
    "mode of the data folder": f"chmod 0755 {DATA}",
    "mode of the unit": f"chmod 0600 {UNIT}",
    "content of the trust bundle": f"echo '# mine' >> {PKI}/ca.crt",
    "a file that is gone": f"rm {PKI}/{HOST}.crt",
    "a file left by a killed run": f"touch {PKI}/.{HOST}.crt.ringfence-new",
    "text of the unit": f"echo '# mine' >> {UNIT}",
    "a service that is disabled": "systemctl disable etcd.service",
    "a service that is stopped": "systemctl stop etcd.service",
    "a process from an older unit": (
        f"cp -a {UNIT} /root/unit; sed -i 's/SEAL=.*/SEAL=0/' {UNIT}; systemctl daemon-reload; "
        f"systemctl restart etcd.service; mv /root/unit {UNIT}; systemctl daemon-reload"
    ),
    "a trust bundle newer than the process": f"cp {PKI}/ca.crt /root/ca; cat /root/ca > {PKI}/ca.crt",
    "a program that was replaced": "cp -a /usr/bin/etcd /root/etcd; mv /root/etcd /usr/bin/etcd",
}


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    controller.bare()
    path = controller.inventory()
    controller.succeed(path)
    assert set(controller.succeed(path, "--check").changed.values()) == {0}
    return path


@pytest.fixture(autouse=True)
def mended(controller: Controller, inventory: Path) -> t.Iterator[None]:
    """As before the drift, by a real run; a second one has nothing to do."""
    yield
    controller.succeed(inventory)
    assert set(controller.succeed(inventory).changed.values()) == {0}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_by_hand_is_found(controller: Controller, inventory: Path, lab: Lab, drift: str) -> None:
    lab.execute(HOST, DRIFTS[drift])
    changed = controller.succeed(inventory, "--check").changed
    # The host that speaks for the cluster also shows what is to be issued.
    assert changed.pop(HOST) > 0 and changed.pop("etcd-3") == 0, changed


def test_a_certificate_that_says_something_else_is_found(controller: Controller, inventory: Path, lab: Lab) -> None:
    """Valid, of the same CA, with the right name and address, and with one name more than the member is to have."""
    certificate, key = Forge(Path(lab.ca_folder)).certificate(
        f"{HOST}.example.com", lab.host(HOST).address, "127.0.0.1", "more.example.com", days=300
    )
    for content, path in ((certificate, f"{PKI}/{HOST}.crt"), (key, KEY)):
        lab.execute(HOST, f"cat > {path} <<'END'\n{content}END")
    run = controller.succeed(inventory, "--check", "--diff")
    assert run.changed["etcd-1"] > 0 and run.changed[HOST] > 0 and run.changed["etcd-3"] == 0
    assert "more.example.com" in run.output


def test_a_certificate_that_ends_soon_is_found(controller: Controller, inventory: Path) -> None:
    run = controller.succeed(inventory, "--check", etcd_peer_tls_renew_before_days=364)
    assert all(count > 0 for count in run.changed.values())


def test_drift_of_the_authority_is_found(controller: Controller, inventory: Path, lab: Lab) -> None:
    os.chmod(Path(lab.ca_folder) / "ca.key", 0o644)
    assert controller.succeed(inventory, "--check").changed == {"etcd-1": 1, "etcd-2": 0, "etcd-3": 0}


def test_another_version_than_the_archives_is_found(controller: Controller, inventory: Path) -> None:
    options = {
        "etcd_peer_tls_install": "archive",
        "etcd_peer_tls_archive": "https://example.com/etcd-v3.5.99-linux-amd64.tar.gz",
        "etcd_peer_tls_archive_sha256": "0" * 64,
        "etcd_peer_tls_etcd_binary": "/usr/bin/etcd",
    }
    run = controller.play(inventory, "--check", **options)
    assert "etcd-v3.5.99-linux-amd64.tar.gz would be installed to /usr/bin" in run.output
