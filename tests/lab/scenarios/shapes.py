# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployers' own units and files, whole (``deployer_texts``), and what has to be seen of a cluster that has them.

With what their defaults leave a fence to be put round: a certificate of its own for each member. Two have none by
default (``AS_THEY_COME``), one shares a certificate.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

import deployer_texts
from deployers import CONF, MEMBERS_PAIR, PKI, Pair, Shape

OPEN = frozenset(("allowed_common_names", "strangers"))
SHARED_CA = ("warning", "client_authority")
NOT_SAID = ("warning", "peer_tls")
SAME_NAME = ("warning", "same_name")


@dataclass(frozen=True)
class Story:
    """What is seen of a shape.

    ``line``: by which an audit closes it, where the names stand for themselves as NAMES. ``warnings``: of an audit
    before, ``left``: those that a list does not end.
    """

    shape: Shape
    line: str
    warnings: frozenset[tuple[str, str]] = frozenset()
    left: frozenset[tuple[str, str]] = frozenset()
    variables: dict[str, t.Any] = field(default_factory=dict)
    """Beside those that the run prints."""

    @property
    def extra_settings(self) -> dict[str, t.Any]:
        """The variable that takes over what an adoption says that the role's unit has not."""
        texts, user = self.shape.texts, self.shape.user
        return {"etcd_peer_tls_extra_unit_settings": texts.put_by(user)} if texts.lost else {}


_ETCD, _SSL, _TLS, _ETCDADM = "/etc/etcd", "/etc/etcd/ssl", "/etc/etcd/tls", "/etc/etcd/pki"
_UNIT_OF_A_PACKAGE = "/usr/lib/systemd/system/etcd.service"
_HOSTS_PAIR = Pair(f"{_SSL}/@NAME@.crt", f"{_SSL}/@NAME@.key", "@NAME@")
_SERVERS_PAIR = Pair(f"{_TLS}/server.crt", f"{_TLS}/server.key", "@NAME@")


def _pair_of_githubixx(kind: str, common_name: str) -> Pair:
    return Pair(f"{_ETCD}/cert-etcd-{kind}.pem", f"{_ETCD}/cert-etcd-{kind}-key.pem", common_name)


def _pair_of_etcdadm(name: str, common_name: str = "@NAME@") -> Pair:
    return Pair(f"{_ETCDADM}/{name}.crt", f"{_ETCDADM}/{name}.key", common_name)


STORIES = {
    "kubespray": Story(
        Shape(
            deployer_texts.KUBESPRAY,
            "/etc/etcd.env",
            program="/usr/local/bin/etcd",
            authority=f"{PKI}/ca.pem",
            pairs=(MEMBERS_PAIR,),
        ),
        'etcd_extra_vars: {ETCD_PEER_CERT_ALLOWED_CN: "NAMES"} in kubespray\'s group_vars',
        frozenset((SHARED_CA,)),
    ),
    "debian": Story(
        Shape(
            deployer_texts.DEBIAN,
            "/etc/default/etcd",
            unit_path=_UNIT_OF_A_PACKAGE,
            user="etcd",
            authority=f"{_SSL}/ca.crt",
            pairs=(_HOSTS_PAIR,),
        ),
        "ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/default/etcd",
        frozenset((SHARED_CA,)),
    ),
    "autobase": Story(
        Shape(
            deployer_texts.AUTOBASE.but(('ETCD_CLIENT_CERT_AUTH="false"', 'ETCD_CLIENT_CERT_AUTH="true"')),
            f"{_ETCD}/etcd.conf",
            program="/usr/local/bin/etcd",
            user="etcd",
            authority=f"{_TLS}/ca.crt",
            pairs=(_SERVERS_PAIR,),
        ),
        f"ETCD_PEER_CERT_ALLOWED_CN=NAMES in {_ETCD}/etcd.conf",
        frozenset((SHARED_CA, NOT_SAID)),
        frozenset((NOT_SAID,)),
    ),
    "guide": Story(
        Shape(deployer_texts.GUIDE, CONF, user="etcd", authority=f"{_SSL}/ca.crt", pairs=(_HOSTS_PAIR,)),
        f"peer-transport-security: {{allowed-cn: [NAMES]}} in {CONF}",
        frozenset((SHARED_CA, ("warning", "config_file"))),
        frozenset((("warning", "config_file"),)),
    ),
    "githubixx": Story(
        Shape(
            deployer_texts.GITHUBIXX,
            program="/usr/local/bin/etcd",
            user="etcd",
            authority=f"{_ETCD}/ca-etcd.pem",
            pairs=(_pair_of_githubixx("peer", "@NAME@"), _pair_of_githubixx("server", "etcd-server-@NAME@")),
        ),
        "[Service] Environment=ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/systemd/system/etcd.service.d/zz-peers.conf",
        frozenset((SHARED_CA,)),
    ),
    "etcdadm": Story(
        Shape(
            deployer_texts.ETCDADM,
            f"{_ETCD}/etcd.env",
            program="/opt/bin/etcd",
            authority=f"{_ETCDADM}/ca.crt",
            pairs=(
                _pair_of_etcdadm("peer"),
                _pair_of_etcdadm("server"),
                _pair_of_etcdadm("etcdctl-etcd-client", "@NAME@-etcdctl"),
            ),
        ),
        f"ETCD_PEER_CERT_ALLOWED_CN=NAMES in {_ETCD}/etcd.env",
        frozenset((SHARED_CA, SAME_NAME)),
        # Its pair for clients has the host's name, too.
        left=frozenset((SAME_NAME,)),
        # The role's own folder is etcdadm's, too.
        variables={"etcd_peer_tls_directory": "/etc/etcd/ringfence"},
    ),
}
"""With a certificate of its own for each member."""

_WITHOUT_TLS: dict[str, t.Any] = {"authority": "", "pairs": (), "schemes": ("http", "http")}
AS_THEY_COME = {
    "debian-http": Story(
        replace(STORIES["debian"].shape, texts=deployer_texts.DEBIAN_HTTP, **_WITHOUT_TLS),
        "ETCD_PEER_CERT_FILE=MEMBER.crt",
    ),
    "autobase-http": Story(
        replace(STORIES["autobase"].shape, texts=deployer_texts.AUTOBASE_HTTP, **_WITHOUT_TLS),
        "ETCD_PEER_CERT_FILE=MEMBER.crt",
    ),
    "autobase-shared": Story(
        replace(
            STORIES["autobase"].shape,
            texts=deployer_texts.AUTOBASE,
            pairs=(_SERVERS_PAIR._replace(common_name="etcd"),),
            is_shared=True,
        ),
        f"ETCD_PEER_CERT_ALLOWED_CN=etcd in {_ETCD}/etcd.conf",
        frozenset((SHARED_CA, NOT_SAID, ("warning", "identity"))),
    ),
    "githubixx-shared": Story(
        replace(
            STORIES["githubixx"].shape,
            pairs=(_pair_of_githubixx("peer", "etcd-peer"), _pair_of_githubixx("server", "etcd-server")),
            is_shared=True,
        ),
        "[Service] Environment=ETCD_PEER_CERT_ALLOWED_CN=etcd-peer in /etc/systemd/system/etcd.service.d/zz-peers.conf",
        frozenset((SHARED_CA, ("warning", "identity"))),
        # The lab's client keeps their CA, as its files are in the role's own folder.
        variables={"etcd_peer_tls_directory": "/etc/etcd/ringfence"},
    ),
}
"""Where no list tells members apart: http, or one certificate for all."""

NAMES = (*STORIES, *AS_THEY_COME)
