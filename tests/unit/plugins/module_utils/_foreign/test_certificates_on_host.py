# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import certificates_on_host as module
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.certificates_on_host import Pairs, pairs_on_host
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    der_of,
    issue,
    key_pem,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

CA = issue("kubernetes-etcd", is_ca=True)
OTHER = issue("another CA", is_ca=True)
ISSUERS = {read_certificate(der_of(CA.certificate)).subject}
ADMIN, NODE = issue("etcd-admin-1", CA), issue("etcd-node-1", CA)


def write(path: pathlib.Path, *texts: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(texts))
    return path


def pair(folder: pathlib.Path, certificate: str, key: str, issued: Issued) -> tuple[str, str]:
    return str(write(folder / certificate, issued.pem)), str(write(folder / key, issued.key_pem))


def look(folder: pathlib.Path, first: t.Container[str | None] = (), most: int = 10) -> Pairs:
    return pairs_on_host([str(folder)], ISSUERS, first, most, NOW)


def paths(found: Pairs) -> list[tuple[str, str]]:
    return [(one.path, one.key_path) for one in found.found]


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        # kubespray, etcdadm, cfssl, easy-rsa, OpenSSL's own folders.
        ("ssl/admin-host.pem", "ssl/admin-host-key.pem"),
        ("pki/apiserver-etcd-client.crt", "pki/apiserver-etcd-client.key"),
        ("pki/issued/client.crt", "pki/private/client.key"),
        ("certs/client.cert.pem", "private/client.key.pem"),
        ("a/one.crt", "a/quite-another-name.key"),
    ],
)
def test_a_pair_is_found_by_its_content(tmp_path: pathlib.Path, certificate: str, key: str) -> None:
    wanted = pair(tmp_path, certificate, key, ADMIN)
    write(tmp_path / "a" / "client.key", NODE.key_pem)
    found = look(tmp_path)
    assert paths(found) == [wanted] and found.left_out == 0 and found.problem is None
    assert found.found[0].certificate.common_name == "etcd-admin-1"
    assert "PRIVATE" not in repr(found)


def test_both_may_be_in_one_file(tmp_path: pathlib.Path) -> None:
    path = str(write(tmp_path / "kubelet-client.pem", ADMIN.pem, ADMIN.key_pem))
    assert paths(look(tmp_path)) == [(path, path)]


def test_what_is_no_pair_of_the_ca_is_none(tmp_path: pathlib.Path) -> None:
    pair(tmp_path, "other.crt", "other.key", issue("x", OTHER))
    pair(tmp_path, "old.crt", "old.key", issue("old", CA, not_before=NOW - 3 * DAY, not_after=NOW - DAY))
    pair(tmp_path, "later.crt", "later.key", issue("later", CA, not_before=NOW + DAY))
    write(tmp_path / "alone.crt", NODE.pem)
    write(tmp_path / "wrong" / "admin.crt", ADMIN.pem)
    write(tmp_path / "wrong" / "admin.key", NODE.key_pem[:80])
    locked = issue("locked", CA)
    write(tmp_path / "locked.crt", locked.pem)
    write(tmp_path / "locked.key", key_pem(locked.key, b"a passphrase"))
    write(tmp_path / "text.pem", "no certificate")
    write(tmp_path / "large.pem", ADMIN.pem, ADMIN.key_pem, "x" * 70000)
    write(tmp_path / "kept.bak", ADMIN.pem, ADMIN.key_pem)
    assert look(tmp_path) == Pairs((), 0, None)


def test_a_cas_own_pair_is_one(tmp_path: pathlib.Path) -> None:
    assert paths(look(tmp_path)) == []
    wanted = pair(tmp_path, "ca.pem", "ca-key.pem", CA)
    assert paths(look(tmp_path)) == [wanted]


def test_no_link_is_followed_and_nothing_is_waited_for(tmp_path: pathlib.Path) -> None:
    pair(tmp_path / "real", "a.crt", "a.key", ADMIN)
    here = tmp_path / "here"
    here.mkdir()
    (here / "folder").symlink_to(tmp_path / "real")
    (here / "a.crt").symlink_to(tmp_path / "real" / "a.crt")
    (here / "a.key").symlink_to(tmp_path / "real" / "a.key")
    os.mkfifo(here / "pipe.pem")
    (here / "loop.pem").symlink_to("loop.pem")
    assert look(here) == Pairs((), 0, None)
    # The folder that was named may be one.
    assert len(look(here / "folder").found) == 1
    assert look(tmp_path / "none") == Pairs((), 0, None)


def test_those_that_somebody_lets_in_come_first(tmp_path: pathlib.Path) -> None:
    server = issue("a-server", CA, extended_key_usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    pair(tmp_path, "a.crt", "a.key", server)
    pair(tmp_path, "b.crt", "b.key", ADMIN)
    pair(tmp_path, "c.crt", "c.key", NODE)
    pair(tmp_path, "copy/c.crt", "copy/c.key", NODE)
    found = look(tmp_path, first={"etcd-node-1"})
    names = [one.certificate.common_name for one in found.found]
    assert names == ["etcd-node-1", "etcd-admin-1", "a-server"]
    fewer = look(tmp_path, first={"etcd-node-1"}, most=1)
    assert [one.certificate.common_name for one in fewer.found] == ["etcd-node-1"] and fewer.left_out == 2


@pytest.mark.parametrize(
    ("limit", "value"), [("_ENTRIES", 3), ("_SECONDS", -1.0), ("_TRIES", 0), ("_DEPTH", 0)], ids=str
)
def test_what_was_not_looked_at_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    for number in range(3):
        pair(tmp_path / "deep", f"{number}.crt", f"{number}.key", ADMIN)
    monkeypatch.setattr(module, limit, value)
    found = look(tmp_path)
    assert found.found == () and found.problem is not None


def test_folders_within_others_are_looked_at_once(tmp_path: pathlib.Path) -> None:
    pair(tmp_path / "a", "a.crt", "a.key", ADMIN)
    found = pairs_on_host([str(tmp_path), str(tmp_path / "a") + "/", str(tmp_path)], ISSUERS, (), 9, NOW)
    assert len(found.found) == 1
