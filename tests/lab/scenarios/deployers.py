# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters as other tools deploy them: the files that these write, on the lab's first three hosts."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI as CLIENT_PKI
from support import TRIO, Controller, Run

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


@dataclass(frozen=True)
class Shape:
    """How a tool deploys etcd: the unit's own lines and the files that they name."""

    lines: str
    files: dict[str, str] = field(default_factory=dict)


SHAPES = {
    "kubespray": Shape("EnvironmentFile=-/etc/etcd.env\nExecStart=/usr/bin/etcd", {"/etc/etcd.env": _KUBESPRAY}),
    "debian": Shape(
        "EnvironmentFile=-/etc/default/%p\nExecStart=/usr/bin/etcd $DAEMON_ARGS", {"/etc/default/etcd": _DEBIAN}
    ),
    "guide": Shape(f"ExecStart=/usr/bin/etcd --config-file={CONF}", {CONF: _GUIDE}),
    "flags": Shape(_FLAGS),
}


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

    def certificates(self) -> None:
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
        self.controller.on_each(
            TRIO,
            f"systemctl stop etcd 2>/dev/null; rm -rf /var/lib/etcd/theirs {UNIT}.d /etc/etcd.env /etc/default/etcd "
            f"{CONF} {PKI}; true",
        )
        self.certificates()
        for host, address in self.addresses.items():
            for path, text in {UNIT: _SERVICE.replace("LINES", shape.lines), **shape.files}.items():
                made = text.replace("@HOST@", host).replace("@ADDRESS@", address)
                for mark, scheme in (("@ALL_TLS@", "https"), ("@ALL@", "http")):
                    peers = ",".join(f"{one}={scheme}://{other}:2380" for one, other in self.addresses.items())
                    made = made.replace(mark, peers)
                self.put(host, path, made)
        self.controller.on_each(TRIO, "systemctl daemon-reload && systemctl start etcd")

    def with_client(self, shape: Shape) -> None:
        """The cluster, and on each host the files that the lab's own client is used to."""
        self.deploy(shape)
        folder = f"mkdir -p {CLIENT_PKI} && cd {CLIENT_PKI} && cp {PKI}/ca.pem ca.crt"
        for host in TRIO:
            pair = f"cp {PKI}/member-{host}.pem {host}.crt && cp {PKI}/member-{host}-key.pem {host}.key"
            self.lab.execute(host, f"{folder} && {pair}")

    def files(self) -> dict[str, str]:
        return self.controller.on_each(
            TRIO,
            f"cd /etc && find systemd/system/etcd.service* etcd.env {CONF} -type f -exec sha256sum {{}} + | sort -k2",
        )

    def member_ids(self) -> set[str]:
        listed = json.loads(self.controller.etcdctl("etcd-1", "member list --write-out=json"))
        return {str(member["ID"]) for member in listed["members"]}

    def restart(self) -> None:
        for host in TRIO:
            self.lab.execute(host, "systemctl daemon-reload && systemctl restart etcd")

    def clear(self) -> None:
        """Nothing is left of it."""
        self.controller.on_each(
            TRIO, f"systemctl disable --now etcd; rm -rf {UNIT} {UNIT}.d /etc/etcd.env /etc/default/etcd {CONF} {PKI}"
        )


class Adopted(SomebodysCluster):
    """One before its adoption and after."""

    def play(self, *words: str, playbook: str = "adopt", **variables: t.Any) -> Run:
        return self.controller.play(
            self.inventory,
            *words,
            playbook=self.controller.named(playbook),
            etcd_peer_tls_snapshot_directory=str(self.controller.folder / "snapshots"),
            **variables,
        )

    def succeed(self, *words: str, **variables: t.Any) -> Run:
        run = self.play(*words, **variables)
        assert run.returncode == 0, run.output[-12000:]
        assert "PRIVATE KEY" not in run.output
        return run

    def told(self, *said: str) -> dict[str, t.Any]:
        """The variables that a run prints which refuses with these words; then nothing was changed."""
        run = self.play()
        assert run.returncode != 0 and "Traceback" not in run.output, run.output[-6000:]
        assert not any(run.changed.values()), run.output[-6000:]
        printed = " ".join(run.output.split())
        assert all(one in printed for one in ("nothing is adopted: ", *said)), run.output[-6000:]
        _before, _variable, rest = run.output.partition('"__etcd_peer_tls_told.variables": ')
        made: dict[str, t.Any] = json.JSONDecoder().raw_decode(rest)[0]
        return made

    def put_into_inventory(self, told: t.Mapping[str, t.Any]) -> None:
        """What was printed, and the CA that signed the members' certificates."""
        key = self.forge.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        authority = {"ca_certificate": self.forge.ca_pem, "ca_private_key": key.decode()}
        common = {**told["vars"], **{f"etcd_peer_tls_{name}": value for name, value in authority.items()}}
        self.inventory = self.controller.inventory(host_variables=told["hosts"], **common)
