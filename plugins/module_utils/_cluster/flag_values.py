# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values with which etcd does not start, or takes no request, as far as the values themselves show it. Pure.

What etcd finds while it reads its flags (no number, no boolean, no URL) is not here: --version shows it, on the host,
for the very program. These it finds later, at its start. Read from etcd's source at v3.4.23, v3.5.16, v3.6.16 and
v3.7.3, and tried on each: ``embed/config.go`` (Validate, checkBindURLs), ``embed/config_logging.go`` (setupLogging),
``embed/etcd.go`` (parseCompactionRetention), ``client/pkg/logutil/log_level.go``, ``client/pkg/tlsutil`` and
``server/auth/store.go`` (NewTokenProvider). A rule is here only where it is the same in all of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import is_true

_Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

METRICS_FLAG = "listen-metrics-urls"
_LISTENERS = ("listen-peer-urls", "listen-client-urls")
# What etcd has where nobody says otherwise, in milliseconds.
_HEARTBEAT, _ELECTION = 100, 1000
_LONGEST_ELECTION = 50000
_LOG_LEVELS = ("debug", "info", "warn", "error", "panic", "fatal")
# Go's time.ParseDuration.
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)")
# Go's crypto/tls, TLS 1.2 and older; etcd 3.4 knows the first ones alone, and says so itself.
_SUITES = frozenset(
    f"TLS_{name}"
    for name in (
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        "ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "ECDHE_ECDSA_WITH_RC4_128_SHA",
        "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        "ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "ECDHE_RSA_WITH_RC4_128_SHA",
        "RSA_WITH_3DES_EDE_CBC_SHA",
        "RSA_WITH_AES_128_CBC_SHA",
        "RSA_WITH_AES_128_CBC_SHA256",
        "RSA_WITH_AES_128_GCM_SHA256",
        "RSA_WITH_AES_256_CBC_SHA",
        "RSA_WITH_AES_256_GCM_SHA384",
        "RSA_WITH_RC4_128_SHA",
        "AES_128_GCM_SHA256",
        "AES_256_GCM_SHA384",
        "CHACHA20_POLY1305_SHA256",
    )
)
# One of them is needed for HTTP/2, without which the client listener ends etcd (golang.org/x/net/http2).
_SUITES_OF_HTTP_2 = frozenset(f"TLS_ECDHE_{kind}_WITH_AES_128_GCM_SHA256" for kind in ("RSA", "ECDSA"))
_POSITIVE_DURATIONS = ("compact-hash-check-time", "experimental-compact-hash-check-time")


def why_not_started(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    """The first flag with a value with which etcd does not start, and what is wanted; None where all values are fine.

    ``flags``: all settings of etcd, by flag or by variable, in etcd's own names.
    """
    for rule in _RULES:
        found = rule(flags)
        if found is not None:
            return found
    return None


def _number(flags: t.Mapping[str, str], flag: str, otherwise: int) -> int | None:
    """A number as Go reads it; None for anything else, which etcd reports itself."""
    try:
        return int(flags[flag], 0) if flag in flags else otherwise
    except ValueError:
        return None


def _election(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    heartbeat = _number(flags, "heartbeat-interval", _HEARTBEAT)
    election = _number(flags, "election-timeout", _ELECTION)
    if heartbeat is None or election is None:
        return None
    for flag, value in (("heartbeat-interval", heartbeat), ("election-timeout", election)):
        if value <= 0:
            return flag, "a number of milliseconds above 0 is wanted"
    if 5 * heartbeat > election:
        flag = "heartbeat-interval" if "heartbeat-interval" in flags else "election-timeout"
        return flag, (
            f"--election-timeout ({election} ms) has to be at least 5 times --heartbeat-interval ({heartbeat} ms)"
        )
    if election > _LONGEST_ELECTION:
        return "election-timeout", f"at most {_LONGEST_ELECTION} milliseconds are taken"
    return None


def _compaction(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    if flags.get("auto-compaction-mode", "periodic") not in ("periodic", "revision"):
        return "auto-compaction-mode", "periodic or revision is wanted"
    retention = flags.get("auto-compaction-retention", "0")
    if not re.fullmatch(r"\+?[0-9]+", retention) and not _DURATION.fullmatch(retention):
        return "auto-compaction-retention", "a number, or a duration such as 12h or 30m, is wanted"
    return None


def _logging(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    if flags.get("logger", "zap") not in ("zap", "capnslog"):
        return "logger", "every version takes zap, and 3.4 alone capnslog"
    if flags.get("log-level", "info") not in _LOG_LEVELS:
        return "log-level", f"one of {', '.join(_LOG_LEVELS)} is wanted"
    outputs = flags.get("log-outputs", "default").split(",")
    if len(set(outputs)) > 1 and "default" in outputs:
        return "log-outputs", "default stands for itself alone: stderr can stand beside others"
    return None


def _metrics_urls(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    taken = [place for flag in _LISTENERS for place in map(_place, _listed(flags, flag)) if place is not None]
    for url in _listed(flags, METRICS_FLAG):
        try:
            parts = urllib.parse.urlsplit(url)
            place = _place(url)
        except ValueError:
            return METRICS_FLAG, "etcd listens at an IP address and a port, and not at a name"
        # Besides, etcd takes a socket in a file (types.NewURLs).
        if parts.scheme in ("unix", "unixs"):
            continue
        if place is None or parts.path not in ("", "/") or parts.query:
            return METRICS_FLAG, "a URL like http://10.0.0.1:2381 is wanted, with a port and no path"
        if any(_is_same_place(place, other) for other in taken):
            return METRICS_FLAG, "it is a place where etcd listens for peers or clients: take another port"
        if parts.scheme == "https" and not flags.get("cert-file") and not is_true(flags.get("auto-tls")):
            return METRICS_FLAG, "with https it has the certificate of the client port, and there is none: take http"
    return None


def _listed(flags: t.Mapping[str, str], flag: str) -> list[str]:
    return [url for url in flags.get(flag, "").split(",") if url]


def _place(url: str) -> tuple[_Address, int] | None:
    """Where a URL has etcd listen; None where no port is named, or no address. ValueError where it is a name."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.port is None:
        return None
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return ipaddress.ip_address(host), parts.port


def _is_same_place(one: tuple[_Address, int], other: tuple[_Address, int]) -> bool:
    """Whether two listeners are in each other's way. In Go all addresses of IPv6 are those of IPv4 as well."""
    addresses = one[0], other[0]
    return one[1] == other[1] and (addresses[0] == addresses[1] or any(each.is_unspecified for each in addresses))


def _limits(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    for flag in ("max-txn-ops", "max-request-bytes"):
        if _number(flags, flag, 1) == 0:
            return flag, "with 0 etcd would take no request"
    for flag in _POSITIVE_DURATIONS:
        value = flags.get(flag, "1m")
        if _DURATION.fullmatch(value) and (value.startswith("-") or not re.search("[1-9]", value)):
            return flag, "a duration above 0 is wanted"
    return None


def _suites(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    suites = set(filter(None, flags.get("cipher-suites", "").split(",")))
    unknown = sorted(suites - _SUITES)
    if unknown:
        return "cipher-suites", f"{unknown[0]} is none that Go knows"
    if suites and not suites & _SUITES_OF_HTTP_2:
        return "cipher-suites", f"{' or '.join(sorted(_SUITES_OF_HTTP_2))} has to be among them, for HTTP/2"
    return None


def _checkpoints(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    flag, needed = "experimental-enable-lease-checkpoint-persist", "experimental-enable-lease-checkpoint"
    if is_true(flags.get(flag)) and not is_true(flags.get(needed)):
        return flag, f"it needs --{needed}"
    return None


def _token(flags: t.Mapping[str, str]) -> tuple[str, str] | None:
    if flags.get("auth-token", "simple").split(",")[0] not in ("", "simple", "jwt"):
        return "auth-token", "simple, or jwt with its options, is wanted"
    return None


_RULES: tuple[t.Callable[[t.Mapping[str, str]], tuple[str, str] | None], ...] = (
    _election,
    _compaction,
    _logging,
    _metrics_urls,
    _limits,
    _suites,
    _checkpoints,
    _token,
)

__all__ = ("METRICS_FLAG", "why_not_started")
