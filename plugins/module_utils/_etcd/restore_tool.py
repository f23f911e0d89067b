# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program of etcd's that restores a snapshot: which one of those on a host, and how it is run.

That is etcdutl, from 3.5 on, and etcdctl up to 3.5. It has to be of etcd's own minor version: a later one writes what
an older etcd does not read.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import Done, run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import os_error

# Large databases take minutes.
RESTORE_SECONDS = 3600.0
_ASKED_SECONDS = 20.0
_VERSION = re.compile(r"^etcd(?:ctl|utl) version: (\d+\.\d+\.\d+\S*)\s*$", re.MULTILINE)
# The first one without the command in etcdctl.
_ETCDUTL_ALONE = (3, 6)
_BUMP = "--bump-revision"


@dataclass(frozen=True)
class RestoreTool:
    """A program that restores snapshots for the etcd of a host."""

    path: str
    version: str


@dataclass(frozen=True)
class Restore:
    """What a member is restored as. ``wal_dir``: where its log goes, None for its usual folder."""

    snapshot: str
    name: str
    peer_urls: t.Mapping[str, str]
    token: str
    data_dir: str
    wal_dir: str | None = None
    bump_revision: int = 0


def programs_for(etcd_version: str) -> tuple[str, ...]:
    """The names of the programs that restore for this etcd, the better one first."""
    is_alone = _minor(etcd_version) >= _ETCDUTL_ALONE
    return ("etcdutl",) if is_alone else ("etcdutl", "etcdctl")


def find_tool(etcd_version: str, places: t.Callable[[str], t.Iterable[str]]) -> RestoreTool:
    """The program of this host that restores; FileError, which says where to get it, where there is none.

    ``places``: the paths at which a program of a name may be.
    """
    others = []
    for name in programs_for(etcd_version):
        for path in dict.fromkeys(places(name)):
            if not os.path.isfile(path):
                continue
            version = _version_of(path)
            if version is not None and _minor(version) == _minor(etcd_version):
                return RestoreTool(path, version)
            others.append(f"{path} is {version or 'of no version that it tells'}")
    wanted = " or ".join(programs_for(etcd_version))
    minor = ".".join(map(str, _minor(etcd_version)))
    seen = f" ({', '.join(others)})" if others else ""
    raise FileError(
        f"no {wanted} of etcd {minor} is on this host{seen}, and it is what "
        f"restores a snapshot for the etcd {etcd_version} here: it is in etcd's release archive, from which "
        "etcd_peer_tls_install: archive puts it in place, and in Debian's package etcd-client"
    )


def restore_arguments(wanted: Restore) -> list[str]:
    """The command's words behind the program."""
    words = [
        "snapshot",
        "restore",
        wanted.snapshot,
        f"--name={wanted.name}",
        f"--initial-cluster={','.join(f'{name}={url}' for name, url in sorted(wanted.peer_urls.items()))}",
        f"--initial-cluster-token={wanted.token}",
        f"--initial-advertise-peer-urls={wanted.peer_urls[wanted.name]}",
        f"--data-dir={wanted.data_dir}",
    ]
    if wanted.wal_dir is not None:
        words.append(f"--wal-dir={wanted.wal_dir}")
    if wanted.bump_revision:
        words += [f"{_BUMP}={wanted.bump_revision}", "--mark-compacted"]
    return words


def check_bump(tool: RestoreTool) -> None:
    """ServiceError where a program can't raise the revision."""
    if _BUMP not in _asked(tool.path, "snapshot", "restore", "--help").output:
        raise ServiceError(
            f"{tool.path} {tool.version} knows no {_BUMP}: leave out etcd_peer_tls_restore_bump_revision, or put a "
            "later etcdutl of this minor version there",
            program=tool.path,
        )


def run_restore(
    tool: RestoreTool, wanted: Restore, account: tuple[int, int] | None, inherited: t.Sequence[int] = ()
) -> None:
    """Make the data folder; ServiceError in the program's own words where it does not.

    ``account``: user and group as which it runs, who own what it makes; None for this process's own. ``inherited``:
    descriptors by which it reads.
    """
    done = _run([tool.path, *restore_arguments(wanted)], RESTORE_SECONDS, account, inherited)
    if done.returncode:
        raise ServiceError(
            f"{tool.path} does not restore the snapshot: {_cause(done) or f'exit status {done.returncode}'}: nothing "
            "was stopped, and no data touched",
            program=tool.path,
        )


def _cause(done: Done) -> str:
    lines = [line.strip() for line in f"{done.stderr}\n{done.stdout}".splitlines()]
    named = [line for line in lines if line.lower().startswith(("error:", "panic:"))]
    return (named or [line for line in lines if line and not line.startswith(("{", "Usage", "-"))] or [""])[0][:300]


def _version_of(path: str) -> str | None:
    try:
        match = _VERSION.search(_asked(path, "version").stdout)
    except FileError:
        return None
    return None if match is None else match.group(1)


def _asked(*words: str) -> Done:
    return _run(words, _ASKED_SECONDS, None)


def _run(
    words: t.Sequence[str],
    timeout_seconds: float,
    account: tuple[int, int] | None,
    inherited: t.Sequence[int] = (),
) -> Done:
    # etcdctl up to 3.3 begins with API 2, and both read ETCDCTL_* of the environment.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "ETCDCTL_API": "3"}
    try:
        return run_command(words, timeout_seconds, environment, account, inherited)
    except TimeoutError as exc:
        raise FileError(f"{exc}", path=words[0]) from None
    except OSError as exc:
        raise os_error("run", words[0], exc) from exc


def _minor(version: str) -> tuple[int, ...]:
    return tuple(parse_version(version)[:2])


__all__ = (
    "Restore",
    "RestoreTool",
    "check_bump",
    "find_tool",
    "programs_for",
    "restore_arguments",
    "run_restore",
)
