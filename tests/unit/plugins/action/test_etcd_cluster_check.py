# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action that judges a whole cluster: what it takes, what it refuses, and when a run may end with its look."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_cluster_check as action
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import certificate_facts
from ansible_collections.ringfence.etcd.plugins.modules import etcd_cluster_check as module
from ansible_collections.ringfence.etcd.plugins.plugin_utils import _cluster_verdict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._transition import Change
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.checked_cluster import (
    ARCHIVE,
    CA,
    MEMBERS,
    OTHER_CA,
    SETTINGS,
    States,
    codes,
    evaluated,
    line,
    pending,
    run,
    state,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole_state
from cryptography import x509


@pytest.fixture
def states() -> States:
    return {member.name: state(number) for number, member in enumerate(MEMBERS, 1)}


TOLD = {"made": {"ca": {"certificate": CA.pem.decode(), "pending": []}, "members": [], "problem": None}}
NO_LIBRARY = "Python's cryptography 36 or newer is needed on ca, and /usr/bin/python3 has none: install it"
FAILED = {
    "the module": ({"msg": NO_LIBRARY}, f"the CA's host ca can't be asked for the CA: {NO_LIBRARY}"),
    "the way there": (
        {"unreachable": True, "msg": "No route\nto host"},
        "the CA's host ca can't be reached: No route to host",
    ),
    "no words": ({"failed": True}, "the CA's host ca can't be asked for the CA: it gave no reason"),
    "nothing": (None, "the CA's host ca can't be asked for the CA: it gave no reason"),
}


def test_the_ca_is_read_as_it_was_registered(states: States) -> None:
    assert evaluated(states, ca=None, ca_variable="made", task_vars=TOLD)["in_sync"] is True
    missing = {"made": {"ca": {"certificate": None, "pending": [{"code": "missing", "text": "there is none"}]}}}
    result = evaluated(states, ca=None, ca_variable="made", task_vars=missing)
    assert codes(result) == ["ca_missing"] and pending(result) == [(None, "ca", "missing")]
    assert "mutually exclusive" in line(states, ca_variable="made", task_vars=TOLD)


@pytest.mark.parametrize("case", FAILED)
def test_a_ca_host_that_tells_nothing_is_refused_before_anything_is_changed(states: States, case: str) -> None:
    answer, words = FAILED[case]
    given: dict[str, t.Any] = {"ca_variable": "made", "ca_host": "ca", "task_vars": {"made": answer}}
    for some in (states, {}):
        result = evaluated(some, ca=None, **given)
        assert result["in_sync"] is False
        assert [one["text"] for one in result["failures"] if one["code"] == "ca"] == [words]


def test_a_given_ca_needs_its_host_only_where_something_is_to_be_issued(states: States) -> None:
    given: dict[str, t.Any] = {
        "ca": None,
        "ca_certificate_content": CA.pem.decode(),
        "ca_variable": "made",
        "ca_host": "ca",
        "task_vars": {"made": FAILED["the module"][0]},
    }
    assert evaluated(states, **given)["in_sync"] is True
    result = evaluated(states, **given, new_keys=True)
    assert codes(result) == ["ca"] and result["failures"][0]["text"] == FAILED["the module"][1]


def test_an_old_library_on_the_controller_is_one_line(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "35.0.2")
    message = line(states)
    assert message.startswith("Python's cryptography 36 or newer is needed on the controller, and ")
    assert "has version 35.0.2: install it" in message


def test_it_takes_what_the_module_documents() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    taken = {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in documented.items()
    }
    # Documentation has no word for what is no secret, though its name has "key" in it.
    wanted = {
        name: {key: value for key, value in argument.items() if key != "no_log"}
        for name, argument in action._ARGUMENTS.items()
    }
    assert taken == wanted


def test_a_cluster_as_it_should_be_is_settled(states: States) -> None:
    result = evaluated(states)
    assert result["in_sync"] is True and result["failures"] == result["pending"] == result["notes"] == []
    assert result["trusted_fingerprints"] == [certificates.fingerprint(CA.certificate)]
    assert result["no_new_ca_because"] == (
        "etcd-1 has /etc/etcd/pki/ca.crt already: bring the CA that it came from, or change to a new one with "
        "etcd_peer_tls_new_ca: true"
    )
    assert [request["name"] for request in result["requests"]] == ["etcd-1", "etcd-2", "etcd-3"]
    assert {"new_key", "certificate"} <= set(result["requests"][0]) and not result["requests"][0]["new_key"]
    # It is long, and for -vv and more; all that it gives back is documented, and the other way round.
    assert result.pop("_ansible_verbose_override") is True and result.pop("changed") is False
    assert set(result) == set(yaml.safe_load(module.RETURN))


def test_each_host_has_settings_of_its_own(states: States) -> None:
    own = {**SETTINGS, "extra_flags": {"wal-dir": "/srv/wal"}}
    assert codes(evaluated(states, own_settings={"etcd-2": own})) == ["data_moved"]
    for part in ("unit", "process"):
        states["etcd-2"]["info"][part]["settings"]["flags"]["wal-dir"] = "/srv/wal"
    assert evaluated(states, own_settings={"etcd-2": own})["in_sync"] is True
    assert codes(evaluated(states)) == ["data_moved"]


def test_what_is_due_keeps_it_from_being_settled(states: States) -> None:
    states["etcd-2"]["pending"] = [{"part": "service", "code": "start", "text": "etcd.service: start"}]
    result = evaluated(
        states, ca={"certificate": CA.pem.decode(), "pending": [{"code": "mode", "text": "ca.key has mode 0644"}]}
    )
    assert result["in_sync"] is False and result["failures"] == []
    assert pending(result) == [(None, "ca", "mode"), ("etcd-2", "service", "start")]
    assert result["pending"][0]["text"] == "ca.key has mode 0644"


@pytest.mark.parametrize("reported", [{"pending": None}, {}])
def test_a_host_that_was_not_asked_keeps_it_from_being_settled(reported: dict[str, t.Any], states: States) -> None:
    del states["etcd-3"]["pending"]
    states["etcd-3"].update(reported)
    result = evaluated(states)
    assert result["in_sync"] is False and pending(result) == [("etcd-3", "host", "not_asked")]


def test_a_refusal_keeps_it_from_being_settled_with_nothing_due(states: States) -> None:
    states["etcd-2"]["info"]["time"] = "2001-01-01T00:00:00Z"
    result = evaluated(states)
    assert result["in_sync"] is False and result["pending"] == [] and codes(result) == ["clock"]
    assert result["failures"][0]["text"].startswith("member etcd-2: its clock says 2001-01-01T00:00:00Z")


def test_every_refusal_is_told(states: States) -> None:
    infos = [states[member.name]["info"] for member in MEMBERS]
    infos[0]["etcd"].update(found=False, version=None)
    infos[1]["data"]["cluster_id"] = "dd"
    infos[2]["unit"]["settings"]["allowed_common_names"].append("etcd-9.example.com")
    assert codes(evaluated(states)) == ["binary_missing", "name_would_be_lost", "data_of_another_cluster"]


def test_hosts_that_are_left_out_have_no_say(states: States) -> None:
    del states["etcd-2"], states["etcd-3"]
    result = evaluated(states, play=["etcd-1"])
    assert result["in_sync"] is True and [one["name"] for one in result["requests"]] == ["etcd-1"]
    assert "etcd-2, etcd-3 can't be seen" in result["no_new_ca_because"]


def test_without_a_look_nothing_is_settled() -> None:
    result = evaluated({})
    assert result["in_sync"] is False and pending(result) == [(None, "host", "not_asked")]
    assert result["requests"] == [] and "etcd-1, etcd-2, etcd-3 can't be seen" in result["no_new_ca_because"]


def test_a_first_start_in_batches(states: States) -> None:
    """The names in states are the batch; those of the whole play come with serial."""
    for one in states.values():
        one["info"].update(data={"exists": False}, unit={"managed": False}, process={"running": False})
        one.update(live_members=None, pending=[{"part": "service", "code": "start", "text": "etcd.service: start"}])
    first = {"etcd-1": states["etcd-1"]}
    assert codes(evaluated(first, play=["etcd-1", "etcd-2", "etcd-3"])) == ["start_not_seen", "first_start_in_batches"]
    assert codes(evaluated(first, play=["etcd-1"])) == codes(evaluated(first)) == ["start_not_seen"]
    assert codes(evaluated(states)) == []


@pytest.mark.parametrize(
    "removed",
    [
        "etcd-8.example.com,etcd-9.example.com",
        " etcd-9 , etcd-8",
        ["etcd-9.example.com", "etcd-8"],
        ["etcd-8 ", " etcd-9"],
    ],
)
def test_names_that_leave_may_be_one_text(removed: t.Any, states: States) -> None:
    """On the command line a list is easily given as a text: -e etcd_peer_tls_removed=etcd-8,etcd-9."""
    allowed = states["etcd-1"]["info"]["unit"]["settings"]["allowed_common_names"]
    allowed += ["etcd-8.example.com", "etcd-9.example.com"]
    assert codes(evaluated(states)) == ["name_would_be_lost"] * 2
    assert codes(evaluated(states, removed=removed)) == []


def test_what_is_allowed_and_worth_a_line_is_shown_once(states: States) -> None:
    states["etcd-1"]["info"]["unit"]["drop_ins"] = ["/etc/systemd/system/etcd.service.d/x.conf"]
    for where in ("unit", "process"):
        states["etcd-2"]["info"][where]["settings"]["warnings"] = [{"code": "skip", "text": "skips the SAN check"}]
    del states["etcd-3"]
    result, warnings = run(states, members=[member_as_dict(member) for member in MEMBERS[:2]], removed="etcd-3")
    assert result["notes"] == warnings
    assert [warning.split(":")[0] for warning in warnings] == [
        "cluster blue has 2 members",
        "member etcd-1",
        "member etcd-2",
    ]
    # Ansible shows what is under this name a second time.
    assert "warnings" not in result


def test_the_ca_that_is_given_comes_before_the_one_in_a_folder(states: States) -> None:
    ours, other = CA.pem.decode(), OTHER_CA.pem.decode()
    other_folder = {"certificate": other, "pending": []}
    assert evaluated(states, ca_certificate_content=ours, ca=other_folder)["in_sync"] is True
    assert evaluated(states, ca_certificate_content=ours, ca=None)["in_sync"] is True
    assert evaluated(states, ca_certificate_content="", ca={"certificate": ours, "pending": []})["in_sync"] is True
    # Another CA is a change of several steps, and these hosts do not tell whether they are well and where they are.
    assert codes(evaluated(states, ca_certificate_content=other, ca=None)) == ["address_missing"]
    result = evaluated(states, ca=other_folder)
    assert codes(result) == ["address_missing"] and ("etcd-1", "ca", "content") in pending(result)


@pytest.mark.parametrize("ca", [None, {}, {"certificate": None, "pending": []}, {"certificate": None}])
def test_without_a_ca_nothing_is_settled(ca: t.Any, states: States) -> None:
    result = evaluated(states, ca=ca)
    assert result["in_sync"] is False and pending(result) == [(None, "ca", "missing")]


@pytest.mark.parametrize(
    ("changes", "part", "code"),
    [
        ({"new_keys": True}, "certificate", "new_key_requested"),
        ({"key_type": "ecdsa-p384"}, "certificate", "key_type"),
        ({"validity_days": 730, "renew_before_days": 400}, "certificate", "expires_soon"),
        ({"validity_days": 30}, "certificate", "input"),
        ({"install": "archive", "archive": ARCHIVE, "archive_sha256": "a" * 64}, "etcd", "install"),
    ],
)
def test_each_wish_reaches_who_judges(changes: dict[str, t.Any], part: str, code: str, states: States) -> None:
    result = evaluated(states, **changes)
    assert result["failures"] == []
    assert pending(result) == [(member.name, part, code) for member in MEMBERS]
    assert result["requests"][0]["new_key"] is changes.get("new_keys", False)


def test_who_gets_a_new_private_key_is_known_beforehand(states: States) -> None:
    """With a CA and without one yet, by a word or by what is missing; a renewal keeps the key."""
    everybody = {member.name for member in MEMBERS}

    def found(is_signed_elsewhere: bool = False, **changes: t.Any) -> set[str]:
        result = evaluated(states, **changes)
        return _cluster_verdict._without_key(result["requests"], result["pending"], is_signed_elsewhere)

    # Another CA is asked with a request, and so with a key.
    assert found(is_signed_elsewhere=True, validity_days=730, renew_before_days=400) == everybody
    assert found(is_signed_elsewhere=True) == set()
    assert found() == found(validity_days=730, renew_before_days=400) == set()
    assert found(new_keys=True) == found(key_type="ed25519") == everybody
    states["etcd-2"]["info"]["credentials"]["private_key"]["matches_certificate"] = None
    assert found() == found(ca=None) == {"etcd-2"}
    states["etcd-3"]["info"]["credentials"]["certificate"]["pem"] = None
    assert found() == found(ca=None) == {"etcd-2", "etcd-3"}


@pytest.mark.parametrize("install", ["package", "archive"])
def test_what_is_to_be_installed_may_be_missing(install: str, states: States) -> None:
    states["etcd-1"]["info"]["etcd"].update(found=False, version=None)
    result = evaluated(states, install=install, archive="/srv/etcd.tar.gz", archive_sha256="a" * 64)
    assert codes(result) == [] and pending(result) == [("etcd-1", "etcd", "install")]
    assert codes(evaluated(states)) == ["binary_missing"]


@pytest.mark.parametrize("given", [{}, {"archive": ARCHIVE}, {"archive_sha256": "a" * 64}])
def test_an_archive_without_its_sum_is_refused(given: dict[str, str], states: States) -> None:
    result = evaluated(states, install="archive", **given)
    assert codes(result) == ["archive"]
    assert f"(a path or URL, found {given.get('archive', 'none')})" in result["failures"][0]["text"]
    assert codes(evaluated(states, install="package", **given)) == []


def test_what_the_running_members_tell_reaches_the_guards(states: States) -> None:
    states["etcd-2"]["live_members"][0]["peer_urls"] = ["https://10.0.0.1:2390"]
    assert codes(evaluated(states)) == ["peer_url_differs"]
    states["etcd-2"]["live_members"] = states["etcd-1"]["live_members"]
    states["etcd-3"]["unit_problem"] = "etcd has no such flag"
    assert codes(evaluated(states)) == ["unit_not_taken"]


def test_a_restart_by_force_reaches_the_guards(states: States) -> None:
    for one in states.values():
        one["live_alarms"] = [{"member_id": "1", "alarm": "NOSPACE"}]
    assert evaluated(states)["in_sync"] is True
    states["etcd-1"]["pending"] = [{"part": "service", "code": "unit_changed", "text": "changed"}]
    assert codes(evaluated(states)) == ["restart_alarm_nospace"]
    result = evaluated(states, force_restart=True)
    assert codes(result) == [] and any("alarm NOSPACE of etcd-1" in note for note in result["notes"])


def test_an_identity_and_an_override_reach_the_guards(states: States) -> None:
    states["etcd-1"]["info"]["etcd"]["version"] = states["etcd-1"]["info"]["process"]["version"] = "3.5.12"
    assert codes(evaluated(states)) == ["version"] and codes(evaluated(states, identity="shared")) == []
    states["etcd-1"]["info"]["etcd"]["version"] = states["etcd-1"]["info"]["process"]["version"] = "3.5.16"
    states["etcd-1"]["info"]["other_etcd"] = {"has_data": True, "key_count": 7, "running": True}
    assert codes(evaluated(states)) == ["distribution_etcd_in_use"]
    assert codes(evaluated(states, overrule_distribution_etcd=True)) == []


LOST = {"certificate": None, "pending": [{"code": "missing", "text": "there is no CA"}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["ca_would_be_lost", "ca_missing"]),
        ({"ca_is_lost": ""}, ["ca_missing"]),
        ({"ca_certificate_content": CA.pem.decode()}, []),
        ({"ca": {"certificate": CA.pem.decode(), "pending": []}}, []),
        # A run that was interrupted left it to be finished: it is there.
        ({"ca": {"certificate": CA.pem.decode(), "pending": LOST["pending"]}}, []),
        # One that is there and can't be read is refused in any case.
        ({"ca": {"certificate": None, "pending": [{"code": "crypto", "text": "unreadable"}]}}, ["ca"]),
    ],
)
def test_a_ca_is_not_made_where_it_would_be_lost(
    changes: dict[str, t.Any], expected: list[str], states: States
) -> None:
    where = "on a controller that AWX throws away after the job (variable awx_job_id)"
    given = {"ca": LOST, "ca_directory": "~/ca", "ca_is_lost": where, **changes}
    found = run(states, {}, **given)
    assert codes(found.result) == expected
    if "ca_would_be_lost" in expected:
        text = found.result["failures"][0]["text"]
        assert text.startswith(f"cluster blue: the CA would be made {where}, ~/ca, and its key would be lost")
    # One that is there is used, and what becomes of it is told; what is given by content is in no folder.
    notes = [note for note in found.result["notes"] if "~/ca" in note]
    is_told = "pending" in given["ca"] and given["ca"] != LOST
    assert bool(notes) is is_told and all(note.startswith(f"cluster blue: the CA is {where}, ~/ca: ") for note in notes)
    assert not any("~/ca" in note for note in run(states, {}, **{**given, "ca_is_lost": ""}).result["notes"])


def test_names_are_held_against_the_ca_at_hand(states: States) -> None:
    """The one in the folder, or the one that is given."""
    permitted = x509.NameConstraints([x509.DNSName("example.com")], None)
    pem = maker.authority("ours", constraints=permitted).pem
    result = evaluated(states, ca={"certificate": pem, "pending": []})
    assert codes(result)[:3] == ["name_constraints"] * 3 and "localhost" in result["failures"][0]["text"]
    assert "name_constraints" in codes(evaluated(states, ca_certificate_content=pem))


def test_a_trust_bundle_is_the_cas_certificates_whatever_the_ends_of_lines(states: States) -> None:
    states["etcd-1"]["info"]["credentials"]["ca"]["pem"] = CA.pem.decode().replace("\n", "\r\n")
    assert evaluated(states)["in_sync"] is True
    states["etcd-1"]["info"]["credentials"]["ca"]["pem"] += OTHER_CA.pem.decode()
    assert pending(evaluated(states)) == [("etcd-1", "ca", "content")]


def test_flags_that_can_not_be_are_refused_for_all_members_once(states: States) -> None:
    assert codes(evaluated(states, settings={**SETTINGS, "extra_flags": {"peer-auto-tls": True}})) == ["flags"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": [{"name": "etcd-1"}]}, "made by the filter ringfence.etcd.etcd_members is wanted: address, "),
        ({"members": [{}], "states": {}}, "made by the filter ringfence.etcd.etcd_members is wanted"),
        ({"settings": {**SETTINGS, "colour": "red"}}, "settings colour are not known"),
        ({"settings": {}}, "settings cluster_name, data_dir, credentials_directory are empty or missing"),
        ({"settings": {**SETTINGS, "data_dir": ""}}, "settings data_dir are empty or missing"),
        ({"ca_certificate_content": "rubbish"}, "etcd_peer_tls_ca_certificate is no PEM certificate"),
        ({"states": None}, "one of the following is required: states, states_variable"),
        ({"states_variable": "state"}, "parameters are mutually exclusive: states|states_variable"),
        ({"programs": {}, "programs_variable": "tried"}, "mutually exclusive: programs|programs_variable"),
        ({"identity": "both"}, "value of identity must be one of"),
        ({"install": "source"}, "value of install must be one of"),
        ({"key_type": "rsa-1024"}, "value of key_type must be one of"),
        ({"validity_days": "long"}, "argument 'validity_days' is of type"),
        ({"colour": "red"}, "colour"),
        ({"cluster_name": None}, "missing required arguments: cluster_name"),
        ({"settings": None}, "missing required arguments: settings"),
    ],
)
def test_wrong_options_end_in_one_line(changes: dict[str, t.Any], words: str, states: States) -> None:
    assert words in line(**{"states": states, **changes})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "etcd-2 is no result of ringfence.etcd.etcd_peer_probe (it did not answer)"),
        ("text", "(it did not answer)"),
        ({"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}, "Conditional result"),
        ({"failed": True, "msg": "there is no Python"}, "(there is no Python)"),
        ({"info": None, "pending": []}, "(it did not answer)"),
        ({"info": {"etcd": {}}, "pending": []}, "(it did not answer)"),
    ],
)
def test_a_host_that_could_not_be_looked_at_does_not_pass_for_settled(found: t.Any, words: str, states: States) -> None:
    message = line({**states, "etcd-2": found})
    assert words in message and "what there is of etcd-2 is" in message and "--limit" in message


def test_a_look_at_nobody_is_no_look(states: States) -> None:
    assert "states: etcd-9 is no member (etcd-1, etcd-2, etcd-3)" in line({**states, "etcd-9": state(1)})
    assert "etcd-1 is no member (there is none)" in line({"etcd-1": state(1)}, members=[])


class HostVars:
    """The hosts' variables as they were registered; the real ones are in test_states.py."""

    def __init__(self, **values: t.Any) -> None:
        self.values = values

    def raw_get(self, host: str) -> dict[str, t.Any]:
        found: dict[str, t.Any] = self.values[host.replace("-", "_")]
        return found


def task_vars(states: States, *batch: str) -> dict[str, t.Any]:
    registered = {name.replace("-", "_"): {"state": whole_state(found)} for name, found in states.items()}
    return {"ansible_play_batch": list(batch), "hostvars": HostVars(**registered)}


def test_states_may_be_read_from_the_hosts(states: States) -> None:
    names = [member.name for member in MEMBERS]
    result = evaluated(None, states_variable="state", task_vars=task_vars(states, *names))
    given = evaluated(states)
    assert result == given and result["in_sync"] is True
    # Only the hosts of this batch: another is not asked even for its variables.
    del states["etcd-2"]
    part = evaluated(None, states_variable="state", task_vars=task_vars(states, "etcd-1", "etcd-3"))
    assert [one["name"] for one in part["requests"]] == ["etcd-1", "etcd-3"]


def test_a_host_of_the_batch_that_has_registered_nothing_does_not_pass_for_settled(states: States) -> None:
    found = task_vars(states, "etcd-1", "etcd-2")
    del found["hostvars"].values["etcd_2"]["state"]
    message = line(None, states_variable="state", task_vars=found)
    assert "what there is of etcd-2 is no result" in message and "strategy linear" in message


def test_a_ca_that_can_not_be_used_is_refused_before_an_install(states: States) -> None:
    """That there is none yet is no refusal, and neither is what the module for the CA mends."""
    missing = {"code": "missing", "text": "there is no CA in /ca"}
    wrong = {"code": "crypto", "text": "its common name is another"}
    short = {"code": "input", "text": "the passphrase is too short"}
    for due, refused in (([wrong], [wrong["text"]]), ([missing, short], [short["text"]])):
        result = evaluated(states, ca={"certificate": None, "pending": due})
        assert [one["text"] for one in result["failures"] if one["code"] == "ca"] == refused
        assert result["in_sync"] is False
    mode = {"code": "mode", "text": "ca.key has mode 0644"}
    for ca in (
        {"certificate": None, "pending": [missing]},
        {"certificate": CA.pem.decode(), "pending": [mode]},
        {},
        None,
    ):
        assert not [one for one in evaluated(states, ca=ca)["failures"] if one["code"] == "ca"]


def test_a_ca_that_is_given_without_its_key_is_refused_where_something_is_to_be_issued(states: States) -> None:
    """Before an install, and in check mode: not by the host that is to sign."""
    found = task_vars(states, *states)
    for one in found["hostvars"].values.values():
        one["settings"] = {
            "unit_text": "",
            "key_custody": "ca",
            "is_signed_elsewhere": False,
            "lacks_ca_private_key": True,
        }
    changes: dict[str, t.Any] = {"states_variable": "state", "settings_variable": "settings", "task_vars": found}
    assert codes(evaluated(None, **changes)) == []
    changes.update(validity_days=730, renew_before_days=400)
    result = evaluated(None, **changes)
    assert codes(result) == ["ca_key"]
    assert "(member etcd-1: expires_soon)" in result["failures"][0]["text"]
    assert codes(evaluated(None, **changes, parts=["verify"])) == []
    for one in found["hostvars"].values.values():
        one["settings"]["lacks_ca_private_key"] = False
    assert codes(evaluated(None, **changes)) == []


def test_a_member_whose_own_settings_were_refused_stops_its_cluster(states: States) -> None:
    """The others would go on without it, as if the user had left it out: a CA would be made, etcd installed."""
    found = task_vars(states, "etcd-1", "etcd-2")
    found["ansible_play_hosts_all"] = ["etcd-1", "etcd-2", "etcd-3"]
    own = found["hostvars"].values["etcd_3"]
    changes: dict[str, t.Any] = {"states_variable": "state", "settings_variable": "settings", "task_vars": found}
    why = "etcd_peer_tls_data_dir: data is not an absolute path: write it from / on"
    own["settings"] = {"failed": True, "problem": "input", "msg": why}
    result = evaluated(None, **changes)
    # The host itself has told why, and once is enough.
    told = "etcd-3: settings are refused: see host etcd-3"
    assert result["failures"] == [{"code": "input", "text": told}] and result["in_sync"] is False
    own["settings"]["details"] = {"told_by": "etcd-9"}
    found["ansible_play_batch"] = ["etcd-1"]
    found["hostvars"].values["etcd_2"]["settings"] = own["settings"]
    told = "etcd-2, etcd-3: settings are refused: see host etcd-9"
    assert evaluated(None, **changes)["failures"] == [{"code": "input", "text": told}]
    found["ansible_play_batch"] = ["etcd-1", "etcd-2"]
    # One that lies goes alone, and one that failed later was all right here.
    for other in ({"failed": True, "problem": "refused", "msg": "it lies"}, {"members": []}, None):
        own["settings"] = other
        result = evaluated(None, **changes)
        assert result["failures"] == [] and result["in_sync"] is True


def test_what_was_tried_is_judged_in_place_of_what_is_there(states: States) -> None:
    tried = {
        "etcd-1": {"version": "3.5.12", "staged": True},
        "etcd-2": {"failed": True, "msg": "is a program for aarch64"},
        "etcd-3": None,
    }
    result = evaluated(states, programs=tried)
    assert codes(result) == ["program_unusable", "version", "downgrade"]
    assert "etcd-2: is a program" in result["failures"][0]["text"] and "3.5.12" in result["failures"][1]["text"]
    # Read as each host has registered it; a host that has registered nothing tried nothing.
    found = task_vars(states, *states)
    for name, program in tried.items():
        if program is not None:
            found["hostvars"].values[name.replace("-", "_")]["tried"] = program
    assert evaluated(None, states_variable="state", programs_variable="tried", task_vars=found) == result


def test_without_a_host_in_the_batch_nobody_was_looked_at(states: States) -> None:
    assert pending(evaluated(None, states_variable="state", task_vars=task_vars(states))) == [
        (None, "host", "not_asked")
    ]


def test_the_certificates_of_the_samples_are_those_of_the_members(states: States) -> None:
    facts = [
        certificate_facts(state["info"]["credentials"]["certificate"]["pem"].encode(), name)
        for name, state in states.items()
    ]
    assert [one.common_names for one in facts] == [(member.common_name,) for member in MEMBERS]


def test_another_minor_version_is_begun_where_that_is_said(states: States) -> None:
    for one in states.values():
        one["info"]["process"]["version"] = "3.5.35"
    tried = {name: {"version": "3.6.16", "staged": True} for name in states}
    result = evaluated(states, programs=tried)
    assert codes(result) == ["upgrade_not_said"] and result["upgrade"] is None
    result = evaluated(states, programs=tried, upgrade=True)
    planned = {"running": "3.5.35", "target": "3.6.16", "begun": False, "members": [one.name for one in MEMBERS]}
    assert codes(result) == [] and result["upgrade"] == planned
    states["etcd-2"]["info"]["process"]["version"] = "3.6.16"
    result = evaluated(states, programs=tried)
    assert codes(result) == []
    assert result["upgrade"] == {**planned, "begun": True, "members": ["etcd-1", "etcd-3"]}
    assert evaluated(states)["upgrade"] is None


def test_no_upgrade_in_a_run_that_changes_names(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are done by restarts of their own, one pass after the other."""
    tried = {name: {"version": "3.6.16", "staged": True} for name in states}
    for one in states.values():
        one["info"]["process"]["version"] = one["info"]["etcd"]["version"] = "3.5.35"
    found = _cluster_verdict.change_of

    def due(*given: t.Any) -> Change:
        change = found(*given)
        return dataclasses.replace(change, told={**change.told, "due": True})

    monkeypatch.setattr(_cluster_verdict, "change_of", due)
    assert codes(evaluated(states)) == []
    result = evaluated(states, programs=tried, upgrade=True)
    assert (
        codes(result) == ["change_in_upgrade"] and "no upgrade to etcd 3.6.16 in a run" in result["failures"][0]["text"]
    )


def test_a_mistake_of_its_own_is_no_hosts_nonsense(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not go wrong again with any host's answer: nobody is blamed for it."""
    told = iter([KeyError("of the action's own")])

    def broken(cluster: Cluster) -> list[str]:
        for mistake in told:
            raise mistake
        return []

    monkeypatch.setattr(_cluster_verdict, "cluster_warnings", broken)
    with pytest.raises(KeyError, match="of the action's own"):
        run(states)
