# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PEM that is whole, written in other ways, or broken; and whatever else may stand in a file."""

from __future__ import annotations

import ssl

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_der
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import (
    PemBlock,
    is_read_by_all,
    pem_text,
    split_pem,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# What it is that stands in a block is not PEM's business.
DER = bytes(range(100))
PEM = pem_text("CERTIFICATE", DER)
BOUNDED = settings(max_examples=200, deadline=None, derandomize=True, database=None)

_PIECES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [
            b"-----BEGIN CERTIFICATE-----",
            b"-----END CERTIFICATE-----",
            b"-----BEGIN ",
            b"-----",
            b"\n",
            b"\r",
            b"\xef\xbb\xbf",
        ]
        + [b"\xff\xfe", b"AAAA", b"=", b"Proc-Type: 4,ENCRYPTED", b"-----BEGIN PRIVATE KEY-----", PEM, b" ", b"\0"]
    ),
)


def test_a_block_is_written_as_openssl_writes_it() -> None:
    assert PEM.decode() == ssl.DER_cert_to_PEM_cert(DER)
    assert split_pem(PEM) == (PemBlock("CERTIFICATE", (), DER),)


@pytest.mark.parametrize(
    ("text", "blocks", "by_all"),
    [
        (PEM + PEM, 2, True),
        (b"\xef\xbb\xbf" + PEM + PEM, 2, False),
        (PEM.replace(b"\n", b"\r\n"), 1, True),
        (PEM.replace(b"\n", b"\r"), 1, False),
        (b"before\n" + PEM + b"between\n" + PEM + b"behind", 2, True),
        (b"", 0, True),
    ],
)
def test_ways_to_write_blocks(text: bytes, blocks: int, by_all: bool) -> None:
    assert [block.der for block in split_pem(text)] == [DER] * blocks
    assert is_read_by_all(text) is by_all


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"  " + PEM, "x is broken PEM: a line has more on it than its -----BEGIN"),
        (b"ca: " + PEM, "put that on a line of its own"),
        (PEM + b"\xef\xbb\xbf" + PEM, "put that on a line of its own"),
        (PEM.rstrip() + PEM, "-----BEGIN|does not end"),
        (PEM.decode().encode("utf-16"), "x is UTF-16 text, which etcd can't read: save it as UTF-8"),
    ],
)
def test_a_block_is_never_skipped_without_a_word(text: bytes, words: str) -> None:
    with pytest.raises(CryptoError, match=words):
        split_pem(text, "x")


@BOUNDED
@given(st.lists(_PIECES, max_size=12).map(b"".join))
def test_whatever_stands_there_is_blocks_or_one_line(text: bytes) -> None:
    for read in (lambda: split_pem(text, "x"), lambda: certificate_der(text, "x")):
        try:
            read()
        except CryptoError as exc:
            assert str(exc).isprintable()


@BOUNDED
@given(st.binary(min_size=1, max_size=300), st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "X509 CRL"]))
def test_what_is_written_is_read_again(der: bytes, label: str) -> None:
    assert split_pem(pem_text(label, der)) == (PemBlock(label, (), der),)
