# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it: checks first, four steps, check mode before anything exists, no byte of a key."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import re
import stat
import struct
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates, read_revoked
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    issue,
    key_pem,
    new_key,
    revocation_list,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can give files away")
# As root the files go to another user, who has to be able to read them.
OWNER = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(pwd.getpwnam(OWNER).pw_gid).gr_name

CA = issue("etcd peer CA", is_ca=True)
OTHER_CA = issue("other CA", is_ca=True)
LEAF = issue("etcd-1.example.com", CA)
LEAF_END = iso_time(read_certificates(LEAF.pem)[0].not_after)
RENEWED = issue("etcd-1.example.com", CA, key=LEAF.key)
REPLACED = issue("etcd-1.example.com", CA)
Args = dict[str, t.Any]
ALL: Args = {"ca_certificate_content": CA.pem, "certificate_content": LEAF.pem, "private_key_content": LEAF.key_pem}


@pytest.fixture
def base(open_folder: pathlib.Path) -> pathlib.Path:
    return open_folder


@pytest.fixture
def pki(base: pathlib.Path) -> pathlib.Path:
    return base / "etcd" / "pki"


def put(pki: pathlib.Path, check_mode: bool = False, **args: t.Any) -> dict[str, t.Any]:
    arguments = {"directory": str(pki), "name": "etcd-1", "owner": OWNER, "group": GROUP, **args}
    answer = run_module("etcd_peer_credentials", arguments, check_mode=check_mode)
    shown = json.dumps(answer)
    for key in (LEAF, REPLACED, CA):
        for line in key.key_pem.splitlines()[1:-1]:
            assert line not in shown
    return answer


def snapshot(folder: pathlib.Path) -> dict[str, t.Any]:
    """Everything below a folder that a run could change."""
    found: dict[str, t.Any] = {}
    for path in sorted(folder.rglob("*")):
        info = os.lstat(path)
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = (info.st_ino, info.st_uid, info.st_gid, info.st_mode, info.st_mtime_ns, content)
    return found


def test_check_run_check_run(pki: pathlib.Path, base: pathlib.Path) -> None:
    expected = {name: ["missing"] for name in ("directory", "ca", "private_key", "certificate")}
    before = snapshot(base)
    predicted = put(pki, check_mode=True, **ALL)
    assert predicted["changed"] and predicted["reasons"] == expected and snapshot(base) == before
    done = put(pki, **ALL)
    assert done["changed"] and done["reasons"] == expected and done["diff"] == predicted["diff"]
    after = snapshot(base)
    for check_mode in (True, False):
        answer = put(pki, check_mode=check_mode, **ALL)
        assert not answer["changed"] and answer["reasons"] == {} and answer["backups"] == {} and answer["notes"] == []
        assert answer["diff"] == {"before": {}, "after": {}}
    assert snapshot(base) == after
    assert answer["paths"] == {
        "directory": str(pki),
        "ca": str(pki / "ca.crt"),
        "certificate": str(pki / "etcd-1.crt"),
        "private_key": str(pki / "etcd-1.key"),
    }


def test_a_key_that_is_given_is_not_asked_for(pki: pathlib.Path) -> None:
    """As the role says it where the CA's host makes the keys."""
    done = put(pki, requested_key=False, **ALL)
    assert done["changed"] and (pki / "etcd-1.key").exists()


def test_owner_group_and_mode(pki: pathlib.Path) -> None:
    put(pki, directory_mode="0750", **ALL)
    owner, group = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(GROUP).gr_gid
    root = 0 if ROOT else owner
    found = {}
    for path in (pki, pki / "ca.crt", pki / "etcd-1.crt", pki / "etcd-1.key"):
        info = os.lstat(path)
        found[path.name] = (info.st_uid, stat.S_IMODE(info.st_mode))
    assert found == {
        "pki": (root, 0o750),
        "ca.crt": (root, 0o644),
        "etcd-1.crt": (root, 0o644),
        "etcd-1.key": (owner, 0o600),
    }
    assert os.lstat(pki).st_gid == group == os.lstat(pki / "etcd-1.key").st_gid


def test_diff_shows_public_facts(pki: pathlib.Path) -> None:
    diff = put(pki, **ALL)["diff"]
    assert diff["before"][str(pki / "etcd-1.crt")] == {"state": "absent", "certificates": []}
    (line,) = diff["after"][str(pki / "etcd-1.crt")]["certificates"]
    assert line.startswith("etcd-1.example.com, until ") and "sha256" in line
    assert diff["after"][str(pki / "etcd-1.key")]["content"] == "another key"
    assert diff["after"][str(pki / "etcd-1.key")]["mode"] == "0600"


def test_without_diff_there_is_none(pki: pathlib.Path) -> None:
    arguments = {"directory": str(pki), "name": "etcd-1", "owner": OWNER, "group": GROUP, **ALL}
    answer = run_module("etcd_peer_credentials", arguments, diff=False)
    assert answer["changed"] and "diff" not in answer


def test_only_a_renewed_certificate(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    key = os.lstat(pki / "etcd-1.key").st_ino
    answer = put(pki, certificate_content=RENEWED.pem)
    assert answer["reasons"] == {"certificate": ["content"]} and answer["backups"] == {}
    assert (pki / "etcd-1.crt").read_text() == RENEWED.pem
    assert os.lstat(pki / "etcd-1.key").st_ino == key


def test_a_replaced_key_is_kept(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    new: Args = {"certificate_content": REPLACED.pem, "private_key_content": REPLACED.key_pem}
    backups = {str(pki / "etcd-1.key"): str(pki / "etcd-1.key.replaced")}
    predicted = put(pki, check_mode=True, **new)
    assert predicted["backups"] == backups and sorted(os.listdir(pki)) == ["ca.crt", "etcd-1.crt", "etcd-1.key"]
    answer = put(pki, **new)
    assert answer["backups"] == backups and answer["reasons"] == {
        "private_key": ["content"],
        "certificate": ["content"],
    }
    for reported in (predicted, answer):
        assert reported["backup_not_after"] == LEAF_END
        # Newer versions of ansible-core put more round a warning than its text.
        line = json.dumps(reported["warnings"])
        assert (
            len(reported["warnings"]) == 1
            # No key was kept before: the line must not speak of one.
            and f"is kept as {pki}/etcd-1.key.replaced until a later one takes its place; its certificate is " in line
            and f"valid until {LEAF_END}" in line
        )
    assert (pki / "etcd-1.key.replaced").read_text() == LEAF.key_pem
    assert stat.S_IMODE(os.lstat(pki / "etcd-1.key.replaced").st_mode) == 0o600
    quiet = put(pki, **new)
    assert not quiet["changed"] and quiet["backup_not_after"] is None and "warnings" not in quiet


def test_of_replaced_keys_the_last_one_is_kept(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    put(pki, certificate_content=REPLACED.pem, private_key_content=REPLACED.key_pem)
    third = issue("etcd-1.example.com", CA)
    # The key's own certificate is not beside it, so nobody knows until when it is valid.
    (pki / "etcd-1.crt").write_text(LEAF.pem)
    answer = put(pki, certificate_content=third.pem, private_key_content=third.key_pem)
    assert answer["backup_not_after"] is None and "not known here" in json.dumps(answer["warnings"])
    assert sorted(os.listdir(pki)) == ["ca.crt", "etcd-1.crt", "etcd-1.key", "etcd-1.key.replaced"]
    assert (pki / "etcd-1.key.replaced").read_text() == REPLACED.key_pem


# Other ways to write the same. What comes last is as OpenSSL writes it.
WAYS: dict[str, t.Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "a mark in front": lambda pem: "\ufeff" + pem,
    "text around": lambda pem: f"subject=CN = x\n{pem}\nBag Attributes: none\n",
    "one long line": lambda pem: re.sub(r"(?<=[^-])\n(?=[^-])", "", pem),
    "spaces": lambda pem: pem.replace("\n", " \n"),
    "no end": lambda pem: pem.strip(),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_what_is_given_is_written_anew_and_is_no_change_later(pki: pathlib.Path, way: t.Callable[[str], str]) -> None:
    given = {name: way(text) for name, text in ALL.items()}
    put(pki, **given)
    for path, pem in (("ca.crt", CA.pem), ("etcd-1.crt", LEAF.pem), ("etcd-1.key", LEAF.key_pem)):
        assert (pki / path).read_bytes() == pem.encode()
    before = snapshot(pki)
    for again in (ALL, given):
        assert not put(pki, **again)["changed"] and not put(pki, check_mode=True, **again)["changed"]
    assert snapshot(pki) == before


@pytest.mark.parametrize(
    ("way", "stays"),
    [("as it is", True), ("CRLF", True), ("text around", True), ("one long line", True), ("a mark in front", False)],
)
def test_a_file_that_says_the_same_is_left_as_it_is(pki: pathlib.Path, way: str, stays: bool) -> None:
    """Where etcd reads in it what we read: a mark in front hides the first certificate from Go."""
    put(pki, **ALL)
    for path in ("ca.crt", "etcd-1.crt", "etcd-1.key"):
        (pki / path).write_bytes(WAYS[way]((pki / path).read_text()).encode())
    before = snapshot(pki)
    reasons = put(pki, **ALL)["reasons"]
    assert reasons == ({} if stays else {kind: ["content"] for kind in ("ca", "certificate", "private_key")})
    assert (snapshot(pki) == before) is stays
    assert not put(pki, **ALL)["changed"]


@pytest.mark.parametrize("ending", [OTHER_CA.pem, CA.key_pem, "-----BEGIN X-----\nAAAA\n-----END X-----\n"])
def test_a_file_that_says_more_is_written_anew(pki: pathlib.Path, ending: str) -> None:
    put(pki, **ALL)
    (pki / "ca.crt").write_text(CA.pem + ending)
    assert put(pki, **ALL)["reasons"] == {"ca": ["content"]}
    assert (pki / "ca.crt").read_text() == CA.pem


def test_a_key_in_the_trust_bundle_that_is_there_is_told(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    (pki / "ca.crt").write_text(CA.pem + CA.key_pem)
    answer = put(pki)
    assert answer["failed"] and f"{pki}/ca.crt holds a private key (PRIVATE KEY) among its certi" in answer["msg"]


def test_nothing_given_checks_and_repairs(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    assert not put(pki)["changed"]
    (pki / "etcd-1.key").chmod(0o644)
    (pki / "ca.crt").chmod(0o600)
    pki.chmod(0o700)
    expected = {"directory": ["mode"], "ca": ["mode"], "private_key": ["mode"]}
    assert put(pki, check_mode=True)["reasons"] == expected
    answer = put(pki)
    assert answer["reasons"] == expected
    assert answer["diff"]["before"][str(pki / "etcd-1.key")]["mode"] == "0644"
    assert not put(pki)["changed"]


@as_root
def test_owner_drift_is_repaired(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    os.chown(pki / "etcd-1.key", 0, 0)
    os.chown(pki / "etcd-1.crt", 64123, 0)
    answer = put(pki)
    assert answer["reasons"] == {"private_key": ["owner", "group"], "certificate": ["owner"]}
    assert not put(pki)["changed"]


def test_content_is_compared_without_the_last_newline(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    assert not put(pki, **{name: text.strip() for name, text in ALL.items()})["changed"]


def test_what_a_killed_run_left_goes(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    (pki / ".etcd-1.key.ringfence-new").write_text(REPLACED.key_pem)
    assert put(pki, check_mode=True, **ALL)["reasons"] == {"private_key": ["leftover"]}
    assert put(pki, **ALL)["reasons"] == {"private_key": ["leftover"]}
    assert sorted(os.listdir(pki)) == ["ca.crt", "etcd-1.crt", "etcd-1.key"]
    (pki / ".etcd-1.crt.ringfence-new").write_text("half a c")
    assert put(pki, certificate_content=RENEWED.pem)["reasons"] == {"certificate": ["content", "leftover"]}
    assert sorted(os.listdir(pki)) == ["ca.crt", "etcd-1.crt", "etcd-1.key"]


# Check mode before anything exists ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "pending"),
    [
        ({}, ["ca", "certificate", "private_key"]),
        ({"ca_certificate_content": CA.pem}, ["certificate", "private_key"]),
        ({"certificate_content": LEAF.pem, "private_key_content": LEAF.key_pem}, ["ca"]),
    ],
)
def test_pending_on_an_empty_host(pki: pathlib.Path, base: pathlib.Path, given: Args, pending: list[str]) -> None:
    answer = put(pki, check_mode=True, pending_content=pending, **given)
    assert answer["reasons"] == {name: ["missing"] for name in ("directory", "ca", "private_key", "certificate")}
    assert os.listdir(base) == []
    for kind, path in (("ca", "ca.crt"), ("certificate", "etcd-1.crt")):
        shown = answer["diff"]["after"][str(pki / path)]["certificates"]
        assert (shown == ["issued in this run"]) is (kind in pending)


def test_pending_counts_as_new_content(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    answer = put(pki, check_mode=True, pending_content=["certificate"])
    assert answer["reasons"] == {"certificate": ["content"]} and answer["backups"] == {}
    (pki / "etcd-1.key").chmod(0o644)
    answer = put(pki, check_mode=True, pending_content=["certificate", "private_key"])
    assert answer["reasons"] == {"private_key": ["content", "mode"], "certificate": ["content"]}
    assert answer["backups"] == {str(pki / "etcd-1.key"): str(pki / "etcd-1.key.replaced")}


def test_pending_does_not_look_at_the_file_that_goes(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    (pki / "etcd-1.crt").write_text("broken")
    assert put(pki, check_mode=True, pending_content=["certificate"])["reasons"] == {"certificate": ["content"]}


@as_root
def test_a_user_that_the_play_makes_is_a_note_in_check_mode(pki: pathlib.Path) -> None:
    strangers: Args = {"owner": "etcd-to-be", "group": "etcd-to-be"}
    answer = put(pki, check_mode=True, **strangers, **ALL)
    assert answer["changed"] and len(answer["notes"]) == 2
    assert answer["notes"][0].startswith("user etcd-to-be does not exist on this host yet")
    after = answer["diff"]["after"]
    assert (after[str(pki / "etcd-1.key")]["owner"], after[str(pki)]["group"]) == ("etcd-to-be", "etcd-to-be")
    assert after[str(pki / "ca.crt")]["owner"] == "root"
    put(pki, **ALL)
    answer = put(pki, check_mode=True, **strangers)
    assert answer["reasons"] == {"directory": ["group"], "private_key": ["owner", "group"]}


@as_root
def test_a_group_that_the_play_makes_has_nobody_in_it_yet(pki: pathlib.Path) -> None:
    answer = put(pki, check_mode=True, group="etcd-to-be", **ALL)
    assert answer["changed"] and answer["diff"]["after"][str(pki)]["group"] == "etcd-to-be"
    # A user without an entry has the group 0 and no other.
    for owner in (OWNER, "64123"):
        answer = put(pki, check_mode=True, owner=owner, group="etcd-to-be", directory_mode="0750", **ALL)
        assert answer["failed"] and f"folder {pki} (0750" in answer["msg"]


# One line for each thing that can be wrong; nothing is changed --------------------------------------------------

BAD: dict[str, tuple[Args, str, str]] = {
    "missing user": ({"owner": "no-such-user"}, "file", "user no-such-user does not exist on this host: create it"),
    "missing group": ({"group": "no-such-group"}, "file", "group no-such-group does not exist on this host: create it"),
    "relative folder": ({"directory": "pki"}, "input", "directory: pki is not an absolute path"),
    "name with a slash": ({"name": "a/b"}, "input", "name: 'a/b' can't be a file's name"),
    "name going up": ({"name": ".."}, "input", "name: '..' can't be a file's name"),
    "name of the CA": ({"name": "ca"}, "input", "name: 'ca' can't be a file's name"),
    "empty name": ({"name": ""}, "input", "name: '' can't be a file's name"),
    "pending in a run": (
        {"pending_content": ["ca"]},
        "input",
        "pending_content: ca stands for content that is not there yet",
    ),
    "no mode": ({"directory_mode": "rwx"}, "input", "directory_mode: rwx is no mode in octal digits"),
    "mode as a number": ({"directory_mode": 493}, "input", "directory_mode: 493 is no mode in octal digits"),
    "mode with too many digits": ({"directory_mode": "10755"}, "input", "directory_mode: 10755 is no mode: write it"),
    "folder open for others": (
        {"directory_mode": "0777"},
        "input",
        "directory_mode: 0777 lets others than root put files",
    ),
    "other CA": (
        {"ca_certificate_content": OTHER_CA.pem},
        "crypto",
        "an authority that is not in ca_certificate_content",
    ),
    "key of another certificate": (
        {"private_key_content": REPLACED.key_pem},
        "crypto",
        "private key in private_key_content does not belong to the certificate in certificate_content",
    ),
    "encrypted key": ({"private_key_content": key_pem(LEAF.key, b"x")}, "crypto", "private_key_content is encrypted"),
    "empty key": ({"private_key_content": ""}, "crypto", "private_key_content is empty"),
    "broken certificate": ({"certificate_content": LEAF.pem[:200]}, "crypto", "certificate_content is broken PEM"),
    "the CA's key behind the CA": (
        {"ca_certificate_content": CA.pem + CA.key_pem},
        "crypto",
        "ca_certificate_content holds a private key (PRIVATE KEY) among its certificates",
    ),
    "the key behind the certificate": (
        {"certificate_content": LEAF.pem + LEAF.key_pem},
        "crypto",
        "certificate_content holds a private key (PRIVATE KEY) among its certificates",
    ),
    "another block behind the CA": (
        {"ca_certificate_content": CA.pem + CA.pem.replace(" CERT", " X509 CERT")},
        "crypto",
        "ca_certificate_content holds a block X509 CERTIFICATE, which etcd would not read",
    ),
    "a CA that is indented": (
        {"ca_certificate_content": CA.pem + OTHER_CA.pem.replace("-----BEGIN", "  -----BEGIN")},
        "crypto",
        "ca_certificate_content is broken PEM: a line has more on it than its -----BEGIN",
    ),
    "empty CA": ({"ca_certificate_content": ""}, "crypto", "ca_certificate_content is empty"),
    "expired": (
        {"certificate_content": issue("e", CA, key=LEAF.key, not_before=NOW - 2 * DAY, not_after=NOW - DAY).pem},
        "crypto",
        "has expired at",
    ),
    "not yet valid": (
        {"certificate_content": issue("e", CA, key=LEAF.key, not_before=NOW + DAY).pem},
        "crypto",
        "this host's clock says",
    ),
}


@pytest.mark.parametrize(("args", "problem", "line"), BAD.values(), ids=BAD.keys())
def test_refused_before_anything_is_written(
    pki: pathlib.Path, base: pathlib.Path, args: Args, problem: str, line: str
) -> None:
    answer = put(pki, **{**ALL, **args})
    assert answer["failed"] and answer["problem"] == problem and line in answer["msg"]
    assert "\n" not in answer["msg"] and "Traceback" not in answer["_stderr"]
    assert os.listdir(base) == []


@pytest.mark.parametrize("missing", range(1, 8))
def test_every_combination_of_missing_files(pki: pathlib.Path, base: pathlib.Path, missing: int) -> None:
    names = ("ca_certificate_content", "certificate_content", "private_key_content")
    paths = ("ca.crt", "etcd-1.crt", "etcd-1.key")
    given = {name: ALL[name] for number, name in enumerate(names) if not missing >> number & 1}
    answer = put(pki, **given)
    assert answer["failed"] and answer["problem"] == "crypto"
    for number, (name, path) in enumerate(zip(names, paths)):
        assert (f"{pki / path}" in answer["msg"]) is bool(missing >> number & 1)
        assert bool(re.search(rf"\b{name}\b", answer["msg"])) is bool(missing >> number & 1)
    assert ("issue the certificate anew with a new key" in answer["msg"]) is bool(missing & 4)
    assert os.listdir(base) == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {"certificate_content": REPLACED.pem},
            "private key in {}/etcd-1.key does not belong to the certificate in certificate_c",
        ),
        (
            {"private_key_content": REPLACED.key_pem},
            "in private_key_content does not belong to the certificate in {}/etcd-1.crt",
        ),
        ({"ca_certificate_content": OTHER_CA.pem}, "certificate in {}/etcd-1.crt (etcd-1.example.com, serial number "),
    ],
)
def test_what_is_given_must_fit_what_is_kept(pki: pathlib.Path, given: Args, line: str) -> None:
    put(pki, **ALL)
    before = snapshot(pki)
    answer = put(pki, **given)
    assert answer["failed"] and line.format(pki) in answer["msg"] and snapshot(pki) == before


def test_check_mode_refuses_the_same(pki: pathlib.Path) -> None:
    bad = {**ALL, "private_key_content": REPLACED.key_pem}
    assert put(pki, check_mode=True, **bad)["msg"] == put(pki, **bad)["msg"]


def test_pending_still_checks_what_is_known(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    answer = put(pki, check_mode=True, pending_content=["ca"], certificate_content=REPLACED.pem)
    assert answer["failed"] and "does not belong" in answer["msg"]
    answer = put(pki, check_mode=True, pending_content=["certificate", "private_key"], ca_certificate_content=LEAF.pem)
    assert answer["failed"] and "no CA certificate" in answer["msg"]
    answer = put(pki, check_mode=True, pending_content=["private_key"], certificate_content=CA.pem)
    assert answer["failed"] and "a CA's certificate: the member's own is wanted" in answer["msg"]


@as_root
def test_a_closed_folder_above_is_named(base: pathlib.Path) -> None:
    (base / "etcd").mkdir(mode=0o700)
    answer = put(base / "etcd" / "pki", **ALL)
    assert answer["failed"] and answer["problem"] == "file"
    assert f"user {OWNER} can't read {base}/etcd/pki/ca.crt: folder {base}/etcd (0700 root:root)" in answer["msg"]
    assert os.listdir(base / "etcd") == []
    assert put(base / "etcd" / "pki", check_mode=True, **ALL)["msg"] == answer["msg"]


@as_root
def test_a_folder_mode_that_closes_it_to_the_owner(pki: pathlib.Path, base: pathlib.Path) -> None:
    answer = put(pki, directory_mode="0700", **ALL)
    assert answer["failed"] and f"folder {pki} (0700" in answer["msg"]
    assert os.listdir(base) == []


@as_root
def test_a_strict_umask_does_not_close_the_way(pki: pathlib.Path) -> None:
    before = os.umask(0o077)
    try:
        assert "failed" not in put(pki, **ALL)
    finally:
        os.umask(before)


def test_a_link_in_a_files_place_is_refused(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    (pki / "etcd-1.key").rename(pki / "elsewhere.key")
    (pki / "etcd-1.key").symlink_to("elsewhere.key")
    answer = put(pki, **ALL)
    assert answer["failed"] and "etcd-1.key is a symbolic link" in answer["msg"]


def test_another_kind_of_key(pki: pathlib.Path) -> None:
    leaf = issue("etcd-1", CA, key=new_key("ed25519"))
    assert put(pki, ca_certificate_content=CA.pem, certificate_content=leaf.pem, private_key_content=leaf.key_pem)[
        "changed"
    ]


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel takes it (acl(5)): tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@as_root
def test_an_access_control_list_that_no_mode_shows(base: pathlib.Path) -> None:
    """New folders inherit it, so that only the kernel can tell, when the files are there."""
    nobody = 0xFFFFFFFF
    user_object, user, group_object, mask, other = 1, 2, 4, 16, 32
    try:
        os.setxattr(
            base,
            "system.posix_acl_default",
            access_list(
                (user_object, 7, nobody),
                (user, 0, pwd.getpwnam(OWNER).pw_uid),
                (group_object, 5, nobody),
                (mask, 7, nobody),
                (other, 5, nobody),
            ),
        )
    except OSError as exc:
        pytest.skip(f"no access control lists in {base}: {exc}")
    answer = put(base / "pki", **ALL)
    assert answer["failed"] and answer["problem"] == "file"
    assert f"user {OWNER} can't read {base}/pki/ca.crt: folder {base}/pki (0755 root:" in answer["msg"]


# The revocation list --------------------------------------------------------------------------------------------------


def crl(*serial_numbers: int, issuer: t.Any = CA) -> Args:
    return {"revocation_list_content": revocation_list(issuer, *serial_numbers, as_pem=True).decode()}


def revoked_in(pki: pathlib.Path) -> frozenset[str]:
    return read_revoked((pki / "ca.crl").read_bytes())


def test_the_list_is_written_in_der_and_a_second_run_changes_nothing(pki: pathlib.Path, base: pathlib.Path) -> None:
    given = {**ALL, **crl(4711)}
    before = snapshot(base)
    predicted = put(pki, check_mode=True, **given)
    assert snapshot(base) == before
    done = put(pki, **given)
    assert done["reasons"]["revocation_list"] == ["missing"] and done["diff"] == predicted["diff"]
    assert done["diff"]["after"][str(pki / "ca.crl")]["revoked"] == ["1267"]
    assert done["paths"]["revocation_list"] == str(pki / "ca.crl")
    found = os.lstat(pki / "ca.crl")
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o644, 0 if ROOT else os.geteuid())
    assert b"-----" not in (pki / "ca.crl").read_bytes() and revoked_in(pki) == {"1267"}
    after = snapshot(base)
    for check_mode in (True, False):
        assert not put(pki, check_mode=check_mode, **given)["changed"]
    # Content that is not given stays.
    assert not put(pki, **ALL)["changed"] and snapshot(base) == after


def test_a_longer_list_takes_its_place_under_another_inode(pki: pathlib.Path) -> None:
    put(pki, **ALL, **crl(4711))
    inode = os.lstat(pki / "ca.crl").st_ino
    done = put(pki, **crl(4711, 4712))
    assert done["reasons"] == {"revocation_list": ["content"]} and revoked_in(pki) == {"1267", "1268"}
    assert os.lstat(pki / "ca.crl").st_ino != inode
    diff = done["diff"]
    assert [diff[side][str(pki / "ca.crl")]["revoked"] for side in ("before", "after")] == [["1267"], ["1267", "1268"]]


def test_what_a_process_has_not_read_yet_is_told(pki: pathlib.Path) -> None:
    """A new bundle, a longer list."""

    def told(**args: t.Any) -> tuple[bool, bool]:
        answer = put(pki, **args)
        return answer["trust_bundle_changed"], answer["revocation_list_changed"]

    given = {**ALL, **crl(4711)}
    assert told(**given) == (True, True)
    assert told(**given) == told(**given, check_mode=True) == (False, False)
    assert told(**crl(4711, 4712)) == (False, True)
    # Another certificate is read at each handshake.
    assert told(check_mode=True, pending_content=["certificate"]) == (False, False)
    assert told(check_mode=True, pending_content=["ca"]) == (True, False)


def test_a_shorter_list_is_refused_and_nothing_is_changed(pki: pathlib.Path, base: pathlib.Path) -> None:
    put(pki, **ALL, **crl(4711, 4712))
    before = snapshot(base)
    for check_mode in (True, False):
        answer = put(pki, check_mode=check_mode, **crl(4712))
        assert answer["failed"] and answer["problem"] == "refused"
        assert "revokes serial number 1267, and the list at hand does not" in answer["msg"]
    assert snapshot(base) == before


@pytest.mark.parametrize("present", ["garbage", "empty", "PEM", "two"])
def test_a_list_that_etcd_could_not_use_is_mended(present: str, pki: pathlib.Path) -> None:
    put(pki, **ALL, **crl(4711))
    good = (pki / "ca.crl").read_bytes()
    pem = crl(4711)["revocation_list_content"].encode()
    (pki / "ca.crl").write_bytes({"garbage": b"garbage", "empty": b"", "PEM": pem, "two": good + good}[present])
    assert put(pki, check_mode=True, **crl(4711))["reasons"] == {"revocation_list": ["content"]}
    put(pki, **crl(4711))
    assert revoked_in(pki) == {"1267"} and b"-----" not in (pki / "ca.crl").read_bytes()


@pytest.mark.parametrize(
    "content",
    ["garbage", "", CA.pem, crl(1)["revocation_list_content"] * 2, CA.pem + crl(1)["revocation_list_content"]],
)
def test_what_is_not_one_list_is_refused(content: str, pki: pathlib.Path) -> None:
    answer = put(pki, **ALL, revocation_list_content=content)
    assert answer["failed"] and "revocation_list_content" in answer["msg"] and not pki.exists()


def test_drift_and_leftovers_of_the_list_are_repaired(pki: pathlib.Path) -> None:
    put(pki, **ALL, **crl(4711))
    (pki / "ca.crl").chmod(0o600)
    (pki / ".ca.crl.ringfence-new").write_bytes(b"half")
    assert put(pki)["reasons"] == {"revocation_list": ["mode", "leftover"]}
    assert stat.S_IMODE(os.lstat(pki / "ca.crl").st_mode) == 0o644
    assert not put(pki)["changed"]


def test_a_list_that_is_made_in_the_same_run_is_told_in_check_mode(pki: pathlib.Path) -> None:
    put(pki, **ALL)
    answer = put(pki, check_mode=True, pending_content=["revocation_list"])
    assert answer["reasons"] == {"revocation_list": ["missing"]}
    assert answer["diff"]["after"][str(pki / "ca.crl")]["revoked"] == ["made in this run"]
    assert not (pki / "ca.crl").exists()
