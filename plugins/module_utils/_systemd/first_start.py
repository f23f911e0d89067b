# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a unit says for etcd's first start alone: the members it begins with, and whether their cluster exists already.

etcd reads both while its data folder is empty, and never again (server/embed/etcd.go, isMemberInitialized, v3.4.23 to
v3.7.3). So a member that has data keeps the two as they were: another member more or less restarts nobody for them.
One that joins gets the list that the cluster itself tells when it is added: etcd compares the two
(etcdserver/bootstrap.go).

Pure. Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    exec_command,
    quote_argument,
    with_configuration_hash,
)

EXISTING = "existing"
_MEMBERS, _STATE = "initial-cluster", "initial-cluster-state"


def with_first_start_of(text: str, deployed: str | None) -> str:
    """A unit's text with what another one of ours says of the first start; as it is where there is none of ours."""
    if deployed is None or configuration_hash_of(deployed) is None:
        return text
    told = _told(deployed)
    if set(told) != {_MEMBERS, _STATE} or set(_told(text)) != set(told):
        return text
    return _with(text, told)


def joins(deployed: str | None) -> bool:
    """Whether a unit of ours says that its first start is that of one more member of a cluster that exists."""
    is_ours = deployed is not None and configuration_hash_of(deployed) is not None
    return is_ours and _told(t.cast(str, deployed)).get(_STATE) == EXISTING


def joining(text: str, members: t.Mapping[str, str]) -> str:
    """A unit's text for a member that joins these: by name, each one's peer URL, its own among them."""
    listed = ",".join(f"{name}={url}" for name, url in sorted(members.items()))
    return _with(text, {_MEMBERS: listed, _STATE: EXISTING})


def _told(text: str) -> dict[str, str]:
    found = {}
    for word in exec_command(text)[1:]:
        for flag in (_MEMBERS, _STATE):
            if word.startswith(f"--{flag}="):
                found[flag] = word.partition("=")[2]
    return found


def _with(text: str, told: t.Mapping[str, str]) -> str:
    for flag, value in told.items():
        # A word of the command, in quotes as a whole or in none.
        words = list(re.finditer(rf'(?<=\s)(?:"--{flag}=(?:[^"\\]|\\.)*"|--{flag}=\S*)(?=\s|$)', text))
        if len(words) != 1:
            raise InputError(f"the unit's text has no word of its own for --{flag}=: render it as the role does")
        argument = quote_argument(f"--{flag}={value}")
        text = f"{text[: words[0].start()]}{argument}{text[words[0].end() :]}"
    return with_configuration_hash(text)


__all__ = ("EXISTING", "joining", "joins", "with_first_start_of")
