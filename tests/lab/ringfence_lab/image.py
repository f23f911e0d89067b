# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images: Debian trees made by mmdebstrap, kept under a name that is the hash of their recipe."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import typing as t
from dataclasses import asdict, dataclass

from . import system
from .errors import LabError

DEFAULT_RELEASE = "trixie"
# bullseye: nodes with Python 3.9, the oldest that the collection supports.
RELEASES = ("bullseye", "bookworm", "trixie", "forky")
# Debian's standard mirror, for machines that are not Debian themselves.
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What a minimal server has, and etcd as Debian packages it.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "etcd-client",
    "etcd-server",
    # A clock that is wrong, for a host's Python alone.
    "faketime",
    "iproute2",
    "iputils-ping",
    "libpam-systemd",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# An engine for containers: 190 MB, which only hosts have that are asked for it (Lab's ``packages``).
CONTAINER_PACKAGES = ("crun", "podman")
# Real applications of etcd: 410 MB.
APPLICATION_PACKAGES = ("patroni", "postgresql-17", "python3-etcd", "python3-etcd3gw")

# Runs on this machine with the tree as $1, as the last step.
# etcd: installed, not enabled. A host that has Debian's own service running is a variant (see Lab).
# The SSH host keys and the machine id are each host's own; apt settings of this machine don't belong in the tree.
CUSTOMIZE = r"""
set -eu
chroot "$1" systemctl disable etcd.service
chroot "$1" systemctl enable ssh.service
chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer dpkg-db-backup.timer console-getty.service getty@.service systemd-firstboot.service
chroot "$1" useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/admin"
chmod 0440 "$1/etc/sudoers.d/admin"
# The hosts have no way out: what scenarios install lies in a package source of their own (deb file:/srv/packages ./).
install -d -m 0755 "$1/srv/packages/partial"
chroot "$1" apt-get -qq -y --download-only -o Dir::Cache::archives=/srv/packages install python3-cryptography
chroot "$1" sh -eu -c 'cd /srv/packages
apt-get -qq -o APT::Sandbox::User=root download etcd-server etcd-client
rm -rf partial lock
for file in *.deb; do
  dpkg-deb --field "$file"
  echo "Filename: ./$file"
  echo "Size: $(stat -c %s "$file")"
  echo "SHA256: $(sha256sum "$file" | cut -d " " -f 1)"
  echo
done > Packages'
install -d -m 0700 "$1/root/.ssh"
install -d -m 0700 "$1/home/admin/.ssh"
chroot "$1" chown admin:admin /home/admin/.ssh
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/machine-id" "$1/var/lib/dbus/machine-id" "$1/etc/hostname" \
    "$1/etc/resolv.conf" "$1/etc/apt/apt.conf.d/99mmdebstrap"
"""

# A container's tree has nothing of this machine, and no name of its own.
_SLIM = r"""
set -eu
rm -f "$1/etc/machine-id" "$1/etc/hostname" "$1/etc/resolv.conf" "$1/etc/apt/apt.conf.d/99mmdebstrap"
"""

# apt settings of this machine without which its mirrors may be out of reach.
_APT_SETTINGS = re.compile(
    r"Acquire::(?:(?:https?|ftp)::(?:Proxy|Proxy-Auto-Detect|CaInfo|CaPath|Verify-Peer|Verify-Host)(?:::\S+)?"
    r"|Check-Valid-Until|Check-Date|Retries|ForceIPv4|ForceIPv6)\s",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in an image. Its hash is the image's name in the cache."""

    release: str = DEFAULT_RELEASE
    packages: tuple[str, ...] = PACKAGES
    customize: str = CUSTOMIZE
    architecture: str = platform.machine()

    @property
    def name(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.release}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def recipe_of(release: str, packages: t.Collection[str] = ()) -> Recipe:
    """A release's image, with more packages than any host has."""
    return Recipe(release=release, packages=tuple(sorted({*PACKAGES, *packages})) if packages else PACKAGES)


def slim(release: str) -> Recipe:
    """As Debian's image for containers (debian:trixie-slim): what is essential, apt, no documentation."""
    return Recipe(release=release, packages=("apt",), customize=_SLIM)


def standing_recipes() -> list[Recipe]:
    """Those whose images are kept, whether a lab uses them now or not."""
    return [
        *(recipe_of(release) for release in RELEASES),
        recipe_of(DEFAULT_RELEASE, CONTAINER_PACKAGES),
        recipe_of(DEFAULT_RELEASE, APPLICATION_PACKAGES),
        slim(DEFAULT_RELEASE),
    ]


def cache_folder() -> str:
    """Where all that can be made again lies: the machine's cache for root, the user's own for others."""
    by_hand = os.environ.get("RINGFENCE_LAB_CACHE")
    if by_hand:
        return os.path.abspath(by_hand)
    if os.geteuid() == 0:
        return "/var/cache/ringfence-lab"
    users = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(users, "ringfence-lab")


def images_folder() -> str:
    return os.path.join(cache_folder(), "images")


def tree_of(name: str) -> str:
    return os.path.join(images_folder(), name, "tree")


# ---------------------------------------------------------------------------- apt's configuration
def mirror_in_sources(text: str, codename: str) -> str | None:
    """The first URI of an apt source list (either format) that serves this release from a /debian path."""
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s", line.strip() + " ")
        if found and found[2] == codename and found[1].rstrip("/").endswith("/debian"):
            return found[1].rstrip("/")
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", stanza))
        if fields.get("Enabled", "yes").strip().lower() == "no" or "deb" not in fields.get("Types", "").split():
            continue
        if codename in fields.get("Suites", "").split():
            for uri in str(fields.get("URIs", "")).split():
                if uri.rstrip("/").endswith("/debian"):
                    return uri.rstrip("/")
    return None


def apt_options(apt_config_dump: str) -> list[str]:
    """The lines of ``apt-config dump`` that say how to reach a mirror (proxy, certificates, date checks)."""
    return [line.strip() for line in apt_config_dump.splitlines() if _APT_SETTINGS.match(line)]


def mirror() -> str:
    """Where packages come from: as set by hand, else as this machine's apt does it, else Debian's standard mirror."""
    by_hand = os.environ.get("RINGFENCE_LAB_MIRROR")
    if by_hand:
        return by_hand.rstrip("/")
    release = dict(
        line.split("=", 1) for line in (system.read_text("/etc/os-release") or "").splitlines() if "=" in line
    )
    if release.get("ID", "").strip('"') == "debian":
        folder = "/etc/apt/sources.list.d"
        paths = ["/etc/apt/sources.list"]
        if os.path.isdir(folder):
            paths += [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        for path in paths:
            found = mirror_in_sources(
                system.read_text(path) or "", release.get("VERSION_CODENAME", "").strip('"') or "sid"
            )
            if found:
                return found
    return DEFAULT_MIRROR


# ---------------------------------------------------------------------------- build and keep
def ensure_image(recipe: Recipe) -> str:
    """The name of the recipe's image; it is built first where the cache does not have it."""
    tree = tree_of(recipe.name)
    if not os.path.isdir(tree):
        os.makedirs(images_folder(), mode=0o755, exist_ok=True)
        with system.locked(os.path.join(images_folder(), f".{recipe.name}.lock")):
            if not os.path.isdir(tree):
                _build(recipe, os.path.dirname(tree))
    return recipe.name


def _build(recipe: Recipe, target: str) -> None:
    if not shutil.which("mmdebstrap"):
        raise LabError("mmdebstrap is missing, which makes the image: apt-get install mmdebstrap")
    if not os.path.exists(KEYRING):
        raise LabError(f"{KEYRING} is missing, which proves the packages: apt-get install debian-archive-keyring")
    source = mirror()
    system.say(f"image {recipe.name}: building from {source} (once; about half a minute)")
    staged = tempfile.mkdtemp(prefix=f".{recipe.name}.", dir=images_folder())
    try:
        script = os.path.join(staged, "customize")
        system.write_text(script, f"#!/bin/sh{recipe.customize}", mode=0o755)
        command = ["mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(recipe.packages)}"]
        command += [f"--aptopt={option}" for option in apt_options(_apt_config_dump())]
        command += ["--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*"]
        command += [f'--customize-hook={shlex.quote(script)} "$1"']
        command += [recipe.release, os.path.join(staged, "tree")]
        command += [f"deb [signed-by={KEYRING}] {source} {recipe.release} main"]
        log = os.path.join(images_folder(), f"{recipe.name}.log")
        _run_with_log(command, log)
        os.unlink(script)
        system.write_text(os.path.join(staged, "recipe.json"), json.dumps(asdict(recipe), indent=2, sort_keys=True))
        os.chmod(staged, 0o755)
        os.rename(staged, target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    system.say(f"image {recipe.name}: ready")


def _apt_config_dump() -> str:
    return system.run(["apt-config", "dump"]).stdout if shutil.which("apt-config") else ""


def _run_with_log(command: t.Sequence[str], log: str) -> None:
    """Run mmdebstrap with its output in a file and its main steps as progress."""
    lines: list[str] = []
    environment = {key: value for key, value in os.environ.items() if key != "TMPDIR"}
    with (
        open(log, "w", encoding="utf-8") as stream,
        subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                stream.write(line)
                lines.append(line.strip())
                step = re.match(r"I: ((?:running|downloading|extracting|installing|cleaning)\b.*)", line)
                if step:
                    system.say(f"  {step[1].rstrip('.')}")
        except BaseException:
            # Interrupted: mmdebstrap is in a session of its own, and takes its mounts away on SIGTERM.
            process.send_signal(signal.SIGTERM)
            raise
    if process.returncode != 0:
        wrong = [line for line in lines if line.startswith(("E:", "Err:", "W:"))] or lines[-3:]
        raise LabError(f"mmdebstrap could not build the image: {' | '.join(wrong[-4:])} (all of it: {log})")


def prune(kept: t.Collection[str], folder: str) -> list[str]:
    """Remove all of a cache's folder but what is named: also what interrupted builds left. Returns what was removed."""
    removed: list[str] = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        base = name.rpartition(".")[0] if name.endswith((".lock", ".log")) else name
        if base.lstrip(".") in kept:
            continue
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
            removed.append(name)
        else:
            os.unlink(path)
    return removed
