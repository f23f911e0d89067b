# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that are no member's unit."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    wanted_unit,
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda text: text.replace("RINGFENCE_CONFIGURATION_HASH=", "RINGFENCE_CONFIGURATION_HASH=0"),
            "carries no configuration hash",
        ),
        (lambda text: with_configuration_hash(text.replace("[Install]\n", "")), "no section .Install."),
        (lambda text: with_configuration_hash(text.replace("\n\n[Install]", "[Install]")), "no section .Install."),
        (lambda text: with_configuration_hash(text.replace("=notify", "=simple")), "has Type=simple"),
        (lambda text: with_configuration_hash(text.replace("Type=notify\n", "")), "has Type=simple"),
        (lambda text: with_configuration_hash(text.replace("ExecStart", "ExecStop")), "has 0 lines ExecStart="),
        (
            lambda text: with_configuration_hash(text.replace("[Install]", "ExecStart=/x\n[Install]")),
            "no section|has 2 lines",
        ),
        (lambda text: with_configuration_hash(text.replace("etcd-1", "etcd-2")), "has --name=etcd-2, needed is etcd-1"),
        (
            lambda text: with_configuration_hash(text.replace("/data", "/other")),
            "has --data-dir=.*/other, needed is .*/data",
        ),
        (lambda text: with_configuration_hash(text.replace("--name", "--config-file=/x --name")), "has --config-file"),
    ],
)
def test_a_text_that_is_no_members_unit(change: t.Callable[[str], str], problem: str, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    member_unit.check_unit_text(wanted)
    with pytest.raises(InputError, match=problem):
        member_unit.check_unit_text(wanted_unit(tmp_path, text=change(wanted.text)))


def test_the_name_in_the_text_counts_where_none_is_given(tmp_path: pathlib.Path) -> None:
    member_unit.check_unit_text(wanted_unit(tmp_path, member_name=None))
