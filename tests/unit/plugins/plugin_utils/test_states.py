# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts have registered, read from the hosts' variables as ansible-core itself keeps them."""

from __future__ import annotations

import copy
import ssl
import typing as t

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import AnswerError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import (
    checked_state,
    folders_of_others,
    registered_states,
    unusable,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    der,
    extension,
    made_by_hand,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import DAY, NOW, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole_state

MEMBERS = [{"name": f"member-{number}", "host": f"etcd-{number}"} for number in (1, 2, 3)]
ALL = ("etcd-1", "etcd-2", "etcd-3")


class Play:
    """Three hosts, and what tasks register for them."""

    def __init__(self) -> None:
        loader = DataLoader()
        inventory = InventoryManager(loader=loader, sources=[f"{','.join(ALL)},"])
        self.manager = VariableManager(loader=loader, inventory=inventory)
        self.hostvars = HostVars(inventory, self.manager, loader)

    def register(self, host: str, **values: t.Any) -> None:
        self.manager.set_nonpersistent_facts(host, values)

    def states(
        self, batch: t.Sequence[str] = ALL, members: t.Sequence[t.Mapping[str, t.Any]] = MEMBERS
    ) -> dict[str, t.Any]:
        return registered_states({"ansible_play_batch": batch, "hostvars": self.hostvars}, members, "state")


@pytest.fixture
def play() -> Play:
    found = Play()
    for host in ALL:
        found.register(host, state={"on": host}, other={"on": "another"})
    return found


def test_by_the_members_names(play: Play) -> None:
    assert play.states() == {f"member-{number}": {"on": f"etcd-{number}"} for number in (1, 2, 3)}


def test_only_hosts_of_this_batch(play: Play) -> None:
    assert list(play.states(batch=["etcd-3", "etcd-1"])) == ["member-1", "member-3"]
    assert play.states(batch=[]) == {}
    assert registered_states({"hostvars": play.hostvars}, MEMBERS, "state") == {}


def test_a_host_of_the_batch_that_has_registered_nothing_is_there_as_such() -> None:
    play = Play()
    play.register("etcd-2", state={"on": "etcd-2"})
    assert play.states() == {"member-1": None, "member-2": {"on": "etcd-2"}, "member-3": None}


def test_members_whose_hosts_nobody_knows(play: Play) -> None:
    others: list[dict[str, t.Any]] = [{"name": "member-4", "host": "etcd-4"}, {"name": "member-5"}, {}]
    assert list(play.states(members=[*MEMBERS, *others])) == ["member-1", "member-2", "member-3"]


def test_a_member_without_a_name_is_for_who_judges_to_refuse(play: Play) -> None:
    assert play.states(members=[{"host": "etcd-1"}]) == {None: {"on": "etcd-1"}}


class Tagged(str):
    """As ansible-core 2.19 and newer pass text on."""


def test_what_a_host_gave_is_taken_as_it_is(play: Play) -> None:
    """Text of a host is never a template, whatever it looks like; and it comes as plain values."""
    said = {"msg": "{{ lookup('pipe', 'id') }}", "list": ["{{ 1 + 1 }}", Tagged("x"), 2, None, True]}
    play.register("etcd-1", state=said)
    found = play.states()["member-1"]
    assert found == said
    assert [type(value) for value in (found, found["msg"], found["list"], found["list"][1])] == [dict, str, list, str]


def test_what_is_too_deep_is_told_of_its_host_alone(play: Play) -> None:
    value: t.Any = 1
    for _level in range(100_000):
        value = [value]
    play.register("etcd-2", state={"on": value})
    found = play.states()
    assert found["member-1"] == {"on": "etcd-1"} and found["member-3"] == {"on": "etcd-3"}
    assert found["member-2"] == {"msg": "what it answered is too deep to be read"}


def evaluate(states: t.Mapping[str, t.Any]) -> None:
    """Counts on numbers, and on two that add up to less than ten."""
    assert isinstance(states, dict)
    if sum(state["number"] for state in states.values()) > 9:
        raise ValueError("more than\nnine")


@pytest.mark.parametrize(
    ("states", "blamed"),
    [
        ({"a": {"number": 1}, "b": {"number": 2}}, {}),
        ({"a": {"number": 1}, "b": {}, "c": {"number": 2}}, {"b": "KeyError"}),
        ({"a": {"number": None}, "b": {"number": 1}, "c": 5}, {"a": "TypeError", "c": "TypeError"}),
        # Who can't be judged even alone is not what makes the others wrong.
        ({"a": {"number": 99}, "b": {"number": 5}, "c": {"number": 4}}, {"a": "ValueError"}),
        ({"a": {"number": 5}, "b": {"number": 4}, "c": {"number": 3}}, {"c": "ValueError"}),
    ],
)
def test_who_can_not_be_judged_is_found(states: dict[str, t.Any], blamed: dict[str, str]) -> None:
    found = unusable(states, evaluate)
    assert set(found) == set(blamed)
    for name, kind in blamed.items():
        assert found[name].startswith(f"what it answered makes no sense ({kind}: ") and "\n" not in found[name]


def test_other_mistakes_are_not_put_down_to_a_host() -> None:
    with pytest.raises(AssertionError):
        unusable({"a": {}}, lambda states: evaluate(t.cast("dict[str, t.Any]", None)))


def test_the_folders_of_other_clusters_in_the_same_run() -> None:
    play = Play()
    number = {"info": {"folder": "ab"}}
    play.register("etcd-1", state=number, __etcd_peer_tls_settings={"cluster_name": "blue"})
    play.register("etcd-2", state=number, __etcd_peer_tls_settings={"cluster_name": "green"})
    play.register("etcd-3", state={"failed": True}, __etcd_peer_tls_settings={"cluster_name": "green"})
    known = {"ansible_play_batch": ALL, "hostvars": play.hostvars}
    assert folders_of_others(known, MEMBERS[:1], "state") == {"etcd-2": ("green", "ab")}
    assert folders_of_others(known, MEMBERS, "state") == {}
    # What is no text is nobody's folder.
    play.register("etcd-2", state={"info": {"folder": ["ab"]}})
    assert folders_of_others(known, MEMBERS[:1], "state") == {}


# What a host says of certificates, and what they say ------------------------------------------------------------------

AUTHORITY = issue("etcd peer CA", is_ca=True)
LEAF = issue("etcd-1.example.com", AUTHORITY, names=("etcd-1.example.com", "10.0.0.1"))


def told(bundle: str = AUTHORITY.pem, leaf: str = LEAF.pem) -> dict[str, t.Any]:
    """What etcd_peer_probe answers on a host that has these files, without the PEM of a process' own."""

    def facts(pem: str) -> list[dict[str, t.Any]]:
        return [as_result(one, NOW) for one in read_certificates(pem)]

    credentials = {
        "ca": {"path": "/ca.crt", "state": "file", "pem": bundle, "certificates": facts(bundle)},
        "certificate": {"path": "/a.crt", "state": "file", "pem": leaf, **facts(leaf)[0]},
    }
    moment = (NOW - DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {
        "time": moment,
        "probes": [],
        "info": {"time": moment, "credentials": copy.deepcopy(credentials)},
        "process_credentials": credentials,
    }
    found: dict[str, t.Any] = whole_state(state)
    return found


@pytest.mark.parametrize("place", ["info", "process_credentials"])
def test_the_facts_are_those_of_the_certificates_that_were_sent(place: str) -> None:
    state = told()
    credentials = state["info"]["credentials"] if place == "info" else state[place]
    credentials["certificate"]["days_left"] = 12345
    if place == "info":
        credentials["certificate"]["key_algorithm"] = "rsa-16384"
    checked = checked_state(state)
    found = (checked["info"]["credentials"] if place == "info" else checked[place])["certificate"]
    # By the host's own clock, which says a day less here.
    assert found["days_left"] == 101 and found.get("key_algorithm", "ecdsa-p256") == "ecdsa-p256"


FACTS = {
    "common_name": "etcd-2.example.com",
    "not_after": "2099-01-01T00:00:00Z",
    "not_before": "2020-01-01T00:00:00Z",
    "fingerprint": "ab",
    "serial_number": "01",
    "dns_names": ["etcd-2.example.com"],
    "ip_addresses": ["10.0.0.2"],
    "extended_key_usage": ["serverAuth"],
}


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("place", ["info.credentials", "process_credentials"])
@pytest.mark.parametrize("of", ["certificate", "ca"])
def test_a_host_that_says_something_else_is_not_gone_by(name: str, place: str, of: str) -> None:
    state = told()
    credentials = state["info"]["credentials"] if place.startswith("info") else state[place]
    facts = credentials["certificate"] if of == "certificate" else credentials["ca"]["certificates"][0]
    facts[name] = FACTS[name]
    where = f"{place}.{of}{'.certificates[0]' if of == 'ca' else ''}.{name}"
    with pytest.raises(AnswerError) as caught:
        checked_state(state)
    assert f"has {where} as " in str(caught.value) and "its pem says" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pem", [None, "", "nonsense", AUTHORITY.pem * 2])
def test_certificates_that_were_not_sent_are_none(pem: str | None) -> None:
    state = told()
    state["info"]["credentials"]["ca"]["pem"] = pem
    with pytest.raises(AnswerError, match=r"info\.credentials\.ca\.certificates with 1 certificates"):
        checked_state(state)
    state = told()
    state["info"]["credentials"]["certificate"]["pem"] = None if pem is None else pem.replace("MII", "!!!")
    with pytest.raises(AnswerError, match=r"has facts in info\.credentials\.certificate, no certificate"):
        checked_state(state)


def test_a_bundle_that_is_hidden_behind_no_facts_is_found() -> None:
    """As if it trusted nobody, and another CA might be given to it."""
    state = told()
    state["info"]["credentials"]["ca"]["certificates"] = []
    with pytest.raises(AnswerError, match="with 0 certificates, 1 can be read"):
        checked_state(state)


def test_a_certificate_that_only_a_node_reads_is_refused_by_name() -> None:
    explicit_default = made_by_hand(extension("2.5.29.19", der(0x30, der(1, b"\xff")), der(1, b"\0")))
    pem = ssl.DER_cert_to_PEM_cert(explicit_default)
    with pytest.raises(AnswerError, match=r"info\.credentials\.ca\.certificates with 1 certificates, none can be read"):
        checked_state(told(bundle=pem))
    with pytest.raises(AnswerError, match=r"has facts in info\.credentials\.certificate"):
        checked_state(told(leaf=pem))
