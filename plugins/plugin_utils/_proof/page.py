# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proof as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Pure but for reading the template beside this file. What is where is computed here; the template only writes it down.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import pathlib
import statistics
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.views import (
    CASE_NAMES,
    CLIENT_NAMES,
    FENCE_CASES,
    FENCE_SIGNS,
    SIGNS,
    Pair,
    Pairs,
    Proof,
    client_calls,
    client_cases,
    client_sign,
    common_name_of,
    cut_middle,
    diallers_of,
    fence_cases,
    fence_pairs,
    instant,
    known_verdict,
    life_verdict,
    member_names,
    one_line,
    pairs_of,
    split_finding,
    worst,
)
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

_Shapes = dict[str, t.Any]

_TEMPLATE = pathlib.Path(__file__).with_name("page.html.j2")
# Up to so many members: width and height of a cell. The sizes fit windows, and beyond the last the page scrolls.
_CELLS = ((3, 76, 52), (7, 76, 48), (12, 54, 40), (24, 32, 32))
_SMALLEST_CELL = (20, 20)
# Cells of this width have room for words, and for a short sign.
_WORDS, _SHORT = 76, 54
# Pixels that a letter of a label may be wide, in any usual font and bold: narrow, wide, others.
_NARROW, _WIDE = "fijlrtI.,:;-'|!()[]/ ", "mwMW@%…"
_LETTERS = (6.5, 14.0, 9.5)
# Pixels of the words that stand there in each proof.
_WORDS_OF_ROWS = 112
_LABEL = 20
# As many findings are as high as a matrix with what stands round it.
_SHORT_LIST = 8
_UNDER_WAY = "Change under way, not proved until it ends"
_RESULTS = {"ok": "all refused", "warning": "refused with a warning", "unproved": "not proved", "failed": "ACCEPTED"}


def proof_page(proof: Proof) -> str:
    """The page of a proof. The same proof gives the same bytes."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pairs = pairs_of(proof)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        proof=proof,
        verdict={"proved": "ok", "failed": "failed"}.get(proof["verdict"], "unproved"),
        headline=_headline(proof, pairs),
        time=proof["time"].replace("T", " ").replace("Z", " UTC"),
        tiles=_tiles(proof, pairs),
        findings=_findings(proof),
        changes=_changes(proof),
        matrix=_matrix(proof, pairs),
        client_ports=_client_ports(proof),
        timelines=_timelines(proof),
        members=_members(proof, pairs),
        authorities=_authorities(proof),
    )


def _shown(value: object) -> object:
    """Each value that the template writes. Characters that escaping leaves alone could still turn or hide text."""
    return value if isinstance(value, (int, float, Markup)) else one_line(value)


# -- the top -----------------------------------------------------------------------------------------------------------


def _headline(proof: Proof, pairs: Pairs) -> str:
    if proof["verdict"] == "proved":
        return "Proved: the fence stands"
    if proof["verdict"] != "failed":
        return "Partly proved: nothing failed, a part could not be shown"
    if any(case in FENCE_CASES and pair["verdict"] == "failed" for (_from, _to, case), pair in pairs.items()):
        return "Failed: the fence is open"
    if any(case != "client" and call["verdict"] == "failed" for (_name, case), call in client_calls(proof).items()):
        return "Failed: a client port is open"
    failing = [finding for finding in proof["findings"] if finding["fails"]]
    # Said by every finding that fails it, and by no pair that has none.
    if failing and all(finding.get("in_progress") for finding in failing):
        return "Not proved: a change is under way"
    return "Failed: not all is as it must be"


def _tiles(proof: Proof, pairs: Pairs) -> list[_Shapes]:
    tiles = []
    for case in ("member", *fence_cases(pairs)):
        verdicts = [known_verdict(pair["verdict"]) for (_from, _to, its), pair in pairs.items() if its == case]
        good = sum(verdict in ("ok", "warning") for verdict in verdicts)
        tiles.append(
            {
                "verdict": worst(verdicts),
                "name": "Members accepted" if case == "member" else f"{_title(CASE_NAMES[case])} refused",
                "value": f"{good} of {len(verdicts)}",
                "note": "pairs" if case == "member" else "attempts",
            }
        )
    dated = [member for member in proof["members"] if member["certificate"]]
    if dated:
        first = min(dated, key=lambda member: t.cast(str, member["certificate"]["not_after"]))
        left, name = first["certificate"]["days_left"], first["name"]
        tiles.append(
            {
                "verdict": life_verdict(first["certificate"], proof),
                "name": "First certificate to end",
                "value": "ended" if left < 0 else f"{left} {'day' if left == 1 else 'days'}",
                "note": cut_middle(one_line(name), _LABEL, "…"),
            }
        )
    return tiles


def _findings(proof: Proof) -> list[_Shapes]:
    everybody = ", ".join(member_names(proof))
    return [
        {
            **finding,
            "verdict": known_verdict(finding["verdict"]),
            # Fifty names would be a paragraph.
            "subject": "all members" if subject == everybody else subject,
            "rest": rest,
            # It fails the proof as any other; what it is called is another matter.
            "kind": _UNDER_WAY if finding.get("in_progress") else "",
        }
        for finding in proof["findings"]
        for subject, rest in [split_finding(finding)]
    ]


def _changes(proof: Proof) -> list[_Shapes]:
    everybody = ", ".join(member_names(proof))
    return [
        {**change, "subject": "all members" if change["subject"] == everybody else change["subject"]}
        for change in proof.get("changes") or ()
    ]


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- the matrix --------------------------------------------------------------------------------------------------------


class _Grid(t.NamedTuple):
    """Where the rows and cells of a matrix are, in pixels."""

    width: int
    height: int
    top: int
    fence_top: int
    fence_height: int

    def cell(self, row: int, column: int) -> _Shapes:
        return {"x": column * self.width, "y": self.top + row * self.height}

    def fence_cell(self, row: int, column: int) -> _Shapes:
        return {"x": column * self.width, "y": self.fence_top + row * self.fence_height}


def _matrix(proof: Proof, pairs: Pairs) -> _Shapes:
    names = member_names(proof)
    width, height = next((size[1:] for size in _CELLS if len(names) <= size[0]), _SMALLEST_CELL)
    labels = _labels(names)
    longest = max((_pixels(label) for label in labels), default=0.0)
    is_turned = longest > width - 4
    top = round(longest) + 12 if is_turned else 26
    grid = _Grid(width, height, top, fence_top=top + len(names) * height + 16, fence_height=height + 8)
    # Whoever is at fault is marked, and not each that meets him: of fifty all meet him.
    blamed = {name: worst(["ok", *found]) for name, found in _blamed(proof).items()}
    return {
        "width": len(names) * width + 2,
        "height": grid.fence_top + len(fence_cases(pairs)) * grid.fence_height + 2,
        "label_width": round(max(longest, _WORDS_OF_ROWS)) + 14,
        "cell_width": width,
        "cell_height": height,
        "fence_height": grid.fence_height,
        "fence_top": grid.fence_top,
        "top": top,
        "is_turned": is_turned,
        # Small enough to stand beside the findings; the fewer, the larger.
        "is_small": len(names) <= 7,
        # So many findings are higher than the matrix: the dates are then below the matrix.
        "is_short": len(proof["findings"]) > _SHORT_LIST,
        "grow": 1.5 if len(names) <= 3 else 1.2 if len(names) <= 5 else 1,
        # Only the sign, in the middle, where there is no room for a word below it.
        "sign": 20 if width >= _SHORT else 16,
        "has_words": width >= _SHORT,
        "columns": [
            {"x": column * width + width / 2, "label": label, "name": name, "verdict": blamed[name]}
            for column, (label, name) in enumerate(zip(labels, names))
        ],
        "rows": _rows(grid, labels, names, blamed, fence_cases(pairs)),
        "cells": [
            {**grid.cell(row, column), **(_cell(pair, width) if pair else {"pair": None})}
            for row, dialler in enumerate(names)
            for column, pair in enumerate(pairs.get((dialler, target, "member")) for target in names)
        ],
        "fence": [
            {**grid.fence_cell(row, column), **_fence_cell(pairs, target, names, case, width)}
            for row, case in enumerate(fence_cases(pairs))
            for column, target in enumerate(names)
        ],
        "summary": _matrix_summary(pairs, len(names)),
    }


def _rows(
    grid: _Grid,
    labels: t.Sequence[str],
    names: t.Sequence[str],
    blamed: t.Mapping[str, str],
    fence: t.Sequence[str],
) -> list[_Shapes]:
    """What stands before each row: the members, then those who have to be refused."""
    members = [
        {"y": grid.cell(row, 0)["y"] + grid.height // 2, "label": label, "name": name, "verdict": blamed[name]}
        for row, (label, name) in enumerate(zip(labels, names))
    ]
    strangers = [
        {"y": grid.fence_cell(row, 0)["y"] + grid.fence_height // 2, "label": label, "name": label, "verdict": "ok"}
        for row, label in enumerate(CASE_NAMES[case] for case in fence)
    ]
    return members + strangers


def _blamed(proof: Proof) -> dict[str, list[str]]:
    """The verdicts of the findings about each member."""
    return {
        name: [finding["verdict"] for finding in proof["findings"] if name in finding["subject"].split(", ")]
        for name in member_names(proof)
    }


def _pixels(label: str) -> float:
    narrow, wide, others = _LETTERS
    return sum(
        narrow if letter in _NARROW else wide if letter in _WIDE or not letter.isascii() else others for letter in label
    )


def _labels(names: t.Sequence[str]) -> list[str]:
    """Names short enough for a row; where one had to be cut all have numbers, which the table of members has too."""
    shown = [one_line(name) for name in names]
    if all(len(name) <= _LABEL for name in shown):
        return shown
    return [f"{number} {cut_middle(name, _LABEL - 3, '…')}" for number, name in enumerate(shown, 1)]


def _cell(pair: Pair, width: int) -> _Shapes:
    verdict = known_verdict(pair["verdict"])
    word = SIGNS[verdict]
    if width >= _WORDS and verdict in ("failed", "unproved"):
        word = "unproved" if pair["outcome"] == "not_probed" else pair["outcome"].replace("_", " ")
    return {"pair": pair, "verdict": verdict, "word": word, "title": _pair_title(pair)}


def _pair_title(pair: Pair) -> str:
    parts = [f"{pair['from']} dials {pair['to']} as {CASE_NAMES[pair['case']]}: {pair['outcome'].replace('_', ' ')}"]
    parts.append(pair["text"])
    if pair["tls"]:
        parts.append(" ".join(part for part in (pair["tls"], pair["cipher"]) if part))
    if pair["inferred"]:
        parts.append("the reason is inferred from certificates and lists")
    return "; ".join(parts)


def _fence_cell(pairs: Pairs, target: str, names: t.Sequence[str], case: str, width: int) -> _Shapes:
    """One case of one target: the worst of all diallers, and a mark for each of them."""
    dialled = [pairs[dialler, target, case] for dialler in diallers_of(target, names)]
    verdict = worst(pair["verdict"] for pair in fence_pairs(pairs, target, names, case))
    step = (width - 6) / len(dialled)
    word = FENCE_SIGNS[verdict]
    good = sum(known_verdict(pair["verdict"]) in ("ok", "warning") for pair in dialled)
    result = "all refused that called" if verdict == "ok" and good < len(dialled) else _RESULTS[verdict]
    return {
        "target": target,
        "case": case,
        "verdict": verdict,
        "word": word if width >= _WORDS else SIGNS[verdict],
        "title": f"{CASE_NAMES[case]} to {target}: {result}; refused {good} of {len(dialled)} attempts",
        "marks": [
            {
                "x": f"{3 + number * step:.2f}",
                # A gap between the marks where there is room for one.
                "width": f"{step - (1 if step > 4 else 0):.2f}",
                "pair": pair,
                "verdict": known_verdict(pair["verdict"]),
                "title": _pair_title(pair),
            }
            for number, pair in enumerate(dialled)
        ],
    }


def _matrix_summary(pairs: Pairs, size: int) -> str:
    parts = [f"Matrix of {size} members"]
    for case in ("member", *fence_cases(pairs)):
        name = CASE_NAMES[case]
        verdicts = [known_verdict(pair["verdict"]) for (_from, _to, its), pair in pairs.items() if its == case]
        counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in ("ok", "warning", "unproved", "failed")]
        parts.append(f"{name}: " + ", ".join(count for count in counts if not count.startswith("0 ")))
    return "; ".join(parts)


# -- the client ports --------------------------------------------------------------------------------------------------


def _client_ports(proof: Proof) -> _Shapes | None:
    """Each member's client port, as whom it was called and what came of it; None where nothing is known of them."""
    ports = proof.get("client_ports")
    if not ports:
        return None
    calls, cases = client_calls(proof), client_cases(proof)
    return {
        "text": _title(ports["text"]),
        "cases": [_title(CLIENT_NAMES[case]) for case in cases],
        "rows": [
            {
                "name": name,
                "calls": [
                    {
                        **calls[name, case],
                        "verdict": known_verdict(calls[name, case]["verdict"]),
                        "label": _title(CLIENT_NAMES[case]),
                        "word": client_sign(case, calls[name, case]["verdict"]),
                        "title": _client_title(calls[name, case]),
                    }
                    for case in cases
                ],
            }
            for name in (member_names(proof) if cases else [])
        ],
    }


def _client_title(call: Pair) -> str:
    who = f"called from {call['from']}" if call["from"] and call["outcome"] != "not_probed" else "not called"
    return f"{who}: {call['text']}" + ("; the reason is inferred" if call["inferred"] else "")


# -- the timelines -----------------------------------------------------------------------------------------------------


# Pixels above the first bar, and of a bar with its words.
_AXIS_TOP, _BAR_ROW = 30, 40
# Bars below one axis: more would not fit on a printed page, and are far from their axis on a screen.
_BARS = 14
# Ticks of an axis at most: five dates fit on a telephone.
_TICKS = 5
# As far as an axis goes from now: there are certificates that never end (RFC 5280: until the year 9999).
_REACH = timedelta(days=36500)


def _timelines(proof: Proof) -> list[_Shapes]:
    """CA certificates and leaves have a scale each: ten years and one year can't be read on one."""
    labels = dict(zip(member_names(proof), _labels(member_names(proof))))
    authorities = [
        {
            **_bar(authority, common_name_of(authority), common_name_of(authority)),
            "verdict": life_verdict(authority, proof, is_authority=True),
        }
        for authority in proof["authorities"]
    ]
    leaves = [
        {
            **_bar(found, labels[member["name"]], f"{member['name']}, {common_name_of(found)}"),
            "verdict": life_verdict(found, proof),
        }
        for member in proof["members"]
        for found in [member["certificate"]]
        if found
    ]
    missing = [member["name"] for member in proof["members"] if not member["certificate"]]
    limits = proof["thresholds"]
    return [
        _timeline("ca", "CA certificates", authorities, [], limits["ca_warn_days"], proof),
        _timeline("leaves", "Peer certificates of the members", leaves, missing, limits["renew_before_days"], proof),
    ]


def _bar(certificate: t.Mapping[str, t.Any], label: str, name: str) -> _Shapes:
    return {
        "label": cut_middle(one_line(label), _LABEL, "…"),
        "name": name,
        "from": instant(certificate["not_before"]),
        "to": instant(certificate["not_after"]),
        "days_left": certificate["days_left"],
    }


def _timeline(key: str, title: str, bars: list[_Shapes], missing: list[str], last_days: int, proof: Proof) -> _Shapes:
    now = instant(proof["time"])
    last = min(timedelta(days=last_days), _REACH)
    window = _window(bars, now)
    return {
        "key": key,
        "title": title,
        "missing": missing,
        "parts": [
            _timeline_part(title, bars[first : first + _BARS], window, now, last)
            for first in range(0, len(bars), _BARS)
        ],
    }


def _back(when: datetime, span: timedelta) -> datetime:
    """So much earlier, as far as there are dates: a certificate may have any."""
    first = datetime.min.replace(tzinfo=timezone.utc)
    return when - span if when - first > span else first


def _timeline_part(
    title: str, bars: list[_Shapes], window: tuple[datetime, datetime], now: datetime, last: timedelta
) -> _Shapes:
    start, end = window

    def at(when: datetime) -> float:
        """Where a time is in the window, in percent; what is outside is at its edge."""
        return round(min(max((when - start) / (end - start), 0.0), 1.0) * 100, 3)

    def between(first: datetime, last: datetime) -> float:
        return round(max(at(last) - at(first), 0.0), 3)

    bottom = _AXIS_TOP + len(bars) * _BAR_ROW
    return {
        "height": bottom + 22,
        "bottom": bottom,
        "now": at(now),
        "now_text": f"proof {now:%Y-%m-%d}",
        "now_anchor": "start" if at(now) < 50 else "end",
        "now_shift": 5 if at(now) < 50 else -5,
        "ticks": [{"x": at(when), "text": text, "anchor": _anchor(at(when))} for when, text in _ticks(start, end)],
        "bars": [
            {
                **life,
                "y": _AXIS_TOP + number * _BAR_ROW,
                "start": at(life["from"]),
                "width": between(life["from"], life["to"]),
                "past": between(life["from"], min(now, life["to"])),
                "renew": at(max(_back(life["to"], last), life["from"])),
                "renew_width": between(max(_back(life["to"], last), life["from"]), life["to"]),
                "is_cut_left": life["from"] < start,
                "is_cut_right": life["to"] > end,
                "text": _bar_text(life, now),
                "title": f"{life['name']}: {life['from']:%Y-%m-%d %H:%M} to {life['to']:%Y-%m-%d %H:%M} UTC",
            }
            for number, life in enumerate(bars)
        ],
        "summary": f"{title}: " + ", ".join(f"{life['name']} {_bar_text(life, now)}" for life in bars),
    }


def _bar_text(life: t.Mapping[str, t.Any], now: datetime) -> str:
    days = life["days_left"]
    if life["from"] > now:
        return f"not valid before {life['from']:%Y-%m-%d}"
    if life["to"] <= now:
        return f"ended {life['to']:%Y-%m-%d}"
    return f"{days} {'day' if days == 1 else 'days'} left, {life['to']:%Y-%m-%d}"


def _window(bars: t.Sequence[t.Mapping[str, t.Any]], now: datetime) -> tuple[datetime, datetime]:
    """From the first to the last date, but one long bar must not press all others into a line: it is cut."""
    if not bars:
        return now - timedelta(days=1), now + timedelta(days=1)
    reach = min(statistics.median([life["to"] - life["from"] for life in bars]) * 2, _REACH)
    start = max(min([now, *(life["from"] for life in bars)]), now - reach)
    end = min(max([now, *(life["to"] for life in bars)]), now + reach)
    margin = max((end - start) * 0.02, timedelta(hours=1))
    return start - margin, end + margin


def _ticks(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Firsts of months, so many months apart that there are not too many; firsts of years where that is enough."""
    for months in (1, 2, 3, 6, 12, 24, 60, 120, 240, 600):
        when = start.replace(month=1, day=1, hour=0, minute=0, second=0)
        ticks = []
        while when <= end:
            if when >= start:
                ticks.append((when, f"{when:%Y}" if months >= 12 else f"{when:%Y-%m}"))
            month = when.month - 1 + months
            when = when.replace(year=when.year + month // 12, month=month % 12 + 1)
        if len(ticks) <= _TICKS:
            break
    # A span within one month has none: its ends are the axis then.
    return ticks or [(start, f"{start:%Y-%m-%d}"), (end, f"{end:%Y-%m-%d}")]


def _anchor(x: float) -> str:
    return "start" if x < 5 else "end" if x > 95 else "middle"


# -- the facts ---------------------------------------------------------------------------------------------------------


def _members(proof: Proof, pairs: Pairs) -> list[_Shapes]:
    members = []
    for number, member in enumerate(proof["members"], 1):
        versions = {
            " ".join(part for part in (pair["tls"], pair["cipher"]) if part)
            for (_from, target, _case), pair in pairs.items()
            if target == member["name"] and pair["tls"]
        }
        certificate = member["certificate"]
        if certificate:
            names = {key: common_name_of(certificate, key) for key in ("common_name", "issuer_common_name")}
            certificate = {**certificate, **names}
        verdict = known_verdict(member["verdict"])
        members.append(
            {**member, "certificate": certificate, "number": number, "verdict": verdict, "tls": sorted(versions)}
        )
    return members


def _authorities(proof: Proof) -> list[_Shapes]:
    return [
        {
            **authority,
            "common_name": common_name_of(authority),
            "verdict": life_verdict(authority, proof, is_authority=True),
            "trusted": _trusted(authority["trusted_by"], member_names(proof)),
        }
        for authority in proof["authorities"]
    ]


def _trusted(by: t.Sequence[str], names: t.Sequence[str]) -> str:
    others = [name for name in names if name not in by]
    if not others:
        return "all members"
    who = ", ".join(by) if len(by) <= len(others) else f"all but {', '.join(others)}"
    return f"{len(by)} of {len(names)}: {who}"


__all__ = ("proof_page",)
