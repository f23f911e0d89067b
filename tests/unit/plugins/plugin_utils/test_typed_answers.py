# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was typed into a survey, out of the files that AWX wrote."""

from __future__ import annotations

import datetime
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._typed_answers import typed_answers


def told(path: Path, text: str, known: t.Mapping[str, t.Any], *more: str) -> dict[str, t.Any]:
    path.write_text(text, encoding="utf-8")
    return typed_answers([f"@{path}", *more], known)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("01234567", 342391),
        ("0x1f", 31),
        ("1_000", 1000),
        ("1:30", 90),
        ("1.50", 1.5),
        ("2026-11-27", datetime.date(2026, 11, 27)),
        ("null", None),
        ("", None),
        ("~", None),
        ("no", False),
        ("30", 30),
        ("=", "="),
        ("plain", "plain"),
        # Up to ansible-core 2.18.
        ("01234567", "01234567"),
    ],
)
def test_a_text_is_what_was_typed(tmp_path: Path, typed: str, known: t.Any) -> None:
    text = f"!unsafe 'x': !unsafe '{typed}'\n!unsafe 'other': 7\n"
    assert told(tmp_path / "a", text, {"x": known, "other": 7}) == {"x": typed, "other": 7}


def test_texts_in_lists_and_dictionaries(tmp_path: Path) -> None:
    text = "!unsafe 'x':\n- !unsafe '007'\n- 5\n!unsafe 'y':\n  !unsafe 'a': !unsafe 'on'\n"
    assert told(tmp_path / "a", text, {"x": [7, 5], "y": {"a": "on"}}) == {"x": ["007", 5], "y": {"a": "on"}}


def test_a_list_or_a_dictionary_may_have_the_tag(tmp_path: Path) -> None:
    text = "x: !unsafe ['007', 5]\ny: !unsafe {a: 'on'}\n"
    assert told(tmp_path / "a", text, {"x": [7, 5], "y": {"a": "on"}}) == {"x": ["007", 5], "y": {"a": "on"}}


def test_what_looks_like_a_date_and_is_none(tmp_path: Path) -> None:
    text = "x: !unsafe '2026-13-45'\n"
    assert told(tmp_path / "a", text, {"x": "2026-13-45"}) == {"x": "2026-13-45"}
    assert told(tmp_path / "a", text, {"x": "2026-12-24"}, "x=2026-12-24") == {}


def test_what_a_later_word_says_counts(tmp_path: Path) -> None:
    text = "!unsafe 'x': !unsafe '007'\n"
    assert told(tmp_path / "a", text, {"x": "8"}, "x=8") == {}
    assert told(tmp_path / "a", text, {"x": 8}, '{"x": 8}') == {}
    assert told(tmp_path / "a", text, {}, "y=1") == {}
    (tmp_path / "b").write_text("!unsafe 'x': !unsafe '010'\n")
    assert told(tmp_path / "a", text, {"x": 8}, f"@{tmp_path}/b") == {"x": "010"}


@pytest.mark.parametrize(
    "text",
    ["x: '007'\n", "- !unsafe '007'\n", "x: !unsafe '007\n", "x: !vault |\n  a\ny: !unsafe 'b'\n", "# !unsafe\n", ""],
)
def test_a_file_that_awx_did_not_write_tells_nothing(tmp_path: Path, text: str) -> None:
    assert told(tmp_path / "a", text, {"x": "007", "y": "b"}) == {}


def test_a_file_that_can_not_be_read_again_tells_nothing(tmp_path: Path) -> None:
    """As of a shell's <(...), where reading would wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    assert typed_answers([f"@{tmp_path}/fifo", f"@{tmp_path}", f"@{tmp_path}/none", "@", None], {"x": 1}) == {}
    (tmp_path / "latin").write_bytes(b"x: !unsafe '\xe4'\n")
    assert typed_answers([f"@{tmp_path}/latin"], {"x": "a"}) == {}
