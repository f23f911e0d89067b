# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tags choose parts of a run, as Ansible reads them; none is chosen that would stand on what was left out."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import (
    PARTS,
    part_of,
    selected_parts,
    why_not_parted,
)

NO_CA = {"member": None, "part": "ca", "code": "missing", "text": "there is no CA"}
BUNDLE = {"member": "etcd-1", "part": "ca", "code": "content", "text": "its trust bundle is another"}
OLD = {"member": "etcd-2", "part": "certificate", "code": "expires", "text": "3 days left"}
MODE = {"member": "etcd-2", "part": "credentials", "code": "mode", "text": "etcd-2.key: mode"}
UNIT = {"member": "etcd-3", "part": "service", "code": "unit", "text": "etcd.service: write"}
NO_ETCD = {"member": "etcd-3", "part": "etcd", "code": "install", "text": "etcd is to be installed"}


@pytest.mark.parametrize(
    ("own", "only", "skipped", "parts"),
    [
        ((), ["all"], [], list(PARTS)),
        ((), ["etcd_service"], [], ["service"]),
        ((), ["etcd_ca", "etcd_certificates"], [], ["ca", "certificates"]),
        ((), ["all"], ["etcd_service"], ["ca", "certificates", "verify"]),
        ((), ["all"], ["etcd_verify"], ["ca", "certificates", "service"]),
        ((), ["etcd_service"], ["etcd_service"], []),
        ((), ["motd"], [], []),
        ((), ["always"], [], []),
        ((), ["all"], ["all"], []),
        ((), ["all"], ["tagged"], []),
        ((), ["tagged"], [], list(PARTS)),
        ((), ["untagged"], [], []),
        # What the user calls the role as a whole.
        (("quorum",), ["quorum"], [], list(PARTS)),
        (("quorum",), ["quorum"], ["etcd_verify"], ["ca", "certificates", "service"]),
        (("quorum",), ["all"], ["quorum"], []),
        (("never", "quorum"), ["all"], [], []),
        (("never", "quorum"), ["quorum"], [], list(PARTS)),
    ],
)
def test_the_parts_that_tags_choose(
    own: tuple[str, ...], only: list[str], skipped: list[str], parts: list[str]
) -> None:
    assert selected_parts(own, only, skipped) == parts


@pytest.mark.parametrize(
    ("due", "part"),
    [
        (NO_CA, "ca"),
        (BUNDLE, "certificates"),
        (OLD, "certificates"),
        (MODE, "certificates"),
        (UNIT, "service"),
        (NO_ETCD, "service"),
        ({"member": None, "part": "membership", "code": "remove", "text": "?"}, "service"),
        ({"member": "etcd-4", "part": "membership", "code": "join", "text": "?"}, "service"),
        ({"member": "etcd-1", "part": "host", "code": "not_asked", "text": "?"}, "certificates"),
        ({"member": None, "part": "host", "code": "not_asked", "text": "?"}, "ca"),
    ],
)
def test_the_part_that_does_what_is_due(due: dict[str, t.Any], part: str) -> None:
    assert part_of(due) == part


@pytest.mark.parametrize(
    ("due", "parts", "named"),
    [
        ([NO_CA, OLD, UNIT], ["ca", "certificates", "service", "verify"], []),
        ([NO_CA, OLD, UNIT], ["ca"], []),
        ([OLD, UNIT], ["certificates"], []),
        ([UNIT], ["service"], []),
        ([NO_CA, OLD, UNIT], ["verify"], []),
        ([NO_CA], ["certificates", "verify"], ["etcd_ca, which has pending changes (the CA: missing)"]),
        ([BUNDLE], ["service"], ["etcd_certificates, which has pending changes (member etcd-1: content)"]),
        ([MODE], ["ca", "service"], ["etcd_service is run without etcd_certificates"]),
        ([NO_CA, OLD], ["service"], ["without etcd_ca", "without etcd_certificates"]),
    ],
)
def test_a_later_part_is_refused_without_the_earlier_ones(
    due: list[dict[str, t.Any]], parts: list[str], named: list[str]
) -> None:
    lines = why_not_parted(due, parts)
    assert len(lines) == len(named)
    assert all(words in line for words, line in zip(named, lines))
