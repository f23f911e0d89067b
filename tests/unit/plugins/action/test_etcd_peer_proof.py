# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action: what it takes, what it shows and gives back, and reports that are whole or not there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t
from unittest import mock

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_peer_proof as action
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text, split_pem
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_proof as module
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    Results,
    set_probe,
    some_members,
    sound,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import authority as ca_facts
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole_state, whole_states

MEMBERS = some_members()
PATHS = ("html_path", "json_path", "metrics_path")


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that went to the terminal."""
    lines: list[str] = []
    display = mock.Mock()
    display.display.side_effect = lambda text: lines.extend([*text.splitlines(), "(end of an event)"])
    monkeypatch.setattr(action.ActionModule, "_display", display, raising=False)
    return lines


def run(check_mode: bool = False, task_vars: dict[str, t.Any] | None = None, **arguments: t.Any) -> dict[str, t.Any]:
    given: dict[str, t.Any] = {
        "cluster_name": "blue",
        "members": [member_as_dict(member) for member in MEMBERS],
        "states": sound(MEMBERS),
        **arguments,
    }
    given["states"] = whole_states(given["states"])
    return run_action(action.ActionModule, given, task_vars, action.ActionModule._display, check_mode=check_mode)


def test_results_are_read_as_the_hosts_have_registered_them() -> None:
    registered = {member.host: {"state": whole_state(sound(MEMBERS)[member.name])} for member in MEMBERS}
    hostvars = mock.Mock(raw_get=registered.__getitem__)
    task_vars = {"hostvars": hostvars, "ansible_play_batch": list(registered)}
    found = run(task_vars=task_vars, states=None, states_variable="state")["proof"]
    assert found["verdict"] == "proved" and found["pairs"] == run()["proof"]["pairs"]


@pytest.mark.parametrize(
    ("registered", "said"),
    [
        ({"common_name": None, "problem": "no CA key", "members": [{"stranger_private_key": "the key"}]}, "no CA key"),
        ({"unreachable": True, "msg": "no\nroute"}, "the CA's host can't be reached: no route"),
        ({"failed": True, "msg": "no room"}, "the CA's host made none: no room"),
        ("nonsense", "the CA's host made none: it gave no reason"),
        (None, "the CA's host made none: it gave no reason"),
    ],
)
def test_why_there_is_no_stranger_is_read_as_its_host_has_registered_it(registered: t.Any, said: str) -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["probes"] = [probe for probe in result["probes"] if probe["case"] != "stranger"]
    result = run(states=results, task_vars={"strangers": registered}, stranger_variable="strangers")
    (text,) = {pair["text"] for pair in result["proof"]["pairs"] if pair["case"] == "stranger"}
    assert said in text and "the key" not in str(result)


def refused(**arguments: t.Any) -> str:
    """The one line with which it ends. Not an exception, which some releases of ansible-core tell as a traceback."""
    result = run(**arguments)
    assert result["failed"] is True and "proof" not in result and "exception" not in result
    message: str = result["msg"]
    assert "\n" not in message
    return message


def paths_in(folder: pathlib.Path) -> dict[str, str]:
    return {option: str(folder / f"{option}.out") for option in PATHS}


def test_it_takes_what_the_module_documents() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    taken = {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in documented.items()
    }
    assert taken == action._ARGUMENTS


def test_a_proof_is_given_back_and_shown(shown: list[str]) -> None:
    result = run()
    assert result["changed"] is False and result["proof"]["verdict"] == "proved"
    assert [*result["table"], "(end of an event)"] == shown
    assert shown[0].startswith("blue: PROVED - 3 members")
    # The document is long: it is for -vv and more.
    assert result["_ansible_verbose_override"] is True
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["proof"]["time"])


def test_artifacts_are_what_was_asked_for(tmp_path: pathlib.Path) -> None:
    assert "ansible_stats" not in run()
    result = run(artifacts=["page", "table", "proof"], html_path=str(tmp_path / "page.html"))
    stats = result["ansible_stats"]
    assert (stats["per_host"], stats["aggregate"]) == (False, True)
    kept = stats["data"]["ringfence_etcd_proof"]["blue"]
    assert kept["table"].splitlines() == result["table"] and kept["proof"] == result["proof"]
    assert kept["page"] == (tmp_path / "page.html").read_text(encoding="utf-8")
    assert run(artifacts=["page"])["ansible_stats"]["data"]["ringfence_etcd_proof"]["blue"]["page"].startswith("<!DOC")


def test_artifacts_of_several_clusters_are_statistics_of_a_real_run(tmp_path: pathlib.Path) -> None:
    """Also of a run that fails after them; AWX takes them where Ansible shows them."""
    (tmp_path / "states.json").write_text(json.dumps(whole_states(sound(MEMBERS))))
    (tmp_path / "members.json").write_text(json.dumps([member_as_dict(member) for member in MEMBERS]))
    tasks = [
        {
            "ringfence.etcd.etcd_peer_proof": {
                "cluster_name": name,
                "members": f"{{{{ lookup('file', '{tmp_path}/members.json') | from_yaml }}}}",
                "states": f"{{{{ lookup('file', '{tmp_path}/states.json') | from_yaml }}}}",
                "artifacts": artifacts,
            }
        }
        for name, artifacts in (("blue", ["table", "proof", "page"]), ("green", ["table"]))
    ]
    tasks.append({"ansible.builtin.fail": {"msg": "the fence does not stand"}})
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(pathlib.Path(action.__file__).parents[5]),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_STDOUT_CALLBACK": "json_of_stats",
        "ANSIBLE_CALLBACK_PLUGINS": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    (tmp_path / "json_of_stats.py").write_text(_STATS_CALLBACK)
    line = [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", str(tmp_path / "play.yml")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 2, done.stdout + done.stderr
    kept = json.loads((tmp_path / "stats.json").read_text())["_run"]["ringfence_etcd_proof"]
    assert {name: sorted(one) for name, one in kept.items()} == {
        "blue": ["page", "proof", "table"],
        "green": ["table"],
    }
    assert kept["green"]["table"].startswith("green: PROVED") and kept["blue"]["proof"]["verdict"] == "proved"


# What AWX's own callback reads at the end of a run.
_STATS_CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json_of_stats"

    def v2_playbook_on_stats(self, stats):
        with open("stats.json", "w") as stream:
            json.dump(stats.custom, stream)
"""


def test_the_table_may_be_left_out(shown: list[str]) -> None:
    assert run(show=False)["table"] and shown == []


def test_a_failed_proof_is_no_failed_task() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "stranger", "accepted", None)
    result = run(states=results)
    assert "failed" not in result and result["proof"]["verdict"] == "failed"


def test_options_reach_the_judge() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["probes"] = [probe for probe in result["probes"] if probe["case"] != "stranger"]
    days = {"renew_before_days": 5, "warn_days": 400, "fail_days": 1, "ca_warn_days": 7}
    proof = run(
        states=results, stranger={"common_name": None, "problem": "there is no key"}, identity="shared", **days
    )["proof"]
    assert proof["thresholds"] == days and proof["identity"] == "shared"
    assert {pair["text"] for pair in proof["pairs"] if pair["case"] == "stranger"} == {"there is no key"}
    proof = run(states=results, stranger={"common_name": "a", "problem": None})["proof"]
    assert {pair["text"] for pair in proof["pairs"] if pair["case"] == "stranger"} == {"no such certificate was made"}


def test_a_change_under_way_is_told_by_what_the_user_gave() -> None:
    """The CA at hand, by its fingerprint; and a text that is no CA's certificate is none."""
    results = sound(MEMBERS)
    bundle = results["etcd-1"]["info"]["credentials"]["ca"]
    bundle["certificates"].append({**ca_facts("new CA"), "issuer_common_name": "new CA"})
    states = whole_states(results)
    old, new = split_pem(states["etcd-1"]["info"]["credentials"]["ca"]["pem"].encode())
    given = pem_text(CERTIFICATE_LABEL, new.der).decode()
    (change,) = run(states=states, ca_certificate_content=given)["proof"]["changes"]
    assert (change["code"], change["subject"]) == ("authorities", "etcd-1")
    others = (None, "", "nonsense", pem_text(CERTIFICATE_LABEL, old.der).decode())
    for pem in others:
        assert run(states=states, ca_certificate_content=pem)["proof"]["changes"] == []
    # What is registered of the CA counts where the user gave none.
    found: dict[str, t.Any] = {"common_name": "a", "problem": None}
    for told, pem, count in [
        ({"certificate": given}, None, 1),
        ({"certificate": given}, others[-1], 0),
        (None, None, 0),
    ]:
        task_vars = {"found": {**found, "ca": told}}
        proof = run(states=states, task_vars=task_vars, stranger_variable="found", ca_certificate_content=pem)["proof"]
        assert len(proof["changes"]) == count
    results = sound(MEMBERS)
    for result in results.values():
        entry = {"member_id": "4", "name": "etcd-4", "peer_urls": ["https://10.0.0.4:2380"], "is_learner": False}
        result["live_members"].append(entry)
    (change,) = run(states=results, removed=[" etcd-4"])["proof"]["changes"]
    remedies = [finding["remedy"] for finding in run(states=results, slice_of="a slice of x")["proof"]["findings"]]
    assert any(remedy.startswith("a slice of x, and sees a part of the hosts") for remedy in remedies)
    assert (change["code"], change["subject"]) == ("leaving", "etcd-4")
    assert run(states=results)["proof"]["changes"] == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"unreachable": True, "msg": "Failed to connect\n to the host"}, "Failed to connect to the host"),
        ({"failed": True, "msg": ""}, "it did not answer"),
        ({"skipped": True}, "it did not answer"),
        ("nonsense", "it did not answer"),
        (None, "it did not answer"),
    ],
)
def test_a_host_without_an_answer(found: t.Any, said: str) -> None:
    proof = run(states={**sound(MEMBERS), "etcd-3": found})["proof"]
    assert proof["verdict"] == "partly_proved"
    assert (proof["members"][2]["probed"], proof["members"][2]["problem"]) == (False, said)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ({"unreachable": True, "msg": "Failed to connect to the host"}, True),
        ({"failed": True, "msg": "MODULE FAILURE"}, False),
        ({"skipped": True}, False),
        (None, False),
    ],
)
def test_only_a_host_that_is_away_can_be_gone_on_without(found: t.Any, passed: bool) -> None:
    results = {**sound(MEMBERS), "etcd-3": found}
    assert run(states=results)["proof"]["passed"] is False
    assert run(states=results, without=["absent_hosts"])["proof"]["passed"] is passed
    del results["etcd-3"]
    assert run(states=results, without=["absent_hosts"])["proof"]["passed"] is True


# -- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_mode", [False, True])
def test_reports_are_written_in_check_mode_too(tmp_path: pathlib.Path, check_mode: bool) -> None:
    paths = paths_in(tmp_path / "new" / "folder")
    old = os.umask(0o077)
    try:
        result = run(check_mode=check_mode, **paths)
    finally:
        os.umask(old)
    assert json.loads(pathlib.Path(paths["json_path"]).read_text(encoding="utf-8")) == result["proof"]
    assert pathlib.Path(paths["html_path"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert 'ringfence_etcd_proof_verdict{cluster="blue",verdict="proved"} 1\n' in pathlib.Path(
        paths["metrics_path"]
    ).read_text(encoding="utf-8")
    # The collector that reads them is another user.
    assert {oct(os.stat(path).st_mode & 0o777) for path in paths.values()} == {"0o644"}
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == sorted(os.path.basename(path) for path in paths.values())


def test_paths_may_be_relative_or_in_the_home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run(json_path="proof.json", metrics_path="~/proof.prom", html_path="")
    assert (tmp_path / "proof.json").exists() and (tmp_path / "home" / "proof.prom").exists()


def test_a_reader_sees_the_old_report_or_the_new_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "etcd.prom"
    target.write_text("old", encoding="utf-8")
    seen: list[tuple[str, list[str]]] = []
    replace = os.replace

    def looking(source: str, destination: str) -> None:
        staged = pathlib.Path(source)
        # A collector takes *.prom, and nothing whose name begins with a dot.
        assert staged.name.startswith(".") and not staged.name.endswith(".prom")
        assert staged.read_text(encoding="utf-8").endswith("\n")
        seen.append((target.read_text(encoding="utf-8"), sorted(os.listdir(tmp_path))))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", looking)
    run(metrics_path=str(target))
    assert [old for old, _names in seen] == ["old"]
    assert target.read_text(encoding="utf-8").startswith("# HELP ")
    assert os.listdir(tmp_path) == ["etcd.prom"]


def test_text_that_is_no_unicode_ends_no_report(tmp_path: pathlib.Path) -> None:
    """A path that is not UTF-8 arrives as surrogates, which no file can hold."""
    results: Results = sound(MEMBERS)
    results["etcd-1"]["unreadable_files"] = [{"path": "/\udcff", "text": "/\udcff is not readable"}]
    paths = paths_in(tmp_path)
    proof = run(states=results, **paths)["proof"]
    assert json.loads(pathlib.Path(paths["json_path"]).read_text(encoding="utf-8")) == proof
    assert "/\\udcff is not readable" in pathlib.Path(paths["html_path"]).read_text(encoding="utf-8")


def test_a_path_that_can_not_be_written_is_one_line_and_nothing_is_left(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / "file" / "report.html")
    assert refused(html_path=path) == (
        f"html_path: can't write {path} on the controller: a part of it is a file: name another path, or leave it out"
    )
    folder = str(tmp_path / "folder")
    assert refused(json_path=folder).startswith(f"json_path: can't write {folder} on the controller: Is a directory")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


# -- wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"members": []}, "members is empty: give the members that the filter etcd_members makes"),
        ({"members": [{"name": "etcd-1"}]}, "a member made by the filter ringfence.etcd.etcd_members is wanted"),
        ({"identity": "none"}, "identity"),
        ({"warn_days": "soon"}, "warn_days"),
        ({"without": ["everything"]}, "absent_hosts, strangers, clients, root"),
        ({"colour": "red"}, "colour"),
        ({"cluster_name": None}, "cluster_name"),
        ({"cluster_name": ""}, "cluster_name is empty"),
    ],
)
def test_wrong_input_is_one_line(arguments: dict[str, t.Any], words: str) -> None:
    assert words in refused(**arguments)


def test_an_old_library_on_the_controller_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "35.0.2")
    assert "Python's cryptography 36 or newer is needed on the controller" in refused()


def test_a_key_that_lacks_is_told_of_its_member_and_the_others_are_proved() -> None:
    results = sound(MEMBERS)
    results["etcd-2"] = whole_state(results["etcd-2"])
    results["etcd-2"]["probes"][1]["text"] = ["HTTP 200"]
    proof = run(states=results)["proof"]
    assert [member["probed"] for member in proof["members"]] == [True, False, True]
    assert proof["members"][1]["problem"] == (
        "the answer of etcd_peer_probe has probes[1].text as a list, a text is wanted: look at this host's Python and "
        "at the module that it runs"
    )
    called = [pair["verdict"] for pair in proof["pairs"] if pair["from"] != "etcd-2"]
    assert called and set(called) == {"ok"} and proof["verdict"] == "partly_proved"
