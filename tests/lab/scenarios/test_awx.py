# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Job templates from the first check to new keys, with a CA from a credential, and no secret in what a job leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from awx import NOTHING_SAID, VAULT_PASSWORD, Awx, is_bare, made_ca, nodes_keys, organization
from ringfence_lab.lab import Lab
from support import PAIR, PKI, RESTART, Controller, key_lines

MEMBERS = PAIR


@pytest.fixture(scope="module")
def awx(controller: Controller) -> Awx:
    return organization(controller)


@pytest.fixture
def credential(awx: Awx) -> dict[str, str]:
    """The CA's, to take away or to change for one test."""
    return dict(awx.credential or {})


def serials(controller: Controller) -> dict[str, str]:
    return controller.on_each(PAIR, f"for file in {PKI}/etcd-?.crt; do sha256sum $file; done")


# -- empty hosts ------------------------------------------------------------------------------------------------------


def test_a_job_without_the_credential_makes_no_ca(controller: Controller, awx: Awx, lab: Lab) -> None:
    given, awx.credential = awx.credential, None
    try:
        job = awx.refuse("etcd: deploy", NOTHING_SAID)
    finally:
        awx.credential = given
    for words in ("AWX", "(variable awx_job_id)", "throws away after the job", "from a credential"):
        assert words in job.one_line()
    assert not Path(lab.ca_folder).exists() and is_bare(controller)


@pytest.mark.parametrize("part", [(1, 2), (2, 2)])
def test_a_slice_forms_no_cluster(controller: Controller, awx: Awx, part: tuple[int, int]) -> None:
    job = awx.refuse("etcd: deploy", NOTHING_SAID, part=part)
    assert "etcd_peer_tls_member_count" in job.one_line() and is_bare(controller)


def test_a_check_tells_and_changes_nothing(controller: Controller, awx: Awx) -> None:
    job = awx.succeed("etcd: check")
    assert set(job.changed) == set(PAIR) and is_bare(controller)


# -- a cluster --------------------------------------------------------------------------------------------------------


def test_a_deployment_is_proved_and_a_second_changes_nothing(controller: Controller, awx: Awx) -> None:
    job = awx.succeed("etcd: deploy", NOTHING_SAID)
    assert "PROVED" in job.output and set(job.changed) == set(PAIR)
    assert controller.is_healthy() and not (controller.folder / "reports").exists()
    for key in nodes_keys(controller).values():
        awx.secrets.update(key_lines(key))
    before = controller.processes()
    again = awx.succeed("etcd: deploy", {**NOTHING_SAID, "etcd_peer_tls_stop_after": ""})
    assert "PROVED" in again.output and not any(again.changed.values())
    assert controller.processes() == before


def test_a_disabled_host_is_missed(controller: Controller, awx: Awx) -> None:
    for template in ("etcd: deploy", "etcd: new keys"):
        job = awx.refuse(template, disabled=["etcd-2"])
        assert "etcd_peer_tls_member_count" in job.one_line()


def test_the_fence_is_proved(controller: Controller, awx: Awx) -> None:
    job = awx.succeed("etcd: verify")
    assert "PROVED" in job.output and not any(job.changed.values())
    kept = job.artifacts["ringfence_etcd_proof"]["etcd"]
    assert "PROVED" in kept["table"] and "<html" in kept["page"]


def test_certificates_are_renewed_and_nothing_is_restarted(controller: Controller, awx: Awx) -> None:
    keys, before, processes = nodes_keys(controller), serials(controller), controller.processes()
    unchanged = awx.succeed("etcd: renew")
    assert not any(unchanged.changed.values())
    # A restart is due as well, and is left for a deployment.
    due = {"etcd_peer_tls_validity_days": 400, "etcd_peer_tls_renew_before_days": 380, **RESTART}
    standing, awx.variables = awx.variables, {**awx.variables, **due}
    try:
        awx.succeed("etcd: renew")
    finally:
        awx.variables = standing
    after = serials(controller)
    assert all(after[host] != before[host] for host in PAIR)
    assert (nodes_keys(controller), controller.processes()) == (keys, processes)


def test_new_keys_are_checked_first(controller: Controller, awx: Awx) -> None:
    keys, processes = nodes_keys(controller), controller.processes()
    awx.succeed("etcd: new keys", job_type="check")
    assert nodes_keys(controller) == keys
    awx.succeed("etcd: new keys")
    after = controller.on_each(PAIR, f"cat {PKI}/etcd-?.key")
    for host, key in after.items():
        assert key not in keys[host]
        awx.secrets.update(key_lines(key))
    assert controller.processes() == processes and controller.is_healthy()
    assert "PROVED" in awx.succeed("etcd: verify", NOTHING_SAID).output


# -- what is refused --------------------------------------------------------------------------------------------------


def test_an_answer_is_a_text_and_has_to_name_something(awx: Awx) -> None:
    blank = awx.refuse("etcd: remove members", {"etcd_peer_tls_removed": "  "})
    assert "etcd_peer_tls_removed names nobody" in blank.one_line()
    run = awx.refuse("etcd: deploy", {"etcd_peer_tls_stop_after": "{{ lookup('pipe', 'id') }}"})
    assert "etcd_peer_tls_stop_after" in run.one_line() and "uid=0" not in run.output


def test_another_ca_s_credential_is_refused_until_it_is_said(
    controller: Controller, awx: Awx, credential: dict[str, str]
) -> None:
    other = made_ca(controller, "second")
    awx.secrets.update(key_lines(other["private_key"]))
    awx.credential = other
    try:
        awx.refuse("etcd: deploy", NOTHING_SAID)
        awx.refuse("etcd: verify", NOTHING_SAID)
        awx.succeed("etcd: another CA", {**NOTHING_SAID, "etcd_peer_tls_stop_after": ""}, job_type="check")
        # A key that is pasted into the field of the certificate is shown to nobody.
        awx.credential = {**credential, "certificate": credential["certificate"] + credential["private_key"]}
        awx.refuse("etcd: deploy", NOTHING_SAID)
    finally:
        awx.credential = credential
    assert controller.is_healthy()


def test_a_ca_in_the_project_s_vault_counts(controller: Controller, awx: Awx, credential: dict[str, str]) -> None:
    """It stands in group_vars beside the plays, which an import of the collection's playbook would not read."""
    plain = yaml.safe_dump({f"etcd_peer_tls_ca_{name}": text for name, text in credential.items()})
    password = controller.folder / "vault-password"
    password.write_text(VAULT_PASSWORD)
    program = Path(controller.program[-1]).with_name("ansible-vault")
    vaulted = subprocess.run(
        [*controller.program[:-1], str(program), "encrypt", "--vault-password-file", str(password), "--output", "-"],
        input=plain,
        env=controller.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    awx.credential = None
    try:
        job = awx.succeed("etcd: verify", NOTHING_SAID, group_vars=vaulted, vault_password=VAULT_PASSWORD)
    finally:
        awx.credential = credential
    assert "PROVED" in job.output
