# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that would change nothing looks at each host once: every kind of drift is in that look, each by itself."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import PAIR, PKI, Controller

UNIT = "/etc/systemd/system/etcd.service"
DATA = "/var/lib/etcd/etcd"
MEMBERS = PAIR
HOST = "etcd-2"
KEY, CERTIFICATE = f"{PKI}/{HOST}.key", f"{PKI}/{HOST}.crt"

SAVED = "/root/sound"
RESTART = (
    "systemctl restart --no-block etcd.service; "
    "for _ in $(seq 300); do sleep 0.1; systemctl -q is-active etcd.service && exit 0; done; exit 1"
)

# What somebody's hand does to a host, and takes back, by the kind of drift.
DRIFTS = {
    "owner of the key": (f"chown root {KEY}", f"chown etcd {KEY}"),
    "group of the folder": (f"chgrp root {PKI}", f"chgrp etcd {PKI}"),
    "mode of the key": (f"chmod 0644 {KEY}", f"chmod 0600 {KEY}"),
    "mode of the certificate": (f"chmod 0600 {CERTIFICATE}", f"chmod 0644 {CERTIFICATE}"),
    "mode of the data folder": (f"chmod 0755 {DATA}", f"chmod 0700 {DATA}"),
    "mode of the unit": (f"chmod 0600 {UNIT}", f"chmod 0644 {UNIT}"),
    # cp -p brings the file's time back too, so that it is not newer than the process.
    "content of the trust bundle": (f"cat {CERTIFICATE} >> {PKI}/ca.crt", f"cp -p {SAVED}/pki/ca.crt {PKI}; {RESTART}"),
    "a file that is gone": (f"rm {CERTIFICATE}", f"cp -p {SAVED}/pki/{HOST}.crt {PKI}"),
    "a file left by a killed run": (f"touch {PKI}/.{HOST}.crt.ringfence-new", f"rm {PKI}/.{HOST}.crt.ringfence-new"),
    "text of the unit": (f"echo '# mine' >> {UNIT}", f"cp -p {SAVED}/etcd.service {UNIT}; systemctl daemon-reload"),
    "a service that is disabled": ("systemctl -q disable etcd.service", "systemctl -q enable etcd.service"),
    "a service that is stopped": ("systemctl stop etcd.service", RESTART),
    "a process from an older unit": (
        f"sed -i 's/HASH=.*/HASH=0/' {UNIT}; systemctl daemon-reload; systemctl restart etcd.service; "
        f"cp -p {SAVED}/etcd.service {UNIT}; systemctl daemon-reload",
        RESTART,
    ),
    "a trust bundle newer than the process": (f"touch {PKI}/ca.crt", RESTART),
    "a program that was replaced": ("cp -p /usr/bin/etcd /root/etcd; mv /root/etcd /usr/bin/etcd", RESTART),
}


@pytest.fixture(scope="module")
def inventory(controller: Controller, lab: Lab) -> t.Iterator[Path]:
    controller.bare()
    path = controller.inventory()
    controller.succeed(path)
    assert set(controller.succeed(path, "--check").changed.values()) == {0}
    lab.execute(HOST, f"rm -rf {SAVED}; mkdir {SAVED}; cp -a {PKI} {UNIT} {SAVED}")
    yield path
    # Each drift was taken back whole: what they found was the drift, and nothing left of the one before.
    assert set(controller.succeed(path).changed.values()) == {0}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_by_hand_is_found(controller: Controller, inventory: Path, lab: Lab, drift: str) -> None:
    done, undone = DRIFTS[drift]
    lab.execute(HOST, done)
    try:
        changed = controller.succeed(inventory, "--check").changed
    finally:
        lab.execute(HOST, undone)
    # A certificate that is to be issued is also a change of the host that speaks for the cluster.
    assert changed.pop(HOST) > 0, changed
    assert changed == {"etcd-1": int(drift == "a file that is gone")}


def test_a_certificate_that_says_something_else_is_found(controller: Controller, inventory: Path, lab: Lab) -> None:
    """Valid, of the same CA, with the right name and address, and with one name more than the member is to have."""
    certificate, key = Forge(Path(lab.ca_folder)).certificate(
        f"{HOST}.example.com", lab.host(HOST).address, "127.0.0.1", "more.example.com", days=300
    )
    for content, path in ((certificate, f"{PKI}/{HOST}.crt"), (key, KEY)):
        lab.execute(HOST, f"cat > {path} <<'END'\n{content}END")
    try:
        run = controller.succeed(inventory, "--check", "--diff")
    finally:
        lab.execute(HOST, f"cp -p {SAVED}/pki/{HOST}.* {PKI}")
    assert run.changed["etcd-1"] > 0 and run.changed[HOST] > 0
    assert "more.example.com" in run.output


def test_a_certificate_that_ends_soon_is_found(controller: Controller, inventory: Path) -> None:
    run = controller.succeed(inventory, "--check", etcd_peer_tls_validity_days=400, etcd_peer_tls_renew_before_days=380)
    assert all(count > 0 for count in run.changed.values())


def test_drift_of_the_authority_is_found(controller: Controller, inventory: Path, lab: Lab) -> None:
    key = Path(lab.ca_folder) / "ca.key"
    key.chmod(0o644)
    try:
        assert controller.succeed(inventory, "--check").changed == {"etcd-1": 1, "etcd-2": 0}
    finally:
        key.chmod(0o600)


def test_another_version_than_the_archives_is_found(controller: Controller, inventory: Path) -> None:
    archive = controller.folder / "etcd-v3.5.99-linux-amd64.tar.gz"
    archive.write_bytes(b"not an archive at all")
    options = {
        "etcd_peer_tls_install": "archive",
        "etcd_peer_tls_archive": str(archive),
        "etcd_peer_tls_archive_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "etcd_peer_tls_etcd_binary": "/usr/bin/etcd",
    }
    # It is due by its name, so it is looked into, by a check too.
    run = controller.refuse(inventory, "--check", **options)
    assert "etcd-v3.5.99-linux-amd64.tar.gz can't be unpacked" in run.output
