# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA's revocation list at real etcd: only where RINGFENCE_ETCD names one or more binaries (separated by colons)."""

from __future__ import annotations

import datetime
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import MEMBER, REVOKED
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca, stranger
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import WantedRecords
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credentials import (
    apply_credentials,
    plan_credentials,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.revocation import revocation_list_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import client_context
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, probe_all, target_of
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_stranger import argument_spec
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

CA_NAME = "etcd peer CA"
MEMBERS = [{"name": "m1", "common_name": "m1", "dns_names": [], "ip_addresses": ["127.0.0.1"]}]
SECONDS = 30.0


class Fence:
    """A member of real etcd behind the CA's list, as a deployment leaves it."""

    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        self.authority, self.pki = folder / "ca", folder / "pki"
        self.ensure()
        self.issued = self.issue()
        self.deploy(**self.issued)
        self.cluster = EtcdCluster(binary, folder, size=1)
        self.flags = (
            f"--peer-cert-file={self.pki}/m1.crt",
            f"--peer-key-file={self.pki}/m1.key",
            f"--peer-trusted-ca-file={self.pki}/ca.crt",
            "--peer-cert-allowed-cn=m1",
            f"--peer-crl-file={self.pki}/ca.crl",
        )

    def ensure(self, *revoked: str) -> None:
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        wanted = ca.WantedCa(str(self.authority), CA_NAME, "ecdsa-p256", records=WantedRecords(revoked=revoked))
        ca.apply_ca(ca.plan_ca(wanted, now), now)

    def issue(self) -> dict[str, str]:
        args = {
            "members": MEMBERS,
            "ca_directory": str(self.authority),
            "ca_certificate_path": str(self.authority / "ca.crt"),
            "ca_private_key_path": str(self.authority / "ca.key"),
        }
        (made,) = run_module("etcd_peer_certificates", args, no_log=True)["members"]
        return {"certificate": made["certificate"], "private_key": made["private_key"]}

    def strangers(self) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in argument_spec().items()}
        given = {**defaults, "members": MEMBERS, "ca_directory": str(self.authority)}
        return stranger.run(given, datetime.datetime.now(datetime.timezone.utc), result_is_hidden=True)

    def deploy(self, certificate: str | None = None, private_key: str | None = None) -> bool:
        plan = plan_credentials(
            WantedCredentials(
                directory=str(self.pki),
                name="m1",
                owner=str(os.geteuid()),
                group=str(os.getegid()),
                directory_mode=0o755,
                ca_certificate_content=(self.authority / "ca.crt").read_text(),
                certificate_content=certificate,
                private_key_content=private_key,
                revocation_list_content=self.strangers()["ca"]["revocation_list_pem"],
            )
        )
        apply_credentials(plan)
        return plan.changed

    def call(self, case: str, certificate: str, private_key: str) -> tuple[str, str | None]:
        leaf = read_certificates(certificate)[0]
        own = frozenset(revocation_list_facts(None, str(self.pki), None, None)["serial_numbers"] or ())
        context = client_context(None, certificate.encode(), private_key.encode())
        (probe,) = probe_all(
            [Caller(case, context, leaf, revoked=own)],
            [target_of("m1", self.cluster.peer_urls["m1"])],
            SECONDS,
            datetime.datetime.now(datetime.timezone.utc),
        )
        return probe["outcome"], probe["reason"]

    def start(self) -> None:
        self.cluster.start("m1", extra=self.flags)
        deadline = time.monotonic() + 60
        while self.call(MEMBER, **self.issued)[0] != "accepted":
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module", params=BINARIES, ids=[os.path.basename(path) for path in BINARIES])
def fence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fence]:
    made = Fence(request.param, tmp_path_factory.mktemp("revoked"))
    try:
        made.start()
        yield made
    finally:
        made.cluster.stop()


def test_the_proofs_own_is_refused_from_the_first_deployment_on(fence: Fence) -> None:
    (made,) = fence.strangers()["members"]
    assert fence.call(MEMBER, **fence.issued) == ("accepted", None)
    assert fence.call(REVOKED, made["revoked_certificate"], made["revoked_private_key"]) == ("refused", "revoked")


def test_what_is_revoked_is_refused_at_the_next_connection_without_a_restart(fence: Fence) -> None:
    leaked = fence.issue()
    serial_number = read_certificates(leaked["certificate"])[0].serial_number
    assert fence.call(MEMBER, **leaked) == ("accepted", None)
    fence.ensure(serial_number)
    assert fence.call(MEMBER, **leaked) == ("accepted", None)
    assert fence.deploy() is True
    assert fence.call(MEMBER, **leaked) == ("refused", "revoked")
    assert fence.call(MEMBER, **fence.issued) == ("accepted", None)
    assert fence.deploy() is False


def test_a_shorter_list_is_refused_and_one_that_is_of_no_use_is_mended(fence: Fence) -> None:
    path = fence.pki / "ca.crl"
    good = path.read_bytes()
    pem = fence.strangers()["ca"]["revocation_list_pem"].encode()
    for content in (b"", b"garbage", good + good, pem):
        path.write_bytes(content)
        facts = revocation_list_facts(None, str(fence.pki), None, "3.6.0")
        assert facts["serial_numbers"] is None and facts["problem"]
        # What the facts say is what etcd does; 3.5 alone reads PEM, and later ones the first of two.
        outcome = fence.call(MEMBER, **fence.issued)[0]
        assert outcome == "refused" or content in (pem, good + good)
        assert fence.deploy() is True and path.read_bytes() == good
        assert fence.call(MEMBER, **fence.issued) == ("accepted", None)
    path.unlink()
    assert fence.call(MEMBER, **fence.issued)[0] == "refused"
    assert fence.deploy() is True and path.stat().st_mode & 0o777 == 0o644
    lost = fence.authority / "index.json", fence.authority / "ca.crl"
    kept = [file.read_bytes() for file in lost]
    for file in lost:
        file.unlink()
    fence.ensure()
    with pytest.raises(RefusedError, match=r"revokes serial number .*, and the list at hand does not"):
        fence.deploy()
    assert path.read_bytes() == good
    for file, content in zip(lost, kept):
        file.write_bytes(content)
    assert fence.deploy() is False
