# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things are kept: everything outside the checkout, in one cache folder, by content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

from ringfence_lab.plan import LONGEST_LAB_NAME

from runner.cores import CORES, Core
from runner.machine import Python, cache_folder, lock

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SLOT = "RINGFENCE_SLOT"

# ansible-test fetches a script that installs pip into its virtual environments, from a host that may be out of reach.
# It takes a saved one instead; this one uses the pip that every Python brings along.
_PIP_BOOTSTRAP = '''\
"""Install pip and what else is asked for by the pip wheel that ensurepip keeps."""
import glob
import os
import runpy
import sys
import sysconfig

import ensurepip

folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"),
           sysconfig.get_config_var("WHEEL_PKG_DIR") or "", "/usr/share/python-wheels"]
folders = [folder for folder in folders if folder]
# The first folder that has one: this interpreter's own. Another one's may be too old for it.
found = [wheels for wheels in (sorted(glob.glob(os.path.join(folder, "pip-*.whl"))) for folder in folders) if wheels]
if not found:
    sys.exit("no pip wheel of ensurepip in: " + ", ".join(folders))
sys.path.insert(0, found[0][-1])
dropped = ("--no-setuptools", "--no-wheel")
sys.argv = ["pip", "install"] + [word for word in sys.argv[1:] if word not in dropped]
runpy.run_module("pip", run_name="__main__")
'''


class Places:
    """The cache folder of one run, and what is kept there."""

    def __init__(self) -> None:
        self.cache = cache_folder()
        if self.cache == CHECKOUT or CHECKOUT in self.cache.parents:
            sys.exit(f"the cache folder {self.cache} must not lie in the checkout: set RINGFENCE_CACHE")
        self.home = self.cache / "home"
        self.venvs = self.cache / "venvs"
        self.stages = self.cache / "stage"
        self.logs = self.cache / "logs"
        self.temporary = pathlib.Path(tempfile.gettempdir())
        """Where tools and tests make their temporary files: a run's own folder, short enough for sockets in it."""
        self.slot = "1"
        """The number of this run's own place, among runs at the same time."""
        self._lock: t.IO[str] | None = None

    @property
    def short_name(self) -> str:
        """A few letters that no other run has at the same time, for what is named outside of the cache."""
        return f"t{hashlib.sha256(str(self.cache).encode()).hexdigest()[:3]}{self.slot}"

    def lab_name(self, slug: str) -> str:
        """Of a step's lab. A lab's name is short, and has no underscore; a file of scenarios may have a longer one."""
        return f"{self.short_name}-{slug.replace('_', '-')}"[:LONGEST_LAB_NAME].rstrip("-")

    def prepare(self) -> None:
        """Make the folders; take a place for staged copies that no other run uses at the same time."""
        for folder in (self.home, self.venvs, self.cache / "locks"):
            folder.mkdir(parents=True, exist_ok=True)
        scripts = self.home / ".ansible" / "test" / "cache"
        scripts.mkdir(parents=True, exist_ok=True)
        for core in CORES:
            (scripts / core.bootstrap).write_text(_PIP_BOOTSTRAP, encoding="utf-8")
        is_a_step = bool(os.environ.get(SLOT))
        self.slot = os.environ.get(SLOT) or self._free_slot()
        # The steps of a run are processes of their own, in the same place.
        os.environ[SLOT] = self.slot
        self.temporary = self.temporary / f"ringfence-{self.short_name}"
        if not is_a_step:
            # What a run that was killed left behind: a real etcd sets 128 MB aside for its log.
            self.forget_temporary_files()
            self.temporary.mkdir()
            self.temporary.chmod(0o1777)
        self.stages = self.cache / "stage" / self.slot
        self.logs = self.cache / "logs" / self.slot
        self.logs.mkdir(parents=True, exist_ok=True)

    def forget_temporary_files(self) -> None:
        """Remove what this run, or the last one in its place, left there."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _free_slot(self) -> str:
        number = next(iter(self.free_slots()), None)
        if number is None:
            sys.exit(f"no free place in {self.cache / 'locks'}")
        return number

    def free_slots(self) -> t.Iterator[str]:
        """The places that no other run uses; the last one that was asked for is held until this process ends."""
        (self.cache / "locks").mkdir(parents=True, exist_ok=True)
        for number in map(str, range(1, 100)):
            handle = open(self.cache / "locks" / f"stage-{number}", "w", encoding="utf-8")  # noqa: SIM115
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                handle.close()
                continue
            self._lock = handle
            yield number

    def share_pip_settings(self, pip: t.Sequence[str]) -> None:
        """Tell pip's settings (index, proxy, certificates) to ansible-test, which drops them with the environment."""
        listing = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=True).stdout
        settings = {}
        for line in listing.splitlines():
            found = re.fullmatch(r"(?:global|install|:env:)\.([a-z-]+)=(['\"])(.*)\2", line)
            if found:
                settings[found.group(1)] = found.group(3)
        target = self.home / ".config" / "pip" / "pip.conf"
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
            handle.write("[global]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(settings.items())))


class Venv(t.NamedTuple):
    """A virtual environment, named by what is in it."""

    name: str
    python: Python
    core: Core | None
    requirements: tuple[str, ...]

    def pins(self) -> list[str]:
        """All that pip is asked for."""
        pins = [f"ansible-core=={self.core.version}"] if self.core else []
        for name in self.requirements:
            lines = (CHECKOUT / "tests" / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            pins.extend(line for line in lines if line.strip() and not line.startswith("#"))
        return pins

    def path(self, places: Places) -> pathlib.Path:
        """Where it is kept: another Python or another pin gives another folder."""
        content = "\n".join([*self.python.enter, self.python.path, self.python.full, *self.pins()])
        return places.venvs / f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def bin(self, places: Places) -> pathlib.Path:
        """Its folder of commands."""
        return self.path(places) / "bin"

    def make(self, places: Places, command: t.Callable[..., str]) -> str:
        """Install it unless it is there."""
        path = self.path(places)
        complete = path / "complete"
        with lock(path.name):
            if complete.exists():
                note = "present"
            else:
                shutil.rmtree(path, ignore_errors=True)
                enter = self.python.enter
                command([*enter, self.python.path, "-m", "venv", str(path)])
                command([*enter, str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", *self.pins()])
                complete.touch()
                note = "installed"
        places.share_pip_settings([*self.python.enter, str(path / "bin" / "pip")])
        what = f"ansible-core {self.core.version} on " if self.core else ""
        return f"{note}: {what}Python {self.python.full}"


def checkout_files() -> list[str]:
    """What belongs to the collection: all files that git tracks or would track."""
    # The checkout may belong to another user than the one who tests it.
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        sys.exit(f"git does not tell the files of {CHECKOUT}: {listing.stderr.decode(errors='replace').strip()}")
    names = sorted(set(listing.stdout.decode().split("\0")) - {""})
    return [name for name in names if os.path.lexists(CHECKOUT / name)]


def stage(places: Places, purpose: str) -> pathlib.Path:
    """Bring a copy of the checkout to a path that ansible-test takes; return the copy's root.

    ansible-test refuses a symbolic link to the checkout and finds nothing in a folder of links. Each purpose has a
    copy of its own, so that steps can run at the same time. What ansible-test keeps in tests/output stays.
    """
    root = places.stages / purpose / "ansible_collections" / "ringfence" / "etcd"
    if root.exists():
        for entry in [*root.iterdir(), *(root / "tests").glob("*")]:
            if entry not in (root / "tests", root / "tests" / "output"):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name in checkout_files():
        source, target = CHECKOUT / name, root / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return root


def staging_root(root: pathlib.Path) -> pathlib.Path:
    """The folder that holds ansible_collections, for ANSIBLE_COLLECTIONS_PATH."""
    return root.parents[2]
