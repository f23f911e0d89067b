# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe against a fenced cluster of real etcd: only where RINGFENCE_ETCD names binaries, as for test_etcd_live."""

from __future__ import annotations

import datetime
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import stranger
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificate,
    read_certificates,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, explain, probe_all, target_of
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificates import certificate_pem
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_stranger import argument_spec
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    der_of,
    issue,
    revocation_list,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

NAMES = ("m1", "m2", "m3")
CA = issue("etcd peer CA", is_ca=True)
MEMBERS = {name: issue(name, CA) for name in NAMES}
REVOKED = issue("m1", CA)
PLENTY_SECONDS = 30.0


@pytest.fixture(scope="module", params=BINARIES, ids=[os.path.basename(path) for path in BINARIES])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdCluster]:
    folder = tmp_path_factory.mktemp("fenced")
    made = EtcdCluster(request.param, folder)
    # All files before the first process: etcd reads its CA once, and one that is empty at that moment lets nobody in.
    extra: dict[str, tuple[str, ...]] = {}
    authority = put(folder, "peer-ca.crt", CA.pem.encode())
    crl = put(folder, "peer.crl", revocation_list(CA, REVOKED.certificate.serial_number))
    for name, pair in MEMBERS.items():
        # The last of two equal flags counts.
        extra[name] = (
            f"--peer-cert-file={put(folder, f'{name}.crt', pair.pem.encode())}",
            f"--peer-key-file={put(folder, f'{name}.key', pair.key_pem.encode())}",
            f"--peer-trusted-ca-file={authority}",
            f"--peer-cert-allowed-cn={','.join(NAMES)}",
            f"--peer-crl-file={crl}",
        )
    try:
        for name, arguments in extra.items():
            made.start(name, extra=arguments)
        wait_until_all_answer(made)
        yield made
    finally:
        made.stop()


def put(folder: pathlib.Path, name: str, content: bytes) -> str:
    """Writes a file that must not be there yet: a process may be reading one that is."""
    path = folder / name
    with path.open("xb") as file:
        file.write(content)
    path.chmod(0o600)
    return str(path)


def caller(case: str, pair: Issued | None, **knows: t.Any) -> Caller:
    if pair is None:
        return Caller(case, client_context(None))
    trusted = [der_of(CA.certificate)] if case == MEMBER else None
    context = client_context(trusted, pair.pem.encode(), pair.key_pem.encode())
    return Caller(case, context, read_certificate(der_of(pair.certificate)), **knows)


def targets(cluster: EtcdCluster) -> list[t.Any]:
    return [target_of(name, url) for name, url in cluster.peer_urls.items()]


def wait_until_all_answer(cluster: EtcdCluster) -> None:
    deadline = time.monotonic() + 60
    while True:
        probes = probe_all([caller(MEMBER, MEMBERS["m1"])], targets(cluster), PLENTY_SECONDS, NOW)
        if all(probe["outcome"] == ACCEPTED for probe in probes):
            return
        assert time.monotonic() < deadline, f"{probes}\n{cluster.log('m1')[-2000:]}"
        time.sleep(0.1)


def test_who_is_let_in_and_why_not(cluster: EtcdCluster) -> None:
    """All at once, at every member, as a node does it."""
    other_ca = issue("etcd peer CA", is_ca=True)
    revoked = frozenset({read_certificate(der_of(REVOKED.certificate)).serial_number})
    authorities = tuple(read_certificates(CA.pem))
    server_only = issue("m1", CA, extended_key_usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    expected: list[tuple[Caller, str, str | None, bool]] = [
        (caller(MEMBER, MEMBERS["m1"], allowed_common_names=NAMES), ACCEPTED, None, False),
        (caller(STRANGER, issue("stranger", CA)), REFUSED, "common_name", True),
        (caller(NO_CERTIFICATE, None), REFUSED, "no_certificate", False),
        (caller(MEMBER, issue("m1", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY)), REFUSED, "expired", False),
        (caller(MEMBER, issue("m1", CA, not_before=NOW + DAY)), REFUSED, "not_yet_valid", True),
        (caller(MEMBER, server_only, authorities=authorities), REFUSED, "key_usage", True),
        (caller(MEMBER, issue("m1", CA, names=("10.0.0.9",))), REFUSED, "address", True),
        (caller(MEMBER, REVOKED, revoked=revoked), REFUSED, "revoked", True),
        (caller(MEMBER, MEMBERS["m1"], allowed_common_names=("nobody",)), REFUSED, "server_common_name", True),
    ]
    probes = probe_all([who for who, *_rest in expected], targets(cluster), PLENTY_SECONDS, NOW)
    wanted = [rest for _who, *rest in expected for _name in NAMES]
    assert [[probe["outcome"], probe["reason"], probe["inferred"]] for probe in probes] == wanted
    assert all("\n" not in probe["text"] for probe in probes)
    for probe in probes:
        assert read_certificate(probe["server"]).common_name == probe["to"]
    # Whether the alert is unknown ca or bad certificate is up to the version of Go.
    unknown = probe_all([caller(UNKNOWN_CA, issue("m1", other_ca))], targets(cluster), PLENTY_SECONDS, NOW)
    assert {(probe["outcome"], probe["reason"]) for probe in unknown} == {(REFUSED, "unknown_authority")}


def test_strangers_as_the_module_makes_them(cluster: EtcdCluster) -> None:
    params: dict[str, t.Any] = {name: option.get("default") for name, option in argument_spec().items()}
    member = {"name": "m1", "common_name": "m1", "dns_names": [], "ip_addresses": ["127.0.0.1"]}
    params.update(members=[member], ca_certificate_content=CA.pem, ca_private_key_content=CA.key_pem)
    # They live for minutes, and the tests before this one may have taken as long.
    now = datetime.datetime.now(datetime.timezone.utc)
    (made,) = stranger.run(params, now, result_is_hidden=True)["members"]
    for case, reason in ((STRANGER, "common_name"), (UNKNOWN_CA, "unknown_authority")):
        certificate, key = (made[f"{case}_{kind}"].encode() for kind in ("certificate", "private_key"))
        who = Caller(case, client_context(None, certificate, key), read_certificates(certificate)[0])
        for target in targets(cluster):
            found = explain(who, probe_port(who.context, target.host, target.port, PLENTY_SECONDS), now)
            assert (found.result.outcome, found.result.reason) == (REFUSED, reason), found


def test_who_trusts_another_ca_refuses_the_member(cluster: EtcdCluster) -> None:
    other = issue("other CA", is_ca=True)
    pair = MEMBERS["m1"]
    context = client_context([der_of(other.certificate)], pair.pem.encode(), pair.key_pem.encode())
    target = targets(cluster)[1]
    result = probe_port(context, target.host, target.port, PLENTY_SECONDS)
    assert (result.outcome, result.reason) == (REFUSED, "server_unknown_authority")
    assert result.server == read_certificates(certificate_pem(MEMBERS["m2"].certificate))[0].der


def test_a_member_that_is_gone(cluster: EtcdCluster) -> None:
    """Last, since it takes one away."""
    cluster.stop("m3")
    probes = probe_all([caller(MEMBER, MEMBERS["m1"])], targets(cluster), PLENTY_SECONDS, NOW)
    assert [(probe["to"], probe["outcome"], probe["reason"]) for probe in probes] == [
        ("m1", ACCEPTED, None),
        ("m2", ACCEPTED, None),
        ("m3", "unreachable", "port_closed"),
    ]
