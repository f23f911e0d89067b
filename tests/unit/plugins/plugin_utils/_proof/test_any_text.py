# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever stands in names and texts: it moves no cursor, is no markup and no series of its own, and ends no proof."""

from __future__ import annotations

import dataclasses
import html.parser
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import Lack
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    proof_of,
    set_probe,
    some_members,
    sound,
)
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

BOUNDED = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    # A smaller example takes minutes to be found, and says no more.
    phases=[Phase.explicit, Phase.generate],
)
_ODD = st.sampled_from(
    [
        *("</title>", "<script>alert(1)</script>", "&amp;", '"', "'", "{{ 7*7 }}", "{% raw %}", "\\", "]]>", "<!--"),
        *(
            "\n",
            "\r",
            "\t",
            "\x00",
            "\x1b[31m",
            "\x1b]0;x\x07",
            "\x9b31m",
            "\u202e",
            "\u2028",
            "\u200b",
            "\udcff",
            "\ufeff",
        ),
        *("é", "etcd-1", ", ", ": ", " -> ", "} 1\n", "x" * 500, "%s", "0", "", "\U0001f600", "\ue000"),
    ]
)
texts = st.one_of(st.text(max_size=60), st.lists(_ODD, max_size=6).map("".join))
names = st.lists(texts, min_size=3, max_size=3, unique=True)

_TAGS = re.compile(r"[a-z][a-z0-9]*")
_VOID = {"meta", "br", "wbr"}


class Page(html.parser.HTMLParser):
    """AssertionError where tags do not fit, or where there is one of another kind than the template has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _value in attrs}) == len(attrs)
        assert not [name for name, _value in attrs if name.startswith("on")]
        self.tags.add(tag)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_comment(self, data: str) -> None:
        assert "ringfence.etcd contributors" in data


def a_proof(called: t.Sequence[str], said: t.Sequence[str]) -> dict[str, t.Any]:
    """A proof in which much is wrong, with these names of members and these texts wherever a host or a user has one."""
    plain = some_members(len(called))
    members = [
        dataclasses.replace(member, name=name, common_name=f"{name}{said[0]}", host=name)
        for member, name in zip(plain, called)
    ]
    results = sound(members)
    first, second, third = called
    set_probe(results, first, second, "member", "refused", said[0], text=said[1])
    set_probe(results, second, first, "stranger", "accepted", None, text=said[2])
    results[second]["problem"] = said[3]
    results[second].update(live_members=None, live_members_problem=said[4])
    results[second]["unreadable_files"] = [{"path": said[0], "text": said[5]}]
    results[second]["revocation_list_problem"] = said[1] or None
    results[second]["live_alarms"] = [{"member_id": said[2], "alarm": said[3]}]
    info = results[first]["info"]
    info["unit"].update(name=said[0], path=said[1], settings=None, problem=said[2])
    info["etcd"].update(version=said[3], problem=said[4])
    info["process"]["version"] = said[5]
    info["process"]["settings"]["allowed_common_names"].append(said[0])
    info["credentials"]["ca"]["certificates"][0].update(common_name=said[1], issuer_common_name=said[2])
    info["credentials"]["certificate"].update(common_name=said[4], dns_names=list(said))
    info["process"]["settings"]["warnings"] = [{"code": said[0], "text": said[1]}]
    del results[third]
    lack = Lack("no_ca_key", said[5])
    return proof_of(
        members, results, {third: said[3]}, cluster_name=said[0], no_stranger=lack, without=["absent_hosts"]
    )


HARMLESS = a_proof(["etcd-1", "etcd-2", "etcd-3"], ["a", "b", "c", "d", "e", "f"])
TAGS = Page(proof_page(HARMLESS)).tags


@BOUNDED
@given(names, st.lists(texts, min_size=6, max_size=6))
@example(["etcd-1", "etcd-2", "etcd-3"], [""] * 6)
@example(["\n", "\x1b[2J", "<b>"], ["\n", "\x1b[2J", "<b>", "\u202e", "\udcff", "x" * 100000])
def test_any_text_in_a_table(called: list[str], said: list[str]) -> None:
    lines = proof_table(a_proof(called, said))
    assert all(line.isascii() and (line.isprintable() or not line) for line in lines), lines
    # No text makes a verdict of its own in the first line.
    assert re.match(r".*: FAILED - 3 members", " ".join(" ".join(lines[: max(1, len(lines) // 2)]).split()))


@BOUNDED
@given(names, st.lists(texts, min_size=6, max_size=6))
@example(["\n", "\x1b[2J", "<b>"], ["\n", "\x1b[2J", "<b>", "\u202e", "\udcff", "x" * 10000])
def test_any_text_in_metrics(called: list[str], said: list[str]) -> None:
    line = re.compile(
        r'# (HELP|TYPE) ringfence_etcd_\w+ .*|ringfence_etcd_\w+\{(\w+="([^"\\]|\\[\\"n])*",?)+\} -?[0-9]+'
    )
    text = proof_metrics([a_proof(called, said)])
    assert text.endswith("\n")
    for one in text[:-1].split("\n"):
        assert line.fullmatch(one), one
    series = [one.rsplit(" ", 1)[0] for one in text.splitlines() if not one.startswith("#")]
    assert len(set(series)) == len(series)


@settings(parent=BOUNDED, max_examples=60)
@given(names, st.lists(texts, min_size=6, max_size=6))
@example(["\n", "\x1b[2J", "<b>"], ["\n", "\x1b[2J", "<b>", "\u202e", "\udcff", "x" * 10000])
def test_any_text_on_a_page(called: list[str], said: list[str]) -> None:
    text = proof_page(a_proof(called, said))
    assert Page(text).tags <= TAGS | {"wbr", "br"}
    # What moves a cursor or hides text is written out; what is no character would end the writing of the file.
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2028\u2029\ud800-\udfff]", text)
