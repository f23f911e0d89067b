# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the module's work in this process where the CA is on the controller, and adds the role's secrets."""

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.stranger import run
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import private_key_block, written
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_stranger import MUTUALLY_EXCLUSIVE, argument_spec
from ansible_collections.ringfence.etcd.plugins.plugin_utils._ca_host_actions import CaHostAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._role_settings import RoleSettings


class ActionModule(CaHostAction):
    """Do the module's work here, or have the module do it where the CA is."""

    schema = schema_of("etcd_peer_stranger")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        secrets = self._take_secrets(task_vars)
        try:
            answer = self._with_given_key(super()._answer(task_vars))
        except RingfenceError as exc:
            answer = {"failed": True, "msg": str(exc), "problem": exc.problem, "details": exc.details}
        except AnsibleConnectionFailure as exc:
            # The hosts want the password of etcd's API also while the CA's host is away.
            if secrets is None:
                raise
            answer = {"unreachable": True, "msg": " ".join(str(exc.message).split())}
        # Never what a host says they are.
        answer.pop("secrets", None)
        return answer if secrets is None else {**answer, "secrets": secrets}

    def _with_given_key(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """The keys of a stranger and a client that were given, beside their certificates.

        Ansible blanks out what was an option.
        """
        given = {who: self._given_key(f"{who}_private_key") for who in ("stranger", "client")}
        if given["stranger"]:
            for member in answer.get("members") or ():
                if member.get("stranger_certificate"):
                    member.setdefault("stranger_private_key", given["stranger"])
        # A stranger of the peers' CA is a client where clients have no CA of their own.
        key = given["client"] or given["stranger"]
        clients = answer.get("clients") or {}
        if key and clients.get("client_certificate"):
            clients.setdefault("client_private_key", key)
        return answer

    def _given_key(self, option: str) -> str | None:
        given = plain(self._task.args.get(option))
        return written(private_key_block(given, f"the private key in {option}")) if given else None

    def _take_secrets(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """The role's secrets, where they were asked for: put among the task's options as well."""
        options = dict(self._task.args)
        of_clients = plain(options.pop("role_authority", "peers")) == "clients"
        if not boolean(plain(options.pop("role_secrets", False))):
            return None
        if not self._task.no_log:
            raise RefusedError("the role's secrets would be shown in the task's result: set no_log to true on it")
        role = RoleSettings(self._task, self._templar, task_vars)
        secrets = role.secrets_of(plain(task_vars["inventory_hostname"]))
        if of_clients:
            # All that the clients' CA needs: it lies in a folder.
            secrets = {"client_ca_passphrase": secrets["client_ca_passphrase"]}
            taken = {"passphrase": secrets["client_ca_passphrase"]}
        else:
            taken = {"content": secrets["ca_private_key"], "passphrase": secrets["ca_passphrase"]}
            beside = {
                "stranger_private_key": secrets["stranger_private_key"],
                "client_private_key": secrets["probe_client_private_key"],
                "client_ca_private_key_passphrase": secrets["client_ca_passphrase"],
            }
            options.update({name: value for name, value in beside.items() if value})
        self._task.args = {**options, **{f"ca_private_key_{name}": value for name, value in taken.items() if value}}
        return secrets

    def _answer_here(self, now: datetime.datetime) -> tuple[dict[str, t.Any], t.Sequence[str]]:
        given = self._given(argument_spec(), mutually_exclusive=MUTUALLY_EXCLUSIVE)
        return {"changed": False, **run(given, now, result_is_hidden=bool(self._task.no_log))}, ()


__all__ = ("ActionModule",)
