# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine on which labs run: what it has to have, and what all its labs share."""

from __future__ import annotations

import contextlib
import os
import shutil

from . import cgroups, image, network, system
from .errors import LabError

# Counted on a host with etcd and one SSH session.
INOTIFY_PER_HOST = 9
INOTIFY_LIMIT = "/proc/sys/fs/inotify/max_user_instances"

# What the lab needs on this machine: command → Debian package.
TOOLS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "scp": "openssh-client",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}


def missing_packages() -> dict[str, str]:
    """Tools that are not here, each with the package that has it."""
    missing = {tool: package for tool, package in TOOLS.items() if not shutil.which(tool)}
    if not os.path.exists(image.KEYRING):
        missing[image.KEYRING] = "debian-archive-keyring"
    return missing


def check_namespaces() -> None:
    """Whether this user is given what hosts are made of; if not, one line with the way out."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root (it makes namespaces and mounts): run it by sudo")
    tried = system.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False)
    if tried.returncode != 0:
        raise LabError(
            f"this machine gives root no namespaces ({tried.stderr.strip()}); in a container, start that with "
            "all capabilities (--privileged)"
        )


def check_machine() -> None:
    """Whether a lab can run here; if not, one line with what is missing and the way out."""
    check_namespaces()
    missing = missing_packages()
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise LabError(f"missing: {', '.join(sorted(missing))}. The way out: apt-get install {packages}")
    if not cgroups.hierarchies(system.read_text("/proc/self/mountinfo") or ""):
        raise LabError("no cgroup hierarchy is mounted here: mount -t cgroup2 none /sys/fs/cgroup")


def state_folder() -> str:
    return os.environ.get("RINGFENCE_LAB_STATE") or "/var/lib/ringfence-lab"


def lock_path(name: str) -> str:
    """A lab's lock. It lies in the cache, which stays: it must not be removed while others may wait for it."""
    folder = os.path.join(image.cache_folder(), "locks")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{name}.lock")


# Held for moments, while a lab makes or takes away what all labs share. No lab's name starts with a hyphen.
SHARED = "-shared"
# Says that the folder of namespaces was not mounted before the first lab.
NETNS_MARKER = ".netns-mounted"
# Has the kernel's limit as it was before a lab needed more.
_INOTIFY_MARKER = ".inotify-limit"


def need_inotify(hosts: int) -> None:
    """A host whose systemd gets no inotify instance boots all the same, with mounts and path units failed at random.

    The kernel counts them by user, over all machines that it runs. ``leave_machine`` puts its limit back.
    """
    wanted = min(hosts * INOTIFY_PER_HOST, 500)
    free = system.free_inotify_instances(wanted)
    if free == wanted:
        return
    with system.locked(lock_path(SHARED)):
        os.makedirs(state_folder(), mode=0o700, exist_ok=True)
        present = (system.read_text(INOTIFY_LIMIT) or "").strip()
        marker = os.path.join(state_folder(), _INOTIFY_MARKER)
        try:
            with open(INOTIFY_LIMIT, "w", encoding="ascii") as stream:
                stream.write("2048")
        except OSError:
            system.say(
                f"{hosts} hosts want {wanted} inotify instances, {free} are free: units may fail on them. The way "
                "out, on the machine outside of this one: sysctl -w fs.inotify.max_user_instances=2048"
            )
            return
        if not os.path.exists(marker):
            system.write_text(marker, present)


def leave_machine() -> None:
    """After the last lab: put back what all labs shared."""
    with system.locked(lock_path(SHARED)):
        if lab_names():
            return
        marker = os.path.join(state_folder(), NETNS_MARKER)
        if os.path.exists(marker):
            network.unmount_folder()
            os.unlink(marker)
        marker = os.path.join(state_folder(), _INOTIFY_MARKER)
        limit = system.read_text(marker)
        if limit:
            with open(INOTIFY_LIMIT, "w", encoding="ascii") as stream:
                stream.write(limit)
            os.unlink(marker)
        with contextlib.suppress(OSError):
            os.rmdir(state_folder())


def lab_names() -> list[str]:
    """All labs of which this machine has anything."""
    folder = state_folder()
    # Others than root can't look in: pruning their own cache needs nothing from there.
    readable = os.access(folder, os.R_OK)
    stored = [name for name in os.listdir(folder) if not name.startswith(".")] if readable else []
    return sorted(set(stored) | network.labs_present())
