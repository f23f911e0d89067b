# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose certificates members take at their client port, and the files for it. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import OWN, PEERS

_KINDS = ("ca", "cert", "key")
_LIST_FLAG = "client-crl-file"


def with_client_port(settings: t.Mapping[str, t.Any], member: str) -> dict[str, t.Any]:
    """The settings of a host with the files of its member's client port, where the role makes these.

    A cluster whose clients are named has a CA of theirs, which is no peer's: so no client can be a peer, and no peer's
    certificate opens the client port. Whoever names files has them; they may be of any CA. InputError where the two
    contradict each other.

    ``client_ca`` of the result: ``own`` where the role makes the files, ``peers``, or empty for files of the user's.
    """
    word = settings["client_ca"]
    given = [f"etcd_peer_tls_client_{kind}_file" for kind in _KINDS if settings[f"client_{kind}_file"]]
    if word and given:
        raise InputError(
            f"etcd_peer_tls_client_ca is {word!r}, and {given[0]} names a file of yours for the client port: leave one "
            "of them out"
        )
    if given:
        return {**settings, "client_ca": ""}
    if (word or (OWN if settings["clients"] else PEERS)) == PEERS:
        return {**settings, "client_ca": PEERS}
    folder = settings["client_port_directory"].rstrip("/")
    files = {"ca": "ca.crt", "cert": f"{member}.crt", "key": f"{member}.key"}
    lists = {_LIST_FLAG: f"{folder}/ca.crl"} if settings["client_tls"] else {}
    return {
        **settings,
        "client_ca": OWN,
        **{f"client_{kind}_file": f"{folder}/{name}" for kind, name in files.items()},
        "extra_flags": {**lists, **settings["extra_flags"]},
    }


def issues_to_clients(entry_point: str, settings: t.Mapping[str, t.Any]) -> bool:
    """Whether a run of the role makes certificates by the clients' CA: a deployment where the port is to have them."""
    is_deployed = entry_point == "main" and settings["client_ca"] == OWN and bool(settings["client_tls"])
    return entry_point == "clients" or is_deployed


def client_words(entry_point: str, settings: t.Mapping[str, t.Any], members_out: t.Sequence[str]) -> dict[str, t.Any]:
    """What a run says of certificates of the clients' CA. In a run about peers its words are about these.

    ``members_out``: names of members that leave, or whose keys are others' as well. They are let in at no client port
    either.
    """
    if entry_point == "clients":
        return {"revoked": settings["revoked"], "removed": [], "new_keys": settings["new_keys"]}
    return {"revoked": [], "removed": list(members_out), "new_keys": False}


__all__ = ("client_words", "issues_to_clients", "with_client_port")
