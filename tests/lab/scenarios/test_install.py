# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users install: the collection's tarball, etcd from packages or an archive; and users who are not root."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import OFFLINE_PACKAGES, PAIR, PKI, SECOND_PAIR, Controller

HOSTS = 6
MEMBERS = PAIR


def test_etcd_from_the_distributions_packages(controller: Controller, lab: Lab) -> None:
    """Debian's package would start a one-member etcd of its own when it is installed: it is kept from it."""
    controller.bare(*SECOND_PAIR)
    controller.on_each(
        SECOND_PAIR, OFFLINE_PACKAGES + "dpkg --purge etcd-server etcd-client >/dev/null 2>&1; rm -rf /var/lib/etcd"
    )
    inventory = controller.inventory({"etcd": SECOND_PAIR})
    assert "etcd_peer_tls_install" in controller.refuse(inventory).output
    check = controller.succeed(inventory, "--check", "--diff", etcd_peer_tls_install="package")
    assert all(count >= 3 for count in check.changed.values())
    assert set(controller.on_each(SECOND_PAIR, "test ! -e /usr/bin/etcd && echo none").values()) == {"none\n"}
    controller.succeed(inventory, etcd_peer_tls_install="package")
    assert set(controller.succeed(inventory, etcd_peer_tls_install="package").changed.values()) == {0}
    assert len(controller.etcdctl("etcd-5", "member list").strip().splitlines()) == 2
    for answer in controller.on_each(SECOND_PAIR, "ls /var/lib/etcd").values():
        assert answer.split() == ["etcd"]


@pytest.fixture
def archive(controller: Controller, lab: Lab) -> tuple[Path, str]:
    """A release archive as etcd's are made, of the host's own etcd."""
    name = "etcd-v3.5.16-linux-amd64"
    folder = controller.folder / name
    folder.mkdir(exist_ok=True)
    for program in ("etcd", "etcdctl"):
        lab.copy_from("etcd-1", f"/usr/bin/{program}", str(folder / program))
    path = controller.folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=name)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_etcd_from_a_release_archive(controller: Controller, lab: Lab, archive: tuple[Path, str]) -> None:
    controller.bare()
    inventory = controller.inventory()
    path, checksum = archive
    options: dict[str, t.Any] = {"etcd_peer_tls_install": "archive", "etcd_peer_tls_archive": str(path)}
    wrong = controller.refuse(inventory, etcd_peer_tls_archive_sha256="0" * 64, **options)
    assert checksum in wrong.output and "nothing was installed" in wrong.output
    options["etcd_peer_tls_archive_sha256"] = checksum
    # Certificates, the unit and the program that it starts with; that the program was tried changes nothing.
    assert all(count >= 2 for count in controller.succeed(inventory, "--check", **options).changed.values())
    assert set(controller.on_each(PAIR, "test ! -e /usr/local/bin/etcd && echo none").values()) == {"none\n"}
    controller.succeed(inventory, **options)
    assert set(controller.succeed(inventory, **options).changed.values()) == {0}
    paths = controller.on_each(
        PAIR, "readlink /proc/$(systemctl show -P MainPID etcd.service)/exe; ls -d /tmp/ringfence-* 2>&1 | wc -l"
    )
    for answer in paths.values():
        assert answer.split()[0] == "/usr/local/bin/etcd"
    controller.on_each(PAIR, "rm /usr/local/bin/etcd /usr/local/bin/etcdctl")


def test_the_tarball_in_an_empty_place(controller: Controller, lab: Lab, tmp_path: Path) -> None:
    """Built, installed, and the playbook called by its name in the collection: nothing of the checkout is used."""
    controller.bare()
    galaxy = [*controller.program[:-1], str(Path(controller.program[-1]).with_name("ansible-galaxy")), "collection"]
    place = tmp_path / "collections"
    environment = {**controller.environment, "ANSIBLE_COLLECTIONS_PATH": str(place), "ANSIBLE_HOME": str(tmp_path)}
    for words in (["build", "--output-path", str(tmp_path)], ["install", "--offline", "-p", str(place)]):
        built = [str(path) for path in tmp_path.glob("ringfence-etcd-*.tar.gz")]
        subprocess.run(
            [*galaxy, *words, *built], cwd=controller.repository, env=environment, check=True, capture_output=True
        )
    inventory = controller.inventory()
    line = [*controller.program, "-i", str(inventory), "ringfence.etcd.site"]
    for changes in ((5, 3), (0, 0)):
        done = lab.run(line, env=environment, cwd=str(tmp_path))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert controller.evaluated(done.returncode, done.stdout).changed == dict(zip(PAIR, changes))
    assert controller.is_healthy()


def test_a_user_who_becomes_root_by_sudo(controller: Controller, lab: Lab) -> None:
    controller.bare()
    inventory = controller.inventory(ansible_user="admin")
    controller.on_each(
        PAIR, "install -o admin -g admin -m 600 /root/.ssh/authorized_keys /home/admin/.ssh/authorized_keys"
    )
    controller.succeed(inventory)
    assert set(controller.succeed(inventory).changed.values()) == {0}
    assert controller.is_healthy()
    without = controller.play(
        controller.inventory(ansible_user="admin"),
        playbook=controller.playbook("- hosts: etcd\n  gather_facts: false\n  roles: [ringfence.etcd.etcd_peer_tls]\n"),
        etcd_peer_tls_new_keys=True,
    )
    assert without.returncode != 0 and "Traceback" not in without.output
    assert "become" in without.output


def test_the_authority_on_a_host_of_its_own(controller: Controller, lab: Lab) -> None:
    """Only that host needs cryptography; the nodes have none."""
    controller.bare(*PAIR, "etcd-5")
    controller.on_each(
        ["etcd-5"], OFFLINE_PACKAGES + "apt-get -qq -y install python3-cryptography >/dev/null; rm -rf /root/etcd-ca"
    )
    inventory = controller.inventory(
        {"etcd": PAIR, "authority": ["etcd-5"]},
        etcd_peer_tls_ca_host="etcd-5",
        etcd_peer_tls_ca_directory="/root/etcd-ca",
    )
    controller.succeed(inventory)
    assert set(controller.succeed(inventory).changed.values()) == {0}
    assert controller.is_healthy()
    assert lab.ssh("etcd-5", "stat -c '%U %a' /root/etcd-ca /root/etcd-ca/ca.key").stdout == "root 700\nroot 600\n"
    for host, answer in controller.on_each(PAIR, f"python3 -c 'import cryptography' 2>&1; ls {PKI}; true").items():
        assert "ModuleNotFoundError" in answer, host
        assert "ca.key" not in answer


def test_a_host_without_cryptography_can_not_be_the_authority(controller: Controller) -> None:
    controller.bare()
    inventory = controller.inventory({"etcd": PAIR, "authority": ["etcd-6"]}, etcd_peer_tls_ca_host="etcd-6")
    run = controller.refuse(inventory)
    assert "cryptography" in run.output
