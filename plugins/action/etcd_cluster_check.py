# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: no host is asked for anything.

An action and no filter: Ansible imports it once, before it starts a process for each host and task, which inherit what
it has imported.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import AFTER_PRESENT, AFTER_WIDEN
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import PARTS
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction, refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import one_line
from ansible_collections.ringfence.etcd.plugins.plugin_utils._cluster_verdict import evaluated, notes_of_authority
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_from, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import (
    folders_of_others,
    refused_settings,
    registered_states,
)

_ARGUMENTS: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "states": {"type": "dict"},
    "states_variable": {"type": "str"},
    "programs": {"type": "dict"},
    "programs_variable": {"type": "str"},
    "cluster_name": {"type": "str", "required": True},
    "settings": {"type": "dict", "required": True},
    "own_settings": {"type": "dict"},
    "settings_variable": {"type": "str"},
    "identity": {"type": "str", "choices": ["list", "shared"], "default": "list"},
    "play": {"type": "list", "elements": "str", "default": []},
    "removed": {"type": "list", "elements": "str", "default": []},
    "removed_urls": {"type": "list", "elements": "str", "default": []},
    "replaced": {"type": "list", "elements": "str", "default": []},
    "new_ca": {"type": "bool", "default": False},
    "retire_ca": {"type": "list", "elements": "str", "default": []},
    "stop_after": {"type": "str", "choices": ["", AFTER_WIDEN, AFTER_PRESENT], "default": ""},
    "issued_to": {"type": "list", "elements": "str", "default": []},
    "passed": {"type": "str", "default": ""},
    "steps_done": {"type": "int", "default": 0},
    "revoked": {"type": "list", "elements": "str", "default": []},
    "disconnect_revoked": {"type": "bool", "default": False},
    "keys_leaked": {"type": "list", "elements": "str", "default": []},
    "replaced_certificates": {"type": "list", "elements": "str"},
    "manages_service": {"type": "bool", "default": True},
    "members_are_said": {"type": "bool", "default": True},
    "slice_of": {"type": "str", "default": ""},
    "not_in_inventory": {"type": "list", "elements": "str", "default": []},
    "install": {"type": "str", "choices": ["none", "package", "archive"], "default": "none"},
    "archive": {"type": "str", "default": ""},
    "archive_sha256": {"type": "str", "default": ""},
    "overrule_distribution_etcd": {"type": "bool", "default": False},
    "force_restart": {"type": "bool", "default": False},
    "upgrade": {"type": "bool", "default": False},
    "ca_certificate_content": {"type": "str"},
    "ca": {"type": "dict"},
    "ca_variable": {"type": "str"},
    "ca_host": {"type": "str"},
    "ca_directory": {"type": "str", "default": ""},
    "ca_is_lost": {"type": "str", "default": ""},
    "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "ecdsa-p256"},
    "validity_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int", "default": 30},
    "new_keys": {"type": "bool", "default": False},
    "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
}


class ActionModule(OneLineAction):
    """Judge the cluster as a whole, before anything is changed."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        one = [("states", "states_variable")]
        exclusive = [
            *one,
            ("ca", "ca_variable"),
            ("programs", "programs_variable"),
            ("own_settings", "settings_variable"),
        ]
        given = self._given(_ARGUMENTS, mutually_exclusive=exclusive, required_one_of=one)
        refuse_old_cryptography()
        members = [member_from(member) for member in given["members"]]
        if given["states_variable"] is not None:
            given["folders_of_others"] = folders_of_others(task_vars, given["members"], given["states_variable"])
            given["states"] = registered_states(task_vars, given["members"], given["states_variable"])
        if given["programs_variable"] is not None:
            given["programs"] = registered_states(task_vars, given["members"], given["programs_variable"])
        given["ca_problem"] = ""
        if given["ca_variable"] is not None:
            answer = plain(task_vars.get(given["ca_variable"]))
            given["ca"], given["ca_problem"] = _ca_from(answer, given["ca_host"])
        if given["settings_variable"] is not None:
            registered = registered_states(task_vars, given["members"], given["settings_variable"])
            given["own_settings"] = {name: (made or {}).get("flag_settings") for name, made in registered.items()}
            given["role_settings"] = {name: made for name, made in registered.items() if made and "unit_text" in made}
        found = evaluated(given, members, datetime.datetime.now(datetime.timezone.utc))
        if given["settings_variable"] is not None:
            refused = refused_settings(task_vars, given["members"], given["settings_variable"])
            found["failures"][:0] = [{"code": "input", "text": text} for text in refused]
            found["in_sync"] = not found["failures"] and found["in_sync"]
        # Not under "warnings", which Ansible would show a second time.
        notes = [*notes_of_authority(given), *found.pop("warnings")]
        for note in notes:
            self._display.warning(note)
        return {"changed": False, "notes": notes, "_ansible_verbose_override": True, **found}


def _ca_from(answer: t.Any, ca_host: str | None) -> tuple[dict[str, t.Any], str]:
    """The CA in what was registered of its host, and why there is nothing of it."""
    answer = answer if isinstance(answer, dict) else {}
    if "ca" in answer:
        return answer["ca"] or {}, ""
    said = one_line(answer.get("msg")) or "it gave no reason"
    what = "can't be reached" if answer.get("unreachable") else "can't be asked for the CA"
    return {}, f"the CA's host{f' {ca_host}' if ca_host else ''} {what}: {said}"


__all__ = ("ActionModule",)
