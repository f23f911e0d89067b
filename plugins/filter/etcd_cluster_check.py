# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_cluster_check
short_description: Say whether a run may change an etcd cluster, and what is to be issued
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Looks at a whole cluster, the members that are wanted beside what M(ringfence.etcd.etcd_peer_info) found on each
    host,
    and gives every reason not to go on, before anything is changed.
  - It refuses where a common name would leave the list of allowed ones unasked, where the hosts trust different CAs,
    where
    etcd's version would lock every peer out, where a data folder is another cluster's, and so on.
options:
  _input:
    description: The members, as made by P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  infos:
    description: By a member's name, the result of M(ringfence.etcd.etcd_peer_info) on its host, for the hosts in this
      run.
    type: dict
    required: true
  cluster_name:
    description: The cluster's name, which is its C(--initial-cluster-token) too.
    type: str
    required: true
  identity:
    description: V(list) or V(shared).
    type: str
    choices: [list, shared]
    default: list
  play:
    description: Names of the members in the whole play; more than in O(infos) where C(serial) makes batches.
    type: list
    elements: str
    default: []
  leaving:
    description: Common names, or members' names, that the user says are to go.
    type: list
    elements: str
    default: []
  install_pending:
    description: Whether etcd will be installed in this run, so that a missing binary is no reason to refuse (check
      mode).
    type: bool
    default: false
  overrule_distribution_etcd:
    description: Whether to override a service of the same name that has data of its own.
    type: bool
    default: false
  ca_certificate:
    description: The CA certificate (PEM) where it is given as content.
    type: str
  settings:
    description: The settings that P(ringfence.etcd.etcd_arguments#filter) takes, checked for every member.
    type: dict
    required: true
  new_keys:
    description: Whether every member is to get a new key.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at the cluster as a whole
  ansible.builtin.set_fact:
    check: "{{ members | ringfence.etcd.etcd_cluster_check({'etcd-1': info}, cluster_name='etcd', settings=settings) }}"
"""

RETURN = r"""
_value:
  description: The verdict.
  type: dict
  contains:
    refusals:
      description: Why the run must not go on, each with a C(code) and a C(text); empty if it may.
      type: list
      elements: dict
    warnings:
      description: What is allowed and still worth a line.
      type: list
      elements: str
    trusted_fingerprints:
      description: SHA-256 fingerprints of the CA certificates that all hosts with a trust bundle trust.
      type: list
      elements: str
    no_new_ca_because:
      description: Why a CA that does not exist must not be made now; null on a first deployment.
      type: str
    requests:
      description: The members as M(ringfence.etcd.etcd_peer_certificates) takes them, those in O(infos) alone.
      type: list
      elements: dict
"""

import typing as t

from ansible.utils.display import Display
from ansible_collections.ringfence.etcd.plugins.module_utils._guards import (
    Cluster,
    Question,
    certificate_requests,
    check_cluster,
    cluster_warnings,
    common_fingerprints,
    why_no_new_authority,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import (
    call,
    flag_settings_from,
    member_from,
    plain,
)


def etcd_cluster_check(
    value: t.Any,
    infos: t.Mapping[str, t.Any],
    cluster_name: str,
    settings: t.Mapping[str, t.Any],
    identity: str = "list",
    play: t.Sequence[str] = (),
    leaving: t.Sequence[str] = (),
    install_pending: bool = False,
    overrule_distribution_etcd: bool = False,
    ca_certificate: str | None = None,
    new_keys: bool = False,
) -> dict[str, t.Any]:
    question = Question(
        cluster_name=plain(cluster_name),
        identity=plain(identity),
        batch=plain(list(infos)),
        play=plain(play),
        # On the command line a list is easily given as a text: -e etcd_peer_tls_leaving=etcd-3,etcd-4
        leaving=[name.strip() for name in leaving.split(",")] if isinstance(leaving, str) else plain(leaving),
        install=bool(install_pending),
        overrule_distribution_etcd=bool(overrule_distribution_etcd),
        ca_certificate=plain(ca_certificate) or None,
        flag_settings=flag_settings_from(settings),
    )
    cluster = Cluster([member_from(member) for member in value], plain(infos), question)
    refusals = call(check_cluster, cluster)
    warnings = cluster_warnings(cluster)
    for warning in warnings:
        Display().warning(warning)
    return {
        "refusals": [{"code": refusal.code, "text": refusal.text} for refusal in refusals],
        "warnings": warnings,
        "trusted_fingerprints": common_fingerprints(cluster),
        "no_new_ca_because": why_no_new_authority(cluster),
        "requests": certificate_requests(cluster, bool(new_keys)),
    }


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"etcd_cluster_check": etcd_cluster_check}
