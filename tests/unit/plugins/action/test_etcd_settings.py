# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings are what the user means, wherever it stands, and nothing that a host says."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.tests.unit.once import once

from .settings_play import HOSTS, SettingsPlay

NAMES = ["etcd-1", "etcd-2", "etcd-3"]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> SettingsPlay:
    return SettingsPlay(tmp_path_factory.mktemp("settings"))


def extra(**variables: t.Any) -> tuple[str, str]:
    return "-e", json.dumps({f"etcd_peer_tls_{name}": value for name, value in variables.items()})


def test_all_hosts_have_the_same_list_and_their_own_member(play: SettingsPlay) -> None:
    found = play.run(group_variables={"etcd_peer_tls_domain": "example.com"})
    assert sorted(found) == NAMES
    assert len({json.dumps(one["members"]) for one in found.values()}) == 1
    for name, one in found.items():
        assert one["member"]["name"] == name and one["coordinator"] == "etcd-1" and one["hosts"] == NAMES
        assert one["member"]["common_name"] == f"{name}.example.com"
        assert one["lacks_ca_private_key"] is False and one["is_signed_elsewhere"] is False


@pytest.mark.parametrize("place", ["play", "vars_files", "role", "block", "inventory"])
def test_settings_of_members_count_wherever_they_stand(play: SettingsPlay, place: str) -> None:
    """Also for a host that is not in the run: every node's list of names has all members."""
    given = {
        "etcd_peer_tls_address": "{{ ansible_host | replace('10.0.', '192.168.') }}",
        "etcd_peer_tls_common_name": "peer-{{ inventory_hostname }}",
        "etcd_peer_tls_extra_sans": ["{{ inventory_hostname }}.internal"],
    }
    words = ("--limit", "etcd-1")
    if place == "play":
        found = play.run(*words, play={"vars": given})
    elif place == "vars_files":
        (play.folder / "given.json").write_text(json.dumps(given))
        found = play.run(*words, play={"vars_files": [str(play.folder / "given.json")]})
    elif place in ("role", "block"):
        found = play.run(*words, role_variables=given)
    else:
        found = play.run(*words, group_variables=given)
    assert list(found) == ["etcd-1"]
    third = found["etcd-1"]["members"][2]
    assert (third["address"], third["common_name"]) == ("192.168.0.3", "peer-etcd-3")
    assert "etcd-3.internal" in third["dns_names"]


def test_a_play_without_the_role_has_its_defaults_too(play: SettingsPlay) -> None:
    """As EXAMPLES have it: the module is documented, so it does not end in an error of Python's there."""
    path = "{{ playbook_dir }}/{{ inventory_hostname }}.json"
    kept = {"ansible.builtin.copy": {"dest": path, "content": "{{ found | to_json }}"}}
    tasks = [{"ringfence.etcd.etcd_settings": {}, "register": "found"}, kept]
    given = {"etcd_peer_tls_domain": "example.com"}
    assert play.run(group_variables=given, play={"tasks": tasks}) == play.run(group_variables=given)


def test_facts_set_nothing(play: SettingsPlay) -> None:
    """Neither a fact of a name that another setting is made of, nor one that looks like a connection's."""
    facts = {"site_domain": "evil.example", "ansible_host": "10.6.6.6", "ansible_ssh_host": "10.6.6.6"}
    found = play.run(
        before=[{"lying": {"facts": facts}, "when": "inventory_hostname == 'etcd-2'"}],
        group_variables={"site_domain": "example.com", "etcd_peer_tls_domain": "{{ site_domain }}"},
    )
    for one in found.values():
        assert one["members"][1]["common_name"] == "etcd-2.example.com"
        assert one["members"][1]["address"] == "10.0.0.2"


AWX_THROWS = "on a controller that AWX throws away after the job"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, f"{AWX_THROWS} (variable awx_job_id)"),
        ({"ca_host": "kept"}, ""),
        ({"ca_host": "here"}, f"{AWX_THROWS} (variable awx_job_id)"),
        ({"ca_on_ephemeral_controller": "true"}, ""),
    ],
)
def test_where_a_ca_is_lost_is_known_from_the_user_and_from_no_host(
    play: SettingsPlay, given: dict[str, t.Any], told: str
) -> None:
    """Else a node could have a deployment refused, or have a CA made that is gone with its key."""
    local = {"etcd_peer_tls_members": NAMES, "ansible_connection": "{{ 'local' }}", "ansible_host": "10.0.0.9"}
    hosts = {**HOSTS, "here": local, "kept": {**local, "ansible_connection": "ssh"}}
    play_of = {"hosts": ":".join(NAMES)}
    words = extra(**given, members=NAMES)
    facts = {"awx_job_id": 7, "ansible_connection": "ssh", "ca_on_ephemeral_controller": True}
    lie = [{"lying": {"facts": facts}, "delegate_to": "{{ item }}", "delegate_facts": True, "loop": [*NAMES, "here"]}]
    found = play.run(*words, hosts=hosts, play=play_of, before=[{"lying": {"facts": facts}}])
    assert [one["ca_is_lost"] for one in found.values()] == [""] * 3
    found = play.run(*words, "-e", "awx_job_id=7", hosts=hosts, play=play_of, before=lie)
    assert [one["ca_is_lost"] for one in found.values()] == [told] * 3


def test_a_ca_is_lost_with_a_controller_whose_own_environment_says_so(
    play: SettingsPlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWX_PRIVATE_DATA_DIR", "/tmp/awx_7_x")
    found = play.run("--limit", "etcd-1", *extra(ca_directory="~/a CA"))["etcd-1"]
    assert found["ca_is_lost"] == f"{AWX_THROWS} (environment variable AWX_PRIVATE_DATA_DIR)"
    monkeypatch.delenv("AWX_PRIVATE_DATA_DIR")
    # Nothing is mounted there from outside.
    monkeypatch.setenv("container", "podman")
    found = play.run("--limit", "etcd-1", *extra(ca_directory="/proc/1/ca"))["etcd-1"]
    assert found["ca_is_lost"] == ""


@pytest.mark.parametrize("fact", ["etcd_peer_tls_ca_host", "etcd_peer_tls_extra_sans", "__etcd_peer_tls_settings"])
def test_a_host_whose_facts_are_named_like_settings_is_refused(play: SettingsPlay, fact: str) -> None:
    """And it alone: the next of the members acts for the cluster."""
    lie = {"lying": {"facts": {fact: "etcd-1"}}, "when": "inventory_hostname == 'etcd-1'"}
    found = play.run(before=[lie])
    assert fact in found["etcd-1"]["msg"] and "settings are never taken from facts" in found["etcd-1"]["msg"]
    for name in ("etcd-2", "etcd-3"):
        assert found[name]["ca_host"] == "localhost" and found[name]["coordinator"] == "etcd-2"


def test_an_address_from_facts(play: SettingsPlay) -> None:
    """That is the user's own wish, by the name that facts have; a member without facts is named."""
    address = {"etcd_peer_tls_address": "{{ ansible_facts.default_ipv4.address }}"}
    facts = {"ansible_default_ipv4": {"address": "{{ ansible_host }}"}}
    hosts = {name: {**variables, "number": index} for index, (name, variables) in enumerate(HOSTS.items(), 1)}
    facts = {"ansible_default_ipv4": {"address": "10.1.0.{{ number }}"}}
    before = [{"lying": {"facts": facts}}]
    found = play.run(hosts=hosts, before=before, group_variables=address)
    assert [one["address"] for one in found["etcd-1"]["members"]] == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    found = play.run("--limit", "etcd-1", hosts=hosts, before=before, group_variables=address)
    assert "etcd-2: etcd_peer_tls_address" in found["etcd-1"]["msg"]
    assert "there are no facts of etcd-2 in this run" in found["etcd-1"]["msg"]


@pytest.mark.parametrize(
    "members",
    [
        ["etcd-1", "etcd-2", "etcd-3"],
        '["etcd-1", "etcd-2", "etcd-3"]',
        "etcd-1, etcd-2, etcd-3",
        "etcd-1\netcd-2\netcd-3\n",
        ["etcd-1", {"name": "etcd-2"}, {"name": "third", "host": "etcd-3"}],
    ],
)
def test_members_in_every_form(play: SettingsPlay, members: t.Any) -> None:
    found = play.run(*extra(members=members), whole_role=False)
    names = [one["name"] for one in found["etcd-1"]["members"]]
    assert names == (NAMES if "third" not in str(members) else ["etcd-1", "etcd-2", "third"])
    assert found["etcd-3"]["hosts"] == NAMES and found["etcd-3"]["member"]["host"] == "etcd-3"


def test_a_member_that_says_one_thing_and_the_list_another(play: SettingsPlay) -> None:
    listed = [{"name": "etcd-1", "address": "10.0.0.1"}, {"name": "etcd-2", "address": "10.9.9.9"}, "etcd-3"]
    assert play.run(*extra(members=listed))["etcd-1"]["members"][1]["address"] == "10.9.9.9"
    hosts = {**HOSTS, "etcd-2": {"ansible_host": "10.0.0.2", "etcd_peer_tls_address": "10.0.0.2"}}
    message = play.run(*extra(members=listed), hosts=hosts)["etcd-1"]["msg"]
    assert "member etcd-2" in message and "10.9.9.9" in message and "10.0.0.2" in message


@pytest.mark.parametrize(
    ("count", "hosts", "words"),
    [(3, NAMES[:1], "member_count is 3, and the inventory gives 1 (etcd-1)"), (2, NAMES, "gives 3"), (3, NAMES, "")],
)
def test_a_slice_of_the_members(play: SettingsPlay, count: int, hosts: list[str], words: str) -> None:
    found = play.run(*extra(member_count=count), hosts={name: HOSTS[name] for name in hosts})["etcd-1"]
    assert words in found.get("msg", "") and ("msg" in found) == bool(words)


# The inventory script of AWX: of the enabled hosts, by name, each so-manieth one.
_SCRIPT = """#!/usr/bin/env python3
import json
hosts = {hosts!r}
enabled = sorted(name for name in hosts if name not in {disabled!r})[{number} - 1 :: {count}]
local = {{"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent"}}
groups = {{"all": {{"hosts": [], "children": ["etcd"]}}, "etcd": {{"hosts": enabled, "vars": local}}}}
print(json.dumps({{**groups, "_meta": {{"hostvars": {{name: hosts[name] for name in enabled}}}}}}))
"""


@pytest.mark.parametrize(
    ("number", "count", "disabled", "given", "wanted"),
    [
        (1, 1, [], {"member_count": 3}, {"members_are_said": True, "slice_of": "", "not_in_inventory": []}),
        (1, 3, [], {"member_count": 1}, {"members_are_said": False, "slice_of": "template 'deploy'"}),
        (1, 3, [], {"member_count": 3}, {"msg": "this job is a slice of job template 'deploy', and sees a part of"}),
        (1, 1, ["etcd-3"], {"member_count": 3}, {"msg": "a disabled host, a slice of a job"}),
        (1, 1, ["etcd-3"], {"members": NAMES}, {"members_are_said": True, "not_in_inventory": ["etcd-3"]}),
    ],
)
def test_what_a_job_of_awx_sees(
    play: SettingsPlay, number: int, count: int, disabled: list[str], given: dict[str, t.Any], wanted: dict[str, t.Any]
) -> None:
    """Neither slices nor disabled hosts are told by a variable of their own; a fact is none of AWX's variables."""
    script = play.folder / "awx-inventory"
    script.write_text(_SCRIPT.format(hosts=HOSTS, disabled=disabled, number=number, count=count))
    script.chmod(0o755)
    job = {"awx_job_template_name": "deploy", "awx_workflow_job_name": "deploy"}
    said = ("-e", json.dumps(job)) if count > 1 else ()
    lie = [] if count > 1 else [{"lying": {"facts": job}, "vars": {"ansible_python_interpreter": sys.executable}}]
    found = play.run("-i", str(script), *extra(**given), *said, before=lie, hosts={})["etcd-1"]
    for name, value in wanted.items():
        assert (value in found[name]) if value and isinstance(value, str) else found[name] == value


def test_what_a_vault_encrypts_is_text_on_every_core(play: SettingsPlay) -> None:
    secrets = {
        "etcd_peer_tls_domain": play.encrypted("example.com"),
        "etcd_peer_tls_ca_passphrase": play.encrypted("12345678"),
        "etcd_peer_tls_api_user": play.encrypted("ringfence"),
        "etcd_peer_tls_api_password": play.encrypted("87654321"),
        "etcd_peer_tls_extra_unit_settings": {"Service": {"Environment": play.encrypted("TOKEN=hidden-in-vault")}},
    }
    hosts = {**HOSTS, "etcd-2": {"etcd_peer_tls_address": play.encrypted("10.0.0.2")}}
    found = play.run("-vvvv", "--check", hosts=hosts, group_variables=secrets, whole_role=False)
    assert found.keys() == HOSTS.keys()
    for one in found.values():
        assert one["domain"] == "example.com" and one["has_secrets"] is True
        assert one["members"][1]["address"] == "10.0.0.2"
        assert one["extra_unit_settings"] == {"Service": {"Environment": "TOKEN=hidden-in-vault"}}
        assert one["api_user"] == "ringfence" and "api_password" not in one
        assert "12345678" not in json.dumps(one) and "87654321" not in json.dumps(one)
    assert "12345678" not in play.output and "87654321" not in play.output


def test_ansibles_own_check_lets_through_what_a_vault_encrypts(play: SettingsPlay) -> None:
    """Up to ansible-core 2.18 it ends with 'Unknown parameter type' for an option under no_log."""
    secrets = {
        "etcd_peer_tls_ca_passphrase": play.encrypted("12345678"),
        "etcd_peer_tls_ca_private_key": play.encrypted("not a key"),
    }
    found = play.run(group_variables=secrets, whole_role=True)
    # So the role's first task was reached, and read it.
    assert "etcd_peer_tls_ca_private_key is given without etcd_peer_tls_ca_certificate" in found["etcd-1"]["msg"]
    assert "12345678" not in play.output and "not a key" not in play.output


EMPTY = (
    "members",
    "removed",
    "extra_sans",
    "packages",
    "extra_flags",
    "extra_unit_settings",
    "validity_days",
    "client_tls",
    "identity",
    "domain",
    "cluster_name",
    "probe_timeout_seconds",
)


def test_optional_answers_left_empty_are_the_defaults(play: SettingsPlay) -> None:
    """What AWX makes of them is null."""
    blank = dict.fromkeys(EMPTY)
    found = play.run(*extra(**blank, member_count=5), whole_role=True)
    assert "member_count is 5" in found["etcd-1"]["msg"]
    wanted = play.run()["etcd-1"]
    found = play.run(*extra(**blank))["etcd-1"]
    assert found == wanted
    assert play.run(*extra(**dict.fromkeys(EMPTY, "")))["etcd-1"] == wanted


def test_where_the_members_were_that_this_run_removes(play: SettingsPlay) -> None:
    """Of hosts that are in the inventory; one that is wrong there keeps nobody from removing its member."""
    given = {"members": ["etcd-1"], "removed": ["etcd-3", "etcd-2", "etcd-9", "https://10.0.0.7:2380"]}
    hosts = {**HOSTS, "etcd-2": {"ansible_host": "10.0.0.2", "etcd_peer_tls_peer_port": "none"}}
    found = play.run("--limit", "etcd-1", *extra(peer_port=2480, **given))["etcd-1"]
    assert found["removed_urls"] == ["https://10.0.0.3:2480", "https://10.0.0.2:2480"]
    found = play.run("--limit", "etcd-1", *extra(**given), hosts=hosts)["etcd-1"]
    assert found["removed_urls"] == ["https://10.0.0.3:2380"]
    assert play.run()["etcd-1"]["removed_urls"] == []


@pytest.mark.parametrize("word", ["etcd-7", "node-7"])
def test_a_member_that_is_called_otherwise_than_its_host_goes_by_either_name(play: SettingsPlay, word: str) -> None:
    """Its host has to be found, to be stopped, and its member, to be removed."""
    hosts = {**HOSTS, "node-7": {"ansible_host": "10.0.0.7", "etcd_peer_tls_name": "etcd-7"}}
    given = {"members": ["etcd-1"], "removed": [word, "etcd-9"]}
    found = play.run("--limit", "etcd-1", *extra(**given), hosts=hosts)["etcd-1"]
    assert found["removed_hosts"] == [{"host": "node-7", "name": "etcd-7"}]
    assert found["removed"] == [*dict.fromkeys([word, "etcd-9", "etcd-7"])]
    assert found["removed_urls"] == ["https://10.0.0.7:2380"]
    # What it has of the clients' CA goes with it; what else is said here is about peers.
    assert found["client_words"] == {"revoked": [], "removed": found["removed"], "new_keys": False}


def test_texts_of_a_survey_or_of_a_command_line(play: SettingsPlay) -> None:
    found = play.run(
        "-e",
        "etcd_peer_tls_client_tls=false etcd_peer_tls_validity_days=90 etcd_peer_tls_removed=a.example.com,b",
        *extra(
            extra_unit_settings='{"Service": {"MemoryMax": "512M"}}',
            extra_flags='{"snapshot-count": 5000}',
            ca_passphrase=12345678,
            probe_timeout_seconds="2.5",
        ),
    )["etcd-1"]
    assert found["client_tls"] is False and found["validity_days"] == 90 and found["removed"] == ["a.example.com", "b"]
    assert found["extra_unit_settings"] == {"Service": {"MemoryMax": "512M"}}
    assert found["extra_flags"] == {"snapshot-count": 5000} and found["probe_timeout_seconds"] == 2.5
    # No client is named.
    assert found["client_ca"] == "peers" and not found["issues_to_clients"] and found["client_list"] == []


MEANINGLESS: list[tuple[dict[str, t.Any], str]] = [
    ({"extra_sans": [False, None]}, "etcd_peer_tls_extra_sans: an item of it is False: a text is wanted"),
    ({"extra_sans": ["*.example.com"]}, "extra_sans '*.example.com' is no IPv4 or IPv6 address and no DNS name"),
    ({"domain": True}, "etcd_peer_tls_domain: it is True: a text is wanted"),
    ({"validity_days": "soon"}, "etcd_peer_tls_validity_days: it is 'soon': a whole number is wanted"),
    ({"validity_days": True}, "etcd_peer_tls_validity_days: it is True"),
    ({"client_tls": "perhaps"}, "etcd_peer_tls_client_tls: it is 'perhaps': true or false is wanted"),
    (
        {"extra_flags": "snapshot-count"},
        "etcd_peer_tls_extra_flags: it is 'snapshot-count': a dictionary is wanted",
    ),
    ({"extra_unit_settings": {"Service": "x"}}, "etcd_peer_tls_extra_unit_settings: Service of it is 'x'"),
    ({"members": [7]}, "etcd_peer_tls_members: 7 is neither a host's name nor a dictionary"),
    ({"members": [{"name": "a", "colour": 1}]}, "colour of"),
    ({"members": [{"address": "10.0.0.1"}]}, "has no name"),
    ({"identity": "both"}, "etcd_peer_tls_identity is 'both': list, shared can be chosen"),
    ({"verify_without": "absent_hosts,key"}, "etcd_peer_tls_verify_without is 'key'"),
    ({"api_password": "hidden"}, "etcd_peer_tls_api_password is given and etcd_peer_tls_api_user is not"),
    ({"api_user": "u", "api_password": ["hidden"]}, "etcd_peer_tls_api_password: it is a list: a text is wanted"),
    ({"group": "etdc", "members": []}, "the inventory group etdc is empty or does not exist (groups: etcd)"),
    ({"ca_private_key": ["-----BEGIN", "hidden"]}, "etcd_peer_tls_ca_private_key: it is a list: a text is wanted"),
    ({"address": "{{ nowhere }}"}, "etcd_peer_tls_address can't be worked out"),
]


@pytest.fixture(scope="module")
def meaningless(play: SettingsPlay) -> dict[str, dict[str, t.Any]]:
    """Each case is a host with variables of its own, all in one play."""

    def played() -> dict[str, dict[str, t.Any]]:
        found = play.run_each(
            {
                f"case-{number}": {f"etcd_peer_tls_{name}": value for name, value in given.items()}
                for number, (given, _words) in enumerate(MEANINGLESS)
            }
        )
        return {**found, "output": {"text": play.output}}

    return once("meaningless settings", played)


@pytest.mark.parametrize("number", range(len(MEANINGLESS)), ids=lambda number: "-".join(MEANINGLESS[number][0]))
def test_what_can_not_be_meant_is_refused_by_its_own_name(
    meaningless: dict[str, dict[str, t.Any]], number: int
) -> None:
    message = meaningless[f"case-{number}"]["msg"]
    assert MEANINGLESS[number][1] in message and "\n" not in message and "hidden" not in meaningless["output"]["text"]


STANDING = {
    "etcd_peer_tls_force_restart": True,
    "etcd_peer_tls_keys_leaked": "all",
    "etcd_peer_tls_new_ca": "true",
    "etcd_peer_tls_new_keys": "yes",
    "etcd_peer_tls_overrule_distribution_etcd": True,
    "etcd_peer_tls_removed": ["etcd-9"],
    "etcd_peer_tls_replaced": "etcd-2",
    "etcd_peer_tls_retire_ca": "{{ [fingerprint] }}",
    "etcd_peer_tls_revoked": "etcd-2",
    "etcd_peer_tls_upgrade": True,
}


def test_a_word_of_one_run_is_refused_in_the_inventory(play: SettingsPlay) -> None:
    """A schedule's next run would say it again."""
    given = {**STANDING, "fingerprint": "0" * 64}
    said = [one["msg"] for one in play.run(group_variables=given).values()]
    names = ", ".join(STANDING)
    assert said[0].startswith(f"etcd-1: {names} stands in the inventory, and every run to come would do it again: ")
    assert said[0].endswith("with -e etcd_peer_tls_force_restart=...") and "\n" not in said[0]
    assert set(said[1:]) == {"Settings are refused: see host etcd-1"}


def test_a_word_of_one_run_that_says_nothing_is_none(play: SettingsPlay) -> None:
    """What the command line says beats the inventory, and is said in that run."""
    blank = dict.fromkeys(STANDING, "")
    assert "msg" not in str(play.run(group_variables=blank))
    assert "msg" not in str(play.run("-e", json.dumps(blank), group_variables=STANDING))


@pytest.mark.parametrize("place", ["extra", "play", "role", "set_fact"])
def test_a_word_of_one_run_counts_where_that_run_says_it(play: SettingsPlay, place: str) -> None:
    given = {"etcd_peer_tls_new_keys": True}
    if place == "extra":
        found = play.run(*extra(new_keys=True))
    elif place == "play":
        found = play.run(play={"vars": given})
    elif place == "role":
        found = play.run(role_variables=given)
    else:
        found = play.run(before=[{"ansible.builtin.set_fact": given}])
    assert [one["new_keys"] for one in found.values()] == [True] * 3


def test_names_that_have_the_domain_already(play: SettingsPlay) -> None:
    hosts = {f"n{number}.example.com": {"ansible_host": f"10.0.0.{number}"} for number in (1, 2, 3)}
    found = play.run(hosts=hosts, group_variables={"etcd_peer_tls_domain": "example.com"})
    (first, *_others) = found["n1.example.com"]["members"]
    assert first["common_name"] == "n1.example.com" and first["dns_names"] == ["n1.example.com", "localhost"]


def test_the_older_name_of_a_hosts_address(play: SettingsPlay) -> None:
    hosts = {name: {"ansible_ssh_host": one["ansible_host"]} for name, one in HOSTS.items()}
    found = play.run(hosts=hosts)["etcd-1"]
    assert [one["address"] for one in found["members"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize("place", ["host", "group", "play", "role", "extra", "vault", "set_fact"])
def test_a_mistyped_name_is_refused_wherever_it_stands(play: SettingsPlay, place: str) -> None:
    """And its value is in no message: it may be a passphrase."""
    given: dict[str, t.Any] = {"etcd_peer_tls_ca_pasphrase": "hidden in a variable"}
    words: tuple[str, ...] = ("-vvv",)
    changes: dict[str, t.Any] = {}
    if place == "host":
        changes = {"hosts": {**HOSTS, "etcd-1": {**HOSTS["etcd-1"], **given}}}
    elif place == "vault":
        changes = {"group_variables": {name: play.encrypted(value) for name, value in given.items()}}
    elif place == "group":
        changes = {"group_variables": given}
    elif place == "play":
        changes = {"play": {"vars": given}}
    elif place == "role":
        changes = {"role_variables": given}
    elif place == "set_fact":
        changes = {"before": [{"ansible.builtin.set_fact": given, "no_log": True}]}
    else:
        (play.folder / "extra.json").write_text(json.dumps(given))
        words = (*words, "-e", f"@{play.folder / 'extra.json'}")
    message = play.run(*words, **changes)["etcd-1"]["msg"]
    assert message == (
        "etcd-1: etcd_peer_tls_ca_pasphrase is no variable of this role: did you mean etcd_peer_tls_ca_passphrase?"
    )
    assert "hidden in a variable" not in play.output


def test_a_mistyped_name_of_a_member_that_is_not_in_the_run(play: SettingsPlay) -> None:
    hosts = {**HOSTS, "etcd-3": {**HOSTS["etcd-3"], "etcd_peer_tls_adress": "10.9.9.9"}}
    message = play.run("--limit", "etcd-1", hosts=hosts)["etcd-1"]["msg"]
    assert message == "etcd-3: etcd_peer_tls_adress is no variable of this role: did you mean etcd_peer_tls_address?"


@pytest.mark.parametrize(
    ("source", "found", "words"),
    [
        ("raise ImportError('not here')\n", "none", ("--check",)),
        ("__version__ = '35.0.2'\n", "version 35.0.2", ()),
    ],
)
def test_a_controller_without_the_library_is_told_before_all_else(
    play: SettingsPlay, tmp_path: Path, source: str, found: str, words: tuple[str, ...]
) -> None:
    """A real ansible-playbook, whose Python finds that library and no other."""
    (tmp_path / "cryptography").mkdir()
    (tmp_path / "cryptography" / "__init__.py").write_text(source)
    play.python_path = str(tmp_path)
    try:
        # Neither is anything that the user set looked at before.
        answers = play.run(*words, *extra(validity_days=0, ca_certificate="nonsense"))
    finally:
        play.python_path = ""
    assert sorted(answers) == NAMES
    for answer in answers.values():
        assert answer["msg"] == (
            "Python's cryptography 36 or newer is needed on the controller, and "
            f"{sys.executable} has {found}: install it for that Python (python3-cryptography, or pip install"
            " 'cryptography>=36')"
        )
