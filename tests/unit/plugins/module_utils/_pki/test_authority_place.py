# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the CA lives: never on a controller that is thrown away, never on a host that nobody named."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import authority_place as place


@pytest.mark.parametrize(
    ("variables", "environment", "reported"),
    [
        (["awx_job_id"], {}, "AWX (variable awx_job_id)"),
        (["x", "tower_job_id"], {}, "AWX (variable tower_job_id)"),
        ([], {"AWX_PRIVATE_DATA_DIR": "/runner"}, "AWX (environment variable AWX_PRIVATE_DATA_DIR)"),
        ([], {"AWX_ISOLATED_DATA_DIR": "/runner/x"}, "AWX (environment variable AWX_ISOLATED_DATA_DIR)"),
        ([], {"CI_DISPOSABLE_ENVIRONMENT": "true"}, "GitLab CI (environment variable CI_DISPOSABLE_ENVIRONMENT)"),
        ([], {"RUNNER_ENVIRONMENT": "github-hosted"}, "GitHub Actions (environment variable RUNNER_ENVIRONMENT)"),
        ([], {"RUNNER_ENVIRONMENT": "self-hosted"}, None),
        ([], {"AWX_PRIVATE_DATA_DIR": "", "HOME": "/root", "CI": "true"}, None),
        (["awx", "job_id"], {}, None),
    ],
)
def test_who_throws_the_controller_away(
    variables: list[str], environment: dict[str, str], reported: str | None
) -> None:
    assert place.thrown_away_by(variables, environment) == reported
    line = place.why_lost_with_controller(variables, environment)
    if reported is None:
        assert line is None
    else:
        assert line is not None and reported in line and "\n" not in line
        for way_out in ("ca_host", "ca_certificate", "ca_private_key", "ca_on_ephemeral_controller: true"):
            assert f"etcd_peer_tls_{way_out}" in line


@pytest.mark.parametrize(
    ("host", "connection", "here"),
    [
        ("localhost", None, True),
        ("127.0.0.1", None, True),
        ("::1", "", True),
        ("ca-1", "local", True),
        ("ca-1", "ansible.builtin.local", True),
        ("ca-1", None, False),
        ("ca-1", "ssh", False),
        ("localhost", "ssh", False),
    ],
)
def test_whether_the_ca_is_on_the_controller(host: str, connection: str | None, here: bool) -> None:
    assert place.is_on_controller(host, connection) is here


def test_a_host_that_nobody_named_gets_nothing() -> None:
    assert place.checked_ca_host("localhost", []) == "localhost"
    assert place.checked_ca_host("ca-1", ["ca-1"]) == "ca-1"
    with pytest.raises(InputError, match="is no host of the inventory"):
        place.checked_ca_host("ca.example.org", ["ca-1"])
