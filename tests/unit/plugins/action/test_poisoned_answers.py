# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a living cluster of three answered, with one field of one member's answer poisoned after the other.

Whatever the field and the poison: who judges ends with one line that names the member, or with a verdict; and what was
proved of the other two stays so. The answers were recorded from a lab's hosts, see ``recorded_states.json``.
"""

from __future__ import annotations

import copy
import datetime
import functools
import json
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_cluster_check, etcd_peer_proof
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.plugin_utils import _cluster_verdict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import AnswerError, Kind, Schema, checked_answer
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import PROBE, checked_state
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole_states
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A key that has come since is there as null or empty.
RECORDED: dict[str, t.Any] = whole_states(
    json.loads(pathlib.Path(__file__).with_name("recorded_states.json").read_text("utf-8"))
)
NOW = datetime.datetime.strptime(RECORDED["etcd-1"]["info"]["time"], "%Y-%m-%dT%H:%M:%SZ").replace(
    tzinfo=datetime.timezone.utc
)
MEMBERS = make_members(
    [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)],
    ClusterSettings(name="etcd", domain="example.com"),
)
LIAR, OTHERS = "etcd-2", ("etcd-1", "etcd-3")
CA = RECORDED["etcd-1"]["info"]["credentials"]["ca"]["pem"]

Path = tuple[t.Union[str, int], ...]
# A field's new value; ABSENT takes it away.
ABSENT = object()


def deep(levels: int) -> t.Any:
    value: t.Any = 1
    for _level in range(levels):
        value = {"a": [value]}
    return value


WRONG: dict[str, t.Any] = {
    "absent": ABSENT,
    "null": None,
    "text": "x",
    "empty": "",
    "integer": -7,
    "large": 10**30,
    "truth": True,
    "nan": float("nan"),
    "list": [None],
    "dictionary": {"a": {"b": None}},
    "nothing": {},
    "none": [],
    "deep": deep(1000),
    "huge": "x" * 1_000_000,
    "long": [{}] * 100_000,
}
HOSTILE = (
    "\x1b[31m\r\n\x00</script><img src=x onerror=alert(1)>\"'{{ lookup('pipe', 'id') }}{% raw %}\ud800%s{0}{x}%(a)s"
)
# Well typed: these go on to the judges.
ODD: dict[str, str] = {
    "hostile": HOSTILE,
    "version": "3.99999999999999999999999.1,=;",
    "hex": "ab",
    "time": "0001-01-01T00:00:00Z",
    "url": "https://[::1",
    "pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}


def paths_of(kinds: t.Mapping[str, Kind], found: t.Mapping[str, t.Any]) -> t.Iterator[Path]:
    """Every documented field that the recording has, one of each list."""
    for name, kind in kinds.items():
        yield from _paths(kind, found.get(name), (name,))


def _paths(kind: Kind, found: t.Any, path: Path) -> t.Iterator[Path]:
    yield path
    if isinstance(found, dict):
        if kind.fields is not None:
            for name, inner in kind.fields.items():
                yield from _paths(inner, found.get(name), (*path, name))
        else:
            yield from ((*path, name) for name in found)
    if isinstance(found, list) and found and kind.elements is not None:
        yield from _paths(kind.elements, found[0], (*path, 0))


def poisoned(path: Path, value: t.Any) -> dict[str, t.Any]:
    """The member's answer with another value there; nothing else of it is copied."""
    answer = dict(RECORDED[LIAR])
    inner: t.Any = answer
    for step in path[:-1]:
        inner[step] = copy.copy(inner[step])
        inner = inner[step]
    if value is not ABSENT:
        inner[path[-1]] = value
    elif isinstance(path[-1], str):
        inner.pop(path[-1], None)
    else:
        del inner[path[-1]]
    return answer


GIVEN: dict[str, t.Any] = {
    **{name: option.get("default") for name, option in etcd_cluster_check._ARGUMENTS.items()},
    "cluster_name": "etcd",
    "identity": "list",
    "play": [member.name for member in MEMBERS],
    "removed": [],
    "install": "none",
    "archive": "",
    "archive_sha256": "",
    "overrule_distribution_etcd": False,
    "ca_certificate_content": CA,
    "ca": None,
    "key_type": "ecdsa-p256",
    "validity_days": 365,
    "renew_before_days": 30,
    "new_keys": False,
    "settings": {"cluster_name": "etcd", "data_dir": "/var/lib/etcd/etcd", "credentials_directory": "/etc/etcd/pki"},
}


def checked(states: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return _cluster_verdict.evaluated({**GIVEN, "states": states}, MEMBERS, NOW)


def drawn(states: t.Mapping[str, t.Any], with_page: bool = False) -> t.Any:
    given = {
        **{name: option.get("default") for name, option in etcd_peer_proof._ARGUMENTS.items()},
        "members": [member_as_dict(member) for member in MEMBERS],
        "states": states,
        "cluster_name": "etcd",
        "identity": "list",
        "renew_before_days": 30,
        "warn_days": 14,
        "fail_days": 0,
        "ca_warn_days": 90,
        "metrics_path": "/m",
        "json_path": "/j",
        # To draw it takes four times as long as all else.
        "html_path": "/h" if with_page else None,
    }
    return etcd_peer_proof._evaluated(given)


def proved(states: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    proof: dict[str, t.Any] = drawn(states).proof
    return proof


def of_the_others(proof: dict[str, t.Any]) -> list[tuple[t.Any, ...]]:
    """What the others met at each other, and what was found of them alone."""
    state = [
        (pair["from"], pair["to"], pair["case"], pair["verdict"], pair["text"])
        for pair in proof["pairs"]
        if LIAR not in (pair["from"], pair["to"])
    ]
    # What all members have in common, and what others say of a member, is not of one alone.
    alone = ("running", "process_current", "identity", "peer_tls", "etcd_version", "files_readable", "certificate_days")
    found = [
        (check["check"], check["member"], check["verdict"], check["text"])
        for check in proof["checks"]
        if check["member"] in OTHERS and check["check"] in alone
    ]
    return state + found


_HARMFUL = set("\x00\x1b\n\u202e\ud800")


def evaluate(answer: t.Any, with_page: bool = False) -> str | None:
    """Have it judged by all; AssertionError where that ends as it must not. Gives why it was refused."""
    states = {**RECORDED, LIAR: answer}
    failure = None
    try:
        verdict = checked(states)
    except RingfenceError as exc:
        failure = str(exc)
        assert LIAR in failure and "\n" not in failure and len(failure) < 1000
    else:
        assert isinstance(verdict["in_sync"], bool)
        texts = [one["text"] for one in [*verdict["failures"], *verdict["pending"]]] + verdict["warnings"]
        assert not any(_HARMFUL & set(text) for text in texts)
        assert {one["member"] for one in verdict["pending"]} <= {None, LIAR}
    proof, lines, reports, _artifacts = drawn(states, with_page)
    assert of_the_others(proof) == _of_the_others_at_best()
    assert proof["members"][0]["probed"] and proof["members"][2]["probed"]
    assert not any(_HARMFUL & set(line) for line in lines)
    page = reports.get("html_path", "")
    assert "<img src=x" not in page and not _HARMFUL - {"\n"} & set(page) and bool(page) is with_page
    return failure


@functools.cache
def _of_the_others_at_best() -> list[tuple[t.Any, ...]]:
    found = of_the_others(proved(RECORDED))
    assert len(found) > 10
    return found


@functools.cache
def _checked_of_another(name: str) -> dict[str, t.Any]:
    return checked_state(RECORDED[name])


@pytest.fixture(scope="module", autouse=True)
def the_others_are_checked_once() -> t.Iterator[None]:
    """Their answers never change here, and to check them for each poison was half of the work."""

    def checked_once(state: t.Any) -> dict[str, t.Any]:
        known = [name for name in OTHERS if state is RECORDED[name]]
        return _checked_of_another(known[0]) if known else checked_state(state)

    with pytest.MonkeyPatch.context() as patched:
        for module in (_cluster_verdict, etcd_peer_proof):
            patched.setattr(module, "checked_state", checked_once)
        yield


FIELDS = sorted(set(paths_of(PROBE.fields, RECORDED[LIAR])), key=str)


def test_the_recording_is_of_a_cluster_as_it_should_be() -> None:
    assert set(RECORDED) == {LIAR, *OTHERS} and len(FIELDS) > 120
    verdict = checked(RECORDED)
    assert verdict["in_sync"] is True and verdict["failures"] == verdict["pending"] == []
    assert proved(RECORDED)["verdict"] == "proved"
    assert all(checked_state(state)["info"] == state["info"] for state in RECORDED.values())


def at(path: Path) -> str:
    return ".".join(map(str, path))


@pytest.mark.parametrize("path", FIELDS, ids=at)
def test_each_field_with_each_poison(path: Path) -> None:
    is_text = isinstance(functools.reduce(lambda value, step: value[step], path, t.cast(t.Any, RECORDED[LIAR])), str)
    refused = 0
    for name, poison in {**WRONG, **ODD}.items():
        answer = poisoned(path, poison)
        try:
            usable = checked_state(answer)
        except AnswerError as exc:
            # Both judges say the same of it: they are asked for what the checker lets through.
            assert "\n" not in str(exc) and len(str(exc)) < 600, name
            refused += 1
            continue
        if usable != RECORDED[LIAR]:
            evaluate(answer)
    assert refused >= (4 if is_text else 3)


@pytest.mark.parametrize("poison", ODD)
def test_all_texts_at_once_in_all_that_is_drawn(poison: str) -> None:
    def odd(kind: Kind, found: t.Any, name: str) -> t.Any:
        if isinstance(found, dict):
            kinds = kind.fields or dict.fromkeys(found, Kind("str"))
            return {key: odd(kinds[key], item, key) for key, item in found.items()}
        if isinstance(found, list):
            return [odd(t.cast(Kind, kind.elements), item, name) for item in found]
        if not isinstance(found, str):
            return found
        made = ODD[poison]
        is_form_right = _is_taken(name, made) and name not in ("to", "case", "outcome")
        return made if is_form_right else found

    answer = odd(Kind("dict", fields=PROBE.fields), RECORDED[LIAR], "")
    # What is said of certificates is what they say: test_states.py.
    own, said = (one["info"]["credentials"] for one in (RECORDED[LIAR], answer))
    said["ca"].update({name: own["ca"][name] for name in ("pem", "certificates")})
    said["certificate"].update({name: own["certificate"][name] for name in ("pem", *own["ca"]["certificates"][0])})
    assert checked_state(answer)["info"] != RECORDED[LIAR]["info"]
    evaluate(answer, with_page=True)


def _is_taken(name: str, text: str) -> bool:
    try:
        checked_answer(Schema("one", {name: Kind("str")}), {name: text})
    except AnswerError:
        return False
    return True


def test_what_the_checker_refuses_is_refused_by_both_and_names_the_member() -> None:
    answer = poisoned(("info", "process", "pid"), [1])
    words = "the answer of etcd_peer_probe has info.process.pid as a list, an integer is wanted"
    failure = evaluate(answer)
    assert failure is not None and words in failure
    proof = proved({**RECORDED, LIAR: answer})
    assert proof["members"][1]["probed"] is False and words in proof["members"][1]["problem"]
    assert proof["verdict"] == "partly_proved"


@pytest.mark.parametrize("answer", [None, [], "x", 5, {}, {"info": {}}, {"probes": [], "info": 1}, deep(100_000)])
def test_no_answer_at_all(answer: t.Any) -> None:
    failure = evaluate(answer)
    assert failure is not None and "etcd-2 is no result" in failure


def test_a_judge_that_can_not_make_sense_of_a_good_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No such answer is known; should there be one, it is told of its member, and the others are proved."""

    def stumbles(evaluate: t.Callable[..., t.Any], which: int) -> t.Callable[..., t.Any]:
        def evaluated(*arguments: t.Any) -> t.Any:
            found = getattr(arguments[which], "infos", arguments[which])
            if LIAR in found:
                raise KeyError("peer_trusted_ca_file")
            return evaluate(*arguments)

        return evaluated

    monkeypatch.setattr(etcd_peer_proof, "evaluate", stumbles(etcd_peer_proof.evaluate, 1))
    monkeypatch.setattr(_cluster_verdict, "check_cluster", stumbles(_cluster_verdict.check_cluster, 0))
    words = "what it answered makes no sense (KeyError: 'peer_trusted_ca_file')"
    with pytest.raises(RingfenceError) as caught:
        checked(RECORDED)
    assert str(caught.value).startswith(f"member etcd-2: {words}")
    proof = proved(RECORDED)
    assert [member["probed"] for member in proof["members"]] == [True, False, True]
    assert words in proof["members"][1]["problem"] and of_the_others(proof) == _of_the_others_at_best()


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([HOSTILE, "etcd-1", "etcd-3", "https://10.0.0.1:2380", "true", "member", "accepted"]),
)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, t.Any]:
    """An answer in its documented types, in which any of the fields may be anything of its type."""
    return {name: _drawn(draw, kind, RECORDED[LIAR].get(name)) for name, kind in PROBE.fields.items()}


def _drawn(draw: st.DrawFn, kind: Kind, recorded: t.Any) -> t.Any:
    chance = draw(st.integers(0, 19))
    if chance < 14 and kind.type not in ("dict", "list"):
        return recorded
    if chance == 19:
        return draw(_LEAVES)
    if chance == 18 and kind.is_nullable:
        return None
    if kind.type == "dict":
        if kind.fields is None:
            known = list(recorded or {})
            names = st.sampled_from(known) if known else st.text(max_size=8)
            values = st.one_of(st.none(), st.text(max_size=8))
            return {**(recorded or {}), **draw(st.dictionaries(names, values, max_size=2))}
        found = recorded if isinstance(recorded, dict) else {}
        return {name: _drawn(draw, inner, found.get(name)) for name, inner in kind.fields.items()}
    if kind.type == "list":
        elements = t.cast(Kind, kind.elements)
        items = recorded if isinstance(recorded, list) else []
        kept = items[: draw(st.integers(0, 3))] if chance > 9 else items
        return [_drawn(draw, elements, item) if number < 3 else item for number, item in enumerate(kept)]
    if kind.type == "bool":
        return draw(st.booleans())
    if kind.type == "int":
        return draw(st.integers(-(2**62), 2**62))
    return draw(st.one_of(st.text(max_size=20), st.sampled_from(list(ODD.values()))))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(answers())
def test_any_mixture_of_them(answer: dict[str, t.Any]) -> None:
    evaluate(answer)
