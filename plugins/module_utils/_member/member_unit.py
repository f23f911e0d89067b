# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit that a member is to have, and the checks of its text before it may be written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    TIMEOUT_SECONDS,
    WAIT_SECONDS,
    check_range,
    checked_path,
    checked_unit_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import (
    MemberPlace,
    check_asserts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.first_start import with_first_start_of
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    parse_unit,
)


@dataclass(frozen=True)
class WantedUnit:
    """The unit as it should be."""

    name: str
    text: str
    data_dir: str
    owner: str
    group: str
    # None: the member that the text names.
    member_name: str | None = None
    unit_directory: str = "/etc/systemd/system"
    # The credentials' folder, with the marker of a member that has had data; None: no marker is read or made.
    directory: str | None = None
    start: bool = True
    # Another program waits beside the unit's one (etcd_program), or would in check mode.
    program_staged: bool = False
    # A process that is older than its revocation list is to end, and with it what is connected by what was revoked.
    disconnect_revoked: bool = False
    # The caller has written the revocation list in this run, or would in check mode.
    revocation_list_changed: bool = False
    # Whether another etcd under the unit's name is stopped although there is something to lose with it.
    overrule_distribution_etcd: bool = False

    @property
    def path(self) -> str:
        return os.path.join(self.unit_directory, self.name)

    @property
    def place(self) -> MemberPlace | None:
        """Where the unit's member has its marker and its log, by the text."""
        return place_of(self.text, self.directory)


def check_arguments(params: t.Mapping[str, t.Any]) -> None:
    """What the argument spec of a module that starts, restarts or adds a member can't say."""
    checked_unit_name(params["unit"], "unit")
    for option in ("unit_directory", "data_dir", "directory"):
        if params[option] is not None:
            checked_path(params[option], option)
    check_range("timeout_seconds", params["timeout_seconds"], *TIMEOUT_SECONDS)
    check_range("wait_seconds", params["wait_seconds"], *WAIT_SECONDS)


def check_unit_text(wanted: WantedUnit) -> None:
    """InputError where the text is not a unit with its hash for this member, whole to its last section."""
    sections = parse_unit(wanted.text)
    if not configuration_hash_is_valid(wanted.text):
        raise InputError(
            f"the text of {wanted.name} carries no configuration hash, or one of another text: render it with its line "
            "Environment=RINGFENCE_CONFIGURATION_HASH= and put the hash in as the last step",
            unit=wanted.name,
        )
    # A section header that was glued to the line before it is the end of that line's value for systemd.
    for section in ("Unit", "Service", "Install"):
        if not sections.get(section):
            raise InputError(
                f"the text of {wanted.name} has no section [{section}] on a line of its own", unit=wanted.name
            )
    settings = dict(sections["Service"])
    commands = [value for key, value in sections["Service"] if key == "ExecStart"]
    deployed = deployed_from_text(wanted.text)
    if len(commands) != 1 or deployed is None:
        raise InputError(
            f"the text of {wanted.name} has {len(commands)} lines ExecStart=, one is needed", unit=wanted.name
        )
    if settings.get("Type") != "notify":
        raise InputError(
            f"the text of {wanted.name} has Type={settings.get('Type', 'simple')}, needed is Type=notify: only then "
            "systemd knows when the member has joined",
            unit=wanted.name,
        )
    for what, found, needed in (
        ("--name", deployed["member_name"], wanted.member_name),
        ("--data-dir", deployed["data_dir"], wanted.data_dir),
    ):
        if needed is not None and found != needed:
            raise InputError(f"the text of {wanted.name} has {what}={found}, needed is {needed}", unit=wanted.name)
    if "config-file" in deployed["flags"]:
        raise InputError(
            f"the text of {wanted.name} has --config-file, with which etcd ignores every other flag", unit=wanted.name
        )
    if wanted.place is not None:
        check_asserts(wanted.text, wanted.name, wanted.place)


def with_kept_first_start(text: str, deployed: str | None, data_dir: str) -> str:
    """A unit's text with what a member that has data began with: another list of members restarts nobody.

    ``deployed``: the text that is in the unit's place, None where none is.
    """
    planned = deployed_from_text(text)
    wal_dir = None if planned is None else planned["flags"].get("wal-dir") or None
    if deployed is None or read_identity(data_dir, wal_dir) is None:
        return text
    return with_first_start_of(text, deployed)


def place_of(text: str | None, directory: str | None) -> MemberPlace | None:
    """Where the member of a unit\'s text has its marker and its log; None where that is not known or not asked."""
    deployed = deployed_from_text(text) if text is not None and directory is not None else None
    if deployed is None or directory is None:
        return None
    return MemberPlace(
        directory, deployed["member_name"], deployed["data_dir"], deployed["flags"].get("wal-dir") or None
    )


__all__ = (
    "WantedUnit",
    "check_arguments",
    "check_unit_text",
    "place_of",
    "with_kept_first_start",
)
