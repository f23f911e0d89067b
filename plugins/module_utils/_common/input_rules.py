# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user may write as a name, a path or a number: one validator for each kind. Pure.

The input validation on the controller and the modules on their hosts ask the same functions. Each gives the value back,
or raises InputError with one line that begins with ``what``: the option, or whose it is.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

IPAddress = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

# RFC 5280 appendix A.1: ub-common-name.
COMMON_NAME_LIMIT = 64
_MEMBER_NAME_LIMIT = 200
_DNS_NAME_LIMIT = 253
_UNIT_NAME_LIMIT = 255

# Least and most of what is given as a number.
VALIDITY_DAYS = (1, 36500)
RENEW_BEFORE_DAYS = (0, 36499)
BACKDATE_MINUTES = (0, 1440)
TIMEOUT_SECONDS = (1, 86400)
WAIT_SECONDS = (0, 86400)
PROBE_SECONDS = (0.5, 60)
DAYS_LEFT = (0, 36500)
PORTS = (1, 65535)

# A member's name is a file's name, a flag's value, and a key of --initial-cluster, where "=" and "," separate.
_MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# RFC 1123 section 2.1: letters, digits and inner hyphens; RFC 1035 section 2.3.4: 63 octets a label.
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_UNIT_NAME = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]+(?<!@)\.service")
# What the system's own files of users and groups can hold, and systemd reads back.
_ACCOUNT = re.compile(r"(?![-.\s])[^\s:/,\x00-\x1f\x7f][^:/,\x00-\x1f\x7f]{0,254}(?<!\s)")
# An inventory host, as a part of a file's name.
_HOST = re.compile(r"[^\s/@\x00-\x1f\x7f]{1,253}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_URL = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
# The other programs of an archive, which go beside etcd.
_OTHER_PROGRAMS = ("etcdctl", "etcdutl")


def check_range(what: str, value: float, least: float, most: float) -> None:
    """InputError where a number is out of its range."""
    if not least <= value <= most:
        raise InputError(f"{what} is {value}: give {least} to {most}")


def checked_member_name(value: str, what: str) -> str:
    if not _MEMBER_NAME.fullmatch(value) or len(value) > _MEMBER_NAME_LIMIT:
        shown = value if len(value) <= _MEMBER_NAME_LIMIT else f"{value[:40]}…"
        raise InputError(
            f"{what} {shown!r} can't be a file's name and a member's: a name of letters, digits, '.', '_' and '-' is "
            f"wanted, with a letter or digit first, {_MEMBER_NAME_LIMIT} characters at most"
        )
    if value.lower() == "ca":
        raise InputError(
            f"{what} {value!r} can't be a file's name and a member's: it would share ca.crt and ca.key with the CA"
        )
    return value


def checked_client_id(value: str, what: str) -> str:
    """A client's name, alone or with the host that it is on: ``patroni@db-1``. No member's name has an ``@``."""
    name, mark, host = value.partition("@")
    checked_member_name(name, what)
    if mark and not _HOST.fullmatch(host):
        raise InputError(
            f"{what} {value[:300]!r}: behind the @ the name of an inventory host is wanted, without slashes"
        )
    return value


def checked_key_mode(value: str, what: str) -> int:
    """The mode of a private key as users write it (``0600``): never anything for everybody, no writing for others."""
    digits = value[2:] if value.startswith("0o") else value
    mode = int(digits, 8) if re.fullmatch(r"0?[0-7]{3}", digits) else -1
    if mode not in (0o400, 0o440, 0o600, 0o640):
        raise InputError(f"{what}: {value!r} is no mode for a private key: give '0600', '0640', '0400' or '0440'")
    return mode


def checked_common_name(value: str, what: str, of_authority: bool = False) -> str:
    """A common name that X.509 takes. A member's is also in etcd's list: without a comma, and in ASCII."""
    # RFC 5280 counts characters, cryptography counts bytes.
    length = len(value.encode("utf-8", "surrogatepass"))
    if not value:
        raise InputError(f"{what} is empty: give one of 1 to {COMMON_NAME_LIMIT} characters")
    if length > COMMON_NAME_LIMIT:
        count = f"{length} characters" if length == len(value) else f"{length} bytes in UTF-8"
        raise InputError(f"{what} '{value}' has {count}, X.509 allows {COMMON_NAME_LIMIT}: give a shorter one")
    if "," in value and not of_authority:
        raise InputError(f"{what} '{value}' has a comma, which etcd would read as two names: leave it out")
    if value != value.strip() or not value.isprintable():
        raise InputError(f"{what} {value!r} has a space at its edge or a character that can't be printed: take it out")
    if not value.isascii() and not of_authority:
        raise InputError(f"{what} {value!r} has characters other than printable ASCII: write it without")
    return value


def may_be_listed(common_name: str) -> bool:
    """Whether a list of allowed common names can have this one, and means just this one by it."""
    try:
        checked_common_name(common_name, "the common name")
    except InputError:
        return False
    return True


def is_dns_name(text: str) -> bool:
    """Whether a text is a DNS name by RFC 1123; one whose last label is a number is not (a mistyped IPv4 address).

    No wildcard: a certificate with one would serve in another member's place.
    """
    labels = text.split(".")
    return (
        len(text) <= _DNS_NAME_LIMIT and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    )


def checked_dns_name(value: str, what: str) -> str:
    if not is_dns_name(value):
        raise InputError(
            f"{what} '{value[:300]}' is no DNS name: letters, digits, inner hyphens and dots, labels of 1 to 63 "
            "characters, 253 in all, no wildcard (an internationalized name in its xn-- form)"
        )
    return value


def checked_path(value: str, what: str, home_allowed: bool = False) -> str:
    """An absolute path; with ``home_allowed`` also one below somebody's home (``~``), which its host makes absolute."""
    if not (os.path.isabs(value) or (home_allowed and value.startswith("~"))) or "\0" in value:
        raise InputError(f"{what}: {value} is not an absolute path: write it from / on")
    return value


def checked_program_path(value: str, what: str) -> str:
    """Where an archive's etcd may go, with its other programs beside it."""
    if not os.path.isabs(value) or os.path.basename(value) in ("", *_OTHER_PROGRAMS):
        raise InputError(f"{what}: {value!r} is no path for etcd's program: write it like /usr/local/bin/etcd")
    return value


def checked_report_path(value: str, what: str, ending: str = "", on_host: bool = False) -> str:
    """A file on the controller, or on a host, where there is no folder that a short path could begin in."""
    if on_host:
        checked_path(value, what)
    if value.endswith("/") or not value.isprintable() or not value.endswith(ending):
        wanted = f"a name that ends in {ending}" if ending else "a file's name"
        raise InputError(f"{what}: {value!r} is no path for it: {wanted} is wanted")
    return value


def checked_unit_name(value: str, what: str) -> str:
    """The name of a service that systemd can start: no template without its instance."""
    if not _UNIT_NAME.fullmatch(value) or len(value) > _UNIT_NAME_LIMIT:
        raise InputError(f"{what}: {value!r} is no service's name: write it like etcd.service")
    return value


def checked_fingerprint(value: str, what: str) -> str:
    """A certificate's SHA-256 fingerprint in lower-case hex without colons, however it is written."""
    text = value.strip().lower().replace(":", "")
    if not is_sha256(text):
        raise InputError(f"{what}: {value[:100]!r} is no SHA-256 fingerprint (64 hex digits, colons allowed)")
    return text


def checked_account(value: str, what: str) -> str:
    """The name or number of a user or a group."""
    if not _ACCOUNT.fullmatch(value):
        raise InputError(f"{what}: {value!r} is no name of a user or a group: write it like etcd")
    return value


def checked_port(value: t.Any, what: str) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = 0
    if not PORTS[0] <= port <= PORTS[1]:
        raise InputError(f"{what} is {value!r}: a port from {PORTS[0]} to {PORTS[1]} is wanted")
    return port


def checked_serial_number(value: str, what: str) -> str:
    """A serial number as all results show it, however it was written: with colons, spaces, 0x or in upper case."""
    text = re.sub(r"[:\s]", "", value).lower()
    text = text[2:] if text.startswith("0x") else text
    if not re.fullmatch(r"[0-9a-f]{1,64}", text):
        raise InputError(f"{what} {value[:80]!r} is no serial number: hexadecimal digits are wanted, colons allowed")
    digits = text.lstrip("0") or "0"
    return "0" * (len(digits) % 2) + digits


def is_sha256(value: str) -> bool:
    return _SHA256.fullmatch(value) is not None


def is_url(archive: str) -> bool:
    return _URL.match(archive) is not None


def shown_url(url: str) -> str:
    """A URL without the user and password in it, and without a query, which may be a token."""
    return re.sub(r"^([a-zA-Z]+://)[^/@]*@", r"\1", url).partition("?")[0]


def checked_archive(value: str, what: str) -> str:
    """The address of a release archive: a path, or a URL of a kind that a host can fetch."""
    if "://" in value and not is_url(value):
        raise InputError(
            f"{what}: {value.partition('://')[0]}:// is not known: give "
            "an http, https or ftp URL, or a path on the controller"
        )
    return value


def why_no_archive(archive: str, sha256: str) -> str | None:
    """What lacks of an archive that is to be installed: what is fetched and run as a service is known by its sum."""
    if archive and is_sha256(sha256):
        return None
    return (
        "etcd_peer_tls_install is archive, which needs etcd_peer_tls_archive (a path or URL, found "
        f"{shown_url(archive) or 'none'}) and etcd_peer_tls_archive_sha256 (64 hexadecimal digits, found "
        f"{sha256 or 'none'})"
    )


__all__ = (
    "BACKDATE_MINUTES",
    "COMMON_NAME_LIMIT",
    "DAYS_LEFT",
    "PROBE_SECONDS",
    "RENEW_BEFORE_DAYS",
    "TIMEOUT_SECONDS",
    "VALIDITY_DAYS",
    "WAIT_SECONDS",
    "IPAddress",
    "check_range",
    "checked_account",
    "checked_archive",
    "checked_client_id",
    "checked_common_name",
    "checked_dns_name",
    "checked_fingerprint",
    "checked_key_mode",
    "checked_member_name",
    "checked_path",
    "checked_port",
    "checked_program_path",
    "checked_report_path",
    "checked_serial_number",
    "checked_unit_name",
    "is_dns_name",
    "is_sha256",
    "is_url",
    "may_be_listed",
    "shown_url",
    "why_no_archive",
)
