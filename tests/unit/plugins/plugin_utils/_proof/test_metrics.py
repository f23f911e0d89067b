# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics: valid by Prometheus' own tool and by the rules of its text format, and true."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils import proof_samples as made
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import evaluated

RULES = pathlib.Path(metrics.__file__).parents[3] / "docs" / "prometheus-rules.yml"
PROOFS = {**made.samples(), **evaluated()}
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# A line of https://prometheus.io/docs/instrumenting/exposition_formats/, with labels as this collection writes them.
SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\{(?P<labels>(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (?P<value>-?\d+)'
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], int]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus has it)"
)


def promtool(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, timeout=60, check=False)


def parsed(text: str) -> Samples:
    """The samples, after a check of the format by hand."""
    assert text == "" or text.endswith("\n")
    found: Samples = {}
    family, order = "", []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            order.append(family)
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {family} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match["name"] == family
            labels = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match["labels"])
            assert all(NAME.fullmatch(name) for name, _value in labels)
            assert len({name for name, _value in labels}) == len(labels)
            key = (family, frozenset(labels))
            assert key not in found, line
            found[key] = int(match["value"])
    # Each family once, so that all its samples stand together.
    assert len(set(order)) == len(order)
    return found


def value(samples: Samples, name: str, **labels: str) -> int:
    return samples[f"ringfence_etcd_{name}", frozenset({"cluster": "etcd", **labels}.items())]


@pytest.mark.parametrize("name", PROOFS)
def test_the_format_is_right_whatever_the_names_are(name: str) -> None:
    samples = parsed(proof_metrics([PROOFS[name]]))
    assert {family for family, _labels in samples} <= {f"ringfence_etcd_{family}" for family in metrics._HELP}
    assert len(samples) < 40 * len(PROOFS[name]["members"]) + 20


@needs_promtool
@pytest.mark.parametrize("name", PROOFS)
def test_prometheus_takes_the_metrics(name: str) -> None:
    done = promtool("check", "metrics", text=proof_metrics([PROOFS[name]]))
    assert (done.returncode, done.stderr) == (0, "")


@needs_promtool
def test_the_tool_would_see_a_fault() -> None:
    text = proof_metrics([PROOFS["ok-3"]])
    assert promtool("check", "metrics", text=text.replace('"} ', "} ")).returncode != 0


@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 8 rules found" in done.stdout


@needs_promtool
def test_prometheus_takes_the_scrape_configuration() -> None:
    """But for the files of a client that is not on this machine."""
    done = promtool("check", "config", "--syntax-only", str(RULES.with_name("prometheus-scrape.yml")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"ringfence_etcd_(\w+)", RULES.read_text(encoding="utf-8"))) - {"ringfence_etcd"}
    assert asked and asked <= set(metrics._HELP)


def test_a_cluster_that_is_well() -> None:
    samples = parsed(proof_metrics([PROOFS["ok-3"]]))
    time = int(made.TIME.timestamp())
    assert value(samples, "proof_timestamp_seconds") == time
    verdicts = {name: value(samples, "proof_verdict", verdict=name) for name in ("proved", "partly_proved", "failed")}
    assert verdicts == {"proved": 1, "partly_proved": 0, "failed": 0}
    assert value(samples, "member_ok", member="etcd-1") == value(samples, "member_probed", member="etcd-1") == 1
    assert value(samples, "check_ok", check="running", member="etcd-2") == 1
    assert value(samples, "check_ok", check="live_members", member="") == 1
    remaining = 355 * 86400 + 3600
    assert value(samples, "certificate_remaining_seconds", member="etcd-3") == remaining
    assert value(samples, "certificate_expiry_timestamp_seconds", member="etcd-3") == time + remaining
    ca = {"common_name": "etcd peer CA", "fingerprint": PROOFS["ok-3"]["authorities"][0]["fingerprint"]}
    assert value(samples, "authority_remaining_seconds", **ca) == 3640 * 86400 + 3600
    assert value(samples, "authority_expiry_timestamp_seconds", **ca) == time + 3640 * 86400 + 3600
    for dialler in ("etcd-1", "etcd-2", "etcd-3"):
        for case in ("stranger", "unknown_ca", "no_certificate"):
            counts = [
                value(samples, "pairs", **{"from": dialler, "case": case, "result": result}) for result in RESULTS
            ]
            assert counts == [2, 0, 0]
        assert value(samples, "pairs", **{"from": dialler, "case": "member", "result": "accepted"}) == 2


RESULTS = ("refused", "unproved", "failed")


def test_a_cluster_with_holes() -> None:
    samples = parsed(proof_metrics([PROOFS["failed-5"]]))
    assert value(samples, "proof_verdict", verdict="failed") == 1
    assert value(samples, "member_ok", member="etcd-2") == 0
    assert value(samples, "check_ok", check="certificate_days", member="etcd-5") == 0
    strangers = [value(samples, "pairs", **{"from": "etcd-1", "case": "stranger", "result": name}) for name in RESULTS]
    assert strangers == [3, 0, 1]
    unknown = [value(samples, "pairs", **{"from": "etcd-2", "case": "unknown_ca", "result": name}) for name in RESULTS]
    assert unknown == [3, 1, 0]
    assert value(samples, "pairs", **{"from": "etcd-3", "case": "member", "result": "failed"}) == 1
    assert value(samples, "certificate_remaining_seconds", member="etcd-5") < 0


def test_a_host_that_is_away_has_no_dates() -> None:
    samples = parsed(proof_metrics([PROOFS["not-probed"]]))
    assert value(samples, "member_probed", member="etcd-3") == 0
    assert not any(
        family.startswith("ringfence_etcd_certificate") and ("member", "etcd-3") in labels for family, labels in samples
    )


def test_what_is_named_twice_is_as_good_as_the_worse() -> None:
    proof = made.make_proof(3)
    for verdict in ("ok", "warning", "ok"):
        proof["checks"].append({"check": "flags", "member": "etcd-1", "verdict": verdict, "text": "", "remedy": ""})
    assert value(parsed(proof_metrics([proof])), "check_ok", check="flags", member="etcd-1") == 0


def test_a_ca_without_a_common_name() -> None:
    proof = made.make_proof(3)
    proof["authorities"][0]["common_name"] = None
    print_ = proof["authorities"][0]["fingerprint"]
    samples = parsed(proof_metrics([proof]))
    assert value(samples, "authority_remaining_seconds", common_name="", fingerprint=print_) > 0


def test_several_clusters_are_in_one_file_by_name() -> None:
    proofs: list[dict[str, t.Any]] = [{**made.make_proof(3), "cluster": name} for name in ("b", "a")]
    text = proof_metrics(proofs)
    parsed(text)
    times = [line for line in text.splitlines() if line.startswith("ringfence_etcd_proof_timestamp")]
    assert [line.split('"')[1] for line in times] == ["a", "b"]
    assert proof_metrics(proofs) == proof_metrics(proofs[::-1])
    assert proof_metrics([]) == ""


def test_two_proofs_of_one_cluster_are_refused() -> None:
    with pytest.raises(InputError, match="more than one proof of cluster etcd: one proof of each is wanted"):
        proof_metrics([made.make_proof(1), made.make_proof(3)])
