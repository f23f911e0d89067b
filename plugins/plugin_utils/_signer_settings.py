# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules about variables for a CA whose key is not here: who signs, and who is a stranger for the proof.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_path
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.signer_command import (
    check_command,
    way_to_another_ca,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders, private_key_block
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import PREFIX


def check_signer(settings: t.Mapping[str, t.Any]) -> None:
    """A CA that is not here signs requests of keys that stay on their nodes, and is known by its certificate."""
    check_command(settings["signer_command"], settings["signer_timeout_seconds"], PREFIX)
    way = way_to_another_ca(settings, PREFIX)
    if way is None:
        return
    variable = f"{PREFIX}{way}"
    if settings["requests_directory"]:
        checked_path(settings["requests_directory"], variable, True)
    if not settings["ca_certificate"]:
        raise InputError(
            f"{variable} is for a CA whose key is not here: give its certificate in {PREFIX}ca_certificate"
        )
    if settings["ca_private_key"]:
        raise InputError(
            f"{variable} is for a CA whose key is not here, and {PREFIX}ca_private_key is given: leave one of the two "
            "out"
        )
    if settings["key_custody"] != "node":
        raise InputError(
            f"{variable} is for requests of keys that are made on their nodes: set {PREFIX}key_custody: node"
        )


def lacks_private_key(settings: t.Mapping[str, t.Any]) -> bool:
    """Whether a CA is given that nobody here can sign with, as a proof is done that issues nothing."""
    return bool(
        settings["ca_certificate"] and not settings["ca_private_key"] and way_to_another_ca(settings, PREFIX) is None
    )


def check_given_pair(settings: t.Mapping[str, t.Any], who: str) -> None:
    """A pair, or none; whether it shows anything is seen where the CA is. ``who``: ``stranger`` or ``probe_client``."""
    certificate, private_key = f"{who}_certificate", f"{who}_private_key"
    if bool(settings[certificate]) != bool(settings[private_key]):
        raise InputError(f"{PREFIX}{certificate} and {PREFIX}{private_key} are a pair: give both, or none")
    if settings[certificate]:
        certificate_ders(settings[certificate], PREFIX + certificate)
        private_key_block(settings[private_key], PREFIX + private_key)


__all__ = ("check_given_pair", "check_signer", "lacks_private_key")
