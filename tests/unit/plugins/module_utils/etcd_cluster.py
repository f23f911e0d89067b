# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of real etcd processes on loopback with TLS everywhere, for tests that ask etcd itself."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pathlib
import socket
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _write_certificates(folder: pathlib.Path) -> None:
    """A CA and one certificate that all members and the client share; who may be a peer is not what is tested here."""
    now = datetime.datetime(2020, 1, 1)
    end = datetime.datetime(2120, 1, 1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    base = x509.CertificateBuilder().not_valid_before(now).not_valid_after(end).issuer_name(ca_name)
    ca = (
        base.subject_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "member.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    alternative_names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    # Of one key: the members', and one without a common name, which only a client has.
    for file, number, subject in (
        ("member.crt", 2, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "member")])),
        ("nameless.crt", 3, x509.Name([])),
    ):
        leaf = (
            base.subject_name(subject)
            .public_key(key.public_key())
            .serial_number(number)
            .add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        (folder / file).write_bytes(leaf.public_bytes(serialization.Encoding.PEM))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _number in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class EtcdCluster:
    """Members m1, m2, ...; each process is known by its handle, so nothing else is ever stopped."""

    def __init__(self, binary: str, folder: pathlib.Path, size: int = 3) -> None:
        self._binary = binary
        self._folder = folder
        self.names = [f"m{number + 1}" for number in range(size)]
        ports = free_ports(2 * size)
        self.client_urls = {name: f"https://127.0.0.1:{ports[i]}" for i, name in enumerate(self.names)}
        self.peer_urls = {name: f"https://127.0.0.1:{ports[size + i]}" for i, name in enumerate(self.names)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        _write_certificates(folder)
        self.ca_file = str(folder / "ca.crt")
        self.cert_file = str(folder / "member.crt")
        self.key_file = str(folder / "member.key")

    def data_dir(self, name: str) -> str:
        return str(self._folder / name)

    def start(
        self,
        *names: str,
        extra: tuple[str, ...] = (),
        members: dict[str, str] | None = None,
        state: str = "new",
        binary: str | None = None,
    ) -> None:
        """Start members; ``members``: what they begin with, by name each one's peer URL, where that is not all."""
        for name in names or self.names:
            arguments = [
                binary or self._binary,
                f"--name={name}",
                f"--data-dir={self.data_dir(name)}",
                f"--listen-client-urls={self.client_urls[name]}",
                f"--advertise-client-urls={self.client_urls[name]}",
                f"--listen-peer-urls={self.peer_urls[name]}",
                f"--initial-advertise-peer-urls={self.peer_urls[name]}",
                f"--initial-cluster={','.join(f'{other}={url}' for other, url in (members or self.peer_urls).items())}",
                f"--initial-cluster-state={state}",
                f"--cert-file={self.cert_file}",
                f"--key-file={self.key_file}",
                f"--trusted-ca-file={self.ca_file}",
                "--client-cert-auth",
                f"--peer-cert-file={self.cert_file}",
                f"--peer-key-file={self.key_file}",
                f"--peer-trusted-ca-file={self.ca_file}",
                "--peer-client-cert-auth",
                *extra,
            ]
            environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
            with open(self._folder / f"{name}.log", "ab") as log:
                self._processes[name] = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def has_ended(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def stop(self, *names: str) -> None:
        stopping = [self._processes.pop(name) for name in names or list(self._processes)]
        for process in stopping:
            process.terminate()
        for process in stopping:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
