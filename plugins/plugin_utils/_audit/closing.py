# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that closes a hole, in the words of whoever deployed that etcd. Pure.

A setting goes where the process has its others from: etcd ends at once where a flag and a variable say the same, reads
neither where it has a configuration file, and a deployer writes its own files again.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim

ALLOWED = "peer-cert-allowed-cn"
ONE_BY_ONE = "then restart one member at a time"

_KUBELETS = "/etc/kubernetes/manifests/"
_RKE2S = "/var/lib/rancher/rke2/"
_KUBESPRAY = "/etc/etcd.env"
_RKE2 = "/etc/rancher/rke2/config.yaml"
_EMBEDDED = {"k3s": "/etc/rancher/k3s/config.yaml", "rke2": _RKE2}
# Who starts a container that systemd does not start: whatever made it, which makes it anew.
_MADE_BY = {"podman": "podman run, a playbook", "docker": "docker run, a compose file, a playbook"}
# In a configuration file the peers' settings have a section of their own.
_SECTION = "peer-transport-security"
_IN_SECTION = {
    "peer-cert-allowed-cn": "allowed-cn",
    "peer-cert-file": "cert-file",
    "peer-client-cert-auth": "client-cert-auth",
    "peer-key-file": "key-file",
    "peer-trusted-ca-file": "trusted-ca-file",
}
# What needs no quotes in a shell, in YAML or in systemd's files.
_PLAIN = re.compile(r"[A-Za-z0-9_./:,@+-]+")


def variable_of(flag: str) -> str:
    """The variable that says the same as a flag."""
    return f"ETCD_{flag.upper().replace('-', '_')}"


def closing_list(claim: Claim, names: t.Sequence[str]) -> str:
    """How this etcd is given its list of allowed common names."""
    return f"{closing(claim, {ALLOWED: ','.join(names)}, names)}, {ONE_BY_ONE}"


def closing(claim: Claim, flags: t.Mapping[str, str], names: t.Sequence[str] = ()) -> str:
    """How this etcd is given settings, by flag. ``names``: the list of allowed common names, where it is among them."""
    told = claim.told
    arguments = " ".join(f"--{flag}={_quoted(value)}" for flag, value in flags.items())
    if told["kind"] == "pod" and (told["definition"] or "").startswith(_RKE2S):
        return _etcd_arg(flags, _RKE2)
    if told["config_file"] is not None:
        inside = {"container": " of its container", "pod": " of its pod"}.get(told["kind"], "")
        return f"{_in_config(flags, names)} in {told['config_file']}{inside}"
    if told["kind"] == "pod":
        return _in_pod(claim, arguments)
    if told["kind"] == "embedded":
        return _embedded(claim, flags, arguments)
    variables = ", ".join(f"{variable_of(flag)}={_quoted(value)}" for flag, value in flags.items())
    if told["kind"] == "container":
        return _in_container(claim, flags, arguments, variables)
    if any(_is_flag(claim, flag) for flag in flags):
        where = f"ExecStart= of {told['unit']}" if told["kind"] == "service" else "its command line"
        return f"{arguments} in {where}, in place of what stands there"
    return _in_environment(claim, flags, variables)


def _is_flag(claim: Claim, flag: str) -> bool:
    """Whether the process has this setting on its command line, where a variable beside it would end it."""
    source = claim.told["list_source"] if flag == ALLOWED else claim.told["settings_source"]
    return source == "flag" and flag in claim.flags


def _in_environment(claim: Claim, flags: t.Mapping[str, str], variables: str) -> str:
    told = claim.told
    files = told["environment_files"]
    if _KUBESPRAY in files:
        values = ", ".join(f"{variable_of(flag)}: {json.dumps(value)}" for flag, value in flags.items())
        return f"etcd_extra_vars: {{{values}}} in kubespray's group_vars, which is {variables} in {_KUBESPRAY}"
    if files:
        # Of several the last one wins.
        return f"{variables} in {files[-1]}"
    if told["kind"] != "service":
        return f"{variables} in its environment"
    return f"[Service] {_assignments(flags)} in /etc/systemd/system/{told['unit']}.d/zz-peers.conf"


def _assignments(flags: t.Mapping[str, str]) -> str:
    """As systemd's files say it, and podman's quadlets."""
    return " ".join(f"Environment={variable_of(flag)}={_quoted(value)}" for flag, value in flags.items())


def _in_pod(claim: Claim, arguments: str) -> str:
    manifest = claim.told["definition"]
    if manifest is None:
        return f"{arguments} in the command of its pod, in what deploys that pod (a chart, an operator, a manifest)"
    kubeadms = (
        " (kubeadm: etcd.local.extraArgs of its ClusterConfiguration too, or its next upgrade takes it out again)"
        if manifest.startswith(_KUBELETS)
        else ""
    )
    return f"{arguments} in the command of {manifest}{kubeadms}"


def _in_container(claim: Claim, flags: t.Mapping[str, str], arguments: str, variables: str) -> str:
    told = claim.told
    as_flags = told["settings_source"] == "flag" or any(_is_flag(claim, flag) for flag in flags)
    if told["definition"] is not None:
        if as_flags:
            return f"{arguments} in Exec= of {told['definition']}"
        return f"[Container] {_assignments(flags)} in {told['definition']}"
    what = f"{arguments} in the command" if as_flags else f"{variables} in the environment"
    if told["engine"] == "podman" and (told["unit"] or "").endswith(".service"):
        return f"{what} of its container, in ExecStart= of {told['unit']}"
    which = f"{told['engine']}'s container {told['container_id']}" if told["engine"] else "its container"
    made_by = f" ({_MADE_BY[told['engine']]})" if told["engine"] in _MADE_BY else ""
    return f"{what} of {which}, in the settings of what starts that container{made_by}"


def _embedded(claim: Claim, flags: t.Mapping[str, str], arguments: str) -> str:
    program = os.path.basename(claim.told["program"] or "its program")
    for name, path in _EMBEDDED.items():
        if program.startswith(name):
            return _etcd_arg(flags, path)
    return f"{arguments}, by the setting that {program} has for its etcd's flags"


def _etcd_arg(flags: t.Mapping[str, str], path: str) -> str:
    values = ", ".join(json.dumps(f"{flag}={value}") for flag, value in flags.items())
    return f"etcd-arg: [{values}] in {path}"


def _in_config(flags: t.Mapping[str, str], names: t.Sequence[str]) -> str:
    """The line of a configuration file, in YAML's short form, for settings of peers: the list has to be one there."""
    values = {flag: _quoted(value) for flag, value in flags.items()}
    if ALLOWED in flags:
        values[ALLOWED] = f"[{', '.join(_quoted(name) for name in names)}]"
    return f"{_SECTION}: {{{', '.join(f'{_IN_SECTION[flag]}: {value}' for flag, value in values.items())}}}"


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


__all__ = ("ALLOWED", "ONE_BY_ONE", "closing", "closing_list", "variable_of")
