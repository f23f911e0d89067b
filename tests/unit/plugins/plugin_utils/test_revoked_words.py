# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user says is to be revoked: each certificate is one word, however it is given; the rest is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders, written_certificate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._revoked_words import checked_revoked
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory

CA = factory.authority()
PEM = factory.member_pem(CA).decode()
WRITTEN = written_certificate(certificate_ders(PEM, "it")[0])


def test_a_certificate_is_one_word_as_text_and_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd-1.crt").write_text(PEM)
    # With its parents: it is the first one that is meant.
    (tmp_path / "chain.pem").write_text(PEM + CA.pem.decode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = [PEM, f"  {PEM}\n", str(tmp_path / "etcd-1.crt"), "etcd-1.crt", "~/chain.pem", f"# etcd-1\n{PEM}"]
    assert checked_revoked(words) == [WRITTEN]


def test_numbers_and_names_are_as_they_are_looked_for() -> None:
    assert checked_revoked(["0A:BC", "0abc", " etcd-1 "]) == ["0abc", "etcd-1"]


def test_what_is_no_certificate_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.crt").mkdir()
    (tmp_path / "key.pem").write_bytes(CA.key_pem)
    broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    for word, why in (
        (str(tmp_path / "folder.crt"), "folder.crt"),
        (str(tmp_path / "none.crt"), "there is no file"),
        (str(tmp_path / "key.pem"), "key.pem"),
        (broken, "etcd_peer_tls_revoked"),
        ("", "is no serial number, no member's name and no path"),
        ("x" * 254, "is no serial number, no member's name and no path"),
    ):
        with pytest.raises(InputError) as caught:
            checked_revoked(["etcd-1", word])
        text = str(caught.value)
        assert text.startswith("etcd_peer_tls_revoked: ") and why in text and "\n" not in text
        assert "PRIVATE KEY-----\n" not in text and "!" not in text
