# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and folders that get another name, or go: at once, in open folders, and nothing is written over.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    lstat_in,
    staged_path,
    sync_folder,
    unlink_in,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_folder, os_error


def put_in_place(staged: str, path: str, backup: str) -> None:
    """Give a staged file the name that it is for, at once. What was there has the name ``kept`` from then on.

    All three are in one folder.
    """
    name, backup_name = os.path.basename(path), os.path.basename(backup)
    try:
        with open_folder(os.path.dirname(path)) as folder:
            place = folder.descriptor
            if lstat_in(name, place) is not None:
                # A second name first, so that there is no moment without the file.
                second = os.path.basename(staged_path(backup))
                unlink_in(second, place)
                os.link(name, second, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
                os.rename(second, backup_name, src_dir_fd=place, dst_dir_fd=place)
            os.rename(os.path.basename(staged), name, src_dir_fd=place, dst_dir_fd=place)
            sync_folder(os.path.dirname(path), place)
    except OSError as exc:
        raise os_error("replace", path, exc) from exc


def put_back(backup: str, path: str, staged: str) -> None:
    """Undo ``put_in_place``: what was there has its name again, and what took its place waits under the staged one."""
    try:
        with open_folder(os.path.dirname(path)) as folder:
            place = folder.descriptor
            unlink_in(os.path.basename(staged), place)
            names = os.path.basename(path), os.path.basename(staged)
            os.link(*names, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
            os.rename(os.path.basename(backup), os.path.basename(path), src_dir_fd=place, dst_dir_fd=place)
            sync_folder(os.path.dirname(path), place)
    except OSError as exc:
        raise os_error("replace", path, exc) from exc


def put_aside(path: str, ending: str) -> str | None:
    """Give a file or folder another name in its folder, and nothing else; gives that path, None where nothing is there.

    FileError where that name is taken: nothing is written over.
    """
    aside = f"{path}.{ending}"
    name, other = os.path.basename(path), os.path.basename(aside)
    try:
        with open_folder(os.path.dirname(path)) as folder:
            place = folder.descriptor
            if lstat_in(name, place) is None:
                return None
            if lstat_in(other, place) is not None:
                raise FileError(f"can't move {path} aside: {aside} exists: move that away first", path=path)
            os.rename(name, other, src_dir_fd=place, dst_dir_fd=place)
            sync_folder(os.path.dirname(path), place)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise os_error("move aside", path, exc) from exc
    return aside


def move_to(source: str, path: str) -> None:
    """Give a file or folder another path on its file system. FileError where something is there: it stays."""
    try:
        with open_folder(os.path.dirname(source)) as old, open_folder(os.path.dirname(path)) as new:
            name = os.path.basename(path)
            if lstat_in(name, new.descriptor) is not None:
                raise FileError(f"{path} exists, and is not written over: move it away", path=path)
            os.rename(os.path.basename(source), name, src_dir_fd=old.descriptor, dst_dir_fd=new.descriptor)
            sync_folder(os.path.dirname(path), new.descriptor)
    except OSError as exc:
        raise os_error("move", f"{source} to {path}", exc) from exc


def remove_folder(path: str) -> None:
    """Remove a folder with all that is in it, and follow no link; one that is not there is fine."""
    try:
        with open_folder(os.path.dirname(path)) as folder:
            name = os.path.basename(path)
            if lstat_in(name, folder.descriptor) is not None:
                shutil.rmtree(f"/proc/self/fd/{folder.descriptor}/{name}")
    except FileNotFoundError:
        return
    except OSError as exc:
        raise os_error("remove", path, exc) from exc


__all__ = ("move_to", "put_aside", "put_back", "put_in_place", "remove_folder")
