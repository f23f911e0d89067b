# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of the hosts of an audit, as the two modules give them: a fenced cluster, and what a test changes."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.document import Question, documents
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.findings import Limits
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    NOW,
    Issued,
    issue,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole
from cryptography.hazmat.primitives import hashes

INFO, PROBE = schema_of("etcd_process_info", "etcd_peer_info"), schema_of("etcd_process_probe")
HOSTS = ("etcd-1", "etcd-2", "etcd-3")
WORKER = "worker-1"
LIST = "member-etcd-1,member-etcd-2,member-etcd-3"
CA = issue("etcd-ca", is_ca=True)


@functools.cache
def pair(common_name: str | None) -> Issued:
    """A pair of the cluster's CA, the same one for a name."""
    return issue(common_name, CA)


def fingerprint(issued: Issued) -> str:
    return issued.certificate.fingerprint(hashes.SHA256()).hex()


def url(host: str) -> str:
    return f"https://10.0.0.{host[-1]}:2380"


def member_id(host: str) -> str:
    return f"a{host[-1]}"


def flags(host: str) -> dict[str, str]:
    """As kubespray gives them, fenced."""
    pki = "/etc/ssl/etcd/ssl"
    return {
        "name": host,
        "data-dir": "/var/lib/etcd",
        "listen-peer-urls": url(host),
        "initial-advertise-peer-urls": url(host),
        "listen-client-urls": f"https://10.0.0.{host[-1]}:2379",
        "advertise-client-urls": f"https://10.0.0.{host[-1]}:2379",
        "initial-cluster": ",".join(f"{one}={url(one)}" for one in HOSTS),
        "trusted-ca-file": f"{pki}/ca.pem",
        "peer-trusted-ca-file": f"{pki}/ca.pem",
        "peer-cert-file": f"{pki}/member-{host}.pem",
        "peer-key-file": f"{pki}/member-{host}-key.pem",
        "peer-client-cert-auth": "True",
        "peer-cert-allowed-cn": LIST,
    }


def settings_of(given: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    words = [f"--{flag}={value}" for flag, value in given.items() if value is not None]
    return t.cast("dict[str, t.Any]", deployed_from_arguments(["etcd", *words]))


def process(host: str, changed_flags: t.Mapping[str, str | None] | None = None, **changes: t.Any) -> dict[str, t.Any]:
    settings = settings_of({**flags(host), **(changed_flags or {})})
    found: dict[str, t.Any] = {
        "pid": 812,
        "program": "/usr/local/bin/etcd",
        "unit": "etcd.service",
        "kind": "service",
        "engine": None,
        "container_id": None,
        "definition": None,
        "environment_files": ["/etc/etcd.env"],
        "data_dir": "/var/lib/etcd",
        "config_file": None,
        "settings_source": "environment",
        "list_source": "environment" if settings["allowed_common_names"] else None,
        "settings": settings,
        "settings_problem": None,
        "unknown_settings": [],
        "managed": False,
        "owner": "etcd",
        "owner_group": "etcd",
        "listens": [{"address": f"10.0.0.{host[-1]}", "port": 2380}],
        "has_own_network": False,
        "peer_certificate": {"path": f"/m/{host}.pem", "pem": pair(f"member-{host}").pem, "problem": None},
        "peer_authority": {"path": "/m/ca.pem", "pem": CA.pem, "problem": None},
        "client_authority": {"path": "/m/ca.pem", "pem": CA.pem, "problem": None},
        "files": {"peer_cert_file": f"/m/{host}.pem", "peer_key_file": "/k", "peer_trusted_ca_file": "/m/ca.pem"},
        "version": "3.5.16",
        "live_members": [{"member_id": member_id(one), "name": one, "peer_urls": [url(one)]} for one in HOSTS],
        "live_member_id": member_id(host),
        "live_cluster_id": "c1",
        "live_members_problem": None,
    }
    return {**found, **changes}


def told(*processes: t.Mapping[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    return whole(INFO.fields, {"module_user": "root", "processes": list(processes), **changes})


class Met:
    """What the hosts met: by default members are let in, and all others refused for the right reason."""

    def __init__(self, hosts: t.Sequence[str] = (*HOSTS, WORKER), targets: t.Sequence[str] = HOSTS) -> None:
        self.calls: dict[str, list[dict[str, t.Any]]] = {host: [] for host in hosts}
        self.pairs: dict[str, list[dict[str, t.Any]]] = {host: [] for host in hosts}
        self.served = {host: [{"to": one, "pem": pair(f"member-{one}").pem} for one in targets] for host in hosts}
        self.changes: dict[str, dict[str, t.Any]] = {host: {} for host in hosts}
        for host in hosts:
            for target in targets:
                if host in targets and host != target:
                    self.call(host, target, "member", "accepted", None, source=host)
                self.call(host, target, "no_certificate", "refused", "no_certificate")
                self.call(host, target, "unknown_ca", "refused", "unknown_authority", label="ff")

    def call(
        self,
        host: str,
        target: str,
        case: str,
        outcome: str,
        reason: str | None,
        source: str | None = None,
        label: str | None = None,
    ) -> None:
        self.calls[host].append(
            {
                "from": source,
                "to": target,
                "peer_url": url(target),
                "case": case,
                "fingerprint": label,
                "outcome": outcome,
                "reason": reason,
                "text": reason or "HTTP 200",
                "inferred": False,
                "tls": "TLSv1.3",
                "cipher": "TLS_AES_128_GCM_SHA256",
            }
        )

    def lies(
        self,
        host: str,
        issued: Issued,
        outcome: str = "refused",
        reason: str | None = "common_name",
        targets: t.Sequence[str] = HOSTS,
    ) -> Met:
        """A pair lies on a host, and calls from there."""
        path = f"/etc/ssl/etcd/ssl/{len(self.pairs[host])}.pem"
        label = fingerprint(issued)
        self.pairs[host].append({"path": path, "key_path": path, "fingerprint": label, "pem": issued.pem})
        for target in targets:
            self.call(host, target, "stranger", outcome, None if outcome == "accepted" else reason, label=label)
        return self

    def answers(self) -> dict[str, dict[str, t.Any]]:
        return {
            host: whole(
                PROBE.fields,
                {
                    "calls": calls,
                    "served": self.served[host],
                    "pairs": self.pairs[host],
                    "pairs_left_out": 0,
                    **self.changes[host],
                },
            )
            for host, calls in self.calls.items()
        }


def fenced() -> tuple[dict[str, dict[str, t.Any]], Met]:
    """What hosts tell and met of a fenced cluster, with a worker's pair on the worker."""
    states = {host: told(process(host)) for host in HOSTS}
    return {**states, WORKER: told()}, Met().lies(WORKER, pair("node-worker-1"))


def judged(
    states: t.Mapping[str, t.Any], met: Met, absent: t.Mapping[str, str] | None = None, **question: t.Any
) -> list[dict[str, t.Any]]:
    claims = claims_of(states)
    limits = Limits(NOW, **{key: question.pop(key) for key in ("warn_days", "fail_days") if key in question})
    run = Run(
        hosts=(*states, *(absent or {})),
        claims=tuple(claims),
        ports=tuple(peer_ports(claims, {})),
        answers=states,
        calls={host: answer for host, answer in met.answers().items() if host in states},
        absent=absent or {},
    )
    return documents(run, Question("etcd", limits, **question))
