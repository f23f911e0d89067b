# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import program_archive, program_exchange
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import (
    archive,
    entry,
    release,
    tiny_etcd,
    tiny_program,
)
from hypothesis import given
from hypothesis import strategies as st

NEW = [".etcd.ringfence-new", ".etcdctl.ringfence-new"]
UNIT = "[Service]\nExecStart=/usr/local/bin/etcd --name=etcd-1\n"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> program_exchange.ProgramPlace:
    (tmp_path / "bin").mkdir()
    for name, content in (("etcd", tiny_etcd("3.5.15")), ("etcdctl", b"the old one")):
        (tmp_path / "bin" / name).write_bytes(content)
        (tmp_path / "bin" / name).chmod(0o755)
    return program_exchange.ProgramPlace(str(tmp_path / "bin" / "etcd"))


def listing(place: program_exchange.ProgramPlace) -> list[str]:
    return sorted(os.listdir(place.folder))


def content(path: str) -> bytes:
    return pathlib.Path(path).read_bytes()


def try_it(place: program_exchange.ProgramPlace, made: tuple[str, str], **other: t.Any) -> program_archive.Tried:
    path, sha256 = made
    return program_archive.try_archive(path, sha256, place.binary, **{"unit_content": UNIT, **other})


def test_what_was_tried_waits_beside(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    made = release(tmp_path / "archive", "3.5.35")
    tried = try_it(place, made)
    assert (tried.version, tried.version_before, tried.staged, tried.changed) == ("3.5.35", "3.5.15", True, True)
    assert [(found["name"], found["differs"]) for found in tried.programs] == [("etcdctl", True), ("etcd", True)]
    assert listing(place) == [*NEW, "etcd", "etcdctl"]
    assert content(place.binary) == tiny_etcd("3.5.15") and content(place.path("etcdctl")) == b"the old one"
    found = os.stat(place.staged("etcd"))
    assert (found.st_mode & 0o7777, found.st_uid) == (0o755, os.geteuid())
    # The same again is no news.
    again = try_it(place, made)
    assert (again.staged, again.changed) == (True, False)
    assert program_exchange.exchange_programs(place) == ["etcdctl", "etcd"]
    assert listing(place) == ["etcd", "etcd.replaced", "etcdctl", "etcdctl.replaced"]
    assert content(place.binary) == tiny_etcd("3.5.35") and content(place.backup("etcd")) == tiny_etcd("3.5.15")
    assert program_exchange.exchange_programs(place) == []
    after = try_it(place, made)
    assert (after.staged, after.changed, after.version_before) == (False, False, "3.5.35")
    assert listing(place) == ["etcd", "etcd.replaced", "etcdctl", "etcdctl.replaced"]


def test_the_last_one_is_kept(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    for version in ("3.5.34", "3.5.35"):
        try_it(place, release(tmp_path / version, version))
        program_exchange.exchange_programs(place)
    assert content(place.backup("etcd")) == tiny_etcd("3.5.34")
    assert listing(place) == ["etcd", "etcd.replaced", "etcdctl", "etcdctl.replaced"]


def test_check_mode_leaves_nothing(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tried = try_it(place, release(tmp_path / "archive", "3.5.35"), scratch=str(scratch))
    assert (tried.version, tried.staged, tried.changed) == ("3.5.35", True, True)
    assert listing(place) == ["etcd", "etcdctl"] and os.listdir(scratch) == []


def test_all_three_programs(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    try_it(place, release(tmp_path / "archive", "3.6.16", etcdutl=b"the third"))
    program_exchange.exchange_programs(place)
    assert content(place.path("etcdutl")) == b"the third"
    assert not os.path.exists(place.backup("etcdutl"))


def test_tools_alone_wait_for_nobody(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    made = release(tmp_path / "archive", "3.5.15", etcdctl=b"the new one")
    tried = try_it(place, made)
    assert (tried.staged, tried.changed) == (False, True)
    assert content(place.path("etcdctl")) == b"the new one"
    assert listing(place) == ["etcd", "etcdctl", "etcdctl.replaced"]
    assert not try_it(place, made).changed


def test_another_name_and_a_folder_that_is_not_there(tmp_path: pathlib.Path) -> None:
    place = program_exchange.ProgramPlace(str(tmp_path / "not" / "yet" / "etcd-3.5"))
    previous = os.umask(0o077)
    try:
        tried = try_it(place, release(tmp_path / "archive", "3.5.35"))
    finally:
        os.umask(previous)
    assert tried.version_before is None and tried.staged
    assert listing(place) == [".etcd-3.5.ringfence-new", ".etcdctl.ringfence-new"]
    assert os.stat(place.folder).st_mode & 0o777 == 0o755
    program_exchange.exchange_programs(place)
    assert listing(place) == ["etcd-3.5", "etcdctl"]


def test_what_a_killed_run_left_is_taken_away(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    for name in (".etcd.ringfence-try", ".etcd.ringfence-new", ".etcdutl.ringfence-new", ".etcdctl.ringfence-try"):
        (pathlib.Path(place.folder) / name).write_bytes(b"half a pro")
    made = release(tmp_path / "archive", "3.5.35")
    assert try_it(place, made).changed
    assert listing(place) == [*NEW, "etcd", "etcdctl"]
    (pathlib.Path(place.folder) / ".etcdutl.ringfence-try").write_bytes(b"half a pro")
    assert len(program_archive.remove_staged(place, check_mode=True)) == 3
    assert listing(place) == [*NEW, ".etcdutl.ringfence-try", "etcd", "etcdctl"]
    assert len(program_archive.remove_staged(place, check_mode=False)) == 3
    assert listing(place) == ["etcd", "etcdctl"]


def test_a_link_in_the_place_of_what_is_written_is_not_followed(
    place: program_exchange.ProgramPlace, tmp_path: pathlib.Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    os.symlink(victim, pathlib.Path(place.folder) / ".etcd.ringfence-try")
    try_it(place, release(tmp_path / "archive", "3.5.35"))
    assert victim.read_text() == "mine"


OTHER = "aarch64" if os.uname().machine == "x86_64" else "x86_64"


@pytest.mark.parametrize(
    ("etcd", "words"),
    [
        (tiny_program("x", machine=OTHER), f"etcd of archive is a program for {OTHER}"),
        (b"", "etcd of archive is empty"),
        (tiny_program("x\n"), "etcd of archive --version does not say"),
        # It says a version, and knows no flags: the last argument is --version all the same.
        (
            b'#!/bin/sh\n[ $# = 1 ] && echo "etcd Version: 3.6.0" && exit 0\n'
            b"echo 'flag provided but not defined: -name' >&2; exit 2\n",
            "etcd of archive does not take its arguments: flag provided but not defined: -name",
        ),
    ],
)
def test_what_can_not_be_started_here_leaves_nothing(
    etcd: bytes, words: str, place: program_exchange.ProgramPlace, tmp_path: pathlib.Path
) -> None:
    made = release(tmp_path / "archive", "3.5.35", etcd=etcd)
    for scratch in (None, str(tmp_path)):
        with pytest.raises(RingfenceError) as caught:
            try_it(place, made, scratch=scratch, name="archive")
        assert words in str(caught.value) and str(caught.value).endswith("nothing was installed")
        assert listing(place) == ["etcd", "etcdctl"]
        assert sorted(os.listdir(tmp_path)) == ["archive", "bin"]


GOOD = entry("etcd", b"x")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([entry("../etcd", b"x")], "holds '../etcd', which points out of it"),
        ([entry("/usr/local/bin/etcd", b"x")], "which points out of it"),
        ([GOOD, entry("a/../../b", b"x")], "which points out of it"),
        ([entry("v/etcd", kind=tarfile.SYMTYPE, link="/etc/shadow")], "holds 'v/etcd', which is a link"),
        ([entry("v/etcd", kind=tarfile.LNKTYPE, link="/etc/shadow")], "which is a link"),
        ([GOOD, entry("v/README", kind=tarfile.SYMTYPE, link="/")], "holds 'v/README', which is a link"),
        ([entry("v/etcd", kind=tarfile.CHRTYPE)], "which is a device or a pipe"),
        ([entry("v/etcd", kind=tarfile.FIFOTYPE)], "which is a device or a pipe"),
        ([entry("v/etcd", b"x"), entry("w/etcd", b"y")], "holds etcd twice"),
        ([entry("v/etcdctl", b"x")], "holds no program etcd"),
        ([entry("v/deeper/etcd", b"x")], "holds no program etcd"),
        ([entry("v/etcd", kind=tarfile.DIRTYPE)], "holds no program etcd"),
        ([], "holds no program etcd"),
        ([entry(f"v/{number}") for number in range(11_000)], "holds more than a release archive"),
    ],
)
def test_an_archive_that_is_none_of_etcds(
    entries: list[tuple[t.Any, bytes]], words: str, place: program_exchange.ProgramPlace, tmp_path: pathlib.Path
) -> None:
    made = archive(tmp_path / "archive", *entries)
    with pytest.raises(FileError) as caught:
        try_it(place, made)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert listing(place) == ["etcd", "etcdctl"]


def test_a_program_that_is_too_large(
    place: program_exchange.ProgramPlace, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = archive(tmp_path / "archive", entry("etcd", b"x" * 101))
    monkeypatch.setattr(program_archive, "MOST_PROGRAM_BYTES", 100)
    with pytest.raises(FileError, match="of 101 bytes: that is no program"):
        try_it(place, made)
    monkeypatch.setattr(program_archive, "MOST_ARCHIVE_BYTES", 100)
    with pytest.raises(FileError, match="bytes: that is no release archive"):
        try_it(place, made)


@pytest.mark.parametrize("kind", ["garbage", "cut", "empty"])
def test_a_damaged_archive(kind: str, place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    path, _sum = release(tmp_path / "archive", "3.5.35", etcdutl=os.urandom(300_000))
    whole = content(path)
    pathlib.Path(path).write_bytes({"garbage": b"no tar" * 99, "cut": whole[: len(whole) // 2], "empty": b""}[kind])
    made = (path, hashlib.sha256(content(path)).hexdigest())
    with pytest.raises(FileError, match="archive can't be unpacked"):
        try_it(place, made)
    assert listing(place) == ["etcd", "etcdctl"]


@pytest.mark.parametrize("compression", ["", "bz2", "xz"])
def test_other_compressions(compression: str, place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    made = archive(tmp_path / "archive", entry("./etcd", tiny_etcd("3.5.35")), compression=compression)
    assert try_it(place, made).version == "3.5.35"


def test_only_the_one_that_was_meant(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    path, sha256 = release(tmp_path / "archive", "3.5.35")
    assert try_it(place, (path, sha256.upper())).staged
    with pytest.raises(FileError, match=f"archive has the SHA-256 {sha256}, wanted is {'0' * 64}: nothing was inst"):
        try_it(place, (path, "0" * 64))
    for other, words in (
        (str(tmp_path), "is a directory"),
        (str(tmp_path / "missing"), "does not exist"),
        ("/dev/null", "is not a regular file"),
    ):
        with pytest.raises(FileError, match=f"{words}.*nothing was installed"):
            # The sum of nothing, which is what a folder once had.
            try_it(place, (other, hashlib.sha256(b"").hexdigest()))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is not a regular file"):
        try_it(place, (str(tmp_path / "pipe"), sha256))


@pytest.mark.parametrize("name", ["etcd", "etcdctl", "etcdutl"])
@pytest.mark.parametrize("kind", ["link", "directory", "pipe", "script"])
def test_what_is_there_is_the_users(
    name: str, kind: str, place: program_exchange.ProgramPlace, tmp_path: pathlib.Path
) -> None:
    path = pathlib.Path(place.path(name))
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to("/usr/bin/true")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("#!/bin/sh\nexec /opt/etcd/etcd\n")
    before = listing(place)
    words = {"link": "is a symbolic link to /usr/bin/", "pipe": "is a other", "script": "is a script"}.get(kind, kind)
    with pytest.raises(FileError, match=words):
        try_it(place, release(tmp_path / "archive", "3.5.35"))
    assert listing(place) == before


@pytest.mark.parametrize("binary", ["bin/etcd", "/usr/local/bin/", "/usr/local/bin/etcdctl", "/opt/etcdutl"])
def test_no_place_for_etcd(binary: str) -> None:
    with pytest.raises(InputError, match="is no path for etcd's program"):
        program_archive.check_place(program_exchange.ProgramPlace(binary))


def test_a_full_disk(tmp_path: pathlib.Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    folder = tmp_path / "full"
    folder.mkdir()
    made = release(tmp_path / "archive", "3.5.35", etcdutl=os.urandom(300_000))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(FileError, match="the disk is full: make room and run again"):
            try_it(program_exchange.ProgramPlace(str(folder / "etcd")), made)
        assert os.listdir(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_from_which_nothing_can_be_run(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "noexec"
    folder.mkdir()
    made = release(tmp_path / "archive", "3.5.35")
    options = ["-t", "tmpfs", "-o", "size=100k,noexec", "tmpfs"]
    if os.geteuid() != 0 or subprocess.run(["mount", *options, str(folder)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for binary in (folder / "etcd", folder / "not" / "yet" / "etcd"):
            with pytest.raises(FileError) as caught:
                try_it(program_exchange.ProgramPlace(str(binary)), made)
            assert str(caught.value) == (
                f"{binary.parent} is on a file system that is mounted noexec: etcd can't be started from there; choose "
                "another folder, or mount it exec"
            )
        assert os.listdir(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_what_is_in_the_way_under_our_own_names(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    """A pipe is replaced; a folder, or a link that leads nowhere, is told in one line."""
    made = release(tmp_path / "archive", "3.5.35")
    os.mkfifo(place.staged("etcd"))
    assert try_it(place, made).changed and content(place.staged("etcd")) == tiny_etcd("3.5.35")
    waiting = pathlib.Path(place.staged("etcd"))
    waiting.unlink()
    waiting.symlink_to(waiting.name)
    with pytest.raises(FileError, match=rf"^can't read {waiting}: "):
        try_it(place, made)
    waiting.unlink()
    waiting.mkdir()
    for attempt in (lambda: try_it(place, made), lambda: program_archive.remove_staged(place, False)):
        with pytest.raises(FileError, match=rf"^can't (read|remove) {waiting}: "):
            attempt()
    waiting.rmdir()
    trial = pathlib.Path(place.folder) / ".etcd.ringfence-try"
    trial.mkdir()
    with pytest.raises(FileError, match=rf"^can't remove {trial}: "):
        try_it(place, made)
    assert content(place.binary) == tiny_etcd("3.5.15")


def test_a_program_that_is_gone_before_it_gets_its_name(place: program_exchange.ProgramPlace) -> None:
    with pytest.raises(FileError, match=rf"^can't write {place.staged('etcd')}: no such file or directory"):
        program_archive._rename(f"{place.folder}/gone", place.staged("etcd"))


def test_an_archive_that_can_not_be_opened(place: program_exchange.ProgramPlace, tmp_path: pathlib.Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(FileError, match=rf"^can't read {loop}: "):
        try_it(place, (str(loop), "0" * 64))


def test_a_stream_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a web server may send one: it is read to the limit, and no further."""
    monkeypatch.setattr(program_archive, "MOST_ARCHIVE_BYTES", 100)
    written = io.BytesIO()
    with pytest.raises(FileError, match=r"^http://host/etcd has more than 100 bytes: that is no release archive"):
        program_archive.copy_and_sum(io.BytesIO(b"x" * 101), written, "http://host/etcd")
    assert written.getvalue() == b""
    assert program_archive.copy_and_sum(io.BytesIO(b"x" * 100), written, "it") == hashlib.sha256(b"x" * 100).hexdigest()


@pytest.fixture(scope="module")
def plain_archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path, _sum = archive(
        tmp_path_factory.mktemp("archive") / "plain", entry("v/etcd", b"x" * 600), entry("v/etcdctl"), compression=""
    )
    return content(path)


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=8), st.integers(0, 2048))
def test_any_archive_is_unpacked_or_refused_in_one_line(
    plain_archive: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    length: int,
) -> None:
    made = bytearray(plain_archive)
    for position, value in changes:
        made[position] = value
    folder = tmp_path_factory.mktemp("unpacked")
    paths = {program: str(folder / program) for program in program_exchange.PROGRAMS}
    try:
        sums = program_archive.unpack(io.BytesIO(bytes(made[: len(made) - length])), "it", paths)
    except FileError as exc:
        assert "\n" not in str(exc)
    else:
        assert "etcd" in sums
    assert set(os.listdir(folder)) <= set(program_exchange.PROGRAMS)
