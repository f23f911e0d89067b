# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host is as it should be: the plans of the modules that would change it, made and not carried out.

They are the very plans that ``etcd_peer_credentials`` and ``etcd_peer_service`` apply, so that a run that leaves a host
alone and one that changes it agree on what is right.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credentials import (
    plan_credentials,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.unit_plan import (
    check_new_program,
    plan_present,
    plan_written,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import drop_in_paths, overrides

CREDENTIALS, SERVICE = "credentials", "service"

_DIRECTORY_MODE = 0o755


class PendingHostChange(t.TypedDict):
    """One thing that is not as it should be: in which part, a code for machines, a line for people."""

    part: str
    code: str
    text: str


@dataclass(frozen=True)
class WantedHost:
    """The host as it should be. ``managed``: systemd starts the unit.

    ``trust_bundle`` and ``certificate``: the PEM that is there, written as this collection writes it; None where there
    is none.
    """

    directory: str
    unit: WantedUnit
    managed: bool
    trust_bundle: str | None = None
    certificate: str | None = None
    # The CA's, in PEM; None where it is not known, or there is none.
    revocation_list: str | None = None


def host_pending_changes(wanted: WantedHost) -> list[PendingHostChange]:
    """What a run would change here, or what it would fail with; nothing is changed. Empty where all is as it should."""
    return [*_pending_credentials(wanted), *_pending_service(wanted)]


def _pending_credentials(wanted: WantedHost) -> t.Iterator[PendingHostChange]:
    unit = wanted.unit
    request = WantedCredentials(
        directory=wanted.directory,
        name=unit.member_name or "",
        owner=unit.owner,
        group=unit.group,
        directory_mode=_DIRECTORY_MODE,
        ca_certificate_content=wanted.trust_bundle,
        certificate_content=wanted.certificate,
        revocation_list_content=wanted.revocation_list,
        check_mode=True,
    )
    try:
        plan = plan_credentials(request)
    except RingfenceError as exc:
        yield _pending(CREDENTIALS, exc.problem, str(exc))
        return
    for kind, codes in plan.reasons.items():
        for code in codes:
            yield _pending(CREDENTIALS, code, f"{plan.paths[kind]}: {code}")


def _pending_service(wanted: WantedHost) -> t.Iterator[PendingHostChange]:
    try:
        # What systemd and etcd have against a new text is reported apart: it keeps the whole run from going on.
        plan = (
            plan_present(wanted.unit, False, check_mode=True, check_new_text=False)
            if wanted.managed
            else plan_written(wanted.unit, check_mode=True, check_new_text=False)
        )
    except RingfenceError as exc:
        yield _pending(SERVICE, exc.problem, str(exc))
        return
    for action in plan.actions:
        yield _pending(SERVICE, action, f"{wanted.unit.name}: {action.replace('_', ' ')}")
    for reason in plan.restart_pending:
        yield _pending(SERVICE, reason["code"], reason["text"])


def unit_overrides(wanted: WantedHost) -> list[str]:
    """What drop-ins, environment files or systemd itself would make of the new unit: another member, or no start."""
    if not wanted.managed:
        return []
    try:
        paths = drop_in_paths(wanted.unit.name, manager.show(wanted.unit.name))
        return overrides(wanted.unit.text, wanted.unit.name, paths, manager.inherited_environment())
    except RingfenceError as exc:
        return [str(exc)]


def unit_problem(wanted: WantedHost, pid: int | None) -> str | None:
    """What systemd or this host's etcd has against the unit as it should be; None where nothing.

    They are asked where the text is new or its program is another than the one that runs. Else a run could fail at the
    first host's restart, or after some hosts have their units already.
    """
    try:
        check_new_program(wanted.unit, wanted.managed, pid)
    except RingfenceError as exc:
        return str(exc)
    return None


def _pending(part: str, code: str, text: str) -> PendingHostChange:
    return {"part": part, "code": code, "text": text}


__all__ = (
    "CREDENTIALS",
    "SERVICE",
    "PendingHostChange",
    "WantedHost",
    "host_pending_changes",
    "unit_overrides",
    "unit_problem",
)
