# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who can read a file along its whole path: by mode, by the kernel, and as things are going to be."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import signal
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node import access
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import (
    Attributes,
    Barrier,
    Identity,
    barrier_error,
    find_barriers,
    identity_of,
    mode_allows,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import USER, ordinary_user

STRANGER = Identity("stranger", USER, USER, frozenset((USER, 64200)))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder(open_folder: pathlib.Path) -> pathlib.Path:
    return open_folder


Ask = t.Callable[..., t.Optional[Barrier]]


@pytest.fixture(params=["from here", "as the user itself"])
def barrier_of(request: pytest.FixtureRequest) -> Ask:
    """The stranger's barrier: asked by root, and asked by the stranger."""

    def ask(path: str, planned: t.Mapping[str, Attributes] | None = None) -> Barrier | None:
        with contextlib.nullcontext() if request.param == "from here" else ordinary_user():
            return find_barrier(path, STRANGER, planned)

    return ask


def find_barrier(path: str, who: Identity, planned: t.Mapping[str, Attributes] | None = None) -> Barrier | None:
    """Of one file."""
    return find_barriers([path], who, planned)[0]


def make(folder: pathlib.Path, mode: int = 0o644, folder_mode: int = 0o755) -> str:
    """<folder>/a/b/file"""
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (folder / "a").chmod(0o755)
    (inner / "file").write_text("x")
    (inner / "file").chmod(mode)
    inner.chmod(folder_mode)
    return str(inner / "file")


@pytest.mark.parametrize(
    ("attributes", "bit", "allowed"),
    [
        (Attributes(64123, 0, 0o400), 4, True),
        # The first class that fits decides, even where a later one would grant more.
        (Attributes(64123, 0, 0o044), 4, False),
        (Attributes(0, 64123, 0o040), 4, True),
        (Attributes(0, 64200, 0o040), 4, True),
        (Attributes(0, 64200, 0o404), 4, False),
        (Attributes(0, 0, 0o004), 4, True),
        (Attributes(0, 0, 0o640), 4, False),
        (Attributes(0, 0, 0o711), 1, True),
        (Attributes(0, 0, 0o766), 1, False),
    ],
)
def test_mode_allows(attributes: Attributes, bit: int, allowed: bool) -> None:
    assert mode_allows(STRANGER, attributes, bit) is allowed


def test_root_may_everything() -> None:
    assert mode_allows(Identity("root", 0, 0, frozenset()), Attributes(1, 1, 0), 4)


def test_identity() -> None:
    root = identity_of("root")
    assert root is not None and (root.uid, root.gid) == (0, 0) and 0 in root.groups
    assert identity_of("0") == root
    assert identity_of("no-such-user") is None
    number = identity_of("64123")
    assert number is not None and number.uid == 64123


@as_root
@pytest.mark.parametrize(
    ("mode", "folder_mode", "why", "where"),
    [
        (0o644, 0o755, None, ""),
        (0o644, 0o711, None, ""),
        (0o640, 0o755, "read", "a/b/file"),
        (0o644, 0o750, "search", "a/b"),
        (0o600, 0o700, "search", "a/b"),
    ],
)
def test_the_kernel_says(
    folder: pathlib.Path, barrier_of: Ask, mode: int, folder_mode: int, why: str | None, where: str
) -> None:
    path = make(folder, mode, folder_mode)
    barrier = barrier_of(path)
    assert (barrier and barrier.why) == why
    if barrier:
        assert barrier.path == str(folder / where)
        assert f"{folder / where} (0" in barrier.text and "root:root" in barrier.text
    # The check changed nothing for the one who asks.
    assert os.geteuid() == 0


@as_root
def test_a_mode_that_promises_more_than_the_kernel_gives() -> None:
    """A process's map of memory has mode 0444, and can be opened by its own user alone."""
    path = f"/proc/{os.getpid()}/maps"
    barrier = find_barrier(path, STRANGER)
    assert barrier is not None and (barrier.path, barrier.why) == (path, "read")
    with ordinary_user():
        # Of root's: the first process.
        barrier = find_barrier("/proc/1/maps", STRANGER)
    assert barrier is not None and (barrier.path, barrier.why) == ("/proc/1/maps", "read")


@as_root
def test_what_the_one_who_asks_can_not_see(folder: pathlib.Path) -> None:
    path = make(folder, 0o644, 0o700)
    os.chown(os.path.dirname(path), 64200, 64200)
    with ordinary_user():
        barrier = find_barrier(path, Identity("owner", 64200, 64200, frozenset()))
    assert barrier is not None and barrier.why == "search"
    assert barrier.text == f"{path} can't be looked at: Permission denied"


@as_root
def test_the_first_component_is_named(folder: pathlib.Path) -> None:
    path = make(folder, 0o600, 0o700)
    (folder / "a").chmod(0o700)
    barrier = find_barrier(path, STRANGER)
    assert barrier is not None and barrier.path == str(folder / "a")


@as_root
def test_supplementary_groups_count(folder: pathlib.Path) -> None:
    path = make(folder, 0o640)
    os.chown(path, 0, 64200)
    assert find_barrier(path, STRANGER) is None
    assert find_barrier(path, Identity("alone", 64123, 64123, frozenset((64123,)))) is not None


@as_root
def test_groups_of_root_do_not_leak_into_the_check(folder: pathlib.Path) -> None:
    path = make(folder, 0o640)
    os.chown(path, 0, 64300)
    before = os.getgroups()
    os.setgroups([*before, 64300])
    try:
        barrier = find_barrier(path, STRANGER)
    finally:
        os.setgroups(before)
    assert barrier is not None and barrier.why == "read"


@as_root
def test_the_way_through_a_link_counts(folder: pathlib.Path, barrier_of: Ask) -> None:
    path = make(folder, 0o644, 0o700)
    (folder / "link").symlink_to("a/../a/b")
    barrier = barrier_of(str(folder / "link" / "file"))
    assert barrier is not None and (barrier.path, barrier.why) == (os.path.dirname(path), "search")
    (folder / "a" / "b").chmod(0o755)
    assert barrier_of(str(folder / "link" / "file")) is None
    (folder / "absolute").symlink_to(path)
    assert barrier_of(str(folder / "absolute")) is None


def test_links_in_a_circle(folder: pathlib.Path, barrier_of: Ask) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    barrier = barrier_of(str(folder / "one" / "file"))
    assert barrier is not None and "circle" in barrier.text


@pytest.mark.parametrize("missing", ["a/b/other", "c/file"])
def test_a_missing_component(folder: pathlib.Path, barrier_of: Ask, missing: str) -> None:
    make(folder)
    barrier = barrier_of(str(folder / missing))
    assert barrier is not None and barrier.why == "missing" and "does not exist" in barrier.text


def test_a_file_where_a_folder_is_wanted(folder: pathlib.Path, barrier_of: Ask) -> None:
    barrier = barrier_of(make(folder) + "/below")
    assert barrier is not None and (barrier.why, barrier.path) == ("missing", str(folder / "a/b/file"))


@pytest.mark.parametrize(
    ("folder_attributes", "file_attributes", "why"),
    [
        (Attributes(0, 0, 0o755), Attributes(64123, 0, 0o600), None),
        (Attributes(0, 64200, 0o750), Attributes(64123, 0, 0o600), None),
        (Attributes(0, 0, 0o750), Attributes(64123, 0, 0o600), "search"),
        (Attributes(0, 0, 0o755), Attributes(0, 0, 0o600), "read"),
    ],
)
def test_what_is_planned_counts(
    folder: pathlib.Path,
    barrier_of: Ask,
    folder_attributes: Attributes,
    file_attributes: Attributes,
    why: str | None,
) -> None:
    """Whatever stands there now, and also where nothing stands there yet."""
    path = make(folder, 0o600, 0o700)
    for where in (path, str(folder / "new" / "file")):
        planned = {os.path.dirname(where): folder_attributes, where: file_attributes}
        barrier = barrier_of(where, planned)
        assert (barrier and barrier.why) == why


def test_as_oneself_nobody_is_forked(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    oneself = Identity("me", os.geteuid(), os.getegid(), frozenset())
    assert find_barrier(make(folder), oneself) is None


def test_without_root_the_modes_say(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(folder, 0o640)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    barrier = find_barrier(path, STRANGER)
    assert barrier is not None and (barrier.path, barrier.why) == (path, "read")


@as_root
def test_several_files_are_asked_by_one_process_and_told_in_their_order(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [make(folder), str(folder / "none"), make(folder / "other", mode=0o600)]
    forked: list[int] = []
    fork = access.os.fork
    monkeypatch.setattr(access.os, "fork", lambda: forked.append(1) or fork())
    found = find_barriers(paths, STRANGER)
    assert [barrier and (barrier.path, barrier.why) for barrier in found] == [
        None,
        (paths[1], "missing"),
        (paths[2], "read"),
    ]
    assert len(forked) == 1 and find_barriers([], STRANGER) == [] and len(forked) == 1


@as_root
def test_an_answer_about_other_files_is_none(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_read_in_time", lambda _descriptor: b"[null]")
    with pytest.raises(FileError, match=r"whether /.*/file and 1 more are readable: an answer that is none"):
        find_barriers([make(folder), str(folder)], STRANGER)


@as_root
def test_a_check_that_can_not_be_made_says_so(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_groups: t.Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuse)
    with pytest.raises(FileError, match=r"can't check as user stranger .* not permitted"):
        find_barrier(make(folder), STRANGER)


@as_root
def test_a_check_that_is_stopped_by_the_user_is_ended(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is the user's own process: it may send it any signal."""
    monkeypatch.setattr(access, "_walk", lambda *_arguments, **_options: os.kill(os.getpid(), signal.SIGSTOP))
    monkeypatch.setattr(access, "_CHILD_SECONDS", 0.5)
    with pytest.raises(FileError, match=r"can't check as user stranger .* no answer within 0\.5 seconds"):
        find_barrier(make(folder), STRANGER)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_line() -> None:
    barrier = Barrier("/etc/etcd", "search", "folder /etc/etcd (0700 root:root) does not let it through")
    error = barrier_error("/etc/etcd/pki/ca.crt", STRANGER, barrier)
    assert str(error).startswith("user stranger can't read /etc/etcd/pki/ca.crt: folder /etc/etcd (0700 root:root)")
    assert error.details == {"path": "/etc/etcd/pki/ca.crt", "barrier": "/etc/etcd"}


@as_root
def test_where_ended_children_leave_nothing_the_answer_counts(folder: pathlib.Path) -> None:
    """Whoever started this process ignores SIGCHLD: the kernel waits for nobody."""
    path = make(folder)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        for _time in range(50):
            assert find_barrier(path, STRANGER) is None
    finally:
        signal.signal(signal.SIGCHLD, before)


@as_root
def test_a_host_that_starts_no_process_more_is_told(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(access.os, "fork", full)
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileError, match=f"can't start a process that reads {folder}: Resource temporarily unavailable"):
        find_barrier(str(folder), STRANGER)
    assert len(os.listdir("/proc/self/fd")) == opened
