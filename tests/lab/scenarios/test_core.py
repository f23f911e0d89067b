# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core: what has to hold with every etcd and every ansible-core that users run.

Each test is a column of the table that a run of all versions ends with.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from forge import Forge
from releases import Releases
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Writer, overlaps

# The first etcd that takes a list of allowed names.
FIRST_WITH_A_LIST = (3, 5, 15)
NEXT_MINOR = "3.5.35"
LIST = "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com"


@pytest.fixture(scope="module")
def version(lab: Lab) -> tuple[int, ...]:
    line = lab.ssh("etcd-1", "etcd --version").stdout.splitlines()[0]
    return tuple(int(part) for part in line.split(":")[1].strip().split("."))


@pytest.fixture(scope="module")
def inventory(controller: Controller, version: tuple[int, ...]) -> Path:
    """Bare hosts; one name for all where this etcd takes no list."""
    controller.bare()
    shared = {} if version >= FIRST_WITH_A_LIST else {"etcd_peer_tls_identity": "shared"}
    return controller.inventory(etcd_peer_tls_start_timeout_seconds=45, **shared)


def test_list(controller: Controller, inventory: Path, version: tuple[int, ...], lab: Lab) -> None:
    """An etcd that would take the list for one name: refused, with both ways out, before a CA is made."""
    if version >= FIRST_WITH_A_LIST:
        pytest.skip("this etcd takes a list")
    run = controller.refuse(controller.inventory())
    found = ".".join(str(part) for part in version)
    for words in (f"etcd-1 has etcd {found}", "upgrade etcd to 3.5.15 or newer", "etcd_peer_tls_identity: shared"):
        assert words in run.output
    assert not (Path(lab.ca_folder) / "ca.key").exists()


def test_form(controller: Controller, inventory: Path, version: tuple[int, ...]) -> None:
    assert controller.succeed(inventory).changed == {"etcd-1": 5, "etcd-2": 3, "etcd-3": 3}
    assert controller.is_healthy()
    assert len(controller.etcdctl("etcd-2", "member list").strip().splitlines()) == 3
    names = LIST if version >= FIRST_WITH_A_LIST else "etcd.peers"
    assert controller.allowed_names() == dict.fromkeys(TRIO, names)
    assert set(controller.succeed(inventory).changed.values()) == {0}


def test_stranger(lab: Lab, inventory: Path, version: tuple[int, ...]) -> None:
    """From a member's own address: its own certificate gets in, another name of the same CA does not."""
    forge = Forge(Path(lab.ca_folder))
    for source, target in ((lab.host("etcd-1"), lab.host("etcd-2")), (lab.host("etcd-3"), lab.host("etcd-1"))):
        own = {"certificate": f"{PKI}/{source.name}.crt", "private_key": f"{PKI}/{source.name}.key"}
        found = lab.probe(source, address=target.address, ca=forge.ca_pem, **own)
        assert found["accepted"] and found["status"] == 200, found
        pair = forge.certificate("stranger.example.com", source.address)
        files = {"certificate": pair[0], "private_key": pair[1]}
        found = lab.probe(source, address=target.address, ca=forge.ca_pem, **files)
        assert not found["accepted"] and "bad certificate" in found["detail"], found


def test_renew(controller: Controller, inventory: Path, lab: Lab) -> None:
    """New certificates are served by the same processes, and peers go on accepting each other."""

    def served() -> dict[str, str]:
        files = f"-CAfile {PKI}/ca.crt -cert {PKI}/etcd-1.crt -key {PKI}/etcd-1.key"
        command = "echo | openssl s_client -connect {0}:2380 {1} 2>/dev/null | openssl x509 -noout -serial"
        return {name: lab.ssh("etcd-1", command.format(lab.host(name).address, files)).stdout for name in TRIO}

    before, pids = served(), controller.processes()
    assert all(before.values())
    run = controller.succeed(inventory, etcd_peer_tls_validity_days=400, etcd_peer_tls_renew_before_days=380)
    assert run.changed == {"etcd-1": 2, "etcd-2": 1, "etcd-3": 1}
    after = served()
    assert all(after.values()) and not set(after.values()) & set(before.values())
    assert controller.processes() == pids
    assert controller.is_healthy()


def test_restart(controller: Controller, inventory: Path) -> None:
    """A changed flag: one member at a time, and no acknowledged write is lost."""
    before = controller.processes()
    with Writer(controller, operation="another flag") as writer:
        run = controller.succeed(inventory, etcd_peer_tls_extra_flags={"max-wals": 7})
    assert run.changed == dict.fromkeys(TRIO, 2)
    assert all(before[host] != pid for host, pid in controller.processes().items())
    assert overlaps(controller) == []
    assert writer.restarts == (1, 1)
    writer.check_nothing_is_lost()
    assert controller.is_healthy()


def test_upgrade(controller: Controller, inventory: Path, version: tuple[int, ...], tmp_path: Path) -> None:
    """From an etcd without lists to the next minor version, and then from one name for all to a list of names."""
    if version[:2] != (3, 4):
        pytest.skip("test_program has the other minor versions")
    before = controller.etcdctl("etcd-1", "member list").split()[0]
    archive = {**Releases(tmp_path)[NEXT_MINOR], "etcd_peer_tls_extra_flags": {"max-wals": 7}}
    said = controller.refuse(inventory, **archive).output
    assert f"{NEXT_MINOR} is another minor version: say so with etcd_peer_tls_upgrade: true" in said
    with Writer(controller, operation="the next minor version of etcd") as writer:
        run = controller.succeed(inventory, playbook=controller.named("upgrade"), **archive)
    assert "PROVED - 3 members" in run.output and overlaps(controller) == []
    told = controller.on_each(TRIO, "/proc/$(systemctl show -P MainPID etcd.service)/exe --version | head -n 1")
    assert {line.split()[-1] for line in told.values()} == {NEXT_MINOR}
    writer.check_nothing_is_lost()
    assert set(controller.succeed(inventory, **archive).changed.values()) == {0}
    names = controller.inventory(etcd_peer_tls_start_timeout_seconds=45)
    with Writer(controller, operation="one name for all becomes a list of names") as writer:
        assert "PROVED - 3 members" in controller.succeed(names, **archive).output
    writer.check_nothing_is_lost()
    assert controller.allowed_names() == dict.fromkeys(TRIO, LIST) and overlaps(controller) == []
    assert controller.etcdctl("etcd-1", "member list").split()[0] == before
    assert set(controller.succeed(names, **archive).changed.values()) == {0}
