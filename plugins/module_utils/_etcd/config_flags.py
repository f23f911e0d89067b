# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd's configuration file as the flags that say the same, and the names in it that etcd ignores in silence. Pure.

Where a configuration file is given, etcd takes nothing from flags and ETCD_* variables. A name that it does not know
is no error: a fence that is misspelt is no fence. Read from ``embed/config.go`` (Config, configJSON, securityConfig)
and ``etcdmain/config.go`` at v3.4.23, v3.5.12, v3.5.15, v3.5.35, v3.6.16 and v3.7.3.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import Entry, Values

CLIENT_SECTION, PEER_SECTION = "client-transport-security", "peer-transport-security"
# YAML's words for true, as etcd's reader takes them.
_TRUE = frozenset(("true", "yes", "on", "y"))
# In a section for TLS. Its names are those of the flags, but for the prefix of the peers' ones.
_SECTION_KEYS = (
    *("auto-tls", "cert-file", "client-cert-auth", "client-cert-file", "client-key-file", "key-file"),
    "trusted-ca-file",
)
_LISTS = {"allowed-cn": "cert-allowed-cn", "allowed-hostname": "cert-allowed-hostname"}
# Where a member is; of all others a value may be a list.
_PLACES = ("name", "data-dir", "wal-dir", "listen-peer-urls", "listen-client-urls", "initial-advertise-peer-urls")
_SKIP = "skip-client-san-verification"
# Names beside those sections, of any of these versions. Those of etcd 3.4 and older are here as well.
_NAMES = frozenset(
    (
        *("advertise-client-urls", "auth-token", "auth-token-ttl", "auto-compaction-mode"),
        *("auto-compaction-retention", "backend-batch-interval", "backend-batch-limit"),
        *("backend-bbolt-freelist-type", "bcrypt-cost", "bootstrap-defrag-threshold-megabytes", "cipher-suites"),
        *("compact-hash-check-time", "compaction-batch-limit", "compaction-sleep-interval", "corrupt-check-time"),
        *("cors", "data-dir", "debug", "discovery", "discovery-config", "discovery-fallback", "discovery-proxy"),
        *("discovery-srv", "discovery-srv-name", "distributed-tracing-address", "distributed-tracing-instance-id"),
        *("distributed-tracing-sampling-rate", "distributed-tracing-service-name", "downgrade-check-time"),
        *("election-timeout", "enable-distributed-tracing", "enable-grpc-gateway", "enable-log-rotation"),
        *("enable-pprof", "enable-v2", "fallback", "feature-gates", "force-new-cluster"),
        *("grpc-additional-server-options", "grpc-keepalive-interval", "grpc-keepalive-min-time"),
        *("grpc-keepalive-timeout", "heartbeat-interval", "host-whitelist", "initial-advertise-peer-urls"),
        *("initial-cluster", "initial-cluster-state", "initial-cluster-token", "initial-election-tick-advance"),
        *("listen-client-http-urls", "listen-client-urls", "listen-metrics-urls", "listen-peer-urls", "log-format"),
        *("log-level", "log-output", "log-outputs", "log-package-levels", "log-rotation-config-json", "logger"),
        *("max-concurrent-streams", "max-learners", "max-request-bytes", "max-snapshots", "max-txn-ops", "max-wals"),
        *("memory-mlock", "metrics", "name", "pre-vote", "proxy", "proxy-dial-timeout", "proxy-failure-wait"),
        *("proxy-read-timeout", "proxy-refresh-interval", "proxy-write-timeout", "quota-backend-bytes"),
        *("self-signed-cert-validity", "snapshot-catchup-entries", "snapshot-count", "socket-options"),
        *("strict-reconfig-check", "tls-max-version", "tls-min-version", "unsafe-no-fsync", "v2-deprecation"),
        *("wal-dir", "warning-apply-duration", "warning-unary-request-duration", "watch-progress-notify-interval"),
    )
)
_EXPERIMENTAL = (
    *("bootstrap-defrag-threshold-megabytes", "compact-hash-check-enabled", "compact-hash-check-time"),
    *("compaction-batch-limit", "compaction-sleep-interval", "corrupt-check-time", "distributed-tracing-address"),
    *("distributed-tracing-instance-id", "distributed-tracing-sampling-rate", "distributed-tracing-service-name"),
    *("downgrade-check-time", "enable-distributed-tracing", "enable-lease-checkpoint"),
    *("enable-lease-checkpoint-persist", "enable-v2v3", "initial-corrupt-check", "memory-mlock"),
    *("peer-skip-client-san-verification", "snapshot-catch-up-entries", "stop-grpc-service-on-defrag"),
    *("txn-mode-write-with-shared-buffer", "warning-apply-duration", "warning-unary-request-duration"),
    "watch-progress-notify-interval",
)
_KEYS = _NAMES | {f"experimental-{key}" for key in _EXPERIMENTAL}
# Flags that a file has under another name, or not at all.
_FLAGS_ALONE = (
    *("client-cert-allowed-hostname", "client-crl-file", "peer-crl-file", "raft-read-timeout", "raft-write-timeout"),
    *("peer-cert-allowed-cn", "peer-cert-allowed-hostname", "peer-skip-client-san-verification"),
    *("experimental-snapshot-catchup-entries", "socket-reuse-address", "socket-reuse-port"),
)
_KNOWN_FLAGS = frozenset((*_KEYS, *_FLAGS_ALONE, *_SECTION_KEYS, *(f"peer-{key}" for key in _SECTION_KEYS)))


@dataclass(frozen=True)
class ConfigSettings:
    """What a configuration file says, as a command line would. ``ignored``: names in it that no etcd knows."""

    deployed: Deployed
    ignored: tuple[str, ...]


def is_flag(name: str) -> bool:
    """Whether it is a flag of any etcd from 3.4 to 3.7: a variable of an image (ETCD_ROOT_PASSWORD) is none."""
    return name in _KNOWN_FLAGS


def settings_of_config(values: Values) -> ConfigSettings:
    """The settings in a configuration file; ValueError where a value is of another kind than etcd takes."""
    flags: dict[str, str] = {}
    ignored: list[str] = []
    lists: dict[str, list[str]] = {}
    for key, value in values.items():
        if key in (CLIENT_SECTION, PEER_SECTION):
            _take_section(key, value, flags, lists, ignored)
        elif key not in _KEYS:
            ignored.append(key)
        elif value is not None:
            flags[key] = value if isinstance(value, str) else _joined(key, value)
    deployed = deployed_from_arguments(["etcd", *(f"--{flag}={value}" for flag, value in flags.items())])
    # A flag is split at commas, an entry of a list is not.
    if "peer-cert-allowed-cn" in lists:
        deployed["allowed_common_names"] = lists["peer-cert-allowed-cn"]
    if "peer-cert-allowed-hostname" in lists:
        deployed["allowed_hostnames"] = lists["peer-cert-allowed-hostname"]
    return ConfigSettings(deployed, tuple(sorted(ignored)))


def _take_section(
    section: str,
    value: Entry | dict[str, Entry],
    flags: dict[str, str],
    lists: dict[str, list[str]],
    ignored: list[str],
) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise ValueError(f"{section} is not names and their values")
    prefix = "peer-" if section == PEER_SECTION else ""
    for key, found in value.items():
        if key in _LISTS:
            if found is None:
                continue
            if not isinstance(found, list):
                # etcd does not start with it.
                raise ValueError(f"{section}.{key} is no list")
            # An empty one is none.
            if found:
                lists[prefix + _LISTS[key]] = found
                flags[prefix + _LISTS[key]] = ",".join(found)
        elif key == _SKIP and prefix:
            flags[f"peer-{_SKIP}"] = _truth(found)
        elif key not in _SECTION_KEYS:
            ignored.append(f"{section}.{key}")
        elif found is not None:
            is_switch = key in ("auto-tls", "client-cert-auth")
            flags[prefix + key] = _truth(found) if is_switch else _text(f"{section}.{key}", found)


def _truth(value: Entry) -> str:
    return "true" if isinstance(value, str) and value.lower() in _TRUE else "false"


def _text(key: str, value: t.Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is something else than a text")
    return value


def _joined(key: str, value: list[str] | dict[str, Entry]) -> str:
    """A list of texts as a flag has it. What has names below it (socket-options) is none of those asked for here."""
    if key in _PLACES:
        raise ValueError(f"{key} is something else than a text")
    return ",".join(value)


__all__ = ("CLIENT_SECTION", "PEER_SECTION", "ConfigSettings", "is_flag", "settings_of_config")
