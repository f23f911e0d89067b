# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd in the versions that users run: as Debian packages it, from a release archive, or built from its Go modules."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tarfile
import tempfile
import time
import typing as t

from . import image, system
from .errors import LabError


class Version(t.NamedTuple):
    """A line of the table."""

    number: str
    # The Debian release whose package it is.
    release: str | None


# All that the lab knows of versions. A new one is one more line, and its modules: lab etcd pin VERSION writes them.
VERSIONS = (
    # Not in the module path go.etcd.io/etcd/server/v3.
    Version("3.4.23", "bookworm"),
    Version("3.5.12", None),
    Version("3.5.15", None),
    Version("3.5.16", "trixie"),
    Version("3.5.35", None),
    Version("3.6.16", None),
    Version("3.7.3", None),
)

PROGRAMS = ("etcd", "etcdctl", "etcdutl")
# Where Debian's packages have them too, so that a tree laid over an image replaces those.
PROGRAMS_FOLDER = os.path.join("usr", "bin")
ARCHIVES_VARIABLE = "RINGFENCE_LAB_ETCD_ARCHIVES"
# As Go's own installer puts it: sudo takes it off PATH.
_GO_BESIDE_PATH = "/usr/local/go/bin/go"

_MODULES = ("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3")
# A folder with go.mod and go.sum for each version, and what they are built of.
MODULES_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "etcd")
_SOURCES_FOLDER = os.path.join(MODULES_FOLDER, "programs")
# On the command line, so that no GOFLAGS of the user's changes what comes out.
_BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")


# ---------------------------------------------------------------------------- the table
def known_versions() -> tuple[str, ...]:
    return tuple(version.number for version in VERSIONS)


def find(number: str) -> Version:
    for version in VERSIONS:
        if version.number == number:
            return version
    raise LabError(f"etcd {number}: the lab knows {', '.join(known_versions())} (a new one: lab etcd pin VERSION)")


def release_of(number: str) -> str:
    """The Debian release that hosts with this etcd have where none is asked for."""
    return find(number).release or image.DEFAULT_RELEASE


def package_version(dpkg_status: str) -> str | None:
    """The version of etcd that dpkg's status file has as installed."""
    for stanza in dpkg_status.split("\n\n"):
        fields = dict(re.findall(r"(?m)^(Package|Status|Version): (.*)$", stanza))
        if fields.get("Package") == "etcd-server" and fields.get("Status", "").endswith(" installed"):
            # 3.4.23+dfsg-4+b4, or 1:3.4.23-4
            return re.split(r"[+~-]", fields["Version"].rpartition(":")[2])[0]
    return None


def version_in_image(tree: str) -> str | None:
    return package_version(system.read_text(os.path.join(tree, "var/lib/dpkg/status")) or "")


def _architecture() -> str:
    """This machine, as Go and etcd's release archives call it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


# ---------------------------------------------------------------------------- where programs come from
def archive_of(number: str) -> str | None:
    """The release archive of this version, where the user's folder of archives has it."""
    folder = os.environ.get(ARCHIVES_VARIABLE)
    if not folder:
        return None
    if not os.path.isdir(folder):
        raise LabError(f"{ARCHIVES_VARIABLE}={folder}: no such folder")
    path = os.path.join(folder, f"etcd-v{number}-linux-{_architecture()}.tar.gz")
    return path if os.path.exists(path) else None


def _folder() -> str:
    return os.path.join(image.cache_folder(), "etcd")


def _name(number: str, origin: t.Sequence[str]) -> str:
    """The programs' name in the cache: another origin is another name."""
    digest = hashlib.sha256(json.dumps([number, _architecture(), *origin]).encode()).hexdigest()
    return f"{number}-{digest[:12]}"


def _name_of_archive(number: str, archive: str) -> str:
    with open(archive, "rb") as stream:
        return _name(number, ["archive", hashlib.sha256(stream.read()).hexdigest()])


def _modules_of(number: str) -> str:
    """The folder with this version's go.mod and go.sum."""
    return os.path.join(MODULES_FOLDER, number)


def has_modules(number: str) -> bool:
    """Whether this version can be built of Go modules."""
    return os.path.exists(os.path.join(_modules_of(number), "go.sum"))


def _name_of_build(number: str) -> str:
    paths = [os.path.join(_SOURCES_FOLDER, program, "main.go") for program in PROGRAMS]
    paths += [os.path.join(_modules_of(number), name) for name in ("go.mod", "go.sum")]
    return _name(number, ["modules", *(system.read_text(path) or "" for path in paths), *_BUILD_FLAGS])


def _tree_of(name: str) -> str:
    return os.path.join(_folder(), name, "tree")


def name_of_tree(tree: str) -> str:
    return os.path.basename(os.path.dirname(tree))


def present_names() -> set[str]:
    """The names that ``ensure_programs`` would use now."""
    names = {_name_of_build(number) for number in known_versions() if has_modules(number)}
    archives = {number: archive_of(number) for number in known_versions()}
    return names | {_name_of_archive(number, path) for number, path in archives.items() if path}


def ensure_programs(version: str) -> str:
    """The folder that has this version's programs in usr/bin; they are unpacked or built first where need be.

    Needs no root. The folder can be an overlay's lower layer: it holds these programs and nothing else.
    """
    line = find(version)
    archive = archive_of(version)
    if archive:
        name = _name_of_archive(version, archive)
    elif has_modules(version):
        name = _name_of_build(version)
    else:
        raise LabError(
            f"etcd {version} can't be built from Go modules, only had from Debian {line.release}'s package "
            f"(lab up --etcd {version} --release {line.release}) or from its release archive "
            f"({ARCHIVES_VARIABLE}=folder with etcd-v{version}-linux-{_architecture()}.tar.gz)"
        )
    tree = _tree_of(name)
    if not os.path.isdir(tree):
        os.makedirs(_folder(), mode=0o755, exist_ok=True)
        with system.locked(os.path.join(_folder(), f".{name}.lock")):
            if not os.path.isdir(tree):
                _make(version, name, archive)
    if os.geteuid() == 0 and os.stat(tree).st_uid != 0:
        # Made without root in a cache that both use: on the hosts, these are Debian's folders.
        for folder, _folders, files in os.walk(tree):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(path, 0, 0)
    return tree


def _make(number: str, name: str, archive: str | None) -> None:
    staged = tempfile.mkdtemp(prefix=f".{name}.", dir=_folder())
    try:
        programs = os.path.join(staged, "tree", PROGRAMS_FOLDER)
        os.makedirs(programs)
        if archive:
            origin = f"archive {os.path.basename(archive)}"
            _unpack(archive, programs)
        else:
            origin = f"Go modules, {_run_go(['version'], _go_environment()).strip()}"
            _build(number, programs)
        for program in os.listdir(programs):
            os.chmod(os.path.join(programs, program), 0o755)
        _check_version(number, programs, origin)
        system.write_text(os.path.join(staged, "origin.txt"), f"{origin}\n")
        # An overlay shows the upmost layer's mode of a folder: these must be as Debian's, whatever the umask was.
        for folder in ("", "tree", "tree/usr", "tree/usr/bin"):
            os.chmod(os.path.join(staged, folder), 0o755)
        os.rename(staged, os.path.join(_folder(), name))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _check_version(number: str, programs: str, origin: str) -> None:
    """All programs say that they are this version."""
    for program in sorted(os.listdir(programs)):
        said = system.run([os.path.join(programs, program), "--version" if program == "etcd" else "version"]).stdout
        if number not in re.findall(r"(?mi)^etcd(?:ctl|utl)? version: (\S+)$", said):
            first = (said.strip().splitlines() or ["nothing"])[0]
            raise LabError(f"{program} of {origin}: wanted is version {number}, it says {first!r}")


def _unpack(archive: str, programs: str) -> None:
    top = os.path.basename(archive)[: -len(".tar.gz")]
    try:
        with tarfile.open(archive) as stream:
            # Those of 3.4 have no etcdutl.
            absent = {"etcdutl"} - {os.path.basename(name) for name in stream.getnames()}
            for program in set(PROGRAMS) - absent:
                source = stream.extractfile(f"{top}/{program}")
                if source is None:
                    raise LabError(f"{archive}: {top}/{program} in it is no file")
                with source, open(os.path.join(programs, program), "wb") as target:
                    shutil.copyfileobj(source, target)
    except (KeyError, EOFError, OSError, tarfile.TarError) as error:
        raise LabError(f"{archive}: not readable as a release archive of etcd ({error})") from error


# ---------------------------------------------------------------------------- Go
def kept_go_flags(flags: str) -> str:
    """The user's GOFLAGS without those that say where modules come from: a vendor folder is not here."""
    return " ".join(flag for flag in flags.split() if not re.match(r"--?mod(file)?\b", flag))


def find_go() -> str | None:
    return shutil.which("go") or shutil.which(_GO_BESIDE_PATH)


def needs_go(number: str) -> bool:
    """Whether this version's programs have to be built here, which they have not been yet."""
    find(number)
    is_built = has_modules(number) and os.path.isdir(_tree_of(_name_of_build(number)))
    return not is_built and archive_of(number) is None


def _go() -> str:
    found = find_go()
    if not found:
        raise LabError(
            "etcd is built from its Go modules, and Go is not here. The ways out: install Go 1.21 or newer, or set "
            f"{ARCHIVES_VARIABLE} to a folder with etcd's release archives "
            f"(etcd-vVERSION-linux-{_architecture()}.tar.gz)"
        )
    return found


def _go_environment() -> dict[str, str]:
    """The user's Go settings (proxy, sums, module cache, toolchain), for a static build on and for this machine.

    The build cache is the lab's own, so that ``lab prune`` finds it.
    """
    shown = json.loads(system.run([_go(), "env", "-json", "GOFLAGS", "GOMODCACHE"]).stdout)
    # Never empty: an empty GOFLAGS counts as not set, and Go would take the one of its own configuration file.
    flags = [kept_go_flags(shown["GOFLAGS"]), "-buildvcs=false"]
    modules = shown["GOMODCACHE"]
    if not modules:
        # Go knows no place for modules where neither HOME nor GOPATH is set.
        modules = os.path.join(_folder(), "go-modules")
        flags.append("-modcacherw")
    return {
        "GOCACHE": os.path.join(_folder(), "go-build"),
        # The compiler's own garbage collector: a fifth less processor time, and more memory for moments.
        "GOGC": "400",
        **os.environ,
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOARCH": _architecture(),
        "GOFLAGS": " ".join(flags).strip(),
        "GOMODCACHE": modules,
        "GOOS": "linux",
        "GOWORK": "off",
    }


def _run_go(words: t.Sequence[str], environment: t.Mapping[str, str], folder: str | None = None) -> str:
    """Run Go to its end; its failure becomes one line."""
    done = system.run([_go(), *words], check=False, timeout_seconds=1800, environment=environment, folder=folder)
    if done.returncode != 0:
        # With -json the error stands in the answer.
        answered = [json.loads(text) for text in re.findall(r'(?m)^\s*"Error": (".*")', done.stdout)]
        said = [*done.stderr.splitlines(), *answered]
        lines = [line.strip() for line in said if not line.startswith("go: downloading ")] or ["no word of why"]
        raise LabError(
            f"go {' '.join(words)}: exit {done.returncode}: {' | '.join(lines[-4:])} (the way without Go: "
            f"{ARCHIVES_VARIABLE}=folder with etcd's release archives)"
        )
    return done.stdout


def pin_modules(number: str) -> str:
    """Write a version's go.mod and go.sum, of what the proxy gives now (and Go's checksum database agrees with).

    Returns their folder.
    """
    os.makedirs(_folder(), mode=0o755, exist_ok=True)
    environment = _go_environment()
    with tempfile.TemporaryDirectory(prefix=".pin.", dir=_folder()) as folder:
        shutil.copytree(_SOURCES_FOLDER, folder, dirs_exist_ok=True)
        _run_go(["mod", "init", "ringfence-lab-etcd"], environment, folder)
        server = json.loads(_run_go(["mod", "download", "-json", f"{_MODULES[0]}@v{number}"], environment, folder))
        # etcd's own directive: with it, Go chooses modules and defaults as it does for etcd's releases.
        directive = json.loads(_run_go(["mod", "edit", "-json", server["GoMod"]], environment, folder))["Go"]
        required = [f"-require={module}@v{number}" for module in _MODULES]
        _run_go(["mod", "edit", f"-go={directive}", *required], environment, folder)
        _run_go(["mod", "tidy"], environment, folder)
        os.makedirs(_modules_of(number), exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(os.path.join(folder, name), os.path.join(_modules_of(number), name))
    return _modules_of(number)


def _build(number: str, programs: str) -> None:
    environment = _go_environment()
    started = time.monotonic()
    system.say(f"etcd {number}: building from its Go modules (once; a minute or two)")
    with tempfile.TemporaryDirectory(prefix=".build.", dir=_folder()) as folder:
        shutil.copytree(_SOURCES_FOLDER, folder, dirs_exist_ok=True)
        shutil.copytree(_modules_of(number), folder, dirs_exist_ok=True)
        # Downloads what is built; its sums have to be those of go.sum. "verify" compares what lies in the module cache.
        _run_go(["list", "-mod=readonly", "-deps", "./..."], environment, folder)
        _run_go(["mod", "verify"], environment, folder)
        for program in PROGRAMS:
            target = os.path.join(programs, program)
            _run_go(["build", *_BUILD_FLAGS, "-o", target, f"./{program}"], environment, folder)
    system.say(f"etcd {number}: built in {time.monotonic() - started:.0f} s")


# ---------------------------------------------------------------------------- for the command line
def buildable_versions() -> list[str]:
    """All of which ``ensure_programs`` can give programs."""
    return [number for number in known_versions() if has_modules(number) or archive_of(number)]


def listing() -> list[dict[str, str]]:
    """A row for each version: whose package it is, where programs would come from, whether they are here."""
    rows = []
    for version in VERSIONS:
        archive = archive_of(version.number)
        source, name = "its package only", None
        if archive:
            source, name = archive, _name_of_archive(version.number, archive)
        elif has_modules(version.number):
            source, name = "Go modules", _name_of_build(version.number)
        rows.append(
            {
                "version": version.number,
                "package": f"Debian {version.release}" if version.release else "-",
                "source": source,
                "here": "yes" if name and os.path.isdir(_tree_of(name)) else "no" if name else "-",
            }
        )
    return rows


def prune(kept: t.Collection[str]) -> list[str]:
    """Remove all programs but those named, and Go's build cache. Returns what was removed."""
    return image.prune(kept, _folder())
