# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags that are the role's own: those that it renders, and those that would break the fence or the role's work.

Pure: no Ansible, no I/O.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import is_true

# Flags that let strangers in, or make etcd ignore what keeps them out, wherever they come from.
_FENCE_BREAKERS = {
    "config-file": "etcd would ignore every flag, the fence's too",
    "peer-auto-tls": "peers would trust self-signed certificates",
    "peer-cert-allowed-hostname": "etcd refuses to start with both an allowed hostname and an allowed common name",
    "peer-skip-client-san-verification": "a stolen certificate would work from any address",
    "experimental-peer-skip-client-san-verification": "a stolen certificate would work from any address",
    "force-new-cluster": "the other members would be dropped",
}

# Flags without which nobody can find out whether a member may be restarted, or with which it would be no member at all.
_NEED_BREAKERS = {
    "listen-client-http-urls": "members are asked at their client URLs before each restart, and would answer there no "
    "more",
    "enable-grpc-gateway": "members are asked by the gateway before each restart, and would answer no more",
    "client-cert-allowed-hostname": "members ask each other with their own certificates before each restart, and would "
    "be refused",
    "discovery": "etcd refuses to start with both a discovery and the members that the role names",
    "discovery-endpoints": "etcd refuses to start with both a discovery and the members that the role names",
    "discovery-srv": "etcd refuses to start with both a discovery and the members that the role names",
    "discovery-token": "etcd refuses to start with both a discovery and the members that the role names",
    "proxy": "etcd would be a proxy and no member",
    "unsafe-no-fsync": "a power cut would lose writes that were acknowledged",
    "help": "etcd would print its help and end",
    "h": "etcd would print its help and end",
    "version": "etcd would print its version and end",
}

# Rendered where the CA keeps a revocation list; else a user may bring one.
REVOCATION_LISTS = frozenset(("client-crl-file", "peer-crl-file"))

# Flags that are the role's own: those that it renders, but for what a user may give as an extra one, and the breakers.
OWN_FLAGS = frozenset(
    (
        "name",
        "data-dir",
        "wal-dir",
        "initial-cluster",
        "initial-cluster-token",
        "initial-advertise-peer-urls",
        "listen-peer-urls",
        "peer-cert-file",
        "peer-key-file",
        "peer-trusted-ca-file",
        "peer-client-cert-auth",
        "peer-cert-allowed-cn",
        "advertise-client-urls",
        "listen-client-urls",
        "cert-file",
        "key-file",
        "trusted-ca-file",
        "client-cert-auth",
        *REVOCATION_LISTS,
        *_FENCE_BREAKERS,
        *_NEED_BREAKERS,
    )
)

# Go's strconv.ParseBool takes these as well, and nothing else but what is_true() knows.
_GO_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def what_it_breaks(name: str, value: str) -> str | None:
    """What a flag would break of the fence or of the role; None where nothing."""
    if name == "enable-grpc-gateway" and is_true(value):
        return None
    return _FENCE_BREAKERS.get(name) or _NEED_BREAKERS.get(name)


def harmless(name: str, value: str | None) -> bool:
    """Whether one of the breakers has a value with which it breaks nothing: what is not given, or switched off."""
    if name == "enable-grpc-gateway":
        return value is None or is_true(value)
    return name in (*_FENCE_BREAKERS, *_NEED_BREAKERS) and value in (None, "", *_GO_FALSE)


__all__ = (
    "OWN_FLAGS",
    "REVOCATION_LISTS",
    "harmless",
    "what_it_breaks",
)
