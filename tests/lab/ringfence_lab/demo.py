# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: what is missing gets installed, three hosts boot, the playbook runs, a stranger is refused."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import typing as t

from . import image, lab, system
from .errors import LabError
from .lab import Lab

LAB_NAME = "demo"
MINIMUM_PYTHON = (3, 10)
REQUIREMENTS = ("ansible-core >= 2.16", "cryptography >= 36.0.0")
PKI = "/etc/etcd/pki"


def repository() -> str:
    return os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


# ---------------------------------------------------------------------------- this machine
def find_python() -> str:
    """The interpreter for ansible-core: this one where it is new enough, else the newest on PATH."""
    if sys.version_info >= MINIMUM_PYTHON:
        return sys.executable
    for minor in range(20, MINIMUM_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    wanted = ".".join(str(part) for part in MINIMUM_PYTHON)
    raise LabError(
        f"Python {sys.version.split()[0]} is too old for ansible-core 2.16: the demo's controller needs Python "
        f"{wanted} or later"
    )


def install_packages(python: str) -> None:
    """Debian packages that the demo stands on."""
    packages = set(lab.missing_packages().values())
    if system.run([python, "-c", "import ensurepip, venv"], check=False).returncode != 0:
        packages.add("python3-venv")
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"missing: {', '.join(sorted(packages))}; the demo installs packages on Debian and Ubuntu only")
    system.say(f"installing {', '.join(sorted(packages))}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *sorted(packages)]
    for command in (install, ["apt-get", "update", "--quiet"], install):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if command is install and done.returncode == 0:
            return
        # The first try fails where the package lists are old or were never fetched.
        if command is not install:
            system.say("  fetched the package lists")
    wrong = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("E:")]
    raise LabError(f"{shlex.join(install)}: {' | '.join(wrong[:3]) or f'exit {done.returncode}'}")


def ensure_environment(python: str) -> str:
    """The ``bin`` folder of a virtual environment with ansible-core, kept in the cache."""
    version = system.run([python, "-c", "import sys; print(sys.version, sys.prefix)"]).stdout
    key = hashlib.sha256(repr((version, REQUIREMENTS)).encode()).hexdigest()[:12]
    folder = os.path.join(image.cache_folder(), f"controller-{key}")
    binaries, marker = os.path.join(folder, "bin"), os.path.join(folder, ".complete")
    os.makedirs(image.cache_folder(), exist_ok=True)
    with system.locked(f"{folder}.lock"):
        if not os.path.exists(marker):
            system.say("controller: ansible-core and cryptography into an environment of their own (once)")
            shutil.rmtree(folder, ignore_errors=True)
            system.run([python, "-m", "venv", folder], timeout_seconds=120)
            pip = [os.path.join(binaries, "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
            system.run(pip, timeout_seconds=900)
            system.write_text(marker, version)
    shown = system.run([os.path.join(binaries, "ansible-playbook"), "--version"]).stdout.splitlines()[0]
    system.say(f"controller: {shown}, Python {version.split()[0]}")
    return binaries


# ---------------------------------------------------------------------------- the lab
def stage_collection(chosen: Lab) -> str:
    """A folder in which Ansible finds this checkout as ringfence.etcd."""
    root = os.path.join(chosen.folder, "collections")
    link = os.path.join(root, "ansible_collections", "ringfence", "etcd")
    os.makedirs(os.path.dirname(link), exist_ok=True)
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(repository(), link)
    return root


def controller_environment(chosen: Lab, binaries: str) -> dict[str, str]:
    """The playbook's environment: the lab's collection, nothing of the user's Ansible configuration."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    configuration = os.path.join(chosen.folder, "ansible.cfg")
    system.write_text(configuration, "[defaults]\nnocows = true\nretry_files_enabled = false\n")
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": stage_collection(chosen),
        "ANSIBLE_CONFIG": configuration,
        "ANSIBLE_FORCE_COLOR": "1" if sys.stdout.isatty() else "0",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _show(title: str, command: t.Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command with its output on the terminal; its failure ends the demo."""
    print(f"\n== {title}", flush=True)
    done = subprocess.run(list(command), env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise LabError(f"{title}: exit {done.returncode}; the lab is left up to look at (make demo-down takes it away)")


def up() -> None:
    if os.geteuid() != 0:
        raise LabError("the demo needs root (it makes namespaces and mounts): run it by sudo")
    python = find_python()
    install_packages(python)
    binaries = ensure_environment(python)
    chosen = Lab(LAB_NAME, hosts=3)
    chosen.up()
    environment = controller_environment(chosen, binaries)
    playbook = os.path.join(repository(), "playbooks", "site.yml")
    if not os.path.exists(playbook):
        raise LabError(f"{playbook} is missing: this checkout is not whole")
    first = chosen.hosts[0]
    ansible = [os.path.join(binaries, "ansible-playbook"), "-i", chosen.inventory_path, playbook]
    _show("The playbook, over SSH", chosen.controller_command(ansible), environment)
    etcdctl = (
        f"etcdctl --endpoints=https://{first.address}:2379 --cacert={PKI}/ca.crt --cert={PKI}/{first.name}.crt "
        f"--key={PKI}/{first.name}.key endpoint status --cluster -w table"
    )
    _show(f"On {first.name}: {etcdctl}", chosen.ssh_command(first, etcdctl))
    stranger = os.path.join(repository(), "tests", "lab", "stranger.py")
    _show(
        "A stranger at the peer port",
        [os.path.join(binaries, "python"), stranger, "--name", LAB_NAME],
        environment,
    )
    print(_farewell(chosen), flush=True)


def _farewell(chosen: Lab) -> str:
    tool = os.path.relpath(os.path.join(repository(), "tests", "lab", "lab"))
    names = f"--name {chosen.name}"
    rows = [
        (f"{tool} ssh {names} etcd-1", "enter a host"),
        (f"{tool} status {names}", "what is there"),
        (f"{tool} fault {names} etcd-3 cut", "break something (more: fault --help)"),
        (f"{tool} run {names} -- COMMAND", "a command in the controller's place"),
        ("make demo", "the playbook again: nothing changes"),
        ("make demo-down", "take it all away"),
    ]
    width = max(len(command) for command, _text in rows)
    lines = ["", f"The lab is up, for playing with (inventory: {chosen.inventory_path}):"]
    return "\n".join([*lines, *(f"  {command:{width}}  {text}" for command, text in rows)])


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").strip())
    parser.add_argument("action", choices=("up", "down"))
    try:
        if parser.parse_args(arguments).action == "up":
            up()
        else:
            Lab(LAB_NAME).down()
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
