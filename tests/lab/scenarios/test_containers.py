# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members in podman's containers are audited through their own root, and neither takeover nor adopt changes them.

Three forms, one after the other on the same hosts: a quadlet, which systemd starts; ``podman run``; and a static pod.
There is no kubelet here. The pod's container runs in a control group that is called as kubelet calls it, and its
manifest lies where kubelet reads it.
"""

from __future__ import annotations

import re
import typing as t

import pytest
from audits import OPEN, Audited, assert_clean, failed, others, remedy
from deployers import PKI
from forge import Forge
from ringfence_lab.image import CONTAINER_PACKAGES
from ringfence_lab.lab import Lab
from support import TRIO, Controller

PACKAGES = CONTAINER_PACKAGES
# What an engine needs of the kernel for a container, and systemd-nspawn keeps from a host.
NSPAWN_ARGUMENTS = ("--system-call-filter=bpf keyctl add_key",)
NAMES = ",".join(f"etcd-member-{host}" for host in TRIO)
IMAGE = "localhost/etcd:lab"
QUADLET = "/etc/containers/systemd/etcd.container"
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
# Where containers have the certificates. On the hosts there lie others, of another CA.
INSIDE = "/etc/pki/etcd"
POD = "kubepods-burstable-pod0f3a2b1c_1d2e_4f5a_8b9c_0d1e2f3a4b5c.slice"

# etcd's program with the libraries that it wants, and nothing else. Layers can't lie on a host's disk, which is one.
_IMAGE = f"""
set -eu
mkdir -p /srv/image
cd /srv/image
cp --parents --dereference /usr/bin/etcd $(ldd /usr/bin/etcd 2>/dev/null | grep -o '/[^ ]*') .
mkdir -p /etc/containers
printf '[storage]\\ndriver = "overlay"\\ngraphroot = "/run/containers/graph"\\nrunroot = "/run/containers/run"\\n' \\
  > /etc/containers/storage.conf
printf '[containers]\\npids_limit = 0\\n' > /etc/containers/containers.conf
tar c . | podman import --quiet --change 'ENTRYPOINT ["/usr/bin/etcd"]' - {IMAGE}
"""
_HEALTHY = "timeout 60 sh -c 'until etcdctl --endpoints http://127.0.0.1:2379 endpoint health; do sleep 0.2; done' 2>&1"
_VOLUMES = (f"{PKI}:{INSIDE}:ro", "/srv/etcd:/var/lib/etcd")
_QUADLET = """[Unit]
Description=somebody's etcd
[Container]
Image=IMAGE
Network=host
Notify=true
VOLUMES
SETTINGS
[Service]
Restart=always
[Install]
WantedBy=multi-user.target
"""
# As kubeadm writes it.
_MANIFEST = """apiVersion: v1
kind: Pod
metadata:
  labels:
    component: etcd
    tier: control-plane
  name: etcd
  namespace: kube-system
spec:
  containers:
  - command:
    - etcd
    FLAGS
    image: registry.k8s.io/etcd:3.5.16-0
    name: etcd
  hostNetwork: true
"""


class InContainers(Audited):
    """A cluster whose members run in containers."""

    def settings(self, host: str) -> dict[str, str]:
        address = self.addresses[host]
        peers = ",".join(f"{one}=https://{other}:2380" for one, other in self.addresses.items())
        return {
            "name": host,
            "data-dir": "/var/lib/etcd",
            "listen-peer-urls": f"https://{address}:2380",
            "initial-advertise-peer-urls": f"https://{address}:2380",
            "listen-client-urls": f"http://{address}:2379,http://127.0.0.1:2379",
            "advertise-client-urls": f"http://{address}:2379",
            "initial-cluster": peers,
            "peer-cert-file": f"{INSIDE}/member-{host}.pem",
            "peer-key-file": f"{INSIDE}/member-{host}-key.pem",
            "peer-trusted-ca-file": f"{INSIDE}/ca.pem",
            "peer-client-cert-auth": "true",
        }

    def flags(self, host: str, **more: str) -> list[str]:
        given = {**self.settings(host), **{flag.replace("_", "-"): value for flag, value in more.items()}}
        return [f"--{flag}={value}" for flag, value in given.items()]

    def prepare(self) -> None:
        self.certificates()
        elsewhere = Forge(common_name="etcd-ca")
        for host in TRIO:
            certificate, key = elsewhere.certificate(f"etcd-member-{host}", self.addresses[host])
            decoys = {"ca": elsewhere.ca_pem, f"member-{host}": certificate, f"member-{host}-key": key}
            for name, text in decoys.items():
                self.put(host, f"{INSIDE}/{name}.pem", text)
        self.controller.on_each(TRIO, _IMAGE)

    def start_quadlet(self) -> None:
        for host in TRIO:
            settings = [f"ETCD_{flag.upper().replace('-', '_')}={value}" for flag, value in self.settings(host).items()]
            text = _QUADLET.replace("IMAGE", IMAGE)
            text = text.replace("SETTINGS", "\n".join(f"Environment={one}" for one in settings))
            self.put(host, QUADLET, text.replace("VOLUMES", "\n".join(f"Volume={one}" for one in _VOLUMES)))
        self.controller.on_each(TRIO, "mkdir -p /srv/etcd && systemctl daemon-reload && systemctl start etcd")

    def start(self, flags: t.Callable[[str], list[str]], *words: str) -> None:
        """By ``podman run``, from a shell of the host. ``words``: of podman's options."""
        engine = ["podman run --detach --name etcd --network host", *(f"--volume {one}" for one in _VOLUMES), *words]
        for host in TRIO:
            command = " ".join([*engine, IMAGE, *flags(host)])
            # By SSH: the container's control group comes of the caller's, which has to be the host's.
            self.lab.ssh(host, f"mkdir -p /srv/etcd && {command}")
        self.controller.on_each(TRIO, _HEALTHY)
        groups = self.controller.on_each(TRIO, "cat /proc/$(pgrep --exact etcd)/cgroup").values()
        assert all(not words or POD in group for group in groups), groups

    def remove(self) -> None:
        self.controller.on_each(
            TRIO,
            f"rm -f {QUADLET} {MANIFEST}; systemctl stop etcd 2>/dev/null; podman rm --all --force --time 1; "
            "systemctl daemon-reload; rm -rf /srv/etcd",
        )

    def running(self) -> dict[str, str]:
        listed = "podman ps --no-trunc --format '{{.ID}} {{.Pid}} {{.Command}}'"
        return self.controller.on_each(TRIO, f"{listed}; pgrep --exact etcd")

    def refuse(self, playbook: str, *said: str) -> None:
        """Refused with these words, while processes and files stay."""
        files = "find /etc -xdev -type f -exec sha256sum {} + | sort"
        before = (self.running(), self.controller.on_each(TRIO, files))
        run = self.controller.play(self.inventory, playbook=self.controller.named(playbook))
        assert run.returncode != 0 and "Traceback" not in run.output, run.output[-6000:]
        assert not any(run.changed.values()), run.output[-6000:]
        printed = " ".join(run.output.split())
        assert all(one in printed for one in said), run.output[-6000:]
        assert (self.running(), self.controller.on_each(TRIO, files)) == before


@pytest.fixture(scope="module")
def theirs(controller: Controller, lab: Lab) -> InContainers:
    controller.bare()
    made = InContainers(controller, lab)
    made.prepare()
    return made


@pytest.fixture(autouse=True)
def removed(theirs: InContainers) -> t.Iterator[None]:
    yield
    theirs.remove()


def assert_open(audit: dict[str, t.Any], pattern: str) -> re.Match[str]:
    """Any certificate of the CA is let in, nothing else is found, and this line closes it."""
    assert failed(audit) == OPEN and others(audit) == set(), audit["findings"]
    line = remedy(audit, "allowed_common_names")
    match = re.fullmatch(f"{pattern}, then restart one member at a time", line)
    assert match is not None, line
    return match


def test_a_quadlet(theirs: InContainers) -> None:
    theirs.start_quadlet()
    _run, audit = theirs.audit()
    match = assert_open(audit, rf"\[Container\] (Environment=ETCD_PEER_CERT_ALLOWED_CN={NAMES}) in {QUADLET}")
    for playbook, done in (("takeover", "nothing is taken over: "), ("adopt", "nothing is adopted: ")):
        theirs.refuse(playbook, done, "it runs in a container, which its deployer makes anew: ", match[0])
    theirs.controller.on_each(TRIO, f"sed -i 's/^Notify=true/&\\n{match[1]}/' {QUADLET}")
    theirs.restart()
    assert_clean(*theirs.audit())


def test_podman_run(theirs: InContainers) -> None:
    """Fenced by a flag, and refused nevertheless."""
    theirs.start(lambda host: theirs.flags(host, peer_cert_allowed_cn=NAMES))
    assert_clean(*theirs.audit())
    theirs.refuse(
        "takeover", "it runs in a container", f"--peer-cert-allowed-cn={NAMES} in the command of podman's container "
    )


def test_a_static_pod(theirs: InContainers) -> None:
    for host in TRIO:
        flags = "\n".join(f"    - {flag}" for flag in theirs.flags(host))
        theirs.put(host, MANIFEST, _MANIFEST.replace("    FLAGS", flags))
    theirs.start(theirs.flags, f"--cgroup-parent {POD}")
    _run, audit = theirs.audit()
    match = assert_open(
        audit,
        rf"--peer-cert-allowed-cn={NAMES} in the command of {MANIFEST} "
        r"\(kubeadm: etcd.local.extraArgs of its ClusterConfiguration too, or its next upgrade takes it out again\)",
    )
    theirs.refuse("takeover", "it runs in a pod of Kubernetes, which its deployer makes anew: ", match[0])
