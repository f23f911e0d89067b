# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The layers of the product: who may import whom. Arrows go down only, and no files import each other in a circle."""

from __future__ import annotations

import ast
import functools
import pathlib
import typing as t

COLLECTION = "ansible_collections.ringfence.etcd.plugins."

# From the top. A folder, or a file that has a row of its own, imports from itself and from the rows below; not from
# its neighbours in the row.
LAYERS = (
    ("action", "filter", "doc_fragments"),
    ("plugin_utils",),
    ("plugin_utils/_takeover",),
    ("plugin_utils/_audit",),
    ("plugin_utils/_proof", "modules"),
    ("module_utils/_member",),
    ("module_utils/_foreign",),
    ("module_utils/_etcd", "module_utils/_systemd", "module_utils/_probe", "module_utils/_issuing"),
    ("module_utils/_cluster", "module_utils/_node"),
    ("module_utils/_x509",),
    ("module_utils/_pki", "module_utils/_systemd/unit"),
    ("module_utils/_common",),
)
# The modules that run on the controller or on the CA's host, and the one that takes what a node has where that has no
# openssl. All others run on nodes, which have no cryptography.
WITH_CRYPTOGRAPHY = ("etcd_ca", "etcd_peer_certificates", "etcd_peer_key", "etcd_peer_stranger")
NEEDS_CRYPTOGRAPHY = "module_utils._x509"
# Python's standard library alone, with all that they import: another cryptography or ansible-core makes no difference.
STANDARD_LIBRARY = (
    "module_utils._etcd",
    "module_utils._foreign",
    "module_utils._member",
    "module_utils._node",
    "module_utils._systemd",
)
# How a node reads a certificate; where there is cryptography nothing is decided by it.
NODES_READER = "module_utils._node.certificates"
NO_NODES = (
    "action",
    "plugin_utils",
    "plugin_utils._audit",
    "plugin_utils._proof",
    "plugin_utils._takeover",
    "module_utils._cluster",
    "module_utils._issuing",
    "module_utils._x509",
)
_ROWS = {folder.replace("/", "."): row for row, folders in enumerate(LAYERS) for folder in folders}


def graph_of(plugins: pathlib.Path) -> dict[str, list[str]]:
    """Which file of a folder ``plugins`` imports which others."""
    files = {".".join(path.relative_to(plugins).with_suffix("").parts): path for path in sorted(plugins.rglob("*.py"))}
    return {name: sorted(_imports(name, path, files.keys())) for name, path in files.items()}


def longest_chain(graph: t.Mapping[str, t.Sequence[str]]) -> tuple[str, ...]:
    """The files of the longest way down, the upper one first; only of a graph without a circle."""

    @functools.cache
    def below(name: str) -> tuple[str, ...]:
        return (name, *max((below(target) for target in graph[name]), key=len, default=()))

    return max((below(name) for name in graph), key=len, default=())


def problems(graph: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """What is wrong in such a graph, a line each."""
    found = [f"{name} lies in no layer: give it one of runner/layers.py" for name in graph if _folder(name) is None]
    for name, targets in graph.items():
        for target in targets:
            above, below = _folder(name), _folder(target)
            if above and below and above != below and _ROWS[below] <= _ROWS[above]:
                way = "up" if _ROWS[below] < _ROWS[above] else "sideways"
                found.append(f"{name} imports {target}: an arrow {way}, from {above} to {below}")
    found += _readers(graph)
    return found + [f"a circle: {' -> '.join(circle)}" for circle in _circles(graph)]


def _readers(graph: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    """Where a certificate is read by the wrong reader, or a node is sent one that it can't use."""
    for name in graph:
        is_of_nodes = name.startswith("modules.") and name.removeprefix("modules.") not in WITH_CRYPTOGRAPHY
        if is_of_nodes or _folder(name) in STANDARD_LIBRARY:
            taken = sorted(one for one in _along(name, graph) if one.startswith(f"{NEEDS_CRYPTOGRAPHY}."))
            if taken:
                yield f"{name} takes {taken[0]} along, which needs cryptography: a node has none"
        if _folder(name) in NO_NODES and NODES_READER in graph[name]:
            yield f"{name} imports {NODES_READER}, which is for nodes alone: {NEEDS_CRYPTOGRAPHY} reads here"


def _along(name: str, graph: t.Mapping[str, t.Sequence[str]]) -> set[str]:
    """The files that a host is sent with one."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += graph[one]
    return found


def _folder(name: str) -> str | None:
    """The entry of the table that a module lies in: itself, or its folder, and not one above that."""
    folder = name if name in _ROWS else name.rpartition(".")[0]
    return folder if folder in _ROWS else None


def _imports(name: str, path: pathlib.Path, files: t.Collection[str]) -> set[str]:
    """The files that one file imports, wherever in it."""
    wanted: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted += [alias.name.removeprefix(COLLECTION) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*folder, *filter(None, [node.module])]).removeprefix(COLLECTION)
            wanted += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return {target for target in wanted if target in files}


def _circles(graph: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[list[str]]:
    """A circle for each import that closes one."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> t.Iterator[list[str]]:
        if name in way:
            yield [*way[way.index(name) :], name]
        elif name not in done:
            for target in graph[name]:
                yield from visit(target, (*way, name))
            done.add(name)

    for name in graph:
        yield from visit(name, ())
