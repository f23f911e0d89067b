# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that somebody else deployed, in every shape: a run never puts an empty one in their place.

Nothing of them is changed by a run that is refused, nor by one in check mode: units, processes, keys.
"""

from __future__ import annotations

import shlex
import typing as t

import pytest
from ringfence_lab.lab import Lab
from support import PAIR, TRIO, Controller

UNIT_NAME = "etcd.service"
UNIT = f"/etc/systemd/system/{UNIT_NAME}"
KEYS = 7
CONF = "/etc/etcd/etcd.conf.yml"
_SERVICE = """[Unit]
Description=somebody's etcd
[Service]
Type=notify
User=etcd
LISTEN
[Install]
WantedBy=multi-user.target
"""
_YAML = """name: @HOST@
data-dir: @DATA@
listen-peer-urls: http://@ADDRESS@:2380
listen-client-urls: http://@ADDRESS@:2379,http://127.0.0.1:2379
initial-advertise-peer-urls: "http://@ADDRESS@:2380"
advertise-client-urls: http://@ADDRESS@:2379
initial-cluster: @ALL@
log-outputs: [stderr]
"""
_ENV = """ETCD_NAME=@HOST@
ETCD_DATA_DIR="@DATA@"
ETCD_LISTEN_PEER_URLS=http://@ADDRESS@:2380
ETCD_LISTEN_CLIENT_URLS=http://@ADDRESS@:2379,http://127.0.0.1:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://@ADDRESS@:2380
ETCD_ADVERTISE_CLIENT_URLS=http://@ADDRESS@:2379
ETCD_INITIAL_CLUSTER=@ALL@
"""
_FROM_CONF = f"ExecStart=/usr/bin/etcd --config-file={CONF}"


class Shape(t.NamedTuple):
    """How somebody deploys etcd: the unit's own lines, the files that they name, the data folder."""

    lines: str
    files: dict[str, str]
    data: str = "/var/lib/etcd/pg"
    unit: str = UNIT_NAME


SHAPES = {
    "a configuration file": Shape(_FROM_CONF, {CONF: _YAML}),
    "a relative folder": Shape(
        f"WorkingDirectory=/var/lib/etcd\n{_FROM_CONF}", {CONF: _YAML.replace("data-dir: @DATA@", "data-dir: pg")}
    ),
    "a shell": Shape(
        'EnvironmentFile=/etc/etcd/etcd.conf\nExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) /usr/bin/etcd"',
        {"/etc/etcd/etcd.conf": _ENV},
    ),
    "an environment file": Shape("EnvironmentFile=/etc/etcd.env\nExecStart=/usr/bin/etcd", {"/etc/etcd.env": _ENV}),
    "a script": Shape(
        "NotifyAccess=all\nExecStart=/usr/local/bin/start-etcd",
        {"/usr/local/bin/start-etcd": f"#!/bin/sh\n/usr/bin/etcd --config-file={CONF}\nexit $?\n", CONF: _YAML},
    ),
    "another unit's name": Shape(_FROM_CONF, {CONF: _YAML}, unit="pg-etcd.service"),
}


class Foreign:
    """A cluster that was not deployed by the role."""

    def __init__(self, controller: Controller, shape: Shape, hosts: t.Sequence[str]) -> None:
        self.controller, self.shape, self.hosts = controller, shape, hosts
        self.unit_path = f"/etc/systemd/system/{shape.unit}"

    def deploy(self) -> None:
        lab = self.controller.lab
        addresses = {host: lab.host(host).address for host in self.hosts}
        everybody = ",".join(f"{host}=http://{address}:2380" for host, address in addresses.items())
        unit = _SERVICE.replace("LISTEN", self.shape.lines)
        for host, address in addresses.items():
            commands = ["mkdir -p /etc/etcd /var/lib/etcd", "chown etcd: /var/lib/etcd"]
            for path, text in {**self.shape.files, self.unit_path: unit}.items():
                for mark, value in (
                    ("HOST", host),
                    ("DATA", self.shape.data),
                    ("ADDRESS", address),
                    ("ALL", everybody),
                ):
                    text = text.replace(f"@{mark}@", value)
                mode = "0755" if "/bin/" in path else "0644"
                commands.append(f"printf %s {shlex.quote(text)} > {path} && chmod {mode} {path}")
            lab.execute(host, " && ".join(commands))
        # The first start waits for a quorum, so all at once.
        self.controller.on_each(self.hosts, f"systemctl daemon-reload && systemctl enable --now {self.shape.unit}")
        puts = f"for n in $(seq {KEYS}); do etcdctl put foreign/$n $n >/dev/null || exit 1; done"
        lab.execute(self.hosts[0], puts)

    def state(self) -> dict[str, str]:
        """Everything that a run must leave as it is."""
        return self.controller.on_each(
            self.hosts,
            f"sha256sum {self.unit_path} {' '.join(self.shape.files)}; systemctl show -P MainPID -P UnitFileState "
            f"{self.shape.unit}; ls /etc/etcd /etc/systemd/system /var/lib/etcd; "
            "etcdctl get --prefix foreign/ --count-only --write-out=fields | grep Count; etcdctl member list | wc -l",
        )

    def remove(self) -> None:
        files = " ".join([*self.shape.files, self.unit_path])
        self.controller.on_each(
            self.hosts,
            f"systemctl disable --now {self.shape.unit}; rm -rf {files} {self.unit_path}.replaced* {self.shape.data}; "
            "systemctl daemon-reload; systemctl reset-failed; true",
        )


@pytest.fixture(scope="module")
def foreign(controller: Controller, request: pytest.FixtureRequest) -> t.Iterator[Foreign]:
    """A cluster in the shape of that name, which runs. What is done with one is done before the next is deployed."""
    name: str = request.param
    controller.bare()
    made = Foreign(controller, SHAPES[name], TRIO if name == "a shell" else PAIR)
    made.deploy()
    yield made
    made.remove()


def shapes(*names: str) -> pytest.MarkDecorator:
    """In these shapes. The order of a file's tests is pytest's: by the cluster that they want."""
    return pytest.mark.parametrize("foreign", names, indirect=True)


@shapes(*SHAPES)
def test_a_living_cluster_is_never_replaced(controller: Controller, foreign: Foreign) -> None:
    before = foreign.state()
    assert all(f'Count" : {KEYS}' in answer for answer in before.values()), before
    inventory = controller.inventory({"etcd": foreign.hosts})
    for words in (["--check", "--diff"], []):
        run = controller.refuse(inventory, *words)
        assert foreign.state() == before
        assert foreign.shape.data in run.output and ", ".join(foreign.hosts) in run.output
        assert "the new cluster starts empty" in run.output or "a new cluster starts empty" in run.output
    if foreign.shape.unit == UNIT_NAME:
        assert f"one cluster of {len(foreign.hosts)} members" in run.output and f"holds {KEYS} keys" in run.output
    else:
        assert foreign.shape.unit in run.output and ":2379" in run.output and ":2380" in run.output


@shapes("a relative folder", "a script")
def test_a_stopped_one_is_as_safe(controller: Controller, foreign: Foreign) -> None:
    controller.on_each(PAIR, f"systemctl stop {UNIT_NAME}")
    before = foreign.state()
    for words in (["--check"], []):
        run = controller.refuse(controller.inventory({"etcd": PAIR}), *words)
    assert foreign.state() == before
    # What a script would do is not known: its data neither.
    is_script = foreign.shape is SHAPES["a script"]
    assert ("/usr/local/bin/start-etcd" if is_script else foreign.shape.data) in run.output


@shapes("an environment file")
def test_what_can_not_be_read_is_not_replaced(controller: Controller, foreign: Foreign) -> None:
    """The folder is empty, as far as the unit alone tells."""
    controller.on_each(PAIR, f"systemctl stop {UNIT_NAME}; mv /etc/etcd.env /etc/etcd.txt; mkfifo /etc/etcd.env")
    run = controller.refuse(controller.inventory({"etcd": PAIR}))
    assert "/etc/etcd.env is not a regular file" in run.output
    controller.on_each(PAIR, f"rm /etc/etcd.env; mv /etc/etcd.txt /etc/etcd.env; systemctl start {UNIT_NAME}")
    assert all(f'Count" : {KEYS}' in answer for answer in foreign.state().values())


@shapes("a configuration file")
def test_it_is_replaced_when_that_is_said(controller: Controller, foreign: Foreign, lab: Lab) -> None:
    """With its data as it was, its unit kept, and the truth told of both."""
    inventory = controller.inventory({"etcd": PAIR})
    texts = controller.on_each(PAIR, f"cat {UNIT}")
    options = {"etcd_peer_tls_overrule_distribution_etcd": True}
    check = controller.succeed(inventory, "--check", "--diff", **options)
    assert f"{UNIT}.replaced" in check.output and controller.on_each(PAIR, f"cat {UNIT}") == texts
    run = controller.succeed(inventory, **options)
    assert "its data stays in /var/lib/etcd/pg and is not used: the new cluster starts empty" in " ".join(
        run.output.split()
    )
    assert controller.on_each(PAIR, f"cat {UNIT}.replaced") == texts
    assert controller.is_healthy()
    assert '"Count" : 0' in controller.etcdctl("etcd-1", "get --prefix foreign/ --count-only --write-out=fields")
    assert set(controller.succeed(inventory, **options).changed.values()) == {0}
    # Another foreign unit, later, does not take the first one's place.
    lab.execute("etcd-2", f"systemctl stop {UNIT_NAME}; printf '%s\\n' '[Service]' ExecStart=/usr/bin/etcd > {UNIT}")
    lab.execute("etcd-2", "rm -rf /default.etcd; systemctl daemon-reload")
    controller.succeed(inventory)
    assert lab.execute("etcd-2", f"cat {UNIT}.replaced").stdout == texts["etcd-2"]
    assert "ExecStart=/usr/bin/etcd\n" in lab.execute("etcd-2", f"cat {UNIT}.replaced-2").stdout
    # The old cluster is whole: its unit and its data bring it back.
    controller.on_each(PAIR, f"systemctl stop {UNIT_NAME}; cp {UNIT}.replaced {UNIT}; systemctl daemon-reload")
    controller.on_each(PAIR, f"systemctl start {UNIT_NAME}")
    assert all(f'Count" : {KEYS}' in answer for answer in foreign.state().values())


def test_a_port_that_another_process_holds(controller: Controller, lab: Lab) -> None:
    controller.bare()
    inventory = controller.inventory({"etcd": PAIR})
    address = lab.host("etcd-2").address
    listen = f"import socket,time; s=socket.create_server(('{address}', 2380)); time.sleep(600)"
    lab.execute("etcd-2", f"systemd-run -q --unit=squatter python3 -c {shlex.quote(listen)}; sleep 1")
    try:
        for words in (["--check"], []):
            output = controller.refuse(inventory, *words).output
            assert "squatter.service" in output and f"{address}:2380" in output and "member etcd-2" in output
        assert not controller.on_each(PAIR, f"ls -d /etc/etcd {UNIT} 2>/dev/null; true")["etcd-1"]
    finally:
        lab.execute("etcd-2", "systemctl stop squatter")
    controller.succeed(inventory)
    assert controller.is_healthy()


def test_a_unit_is_not_renamed(controller: Controller) -> None:
    """Neither while it runs, nor stopped, nor when it would come back at the next boot."""
    inventory = controller.inventory({"etcd": PAIR})
    controller.succeed(inventory)
    before = controller.processes(PAIR)
    renamed = {"etcd_peer_tls_unit": "fence.service"}
    for words in (["--check"], []):
        output = controller.refuse(inventory, *words, **renamed).output
        assert "etcd_peer_tls_unit: etcd.service" in output and "etcd-1, etcd-2" in output
    assert controller.processes(PAIR) == before and controller.is_healthy()
    for command in ("stop", "disable"):
        controller.on_each(PAIR, f"systemctl {command} etcd.service")
        assert "etcd_peer_tls_unit: etcd.service" in controller.refuse(inventory, **renamed).output
    controller.on_each(PAIR, "systemctl enable --now etcd.service")
    assert set(controller.succeed(inventory).changed.values()) == {0}


@shapes("another unit's name")
def test_a_unit_that_would_race_at_the_next_boot(controller: Controller, foreign: Foreign) -> None:
    """Enabled, stopped, of another name, and with the member's ports."""
    controller.on_each(PAIR, f"systemctl stop {foreign.shape.unit}")
    inventory = controller.inventory({"etcd": PAIR})
    before = foreign.state()
    for words in (["--check"], []):
        output = controller.refuse(inventory, *words).output
        assert f"{foreign.shape.unit} is stopped and enabled" in output and "data in /var/lib/etcd/pg" in output
    assert foreign.state() == before
    controller.on_each(PAIR, f"systemctl disable {foreign.shape.unit}")
    controller.succeed(inventory)
    assert controller.is_healthy()
