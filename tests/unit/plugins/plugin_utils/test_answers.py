# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that a host's answer passes: what is let through, what is dropped, what is refused and how."""

from __future__ import annotations

import copy
import importlib
import json
import types
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import (
    MAX_ENTRIES,
    MAX_PEM,
    MAX_TEXT,
    AnswerError,
    Kind,
    Schema,
    checked_answer,
    harmless,
    one_line,
    printable,
    schema_from,
    shown,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import PROBE

RETURN = """
running:
  description: Whether it runs.
  type: bool
  returned: success
pid:
  description: Its number; null where none runs.
  type: int
  returned: success
time:
  description: When, V(null) where that is not known.
  type: str
  returned: success
names:
  description: Names.
  type: list
  elements: str
  returned: success
pem:
  description:
    - A certificate.
    - It is null where there is none.
  type: str
  returned: success
private_key:
  description: A key.
  type: str
  returned: when one was made
files:
  description: Paths by what they are; null where one is not given.
  type: dict
  returned: always
flags:
  description: Values by flag.
  type: dict
  returned: always
parts:
  description: Some.
  type: list
  elements: dict
  returned: always
  contains:
    code:
      description: One word.
      type: str
    fingerprint:
      description: Of it.
      type: str
share:
  description: A number.
  type: float
  returned: on request
"""
SCHEMA = schema_from("one", {"one": RETURN})
FINGERPRINT = "ab" * 32
GOOD: dict[str, t.Any] = {
    "running": True,
    "pid": None,
    "time": "2026-11-24T09:00:00Z",
    "names": ["etcd-1"],
    "pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    "files": {"a": "/a", "b": None},
    "flags": {"name": "etcd-1"},
    "parts": [{"code": "mode", "fingerprint": FINGERPRINT}],
}


def refused(**changes: t.Any) -> str:
    with pytest.raises(AnswerError) as caught:
        checked_answer(SCHEMA, {**GOOD, **changes})
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300
    return message


def test_a_good_answer_comes_as_it_is() -> None:
    assert checked_answer(SCHEMA, copy.deepcopy(GOOD)) == {"changed": False, **GOOD}


def test_what_return_says_is_the_schema() -> None:
    assert SCHEMA.fields["running"] == Kind("bool")
    assert SCHEMA.fields["pid"].is_nullable and SCHEMA.fields["pem"].is_nullable
    assert not SCHEMA.fields["running"].is_nullable and not SCHEMA.fields["private_key"].is_required
    settings = PROBE.fields["info"].fields["process"].fields["settings"]  # type: ignore[index]
    assert settings.is_nullable and {"files", "flags", "allowed_common_names"} <= set(settings.fields or {})
    server = PROBE.fields["probes"].elements.fields["server"]  # type: ignore[union-attr,index]
    assert server.is_nullable and {"fingerprint", "days_left"} <= set(server.fields or {})


@pytest.mark.parametrize("name", ["ansible_facts", "add_host", "_ansible_no_log", "results", "rc", "stdout", "include"])
def test_what_is_not_documented_is_dropped(name: str) -> None:
    answer = {**GOOD, name: {"etcd_peer_tls_ca_host": "etcd-2"}, "parts": [{**GOOD["parts"][0], name: 1}]}
    assert checked_answer(SCHEMA, answer) == {"changed": False, **GOOD}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"running": None}, "has running as null, true or false is wanted"),
        ({"running": 1}, "has running as an integer, true or false is wanted"),
        ({"pid": True}, "has pid as true or false, an integer is wanted"),
        ({"pid": 1.5}, "has pid as a number, an integer is wanted"),
        ({"pid": float("nan")}, "has pid as a number, an integer is wanted"),
        ({"pid": 2**70}, "has pid as a number beyond 64 bits, an integer is wanted"),
        ({"share": float("nan")}, "has share as a number beyond 64 bits, a number is wanted"),
        ({"share": float("inf")}, "has share as a number beyond 64 bits, a number is wanted"),
        ({"names": "etcd-1"}, "has names as a text, a list is wanted"),
        ({"names": ["etcd-1", None]}, "has names[1] as null, a text is wanted"),
        ({"names": ["x"] * (MAX_ENTRIES + 1)}, "has names with 2001 entries, at most 2000 are wanted"),
        ({"names": ["x" * (MAX_TEXT + 1)]}, "has names[0] with 16385 characters, at most 16384 are wanted"),
        ({"pem": "x" * (MAX_PEM + 1)}, "has pem with 65537 characters, at most 65536 are wanted"),
        ({"names": ["x" * MAX_TEXT] * 300}, "has more than 4194304 characters, which names[255] is beyond"),
        ({"files": []}, "has files as a list, a dictionary is wanted"),
        ({"files": {"a": 1}}, "has files.a as an integer, a text is wanted"),
        ({"files": {1: "a"}}, "has in files a key that is an integer, a text is wanted"),
        ({"files": {"x" * 5000: 1}}, f"has files.{'x' * 60}... as an integer, a text is wanted"),
        ({"flags": {"a": None}}, "has flags.a as null, a text is wanted"),
        ({"flags": {f"a{number}": "" for number in range(MAX_ENTRIES + 1)}}, "has flags with 2001 entries"),
        ({"parts": {}}, "has parts as a dictionary, a list is wanted"),
        ({"parts": [{"code": "x"}]}, "lacks parts[0].fingerprint"),
        ({"parts": [{"code": "x", "fingerprint": "xyz"}]}, "has parts[0].fingerprint as xyz, lower-case hexadecimal"),
        ({"time": "soon"}, "has time as soon, a time like 2026-11-24T09:00:00Z is wanted"),
        ({"time": "2026-13-24T09:00:00Z"}, "has time as 2026-13-24T09:00:00Z, a time like"),
        ({"changed": "no"}, "has changed as a text, true or false is wanted"),
        ({"failed": "no"}, "has failed as a text, true or false is wanted"),
    ],
)
def test_what_is_not_as_documented_is_refused(changes: dict[str, t.Any], words: str) -> None:
    assert words in refused(**changes)


@pytest.mark.parametrize("answer", [None, [], "x", 1, b"x"])
def test_no_answer_at_all(answer: t.Any) -> None:
    with pytest.raises(AnswerError, match="a dictionary is wanted"):
        checked_answer(SCHEMA, answer)


def test_a_key_that_lacks() -> None:
    with pytest.raises(AnswerError, match=r"^lacks running$"):
        checked_answer(SCHEMA, {})


class Tagged(str):
    """As ansible-core 2.19 and newer pass text on."""


def test_values_are_built_in() -> None:
    checked = checked_answer(SCHEMA, {**GOOD, "names": [Tagged("x")], "flags": {Tagged("a"): Tagged("b")}})
    texts = [checked["names"][0], *checked["flags"], *checked["flags"].values()]
    assert [type(text) for text in texts] == [str, str, str]


def test_texts_do_no_harm() -> None:
    odd = "a\x1b[31m\r\nb\u202e\ud800\x85"
    checked = checked_answer(SCHEMA, {**GOOD, "names": [odd], "flags": {odd: odd}, "pem": f"{odd}\n"})
    clean = "a\\x1b[31m\\x0d\\x0ab\\u202e\\ud800\\x85"
    assert checked["names"] == [clean] and checked["flags"] == {clean: clean}
    # A certificate has lines, and is compared as it is.
    assert checked["pem"] == "a\\x1b[31m\r\nb\\u202e\\ud800\\x85\n"


def test_a_template_stays_text() -> None:
    text = "{{ lookup('pipe', 'id') }} </script>"
    assert checked_answer(SCHEMA, {**GOOD, "names": [text]})["names"] == [text]


def test_a_private_key_is_let_through_only_where_it_belongs() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    checked = checked_answer(SCHEMA, {**GOOD, "private_key": key, "pem": f"x{key}y", "names": [key[:40]]})
    assert checked["private_key"] == key
    assert checked["pem"] == "x(a private key, not shown)\ny" and checked["names"] == ["(a private key, not shown)"]
    failed = checked_answer(SCHEMA, {"failed": True, "msg": f"no {key}", "details": {"a": [key]}})
    assert "AAAA" not in str(failed)


def test_a_failure_says_why() -> None:
    failed = checked_answer(
        SCHEMA,
        {
            "failed": True,
            "msg": "no\n  more",
            "problem": "refused",
            "details": {"reasons": [{"code": "x"}], "deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, "n": 1.5},
            "pid": 3,
            "running": "yes",
            "exception": "Traceback",
            "ansible_facts": {"a": 1},
        },
    )
    assert failed == {
        "changed": False,
        "failed": True,
        "msg": "no more",
        "problem": "refused",
        "details": {"reasons": [{"code": "x"}], "deep": {"a": {"b": {"c": {"d": {"e": None}}}}}, "n": None},
        "pid": 3,
    }


@pytest.mark.parametrize("said", [None, "", " ", 1, ["a"], {}])
def test_a_failure_that_says_nothing(said: t.Any) -> None:
    assert checked_answer(SCHEMA, {"failed": True, "msg": said})["msg"] == "it failed and does not say why"


def test_a_module_that_ended_with_an_error_of_its_own_says_which() -> None:
    """From ansible-core 2.19 on there is no message then, but an event of the error."""
    event = types.SimpleNamespace(msg="[Errno 3]\nNo such process\x1b[31m")
    found = checked_answer(SCHEMA, {"failed": True, "exception": types.SimpleNamespace(event=event)})
    assert found["msg"] == "it ended with an error that it does not expect: [Errno 3] No such process\\x1b[31m"
    for odd in (types.SimpleNamespace(event=None), "Traceback", {"event": {"msg": "x"}}, None):
        assert checked_answer(SCHEMA, {"failed": True, "exception": odd})["msg"] == "it failed and does not say why"


def test_a_long_line_is_cut() -> None:
    line = one_line("x " * 10_000_000)
    assert len(line) < 2100 and line.endswith(" (and so on)")
    assert shown("x" * 100) == f"{'x' * 60}..."


def test_warnings_are_few_and_short() -> None:
    warnings = ["a\nb", "", None, {"msg": "c"}, "x" * 5000, *["y"] * 100]
    found = checked_answer(SCHEMA, {**GOOD, "warnings": warnings})["warnings"]
    assert found[0] == "a b" and len(found) <= 20 and max(map(len, found)) < 2100
    for odd in ("text", {"a": 1}, 5, None):
        assert "warnings" not in checked_answer(SCHEMA, {**GOOD, "warnings": odd})


@pytest.mark.parametrize(
    ("diff", "wanted"),
    [
        ({"before": "a\n", "after": "b\x1b\n"}, {"before": "a\n", "after": "b\\x1b\n"}),
        ([{"before_header": "x\ny", "before": "", "more": 1}], [{"before_header": "x\\x0ay", "before": ""}]),
        ({"before": {"a": {"mode": "0644"}}, "after": {}}, {"before": {"a": {"mode": "0644"}}, "after": {}}),
        ({"prepared": "+ a"}, {"prepared": "+ a"}),
        ({"before": 1, "after": [1]}, None),
        ("text", None),
        ([1, None], None),
        ({"before": {"a": "x" * (MAX_TEXT + 1)}, "after": "b"}, {"after": "b"}),
    ],
)
def test_diffs_are_what_ansible_can_show(diff: t.Any, wanted: t.Any) -> None:
    assert checked_answer(SCHEMA, {**GOOD, "diff": diff}).get("diff") == wanted


def test_a_long_diff_is_cut() -> None:
    diff = checked_answer(SCHEMA, {**GOOD, "diff": {"before": "x" * 5_000_000, "after": ""}})["diff"]
    assert len(diff["before"]) < 300_000 and diff["before"].endswith("(and so on)\n")


def test_what_ansible_would_show_at_once_is_harmless_before_it_reads_it() -> None:
    answer = {
        **GOOD,
        "add_host": {"a": 1},
        "_ansible_no_log": False,
        "warnings": ["a\x1b", {"event": {"msg": "b\n\x1b"}}],
    }
    printed = printable(SCHEMA, json.dumps({**answer, "deprecations": "x", "more": "y" * 10**6}))
    assert json.loads(printed) == {
        **GOOD,
        "warnings": ["a\\x1b", "b \\x1b"],
    }
    many = {**GOOD, "warnings": [["x" * 10**4] * 50] * 50}
    assert len(printable(SCHEMA, json.dumps(many))) < 1_000_000


@pytest.mark.parametrize("printed", ["", "hello", "[1]", "null", '{"a": ', json.dumps(GOOD), "[" * 10**6])
def test_what_is_no_answer_or_a_good_one_is_left_as_it_was_printed(printed: str) -> None:
    assert printable(SCHEMA, printed) == printed


def test_every_module_that_runs_on_a_host_has_a_checked_action() -> None:
    for name in ("etcd_ca", "etcd_peer_certificates", "etcd_peer_credentials", "etcd_peer_info", "etcd_peer_probe"):
        found = importlib.import_module(f"ansible_collections.ringfence.etcd.plugins.action.{name}")
        assert found.ActionModule.schema.module == name and found.ActionModule.schema.fields
    for name in ("etcd_peer_service", "etcd_peer_stranger"):
        found = importlib.import_module(f"ansible_collections.ringfence.etcd.plugins.action.{name}")
        assert found.ActionModule.schema.module == name and found.ActionModule.schema.fields


def test_a_schema_without_fields_lets_nothing_through() -> None:
    assert checked_answer(Schema("ansible.builtin.user"), {"changed": True, "uid": 1}) == {"changed": True}


def test_what_is_harmless_stays() -> None:
    text = 'Grüße, 東京 – "x" <b>'
    assert harmless(text) == text
