# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the fence: a stranger with a valid certificate of the very same CA, and a member, dial a member's peer port.

Both dial from the same host (or loopback), so that their certificates differ in one thing that matters: the common
name. The stranger's certificate and key are made in memory and go to the host over standard input. Needs cryptography.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import ipaddress
import os
import sys
import typing as t

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: E402
from ringfence_lab import Lab, LabError  # noqa: E402
from ringfence_lab.loopback import SOURCE_ADDRESS, Loopback  # noqa: E402


def _digital_signature() -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, **others)


def make_certificate(ca_folder: str, common_name: str, address: str) -> tuple[str, str]:
    """A peer certificate without a fault, and its key: what anybody gets who may ask this CA for one."""
    with open(os.path.join(ca_folder, "ca.crt"), "rb") as stream:
        ca = x509.load_pem_x509_certificate(stream.read())
    with open(os.path.join(ca_folder, "ca.key"), "rb") as stream:
        ca_key = serialization.load_pem_private_key(stream.read(), password=None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_digital_signature(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, None if isinstance(ca_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return pem, key_pem


class Place(t.NamedTuple):
    """Where the two meet."""

    ca_folder: str
    pki_folder: str
    source_address: str
    port: int
    dial: t.Callable[..., dict[str, t.Any]]


def in_lab(options: argparse.Namespace) -> Place:
    lab, port = Lab(options.name), 2380
    source, target = lab.host(options.source), lab.host(options.target)
    dial = functools.partial(lab.probe, source, address=target.address, port=port)
    return Place(lab.ca_folder, "/etc/etcd/pki", source.address, port, dial)


def on_loopback(options: argparse.Namespace) -> Place:
    cluster = Loopback(options.loopback)
    source, target, port = cluster.host(options.source), cluster.host(options.target), cluster.peer_port
    dial = functools.partial(cluster.probe, address=target.address, port=port)
    return Place(cluster.ca_folder, cluster.pki_folder(source), SOURCE_ADDRESS, port, dial)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--name", default="dev", help="the lab (default: dev)")
    where.add_argument("--loopback", metavar="FOLDER", help="a cluster on loopback, in place of a lab")
    parser.add_argument("--common-name", default="stranger")
    parser.add_argument("--from", dest="source", default="etcd-1", help="the host that dials (default: etcd-1)")
    parser.add_argument("--to", dest="target", default="etcd-2", help="the member that is dialed (default: etcd-2)")
    options = parser.parse_args()
    try:
        place = on_loopback(options) if options.loopback else in_lab(options)
        with open(os.path.join(place.ca_folder, "ca.crt"), encoding="ascii") as stream:
            ca = stream.read()
        certificate, key = make_certificate(place.ca_folder, options.common_name, place.source_address)
        own = os.path.join(place.pki_folder, options.source)
        member = place.dial(ca=ca, certificate=f"{own}.crt", private_key=f"{own}.key")
        stranger = place.dial(ca=ca, certificate=certificate, private_key=key)
    except (LabError, OSError) as error:
        print(f"stranger: {error}", file=sys.stderr)
        return 1
    print(f"{options.source} dials {options.target}, port {place.port}, twice: same CA, same address, both key usages.")
    for who, found in (
        (f"{options.source}'s own certificate", member),
        (f"certificate of CN {options.common_name!r}", stranger),
    ):
        print(f"  {who:32} → {'ACCEPTED' if found['accepted'] else 'REFUSED '}  {found['detail']}")
    if not member["accepted"] or stranger["accepted"]:
        print("stranger: this is not the fence that was asked for", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
