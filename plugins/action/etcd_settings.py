# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller alone, before any host is spoken to: what the user wants, checked and fixed for this run."""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.preflight_settings import (
    Asked,
    check_settings,
    flag_settings_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.authority_place import checked_ca_host
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority import checked_authority
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction, refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._member_entries import (
    MEMBER_OPTIONS,
    checked_entry,
    completed_entry,
    coordinator_of,
    hosts_of,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import (
    OPTIONS,
    OPTIONS_OF,
    PREFIX,
    SECRETS,
    check_names,
    converted,
    is_blank,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._user_variables import UserVariables

_ARGUMENTS: dict[str, t.Any] = {
    "keys_travel": {"type": "bool", "default": True},
    "proof_only": {"type": "bool", "default": False},
    "secrets": {"type": "bool", "default": False},
}


# Not counted: the tests run it in plays of their own (test_etcd_settings.py), in processes that nobody measures.
class ActionModule(OneLineAction):  # pragma: no cover
    """Take the user's variables, and nothing that a host said."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        refuse_old_cryptography()
        self._user = UserVariables(self._task, task_vars)
        self._defaults = self._user.defaults()
        self._variables: dict[str, dict[str, t.Any]] = {}
        host = plain(task_vars["inventory_hostname"])
        lies = self._user.own_facts(host)
        if lies:
            # Not the user's input, so that the other members go on.
            raise RefusedError(
                f"{host} answers with facts that only a user may set, {', '.join(lies)[:200]}: settings are never "
                "taken from facts; look at what runs on this host, or, where they were cached by a set_fact of yours, "
                "put them into the inventory and use --flush-cache"
            )
        settings = self._with_authority(self._settings_of(host, tuple(OPTIONS)))
        if given["secrets"]:
            return {"changed": False, **{name: settings[name] for name in SECRETS}}
        has_secrets = any(settings[name] for name in SECRETS)
        if (given["keys_travel"] or has_secrets) and C.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES"):
            raise InputError(
                "ANSIBLE_KEEP_REMOTE_FILES would leave private keys, a passphrase or a password in temporary files: "
                "switch it off (keep_remote_files in ansible.cfg) and run again"
            )
        members = self._members(settings, task_vars)
        batch = plain(task_vars["ansible_play_batch"])
        believed = [name for name in batch if not self._user.own_facts(name)]
        hosts = [each.host for each in members]
        coordinator = coordinator_of(hosts, host, believed, settings["cluster_name"])
        member = next(each for each in members if each.host == host)
        check_settings(Asked(settings, members, member), OPTIONS_OF["verify" if given["proof_only"] else "main"])
        return {
            "changed": False,
            "_ansible_verbose_override": True,
            **{name: value for name, value in settings.items() if name not in SECRETS},
            "has_secrets": has_secrets,
            "members_are_said": bool(settings["members"] or settings["member_count"]),
            "coordinator": coordinator,
            "hosts": hosts,
            "members": [member_as_dict(each) for each in members],
            "member": member_as_dict(member),
            "flag_settings": flag_settings_of(settings),
        }

    def _with_authority(self, settings: dict[str, t.Any]) -> dict[str, t.Any]:
        """The settings with the CA written anew from what was read in them, and its host known."""
        ca_host = settings["ca_host"]
        checked_ca_host(ca_host, [ca_host] if self._user.knows(ca_host) else [])
        authority = checked_authority(settings["ca_certificate"], settings["ca_private_key"], settings["ca_passphrase"])
        if authority is None:
            return settings
        return {**settings, "ca_certificate": authority.bundle, "ca_private_key": authority.private_key}

    def _variables_of(self, host: str) -> dict[str, t.Any]:
        if host not in self._variables:
            self._variables[host] = self._user.of(host)
        return self._variables[host]

    def _settings_of(self, host: str, names: t.Iterable[str]) -> dict[str, t.Any]:
        """The settings of a host by name, without the prefix, in their types; what is blank has its default."""
        variables = dict(self._variables_of(host))
        try:
            check_names(variables)
        except InputError as exc:
            raise InputError(f"{host}: {exc}") from None
        for name, default in self._defaults.items():
            if is_blank(plain(variables.get(name))):
                variables[name] = default
        templar = self._templar.copy_with_new_env(available_variables=variables)
        with self._user.no_answers():
            return {name: self._setting(templar, variables, host, name) for name in names}

    def _said_by(self, host: str) -> set[str]:
        """Which options of its member the user set for a host."""
        variables = self._variables_of(host)
        given = {name: variables.get(PREFIX + name) for name in MEMBER_OPTIONS}
        return {
            name
            for name, value in given.items()
            if not is_blank(plain(value)) and value != self._defaults.get(PREFIX + name)
        }

    def _setting(self, templar: t.Any, variables: t.Mapping[str, t.Any], host: str, name: str) -> t.Any:
        variable = PREFIX + name
        for given in (variables.get(variable), self._defaults.get(variable)):
            value = self._templated(templar, given, host, variable)
            if not is_blank(value) and value != variables.get("omit", ""):
                try:
                    return converted(name, value)
                except InputError as exc:
                    raise InputError(f"{host}: {exc}") from None
        return ""

    def _templated(self, templar: t.Any, given: t.Any, host: str, variable: str) -> t.Any:
        try:
            return plain(templar.template(given))
        except AnsibleError as exc:
            reason = " ".join(str(getattr(exc, "message", exc)).split())
            if variable[len(PREFIX) :] in SECRETS:
                reason = "its template fails"
            facts = ""
            if isinstance(exc, AnsibleUndefinedVariable) and not self._user.has_facts(host):
                facts = (
                    f"; there are no facts of {host} in this run: gather the facts of all members, also with --limit"
                )
            raise InputError(f"{host}: {variable} can't be worked out: {reason[:300]}{facts}") from None

    def _members(self, settings: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> list[Member]:
        listed = settings["members"]
        group = settings["group"]
        groups = plain(task_vars["groups"])
        entries = [checked_entry(item) for item in listed or groups.get(group, [])]
        if not entries:
            known = ", ".join(sorted(set(groups) - {"all", "ungrouped"})) or "none"
            raise InputError(
                f"No host is a member: the inventory group {group} is empty or does not exist (groups: {known}); put "
                "the hosts in it, name another with etcd_peer_tls_group, or list the members in etcd_peer_tls_members"
            )
        complete = [self._completed(entry) for entry in entries]
        count = settings["member_count"]
        if count and count != len(complete):
            raise InputError(
                f"cluster {settings['cluster_name']}: etcd_peer_tls_member_count is {count}, and the inventory gives "
                f"{len(complete)} ({', '.join(hosts_of(complete))}): a slice of a job, a disabled host or another "
                "inventory; run over all of them, or list the members in etcd_peer_tls_members"
            )
        return make_members(
            complete,
            ClusterSettings(
                name=settings["cluster_name"],
                domain=settings["domain"] or None,
                identity=settings["identity"],
                shared_common_name=settings["shared_common_name"] or None,
                peer_port=settings["peer_port"],
                client_port=settings["client_port"],
                client_tls=settings["client_tls"],
                loopback_sans=settings["loopback_sans"],
            ),
        )

    def _completed(self, entry: dict[str, t.Any]) -> dict[str, t.Any]:
        host = entry["host"]
        if not self._user.knows(host):
            return completed_entry(entry, {"address": host, "name": host}, ())
        return completed_entry(entry, self._settings_of(host, MEMBER_OPTIONS), self._said_by(host))


__all__ = ("ActionModule",)
