# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_peer_proof
short_description: Prove that the members of an etcd cluster accept each other and refuse strangers
version_added: 0.1.0
description:
  - Evaluates what M(ringfence.etcd.etcd_peer_probe) found on the members of one cluster. Every member has to be
    accepted by every other, every stranger refused, and for the right reason.
  - Compares what must be equal on all members (trust bundle, the allowed common names of the running process, identity)
    and what must fit (certificate and member, subject alternative names and peer URL, the live list of members and the
    members named, the certificate that is served and the one on disk).
  - Shows a short table, and writes a page, a JSON document and metrics for Prometheus on request.
  - Runs on the controller and asks no host for anything. It does not fail for what it finds; look at
    RV(proof.passed).
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
      - Changes nothing. The time of the proof stands in the files, so that they differ at every run.
options:
  members:
    description: The members, as made by P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  states:
    description:
      - The result of M(ringfence.etcd.etcd_peer_probe) by member's name.
      - A member whose result is missing, is that of a failed task or can't be used, counts as not proved.
    type: dict
  states_variable:
    description:
      - In place of O(states), the name of the variable under which each host has registered that result. It is read
        from the hosts of this play, which is much faster.
    type: str
  cluster_name:
    description: The cluster's name.
    type: str
    required: true
  identity:
    description: Whether each member has a common name of its own (V(list)) or all have one (V(shared)).
    type: str
    choices: [list, shared]
    default: list
  ca_certificate_content:
    description:
      - The CA at hand, with those above it (PEM). Where some members trust it beside the CA that all trust, a change of
        the CA is under way.
    type: str
  removed:
    description:
      - Members that are to go, by name, common name, ID or peer URL. One that is still in the cluster's list is told as
        a change that is under way.
    type: list
    elements: str
    default: []
  slice_of:
    description:
      - That this run is a slice of a job, and of which template, as M(ringfence.etcd.etcd_settings) returns it. Then no
        finding proposes to remove a member that this run does not name.
    type: str
    default: ''
  stranger:
    description:
      - The result of M(ringfence.etcd.etcd_peer_stranger), failed or not, without its C(members). It says why where no
        stranger's certificate could be made.
    type: dict
  stranger_variable:
    description:
      - In place of O(stranger), the name of the variable under which this task's host has registered that result. What
        it has of the CA counts where O(ca_certificate_content) says nothing. The keys in it are in no task's options
        then.
    type: str
  client_proof:
    description:
      - What was to be tried at client ports, as M(ringfence.etcd.etcd_settings) returns it. Without it the proof says
        nothing of them.
    type: dict
  without:
    description:
      - What may stay unproved without RV(proof.passed) becoming false. The proof reports it all the same.
      - V(absent_hosts) stands for members whose hosts are left out by C(--limit) or unreachable, V(strangers) for
        strangers that could not be made, V(clients) for a client that could not, V(root) for what an ordinary user
        can't see on a host.
    type: list
    elements: str
    choices: [absent_hosts, strangers, clients, root]
    default: []
  renew_before_days:
    description: With how many days left the role renews a certificate. The page shows it.
    type: int
    default: 30
  warn_days:
    description: A certificate with fewer days left is a warning.
    type: int
    default: 14
  fail_days:
    description: A certificate or CA with fewer days left is a failure.
    type: int
    default: 0
  ca_warn_days:
    description: A CA with fewer days left is a warning.
    type: int
    default: 90
  html_path:
    description: File on the controller for the proof as a page for people. It needs nothing from outside.
    type: str
  json_path:
    description: File on the controller for RV(proof) as JSON.
    type: str
  metrics_path:
    description:
      - File on the controller for metrics, in the format that the textfile collector of Prometheus' node_exporter
        reads. Its name has to end in C(.prom) for that.
    type: str
  artifacts:
    description:
      - What of the proof becomes a statistic of the run (RV(ansible_stats)), which AWX keeps as the job's artifacts.
        V(table) is the table as one text, V(proof) is RV(proof), V(page) the page for people as HTML. For three members
        these are about 1 kB, 14 kB and 39 kB.
    type: list
    elements: str
    choices: [table, proof, page]
    default: []
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
  - module: ringfence.etcd.etcd_peer_probe
"""

EXAMPLES = r"""
# With what etcd_peer_probe was registered as on each host, and the list that the filter etcd_members has made.
- name: Prove the fence
  ringfence.etcd.etcd_peer_proof:
    cluster_name: etcd
    members: "{{ members }}"
    states_variable: state
    stranger_variable: strangers
    html_path: "{{ playbook_dir }}/reports/etcd.html"
  run_once: true
  register: found

- name: Stop where it does not stand
  ansible.builtin.assert:
    that: found.proof.passed
  run_once: true
"""

RETURN = r"""
proof:
  description: The proof.
  returned: success
  type: dict
  contains:
    format:
      description: The version of this document's form, V(1).
      type: int
      sample: 1
    cluster:
      description: The cluster's name.
      type: str
      sample: etcd
    time:
      description: When it was made, in UTC.
      type: str
      sample: '2026-11-24T09:00:00Z'
    identity:
      description: Whether each member has a common name of its own (V(list)) or all have one (V(shared)).
      type: str
      sample: list
    verdict:
      description:
        - V(proved), V(partly_proved) (nothing failed, and something could not be shown) or V(failed).
      type: str
      sample: proved
    passed:
      description:
        - Whether nothing failed, and nothing could not be shown but what O(without) says. What was not shown is no
          proof, and a run has to fail for it unless that was on purpose.
      type: bool
      sample: true
    without:
      description: What O(without) says.
      type: list
      elements: str
      sample: []
    summary:
      description: The same in one line.
      type: str
      sample: 3 members, 6 of 6 calls of members accepted, 18 of 18 of strangers refused
    thresholds:
      description: The options in days.
      type: dict
    members:
      description: The members, each with its deployed certificate and the worst verdict about it.
      type: list
      elements: dict
    authorities:
      description: Every CA that any member trusts, with C(trusted_by).
      type: list
      elements: dict
    pairs:
      description: >-
        One entry for each case (V(member), V(stranger), V(no_certificate), V(unknown_ca), and V(revoked) where one was
        made) and ordered pair of members.
      type: list
      elements: dict
      contains:
        from:
          description: The member that called.
          type: str
          sample: etcd-1
        to:
          description: The member that was called.
          type: str
          sample: etcd-2
        case:
          description: As whom.
          type: str
          sample: stranger
        verdict:
          description: V(ok), V(unproved) or V(failed).
          type: str
          sample: ok
        outcome:
          description: V(accepted), V(refused), V(unreachable), V(timed_out) or V(not_probed).
          type: str
          sample: refused
        reason:
          description: >-
            As in RV(ringfence.etcd.etcd_peer_probe#module:probes[].reason), or, where there was no call,
            V(host_not_in_run), V(no_own_certificate), V(no_ca_key), V(wrong_passphrase), V(no_cryptography),
            V(ca_host_unreachable) or V(no_stranger_made).
          type: str
          sample: common_name
        text:
          description: The reason in one line.
          type: str
        inferred:
          description: Whether the reason was worked out; otherwise it was seen.
          type: bool
          sample: true
        tls:
          description: The version of TLS.
          type: str
          sample: TLSv1.3
        cipher:
          description: The cipher suite.
          type: str
          sample: TLS_AES_128_GCM_SHA256
    client_ports:
      description: What was tried at client ports; V(null) without O(client_proof).
      type: dict
      contains:
        authority:
          description: Whose certificates they take, V(nobody) (no TLS), V(peers) (the peers' CA) or V(own).
          type: str
          sample: own
        peers_are_clients:
          description: Whether a peer's certificate is to be let in.
          type: bool
          sample: false
        cases:
          description: As whom they were called, as in O(ringfence.etcd.etcd_peer_probe#module:client_calls).
          type: list
          elements: str
        rbac:
          description: Whether etcd's RBAC is on, V(on), V(off) or V(unknown).
          type: str
          sample: 'off'
        text:
          description: Who is let in, and what they may do there, in one line.
          type: str
        calls:
          description:
            - One entry for each client port and case, with C(member) (who was called), C(from) (V(null) where nobody
              called), and C(case), C(verdict), C(outcome), C(reason), C(text), C(inferred), C(tls) and C(cipher) as in
              RV(proof.pairs). More reasons why there was no call are V(no_client_ca_key), V(wrong_client_passphrase),
              V(no_client_trust) and V(not_called). V(one_ca_or_two) is a peer that is let in where the clients' CA is
              not at hand.
          type: list
          elements: dict
    checks:
      description: What was compared, each entry with its verdict. C(member) is null where it is about all members.
      type: list
      elements: dict
      contains:
        check:
          description: >-
            One of V(running), V(process_current), V(next_start), V(allowed_common_names), V(identity), V(peer_tls),
            V(flags), V(etcd_version), V(files_readable), V(trust_bundle), V(certificate), V(common_name),
            V(subject_alternative_names), V(extended_key_usage), V(private_key), V(revocation_list),
            V(served_certificate), V(certificate_days), V(authority_days), V(live_members), V(peer_urls), V(alarms),
            V(data_folder), V(state_gathered).
          type: str
          sample: allowed_common_names
        member:
          description: The member.
          type: str
          sample: etcd-2
        verdict:
          description: V(ok), V(warning), V(unproved) or V(failed).
          type: str
          sample: ok
        text:
          description: What was found, in one line.
          type: str
        remedy:
          description: What to do; empty where nothing is to be done.
          type: str
    findings:
      description:
        - What is not well, worst first, each finding once, with C(code), C(subject), C(text), C(remedy), and C(fails),
          which says whether it keeps RV(proof.passed) from being true. With C(in_progress) a change of the cluster that
          is under way explains it. It fails the proof all the same.
      type: list
      elements: dict
    changes:
      description:
        - Changes of the cluster that are under way, each with C(code), C(subject) and C(text). There are other common
          names, members that join, learners, members that are to go, members that move, more than one CA, and more than
          one minor version.
      type: list
      elements: dict
ansible_stats:
  description:
    - What M(ansible.builtin.set_stats) would give, with C(ringfence_etcd_proof) in its C(data), and in that the
      artifacts by cluster.
  returned: with O(artifacts)
  type: dict
table:
  description: The table that is shown, line by line.
  returned: success
  type: list
  elements: str
"""
