# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the CA lives: never on a controller that is thrown away, never on a host that nobody named."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import authority_place as place

HOME = "/home/runner/.ringfence/etcd/etcd"
# As podman mounts it for ansible-runner, with a folder of the user's in a place with a space in its name.
MOUNTS = r"""700 600 0:120 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
701 700 0:130 / /proc rw,nosuid - proc proc rw
702 700 0:131 / /run rw,nosuid - tmpfs tmpfs rw
703 700 253:1 /tmp/awx_7_x /runner rw,relatime - xfs /dev/vda1 rw
704 700 253:1 /tmp/awx_7_x/project /runner/project rw,relatime - xfs /dev/vda1 rw
705 700 253:1 /srv/kept /srv/our\040keys rw,relatime - xfs /dev/vda1 rw
not a line
706 700 0:132 / /srv/our\040keys/memory rw - tmpfs tmpfs rw"""


@pytest.mark.parametrize(
    ("variables", "environment", "told"),
    [
        (["awx_job_id"], {}, "on a controller that AWX throws away after the job (variable awx_job_id)"),
        (["x", "tower_job_id"], {}, "AWX throws away after the job (variable tower_job_id)"),
        ([], {"AWX_PRIVATE_DATA_DIR": "/runner"}, "AWX throws away after the job (environment variable AWX_PRIV"),
        ([], {"CI_DISPOSABLE_ENVIRONMENT": "true"}, "GitLab CI throws away after the job (environment variable CI_D"),
        ([], {"RUNNER_ENVIRONMENT": "github-hosted"}, "GitHub Actions throws away after the job (environment var"),
        ([], {"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/7"}, "goes with it (environment variable AWX_ISOLATED_D"),
        ([], {"container": "podman"}, "in a container, in a folder that goes with it (environment variable container)"),
        ([], {"container": "oci"}, "in a container"),
        ([], {"KUBERNETES_SERVICE_HOST": "10.43.0.1"}, "in a container, in a folder that goes with it"),
        ([], {"RUNNER_ENVIRONMENT": "self-hosted"}, None),
        # ansible-runner without a container, on a host that stays.
        ([], {"AWX_ISOLATED_DATA_DIR": "/root/site/artifacts/7"}, None),
        # A machine, whatever it is made of.
        ([], {"container": "lxc"}, None),
        ([], {"AWX_PRIVATE_DATA_DIR": "", "HOME": "/root", "CI": "true"}, None),
        (["awx", "job_id"], {}, None),
    ],
)
def test_where_a_ca_is_lost_with_its_controller(
    variables: list[str], environment: dict[str, str], told: str | None
) -> None:
    found = place.where_it_is_lost(HOME, MOUNTS, variables, environment)
    if told is None:
        assert found is None
        return
    assert found is not None and told in found
    for line in (place.why_not_made_there(HOME, found), place.told_of_one_there(HOME, found)):
        assert found in line and HOME in line and "\n" not in line
        for way_out in ("ca_host", "ca_certificate", "ca_private_key"):
            assert f"etcd_peer_tls_{way_out}" in line
    assert "etcd_peer_tls_ca_on_ephemeral_controller: true" in place.why_not_made_there(HOME, found)


@pytest.mark.parametrize(
    ("folder", "mounts", "is_lost"),
    [
        (HOME, MOUNTS, True),
        ("/run/ca", MOUNTS, True),
        ("/runner/ca", MOUNTS, True),
        ("/srv/our keys", MOUNTS, False),
        ("/srv/our keys/ca", MOUNTS, False),
        ("/srv/our keys also", MOUNTS, True),
        ("/srv/our keys/memory/ca", MOUNTS, True),
        ("/anything", "", True),
        # Nothing is told from outside where the machine is the container: no layers, one disk.
        ("/home/x/ca", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /home rw - ext4 /dev/sda2 rw", False),
    ],
)
def test_in_a_container_what_is_mounted_from_outside_stays(folder: str, mounts: str, is_lost: bool) -> None:
    assert (place.where_it_is_lost(folder, mounts, [], {"container": "podman"}) is not None) is is_lost
    # In AWX it is the user's to say.
    assert place.where_it_is_lost(folder, mounts, ["awx_job_id"], {"container": "podman"}) is not None


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
    assert place.checked_other_host("localhost", [], "etcd_peer_tls_ca_host") == "localhost"
    assert place.checked_other_host("ca-1", ["ca-1"], "etcd_peer_tls_ca_host") == "ca-1"
    with pytest.raises(InputError, match="is no host of the inventory"):
        place.checked_other_host("ca.example.org", ["ca-1"], "etcd_peer_tls_report_host")
