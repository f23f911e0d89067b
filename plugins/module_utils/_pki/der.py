# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a certificate in DER, each as it is encoded (RFC 5280, 4.1). Pure.

What is in them is read by others. Whatever is put together otherwise, so that one reader would see a part where another
sees none, ends in :class:`Malformed` for all of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed

SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"

# Tags of two kinds of GeneralName.
DNS_NAME = asn1.CONTEXT | 2
IP_ADDRESS = asn1.CONTEXT | 7


@dataclass(frozen=True)
class Extension:
    """One extension; ``value`` is DER."""

    kind: str
    critical: bool
    value: bytes = field(repr=False)


class Parts(t.NamedTuple):
    """A certificate's parts. ``validity``: both dates; ``extensions``: by kind, in their order."""

    serial_number: int
    issuer: bytes
    validity: bytes
    subject: bytes
    public_key: bytes
    extensions: dict[str, Extension]

    def value(self, kind: str) -> bytes | None:
        """The DER in an extension, None where there is none of this kind."""
        found = self.extensions.get(kind)
        return None if found is None else found.value


class NameAttribute(t.NamedTuple):
    """One attribute of a subject or issuer: its kind, and its value's tag and content."""

    kind: str
    tag: int
    content: bytes


def parts_of(der: bytes) -> Parts:
    """The parts of one certificate. Malformed where it is none."""
    body = asn1.sequence_in(der, "a certificate")
    tbs = body.sequence("the signed part")
    signature_algorithm = body.whole_sequence("the signature's algorithm")
    body.bit_string("the signature")
    body.end("a certificate")

    version = _version(tbs.optional(asn1.CONTEXT | asn1.CONSTRUCTED))
    serial_number = tbs.integer("the serial number")
    if tbs.whole_sequence("the signature's algorithm") != signature_algorithm:
        # RFC 5280, 4.1.1.2: only the one inside is signed.
        raise Malformed("two different signature algorithms")
    issuer = tbs.whole_sequence("the issuer")
    validity = tbs.whole_sequence("the validity")
    subject = tbs.whole_sequence("the subject")
    public_key = tbs.whole_sequence("the public key")
    # issuerUniqueID and subjectUniqueID: nobody uses them.
    tbs.optional(asn1.CONTEXT | 1)
    tbs.optional(asn1.CONTEXT | 2)
    extensions = tbs.optional(asn1.CONTEXT | asn1.CONSTRUCTED | 3)
    tbs.end("the signed part")
    if extensions is not None and version != 3:
        # Go does not look at them, others do.
        raise Malformed(f"extensions in version {version}")
    return Parts(serial_number, issuer, validity, subject, public_key, _extensions(extensions))


def attributes(name: bytes) -> t.Iterator[NameAttribute]:
    """The attributes of a name in their order. Malformed where it is none."""
    relative_names = asn1.sequence_in(name, "a name")
    while not relative_names.at_end:
        part = asn1.Reader(relative_names.expect(asn1.SET, "a part of a name"))
        while not part.at_end:
            attribute = part.sequence("a part of a name")
            kind = attribute.object_identifier("the kind of a name")
            tag, content, _whole = attribute.value()
            attribute.end("a part of a name")
            yield NameAttribute(kind, tag, content)


def general_names(value: bytes) -> t.Iterator[tuple[int, bytes]]:
    """Tag and content of each subject alternative name (RFC 5280, 4.2.1.6). Malformed where it is none."""
    names = asn1.sequence_in(value, "the subject alternative names")
    while not names.at_end:
        tag, content, _whole = names.value()
        yield tag, content


def public_key_parts(public_key: bytes) -> tuple[str, asn1.Reader, bytes]:
    """A SubjectPublicKeyInfo's algorithm, what follows on it, and the key itself. Malformed where it is none."""
    parts = asn1.sequence_in(public_key, "the public key")
    algorithm = parts.sequence("the public key's algorithm")
    kind = algorithm.object_identifier("the public key's algorithm")
    key = parts.bit_string("the public key")
    parts.end("the public key")
    return kind, algorithm, key


def _version(explicit: bytes | None) -> int:
    """1 or 3; they are counted from 0, and 1 is what stands nowhere. Nobody makes 2, and few read it."""
    if explicit is None:
        return 1
    content = asn1.Reader(explicit)
    number = content.integer("the version")
    content.end("the version")
    if number not in (0, 2):
        raise Malformed("an unknown version")
    return number + 1


def _extensions(content: bytes | None) -> dict[str, Extension]:
    found: dict[str, Extension] = {}
    if content is None:
        return found
    extensions = asn1.sequence_in(content, "the extensions")
    while not extensions.at_end:
        extension = extensions.sequence("an extension")
        kind = extension.object_identifier("an extension's kind")
        critical = extension.optional(asn1.BOOLEAN)
        value = extension.expect(asn1.OCTET_STRING, "an extension's value")
        extension.end("an extension")
        if kind in found:
            raise Malformed("an extension that comes twice")
        found[kind] = Extension(kind, critical is not None and asn1.boolean(critical), value)
    return found


__all__ = (
    "DNS_NAME",
    "IP_ADDRESS",
    "SUBJECT_ALTERNATIVE_NAME",
    "Extension",
    "NameAttribute",
    "Parts",
    "attributes",
    "general_names",
    "parts_of",
    "public_key_parts",
)
