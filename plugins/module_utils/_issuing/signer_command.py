# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command of the user's that has another CA sign: a request in, a certificate out, for one member at a time.

It runs with the caller's rights and environment. What it prints is a stranger's word, as what a person brings.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t
from datetime import datetime, timezone

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import TIMEOUT_SECONDS, check_range
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.signed_elsewhere import SerialNumbers, accepted
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import holds_private_key
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import request_der, written_request
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import signing_request

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
        Authority,
        Decision,
        Issued,
        IssuePlan,
    )

_MOST_OF_WHAT_IT_SAID = 300
_SECRET_NAME = re.compile(r"(?i)token|secret|passw|passphrase|credential|_key$")
_SHORTEST_SECRET = 4


# The ways to a CA whose key is not here, by the options that say one: files that a person carries, or a command.
_WAYS = ("requests_directory", "signer_command")


class SignerCommand(t.NamedTuple):
    """The program with its arguments, and how long it may take for one request."""

    words: tuple[str, ...]
    timeout_seconds: int


def way_to_another_ca(given: t.Mapping[str, t.Any], prefix: str = "") -> str | None:
    """The option that has a CA sign whose key is not here, of options or settings by their names; None without one.

    InputError where two say so. ``prefix``: of the options' names, in messages.
    """
    ways = [name for name in _WAYS if given[name]]
    if len(ways) > 1:
        first, second = (f"{prefix}{name}" for name in ways)
        raise InputError(f"{first} and {second} are two ways to the same CA: leave one of them out")
    return ways[0] if ways else None


def check_command(words: t.Sequence[str], timeout_seconds: int, prefix: str = "") -> None:
    """InputError where it can't be started. ``prefix``: of the options' names, in messages."""
    check_range(f"{prefix}signer_timeout_seconds", timeout_seconds, *TIMEOUT_SECONDS)
    if words and (not words[0].strip() or any("\0" in word for word in words)):
        raise InputError(f"{prefix}signer_command: the first word is no program: give its path, then its arguments")


def signed_by_command(plan: IssuePlan, requests: t.Mapping[str, str], command: SignerCommand) -> dict[str, Issued]:
    """The certificates that are due, all of them; CryptoError with one line where one can't be had."""
    numbers = SerialNumbers(plan, t.cast("Authority", plan.authority))
    texts = {decision.name: _request(decision, requests[decision.name]) for decision in plan.due}
    issued = {}
    for decision in plan.due:
        whose = decision.member.profile.whose
        said = _said(command, texts[decision.name], _environment(plan, decision), whose)
        what = f"what the signer {command.words[0]} gave for {whose}"
        # It may begin with the moment of its signature, which is later than the plan.
        now = datetime.now(timezone.utc).replace(microsecond=0)
        issued[decision.name] = accepted(plan, decision, said, what, numbers, now)
    return issued


def _request(decision: Decision, pem: str) -> str:
    """The request as it goes to the signer, who may issue what it says: the inventory's word and no host's."""
    profile = decision.member.profile
    what = f"{profile.whose}: its request"
    signing_request.check_asks_for(pem, profile, what)
    return written_request(request_der(pem, what))


def _environment(plan: IssuePlan, decision: Decision) -> dict[str, str]:
    """The caller's own, and what is wanted."""
    profile = decision.member.profile
    return {
        **os.environ,
        "RINGFENCE_NAME": profile.name,
        "RINGFENCE_COMMON_NAME": profile.common_name,
        "RINGFENCE_DNS_NAMES": ",".join(profile.dns_names),
        "RINGFENCE_IP_ADDRESSES": ",".join(profile.ip_addresses),
        "RINGFENCE_KEY_USAGE": ",".join(sorted(profile.key_usages)),
        "RINGFENCE_EXTENDED_KEY_USAGE": ",".join(sorted(profile.extended_key_usages)),
        "RINGFENCE_VALIDITY_DAYS": str(plan.request.rules.validity_days),
    }


def _said(command: SignerCommand, request: str, environment: t.Mapping[str, str], whose: str) -> str:
    """What it printed, which is to be a certificate."""
    who = f"nothing was issued: the signer {command.words[0]}, for {whose},"
    try:
        done = run_command(command.words, command.timeout_seconds, environment, given=request)
    except TimeoutError:
        raise CryptoError(
            f"{who} did not end within {command.timeout_seconds} seconds (signer_timeout_seconds)"
        ) from None
    except OSError as exc:
        raise CryptoError(f"{who} can't be started ({exc.strerror})") from None
    if done.returncode != 0:
        raise CryptoError(f"{who} ended with {done.returncode}: {_told(command, done.stderr, environment)}")
    if not done.stdout.strip():
        raise CryptoError(f"{who} printed no certificate: {_told(command, done.stderr, environment)}")
    return done.stdout


def _told(command: SignerCommand, text: str, environment: t.Mapping[str, str]) -> str:
    """What it said of an error, without what it may have been told as a secret."""
    if holds_private_key(text):
        return "what it said holds a private key, and is not shown"
    secrets = {value for name, value in environment.items() if _SECRET_NAME.search(name)} | set(command.words[1:])
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return " ".join(text.split())[:_MOST_OF_WHAT_IT_SAID] or "it said nothing"


__all__ = ("SignerCommand", "check_command", "signed_by_command", "way_to_another_ca")
