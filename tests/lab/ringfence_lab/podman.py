# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""podman with settings, images and locks of its own in the cache: those of this machine's user are left alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import typing as t

from . import image, system
from .errors import LabError

# What runs a container: command → Debian package.
TOOLS = {"conmon": "conmon", "podman": "podman", "runc": "runc"}

# runc: crun starts nothing where both hierarchies of control groups are mounted. cgroupfs, and events in a file: there
# may be no systemd. The limits: podman would raise them, which not every root may.
_CONTAINERS = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]

[network]
network_config_dir = "{kept}/networks"

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
static_dir = "{kept}/state"
volume_path = "{kept}/volumes"
tmp_dir = "{running}/state"
"""
# skip_mount_home: or the folder stays mounted onto itself.
_STORAGE = """[storage]
driver = "overlay"
graphroot = "{kept}/storage"
runroot = "{running}/storage"

[storage.options.overlay]
skip_mount_home = "true"
"""


def missing_packages() -> dict[str, str]:
    """Tools that are not here, each with the package that has it."""
    return {tool: package for tool, package in TOOLS.items() if not shutil.which(tool)}


def check() -> None:
    """Whether podman can run here; if not, one line with what is missing and the way out."""
    if os.geteuid() != 0:
        raise LabError("containers in the lab's network need root: run it by sudo")
    missing = missing_packages()
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise LabError(
            f"missing, to run containers: {', '.join(sorted(missing))}. The way out: apt-get install {packages}"
        )


def folder() -> str:
    """Where images are, and what podman knows of them."""
    return os.path.join(image.cache_folder(), "podman")


def running_folder() -> str:
    """Where podman has what is gone after a boot: another one for each cache."""
    return f"/run/ringfence-podman-{hashlib.sha256(folder().encode()).hexdigest()[:8]}"


def state_folders() -> list[str]:
    """All that podman writes of containers, and no image."""
    storage = os.path.join(folder(), "storage", "overlay-containers")
    return [os.path.join(folder(), "state"), os.path.join(folder(), "volumes"), storage, running_folder()]


def environment() -> dict[str, str]:
    """The variables by which podman, and who starts it, has these settings."""
    os.makedirs(folder(), mode=0o700, exist_ok=True)
    variables = {}
    for name, file, text in (
        ("CONTAINERS_CONF", "containers.conf", _CONTAINERS),
        ("CONTAINERS_STORAGE_CONF", "storage.conf", _STORAGE),
    ):
        path = variables[name] = os.path.join(folder(), file)
        wanted = text.format(kept=folder(), running=running_folder())
        if system.read_text(path) != wanted:
            system.write_text(path, wanted)
    return variables


def run(*words: str, check: bool = True, timeout_seconds: float = 120) -> str:
    """What a command of podman prints."""
    done = system.run(
        ["podman", *words], check=check, timeout_seconds=timeout_seconds, environment={**os.environ, **environment()}
    )
    return done.stdout


def has_image(name: str) -> bool:
    return name in image_names()


def image_names() -> list[str]:
    """The images with a name, the newest first."""
    shown = run("images", "--sort=created", "--format={{.Repository}}:{{.Tag}}")
    return [name for name in shown.split() if "<none>" not in name]


def container_names() -> list[str]:
    """Of the containers that there are, running or not."""
    return run("ps", "--all", "--format={{.Names}}").split()


def prune(kept: t.Callable[[list[str]], t.Collection[str]]) -> list[str]:
    """Remove images, with what no other one needs. ``kept``: which of these names stay. Returns the others."""
    if missing_packages() or not os.path.isdir(folder()):
        return []
    names = image_names()
    removed = [name for name in names if name not in kept(names)]
    for name in removed:
        run("rmi", name, timeout_seconds=600)
    # The stages of their builds have no names.
    run("image", "prune", "--force", timeout_seconds=600)
    return removed
