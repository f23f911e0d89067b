# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members whose peers speak http get a unit with which they go on to; the deployment brings TLS."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import differences
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.adopt import Authority
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils._takeover.test_adopt import (
    HTTP,
    Flags,
    all_variables,
    plan,
    refused,
    run_of,
    told_by,
    units_of,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import HOSTS

NO_AUTHORITY = Authority("", "there is none")
PLAIN: Flags = {
    **HTTP,
    **dict.fromkeys(("peer-cert-file", "peer-key-file", "peer-trusted-ca-file", "peer-client-cert-auth")),
    "listen-peer-urls": "http://ADDRESS:2380",
    "initial-advertise-peer-urls": "http://ADDRESS:2380",
}


def in_http(hosts: t.Collection[str] = HOSTS, changed: Flags | None = None) -> dict[str, t.Any]:
    """What the hosts tell where the peers of some of them speak http, and the list has the same."""
    plain, tls = told_by({**PLAIN, **(changed or {})}), told_by({**HTTP, **(changed or {})})
    answers = {host: plain[host] if host in hosts else tls[host] for host in HOSTS}
    for answer in answers.values():
        for one in answer["processes"][0]["live_members"]:
            if one["name"] in hosts:
                one["peer_urls"] = [url.replace("https:", "http:") for url in one["peer_urls"]]
    return answers


def test_nothing_changes_but_who_owns_the_unit() -> None:
    run = run_of(in_http(changed={"quota-backend-bytes": "8589934592"}))
    units = units_of(all_variables(run))
    made = plan(run, units, NO_AUTHORITY)
    assert made.names == ()
    for claim in run.claims:
        options = made.options[claim.host]
        after = deployed_from_text(options["unit_content"])
        assert after is not None and options["common_names"] == []
        assert differences(claim.flags, after["flags"], units[claim.host].directory) == []
        assert after["listen_peer_urls"] == [f"http://10.0.0.{claim.host[-1]}:2380"]
        assert "peer" not in " ".join(flag for flag in after["flags"] if flag.startswith("peer-"))
    assert plan(run, units, NO_AUTHORITY, is_back=True).names == ()


def test_some_that_speak_http_and_some_that_do_not() -> None:
    """A change that stands halfway is ended by who began it."""
    run = run_of(in_http(HOSTS[:1]))
    refused("its peers speak http", run=run)


def test_members_that_are_listed_at_https_already() -> None:
    run = run_of(told_by(PLAIN))
    assert all(url.startswith("https://") for claim in run.claims for url in claim.peer_urls)
    refused("its peers speak http", run=run)
