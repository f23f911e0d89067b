# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller alone: no host is asked for anything.

An action and no filter: Ansible imports it once, before it starts a process for each host and task, which inherit what
it has imported.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._certificate_rules import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster_due import Found, Wanted, cluster_due
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._guards import (
    Cluster,
    Question,
    certificate_requests,
    check_cluster,
    cluster_warnings,
    common_fingerprints,
    why_no_new_authority,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._members import Member
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import flag_settings_from, member_from
from ansible_collections.ringfence.etcd.plugins.plugin_utils._looks import registered_looks

_ARGUMENTS: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "looks": {"type": "dict"},
    "looks_variable": {"type": "str"},
    "cluster_name": {"type": "str", "required": True},
    "settings": {"type": "dict", "required": True},
    "identity": {"type": "str", "choices": ["list", "shared"], "default": "list"},
    "play": {"type": "list", "elements": "str", "default": []},
    "leaving": {"type": "list", "elements": "str", "default": []},
    "install": {"type": "str", "choices": ["none", "package", "archive"], "default": "none"},
    "archive": {"type": "str", "default": ""},
    "archive_sha256": {"type": "str", "default": ""},
    "overrule_distribution_etcd": {"type": "bool", "default": False},
    "force_restart": {"type": "bool", "default": False},
    "ca_certificate": {"type": "str"},
    "ca": {"type": "dict"},
    "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "ecdsa-p256"},
    "validity_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int", "default": 30},
    "new_keys": {"type": "bool", "default": False},
}


class ActionModule(OneLineAction):
    """Judge the cluster as a whole, before anything is changed."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        one = [("looks", "looks_variable")]
        given = self._given(_ARGUMENTS, mutually_exclusive=one, required_one_of=one)
        members = [member_from(member) for member in given["members"]]
        if given["looks_variable"] is not None:
            given["looks"] = registered_looks(task_vars, given["members"], given["looks_variable"])
        found = _judged(given, members, datetime.datetime.now(datetime.timezone.utc))
        # Not under "warnings", which Ansible would show a second time.
        notes = found.pop("warnings")
        for note in notes:
            self._display.warning(note)
        return {"changed": False, "notes": notes, "_ansible_verbose_override": True, **found}


def _judged(given: dict[str, t.Any], members: list[Member], now: datetime.datetime) -> dict[str, t.Any]:
    looks = _checked_looks(given["looks"], members)
    question = Question(
        cluster_name=given["cluster_name"],
        identity=given["identity"],
        batch=list(looks),
        play=given["play"],
        leaving=[name.strip() for name in given["leaving"]],
        install=given["install"],
        archive=given["archive"] or "",
        archive_sha256=given["archive_sha256"] or "",
        overrule_distribution_etcd=given["overrule_distribution_etcd"],
        force_restart=given["force_restart"],
        ca_certificate=given["ca_certificate"] or None,
        flag_settings=flag_settings_from(given["settings"]),
        time=now,
    )
    infos = {name: look["info"] for name, look in looks.items()}
    cluster = Cluster(members, infos, question, looks)
    wanted = Wanted(
        key_type=given["key_type"],
        validity_days=given["validity_days"],
        renew_before_days=given["renew_before_days"],
        new_keys=given["new_keys"],
        install=given["install"],
        archive=given["archive"] or "",
    )
    authority = given["ca"] or {}
    found = Found(
        authority=question.ca_certificate or authority.get("certificate"),
        authority_due=authority.get("due", ()),
        hosts_due={name: look.get("due") for name, look in looks.items()},
    )
    refusals = check_cluster(cluster)
    due = cluster_due(cluster, wanted, found, now)
    return {
        "settled": not refusals and not due,
        "refusals": [{"code": refusal.code, "text": refusal.text} for refusal in refusals],
        "warnings": cluster_warnings(cluster),
        "due": due,
        "trusted_fingerprints": common_fingerprints(cluster),
        "no_new_ca_because": why_no_new_authority(cluster),
        "requests": certificate_requests(cluster, given["new_keys"]),
    }


def _checked_looks(looks: t.Mapping[str, t.Any], members: t.Sequence[Member]) -> t.Mapping[str, t.Any]:
    """The looks as they are: a host that could not be looked at must not pass for one on which nothing is due."""
    known = [member.name for member in members]
    for name, look in looks.items():
        if name not in known:
            raise InputError(f"looks: {name} is no member ({', '.join(known) or 'there is none'}): give members' names")
        info = look.get("info") if isinstance(look, dict) else None
        if not isinstance(info, dict) or not {"etcd", "credentials"} <= set(info):
            said = (look.get("msg") or look.get("skip_reason")) if isinstance(look, dict) else None
            raise InputError(
                f"looks: what there is of {name} is no result of ringfence.etcd.etcd_peer_probe "
                f"({said or 'no info in it'}): look at each host of the run before (strategy linear), and leave out "
                "with --limit those that can't be looked at"
            )
    return looks


__all__ = ("ActionModule",)
