# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RBAC of etcd, switched on for as long as a scenario wants it."""

from __future__ import annotations

import contextlib
import typing as t

from support import Controller

# Nothing but digits: it is a text all the way.
API = {"etcd_peer_tls_api_user": "ringfence", "etcd_peer_tls_api_password": "04012026173"}
WRITER = "--user writer:pen"


@contextlib.contextmanager
def role_based_access_control(controller: Controller) -> t.Iterator[None]:
    """RBAC with its root, a writer, and a user without any role, by whom the role asks; etcdctl asks as root."""
    for words in (
        "user add root:secret",
        "user grant-role root root",
        "user add writer:pen",
        "role add writers",
        "role grant-permission writers readwrite scenario/ --prefix",
        "user grant-role writer writers",
        f"user add {API['etcd_peer_tls_api_user']}:{API['etcd_peer_tls_api_password']}",
        "auth enable",
    ):
        controller.etcdctl("etcd-1", words)
    controller.etcdctl_user = "--user root:secret"
    try:
        yield
    finally:
        controller.etcdctl("etcd-1", "auth disable")
        controller.etcdctl_user = ""
        for words in ("role delete writers", *(f"user delete {name}" for name in ("root", "writer", "ringfence"))):
            controller.etcdctl("etcd-1", words)


def let_it_change_members(controller: Controller) -> None:
    """Give the user by whom the role asks the one role that may."""
    controller.etcdctl("etcd-1", f"user grant-role {API['etcd_peer_tls_api_user']} root")
