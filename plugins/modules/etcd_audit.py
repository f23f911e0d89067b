# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_audit
short_description: Judge how the peer ports of any etcd are fenced, whoever deployed it
version_added: 0.1.0
description:
  - Judges what M(ringfence.etcd.etcd_process_info) told of the hosts of this play, and what
    M(ringfence.etcd.etcd_process_probe) met at their peer ports. Each finding has the line that closes it, in the words
    of who deployed that etcd.
  - The wanted common names come from the certificates that the members present to other hosts. Strangers are the
    certificates of their CA that lie on the hosts and belong to no member.
  - What could not be shown is told as unknown, and never as fenced.
  - Shows a short table, and writes a page, a JSON document and metrics for Prometheus on request.
  - Runs on the controller and asks no host for anything. It does not fail for what it finds; look at RV(passed).
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.cryptography_dep.controller
  - ringfence.etcd.attributes
attributes:
  check_mode:
    support: full
    details:
      - Changes nothing. The files of O(html_path), O(json_path) and O(metrics_path) are its output, and are written in
        check mode too.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  idempotent:
    support: full
    details:
      - Changes nothing. The time of the audit stands in the files, so that they differ at every run.
options:
  states_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_info).
    type: str
    required: true
  calls_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_probe).
    type: str
    required: true
  cluster_name:
    description: What the cluster is called in the table and in the files.
    type: str
    default: etcd
  without:
    description:
      - What may stay unproved without RV(passed) becoming false. The audit tells it all the same.
      - V(absent_hosts) stands for members whose hosts are left out by C(--limit) or unreachable, V(strangers) for where
        no stranger's certificate was at hand, V(root) for what an ordinary user can't see on a host. V(clients), which
        a proof knows, lets nothing pass here.
    type: list
    elements: str
    choices: [absent_hosts, strangers, clients, root]
    default: []
  warn_days:
    description: A certificate with fewer days left is a warning.
    type: int
    default: 14
  fail_days:
    description: A certificate with fewer days left is a failure.
    type: int
    default: 0
  html_path:
    description:
      - File on the controller for the audit as a page for people. It needs nothing from outside.
      - Where the hosts have several clusters, each has a file of its own, with a number before the ending. So has
        O(json_path).
    type: str
  json_path:
    description: File on the controller for the audit as JSON.
    type: str
  metrics_path:
    description:
      - File on the controller for metrics, in the format that the textfile collector of Prometheus' node_exporter
        reads. Its name has to end in C(.prom).
    type: str
  reports_on_host:
    description:
      - Whether the files are written on the host of the task (C(delegate_to)) and not on the controller, where a job's
        files may be gone with it. Their folder has to be there, and their paths have to begin with C(/).
    type: bool
    default: false
  show:
    description: Whether to show the table.
    type: bool
    default: true
seealso:
  - module: ringfence.etcd.etcd_process_info
  - module: ringfence.etcd.etcd_process_probe
"""

EXAMPLES = r"""
# With what etcd_process_info and etcd_process_probe were registered as on each host.
- name: Judge how the peer ports are fenced
  ringfence.etcd.etcd_audit:
    states_variable: etcd_processes
    calls_variable: etcd_calls
    # Passes where no certificate of the CA lies on the hosts but the members' own, which the audit says.
    without: [strangers]
  run_once: true
  register: audit

- name: Stop where they are not
  ansible.builtin.assert:
    that: audit.passed
  run_once: true
"""

RETURN = r"""
passed:
  description: Whether nothing is wrong, and nothing was left unproved that the user does not go on without.
  returned: success
  type: bool
  sample: true
failing:
  description: What RV(passed) is false for, in a line each.
  returned: success
  type: list
  elements: str
  sample: []
audits:
  description:
    - An audit for each cluster that runs on these hosts, in the form of the return value C(proof) of
      M(ringfence.etcd.etcd_peer_proof), with C(let_in) beside it.
    - A check is V(settings), V(process_current), V(config_file), V(peer_port), V(peer_tls), V(allowed_common_names),
      V(address_check), V(client_authority), V(served_certificate), V(certificate_days), V(identity), V(live_members),
      V(strangers), V(members), V(no_certificate), V(unknown_ca), V(key_elsewhere), V(same_name), V(pairs),
      V(processes), V(state_gathered) or V(root).
  returned: success
  type: list
  elements: dict
  contains:
    let_in:
      description: Who lies on these hosts, is no member, and is let in today.
      returned: success
      type: list
      elements: dict
      contains:
        host:
          description: The host that it called from, where its pair lies.
          type: str
        path:
          description: The file of its certificate; V(null) for a stranger that was given or made.
          type: str
        common_name:
          description: Its common name; V(null) where it has none, or is not known.
          type: str
        fingerprint:
          description: The certificate's SHA-256.
          type: str
        by:
          description: The members that let it in.
          type: list
          elements: str
table:
  description: The lines that were shown.
  returned: success
  type: list
  elements: str
"""
