# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why the process of a member's unit needs a restart: what it was started with, compared with the next start.

It is read from state, the configuration hash in the process's environment against that of the unit, and not from what
this run changed: a run that was killed in between is finished by the next.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import with_kept_first_start
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import is_exchange_pending
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import (
    FoundUnit,
    find,
    is_other_etcd,
    newer_files,
    newer_list,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    NextStart,
    drop_in_paths,
    next_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of


def restart_reasons(
    found: FoundUnit,
    configuration_hash: str | None,
    program: str | None,
    trust_bundle_changed: bool,
    program_staged: bool = False,
    start: NextStart | None = None,
    keeps_revoked: bool = False,
) -> tuple[Reason, ...]:
    """Why the running process needs a restart; empty where none runs.

    ``keeps_revoked``: somebody may be connected to it with what was revoked since, and is to be cut off.
    """
    if found.process is None:
        return ()
    reasons: list[Reason] = []
    if configuration_hash is not None and found.process["environ_hash"] != configuration_hash:
        reasons.append({"code": "unit_changed", "text": "the unit was changed since the process was started"})
    elif not found.runs_with(start):
        text = "the process was started with other flags or ETCD_* variables than the unit has now (a drop-in?)"
        reasons.append({"code": "flags_differ", "text": text})
    if trust_bundle_changed:
        reasons.append(
            {"code": "trust_bundle_changed", "text": "etcd reads its trust bundle at start only, and it was changed"}
        )
    if keeps_revoked:
        text = "its revocation list is newer than the process: who was revoked since may be connected still"
        reasons.append({"code": "revocation_list_newer", "text": text})
    if program is not None and program_staged:
        reasons.append({"code": "program_staged", "text": f"another {program} is to take the place of the one in use"})
    elif program is not None and manager.program_was_replaced(found.process, program):
        reasons.append(
            {"code": "binary_replaced", "text": f"{program} was replaced since the process was started from it"}
        )
    return tuple(reasons)


def restart_pending_now(
    unit: str,
    unit_directory: str,
    trust_bundle_changed: bool,
    text: str | None = None,
    program_staged: bool = False,
    check_mode: bool = False,
    disconnect_revoked: bool = False,
    revocation_list_changed: bool = False,
) -> list[Reason]:
    """Why the running process needs a restart, read from this host now. ``text``: the unit as it is going to be."""
    found = find(unit, unit_directory)
    text = found.text if text is None else text
    if text is None:
        return []
    deployed = deployed_from_text(text)
    if deployed is not None and is_other_etcd(found, deployed["data_dir"]):
        return []
    if deployed is not None:
        text = with_kept_first_start(text, found.text, deployed["data_dir"])
    stale = trust_bundle_changed or trust_bundle_is_newer(found)
    program = deployed["program"] if deployed else None
    staged = is_exchange_pending(program, program_staged, check_mode)
    keeps = disconnect_revoked and (revocation_list_changed or revocation_list_is_newer(found))
    start = start_of(found, unit, text)
    return list(restart_reasons(found, configuration_hash_of(text), program, stale, staged, start, keeps))


def start_of(found: FoundUnit, unit: str, text: str) -> NextStart | None:
    """What etcd would get at the next start with a text; None where no process runs, or it is not known."""
    if found.process is None:
        return None
    return next_start(text, unit, drop_in_paths(unit, found.properties), manager.inherited_environment())


def trust_bundle_is_newer(found: FoundUnit) -> bool:
    """Whether a trust bundle is newer than the process: a run may have been killed in between."""
    return found.settings is not None and bool(newer_files(found.settings, found.properties))


def revocation_list_is_newer(found: FoundUnit) -> bool:
    """Whether the revocation list is newer than the process: etcd asks it of nobody who is connected already."""
    return found.settings is not None and newer_list(found.settings, found.properties)


__all__ = (
    "restart_pending_now",
    "restart_reasons",
    "revocation_list_is_newer",
    "start_of",
    "trust_bundle_is_newer",
)
