# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's host with a folder of its own: what it makes keys in, and puts them in place with."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_certificate
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

OWNER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(pwd.getpwnam(OWNER).pw_gid).gr_name
Answer = dict[str, t.Any]


class Node:
    """A member's host: its folder, and what it tells the CA's host."""

    def __init__(self, folder: pathlib.Path, name: str, owner: str = OWNER, group: str = GROUP) -> None:
        self.pki, self.name, self.owner, self.group = folder / name / "pki", name, owner, group
        self.key, self.certificate = self.pki / f"{name}.key", self.pki / f"{name}.crt"
        self.waiting = self.pki / f"{name}.key.requested"

    def request(self, check_mode: bool = False, **more: t.Any) -> Answer:
        arguments = {"directory": str(self.pki), "name": self.name, **more}
        return self.without_keys(run_module("etcd_peer_key", arguments, check_mode=check_mode))

    def put(self, check_mode: bool = False, **more: t.Any) -> Answer:
        arguments = {
            "directory": str(self.pki),
            "name": self.name,
            "owner": self.owner,
            "group": self.group,
            "requested_key": True,
            **more,
        }
        return self.without_keys(run_module("etcd_peer_credentials", arguments, check_mode=check_mode))

    def member(self, **more: t.Any) -> Answer:
        """As the CA's host is told: its profile, and its certificate by its host's word."""
        present = {"certificate": self.certificate.read_text()} if self.certificate.exists() else {}
        if self.key.exists() and present:
            present["private_key_matches"] = public(self.key) == spki(present["certificate"])
        profile = {"common_name": f"{self.name}.example.com", "dns_names": [self.name], "ip_addresses": ["127.0.0.1"]}
        return {"name": self.name, **profile, **present, **more}

    def without_keys(self, answer: Answer) -> Answer:
        """No line of any key that lies here is in what the host answered."""
        shown = json.dumps(answer)
        for path in self.pki.glob("*.key*") if self.pki.exists() else ():
            assert not any(line in shown for line in path.read_text().splitlines()[1:-1]), path
        return answer


def spki(pem: str) -> bytes:
    return keys.public_key_bytes(load_certificate(pem.encode(), "it").public_key())  # type: ignore[arg-type]


def public(path: pathlib.Path) -> bytes:
    return keys.public_key_bytes(keys.load_private_key(path.read_bytes(), "the key").public_key())
