# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that somebody else deployed, audited as they are, and again with the line that the audit printed.

One cluster after the other on the same three hosts, with the files that those tools write. Before: right on every
finding, and no false one. After: clean, and exit code 0. The audit itself changes nothing.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from dataclasses import dataclass, field

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
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
ETCD_DATA_DIR=/var/lib/etcd/audited
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
ETCD_DATA_DIR="/var/lib/etcd/audited"
ETCD_LISTEN_PEER_URLS="http://@ADDRESS@:2380"
ETCD_LISTEN_CLIENT_URLS="http://@ADDRESS@:2379,http://127.0.0.1:2379"
ETCD_INITIAL_ADVERTISE_PEER_URLS="http://@ADDRESS@:2380"
ETCD_ADVERTISE_CLIENT_URLS="http://@ADDRESS@:2379"
ETCD_INITIAL_CLUSTER="@ALL@"
"""
_GUIDE = f"""name: @HOST@
data-dir: /var/lib/etcd/audited
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
_FLAGS = f"""ExecStart=/usr/bin/etcd --name @HOST@ --data-dir=/var/lib/etcd/audited \\
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
MEMBERS_NAMES = "etcd-member-etcd-1,etcd-member-etcd-2,etcd-member-etcd-3"


class Audited:
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
            f"systemctl stop etcd 2>/dev/null; rm -rf /var/lib/etcd/audited {UNIT}.d /etc/etcd.env /etc/default/etcd "
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

    def restart(self) -> None:
        for host in TRIO:
            self.lab.execute(host, "systemctl daemon-reload && systemctl restart etcd")

    def audit(self, **variables: t.Any) -> tuple[Run, dict[str, t.Any]]:
        report = self.controller.folder / "audit.json"
        report.unlink(missing_ok=True)
        before = self.controller.processes()
        playbook = self.controller.named("audit")
        run = self.controller.play(
            self.inventory, playbook=playbook, etcd_peer_tls_report_json=str(report), **variables
        )
        assert report.exists() and "Traceback" not in run.output, run.output[-8000:]
        assert not any(run.changed.values()) and self.controller.processes() == before
        assert "PRIVATE KEY" not in run.output
        return run, json.loads(report.read_text())


@pytest.fixture(scope="module")
def audited(controller: Controller, lab: Lab) -> t.Iterator[Audited]:
    controller.bare()
    made = Audited(controller, lab)
    yield made
    controller.on_each(
        TRIO, f"systemctl disable --now etcd; rm -rf {UNIT} {UNIT}.d /etc/etcd.env /etc/default/etcd {PKI}"
    )


def failed(audit: dict[str, t.Any]) -> set[tuple[str, str]]:
    return {(finding["code"], finding["subject"]) for finding in audit["findings"] if finding["verdict"] == "failed"}


def others(audit: dict[str, t.Any]) -> set[tuple[str, str]]:
    return {(one["verdict"], one["code"]) for one in audit["findings"] if one["verdict"] != "failed"}


def remedy(audit: dict[str, t.Any], code: str) -> str:
    (line,) = {finding["remedy"] for finding in audit["findings"] if finding["code"] == code}
    return str(line)


EVERYBODY = ", ".join(TRIO)
OPEN = {("allowed_common_names", EVERYBODY), ("strangers", EVERYBODY)}


def assert_clean(run: Run, audit: dict[str, t.Any], warnings: t.Collection[tuple[str, str]] = ()) -> None:
    assert run.returncode == 0, run.output[-8000:]
    assert failed(audit) == set() and others(audit) == set(warnings), audit["findings"]
    assert audit["verdict"] == "proved" and audit["passed"] and audit["let_in"] == []


def test_kubespray(audited: Audited) -> None:
    audited.deploy(SHAPES["kubespray"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    # Clients and peers have one CA there, and nothing stands between them. All that may lie on etcd-1 gets in.
    assert others(before) == {("warning", "client_authority")}
    inside = {(one["host"], one["common_name"]) for one in before["let_in"]}
    assert {("etcd-1", "etcd-admin-etcd-1"), ("etcd-1", "etcd-node-worker-1")} <= inside
    # The pair for all, which no member presents, lies on each of them.
    assert inside == {("etcd-1", "etcd-admin-etcd-1"), ("etcd-1", "etcd-node-worker-1")} | {
        (host, "etcd") for host in TRIO
    }
    line = remedy(before, "allowed_common_names")
    match = re.fullmatch(
        r'etcd_extra_vars: \{ETCD_PEER_CERT_ALLOWED_CN: "(\S+)"\} in kubespray\'s group_vars, which is '
        r"(ETCD_PEER_CERT_ALLOWED_CN=\S+) in /etc/etcd.env, then restart one member at a time",
        line,
    )
    assert match is not None and match[1] == MEMBERS_NAMES, line
    audited.controller.on_each(TRIO, f"echo {shlex.quote(match[2])} >> /etc/etcd.env")
    audited.restart()
    assert_clean(*audited.audit())


def test_debian(audited: Audited) -> None:
    """Without TLS whoever reaches the port is a peer."""
    audited.deploy(SHAPES["debian"])
    run, audit = audited.audit()
    assert run.returncode != 0 and failed(audit) == {("peer_tls", EVERYBODY)}, audit["findings"]
    assert others(audit) == set()
    line = remedy(audit, "peer_tls")
    assert "ETCD_PEER_CERT_FILE=MEMBER.crt" in line and "in /etc/default/etcd, on one member after the other" in line
    assert {pair["verdict"] for pair in audit["pairs"] if pair["case"] == "no_certificate"} == {"failed"}


def test_a_guide_with_a_configuration_file(audited: Audited) -> None:
    """Its list has a name that etcd does not know, so that there is none."""
    audited.deploy(SHAPES["guide"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    assert others(before) == {("warning", "config_file")}
    line = remedy(before, "allowed_common_names")
    match = re.fullmatch(
        rf"peer-transport-security: \{{(allowed-cn: \[.*\])\}} in {CONF}, then restart one member at a time", line
    )
    assert match is not None, line
    audited.controller.on_each(TRIO, f"sed -i {shlex.quote(f's/^  allowed-cns: .*/  {match[1]}/')} {CONF}")
    # A restart is due, and until then the file says nothing of what runs.
    run, between = audited.audit()
    assert run.returncode != 0 and ("unproved", "process_current") in others(between)
    audited.restart()
    assert_clean(*audited.audit())


def test_flags_with_one_certificate_for_all(audited: Audited) -> None:
    audited.deploy(SHAPES["flags"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    assert others(before) == {("warning", "identity")}
    line = remedy(before, "allowed_common_names")
    dropin = "/etc/systemd/system/etcd.service.d/zz-peers.conf"
    match = re.fullmatch(rf"(\[Service\]) (\S+) in {dropin}, then restart one member at a time", line)
    assert match is not None and match[2] == "Environment=ETCD_PEER_CERT_ALLOWED_CN=etcd", line
    for host in TRIO:
        audited.put(host, dropin, f"{match[1]}\n{match[2]}\n")
    audited.restart()
    # The list fences, and all members are one to it.
    assert_clean(*audited.audit(), warnings={("warning", "identity")})
