# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proof as a short table for a terminal: ASCII, no colours, so that a job's log of AWX shows it as well.

Pure. Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import textwrap
import typing as t
from collections import Counter

from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.views import (
    CASE_NAMES,
    CLIENT_NAMES,
    FENCE_SIGNS,
    SIGNS,
    VERDICT_NAMES,
    PairKey,
    Pairs,
    Proof,
    client_calls,
    client_cases,
    common_name_of,
    cut_middle,
    diallers_of,
    fence_cases,
    fence_pairs,
    life_verdict,
    member_names,
    one_line,
    pairs_of,
    split_finding,
    worst,
)

WIDTH = 100
_SIGN_TEXTS = {"ok*": "accepted with a warning", "NO": "not accepted", "??": "not proved"}
# The width of a name in front of a numbered row.
_LABEL = 22
# How many names a line of detail gives.
_NAMES = 3
# How many lines of detail.
_DETAILS = 40

# The one word in the table that a reader may not know.
_STRANGER = "stranger: a valid certificate of the members' own CA, with a common name that is not allowed"


_NUMBERS = {3: "three", 4: "four"}
_UNDER_WAY = "(change under way) "


def proof_table(proof: Proof) -> list[str]:
    """The lines of the table: verdict, pairs, strangers, days left, findings."""
    pairs = pairs_of(proof)
    verdict = VERDICT_NAMES.get(proof["verdict"], proof["verdict"])
    head = f"{_ascii(proof['cluster'])}: {_ascii(verdict)} - {_ascii(proof['summary'])}"
    lines = textwrap.wrap(head, WIDTH, subsequent_indent="  ")
    if proof["members"]:
        lines += _matrix(proof, pairs) or _member_lines(proof, pairs)
    lines += _client_ports(proof)
    lines += _authorities(proof)
    lines += _not_probed(proof)
    lines += _changes(proof)
    lines += _findings(proof)
    lines += _without(proof)
    return lines


def _ascii(text: object) -> str:
    """Text in ASCII, in which no character moves the cursor."""
    return one_line(text).encode("ascii", "backslashreplace").decode("ascii")


def _matrix(proof: Proof, pairs: Pairs) -> list[str]:
    """Every pair; nothing where that is wider than a log."""
    names = member_names(proof)
    shown = [_ascii(name) for name in names]
    columns = shown
    rows = shown
    # The strangers' rows have the longest words: 14 in front, 8 in a column.
    width = max([14, *map(len, shown)]) + sum(max(len(name), 8) + 2 for name in shown)
    if width > WIDTH:
        # The rows are the legend of the columns' numbers.
        columns = [str(number) for number in range(1, len(names) + 1)]
        rows = [f"{number:>2} {cut_middle(name, _LABEL)}" for number, name in enumerate(shown, 1)]
    table = [["dials", *columns]]
    for dialler, row in zip(names, rows):
        table.append([row, *(_sign(pairs, dialler, target) for target in names)])
    signs = {cell for line in table[1:] for cell in line[1:]}
    rule = len(table)
    for case in fence_cases(pairs):
        table.append([CASE_NAMES[case], *(_fence(pairs, target, names, case) for target in names)])
    table.append(["days left", *(_days(member, proof) for member in proof["members"])])
    lines = _aligned(table)
    lines.insert(rule, "-" * max(map(len, lines)))
    if len(lines[rule]) > WIDTH:
        return []
    legend = [f"{sign} {text}" for sign, text in _SIGN_TEXTS.items() if sign in signs]
    explained = [*([", ".join(legend)] if legend else []), _STRANGER]
    return ["", *lines, *explained, *_cut_names(shown if columns is not shown else [])]


def _cut_names(shown: t.Sequence[str]) -> list[str]:
    """The full names of numbered rows that hold only a part of them."""
    return [f"{number:>3} = {name}" for number, name in enumerate(shown, 1) if len(name) > _LABEL]


def _sign(pairs: Pairs, dialler: str, target: str) -> str:
    pair = pairs.get((dialler, target, "member"))
    return SIGNS[worst([pair["verdict"]])] if pair else "-"


def _fence(pairs: Pairs, target: str, names: t.Sequence[str], case: str) -> str:
    return FENCE_SIGNS[worst(pair["verdict"] for pair in fence_pairs(pairs, target, names, case))]


def _days(member: t.Mapping[str, t.Any], proof: Proof) -> str:
    certificate = member["certificate"]
    return _marked_days(certificate, proof) if certificate else "?"


def _marked_days(certificate: t.Mapping[str, t.Any], proof: Proof, is_authority: bool = False) -> str:
    mark = "" if life_verdict(certificate, proof, is_authority) == "ok" else " !"
    return f"{certificate['days_left']}{mark}"


def _aligned(table: t.Sequence[t.Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]


def _member_lines(proof: Proof, pairs: Pairs) -> list[str]:
    """A line for each member, and what is not as it must be in detail."""
    names = member_names(proof)
    fence = fence_cases(pairs)
    table = [["member", "accepted by", "accepts", *(CASE_NAMES[case] for case in fence), "days left"]]
    for number, member in enumerate(proof["members"], 1):
        name = member["name"]
        others = diallers_of(name, names)
        table.append(
            [
                f"{number:>3} {cut_middle(_ascii(name), _LABEL)}",
                _good(pairs, ((name, other, "member") for other in others)),
                _good(pairs, ((other, name, "member") for other in others)),
                *(_good(pairs, ((other, name, case) for other in others)) for case in fence),
                _days(member, proof),
            ]
        )
    lines = [
        "",
        *_aligned(table),
        f"accepted by, accepts: as a member; the next {_NUMBERS[len(fence)]} columns: refused",
        _STRANGER,
    ]
    return lines + _cut_names([_ascii(name) for name in names]) + _details(pairs)


def _good(pairs: Pairs, keys: t.Iterable[PairKey]) -> str:
    good = [worst([pairs[key]["verdict"]]) in ("ok", "warning") for key in keys]
    return f"{sum(good)} of {len(good)}"


def _details(pairs: Pairs) -> list[str]:
    """The pairs that are not as they must be, a line for all that have case, verdict, reason and one end in common."""
    bad = {
        key: (key[2], worst([pair["verdict"]]), str(pair["reason"] or pair["outcome"]))
        for key, pair in pairs.items()
        if worst([pair["verdict"]]) not in ("ok", "warning")
    }
    # Of the two ends the one that more of them share: one host that is away is then one line, not one for each other.
    shared = Counter((end, key[end], group) for key, group in bad.items() for end in (0, 1))
    groups: dict[tuple[int, str, tuple[str, str, str]], list[str]] = {}
    for key, group in bad.items():
        end = 0 if shared[0, key[0], group] > shared[1, key[1], group] else 1
        groups.setdefault((end, key[end], group), []).append(key[1 - end])
    lines = []
    for (end, name, (case, verdict, reason)), others in sorted(groups.items()):
        sign = (SIGNS if case == "member" else FENCE_SIGNS)[verdict]
        some = ", ".join(cut_middle(_ascii(other), 10) for other in others[:_NAMES])
        more = f" and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
        words = ("from", "to") if end == 0 else ("to", "from")
        text = f"{CASE_NAMES[case]} {words[0]} {cut_middle(_ascii(name), 22)} {words[1]} {some}{more}"
        lines.append(f"{sign} {text} ({cut_middle(_ascii(reason), 30)})")
    if len(lines) > _DETAILS:
        lines[_DETAILS:] = [f"and {len(lines) - _DETAILS} lines more, which are in the proof"]
    # A name is never broken: it is searched for.
    style = textwrap.TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    return ["", "not as it must be:", *(part for line in lines for part in style.wrap(line))] if lines else []


def _client_ports(proof: Proof) -> list[str]:
    """How many client ports let a client in and refuse the others, and who is let in there."""
    ports = proof.get("client_ports")
    if not ports:
        return []
    calls = client_calls(proof)
    size = len(proof["members"])
    counts = {}
    for case in client_cases(proof):
        good = sum(call["verdict"] == "ok" for (_name, its), call in calls.items() if its == case)
        counts[case] = f"{CLIENT_NAMES[case]} {good} of {size}"
    lines = []
    if counts:
        let_in = counts.pop("client", "client not called")
        lines.append(f"client ports: let in {let_in}; refused {', '.join(counts.values())}")
    lines.append(_ascii(ports["text"]))
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]


def _authorities(proof: Proof) -> list[str]:
    return [
        f"CA {cut_middle(_ascii(common_name_of(authority)), 40)} ({_ascii(authority['fingerprint'])[:8]}): "
        f"{_marked_days(authority, proof, is_authority=True)} days left"
        for authority in proof["authorities"]
    ]


def _not_probed(proof: Proof) -> list[str]:
    return [
        f"not probed: {_ascii(member['name'])}: {_ascii(member['problem'] or 'no reason known')}"
        for member in proof["members"]
        if not member["probed"]
    ]


def _changes(proof: Proof) -> list[str]:
    """What is under way, a line each."""
    return [
        f"under way: {_ascii(change['subject'])}: {_ascii(change['text'])}" for change in proof.get("changes") or ()
    ]


def _findings(proof: Proof) -> list[str]:
    """One line each, however long: a search for a name then finds what to do."""
    lines = [
        f"{_ascii(finding['verdict']).upper()} {_UNDER_WAY if finding.get('in_progress') else ''}"
        f"{_ascii(''.join(split_finding(finding)))}" + (f" -> {_ascii(finding['remedy'])}" if finding["remedy"] else "")
        for finding in proof["findings"]
    ]
    return ["", *lines] if lines else []


def _without(proof: Proof) -> list[str]:
    """What the proof passed without: it never passes with holes in silence."""
    if proof["verdict"] != "partly_proved" or not proof["passed"]:
        return []
    left_out = ", ".join(_ascii(name).replace("_", " ") for name in proof["without"])
    return ["", f"passed without what was not to be shown: {left_out} (etcd_peer_tls_verify_without)"]


__all__ = ("WIDTH", "proof_table")
