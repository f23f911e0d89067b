#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_cluster_check
short_description: Check whether a run may change an etcd cluster, and list the pending changes
version_added: 0.1.0
description:
  - Compares the members that are wanted with the state that M(ringfence.etcd.etcd_peer_probe) gathered on each host,
    for the whole cluster. It returns every reason not to go on, and all pending changes, before anything is changed.
  - A preflight check fails where a common name would leave the list of allowed ones unasked, where the hosts trust
    different CAs, where etcd's version would lock every peer out, where a data folder is another cluster's, where a
    host's clock is wrong, and so on.
  - For a cluster that runs, a preflight check fails where a change would cut a member off, judged by the member list
    that the running members report. Such a change is another peer URL, client port, common name or data folder, another
    minor version of etcd without O(upgrade), a member that has lost its data, or one that is to leave and was not
    removed yet.
  - The module runs on the controller and asks no host for anything. It does not fail for what it finds, but returns
    it in RV(failures).
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.cryptography_dep.controller
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
options:
  members:
    description: The members, as made by P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  states:
    description: The result of M(ringfence.etcd.etcd_peer_probe) by member's name, for the hosts in this run.
    type: dict
  states_variable:
    description:
      - In place of O(states), the name of the variable under which each host has registered that result. It is read
        from the hosts of this batch of the play, which is much faster. Each of them must have registered one.
    type: str
  programs:
    description:
      - The result of M(ringfence.etcd.etcd_program) by member's name. The version that was tried is checked in place of
        the one that is there, and one that can't be started there is refused.
    type: dict
  programs_variable:
    description: In place of O(programs), the name of the variable under which each host has registered that result.
    type: str
  cluster_name:
    description: The cluster's name, which is its C(--initial-cluster-token) too.
    type: str
    required: true
  identity:
    description: Whether each member has a common name of its own (V(list)) or all have one (V(shared)).
    type: str
    choices: [list, shared]
    default: list
  play:
    description: Names of the members in the whole play; more than in O(states) where C(serial) makes batches.
    type: list
    elements: str
    default: []
  removed:
    description: Members that the user says are to go, by name, common name, ID or peer URL.
    type: list
    elements: str
    default: []
  revoked:
    description:
      - What the user says is to be revoked. What it means is in O(ca); where that is not at hand, the check fails.
    type: list
    elements: str
    default: []
  removed_urls:
    description:
      - Peer URLs of members in O(removed). A member that was added and never ran is known to the cluster by its peer
        URL alone.
    type: list
    elements: str
    default: []
  replaced:
    description: Names of members that have lost their data, and that the user says are to join the cluster anew.
    type: list
    elements: str
    default: []
  new_ca:
    description: Whether the user says that the members are to get certificates of another CA than the one they trust.
    type: bool
    default: false
  retire_ca:
    description: SHA-256 fingerprints of CAs that the user says no client needs any more.
    type: list
    elements: str
    default: []
  stop_after:
    description:
      - The last phase of a change of names or of the CA in this run, so that clients can follow. V(widen) is when all
        members accept the old and the new, V(present) when all have their new certificates. Empty for the end.
    type: str
    choices: ['', widen, present]
    default: ''
  issued_to:
    description:
      - Names of members that got a certificate in the pass before. Where one of them and another member do not take
        each other for peers, by the handshakes in O(states), nothing more is changed.
    type: list
    elements: str
    default: []
  passed:
    description: RV(transition.text) of the pass before. Where it is the same again nothing more is changed.
    type: str
    default: ''
  steps_done:
    description: How many steps of the plan this run has done, so that those which are left go on with their numbers.
    type: int
    default: 0
  disconnect_revoked:
    description:
      - Whether members that are older than their revocation list are restarted in this run, so that nobody stays
        connected with a certificate that was revoked since.
    type: bool
    default: false
  keys_leaked:
    description:
      - Names of members whose keys are known to others. Each is to get a new key, and RV(leaked) tells what it presents
        until then. Nothing of it is revoked before O(replaced_certificates) is given.
    type: list
    elements: str
    default: []
  replaced_certificates:
    description:
      - RV(leaked) of the call before the new certificates were deployed. All that the members of O(keys_leaked) were
        given is to be revoked now, but for what they present. Refused where one presents any of these still.
    type: list
    elements: str
  manages_service:
    description: Whether systemd starts and restarts the members in this run, without which none is added or removed.
    type: bool
    default: true
  members_are_said:
    description:
      - Whether the user has said how many members there are, or has listed them. Otherwise a cluster of one is not
        formed, because a slice of a job looks like one.
    type: bool
    default: true
  slice_of:
    description:
      - That this run is a slice of a job, and of which template, as M(ringfence.etcd.etcd_settings) returns it. Such a
        run forms no cluster where O(members_are_said) is V(false), and no refusal proposes to remove a member.
    type: str
    default: ''
  not_in_inventory:
    description: Names of those of O(members) whose hosts the inventory of this run does not have.
    type: list
    elements: str
    default: []
  install:
    description: From what this run installs etcd. With V(package) or V(archive) a missing binary is no reason to
      refuse.
    type: str
    choices: [none, package, archive]
    default: none
  archive:
    description: The release archive. A host with another version than the one in its name gets it installed.
    type: str
    default: ""
  archive_sha256:
    description: The archive's SHA-256, without which an archive is refused.
    type: str
    default: ""
  overrule_distribution_etcd:
    description:
      - Whether to replace an etcd under the same unit name that is not this collection's, where it has keys or other
        members, or where nobody can tell. Its data stays where it is and is not used.
    type: bool
    default: false
  force_restart:
    description: Whether to allow a restart that can't be guarded, which is refused otherwise.
    type: bool
    default: false
  upgrade:
    description:
      - Whether this run may begin with the next minor version of etcd. An upgrade that has begun goes on without it.
    type: bool
    default: false
  ca_certificate_content:
    description: The CA certificate (PEM) where it is given as content.
    type: str
  ca:
    description: The CA in a folder, the return value C(ca) of M(ringfence.etcd.etcd_peer_stranger).
    type: dict
  ca_variable:
    description:
      - In place of O(ca), the name of the variable under which this host has registered the whole result of
        M(ringfence.etcd.etcd_peer_stranger). Where that failed, or did not reach the CA's host, a run that needs the
        CA is refused with what it said.
    type: str
  ca_host:
    description: The host that holds the CA, as it is named where it can't be asked.
    type: str
  ca_directory:
    description: The folder of the CA, as O(ca_is_lost) is told with it.
    type: str
    default: ''
  ca_is_lost:
    description:
      - With what that folder is lost after the run, as M(ringfence.etcd.etcd_settings) returns it. No CA is made there,
        and a CA that is there is used with a warning. Empty where the folder stays.
    type: str
    default: ''
  settings:
    description: The settings that P(ringfence.etcd.etcd_arguments#filter) takes, checked for every member.
    type: dict
    required: true
  own_settings:
    description:
      - By a member's name, the settings of its own host, of the same kind as O(settings), where they may differ from
        host to host. A member that is not named has O(settings).
    type: dict
  settings_variable:
    description:
      - In place of O(own_settings), the name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_settings).
      - A member whose own settings were refused there makes the check of the whole cluster fail. Else the others would
        go on without it, as if the user had left it out.
    type: str
  key_type:
    description: The kind of key that the members should have.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  validity_days:
    description: How many days a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description: A certificate that ends in fewer days is to be renewed.
    type: int
    default: 30
  new_keys:
    description: Whether every member gets a new key.
    type: bool
    default: false
  parts:
    description:
      - The parts of the role that this run does, as its tags chose them. One that comes later is refused while one that
        is left out before it has something to do.
    type: list
    elements: str
    choices: [ca, certificates, service, verify]
    default: [ca, certificates, service, verify]
seealso:
  - module: ringfence.etcd.etcd_peer_probe
  - module: ringfence.etcd.etcd_peer_stranger
"""

EXAMPLES = r"""
# With what etcd_peer_probe was registered as on each host, and the list that the filter etcd_members has made.
- name: Check the cluster as a whole
  ringfence.etcd.etcd_cluster_check:
    members: "{{ members }}"
    states_variable: state
    cluster_name: etcd
    settings:
      cluster_name: etcd
      data_dir: /var/lib/etcd/etcd-1
      credentials_directory: /etc/etcd/pki
    own_settings:
      etcd-2: {cluster_name: etcd, data_dir: /var/lib/etcd/etcd-2, credentials_directory: /etc/etcd/pki}
      etcd-3: {cluster_name: etcd, data_dir: /var/lib/etcd/etcd-3, credentials_directory: /etc/etcd/pki}
  run_once: true
  register: check

- name: Refuse what could lose a member, a CA or a quorum
  ansible.builtin.fail:
    msg: "{{ check.failures | map(attribute='text') | join('; ') }}"
  when: check.failures | length > 0
  run_once: true
"""

RETURN = r"""
in_sync:
  description: Whether the cluster is in sync. There is no preflight failure and no pending change then.
  returned: success
  type: bool
failures:
  description: Why the run must not go on, each with a C(code) and a C(text); empty if it may.
  returned: success
  type: list
  elements: dict
notes:
  description: Warnings about what is allowed and still worth a line. They are also shown.
  returned: success
  type: list
  elements: str
pending:
  description:
    - The pending changes, each with C(member) (none for the cluster), C(part), C(code) and C(text). Empty where CA,
      hosts and processes are as they should be.
  returned: success
  type: list
  elements: dict
transition:
  description:
    - A change of the running cluster that one pass over its hosts can't do, such as other common names, another CA or
      another address. The members have to accept the new before anybody has it.
  returned: success
  type: dict
  contains:
    due:
      description: Whether there is one.
      type: bool
    stopped:
      description: Whether it is done as far as O(stop_after) says, and there is more of it.
      type: bool
    text:
      description: The next pass in a line, with how many steps come after it.
      type: str
    now:
      description:
        - The steps that come next, a line each, with their numbers and of how many there are, by the part of a run
          that does them. C(removals) of members that leave, C(pass) of the next pass, C(rest) of what comes after all
          passes, C(joins) of members that join.
        - C(removals), C(rest) and C(joins) are empty where no member leaves or joins.
      type: dict
    steps:
      description: How many steps the next pass has.
      type: int
    steps_done:
      description: How many steps were done before it.
      type: int
    lines:
      description:
        - All steps in a line each, with the reason, and what each does to the quorum. Before the first step that asks
          something of clients a line says what they need.
        - Those of members that leave stand before the change, those of members that join after it. They are here also
          where there is no such change.
      type: list
      elements: str
    requests:
      description: Whom the next pass issues certificates, as M(ringfence.etcd.etcd_peer_certificates) takes them.
      type: list
      elements: dict
    hosts:
      description:
        - By a member's name what the next pass does on its host. C(unit_content) and C(trust_bundle) are to be
          deployed, C(moved_to) is the peer URL that the cluster is told, C(issued) says whether there is a certificate.
          What is none stays as it is.
      type: dict
    members:
      description: The members with the URLs at which they answer during the next pass.
      type: list
      elements: dict
    places:
      description: By member's name the hosts of the peer URLs with which the cluster lists it, where a pass is due.
      type: dict
    client_files:
      description:
        - By a member's name the paths C(ca), C(cert) and C(key) on its host with which it asks the others, while TLS
          goes from their client URLs. Empty where the settings of the role have them.
      type: dict
trust_bundle:
  description:
    - The CA certificates (PEM) that every member is to trust in the end. The CA at hand comes first, then those that
      all members trust beside it. None where no CA is at hand.
  returned: success
  type: str
removals:
  description:
    - IDs in hexadecimal of the members that are to be removed from the running cluster, in this order. Who is not well
      comes first, so that the others have the votes.
  returned: success
  type: list
  elements: str
revoke:
  description:
    - Serial numbers, lower-case hex, that are to go onto the CA's revocation list. Those are what the user named, and
      what a member that is removed was given.
  returned: success
  type: list
  elements: str
leaked:
  description:
    - Serial numbers that the members of O(keys_leaked) present, until they have new keys; empty where they have.
  returned: success
  type: list
  elements: str
joins:
  description: Names of the members that are to join the running cluster, in this order.
  returned: success
  type: list
  elements: str
upgrade:
  description: The change of etcd's minor version that this run makes; null where it makes none, or is refused.
  returned: success
  type: dict
  contains:
    running:
      description: The oldest version that a member runs.
      type: str
      sample: 3.5.35
    target:
      description: The version that the members are restarted with.
      type: str
      sample: 3.6.16
    begun:
      description: Whether a member runs that minor version already.
      type: bool
    members:
      description: Names of the members that do not run it yet.
      type: list
      elements: str
  sample: null
trusted_fingerprints:
  description: SHA-256 fingerprints of the CA certificates that hosts trust; empty where this run says it has a new CA.
  returned: success
  type: list
  elements: str
no_new_ca_because:
  description: Why a CA that does not exist must not be made now; null on a first deployment.
  returned: success
  type: str
requests:
  description: The members as M(ringfence.etcd.etcd_peer_certificates) takes them, only those in O(states).
  returned: success
  type: list
  elements: dict
"""
