# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What etcd's API wants: the client files, and where RBAC is on a user and a client pair without a common name.

Under RBAC the gateway takes no client certificate with a common name, whatever user is named. A user without a role is
enough for all that this collection asks.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible.module_utils.basic import AnsibleModule

# Ansible blanks out a secret wherever it stands in a result; one as short as a name or a number would blank those out.
_BLANKED_LENGTH = 16

# Of a module that finds the client files by itself.
USER_ARGUMENTS: dict[str, t.Any] = {
    "api_user": {"type": "str"},
    "api_password": {"type": "str", "no_log": True},
    "api_cert_file": {"type": "path"},
    "api_key_file": {"type": "path", "no_log": False},
    "api_certificate": {"type": "str"},
    "api_private_key": {"type": "str", "no_log": True},
}
ARGUMENTS: dict[str, t.Any] = {
    "client_ca_file": {"type": "path"},
    "client_cert_file": {"type": "path"},
    # A path, not a key.
    "client_key_file": {"type": "path", "no_log": False},
    **USER_ARGUMENTS,
}
USER_REQUIRED_TOGETHER = [
    ("api_user", "api_password"),
    ("api_cert_file", "api_key_file"),
    ("api_certificate", "api_private_key"),
]
REQUIRED_TOGETHER = [("client_cert_file", "client_key_file"), *USER_REQUIRED_TOGETHER]
REQUIRED_BY = {"client_cert_file": ["client_ca_file"]}


@dataclass(frozen=True)
class ApiAccess:
    """A user with its password, and a pair by its paths or as PEM; whatever of it there is."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    cert_file: str | None = None
    key_file: str | None = None
    certificate: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)

    @property
    def has_pair(self) -> bool:
        return self.cert_file is not None or self.certificate is not None


NO_ACCESS = ApiAccess()


def take_access(module: AnsibleModule) -> ApiAccess:
    """The module's options of this, taken out of what it could show."""
    values = {name: module.params[f"api_{name}"] for name in ApiAccess.__dataclass_fields__}
    for secret in ("api_password", "api_private_key"):
        module.params[secret] = None
    if values["password"] and len(values["password"]) < _BLANKED_LENGTH:
        module.no_log_values.discard(values["password"])
    return ApiAccess(**values)


def check_access_settings(settings: t.Mapping[str, t.Any]) -> None:
    """InputError where the role's settings of this are half given; the password is in no message."""
    user, password = settings["api_user"], settings["api_password"]
    if bool(user) != bool(password):
        given, missing = ("user", "password") if user else ("password", "user")
        raise InputError(
            f"etcd_peer_tls_api_{given} is given and etcd_peer_tls_api_{missing} is not: etcd's RBAC knows a user by "
            "both: give both or none"
        )
    paths = [settings["api_cert_file"], settings["api_key_file"]]
    if bool(paths[0]) != bool(paths[1]):
        raise InputError("etcd_peer_tls_api_cert_file and etcd_peer_tls_api_key_file are one pair: give both or none")


__all__ = (
    "ARGUMENTS",
    "NO_ACCESS",
    "REQUIRED_BY",
    "REQUIRED_TOGETHER",
    "USER_ARGUMENTS",
    "USER_REQUIRED_TOGETHER",
    "ApiAccess",
    "check_access_settings",
    "take_access",
)
