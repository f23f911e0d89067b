# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member of each deployer's shape goes to the role's unit by the variables that a run prints of it, and back.

Units and files are as those tools write them (``deployer_texts``), with a certificate of its own for each member, and
clients without TLS.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import deployer_texts
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployer_texts import Texts, rendered
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules import test_etcd_adopt as adopted
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules import test_etcd_takeover as takeover
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.test_etcd_takeover import (
    BINARIES,
    MEMBERS,
    NAMES,
    _age,
)

pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment

_UTILS = "ansible_collections.ringfence.etcd.plugins.plugin_utils"
PREFIX = "etcd_peer_tls_"


# What would take long on loopback, and what the file of a guide may say as well.
SHAPES = {
    "etcdadm": deployer_texts.ETCDADM,
    "githubixx": deployer_texts.GITHUBIXX,
    "autobase": deployer_texts.AUTOBASE.but(('"5000"', '"1500"'), ('"1000"', '"150"')),
    "guide": deployer_texts.GUIDE.but(
        ("client-tr", "auto-compaction-mode: periodic\nauto-compaction-retention: 1h\nclient-tr")
    ),
}


class Hosts(adopted.Hosts):
    """The same hosts, with units as a tool writes them."""

    def deploy_shape(self, shape: Texts) -> None:
        texts = shape.without_tls_of_clients()
        for name in MEMBERS:
            path = self.config(name) if "--config-file" in texts.unit else self.variables(name)
            values = {**self._values(name), "FILE": str(path)}
            self.unit(name).write_text(rendered(texts.unit, values))
            path.write_text(rendered(texts.file, values))
        self.reload()
        for name in MEMBERS:
            self.start(name)
        for name in MEMBERS:
            self.deployed._wait(name)

    def _values(self, name: str) -> dict[str, str]:
        """For the marks of a deployer's texts."""
        settings = self.deployed.settings(name)
        of_flags = {
            "DATA": "data-dir",
            "PEER_URL": "listen-peer-urls",
            "PEERS": "initial-cluster",
            "CLIENT_URL": "advertise-client-urls",
            "CLIENT_URLS": "listen-client-urls",
            "PEER_CERT": "peer-cert-file",
            "PEER_KEY": "peer-key-file",
            "PEER_CA": "peer-trusted-ca-file",
        }
        own = {"NAME": name, "ETCD": self.deployed.binary, "USER": "root"}
        return {**own, **{mark: settings[flag] for mark, flag in of_flags.items()}}

    def told(self, name: str) -> dict[str, t.Any]:
        """The variables that the playbook prints of a member; the controller's, as the unit's text is."""
        found, problems = self.running_members([self.deployed.pid(name)], all_flags=True)
        assert problems == []
        claims_of = importlib.import_module(f"{_UTILS}._audit.facts").claims_of
        variables_of = importlib.import_module(f"{_UTILS}._takeover.variables").variables_of
        (claim,) = claims_of({name: {"processes": found}})
        return t.cast("dict[str, t.Any]", variables_of(claim, f"{name}.example.com"))

    def shape_text(self, name: str, put: t.Mapping[str, t.Any] | None = None) -> str:
        """The unit of an inventory with these variables, and what an operator put beside them."""
        told = {one: self._inventory(one) for one in MEMBERS}
        cluster = ClusterSettings(name=told[name]["cluster_name"], client_tls=told[name]["client_tls"])
        keys = ("name", "address", "common_name", "peer_port", "client_port")
        members = [
            make_member({**{key: one[key] for key in keys}, "host": host}, cluster) for host, one in told.items()
        ]
        settings = {**told[name], "extra_unit_settings": put or told[name]["extra_unit_settings"]}
        unit_text = importlib.import_module(f"{_UTILS}._unit_text").unit_text
        member = next(one for one in members if one.name == name)
        return str(unit_text(settings, members, member, has_revocation_list=False))

    def _inventory(self, name: str) -> dict[str, t.Any]:
        own = {key[len(PREFIX) :]: value for key, value in self.told(name).items()}
        base: dict[str, t.Any] = dict.fromkeys(
            ("client_ca_file", "client_cert_file", "client_key_file", "ca_certificate"), ""
        )
        return {**base, "metrics_urls": [], "identity": "list", "directory": str(self.directory(name)), **own}


@pytest.fixture
def hosts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = Deployment(BINARIES[0], tmp_path, 3)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


def _count_in_the_shell(hosts: Hosts, counted: str) -> None:
    unit = hosts.unit("m1")
    unit.write_text(unit.read_text().replace("GOMAXPROCS=$(nproc)", counted))
    _age(unit)


def test_what_a_shell_gives_etcd_is_not_lost(hosts: Hosts) -> None:
    """But where it is what Go's runtime takes by itself."""
    shape = SHAPES["autobase"]
    hosts.deploy_shape(shape)
    text = hosts.shape_text("m1", shape.put_by("root"))
    assert hosts.take("m1", check=True, unit_content=text)["changed"]
    _count_in_the_shell(hosts, "GOMAXPROCS=$(cat /x)")
    hosts.refused("m1", "its unit has the variable GOMAXPROCS, and the role's has not", unit_content=text)


def test_a_list_round_an_etcd_that_a_shell_starts(hosts: Hosts) -> None:
    hosts.deploy_shape(SHAPES["autobase"])
    old = hosts.deployed.pid("m1")
    assert takeover.Hosts.take(hosts, "m1")["restarted"] and hosts.deployed.pid("m1") != old
    assert not takeover.Hosts.take(hosts, "m1")["changed"]
    found, _problems = running_members([hosts.deployed.pid("m1")])
    assert found[0]["settings"]["allowed_common_names"] == NAMES
    assert takeover.Hosts.take(hosts, "m1", "absent")["restarted"]


@pytest.mark.parametrize("tool", SHAPES)
def test_there_and_back(hosts: Hosts, tool: str) -> None:
    shape = SHAPES[tool]
    hosts.deploy_shape(shape)
    before, ids, old = hosts.unit("m1").read_text(), hosts.ids(), hosts.deployed.pid("m1")
    if shape.lost:
        text = hosts.shape_text("m1")
        hosts.refused("m1", f"its unit has {shape.lost}, and the role's has not", unit_content=text)
    text = hosts.shape_text("m1", shape.put_by("root"))
    checked = hosts.take("m1", check=True, unit_content=text)
    settings = next(one for one in checked["diff"] if one["before_header"] == "settings of m1")
    lost, come = (
        {line.partition("=")[0] for line in set(settings[a].splitlines()) - set(settings[b].splitlines())}
        for a, b in (("before", "after"), ("after", "before"))
    )
    files = {f"--peer-{kind}-file" for kind in ("cert", "key", "trusted-ca")}
    assert (lost, come) == (files, {*files, "--peer-cert-allowed-cn"})
    assert hosts.take("m1", unit_content=text)["restarted"] and hosts.deployed.pid("m1") != old
    found, _problems = running_members([hosts.deployed.pid("m1")])
    assert found[0]["settings"]["allowed_common_names"] == NAMES and hosts.are_ours() == [True, False, False]
    assert not hosts.take("m1", unit_content=text)["changed"]
    assert hosts.take("m1", "absent", unit_content=text)["restarted"]
    assert hosts.unit("m1").read_text() == before and hosts.ids() == ids and hosts.are_ours() == [False] * 3


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_shell_that_starts_etcd(hosts: Hosts, state: str) -> None:
    """More than one plain command. Neither way goes on: nobody knows of it what it starts the next time."""
    shape = SHAPES["autobase"]
    hosts.deploy_shape(shape)
    text, binary = hosts.shape_text("m1", shape.put_by("root")), hosts.deployed.binary
    command = f'/bin/bash -c "source /etc/etcd.sh; {binary}"'
    unit = hosts.unit("m1").read_text().replace(f'/bin/bash -c "GOMAXPROCS=$(nproc) {binary}"', command)
    assert command in unit
    if state == "present":
        hosts.unit("m1").write_text(unit)
        _age(hosts.unit("m1"))
        said = "what m1.service starts etcd with .* more than one plain command: let its ExecStart= name etcd itself"
        hosts.refused("m1", f"m1 is not adopted: {said}", unit_content=text)
        with pytest.raises(RefusedError, match=f"m1 is not taken over: {said}"):
            takeover.Hosts.take(hosts, "m1")
    else:
        assert hosts.take("m1", unit_content=text)["restarted"]
        pathlib.Path(f"{hosts.unit('m1')}.replaced").write_text(unit)
        hosts.refused("m1", "more than one plain command: put it back by hand", state="absent", unit_content=text)
