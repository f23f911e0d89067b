# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.process_root import below, has_our_root, host_path
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.namespaces import OWN_MOUNTS


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "root"
    (made / "etc" / "pki").mkdir(parents=True)
    (made / "etc" / "pki" / "ca.crt").write_text("the container's")
    return made


@pytest.mark.parametrize(
    ("links", "path", "wanted"),
    [
        ({}, "/etc/pki/ca.crt", "etc/pki/ca.crt"),
        ({}, "//etc/./pki/../pki/ca.crt", "etc/pki/ca.crt"),
        ({}, "/etc/none/x", "etc/none/x"),
        ({}, "/../../etc/pki/ca.crt", "etc/pki/ca.crt"),
        ({"ca": "/etc/pki/ca.crt"}, "/ca", "etc/pki/ca.crt"),
        ({"p": "etc/pki"}, "/p/ca.crt", "etc/pki/ca.crt"),
        ({"etc/up": "../../../etc"}, "/etc/up/pki/ca.crt", "etc/pki/ca.crt"),
        ({"a": "/b", "b": "etc"}, "/a/pki/ca.crt", "etc/pki/ca.crt"),
        ({"shadow": "/etc/shadow"}, "/shadow", "etc/shadow"),
    ],
)
def test_links_stay_below_the_root(root: pathlib.Path, links: dict[str, str], path: str, wanted: str) -> None:
    for name, target in links.items():
        (root / name).symlink_to(target)
    assert below(str(root), path) == str(root / wanted)


def test_a_circle_has_an_end(root: pathlib.Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("/a")
    with pytest.raises(FileError, match="too many symbolic links"):
        below(str(root), "/a/x")


def test_a_path_that_the_kernel_refuses_is_one_line(root: pathlib.Path) -> None:
    name = "x" * 300
    with pytest.raises(FileError) as caught:
        below(str(root), f"/etc/{name}")
    assert str(caught.value) == f"can't look at /etc/{name} as the process sees it: {os.strerror(errno.ENAMETOOLONG)}"


def test_a_process_that_has_ended_has_no_root_of_its_own() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert has_our_root(child.pid) and has_our_root(os.getpid())


def test_our_own_files_are_where_they_are() -> None:
    assert host_path(os.getpid(), "/etc/../etc/x") == "/etc/../etc/x"
    assert host_path(os.getpid(), "x") == os.path.join(os.getcwd(), "x")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="it needs a namespace of its own")
def test_a_process_with_another_root(root: pathlib.Path) -> None:
    (root / "ca").symlink_to("/etc/pki/ca.crt")
    code = "import os, sys; os.chroot(sys.argv[1]); os.chdir('/etc'); print(1, flush=True); sys.stdin.read()"
    pipes: dict[str, t.Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    for words in ([], OWN_MOUNTS):
        with subprocess.Popen([*words, sys.executable, "-c", code, str(root)], **pipes) as child:
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()
            for path in ("/ca", "pki/ca.crt"):
                with open(host_path(child.pid, path), encoding="utf-8") as stream:
                    assert stream.read() == "the container's"
            child.stdin.close()
