# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA for a credential is made once, and the run tells which field gets which of its files."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from ansible_collections.ringfence.etcd.plugins.action import etcd_settings

COLLECTION = pathlib.Path(etcd_settings.__file__).parents[2]
# Digits alone, which nobody may take for a number.
PASSPHRASE = "0815472311"


def made(folder: pathlib.Path, *words: str, code: int = 0) -> str:
    """What a run prints; the home is the folder's."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    env |= {"ANSIBLE_HOME": str(folder / "ansible"), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", *words, str(COLLECTION / "playbooks" / "ca.yml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_fields_get_the_files_of_a_ca_that_is_made_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "passphrase.yml").write_text(f"etcd_peer_tls_ca_passphrase: '{PASSPHRASE}'\n")
    words = ["-e", "@passphrase.yml", "-e", "etcd_peer_tls_cluster_name=blue", "-vvv"]
    place = tmp_path / ".ringfence" / "etcd" / "blue"
    assert "changed=1 " in made(tmp_path, "--check", *words) and not place.exists()
    said = made(tmp_path, *words)
    for line in (f"Certificate: all of {place}/ca.crt", f"Key: all of {place}/ca.key", "Passphrase: the one of"):
        assert line in said
    assert "blue peer CA" in said and PASSPHRASE not in said
    key = (place / "ca.key").read_text()
    assert "ENCRYPTED" in key and (place / "ca.crt").exists()
    assert "changed=0 " in made(tmp_path, *words) and (place / "ca.key").read_text() == key
    assert "is encrypted and no passphrase was given" in made(tmp_path, *words[2:], code=2)


def test_an_empty_answer_is_the_default(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "ca"
    empty = ["-e", "etcd_peer_tls_ca_passphrase=", "-e", "etcd_peer_tls_ca_key_type="]
    said = made(tmp_path, "-e", f"etcd_peer_tls_ca_directory={place}", *empty)
    assert "Passphrase: empty, the key has none" in said
    assert "BEGIN PRIVATE KEY" in (place / "ca.key").read_text()
