# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``--diff`` tells of a member's or a client's files: public facts, never a byte of a key or of its hash.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import (
    Contents,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    REVOCATION_LIST,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificates,
    read_revoked,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import Change
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    read_file,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import (
    as_result,
)


def difference(
    paths: t.Mapping[str, str], changes: t.Mapping[str, Change], contents: Contents
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """By path what is there and what is going to be."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for key, change in changes.items():
        was, becomes = dict(change.before), dict(change.after)
        new_content = bool({"missing", "content"} & set(change.reasons))
        if key == PRIVATE_KEY and new_content:
            was["content"] = "none" if was["state"] == "absent" else "the present key"
            becomes["content"] = "another key"
        elif key in (CA, CERTIFICATE) and new_content:
            was["certificates"] = _fingerprints(read_file(paths[key]))
            becomes["certificates"] = (
                _fingerprints(contents.materials[key].content) if key in contents.materials else ["issued in this run"]
            )
        elif key == REVOCATION_LIST and new_content:
            was["revoked"] = _serial_numbers(read_file(paths[key]))
            listed = contents.written.get(REVOCATION_LIST)
            becomes["revoked"] = _serial_numbers(listed) if listed is not None else ["made in this run"]
        before[change.path], after[change.path] = was, becomes
    return before, after


def _serial_numbers(content: bytes | None) -> list[str]:
    if content is None:
        return []
    try:
        return sorted(read_revoked(content))
    except RingfenceError:
        return ["unreadable"]


def _fingerprints(content: bytes | None) -> list[str]:
    if content is None:
        return []
    try:
        facts = [
            as_result(certificate, datetime.datetime.now(datetime.timezone.utc))
            for certificate in read_certificates(content)
        ]
    except RingfenceError:
        return ["unreadable"]
    return [f"{fact['common_name']}, until {fact['not_after']}, sha256 {fact['fingerprint']}" for fact in facts]


__all__ = ("difference",)
