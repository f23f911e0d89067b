# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that closes a hole, for each of those who deploy etcd."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.closing import closing, closing_list
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, claims_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import process, told

NAMES = ["a.example.com", "b.example.com"]
VARIABLE = "ETCD_PEER_CERT_ALLOWED_CN=a.example.com,b.example.com"
FLAG = "--peer-cert-allowed-cn=a.example.com,b.example.com"


def claim(flags: t.Mapping[str, str | None] | None = None, **changes: t.Any) -> Claim:
    (found,) = claims_of({"etcd-1": told(process("etcd-1", flags, **changes))})
    return found


NONE = {"peer-cert-allowed-cn": None}


@pytest.mark.parametrize(
    ("flags", "changes", "line"),
    [
        (
            NONE,
            {"environment_files": ["/etc/etcd.env"]},
            'etcd_extra_vars: {ETCD_PEER_CERT_ALLOWED_CN: "a.example.com,b.example.com"} in kubespray\'s group_vars, '
            f"which is {VARIABLE} in /etc/etcd.env",
        ),
        (NONE, {"environment_files": ["/etc/default/etcd"]}, f"{VARIABLE} in /etc/default/etcd"),
        # What the last file says counts.
        (NONE, {"environment_files": ["/etc/default/etcd", "/etc/etcd/more"]}, f"{VARIABLE} in /etc/etcd/more"),
        (
            NONE,
            {"environment_files": [], "settings_source": "flag"},
            f"[Service] Environment={VARIABLE} in /etc/systemd/system/etcd.service.d/zz-peers.conf",
        ),
        # A flag is there: a variable beside it would end etcd.
        (
            {},
            {"environment_files": [], "settings_source": "flag", "list_source": "flag"},
            f"{FLAG} in ExecStart= of etcd.service, in place of what stands there",
        ),
        (
            {},
            {"kind": "process", "unit": None, "settings_source": "flag", "list_source": "flag"},
            f"{FLAG} in its command line, in place of what stands there",
        ),
        (NONE, {"kind": "process", "unit": None, "environment_files": []}, f"{VARIABLE} in its environment"),
        (
            NONE,
            {"config_file": "/etc/etcd/etcd.yml", "settings_source": "config_file"},
            "peer-transport-security: {allowed-cn: [a.example.com, b.example.com]} in /etc/etcd/etcd.yml",
        ),
        # A container's configuration file is where the container's deployer has it from.
        (
            NONE,
            {"kind": "container", "config_file": "/etc/etcd.yml"},
            "peer-transport-security: {allowed-cn: [a.example.com, b.example.com]} in /etc/etcd.yml of its container",
        ),
        (
            NONE,
            {"kind": "container", "engine": "podman", "definition": "/etc/containers/systemd/etcd.container"},
            f"[Container] Environment={VARIABLE} in /etc/containers/systemd/etcd.container",
        ),
        (
            NONE,
            {
                "kind": "container",
                "engine": "podman",
                "settings_source": "flag",
                "definition": "/etc/containers/systemd/etcd.container",
            },
            f"{FLAG} in Exec= of /etc/containers/systemd/etcd.container",
        ),
        # A unit of somebody's own, with podman in it.
        (
            NONE,
            {"kind": "container", "engine": "podman", "settings_source": "flag"},
            f"{FLAG} in the command of its container, in ExecStart= of etcd.service",
        ),
        # The list is there as a flag: a variable beside it would end etcd.
        (
            {},
            {
                "kind": "container",
                "engine": "podman",
                "settings_source": "flag_and_environment",
                "list_source": "flag",
            },
            f"{FLAG} in the command of its container, in ExecStart= of etcd.service",
        ),
        (
            NONE,
            {"kind": "container", "engine": "docker", "container_id": "0123456789ab", "unit": "docker-0123.scope"},
            f"{VARIABLE} in the environment of docker's container 0123456789ab, in the settings of what starts that "
            "container (docker run, a compose file, a playbook)",
        ),
        (
            NONE,
            {
                "kind": "container",
                "engine": "containerd",
                "container_id": "0123456789ab",
                "unit": "containerd.service",
                "settings_source": "flag",
            },
            f"{FLAG} in the command of containerd's container 0123456789ab, in the settings of what starts that "
            "container",
        ),
        (
            NONE,
            {"kind": "container", "settings_source": "environment"},
            f"{VARIABLE} in the environment of its container, in the settings of what starts that container",
        ),
        (
            NONE,
            {"kind": "container", "settings_source": "flag"},
            f"{FLAG} in the command of its container, in the settings of what starts that container",
        ),
        (
            NONE,
            {"kind": "pod", "settings_source": "flag"},
            f"{FLAG} in the command of its pod, in what deploys that pod (a chart, an operator, a manifest)",
        ),
        (
            NONE,
            {"kind": "pod", "config_file": "/var/lib/etcd/config", "definition": "/var/lib/rancher/rke2/a/etcd.yaml"},
            'etcd-arg: ["peer-cert-allowed-cn=a.example.com,b.example.com"] in /etc/rancher/rke2/config.yaml',
        ),
        (
            NONE,
            {"kind": "pod", "settings_source": "flag", "definition": "/srv/manifests/etcd.yaml"},
            f"{FLAG} in the command of /srv/manifests/etcd.yaml",
        ),
        (
            NONE,
            {"kind": "pod", "settings_source": "flag", "definition": "/etc/kubernetes/manifests/etcd.yaml"},
            f"{FLAG} in the command of /etc/kubernetes/manifests/etcd.yaml (kubeadm: etcd.local.extraArgs of its "
            "ClusterConfiguration too, or its next upgrade takes it out again)",
        ),
        (
            NONE,
            {"kind": "embedded", "program": "/usr/local/bin/k3s"},
            'etcd-arg: ["peer-cert-allowed-cn=a.example.com,b.example.com"] in /etc/rancher/k3s/config.yaml',
        ),
        (
            NONE,
            {"kind": "embedded", "program": "/usr/bin/other"},
            f"{FLAG}, by the setting that other has for its etcd's flags",
        ),
    ],
)
def test_the_list_in_the_words_of_its_deployer(
    flags: dict[str, str | None], changes: dict[str, t.Any], line: str
) -> None:
    assert closing_list(claim(flags, **changes), NAMES) == f"{line}, then restart one member at a time"


def test_other_settings_have_their_names_there() -> None:
    wanted = {"peer-trusted-ca-file": "CA.crt", "peer-client-cert-auth": "true"}
    by_file = closing(claim(config_file="/etc/etcd.yml"), wanted)
    assert by_file == "peer-transport-security: {trusted-ca-file: CA.crt, client-cert-auth: true} in /etc/etcd.yml"
    by_variable = closing(claim(environment_files=["/etc/default/etcd"]), wanted)
    assert by_variable == "ETCD_PEER_TRUSTED_CA_FILE=CA.crt, ETCD_PEER_CLIENT_CERT_AUTH=true in /etc/default/etcd"


def test_a_name_with_a_space_is_quoted() -> None:
    assert '"a b"' in closing_list(claim(config_file="/etc/etcd.yml"), ["a b"])
    assert 'ETCD_PEER_CERT_ALLOWED_CN="a b,c"' in closing_list(claim(environment_files=["/e"]), ["a b", "c"])
