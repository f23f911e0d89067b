# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a running member can be started anew with the files for clients that the user has put there.

A member whose own pair is not of its own client CA is healthy to its peers, and can't be asked by anybody here.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import (
    check_readable,
    identity_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, check_credentials

_FILES = ("trusted_ca_file", "cert_file", "key_file")


def client_files_problem(
    planned: Deployed, running: Deployed | None, newer: t.Collection[str], owner: str
) -> str | None:
    """Why the process would not be started with these files for its clients; None where nothing speaks against it.

    They are looked at where they are the user's own, and others than the process has read: ``newer`` has what was
    written since. ``owner``: etcd's user.
    """
    files = planned["files"]
    paths = [files[name] for name in _FILES]
    if running is None or files["trusted_ca_file"] in (None, files["peer_trusted_ca_file"]):
        return None
    if paths == [running["files"][name] for name in _FILES] and files["trusted_ca_file"] not in newer:
        return None
    identity = identity_of(owner)
    try:
        found = []
        for path in map(str, paths):
            content = read_file(path)
            if content is None:
                raise InputError(f"there is no {path}: put it there first")
            if identity is not None:
                check_readable([path], identity)
            found.append(Material(path, content))
        bundle, certificate, private_key = found
        check_credentials(bundle, certificate, private_key)
    except RingfenceError as exc:
        return f"the files for clients: {exc}"
    return None


__all__ = ("client_files_problem",)
