# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run sees only a part of the inventory: a slice of a job, a disabled host. What that is called, and the cure.

A host that is missing looks just like one that was taken out on purpose. So the cure is told before any word that would
take a living member out of its cluster. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse

# AWX sets the same variables under both prefixes. A slice is a job of a workflow with its template's name.
_OF_SLICES = tuple((f"{name}_job_template_name", f"{name}_workflow_job_name") for name in ("awx", "tower"))
JOB_VARIABLES: t.Final = tuple(name for pair in _OF_SLICES for name in pair)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MOST_NAME_CHARACTERS = 100
_MOST_ENTRIES = 3


def told_slice(variables: t.Mapping[str, t.Any]) -> str:
    """That this job is a slice, as a part of a line; empty where that is not known.

    AWX sets no variable for it, but starts slices as jobs of a workflow that it names after their job template.
    ``variables``: those that a user or AWX set, and none that a host gave.
    """
    for name, workflow in _OF_SLICES:
        template = variables.get(name)
        if isinstance(template, str) and template and template == variables.get(workflow):
            return f"this job is a slice of job template {template[:_MOST_NAME_CHARACTERS]!r}"
    return ""


def cure(part_of: str, missing: t.Iterable[tuple[str, str]] = ()) -> str:
    """What to do where members are missing in the inventory that a run sees.

    ``part_of``: as ``told_slice`` gives it. ``missing``: names and peer URLs of members, as far as they are known.
    """
    entries = [_entry(name, url) for name, url in missing if name]
    more = ", ..." if len(entries) > _MOST_ENTRIES else ""
    each = f" (as members tell, {', '.join(entries[:_MOST_ENTRIES])}{more})" if entries else ""
    listed = f"list all members in etcd_peer_tls_members{each}"
    if part_of:
        return f"{part_of}, and sees a part of the hosts: run it without slices, or {listed}"
    return (
        "a disabled host, a slice of a job and an inventory source that lost a host look like this: enable the host, "
        f"run without slices, put it back into the inventory, or {listed}"
    )


def _entry(name: str, url: str) -> str:
    """An entry of the list: the address is not known without the host's own variables."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    given = {"name": name, "address": host} if host else {"name": name}
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in given.items()) + "}"


def _scalar(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def unseen(names: t.Collection[str], not_in_inventory: t.Container[str]) -> str:
    """Members that a run can't see, and why, as the subject of a sentence."""
    lacking = [name for name in names if name in not_in_inventory]
    why = "--limit, serial, unreachable or failed"
    if lacking:
        each = "" if len(lacking) == len(names) else f"{', '.join(lacking)} "
        also = "" if len(lacking) == len(names) else f"{why}; "
        why = f"{also}{each}not in its inventory: a disabled host, or a slice of a job"
    return f"{', '.join(names)} can't be seen in this run ({why})"


__all__ = ("JOB_VARIABLES", "cure", "told_slice", "unseen")
