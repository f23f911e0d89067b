# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA as the module that makes strangers sees it: what etcd_ca would change or fail with, and nothing touched."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca, stranger
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates, read_revoked
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_certificate
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_stranger
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

NOW, DAY = factory.NOW, factory.DAY
CA, OTHER = factory.authority(), factory.authority(number=1)
OLD = factory.authority(not_before=NOW - 20 * DAY, not_after=NOW - DAY)
PASSPHRASE = "correct horse battery"
MEMBER = {"name": "etcd-1", "common_name": "etcd-1.example.com", "dns_names": [], "ip_addresses": ["10.0.0.1"]}
Act = t.Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CA as etcd_ca leaves it."""
    found = tmp_path / "ca"
    found.mkdir(mode=0o700)
    put(found, CA.pem, CA.key_pem)
    with_records(found)
    return found


def with_records(folder: Path) -> None:
    """The index and the revocation list of the CA that is there."""
    wanted = ca.WantedCa(str(folder), factory.CA_NAME, "ecdsa-p256", records=ca.WantedRecords())
    ca.apply_ca(ca.plan_ca(wanted, NOW), NOW)


def put(folder: Path, certificate: bytes, key: bytes) -> None:
    for name, mode, content in (("ca.crt", 0o644, certificate), ("ca.key", 0o600, key)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)


def params(folder: Path | None, **changes: t.Any) -> dict[str, t.Any]:
    """What Ansible makes of the options."""
    defaults = {name: option.get("default") for name, option in etcd_peer_stranger.argument_spec().items()}
    directory = None if folder is None else str(folder)
    return {**defaults, "members": [MEMBER], "ca_directory": directory, **changes}


def snapshot(folder: Path) -> dict[str, t.Any]:
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        info = os.lstat(path)
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = (info.st_ino, info.st_uid, info.st_gid, info.st_mode, info.st_mtime_ns, content)
    return found


def gather(folder: Path, **changes: t.Any) -> dict[str, t.Any]:
    """The look at the CA; that it changes nothing is checked as well."""
    before = snapshot(folder.parent)
    found = stranger.gather_ca(params(folder, **changes), NOW)
    assert snapshot(folder.parent) == before
    assert found is not None and all(one["text"] and "\n" not in one["text"] for one in found["pending"])
    return found


def is_well(found: dict[str, t.Any]) -> bool:
    """Whether it is the fixture's CA, and nothing is due, the revocation list at hand."""
    has_list = "BEGIN X509 CRL" in (found["revocation_list_pem"] or "")
    return found["certificate"] == CA.pem.decode() and found["pending"] == [] and has_list


def test_without_a_folder_there_is_nothing_to_look_at() -> None:
    assert stranger.gather_ca(params(None), NOW) is None


def test_all_well(folder: Path) -> None:
    assert is_well(gather(folder))


@pytest.mark.parametrize(("passphrase", "codes"), [("short", ["missing", "input"]), ("long enough", ["missing"])])
def test_what_stands_against_a_new_one(folder: Path, passphrase: str, codes: list[str]) -> None:
    """Told by the look, before anything is installed. A key that is there keeps its passphrase, however short."""
    remove("ca.crt", "ca.key")(folder)
    pending = gather(folder, ca_private_key_passphrase=passphrase)["pending"]
    assert [one["code"] for one in pending] == codes
    assert codes == ["missing"] or "etcd_peer_tls_ca_passphrase) is too short for a new CA key" in pending[1]["text"]
    put(folder, CA.pem, keys.private_key_pem(CA.key, "short"))
    assert gather(folder, ca_private_key_passphrase="short")["pending"] == []


def remove(*names: str) -> Act:
    def act(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return act


def mode(name: str, bits: int) -> Act:
    return lambda folder: (folder / name).chmod(bits)


def rename_folder(folder: Path) -> None:
    folder.rename(folder.parent / "away")


def interrupted(folder: Path) -> None:
    (folder / "ca.crt").rename(folder / ".ca.crt.ringfence-new")


# What is wrong, the certificate that is there all the same, the code and words of the reason.
CASES: dict[str, tuple[Act, dict[str, t.Any], bool, str, str]] = {
    "no CA": (remove("ca.crt", "ca.key"), {}, False, "missing", "there is no CA in"),
    "no folder": (rename_folder, {}, False, "missing", "there is no CA in"),
    "no key": (remove("ca.key"), {}, False, "crypto", "ca.key is not: put the key back"),
    "no certificate": (remove("ca.crt"), {}, False, "crypto", "ca.crt is not: put the certificate back"),
    "another name": (
        lambda folder: None,
        {"ca_common_name": "our CA"},
        False,
        "crypto",
        "common name is 'etcd peer CA', ca_common_name asks for 'our CA'",
    ),
    "another kind of key": (
        lambda folder: None,
        {"ca_key_type": "ecdsa-p384"},
        False,
        "crypto",
        "its key is ecdsa-p256, ca_key_type asks for ecdsa-p384",
    ),
    "another CA's key": (lambda folder: put(folder, CA.pem, OTHER.key_pem), {}, False, "crypto", "is not the key of"),
    "expired": (lambda folder: put(folder, OLD.pem, OLD.key_pem), {}, False, "crypto", "it expired at"),
    "rubbish": (lambda folder: put(folder, b"rubbish", CA.key_pem), {}, False, "crypto", "is no PEM certificate"),
    "no passphrase for an encrypted key": (
        lambda folder: put(folder, CA.pem, keys.private_key_pem(CA.key, PASSPHRASE)),
        {},
        False,
        "crypto",
        "passphrase",
    ),
    "a wrong passphrase": (
        lambda folder: put(folder, CA.pem, keys.private_key_pem(CA.key, PASSPHRASE)),
        {"ca_private_key_passphrase": "another one"},
        False,
        "crypto",
        "passphrase",
    ),
    "an impossible name": (lambda folder: None, {"ca_common_name": ""}, False, "input", "common_name is empty"),
    "mode of the folder": (mode(".", 0o755), {}, True, "mode", "has mode 0755, 0700 is wanted"),
    "mode of the key": (mode("ca.key", 0o644), {}, True, "mode", "ca.key has mode 0644, 0600 is wanted"),
    "mode of the certificate": (mode("ca.crt", 0o600), {}, True, "mode", "ca.crt has mode 0600, 0644 is wanted"),
    "an interrupted run": (interrupted, {}, True, "missing", "ca.crt is missing"),
}


def wanted(folder: Path, options: t.Mapping[str, t.Any]) -> ca.WantedCa:
    """What etcd_ca is asked for with the same options; the role lets it make none where anything was deployed."""
    given = params(folder, **options)
    return ca.WantedCa(
        str(folder),
        given["ca_common_name"],
        given["ca_key_type"],
        passphrase=given["ca_private_key_passphrase"],
        create=False,
    )


@pytest.mark.parametrize("name", CASES)
def test_what_is_due(name: str, folder: Path) -> None:
    act, options, usable, code, words = CASES[name]
    act(folder)
    found = gather(folder, **options)
    assert found["certificate"] == (CA.pem.decode() if usable else None)
    (pending,) = found["pending"]
    assert pending["code"] == code and words in pending["text"]
    # It is what etcd_ca would change, or fail with.
    try:
        plan = ca.plan_ca(wanted(folder, options), NOW)
    except RingfenceError as exc:
        assert ("missing" if exc.details.get("is_missing") else exc.problem, str(exc)) == (
            pending["code"],
            pending["text"],
        )
    else:
        ca.apply_ca(plan, NOW)
        assert plan.changed and is_well(gather(folder, **options))


def test_a_key_that_is_encrypted_with_its_passphrase(folder: Path) -> None:
    put(folder, CA.pem, keys.private_key_pem(CA.key, PASSPHRASE))
    assert is_well(gather(folder, ca_private_key_passphrase=PASSPHRASE))


def test_all_that_is_due_is_told(folder: Path) -> None:
    for name, bits in ((".", 0o755), ("ca.key", 0o640), ("ca.crt", 0o666)):
        (folder / name).chmod(bits)
    assert [one["code"] for one in gather(folder)["pending"]] == ["mode"] * 3


# Together with the strangers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [True, False])
def test_to_look_and_make_none(hidden: bool, folder: Path) -> None:
    """Where nobody is going to be called, no key is made, and so there is none to hide."""
    found = stranger.run(params(folder, make=False), NOW, hidden)
    assert is_well(found.pop("ca"))
    assert found == {
        "members": [],
        "clients": {},
        "client_problem": None,
        "common_name": None,
        "problem": "none was asked for",
    }
    # Not even the members are looked at.
    assert stranger.run(params(None, make=False, members=[{}]), NOW, hidden)["ca"] is None


def test_strangers_of_the_ca_in_a_folder(folder: Path) -> None:
    found = stranger.run(params(folder), NOW, True)
    assert found["problem"] is None and is_well(found["ca"])
    (made,) = found["members"]
    assert load_certificate(made["stranger_certificate"].encode(), "it").issuer == (CA.certificate.subject)
    assert set(made) == {
        "name",
        "stranger_certificate",
        "stranger_private_key",
        "unknown_ca_certificate",
        "unknown_ca_private_key",
        "revoked_certificate",
        "revoked_private_key",
    }


def test_the_revoked_one_is_good_in_all_but_its_serial_number(folder: Path) -> None:
    """Two proofs, two keys, and one number, which was on the list before: no proof makes the list longer."""
    made = [stranger.run(params(folder), NOW, True)["members"][0]["revoked_certificate"] for _time in range(2)]
    leaves = [read_certificates(pem)[0] for pem in made]
    revoked = read_revoked((folder / "ca.crl").read_bytes())
    assert {leaf.serial_number for leaf in leaves} == revoked
    assert leaves[0].fingerprint != leaves[1].fingerprint
    for leaf in leaves:
        assert (leaf.common_name, leaf.ip_addresses) == (MEMBER["common_name"], ("10.0.0.1",))
        assert set(leaf.extended_key_usage or ()) == {"serverAuth", "clientAuth"}


@pytest.mark.parametrize("lost", ["index.json", "ca.crl", "both"])
def test_without_a_list_there_is_no_revoked_one(lost: str, folder: Path) -> None:
    remove(*(("index.json", "ca.crl") if lost == "both" else (lost,)))(folder)
    found = stranger.run(params(folder), NOW, True)
    assert "revoked_certificate" not in found["members"][0] and "stranger_certificate" in found["members"][0]
    assert {one["code"] for one in found["ca"]["pending"]} <= {"missing", "content"} != set()
    assert found["ca"]["revocation_list_pem"] is None


def test_a_ca_that_keeps_no_index_is_well_without(folder: Path) -> None:
    remove("index.json", "ca.crl")(folder)
    found = stranger.run(params(folder, keep_index=False), NOW, True)
    assert found["ca"]["pending"] == [] and "revoked_certificate" not in found["members"][0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no CA", "there is no "),
        ("no key", "there is no "),
        ("no certificate", "there is no "),
        ("no passphrase for an encrypted key", "passphrase"),
    ],
)
def test_a_ca_that_can_not_be_used_is_said_twice_and_fails_nothing(name: str, problem: str, folder: Path) -> None:
    """Once as what is due, once as why there is no stranger of that CA; one of an unknown CA is made all the same."""
    act, options, *_others = CASES[name]
    act(folder)
    found = stranger.run(params(folder, **options), NOW, True)
    assert problem in found["problem"] and found["common_name"] is None
    assert found["ca"]["certificate"] is None and len(found["ca"]["pending"]) == 1
    assert set(found["members"][0]) == {"name", "unknown_ca_certificate", "unknown_ca_private_key"}


@pytest.mark.parametrize("name", ["mode of the key", "another name"])
def test_a_drift_of_the_ca_does_not_keep_strangers_from_being_made(name: str, folder: Path) -> None:
    act, options, *_others = CASES[name]
    act(folder)
    found = stranger.run(params(folder, **options), NOW, True)
    assert found["problem"] is None and len(found["ca"]["pending"]) == 1
    assert "stranger_certificate" in found["members"][0]


def test_keys_are_never_shown(folder: Path) -> None:
    with pytest.raises(RefusedError, match="set no_log to true"):
        stranger.run(params(folder), NOW, False)


def test_a_ca_given_as_content_is_not_looked_at() -> None:
    given = params(
        None, ca_certificate_content=CA.pem.decode(), ca_private_key_content=CA.key_pem.decode(), validity_minutes=1
    )
    found = stranger.run(given, NOW, True)
    assert found["ca"] is None and found["problem"] is None
    with pytest.raises(InputError, match="validity_minutes is 61"):
        stranger.run({**given, "validity_minutes": 61}, NOW, True)


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_module(check_mode: bool, folder: Path) -> None:
    before = snapshot(folder)
    arguments = {"make": False, "members": [], "ca_directory": str(folder)}
    answer = run_module("etcd_peer_stranger", arguments, check_mode=check_mode)
    assert not answer["changed"] and is_well(answer["ca"])
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    "other",
    [
        {"ca_certificate_path": "/ca.crt"},
        {"ca_certificate_content": "PEM"},
        {"ca_private_key_path": "/ca.key"},
    ],
)
def test_a_folder_and_another_ca_exclude_each_other(other: dict[str, str], folder: Path) -> None:
    answer = run_module("etcd_peer_stranger", {"members": [MEMBER], "ca_directory": str(folder), **other}, no_log=True)
    assert answer["failed"] and "mutually exclusive" in answer["msg"] and "ca_directory" in answer["msg"]
