# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of this machine without which the package registries may be out of reach from a clean one."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from . import image, system
from .errors import LabError

# Environment variables, given as they are. In lower and in upper case: programs differ in which one they read.
PROXIES = ("all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy")
GO = ("GOINSECURE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB")
# Environment variables that name a file, which is copied to the same path.
CERTIFICATE_FILES = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
# pip's settings, from its files and its environment variables; those in PIP_FILES name a file.
PIP = (
    "cert",
    "client-cert",
    "default-timeout",
    "extra-index-url",
    "index-url",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
)
PIP_FILES = ("cert", "client-cert")
# Debian's place for CA certificates that the administrator trusts.
LOCAL_CA_FOLDER = "/usr/local/share/ca-certificates"

PROFILE = "etc/profile.d/this-machine.sh"
PIP_CONF = "etc/pip.conf"
APT_CONF = "etc/apt/apt.conf.d/90this-machine"


@dataclass(frozen=True)
class Settings:
    """What a clean machine gets: files with a text of their own, and copies of this machine's files."""

    files: t.Mapping[str, str]
    """Path inside the tree → text. They may hold a registry's password."""
    copies: tuple[str, ...]
    """Absolute paths on this machine, the same inside."""
    names: tuple[str, ...]
    """What was found, without the values: those may be secrets."""


def collect(
    environment: t.Mapping[str, str], go_env: str = "", pip_files: t.Sequence[str] = (), apt_dump: str = ""
) -> Settings:
    """The tables above, applied: to the environment, Go's env file, pip's files, ``apt-config dump``."""
    files: dict[str, str] = {}
    copies: list[str] = []
    names: list[str] = []

    variables = _variables(environment, go_env)
    if variables:
        files[PROFILE] = "".join(f"export {name}={_quoted(value)}\n" for name, value in sorted(variables.items()))
        copies += [value for name, value in variables.items() if name in CERTIFICATE_FILES]
        names += sorted(variables)

    pip = pip_settings(pip_files, environment)
    if pip:
        files[PIP_CONF] = "[global]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(pip.items()))
        copies += [value for name, value in pip.items() if name in PIP_FILES]
        names += [f"pip's {name}" for name in sorted(pip)]

    apt = image.apt_options(apt_dump)
    if apt:
        files[APT_CONF] = "".join(f"{line}\n" for line in apt)
        copies += re.findall(r'(?im)^Acquire::https?::CaInfo(?:::\S+)? "([^"]+)";', files[APT_CONF])
        names += [f"apt's {line.split()[0]}" for line in apt]
    return Settings(files, tuple(sorted({path for path in copies if path.startswith("/")})), tuple(names))


def _variables(environment: t.Mapping[str, str], go_env: str) -> dict[str, str]:
    stored = dict(line.split("=", 1) for line in go_env.splitlines() if "=" in line)
    found = {name: stored[name] for name in GO if stored.get(name)}
    wanted = [*PROXIES, *(name.upper() for name in PROXIES), *GO, *CERTIFICATE_FILES]
    found.update({name: environment[name] for name in wanted if environment.get(name)})
    return found


def pip_settings(pip_files: t.Sequence[str], environment: t.Mapping[str, str]) -> dict[str, str]:
    """Those of the table, as pip itself takes them: a later file wins, the environment wins over all."""
    found: dict[str, str] = {}
    for section in ("global", "install"):
        for text in pip_files:
            parser = configparser.RawConfigParser()
            try:
                parser.read_string(text)
            except configparser.Error as error:
                raise LabError(f"a configuration file of pip can't be read: {error}") from error
            if parser.has_section(section):
                found.update(parser.items(section))
    for name in PIP:
        value = environment.get(f"PIP_{name.upper().replace('-', '_')}")
        if value:
            found[name] = value
    # Several values of one setting may stand on lines of their own.
    return {name: " ".join(value.split()) for name, value in found.items() if name in PIP and value.strip()}


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def of_this_machine() -> Settings:
    """All that is set here; nothing on a machine without such settings."""
    home = os.path.expanduser("~")
    go_env = os.environ.get("GOENV") or os.path.join(home, ".config", "go", "env")
    pip_paths = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", f"{home}/.pip/pip.conf", f"{home}/.config/pip/pip.conf"]
    pip_paths.append(os.environ.get("PIP_CONFIG_FILE", ""))
    apt = system.run(["apt-config", "dump"]).stdout if shutil.which("apt-config") else ""
    pip_files = [system.read_text(path) or "" for path in pip_paths]
    return collect(os.environ, system.read_text(go_env) or "", pip_files, apt)


def local_certificates(folder: str = LOCAL_CA_FOLDER) -> list[str]:
    """CA certificates that this machine's administrator added to Debian's."""
    found = [
        os.path.join(path, name) for path, _folders, names in os.walk(folder) for name in names if name.endswith(".crt")
    ]
    return sorted(found)
