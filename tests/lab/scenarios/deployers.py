# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters as other tools deploy them: the files that these write, on the lab's first three hosts."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import dataclass, replace

import deployer_texts
from deployer_texts import Texts, rendered
from forge import Forge
from ringfence_lab.lab import Lab
from support import PKI as CLIENT_PKI
from support import TRIO, Controller

PKI = "/etc/ssl/etcd/ssl"
UNIT = "/etc/systemd/system/etcd.service"
CONF = "/etc/etcd/etcd.yml"
# Booleans with a value and without, flags with their value behind a space and behind =.
_FLAGS = Texts("""[Unit]
Description=somebody's etcd
[Service]
Type=notify
User=@USER@
ExecStart=@ETCD@ --name @NAME@ --data-dir=@DATA@ \\
  --listen-peer-urls @PEER_URL@ --initial-advertise-peer-urls @PEER_URL@ \\
  --listen-client-urls @CLIENT_URLS@ --advertise-client-urls @CLIENT_URL@ \\
  --initial-cluster @PEERS@ --peer-cert-file=@PEER_CERT@ --peer-key-file=@PEER_KEY@ \\
  --peer-trusted-ca-file=@PEER_CA@ --peer-client-cert-auth
Restart=always
RestartSec=5s
[Install]
WantedBy=multi-user.target
""")


class Pair(t.NamedTuple):
    """A certificate with its key: where they are, and whose, with a mark for the host's name."""

    certificate: str
    key: str
    common_name: str

    def on(self, host: str) -> Pair:
        return Pair(*(rendered(text, {"NAME": host}) for text in self))


@dataclass(frozen=True)
class Shape:
    """How a tool deploys etcd: its texts, and what stands for their marks.

    ``file``: where it has the file that its unit names. ``pairs``: what it names beside its CA (``authority``) for each
    member, the peers' one first, the clients' one second where that is another. ``is_shared``: of each pair one for
    all. ``kinds``: all kinds of pairs lie in the folder, of which it takes what it names; else there are its own.
    ``schemes``: of the peers' URLs and of the clients'.
    """

    texts: Texts
    file: str = ""
    unit_path: str = UNIT
    program: str = "/usr/bin/etcd"
    user: str = "root"
    authority: str = ""
    pairs: tuple[Pair, ...] = ()
    is_shared: bool = False
    kinds: bool = False
    schemes: tuple[str, str] = ("https", "https")

    def values(self, host: str, addresses: t.Mapping[str, str]) -> dict[str, str]:
        """What stands on a host for the marks of the texts."""
        (peers, clients), address = self.schemes, addresses[host]
        found = {
            "NAME": host,
            "ETCD": self.program,
            "USER": self.user,
            "FILE": self.file,
            "DATA": "/var/lib/etcd/theirs",
            "PEER_URL": f"{peers}://{address}:2380",
            "PEERS": ",".join(f"{one}={peers}://{other}:2380" for one, other in addresses.items()),
            "CLIENT_URL": f"{clients}://{address}:2379",
            "CLIENT_URLS": f"{clients}://{address}:2379,{clients}://127.0.0.1:2379",
        }
        # The first one is for clients, too, where there is no second.
        for whose, pair in zip(("PEER_", ""), (*self.pairs[:2], *self.pairs[:1])):
            own = pair.on(host)
            found |= {f"{whose}CERT": own.certificate, f"{whose}KEY": own.key, f"{whose}CA": self.authority}
        return found


MEMBERS_PAIR = Pair(f"{PKI}/member-@NAME@.pem", f"{PKI}/member-@NAME@-key.pem", "etcd-member-@NAME@")
PAIR_FOR_ALL = Pair(f"{PKI}/peer.pem", f"{PKI}/peer-key.pem", "etcd")
_ALL_KINDS: dict[str, t.Any] = {"kinds": True, "authority": f"{PKI}/ca.pem", "pairs": (MEMBERS_PAIR,)}
GUIDE = Shape(deployer_texts.GUIDE, CONF, **_ALL_KINDS)
SHAPES = {
    "kubespray": Shape(deployer_texts.KUBESPRAY, "/etc/etcd.env", **_ALL_KINDS),
    "debian": Shape(deployer_texts.DEBIAN_HTTP, "/etc/default/etcd", schemes=("http", "http"), **_ALL_KINDS),
    "guide": replace(GUIDE, texts=GUIDE.texts.without_tls_of_clients(), schemes=("https", "http")),
    "flags": Shape(_FLAGS, schemes=("https", "http"), **{**_ALL_KINDS, "pairs": (PAIR_FOR_ALL,)}),
}
"""Where certificates of all kinds lie on the hosts. Only kubespray's and ``GUIDE`` have TLS for clients."""

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
                here, own = one.on(host), [address, "127.0.0.1", host]
                pair = made[one] if shape.is_shared else self.forge.certificate(here.common_name, *own, days=30)
                for path, text in zip((here.certificate, here.key), pair):
                    self.put(host, path, text)
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
        if shape.kinds:
            self.certificates_of_all_kinds()
        elif shape.pairs:
            self.certificates(shape)
        for host in self.addresses:
            values = shape.values(host, self.addresses)
            self.put(host, shape.unit_path, rendered(shape.texts.unit, values))
            if shape.file:
                self.put(host, shape.file, rendered(shape.texts.file, values))
        self.controller.on_each(TRIO, "systemctl daemon-reload && systemctl start etcd")

    def with_client(self, shape: Shape) -> None:
        """The cluster, and on each host the files that the lab's own client is used to."""
        self.deploy(shape)
        folder = f"mkdir -p {CLIENT_PKI} && cd {CLIENT_PKI} && cp -u {shape.authority} ca.crt 2>/dev/null"
        for host in TRIO:
            own = shape.pairs[0].on(host)
            self.lab.execute(host, f"{folder}; cp {own.certificate} {host}.crt && cp {own.key} {host}.key")

    def files(self) -> dict[str, str]:
        """What deployers own there. A unit that was kept when another came is nobody's."""
        return self.controller.on_each(
            TRIO,
            f"cd /etc && find systemd/system/etcd.service* {_UNIT_OF_A_PACKAGE} etcd.env default/etcd etcd/etcd.env "
            f"etcd/etcd.conf {CONF} -type f ! -name '*.replaced*' -exec sha256sum {{}} + 2>/dev/null | sort -k2",
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
