# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documents name exists: links, variables, files, targets of make, and the lines of refusals."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import typing as t

import pytest

yaml = pytest.importorskip("yaml")

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles" / "etcd_peer_tls"


def _checkout_paths() -> list[pathlib.Path]:
    """The files of the checkout, without those in hidden folders and what builds leave."""
    paths = (path for path in CHECKOUT.rglob("*") if path.is_file())
    return [
        path
        for path in paths
        if not {"dist", "__pycache__"} & set(path.relative_to(CHECKOUT).parts)
        and not path.relative_to(CHECKOUT).parts[0].startswith((".git", ".cache"))
    ]


PATHS = _checkout_paths()
PAGES = [*(path for path in PATHS if path.suffix == ".md"), *(CHECKOUT / ".github").glob("*.md")]
# What a user reads of variables: pages, examples, and what ansible-doc shows.
TEXTS = [
    *PAGES,
    *(CHECKOUT / "docs").rglob("*.yml"),
    *(CHECKOUT / "examples").glob("*.yml"),
    *(CHECKOUT / "extensions").rglob("*.yml"),
    *(CHECKOUT / "playbooks").glob("*.yml"),
    *(CHECKOUT / "plugins").rglob("*.py"),
    *(CHECKOUT / "changelogs").rglob("*.y*ml"),
    ROLE / "meta" / "argument_specs.yml",
]


def _ids(paths: t.Sequence[pathlib.Path]) -> list[str]:
    return [str(path.relative_to(CHECKOUT)) for path in paths]


def _text(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(page: pathlib.Path) -> set[str]:
    """The headings of a page, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_ids(PAGES))
def test_a_link_leads_somewhere(page: pathlib.Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _text(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _hash, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@functools.cache
def _known_variables() -> frozenset[str]:
    specs = yaml.safe_load(_text(ROLE / "meta" / "argument_specs.yml"))["argument_specs"]
    # A variable of the playbooks, and what the role registers.
    return frozenset(
        {"etcd_peer_tls_hosts", "etcd_peer_tls_proof", "etcd_peer_tls_snapshot"}.union(
            *(spec["options"] for spec in specs.values())
        )
    )


@pytest.mark.parametrize("path", TEXTS, ids=_ids(TEXTS))
def test_a_variable_is_one_of_the_roles(path: pathlib.Path) -> None:
    # Not those of the role's own (with underscores), nor a prefix or a family of names (etcd_peer_tls_*).
    named = set(re.findall(r"(?<![\w.])etcd_peer_tls_[a-z0-9_]*[a-z0-9](?![\w*])", _text(path)))
    assert named - _known_variables() == set()


@pytest.mark.parametrize("page", PAGES, ids=_ids(PAGES))
def test_a_plugin_is_one_of_the_collections(page: pathlib.Path) -> None:
    known = {path.stem for path in (CHECKOUT / "plugins").glob("*/*.py")}
    known |= {path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")} | {ROLE.name}
    named = set(re.findall(r"\bringfence\.etcd\.([a-z]\w*)", _text(page)))
    assert named - known == set()


def test_the_page_of_applications_shows_what_its_example_has() -> None:
    page, example = (_text(CHECKOUT / "docs" / name) for name in ("applications.md", "applications/patroni.yml"))
    (shown,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "etcd3:" in block)
    assert yaml.safe_load(shown)["etcd3"] == yaml.safe_load(example)["etcd3"]


def test_a_file_of_the_architecture_exists() -> None:
    names = re.findall(r"`([\w./*-]+\.(?:py|j2|yml))`", _text(CHECKOUT / "docs" / "architecture.md"))
    assert names
    for name in names:
        assert any(path.match(name) for path in PATHS), name


def test_a_name_of_the_architecture_is_one_of_the_code() -> None:
    """Functions, tables, variables: what has an underscore or capitals in it."""
    names = set(re.findall(r"`(\w*[A-Z_]\w*)`", _text(CHECKOUT / "docs" / "architecture.md")))
    # A metric of etcd's own.
    names -= {"process_start_time_seconds"}
    kinds = (".py", ".yml", ".j2", ".cfg", ".toml")
    words = {word for path in PATHS if path.suffix in kinds for word in re.findall(r"\w+", _text(path))}
    assert names and names - words == set()


@pytest.mark.parametrize("page", PAGES, ids=_ids(PAGES))
def test_a_target_of_make_exists(page: pathlib.Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text(CHECKOUT / "Makefile"), re.MULTILINE))
    code = re.findall(r"`([^`\n]+)`", _text(page))
    code += re.findall(r"^```\w*\n(.*?)^```", _text(page), re.MULTILINE | re.DOTALL)
    named = {name for text in code for name in re.findall(r"(?:^|[;&$=\w] |\n)make ([a-z-]+)", text)}
    assert named - targets == set()


def test_the_page_of_the_proof_has_every_check() -> None:
    table = _text(CHECKOUT / "docs" / "proof.md").partition("\n| check |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    documented = _text(CHECKOUT / "plugins" / "modules" / "etcd_peer_proof.py").partition("        check:\n")[2]
    wanted = re.findall(r"V\((\w+)\)", documented.partition("          type:")[0])
    assert wanted and sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(wanted)


def test_the_readme_quotes_refusals_as_they_are() -> None:
    section = _text(CHECKOUT / "README.md").partition("\n## When a run refuses\n")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(quoted) > 5
    said = [text for path in (CHECKOUT / "plugins").rglob("*.py") for text in _strings(path)]
    for words in quoted:
        assert any(words in text for text in said), words


def _strings(path: pathlib.Path) -> t.Iterator[str]:
    """Texts of a source file; what a formatted one is given stands as {}."""
    for node in ast.walk(ast.parse(_text(path))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
