# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it: a client's files with their owner and mode, beside those of other clients."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import stat
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import DAY, NOW, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from cryptography.x509.oid import ExtendedKeyUsageOID

ROOT = os.geteuid() == 0
# As root the files go to another user, who has to be able to read them.
OWNER = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(pwd.getpwnam(OWNER).pw_gid).gr_name

AS_CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]
CA = issue("etcd client CA", is_ca=True)
OTHER_CA = issue("etcd peer CA", is_ca=True)
LEAF = issue("backup", CA, extended_key_usages=AS_CLIENT, names=())
RENEWED = issue("backup", CA, key=LEAF.key, extended_key_usages=AS_CLIENT, names=())
REPLACED = issue("backup", CA, extended_key_usages=AS_CLIENT, names=())
SERVER = issue("backup", CA, extended_key_usages=[ExtendedKeyUsageOID.SERVER_AUTH])
ENDED = issue("backup", CA, extended_key_usages=AS_CLIENT, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
ALL = {"ca_certificate_content": CA.pem, "certificate_content": LEAF.pem, "private_key_content": LEAF.key_pem}
NOTHING = {
    "certificate": None,
    "private_key_matches": None,
    "bundle_pem": None,
    "authorities": [],
    "owner_exists": True,
}


@pytest.fixture
def folder(open_folder: pathlib.Path) -> pathlib.Path:
    return open_folder / "clients"


def put(folder: pathlib.Path, check_mode: bool = False, **args: t.Any) -> dict[str, t.Any]:
    arguments = {"directory": str(folder), "name": "backup", "owner": OWNER, "group": GROUP, **args}
    answer = run_module("etcd_client_credentials", arguments, check_mode=check_mode)
    shown = json.dumps(answer)
    for key in (LEAF, REPLACED, CA):
        for line in key.key_pem.splitlines()[1:-1]:
            assert line not in shown
    return answer


def refused(folder: pathlib.Path, **args: t.Any) -> str:
    answer = put(folder, **args)
    assert answer["failed"] and not folder.exists()
    return str(answer["msg"])


def test_check_run_check_run(folder: pathlib.Path) -> None:
    expected = {name: ["missing"] for name in ("directory", "ca", "private_key", "certificate")}
    predicted = put(folder, check_mode=True, **ALL)
    assert predicted["changed"] and predicted["reasons"] == expected and not folder.exists()
    done = put(folder, **ALL)
    assert done["changed"] and done["reasons"] == expected and done["diff"] == predicted["diff"]
    assert done["present"] == predicted["present"] == NOTHING
    for check_mode in (True, False):
        answer = put(folder, check_mode=check_mode, **ALL)
        assert not answer["changed"] and answer["reasons"] == {} and answer["notes"] == []
        assert answer["diff"] == {"before": {}, "after": {}}
        assert answer["present"] == {
            "certificate": LEAF.pem,
            "private_key_matches": True,
            "bundle_pem": CA.pem,
            "owner_exists": True,
            "authorities": [read_certificates(CA.pem)[0].fingerprint],
        }


def test_a_certificate_without_a_common_name(folder: pathlib.Path) -> None:
    """As etcd's gateway wants it."""
    leaf = issue(None, CA, extended_key_usages=AS_CLIENT, names=())
    given = {**ALL, "certificate_content": leaf.pem, "private_key_content": leaf.key_pem}
    assert put(folder, **given)["changed"] and not put(folder, **given)["changed"]


@pytest.mark.parametrize("mode", ["0600", "0640", "0400", "0440"])
def test_the_key_alone_is_the_clients(folder: pathlib.Path, mode: str) -> None:
    """Two clients of other users share the folder: it is nobody's of the two, so that no run changes it back."""
    put(folder, private_key_mode=mode, **ALL)
    user = pwd.getpwnam(OWNER)
    root = (0, 0) if ROOT else (user.pw_uid, user.pw_gid)
    found = {}
    for path in (folder, *folder.iterdir()):
        info = os.lstat(path)
        found[path.name] = (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
    group = grp.getgrnam(GROUP).gr_gid
    assert found == {
        "clients": (*root, 0o755),
        "ca.crt": (*root, 0o644),
        "backup.crt": (*root, 0o644),
        "backup.key": (user.pw_uid, group, int(mode, 8)),
    }


@pytest.mark.parametrize("mode", ["0644", "0660", "0700", "1600", "rw", "", "0o64"])
def test_no_key_is_for_everybody(folder: pathlib.Path, mode: str) -> None:
    assert refused(folder, private_key_mode=mode, **ALL) == (
        f"private_key_mode: {mode!r} is no mode for a private key: give '0600', '0640', '0400' or '0440'"
    )


def test_a_renewed_certificate_alone_and_a_new_pair(folder: pathlib.Path) -> None:
    put(folder, **ALL)
    key = os.lstat(folder / "backup.key").st_ino
    assert put(folder, certificate_content=RENEWED.pem)["reasons"] == {"certificate": ["content"]}
    assert os.lstat(folder / "backup.key").st_ino == key
    answer = put(folder, certificate_content=REPLACED.pem, private_key_content=REPLACED.key_pem)
    assert answer["reasons"] == {"certificate": ["content"], "private_key": ["content"]}
    assert answer["backups"] == {str(folder / "backup.key"): str(folder / "backup.key.replaced")}
    assert "the replaced private key is kept as" in str(answer["warnings"])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"ca_certificate_content": OTHER_CA.pem}, "is signed by 'etcd client CA', an authority that is not in"),
        ({"certificate_content": REPLACED.pem}, "does not belong to the certificate in certificate_content"),
        (
            {"certificate_content": SERVER.pem, "private_key_content": SERVER.key_pem},
            "lacks clientAuth: etcd takes no other for a client's, issue it with that extended key usage",
        ),
        ({"certificate_content": ENDED.pem, "private_key_content": ENDED.key_pem}, "has expired at"),
        ({"certificate_content": CA.pem, "private_key_content": CA.key_pem}, "the client's own is wanted"),
        ({"certificate_content": LEAF.pem + LEAF.key_pem}, "holds a private key (PRIVATE KEY) among its certificates"),
        ({"name": "../backup"}, "can't be a file's name"),
        ({"directory": "clients"}, "is not an absolute path"),
        ({"owner": "no-such-user"}, "no-such-user"),
    ],
)
def test_what_would_not_do_is_refused(folder: pathlib.Path, args: dict[str, t.Any], expected: str) -> None:
    assert expected in refused(folder, **{**ALL, **args})


def test_in_check_mode_what_is_to_be_issued_need_not_be_there(folder: pathlib.Path) -> None:
    pending = ["ca", "certificate", "private_key"]
    answer = put(folder, check_mode=True, pending_content=pending)
    assert answer["changed"] and set(answer["reasons"]) == {"directory", *pending}
    assert "stands for content that is not there yet" in refused(folder, pending_content=pending)


def test_to_gather_changes_nothing(folder: pathlib.Path) -> None:
    answer = put(folder, gather_only=True)
    assert not answer["changed"] and answer["present"] == NOTHING and not folder.exists()
    put(folder, **ALL)
    os.chmod(folder / "backup.key", 0o644)
    (folder / "backup.crt").write_text(REPLACED.pem)
    answer = put(folder, gather_only=True)
    assert not answer["changed"] and stat.S_IMODE(os.lstat(folder / "backup.key").st_mode) == 0o644
    assert (answer["present"]["certificate"], answer["present"]["private_key_matches"]) == (REPLACED.pem, False)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("backup.crt", "no certificate", {"certificate": None, "private_key_matches": False}),
        ("backup.crt", LEAF.pem + LEAF.key_pem, {"certificate": None, "private_key_matches": True}),
        ("backup.key", "no key", {"certificate": LEAF.pem, "private_key_matches": False}),
        ("ca.crt", "no bundle", {"authorities": []}),
    ],
)
def test_what_cant_be_read_is_as_if_it_were_not_there(
    folder: pathlib.Path, file: str, content: str, expected: dict[str, t.Any]
) -> None:
    put(folder, **ALL)
    (folder / file).write_text(content)
    present = put(folder, gather_only=True)["present"]
    assert {name: present[name] for name in expected} == expected
