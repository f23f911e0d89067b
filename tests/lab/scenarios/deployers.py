# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters as other tools deploy them: the files that these write, on the lab's first three hosts."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import dataclass, field

from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI as CLIENT_PKI
from support import TRIO, Controller

PKI = "/etc/ssl/etcd/ssl"
UNIT = "/etc/systemd/system/etcd.service"
CONF = "/etc/etcd/etcd.yml"
_SERVICE = """[Unit]
Description=somebody's etcd
[Service]
Type=notify
User=root
LINES
Restart=always
RestartSec=5s
[Install]
WantedBy=multi-user.target
"""
# As kubespray's template renders.
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
# TLS settings
ETCD_TRUSTED_CA_FILE={PKI}/ca.pem
ETCD_CERT_FILE={PKI}/member-@HOST@.pem
ETCD_KEY_FILE={PKI}/member-@HOST@-key.pem
ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_TRUSTED_CA_FILE={PKI}/ca.pem
ETCD_PEER_CERT_FILE={PKI}/member-@HOST@.pem
ETCD_PEER_KEY_FILE={PKI}/member-@HOST@-key.pem
ETCD_PEER_CLIENT_CERT_AUTH=True
"""
_DEBIAN = """ETCD_NAME="@HOST@"
ETCD_DATA_DIR="/var/lib/etcd/theirs"
ETCD_LISTEN_PEER_URLS="http://@ADDRESS@:2380"
ETCD_LISTEN_CLIENT_URLS="http://@ADDRESS@:2379,http://127.0.0.1:2379"
ETCD_INITIAL_ADVERTISE_PEER_URLS="http://@ADDRESS@:2380"
ETCD_ADVERTISE_CLIENT_URLS="http://@ADDRESS@:2379"
ETCD_INITIAL_CLUSTER="@ALL@"
"""
_GUIDE = f"""name: @HOST@
data-dir: /var/lib/etcd/theirs
listen-peer-urls: https://@ADDRESS@:2380
listen-client-urls: http://@ADDRESS@:2379,http://127.0.0.1:2379
initial-advertise-peer-urls: https://@ADDRESS@:2380
advertise-client-urls: http://@ADDRESS@:2379
initial-cluster: @ALL_TLS@
peer-transport-security:
  cert-file: {PKI}/member-@HOST@.pem
  key-file: {PKI}/member-@HOST@-key.pem
  trusted-ca-file: {PKI}/ca.pem
  client-cert-auth: true
  allowed-cns: [etcd-member-etcd-1, etcd-member-etcd-2, etcd-member-etcd-3]
"""
_FLAGS = f"""ExecStart=/usr/bin/etcd --name @HOST@ --data-dir=/var/lib/etcd/theirs \\
  --listen-peer-urls https://@ADDRESS@:2380 --initial-advertise-peer-urls https://@ADDRESS@:2380 \\
  --listen-client-urls http://@ADDRESS@:2379,http://127.0.0.1:2379 --advertise-client-urls http://@ADDRESS@:2379 \\
  --initial-cluster @ALL_TLS@ --peer-cert-file={PKI}/peer.pem --peer-key-file={PKI}/peer-key.pem \\
  --peer-trusted-ca-file={PKI}/ca.pem --peer-client-cert-auth"""


class Pair(t.NamedTuple):
    """A certificate with its key: where they are, and whose."""

    certificate: str
    key: str
    common_name: str


@dataclass(frozen=True)
class Shape:
    """How a tool deploys etcd: its unit and the files that this names, with marks for what differs by host.

    ``pairs``: what it makes beside its CA (``authority``) for each member, the peers' one first. ``is_shared``: of each
    pair one for all. Without any there is a pair of each kind in one folder, of which the shape takes what it names.
    """

    unit: str
    files: dict[str, str] = field(default_factory=dict)
    unit_path: str = UNIT
    program: str = "/usr/bin/etcd"
    user: str = "root"
    authority: str = ""
    pairs: tuple[Pair, ...] = ()
    is_shared: bool = False


def shape(lines: str, files: dict[str, str] | None = None) -> Shape:
    """By the lines of the unit that differ from tool to tool."""
    return Shape(_SERVICE.replace("LINES", lines), files or {})


SHAPES = {
    "kubespray": shape("EnvironmentFile=-/etc/etcd.env\nExecStart=/usr/bin/etcd", {"/etc/etcd.env": _KUBESPRAY}),
    "debian": shape(
        "EnvironmentFile=-/etc/default/%p\nExecStart=/usr/bin/etcd $DAEMON_ARGS", {"/etc/default/etcd": _DEBIAN}
    ),
    "guide": shape(f"ExecStart=/usr/bin/etcd --config-file={CONF}", {CONF: _GUIDE}),
    "flags": shape(_FLAGS),
}
_UNIT_OF_A_PACKAGE = "/usr/lib/systemd/system/etcd.service"
# All that any of them may leave on a host.
_LEFT = (
    f"{UNIT} {UNIT}.d {_UNIT_OF_A_PACKAGE} /etc/etcd.env /etc/default/etcd /etc/etcd {PKI} "
    "/var/lib/etcd/theirs /usr/local/bin/etcd /opt/bin/etcd"
)


class SomebodysCluster:
    """The hosts, with the certificates that such a tool leaves there."""

    def __init__(self, controller: Controller, lab: Lab) -> None:
        self.controller, self.lab = controller, lab
        self.forge = Forge(common_name="etcd-ca")
        self.addresses = {host: lab.host(host).address for host in TRIO}
        self.inventory = controller.inventory()

    def put(self, host: str, path: str, text: str) -> None:
        folder = shlex.quote(path.rpartition("/")[0])
        self.lab.execute(host, f"mkdir -p {folder} && printf %s {shlex.quote(text)} > {shlex.quote(path)}")

    def certificates(self, shape: Shape) -> None:
        everywhere = [*self.addresses.values(), "127.0.0.1", *TRIO]
        made = {one: self.forge.certificate(one.common_name, *everywhere, days=30) for one in shape.pairs}
        folder = shape.authority.rpartition("/")[0]
        for host, address in self.addresses.items():
            self.put(host, shape.authority, self.forge.ca_pem)
            for one in shape.pairs:
                name, own = one.common_name.replace("@HOST@", host), [address, "127.0.0.1", host]
                pair = made[one] if shape.is_shared else self.forge.certificate(name, *own, days=30)
                for path, text in zip((one.certificate, one.key), pair):
                    self.put(host, path.replace("@HOST@", host), text)
            if host == "etcd-1":
                worker = self.forge.certificate("etcd-node-worker-1", *everywhere, days=30)
                for path, text in zip((f"{folder}/node-worker-1.pem", f"{folder}/node-worker-1-key.pem"), worker):
                    self.put(host, path, text)
            self.lab.execute(host, f"chown -R {shape.user}: {folder}")

    def certificates_of_all_kinds(self) -> None:
        """One CA for all: a member's pair on its host, one for all beside it; an admin's and a worker's on etcd-1."""
        everywhere = [*self.addresses.values(), "127.0.0.1", *TRIO]
        shared = self.forge.certificate("etcd", *everywhere, days=30)
        for host in TRIO:
            self.put(host, f"{PKI}/ca.pem", self.forge.ca_pem)
            named = {f"member-{host}": self.forge.certificate(f"etcd-member-{host}", *everywhere, days=30)}
            named["peer"] = shared
            if host == "etcd-1":
                named["admin-etcd-1"] = self.forge.certificate("etcd-admin-etcd-1", *everywhere, days=30)
                named["node-worker-1"] = self.forge.certificate("etcd-node-worker-1", *everywhere, days=30)
            for name, (certificate, key) in named.items():
                self.put(host, f"{PKI}/{name}.pem", certificate)
                self.put(host, f"{PKI}/{name}-key.pem", key)

    def deploy(self, shape: Shape) -> None:
        prepare = [f"systemctl stop etcd 2>/dev/null; rm -rf {_LEFT}"]
        if shape.program != "/usr/bin/etcd":
            prepare.append(f"install -D /usr/bin/etcd {shape.program}")
        if shape.user != "root":
            prepare.append(f"id {shape.user} >/dev/null 2>&1 || useradd --system {shape.user}")
            prepare.append(f"mkdir -p /var/lib/etcd && chown {shape.user}: /var/lib/etcd")
        self.controller.on_each(TRIO, "; ".join(prepare))
        if shape.pairs:
            self.certificates(shape)
        elif shape.user == "root":
            self.certificates_of_all_kinds()
        for host, address in self.addresses.items():
            for path, text in {shape.unit_path: shape.unit, **shape.files}.items():
                made = text.replace("@HOST@", host).replace("@ADDRESS@", address)
                for mark, scheme in (("@ALL_TLS@", "https"), ("@ALL@", "http")):
                    peers = ",".join(f"{one}={scheme}://{other}:2380" for one, other in self.addresses.items())
                    made = made.replace(mark, peers)
                self.put(host, path, made)
        self.controller.on_each(TRIO, "systemctl daemon-reload && systemctl start etcd")

    def with_client(self, shape: Shape) -> None:
        """The cluster, and on each host the files that the lab's own client is used to."""
        self.deploy(shape)
        authority = shape.authority or f"{PKI}/ca.pem"
        own = (shape.pairs or (Pair(f"{PKI}/member-@HOST@.pem", f"{PKI}/member-@HOST@-key.pem", ""),))[0]
        folder = f"mkdir -p {CLIENT_PKI} && cd {CLIENT_PKI} && cp -u {authority} ca.crt 2>/dev/null"
        for host in TRIO:
            certificate, key = (path.replace("@HOST@", host) for path in (own.certificate, own.key))
            self.lab.execute(host, f"{folder}; cp {certificate} {host}.crt && cp {key} {host}.key")

    def files(self) -> dict[str, str]:
        return self.controller.on_each(
            TRIO,
            f"cd /etc && find systemd/system/etcd.service* {_UNIT_OF_A_PACKAGE} etcd.env default/etcd etcd/etcd.env "
            f"etcd/etcd.conf {CONF} -type f -exec sha256sum {{}} + 2>/dev/null | sort -k2",
        )

    def member_ids(self) -> set[str]:
        listed = json.loads(self.controller.etcdctl("etcd-1", "member list --write-out=json"))
        return {str(member["ID"]) for member in listed["members"]}

    def restart(self) -> None:
        for host in TRIO:
            self.lab.execute(host, "systemctl daemon-reload && systemctl restart etcd")

    def clear(self) -> None:
        """Nothing is left of it."""
        self.controller.on_each(TRIO, f"systemctl disable --now etcd; rm -rf {_LEFT}; systemctl daemon-reload")
