# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's unit in the place of somebody else's whose members share one certificate, with a real etcd of three."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.test_etcd_adopt import (
    BINARIES,
    ENVIRONMENT,
    MEMBERS,
    Hosts,
)

pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment


@pytest.fixture(params=BINARIES[:1], ids=os.path.basename)
def hosts(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = Deployment(request.param, tmp_path, 3)
    shared = issue("etcd", deployed.ca)
    for name in MEMBERS:
        (deployed.pki(name) / f"{name}.crt").write_text(shared.pem)
        (deployed.pki(name) / f"{name}.key").write_text(shared.key_pem)
        # As it is found: whoever has a shell there reads it.
        (deployed.pki(name) / f"{name}.key").chmod(0o644)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


def test_there_and_back(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    before, ids = {name: hosts.unit(name).read_text() for name in MEMBERS}, hosts.ids()
    texts = {name: hosts.text(name, peer_names=()) for name in MEMBERS}
    for name in MEMBERS:
        wanted: dict[str, t.Any] = {"unit_content": texts[name], "common_names": [], "keep_certificates": True}
        checked = hosts.take(name, check=True, **wanted)
        assert checked["changed"] and not hosts.directory(name).exists()
        settings = next(one for one in checked["diff"] if one["before_header"] == f"settings of {name}")
        changed = set(settings["before"].splitlines()) ^ set(settings["after"].splitlines())
        assert {line.partition("=")[0] for line in changed} == {
            f"--peer-{kind}-file" for kind in ("cert", "key", "trusted-ca")
        }
        assert hosts.take(name, **wanted)["restarted"]
        key = hosts.directory(name) / f"{name}.key"
        assert key.read_bytes() == (hosts.deployed.pki(name) / f"{name}.key").read_bytes()
        assert key.stat().st_mode & 0o777 == 0o600
        assert not hosts.take(name, **wanted)["changed"]
    assert hosts.are_ours() == [True] * 3 and hosts.ids() == ids
    refuse_way_back_among_others(hosts, texts["m1"])
    for name in MEMBERS:
        assert hosts.take(name, "absent", unit_content=texts[name])["restarted"]
        assert hosts.unit(name).read_text() == before[name]
    assert hosts.are_ours() == [False] * 3 and hosts.ids() == ids


def refuse_way_back_among_others(hosts: Hosts, text: str) -> None:
    """One has a certificate of the new CA already, which their unit does not trust."""
    paths = [hosts.directory("m2") / f"m2.{kind}" for kind in ("crt", "key")]
    kept, pids = [path.read_bytes() for path in paths], hosts.pids()
    own = issue("m2.example.com", issue("the new CA", is_ca=True))
    for path, content in zip(paths, (own.pem.encode(), own.key_pem.encode())):
        path.write_bytes(content)
    with pytest.raises(RefusedError, match="its CA is not in"):
        hosts.take("m1", "absent", unit_content=text, wait_seconds=1.0)
    assert hosts.pids() == pids and hosts.unit("m1").read_text() == text
    for path, content in zip(paths, kept):
        path.write_bytes(content)


def test_a_list_neither_comes_nor_goes(hosts: Hosts) -> None:
    """With a list of other names than the members present each would shut the others out."""
    hosts.deploy(ENVIRONMENT)
    pids = hosts.pids()
    told = f"--peer-cert-allowed-cn is not set and would be {','.join(f'{name}.example.com' for name in MEMBERS)}"
    with pytest.raises(RefusedError, match=told):
        hosts.take("m1", common_names=[], keep_certificates=True)
    assert hosts.pids() == pids and not hosts.directory("m1").exists()


def test_a_list_of_the_one_name_stays(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT, extra="ETCD_PEER_CERT_ALLOWED_CN=etcd\n")
    without = {"unit_content": hosts.text("m1", peer_names=()), "common_names": [], "keep_certificates": True}
    with pytest.raises(RefusedError, match="--peer-cert-allowed-cn is etcd and would be not set"):
        hosts.take("m1", **without)
    wanted = {"unit_content": hosts.text("m1", peer_names=("etcd",)), "common_names": ["etcd"]}
    assert hosts.take("m1", **wanted, keep_certificates=True)["restarted"]
    assert hosts.are_ours() == [True, False, False]
