# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests as files that a person carries to a CA that is not here, and the certificates that come back.

In the folder are ``<name>.csr`` by this file, ``<name>.crt`` by that person, and ``ca.crl``, the CA's list, if that
person brings it. Nothing is taken while one certificate lacks, and nothing is removed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.signed_elsewhere import (
    SerialNumbers,
    accepted,
    told_wishes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import REVOCATION_LIST_LABEL, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import request_der, written_request
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import signing_request
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.revocation_list import (
    is_of_authority,
    read_revocation_list,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
        Authority,
        Decision,
        Issued,
        IssuePlan,
    )

REVOCATION_LIST = "ca.crl"
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Unsigned:
    """A request that has no certificate yet, and why what was brought is none."""

    name: str
    request_path: str
    certificate_path: str
    why: str


@dataclass(frozen=True)
class FilesPlan:
    """What there is in the folder: all certificates that are due, or requests that wait for theirs."""

    directory: str
    issued: t.Mapping[str, Issued]
    unsigned: tuple[Unsigned, ...]
    changes: tuple[files.Change, ...]
    new_parents: tuple[str, ...] = ()

    @property
    def is_signed(self) -> bool:
        return not self.unsigned


def plan_files(plan: IssuePlan, requests: t.Mapping[str, str | None], directory: str, now: datetime) -> FilesPlan:
    """Read what was brought; nothing is written. A RingfenceError where a request may not leave this host.

    ``requests``: as PEM by member, None where a node has still to make its key.
    """
    numbers = SerialNumbers(plan, t.cast("Authority", plan.authority), _revoked(plan, directory) if plan.due else ())
    issued: dict[str, Issued] = {}
    unsigned: list[Unsigned] = []
    changes: list[files.Change] = []
    for decision in plan.due:
        request_path, certificate_path = (os.path.join(directory, f"{decision.name}.{end}") for end in ("csr", "crt"))
        change = _request_change(decision, requests.get(decision.name), request_path)
        changes += [] if change is None else [change]
        why = ""
        try:
            text = read_file(certificate_path)
            if text is None or decision.name not in plan.request.requested_keys:
                why = f"there is no {certificate_path}"
            else:
                issued[decision.name] = accepted(plan, decision, text, certificate_path, numbers, now)
        except CryptoError as exc:
            why = str(exc)
        if why:
            unsigned.append(Unsigned(decision.name, request_path, certificate_path, why))
    folder: files.Change | None = None
    parents: tuple[str, ...] = ()
    if changes and not os.path.isdir(directory):
        folder = files.plan_directory(files.WantedDirectory(directory, 0o700))
        parents = tuple(files.missing_parents(os.path.realpath(directory)))
    return FilesPlan(directory, issued, tuple(unsigned), (*([folder] if folder else []), *changes), parents)


def told_unsigned(plan: IssuePlan, found: FilesPlan) -> str:
    """One line for who carries the requests: what is to be signed, what came back wrong, and what is wanted."""
    names = ", ".join(one.name for one in found.unsigned)
    wrong = [one.why for one in found.unsigned if one.why != f"there is no {one.certificate_path}"]
    first = found.unsigned[0]
    refused = f" Not taken: {'; '.join(wrong)}." if wrong else ""
    return (
        f"certificates wait for their CA ({names}), and nothing else was changed.{refused} Have each request signed "
        f"(like {first.request_path}), {told_wishes(plan)}; put the certificate beside it (like "
        f"{first.certificate_path}), and run the same again"
    )


def _request_change(decision: Decision, pem: str | None, path: str) -> files.Change | None:
    """The request as a file, where the one that is there is another's. Nobody's word but the inventory's is in it."""
    content = b""
    if pem is not None:
        what = f"{decision.member.profile.whose}: its request"
        signing_request.check_asks_for(pem, decision.member.profile, what)
        content = written_request(request_der(pem, what)).encode("ascii")
        present = read_file(path)
        if present is not None and signing_request.is_same_request(present, pem, path):
            content = present
    return files.plan_file(files.WantedFile(path, 0o644, content))


def _revoked(plan: IssuePlan, directory: str) -> frozenset[str]:
    """The serial numbers on the list that the CA's people brought, if they did."""
    path = os.path.join(directory, REVOCATION_LIST)
    content = read_file(path, limit_bytes=_MOST_BYTES)
    if content is None:
        return frozenset()
    blocks = [] if content[:1] == b"\x30" else list(split_pem(content, path))
    ders = [one.der for one in blocks if one.label == REVOCATION_LIST_LABEL] or [content]
    found = read_revocation_list(ders[0], path)
    authority = t.cast("Authority", plan.authority)
    if len(ders) > 1 or not is_of_authority(found, authority.certificate):
        raise CryptoError(
            f"{path} is not the one revocation list of the CA {authority.facts.label}: put its own there, or none"
        )
    return found.serial_numbers


__all__ = ("FilesPlan", "Unsigned", "plan_files", "told_unsigned")
