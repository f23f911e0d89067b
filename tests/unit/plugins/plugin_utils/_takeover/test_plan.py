# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover, takeover_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    HOSTS,
    WORKER,
    Met,
    fenced,
    member_id,
    pair,
    process,
    told,
    url,
)

NO_LIST: dict[str, str | None] = {"peer-cert-allowed-cn": None}
Change = t.Mapping[str, t.Any]
OTHER_CA = issue("another CA", is_ca=True)


def planned(
    flags: t.Mapping[str, Change] | None = None,
    states: t.Mapping[str, Change] | None = None,
    met: Met | None = None,
    addresses: t.Mapping[str, str] | None = None,
    is_back: bool = False,
) -> Takeover:
    """The plan for a cluster without a list. ``flags``, ``states``: what differs, by host (``*``: everywhere)."""
    answers: dict[str, t.Any] = {WORKER: told()}
    for host in HOSTS:
        changed = {**NO_LIST, **dict((flags or {}).get("*", {})), **dict((flags or {}).get(host, {}))}
        more = {**dict((states or {}).get("*", {})), **dict((states or {}).get(host, {}))}
        answers[host] = more if "processes" in more else told(process(host, changed, **more))
    return of(answers, met or fenced()[1], addresses, is_back)


def of(
    answers: t.Mapping[str, t.Any], met: Met, addresses: t.Mapping[str, str] | None = None, is_back: bool = False
) -> Takeover:
    claims = claims_of(answers)
    calls = {host: answer for host, answer in met.answers().items() if host in answers}
    ports = tuple(peer_ports(claims, addresses or {}))
    return takeover_of(Run(tuple(answers), tuple(claims), ports, answers, calls, {}), addresses or {}, is_back)


def refused(*said: str, **changes: t.Any) -> str:
    with pytest.raises(RefusedError) as caught:
        planned(**changes)
    text = str(caught.value)
    assert text.startswith("nothing is taken over: ") and "\n" not in text
    assert all(one in text for one in said), text
    return text


def test_a_cluster_as_kubespray_deploys_it() -> None:
    plan = planned()
    assert plan.names == ("member-etcd-1", "member-etcd-2", "member-etcd-3")
    assert plan.asker == "etcd-1" and set(plan.options) == set(HOSTS)
    assert plan.members[1] == {"name": "etcd-2", "client_url": "https://10.0.0.2:2379"}
    assert plan.options["etcd-3"] == {
        "name": "etcd-3",
        "unit": "etcd.service",
        "config_file": None,
        "members": [dict(member) for member in plan.members],
        "common_names": list(plan.names),
    }


def test_the_way_back_asks_for_no_fence() -> None:
    plan = planned(flags={"*": {"peer-client-cert-auth": None}}, states={"*": {"version": None}}, is_back=True)
    assert plan.names == () and set(plan.options) == set(HOSTS)


def test_a_member_that_has_its_list_is_no_hindrance() -> None:
    names = ",".join(f"member-{host}" for host in HOSTS)
    source = {"etcd-1": {"list_source": "environment"}}
    assert planned(flags={"etcd-1": {"peer-cert-allowed-cn": names}}, states=source).names == tuple(names.split(","))


# What is refused ------------------------------------------------------------------------------------------------------

HTTP = {"listen-peer-urls": "http://10.0.0.1:2380", "initial-advertise-peer-urls": "http://10.0.0.1:2380"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (HTTP, ("etcd-1: its peers speak http", "ringfence.etcd.adopt takes the cluster as it is")),
        ({"peer-auto-tls": "true"}, ("no certificate of a CA for its peers",)),
        ({"peer-trusted-ca-file": None}, ("it has no CA for peers: set --peer-trusted-ca-file",)),
        ({"peer-cert-allowed-hostname": "x"}, ("fenced by host names",)),
        ({"advertise-client-urls": None}, ("none of its advertised client URLs",)),
        ({"advertise-client-urls": "http://localhost:2379"}, ("none of its advertised client URLs",)),
        ({"advertise-client-urls": "https://192.0.2.1:2379"}, ("none of its advertised client URLs",)),
        ({"name": "other"}, ("it has the name other, and is listed as etcd-1",)),
    ],
)
def test_settings(flags: dict[str, str | None], said: tuple[str, ...]) -> None:
    refused(*said, flags={"etcd-1": flags})


@pytest.mark.parametrize("value", [None, "false"])
def test_with_a_ca_etcd_asks_for_a_certificate_whatever_the_flag_says(value: str | None) -> None:
    """As autobase has it."""
    assert planned(flags={"*": {"peer-client-cert-auth": value}}).names


def _listed(**names: str) -> list[dict[str, t.Any]]:
    found = {one: one for one in HOSTS} | {host.replace("_", "-"): name for host, name in names.items()}
    return [{"member_id": member_id(host), "name": name, "peer_urls": [url(host)]} for host, name in found.items()]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"kind": "container"}, ("it runs in a container", "ETCD_PEER_CERT_ALLOWED_CN=member-etcd-1,", "container")),
        (
            {"kind": "pod", "definition": "/etc/kubernetes/manifests/etcd.yaml"},
            ("it runs in a pod of Kubernetes", "in the command of /etc/kubernetes/manifests/etcd.yaml"),
        ),
        ({"kind": "embedded", "program": "/usr/bin/k3s"}, ("it runs within another program", "etcd-arg:")),
        ({"kind": "process", "unit": None}, ("no systemd unit starts it",)),
        ({"unit": None}, ("no systemd unit starts it",)),
        ({"version": "3.5.12"}, ("etcd 3.5.12 reads no list of names: upgrade all members to 3.5.15",)),
        ({"version": None}, ("its version is not known",)),
        ({"has_own_network": True}, ("a network of its own",)),
        ({"settings": None, "settings_problem": "a tab"}, ("its settings are not known (a tab)",)),
        ({"live_members": None, "live_members_problem": "RBAC is on"}, ("its members are not known (RBAC is on)",)),
        ({"live_member_id": "ff"}, ("the cluster does not list it",)),
        ({"live_member_id": "a2"}, ("the cluster does not list it, or not it alone", "etcd-1 is on no host")),
        ({"live_cluster_id": "c2"}, ("tell different things",)),
        ({"live_members": _listed(etcd_2="x")}, ("tell different things",)),
        ({"peer_authority": {"path": "/ca", "pem": None, "problem": "there is no /ca"}}, ("there is no /ca",)),
        (
            {"peer_authority": {"path": "/ca", "pem": OTHER_CA.pem, "problem": None}},
            ("not of the CA that etcd-1 trusts",),
        ),
        (
            {"peer_certificate": {"path": "/c", "pem": pair("new").pem, "problem": None}},
            ("etcd-1: its port presents another certificate than its file has",),
        ),
    ],
)
def test_processes(state: dict[str, t.Any], said: tuple[str, ...]) -> None:
    refused(*said, states={"etcd-1": state})


def test_a_list_by_flag_is_its_deployers() -> None:
    flags = {"*": {"peer-cert-allowed-cn": "a"}}
    refused(
        "a list of its own on its command line (a)", "in ExecStart=", flags=flags, states={"*": {"list_source": "flag"}}
    )


@pytest.mark.parametrize("names", [{"etcd_2": "etcd-1"}, {"etcd_2": ""}, {"etcd_2": "../x"}])
def test_members_that_can_not_be_told_apart(names: dict[str, str]) -> None:
    refused("by which it can't be told", states={"*": {"live_members": _listed(**names)}})


def test_a_member_that_no_host_has() -> None:
    more = [*_listed(), {"member_id": "a4", "name": "etcd-4", "peer_urls": [url("etcd-4")]}]
    refused("its member etcd-4 is on no host of this run: run it on all hosts", states={"*": {"live_members": more}})


def test_a_member_that_is_down() -> None:
    way = "(etcdctl member remove a3)"
    text = refused("its member etcd-3 is down: no etcd runs on etcd-3: start it there", way, states={"etcd-3": told()})
    # What two of three would mean is no reason: there are three.
    assert "members in this run" not in text
    # By its address, whatever it is called.
    called = {"live_members": _listed(etcd_3="c"), "live_cluster_id": "c1"}
    at = {"etcd-3": "10.0.0.3"}
    refused("its member c is down: no etcd runs on etcd-3", states={"*": called, "etcd-3": told()}, addresses=at)
    # One that has not started yet has no name.
    nameless = {"live_members": _listed(etcd_3="")}
    refused("its member a3 is down: no etcd", states={"*": nameless, "etcd-3": told()}, addresses=at)


def test_a_member_whose_host_did_not_answer() -> None:
    answers = {host: told(process(host, NO_LIST)) for host in HOSTS[:2]}
    claims = claims_of(answers)
    met = {host: answer for host, answer in fenced()[1].answers().items() if host in answers}
    run = Run(HOSTS, tuple(claims), tuple(peer_ports(claims, {})), answers, met, {"etcd-3": "unreachable"})
    with pytest.raises(RefusedError) as caught:
        takeover_of(run, {})
    text = "its member etcd-3 is not seen: etcd-3 did not answer (unreachable): bring that host back; where it is gone"
    assert text in str(caught.value) and "members in this run" not in str(caught.value)


def test_two_members_on_a_host() -> None:
    both = told(process("etcd-1", NO_LIST), process("etcd-2", NO_LIST, pid=813))
    refused("etcd-1 has 2 of its members", states={"etcd-1": both, "etcd-2": told()})


def test_fewer_than_three() -> None:
    two = [one for one in _listed() if one["name"] != "etcd-3"]
    text = "it has 2 members in this run, and each restart would stop it"
    refused(text, states={"*": {"live_members": two}, "etcd-3": told()}, met=Met((*HOSTS[:2], WORKER), HOSTS[:2]))


def test_no_cluster_and_two() -> None:
    none = dict.fromkeys(HOSTS, told())
    refused("no etcd was found on these hosts", states=none)
    alone = [one for one in _listed() if one["name"] == "etcd-3"]
    others = [one for one in _listed() if one["name"] != "etcd-3"]
    refused("2 clusters", states={"*": {"live_members": others}, "etcd-3": {"live_members": alone}})


# The names ------------------------------------------------------------------------------------------------------------


def _presenting(host: str, pem: str, by: t.Sequence[str] = (*HOSTS, WORKER)) -> Met:
    met = Met()
    for one in by:
        met.served[one] = [served for served in met.served[one] if served["to"] != host]
        met.served[one] += [{"to": host, "pem": pem}] if pem else []
    return met


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a$b", "a'b", "a\\b", "{{ a }}", "a b ", "a\x07", "ä", None])
def test_an_unlikely_name(name: str | None) -> None:
    made = pair(name)
    file = {"path": "/c", "pem": made.pem, "problem": None}
    text = refused("etcd-1: ", states={"etcd-1": {"peer_certificate": file}}, met=_presenting("etcd-1", made.pem))
    assert "common name" in text


def test_one_name_for_two() -> None:
    file = {"path": "/c", "pem": pair("member-etcd-1").pem, "problem": None}
    met = _presenting("etcd-2", pair("member-etcd-1").pem)
    refused(
        "etcd-1, etcd-2 present one common name (member-etcd-1)", states={"etcd-2": {"peer_certificate": file}}, met=met
    )


def test_a_host_names_nobody_else() -> None:
    """One host that says that another presents something else is believed by nobody, and all waits."""
    refused(
        "etcd-1: the others were shown different certificates", met=_presenting("etcd-1", pair("evil").pem, ["etcd-3"])
    )
    # Alone it does not come through: what is presented has to be what the member's own file has, too.
    refused("presents another certificate than its file has", met=_presenting("etcd-1", pair("evil").pem))


def test_only_what_other_hosts_were_shown_counts() -> None:
    refused("etcd-2 was not shown its certificate", met=_presenting("etcd-1", "", ["etcd-2", "etcd-3"]))
    refused("etcd-3 was not shown its certificate", met=_presenting("etcd-1", "", ["etcd-3"]))
    refused("etcd-3 was not shown its certificate", met=_presenting("etcd-1", "no certificate", ["etcd-3"]))
    # What its own host and a worker say counts for nothing.
    assert planned(met=_presenting("etcd-1", "", ["etcd-1", WORKER])).names


def test_a_certificate_of_nobodys_ca() -> None:
    forged = issue("member-etcd-1", OTHER_CA)
    file = {"path": "/c", "pem": forged.pem, "problem": None}
    states = {"etcd-1": {"peer_certificate": file}}
    refused("its certificate is not of the CA", states=states, met=_presenting("etcd-1", forged.pem))


def test_a_member_that_is_not_let_in() -> None:
    met = Met()
    for call in met.calls["etcd-2"]:
        if (call["case"], call["to"]) == ("member", "etcd-3"):
            call.update(outcome="refused", reason="address", text="no address")
    refused("etcd-2: etcd-3 does not let it in (no address)", met=met)
    met = Met()
    met.calls["etcd-2"] = []
    refused("etcd-2: etcd-1 does not let it in (it was not called)", met=met)


def test_all_reasons_come_at_once_and_alike_ones_once() -> None:
    text = refused(flags={"*": HTTP, "etcd-3": {}}, states={"etcd-3": {"version": "3.5.12"}})
    assert text.count("its peers speak http") == 1


def test_a_client_url_that_the_inventory_has() -> None:
    urls = {host: {"advertise-client-urls": f"https://192.0.2.{host[-1]}:2379"} for host in HOSTS}
    addresses = {host: f"192.0.2.{host[-1]}" for host in HOSTS}
    assert planned(flags=urls, addresses=addresses).members[0]["client_url"] == "https://192.0.2.1:2379"


def test_a_client_url_at_every_host_itself_counts_nowhere() -> None:
    """A jump by port forwarding has such an address in the inventory."""
    flags = {"etcd-1": {"advertise-client-urls": "https://127.0.0.1:2379"}}
    refused("none of its advertised client URLs", flags=flags, addresses={"etcd-1": "127.0.0.1"})


def test_of_a_client_url_nothing_else_goes_on() -> None:
    url = "https://10.0.0.1:2379?{{ lookup('env', 'HOME') }}"
    assert planned(flags={"etcd-1": {"advertise-client-urls": url}}).members[0]["client_url"] == "https://10.0.0.1:2379"
