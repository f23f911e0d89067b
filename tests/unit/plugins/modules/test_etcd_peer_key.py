# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it: a key that only its own host has, in one file, and a request for it."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.requested_key import WantedKey, apply_key, plan_key
from ansible_collections.ringfence.etcd.plugins.module_utils._node import key_programs
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES, peer_profile
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys, signing_request
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_key
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

WHAT = "its request"
MAKERS: dict[str, t.Any] = {
    "openssl": etcd_peer_key.ByOpenssl("openssl"),
    "cryptography": etcd_peer_key.ByCryptography(),
}


@pytest.fixture
def pki(open_folder: pathlib.Path) -> pathlib.Path:
    return open_folder / "etcd" / "pki"


def make(pki: pathlib.Path, check_mode: bool = False, **args: t.Any) -> dict[str, t.Any]:
    answer = run_module("etcd_peer_key", {"directory": str(pki), "name": "etcd-1", **args}, check_mode=check_mode)
    waiting = pki / "etcd-1.key.requested"
    if waiting.is_file():
        shown = json.dumps(answer)
        assert not any(line in shown for line in waiting.read_text().splitlines()[1:-1])
    return answer


def public_key(path: pathlib.Path) -> bytes:
    return keys.public_key_bytes(keys.load_private_key(path.read_bytes(), "the key").public_key())


def requested(answer: dict[str, t.Any], key_type: str = "ecdsa-p256") -> bytes:
    return keys.public_key_bytes(signing_request.certifiable_key(answer["request_pem"], key_type, WHAT))


def test_check_run_check_run(pki: pathlib.Path) -> None:
    predicted = make(pki, check_mode=True)
    assert predicted["changed"] and predicted["reasons"] == ["missing"] and predicted["request_pem"] is None
    assert not pki.parent.exists()
    made = make(pki)
    waiting = pki / "etcd-1.key.requested"
    assert made["changed"] and made["reasons"] == ["missing"] and made["diff"] == predicted["diff"]
    assert made["private_key_path"] == str(waiting) and made["made_by"] == "openssl"
    assert requested(made) == public_key(waiting)
    info = os.lstat(waiting)
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (os.geteuid(), 0o600)
    for check_mode in (True, False):
        again = make(pki, check_mode=check_mode)
        assert not again["changed"] and again["reasons"] == [] and again["diff"] == {"before": {}, "after": {}}
        # So that a request that was carried away still fits.
        assert requested(again) == public_key(waiting) == requested(made)
    assert [path.name for path in pki.iterdir()] == ["etcd-1.key.requested"]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("key_type", [one for one in KEY_TYPES if one != "rsa-4096"])
def test_both_makers_make_every_type(key_type: str, maker: str, tmp_path: pathlib.Path) -> None:
    wanted = WantedKey(str(tmp_path), "etcd-1", key_type)
    request = apply_key(plan_key(wanted, MAKERS[maker]), MAKERS[maker])
    assert requested({"request_pem": request}, key_type) == public_key(tmp_path / "etcd-1.key.requested")
    other = next(one for one in MAKERS if one != maker)
    # What one has made the other goes on with.
    plan = plan_key(wanted, MAKERS[other])
    assert not plan.changed and requested({"request_pem": plan.request}, key_type)
    shown = subprocess.run(
        ["openssl", "req", "-noout", "-verify", "-subject"],
        input=request,
        encoding="ascii",
        capture_output=True,
        check=False,
    )
    assert shown.returncode == 0 and shown.stdout.split("=")[-1].strip() == "etcd-1"


def _another_type(pki: pathlib.Path) -> None:
    (pki / "etcd-1.key.requested").write_bytes(keys.private_key_pem(keys.make_key("ed25519")))


def _in_use(pki: pathlib.Path) -> None:
    (pki / "etcd-1.key").write_bytes((pki / "etcd-1.key.requested").read_bytes())


REPLACED: dict[str, tuple[t.Callable[[pathlib.Path], object], dict[str, t.Any], list[str]]] = {
    "fresh": (lambda pki: None, {"fresh": True}, ["fresh"]),
    "another type is wanted": (lambda pki: None, {"key_type": "ecdsa-p384"}, ["unusable"]),
    "it has another type": (_another_type, {}, ["unusable"]),
    "cut off": (lambda pki: os.truncate(pki / "etcd-1.key.requested", 100), {}, ["unusable"]),
    "empty": (lambda pki: os.truncate(pki / "etcd-1.key.requested", 0), {}, ["unusable"]),
    "open to others": (lambda pki: os.chmod(pki / "etcd-1.key.requested", 0o640), {}, ["open"]),
    # A run was killed between the key's place and the end.
    "in use": (_in_use, {}, ["in_use"]),
}


@pytest.mark.parametrize("case", REPLACED)
def test_a_key_that_can_not_be_used_is_replaced(case: str, pki: pathlib.Path) -> None:
    change, options, reasons = REPLACED[case]
    make(pki)
    change(pki)
    before = (pki / "etcd-1.key.requested").read_bytes()
    in_use = (pki / "etcd-1.key").read_bytes() if (pki / "etcd-1.key").exists() else None
    predicted = make(pki, check_mode=True, **options)
    assert predicted["reasons"] == reasons and predicted["request_pem"] is None
    assert (pki / "etcd-1.key.requested").read_bytes() == before
    made = make(pki, **options)
    assert made["changed"] and made["reasons"] == reasons
    assert requested(made, options.get("key_type", "ecdsa-p256")) == public_key(pki / "etcd-1.key.requested")
    assert (pki / "etcd-1.key.requested").read_bytes() != before
    assert stat.S_IMODE(os.lstat(pki / "etcd-1.key.requested").st_mode) == 0o600
    # The one in use is not touched, whatever becomes of the other.
    assert in_use is None or (pki / "etcd-1.key").read_bytes() == in_use


def test_what_a_killed_run_left_is_taken_away(pki: pathlib.Path) -> None:
    make(pki)
    left = pki / ".etcd-1.key.requested.ringfence-new"
    left.write_text("half a key")
    assert make(pki, check_mode=True)["reasons"] == ["leftover"] and left.exists()
    answer = make(pki)
    assert answer["reasons"] == ["leftover"] and answer["changed"] and not left.exists()
    assert requested(answer) == public_key(pki / "etcd-1.key.requested")


def test_a_link_is_no_place_for_a_key(pki: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pki.mkdir(parents=True)
    (pki / "etcd-1.key.requested").symlink_to(tmp_path / "elsewhere")
    answer = make(pki)
    assert answer["failed"] and "is a symbolic link" in answer["msg"] and not (tmp_path / "elsewhere").exists()


def test_what_makes_keys_on_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert etcd_peer_key.key_maker()[0] == "openssl"
    monkeypatch.setattr(key_programs, "openssl_path", lambda: None)
    assert etcd_peer_key.key_maker()[0] == "cryptography"
    monkeypatch.setattr(etcd_peer_key, "why_no_cryptography", lambda where: "it has none")
    with pytest.raises(CryptoError, match=r"no openssl, and its Python no cryptography .*: install the package"):
        etcd_peer_key.key_maker()


def program(folder: pathlib.Path, script: str) -> str:
    path = folder / "openssl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


KEY_PEM = keys.private_key_pem(keys.make_key("ecdsa-p256")).decode()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'no such algorithm' >&2; exit 1", "can't make a private key of the type ed25519 on this host (no such"),
        ("exit 3", "(it ended with 3)"),
        ("true", "(it ended with 0)"),
        # Not in its message, whatever else it does.
        (f"echo '{KEY_PEM}'; exit 1", "(it ended with 1)"),
        (f"[ $1 = req ] && exit 5; echo '{KEY_PEM}'", "can't make a request for the private key on this host"),
    ],
)
def test_an_openssl_that_fails(script: str, says: str, tmp_path: pathlib.Path) -> None:
    maker = etcd_peer_key.ByOpenssl(program(tmp_path, script))
    wanted = WantedKey(str(tmp_path / "pki"), "etcd-1", "ed25519")
    with pytest.raises(CryptoError) as caught:
        apply_key(plan_key(wanted, maker), maker)
    assert says in str(caught.value) and KEY_PEM.splitlines()[1] not in str(caught.value)
    assert not (tmp_path / "pki").exists()


def test_no_key_is_in_the_list_of_processes_or_on_a_disk(tmp_path: pathlib.Path) -> None:
    """What openssl is given, as it sees it: words without a key, and a file in memory."""
    log = tmp_path / "log"
    links = f'for word in "$@"; do case $word in /proc/*) readlink -f "$word" >>{log};; esac; done'
    maker = etcd_peer_key.ByOpenssl(program(tmp_path, f'echo "$@" >>{log}; {links}\nexec openssl "$@"'))
    wanted = WantedKey(str(tmp_path / "pki"), "etcd-1", "ecdsa-p256")
    apply_key(plan_key(wanted, maker), maker)
    seen = log.read_text()
    key = (tmp_path / "pki" / "etcd-1.key.requested").read_text()
    assert not any(line in seen for line in key.splitlines())
    assert seen.count("memfd:ringfence") == 2 and "genpkey -algorithm EC" in seen
    assert [path.name for path in (tmp_path / "pki").iterdir()] == ["etcd-1.key.requested"]


# What a configuration or a subject of openssl's would take for its own.
ODD = "a/b+c=d \\e $HOME ${x} #f; 'g' \"h\""


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048", "ed25519"])
@pytest.mark.parametrize("common_name", ["etcd-1.example.com", ODD])
def test_a_request_for_a_whole_certificate(common_name: str, key_type: str, maker: str, tmp_path: pathlib.Path) -> None:
    """Both makers ask for just what the rules want, for a CA that issues what a request says."""
    asked = peer_profile("etcd-1", common_name, ["etcd-1", "lb.example.com"], ["10.0.0.1", "fd00::1"], key_type)
    wanted = WantedKey(str(tmp_path), "etcd-1", key_type, asked=asked)
    request = apply_key(plan_key(wanted, MAKERS[maker]), MAKERS[maker])
    signing_request.check_asks_for(request, asked, WHAT)
    plan = plan_key(wanted, MAKERS[maker])
    assert not plan.changed and plan.request is not None
    assert signing_request.is_same_request(request.encode(), plan.request, WHAT)
    other = peer_profile("etcd-1", common_name, ["etcd-1"], ["10.0.0.1", "fd00::1"], key_type)
    with pytest.raises(CryptoError, match="asks for other names, addresses or usages than the inventory says"):
        signing_request.check_asks_for(request, other, WHAT)


def test_names_of_a_request_are_checked(pki: pathlib.Path) -> None:
    for more, says in (
        ({"dns_names": ["etcd-1"]}, "are for a request with a common_name"),
        ({"common_name": "a", "dns_names": ["etcd-1\nIP.9 = 10.0.0.9"]}, "is no DNS name"),
        ({"common_name": "a", "ip_addresses": ["10.0.0.1/8"]}, "is no IP address"),
        ({"common_name": "a\nb", "dns_names": ["etcd-1"]}, "character that can't be printed"),
        ({"common_name": "a"}, "has neither dns_names nor ip_addresses"),
    ):
        answer = make(pki, **more)
        assert answer["failed"] and says in answer["msg"] and not pki.exists()
