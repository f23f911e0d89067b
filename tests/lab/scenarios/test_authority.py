# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA as users have it: a chain, name constraints, a slip of the hand; and where it may be made, and by whom."""

from __future__ import annotations

import ipaddress
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from forge import Authority, Forge, authority
from ringfence_lab.lab import Lab
from support import PAIR, PKI, Controller

MEMBERS = PAIR

CERTIFICATE, KEY = "etcd_peer_tls_ca_certificate", "etcd_peer_tls_ca_private_key"
NOTHING_CHANGED = dict.fromkeys(PAIR, 0)


def given(ca: Authority, *parents: Authority) -> dict[str, str]:
    """The variables for a CA that comes as content."""
    return {CERTIFICATE: "".join(one.pem for one in (ca, *parents)), KEY: ca.key_pem}


def bundles(controller: Controller) -> set[str]:
    return set(controller.on_each(PAIR, f"cat {PKI}/ca.crt").values())


def test_an_intermediate_ca_with_its_root(controller: Controller, lab: Lab) -> None:
    controller.bare()
    root = authority("Example root")
    issuing, sibling = authority("Example issuing CA", root), authority("Example issuing CA", root)
    wanted = issuing.pem + root.pem
    # In the wrong order, with the ends of lines that another system wrote.
    texts = given(issuing) | {CERTIFICATE: (root.pem + issuing.pem).replace("\n", "\r\n")}
    run = controller.succeed(controller.inventory(**texts))
    assert "PROVED" in run.output and controller.is_healthy()
    assert bundles(controller) == {wanted}
    before = controller.processes()
    for text in (texts[CERTIFICATE], wanted, "\ufeff" + wanted, wanted.strip()):
        again = controller.succeed(controller.inventory(**{**texts, CERTIFICATE: text}))
        assert again.changed == NOTHING_CHANGED
    # What is issued anew is taken by the members that run.
    renewed = controller.succeed(controller.inventory(**texts), etcd_peer_tls_new_keys=True)
    assert "PROVED" in renewed.output and controller.processes() == before
    # Another CA below the same root is another CA.
    other = controller.refuse(controller.inventory(**given(sibling, root)))
    assert "is not the one that the members trust: bring the old one back" in other.output
    # The same chain in a folder is the same CA.
    folder = Path(lab.ca_folder)
    folder.mkdir(mode=0o700)
    (folder / "ca.key").write_text(issuing.key_pem)
    (folder / "ca.key").chmod(0o600)
    (folder / "ca.crt").write_text(root.pem + issuing.pem)
    (folder / "ca.crt").chmod(0o644)
    name = {"etcd_peer_tls_ca_common_name": "Example issuing CA"}
    # A folder has what content has not: the CA's list of revoked certificates, which each member reads from now on.
    assert "PROVED" in controller.succeed(controller.inventory(), **name).output and bundles(controller) == {wanted}
    before = controller.processes()
    assert controller.succeed(controller.inventory(), **name).changed == NOTHING_CHANGED
    renewed = controller.succeed(controller.inventory(), etcd_peer_tls_new_keys=True, **name)
    assert "PROVED" in renewed.output and bundles(controller) == {wanted} and controller.processes() == before
    # A restart reads all of it again.
    controller.on_each(PAIR, "systemctl restart --no-block etcd; true")
    controller.on_each(PAIR, "systemctl is-active etcd || systemctl start etcd; true")
    verified = controller.succeed(controller.inventory(), playbook=verify(controller), **name)
    assert "PROVED" in verified.output


class OfflineCa:
    """`openssl ca`, as docs/custody.md has it, in a folder that no run is told of."""

    def __init__(self, controller: Controller) -> None:
        self.folder, self.carried = controller.folder / "offline", controller.folder / "carried"
        (self.folder / "issued").mkdir(parents=True)
        documented = (controller.repository / "docs" / "custody.md").read_text()
        (self.folder / "etcd.cnf").write_text(documented.partition("```ini\n")[2].partition("```")[0])
        ours = authority("Offline CA")
        for name, content in (("ca.crt", ours.pem), ("ca.key", ours.key_pem), ("index.txt", "")):
            (self.folder / name).write_text(content)
        self.pem = ours.pem

    def sign(self, request: Path, *words: str) -> None:
        line = ["openssl", "ca", "-config", "etcd.cnf", "-batch", "-notext", "-in", str(request)]
        line += ["-out", str(request.with_suffix(".crt")), *words]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr

    def sign_all(self, *words: str) -> None:
        for request in self.carried.glob("*.csr"):
            self.sign(request, *words)

    def stranger(self) -> dict[str, str]:
        """A pair that its people made for the proof: for etcd-1's request, with a name that is nobody's."""
        files = {name: self.folder / f"stranger.{name}" for name in ("cnf", "key", "csr")}
        files["cnf"].write_text(
            "[req]\ndistinguished_name=name\nreq_extensions=asked\n[name]\n[asked]\nbasicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=nobody.example.com"]
        paths = ["-config", str(files["cnf"]), "-keyout", str(files["key"]), "-out", str(files["csr"])]
        subprocess.run(["openssl", "req", "-new", *new, *paths], capture_output=True, check=True)
        self.sign(files["csr"], "-days", "2")
        return {
            "etcd_peer_tls_stranger_certificate": files["csr"].with_suffix(".crt").read_text(),
            "etcd_peer_tls_stranger_private_key": files["key"].read_text(),
        }


def refused(controller: Controller, inventory: Path, *words: str, **variables: t.Any) -> str:
    """What a run says that ends red, and has changed something before."""
    run = controller.play(inventory, *words, **variables)
    assert run.returncode != 0 and run.failed == set(PAIR) and "Traceback" not in run.output, run.output[-8000:]
    return " ".join(run.output.split())


def test_an_offline_ca_signs_what_a_person_carries(controller: Controller, lab: Lab) -> None:
    """A deployment, then a renewal; the CA's key is never seen by a run."""
    controller.bare()
    offline = OfflineCa(controller)
    wanted = {
        CERTIFICATE: offline.pem,
        "etcd_peer_tls_key_custody": "node",
        "etcd_peer_tls_requests_directory": str(offline.carried),
    }
    inventory = controller.inventory(**wanted)
    predicted = refused(controller, inventory, "--check", "--diff")
    assert "certificates wait for their CA (etcd-1, etcd-2)" in predicted and not offline.carried.exists()
    asked = refused(controller, inventory)
    for part in ("on localhost:", f"{offline.carried}/etcd-1.csr", f"{offline.carried}/etcd-1.crt", "'Offline CA'"):
        assert part in asked
    left = "ls /etc/etcd/pki; test -e /etc/systemd/system/etcd.service; echo $?"
    assert controller.on_each(PAIR, left) == {host: f"{host}.key.requested\n1\n" for host in PAIR}
    # The same while nobody brings anything.
    assert "certificates wait" in " ".join(controller.refuse(inventory).output.split())
    offline.sign_all()
    # All is deployed. But nobody was there to be refused for a name alone.
    open_end = controller.play(inventory)
    assert open_end.returncode != 0 and controller.is_healthy() and ": PROVED" not in open_end.output
    assert "or a stranger's pair (etcd_peer_tls_stranger_certificate)" in " ".join(open_end.output.split())
    inventory = controller.inventory(**wanted, **offline.stranger())
    again = controller.succeed(inventory)
    assert again.changed == NOTHING_CHANGED and "etcd: PROVED" in again.output
    processes, keys = controller.processes(), controller.on_each(PAIR, f"cat {PKI}/*.key")
    near = {"etcd_peer_tls_renew_before_days": 400, "etcd_peer_tls_validity_days": 500}
    assert "is for another key than the request that waits" in refused(controller, inventory, **near)
    assert controller.on_each(PAIR, f"cat {PKI}/*.key") == keys
    offline.sign_all("-days", "450")
    renewed = controller.succeed(inventory, **near)
    assert "etcd: PROVED" in renewed.output and controller.processes() == processes
    assert controller.on_each(PAIR, f"cat {PKI}/*.key.replaced") == keys
    assert controller.succeed(inventory, **near).changed == NOTHING_CHANGED
    # The same CA by a command, in one run.
    wanted.pop("etcd_peer_tls_requests_directory")
    signer = "cat > r; exec openssl ca -config etcd.cnf -batch -notext -in r -days $RINGFENCE_VALIDITY_DAYS"
    command = ["/bin/sh", "-c", f"cd {offline.folder} && {signer}"]
    inventory = controller.inventory(**wanted, **offline.stranger(), etcd_peer_tls_signer_command=command)
    keys = controller.on_each(PAIR, f"cat {PKI}/*.key")
    signed = controller.succeed(inventory, etcd_peer_tls_new_keys=True)
    assert "etcd: PROVED" in signed.output and controller.processes() == processes
    assert controller.on_each(PAIR, f"cat {PKI}/*.key.replaced") == keys
    assert controller.succeed(inventory).changed == NOTHING_CHANGED


def verify(controller: Controller) -> Path:
    return controller.named("verify")


def test_a_ca_with_name_constraints(controller: Controller, lab: Lab) -> None:
    """No certificate is issued for a name outside of them."""
    controller.bare()
    network = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
    ours = authority("Constrained CA", constraints=x509.NameConstraints([x509.DNSName("example.com"), network], None))
    inventory = controller.inventory(**given(ours))
    for words in (["--check"], []):
        refused = controller.refuse(inventory, *words)
        assert "permits example.com, 10.0.0.0/8" in refused.output
        assert "localhost, 127.0.0.1, ::1" in refused.output and "etcd_peer_tls_loopback_sans: false" in refused.output
    without = {"etcd_peer_tls_loopback_sans": False}
    run = controller.succeed(inventory, **without)
    assert "PROVED" in run.output
    assert controller.succeed(inventory, **without).changed == NOTHING_CHANGED
    sans = lab.execute("etcd-1", f"openssl x509 -in {PKI}/etcd-1.crt -noout -ext subjectAltName").stdout
    assert "10.0.0.1" in sans and "127.0.0.1" not in sans and "localhost" not in sans
    files = f"--cacert {PKI}/ca.crt --cert {PKI}/etcd-1.crt --key {PKI}/etcd-1.key"
    health = lab.execute("etcd-1", f"etcdctl --endpoints https://10.0.0.1:2379 {files} endpoint health --cluster 2>&1")
    assert health.stdout.count("is healthy") == len(PAIR)
    # Why none is issued: etcd itself takes one with the names permitted, and not with one more.
    folder = controller.folder / "constrained"
    folder.mkdir()
    (folder / "ca.crt").write_text(ours.pem)
    (folder / "ca.key").write_text(ours.key_pem)
    for more, accepted in (((), True), (("127.0.0.1",), False), (("localhost",), False)):
        pair = Forge(folder).certificate("etcd-1.example.com", "10.0.0.1", *more)
        files = {"certificate": pair[0], "private_key": pair[1]}
        found = lab.probe("etcd-1", address=lab.host("etcd-2").address, ca=ours.pem, **files)
        assert found["accepted"] is accepted, found
    excluded = x509.NameConstraints(None, [x509.IPAddress(ipaddress.ip_network("10.0.0.2/32"))])
    controller.bare()
    narrow = controller.refuse(controller.inventory(**given(authority("Narrow CA", constraints=excluded))), **without)
    assert "member etcd-2" in narrow.output and "excludes 10.0.0.2/32" in narrow.output


def slips() -> dict[str, tuple[dict[str, str], str]]:
    """What users paste by mistake, and a part of the line that tells them."""
    ours, other = authority("Example CA"), authority("Other CA")
    return {
        "the key behind the certificate": ({CERTIFICATE: ours.pem + ours.key_pem, KEY: ours.key_pem}, "a private key"),
        "the two swapped": ({CERTIFICATE: ours.key_pem, KEY: ours.pem}, "the two swapped?"),
        "the key in both": ({CERTIFICATE: ours.key_pem, KEY: ours.key_pem}, "holds a private key"),
        "another CA's key": ({CERTIFICATE: ours.pem, KEY: other.key_pem}, "is not the key of"),
        "two CAs": ({CERTIFICATE: ours.pem + other.pem, KEY: ours.key_pem}, "'Other CA'"),
    }


@pytest.mark.parametrize("name", slips())
def test_a_slip_of_the_hand_is_refused_and_shown_to_nobody(controller: Controller, lab: Lab, name: str) -> None:
    controller.bare()
    variables, part = slips()[name]
    inventory = controller.inventory(**variables)
    secrets = {
        line
        for text in variables.values()
        if "PRIVATE KEY" in text
        for line in text[text.index("-----BEGIN PRIVATE KEY") :].splitlines()[1:3]
    }
    assert len(secrets) >= 2
    for words in (["-vvvv", "--diff"], ["--check", "--diff"]):
        run = controller.refuse(inventory, *words)
        assert part in run.output and "etcd_peer_tls_ca_" in run.output
        assert not any(secret in run.output for secret in secrets)
    journals = controller.on_each(PAIR, f"journalctl -o cat --since -15min; cat {PKI}/* 2>&1; true")
    assert not any(secret in journal for journal in journals.values() for secret in secrets)


def test_a_ca_is_not_made_on_a_controller_that_is_thrown_away(controller: Controller, lab: Lab) -> None:
    controller.bare()
    inventory, folder = controller.inventory(), Path(lab.ca_folder)
    cases: list[tuple[list[str], dict[str, t.Any]]] = [
        ([], {"awx_job_id": 7}),
        (["--check"], {"tower_job_id": 7}),
        ([], {"environment": {"AWX_PRIVATE_DATA_DIR": "/runner"}}),
    ]
    for words, options in cases:
        refused = controller.refuse(inventory, *words, **options)
        for way_out in ("etcd_peer_tls_ca_host", CERTIFICATE, KEY, "etcd_peer_tls_ca_on_ephemeral_controller"):
            assert way_out in refused.output
        assert not folder.exists()
    controller.succeed(inventory, "--check", awx_job_id=7, etcd_peer_tls_ca_on_ephemeral_controller=True)
    controller.succeed(inventory)
    # One that is there is used, and what becomes of it is told.
    run = controller.succeed(inventory, awx_job_id=7)
    assert run.changed == NOTHING_CHANGED
    assert "the CA is on a controller that AWX throws away after the job" in " ".join(run.output.split())


def test_become_in_the_inventory_is_not_the_cas(controller: Controller, lab: Lab) -> None:
    """For the nodes it is meant; on the controller there may be no sudo, or another user's home."""
    programs, used = controller.folder / "programs", controller.folder / "sudo-used"
    programs.mkdir()
    (programs / "sudo").write_text(f"#!/bin/sh\ntouch {used}\nexec /usr/bin/env -u SUDO_USER sh -c 'exit 77'\n")
    (programs / "sudo").chmod(0o755)
    # Root that becomes root needs no sudo, and Ansible would ask for none.
    environment = {"PATH": f"{programs}:{controller.environment['PATH']}", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}
    inventory = controller.inventory(ansible_become=True)
    controller.bare()
    run = controller.succeed(inventory, environment=environment)
    assert "PROVED" in run.output and not used.exists()
    # What is asked for is done, and here it fails.
    asked = controller.play(
        inventory, environment=environment, etcd_peer_tls_ca_become=True, etcd_peer_tls_new_keys=True
    )
    assert asked.returncode != 0 and used.exists()


def test_no_key_travels_where_ansible_keeps_what_it_sends(controller: Controller) -> None:
    """Also in a run that issues nothing: strangers' keys go to every node."""
    controller.bare()
    inventory, keep = controller.inventory(), {"ANSIBLE_KEEP_REMOTE_FILES": "1"}
    assert "ANSIBLE_KEEP_REMOTE_FILES" in controller.refuse(inventory, environment=keep).output
    controller.succeed(inventory)
    for words, playbook in (([], None), ([], verify(controller)), (["--check"], verify(controller))):
        refused = controller.refuse(inventory, *words, playbook=playbook, environment=keep)
        assert "ANSIBLE_KEEP_REMOTE_FILES" in refused.output
    refused = controller.refuse(
        inventory, "--check", environment=keep, etcd_peer_tls_ca_passphrase="correct horse battery"
    )
    assert "ANSIBLE_KEEP_REMOTE_FILES" in refused.output and "correct horse" not in refused.output
    assert controller.succeed(inventory, "--check", environment=keep).changed == NOTHING_CHANGED
