# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA that is none of ours: `openssl ca` with a folder and a configuration of its own, as docs/custody.md has it."""

from __future__ import annotations

import pathlib
import subprocess

CONFIGURATION = """\
[ca]
default_ca = this
[this]
dir = {folder}
database = $dir/index.txt
new_certs_dir = $dir
rand_serial = yes
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
default_days = 365
default_crl_days = 30
unique_subject = no
policy = name
copy_extensions = copy
x509_extensions = identifiers
[name]
commonName = supplied
[any_name]
organizationName = optional
commonName = supplied
[identifiers]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
_AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


class OfflineCa:
    """Its folder, which no module of ours is ever told of."""

    def __init__(self, folder: pathlib.Path, name: str = "Offline CA", days: int = 3650) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "index.txt").touch()
        self.restore()
        (folder / "authority.cnf").write_text(_AUTHORITY)
        new = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)]
        files = ["-config", "authority.cnf", "-keyout", "ca.key", "-out", "ca.crt"]
        self._run("req", *new, "-subj", f"/CN={name}", *files)
        self.pem = (folder / "ca.crt").read_text()

    def restore(self) -> None:
        """Its configuration as it was."""
        (self.folder / "ca.cnf").write_text(CONFIGURATION.format(folder=self.folder))

    def sign(self, request: pathlib.Path, certificate: pathlib.Path, *words: str) -> None:
        """As its people do with a request that was brought; ``words``: further ones."""
        self._run("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", request, "-out", certificate, *words)

    def revoke(self, certificate: pathlib.Path, revocation_list: pathlib.Path) -> None:
        self._run("ca", "-config", "ca.cnf", "-revoke", certificate)
        self._run("ca", "-config", "ca.cnf", "-gencrl", "-out", revocation_list)

    def _run(self, *words: str | pathlib.Path) -> None:
        done = subprocess.run(["openssl", *map(str, words)], cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
