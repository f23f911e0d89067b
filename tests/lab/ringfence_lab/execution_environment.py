# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image that AWX's jobs run in: built from its definition by ansible-builder and podman, kept by its content.

No registry of images is asked. The base that the definition names is made from Debian's packages, as Debian makes it;
all other steps are those of the definition, with this machine's way to the packages.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import typing as t

from . import image, machine_settings, podman, system
from .errors import LabError

DEFINITION = "extensions/awx/execution-environment.yml"
REPOSITORY = "localhost/ringfence-ee"
BASE_REPOSITORY = "localhost/ringfence-base"
# Where the collection is, inside.
COLLECTION = "/usr/share/ansible/collections/ansible_collections/ringfence/etcd"

# Certificates while it is built; not their own paths, which a package inside writes.
_CERTIFICATES = "/run/this-machine"
_CONTEXT = "dist/context"
_ARCHIVE = re.compile(r"ringfence-etcd-[^/]+\.tar\.gz")
_BUILD_SECONDS = 1800


class Programs(t.NamedTuple):
    """The words that start ansible-galaxy, and ansible-builder beside podman."""

    galaxy: t.Sequence[str]
    builder: t.Sequence[str]


# ---------------------------------------------------------------------------- pure
def release_of(containerfile: str) -> str:
    """The release of Debian whose image for containers is the base."""
    found = re.search(r'^ARG EE_BASE_IMAGE="debian:([a-z]+)-slim"$', containerfile, re.MULTILINE)
    if not found or found[1] not in image.RELEASES:
        raise LabError(
            f"{DEFINITION}: its base is none that the lab can make; it makes debian:RELEASE-slim of "
            f"{', '.join(image.RELEASES)}"
        )
    return found[1]


def content_of(archive: bytes) -> bytes:
    """What a collection's archive has in it, whenever it was packed: the list of its files, with their sums."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        member = packed.extractfile("FILES.json")
        assert member is not None
        return member.read()


def tag_of(context: t.Mapping[str, bytes], base: str) -> str:
    """The name of what comes of files (by their paths) and of a base: another content is another name."""
    whole = hashlib.sha256(base.encode())
    for path, content in sorted(context.items()):
        told = content_of(content) if _ARCHIVE.fullmatch(os.path.basename(path)) else content
        whole.update(f"\0{path}\0{hashlib.sha256(told).hexdigest()}".encode())
    return whole.hexdigest()[:12]


def registry_files(settings: machine_settings.Settings) -> tuple[dict[str, str], dict[str, str]]:
    """For steps of a build, by their paths inside: texts of files, and copies with their paths on this machine.

    podman hands proxies over itself.
    """
    certificates = {path: f"{_CERTIFICATES}/{number}" for number, path in enumerate(settings.copies)}
    texts = {}
    for name in (machine_settings.PIP_CONF, machine_settings.APT_CONF):
        text = settings.files.get(name)
        for path, inside in certificates.items():
            text = text.replace(path, inside) if text else text
        if text:
            texts[f"/{name}"] = text
    return texts, {inside: path for path, inside in certificates.items()}


# ---------------------------------------------------------------------------- build and keep
def ensure(repository: str, programs: Programs) -> str:
    """The name of the image with the collection of a checkout; it is built first where it is not there."""
    podman.check()
    os.makedirs(podman.folder(), mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build.", dir=podman.folder()) as staged:
        context = _make_context(repository, programs, staged)
        files = {
            os.path.relpath(os.path.join(path, name), context): _read(os.path.join(path, name))
            for path, _folders, names in os.walk(context)
            for name in names
        }
        recipe = image.slim(release_of(files["Containerfile"].decode()))
        base, name = f"{BASE_REPOSITORY}:{recipe.name}", f"{REPOSITORY}:{tag_of(files, recipe.name)}"
        with system.locked(os.path.join(podman.folder(), ".lock")):
            if not podman.has_image(name):
                _ensure_base(recipe, base, staged)
                _build([*programs.builder, "build", *_options(staged)], base, name, staged)
    return name


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _make_context(repository: str, programs: Programs, staged: str) -> str:
    """What docs/awx.md says, beside the checkout and not in it: the archive, then the files that podman builds from."""
    definition = os.path.join(staged, DEFINITION)
    os.makedirs(os.path.dirname(definition))
    shutil.copyfile(os.path.join(repository, DEFINITION), definition)
    build = [*programs.galaxy, "collection", "build", "--output-path", os.path.join(staged, "dist")]
    system.run(build, folder=repository, timeout_seconds=300)
    system.run([*programs.builder, "create", *_options(staged)], folder=staged, timeout_seconds=300)
    return os.path.join(staged, _CONTEXT)


def _options(staged: str) -> list[str]:
    return ["--file", os.path.join(staged, DEFINITION), "--context", os.path.join(staged, _CONTEXT)]


def _ensure_base(recipe: image.Recipe, name: str, staged: str) -> None:
    if podman.has_image(name):
        return
    tree = image.tree_of(image.ensure_image(recipe))
    packed = os.path.join(staged, "base.tar")
    system.run(["tar", "--create", "--numeric-owner", "--file", packed, "--directory", tree, "."], timeout_seconds=300)
    podman.run("import", "--quiet", packed, name, timeout_seconds=300)
    os.unlink(packed)


def _build(builder: t.Sequence[str], base: str, name: str, staged: str) -> None:
    system.say(f"image {name}: building (once; about a minute)")
    # chroot: a step of a build gets this machine's network without a container.
    options = ["--network=host", "--isolation=chroot", "--pull=never", "--layers"]
    texts, copies = registry_files(machine_settings.of_this_machine())
    for inside, text in texts.items():
        path = os.path.join(staged, os.path.basename(inside))
        # A registry's password may be in pip's; apt reads its own again after it has dropped its rights.
        system.write_text(path, text, 0o600 if inside.endswith(machine_settings.PIP_CONF) else 0o644)
        copies[inside] = path
    options += [f"--volume={path}:{inside}:ro" for inside, path in copies.items() if os.path.isfile(path)]
    words = [*builder, "-vvv", "--tag", name, "--container-runtime=podman", f"--build-arg=EE_BASE_IMAGE={base}"]
    words += [f"--extra-build-cli-args={shlex.join(options)}"]
    log = os.path.join(podman.folder(), "build.log")
    with open(log, "w", encoding="utf-8") as stream:
        done = subprocess.run(
            words,
            cwd=staged,
            env={**os.environ, **podman.environment()},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            timeout=_BUILD_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        last = [line for line in (system.read_text(log) or "").splitlines() if line.strip()][-4:]
        raise LabError(f"ansible-builder could not build {DEFINITION}: {' | '.join(last)} (all of it: {log})")
    system.say(f"image {name}: ready")


def prune(everything: bool) -> list[str]:
    """Remove images of other checkouts than the last one, or all, with their bases. Returns what was removed."""

    def kept(names: list[str]) -> list[str]:
        newest = next((name for name in names if name.startswith(f"{REPOSITORY}:")), "")
        bases = [name for name in names if name.startswith(f"{BASE_REPOSITORY}:")]
        return [] if everything else [newest, *bases[:1]]

    return podman.prune(kept)
