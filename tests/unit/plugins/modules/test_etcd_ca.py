# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_ca: made once, repaired, never replaced; each refusal is one line and touches nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import ordinary_user
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import collections_root, run_module

NOW, DAY = factory.NOW, factory.DAY
PASSPHRASE = "correct horse battery"
ALL_FILES = ("ca.key", "ca.crt", "index.json", "ca.crl")


def snapshot(folder: Path) -> dict[str, t.Any]:
    """All that can change in a folder, the lock file aside."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        if path.exists() and path.name != ".lock":
            info = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            found[str(path)] = (info.st_mode, info.st_uid, info.st_gid, content)
    return found


def wanted(folder: Path, **changes: t.Any) -> ca.WantedCa:
    values: dict[str, t.Any] = {"common_name": factory.CA_NAME, "key_type": "ecdsa-p256", **changes}
    return ca.WantedCa(str(folder), **values)


def ensure(folder: Path, **changes: t.Any) -> ca.CaPlan:
    return ca.apply_ca(ca.plan_ca(wanted(folder, **changes), NOW), NOW)


def put(folder: Path, key: bytes | None, certificate: bytes | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, mode, content in (("ca.key", 0o600, key), ("ca.crt", 0o644, certificate)):
        if content is not None:
            (folder / name).write_bytes(content)
            (folder / name).chmod(mode)


def modes(folder: Path) -> dict[str, str]:
    return {name: f"{(folder / name).stat().st_mode & 0o7777:04o}" for name in (".", "ca.key", "ca.crt")}


def test_check_run_check_run(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet" / "there"
    args = {"ca_directory": str(folder)}
    answers = []
    for check_mode in (True, False, True, False):
        before = snapshot(tmp_path)
        answers.append(run_module("etcd_ca", args, check_mode=check_mode))
        if check_mode:
            assert snapshot(tmp_path) == before
    assert [answer["changed"] for answer in answers] == [True, True, False, False]
    check, run, again = answers[0], answers[1], answers[3]
    assert check["reasons"] == run["reasons"] and [reason["code"] for reason in run["reasons"]] == ["missing"]
    assert check["diff"]["before"] == run["diff"]["before"]
    assert set(check["diff"]["after"]["files"]) == {
        str(path) for path in (folder.parent.parent, folder.parent, folder, *(folder / name for name in ALL_FILES))
    }
    assert set(run["diff"]["after"]["files"]) == set(check["diff"]["after"]["files"])
    assert check["certificate"] is None and check["fingerprint"] is None and check["days_left"] == 3650
    assert run["certificate"] == (folder / "ca.crt").read_text()
    for key in ("certificate", "fingerprint", "serial_number", "not_before", "not_after", "common_name", "key_type"):
        assert again[key] == run[key]
    assert again["reasons"] == [] and again["diff"]["before"] == again["diff"]["after"]
    assert modes(folder) == {".": "0700", "ca.key": "0600", "ca.crt": "0644"}
    assert "PRIVATE KEY" not in str(answers)
    assert [answer["_stderr"] for answer in answers] == [""] * 4


@pytest.mark.parametrize("key_type", [key_type for key_type in KEY_TYPES if key_type != "rsa-4096"])
def test_every_key_type_is_idempotent(key_type: str, tmp_path: Path) -> None:
    assert ensure(tmp_path / "ca", key_type=key_type).changed
    plan = ca.plan_ca(wanted(tmp_path / "ca", key_type=key_type), NOW)
    assert not plan.changed
    assert ca.result_of(plan, NOW)["key_type"] == key_type


def test_passphrase_encrypts_the_key_and_is_never_told(tmp_path: Path) -> None:
    args = {"ca_directory": str(tmp_path / "ca"), "ca_private_key_passphrase": PASSPHRASE}
    answers = [run_module("etcd_ca", args), run_module("etcd_ca", args)]
    assert [answer["changed"] for answer in answers] == [True, False]
    assert (tmp_path / "ca" / "ca.key").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    wrong = run_module("etcd_ca", {**args, "ca_private_key_passphrase": "another one altogether"})
    assert wrong["failed"] and "the passphrase in ca_private_key_passphrase is wrong" in wrong["msg"]
    assert PASSPHRASE not in str([*answers, wrong]) and "another one altogether" not in str(wrong)


@pytest.mark.parametrize(
    "name, mode, reason", [(".", 0o755, "mode"), ("ca.key", 0o644, "mode"), ("ca.crt", 0o600, "mode")]
)
def test_drift_is_repaired_and_issues_nothing(name: str, mode: int, reason: str, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    ensure(folder)
    contents = [(folder / file).read_bytes() for file in ("ca.key", "ca.crt")]
    (folder / name).chmod(mode)
    plan = ensure(folder)
    assert plan.changed and [found["code"] for found in plan.reasons] == [reason]
    assert modes(folder) == {".": "0700", "ca.key": "0600", "ca.crt": "0644"}
    assert [(folder / file).read_bytes() for file in ("ca.key", "ca.crt")] == contents
    assert not ensure(folder).changed


def test_drift_of_all_is_told_in_full(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    ensure(folder)
    for path, mode in ((folder, 0o755), (folder / "ca.key", 0o644), (folder / "ca.crt", 0o600)):
        path.chmod(mode)
    plan = ca.plan_ca(wanted(folder), NOW)
    assert len(plan.reasons) == 3
    applied = ca.apply_ca(plan, NOW)
    assert applied.changed and applied.reasons == plan.reasons


@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")
def test_owner_and_group(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    ensure(folder)
    plan = ensure(folder, uid=12, gid=34)
    assert {reason["code"] for reason in plan.reasons} == {"owner", "group"}
    for path in (folder, folder / "ca.key", folder / "ca.crt"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)
    assert not ensure(folder, uid=12, gid=34).changed
    assert not ensure(folder).changed, "without owner and group the present ones are kept"


OTHER = factory.authority(number=1)
GOOD = factory.authority()
EXPIRED = factory.authority(not_before=NOW - 10 * DAY, not_after=NOW - DAY)
LATER = factory.authority(not_before=NOW + DAY, not_after=NOW + 10 * DAY)
ENCRYPTED = keys.private_key_pem(GOOD.key, PASSPHRASE)
REFUSALS: list[tuple[str, bytes | None, bytes | None, dict[str, t.Any], str]] = [
    ("key alone", GOOD.key_pem, None, {}, "ca.key is there but"),
    ("certificate alone", None, GOOD.pem, {}, "ca.crt is there but"),
    ("another certificate's key", OTHER.key_pem, GOOD.pem, {}, "ca.key is not the key of"),
    (
        "common name",
        GOOD.key_pem,
        GOOD.pem,
        {"common_name": "b"},
        "its common name is 'etcd peer CA', ca_common_name asks for 'b'",
    ),
    (
        "key type",
        GOOD.key_pem,
        GOOD.pem,
        {"key_type": "ed25519"},
        "its key is ecdsa-p256, ca_key_type asks for ed25519",
    ),
    ("expired", EXPIRED.key_pem, EXPIRED.pem, {}, "it expired at"),
    ("not yet valid", LATER.key_pem, LATER.pem, {}, "it is valid only from"),
    ("no CA", GOOD.key_pem, factory.not_a_ca_pem(GOOD.key), {}, "is not a CA certificate"),
    (
        "broken certificate",
        GOOD.key_pem,
        GOOD.pem.replace(GOOD.pem.splitlines(True)[1], b""),
        {},
        "ca.crt is no readable X.509",
    ),
    ("empty certificate", GOOD.key_pem, b"", {}, "ca.crt is empty"),
    ("empty key", b"", GOOD.pem, {}, "ca.key is empty"),
    ("broken key", b"rubbish", GOOD.pem, {}, "ca.key is no PEM private key"),
    ("a key among certificates", GOOD.key_pem, GOOD.pem + GOOD.key_pem, {}, "ca.crt holds a private key"),
    ("two certificates", GOOD.key_pem, GOOD.pem + OTHER.pem, {}, "did not sign 'etcd peer CA'"),
    ("no passphrase", ENCRYPTED, GOOD.pem, {}, "is encrypted and no passphrase was given"),
    (
        "wrong passphrase",
        ENCRYPTED,
        GOOD.pem,
        {"passphrase": "wrong"},
        "the passphrase in ca_private_key_passphrase is wrong",
    ),
    ("needless passphrase", GOOD.key_pem, GOOD.pem, {"passphrase": PASSPHRASE}, "is not encrypted, but a passphrase"),
    ("trust another", GOOD.key_pem, GOOD.pem, {"trusted_fingerprints": ("ab" * 32,)}, "the nodes trust CA abab"),
    ("trust, none here", None, None, {"trusted_fingerprints": ("ab" * 32,)}, "a new CA is never made next to"),
    ("bad fingerprint", None, None, {"trusted_fingerprints": ("xy",)}, "'xy' is no SHA-256 fingerprint"),
    ("no creation", None, None, {"create": False, "create_refused_because": "nodes run"}, "was refused: nodes run;"),
    ("short passphrase", None, None, {"passphrase": "short"}, "at least 8 characters"),
    ("empty passphrase", None, None, {"passphrase": ""}, "passphrase is empty"),
    ("long passphrase", None, None, {"passphrase": "ä" * 600}, "longer than 1023 bytes"),
    ("long common name", None, None, {"common_name": "x" * 65}, "has 65 characters"),
    ("no validity", None, None, {"validity_days": 0}, "validity_days is 0"),
    ("backdate", None, None, {"backdate_minutes": 1441}, "backdate_minutes is 1441"),
]


@pytest.mark.parametrize(
    ("key", "certificate", "changes", "part"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_refusal_is_one_line_and_touches_nothing(
    key: bytes | None, certificate: bytes | None, changes: dict[str, t.Any], part: str, tmp_path: Path
) -> None:
    folder = tmp_path / "ca"
    if key is not None or certificate is not None:
        put(folder, key, certificate)
        folder.chmod(0o755)  # drift is not repaired either
    before = snapshot(tmp_path)
    with pytest.raises(RingfenceError) as caught:
        ensure(folder, **changes)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert PASSPHRASE not in str(caught.value)
    assert snapshot(tmp_path) == before
    assert not (folder / ".lock").exists()


def test_all_differences_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path / "ca", EXPIRED.key_pem, EXPIRED.pem)
    with pytest.raises(RingfenceError) as caught:
        ensure(tmp_path / "ca", common_name="b", key_type="rsa-2048")
    for part in ("common name", "ca_key_type asks for rsa-2048", "it expired"):
        assert part in str(caught.value)


def test_failure_of_the_module_is_structured(tmp_path: Path) -> None:
    answer = run_module("etcd_ca", {"ca_directory": str(tmp_path / "ca"), "create": False}, check_mode=True)
    assert answer["failed"] and answer["problem"] == "refused"
    unknown = run_module("etcd_ca", {"ca_directory": str(tmp_path / "ca"), "owner": "no-such-user"})
    assert unknown["problem"] == "file" and "user no-such-user does not exist" in unknown["msg"]
    assert not (tmp_path / "ca").exists()


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"keep_index": False, "revoked": ["0abc"]},
            "revoked is given with keep_index=false: without an index nothing can be revoked",
        ),
        ({"members": [{"name": "etcd-1", "certificate": 7}]}, "members: an entry's name or certificate is no text"),
        ({"members": [{"certificate": GOOD.pem.decode()}]}, "members: an entry's name or certificate is no text"),
    ],
)
def test_an_index_takes_no_half_word(
    arguments: dict[str, t.Any], message: str, check_mode: bool, tmp_path: Path
) -> None:
    answer = run_module("etcd_ca", {"ca_directory": str(tmp_path / "ca"), **arguments}, check_mode=check_mode)
    assert answer["failed"] and answer["msg"].startswith(message) and "\n" not in answer["msg"]
    assert not (tmp_path / "ca").exists()


def test_without_an_index_there_is_none_and_an_entry_without_a_certificate_is_nothing_to_keep(tmp_path: Path) -> None:
    given = {"ca_directory": str(tmp_path / "ca"), "ca_common_name": factory.CA_NAME}
    assert run_module("etcd_ca", {**given, "keep_index": False})["changed"]
    assert sorted(path.name for path in (tmp_path / "ca").iterdir() if path.name != ".lock") == ["ca.crt", "ca.key"]
    assert run_module("etcd_ca", {**given, "members": [{"name": "etcd-1"}, {"name": 7, "certificate": None}]})[
        "changed"
    ]
    assert (tmp_path / "ca" / "index.json").exists()


def test_what_a_user_has_to_know_of_the_index_is_a_warning(tmp_path: Path) -> None:
    given = {"ca_directory": str(tmp_path / "ca"), "ca_common_name": factory.CA_NAME}
    assert run_module("etcd_ca", given)["notes"] == []
    (tmp_path / "ca" / "index.json").unlink()
    answer = run_module("etcd_ca", given)
    assert len(answer["notes"]) == len(answer["warnings"]) == 1
    assert "index.json was missing and is begun anew" in str(answer["warnings"])


def test_a_trusted_ca_is_taken_however_its_fingerprint_is_written(tmp_path: Path) -> None:
    found = ca.result_of(ensure(tmp_path / "ca"), NOW)["fingerprint"]
    colons = ":".join(found[index : index + 2] for index in range(0, 64, 2)).upper()
    assert not ensure(tmp_path / "ca", trusted_fingerprints=("ab" * 32, colons)).changed


def test_interrupted_creation_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    put(folder, GOOD.key_pem, None)
    staged = Path(files.staged_path(str(folder / "ca.crt")))
    staged.write_bytes(GOOD.pem)
    plan = ensure(folder)
    assert plan.changed and not plan.make
    assert (folder / "ca.crt").read_bytes() == GOOD.pem and not staged.exists()
    assert not ensure(folder).changed


@pytest.mark.parametrize("staged_pem", [OTHER.pem, b"", b"rubbish", EXPIRED.pem])
def test_interrupted_creation_with_a_bad_rest_is_refused(staged_pem: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    put(folder, GOOD.key_pem, None)
    Path(files.staged_path(str(folder / "ca.crt"))).write_bytes(staged_pem)
    before = snapshot(tmp_path)
    with pytest.raises(RingfenceError):
        ensure(folder)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("renames", [0, 1])
def test_killed_at_any_rename_the_next_run_converges(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process runs no clean-up: what is staged stays."""
    folder = tmp_path / "ca"
    rename = os.rename
    done: list[str] = []

    class Killed(BaseException):
        pass

    def dying(source: str, target: str, **folders: t.Any) -> None:
        if len(done) == renames:
            raise Killed
        done.append(target)
        rename(source, target, **folders)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", dying)
        patched.setattr(os, "unlink", lambda path, **folder: None)
        with pytest.raises(Killed):
            ensure(folder)
    key = (folder / "ca.key").read_bytes() if renames else None
    assert ensure(folder).changed
    assert key in (None, (folder / "ca.key").read_bytes())
    assert not ensure(folder).changed


def _second_name(lock: Path, victim: Path) -> None:
    os.link(victim, lock)


def _link(lock: Path, victim: Path) -> None:
    lock.symlink_to(victim)


def _pipe(lock: Path, _victim: Path) -> None:
    os.mkfifo(lock)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("plant", [_second_name, _link, _pipe])
def test_the_lock_gives_nothing_away(plant: t.Callable[[Path, Path], None], tmp_path: Path) -> None:
    """Root locks the folder of another user, who has put something else in the lock's place."""
    folder, victim = tmp_path / "ca", tmp_path / "victim"
    victim.write_text("root's")
    folder.mkdir(mode=0o700)
    os.chown(folder, 64123, 64123)
    plant(folder / ".lock", victim)
    with pytest.raises(FileError, match=r"ca/\.lock"), ca.locked(str(folder)):
        pass
    assert (victim.stat().st_uid, victim.stat().st_gid) == (0, 0)


def test_two_runs_at_once_make_one_ca(tmp_path: Path) -> None:
    """Both planned to make it; the second one under the lock takes what the first one made."""
    folder = tmp_path / "ca"
    first, second = (ca.plan_ca(wanted(folder), NOW) for _run in range(2))
    assert first.make and second.make
    one = ca.apply_ca(first, NOW)
    content = (folder / "ca.crt").read_bytes()
    other = ca.apply_ca(second, NOW)
    assert (folder / "ca.crt").read_bytes() == content
    assert other.certificate == one.certificate and not other.make


def test_two_processes_at_once_agree(tmp_path: Path) -> None:
    script = (
        "import datetime,sys;"
        "from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca;"
        "now=datetime.datetime.now(datetime.timezone.utc);"
        "plan=ca.apply_ca(ca.plan_ca(ca.WantedCa(sys.argv[1],'c','ecdsa-p256'),now),now);"
        "print(ca.result_of(plan,now)['fingerprint'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([collections_root(), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", script, str(tmp_path / "ca")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _run in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in started]
    assert outputs[0] == outputs[1] != b""


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("")
    with pytest.raises(FileError, match="is a file, a directory is wanted"):
        ensure(tmp_path / "ca")


def test_library_missing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cryptography").mkdir()
    (tmp_path / "cryptography" / "__init__.py").write_text("raise ImportError('not here')\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", paths)
        answer = run_module("etcd_ca", {"ca_directory": str(tmp_path / "ca")}, fresh=True)
    assert answer["failed"] and "\n" not in answer["msg"] and "exception" not in answer
    assert answer["msg"].startswith("Python's cryptography 36 or newer is needed on ")
    assert f"and {sys.executable} has none: install it" in answer["msg"]
    assert answer["msg"].endswith("or set ansible_python_interpreter to a Python that has it")


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(mode=0o700)
    (tmp_path / "ca" / ".lock").symlink_to("../elsewhere")
    with pytest.raises(FileError, match=r"can't lock .*/ca/\.lock: too many symbolic links"):
        ensure(tmp_path / "ca")
    assert os.listdir(tmp_path) == ["ca"]


def test_an_ordinary_user_has_a_ca_of_its_own(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    with ordinary_user() as uid:
        made = ensure(open_folder / "ca")
        assert not ca.plan_ca(wanted(open_folder / "ca"), NOW).changed
    assert made.changed and {path.stat().st_uid for path in (open_folder / "ca").iterdir()} == {uid}


def test_a_library_that_is_too_old_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "35.0.2")
    answer = run_module("etcd_ca", {"ca_directory": str(tmp_path / "ca")})
    assert answer["failed"] and "\n" not in answer["msg"] and os.listdir(tmp_path) == []
    assert answer["msg"].startswith("Python's cryptography 36 or newer is needed on ")
    assert "has version 35.0.2: install it" in answer["msg"]


def test_a_folder_may_hold_parents(tmp_path: Path) -> None:
    """The CA's own file stays as it is; what members get to trust is written anew, the issuing CA first."""
    root = maker.authority("root")
    issuing = maker.authority("issuing", root)
    texts = (issuing.pem + root.pem, root.pem + issuing.pem, (root.pem + issuing.pem).replace("\n", "\r\n"))
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        put(folder, issuing.key_pem.encode(), text.encode())
        (folder / "ca.crt").chmod(0o644)
        own, parent = (certificates.fingerprint(one.certificate) for one in (issuing, root))
        plan = ensure(folder, common_name="issuing", trusted_fingerprints=(own,))
        found = ca.result_of(plan, NOW)
        assert not found["changed"] and found["certificate"] == issuing.pem + root.pem
        assert found["fingerprint"] == own
        assert (folder / "ca.crt").read_bytes() == text.encode()
        with pytest.raises(RingfenceError, match="the nodes trust CA"):
            ensure(folder, common_name="issuing", trusted_fingerprints=(parent,))
