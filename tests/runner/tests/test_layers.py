# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arrows go down only: what the lint says of one that goes up or sideways, of a circle and of a file in no layer."""

from __future__ import annotations

import pathlib

import pytest
from runner import layers

UTILS = "ansible_collections.ringfence.etcd.plugins.module_utils"


def problems(folder: pathlib.Path, **sources: str) -> list[str]:
    """What is said of files, each called by its package and name: ``_pki__der`` is _pki/der.py."""
    for name, source in {"_pki__der": "", "_node__files": "", "_etcd__api": "", "_etcd__wal": "", **sources}.items():
        path = folder / "module_utils" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return layers.problems(layers.graph_of(folder))


@pytest.mark.parametrize(
    "line",
    [
        f"from {UTILS}._etcd import api",
        f"from {UTILS}._etcd.api import Client",
        f"import {UTILS}._etcd.api",
        "from .._etcd import api as other",
        "from .._etcd.api import Client",
        f"if t.TYPE_CHECKING:\n    from {UTILS}._etcd.api import Client",
        f"def ask():\n    from {UTILS}._etcd import api",
    ],
)
def test_an_arrow_up(line: str, tmp_path: pathlib.Path) -> None:
    arrow = "an arrow up, from module_utils._node to module_utils._etcd"
    assert problems(tmp_path, _node__files=line) == [
        f"module_utils._node.files imports module_utils._etcd.api: {arrow}"
    ]


def test_an_arrow_sideways(tmp_path: pathlib.Path) -> None:
    (line,) = problems(tmp_path, _cluster__flags=f"from {UTILS}._node import files")
    assert line.endswith("an arrow sideways, from module_utils._cluster to module_utils._node")


def test_the_host_needs_nothing_of_the_controller(tmp_path: pathlib.Path) -> None:
    (tmp_path / "plugin_utils").mkdir()
    (tmp_path / "plugin_utils" / "_filters.py").touch()
    up = f"from {UTILS.replace('module_utils', 'plugin_utils')} import _filters"
    (line,) = problems(tmp_path, _pki__der=up)
    assert "an arrow up, from module_utils._pki to plugin_utils" in line


def test_a_circle(tmp_path: pathlib.Path) -> None:
    told = problems(tmp_path, _etcd__api=f"from {UTILS}._etcd.wal import a", _etcd__wal="from . import api")
    assert told == ["a circle: module_utils._etcd.api -> module_utils._etcd.wal -> module_utils._etcd.api"]


@pytest.mark.parametrize("name", ["_errors", "_new__errors", "_pki__deeper__errors"])
def test_a_file_in_no_layer(name: str, tmp_path: pathlib.Path) -> None:
    (line,) = problems(tmp_path, **{name: ""})
    assert line.startswith(f"module_utils.{name.replace('__', '.')} lies in no layer")


def test_arrows_down(tmp_path: pathlib.Path) -> None:
    down = f"from {UTILS}._node import files\nfrom .._pki.der import Certificate\nfrom . import wal\nimport os, ansible"
    assert problems(tmp_path, _etcd__api=down) == []


def test_a_file_with_a_row_of_its_own(tmp_path: pathlib.Path) -> None:
    text = {
        "_systemd__unit": "",
        "_systemd__manager": "from . import unit",
        "_cluster__flags": "from .._systemd import unit",
    }
    assert problems(tmp_path, **text) == []
    (line,) = problems(tmp_path, **{**text, "_systemd__unit": "from . import manager", "_systemd__manager": ""})
    assert line.endswith("an arrow up, from module_utils._systemd.unit to module_utils._systemd")


def test_a_node_is_sent_nothing_that_needs_cryptography(tmp_path: pathlib.Path) -> None:
    (tmp_path / "modules").mkdir()
    text = {"_x509__keys": "", "_pki__profile": "", "_issuing__ca": "from .._x509 import keys"}
    for module in ("etcd_peer_info", "etcd_ca"):
        (tmp_path / "modules" / f"{module}.py").write_text(f"from {UTILS}._issuing import ca\n", encoding="utf-8")
    assert problems(tmp_path, **text) == [
        "modules.etcd_peer_info takes module_utils._x509.keys along, which needs cryptography: a node has none"
    ]
    (tmp_path / "modules" / "etcd_peer_info.py").write_text(f"from {UTILS}._pki import profile\n", encoding="utf-8")
    assert problems(tmp_path, **text) == []


def test_what_a_node_imports_needs_no_cryptography(tmp_path: pathlib.Path) -> None:
    """So its tests need not run with each cryptography."""
    text = {"_x509__keys": "", "_etcd__api": "from .._x509 import keys", "_issuing__ca": "from .._x509 import keys"}
    assert problems(tmp_path, **text) == [
        "module_utils._etcd.api takes module_utils._x509.keys along, which needs cryptography: a node has none"
    ]


def test_a_node_s_reader_is_for_nodes(tmp_path: pathlib.Path) -> None:
    line = "from .._node import certificates"
    text = {"_node__certificates": "", "_member__info": line, "_issuing__ca": line}
    assert problems(tmp_path, **text) == [
        "module_utils._issuing.ca imports module_utils._node.certificates, which is for nodes alone:"
        " module_utils._x509 reads here"
    ]


def test_the_longest_chain() -> None:
    graph = {"a": ["b", "d"], "b": ["c"], "c": ["d"], "d": [], "e": ["a"]}
    assert layers.longest_chain(graph) == ("e", "a", "b", "c", "d")
    assert layers.longest_chain({}) == ()
