# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployers' own units and files, whole, and what has to be seen of a cluster that has them.

With what their defaults leave a fence to be put round: a certificate of its own for each member. Two have none by
default (``AS_THEY_COME``), one shares a certificate.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from deployers import Pair, Shape

OPEN = frozenset(("allowed_common_names", "strangers"))
SHARED_CA = ("warning", "client_authority")
NOT_SAID = ("warning", "peer_tls")
SAME_NAME = ("warning", "same_name")
_ROOT = {"CapabilityBoundingSet": "CAP_DAC_OVERRIDE"}


@dataclass(frozen=True)
class Story:
    """What is seen of a shape.

    ``line``: by which an audit closes it, where the names stand for themselves as NAMES. ``warnings``: of an audit
    before, ``left``: those that a list does not end. ``lost``: what an adoption says that the role's unit has not, and
    ``put``: the same in ``etcd_peer_tls_extra_unit_settings``.
    """

    shape: Shape
    line: str
    warnings: frozenset[tuple[str, str]] = frozenset()
    left: frozenset[tuple[str, str]] = frozenset()
    lost: str = ""
    put: dict[str, dict[str, str]] = field(default_factory=dict)
    variables: dict[str, t.Any] = field(default_factory=dict)
    """Beside those that the run prints."""


# kubespray ------------------------------------------------------------------------------------------------------------

_SSL = "/etc/ssl/etcd/ssl"
_KUBESPRAY_UNIT = """[Unit]
Description=etcd
After=network.target

[Service]
Type=notify
User=root
EnvironmentFile=/etc/etcd.env
ExecStart=/usr/local/bin/etcd
NotifyAccess=all
Restart=always
RestartSec=10s
LimitNOFILE=40000

[Install]
WantedBy=multi-user.target
"""
_KUBESPRAY = f"""# Environment file for etcd
ETCD_DATA_DIR=/var/lib/etcd/theirs
ETCD_ADVERTISE_CLIENT_URLS=https://@ADDRESS@:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://@ADDRESS@:2380
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_METRICS=basic
ETCD_LISTEN_CLIENT_URLS=https://@ADDRESS@:2379,https://127.0.0.1:2379
ETCD_ELECTION_TIMEOUT=5000
ETCD_HEARTBEAT_INTERVAL=250
ETCD_INITIAL_CLUSTER_TOKEN=k8s_etcd
ETCD_LISTEN_PEER_URLS=https://@ADDRESS@:2380
ETCD_NAME=@HOST@
ETCD_INITIAL_CLUSTER=@ALL_TLS@
ETCD_AUTO_COMPACTION_RETENTION=8
ETCD_SNAPSHOT_COUNT=100000

# TLS settings
ETCD_TRUSTED_CA_FILE={_SSL}/ca.pem
ETCD_CERT_FILE={_SSL}/member-@HOST@.pem
ETCD_KEY_FILE={_SSL}/member-@HOST@-key.pem
ETCD_CLIENT_CERT_AUTH=true

ETCD_PEER_TRUSTED_CA_FILE={_SSL}/ca.pem
ETCD_PEER_CERT_FILE={_SSL}/member-@HOST@.pem
ETCD_PEER_KEY_FILE={_SSL}/member-@HOST@-key.pem
ETCD_PEER_CLIENT_CERT_AUTH=True

# CLI settings
ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
ETCDCTL_CACERT={_SSL}/ca.pem
ETCDCTL_KEY={_SSL}/admin-@HOST@-key.pem
ETCDCTL_CERT={_SSL}/admin-@HOST@.pem
"""

# Debian's package -----------------------------------------------------------------------------------------------------

_DEBIAN_UNIT = """[Unit]
Description=etcd - highly-available key value store
Documentation=https://etcd.io/docs
Documentation=man:etcd
After=network.target
Wants=network-online.target

[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
EnvironmentFile=-/etc/default/%p
Type=notify
User=etcd
PermissionsStartOnly=true
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) /usr/bin/etcd $DAEMON_ARGS"
ExecStart=/usr/bin/etcd $DAEMON_ARGS
Restart=on-abnormal
#RestartSec=10s
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
Alias=etcd2.service
"""
# The name is the host's, by the unit.
_DEBIAN = """## etcd(1) daemon options
ETCD_DATA_DIR="/var/lib/etcd/theirs"
ETCD_LISTEN_PEER_URLS="SCHEME://@ADDRESS@:2380"
ETCD_LISTEN_CLIENT_URLS="SCHEME://@ADDRESS@:2379,SCHEME://127.0.0.1:2379"
ETCD_INITIAL_ADVERTISE_PEER_URLS="SCHEME://@ADDRESS@:2380"
ETCD_ADVERTISE_CLIENT_URLS="SCHEME://@ADDRESS@:2379"
ETCD_INITIAL_CLUSTER="@PEERS@"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_INITIAL_CLUSTER_TOKEN="etcd-cluster"
"""
_DEBIAN_HTTP = _DEBIAN.replace("SCHEME", "http").replace("@PEERS@", "@ALL@")
_DEBIAN_TLS = f"""{_DEBIAN.replace("SCHEME", "https").replace("@PEERS@", "@ALL_TLS@")}
DAEMON_ARGS="--cert-file=/etc/etcd/ssl/@HOST@.crt --key-file=/etc/etcd/ssl/@HOST@.key --client-cert-auth"
ETCD_TRUSTED_CA_FILE="/etc/etcd/ssl/ca.crt"
ETCD_PEER_CERT_FILE="/etc/etcd/ssl/@HOST@.crt"
ETCD_PEER_KEY_FILE="/etc/etcd/ssl/@HOST@.key"
ETCD_PEER_TRUSTED_CA_FILE="/etc/etcd/ssl/ca.crt"
ETCD_PEER_CLIENT_CERT_AUTH="true"
"""
_DEBIANS_UNIT_PATH = "/usr/lib/systemd/system/etcd.service"

# autobase -------------------------------------------------------------------------------------------------------------

_AUTOBASE_UNIT = """[Unit]
Description=Etcd Server
After=network.target
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
WorkingDirectory=/var/lib/etcd
EnvironmentFile=-/etc/etcd/etcd.conf
User=etcd
# set GOMAXPROCS to number of processors
ExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) /usr/local/bin/etcd"
Restart=on-failure
RestartSec=10
StartLimitInterval=0
TimeoutStartSec=180
LimitNOFILE=65536

IOSchedulingClass=best-effort
IOSchedulingPriority=0
Nice=-20

[Install]
WantedBy=multi-user.target
"""
_AUTOBASE = """ETCD_NAME="@HOST@"
ETCD_LISTEN_CLIENT_URLS="SCHEME://@ADDRESS@:2379,SCHEME://127.0.0.1:2379"
ETCD_ADVERTISE_CLIENT_URLS="SCHEME://@ADDRESS@:2379"
ETCD_LISTEN_PEER_URLS="SCHEME://@ADDRESS@:2380"
ETCD_INITIAL_ADVERTISE_PEER_URLS="SCHEME://@ADDRESS@:2380"
ETCD_INITIAL_CLUSTER_TOKEN="etcd-postgres-cluster"
ETCD_INITIAL_CLUSTER="@PEERS@"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_DATA_DIR="/var/lib/etcd/theirs"
ETCD_ELECTION_TIMEOUT="5000"
ETCD_HEARTBEAT_INTERVAL="1000"
ETCD_INITIAL_ELECTION_TICK_ADVANCE="false"
ETCD_AUTO_COMPACTION_RETENTION="1"
"""
_AUTOBASE_HTTP = _AUTOBASE.replace("SCHEME", "http").replace("@PEERS@", "@ALL@")
_AUTOBASE_TLS = f"""{_AUTOBASE.replace("SCHEME", "https").replace("@PEERS@", "@ALL_TLS@")}\
ETCD_CERT_FILE="/etc/etcd/tls/server.crt"
ETCD_KEY_FILE="/etc/etcd/tls/server.key"
ETCD_TRUSTED_CA_FILE="/etc/etcd/tls/ca.crt"
ETCD_PEER_CERT_FILE="/etc/etcd/tls/server.crt"
ETCD_PEER_KEY_FILE="/etc/etcd/tls/server.key"
ETCD_PEER_TRUSTED_CA_FILE="/etc/etcd/tls/ca.crt"
ETCD_PEER_CLIENT_CERT_AUTH="false"
ETCD_CLIENT_CERT_AUTH="@CLIENTS@"
ETCD_TLS_MIN_VERSION="TLS1.2"
"""
_AUTOBASE_PUT = {"Service": {"IOSchedulingClass": "best-effort", "IOSchedulingPriority": "0", "Nice": "-20"}}
_AUTOBASE_LOST = "IOSchedulingClass=best-effort, IOSchedulingPriority=0, Nice=-20"
_SERVER = ("/etc/etcd/tls/server.crt", "/etc/etcd/tls/server.key")

# A guide with a configuration file ------------------------------------------------------------------------------------

_GUIDE_UNIT = """[Unit]
Description=etcd key-value store
Documentation=https://github.com/etcd-io/etcd
After=network.target

[Service]
Type=notify
User=etcd
ExecStart=/usr/bin/etcd --config-file /etc/etcd/etcd.yml
Restart=always
RestartSec=10s
LimitNOFILE=40000

[Install]
WantedBy=multi-user.target
"""
_GUIDE = """name: '@HOST@'
data-dir: /var/lib/etcd/theirs
initial-cluster-state: 'new'
initial-cluster-token: 'patroni'
initial-cluster: '@ALL_TLS@'
initial-advertise-peer-urls: 'https://@ADDRESS@:2380'
listen-peer-urls: 'https://@ADDRESS@:2380'
advertise-client-urls: 'https://@ADDRESS@:2379'
listen-client-urls: 'https://@ADDRESS@:2379,https://127.0.0.1:2379'

heartbeat-interval: 250
election-timeout: 2500
quota-backend-bytes: 4294967296

client-transport-security:
  cert-file: /etc/etcd/ssl/@HOST@.crt
  key-file: /etc/etcd/ssl/@HOST@.key
  client-cert-auth: true
  trusted-ca-file: /etc/etcd/ssl/ca.crt
# TLS between the members
peer-transport-security:
  cert-file: /etc/etcd/ssl/@HOST@.crt
  key-file: /etc/etcd/ssl/@HOST@.key
  client-cert-auth: true
  trusted-ca-file: /etc/etcd/ssl/ca.crt
  allowed-cns: [@HOST@]
"""

# githubixx's role -----------------------------------------------------------------------------------------------------

_GITHUBIXX_UNIT = """[Unit]
Description=etcd
After=network.target

[Service]
Type=notify
User=etcd
Group=etcd
ExecStart=/usr/local/bin/etcd \\
  --name @HOST@ \\
  --cert-file /etc/etcd/cert-etcd-server.pem \\
  --key-file /etc/etcd/cert-etcd-server-key.pem \\
  --trusted-ca-file /etc/etcd/ca-etcd.pem \\
  --peer-cert-file /etc/etcd/cert-etcd-peer.pem \\
  --peer-key-file /etc/etcd/cert-etcd-peer-key.pem \\
  --peer-trusted-ca-file /etc/etcd/ca-etcd.pem \\
  --peer-client-cert-auth=true \\
  --client-cert-auth=true \\
  --advertise-client-urls https://@ADDRESS@:2379 \\
  --initial-advertise-peer-urls https://@ADDRESS@:2380 \\
  --listen-peer-urls https://@ADDRESS@:2380 \\
  --listen-client-urls https://@ADDRESS@:2379,https://127.0.0.1:2379 \\
  --initial-cluster-token etcd-cluster-0 \\
  --initial-cluster @ALL_TLS@ \\
  --initial-cluster-state new \\
  --data-dir /var/lib/etcd/theirs \\
  --wal-dir "" \\
  --auto-compaction-retention 0 \\
  --snapshot-count 100000 \\
  --heartbeat-interval 100 \\
  --election-timeout 1000 \\
  --max-snapshots 5 \\
  --max-wals 5 \\
  --quota-backend-bytes 0 \\
  --logger zap \\
  --log-outputs stderr
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""
_GITHUBIXX_FILES = ("/etc/etcd/cert-etcd-peer.pem", "/etc/etcd/cert-etcd-peer-key.pem")
_GITHUBIXX_SERVER = ("/etc/etcd/cert-etcd-server.pem", "/etc/etcd/cert-etcd-server-key.pem")

# etcdadm --------------------------------------------------------------------------------------------------------------

_ETCDADM_UNIT = """[Unit]
Description=etcd
Documentation=https://github.com/kubernetes-sigs/etcdadm
Conflicts=etcd-member.service
Conflicts=etcd2.service

[Service]
EnvironmentFile=/etc/etcd/etcd.env
ExecStart=/opt/bin/etcd

Type=notify
TimeoutStartSec=0
Restart=on-failure
RestartSec=5s

LimitNOFILE=65536
Nice=-10
IOSchedulingClass=best-effort
IOSchedulingPriority=2
MemoryLow=200M

[Install]
WantedBy=multi-user.target
"""
_ETCDADM = """ETCD_NAME=@HOST@

# Initial cluster configuration
ETCD_INITIAL_CLUSTER=@ALL_TLS@
ETCD_INITIAL_CLUSTER_TOKEN=6b3f7d1e
ETCD_INITIAL_CLUSTER_STATE=new

# Peer configuration
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://@ADDRESS@:2380
ETCD_LISTEN_PEER_URLS=https://@ADDRESS@:2380

ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_FILE=/etc/etcd/pki/peer.crt
ETCD_PEER_KEY_FILE=/etc/etcd/pki/peer.key
ETCD_PEER_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt

# Client/server configuration
ETCD_ADVERTISE_CLIENT_URLS=https://@ADDRESS@:2379
ETCD_LISTEN_CLIENT_URLS=https://@ADDRESS@:2379,https://127.0.0.1:2379

ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_CERT_FILE=/etc/etcd/pki/server.crt
ETCD_KEY_FILE=/etc/etcd/pki/server.key
ETCD_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt

# Other
ETCD_DATA_DIR=/var/lib/etcd/theirs
ETCD_STRICT_RECONFIG_CHECK=true
GOMAXPROCS=2

# Logging configuration
ETCD_LOG_LEVEL=info
"""


_ETCDCTLS = "/etc/etcd/pki/etcdctl-etcd-client"


def _own(certificate: str, key: str, common_name: str = "@HOST@") -> tuple[Pair, ...]:
    return (Pair(certificate, key, common_name),)


_SSL_PAIR = ("/etc/etcd/ssl/@HOST@.crt", "/etc/etcd/ssl/@HOST@.key")
STORIES = {
    "kubespray": Story(
        Shape(
            unit=_KUBESPRAY_UNIT,
            files={"/etc/etcd.env": _KUBESPRAY},
            program="/usr/local/bin/etcd",
            authority=f"{_SSL}/ca.pem",
            pairs=_own(f"{_SSL}/member-@HOST@.pem", f"{_SSL}/member-@HOST@-key.pem", "etcd-member-@HOST@"),
        ),
        'etcd_extra_vars: {ETCD_PEER_CERT_ALLOWED_CN: "NAMES"} in kubespray\'s group_vars',
        frozenset((SHARED_CA,)),
    ),
    "debian": Story(
        Shape(
            unit=_DEBIAN_UNIT,
            unit_path=_DEBIANS_UNIT_PATH,
            files={"/etc/default/etcd": _DEBIAN_TLS},
            user="etcd",
            authority="/etc/etcd/ssl/ca.crt",
            pairs=_own(*_SSL_PAIR),
        ),
        "ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/default/etcd",
        frozenset((SHARED_CA,)),
    ),
    "autobase": Story(
        Shape(
            unit=_AUTOBASE_UNIT,
            files={"/etc/etcd/etcd.conf": _AUTOBASE_TLS.replace("@CLIENTS@", "true")},
            program="/usr/local/bin/etcd",
            user="etcd",
            authority="/etc/etcd/tls/ca.crt",
            pairs=_own(*_SERVER),
        ),
        "ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/etcd/etcd.conf",
        frozenset((SHARED_CA, NOT_SAID)),
        frozenset((NOT_SAID,)),
        lost=_AUTOBASE_LOST,
        put=_AUTOBASE_PUT,
    ),
    "guide": Story(
        Shape(
            unit=_GUIDE_UNIT,
            files={"/etc/etcd/etcd.yml": _GUIDE},
            user="etcd",
            authority="/etc/etcd/ssl/ca.crt",
            pairs=_own(*_SSL_PAIR),
        ),
        "peer-transport-security: {allowed-cn: [NAMES]} in /etc/etcd/etcd.yml",
        frozenset((SHARED_CA, ("warning", "config_file"))),
        frozenset((("warning", "config_file"),)),
    ),
    "githubixx": Story(
        Shape(
            unit=_GITHUBIXX_UNIT,
            files={},
            program="/usr/local/bin/etcd",
            user="etcd",
            authority="/etc/etcd/ca-etcd.pem",
            pairs=(Pair(*_GITHUBIXX_FILES, "@HOST@"), Pair(*_GITHUBIXX_SERVER, "etcd-server-@HOST@")),
        ),
        "[Service] Environment=ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/systemd/system/etcd.service.d/zz-peers.conf",
        frozenset((SHARED_CA,)),
    ),
    "etcdadm": Story(
        Shape(
            unit=_ETCDADM_UNIT,
            files={"/etc/etcd/etcd.env": _ETCDADM},
            program="/opt/bin/etcd",
            authority="/etc/etcd/pki/ca.crt",
            pairs=(
                Pair("/etc/etcd/pki/peer.crt", "/etc/etcd/pki/peer.key", "@HOST@"),
                Pair("/etc/etcd/pki/server.crt", "/etc/etcd/pki/server.key", "@HOST@"),
                Pair(
                    "/etc/etcd/pki/etcdctl-etcd-client.crt", "/etc/etcd/pki/etcdctl-etcd-client.key", "@HOST@-etcdctl"
                ),
            ),
        ),
        "ETCD_PEER_CERT_ALLOWED_CN=NAMES in /etc/etcd/etcd.env",
        frozenset((SHARED_CA, SAME_NAME)),
        # Its pair for clients has the host's name, too.
        left=frozenset((SAME_NAME,)),
        lost="Conflicts=etcd-member.service, Conflicts=etcd2.service, Nice=-10, IOSchedulingClass=best-effort, "
        "IOSchedulingPriority=2, MemoryLow=200M, the variable GOMAXPROCS",
        put={
            "Unit": {"Conflicts": "etcd-member.service etcd2.service"},
            "Service": {
                **_ROOT,
                "Nice": "-10",
                "IOSchedulingClass": "best-effort",
                "IOSchedulingPriority": "2",
                "MemoryLow": "200M",
                "Environment": "GOMAXPROCS=2",
            },
        },
        # The role's own folder is etcdadm's, too.
        variables={"etcd_peer_tls_directory": "/etc/etcd/ringfence"},
    ),
}
"""With a certificate of its own for each member."""

AS_THEY_COME = {
    "debian-http": Story(
        Shape(
            unit=_DEBIAN_UNIT,
            unit_path=_DEBIANS_UNIT_PATH,
            files={"/etc/default/etcd": _DEBIAN_HTTP},
            user="etcd",
        ),
        "ETCD_PEER_CERT_FILE=MEMBER.crt",
    ),
    "autobase-http": Story(
        Shape(
            unit=_AUTOBASE_UNIT,
            files={"/etc/etcd/etcd.conf": _AUTOBASE_HTTP},
            program="/usr/local/bin/etcd",
            user="etcd",
        ),
        "ETCD_PEER_CERT_FILE=MEMBER.crt",
        lost=_AUTOBASE_LOST,
        put=_AUTOBASE_PUT,
    ),
    "autobase-shared": Story(
        Shape(
            unit=_AUTOBASE_UNIT,
            files={"/etc/etcd/etcd.conf": _AUTOBASE_TLS.replace("@CLIENTS@", "false")},
            program="/usr/local/bin/etcd",
            user="etcd",
            authority="/etc/etcd/tls/ca.crt",
            pairs=_own(*_SERVER, "etcd"),
            is_shared=True,
        ),
        "ETCD_PEER_CERT_ALLOWED_CN=etcd in /etc/etcd/etcd.conf",
        frozenset((SHARED_CA, NOT_SAID, ("warning", "identity"))),
        lost=_AUTOBASE_LOST,
        put=_AUTOBASE_PUT,
    ),
    "githubixx-shared": Story(
        Shape(
            unit=_GITHUBIXX_UNIT,
            files={},
            program="/usr/local/bin/etcd",
            user="etcd",
            authority="/etc/etcd/ca-etcd.pem",
            pairs=(Pair(*_GITHUBIXX_FILES, "etcd-peer"), Pair(*_GITHUBIXX_SERVER, "etcd-server")),
            is_shared=True,
        ),
        "[Service] Environment=ETCD_PEER_CERT_ALLOWED_CN=etcd-peer in /etc/systemd/system/etcd.service.d/zz-peers.conf",
        frozenset((SHARED_CA, ("warning", "identity"))),
    ),
}
"""Where no list tells members apart: http, or one certificate for all."""

NAMES = (*STORIES, *AS_THEY_COME)
