# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd's programs out of a release archive: unpacked beside those in place, and tried there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import tarfile
import typing as t
import zlib
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_program_path
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import (
    ETCD,
    PROGRAMS,
    ProgramPlace,
    exchange_programs,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    apply_changes,
    plan_directory,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import write_program
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, os_error
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_command

MOST_ARCHIVE_BYTES = 1024 * 1024 * 1024

# etcd 3.7 has 30 MB.
MOST_PROGRAM_BYTES = 512 * 1024 * 1024

# 3.4's documentation has some 200 files.
_MOST_ENTRIES = 10_000

_MOST_UNPACKED_BYTES = 4 * MOST_PROGRAM_BYTES

_BLOCK_BYTES = 1024 * 1024

_FOLDER_MODE = 0o755


class FoundProgram(t.TypedDict):
    """One program of the archive. ``differs``: the one in place is another one, or missing."""

    name: str
    path: str
    differs: bool


@dataclass(frozen=True)
class Tried:
    """What the archive holds, once it was tried here. ``version``: None where it could not be tried in check mode."""

    version: str | None
    version_before: str | None
    programs: tuple[FoundProgram, ...]
    changed: bool
    warnings: tuple[str, ...] = ()

    @property
    def staged(self) -> bool:
        """Whether another etcd waits beside the one in place."""
        return any(program["differs"] for program in self.programs if program["name"] == ETCD)


def check_sum(found: str, wanted: str, what: str) -> None:
    """FileError unless the archive is the one that was meant."""
    if found != wanted.lower():
        raise FileError(
            f"{what} has the SHA-256 {found}, wanted is {wanted.lower()}: nothing was installed; give the archive that "
            "the sum is of, or the sum that its publisher names"
        )


def program_of(entry: tarfile.TarInfo, archive: str) -> str | None:
    """The program that an entry of the archive is, at its top or in its one folder; None for anything else.

    FileError for an entry that no release archive has: it shows that somebody wanted more than to be unpacked.
    """
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    if entry.name.startswith("/") or ".." in parts:
        raise FileError(f"{archive} holds {entry.name!a}, which points out of it: nothing was installed")
    if not entry.isreg() and not entry.isdir():
        kind = "a link" if entry.issym() or entry.islnk() else "a device or a pipe"
        raise FileError(
            f"{archive} holds {entry.name!a}, which is {kind}: a release archive of etcd has files and folders alone; "
            "nothing was installed"
        )
    if entry.isdir() or not 1 <= len(parts) <= 2 or parts[-1] not in PROGRAMS:
        return None
    if entry.size > MOST_PROGRAM_BYTES:
        raise FileError(f"{archive} holds {entry.name!a} of {entry.size} bytes: that is no program of etcd's")
    return parts[-1]


def opened_archive(path: str, name: str) -> t.IO[bytes]:
    """The archive, open; FileError unless it is a regular file of a size that can be meant. ``name``: for messages."""
    try:
        stream = open(path, "rb", opener=lambda file, flags: os.open(file, flags | os.O_NONBLOCK))  # noqa: SIM115
    except IsADirectoryError:
        raise FileError(f"{name} is a directory, wanted is a release archive of etcd: nothing was installed") from None
    except FileNotFoundError:
        raise FileError(f"{name} does not exist: nothing was installed; name the archive's path or URL") from None
    except OSError as exc:
        raise os_error("read", name, exc) from exc
    try:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{name} is not a regular file: nothing was installed; name a release archive of etcd")
        if found.st_size > MOST_ARCHIVE_BYTES:
            raise FileError(f"{name} has {found.st_size} bytes: that is no release archive of etcd")
    except BaseException:
        stream.close()
        raise
    return stream


def copy_and_sum(source: t.IO[bytes], target: t.IO[bytes] | None, what: str) -> str:
    """Read a stream to its end, to another one if given; gives its SHA-256. FileError where it is too long."""
    found, length = hashlib.sha256(), 0
    for block in iter(lambda: source.read(_BLOCK_BYTES), b""):
        length += len(block)
        if length > MOST_ARCHIVE_BYTES:
            raise FileError(f"{what} has more than {MOST_ARCHIVE_BYTES} bytes: that is no release archive of etcd")
        found.update(block)
        if target is not None:
            target.write(block)
    return found.hexdigest()


def unpack(archive: t.IO[bytes], name: str, paths: t.Mapping[str, str]) -> dict[str, str]:
    """Write the programs of an archive to the paths given for them; gives their SHA-256 by name.

    Only these are written: nothing of an archive is extracted by its own name, owner or mode.
    """
    sums: dict[str, str] = {}
    unpacked = 0
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            for number, entry in enumerate(tar):
                unpacked += entry.size
                if number >= _MOST_ENTRIES or unpacked > _MOST_UNPACKED_BYTES:
                    raise FileError(f"{name} holds more than a release archive of etcd: nothing was installed")
                program = program_of(entry, name)
                if program is None:
                    continue
                if program in sums:
                    raise FileError(f"{name} holds {program} twice: nothing was installed")
                source = tar.extractfile(entry)
                if source is not None:
                    sums[program] = write_program(paths[program], source, MOST_PROGRAM_BYTES)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as exc:
        why = " ".join(str(exc).split())[:120]
        raise FileError(
            f"{name} can't be unpacked ({why}): wanted is a release archive of etcd for Linux (etcd-v*-linux-*.tar.gz)"
        ) from exc
    if ETCD not in sums:
        raise FileError(f"{name} holds no program etcd: wanted is a release archive of etcd for Linux")
    return sums


def try_archive(
    archive: str,
    sha256: str,
    binary: str,
    unit_content: str | None,
    scratch: str | None = None,
    name: str | None = None,
) -> Tried:
    """Unpack the archive beside the programs in place, run its etcd with --version and with the unit's flags.

    What was tried waits under its staged name. ``scratch``: a folder in which to try instead, and leave nothing: check
    mode. FileError or ServiceError where it can't be run here or does not take the flags: then nothing is left.
    """
    place = ProgramPlace(binary)
    check_place(place)
    name = name or archive
    with opened_archive(archive, name) as stream:
        check_sum(copy_and_sum(stream, None, name), sha256, name)
        stream.seek(0)
        return _tried(stream, name, place, unit_content, scratch)


def _tried(stream: t.IO[bytes], name: str, place: ProgramPlace, unit_content: str | None, scratch: str | None) -> Tried:
    if scratch is None:
        _make_folder(place)
        for program in PROGRAMS:
            _unlink(_trial_path(place, program))
    paths = {
        program: _trial_path(place, program) if scratch is None else os.path.join(scratch, program)
        for program in PROGRAMS
    }
    try:
        sums = unpack(stream, name, paths)
        version, warnings = None, []
        if scratch is not None and trial.is_mounted_noexec(scratch):
            warnings.append(
                f"{scratch} is mounted noexec: the archive's program was not "
                f"tried here, the real run tries it beside {place.binary}"
            )
        else:
            version = _try_program(paths[ETCD], name, unit_content)
        found = [_compared(place, program, sums[program]) for program in PROGRAMS if program in sums]
        before = _version_in_place(place.binary)
        news = [each for each in found if each["differs"] and _sum_of(place.staged(each["name"])) != sums[each["name"]]]
        if scratch is None:
            _stage(place, paths, found, news)
        return Tried(version, before, tuple(found), bool(news), tuple(warnings))
    finally:
        for path in paths.values():
            _unlink(path)


def check_place(place: ProgramPlace) -> None:
    """FileError where a program can't be put: what is there is no program of etcd's, but something of the user's."""
    checked_program_path(place.binary, "etcd_binary")
    if trial.is_mounted_noexec(place.folder):
        raise FileError(
            f"{place.folder} is on a file system that is mounted noexec: etcd can't be started from there; choose "
            "another folder, or mount it exec",
            path=place.folder,
        )
    for program in PROGRAMS:
        path = place.path(program)
        state = describe(path)["state"]
        if state == "link":
            raise FileError(
                f"{path} is a symbolic link to {os.path.realpath(path)}: it would be replaced by a file; name the "
                "program's own path, or take the link away",
                path=path,
            )
        if state not in ("absent", "file"):
            raise FileError(f"{path} is a {state}, wanted is a program or nothing: move it away", path=path)
        if state == "file" and trial.first_bytes(path)[:2] == b"#!":
            raise FileError(
                f"{path} is a script, which would be replaced by the program that it starts: name that one's path, or "
                "take the script away",
                path=path,
            )


def _try_program(path: str, name: str, unit_content: str | None) -> str:
    try:
        version = trial.etcd_version(path)
        if unit_content:
            _program, *arguments = exec_command(unit_content) or [""]
            trial.check_arguments(path, arguments)
    except RingfenceError as exc:
        # The path is of this moment, and means nothing to the reader.
        text = str(exc).replace(path, f"etcd of {name}")
        raise type(exc)(f"{text}: nothing was installed") from exc
    return version


def _version_in_place(binary: str) -> str | None:
    try:
        return trial.etcd_version(binary)
    except RingfenceError:
        return None


def _compared(place: ProgramPlace, program: str, sha256: str) -> FoundProgram:
    path = place.path(program)
    return {"name": program, "path": path, "differs": _sum_of(path) != sha256}


def _stage(
    place: ProgramPlace, paths: t.Mapping[str, str], found: t.Sequence[FoundProgram], news: t.Sequence[FoundProgram]
) -> None:
    """Give what was tried the name under which it waits; what waited before and is not meant any more goes."""
    differing = [each["name"] for each in found if each["differs"]]
    for program in PROGRAMS:
        if program not in differing:
            _unlink(place.staged(program))
    for each in news:
        _rename(paths[each["name"]], place.staged(each["name"]))
    if ETCD not in differing:
        # Nothing runs these two: there is no turn to wait for.
        exchange_programs(place)


def remove_staged(place: ProgramPlace, check_mode: bool) -> list[str]:
    """Take away what waits, and what a killed run left; gives its paths."""
    candidates = [path for program in PROGRAMS for path in (place.staged(program), _trial_path(place, program))]
    found = [path for path in candidates if os.path.lexists(path)]
    for path in found:
        if not check_mode:
            _unlink(path)
    return found


def _trial_path(place: ProgramPlace, program: str) -> str:
    folder, name = os.path.split(place.path(program))
    return os.path.join(folder, f".{name}.ringfence-try")


def _make_folder(place: ProgramPlace) -> None:
    root = 0 if os.geteuid() == 0 else None
    if not os.path.isdir(place.folder):
        apply_changes([plan_directory(WantedDirectory(place.folder, _FOLDER_MODE, uid=root, gid=root))])


def _sum_of(path: str) -> str | None:
    """The SHA-256 of a regular file; None where there is none."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return None
            return copy_and_sum(stream, None, path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise os_error("read", path, exc) from exc


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as exc:
        raise os_error("write", target, exc) from exc


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise os_error("remove", path, exc) from exc


__all__ = (
    "MOST_ARCHIVE_BYTES",
    "MOST_PROGRAM_BYTES",
    "FoundProgram",
    "Tried",
    "check_place",
    "check_sum",
    "copy_and_sum",
    "opened_archive",
    "program_of",
    "remove_staged",
    "try_archive",
    "unpack",
)
