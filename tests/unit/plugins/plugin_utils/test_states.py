# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts have registered, read from the hosts' variables as ansible-core itself keeps them."""

from __future__ import annotations

import typing as t

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import (
    folders_of_others,
    registered_states,
    unusable,
)

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
