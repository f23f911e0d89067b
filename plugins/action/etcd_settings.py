# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only, before it connects to a host: what the user wants, checked and fixed for this run."""

from __future__ import annotations

import typing as t
from dataclasses import asdict

from ansible import constants as C
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import VERIFY, selected_parts
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.signer_command import way_to_another_ca
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction, refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_port import (
    client_words,
    issues_to_clients,
    with_client_port,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_proof import client_proof
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._input_validation import (
    Asked,
    check_settings,
    flag_settings_of,
    keeps_revocation_list,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._leaked_keys import leaked_names
from ansible_collections.ringfence.etcd.plugins.plugin_utils._member_entries import coordinator_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._role_settings import RoleSettings, client_files_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import OPTIONS_OF, SECRETS
from ansible_collections.ringfence.etcd.plugins.plugin_utils._signer_settings import lacks_private_key
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import has_refused_settings
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text

_ARGUMENTS: dict[str, t.Any] = {
    "keys_travel": {"type": "bool", "default": True},
    "proof_only": {"type": "bool", "default": False},
    "entry_point": {"type": "str", "choices": list(OPTIONS_OF), "default": "main"},
}

# What the role's tasks ask for before they are skipped.
_NOTHING: dict[str, t.Any] = {
    "parts": [],
    "coordinator": "",
    "ca_host": "localhost",
    "ca_become": False,
    "issues_to_clients": False,
}


# Not counted: the tests run it in plays of their own (test_etcd_settings.py), in processes that nobody measures.
class ActionModule(OneLineAction):  # pragma: no cover
    """Take the user's variables, and nothing that a host answered."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._asked = self._given(_ARGUMENTS)
        parts = self._parts(task_vars)
        if not parts:
            return {"changed": False, **_NOTHING}
        refuse_old_cryptography()
        self._role = RoleSettings(self._task, self._templar, task_vars)
        self._batch = plain(task_vars["ansible_play_batch"])
        host = plain(task_vars["inventory_hostname"])
        self._role.refuse_lies(host)
        try:
            settings = self._checked(host)
        except InputError as exc:
            teller = self._teller(exc, host, task_vars)
            if teller is None:
                raise
            raise InputError(f"Settings are refused: see host {teller}", told_by=teller) from None
        return {"changed": False, "_ansible_verbose_override": True, "parts": parts, **settings}

    def _parts(self, task_vars: t.Mapping[str, t.Any]) -> list[str]:
        """What tags choose of this run. The task's own is ``always``; the others are those that the user gave."""
        own = set(map(str, plain(self._task.tags))) - {"always"}
        only, skipped = (plain(task_vars.get(f"ansible_{kind}_tags", ())) for kind in ("run", "skip"))
        parts = selected_parts(own, only, skipped)
        return [VERIFY] if self._asked["proof_only"] and VERIFY in parts else [] if self._asked["proof_only"] else parts

    def _checked(self, host: str) -> dict[str, t.Any]:
        """The settings of a host's cluster and member; InputError where a rule does not hold."""
        settings = self._role.of(host)
        has_secrets = any(settings[name] for name in SECRETS)
        if (self._asked["keys_travel"] or has_secrets) and C.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES"):
            raise InputError(
                "ANSIBLE_KEEP_REMOTE_FILES would leave private keys, a passphrase or a password in temporary files: "
                "switch it off (keep_remote_files in ansible.cfg) and run again"
            )
        proof_only = self._asked["proof_only"]
        options = OPTIONS_OF["verify" if proof_only else self._asked["entry_point"]]
        if not proof_only:
            self._role.refuse_standing_words(host, options)
        members = self._role.members(host, settings)
        believed = [name for name in self._batch if self._role.is_believed(name)]
        hosts = [each.host for each in members]
        coordinator = coordinator_of(hosts, host, believed, settings["cluster_name"])
        member = next(each for each in members if each.host == host)
        gone = [] if proof_only else self._role.members_gone(settings["removed"], settings)
        slice_of = self._role.slice_of(host)
        settings = with_client_port(settings, member.name)
        check_settings(Asked(settings, members, member), options)
        entry_point = self._asked["entry_point"]
        issues = not proof_only and issues_to_clients(entry_point, settings)
        clients, left_out = self._role.clients(settings) if issues else ([], [])
        # By its host's name a member is meant as well.
        removed = list(dict.fromkeys([*settings["removed"], *(each.name for each in gone)]))
        leaked = leaked_names(settings["keys_leaked"], [each.name for each in members])
        return {
            **{name: value for name, value in settings.items() if name not in SECRETS},
            "has_secrets": has_secrets,
            "ca_is_lost": "" if proof_only else self._role.where_authority_is_lost(host, settings),
            # Of slices each might have the right number.
            "client_list": [asdict(one) for one in clients],
            "clients_left_out": left_out,
            "client_ca_is_lost": (
                self._role.where_authority_is_lost(host, _client_authority(settings)) if issues else ""
            ),
            "issues_to_clients": issues,
            "client_words": client_words(entry_point, settings, [*removed, *leaked]),
            "members_are_said": bool(settings["members"] or (settings["member_count"] and not slice_of)),
            "slice_of": slice_of,
            "not_in_inventory": [each.name for each in members if not self._role.knows(each.host)],
            "coordinator": coordinator,
            "hosts": hosts,
            "members": [member_as_dict(each) for each in members],
            "member": member_as_dict(member),
            "client_files": client_files_of(settings, member),
            "client_proof": client_proof(settings),
            "removed": removed,
            "removed_hosts": [{"host": each.host, "name": each.name} for each in gone],
            "removed_urls": [each.peer_url for each in gone if each.peer_url],
            "flag_settings": flag_settings_of(settings),
            "keys_leaked": leaked,
            "keeps_revocation_list": keeps_revocation_list(settings),
            "is_signed_elsewhere": way_to_another_ca(settings) is not None,
            "lacks_ca_private_key": lacks_private_key(settings),
            # What is due is not asked by a proof, which compares what runs.
            "unit_text": "" if proof_only else unit_text(settings, members, member),
        }

    def _teller(self, error: InputError, host: str, task_vars: t.Mapping[str, t.Any]) -> str | None:
        """The other host of this play that tells what this one would say as well."""
        about = error.details.get("host")
        for teller in self._tellers(about or host, host, task_vars):
            if teller == host:
                return None
            if teller == about:
                return teller
            try:
                self._checked(teller)
            except InputError as exc:
                if _reason(exc, teller) == _reason(error, host):
                    return teller
            except RingfenceError:
                continue
        return None

    def _tellers(self, about: str, host: str, task_vars: t.Mapping[str, t.Any]) -> list[str]:
        """Whom the input is of, the first host of the play and the first of each group; not those who told nothing."""
        play = plain(task_vars["ansible_play_hosts_all"])
        there = [name for name in play if name in self._batch or has_refused_settings(task_vars, name)]
        groups = [plain(members) for members in plain(task_vars["groups"]).values() if host in members]
        firsts = {next((name for name in there if name in members), host) for members in groups}
        return [name for name in there if name == about != host] or [name for name in there if name in firsts]


def _client_authority(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings with the clients' CA in the place of the peers', which is never given as content."""
    return {**settings, "ca_directory": settings["client_ca_directory"], "ca_certificate": ""}


def _reason(error: InputError, host: str) -> str:
    return str(error).partition(f"{host}: ")[2] if str(error).startswith(f"{host}: ") else str(error)


__all__ = ("ActionModule",)
