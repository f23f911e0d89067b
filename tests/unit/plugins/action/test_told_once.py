# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In real plays: a mistake is told by one host, the others name that host, and none of them has settings."""

from __future__ import annotations

import typing as t

import pytest

from .settings_play import HOSTS, SettingsPlay

SEE = "Settings are refused: see host {}"


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> SettingsPlay:
    return SettingsPlay(tmp_path_factory.mktemp("once"))


def told(found: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, str]:
    return {host: answer.get("msg", "") for host, answer in found.items()}


@pytest.mark.parametrize("words", [(), ("--forks", "1")], ids=["forks", "one-fork"])
@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"etcd_peer_tls_validity_days": 10}, "must be more than etcd_peer_tls_renew_before_days"),
        # In each host's own name, and of members of the list.
        ({"etcd_peer_tls_client_port": "many"}, "etcd_peer_tls_client_port: it is 'many'"),
        ({"etcd_peer_tls_domian": "example.com"}, "did you mean etcd_peer_tls_domain?"),
    ],
    ids=["rule", "type", "name"],
)
def test_what_is_wrong_for_all_is_told_by_the_first(
    play: SettingsPlay, variables: dict[str, t.Any], reason: str, words: tuple[str, ...]
) -> None:
    lines = told(play.run(*words, group_variables=variables))
    assert reason in lines.pop("etcd-1")
    assert lines == {"etcd-2": SEE.format("etcd-1"), "etcd-3": SEE.format("etcd-1")}


def test_what_is_wrong_for_one_is_told_by_that_one(play: SettingsPlay) -> None:
    """Every host needs it for its list of names, so that none goes on."""
    hosts = {**HOSTS, "etcd-2": {**HOSTS["etcd-2"], "etcd_peer_tls_peer_port": "many"}}
    lines = told(play.run(hosts=hosts))
    assert "etcd-2: etcd_peer_tls_peer_port: it is 'many'" in lines.pop("etcd-2")
    assert lines == {"etcd-1": SEE.format("etcd-2"), "etcd-3": SEE.format("etcd-2")}
    # Who is not in the run tells nothing.
    lines = told(play.run("--limit", "etcd-1", hosts=hosts))
    assert "etcd-2: etcd_peer_tls_peer_port: it is 'many'" in lines["etcd-1"]


def test_two_mistakes_are_told_by_two(play: SettingsPlay) -> None:
    wrong = {"etcd-2": {"etcd_peer_tls_data_dir": "data"}, "etcd-3": {"etcd_peer_tls_owner": "two:parts"}}
    found = play.run(hosts={host: {**own, **wrong.get(host, {})} for host, own in HOSTS.items()})
    # A matter of that host alone: the others' settings are right, and the check stops them before any change.
    assert "members" in found["etcd-1"]
    assert "etcd_peer_tls_data_dir" in found["etcd-2"]["msg"] and "etcd_peer_tls_owner" in found["etcd-3"]["msg"]


def test_two_clusters_tell_each_its_own(play: SettingsPlay) -> None:
    hosts = {
        **{host: {**own, "etcd_peer_tls_members": list(HOSTS)} for host, own in HOSTS.items()},
        "green-1": {"ansible_host": "10.0.0.4", "etcd_peer_tls_members": ["green-1"], "etcd_peer_tls_unit": "etcd"},
    }
    lines = told(play.run(hosts=hosts, play={"vars": {"etcd_peer_tls_warn_days": -1}}))
    assert sum("etcd_peer_tls_warn_days" in line for line in lines.values()) == 1
    assert "etcd_peer_tls_unit" in lines["green-1"]


@pytest.mark.parametrize(
    ("group", "play_words", "variables", "found_group"),
    [
        ("quorum", {}, {}, "quorum"),
        ("quorum", {"hosts": "quorum:!etcd-9"}, {}, "quorum"),
        # A survey's answer left empty is none.
        ("quorum", {}, {"etcd_peer_tls_group": " "}, "quorum"),
        ("quorum", {"hosts": "all"}, {"etcd_peer_tls_group": "quorum"}, "quorum"),
        ("etcd", {"hosts": "all"}, {}, "etcd"),
        ("etcd", {"hosts": "etcd-*"}, {}, "etcd"),
    ],
)
def test_a_group_is_named_once(
    play: SettingsPlay, group: str, play_words: dict[str, t.Any], variables: dict[str, t.Any], found_group: str
) -> None:
    found = play.run(group=group, play=play_words, group_variables=variables)
    assert {answer["group"] for answer in found.values()} == {found_group}
    assert {answer["cluster_name"] for answer in found.values()} == {found_group}
    assert {answer["data_dir"] for answer in found.values()} == {f"/var/lib/etcd/{found_group}"}


def test_tags_that_choose_no_part_read_nothing(play: SettingsPlay) -> None:
    """Wrong settings stop nobody who asked for something else."""
    found = play.run("--tags", "motd", group_variables={"etcd_peer_tls_validity_days": 10}, whole_role=True)
    assert [answer["parts"] for answer in found.values()] == [[], [], []]
    # That which asks a host is skipped on each.
    asked = play.output.partition("Gather state and probe peers]")[2].partition("TASK [")[0]
    assert asked.count("skipping: [") == 3 and "failed=1" not in play.output and "unreachable=1" not in play.output


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ["ca", "certificates", "service", "verify"]),
        (("--tags", "etcd_ca,etcd_verify"), ["ca", "verify"]),
        (("--skip-tags", "etcd_service"), ["ca", "certificates", "verify"]),
    ],
)
def test_tags_choose_parts(play: SettingsPlay, words: tuple[str, ...], parts: list[str]) -> None:
    assert [answer["parts"] for answer in play.run(*words).values()] == [parts] * 3
