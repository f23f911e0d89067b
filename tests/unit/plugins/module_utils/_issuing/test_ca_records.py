# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index and the revocation list of a CA: they say the same, never get shorter, and each is made from the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca, ca_index, ca_records
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import WantedRecords
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_revoked
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificate_facts, revocation_list
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from cryptography import x509

NOW, DAY = factory.NOW, factory.DAY
OTHER = factory.authority(number=1)


def ensure(folder: Path, now: t.Any = NOW, key_type: str = "ecdsa-p256", **records: t.Any) -> ca.CaPlan:
    wanted = ca.WantedCa(str(folder), factory.CA_NAME, key_type, records=WantedRecords(**records))
    return ca.apply_ca(ca.plan_ca(wanted, now), now)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def listed(folder: Path) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl((folder / "ca.crl").read_bytes())


def index(folder: Path) -> ca_index.Index:
    return ca_index.index_from((folder / "index.json").read_bytes(), "index.json")


def number(folder: Path) -> int:
    return listed(folder).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "ca"
    ensure(found)
    return found


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_a_new_ca_has_both_and_a_second_run_changes_nothing(key_type: str, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    assert ensure(folder, key_type=key_type).changed
    found, before = listed(folder), contents(folder)
    authority = x509.load_pem_x509_certificate(before["ca.crt"])
    assert found.issuer == authority.subject
    if key_type == "ed25519":
        # Before cryptography 38 a list does not take such a key.
        t.cast(t.Any, authority.public_key()).verify(found.signature, found.tbs_certlist_bytes)
    else:
        assert found.is_signature_valid(t.cast(t.Any, authority.public_key()))
    assert number(folder) == 1
    assert read_revoked(before["ca.crl"]) == {index(folder).probe_serial_number}
    assert (folder / "index.json").stat().st_mode & 0o777 == 0o600
    again = ensure(folder, now=NOW + 30 * DAY, key_type=key_type)
    assert not again.changed and contents(folder) == before


def test_the_list_is_current_until_the_ca_ends(folder: Path) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    found = listed(folder)
    # Before cryptography 42 there is only the one without a time zone.
    end = getattr(found, "next_update_utc", None) or t.cast(t.Any, found.next_update).replace(tzinfo=NOW.tzinfo)
    assert end == certificate_facts.not_after(authority)


def test_openssl_takes_the_list_for_the_cas_own(folder: Path) -> None:
    assert shutil.which("openssl")
    command = ["openssl", "crl", "-inform", "DER", "-in", str(folder / "ca.crl"), "-CAfile", str(folder / "ca.crt")]
    told = subprocess.run([*command, "-noout"], capture_output=True, text=True, check=True, timeout=60)
    assert "verify OK" in told.stdout + told.stderr


def test_what_is_revoked_is_listed_once_and_for_good(folder: Path) -> None:
    plan = ensure(folder, revoked=("0abc", "0def"))
    assert [one.serial_number for one in t.cast(t.Any, plan.records).revoked] == ["0abc", "0def"]
    assert read_revoked((folder / "ca.crl").read_bytes()) == {"0abc", "0def", index(folder).probe_serial_number}
    assert number(folder) == 2
    before = contents(folder)
    assert not ensure(folder, revoked=("0abc",)).changed
    assert not ensure(folder).changed and contents(folder) == before


def test_check_mode_says_what_is_revoked_and_touches_nothing(folder: Path) -> None:
    before = contents(folder)
    args = {"ca_directory": str(folder), "ca_common_name": factory.CA_NAME, "revoked": ["0A:BC"]}
    check = run_module("etcd_ca", args, check_mode=True)
    assert contents(folder) == before
    run = run_module("etcd_ca", args)
    assert check["reasons"] == run["reasons"] and check["diff"]["after"]["files"] == run["diff"]["after"]["files"]
    assert check["revoked"] == run["revoked"] == [{"serial_number": "0abc", "name": None}]
    assert check["revocation_list_pem"] is None and "X509 CRL" in run["revocation_list_pem"]
    assert run_module("etcd_ca", args)["changed"] is False
    assert "PRIVATE KEY" not in str(run)


def test_a_serial_number_that_is_none_is_refused_in_one_line(folder: Path) -> None:
    before = contents(folder)
    args = {"ca_directory": str(folder), "ca_common_name": factory.CA_NAME, "revoked": ["etcd-1"]}
    answer = run_module("etcd_ca", args)
    assert answer["failed"] and "revoked: 'etcd-1' is no serial number" in answer["msg"]
    assert contents(folder) == before


def test_what_was_issued_is_in_the_index_before_anybody_has_it(folder: Path, tmp_path: Path) -> None:
    args = {
        "ca_directory": str(folder),
        "ca_certificate_path": str(folder / "ca.crt"),
        "ca_private_key_path": str(folder / "ca.key"),
        "directory": str(tmp_path / "peers"),
        "members": [{"name": "etcd-1", "common_name": "one", "dns_names": ["one"]}],
    }
    check = run_module("etcd_peer_certificates", args, check_mode=True)
    assert check["changed"] and len(index(folder).issued) == 1
    answer = run_module("etcd_peer_certificates", args)
    entry = index(folder).find(answer["members"][0]["serial_number"])
    assert entry is not None and (entry.name, entry.common_name, entry.revoked) == ("etcd-1", "one", None)
    assert entry.not_after == answer["members"][0]["not_after"]
    before = contents(folder)
    assert run_module("etcd_peer_certificates", args)["changed"] is False and contents(folder) == before
    assert b"PRIVATE" not in before["index.json"]
    assert not ensure(folder).changed


def test_an_index_that_can_not_be_written_keeps_what_was_issued_back(folder: Path, tmp_path: Path) -> None:
    (folder / "index.json").write_text("{}")
    peers = tmp_path / "peers"
    args = {
        "ca_directory": str(folder),
        "ca_certificate_path": str(folder / "ca.crt"),
        "ca_private_key_path": str(folder / "ca.key"),
        "directory": str(peers),
        "members": [{"name": "etcd-1", "common_name": "one", "dns_names": ["one"]}],
    }
    answer = run_module("etcd_peer_certificates", args)
    assert answer["failed"] and "index.json, the index of what the CA has issued, can't be read" in answer["msg"]
    assert not list(peers.glob("*.crt")) and not list(peers.glob("*.key"))


def test_members_and_ca_in_one_folder_do_not_wait_for_each_other(folder: Path) -> None:
    args = {
        "ca_directory": str(folder),
        "ca_certificate_path": str(folder / "ca.crt"),
        "ca_private_key_path": str(folder / "ca.key"),
        "directory": str(folder),
        "members": [{"name": "etcd-1", "common_name": "one", "dns_names": ["one"]}],
    }
    assert run_module("etcd_peer_certificates", args)["changed"]
    assert [one.name for one in index(folder).issued] == [None, "etcd-1"]


def test_a_ca_from_before_begins_with_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    plan = ca.plan_ca(ca.WantedCa(str(folder), factory.CA_NAME, "ecdsa-p256"), NOW)
    made = ca.apply_ca(plan, NOW)
    key = ca.plan_ca(ca.WantedCa(str(folder), factory.CA_NAME, "ecdsa-p256"), NOW).key
    own = factory.Authority(key, t.cast(x509.Certificate, made.certificate))
    (folder / "etcd-1.crt").write_bytes(factory.member_pem(own))
    (folder / "etcd-9.crt").write_bytes(factory.member_pem(OTHER))
    known = (
        ("etcd-2", factory.member_pem(own, factory.profile("etcd-2")).decode()),
        ("etcd-3", factory.member_pem(OTHER).decode()),
        ("etcd-4", "no certificate"),
    )
    assert ensure(folder, known=known).changed
    assert [one.name for one in index(folder).issued] == [None, "etcd-1", "etcd-2"]
    assert not ensure(folder, known=known).changed


@pytest.mark.parametrize("lost", ["index.json", "ca.crl"])
def test_each_is_made_anew_from_the_other(lost: str, folder: Path) -> None:
    ensure(folder, revoked=("0abc",))
    revoked = read_revoked((folder / "ca.crl").read_bytes())
    (folder / lost).unlink()
    plan = ensure(folder)
    assert plan.changed and revoked <= read_revoked((folder / "ca.crl").read_bytes())
    assert number(folder) > 2
    notes = t.cast(t.Any, plan.records).notes
    assert len(notes) == (1 if lost == "index.json" else 0) and all("\n" not in note for note in notes)
    assert not ensure(folder).changed


def test_an_older_index_from_a_backup_takes_nothing_back(folder: Path) -> None:
    older = (folder / "index.json").read_bytes()
    ensure(folder, revoked=("0abc",))
    (folder / "index.json").write_bytes(older)
    assert ensure(folder).changed
    assert "0abc" in index(folder).revoked and "0abc" in read_revoked((folder / "ca.crl").read_bytes())


def test_a_run_that_died_between_the_two_is_finished(folder: Path) -> None:
    short = (folder / "ca.crl").read_bytes()
    ensure(folder, revoked=("0abc",))
    (folder / "ca.crl").write_bytes(short)
    assert ensure(folder).changed and "0abc" in read_revoked((folder / "ca.crl").read_bytes())
    assert number(folder) == 3


def test_another_ca_in_the_folder_keeps_what_the_first_one_revoked(folder: Path) -> None:
    ensure(folder, revoked=("0abc",))
    for name in ("ca.key", "ca.crt"):
        (folder / name).unlink()
    assert ensure(folder).changed
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    assert listed(folder).is_signature_valid(t.cast(t.Any, authority.public_key()))
    assert "0abc" in read_revoked((folder / "ca.crl").read_bytes()) and number(folder) == 3


BROKEN: dict[str, t.Callable[[dict[str, t.Any]], t.Any]] = {
    "another version": lambda found: {**found, "version": 2},
    "no version": lambda found: {"issued": []},
    "a list": lambda found: [found],
    "a number": lambda found: {**found, "number": -1},
    "a serial number": lambda found: {**found, "probe_serial_number": "XYZ"},
    "a moment": lambda found: {**found, "begun": "yesterday"},
    "an entry": lambda found: {**found, "issued": ["0abc"]},
    "twice": lambda found: {**found, "issued": found["issued"] * 2},
    "a moment in an entry": lambda found: {**found, "issued": [{**found["issued"][0], "revoked": "x"}]},
    "a name": lambda found: {**found, "issued": [{**found["issued"][0], "name": 7}]},
}


@pytest.mark.parametrize("broken", [*BROKEN, "no JSON", "empty", "cut off"])
def test_an_index_that_can_not_be_read_is_refused(broken: str, folder: Path) -> None:
    path = folder / "index.json"
    texts = {"no JSON": "index", "empty": "", "cut off": path.read_text()[:80]}
    path.write_text(texts[broken] if broken in texts else json.dumps(BROKEN[broken](json.loads(path.read_text()))))
    before = contents(folder)
    with pytest.raises(CryptoError, match=r"the index of what the CA has issued, can't be read .*put it back"):
        ensure(folder, revoked=("0abc",))
    assert contents(folder) == before


def test_a_list_that_can_not_be_read_is_made_anew_from_the_index_and_else_refused(folder: Path) -> None:
    ensure(folder, revoked=("0abc",))
    (folder / "ca.crl").write_bytes(b"garbage")
    assert ensure(folder).changed and "0abc" in read_revoked((folder / "ca.crl").read_bytes())
    (folder / "ca.crl").write_bytes(b"garbage")
    (folder / "index.json").unlink()
    before = contents(folder)
    with pytest.raises(CryptoError, match="what is revoked is not known"):
        ensure(folder)
    assert contents(folder) == before


def test_drift_of_both_files_is_repaired(folder: Path) -> None:
    before = contents(folder)
    (folder / "index.json").chmod(0o644)
    (folder / "ca.crl").chmod(0o600)
    plan = ensure(folder)
    assert [reason["code"] for reason in t.cast(t.Any, plan.records).reasons] == ["mode", "mode"]
    assert contents(folder) == before
    assert (folder / "index.json").stat().st_mode & 0o777 == 0o600
    assert (folder / "ca.crl").stat().st_mode & 0o777 == 0o644


def test_a_list_without_a_number_is_no_higher_than_any() -> None:
    listed = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(OTHER.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + DAY)
        .sign(OTHER.key, revocation_list.certificates.signature_hash_for("ecdsa-p256"))
    )
    der = listed.public_bytes(revocation_list.serialization.Encoding.DER)
    assert revocation_list.read_revocation_list(der, "it").number == 0


def test_the_index_of_the_next_plan_is_told_also_before_it_is_begun(tmp_path: Path) -> None:
    authority = OTHER.certificate
    (tmp_path / "etcd-1.crt").write_bytes(factory.member_pem(OTHER))
    assert [one.name for one in ca_records.read_index(str(tmp_path), authority, NOW).issued] == [None, "etcd-1"]
    assert ca_records.read_index(str(tmp_path / "nowhere"), authority, NOW).issued[0].revoked is not None


def test_what_was_revoked_before_it_was_known_keeps_that_and_gets_its_name() -> None:
    """Revoked by its number alone; what is known of it comes later, from its member."""
    known = ca_index.Issued("0abc", name="etcd-1", not_after="2027-01-01T00:00:00Z")
    begun = ca_index.new_index("0def", NOW)
    revoked = ca_index.with_revoked(begun, ["0abc"], NOW)
    found = ca_index.with_issued(revoked, [known]).find("0abc")
    assert found is not None and (found.name, found.not_after) == ("etcd-1", "2027-01-01T00:00:00Z")
    assert found.revoked is not None and found.revoked == t.cast(t.Any, revoked.find("0abc")).revoked
    # Who has a name keeps it, and the proof's own number is nobody's.
    named = ca_index.with_issued(revoked, [known])
    assert ca_index.with_issued(named, [ca_index.Issued("0abc", name="etcd-2")]) == named
    own = ca_index.Issued(begun.probe_serial_number, name="etcd-1")
    assert ca_index.with_issued(begun, [own]) == begun


def test_a_plan_without_changes_writes_nothing_and_needs_no_key(folder: Path) -> None:
    before = contents(folder)
    authority = x509.load_pem_x509_certificate(before["ca.crt"])
    plan = ca_records.plan_records(str(folder), authority, WantedRecords(), NOW)
    assert not plan.changes
    no_key = t.cast(t.Any, None)
    assert ca_records.apply_records(plan, authority, no_key, NOW) is plan and contents(folder) == before
