# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import first_start
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    with_configuration_hash,
)

UNIT = """\
[Service]
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecStart=/usr/bin/etcd \\
  --name=etcd-1 \\
  --data-dir=/var/lib/etcd \\
  --initial-cluster={members} \\
  --initial-cluster-token=main \\
  --initial-cluster-state={state} \\
  --peer-cert-allowed-cn={names}
"""
TWO = "etcd-1=https://192.0.2.1:2380,etcd-2=https://192.0.2.2:2380"
THREE = f"{TWO},etcd-3=https://192.0.2.3:2380"


def unit(members: str, names: str = "etcd-1,etcd-2", state: str = "new") -> str:
    return with_configuration_hash(UNIT.format(members=members, names=names, state=state))


def test_a_member_with_data_keeps_what_it_began_with() -> None:
    wanted = unit(THREE, "etcd-1,etcd-2,etcd-3")
    text = first_start.with_first_start_of(wanted, unit(TWO))
    # All else is as wanted, and the hash is this text's own.
    assert text == unit(TWO, "etcd-1,etcd-2,etcd-3")
    assert configuration_hash_is_valid(text)
    # A list that is longer restarts nobody by itself.
    assert first_start.with_first_start_of(unit(THREE), unit(TWO)) == unit(TWO)
    assert first_start.with_first_start_of(unit(THREE), unit(TWO, state="existing")) == unit(TWO, state="existing")


@pytest.mark.parametrize(
    "deployed",
    [
        None,
        "",
        # Nobody's unit that is ours: what it says was never checked.
        UNIT.format(members=TWO, names="etcd-1", state="new").replace("RINGFENCE_CONFIGURATION_HASH", "OTHER"),
        unit(TWO).replace("  --initial-cluster-state=new \\\n", ""),
    ],
)
def test_what_is_not_ours_says_nothing(deployed: str | None) -> None:
    assert first_start.with_first_start_of(unit(THREE), deployed) == unit(THREE)


def test_who_joins_begins_with_what_the_cluster_tells() -> None:
    members = {"etcd-3": "https://192.0.2.3:2380", "etcd-1": "https://[2001:db8::1]:2380"}
    text = first_start.joining(unit(THREE), members)
    deployed = deployed_from_text(text)
    assert deployed is not None and deployed["initial_cluster"] == members
    assert deployed["flags"]["initial-cluster-state"] == "existing" and configuration_hash_is_valid(text)
    assert first_start.joining(text, members) == text


def test_a_command_on_one_line_or_in_quotes_is_read_too() -> None:
    def on_one_line(text: str) -> str:
        return with_configuration_hash(text.replace(" \\\n  ", " "))

    assert "\\" not in on_one_line(unit(TWO))
    assert first_start.with_first_start_of(on_one_line(unit(THREE)), unit(TWO)) == on_one_line(unit(TWO))
    quoted = unit(THREE).replace(f"--initial-cluster={THREE}", f'"--initial-cluster={THREE}"')
    assert first_start.with_first_start_of(with_configuration_hash(quoted), unit(TWO)) == unit(TWO)


def test_what_no_template_of_ours_renders_is_left_or_refused() -> None:
    text = with_configuration_hash(unit(TWO).replace("--initial-cluster=", "--initial-cluster "))
    assert first_start.with_first_start_of(text, unit(THREE)) == text
    with pytest.raises(InputError, match="no word of its own for --initial-cluster="):
        first_start.joining(text, {"etcd-1": "https://192.0.2.1:2380"})
