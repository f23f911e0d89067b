# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callers of a peer port: the member itself, and those that have to be refused; and the callers of a client port.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

MEMBER = "member"
STRANGER = "stranger"
NO_CERTIFICATE = "no_certificate"
UNKNOWN_CA = "unknown_ca"
REVOKED = "revoked"

# At a client port: a client, who has to be let in, and those that have to be refused. The last one is a member with
# its peer certificate, where clients have a CA of their own.
CLIENT = "client"
CLIENT_UNKNOWN_CA = "client_unknown_ca"
CLIENT_NO_CERTIFICATE = "client_no_certificate"
CLIENT_PEER = "client_peer"
# Whose certificates client ports take: nobody's (there is no TLS), those of the peers' CA, those of a CA of their own.
NOBODY, PEERS, OWN = CLIENT_AUTHORITIES = ("nobody", "peers", "own")
CLIENT_CASES = (CLIENT, CLIENT_UNKNOWN_CA, CLIENT_NO_CERTIFICATE, CLIENT_PEER)

__all__ = (
    "CLIENT",
    "CLIENT_AUTHORITIES",
    "CLIENT_CASES",
    "CLIENT_NO_CERTIFICATE",
    "CLIENT_PEER",
    "CLIENT_UNKNOWN_CA",
    "MEMBER",
    "NOBODY",
    "NO_CERTIFICATE",
    "OWN",
    "PEERS",
    "REVOKED",
    "STRANGER",
    "UNKNOWN_CA",
)
