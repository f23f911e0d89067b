# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audits of real clusters on loopback, each member a host of its own: first as it was deployed, then fenced."""

from __future__ import annotations

import datetime
import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_process_probe
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit import calls
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.document import Question, documents
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.findings import Limits
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import (
        CONFIG,
        ENVIRONMENT,
        OVERRULED,
        Deployment,
    )

NAMES = "m1.example.com,m2.example.com,m3.example.com"
WORKER = "worker"


@pytest.fixture(params=BINARIES, ids=[os.path.basename(path) for path in BINARIES])
def deployed(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[Deployment]:
    # Here each host has the same address.
    monkeypatch.setattr(calls, "is_loopback", lambda host: False)
    made = Deployment(request.param, tmp_path, 3)
    (tmp_path / WORKER).mkdir()
    (tmp_path / "member").mkdir()
    try:
        yield made
    finally:
        made.stop()


def audit(
    deployed: Deployment,
    hosts: t.Sequence[str] = ("m1", "m2", "m3", WORKER),
    made: t.Mapping[str, str | None] | None = None,
    **question: t.Any,
) -> dict[str, t.Any]:
    """The one document. What lies on the worker is in the folder of its name, on each member's host in "member"."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    answers = {}
    for host in hosts:
        pids = [deployed.pid(host)] if host != WORKER else []
        answers[host] = {**run_module("etcd_process_info", {"pids": pids}), "module_user": "root"}
    claims = claims_of(answers)
    ports = calls.peer_ports(claims, {})
    ca = dict.fromkeys(etcd_process_probe._CA, None) | dict(made or {})
    called = {}
    for host in hosts:
        options = {
            **calls.calls_of(host, claims, ports),
            **etcd_process_probe._strangers(claims, {}, ca),
            "folders": [str(deployed.folder / (WORKER if host == WORKER else "member"))],
        }
        called[host] = run_module("etcd_process_probe", options)
        assert "PRIVATE KEY" not in str(called[host])
    run = Run(tuple(hosts), tuple(claims), tuple(ports), answers, called, {})
    (found,) = documents(run, Question("etcd", Limits(now), **question))
    # Whatever it says can be drawn.
    assert proof_table(found) and "<html" in proof_page(found) and proof_metrics([found])
    return found


def told(document: t.Mapping[str, t.Any], *verdicts: str) -> dict[str, str]:
    """By check, the text of the findings with such a verdict."""
    return {one["code"]: one["text"] for one in document["findings"] if one["verdict"] in (verdicts or ("failed",))}


def remedies(document: t.Mapping[str, t.Any], check: str) -> set[str]:
    return {one["remedy"] for one in document["findings"] if one["code"] == check}


def assert_clean(document: t.Mapping[str, t.Any]) -> None:
    assert document["findings"] == [] and document["verdict"] == "proved" and document["passed"], document["findings"]
    assert document["let_in"] == [] and {member["verdict"] for member in document["members"]} == {"ok"}


def test_an_open_cluster_and_the_same_one_fenced(deployed: Deployment) -> None:
    deployed.certificate("node-worker", deployed.folder / WORKER)
    deployed.certificate("admin", deployed.folder / "member")
    deployed.start(way=ENVIRONMENT)
    before = audit(deployed)
    assert before["verdict"] == "failed" and not before["passed"]
    assert told(before)["allowed_common_names"] == "it has no list: any certificate of its CA for peers is let in"
    assert set(told(before)) == {"allowed_common_names", "strangers"}
    assert remedies(before, "allowed_common_names") == {
        f"ETCD_PEER_CERT_ALLOWED_CN={NAMES} in its environment, then restart one member at a time"
    }
    inside = {(one["host"], one["common_name"], tuple(one["by"])) for one in before["let_in"]}
    everybody = ("m1", "m2", "m3")
    assert inside == {(WORKER, "node-worker.example.com", everybody)} | {
        (host, "admin.example.com", everybody) for host in everybody
    }
    deployed.stop()
    deployed.start(way=ENVIRONMENT, extra={"ETCD_PEER_CERT_ALLOWED_CN": NAMES})
    assert_clean(audit(deployed))


def test_a_configuration_file_with_a_fence_that_is_none(deployed: Deployment) -> None:
    deployed.certificate("node-worker", deployed.folder / WORKER)
    deployed.start(way=OVERRULED, more=f"  allowed-cns: [{NAMES}]\n")
    before = audit(deployed)
    assert "peer-transport-security.allowed-cns" in " ".join(
        one["text"] for one in before["findings"] if one["code"] == "config_file"
    )
    assert "ignores --peer-cert-allowed-cn, ETCD_NAME" in " ".join(
        one["text"] for one in before["findings"] if one["code"] == "config_file"
    )
    assert told(before)["allowed_common_names"].startswith("it has no list")
    (line,) = {one.partition(" in ")[0] for one in remedies(before, "allowed_common_names")}
    assert line == f"peer-transport-security: {{allowed-cn: [{NAMES.replace(',', ', ')}]}}"
    deployed.stop()
    # The line as it was printed, in the file's own long form.
    deployed.start(way=CONFIG, more=f"  {line.partition('{')[2].rstrip('}')}\n")
    assert_clean(audit(deployed))


def test_without_tls_everybody_is_a_peer(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = Deployment(deployed.binary, tmp_path_factory.mktemp("plain"), 3, tls=False)
    for name in (WORKER, "member"):
        (plain.folder / name).mkdir()
    try:
        plain.start(way=ENVIRONMENT)
        found = audit(plain)
    finally:
        plain.stop()
    assert set(told(found)) == {"peer_tls", "members"} or set(told(found)) == {"peer_tls"}
    assert "without TLS" in told(found)["peer_tls"]
    assert {pair["verdict"] for pair in found["pairs"] if pair["case"] == "no_certificate"} == {"failed"}


def test_one_certificate_for_all(deployed: Deployment) -> None:
    for name in ("m2", "m3"):
        for ending in ("crt", "key"):
            (deployed.pki(name) / f"{name}.{ending}").write_text((deployed.pki("m1") / f"m1.{ending}").read_text())
    deployed.certificate("node-worker", deployed.folder / WORKER)
    deployed.start(extra={"peer-cert-allowed-cn": "m1.example.com"})
    found = audit(deployed)
    assert "m1, m2, m3 present one and the same certificate" in told(found, "warning")["identity"]
    assert found["passed"] and found["let_in"] == [] and told(found) == {}


def test_a_list_with_one_too_many(deployed: Deployment) -> None:
    deployed.certificate("node-worker", deployed.folder / WORKER)
    deployed.start(extra={"peer-cert-allowed-cn": f"{NAMES},node-worker.example.com"})
    found = audit(deployed)
    assert told(found)["allowed_common_names"] == "its list has node-worker.example.com, which no member has"
    assert "it lets in node-worker.example.com, which is no member" in told(found)["strangers"]
    assert remedies(found, "allowed_common_names") == {
        f"--peer-cert-allowed-cn={NAMES} in its command line, in place of what stands there, "
        "then restart one member at a time"
    }


def test_nobody_who_could_show_it(deployed: Deployment) -> None:
    deployed.start(extra={"peer-cert-allowed-cn": NAMES})
    found = audit(deployed)
    assert found["verdict"] == "partly_proved" and not found["passed"]
    assert set(told(found, "unproved")) == {"strangers"}
    assert audit(deployed, without=["strangers"])["passed"]
    # With the CA's key a stranger is made; it stays here, and its pair goes to the hosts.
    ca = {"stranger_ca_certificate": deployed.ca.pem, "stranger_ca_private_key": deployed.ca.key_pem}
    assert_clean(audit(deployed, made=ca))


def test_a_member_that_is_not_in_the_run(deployed: Deployment) -> None:
    deployed.certificate("node-worker", deployed.folder / WORKER)
    deployed.start(extra={"peer-cert-allowed-cn": NAMES})
    found = audit(deployed, hosts=("m1", "m2", WORKER))
    assert found["verdict"] == "failed" or found["verdict"] == "partly_proved"
    assert "m3 is a member of its cluster, and no host of this run has it" in told(found, "unproved")["live_members"]
    assert not found["passed"]


def test_a_member_s_pair_on_a_worker_is_a_stranger_s(deployed: Deployment) -> None:
    deployed.certificate("node-worker", deployed.folder / WORKER)
    for ending in ("crt", "key"):
        (deployed.folder / WORKER / f"m1.{ending}").write_text((deployed.pki("m1") / f"m1.{ending}").read_text())
    deployed.start(extra={"peer-cert-allowed-cn": NAMES})
    found = audit(deployed)
    assert "it lets in m1.example.com, which is no member: " in told(found)["strangers"]
    assert remedies(found, "strangers") == {"take its pair away from there, or give that member another one"}
    assert "the pair that m1 presents lies on worker too" in told(found, "warning")["key_elsewhere"]
