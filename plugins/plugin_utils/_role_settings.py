# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's settings as the user gave them: read, checked and fixed for a run, of any host and of the cluster.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import typing as t

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.inventory.manager import split_host_pattern
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import (
    JOB_VARIABLES,
    cure,
    told_slice,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.authority_place import (
    checked_other_host,
    is_on_controller,
    where_it_is_lost,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority import checked_authority
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_entries import Client, clients_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._member_entries import (
    MEMBER_OPTIONS,
    checked_entry,
    completed_entry,
    hosts_of,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._revoked_words import checked_revoked
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import (
    OPTIONS,
    PREFIX,
    SECRETS,
    WORDS_OF_A_RUN,
    check_names,
    converted,
    group_of_play,
    is_blank,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._user_variables import UserVariables

_GROUP = f"{PREFIX}group"


class Gone(t.NamedTuple):
    """A host whose member is to leave, and where that was; None where its variables are wrong."""

    host: str
    name: str
    peer_url: str | None


# Not counted: the tests run it in plays of their own (test_etcd_settings.py), in processes that nobody measures.
class RoleSettings:  # pragma: no cover
    """What the user wants, of the present task's play."""

    def __init__(self, task: t.Any, templar: t.Any, task_vars: t.Mapping[str, t.Any]) -> None:
        self._templar = templar
        self._user = UserVariables(task, task_vars)
        self._pattern = split_host_pattern(plain(task.get_play().hosts))
        self._groups = plain(task_vars["groups"])
        self._defaults = self._user.defaults()
        self._variables: dict[str, dict[str, t.Any]] = {}

    def is_believed(self, host: str) -> bool:
        """Whether a host has no fact that is named like a setting."""
        return not self._user.own_facts(host)

    def knows(self, host: str) -> bool:
        """Whether the inventory has the host."""
        return self._user.knows(host)

    def slice_of(self, host: str) -> str:
        """That this run is a slice of a job, by what AWX set; empty where it is not known to be one."""
        return told_slice(plain({name: self._variables_of(host).get(name) for name in JOB_VARIABLES}))

    def refuse_lies(self, host: str) -> None:
        """RefusedError where a host answers with facts that are named like settings."""
        lies = self._user.own_facts(host)
        if lies:
            # Not the user's input, so that the other members go on.
            raise RefusedError(
                f"{host} answers with facts that only a user may set, {', '.join(lies)[:200]}: settings are never "
                "taken from facts; look at what runs on this host, or, where they were cached by a set_fact of yours, "
                "put them into the inventory and use --flush-cache"
            )

    def of(self, host: str) -> dict[str, t.Any]:
        """All settings of a host by name, with the CA written anew from what was read in them."""
        settings = self._settings_of(host, tuple(OPTIONS))
        for name in ("ca_host", "report_host") if settings["report_host"] else ("ca_host",):
            named = settings[name]
            checked_other_host(named, [named] if self._user.knows(named) else [], PREFIX + name)
        settings["revoked"] = checked_revoked(settings["revoked"])
        authority = checked_authority(settings["ca_certificate"], settings["ca_private_key"], settings["ca_passphrase"])
        if authority is None:
            return settings
        return {**settings, "ca_certificate": authority.bundle, "ca_private_key": authority.private_key}

    def clients(self, settings: t.Mapping[str, t.Any]) -> tuple[list[Client], list[str]]:
        """The clients whose hosts are part of this run, and who are not: ``--limit`` is the user's word."""
        folders = (settings["directory"], settings["client_port_directory"])
        found = clients_of(settings["clients"], settings["clients_directory"], folders)
        unknown = sorted({one.host for one in found if not self._user.knows(one.host)})
        if unknown:
            raise InputError(
                f"{PREFIX}clients: {', '.join(unknown)[:200]} is no host of the inventory: add it there, in any group, "
                "or correct the name"
            )
        left_out = self._user.left_out({one.host for one in found})
        return (
            [one for one in found if one.host not in left_out],
            [one.id for one in found if one.host in left_out],
        )

    def where_authority_is_lost(self, asker: str, settings: t.Mapping[str, t.Any]) -> str:
        """With what the CA's folder goes after this run; empty where it stays, or the user says that it does."""
        host = settings["ca_host"]
        if settings["ca_on_ephemeral_controller"] or settings["ca_certificate"]:
            return ""
        variables = self._variables_of(host) if self._user.knows(host) else {}
        connection = "ansible_connection"
        templar = self._templar.copy_with_new_env(available_variables=variables)
        with self._user.no_answers():
            kind = self._templated(templar, variables.get(connection), host, connection)
        if not is_on_controller(host, kind):
            return ""
        home = "~root" if settings["ca_become"] else "~"
        folder = os.path.realpath(os.path.expanduser(re.sub("^~(?=/)", home, settings["ca_directory"])))
        try:
            mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            mounts = ""
        return where_it_is_lost(folder, mounts, self._variables_of(asker), os.environ) or ""

    def refuse_standing_words(self, host: str, names: t.Collection[str]) -> None:
        """InputError where the inventory says what only a run may say. ``names``: the options that this run has."""
        standing = self._user.standing(host)
        given = {
            name: standing[PREFIX + name] for name in WORDS_OF_A_RUN if name in names and PREFIX + name in standing
        }
        if not given:
            return
        templar = self._templar.copy_with_new_env(available_variables=self._variables_of(host))
        with self._user.no_answers():
            found = sorted(PREFIX + name for name, value in given.items() if self._is_said(templar, host, name, value))
        if found:
            raise InputError(
                f"{host}: {', '.join(found)} stands in the inventory, and every run to come would do it again: take it "
                f"out of there, and give it to the one run that is to do it, with -e {found[0]}=...",
                host=host,
            )

    def _is_said(self, templar: t.Any, host: str, name: str, given: t.Any) -> bool:
        value = self._templated(templar, given, host, PREFIX + name)
        return not is_blank(value) and bool(converted(name, value))

    def secrets_of(self, host: str) -> dict[str, t.Any]:
        """The secrets among them."""
        settings = self.of(host)
        return {name: settings[name] for name in SECRETS}

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
            raise InputError(f"{host}: {exc}", host=host) from None
        if self._has_no_group(variables, host):
            variables[_GROUP] = group_of_play(self._pattern, self._groups, host)
        for name, default in self._defaults.items():
            if is_blank(plain(variables.get(name))):
                variables[name] = default
        templar = self._templar.copy_with_new_env(available_variables=variables)
        with self._user.no_answers():
            return {name: self._setting(templar, variables, host, name) for name in names}

    def _has_no_group(self, variables: t.Mapping[str, t.Any], host: str) -> bool:
        given = variables.get(_GROUP)
        if is_blank(plain(given)):
            return True
        templar = self._templar.copy_with_new_env(available_variables=variables)
        with self._user.no_answers():
            return is_blank(self._templated(templar, given, host, _GROUP))

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
                    raise InputError(f"{host}: {exc}", host=host) from None
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
            text = f"{host}: {variable} can't be worked out: {reason[:300]}{facts}"
            raise InputError(text, host=host) from None

    def members(self, asker: str, settings: t.Mapping[str, t.Any]) -> list[Member]:
        """The members of the cluster that the settings of any of its hosts name."""
        listed = settings["members"]
        group = settings["group"]
        entries = [checked_entry(item) for item in listed or self._groups.get(group, [])]
        if not entries:
            known = ", ".join(sorted(set(self._groups) - {"all", "ungrouped"})) or "none"
            raise InputError(
                f"No host is a member: the inventory group {group} is empty or does not exist (groups: {known}); put "
                "the hosts in it, name another with etcd_peer_tls_group, or list the members in etcd_peer_tls_members"
            )
        complete = [self._completed(entry) for entry in entries]
        count = settings["member_count"]
        if count and count != len(complete):
            raise InputError(
                f"cluster {settings['cluster_name']}: etcd_peer_tls_member_count is {count}, and the inventory gives "
                f"{len(complete)} ({', '.join(hosts_of(complete))}): {cure(self.slice_of(asker))}; where the number "
                "is another one, set that"
            )
        return make_members(complete, _cluster_settings(settings))

    def members_gone(self, words: t.Collection[str], settings: t.Mapping[str, t.Any]) -> list[Gone]:
        """The members of the inventory's hosts that these words name, or whose member they name.

        What is wrong with a host that goes keeps nobody from removing its member.
        """
        own = PREFIX + "name"
        others = set(words) - {host for host in words if self._user.knows(host)}
        hosts = [host for host in words if host not in others]
        if others:
            hosts += [host for host in self._user.hosts() if str(self._variables_of(host).get(own)) in others]
        found = []
        for host in dict.fromkeys(hosts):
            with contextlib.suppress(InputError):
                entry = self._completed({"host": host})
                found.append(Gone(host, entry["name"], _peer_url_of(entry, settings)))
        return found

    def _completed(self, entry: dict[str, t.Any]) -> dict[str, t.Any]:
        host = entry["host"]
        if not self._user.knows(host):
            return completed_entry(entry, {"address": host, "name": host}, ())
        return completed_entry(entry, self._settings_of(host, MEMBER_OPTIONS), self._said_by(host))


def _peer_url_of(entry: dict[str, t.Any], settings: t.Mapping[str, t.Any]) -> str | None:
    with contextlib.suppress(InputError):
        (member,) = make_members([entry], _cluster_settings(settings))
        return member.peer_url
    return None


def _cluster_settings(settings: t.Mapping[str, t.Any]) -> ClusterSettings:
    return ClusterSettings(
        name=settings["cluster_name"],
        domain=settings["domain"] or None,
        identity=settings["identity"],
        shared_common_name=settings["shared_common_name"] or None,
        peer_port=settings["peer_port"],
        client_port=settings["client_port"],
        client_tls=settings["client_tls"],
        loopback_sans=settings["loopback_sans"],
    )


def client_files_of(settings: t.Mapping[str, t.Any], member: Member) -> dict[str, str]:
    """Paths on the node with which its member speaks to the client ports of the others; empty texts without TLS.

    Worked out here, once: each of them is an argument of several tasks, and would be a template in each.
    """
    own = {"ca": "ca.crt", "cert": f"{member.name}.crt", "key": f"{member.name}.key"}
    if not settings["client_tls"]:
        return dict.fromkeys(own, "")
    return {kind: settings[f"client_{kind}_file"] or f"{settings['directory']}/{file}" for kind, file in own.items()}


__all__ = ("RoleSettings", "client_files_of")
