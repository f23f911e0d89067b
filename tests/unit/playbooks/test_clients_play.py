# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook clients, on hosts that are folders of this machine: made once, renewed, revoked, one left alone."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import stat
import subprocess
import sys
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_settings
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates, read_revoked

COLLECTION = pathlib.Path(etcd_settings.__file__).parents[2]
USER = pwd.getpwuid(os.geteuid()).pw_name
# One, because each task of a member is two processes more; what is to be with several is in test_client_plan.py.
MEMBERS = ("etcd-1",)
APP = {"name": "app", "common_name": "app-user", "sans": "app.example.com, fd00::7"}
PASSPHRASE = "0815472311"


class Play:
    """An inventory whose hosts have a folder each below one of this machine."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.variables: dict[str, t.Any] = {
            # The hosts are one machine, so that the same files of two of them need folders of their own.
            "etcd_peer_tls_clients": [
                "backup@db-1",
                {**APP, "hosts": ["db-1"], "mode": "0640"},
                {**APP, "hosts": ["etcd-1"], "directory": str(folder / "etcd-1" / "app")},
            ],
            "etcd_peer_tls_client_ca_directory": str(folder / "client-ca"),
            "etcd_peer_tls_client_ca_passphrase": PASSPHRASE,
            "etcd_peer_tls_ca_directory": str(folder / "ca"),
            "etcd_peer_tls_directory": f"{folder}/{{{{ inventory_hostname }}}}/pki",
            "etcd_peer_tls_client_port_directory": f"{folder}/{{{{ inventory_hostname }}}}/client-port",
            "etcd_peer_tls_clients_directory": str(folder / "clients"),
            "etcd_peer_tls_owner": USER,
            "etcd_peer_tls_owner_group": "root" if os.geteuid() == 0 else USER,
            "etcd_peer_tls_domain": "example.com",
            "ansible_become": False,
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        self.down: dict[str, dict[str, t.Any]] = {"db-1": {}}

    def run(self, *words: str, code: int = 0, **changes: t.Any) -> str:
        """What a run prints, on one line; no byte of a key is in it."""
        hosts = {name: {"ansible_host": f"10.0.0.{number}"} for number, name in enumerate(MEMBERS, 1)}
        inventory = {
            "all": {
                "vars": {**self.variables, **changes},
                "children": {"etcd": {"hosts": hosts}, "apps": {"hosts": self.down}},
            }
        }
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        env |= {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
        env |= {"ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_LOCALHOST_WARNING": "false"}
        line = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.yml", "--diff", "-vvv", *words]
        done = subprocess.run(
            [*line, str(COLLECTION / "playbooks" / "clients.yml")],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code and "Traceback" not in said, said[-8000:]
        for path in (*self.folder.rglob("*.key"), *self.folder.rglob("*.key.replaced")):
            for text in path.read_text().splitlines()[1:-1]:
                assert text not in said, path
        assert PASSPHRASE not in said
        return " ".join(said.split())

    def changed(self, *words: str, **changes: t.Any) -> dict[str, int]:
        said = self.run(*words, **changes)
        return {name: int(count) for name, count in re.findall(r"(etcd-\d) : ok=\d+ changed=(\d+)", said)}

    def facts(self, path: str) -> t.Any:
        return read_certificates((self.folder / path).read_bytes())[0]

    def files(self) -> dict[str, tuple[int, bytes]]:
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not {"home", "inventory.yml"} & set(path.relative_to(self.folder).parts):
                found[str(path.relative_to(self.folder))] = (path.stat().st_ino, path.read_bytes())
        return found


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """With all that a first run makes, after one in check mode that made nothing."""
    made = Play(tmp_path_factory.mktemp("clients"))
    # The whole of what a real run says it would change, and no file.
    assert made.changed("--check") == {"etcd-1": 4} and made.files() == {}
    assert made.changed() == {"etcd-1": 4}
    return made


def test_what_is_made_and_of_whom(play: Play) -> None:
    """Each client has a key of its own on each host; a second run changes nothing."""
    (authority,) = read_certificates((play.folder / "client-ca" / "ca.crt").read_bytes())
    assert authority.common_name == "etcd client CA"
    assert "ENCRYPTED" in (play.folder / "client-ca" / "ca.key").read_text()
    backup, app = play.facts("clients/backup.crt"), play.facts("clients/app.crt")
    assert (backup.common_name, backup.extended_key_usage) == ("backup", ("clientAuth",))
    assert (app.common_name, app.dns_names, app.ip_addresses) == ("app-user", ("app.example.com",), ("fd00::7",))
    member = play.facts("etcd-1/client-port/etcd-1.crt")
    assert (member.common_name, set(member.extended_key_usage)) == ("etcd-1.example.com", {"serverAuth", "clientAuth"})
    assert {"10.0.0.1", "127.0.0.1"} <= set(member.ip_addresses)
    trust = (play.folder / "etcd-1" / "client-port" / "ca.crt").read_text()
    assert (
        trust == (play.folder / "client-ca" / "ca.crt").read_text() == (play.folder / "clients" / "ca.crt").read_text()
    )
    modes = {name: stat.S_IMODE((play.folder / "clients" / name).stat().st_mode) for name in ("backup.key", "app.key")}
    assert modes == {"backup.key": 0o600, "app.key": 0o640}
    assert (play.folder / "clients" / "app.key").read_text() != (play.folder / "etcd-1" / "app" / "app.key").read_text()
    index = json.loads((play.folder / "client-ca" / "index.json").read_text())
    names = [one["name"] for one in index["issued"] if one["name"]]
    assert sorted(names) == ["app@db-1", "app@etcd-1", "backup@db-1", *MEMBERS]
    before = play.files()
    assert play.changed() == {"etcd-1": 0} and play.files() == before


def test_a_revoked_client_gets_another_key_and_members_the_list(play: Play) -> None:
    """By its name, on all its hosts; whom nobody knows is refused before anything is done."""
    before = play.files()
    said = play.run("-e", '{"etcd_peer_tls_revoked": "app, nobody"}', code=2)
    assert "etcd_peer_tls_revoked: 'nobody' is neither a serial number nor the name" in said
    assert play.files() == before
    old = {path: play.facts(path).serial_number for path in ("clients/app.crt", "etcd-1/app/app.crt")}
    play.run("-e", "etcd_peer_tls_revoked=app")
    for path, number in old.items():
        key = path.replace(".crt", ".key")
        assert play.facts(path).serial_number != number and play.files()[key] != before[key]
        for name in MEMBERS:
            assert number in read_revoked((play.folder / name / "client-port" / "ca.crl").read_bytes())
    assert play.files()["clients/backup.key"] == before["clients/backup.key"]


def test_renewal_and_who_is_left_out_or_down(play: Play) -> None:
    """What ends soon is renewed with its key; a host that is down is told at the end, one left out is no failure."""
    before = play.files()
    renewal = {"etcd_peer_tls_validity_days": 400, "etcd_peer_tls_renew_before_days": 399}
    said = play.run("--limit", "etcd", **renewal)
    assert "Clients that this run leaves out: backup@db-1, app@db-1" in said
    after = play.files()
    # All but the keys, the CA and the lists, which stay.
    assert {path for path in after if after[path] != before.get(path)} == {
        "client-ca/index.json",
        "etcd-1/app/app.crt",
        "etcd-1/client-port/etcd-1.crt",
    }
    play.down = {"db-1": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}}
    try:
        said = play.run(code=2, etcd_peer_tls_validity_days=600, etcd_peer_tls_renew_before_days=599)
    finally:
        play.down = {"db-1": {}}
    assert "client backup@db-1: " in said and "what these have was left as it is" in said
    again = play.files()
    assert again["etcd-1/app/app.crt"] != after["etcd-1/app/app.crt"]
    assert {path for path in before if path.startswith("clients/") and again[path] != before[path]} == set()


def test_peers_are_clients_where_that_is_said(play: Play) -> None:
    """By what each member trusts itself."""
    said = play.run(code=2, etcd_peer_tls_peers_are_clients=True)
    assert "etcd_peer_tls_peers_are_clients: there is no trust bundle in" in said
    other = play.folder / "other"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
        + ["-subj", "/CN=etcd peer CA", "-keyout", "/dev/null", "-out", str(other)],
        check=True,
        capture_output=True,
    )
    for name in MEMBERS:
        (play.folder / name / "pki").mkdir()
        (play.folder / name / "pki" / "ca.crt").write_text(other.read_text())
    play.run(etcd_peer_tls_peers_are_clients=True)
    trusted = play.folder / "etcd-1" / "client-port" / "ca.crt"
    assert [one.common_name for one in read_certificates(trusted.read_bytes())] == ["etcd client CA", "etcd peer CA"]


def test_a_lost_ca_is_never_made_anew(play: Play) -> None:
    before = play.files()
    said = play.run(code=2, etcd_peer_tls_client_ca_directory=str(play.folder / "another"))
    assert "a new CA is never made next to a living cluster unasked" in said
    assert play.files() == before
