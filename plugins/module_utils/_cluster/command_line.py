# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What etcd's command line and its variables say, read as etcd reads them: flags, defaults, what is warned of. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_command, unit_environment

# The code of the warning about a setting that is given by a flag and by a variable.
SET_TWICE = "set_twice"

# etcd's flags of type bool (3.4 to 3.7): Go takes the next word as a value for every other flag.
_BOOLEAN_FLAGS = frozenset(
    (
        "auto-tls",
        "client-cert-auth",
        "debug",
        "enable-distributed-tracing",
        "enable-grpc-gateway",
        "enable-log-rotation",
        "enable-pprof",
        "enable-v2",
        "experimental-compact-hash-check-enabled",
        "experimental-enable-distributed-tracing",
        "experimental-enable-lease-checkpoint",
        "experimental-enable-lease-checkpoint-persist",
        "experimental-initial-corrupt-check",
        "experimental-memory-mlock",
        "experimental-peer-skip-client-san-verification",
        "experimental-stop-grpc-service-on-defrag",
        "experimental-txn-mode-write-with-shared-buffer",
        "force-new-cluster",
        "h",
        "help",
        "initial-election-tick-advance",
        "memory-mlock",
        "peer-auto-tls",
        "peer-client-cert-auth",
        "peer-skip-client-san-verification",
        "pre-vote",
        "socket-reuse-address",
        "socket-reuse-port",
        "strict-reconfig-check",
        "unsafe-no-fsync",
        "version",
    )
)

# Go's strconv.ParseBool takes these, and nothing else.
_GO_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_GO_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))

# Names in a Deployed's ``files`` and the flags they come from.
_FILE_FLAGS = (
    "cert-file",
    "client-crl-file",
    "key-file",
    "peer-cert-file",
    "peer-crl-file",
    "peer-key-file",
    "peer-trusted-ca-file",
    "trusted-ca-file",
)
_SKIP_SAN_FLAGS = ("peer-skip-client-san-verification", "experimental-peer-skip-client-san-verification")


class Deployed(t.TypedDict):
    """What an etcd command line says. ``flags`` has them all; the rest is what this collection asks about most."""

    program: str | None
    member_name: str
    data_dir: str
    allowed_common_names: list[str]
    allowed_hostnames: list[str]
    initial_cluster: dict[str, str]
    peer_urls: list[str]
    listen_peer_urls: list[str]
    client_urls: list[str]
    listen_client_urls: list[str]
    files: dict[str, str | None]
    flags: dict[str, str]
    warnings: list[Reason]


def deployed_from_text(
    text: str, from_files: t.Mapping[str, str] | None = None, inherited: t.Mapping[str, str] | None = None
) -> Deployed | None:
    """The settings of the etcd that a unit text starts; None where the text has no ExecStart= in [Service].

    ``from_files``: the variables of its environment files, which win over those in the text (systemd.exec(5)).
    """
    environment = unit_environment(text, from_files, inherited)
    arguments = exec_command(text, environment)
    return deployed_from_arguments(arguments, environment) if arguments else None


def deployed_from_arguments(argv: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Deployed:
    """What an etcd command line (the program first) says, read as etcd from 3.5.15 on reads it.

    ``environment`` may hold ETCD_* variables: etcd takes them for flags that are not given and skips empty ones.
    """
    flags = _flags_of(argv[1:])
    given = set(flags)
    twice: list[str] = []
    for name, value in (environment or {}).items():
        flag = name[len("ETCD_") :].lower().replace("_", "-")
        if name.startswith("ETCD_") and flag and value:
            if flag in given:
                twice.append(name)
            else:
                flags[flag] = value
    name = flags.get("name", "default")
    listen_peer = _comma_list(flags.get("listen-peer-urls", "http://localhost:2380"))
    listen_client = _comma_list(flags.get("listen-client-urls", "http://localhost:2379"))
    return {
        "program": argv[0] if argv else None,
        "member_name": name,
        "data_dir": flags.get("data-dir", f"{name}.etcd"),
        "allowed_common_names": _allowed(flags, "peer-cert-allowed-cn"),
        "allowed_hostnames": _allowed(flags, "peer-cert-allowed-hostname"),
        "initial_cluster": _initial_cluster(flags.get("initial-cluster", "")),
        "peer_urls": _comma_list(flags["initial-advertise-peer-urls"])
        if "initial-advertise-peer-urls" in flags
        else list(listen_peer),
        "listen_peer_urls": listen_peer,
        "client_urls": _comma_list(flags["advertise-client-urls"]) if "advertise-client-urls" in flags else [],
        "listen_client_urls": listen_client,
        "files": {flag.replace("-", "_"): flags.get(flag) or None for flag in _FILE_FLAGS},
        "flags": dict(sorted(flags.items())),
        "warnings": [*_warnings(flags), *map(_set_twice, sorted(twice))],
    }


def is_true(value: str | None) -> bool:
    """Whether etcd takes a boolean flag's value for true, in whatever spelling; a flag that is not given is not."""
    return value in _GO_TRUE


def plain_flag(flag: str, value: str) -> str:
    """A flag's value in one spelling: those that etcd takes for true and false are many."""
    if flag in _BOOLEAN_FLAGS and value in (*_GO_TRUE, *_GO_FALSE):
        return "true" if value in _GO_TRUE else "false"
    return value


def _set_twice(variable: str) -> Reason:
    flag = variable[len("ETCD_") :].lower().replace("_", "-")
    text = f"{variable} stands beside --{flag}: etcd ends at once where both are given, so leave one of them out"
    return {"code": SET_TWICE, "text": text}


def _flags_of(words: t.Sequence[str]) -> dict[str, str]:
    """Flag → value as Go's flag package reads them: one or two dashes, the last one given wins."""
    flags: dict[str, str] = {}
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if len(word) < 2 or not word.startswith("-") or word == "--":
            break
        name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
        if not equals:
            if name in _BOOLEAN_FLAGS or index >= len(words):
                value = "true"
            else:
                value = words[index]
                index += 1
        flags[name] = value
    return flags


def _comma_list(value: str) -> list[str]:
    return [entry for entry in value.split(",") if entry]


def _allowed(flags: t.Mapping[str, str], flag: str) -> list[str]:
    """Exactly etcd's reading: split at commas, nothing trimmed; the empty text is a list of one empty name."""
    return flags[flag].split(",") if flag in flags else []


def _initial_cluster(value: str) -> dict[str, str]:
    members: dict[str, list[str]] = {}
    for entry in value.split(","):
        name, equals, url = entry.strip().partition("=")
        if equals:
            members.setdefault(name, []).append(url)
    return {name: ",".join(sorted(urls)) for name, urls in members.items()}


def _warnings(flags: t.Mapping[str, str]) -> list[Reason]:
    found: list[Reason] = []

    def warn(code: str, text: str) -> None:
        found.append({"code": code, "text": text})

    if flags.get("config-file"):
        warn("config_file", f"--config-file={flags['config-file']} makes etcd ignore every other flag: use flags only")
    for flag in _SKIP_SAN_FLAGS:
        if flags.get(flag) in _GO_TRUE:
            warn("address_check_off", f"--{flag} switches the check of a peer's address off: remove it")
    if "peer-cert-allowed-cn" in flags:
        names = _allowed(flags, "peer-cert-allowed-cn")
        if names == [""]:
            warn("allowed_common_names_empty", "--peer-cert-allowed-cn is empty: etcd refuses every peer with a CN")
        elif "" in names:
            warn(
                "allowed_common_names_hole",
                f"--peer-cert-allowed-cn={flags['peer-cert-allowed-cn']} "
                "has an empty entry: a certificate without a CN is let in",
            )
        if any(name != name.strip() for name in names):
            warn(
                "allowed_common_names_spaces",
                f"--peer-cert-allowed-cn={flags['peer-cert-allowed-cn']!r} has spaces, which etcd does not trim",
            )
        if not flags.get("peer-trusted-ca-file"):
            warn(
                "no_peer_trust_bundle",
                "--peer-cert-allowed-cn without --peer-trusted-ca-file checks nobody who connects: name the CA file",
            )
    return found


__all__ = (
    "SET_TWICE",
    "Deployed",
    "deployed_from_arguments",
    "deployed_from_text",
    "is_true",
    "plain_flag",
)
