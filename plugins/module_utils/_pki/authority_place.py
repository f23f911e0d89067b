# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the CA lives: on a host that the user named, and not where it would be gone with the job. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_LOCAL_CONNECTION = "local"

# Who starts jobs on a controller that is thrown away, and what they leave for a job to see: variables of Ansible's, and
# of the environment (None: with any value).
_VARIABLES = {"awx_job_id": "AWX", "tower_job_id": "AWX"}
_ENVIRONMENT: dict[str, tuple[str | None, str]] = {
    "AWX_PRIVATE_DATA_DIR": (None, "AWX"),
    "CI_DISPOSABLE_ENVIRONMENT": ("true", "GitLab CI"),
    "RUNNER_ENVIRONMENT": ("github-hosted", "GitHub Actions"),
}
# What tells of a container. ansible-runner sets its variable outside of one too, with another path.
_CONTAINERS: dict[str, str] = {
    "container": r"podman|oci|docker",
    "KUBERNETES_SERVICE_HOST": r".+",
    "AWX_ISOLATED_DATA_DIR": r"/runner/.*",
}
# In a container these hold what goes with it: memory, its own layers, and the folder of ansible-runner's one job.
_LOST_FILESYSTEMS = ("overlay", "tmpfs", "ramfs")
_LOST_MOUNTS = ("/", "/runner")
# How a space and the like are written in a mount point.
_OCTAL = re.compile(r"\\([0-7]{3})")

_WAYS_OUT = (
    "name a host that stays in etcd_peer_tls_ca_host, or give etcd_peer_tls_ca_certificate and "
    "etcd_peer_tls_ca_private_key from a credential"
)


def is_on_controller(ca_host: str, connection: str | None) -> bool:
    """Whether the CA's host is the controller itself, whatever its name; ``connection`` None: none was set for it."""
    if connection:
        return str(connection).rsplit(".", 1)[-1] == _LOCAL_CONNECTION
    return ca_host in _LOCAL_NAMES


def where_it_is_lost(
    folder: str, mounts: str, variables: t.Collection[str], environment: t.Mapping[str, str]
) -> str | None:
    """What a folder on this controller goes with, and how that is known; None where it is not known to go.

    ``folder``: absolute. ``mounts``: of this process, as ``/proc/self/mountinfo`` lists them; empty where that is not
    known. ``variables``: names of those that a user set, and of none that a host gave.
    """
    for name, who in _VARIABLES.items():
        if name in variables:
            return f"on a controller that {who} throws away after the job (variable {name})"
    for name, (value, who) in _ENVIRONMENT.items():
        found = environment.get(name)
        if found and value in (None, found):
            return f"on a controller that {who} throws away after the job (environment variable {name})"
    for name, pattern in _CONTAINERS.items():
        if re.fullmatch(pattern, environment.get(name, "")) and _is_the_containers_own(folder, mounts):
            return f"in a container, in a folder that goes with it (environment variable {name})"
    return None


def _is_the_containers_own(folder: str, mounts: str) -> bool:
    """Whether a folder lies on nothing that was mounted from outside; it does where that is not known."""
    point, filesystem = "", ""
    for line in mounts.splitlines():
        before, _separator, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        there = _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4])
        # The last one at a place covers those before it.
        if len(there) >= len(point) and (there == "/" or f"{folder}/".startswith(f"{there}/")):
            point, filesystem = there, after.split()[0]
    return point in ("", *_LOST_MOUNTS) or filesystem in _LOST_FILESYSTEMS


def why_not_made_there(folder: str, place: str) -> str:
    """Why no CA is made where it would be lost, and the ways out; ``place``: as ``where_it_is_lost`` gives it."""
    return (
        f"the CA would be made {place}, {folder}, and its key would be lost, so that nothing could be renewed: "
        f"{_WAYS_OUT} (etcd_peer_tls_ca_on_ephemeral_controller: true where etcd_peer_tls_ca_directory outlives it)"
    )


def told_of_one_there(folder: str, place: str) -> str:
    """What is to be known of a CA that is used where it would be lost."""
    return (
        f"the CA is {place}, {folder}: what a run writes there, its index of what was issued and its revocation list, "
        f"is lost, and so is the CA itself where there is no copy of it: {_WAYS_OUT}"
    )


def checked_other_host(host: str, hosts: t.Collection[str], variable: str) -> str:
    """The CA's host, or the one for reports, where it is the controller or a host of the inventory; InputError else.

    Ansible would connect to any other name as it stands, and the CA's key would go there.
    """
    if host in _LOCAL_NAMES or host in hosts:
        return host
    raise InputError(f"{variable}: {host!r} is no host of the inventory: name one, or localhost for the controller")


__all__ = (
    "checked_other_host",
    "is_on_controller",
    "told_of_one_there",
    "where_it_is_lost",
    "why_not_made_there",
)
