# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: what is missing gets installed, three hosts boot, the playbook runs, a stranger is refused.

Where this machine gives no hosts (no root, no namespaces) the three members run on its loopback instead.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing as t

from . import etcd, image, network, surroundings, system
from .errors import LabError
from .lab import Lab
from .loopback import MEMBERS, Loopback, find_programs

LAB_NAME = "demo"
# Chooses the kind of demo: "lab" or "loopback"; without it, hosts where they can be had.
KIND_VARIABLE = "RINGFENCE_DEMO"
# The etcd that loopback gets where none is on PATH: as on the lab's hosts.
ETCD_VERSION = "3.5.16"
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


def why_no_hosts() -> str | None:
    """Why the demo can't have hosts of its own here, None where it can; installs what only they need."""
    kind = os.environ.get(KIND_VARIABLE, "")
    if kind not in ("", "lab", "loopback"):
        raise LabError(f"{KIND_VARIABLE}={kind}: give lab, loopback or nothing")
    if kind == "loopback":
        return f"{KIND_VARIABLE}=loopback"
    try:
        surroundings.check_namespaces()
        install_packages(set(surroundings.missing_packages().values()))
        surroundings.check_machine()
    except LabError as error:
        if kind == "lab":
            raise
        return str(error)
    return None


def install_packages(packages: set[str]) -> None:
    """Debian packages that the demo stands on."""
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"missing: {', '.join(sorted(packages))}; the demo installs packages on Debian and Ubuntu only")
    if os.geteuid() != 0:
        raise LabError(f"missing: {', '.join(sorted(packages))}; as root: apt-get install {' '.join(sorted(packages))}")
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
    if system.run([python, "-c", "import ensurepip, venv"], check=False).returncode != 0:
        install_packages({"python3-venv"})
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


def ensure_etcd() -> tuple[str, str]:
    """``etcd`` and ``etcdctl``: those on PATH, else from a release archive or Go's modules, else Debian's packages."""
    sources: tuple[t.Callable[[], str | None], ...] = (
        lambda: None,
        lambda: os.path.join(etcd.ensure_programs(ETCD_VERSION), etcd.PROGRAMS_FOLDER),
        unpack_packages,
    )
    problems = []
    for source in sources:
        try:
            return find_programs(source())
        except LabError as error:
            problems.append(str(error))
    raise LabError(f"the demo needs etcd and etcdctl, put them on PATH. What was tried: {'; '.join(problems)}")


def unpack_packages() -> str:
    """The ``bin`` folder of Debian's packages of etcd. They are unpacked, not installed, which needs no root."""
    folder = os.path.join(image.cache_folder(), "etcd-packages")
    os.makedirs(image.cache_folder(), exist_ok=True)
    with system.locked(f"{folder}.lock"):
        if not os.path.isdir(folder):
            _unpack_packages(folder)
    return os.path.join(folder, "usr", "bin")


def _unpack_packages(folder: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LabError("there is no apt-get to fetch Debian's packages with")
    system.say("etcd: fetching Debian's packages (once)")
    with tempfile.TemporaryDirectory(prefix=".etcd-packages.", dir=image.cache_folder()) as staged:
        tree = os.path.join(staged, "tree")
        os.makedirs(tree)
        _download_packages(staged)
        for name in sorted(os.listdir(staged)):
            if name.endswith(".deb"):
                system.run(["dpkg-deb", "--extract", os.path.join(staged, name), tree])
        # What is too old is not kept: the next release of Debian has a newer one.
        find_programs(os.path.join(tree, "usr", "bin"))
        os.rename(tree, folder)


def _download_packages(folder: str) -> None:
    """By the package lists of this machine; by lists of our own where those are old, or were never fetched."""
    options = [
        f"--option=Dir::State::Lists={folder}/lists",
        f"--option=Dir::Cache={folder}/cache",
        # Else root's apt-get hands over to a user that can't get into this folder.
        "--option=APT::Sandbox::User=",
    ]
    download = ["download", "--quiet", "etcd-server", "etcd-client"]
    there: dict[str, t.Any] = {"timeout_seconds": 300, "folder": folder}
    if system.run(["apt-get", options[-1], *download], check=False, **there).returncode != 0:
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(folder, name))
        for words in (["update", "--quiet"], download):
            system.run(["apt-get", *options, *words], **there)


# ---------------------------------------------------------------------------- what both kinds do
def stage_collection(folder: str) -> str:
    """A folder in which Ansible finds this checkout as ringfence.etcd."""
    root = os.path.join(folder, "collections")
    link = os.path.join(root, "ansible_collections", "ringfence", "etcd")
    os.makedirs(os.path.dirname(link), exist_ok=True)
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(repository(), link)
    return root


def controller_environment(folder: str, binaries: str) -> dict[str, str]:
    """The playbook's environment: this collection, nothing of the user's Ansible configuration."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    configuration = os.path.join(folder, "ansible.cfg")
    system.write_text(configuration, "[defaults]\nnocows = true\nretry_files_enabled = false\n")
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": stage_collection(folder),
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
        raise LabError(f"{title}: exit {done.returncode}; all is left up to look at (make demo-down takes it away)")


def _file(*parts: str) -> str:
    path = os.path.join(repository(), *parts)
    if not os.path.exists(path):
        raise LabError(f"{path} is missing: this checkout is not whole")
    return path


def _table(rows: t.Sequence[tuple[str, str]]) -> str:
    width = max(len(command) for command, _text in rows)
    return "\n".join(f"  {command:{width}}  {text}" for command, text in rows)


def up() -> None:
    reason = why_no_hosts()
    if reason is not None:
        system.say(f"no hosts, but three members on this machine's loopback: {reason}")
    binaries = ensure_environment(find_python())
    if reason is None:
        up_on_hosts(binaries)
    else:
        up_on_loopback(Loopback(loopback_folder()), binaries)


def down() -> None:
    """Whichever kind is up, or both."""
    cluster = Loopback(loopback_folder())
    if os.path.isdir(cluster.folder):
        stopped = cluster.remove()
        system.say(f"the members on loopback are stopped ({', '.join(stopped) or 'none ran'}), their files removed")
    if os.geteuid() == 0:
        Lab(LAB_NAME).down()
    elif LAB_NAME in network.labs_present():
        raise LabError("a demo with hosts of its own is up, which is root's: sudo make demo-down")


# ---------------------------------------------------------------------------- three hosts
def up_on_hosts(binaries: str) -> None:
    chosen = Lab(LAB_NAME, hosts=3)
    chosen.up()
    environment = controller_environment(chosen.folder, binaries)
    playbook = _file("playbooks", "site.yml")
    first = chosen.hosts[0]
    ansible = [os.path.join(binaries, "ansible-playbook"), "-i", chosen.inventory_path, playbook]
    _show("The playbook, over SSH", chosen.controller_command(ansible), environment)
    etcdctl = (
        f"etcdctl --endpoints=https://{first.address}:2379 --cacert={PKI}/ca.crt --cert={PKI}/{first.name}.crt "
        f"--key={PKI}/{first.name}.key endpoint status --cluster -w table"
    )
    _show(f"On {first.name}: {etcdctl}", chosen.ssh_command(first, etcdctl))
    stranger = [os.path.join(binaries, "python"), _file("tests", "lab", "stranger.py"), "--name", LAB_NAME]
    _show("A stranger at the peer port", stranger, environment)
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
    return f"\nThe lab is up, for playing with (inventory: {chosen.inventory_path}):\n{_table(rows)}"


# ---------------------------------------------------------------------------- loopback
def loopback_folder() -> str:
    return os.path.join(image.cache_folder(), "demo-loopback")


def up_on_loopback(cluster: Loopback, binaries: str) -> None:
    with system.locked(f"{cluster.folder}.lock"):
        cluster.prepare(ensure_etcd)
        environment = {
            **controller_environment(cluster.folder, binaries),
            # All that Ansible keeps goes with the cluster.
            "ANSIBLE_HOME": os.path.join(cluster.folder, "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_REMOTE_TEMP": os.path.join(cluster.folder, "ansible", "tmp"),
        }
        playbook = [os.path.join(binaries, "ansible-playbook"), "-i", os.devnull, "-e", f"@{cluster.settings_path}"]
        _show("The playbook, without root", [*playbook, _file("tests", "lab", "loopback.yml")], environment)
        started = cluster.start()
        cluster.wait_healthy()
    system.say(f"started from their units: {', '.join(started)}" if started else "the members run, none was started")
    etcdctl = cluster.etcdctl_command("endpoint", "status", "--cluster", "-w", "table")
    _show(shlex.join(etcdctl), etcdctl)
    stranger = [os.path.join(binaries, "python"), _file("tests", "lab", "stranger.py"), "--loopback", cluster.folder]
    _show("A stranger at the peer port", stranger, environment)
    first = os.path.join(cluster.folder, MEMBERS[0].name)
    rows = [
        (os.path.join(first, f"{MEMBERS[0].name}.service"), "a member's unit, as the role wrote it"),
        (os.path.join(first, "etcd.log"), "what the member logs"),
        ("make demo", "the playbook again: nothing changes"),
        ("make demo-down", "stop the members, take it all away"),
    ]
    print(f"\nThe cluster is up:\n{_table(rows)}", flush=True)


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").strip())
    parser.add_argument("action", choices=("up", "down"))
    try:
        if parser.parse_args(arguments).action == "up":
            up()
        else:
            down()
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
