# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine has: Pythons, commands, the right to install packages, a cache folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import typing as t

_QUESTION = """
import json, sys
try:
    import ensurepip, venv
    whole = True
except ImportError:
    whole = False
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "full": sys.version.split()[0],
    "whole": whole,
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "base": sys.prefix == sys.base_prefix,
}))
"""

MINORS = range(9, 15)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class MachineError(Exception):
    """Something is missing here that can't be installed by this run."""


class Python(t.NamedTuple):
    """A real interpreter: neither a version manager's shim nor one of a virtual environment."""

    version: str
    full: str
    path: str
    whole: bool
    """Can make virtual environments with pip (Debian keeps that in a package of its own)."""
    enter: tuple[str, ...] = ()
    """The words before a command that uses it; none for an interpreter of this machine."""


def ask(path: str, enter: tuple[str, ...] = ()) -> Python | None:
    """What an interpreter says of itself; None where it is none."""
    try:
        answer = subprocess.run(
            [*enter, path, "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        facts = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if not facts["base"]:
        # Of a virtual environment: ask the interpreter that it was made from.
        return ask(facts["path"], enter) if facts["path"] != path else None
    return Python(facts["version"], facts["full"], facts["path"], facts["whole"], enter)


def _candidates() -> t.Iterator[str]:
    # A version manager's real interpreters come before its shims, which fail for versions that are not switched on.
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    by_version = sorted(
        (root / "versions").glob("3.*/bin/python3"),
        key=lambda path: [int(part) if part.isdigit() else -1 for part in path.parent.parent.name.split(".")],
        reverse=True,
    )
    yield from (str(path) for path in by_version)
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/local/bin", "/usr/bin"]
    for folder in dict.fromkeys(folders):
        if "/shims" in folder or not folder:
            continue
        for name in ["python3", *(f"python3.{minor}" for minor in MINORS)]:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                yield path


def find_pythons() -> dict[str, Python]:
    """The newest real interpreter of each version from 3.9 on, by version."""
    found: dict[str, Python] = {}
    asked = set()
    for path in _candidates():
        real = os.path.realpath(path)
        if real in asked:
            continue
        asked.add(real)
        python = ask(path)
        if python is None or python.version not in {f"3.{minor}" for minor in MINORS}:
            continue
        known = found.get(python.version)
        if known is None or (python.whole and not known.whole):
            found[python.version] = python
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


_package_lists_are_fresh = False


def cache_folder() -> pathlib.Path:
    """Where everything is kept that does not belong to the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(os.environ.get("RINGFENCE_CACHE") or os.path.join(base, "ringfence-etcd")).resolve()


@contextlib.contextmanager
def lock(name: str) -> t.Iterator[None]:
    """Keep other steps and runs away from one thing."""
    path = cache_folder() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _apt_install(packages: list[str]) -> bool:
    """Install Debian packages where that is possible; False where it is not, or failed."""
    global _package_lists_are_fresh
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    print(f"installing with apt-get: {' '.join(packages)}", flush=True)
    # Another program may be installing at this moment.
    words = [apt, "-qq", "-o", "DPkg::Lock::Timeout=600"]
    commands = [] if _package_lists_are_fresh else [[*words, "update"]]
    commands.append([*words, "install", "--yes", "--no-install-recommends", *packages])
    for command in commands:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout, flush=True)
            return False
        _package_lists_are_fresh = True
    return True


def _remedy(packages: list[str]) -> str:
    return f"as root: apt-get update && apt-get install {' '.join(packages)}"


def whole_pythons() -> dict[str, Python]:
    """The Pythons that can make virtual environments; Debian's own is completed where that is possible."""
    pythons = find_pythons()
    partial = [python for python in pythons.values() if not python.whole]
    if partial:
        default = ask("/usr/bin/python3")
        for python in partial:
            is_default = default is not None and default.version == python.version
            package = "python3-venv" if is_default else f"python{python.version}-venv"
            if not _apt_install([package]):
                print(f"left out: {python.path}, it has no ensurepip ({_remedy([package])})", flush=True)
        pythons = find_pythons()
    return {version: python for version, python in pythons.items() if python.whole}


def need_command(name: str, package: str) -> None:
    """Have a command, from the distribution's packages if need be."""
    with lock("packages"):
        if shutil.which(name) is None and not (_apt_install([package]) and shutil.which(name)):
            raise MachineError(f"the command {name} is missing ({_remedy([package])})")


def need_browser() -> str:
    """The path of a Chromium or Chrome that runs: named by hand, found, or from the distribution's packages."""
    by_hand = os.environ.get("RINGFENCE_CHROMIUM")
    found = _find_browser([by_hand] if by_hand else _BROWSERS)
    if found is None and by_hand:
        raise MachineError(f"RINGFENCE_CHROMIUM: {by_hand} is no Chromium that runs")
    if found is None:
        need_command("chromium", "chromium")
        found = _find_browser(_BROWSERS)
    if found is None:
        raise MachineError(
            "the command chromium does not run: install one that does, and name it in RINGFENCE_CHROMIUM"
        )
    return found


def _find_browser(names: t.Iterable[str]) -> str | None:
    for path in filter(None, map(shutil.which, names)):
        # Ubuntu's package is a script that only says where else to get one.
        if subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0:
            return path
    return None


def need_packages(missing: t.Callable[[], t.Collection[str]]) -> None:
    """Have Debian packages. ``missing`` says which are not there, and is asked again when they were installed."""
    with lock("packages"):
        packages = sorted(set(missing()))
        if packages and not (_apt_install(packages) and not missing()):
            raise MachineError(f"packages are missing ({_remedy(packages)})")
