# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs in containers of the image that extensions/awx defines, from an empty inventory to a proved cluster.

The image is built by ansible-builder and podman, with the collection as it stands here. What all templates do,
test_awx.py has, without a container.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from awx import NOTHING_SAID, Awx, is_bare, nodes_keys, organization
from ringfence_lab import execution_environment, podman
from ringfence_lab.execution_environment import COLLECTION, Programs
from ringfence_lab.lab import Lab
from support import PAIR, Controller, key_lines

MEMBERS = PAIR


@pytest.fixture(scope="module")
def image(any_controller: Controller) -> str:
    galaxy = [*any_controller.program[:-1], str(Path(any_controller.program[-1]).with_name("ansible-galaxy"))]
    builder = [str(Path(sys.executable).with_name("ansible-builder"))]
    return execution_environment.ensure(str(any_controller.repository), Programs(galaxy, builder))


@pytest.fixture(scope="module")
def awx(controller: Controller, image: str) -> Awx:
    return organization(controller, image)


def test_the_image_has_this_collection_and_what_it_needs(controller: Controller, image: str) -> None:
    """As a user without rights, which jobs have unless they are started otherwise, and without a network."""
    script = f"cat {COLLECTION}/FILES.json; id -u >&2; ansible-galaxy collection verify --offline ringfence.etcd >&2"
    script += "; python3 -c 'import cryptography, ansible_runner' && command -v ssh-agent sshpass git >&2"
    listed = podman.run("run", "--rm", "--network=none", image, "sh", "-euc", script)
    files = [entry for entry in json.loads(listed)["files"] if entry["ftype"] == "file"]
    assert len(files) > 100
    for entry in files:
        here = (controller.repository / entry["name"]).read_bytes()
        assert hashlib.sha256(here).hexdigest() == entry["chksum_sha256"], entry["name"]


@pytest.mark.parametrize(
    ("is_told", "words"),
    [
        (True, ("AWX", "(variable awx_job_id)", "throws away after the job")),
        (False, ("in a container, in a folder that goes with it", "(environment variable container)")),
    ],
    ids=["as AWX", "by hand"],
)
def test_no_ca_is_made_where_it_goes_with_the_job(
    controller: Controller, awx: Awx, lab: Lab, is_told: bool, words: tuple[str, ...]
) -> None:
    given, awx.credential = awx.credential, None
    try:
        job = awx.refuse("etcd: deploy", NOTHING_SAID, is_told=is_told)
    finally:
        awx.credential = given
    for told in (*words, "from a credential"):
        assert told in job.one_line()
    assert not Path(lab.ca_folder).exists() and is_bare(controller)


def test_a_check_tells_and_changes_nothing(controller: Controller, awx: Awx) -> None:
    job = awx.succeed("etcd: check")
    assert set(job.changed) == set(PAIR) and is_bare(controller)


def test_a_deployment_is_proved_and_a_second_changes_nothing(controller: Controller, awx: Awx) -> None:
    job = awx.succeed("etcd: deploy", NOTHING_SAID)
    assert "PROVED" in job.output and set(job.changed) == set(PAIR)
    assert controller.is_healthy()
    for key in nodes_keys(controller).values():
        awx.secrets.update(key_lines(key))
    before = controller.processes()
    again = awx.succeed("etcd: deploy", NOTHING_SAID)
    assert "PROVED" in again.output and not any(again.changed.values())
    assert controller.processes() == before


def test_the_fence_is_proved_and_the_page_outlives_the_job(awx: Awx) -> None:
    job = awx.succeed("etcd: verify")
    assert "PROVED" in job.output and not any(job.changed.values())
    kept = job.artifacts["ringfence_etcd_proof"]["etcd"]
    assert "PROVED" in kept["table"] and "<html" in kept["page"]
