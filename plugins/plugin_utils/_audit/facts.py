# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts tell of their etcd processes, as values: certificates are read here, and a claim stays a claim. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import ipaddress
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, read_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import target_of
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificates import has_signed

Answer = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class CertificateFile:
    """A file of certificates, as a process names it. ``problem``: why they can't be read here or there."""

    path: str | None = None
    certificates: tuple[Certificate, ...] = ()
    problem: str | None = None

    @property
    def first(self) -> Certificate | None:
        return self.certificates[0] if self.certificates else None


@dataclass(frozen=True)
class Claim:
    """One etcd process, by what its own host tells of it. It decides about this process alone."""

    name: str
    host: str
    told: Answer = field(repr=False)
    version: Version | None
    peer_certificate: CertificateFile
    peer_authority: CertificateFile
    client_authority: CertificateFile

    @property
    def settings(self) -> Answer | None:
        found: Answer | None = self.told["settings"]
        return found

    @property
    def flags(self) -> t.Mapping[str, str]:
        return {} if self.settings is None else t.cast("t.Mapping[str, str]", self.settings["flags"])

    @property
    def peer_urls(self) -> tuple[str, ...]:
        """Those of it that its cluster lists, else those that it was given."""
        for member in self.told["live_members"] or ():
            if member["member_id"] == self.told["live_member_id"] and member["peer_urls"]:
                return tuple(member["peer_urls"])
        return tuple(self.settings["peer_urls"]) if self.settings is not None else ()


def claims_of(answers: t.Mapping[str, Answer]) -> list[Claim]:
    """The etcd processes of all hosts. ``answers``: by host, of ``etcd_process_info``.

    One is called as its host is; where there are several, each also by its process's number.
    """
    found = []
    for host, answer in sorted(answers.items()):
        told = answer["processes"]
        for process in told:
            name = host if len(told) == 1 else f"{host}/{process['pid']}"
            found.append(
                Claim(
                    name=name,
                    host=host,
                    told=process,
                    version=read_version(process["version"]),
                    **{key: _file(process[key]) for key in ("peer_certificate", "peer_authority", "client_authority")},
                )
            )
    return found


def _file(told: Answer) -> CertificateFile:
    if told["pem"] is None:
        return CertificateFile(told["path"], (), told["problem"])
    try:
        return CertificateFile(told["path"], certificates_in(told["pem"]))
    except RingfenceError as exc:
        return CertificateFile(told["path"], (), str(exc))


def certificates_in(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a text; CryptoError where one of them can't be read."""
    blocks = split_pem(pem.encode("utf-8", "replace"))
    return tuple(_read(block.der) for block in blocks if block.label == CERTIFICATE_LABEL)


@functools.lru_cache(maxsize=1024)
def _read(der: bytes) -> Certificate:
    return read_certificate(der, "the certificate")


def issued_by(certificate: Certificate, authorities: t.Iterable[Certificate]) -> bool:
    """Whether one of the CAs has signed it: a name alone can be anybody's."""
    return any(
        certificate.issuer == authority.subject and has_signed(authority.der, certificate.der)
        for authority in authorities
    )


def place_of(url: str | None) -> tuple[str, int] | None:
    """Host and port of a peer URL; None where it is none that can be called."""
    try:
        target = target_of("", url or "")
    except InputError:
        return None
    try:
        # One address of IPv6 is written in many ways.
        return str(ipaddress.ip_address(target.host)), target.port
    except ValueError:
        return target.host, target.port


def is_loopback(host: str) -> bool:
    """Whether a URL's host is each host itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any(one.is_loopback or one.is_unspecified for one in (address, mapped) if one is not None)


__all__ = (
    "Answer",
    "CertificateFile",
    "Claim",
    "certificates_in",
    "claims_of",
    "is_loopback",
    "issued_by",
    "place_of",
)
