# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's etcd versions: the table, archives, builds by a real Go from modules that lie in a folder, labs of them."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import typing as t
import zipfile
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import etcd, image, plan
from ringfence_lab.cli import main
from ringfence_lab.errors import LabError
from ringfence_lab.lab import Lab


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RINGFENCE_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RINGFENCE_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(etcd.ARCHIVES_VARIABLE, raising=False)


# --------------------------------------------------------------------------- the table
def test_each_line_of_the_table_can_be_had() -> None:
    numbers = [tuple(int(part) for part in version.number.split(".")) for version in etcd.VERSIONS]
    assert numbers == sorted(set(numbers))
    for version in etcd.VERSIONS:
        assert version.release is None or version.release in image.RELEASES
        assert version.release or etcd.has_modules(version.number)


def test_what_is_built_is_what_go_sum_names_of_that_version() -> None:
    pinned = sorted(path.parent for path in Path(etcd.MODULES_FOLDER).glob("*/go.mod"))
    assert {folder.name for folder in pinned} < set(etcd.known_versions())
    for folder in pinned:
        for program in ("server", "etcdctl", "etcdutl"):
            line = f"go.etcd.io/etcd/{program}/v3 v{folder.name}"
            assert f"\t{line}\n" in (folder / "go.mod").read_text()
            assert re.search(f"(?m)^{re.escape(line)} h1:", (folder / "go.sum").read_text())


def test_the_default_image_has_an_etcd_of_the_table() -> None:
    assert [version.number for version in etcd.VERSIONS if version.release == image.DEFAULT_RELEASE] == ["3.5.16"]


def test_an_unknown_version_is_refused_with_those_known() -> None:
    with pytest.raises(LabError, match=r"etcd 3\.5\.99: the lab knows 3\.4\.23, .*lab etcd pin"):
        etcd.ensure_programs("3.5.99")


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("Package: etcd-server\nStatus: install ok installed\nVersion: 3.5.16-4+b7\n", "3.5.16"),
        ("Package: etcd-server\nStatus: install ok installed\nVersion: 1:3.4.23+dfsg-1\n", "3.4.23"),
        ("Package: etcd-server\nStatus: deinstall ok config-files\nVersion: 3.5.16-4\n", None),
        ("Package: etcd-client\nStatus: install ok installed\nVersion: 3.5.16-4\n", None),
        ("Package: a\nStatus: install ok installed\nDescription: x\n Version: 1\n\n", None),
        ("", None),
    ],
)
def test_version_of_the_package(status: str, wanted: str | None) -> None:
    assert etcd.package_version(f"Package: adduser\nStatus: install ok installed\nVersion: 3.1\n\n{status}") == wanted


# --------------------------------------------------------------------------- texts for Go
@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("", ""),
        ("-mod=vendor", ""),
        ("-buildvcs=false --mod=mod -modcacherw -modfile=/x/go.mod -p=1", "-buildvcs=false -modcacherw -p=1"),
    ],
)
def test_go_flags_that_are_kept(flags: str, wanted: str) -> None:
    assert etcd.kept_go_flags(flags) == wanted


# --------------------------------------------------------------------------- archives
def _says(version: str) -> dict[str, bytes]:
    return {
        "etcd": f"#!/bin/sh\n[ $1 = --version ] && echo 'etcd Version: {version}'\n".encode(),
        "etcdctl": f"#!/bin/sh\n[ $1 = version ] && echo 'etcdctl version: {version}'\n".encode(),
        "etcdutl": f"#!/bin/sh\n[ $1 = version ] && echo 'etcdutl version: {version}'\n".encode(),
        "README.md": b"not wanted",
    }


@pytest.fixture
def archives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., Path]:
    folder = tmp_path / "archives"
    folder.mkdir()
    monkeypatch.setenv(etcd.ARCHIVES_VARIABLE, str(folder))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)

    def make(version: str, files: dict[str, bytes]) -> Path:
        path = folder / f"etcd-v{version}-linux-{machine}.tar.gz"
        with tarfile.open(path, "w:gz") as stream:
            for name, content in files.items():
                member = tarfile.TarInfo(f"etcd-v{version}-linux-{machine}/{name}")
                member.size = len(content)
                stream.addfile(member, io.BytesIO(content))
        return path

    return make


@pytest.mark.parametrize(("version", "more"), [("3.4.23", []), ("3.6.16", ["usr/bin/etcdutl"])])
def test_an_archive_gives_its_programs_and_nothing_else(
    archives: t.Callable[..., Path], version: str, more: list[str]
) -> None:
    archives(version, {name: said for name, said in _says(version).items() if name != "etcdutl" or more})
    old_mask = os.umask(0o077)
    try:
        tree = Path(etcd.ensure_programs(version))
    finally:
        os.umask(old_mask)
    found = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    assert found == ["usr", "usr/bin", "usr/bin/etcd", "usr/bin/etcdctl", *more]
    assert {path.stat().st_mode & 0o7777 for path in [tree, *tree.rglob("*")]} == {0o755}


def test_another_archive_is_another_tree_and_the_same_one_is_unpacked_once(archives: t.Callable[..., Path]) -> None:
    archives("3.6.16", _says("3.6.16"))
    tree = etcd.ensure_programs("3.6.16")
    inode = os.stat(tree).st_ino
    assert (etcd.ensure_programs("3.6.16"), os.stat(tree).st_ino) == (tree, inode)
    archives("3.6.16", {**_says("3.6.16"), "etcdctl": _says("3.6.16")["etcdctl"] + b"# another build\n"})
    assert etcd.ensure_programs("3.6.16") != tree


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_was_made_without_root_becomes_roots_before_hosts_have_it(archives: t.Callable[..., Path]) -> None:
    archives("3.6.16", _says("3.6.16"))
    tree = Path(etcd.ensure_programs("3.6.16"))
    parts = [tree, *tree.rglob("*")]
    for part in parts:
        os.chown(part, 1000, 1000)
    etcd.ensure_programs("3.6.16")
    assert {(part.stat().st_uid, part.stat().st_gid) for part in parts} == {(0, 0)}


def test_two_runs_at_once_unpack_it_once(archives: t.Callable[..., Path], tmp_path: Path) -> None:
    made = tmp_path / "made"
    slow = f"#!/bin/sh\necho once >> {made}\nsleep 1\necho 'etcd Version: 3.6.16'\n"
    archives("3.6.16", {**_says("3.6.16"), "etcd": slow.encode()})
    lab = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lab")
    command = [lab, "etcd", "build", "3.6.16"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _number in "12"]
    said = [run.communicate() for run in runs]
    assert said[0][0] == said[1][0] == f"3.6.16: {etcd.ensure_programs('3.6.16')}\n"
    assert made.read_text() == "once\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (_says("3.6.15"), "wanted is version 3.6.16, it says 'etcd Version: 3.6.15'"),
        ({**_says("3.6.16"), "etcdctl": _says("3.6.15")["etcdctl"]}, "etcdctl of archive .*3.6.15"),
        ({**_says("3.6.16"), "etcdutl": _says("3.6.15")["etcdutl"]}, "etcdutl of archive .*3.6.15"),
        ({"etcd": b""}, "not readable as a release archive"),
    ],
)
def test_a_wrong_archive_leaves_nothing(archives: t.Callable[..., Path], files: dict[str, bytes], words: str) -> None:
    archives("3.6.16", files)
    with pytest.raises(LabError, match=words):
        etcd.ensure_programs("3.6.16")
    left = os.listdir(os.path.join(image.cache_folder(), "etcd"))
    assert [name for name in left if not name.endswith(".lock")] == []


def test_an_archive_cut_short_is_named(archives: t.Callable[..., Path]) -> None:
    path = archives("3.6.16", {**_says("3.6.16"), "etcd": os.urandom(100_000)})
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(LabError, match=f"{path}: not readable as a release archive"):
        etcd.ensure_programs("3.6.16")


def test_a_folder_of_archives_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(etcd.ARCHIVES_VARIABLE, "/nowhere")
    with pytest.raises(LabError, match="RINGFENCE_LAB_ETCD_ARCHIVES=/nowhere: no such folder"):
        etcd.ensure_programs("3.6.16")


def test_a_version_without_modules_names_the_package_and_the_archive() -> None:
    with pytest.raises(LabError, match=r"--etcd 3\.4\.23 --release bookworm.*RINGFENCE_LAB_ETCD_ARCHIVES.*v3\.4\.23"):
        etcd.ensure_programs("3.4.23")


def test_without_go_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(etcd, "_GO_BESIDE_PATH", "/nowhere/go")
    with pytest.raises(LabError, match=r"install Go .*RINGFENCE_LAB_ETCD_ARCHIVES"):
        etcd.ensure_programs("3.6.16")


# --------------------------------------------------------------------------- builds, by Go, of modules in a folder


def _module(proxy: Path, path: str, files: dict[str, str]) -> None:
    """A module version as a Go proxy serves it."""
    folder = proxy / path / "@v"
    folder.mkdir(parents=True)
    content = {"go.mod": f"module {path}\n\ngo 1.20\n", **files}
    (folder / "v3.9.9.info").write_text(json.dumps({"Version": "v3.9.9"}))
    (folder / "v3.9.9.mod").write_text(content["go.mod"])
    with zipfile.ZipFile(folder / "v3.9.9.zip", "w") as stream:
        for name, text in content.items():
            stream.writestr(f"{path}@v3.9.9/{name}", text)


_ETCDUTL = """package etcdutl

import "fmt"

var OutputFormat string

type Command struct{ says string }

func (c *Command) Execute() error { fmt.Println(c.says); return nil }
func NewVersionCommand() *Command { return &Command{"etcdutl version: 3.9.9"} }
func NewSnapshotCommand() *Command { return &Command{"snapshots"} }
"""


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go as a user has it, with a vendor folder in mind, whose proxy is a folder with version 3.9.9 of all modules."""
    program = shutil.which("go")
    if not program:
        pytest.skip("Go is not here")
    shown = subprocess.run([program, "env", "GOCACHE"], stdout=subprocess.PIPE, text=True, check=True)
    proxy = tmp_path / "proxy"
    source = 'package {}\n\nimport "fmt"\n\nfunc {} {{ fmt.Println("{} 3.9.9") }}\n'
    server = source.format("etcdmain", "Main(words []string)", "etcd Version:")
    client = source.format("ctlv3", "MustStart()", "etcdctl version:")
    _module(proxy, "go.etcd.io/etcd/server/v3", {"etcdmain/main.go": server})
    _module(proxy, "go.etcd.io/etcd/etcdctl/v3", {"ctlv3/main.go": client})
    _module(proxy, "go.etcd.io/etcd/etcdutl/v3", {"etcdutl/main.go": _ETCDUTL})
    monkeypatch.setenv("GOPROXY", proxy.as_uri())
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("GOCACHE", shown.stdout.strip())
    monkeypatch.setenv("GOFLAGS", "-mod=vendor -modcacherw")
    monkeypatch.setattr(etcd, "MODULES_FOLDER", str(tmp_path / "pinned"))
    monkeypatch.setattr(etcd, "VERSIONS", (etcd.Version("3.9.9", None),))
    etcd.pin_modules("3.9.9")


def test_what_pin_writes_builds(go: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["etcd", "build"]) == 0
    tree = capsys.readouterr().out.split()[-1]
    assert tree == etcd.ensure_programs("3.9.9")
    said = subprocess.run([f"{tree}/usr/bin/etcdctl"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == "etcdctl version: 3.9.9\n"
    for words, wanted in (([], "etcdutl version: 3.9.9\n"), (["snapshot"], "snapshots\n")):
        said = subprocess.run([f"{tree}/usr/bin/etcdutl", *words], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert said == wanted
    assert etcd.listing()[0]["here"] == "yes"
    assert etcd.prune(etcd.present_names()) == []
    assert etcd.prune(()) == [etcd.name_of_tree(tree)]


def test_other_modules_than_pinned_are_not_built(go: None, tmp_path: Path) -> None:
    path = Path(etcd.MODULES_FOLDER, "3.9.9", "go.sum")
    first, line = re.findall(r"(go\.etcd\.io/etcd/server/v3 v3\.9\.9) (h1:\S+)", path.read_text())[0]
    path.write_text(path.read_text().replace(line, f"h1:{'A' * 43}="))
    shutil.rmtree(tmp_path / "modules")
    with pytest.raises(LabError, match=r"go list .*The bits may have been replaced"):
        etcd.ensure_programs("3.9.9")
    path.write_text(path.read_text().replace(f"{first} h1:{'A' * 43}=\n", ""))
    with pytest.raises(LabError, match=r"missing go\.sum entry"):
        etcd.ensure_programs("3.9.9")


def test_a_module_cache_that_was_tampered_with_is_not_built(go: None, tmp_path: Path) -> None:
    (unpacked,) = (tmp_path / "modules").glob("go.etcd.io/etcd/server/v3@v3.9.9/etcdmain/main.go")
    unpacked.chmod(0o644)
    unpacked.write_text(unpacked.read_text() + "// more\n")
    with pytest.raises(LabError, match=r"go mod verify: .*server/v3 v3\.9\.9: dir has been modified"):
        etcd.ensure_programs("3.9.9")


def test_a_proxy_without_the_version_is_one_line_with_the_other_way(
    go: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["etcd", "pin", "3.9.8"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("lab: go mod download") and said.count("\n") == 1
    assert "exit 1: go.etcd.io/etcd/server/v3@v3.9.8: " in said and etcd.ARCHIVES_VARIABLE in said


# --------------------------------------------------------------------------- caches
def test_the_cache_is_the_machines_for_root_and_the_users_own_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_LAB_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert image.cache_folder() == "/var/cache/ringfence-lab"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert image.cache_folder() == "/home/u/.cache/ringfence-lab"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert image.cache_folder() == "/x/ringfence-lab"
    monkeypatch.setenv("RINGFENCE_LAB_CACHE", "/by/hand")
    assert image.cache_folder() == "/by/hand"


def test_prune_keeps_what_is_named_with_its_lock(tmp_path: Path) -> None:
    for name in ("3.6.16-aaaa", "3.6.16-bbbb", ".3.6.16-bbbb.x1y2z3", "go-build"):
        (tmp_path / name / "tree").mkdir(parents=True)
    for name in (".3.6.16-aaaa.lock", ".3.6.16-bbbb.lock"):
        (tmp_path / name).touch()
    assert image.prune({"3.6.16-aaaa"}, str(tmp_path)) == [".3.6.16-bbbb.x1y2z3", "3.6.16-bbbb", "go-build"]
    assert sorted(os.listdir(tmp_path)) == [".3.6.16-aaaa.lock", "3.6.16-aaaa"]


def test_default_images_are_made_by_the_recipe_that_they_always_had() -> None:
    recipes = {
        release: dataclasses.replace(image.Recipe(release=release), architecture="x86_64").name
        for release in ("bookworm", "trixie")
    }
    assert recipes == {"bookworm": "bookworm-65e1ca00025a", "trixie": "trixie-765510db62bd"}


# --------------------------------------------------------------------------- labs
def test_the_release_follows_from_an_etcd_that_is_a_package_only_there() -> None:
    assert Lab("t").release == image.DEFAULT_RELEASE
    assert Lab("t", etcd="3.4.23").release == "bookworm"
    assert Lab("t", etcd="3.6.16").release == image.DEFAULT_RELEASE
    assert Lab("t", etcd="3.6.16", release="bookworm").release == "bookworm"


def test_a_lab_made_before_there_were_versions_is_read() -> None:
    folder = Path(Lab("t").folder)
    folder.mkdir(parents=True)
    settings = {"hosts": 2, "release": "bookworm", "ipv6_only": False, "distribution_etcd": []}
    (folder / "state.json").write_text(json.dumps({"image": "bookworm-1", "settings": settings}))
    made = Lab("t", hosts=5, etcd="3.6.16")
    assert (len(made.hosts), made.release, made.programs, made.etcd_version) == (2, "bookworm", None, None)
    assert list(made.clusters) == ["etcd"]


def test_members_known_by_name_are_reached_by_address() -> None:
    loaded = yaml.safe_load(Lab("t", names=True).inventory(host_variables={"etcd-2": {"x": 1}}))["all"]["children"]
    assert loaded["etcd"]["hosts"]["etcd-2"] == {
        "ansible_host": "10.0.0.2",
        "etcd_peer_tls_address": "etcd-2.example.com",
        "x": 1,
    }
    assert "etcd_peer_tls_address" not in Lab("t").inventory()


def test_each_cluster_has_a_group_and_a_ca_of_its_own() -> None:
    made = Lab("t", hosts=5, clusters=2)
    loaded = yaml.safe_load(made.inventory())["all"]["children"]
    assert {group: list(entry["hosts"]) for group, entry in loaded.items()} == {
        "etcd-a": ["etcd-1", "etcd-2", "etcd-3"],
        "etcd-b": ["etcd-4", "etcd-5"],
    }
    assert [entry["vars"] for entry in loaded.values()] == [
        {"etcd_peer_tls_group": group, "etcd_peer_tls_ca_directory": f"{made.ca_folder}/{group}"}
        for group in ("etcd-a", "etcd-b")
    ]
    by_hand = yaml.safe_load(made.inventory({"blue": ["etcd-1"]}))["all"]["children"]
    assert by_hand == {"blue": {"hosts": {"etcd-1": {"ansible_host": "10.0.0.1"}}}}


@pytest.mark.parametrize("count", [0, 4, 27])
def test_number_of_clusters_out_of_range(count: int) -> None:
    with pytest.raises(LabError, match=f"number of clusters {count}"):
        plan.make_clusters(plan.make_hosts(3 if count < 27 else 30), count)


def test_list_shows_every_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["etcd", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", *etcd.known_versions()]
    assert lines[1].split() == ["3.4.23", "Debian", "bookworm", "-", "its", "package", "only"]
    assert lines[-1].split() == ["3.7.3", "-", "no", "Go", "modules"]
