# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member that was once part of a formed cluster is never started without its data: the unit itself sees to that.

An etcd without a log starts as a new member under its old ID. With one more that missed the latest writes it is a
quorum, and what was acknowledged is lost. So a small file of root's, the marker, is beside the member's credentials
from when its data is that of a formed cluster, and two asserts of the unit let systemd start it where there is no
marker yet, or a log. The unit's text is the same before and after.

systemd 257 judges asserts at a start, and not where it restarts by itself what has died (247 does). For that there is
an ExecCondition=, which can't look for a pattern: a log's folder will do, as what is lost is the whole folder.
Where it does not hold, systemd leaves the unit off, and tries no more.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity, was_formed
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import Change, WantedFile, plan_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    glob_value,
    parse_unit,
    plain_value,
    quote_argument,
)

_SUFFIX = ".formed"
_MODE = 0o644
_LIMIT_BYTES = 4096
_HEX = re.compile(r"[0-9a-f]{1,16}")


@dataclass(frozen=True)
class MemberPlace:
    """Where a member's marker, data and log are. ``wal_dir``: None for the log's usual folder."""

    directory: str
    name: str
    data_dir: str
    wal_dir: str | None = None

    @property
    def marker(self) -> str:
        return marker_path(self.directory, self.name)

    @property
    def log(self) -> str:
        return self.wal_dir or os.path.join(self.data_dir, "member", "wal")


def marker_path(directory: str, name: str) -> str:
    """The marker of a member whose credentials are in this folder."""
    return os.path.join(directory, f"{name}{_SUFFIX}")


# Pure -----------------------------------------------------------------------------------------------------------------


def wanted_asserts(place: MemberPlace) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two settings of [Unit] of which one has to hold: no marker yet, or a log, as etcd itself looks for one."""
    return (
        ("AssertPathExists", f"|!{plain_value(place.marker)}"),
        ("AssertPathExistsGlob", f"|{glob_value(place.log)}/*.wal"),
    )


def wanted_condition(place: MemberPlace) -> tuple[str, str]:
    """The setting of [Service] that holds at every start, also where systemd restarts what has died."""
    return (
        "ExecCondition",
        f"/usr/bin/test ! -e {quote_argument(place.marker)} -o -d {quote_argument(place.log)}",
    )


def check_asserts(text: str, unit: str, place: MemberPlace) -> None:
    """InputError unless the text has the asserts and the condition, and nothing that takes them back."""
    sections = parse_unit(text)
    wanted = (*wanted_asserts(place), wanted_condition(place))
    found = [(key, value) for key, value in sections.get("Unit", []) if key.startswith("Assert")]
    found += [(key, value) for key, value in sections.get("Service", []) if key == "ExecCondition"]
    for key, value in wanted:
        if (key, value) not in found:
            raise InputError(
                f"the text of {unit} has no {key}={value}: without it an empty member would be started, and vote",
                unit=unit,
            )
    for key, value in found:
        # An empty value takes all earlier ones back; of asserts with a bar one that holds is enough.
        if not value or (value.startswith("|") and (key, value) not in wanted):
            raise InputError(
                f"the text of {unit} has {key}={value}, which would let a member start without its data: write it "
                "without the bar, or as a Condition, in etcd_peer_tls_extra_unit_settings",
                unit=unit,
            )


def marker_text(name: str, member_id: str, cluster_id: str) -> str:
    """The text of a marker, for whoever finds it in the way, and for the next run."""
    return (
        f"# Made by ringfence.etcd: this member has had data, and is not started without it.\n"
        f"# Where its data is gone, mount or restore its folder, or remove the member and let it join anew. Only then\n"
        f"# remove this file: an empty member that starts in place of one with data loses what was written.\n"
        f"name={name}\n"
        f"member_id={member_id}\n"
        f"cluster_id={cluster_id}\n"
    )


def _fields(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.partition("=")[::2] for line in lines if "=" in line)


# Read, and plan -------------------------------------------------------------------------------------------------------


def marker_facts(directory: str, name: str) -> dict[str, t.Any]:
    """What the marker says of a member. Anything at its path counts as one, since systemd counts it too."""
    path = marker_path(directory, name)
    facts: dict[str, t.Any] = {
        "path": path,
        "exists": os.path.lexists(path),
        "member_id": None,
        "cluster_id": None,
        "problem": None,
    }
    try:
        fields = _fields((read_file(path, limit_bytes=_LIMIT_BYTES) or b"").decode("utf-8", "replace"))
    except RingfenceError as exc:
        return {**facts, "problem": str(exc)}
    for key in ("member_id", "cluster_id"):
        facts[key] = fields.get(key) if _HEX.fullmatch(fields.get(key, "")) else None
    return facts


def plan_marker(place: MemberPlace, will_form: bool = False) -> Change | None:
    """The change that makes the marker fit the data that is there; None where it does, or no cluster was formed yet.

    ``will_form``: in check mode, where the run itself would form the cluster.
    """
    # Reading the data reports what can't be read. A marker is never made of a guess.
    try:
        identity = read_identity(place.data_dir, place.wal_dir) if was_formed(place.data_dir, place.wal_dir) else None
    except RingfenceError:
        identity = None
    root = 0 if os.geteuid() == 0 else None
    if identity is not None:
        content = marker_text(place.name, *identity).encode("utf-8")
    elif will_form and not os.path.lexists(place.marker):
        content = b""
    else:
        return None
    return plan_file(WantedFile(place.marker, _MODE, content, uid=root, gid=root))


def marker_diff(change: Change | None) -> t.Iterator[dict[str, str]]:
    """The marker before and after."""
    if change is None or not isinstance(change.wanted, WantedFile):
        return
    before = (read_file(change.path) or b"").decode("utf-8", "replace")
    after = (change.wanted.content or b"").decode("utf-8", "replace")
    attributes = set(change.reasons) - {"missing", "content"}
    if attributes:
        before = "".join(f"# {key}: {change.before[key]}\n" for key in sorted(attributes)) + before
        after = "".join(f"# {key}: {change.after[key]}\n" for key in sorted(attributes)) + after
    yield {"before_header": change.path, "after_header": change.path, "before": before, "after": after}


__all__ = (
    "MemberPlace",
    "check_asserts",
    "marker_diff",
    "marker_facts",
    "marker_path",
    "marker_text",
    "plan_marker",
    "wanted_asserts",
    "wanted_condition",
)
