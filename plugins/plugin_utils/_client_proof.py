# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a proof tries at client ports, by what the user says of them. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_NO_CERTIFICATE,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
    NOBODY,
    OWN,
    PEERS,
)


def client_proof(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Whose certificates the client ports take (``authority``), and as whom they are called (``cases``).

    A peer has to be refused where clients have a CA of their own, unless the user says that peers are clients.
    """
    if not settings["client_tls"]:
        return {"authority": NOBODY, "peers_are_clients": False, "cases": []}
    of_peers = settings["client_ca_file"] in ("", f"{settings['directory'].rstrip('/')}/ca.crt")
    peers_are_clients = of_peers or settings["peers_are_clients"]
    cases = [CLIENT, CLIENT_UNKNOWN_CA, *(() if peers_are_clients else (CLIENT_PEER,)), CLIENT_NO_CERTIFICATE]
    return {"authority": PEERS if of_peers else OWN, "peers_are_clients": peers_are_clients, "cases": cases}


__all__ = ("client_proof",)
