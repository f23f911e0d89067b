# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page: every pair with its verdict, all dates, what to do; and no text of a proof becomes markup."""

from __future__ import annotations

import functools
import html.parser
import re
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.tests.unit.once import once
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils import proof_samples as made
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import at, evaluated

# Of the largest one that is well and one that is not: a page of them takes its time.
PROOFS = {
    name: one for name, one in {**made.samples(), **evaluated()}.items() if name not in ("failed-50", "not-probed-50")
}
VOID = {"meta", "br", "wbr"}
Attributes = dict[str, str]


class Page(html.parser.HTMLParser):
    """Elements in order, each with the text and the elements inside it; AssertionError where tags do not fit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.texts: list[str] = []
        self.inside: list[range] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _value in attrs}) == len(attrs)
        number = len(self.elements)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        self.inside.append(range(number + 1, number + 1))
        if tag not in VOID:
            self._open.append(number)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        number = self._open.pop()
        assert self.elements[number][0] == tag
        self.inside[number] = range(number + 1, len(self.elements))

    def handle_data(self, data: str) -> None:
        for number in self._open:
            self.texts[number] += data

    def with_attribute(self, *names: str) -> list[tuple[int, Attributes]]:
        return [
            (number, attributes)
            for number, (_tag, attributes) in enumerate(self.elements)
            if all(name in attributes for name in names)
        ]

    def text(self, number: int) -> str:
        return " ".join(self.texts[number].split())

    def named(self, tag: str, inside: int | None = None) -> list[int]:
        numbers = range(len(self.elements)) if inside is None else self.inside[inside]
        return [number for number in numbers if self.elements[number][0] == tag]


@functools.cache
def page_of(name: str) -> Page:
    return once(f"page-{name}", lambda: Page(proof_page(PROOFS[name])))


# -- the matrix ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROOFS)
def test_each_pair_is_shown_once_with_its_verdict_and_the_same_in_words(name: str) -> None:
    page = page_of(name)
    shown = page.with_attribute("data-from", "data-to", "data-case", "data-verdict")
    found = [(one["data-from"], one["data-to"], one["data-case"], one["data-verdict"]) for _number, one in shown]
    wanted = [(pair["from"], pair["to"], pair["case"], pair["verdict"]) for pair in PROOFS[name]["pairs"]]
    assert sorted(found) == sorted(wanted)
    for number, attributes in shown:
        assert attributes["data-verdict"] in attributes["class"].split()
        (title,) = page.named("title", number)
        assert page.texts[title].startswith(f"{attributes['data-from']} dials {attributes['data-to']} as ") or (
            name == "hostile"
        )


@pytest.mark.parametrize("name", ["failed-5", "failed-7", "judged-7", "judged-50", "not-probed"])
def test_a_verdict_is_a_shape_and_not_a_colour_alone(name: str) -> None:
    page = page_of(name)
    cells = [*page.with_attribute("data-from"), *page.with_attribute("data-worst")]
    for number, attributes in cells:
        if "mark" not in attributes["class"].split():
            verdict = attributes.get("data-verdict") or attributes["data-worst"]
            (use,) = page.named("use", number)
            assert page.elements[use][1]["href"] in (f"#s-{verdict}", f"#s-{verdict}-small")
    symbols = {page.elements[number][1]["id"] for number in page.named("symbol")}
    assert {page.elements[number][1]["href"][1:] for number in page.named("use")} <= symbols


def test_a_row_of_strangers_is_as_bad_as_its_worst_dial() -> None:
    worst = {
        (one["data-target"], one["data-fence"]): one["data-worst"]
        for _number, one in page_of("failed-5").with_attribute("data-worst")
    }
    bad = {key: verdict for key, verdict in worst.items() if verdict != "ok"}
    assert len(worst) == 15
    assert bad == {("etcd-2", "stranger"): "failed", ("etcd-5", "unknown_ca"): "unproved"}


def test_a_hole_in_the_document_is_shown_as_not_proved() -> None:
    proof = made.make_proof(3)
    gone = proof["pairs"].pop()
    page = Page(proof_page(proof))
    (found,) = [
        one["data-verdict"]
        for _number, one in page.with_attribute("data-from")
        if (one["data-from"], one["data-to"], one["data-case"]) == (gone["from"], gone["to"], gone["case"])
    ]
    assert found == "unproved"


def labels(page: Page) -> dict[str, str]:
    """The class of each row's label, by its text."""
    svg = next(number for number, one in page.with_attribute("class") if one["class"] == "labels")
    return {page.text(number): page.elements[number][1]["class"] for number in page.named("text", svg)}


def test_who_is_at_fault_is_marked_and_not_all_that_meet_him() -> None:
    found = {text: verdict for text, verdict in labels(page_of("judged-50")).items() if verdict not in ("ok", "soft")}
    # (The full name stands before each label as its title.)
    assert found == {
        "etcd-1etcd-1": "warning",
        "etcd-2etcd-2": "failed",
        "etcd-3etcd-3": "failed",
        "etcd-4etcd-4": "failed",
        "etcd-5etcd-5": "unproved",
    }


def test_long_names_have_room_and_a_number() -> None:
    page = page_of("long-names")
    svg = next(one for _number, one in page.with_attribute("class") if one["class"] == "labels")
    name = PROOFS["long-names"]["members"][0]["name"]
    assert f"{name}1 etcd-mem…mple.com" in labels(page)
    # In DejaVu, the widest of the usual fonts, it has 150 pixels.
    assert int(svg["width"]) > 150 + 8


@pytest.mark.parametrize(
    ("name", "words"),
    [("judged-3", {"ok", "refused", "ACCEPTED"}), ("judged-7", {"timed out", "unproved"}), ("judged-50", set())],
)
def test_cells_with_room_have_words(name: str, words: set[str]) -> None:
    page = page_of(name)
    svg = next(number for number, one in page.with_attribute("class") if one["class"] == "cells")
    assert words <= {page.text(number) for number in page.named("text", svg)}
    assert ("small" in page_text(name, "matrix")) == (not words)


def page_text(name: str, first_class: str) -> list[str]:
    return next(
        one["class"].split()
        for _number, one in page_of(name).with_attribute("class")
        if one["class"].split()[:1] == [first_class]
    )


@pytest.mark.parametrize(
    ("name", "classes"),
    [("ok-7", ["top", "beside"]), ("judged-7", ["top", "beside", "short"]), ("ok-50", ["top"])],
)
def test_what_stands_beside_what(name: str, classes: list[str]) -> None:
    assert page_text(name, "top") == classes


# -- the top and the findings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "verdict", "headline"),
    [
        ("ok-3", "proved", "Proved: the fence stands"),
        ("partly", "partly_proved", "Partly proved: nothing failed, a part could not be shown"),
        ("failed-5", "failed", "Failed: the fence is open"),
    ],
)
def test_the_verdict_is_the_first_thing_seen(name: str, verdict: str, headline: str) -> None:
    page = page_of(name)
    (title,) = page.named("h1")
    assert page.text(title) == headline
    banner = page.with_attribute("data-verdict")[0]
    assert banner[1]["data-verdict"] == verdict and title in page.inside[banner[0]]
    assert page.text(banner[0]).endswith("proof of 2026-11-24 08:30:00 UTC")


def test_a_fence_that_is_not_open_is_not_said_to_be() -> None:
    proof = made.make_proof(3)
    made.set_pairs(proof, "member", lambda source, _: source == "etcd-1", verdict="failed", outcome="refused")
    page = Page(proof_page(made.finished(proof)))
    assert page.text(page.named("h1")[0]) == "Failed: not all is as it must be"


def tiles(proof: dict[str, t.Any]) -> list[tuple[str, str]]:
    page = Page(proof_page(proof))
    (found,) = [number for number, one in page.with_attribute("class") if one["class"] == "tiles"]
    return [(page.elements[number][1]["class"], page.text(number)) for number in page.named("li", found)]


def test_tiles_count() -> None:
    assert tiles(PROOFS["failed-5"]) == [
        ("failed", "Members accepted 19 of 20pairs".replace(" 19", "  19").replace("  ", " ")),
        ("failed", "Stranger refused 16 of 20attempts"),
        ("unproved", "Unknown CA refused 17 of 20attempts"),
        ("ok", "No certificate refused 20 of 20attempts"),
        ("failed", "First certificate to end endedetcd-5"),
    ]
    proof = made.make_proof(3)
    proof["members"][1]["certificate"].update(not_after=at(1.5), days_left=1)
    assert tiles(proof)[-1] == ("warning", "First certificate to end 1 dayetcd-2")
    for member in proof["members"]:
        member["certificate"] = None
    assert len(tiles(proof)) == 4


def findings(page: Page) -> list[tuple[str, str]]:
    return [
        (one["data-verdict"], page.text(number)) for number, one in page.with_attribute("data-code", "data-verdict")
    ]


def test_findings_say_what_to_do() -> None:
    found = findings(page_of("judged-3"))
    assert [verdict for verdict, _text in found] == ["failed"] * 4 + ["warning"]
    assert found[0][1] == (
        "failed etcd-2 lets in a stranger (a certificate of the same CA whose common name is in no list), calling from "
        "etcd-1, etcd-3: HTTP 200 To do: the fence is open: run the deployment now, and look who has connected"
    )
    assert all("To do:" in text for _verdict, text in found)
    proof = made.make_proof(3)
    made.find(proof, "warning", "x", "etcd-1, etcd-2, etcd-3", "old", "")
    assert findings(Page(proof_page(proof))) == [("warning", "warning all members: old")]


@pytest.mark.parametrize(
    ("change", "words"), [({}, "Nothing: there is no finding."), ({"verdict": "failed"}, "The proof names no finding.")]
)
def test_no_findings(change: dict[str, str], words: str) -> None:
    assert words in proof_page({**made.make_proof(3), **change})


# -- the timelines ---------------------------------------------------------------------------------------------------


class Bars:
    """The bars of one kind, by the name of the certificate, and the lines of the proof's day."""

    def __init__(self, page: Page, kind: str) -> None:
        self.parts = [number for number, one in page.with_attribute("data-timeline") if one["data-timeline"] == kind]
        self.rects: dict[str, dict[str, Attributes]] = {}
        self.words: list[str] = []
        self.ticks: list[str] = []
        self.now: set[str] = set()
        self.arrows = 0
        for part in self.parts:
            for number, attributes in page.with_attribute("data-bar"):
                if number in page.inside[part]:
                    rects = [page.elements[rect][1] for rect in page.named("rect", number)]
                    self.rects[attributes["data-bar"]] = {rect["class"]: rect for rect in rects}
                    self.arrows += len(page.named("path", number))
            for number in page.named("line", part):
                if page.elements[number][1]["class"] == "now":
                    self.now.add(page.elements[number][1]["x1"])
            for number in page.named("text", part):
                kind = page.elements[number][1].get("class", "")
                (self.words if kind == "end" else self.ticks if kind == "soft" else []).append(page.text(number))


def percent(text: str) -> float:
    return float(text.rstrip("%"))


def bars(proof: dict[str, t.Any], kind: str) -> Bars:
    return Bars(Page(proof_page(proof)), kind)


@pytest.mark.parametrize("name", ["ok-3", "failed-5", "ok-50", "two-authorities", "judged-7"])
def test_each_certificate_and_each_ca_has_a_bar_with_its_last_days_and_the_day_of_the_proof(name: str) -> None:
    proof = PROOFS[name]
    leaves, authorities = Bars(page_of(name), "leaves"), Bars(page_of(name), "ca")
    dated = [member for member in proof["members"] if member["certificate"]]
    assert set(leaves.rects) == {f"{one['name']}, {one['certificate']['common_name']}" for one in dated}
    assert set(authorities.rects) == {one["common_name"] for one in proof["authorities"]}
    for found in (leaves, authorities):
        assert len(found.now) == 1
        for rects in found.rects.values():
            assert set(rects) == {"life", "past", "renew"}
            life, last = rects["life"], rects["renew"]
            ends = percent(life["x"]) + percent(life["width"])
            assert 0 <= percent(life["x"]) < ends <= 100.001
            assert percent(last["x"]) + percent(last["width"]) == pytest.approx(ends, abs=0.01)
            assert percent(last["width"]) > 0


def test_where_a_bar_is() -> None:
    found = bars(made.make_proof(3), "leaves")
    rects = found.rects["etcd-1, etcd-1.example.com"]
    life, past, last = (percent(rects[name]["width"]) for name in ("life", "past", "renew"))
    # Ten days gone, 355 left, the last 30 hatched.
    assert past / life == pytest.approx(10 / 365, abs=0.002)
    assert last / life == pytest.approx(30 / 365, abs=0.002)
    assert percent(next(iter(found.now))) == pytest.approx(percent(rects["past"]["x"]) + past, abs=0.01)
    assert found.words == ["355 days left, 2027-11-14"] * 3
    assert 2 <= len(found.ticks) <= 5


def test_the_last_days_of_a_ca_are_those_in_which_it_is_warned_of() -> None:
    proof = made.make_proof(3)
    rects = bars(proof, "ca").rects["etcd peer CA"]
    assert percent(rects["renew"]["width"]) / percent(rects["life"]["width"]) == pytest.approx(90 / 3650, abs=0.002)
    proof["thresholds"]["ca_warn_days"] = 365000
    rects = bars(proof, "ca").rects["etcd peer CA"]
    assert rects["renew"]["width"] == rects["life"]["width"]


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ((at(-10), at(1.5), 1), "1 day left, 2026-11-25"),
        ((at(-10), at(-3), -3), "ended 2026-11-21"),
        ((at(2), at(20), 20), "not valid before 2026-11-26"),
    ],
)
def test_words_of_a_bar(dates: tuple[str, str, int], words: str) -> None:
    proof = made.make_proof(1)
    proof["members"][0]["certificate"].update(zip(("not_before", "not_after", "days_left"), dates))
    assert bars(proof, "leaves").words == [words]


def test_one_long_life_is_cut_and_does_not_press_the_others() -> None:
    proof = made.make_proof(3)
    proof["members"][0]["certificate"].update(not_before="1990-01-01T00:00:00Z", not_after="2090-01-01T00:00:00Z")
    found = bars(proof, "leaves")
    assert found.arrows == 2
    assert percent(found.rects["etcd-2, etcd-2.example.com"]["life"]["width"]) > 15


@pytest.mark.parametrize("ends", ["9999-12-31T23:59:59Z", "2300-01-01T00:00:00Z"])
def test_a_certificate_that_never_ends(ends: str) -> None:
    proof = made.make_proof(1)
    for one in (proof["authorities"][0], proof["members"][0]["certificate"]):
        one.update(not_before="0001-01-01T00:00:00Z", not_after=ends, days_left=2912000)
    for kind in ("ca", "leaves"):
        found = bars(proof, kind)
        assert found.arrows == 2 and 1 <= len(found.ticks) <= 5
        assert found.words[0].startswith("2912000 days left, ")


@pytest.mark.parametrize(
    ("days", "ticks"),
    [
        (2, 2),
        (40, 2),
        (90, 4),
        (365, 5),
        (3650, 5),
        (36500, 5),
    ],
)
def test_an_axis_has_few_dates_and_never_none(days: int, ticks: int) -> None:
    proof = made.make_proof(1)
    proof["members"][0]["certificate"].update(not_before=at(-1), not_after=at(days), days_left=days)
    found = bars(proof, "leaves").ticks
    assert 1 <= len(found) <= ticks
    assert all(re.fullmatch(r"\d{4}(-\d\d){0,2}", tick) for tick in found)


def test_no_more_bars_below_one_axis_than_fit_on_a_sheet() -> None:
    found = Bars(page_of("ok-50"), "leaves")
    assert len(found.parts) == 4 and len(found.rects) == 50 and len(found.now) == 1


def test_what_has_no_date_is_said() -> None:
    page = page_of("not-probed")
    assert any(page.text(number) == "No certificate was read from: etcd-3" for number in page.named("p"))
    proof = {**made.make_proof(3), "authorities": []}
    assert "None was read." in proof_page(proof)


def test_what_a_stranger_is_and_what_refuses_it_is_said_once() -> None:
    page = page_of("ok-3")
    said = [page.text(number) for number in page.named("p") if "A stranger has " in page.text(number)]
    assert len(said) == 1 and "not allowed. The fence, which has to refuse it" in said[0]


# -- the facts -------------------------------------------------------------------------------------------------------


def row(page: Page, member: str) -> str:
    return next(page.text(number) for number, one in page.with_attribute("data-member") if one["data-member"] == member)


def test_facts_of_members() -> None:
    page = page_of("not-probed")
    first, last = row(page, "etcd-1"), row(page, "etcd-3")
    certificate = PROOFS["not-probed"]["members"][0]["certificate"]
    for words in ("1 etcd-1", "etcd-1.example.com", "https://10.0.0.1:2380", "10.0.0.1", "TLSv1.3", "3.5.16"):
        assert words in first
    assert certificate["serial_number"] in first and certificate["fingerprint"] in first
    for words in ("wanted: etcd-3.example.com", "none read", "not known", "none"):
        assert words in last
    problems = [page.text(number) for number, one in page.with_attribute("class") if one["class"] == "problem"]
    assert problems == ["not probed: unreachable by SSH"]


def test_facts_that_are_seldom() -> None:
    proof = made.make_proof(2)
    proof["members"][0].update(host="node-7", problem="its key is closed to us")
    proof["members"][1].update(probed=False)
    proof["members"][1]["certificate"].update(common_name=None, issuer_common_name=None)
    proof["authorities"][0]["common_name"] = None
    page = Page(proof_page(proof))
    assert "host node-7" in row(page, "etcd-1")
    assert row(page, "etcd-2").count("(no common name)") == 2
    problems = [page.text(number) for number, one in page.with_attribute("class") if one["class"] == "problem"]
    assert problems == ["called as a stranger only: its key is closed to us", "not probed"]
    assert "(no common name)" in Bars(page, "ca").rects


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (["etcd-1", "etcd-2", "etcd-3"], "all members"),
        (["etcd-1", "etcd-3"], "2 of 3: all but etcd-2"),
        (["etcd-2"], "1 of 3: etcd-2"),
    ],
)
def test_who_trusts_a_ca(by: list[str], words: str) -> None:
    proof = made.make_proof(3)
    proof["authorities"][0]["trusted_by"] = by
    page = Page(proof_page(proof))
    (cell,) = [number for number, one in page.with_attribute("data-label") if one["data-label"] == "Trusted by"]
    assert page.text(cell) == words


def test_a_ca_is_judged_by_its_own_threshold() -> None:
    proof = made.make_proof(3)
    proof["authorities"][0].update(days_left=89, not_after=at(89))
    page = Page(proof_page(proof))
    (cell,) = [number for number, one in page.with_attribute("class") if one.get("data-label") == "Days left"]
    assert page.elements[cell][1]["class"] == "short warning"
    assert "A warning below 14 days left (CA: 90), failed below 0." in proof_page(proof)


# -- safe to open ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hostile", "judged-50"])
def test_the_page_needs_and_runs_nothing(name: str) -> None:
    page = page_of(name)
    assert {tag for tag, _attributes in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "span"),
        *("h1", "h2", "h3", "p", "b", "bdi", "br", "wbr", "ul", "li", "strong", "code", "time"),
        *("table", "thead", "tbody", "tr", "th", "td"),
        *("svg", "defs", "symbol", "pattern", "circle", "path", "rect", "use", "text", "g", "line"),
    }
    for _tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "src" for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    (policy,) = [one["content"] for _number, one in page.with_attribute("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_hostile_text_is_shown_as_text() -> None:
    text = proof_page(PROOFS["hostile"])
    assert "<script" not in text and "49" not in re.findall(r"&#34; (\d+) ", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    page = page_of("hostile")
    shown = made.HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\r\n", "\\r\\n")
    (title,) = [number for number in page.named("title") if not page.texts[number].startswith("</title>")][:1] or [0]
    assert shown in page.texts[page.named("title")[0]] and title is not None
    assert page.text(page.with_attribute("data-code")[0][0]).count("{{ 7*7 }}") == 3
    assert page.with_attribute("data-member")[0][1]["data-member"] == f"{made.HOSTILE_NAME} etcd-1"


@pytest.mark.parametrize("name", ["failed-5", "hostile"])
def test_the_same_proof_is_the_same_page(name: str) -> None:
    assert proof_page(PROOFS[name]) == proof_page(PROOFS[name])
