# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for, and what each file of a member or client is going to hold: read, checked, and written anew.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    CryptoError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import (
    iso_time,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    REVOCATION_LIST,
    requested_key_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificates,
    read_revoked,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    read_file,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import CLIENT as CLIENT_USAGES
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import PEER as PEER_USAGES
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import (
    Material,
    check_certificate,
    check_credentials,
    check_pair,
    check_private_key,
    check_trust_bundle,
    private_key_block,
    private_key_fits,
    read_public,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import (
    CERTIFICATE_LABEL,
    REVOCATION_LIST_LABEL,
    is_read_by_all,
    pem_text,
    split_pem,
)

_TITLES = {CA: "trust bundle", PRIVATE_KEY: "private key", CERTIFICATE: "certificate"}
_ARGUMENTS = {CA: "ca_certificate_content", PRIVATE_KEY: "private_key_content", CERTIFICATE: "certificate_content"}


@dataclass(frozen=True)
class WantedCredentials:
    """What is asked for. Content of None keeps the file that is there; ``pending_content`` names what comes later."""

    directory: str
    name: str
    owner: str
    group: str
    directory_mode: int
    ca_certificate_content: str | None = field(default=None, repr=False)
    certificate_content: str | None = field(default=None, repr=False)
    private_key_content: str | None = field(default=None, repr=False)
    # Whether the private key is the one that this host has made, which waits for its certificate.
    requested_key: bool = False
    revocation_list_content: str | None = field(default=None, repr=False)
    pending_content: frozenset[str] = frozenset()
    check_mode: bool = False
    # A client's: for clientAuth alone, and in a folder that clients of other owners may share.
    is_client: bool = False
    private_key_mode: int = 0o600

    @property
    def usages(self) -> tuple[str, ...]:
        return CLIENT_USAGES if self.is_client else PEER_USAGES


@dataclass(frozen=True)
class Contents:
    """What the files are going to hold."""

    # By kind what is known of the three: what was given, else what is there.
    materials: dict[str, Material]
    # By kind what is given, as it goes to the file.
    written: dict[str, bytes] = field(repr=False)
    # The file of the key that this host has made, where it is the one that is wanted and waits.
    waiting: str | None


def checked_contents(request: WantedCredentials, paths: t.Mapping[str, str]) -> Contents:
    """Read and check all of them. CryptoError where they do not fit together, RefusedError where a list is shorter.

    ``paths``: of each kind of file that there is going to be.
    """
    given = _given(request)
    waiting = _take_waiting_key(request, paths, given)
    materials = _materials(request, paths, given, waiting)
    _check_materials(materials, request.usages)
    listed = _revocation_list(request)
    if listed is not None:
        _check_not_shorter(listed, paths[REVOCATION_LIST])
    written = _written(given, paths, waiting)
    if listed is not None:
        written[REVOCATION_LIST] = listed
    return Contents(materials, written, waiting)


def _given(request: WantedCredentials) -> dict[str, bytes]:
    contents = {
        CA: request.ca_certificate_content,
        CERTIFICATE: request.certificate_content,
        PRIVATE_KEY: request.private_key_content,
    }
    return {kind: text.encode("utf-8", "replace") for kind, text in contents.items() if text is not None}


def _take_waiting_key(request: WantedCredentials, paths: t.Mapping[str, str], given: dict[str, bytes]) -> str | None:
    """Put the key that this host has made among what is given; gives its path, None where no key waits.

    CryptoError where it is wanted and neither waits nor is in place.
    """
    if not request.requested_key:
        return None
    path = requested_key_path(request.directory, request.name)
    waiting = read_file(path)
    if waiting is not None:
        given[PRIVATE_KEY] = waiting
        return path
    certificate, present = given.get(CERTIFICATE), read_file(paths[PRIVATE_KEY])
    with contextlib.suppress(CryptoError):
        if certificate is None or PRIVATE_KEY in request.pending_content:
            return None
        pair = Material(_ARGUMENTS[CERTIFICATE], certificate), Material(paths[PRIVATE_KEY], present or b"")
        if private_key_fits(*pair):
            return None
    raise CryptoError(
        f"no private key waits as {path}, and the one in place is not that of certificate_content: make one with "
        "etcd_peer_key, and have its request signed",
        reason="no_requested_key",
    )


def _argument(kind: str, waiting: str | None) -> str:
    """What given content is called in messages."""
    return waiting if kind == PRIVATE_KEY and waiting is not None else _ARGUMENTS[kind]


def _materials(
    request: WantedCredentials, paths: t.Mapping[str, str], given: dict[str, bytes], waiting: str | None
) -> dict[str, Material]:
    """What each file is going to hold, as far as it is known: what was given, else what is there."""
    materials: dict[str, Material] = {}
    missing: list[str] = []
    for kind in (CA, CERTIFICATE, PRIVATE_KEY):
        if kind in given:
            materials[kind] = Material(_argument(kind, waiting), given[kind])
        elif kind not in request.pending_content:
            content = read_file(paths[kind])
            if content is None:
                missing.append(kind)
            else:
                materials[kind] = Material(paths[kind], content)
    if missing:
        what = " and no ".join(_TITLES[kind] for kind in missing)
        where = " and ".join(paths[kind] for kind in missing)
        arguments = " and ".join(_ARGUMENTS[kind] for kind in missing)
        remedy = "give " + ("it" if len(missing) == 1 else "them")
        if PRIVATE_KEY in missing:
            remedy += "; where the key is lost, issue the certificate anew with a new key"
        raise CryptoError(
            f"no {what} for {request.name}: {where} {'does' if len(missing) == 1 else 'do'} not exist and {arguments} "
            f"{'was' if len(missing) == 1 else 'were'} not given: {remedy}",
            missing=missing,
        )
    return materials


def _check_materials(materials: dict[str, Material], usages: t.Sequence[str]) -> None:
    """Check what is known of the three; with all three known by a whole TLS handshake."""
    bundle, certificate, private_key = (materials.get(kind) for kind in (CA, CERTIFICATE, PRIVATE_KEY))
    if bundle is not None and certificate is not None and private_key is not None:
        check_credentials(bundle, certificate, private_key, usages)
        return
    if bundle is not None:
        check_trust_bundle(bundle)
    if private_key is not None:
        check_private_key(private_key)
    if certificate is not None:
        if private_key is not None:
            check_pair(certificate, private_key)
        check_certificate(certificate, usages=usages)


def _revocation_list(request: WantedCredentials) -> bytes | None:
    """The list in DER, which every etcd reads; CryptoError where what was given is none."""
    what = "revocation_list_content"
    if request.revocation_list_content is None:
        return None
    blocks = split_pem(request.revocation_list_content.encode("utf-8", "replace"), what)
    if [block.label for block in blocks] != [REVOCATION_LIST_LABEL]:
        raise CryptoError(f"{what} is not one revocation list in PEM: etcd reads just one, give the CA's (ca.crl)")
    read_revoked(blocks[0].der, what)
    return blocks[0].der


def _check_not_shorter(listed: bytes, path: str) -> None:
    """RefusedError where a list has not all that the present one has: who was refused so far would be let in."""
    present = read_file(path)
    if present is None:
        return
    # What can't be read refuses everybody or nobody: any list is better.
    with contextlib.suppress(CryptoError):
        lost = sorted(read_revoked(present, path) - read_revoked(listed))
        if lost:
            raise RefusedError(
                f"{path} revokes serial number {', '.join(lost[:5])}{' and more' if lost[5:] else ''}, and the list at "
                "hand does not: put the CA's index.json and ca.crl back from their backup, or this file in the place "
                "of that ca.crl, whose serial numbers the CA then takes over; where this host is not believed, move "
                "it away",
                lost=lost[:100],
            )


def _written(given: dict[str, bytes], paths: t.Mapping[str, str], waiting: str | None) -> dict[str, bytes]:
    """What goes to the files, written anew from what was read, so that no word that was pasted beside it gets there.

    A file that says the same is left as it is: line ends, wrapping and comments are no difference.
    """
    written: dict[str, bytes] = {}
    for kind, content in given.items():
        ders = _ders(kind, Material(_argument(kind, waiting), content))
        present = read_file(paths[kind])
        written[kind] = b"".join(pem_text(label, der) for label, der in ders)
        if present is not None and is_read_by_all(present):
            with contextlib.suppress(CryptoError):
                if _ders(kind, Material(paths[kind], present)) == ders:
                    written[kind] = present
    return written


def _ders(kind: str, material: Material) -> list[tuple[str, bytes]]:
    """The content of a file, however it is written."""
    if kind == PRIVATE_KEY:
        block = private_key_block(material)
        return [(block.label, block.der)]
    return [(CERTIFICATE_LABEL, certificate.der) for certificate in read_public(material)]


def end_of_present(paths: t.Mapping[str, str]) -> str | None:
    """Until when the certificate of the present key is valid; None where it is not beside the key."""
    try:
        certificate, private_key = (read_file(paths[kind]) for kind in (CERTIFICATE, PRIVATE_KEY))
        if certificate is None or private_key is None:
            return None
        found = Material(paths[CERTIFICATE], certificate)
        if not private_key_fits(found, Material(paths[PRIVATE_KEY], private_key)):
            return None
        return iso_time(read_certificates(certificate, found.name)[0].not_after)
    except RingfenceError:
        return None


__all__ = ("Contents", "WantedCredentials", "checked_contents", "end_of_present")
