# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name constraints: read as cryptography reads them, judged as Go does."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import (
    NameConstraints,
    Names,
    forbidden_names,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import why_names_forbidden
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import authority_chain
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import read_certificate
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    der,
    extension,
    made_by_hand,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import der_of
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st


def network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


def made(
    permitted: list[x509.GeneralName] | None = None, excluded: list[x509.GeneralName] | None = None
) -> x509.NameConstraints:
    return x509.NameConstraints(permitted, excluded)


EXAMPLE = made([x509.DNSName("example.com"), network("10.0.0.0/8")])


def constraints(value: x509.NameConstraints) -> NameConstraints:
    found = read_certificate(der_of(maker.authority("constrained", constraints=value).certificate), "it").constraints
    assert found is not None
    return found


def test_they_are_read() -> None:
    assert read_certificate(der_of(maker.authority("free").certificate), "it").constraints is None
    found = constraints(EXAMPLE)
    assert found == NameConstraints(Names(("example.com",), (ipaddress.ip_network("10.0.0.0/8"),)))
    assert str(found) == "permits example.com, 10.0.0.0/8" and found.are_known
    both = constraints(made([x509.DNSName("")], [network("fd00::/8"), x509.RFC822Name("example.com")]))
    assert str(both) == "permits every DNS name and excludes fd00::/8" and both.are_known


def test_a_kind_that_etcd_does_not_know_is_refused() -> None:
    name = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")]))
    for value in (made([name]), made(None, [name])):
        ca = maker.authority("constrained", constraints=value)
        with pytest.raises(CryptoError, match="name constraints of a kind that etcd does not know"):
            authority_chain.read_chain(ca.pem, "it")


# The constraints, names that they let in, names that they do not.
EVALUATED: dict[str, tuple[x509.NameConstraints, list[str], list[str]]] = {
    "a domain and a network": (
        EXAMPLE,
        ["example.com", "etcd-1.example.com", "a.b.EXAMPLE.com", "*.example.com", "10.0.0.1", "10.255.255.255"],
        ["localhost", "badexample.com", "example.com.org", "com", "11.0.0.1", "127.0.0.1", "::1", "fd00::1"],
    ),
    "what is not named of a kind is free": (made([x509.DNSName("example.com")]), ["127.0.0.1", "::1"], ["localhost"]),
    "a dot in front": (made([x509.DNSName(".example.com")]), ["a.example.com"], ["example.com", "b.org"]),
    "excluded": (
        made(None, [x509.DNSName("lab.example.com"), network("192.168.0.0/16"), network("::/0")]),
        ["example.com", "localhost", "10.0.0.1"],
        ["lab.example.com", "a.lab.example.com", "*.example.com", "192.168.3.4", "::1"],
    ),
    "both": (
        made([x509.DNSName("example.com")], [x509.DNSName("a.example.com")]),
        ["b.example.com"],
        ["a.example.com", "x.a.example.com", "localhost"],
    ),
    "no address at all": (made(None, [network("0.0.0.0/0"), network("::/0")]), ["localhost"], ["127.0.0.1", "::1"]),
    "no name at all": (made(None, [x509.DNSName("")]), ["127.0.0.1"], ["localhost", "a.b"]),
    "one address": (made([network("10.0.0.1/32")]), ["10.0.0.1", "localhost"], ["10.0.0.2"]),
    "networks of IPv6": (made([network("fd00::/64")]), ["fd00::1"], ["fd00:0:0:1::1", "10.0.0.1"]),
}


def forbidden(value: NameConstraints, names: t.Iterable[str]) -> list[str]:
    addresses = [name for name in names if name.replace(".", "").isdigit() or ":" in name]
    dns_names = [name for name in names if name not in addresses]
    return sorted(forbidden_names([value], dns_names, addresses))


@pytest.mark.parametrize("name", EVALUATED)
def test_they_are_judged(name: str) -> None:
    value, good, bad = EVALUATED[name]
    assert forbidden(constraints(value), [*good, *bad]) == sorted(bad)


def test_those_of_parents_count_too() -> None:
    root = maker.authority("root", constraints=EXAMPLE)
    issuing = maker.authority("issuing", root, constraints=made(None, [x509.DNSName("lab.example.com")]))
    for pem in (issuing.pem + root.pem, root.pem + issuing.pem):
        facts = issuer_facts(pem.encode(), "it")
        assert facts.label.startswith("'issuing'")
        names = ["etcd-1.lab.example.com", "etcd-1.example.com", "localhost"]
        assert forbidden_names(facts.constraints, names, ["10.0.0.1"]) == ("etcd-1.lab.example.com", "localhost")


def test_the_line_names_the_way_out() -> None:
    facts = issuer_facts(maker.authority("constrained", constraints=EXAMPLE).pem.encode(), "it")
    loopback = why_names_forbidden("etcd-1", ["a.example.com", "localhost"], ["10.0.0.1", "127.0.0.1", "::1"], facts)
    assert loopback is not None and "\n" not in loopback
    assert "member etcd-1: the CA 'constrained'" in loopback and "permits example.com, 10.0.0.0/8" in loopback
    assert (
        "with localhost, 127.0.0.1, ::1: leave loopback's names out with etcd_peer_tls_loopback_sans: false" in loopback
    )
    other = why_names_forbidden("etcd-1", ["a.example.org"], ["10.0.0.1"], facts)
    assert other is not None and "loopback_sans" not in other and "in place of a.example.org" in other
    assert why_names_forbidden("etcd-1", ["a.example.com"], ["10.0.0.1"], facts) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.booleans())
def test_whatever_stands_there_is_read_or_malformed(value: bytes, wrap: bool) -> None:
    if wrap:
        value = der(0x30, der(0xA0, value))
    try:
        found = read_certificate(made_by_hand(extension("2.5.29.30", value)), "it").constraints
    except CryptoError as exc:
        assert "\n" not in str(exc)
        return
    assert isinstance(found, NameConstraints)


SUBTREE = der(0x82, b"example.com")


@pytest.mark.parametrize(
    ("subtree", "problem"),
    [
        # The library does not tell of them, OpenSSL refuses them, and Go does not look at them.
        (SUBTREE + der(0x80, b"\1"), "name constraints that say more than names"),
        (SUBTREE + der(0x81, b"\1"), "name constraints that say more than names"),
        (der(0x87, bytes(7)), ""),
        (der(0x87, b"\x0a\0\0\0\xff\0\xff\0"), ""),
        (der(0x82, b"\xff"), ""),
    ],
)
def test_what_readers_see_differently_is_refused_by_name(subtree: bytes, problem: str) -> None:
    value = der(0x30, der(0xA0, der(0x30, subtree)))
    with pytest.raises(CryptoError) as caught:
        read_certificate(made_by_hand(extension("2.5.29.30", value)), "the CA")
    line = str(caught.value)
    assert line.startswith("the CA is no readable X.509 certificate (") and problem in line and "\n" not in line
