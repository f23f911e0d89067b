# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PEM as people give it: pasted, from a vault, a form or another system. It is read, or one line says why not.

Wider than what etcd reads, so nothing of the text itself goes on: what is read is written anew with ``written``. Text
in, bytes out; no I/O. No line ever holds a part of the text.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, PemBlock, pem_block

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible.module_utils.basic import AnsibleModule

MAXIMAL_BYTES = 256 * 1024

_MARK = re.compile(rb"-----[ \t]*(BEGIN|END)[ \t]+([A-Z0-9][A-Z0-9 ]{0,60}?)[ \t]*-----")
# The words are not enough: a certificate's own text may have a "Private Key Usage Period".
_PRIVATE = re.compile(
    rb"(?i)PRIVATE KEY[ \t]*-----|-----[ \t]*BEGIN[A-Z0-9 \t]{0,40}PRIVATE KEY|^Private-Lines:", re.MULTILINE
)
_CERTIFICATE_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_HEADER = re.compile(rb"[A-Za-z0-9-]+:[\x20-\x7e]*")
# A binary file that was read as text has these for what was none.
_REPLACEMENT = "\ufffd".encode()
_PKCS12_BEGIN = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...|\x80)\x02\x01\x03\x30", re.DOTALL)

# What stands in the place of a certificate, and what to do about it.
_OTHER_CERTIFICATES = {
    "TRUSTED CERTIFICATE": "a certificate in OpenSSL's own form: convert it with openssl x509 -in FILE",
    "X509 CERTIFICATE": "a certificate with an old label: convert it with openssl x509 -in FILE",
    "CERTIFICATE REQUEST": "a request, which a CA has still to sign: give the certificate that came of it",
    "NEW CERTIFICATE REQUEST": "a request, which a CA has still to sign: give the certificate that came of it",
    "PKCS7": "PKCS#7: convert it with openssl pkcs7 -print_certs -in FILE",
    "PKCS12": "PKCS#12: take the certificate out with openssl pkcs12 -in FILE -nokeys",
    "CMS": "a CMS container: take the certificate out",
}


def as_bytes(text: str | bytes) -> bytes:
    """The text's bytes, also of one that was a binary file."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def holds_private_key(text: str | bytes) -> bool:
    """Whether a private key stands in a text, or what was to be one: broken and in whatever form."""
    return bool(_PRIVATE.search(as_bytes(text)))


def hide_misplaced_keys(module: AnsibleModule, *options: str) -> None:
    """Have Ansible blank out a public option with a private key in it, which it would show in the module's result."""
    for option in options:
        value = module.params.get(option)
        if isinstance(value, str) and holds_private_key(value):
            module.no_log_values.add(value)


def certificate_der(pem: bytes, what: str) -> bytes:
    """The DER of the one certificate in a PEM text; CryptoError where there is none, a broken one, or several.

    For who wants one certificate and would not know what to do with a chain or a bundle.
    """
    if not pem.strip():
        raise CryptoError(f"{what} is empty: put the certificate back from its backup")
    blocks = _CERTIFICATE_BLOCK.findall(pem)
    if not blocks:
        raise CryptoError(
            f"{what} is no PEM certificate (no complete 'BEGIN CERTIFICATE' block): put the right one there"
        )
    if len(blocks) > 1:
        raise CryptoError(f"{what} holds {len(blocks)} certificates, one is wanted: give the one meant alone")
    return pem_block(CERTIFICATE_LABEL, [line.strip() for line in blocks[0].splitlines()], what).der


def certificate_ders(text: str | bytes, what: str) -> tuple[bytes, ...]:
    """The DER of each certificate in a public text, in order; CryptoError where anything else is in it."""
    if holds_private_key(text):
        raise CryptoError(
            f"{what} holds a private key: it goes to every node, so only certificates belong there; take the key out, "
            "and use another where this one was seen by others"
        )
    blocks = _blocks(text, what, "certificate")
    for block in blocks:
        if block.label != CERTIFICATE_LABEL:
            found = _OTHER_CERTIFICATES.get(block.label, f"a block '{block.label}': give certificates alone")
            raise CryptoError(f"{what} holds {found}")
    return tuple(block.der for block in blocks)


def private_key_block(
    text: str | bytes, what: str, has_passphrase: bool = False, passphrase_option: str = ""
) -> PemBlock:
    """The one private key in a text; CryptoError where it is none, in a form that is not read, or badly encrypted.

    A certificate beside it is no matter: what is read goes where the key goes, and alone.
    """
    raw = as_bytes(text)
    if raw.lstrip().startswith(b"PuTTY-User-Key-File"):
        raise CryptoError(
            f"{what} is in PuTTY's format: convert it with puttygen "
            "FILE -O private-openssh-new and then ssh-keygen -p -m PKCS8"
        )
    blocks = _blocks(text, what, "private key")
    private = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    others = [block.label for block in blocks if not block.label.endswith(("PRIVATE KEY", " PARAMETERS"))]
    if not private:
        swapped = CERTIFICATE_LABEL in others
        raise CryptoError(
            f"{what} is no PEM private key: it holds "
            + ("a certificate (the two swapped?)" if swapped else f"a block '{(others or ['PARAMETERS'])[0]}'")
        )
    if len(private) > 1:
        raise CryptoError(f"{what} holds {len(private)} private keys, one is wanted: give the one meant alone")
    block = private[0]
    if block.label == "OPENSSH PRIVATE KEY":
        raise CryptoError(f"{what} is in OpenSSH's format: convert a copy of it with ssh-keygen -p -m PKCS8 -f COPY")
    encrypted = is_encrypted(block)
    if encrypted and not has_passphrase:
        way_out = (
            f"give its passphrase with {passphrase_option}"
            if passphrase_option
            else "etcd needs one without passphrase"
        )
        raise CryptoError(f"{what} is encrypted and no passphrase was given: {way_out}")
    if has_passphrase and not encrypted:
        raise CryptoError(
            f"{what} is not encrypted, but a passphrase was given: leave {passphrase_option} out, or encrypt it"
        )
    return block


def is_encrypted(block: PemBlock) -> bool:
    return block.label.startswith("ENCRYPTED") or any("ENCRYPTED" in header for header in block.headers)


def written(block: PemBlock) -> str:
    """The block as PEM in the one form that every reader takes: lines of 64, ended by a line feed."""
    encoded = base64.b64encode(block.der).decode("ascii")
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    headers = [*block.headers, ""] if block.headers else []
    return "\n".join([f"-----BEGIN {block.label}-----", *headers, *lines, f"-----END {block.label}-----", ""])


def written_certificate(der: bytes) -> str:
    return written(PemBlock(CERTIFICATE_LABEL, (), der))


def _blocks(text: str | bytes, what: str, wanted: str) -> tuple[PemBlock, ...]:
    """All blocks in order, however their lines end or begin; CryptoError where there is none, and what is instead."""
    raw = as_bytes(text)
    if not raw.strip():
        raise CryptoError(f"{what} is empty: put the {wanted} back from its backup")
    if len(raw) > MAXIMAL_BYTES:
        raise CryptoError(f"{what} has {len(raw)} bytes, more than any {wanted} has: give the right one")
    blocks: list[PemBlock] = []
    label: bytes | None = None
    begin = 0
    for mark in _MARK.finditer(raw):
        if mark[1] == b"BEGIN":
            if label is not None:
                break
            label, begin = mark[2], mark.end()
        elif label is None or mark[2] != label:
            raise CryptoError(f"{what} is broken PEM: a block ends that did not begin; copy it again")
        else:
            blocks.append(_block(label.decode("ascii"), raw[begin : mark.start()], what))
            label = None
    if label is not None:
        raise CryptoError(f"{what} is broken PEM: a block begins and does not end; it was cut off or pasted in part")
    if not blocks:
        raise CryptoError(f"{what} is no PEM {wanted}: {_what_else(raw, wanted)}")
    return tuple(blocks)


def _block(label: str, body: bytes, what: str) -> PemBlock:
    if b"\\n" in body:
        raise CryptoError(
            f"{what} is broken PEM: it has the two characters \\n where its lines should end; give it with real ends of"
            " lines (in YAML: a block that begins with |)"
        )
    lines = [line.strip() for line in body.strip().splitlines()]
    headers: list[str] = []
    if lines and _HEADER.fullmatch(lines[0]):
        # RFC 1421: headers end with an empty line.
        while lines and _HEADER.fullmatch(lines[0]):
            headers.append(lines.pop(0).decode("ascii"))
    try:
        der = base64.b64decode(b"".join(b"".join(lines).split()), validate=True)
    except (binascii.Error, ValueError):
        raise CryptoError(f"{what} is broken: what stands in its PEM is not base64; copy it again") from None
    if not der:
        raise CryptoError(f"{what} is broken: its PEM is empty; copy it again")
    return PemBlock(label, tuple(headers), der)


def _what_else(raw: bytes, wanted: str) -> str:
    """What a text without a block may be, and the way out."""
    stripped = raw.strip()
    option = "x509" if wanted == "certificate" else "pkey"
    if stripped.startswith(b"$ANSIBLE_VAULT;"):
        return "it is still encrypted by Ansible Vault: give it as a !vault value, or decrypt it"
    if stripped.startswith((b"ssh-", b"ecdsa-sha2-")):
        return "it is a public key of OpenSSH's"
    armoured = _unarmoured(stripped)
    binary = armoured or raw
    if _PKCS12_BEGIN.match(binary):
        which = "-nokeys" if wanted == "certificate" else "-nocerts"
        return f"it is PKCS#12: take the {wanted} out with openssl pkcs12 -in FILE {which}"
    if armoured:
        return "it is base64 without its first and last line (-----BEGIN ...-----, -----END ...-----): give it whole"
    if (raw[:1] == b"\x30" and len(raw) > 1 and raw[1] >= 0x80) or _REPLACEMENT in raw or b"\0" in raw:
        return f"it is binary (DER or PKCS#12): convert it with openssl {option} -inform DER -in FILE"
    if b"\n" not in stripped and len(stripped) < 1024 and (b"/" in stripped or stripped.endswith((b".pem", b".crt"))):
        return "it looks like a path, the content is wanted: give it with lookup('ansible.builtin.file', ...)"
    return f"no 'BEGIN {wanted.upper()}' stands in it, put the right one there"


def _unarmoured(text: bytes) -> bytes | None:
    """The DER in a text that is nothing but its base64."""
    try:
        decoded = base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded[:1] == b"\x30" and len(decoded) > 32 else None


__all__ = (
    "MAXIMAL_BYTES",
    "as_bytes",
    "certificate_der",
    "certificate_ders",
    "hide_misplaced_keys",
    "holds_private_key",
    "is_encrypted",
    "private_key_block",
    "written",
    "written_certificate",
)
