# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each guard: what could lose a member, a CA or a quorum is refused in one line, and nothing is changed."""

from __future__ import annotations

import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller

HOSTS = 6


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    controller.bare()
    path = controller.inventory()
    controller.succeed(path)
    return path


@pytest.fixture(autouse=True)
def nothing_is_changed(controller: Controller, inventory: Path) -> t.Iterator[None]:
    command = f"cat {PKI}/* /etc/systemd/system/etcd.service | sha256sum; systemctl show -P MainPID etcd.service"
    before = controller.on_each(TRIO, command)
    yield
    assert controller.on_each(TRIO, command) == before
    assert controller.is_healthy()


@pytest.mark.parametrize("wrong_path", ["missing", "another"])
def test_another_authority_than_the_clusters(controller: Controller, inventory: Path, wrong_path: str) -> None:
    folder = controller.folder / f"ca-{wrong_path}"
    if wrong_path == "another":
        other = controller.inventory({"etcd": ["etcd-4"]})
        controller.succeed(other, "--check", etcd_peer_tls_ca_directory=str(folder), etcd_peer_tls_member_count=1)
        make_authority(controller, folder)
    run = controller.refuse(inventory, etcd_peer_tls_ca_directory=str(folder))
    told = "the members trust" if wrong_path == "another" else "there is no CA in the folder of etcd_peer_tls_ca_dir"
    assert told in run.output and "etcd-1" in run.output
    assert (wrong_path == "another") == folder.exists()


def make_authority(controller: Controller, folder: Path) -> None:
    """A CA made by the module itself, as on a fresh controller."""
    *enter, playbook = controller.program
    ansible, python = (str(Path(playbook).with_name(name)) for name in ("ansible", "python"))
    line = [*enter, ansible, "localhost", "-m", "ringfence.etcd.etcd_ca", "-a", f"ca_directory={folder}"]
    subprocess.run(
        [*line, "-e", f"ansible_python_interpreter={python}"],
        check=True,
        capture_output=True,
        env=controller.environment,
    )


def test_an_authority_given_as_content_has_to_be_the_clusters(controller: Controller, inventory: Path) -> None:
    folder = controller.folder / "ca-content"
    make_authority(controller, folder)
    run = controller.refuse(inventory, etcd_peer_tls_ca_certificate=(folder / "ca.crt").read_text())
    text = "is not the one that the members trust: bring the old one back, or change to this one with"
    assert f"{text} etcd_peer_tls_new_ca: true" in run.output
    # In full by one host, for all of them.
    said = [line for line in run.output.splitlines() if line.startswith("fatal: ")]
    assert sum(text in line for line in said) == 1
    assert sum("Cluster etcd is refused: see host etcd-1" in line for line in said) == 2


def test_no_new_authority_with_limit(controller: Controller, lab: Lab) -> None:
    """A fresh host and a lost CA folder: the others, which trust a CA, are not seen in this run."""
    inventory = controller.inventory({"etcd": [*TRIO, "etcd-4"]})
    run = controller.refuse(
        inventory, "--limit", "etcd-4", etcd_peer_tls_ca_directory=str(controller.folder / "ca-lost")
    )
    assert "can't be seen in this run" in run.output and "etcd-1" in run.output


# As AWX starts the jobs of a template that has slices.
SLICE = {"awx_job_template_name": "deploy", "awx_workflow_job_name": "deploy"}


def test_a_host_that_is_disabled_in_awx(controller: Controller, lab: Lab) -> None:
    """Its script of an inventory leaves it out. It runs, so that the cure is told first, and holds."""
    short = controller.inventory({"etcd": ["etcd-1", "etcd-2"]})
    run = controller.refuse(short)
    output = " ".join(run.output.split())
    cure, _separator, word = output.partition("; only where it is to go for good, run with")
    assert "etcd-3.example.com" in cure and "a disabled host, a slice of a job" in cure
    assert "etcd_peer_tls_removed: [etcd-3.example.com]" in word and "etcd_peer_tls_removed" not in cure
    entries = [{"name": name, "address": lab.host(name).address} for name in TRIO]
    assert f"{{name: etcd-3, address: {entries[2]['address']}}}" in cure
    sliced = controller.refuse(short, **SLICE)
    assert "this job is a slice of job template 'deploy'" in sliced.output
    assert "etcd_peer_tls_removed" not in sliced.output
    # By its name alone its address is not known.
    named = controller.refuse(short, etcd_peer_tls_members=TRIO)
    assert "the inventory of this run has no host of etcd-3" in named.output
    run = controller.succeed(short, etcd_peer_tls_members=entries, etcd_peer_tls_verify_without=["absent_hosts"])
    assert run.changed == {"etcd-1": 0, "etcd-2": 0}


def test_a_proof_that_does_not_see_a_member_proposes_the_cure(controller: Controller) -> None:
    short = controller.inventory({"etcd": ["etcd-1", "etcd-2"]})
    playbook = controller.repository / "playbooks" / "verify.yml"
    run = controller.play(short, playbook=playbook)
    output = " ".join(run.output.split())
    assert run.returncode != 0 and "etcd knows etcd-3, which is not among the members named" in output
    assert "list all members in etcd_peer_tls_members (as members tell, {name: etcd-3" in output
    assert "remove the member from etcd" not in output
    # What outlives a job of AWX.
    shown = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
    whole = controller.inventory()
    run = controller.play(
        whole, playbook=playbook, environment=shown, etcd_peer_tls_report_artifacts="table", awx_job_id=7
    )
    assert run.returncode == 0 and '"ringfence_etcd_proof": {' in run.output
    assert '"table": "etcd: PROVED' in run.output


def test_a_new_member_does_not_join_without_systemd(controller: Controller) -> None:
    inventory = controller.inventory({"etcd": [*TRIO, "etcd-4"]})
    run = controller.refuse(inventory, etcd_peer_tls_manage_service=False)
    assert "etcd-4 is new to the running cluster" in run.output and "4 members" in run.output
    assert "a run without systemd changes no members" in run.output


@pytest.mark.parametrize(
    ("host_variables", "words"),
    [
        ({"etcd-2": {"etcd_peer_tls_address": "10.0.0.1"}}, ("the same address 10.0.0.1", "etcd-2")),
        ({"etcd-2": {"etcd_peer_tls_name": "etcd-1"}}, ("the same name etcd-1", "etcd-2")),
        ({"etcd-2": {"etcd_peer_tls_common_name": "etcd-3.example.com"}}, ("the same common name etcd-3.example.com",)),
        ({"etcd-2": {"etcd_peer_tls_common_name": "a,b"}}, ("etcd-2", "'a,b' has a comma")),
        ({"etcd-2": {"etcd_peer_tls_domain": "x" * 60}}, ("etcd-2", "X.509 allows 64")),
        ({"etcd-2": {"etcd_peer_tls_address": "10.0.0.300"}}, ("etcd-2", "'10.0.0.300'")),
    ],
)
def test_a_wrong_inventory(
    controller: Controller, host_variables: dict[str, dict[str, t.Any]], words: tuple[str, ...]
) -> None:
    run = controller.refuse(controller.inventory(host_variables=host_variables))
    for word in words:
        assert word in run.output


def test_a_slice_of_the_members_forms_no_cluster_of_its_own(controller: Controller, lab: Lab) -> None:
    """Three slices of a job see a host each, and would make three clusters, each proved."""
    controller.bare_hosts(["etcd-4"])
    inventory = controller.inventory({"etcd": ["etcd-4"]})
    run = controller.refuse(inventory)
    assert "a cluster of one is formed only where that was said" in run.output
    # Of each slice the number might be right.
    run = controller.refuse(inventory, etcd_peer_tls_member_count=1, **SLICE)
    assert "this job is a slice of job template 'deploy', and would form a cluster" in run.output
    run = controller.refuse(inventory, etcd_peer_tls_member_count=3)
    assert "etcd_peer_tls_member_count is 3, and the inventory gives 1 (etcd-4)" in run.output
    assert lab.ssh("etcd-4", "ls -A /etc/etcd /var/lib/etcd", check=False).stdout.strip() in ("", "/var/lib/etcd:")


def test_an_empty_group(controller: Controller, inventory: Path) -> None:
    run = controller.refuse(inventory, etcd_peer_tls_hosts="etcd", etcd_peer_tls_group="etdc")
    assert "the inventory group etdc is empty or does not exist" in run.output


def test_a_host_that_is_no_member(controller: Controller) -> None:
    inventory = controller.inventory({"etcd": TRIO, "others": ["etcd-4"]})
    run = controller.play(inventory, "--limit", "etcd-4", etcd_peer_tls_hosts="all")
    assert run.failed == {"etcd-4"} and "etcd-4 is no member of cluster etcd" in run.output


def test_flags_that_would_break_the_fence(controller: Controller, inventory: Path) -> None:
    run = controller.refuse(inventory, etcd_peer_tls_extra_flags={"peer-auto-tls": True})
    assert "--peer-auto-tls is refused" in run.output
    run = controller.refuse(inventory, etcd_peer_tls_extra_unit_settings={"Service": {"ExecStart": "/bin/true"}})
    assert "etcd_peer_tls_extra_unit_settings: ExecStart= is refused" in run.output


def test_data_of_another_cluster(controller: Controller, lab: Lab) -> None:
    """A host with data that nobody deployed by this role: as after a move of a disk."""
    lab.ssh("etcd-4", "mkdir -p /var/lib/etcd && rm -rf /var/lib/etcd/etcd")
    controller.on_each(["etcd-1"], "tar -C /var/lib/etcd -cf /tmp/scenario.tar etcd")
    here = controller.folder / "data.tar"
    lab.copy_from("etcd-1", "/tmp/scenario.tar", str(here))
    lab.copy_to("etcd-4", str(here), "/tmp/scenario.tar")
    lab.ssh("etcd-4", "tar -C /var/lib/etcd -xf /tmp/scenario.tar")
    inventory = controller.inventory(
        {"green": ["etcd-4"]}, etcd_peer_tls_group="green", etcd_peer_tls_data_dir="/var/lib/etcd/etcd"
    )
    run = controller.refuse(
        inventory, etcd_peer_tls_hosts="green", etcd_peer_tls_ca_directory=str(controller.folder / "green")
    )
    assert "/var/lib/etcd/etcd holds an etcd member" in run.output and "etcd-4" in run.output
    controller.bare_hosts(["etcd-4"])


@pytest.mark.parametrize(
    ("there", "said", "undo"),
    [
        (
            "systemctl mask etcd.service",
            "etcd.service is masked, so that nobody can start it: systemctl unmask etcd.service",
            "systemctl unmask etcd.service",
        ),
        (
            "mkdir /opt/unit; printf '[Service]\\nExecStart=/bin/true\\n' > /opt/unit/etcd.service; "
            "systemctl link /opt/unit/etcd.service",
            "/etc/systemd/system/etcd.service is a link to /opt/unit/etcd.service (systemctl link?)",
            "systemctl disable etcd.service; rm -r /opt/unit",
        ),
    ],
    ids=["masked", "linked"],
)
def test_a_unit_that_can_not_be_put_in_place(controller: Controller, there: str, said: str, undo: str) -> None:
    """Named for what it is, and the command that it names takes it away."""
    inventory = controller.inventory({"green": ["etcd-4"]}, etcd_peer_tls_group="green", etcd_peer_tls_member_count=1)
    options = {"etcd_peer_tls_hosts": "green", "etcd_peer_tls_ca_directory": str(controller.folder / "green")}
    controller.bare_hosts(["etcd-4"])
    controller.on_each(["etcd-4"], there)
    try:
        run = controller.refuse(inventory, "--check", **options)
        assert f"member etcd-4: {said}" in run.output and "is not a regular file" not in run.output
    finally:
        controller.on_each(["etcd-4"], f"{undo}; systemctl daemon-reload; systemctl reset-failed")
    controller.succeed(inventory, "--check", **options)


def test_two_clusters_that_would_have_one_certificate_folder(controller: Controller, lab: Lab) -> None:
    """On a host where one of them runs; and in one run, on one machine that the inventory has twice."""
    second = {
        "etcd_peer_tls_unit": "second.service",
        "etcd_peer_tls_peer_port": 3380,
        "etcd_peer_tls_client_port": 3379,
    }
    own: dict[str, t.Any] = {
        "etcd_peer_tls_member_count": 1,
        "etcd_peer_tls_ca_directory": str(controller.folder / "{{ etcd_peer_tls_group }}"),
    }
    later = controller.inventory({"green": ["etcd-1"]}, etcd_peer_tls_group="green", **second, **own)
    run = controller.refuse(later, etcd_peer_tls_hosts="green")
    assert f"member etcd-1: etcd.service, cluster etcd, has its certificates there ({PKI})" in run.output
    controller.bare_hosts(["etcd-4"])
    hosts = {
        "etcd-4": {"etcd_peer_tls_group": "green"},
        "etcd-5": {"etcd_peer_tls_group": "red", "ansible_host": lab.host("etcd-4").address, **second},
    }
    twice = controller.inventory({"green": ["etcd-4"], "red": ["etcd-5"]}, hosts, **own)
    run = controller.refuse(twice, etcd_peer_tls_hosts="green:red")
    for member, other in (("etcd-4", "etcd-5 of cluster red"), ("etcd-5", "etcd-4 of cluster green")):
        assert f"member {member}: {other} is to have its certificates in the very same folder" in run.output
    folders = {"etcd_peer_tls_directory": "/etc/etcd/{{ etcd_peer_tls_group }}"}
    controller.succeed(twice, "--check", etcd_peer_tls_hosts="green:red", **folders)


def test_an_expired_authority(controller: Controller, lab: Lab, inventory: Path) -> None:
    folder = controller.folder / "ca-expired"
    shutil.copytree(lab.ca_folder, folder)
    (folder / "ca.crt").write_text(Forge(folder).authority_again(days=-1))
    run = controller.refuse(inventory, etcd_peer_tls_ca_directory=str(folder))
    assert "expired" in run.output


def test_serial_on_a_first_start(controller: Controller) -> None:
    inventory = controller.inventory({"green": ["etcd-4", "etcd-5", "etcd-6"]}, etcd_peer_tls_group="green")
    text = "- hosts: green\n  serial: 1\n  gather_facts: false\n  roles: [ringfence.etcd.etcd_peer_tls]\n"
    run = controller.refuse(
        inventory, playbook=controller.playbook(text), etcd_peer_tls_ca_directory=str(controller.folder / "green")
    )
    assert "take serial out of the play" in run.output


def test_a_missing_binary(controller: Controller, inventory: Path) -> None:
    run = controller.refuse(inventory, etcd_peer_tls_etcd_binary="/opt/none/etcd")
    for word in ("/opt/none/etcd", "etcd_peer_tls_etcd_binary", "etcd_peer_tls_install"):
        assert word in run.output


@pytest.mark.parametrize("words", [("--check",), ()])
def test_a_ca_host_without_cryptography(controller: Controller, words: tuple[str, ...]) -> None:
    """On clean machines, with etcd to be installed: nothing is, and there is no folder for the CA."""
    clean = controller.inventory({"etcd": ["etcd-4", "etcd-5", "etcd-6"]})
    run = controller.refuse(
        clean, *words, etcd_peer_tls_ca_host="etcd-4", etcd_peer_tls_ca_directory="/root/ca", etcd_peer_tls_domain="b.c"
    )
    said = "".join(run.output.split())
    assert "theCA'shostetcd-4can'tbeaskedfortheCA:Python'scryptography36ornewerisneededon" in said
    assert "ansible_python_interpreter" in said
    assert "gone" in controller.on_each(["etcd-4"], "test ! -e /root/ca && echo gone")["etcd-4"]


def test_wrong_options(controller: Controller, inventory: Path) -> None:
    assert "can be chosen" in controller.refuse(inventory, etcd_peer_tls_key_type="dsa").output
    run = controller.refuse(inventory, etcd_peer_tls_validity_days=20)
    assert "renew_before_days" in run.output
    run = controller.refuse(inventory, etcd_peer_tls_install="archive")
    assert "etcd_peer_tls_archive_sha256" in run.output
    run = controller.refuse(inventory, etcd_peer_tls_client_ca_file="/etc/x.crt")
    assert "belong together" in run.output
