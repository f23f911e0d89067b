# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why etcd's API did not do what it was asked: etcd's own words, and the errors that are made of them. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError, ServiceError

# gRPC status codes in the gateway's answers.
_INVALID_ARGUMENT = 3
NOT_FOUND = 5
FAILED_PRECONDITION = 9
_LASTING = (_INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION)

# Why every request to the gateway fails, from any caller and at any time: kinds of an ApiError.
AUTH, GATEWAY, TLS = "auth", "gateway", "tls"
# RBAC is on, and it does not take the user that is given, or lets it do less than is asked.
USER, RIGHT = "user", "right"
# etcd's own words where RBAC is on: of the gateway to a certificate with a common name, and to one without.
NAMED = "CommonName of client sending a request against gateway"
_DENIED = "permission denied"
NO_USER = ("user name is empty", "invalid auth token", "revision of auth store is old")
# To a request for a token: where RBAC is off, none is needed.
NO_RBAC = "authentication is not enabled"
# What a user needs who changes members, or takes a snapshot: the one role that etcd itself knows.
ROOT_ROLE = "root"
WRONG_USER = ("invalid user ID or password", "user name not found", "no password")

# Of a change of members (api/v3rpc/rpctypes/error.go of etcd v3.4.23 to v3.7.3): for some seconds after any member
# has started, and while a learner copies the data.
_PASSING = ("unhealthy cluster", "in sync with leader")
IS_NO_LEARNER = "can only promote a learner member"


class ApiError(ServiceError):
    """A request to etcd got no answer or a refusal. ``code`` is the gateway's gRPC status where it gave one.

    ``kind`` is set where no request can succeed until somebody changes something: ``AUTH`` (RBAC is on, and nothing
    that it would take is given), ``USER`` (it refuses the user that is given), ``RIGHT`` (that user may not do this),
    ``GATEWAY`` (it is switched off), ``TLS`` (certificates or CA do not fit).
    """

    def __init__(self, message: str, *, code: int | None = None, kind: str | None = None, **details: t.Any) -> None:
        super().__init__(message, **details)
        self.code = code
        self.kind = kind


def explains(problem: RingfenceError) -> int:
    """One that says what lacks explains more than one that was not let in, and that more than one without an answer."""
    kind = problem.kind if isinstance(problem, ApiError) else None
    return 0 if kind is None else 1 if kind == TLS else 2


class MembershipError(ApiError):
    """etcd did not take a change of its members, or did not say whether it did: only the member list tells.

    ``lasts``: etcd refused it, and will refuse it as long as the member list is as it is.
    """

    def __init__(self, message: str, *, lasts: bool = False, **details: t.Any) -> None:
        super().__init__(message, **details)
        self.lasts = lasts


class LockHeldError(ServiceError):
    """Another run holds the lock."""


def refusal(url: str, path: str, status: int, body: bytes, has_user: bool) -> ApiError:
    """The error of an answer that is none of those wanted. ``has_user``: whether it was asked as a user."""
    try:
        answer = json.loads(body.split(b"\n", 1)[0])
    except ValueError:
        answer = None
    if status == 404 and not isinstance(answer, dict):
        return ApiError(f"{url}{path}: HTTP 404: is --enable-grpc-gateway=false set there?", kind=GATEWAY, url=url)
    problem, code = _gateway_error(answer)
    # Not every refusal is JSON: the gateway's own are plain text.
    problem = problem or ("" if isinstance(answer, dict) else first_line(body))
    line = f"{url}{path}: HTTP {status}{f': {problem}' if problem else ''}"
    return ApiError(line, code=code, kind=_kind_of(problem, has_user), url=url)


def membership_error(refused: ApiError, url: str) -> MembershipError:
    """The same of a change of members: whether asking again may help."""
    lasts = refused.code in _LASTING and not any(words in str(refused) for words in _PASSING)
    return MembershipError(str(refused), code=refused.code, lasts=lasts, url=url)


def _kind_of(problem: str, has_user: bool) -> str | None:
    if _DENIED in problem and has_user:
        return RIGHT
    return AUTH if any(words in problem for words in (NAMED, _DENIED, *NO_USER)) else None


def _gateway_error(answer: t.Any) -> tuple[str, int | None]:
    if not isinstance(answer, dict):
        return "", None
    error = answer.get("error")
    # Of a stream the error is an object of its own; 3.4 names the code grpc_code there.
    source = error if isinstance(error, dict) else answer
    code = source.get("code", source.get("grpc_code"))
    problem = source.get("message") or source.get("error") or ""
    return " ".join(str(problem).split())[:300], code if isinstance(code, int) else None


def first_line(body: bytes) -> str:
    """Of an answer that is plain text, what can be shown."""
    lines = body[:2000].decode("utf-8", "replace").strip().splitlines()
    return " ".join("".join(c if c.isprintable() else " " for c in lines[0]).split())[:300] if lines else ""


__all__ = (
    "AUTH",
    "FAILED_PRECONDITION",
    "GATEWAY",
    "IS_NO_LEARNER",
    "NAMED",
    "NOT_FOUND",
    "NO_RBAC",
    "NO_USER",
    "RIGHT",
    "ROOT_ROLE",
    "TLS",
    "USER",
    "WRONG_USER",
    "ApiError",
    "LockHeldError",
    "MembershipError",
    "explains",
    "first_line",
    "membership_error",
    "refusal",
)
