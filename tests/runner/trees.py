# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pythons that this machine does not have, taken from Debian trees.

A tree is one of the lab's images with a recipe of its own. A command enters it by a mount namespace in which the tree's
programs and libraries take the place of this machine's, and all other folders (home, caches, checkout, temporary
files) are this machine's own, under the same paths.
"""

from __future__ import annotations

import json
import os
import typing as t

from ringfence_lab import image, surroundings
from ringfence_lab.errors import LabError

from runner.cores import CORES, MEASURED
from runner.machine import MachineError, Python, ask, need_packages, whole_pythons

TREES = {"3.14": "forky", "3.13": "trixie", "3.11": "bookworm"}
"""Which release has which Python as its own."""

KNOWN = "RINGFENCE_PYTHONS"

PACKAGES = ("ca-certificates", "git", "openssh-client", "openssl", "python3", "python3-venv", "sshpass")

# Binds every folder of this machine but the system's own into the tree, then the few files by which programs find the
# network, its names and its certificates. The namespace is this command's alone and goes with it.
_ENTER = """
tree=$1; shift
for folder in /*; do
  case $folder in
    /bin|/boot|/etc|/lib|/lib32|/lib64|/libx32|/sbin|/usr|/lost+found) ;;
    *) if [ -d "$folder" ] && [ ! -L "$folder" ]; then
         mkdir -p "$tree$folder" && mount --rbind "$folder" "$tree$folder" || exit 1
       fi ;;
  esac
done
for path in /etc/hosts /etc/resolv.conf /etc/passwd /etc/group /etc/ssl /etc/pip.conf /usr/local; do
  if [ -e "$path" ]; then
    if [ -d "$path" ]; then mkdir -p "$tree$path"; elif [ ! -e "$tree$path" ]; then : > "$tree$path"; fi
    mount --bind "$path" "$tree$path" || exit 1
  fi
done
here=$PWD
# A step's PATH has no system folders on every machine.
exec /usr/sbin/chroot "$tree" /bin/sh -c 'cd "$0" && exec "$@"' "$here" "$@"
"""


def recipe(release: str) -> image.Recipe:
    """A tree with what a controller needs, and nothing of the lab's hosts."""
    return image.Recipe(release=release, packages=PACKAGES, customize="\ntrue\n")


def entrance(release: str) -> tuple[str, ...]:
    """The words before a command that runs in the release's tree."""
    tree = image.tree_of(recipe(release).name)
    return ("unshare", "--mount", "sh", "-c", _ENTER, "sh", tree)


def missing_pythons(wanted: t.Iterable[tuple[str, ...]], found: t.Mapping[str, Python]) -> list[str]:
    """Which versions of ``TREES`` help those that find none of their Pythons among ``found``."""
    helping = []
    for versions in wanted:
        if not set(versions) & set(found):
            helping += [version for version in versions if version in TREES][:1]
    return sorted(set(helping))


def python_from_tree(version: str) -> Python:
    """The interpreter of a Debian tree, which is made first where the cache does not have it."""
    release = TREES[version]
    try:
        need_packages(lambda: surroundings.missing_packages().values())
        surroundings.check_machine()
        image.ensure_image(recipe(release))
    except LabError as exc:
        raise MachineError(f"Python {version} can't be taken from a tree of Debian {release}: {exc}") from exc
    enter = entrance(release)
    python = ask("/usr/bin/python3", enter)
    if python is None or python.version != version:
        raise MachineError(f"the tree of Debian {release} has no Python {version}")
    return python


def all_pythons() -> dict[str, Python]:
    """The Pythons of this machine and, for root, those that it lacks for a core or for measuring, from Debian trees.

    A tree is made where it is first entered. What was found is told to the processes that this one starts.
    """
    known = os.environ.get(KNOWN)
    if known:
        return {row[0]: Python(row[0], row[1], row[2], row[3], tuple(row[4])) for row in json.loads(known)}
    pythons = whole_pythons()
    if os.geteuid() == 0:
        for version in missing_pythons([*(core.pythons for core in CORES), (MEASURED,)], pythons):
            release = TREES[version]
            full = f"{version} of Debian {release}"
            pythons[version] = Python(version, full, "/usr/bin/python3", True, entrance(release))
    pythons = dict(sorted(pythons.items(), key=lambda item: int(item[0].split(".")[1])))
    os.environ[KNOWN] = json.dumps(list(pythons.values()))
    return pythons
