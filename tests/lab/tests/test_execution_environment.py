# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What decides which image AWX's jobs run in, and what a build is given: neither podman nor root is needed."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import execution_environment as ee
from ringfence_lab import image, machine_settings, podman
from ringfence_lab.errors import LabError

REPOSITORY = Path(__file__).parents[3]
ARCHIVE = "_build/collections/ringfence-etcd-0.1.0.tar.gz"


def archive(files: bytes, packed_at: int = 0, manifest: bytes = b"{}") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, content in (("MANIFEST.json", manifest), ("FILES.json", files)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), packed_at
            packed.addfile(member, io.BytesIO(content))
    return out.getvalue()


# --------------------------------------------------------------------------- its name
def test_another_content_is_another_image_and_the_time_of_packing_is_none() -> None:
    context = {"Containerfile": b"FROM x", ARCHIVE: archive(b"[1]")}
    name = ee.tag_of(context, "trixie-1")
    assert ee.tag_of({**context, ARCHIVE: archive(b"[1]", packed_at=7)}, "trixie-1") == name
    others = [
        ee.tag_of(context, "trixie-2"),
        ee.tag_of({**context, "Containerfile": b"FROM y"}, "trixie-1"),
        ee.tag_of({**context, ARCHIVE: archive(b"[2]")}, "trixie-1"),
        ee.tag_of({**context, "_build/scripts/assemble": b""}, "trixie-1"),
        ee.tag_of({"Containerfile2": b"FROM x", ARCHIVE: archive(b"[1]")}, "trixie-1"),
    ]
    assert len({name, *others}) == 6


def test_the_base_is_what_the_definition_names() -> None:
    assert ee.release_of('ARG A="b"\nARG EE_BASE_IMAGE="debian:trixie-slim"\nARG PYCMD="x"\n') == "trixie"
    # The builder's file has the definition's words.
    definition = (REPOSITORY / ee.DEFINITION).read_text(encoding="utf-8")
    assert f"name: debian:{image.DEFAULT_RELEASE}-slim\n" in definition


@pytest.mark.parametrize("base", ["quay.io/centos/centos:stream9", "debian:sarge-slim", "debian:trixie", ""])
def test_a_base_that_the_lab_can_not_make_is_named(base: str) -> None:
    with pytest.raises(LabError, match=r"execution-environment\.yml: its base is none that the lab can make; .*trixie"):
        ee.release_of(f'ARG EE_BASE_IMAGE="{base}"\n')


# --------------------------------------------------------------------------- what a build is given
def test_a_build_reads_this_machines_settings_with_certificates_at_paths_of_their_own() -> None:
    settings = machine_settings.collect(
        {"https_proxy": "http://p.example:3128", "PIP_CERT": "/etc/ssl/ca.crt", "PIP_INDEX_URL": "https://i.example"},
        apt_dump='Acquire::https::CaInfo "/etc/ssl/mirror.crt";\nDPkg::Post-Invoke:: "rm x";\n',
    )
    texts, copies = ee.registry_files(settings)
    assert copies == {"/run/this-machine/0": "/etc/ssl/ca.crt", "/run/this-machine/1": "/etc/ssl/mirror.crt"}
    assert texts == {
        "/etc/pip.conf": "[global]\ncert = /run/this-machine/0\nindex-url = https://i.example\n",
        "/etc/apt/apt.conf.d/90this-machine": 'Acquire::https::CaInfo "/run/this-machine/1";\n',
    }
    assert ee.registry_files(machine_settings.collect({})) == ({}, {})


# --------------------------------------------------------------------------- podman
def test_podman_has_settings_of_its_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_LAB_CACHE", str(tmp_path))
    variables = podman.environment()
    assert set(variables) == {"CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"}
    folders = {str(tmp_path / "podman"), podman.running_folder()}
    for path in variables.values():
        assert Path(path).parent == tmp_path / "podman"
        named = [line.split('"')[1] for line in Path(path).read_text().splitlines() if '"/' in line]
        assert named and all(any(one.startswith(f"{folder}/") for folder in folders) for one in named)
    first = podman.running_folder()
    monkeypatch.setenv("RINGFENCE_LAB_CACHE", str(tmp_path / "other"))
    assert podman.running_folder() != first
    # Where there never was an image nobody asks podman.
    assert podman.prune(lambda names: []) == []


def test_what_is_missing_is_one_line_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError) as caught:
        podman.check()
    assert str(caught.value) == (
        "missing, to run containers: conmon, podman, runc. The way out: apt-get install conmon podman runc"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="need root"):
        podman.check()


def test_pruning_leaves_the_last_image_and_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["localhost/ringfence-ee:b", "localhost/ringfence-base:2", "localhost/ringfence-ee:a", "localhost/other:1"]
    monkeypatch.setattr(podman, "prune", lambda kept: [name for name in names if name not in kept(names)])
    assert ee.prune(False) == names[2:]
    assert ee.prune(True) == names
