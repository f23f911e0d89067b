# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has of a client's files, for who decides whether a certificate is issued. Reads only.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    credential_paths,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import (
    Material,
    private_key_fits,
    read_public,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text


def present_credentials(directory: str, name: str) -> dict[str, t.Any]:
    """The certificate, whether the private key is its own, and the CAs in the trust bundle.

    What can't be read is as if it were not there: a certificate is issued in its place, and a key that fits none goes.
    """
    paths = credential_paths(checked_path(directory, "directory"), checked_member_name(name, "name:"))
    contents = {kind: read_file(path) for kind, path in paths.items()}
    found: dict[str, t.Any] = dict.fromkeys(("certificate", "private_key_matches", "bundle_pem"))
    found["authorities"] = []
    with contextlib.suppress(CryptoError):
        authorities = read_public(Material(paths[CA], contents[CA] or b""))
        found["authorities"] = [one.fingerprint for one in authorities]
        found["bundle_pem"] = _written(authorities)
    certificate = Material(paths[CERTIFICATE], contents[CERTIFICATE] or b"")
    with contextlib.suppress(CryptoError):
        found["certificate"] = _written(read_public(certificate))
    private_key = contents[PRIVATE_KEY]
    if private_key is not None:
        found["private_key_matches"] = False
        with contextlib.suppress(CryptoError):
            found["private_key_matches"] = private_key_fits(certificate, Material(paths[PRIVATE_KEY], private_key))
    return found


def _written(certificates: t.Iterable[Certificate]) -> str:
    return "".join(pem_text(CERTIFICATE_LABEL, one.der).decode("ascii") for one in certificates)


__all__ = ("present_credentials",)
