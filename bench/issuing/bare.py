# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issue peer certificates by bare cryptography in one process: the least that it can take.

The request is JSON on standard input, as a module's is, and the answer JSON on standard output: a key and a certificate
for each member, of the same kind as the collection's. With ``--authority FOLDER``, make a CA there instead.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import sys
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def _usage(*, for_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not for_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=for_authority,
        crl_sign=for_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def issue(
    member: t.Mapping[str, t.Any], authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> dict[str, str]:
    """A key and a certificate for one member."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_key = key.public_key()
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in member["dns_names"]]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in member["ip_addresses"]]
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(member["common_name"]))
        .issuer_name(authority.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW)
        .not_valid_after(_NOW + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(for_authority=False), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return {
        "name": member["name"],
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "private_key": _key_pem(key).decode(),
    }


def make_authority(folder: str) -> None:
    """A CA's key and certificate in a folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_key = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("bench peer CA"))
        .issuer_name(_name("bench peer CA"))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - datetime.timedelta(days=1))
        .not_valid_after(_NOW + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(for_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.open(os.path.join(folder, "ca.key"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(_key_pem(key))
    with open(os.path.join(folder, "ca.crt"), "wb") as stream:
        stream.write(certificate.public_bytes(serialization.Encoding.PEM))


def main(arguments: t.Sequence[str]) -> int:
    """Answer one request."""
    if arguments[0] == "--authority":
        make_authority(arguments[1])
        return 0
    with open(arguments[0], encoding="utf-8") as stream:
        request = json.load(stream)["ANSIBLE_MODULE_ARGS"]
    with open(request["ca_certificate_path"], "rb") as stream:
        authority = x509.load_pem_x509_certificate(stream.read())
    with open(request["ca_private_key_path"], "rb") as stream:
        key = t.cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(stream.read(), None))
    json.dump({"members": [issue(member, authority, key) for member in request["members"]]}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
