# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What starts a process, from how its control group is called. Real containers: tests/lab/scenarios/test_containers."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import started_by
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.started_by import (
    Starter,
    container_of,
    starter_of,
    starts_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes

ID = "0123456789abcdef" * 4
SHORT = "0123456789ab"
ETCD = ["/usr/local/bin/etcd", "--name=a"]
IN_POD = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{ID}.scope"


@pytest.mark.parametrize(
    ("group", "engine"),
    [
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        # A quadlet's, and by podman without systemd.
        (f"/system.slice/etcd.service/libpod-payload-{ID}", "podman"),
        (f"/libpod_parent/libpod-{ID}", "podman"),
        (f"/system.slice/docker-{ID}.scope", "docker"),
        (f"/docker/{ID}", "docker"),
        (IN_POD, "containerd"),
        (f"/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", "CRI-O"),
        # Units that are only called so.
        ("/system.slice/docker-etcd.service", None),
        ("/system.slice/libpod-etcd.service", None),
        (f"/kubepods/burstable/pod1/{ID}", None),
        (f"/system.slice/docker-{ID}0.scope", None),
        ("/system.slice/etcd.service", None),
        ("", None),
    ],
)
def test_the_engine_of_a_control_group(group: str, engine: str | None) -> None:
    assert container_of(group) == (engine, SHORT if engine else None)


KUBEADM = "spec:\n  containers:\n  - command:\n    - etcd\n    - --name=a\n    image: registry.k8s.io/etcd:3.5.16-0\n"
API_SERVER = (
    "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --etcd-servers=https://127.0.0.1:2379\n"
    "    - --etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt\n    volumeMounts:\n"
    "    - mountPath: /etc/kubernetes/pki/etcd\n      name: etcd\n"
)


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        (KUBEADM, True),
        ("command: [etcd, --name=a]", True),
        ('{"command": ["/usr/local/bin/etcd", "--name=a"]}', True),
        ('"command": [\n  "etcd",\n  "--name=a"\n]', True),
        (API_SERVER, False),
        ("command: [etcdctl, get]", False),
        ("- kube-etcd-backup", False),
        ("", False),
    ],
)
def test_a_manifest_that_starts_etcd(text: str, starts: bool) -> None:
    assert starts_etcd(text) is starts


@pytest.fixture
def manifests(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder of static pods, with another one's manifest."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "kube-apiserver.yaml").write_text(API_SERVER)
    monkeypatch.setattr(started_by, "MANIFEST_FOLDERS", (str(tmp_path / "none"), str(folder)))
    monkeypatch.setattr(processes, "control_group", lambda pid: IN_POD)
    return folder


def test_a_static_pod_has_a_manifest_and_another_pod_none(manifests: pathlib.Path) -> None:
    pod = Starter("pod", "containerd", SHORT)
    assert starter_of(os.getpid(), ETCD, None) == pod
    # kubelet reads none with another ending, and a folder is none.
    (manifests / "etcd.yaml.bak").write_text(KUBEADM)
    (manifests / "folder.yaml").mkdir()
    assert starter_of(os.getpid(), ETCD, None) == pod
    (manifests / "etcd.yaml").write_text(KUBEADM)
    assert starter_of(os.getpid(), ETCD, None) == pod._replace(definition=str(manifests / "etcd.yaml"))
    # Which of two it is nobody knows.
    (manifests / "events.yaml").write_text(KUBEADM)
    assert starter_of(os.getpid(), ETCD, None) == pod


@pytest.mark.parametrize(
    ("source", "definition"),
    [
        ("/etc/containers/systemd/etcd.container", "/etc/containers/systemd/etcd.container"),
        # Made by another generator.
        ("/etc/init.d/etcd", None),
        (None, None),
    ],
)
def test_a_quadlet_is_what_systemd_made_the_unit_from(
    source: str | None, definition: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "control_group", lambda pid: f"/system.slice/etcd.service/libpod-payload-{ID}")
    monkeypatch.setattr(started_by.manager, "source_path", {"etcd.service": source}.get)
    assert starter_of(os.getpid(), ETCD, "etcd.service") == Starter("container", "podman", SHORT, definition)
    assert starter_of(os.getpid(), ETCD, f"libpod-{ID}.scope").definition is None


def test_what_is_in_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "control_group", lambda pid: "/system.slice/etcd.service")
    assert starter_of(os.getpid(), ETCD, "etcd.service") == Starter("service")
    assert starter_of(os.getpid(), ETCD, "session-1.scope") == Starter("process")
    assert starter_of(os.getpid(), ["/usr/local/bin/k3s", "server"], "k3s.service") == Starter("embedded")
    assert starter_of(os.getpid(), [], None) == Starter("embedded")
    # A root of its own, and a control group that tells of no engine: systemd-nspawn, LXC.
    monkeypatch.setattr(started_by, "has_our_root", lambda pid: False)
    assert starter_of(os.getpid(), ETCD, "etcd.service") == Starter("container")
