# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What starts somebody else's etcd: a service, an engine for containers, Kubernetes, or another program. Read only.

Whoever starts it has its settings, and only there a line closes a hole for longer than until the next start.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import is_etcd
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.process_root import has_our_root
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager

SERVICE, CONTAINER, POD, EMBEDDED, PROCESS = "service", "container", "pod", "embedded", "process"

# Where kubelet looks for static pods: as kubeadm sets it, and as RKE2 does.
MANIFEST_FOLDERS = ("/etc/kubernetes/manifests", "/var/lib/rancher/rke2/agent/pod-manifests")

_PODS = "kubepods"
# Control groups are called by the engine, and by the container's ID: docker-ID.scope, /docker/ID, libpod-payload-ID.
_CONTAINER = re.compile(r"(libpod|docker|crio|cri-containerd)(?:[-/]payload)?[-/]([0-9a-f]{64})(?![0-9a-f])")
_ENGINES = {"libpod": "podman", "docker": "docker", "crio": "CRI-O", "cri-containerd": "containerd"}
_SHORT_ID = 12
# What podman makes a unit from.
_QUADLET = ".container"
_MANIFEST_ENDINGS = (".yaml", ".yml", ".json")
_MOST_MANIFESTS = 64
# The first word of a command, in a list of YAML or JSON. The manifest of a client only names etcd's files and URLs.
_ETCD_AS_COMMAND = re.compile(r"""(?m)(?:^|-[ \t]|\[)[ \t]*["']?(?:/[\w./-]+/)?etcd["']?[ \t]*(?:,|\]|$)""")


class Starter(t.NamedTuple):
    """``definition``: the file that it is made from: a quadlet of podman, or a static pod's manifest."""

    kind: str
    engine: str | None = None
    container_id: str | None = None
    definition: str | None = None


def starter_of(pid: int, argv: t.Sequence[str], unit: str | None) -> Starter:
    """What starts a process, by its control group and its root. ``unit``: the one that it belongs to."""
    if not argv or not is_etcd(argv[0]):
        return Starter(EMBEDDED)
    group = processes.control_group(pid) or ""
    engine, container_id = container_of(group)
    if _PODS in group:
        return Starter(POD, engine, container_id, _manifest())
    # A sandboxed service has mounts of its own, and the host's root all the same.
    if engine is not None or not has_our_root(pid):
        return Starter(CONTAINER, engine, container_id, _quadlet(unit))
    return Starter(SERVICE if _is_service(unit) else PROCESS)


def is_the_hosts_own(pid: int, unit: str | None) -> bool:
    """Whether root runs a process, or systemd has started it as the main process of a service of the host."""
    try:
        if os.stat(f"/proc/{pid}").st_uid == 0:
            return True
    except OSError:
        return False
    return unit is not None and _is_service(unit) and manager.main_pid(manager.show(unit)) == pid


def container_of(group: str) -> tuple[str | None, str | None]:
    """The engine that a control group tells of, and the container's ID as engines shorten it; (None, None) of none."""
    found = _CONTAINER.search(group)
    return (None, None) if found is None else (_ENGINES[found[1]], found[2][:_SHORT_ID])


def starts_etcd(manifest: str) -> bool:
    """Whether etcd is a command in the text of a pod's manifest."""
    return _ETCD_AS_COMMAND.search(manifest) is not None


def _is_service(unit: str | None) -> bool:
    return unit is not None and unit.endswith(".service")


def _quadlet(unit: str | None) -> str | None:
    source = manager.source_path(unit) if unit is not None and _is_service(unit) else None
    return source if source is not None and source.endswith(_QUADLET) else None


def _manifest() -> str | None:
    """The static pod's manifest; None where there is none, or not one alone: another pod has no file on its host."""
    found = []
    for folder in MANIFEST_FOLDERS:
        try:
            names = sorted(os.listdir(folder))[:_MOST_MANIFESTS]
        except OSError:
            continue
        for path in (os.path.join(folder, name) for name in names if name.endswith(_MANIFEST_ENDINGS)):
            try:
                content = read_file(path)
            except RingfenceError:
                continue
            if content is not None and starts_etcd(content.decode("utf-8", "replace")):
                found.append(path)
    return found[0] if len(found) == 1 else None


__all__ = (
    "CONTAINER",
    "EMBEDDED",
    "MANIFEST_FOLDERS",
    "POD",
    "PROCESS",
    "SERVICE",
    "Starter",
    "container_of",
    "is_the_hosts_own",
    "starter_of",
    "starts_etcd",
)
