# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the CA lives: on a host that the user named, and not where it would be gone with the job. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_LOCAL_CONNECTION = "local"

# Who starts jobs on a controller that is thrown away, and what they leave for a job to see: variables of Ansible's, and
# of the environment (None: with any value).
_VARIABLES = {"awx_job_id": "AWX", "tower_job_id": "AWX"}
_ENVIRONMENT: dict[str, tuple[str | None, str]] = {
    "AWX_PRIVATE_DATA_DIR": (None, "AWX"),
    "AWX_ISOLATED_DATA_DIR": (None, "AWX"),
    "CI_DISPOSABLE_ENVIRONMENT": ("true", "GitLab CI"),
    "RUNNER_ENVIRONMENT": ("github-hosted", "GitHub Actions"),
}


def is_on_controller(ca_host: str, connection: str | None) -> bool:
    """Whether the CA's host is the controller itself, whatever its name; ``connection`` None: none was set for it."""
    if connection:
        return str(connection).rsplit(".", 1)[-1] == _LOCAL_CONNECTION
    return ca_host in _LOCAL_NAMES


def thrown_away_by(variables: t.Collection[str], environment: t.Mapping[str, str]) -> str | None:
    """Who throws this controller away after the job, and how that is known; None where nobody is known to."""
    for name, who in _VARIABLES.items():
        if name in variables:
            return f"{who} (variable {name})"
    for name, (value, who) in _ENVIRONMENT.items():
        found = environment.get(name)
        if found and value in (None, found):
            return f"{who} (environment variable {name})"
    return None


def why_lost_with_controller(variables: t.Collection[str], environment: t.Mapping[str, str]) -> str | None:
    """Why a CA that is made on this controller would be lost, and the ways out; None where it would stay."""
    who = thrown_away_by(variables, environment)
    if who is None:
        return None
    return (
        f"the CA would be made on a controller that {who} throws away after the job, and its key with it, so that "
        "nothing could be renewed: name a host that stays in etcd_peer_tls_ca_host, or give "
        "etcd_peer_tls_ca_certificate and etcd_peer_tls_ca_private_key from a credential "
        "(etcd_peer_tls_ca_on_ephemeral_controller: true where etcd_peer_tls_ca_directory outlives the job)"
    )


def checked_ca_host(ca_host: str, hosts: t.Collection[str]) -> str:
    """The CA's host where it is the controller or a host of the inventory; InputError else.

    Ansible would connect to any other name as it stands, and the CA's key would go there.
    """
    if ca_host in _LOCAL_NAMES or ca_host in hosts:
        return ca_host
    raise InputError(
        f"etcd_peer_tls_ca_host: {ca_host!r} is no host of the inventory: name one, or localhost for the controller"
    )


__all__ = ("checked_ca_host", "is_on_controller", "thrown_away_by", "why_lost_with_controller")
