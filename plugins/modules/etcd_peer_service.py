#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_peer_service
short_description: Deploy, start and safely restart an etcd member's systemd unit
version_added: 0.1.0
description:
  - Puts a member's systemd unit in place, starts a member that is stopped, and restarts a member only under a guard.
  - The running process shows whether a restart is pending. The unit carries a configuration hash, which is a line
    C(Environment=RINGFENCE_CONFIGURATION_HASH=) with the SHA-256 of the text. A process with another hash was started
    from an older unit. So the next run finishes one that was interrupted.
  - O(state=present) never restarts a member that runs. What a restart is due for is returned as RV(restart_pending). A
    member that has not joined a quorum since its start, and was started from an older unit, is started anew.
  - O(state=written) is for hosts whose systemd is not to be asked, such as an image that is being built, or a member
    that another supervisor starts from what the unit says. It needs neither systemd nor root.
  - O(state=restarted) restarts the member if a restart is pending, while all other members are healthy and connected
    with each other, and while it holds a lock that exists once in the cluster. It ends when the member is back and
    connected with all others in both directions. No order of hosts, C(serial) or number of forks gets past this.
  - The lock is a lease with a fixed ID. It writes no key and ends by itself when the run is killed.
  - With O(directory) a member that has had data is never started without it. An empty member in its place would vote
    under its ID, and what the others had acknowledged could be lost.
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.api_access
  - ringfence.etcd.api_access.user
attributes:
  check_mode:
    support: full
    details:
      - In check mode O(state=healthy) waits for nothing, and O(state=restarted) only says whether a restart is due.
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - ringfence.etcd contributors (@ringfence)
options:
  state:
    description:
      - V(present) makes sure that the unit is verified by systemd, in place and enabled, that the data folder
        exists, and that the unit is started if it was not. It does not wait until the member is healthy.
      - V(written) makes sure that the unit's file and the data folder are in place, and no more. The text is checked as
        for V(present), and its flags by this host's etcd, but not by systemd. Nothing is enabled, started or
        restarted, so that the caller has to see to a restart that becomes necessary.
      - V(healthy) waits until the member is healthy and connected with all members of O(members) in both
        directions. It changes nothing but what O(directory) is for.
      - V(restarted) restarts the member if a restart is pending, under the guard. Where the alarm C(NOSPACE) is raised
        it does so only if the restart brings a larger C(--quota-backend-bytes), and without the lock, which etcd does
        not grant then. Let no two hosts of a cluster do it at the same time (C(throttle)).
    type: str
    choices: [present, written, healthy, restarted]
    default: present
  unit:
    description:
      - Name of the systemd unit.
    type: str
    default: etcd.service
  unit_directory:
    description:
      - Folder in which the unit is written. It must be one that systemd reads, except for O(state=written), which
        makes the folder if it is missing.
      - The unit's file belongs to root, or to the user that the module runs as where that is not root.
    type: path
    default: /etc/systemd/system
  unit_content:
    description:
      - Text of the unit, with its configuration hash.
      - Required for O(state=present) and O(state=written). For O(state=restarted) and O(state=healthy) it may be given
        so that check mode can compare with the unit that is going to be deployed.
    type: str
  name:
    description:
      - Name of the member on this host, as in its flag C(--name) and in O(members).
      - Required for O(state=healthy) and O(state=restarted). With O(state=present) and O(state=written) the unit is
        refused if it names another.
    type: str
  data_dir:
    description:
      - The member's data folder, as in the unit's flag C(--data-dir). It is made with mode C(0700).
      - Required for O(state=present) and O(state=written).
    type: path
  directory:
    description:
      - Folder of the member's credentials, which etcd's user can't write to.
      - With it the unit's text is refused unless systemd, by two lines C(Assert) and one C(ExecCondition) in it, starts
        the member only while there is no file C(MEMBER.formed) in this folder, or a log in the member's data.
      - The file is written as soon as the data is that of a formed cluster, by O(state=present), O(state=written) and
        O(state=healthy), and has the IDs of the member and the cluster in it. Remove it where the member is to be
        started without its data on purpose.
    type: path
  owner:
    description:
      - User that owns the data folder. Without root it can only be the user that the module runs as.
    type: str
    default: etcd
  group:
    description:
      - Group of the data folder. Without root it can only be one of the user's own.
    type: str
    default: etcd
  start:
    description:
      - Whether O(state=present) starts the unit if it does not run.
      - Another etcd that runs under the same unit name, without a configuration hash and on another data folder (as the
        one that Debian's package starts), is stopped first. Its data is not touched. That is refused unless its keys
        were counted as none and it is the only member of its cluster, or O(overrule_distribution_etcd) is given.
    type: bool
    default: true
  overrule_distribution_etcd:
    description:
      - Whether another etcd under the same unit name is stopped although it has keys or other members, or although
        nobody can tell.
      - Its data stays where it is and is not used, so that this member starts empty.
    type: bool
    default: false
  members:
    description:
      - All members, this one included. Each has a V(name) and a V(client_url) that this host can reach. Other keys are
        ignored, so that members made by P(ringfence.etcd.etcd_members#filter) can be given as they are.
      - Required for O(state=healthy) and O(state=restarted).
    type: list
    elements: dict
  trust_bundle_changed:
    description:
      - Whether the caller has changed the trust bundle in this run. etcd reads it at start only, so that a restart is
        pending.
      - Without it a restart is pending as well if the file of a trust bundle is newer than the process.
    type: bool
    default: false
  disconnect_revoked:
    description:
      - Whether a restart is pending where the revocation list is newer than the process. etcd asks the list at each new
        connection. Who was revoked since the start and is connected already stays so until the process ends.
    type: bool
    default: false
  revocation_list_changed:
    description:
      - Whether the caller has changed the revocation list in this run, for O(disconnect_revoked). In check mode the
        file is as it was, so that its time tells nothing.
    type: bool
    default: false
  program_staged:
    description:
      - Whether M(ringfence.etcd.etcd_program) has staged another program beside the one that the unit starts.
      - It is tried once more with the unit's flags, and put in place just before this module starts the unit, or
        restarts it under the guard. O(state=present) leaves a member that runs alone, and returns that a restart is
        pending. O(state=written) puts it in place at once, since it starts nothing.
      - The program that was there is kept beside it with the ending C(.replaced).
    type: bool
    default: false
  upgrade:
    description:
      - Whether O(state=restarted) may restart the first member of the cluster with the next minor version of etcd. One
        that follows needs no word. Any other change of the minor version is refused.
      - What such a restart needs is done behind the guard. Before 3.6 every member is written once more, unchanged.
        Before 3.7 the members write some thousand entries without effect, until there is a snapshot behind all that 3.7
        can't read.
      - Afterwards the member's own list of members has to be the one that the others tell. Where it is not, or the
        member does not come back, the program that it ran with is put back and started, if it is still there.
      - After the last member it waits until the cluster as a whole has moved to the new version.
      - A snapshot is the caller's to take before, and so is the order, with the leader last.
    type: bool
    default: false
  timeout_seconds:
    description:
      - How long the member may take to become healthy after a start or restart.
    type: int
    default: 120
  wait_seconds:
    description:
      - How long O(state=restarted) waits for its turn, that is until all others are healthy and no other member is
        being restarted.
    type: int
    default: 300
  force_restart:
    description:
      - Whether to restart without asking for the other members' health and without the lock, and to wait only for the
        new process.
      - For a cluster that has lost its quorum and gets it back only by a restart. In a healthy cluster it can cost
        the quorum.
    type: bool
    default: false
seealso:
  - module: ringfence.etcd.etcd_peer_credentials
  - module: ringfence.etcd.etcd_peer_info
  - module: ringfence.etcd.etcd_program
"""

EXAMPLES = r"""
# With the unit that the filter hashed_unit, and the list that the filter etcd_members has made.
- name: Deploy the unit and start a member that is stopped
  ringfence.etcd.etcd_peer_service:
    state: present
    name: "{{ inventory_hostname }}"
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
    unit_content: "{{ unit }}"

- name: Put unit and data folder into an image, or where another supervisor starts etcd
  ringfence.etcd.etcd_peer_service:
    state: written
    name: "{{ inventory_hostname }}"
    unit_directory: /srv/etcd
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
    unit_content: "{{ unit }}"

- name: Wait for the cluster
  ringfence.etcd.etcd_peer_service:
    state: healthy
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"

- name: Restart the member if that is due, one member of the cluster at a time
  ringfence.etcd.etcd_peer_service:
    state: restarted
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
"""

RETURN = r"""
actions:
  description:
    - What was done, or would be done in check mode, in this order. Any of V(make_unit_directory),
      V(make_data_directory), V(repair_data_directory), V(keep_other_unit), V(write_unit), V(repair_unit_attributes),
      V(mark_formed), V(daemon_reload), V(enable), V(stop_other_etcd), V(exchange_program), V(start), V(restart).
  returned: success
  type: list
  elements: str
  sample: [write_unit, daemon_reload]
unit_backup:
  description:
    - Where the text of a unit without this collection's configuration hash was kept that O(state=present) or
      O(state=written) replaced, or would be in check mode. It is null where there was none, or one of the same text is
      kept already.
  returned: success, O(state=present) or O(state=written)
  type: str
  sample: /etc/systemd/system/etcd.service.replaced
started:
  description:
    - Whether O(state=present) started the unit, or would do so in check mode.
  returned: success
  type: bool
running:
  description:
    - Whether a process of this member runs at the end. A member that was just started counts.
  returned: success, not with O(state=written)
  type: bool
restart_pending:
  description:
    - Why the running process needs a restart. After O(state=restarted) what it was restarted for.
  returned: success, not with O(state=written)
  type: list
  elements: dict
  contains:
    code:
      description:
        - One of V(unit_changed), V(flags_differ), V(trust_bundle_changed), V(revocation_list_newer),
          V(binary_replaced), V(program_staged).
      type: str
    text:
      description:
        - The reason in words.
      type: str
  sample:
    - code: unit_changed
      text: the unit was changed since the process was started
members:
  description:
    - The members that the cluster lists, with what was seen of each.
  returned: success, O(state=healthy), outside check mode
  type: list
  elements: dict
  contains:
    name:
      description:
        - Name of the member.
      type: str
    member_id:
      description:
        - Its ID in hexadecimal.
      type: str
    is_learner:
      description:
        - Whether it is a learner, which has no vote.
      type: bool
  sample:
    - {name: etcd-1, member_id: 8e9e05c52164694d, is_learner: false}
leader:
  description:
    - Name of the member that leads; null where that is not known, and in check mode.
  returned: success, O(state=healthy)
  type: str
  sample: etcd-1
problem:
  description:
    - "The kind of a failure in one word. V(input): an argument is wrong. V(refused): the guard refused and nothing
      was changed. V(file) and V(crypto): a file can't be read or written. V(service): systemd or etcd did not do
      what was asked."
  returned: failure
  type: str
details:
  description:
    - What the failure is about. With V(problem=refused) it has V(reasons), a list like RV(restart_pending).
    - Where a member did not come back, V(cause) is etcd's own last error, if its log has one.
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client, client_from
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    NO_ACCESS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    minor_upgrade,
    pending_restart,
    restart,
    restart_unit,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import check_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import require_systemd

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["present", "written", "healthy", "restarted"], "default": "present"},
    "unit": {"type": "str", "default": "etcd.service"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
    "unit_content": {"type": "str"},
    "name": {"type": "str"},
    "data_dir": {"type": "path"},
    "directory": {"type": "path"},
    "owner": {"type": "str", "default": "etcd"},
    "group": {"type": "str", "default": "etcd"},
    "start": {"type": "bool", "default": True},
    "overrule_distribution_etcd": {"type": "bool", "default": False},
    "members": {"type": "list", "elements": "dict"},
    "trust_bundle_changed": {"type": "bool", "default": False},
    "disconnect_revoked": {"type": "bool", "default": False},
    "revocation_list_changed": {"type": "bool", "default": False},
    "program_staged": {"type": "bool", "default": False},
    "upgrade": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 120},
    "wait_seconds": {"type": "int", "default": 300},
    "force_restart": {"type": "bool", "default": False},
    **ARGUMENTS,
}

REQUIRED_IF = [
    ("state", "present", ["unit_content", "data_dir"]),
    ("state", "written", ["unit_content", "data_dir"]),
    ("state", "healthy", ["members", "name"]),
    ("state", "restarted", ["members", "name"]),
]


def wanted_unit(params: t.Mapping[str, t.Any]) -> member_unit.WantedUnit:
    return member_unit.WantedUnit(
        name=params["unit"],
        text=params["unit_content"],
        member_name=params["name"],
        data_dir=params["data_dir"],
        owner=params["owner"],
        group=params["group"],
        unit_directory=params["unit_directory"],
        directory=params["directory"],
        start=params["start"],
        program_staged=params["program_staged"],
        disconnect_revoked=params["disconnect_revoked"],
        revocation_list_changed=params["revocation_list_changed"],
        overrule_distribution_etcd=params["overrule_distribution_etcd"],
    )


def ensure_written(params: t.Mapping[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], tuple[str, ...]]:
    plan = unit_plan.plan_written(wanted_unit(params), check_mode)
    if not check_mode:
        unit_plan.apply_plan(plan)
    result = {
        "changed": plan.changed,
        "actions": list(plan.actions),
        "unit_backup": plan.unit_backup,
        "started": False,
        "diff": list(plan.diff),
    }
    return result, plan.warnings


def ensure_present(params: t.Mapping[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], tuple[str, ...]]:
    plan = unit_plan.plan_present(wanted_unit(params), params["trust_bundle_changed"], check_mode)
    if not check_mode:
        unit_plan.apply_plan(plan)
    result = {
        "changed": plan.changed,
        "actions": list(plan.actions),
        "unit_backup": plan.unit_backup,
        "started": plan.starts,
        "running": plan.running,
        "restart_pending": list(plan.restart_pending),
        "diff": list(plan.diff),
    }
    return result, plan.warnings


def ensure_restarted(
    params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess = NO_ACCESS
) -> dict[str, t.Any]:
    cluster = restart.cluster_from(params["name"], params["members"])

    unit = restart_unit.SystemdUnit(params["unit"], params["unit_directory"], params["program_staged"])
    first_pid = unit.pid()

    def still_pending() -> list[Reason]:
        # What the caller says of the trust bundle holds for the process that ran then.
        stale = params["trust_bundle_changed"] and unit.pid() == first_pid
        return pending_restart.restart_pending_now(
            params["unit"],
            params["unit_directory"],
            stale,
            program_staged=params["program_staged"],
            disconnect_revoked=params["disconnect_revoked"],
        )

    client = client_for(params, access)
    around = minor_upgrade.MinorUpgrade(unit, cluster, client, params["upgrade"], params["timeout_seconds"])
    if check_mode:
        pending = pending_restart.restart_pending_now(
            params["unit"],
            params["unit_directory"],
            params["trust_bundle_changed"],
            params["unit_content"],
            params["program_staged"],
            check_mode=True,
            disconnect_revoked=params["disconnect_revoked"],
            revocation_list_changed=params["revocation_list_changed"],
        )
    else:
        if params["force_restart"] and still_pending():
            around.refuse_forced()
        pending = restart.restart_guarded(
            unit,
            cluster,
            client,
            still_pending,
            wait_seconds=params["wait_seconds"],
            timeout_seconds=params["timeout_seconds"],
            force=params["force_restart"],
            more_space=lambda: restart_unit.brings_more_space(params["unit"], params["unit_directory"]),
            around=around,
        )
    return {
        "changed": bool(pending),
        "actions": _restart_actions(pending),
        "started": False,
        "running": unit.pid() is not None,
        "restart_pending": pending,
    }


def _restart_actions(pending: t.Sequence[Reason]) -> list[str]:
    exchanges = any(reason["code"] == "program_staged" for reason in pending)
    return [*(["exchange_program"] if exchanges else []), *(["restart"] if pending else [])]


def wait_healthy(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess = NO_ACCESS) -> dict[str, t.Any]:
    cluster = restart.cluster_from(params["name"], params["members"])
    unit = restart_unit.SystemdUnit(params["unit"], params["unit_directory"])
    result: dict[str, t.Any] = {"started": False, "leader": None}
    if not check_mode:
        client = client_for(params, access)
        view = restart.wait_healthy(unit, cluster, client, params["timeout_seconds"])
        result["leader"] = leader_of(client, cluster.client_urls[cluster.me], view)
        result["members"] = [
            {"name": member.name, "member_id": member.member_id, "is_learner": member.is_learner}
            for member in sorted(filter(None, (view.me, *view.others)), key=lambda member: member.name)
        ]
    result.update(
        unit_plan.mark_formed(
            params["unit"], params["unit_directory"], params["directory"], params["unit_content"], check_mode
        )
    )
    pending = pending_restart.restart_pending_now(
        params["unit"],
        params["unit_directory"],
        params["trust_bundle_changed"],
        disconnect_revoked=params["disconnect_revoked"],
    )
    return {**result, "running": unit.pid() is not None, "restart_pending": pending}


def leader_of(client: Client, url: str, view: restart.View) -> str | None:
    """The name of the member that leads, as the one at the URL knows it; None where it does not tell."""
    try:
        leader = client.status(url).leader
    except ApiError:
        return None
    members = filter(None, (view.me, *view.others))
    return next((member.name for member in members if member.member_id == leader), None)


def client_for(params: t.Mapping[str, t.Any], access: ApiAccess) -> Client:
    return client_from(params, access)


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=REQUIRED_IF,
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    access = take_access(module)
    with failures_told(module):
        check_arguments(module.params)
        if module.params["state"] != "written":
            require_systemd()
        if module.params["state"] in ("present", "written"):
            ensure = ensure_present if module.params["state"] == "present" else ensure_written
            result, warnings = ensure(module.params, module.check_mode)
            for warning in warnings:
                module.warn(warning)
        elif module.params["state"] == "healthy":
            result = wait_healthy(module.params, module.check_mode, access)
        else:
            result = ensure_restarted(module.params, module.check_mode, access)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
