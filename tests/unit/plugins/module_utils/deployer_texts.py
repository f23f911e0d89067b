# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What deployers of etcd write: their units, with the environment or configuration file that these name, whole.

The lab has them on real hosts, and the unit tests on loopback. What is another one on each host stands there as a mark,
which ``rendered`` fills in. Certificates: @CERT@, @KEY@ and @CA@ are what clients meet, @PEER_CERT@ and so on what
peers do. @PEERS@ is the initial cluster, and @CLIENT_URLS@ where etcd listens for clients.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

_OF_CLIENTS = re.compile(
    r"^client-transport-security:\n(?: .*\n)+"
    r"|^(?: *--|ETCD_)(?:cert.file|key.file|trusted.ca.file|client.cert.auth)\b.*\n",
    re.IGNORECASE | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Texts:
    """Of one tool.

    ``lost``: what an adoption says that their unit has and the role's has not; ``put``: the same in
    ``etcd_peer_tls_extra_unit_settings``.
    """

    unit: str
    file: str = ""
    lost: str = ""
    put: t.Mapping[str, t.Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def but(self, *changes: tuple[str, str]) -> Texts:
        """With other words in the file, each in the place of some that are there."""
        file = self.file
        for old, new in changes:
            assert old in file, old
            file = file.replace(old, new)
        return dataclasses.replace(self, file=file)

    def without_tls_of_clients(self) -> Texts:
        unit, file = (_OF_CLIENTS.sub("", text) for text in (self.unit, self.file))
        return dataclasses.replace(self, unit=unit, file=file)

    def put_by(self, user: str) -> dict[str, t.Mapping[str, str]]:
        """What an operator puts into the inventory; an etcd of root keeps root's rights on files."""
        of_root = {"CapabilityBoundingSet": "CAP_DAC_OVERRIDE"} if user == "root" else {}
        return {**self.put, "Service": {**of_root, **self.put.get("Service", {})}}


def rendered(text: str, values: t.Mapping[str, str]) -> str:
    """With a value for each mark; one that has none is a KeyError."""
    return re.sub(r"@([A-Z_]+)@", lambda mark: values[mark[1]], text)


KUBESPRAY = Texts(
    unit="""[Unit]
Description=etcd
After=network.target

[Service]
Type=notify
User=@USER@
EnvironmentFile=@FILE@
ExecStart=@ETCD@
NotifyAccess=all
Restart=always
RestartSec=10s
LimitNOFILE=40000

[Install]
WantedBy=multi-user.target
""",
    file="""# Environment file for etcd
ETCD_DATA_DIR=@DATA@
ETCD_ADVERTISE_CLIENT_URLS=@CLIENT_URL@
ETCD_INITIAL_ADVERTISE_PEER_URLS=@PEER_URL@
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_METRICS=basic
ETCD_LISTEN_CLIENT_URLS=@CLIENT_URLS@
ETCD_ELECTION_TIMEOUT=5000
ETCD_HEARTBEAT_INTERVAL=250
ETCD_INITIAL_CLUSTER_TOKEN=k8s_etcd
ETCD_LISTEN_PEER_URLS=@PEER_URL@
ETCD_NAME=@NAME@
ETCD_INITIAL_CLUSTER=@PEERS@
ETCD_AUTO_COMPACTION_RETENTION=8
ETCD_SNAPSHOT_COUNT=100000

# TLS settings
ETCD_TRUSTED_CA_FILE=@CA@
ETCD_CERT_FILE=@CERT@
ETCD_KEY_FILE=@KEY@
ETCD_CLIENT_CERT_AUTH=true

ETCD_PEER_TRUSTED_CA_FILE=@PEER_CA@
ETCD_PEER_CERT_FILE=@PEER_CERT@
ETCD_PEER_KEY_FILE=@PEER_KEY@
ETCD_PEER_CLIENT_CERT_AUTH=True

# CLI settings
ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
ETCDCTL_CACERT=@CA@
ETCDCTL_KEY=/etc/ssl/etcd/ssl/admin-@NAME@-key.pem
ETCDCTL_CERT=/etc/ssl/etcd/ssl/admin-@NAME@.pem
""",
)

# The file of the unit is /etc/default/etcd. A member's name is its host's, by the unit.
DEBIAN_HTTP = Texts(
    unit="""[Unit]
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
User=@USER@
PermissionsStartOnly=true
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) @ETCD@ $DAEMON_ARGS"
ExecStart=@ETCD@ $DAEMON_ARGS
Restart=on-abnormal
#RestartSec=10s
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
Alias=etcd2.service
""",
    file="""## etcd(1) daemon options
ETCD_DATA_DIR="@DATA@"
ETCD_LISTEN_PEER_URLS="@PEER_URL@"
ETCD_LISTEN_CLIENT_URLS="@CLIENT_URLS@"
ETCD_INITIAL_ADVERTISE_PEER_URLS="@PEER_URL@"
ETCD_ADVERTISE_CLIENT_URLS="@CLIENT_URL@"
ETCD_INITIAL_CLUSTER="@PEERS@"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_INITIAL_CLUSTER_TOKEN="etcd-cluster"
""",
)
DEBIAN = dataclasses.replace(
    DEBIAN_HTTP,
    file=f"""{DEBIAN_HTTP.file}
DAEMON_ARGS="--cert-file=@CERT@ --key-file=@KEY@ --client-cert-auth"
ETCD_TRUSTED_CA_FILE="@CA@"
ETCD_PEER_CERT_FILE="@PEER_CERT@"
ETCD_PEER_KEY_FILE="@PEER_KEY@"
ETCD_PEER_TRUSTED_CA_FILE="@PEER_CA@"
ETCD_PEER_CLIENT_CERT_AUTH="true"
""",
)

AUTOBASE_HTTP = Texts(
    unit="""[Unit]
Description=Etcd Server
After=network.target
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
WorkingDirectory=/var/lib/etcd
EnvironmentFile=-@FILE@
User=@USER@
# set GOMAXPROCS to number of processors
ExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) @ETCD@"
Restart=on-failure
RestartSec=10
StartLimitInterval=0
TimeoutStartSec=180
LimitNOFILE=65536

IOSchedulingClass=realtime
IOSchedulingPriority=0
Nice=-20

[Install]
WantedBy=multi-user.target
""",
    file="""ETCD_NAME="@NAME@"
ETCD_LISTEN_CLIENT_URLS="@CLIENT_URLS@"
ETCD_ADVERTISE_CLIENT_URLS="@CLIENT_URL@"
ETCD_LISTEN_PEER_URLS="@PEER_URL@"
ETCD_INITIAL_ADVERTISE_PEER_URLS="@PEER_URL@"
ETCD_INITIAL_CLUSTER_TOKEN="etcd-postgres-cluster"
ETCD_INITIAL_CLUSTER="@PEERS@"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_DATA_DIR="@DATA@"
ETCD_ELECTION_TIMEOUT="5000"
ETCD_HEARTBEAT_INTERVAL="1000"
ETCD_INITIAL_ELECTION_TICK_ADVANCE="false"
ETCD_AUTO_COMPACTION_RETENTION="1"
""",
    lost="IOSchedulingClass=realtime, IOSchedulingPriority=0, Nice=-20",
    put={"Service": {"IOSchedulingClass": "realtime", "IOSchedulingPriority": "0", "Nice": "-20"}},
)
# With a CA etcd asks peers for a certificate all the same.
AUTOBASE = dataclasses.replace(
    AUTOBASE_HTTP,
    file=f"""{AUTOBASE_HTTP.file}\
ETCD_CERT_FILE="@CERT@"
ETCD_KEY_FILE="@KEY@"
ETCD_TRUSTED_CA_FILE="@CA@"
ETCD_PEER_CERT_FILE="@PEER_CERT@"
ETCD_PEER_KEY_FILE="@PEER_KEY@"
ETCD_PEER_TRUSTED_CA_FILE="@PEER_CA@"
ETCD_PEER_CLIENT_CERT_AUTH="false"
ETCD_CLIENT_CERT_AUTH="false"
ETCD_TLS_MIN_VERSION="TLS1.2"
""",
)

# Its list of names is one that etcd does not know.
GUIDE = Texts(
    unit="""[Unit]
Description=etcd key-value store
Documentation=https://github.com/etcd-io/etcd
After=network.target

[Service]
Type=notify
User=@USER@
ExecStart=@ETCD@ --config-file @FILE@
Restart=always
RestartSec=10s
LimitNOFILE=40000

[Install]
WantedBy=multi-user.target
""",
    file="""name: '@NAME@'
data-dir: @DATA@
initial-cluster-state: 'new'
initial-cluster-token: 'patroni'
initial-cluster: '@PEERS@'
initial-advertise-peer-urls: '@PEER_URL@'
listen-peer-urls: '@PEER_URL@'
advertise-client-urls: '@CLIENT_URL@'
listen-client-urls: '@CLIENT_URLS@'

heartbeat-interval: 250
election-timeout: 2500
quota-backend-bytes: 4294967296

client-transport-security:
  cert-file: @CERT@
  key-file: @KEY@
  client-cert-auth: true
  trusted-ca-file: @CA@
# TLS between the members
peer-transport-security:
  cert-file: @PEER_CERT@
  key-file: @PEER_KEY@
  client-cert-auth: true
  trusted-ca-file: @PEER_CA@
  allowed-cns: [@NAME@]
""",
)

GITHUBIXX = Texts(
    unit="""[Unit]
Description=etcd
After=network.target

[Service]
Type=notify
User=@USER@
Group=@USER@
ExecStart=@ETCD@ \\
  --name @NAME@ \\
  --cert-file @CERT@ \\
  --key-file @KEY@ \\
  --trusted-ca-file @CA@ \\
  --peer-cert-file @PEER_CERT@ \\
  --peer-key-file @PEER_KEY@ \\
  --peer-trusted-ca-file @PEER_CA@ \\
  --peer-client-cert-auth=true \\
  --client-cert-auth=true \\
  --advertise-client-urls @CLIENT_URL@ \\
  --initial-advertise-peer-urls @PEER_URL@ \\
  --listen-peer-urls @PEER_URL@ \\
  --listen-client-urls @CLIENT_URLS@ \\
  --initial-cluster-token etcd-cluster-0 \\
  --initial-cluster @PEERS@ \\
  --initial-cluster-state new \\
  --data-dir @DATA@ \\
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
""",
)

ETCDADM = Texts(
    unit="""[Unit]
Description=etcd
Documentation=https://github.com/kubernetes-sigs/etcdadm
Conflicts=etcd-member.service
Conflicts=etcd2.service

[Service]
EnvironmentFile=@FILE@
ExecStart=@ETCD@

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
""",
    file="""ETCD_NAME=@NAME@

# Initial cluster configuration
ETCD_INITIAL_CLUSTER=@PEERS@
ETCD_INITIAL_CLUSTER_TOKEN=6b3f7d1e
ETCD_INITIAL_CLUSTER_STATE=new

# Peer configuration
ETCD_INITIAL_ADVERTISE_PEER_URLS=@PEER_URL@
ETCD_LISTEN_PEER_URLS=@PEER_URL@

ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_FILE=@PEER_CERT@
ETCD_PEER_KEY_FILE=@PEER_KEY@
ETCD_PEER_TRUSTED_CA_FILE=@PEER_CA@

# Client/server configuration
ETCD_ADVERTISE_CLIENT_URLS=@CLIENT_URL@
ETCD_LISTEN_CLIENT_URLS=@CLIENT_URLS@

ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_CERT_FILE=@CERT@
ETCD_KEY_FILE=@KEY@
ETCD_TRUSTED_CA_FILE=@CA@

# Other
ETCD_DATA_DIR=@DATA@
ETCD_STRICT_RECONFIG_CHECK=true
GOMAXPROCS=2

# Logging configuration
ETCD_LOG_LEVEL=info
""",
    lost="Conflicts=etcd-member.service, Conflicts=etcd2.service, Nice=-10, IOSchedulingClass=best-effort, "
    "IOSchedulingPriority=2, MemoryLow=200M, the variable GOMAXPROCS",
    put={
        "Unit": {"Conflicts": "etcd-member.service etcd2.service"},
        "Service": {
            "Nice": "-10",
            "IOSchedulingClass": "best-effort",
            "IOSchedulingPriority": "2",
            "MemoryLow": "200M",
            "Environment": "GOMAXPROCS=2",
        },
    },
)
