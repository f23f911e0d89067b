# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A takeover and an adoption of a real cluster whose API asks for a user, and which serves clients by TLS alone.

Its gateway takes no pair with a common name then, and the members' own have one.
"""

from __future__ import annotations

import os
import pathlib
import ssl
import subprocess
import time
import typing as t
import urllib.request
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_contexts import client_context
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.started_by import is_the_hosts_own
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.modules import etcd_adopt
from ansible_collections.ringfence.etcd.plugins.modules.etcd_takeover import ARGUMENT_SPEC as TAKEOVER
from ansible_collections.ringfence.etcd.plugins.modules.etcd_takeover import taken_over
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules import test_etcd_adopt as adopted
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.test_etcd_takeover import (
    BINARIES,
    ENVIRONMENT,
    MEMBERS,
)

pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment

    class WithTls(Deployment):
        """Clients need a certificate of the one CA."""

        def __init__(self, binary: str, folder: pathlib.Path) -> None:
            super().__init__(binary, folder, 3)
            self.client_urls = {name: url.replace("http:", "https:") for name, url in self.client_urls.items()}

        def settings(self, name: str) -> dict[str, str]:
            files = {"trusted-ca-file": "ca.crt", "cert-file": f"{name}.crt", "key-file": f"{name}.key"}
            own = {flag: str(self.pki(name) / file) for flag, file in files.items()}
            return {**super().settings(name), **own, "client-cert-auth": "true"}

        def context(self, name: str) -> ssl.SSLContext:
            made = client_context(*(str(self.pki(name) / file) for file in ("ca.crt", f"{name}.crt", f"{name}.key")))
            assert made is not None
            return made

        def _wait(self, name: str) -> None:
            deadline = time.monotonic() + 40
            while True:
                try:
                    url = f"{self.client_urls[name]}/health"
                    with urllib.request.urlopen(url, timeout=5, context=self.context(name)) as answer:
                        if b'"true"' in answer.read():
                            return
                except OSError:
                    assert time.monotonic() < deadline and self.processes[name].poll() is None
                time.sleep(0.1)


class Hosts(adopted.Hosts):
    """The same hosts, and who asks there."""

    def access(self) -> ApiAccess:
        """The user, and a pair without a common name."""
        made = issue(None, self.deployed.ca)
        folder = self.deployed.folder
        (folder / "nameless.crt").write_text(made.pem)
        (folder / "nameless.key").write_text(made.key_pem)
        pair = (str(folder / "nameless.crt"), str(folder / "nameless.key"))
        return ApiAccess("ringfence", "04012026173", *pair)

    def switch_on(self) -> None:
        """RBAC, with its root and with a user without any role."""
        url = self.deployed.client_urls["m1"]
        client = Client(t.cast("t.Any", self.deployed).context("m1"))
        for user in ("root", "ringfence"):
            client._call(url, "/v3/auth/user/add", {"name": user, "password": "04012026173"})
        client._call(url, "/v3/auth/role/add", {"name": "root"})
        client._call(url, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        client._call(url, "/v3/auth/enable", {})

    def told(self, access: ApiAccess) -> tuple[t.Any, t.Any]:
        """What the members are by what a host tells of its process, and why that is not known."""
        found, _problems = running_members([self.deployed.pid("m1")], access=access)
        return found[0]["live_members"], found[0]["live_members_problem"]

    def taken_over(self, state: str, access: ApiAccess) -> dict[str, t.Any]:
        given = self.params("m1", state)
        return taken_over({name: given[name] for name in TAKEOVER if name in given}, False, access)

    def adopted(self, state: str, access: ApiAccess) -> dict[str, t.Any]:
        files = {"client_ca_file": "ca.crt", "client_cert_file": "m1.crt", "client_key_file": "m1.key"}
        clients = {name: str(self.deployed.pki("m1") / file) for name, file in files.items()}
        text = self.text("m1", client_tls=True, **clients)
        return etcd_adopt.adopted(self.params("m1", state, unit_content=text), False, access)


@pytest.fixture
def hosts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = WithTls(BINARIES[0], tmp_path)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


def test_there_and_back(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    hosts.switch_on()
    members, problem = hosts.told(NO_ACCESS)
    assert members is None and "RBAC is on there: name a user (etcd_peer_tls_api_user" in str(problem)
    access = hosts.access()
    members, problem = hosts.told(access)
    assert problem is None and [one["name"] for one in members] == list(MEMBERS)

    pids = hosts.pids()
    for without, said in ((NO_ACCESS, "RBAC switched on"), (replace(access, password="wrong"), "user ringfence")):
        for ask in (hosts.taken_over, hosts.adopted):
            with pytest.raises(RefusedError, match=said) as caught:
                ask("present", without)
            assert "wrong" not in str(caught.value)
    assert hosts.pids() == pids and not list(hosts.units.rglob("zz-*")) and not hosts.directory("m1").exists()

    for ask in (hosts.taken_over, hosts.adopted):
        for state in ("present", "absent"):
            assert ask(state, access)["restarted"] and not ask(state, access)["changed"]
    assert hosts.pids()[1:] == pids[1:] and hosts.are_ours() == [False] * 3


def test_who_is_told_the_password(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may start what looks like an etcd."""
    assert is_the_hosts_own(os.getpid(), None)
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, user=65534) as child:
        main_pids = {"etcd.service": child.pid, "other.service": 1}
        monkeypatch.setattr(manager, "show", lambda unit: {"MainPID": str(main_pids.get(unit, 0))})
        units = ("etcd.service", "other.service", "nobodys.service", "session-1.scope", None)
        assert [is_the_hosts_own(child.pid, unit) for unit in units] == [True, False, False, False, False]
        child.kill()
    assert not is_the_hosts_own(child.pid, "etcd.service")
