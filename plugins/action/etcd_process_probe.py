# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Works out on the controller whom a host calls as whom, runs the module of the same name there, checks its answer.

A CA's key is used here alone: what a host gets is the pair of a stranger that was made with it.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.stranger import stranger_of, stranger_of_unknown
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_der
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import calls_of, peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import (
    PROCESS_INFO,
    PROCESS_PROBE,
    addresses_of,
    hosts_of_play,
    registered_answers,
)

_CA = tuple(f"stranger_ca_{name}" for name in ("certificate", "private_key", "private_key_passphrase"))
# As long as a large run may take until its last host has called.
_VALIDITY = datetime.timedelta(hours=1)


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented."""

    schema = PROCESS_PROBE

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = plain(dict(self._task.args))
        variable = options.pop("states_variable", None)
        ca = {name: options.pop(name, None) or None for name in _CA}
        if variable is not None:
            refuse_old_cryptography()
            claims = claims_of(registered_answers(task_vars, str(variable), PROCESS_INFO).answers)
            ports = peer_ports(claims, addresses_of(task_vars, hosts_of_play(task_vars)))
            host = plain(task_vars["inventory_hostname"])
            options = {**calls_of(host, claims, ports), **_strangers(claims, options, ca), **options}
        elif any(ca.values()):
            raise InputError("stranger_ca_certificate is for states_variable: without it give stranger_certificate")
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


def _strangers(
    claims: t.Sequence[Claim], options: t.Mapping[str, t.Any], ca: t.Mapping[str, str | None]
) -> dict[str, str]:
    """The pairs that are made for this host, of the CA whose key was given and of an unknown one."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    certificate, key, passphrase = (ca[name] for name in _CA)
    made: dict[str, str] = {}
    if certificate is not None or key is not None:
        if certificate is None or key is None:
            raise InputError("stranger_ca_certificate and stranger_ca_private_key belong together: give both")
        if options.get("stranger_certificate"):
            raise InputError("a stranger's certificate and a CA to make one with are given: give one of the two")
        given = stranger_of(certificate.encode("utf-8"), key.encode("utf-8"), passphrase, now, _VALIDITY)
        made.update(stranger_certificate=given.certificate, stranger_private_key=given.private_key)
    known = next((one for claim in claims for one in claim.peer_authority.certificates), None)
    name = "etcd peer CA" if known is None else load_der(known.der, "the CA certificate").subject
    unknown = stranger_of_unknown(name, now, _VALIDITY)
    made.update(unknown_ca_certificate=unknown.certificate, unknown_ca_private_key=unknown.private_key)
    return made


__all__ = ("ActionModule",)
