# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A slice of a job and a disabled host are called what they are, and the cure is told."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import partial_inventory as partial


@pytest.mark.parametrize(
    ("variables", "template"),
    [
        ({"awx_job_template_name": "deploy etcd", "awx_workflow_job_name": "deploy etcd"}, "'deploy etcd'"),
        ({"tower_job_template_name": "etcd", "tower_workflow_job_name": "etcd"}, "'etcd'"),
        ({"awx_job_template_name": "x" * 400, "awx_workflow_job_name": "x" * 400}, f"'{'x' * 100}'"),
        # A job of a workflow that somebody made, a job of its own, no job at all.
        ({"awx_job_template_name": "etcd", "awx_workflow_job_name": "nightly"}, None),
        ({"awx_job_template_name": "etcd", "tower_workflow_job_name": "etcd"}, None),
        ({"awx_job_template_name": "etcd"}, None),
        ({"awx_job_template_name": "", "awx_workflow_job_name": ""}, None),
        ({"awx_job_template_name": ["etcd"], "awx_workflow_job_name": ["etcd"]}, None),
        ({"awx_job_template_name": None, "awx_workflow_job_name": None}, None),
        ({}, None),
    ],
)
def test_a_slice_of_a_job_is_known_by_its_workflow(variables: dict[str, t.Any], template: str | None) -> None:
    assert partial.told_slice(variables) == (f"this job is a slice of job template {template}" if template else "")
    assert set(variables) <= set(partial.JOB_VARIABLES)


@pytest.mark.parametrize(
    ("missing", "entries"),
    [
        ([], ""),
        ([("", "https://10.0.0.3:2380")], ""),
        ([("etcd-3", "https://10.0.0.3:2380")], " (as members tell, {name: etcd-3, address: 10.0.0.3})"),
        ([("etcd-3", "https://[fd00::3]:2380")], ' (as members tell, {name: etcd-3, address: "fd00::3"})'),
        ([("etcd-3", ""), ("b", "https://[nonsense")], " (as members tell, {name: etcd-3}, {name: b})"),
        ([("a: 1}", "https://x y:1")], ' (as members tell, {name: "a: 1}", address: "x y"})'),
        (
            [(f"n{number}", "") for number in range(9)],
            " (as members tell, {name: n0}, {name: n1}, {name: n2}, ...)",
        ),
    ],
)
def test_the_cure_is_a_list_of_all_members(missing: list[tuple[str, str]], entries: str) -> None:
    text = partial.cure("", missing)
    assert text.endswith(f"or list all members in etcd_peer_tls_members{entries}")
    for word in ("a disabled host, a slice of a job", "enable the host", "run without slices", "put it back"):
        assert word in text
    told = partial.cure("this job is a slice of job template 'x'", missing)
    assert told == (
        "this job is a slice of job template 'x', and sees a part of the hosts: run it without slices, or list all "
        f"members in etcd_peer_tls_members{entries}"
    )


@pytest.mark.parametrize(
    ("names", "lacking", "why"),
    [
        (["a"], [], "a can't be seen in this run (--limit, serial, unreachable or failed)"),
        (["a"], ["a"], "a can't be seen in this run (not in its inventory: a disabled host, or a slice of a job)"),
        (
            ["a", "b"],
            ["b"],
            "a, b can't be seen in this run (--limit, serial, unreachable or failed; b not in its inventory: a "
            "disabled host, or a slice of a job)",
        ),
    ],
)
def test_why_members_are_not_seen(names: list[str], lacking: list[str], why: str) -> None:
    assert partial.unseen(names, lacking) == why
