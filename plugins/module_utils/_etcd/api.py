# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client for etcd's client URLs: health, links between peers, members, snapshots, and a mutex of one lease.

Plain HTTP/1.1 to /health, /metrics and the JSON gateway /v3/, which etcd 3.4 to 3.7 all have. A proxy named in the
environment is never used: it would see another address than the certificate names.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import ssl
import typing as t
import urllib.parse

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import (
    Health,
    LiveMember,
    SnapshotPart,
    Status,
    Versions,
    decimal_id,
    hex_id,
    integer,
    parse_active_peers,
    parse_alarms,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_contexts import (
    client_context,
    nameless_context,
    why_no_answer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import (
    AUTH,
    FAILED_PRECONDITION,
    IS_NO_LEARNER,
    NAMED,
    NO_RBAC,
    NO_USER,
    NOT_FOUND,
    RIGHT,
    ROOT_ROLE,
    TLS,
    USER,
    WRONG_USER,
    ApiError,
    LockHeldError,
    MembershipError,
    first_line,
    membership_error,
    refusal,
)

REQUEST_SECONDS = 5.0
# For what is asked in passing, of a member that may well be down.
GLANCE_SECONDS = 3.0
_ANSWER_BYTES = 16 * 1024 * 1024

_SNAPSHOT = "/v3/maintenance/snapshot"
# How long a member may be silent while it sends one: it first writes to its disk what it has only in memory.
_SNAPSHOT_SECONDS = 60.0
_BLOCK_BYTES = 256 * 1024
# etcd sends 32 KiB a message (3.4 to 3.7).
_MESSAGE_BYTES = 4 * 1024 * 1024


def client_of(
    ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
    access: ApiAccess = NO_ACCESS,
    timeout_seconds: float = REQUEST_SECONDS,
) -> Client:
    """The client of a node's own client files, and of what there is for where RBAC is on."""
    nameless = functools.partial(nameless_context, ca_file, access) if access.has_pair else None
    return Client(client_context(ca_file, cert_file, key_file), timeout_seconds, access, nameless)


def client_from(params: t.Mapping[str, t.Any], access: ApiAccess) -> Client:
    """The client that a module's options name (``ARGUMENTS`` of ``api_access``)."""
    return client_of(params["client_ca_file"], params["client_cert_file"], params["client_key_file"], access)


_Answer = t.TypeVar("_Answer")


class _Stream(t.NamedTuple):
    """A snapshot that has begun."""

    connection: http.client.HTTPConnection
    messages: t.Iterator[bytes]
    first: SnapshotPart


class Client:
    """Requests to one cluster's client URLs; every request is a connection of its own.

    RBAC is met as it shows itself: at the gateway's first refusal of the certificate ``nameless`` gives the context of
    the pair without a common name. From then on, or once a user is wanted, a token of ``access``' user goes with it.
    A token that is not taken any more (they live for minutes, and a member that was restarted has forgotten them) is
    replaced by a new one.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        timeout_seconds: float = REQUEST_SECONDS,
        access: ApiAccess = NO_ACCESS,
        nameless: t.Callable[[], ssl.SSLContext | None] | None = None,
    ) -> None:
        self._context = context
        self._timeout_seconds = timeout_seconds
        self._access = access
        self._nameless = nameless
        self._gateway_context: ssl.SSLContext | None = None
        self._is_nameless = False
        self._token: str | None = None

    def health(self, url: str, without_alarm: str | None = None) -> Health:
        """Whether the member at the URL can commit, by its own account; never raises for a member that is down.

        ``without_alarm``: an alarm that it is not to count (etcd from 3.4.22 and 3.5 on; an older one counts it).
        """
        path = "/health" if without_alarm is None else f"/health?exclude={without_alarm}"
        try:
            status, body = self._request(url, "GET", path)
        except ApiError as exc:
            return Health(False, str(exc))
        try:
            answer = json.loads(body)
        except ValueError:
            return Health(False, f"{url}/health: HTTP {status}, not etcd's answer")
        if isinstance(answer, dict) and str(answer.get("health")).lower() == "true":
            return Health(True)
        reason = answer.get("reason") if isinstance(answer, dict) else None
        return Health(False, f"{url}/health: HTTP {status}, not healthy{f' ({reason})' if reason else ''}")

    def active_peers(self, url: str) -> dict[str, int]:
        """Member id → number of active connections to it. A member that was never connected is absent."""
        status, body = self._request(url, "GET", "/metrics")
        if status != 200:
            raise ApiError(f"{url}/metrics: HTTP {status}", url=url)
        return parse_active_peers(body.decode("utf-8", "replace"))

    def member_list(self, url: str) -> list[LiveMember]:
        """All members as the member at the URL knows them."""
        answer = self._call(url, "/v3/cluster/member/list", {})
        members = [
            LiveMember(
                member_id=hex_id(member.get("ID")),
                name=str(member.get("name") or ""),
                peer_urls=tuple(str(entry) for entry in member.get("peerURLs") or ()),
                client_urls=tuple(str(entry) for entry in member.get("clientURLs") or ()),
                is_learner=bool(member.get("isLearner")),
            )
            for member in answer.get("members") or ()
        ]
        if not members:
            raise ApiError(f"{url}/v3/cluster/member/list: the answer has no members", url=url)
        return sorted(members, key=lambda member: (member.name, member.member_id))

    def status(self, url: str) -> Status:
        """What the member at the URL says about itself."""
        answer = self._call(url, "/v3/maintenance/status", {})
        header = answer.get("header") or {}
        leader = integer(answer.get("leader"))
        return Status(
            member_id=hex_id(header.get("member_id")),
            cluster_id=hex_id(header.get("cluster_id")),
            leader=f"{leader:x}" if leader else None,
            raft_term=integer(answer.get("raftTerm") or header.get("raft_term")),
            raft_index=integer(answer.get("raftIndex")),
            version=str(answer.get("version") or ""),
            is_learner=bool(answer.get("isLearner")),
            alarms=parse_alarms(answer.get("errors")),
            db_size=integer(answer.get("dbSize")),
            revision=integer(header.get("revision")),
        )

    def snapshot(self, url: str) -> t.Generator[SnapshotPart, None, None]:
        """The database of the member at the URL, part by part, as it was when this began; needs no quorum.

        ApiError where it is not sent to its end. What comes is secret, and never held as a whole.
        """
        stream = self._admitted(url, lambda: self._begun(url))
        with contextlib.closing(stream.connection):
            part: SnapshotPart | None = stream.first
            while part is not None:
                yield part
                part = self._next_part(url, stream.messages)

    def version(self, url: str) -> str:
        """The version that runs at the URL. No gateway and no RBAC keeps it back."""
        return self.versions(url).server

    def versions(self, url: str) -> Versions:
        """The same with the version that the cluster as a whole is at."""
        status, body = self._request(url, "GET", "/version")
        try:
            answer = json.loads(body)
            server, cluster = answer["etcdserver"], answer.get("etcdcluster")
        except (AttributeError, ValueError, KeyError, TypeError):
            server, cluster = None, None
        if status != 200 or not isinstance(server, str):
            raise ApiError(f"{url}/version: HTTP {status}, not etcd's answer", url=url)
        return Versions(server, cluster if isinstance(cluster, str) else None)

    def count_keys(self, url: str) -> int:
        """The number of keys that the member at the URL has; needs no quorum."""
        everything = {"key": "AA==", "range_end": "AA==", "count_only": True, "serializable": True}
        return integer(self._call(url, "/v3/kv/range", everything).get("count"))

    def count_v2_keys(self, url: str) -> int:
        """The number of uppermost keys in the store of etcd's API v2, which has keys of its own (``--enable-v2``)."""
        status, body = self._request(url, "GET", "/v2/keys/")
        if status == 404:
            return 0
        try:
            nodes = json.loads(body)["node"].get("nodes") or []
        except (AttributeError, KeyError, TypeError, ValueError):
            nodes = None
        if status != 200 or not isinstance(nodes, list):
            raise ApiError(f"{url}/v2/keys/: HTTP {status}, not etcd's answer", url=url)
        return len(nodes)

    def write_without_effect(self, url: str, lease_id: int, count: int) -> None:
        """Make the members write entries into their logs that change nothing: each ends a lease that does not exist.

        All on one connection: there are thousands of them.
        """
        path, message = "/v3/lease/revoke", json.dumps({"ID": str(lease_id)}).encode("ascii")
        # As it is done with any call, so that what RBAC asks for is there.
        self.lease_revoke(url, lease_id)
        host, port, is_tls = _split_url(url)
        context = self._gateway_context if self._is_nameless else self._context
        connection = (
            http.client.HTTPSConnection(host, port, timeout=self._timeout_seconds, context=context)
            if is_tls
            else http.client.HTTPConnection(host, port, timeout=self._timeout_seconds)
        )
        with contextlib.closing(connection):
            for _number in range(count - 1):
                try:
                    connection.request("POST", path, body=message, headers=self._headers())
                    response = connection.getresponse()
                    status, body = response.status, response.read(_ANSWER_BYTES)
                except (OSError, http.client.HTTPException) as exc:
                    raise ApiError(f"{url}{path}: {why_no_answer(exc)}", url=url) from exc
                if status != 404:
                    raise ApiError(f"{url}{path}: HTTP {status}: {first_line(body)}", url=url)

    def lacks_root(self, url: str) -> bool:
        """Whether RBAC is on, and who asks may not change members. Any user may ask for its own roles."""
        if self._access.user is None:
            # The other pair is used where a common name was refused, which is done under RBAC alone.
            return self._is_nameless
        if self._token is None:
            self._authenticate(url)
        if self._token is None:
            # RBAC is off.
            return False
        roles = self._call(url, "/v3/auth/user/get", {"name": self._access.user}).get("roles")
        return ROOT_ROLE not in (roles if isinstance(roles, list) else ())

    def member_add(self, url: str, peer_url: str, is_learner: bool = True) -> str:
        """Add a member by its peer URL; gives its id in hex. MembershipError where etcd does not take it."""
        answer = self._change(url, "add", {"peerURLs": [peer_url], "isLearner": is_learner})
        member = answer.get("member")
        member_id = hex_id(member.get("ID")) if isinstance(member, dict) else "0"
        if member_id == "0":
            raise ApiError(f"{url}/v3/cluster/member/add: the answer has no member", url=url)
        return member_id

    def member_remove(self, url: str, member_id: str) -> None:
        """Remove a member; one that is not in the list any more is fine."""
        try:
            self._change(url, "remove", {"ID": decimal_id(member_id)})
        except MembershipError as exc:
            if exc.code != NOT_FOUND:
                raise

    def member_promote(self, url: str, member_id: str) -> None:
        """Make a learner a voter; one that is a voter already is fine."""
        try:
            self._change(url, "promote", {"ID": decimal_id(member_id)})
        except MembershipError as exc:
            # The words of "not in sync" begin with those of "no learner".
            if IS_NO_LEARNER not in str(exc) or not exc.lasts:
                raise

    def member_update(self, url: str, member_id: str, *peer_urls: str) -> None:
        """Tell the cluster the peer URLs of a member, all of them."""
        self._change(url, "update", {"ID": decimal_id(member_id), "peerURLs": list(peer_urls)})

    def move_leader(self, url: str, member_id: str) -> None:
        """Let another member lead; the URL is the present leader's, which alone can do it."""
        self._call(url, "/v3/maintenance/transfer-leadership", {"targetID": decimal_id(member_id)})

    def _change(self, url: str, verb: str, message: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A call that changes the members. MembershipError says whether asking again may help."""
        try:
            return self._call(url, f"/v3/cluster/member/{verb}", message)
        except ApiError as exc:
            if exc.kind is not None:
                raise
            raise membership_error(exc, url) from exc

    def lease_grant(self, url: str, lease_id: int, ttl_seconds: int) -> None:
        """Make the lease; LockHeldError where one of that id exists."""
        try:
            self._call(url, "/v3/lease/grant", {"ID": str(lease_id), "TTL": str(ttl_seconds)})
        except ApiError as exc:
            if exc.code == FAILED_PRECONDITION and "already exists" in str(exc):
                raise LockHeldError(f"{url}: the lease {lease_id:x} already exists", url=url) from None
            raise

    def lease_keep_alive(self, url: str, lease_id: int) -> bool:
        """Let the lease last its full time from now; False where it has ended."""
        answer = self._call(url, "/v3/lease/keepalive", {"ID": str(lease_id)})
        result = answer.get("result")
        return integer((result if isinstance(result, dict) else answer).get("TTL")) > 0

    def lease_revoke(self, url: str, lease_id: int) -> None:
        """End the lease; one that has ended already is fine."""
        try:
            self._call(url, "/v3/lease/revoke", {"ID": str(lease_id)})
        except ApiError as exc:
            if exc.code != NOT_FOUND:
                raise

    def _begun(self, url: str) -> _Stream:
        """The answer to the request for a snapshot, with its first part: a refusal comes in that one's place."""
        connection, is_nameless = self._connection(url, True, _SNAPSHOT_SECONDS)
        try:
            with self._named_failures(url, _SNAPSHOT, is_nameless):
                connection.request("POST", _SNAPSHOT, body=b"{}", headers=self._headers())
                response = connection.getresponse()
                if response.status != 200:
                    body = response.read(_ANSWER_BYTES)
                    raise refusal(url, _SNAPSHOT, response.status, body, self._access.user is not None)
            messages = _messages(response)
            first = self._next_part(url, messages)
            if first is None:
                raise ApiError(f"{url}{_SNAPSHOT}: the answer is empty", url=url)
            return _Stream(connection, messages, first)
        except BaseException:
            connection.close()
            raise

    def _next_part(self, url: str, messages: t.Iterator[bytes]) -> SnapshotPart | None:
        with self._named_failures(url, _SNAPSHOT, False):
            line = next(messages, None)
        if line is None:
            return None
        try:
            answer = json.loads(line)
            result = answer["result"]
            return SnapshotPart(base64.b64decode(result.get("blob") or ""), integer(result.get("remaining_bytes")))
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        if b'"error"' in line[:100]:
            raise refusal(url, _SNAPSHOT, 200, line, self._access.user is not None)
        # What came is in no message: it may be a part of the data.
        raise ApiError(f"{url}{_SNAPSHOT}: what came is no part of a snapshot", url=url)

    def _call(self, url: str, path: str, message: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The gateway's answer."""
        return self._admitted(url, lambda: self._ask(url, path, message))

    def _admitted(self, url: str, ask: t.Callable[[], _Answer]) -> _Answer:
        """What is asked for; what RBAC asks for on the way is given, as far as there is any."""
        authenticated = False
        while True:
            try:
                return ask()
            except ApiError as exc:
                problem = str(exc)
                if exc.kind == AUTH and NAMED in problem and self._use_nameless(exc):
                    # RBAC is on: asking for a token shows a wrong password also where this version would not need one.
                    if self._access.user is not None:
                        self._authenticate(url)
                        authenticated = True
                    continue
                if any(words in problem for words in NO_USER) and self._access.user is not None and not authenticated:
                    # Once for each call: a second refusal is not about the token's age.
                    self._authenticate(url)
                    authenticated = True
                    continue
                if exc.kind == RIGHT:
                    user = self._access.user
                    line = f"{problem} (user {user}, who needs the role: etcdctl user grant-role {user} root)"
                    raise ApiError(line, code=exc.code, kind=RIGHT, url=url) from None
                raise

    def _use_nameless(self, refusal: ApiError) -> bool:
        """Whether there is another pair to ask with; an ApiError where it can't be used, or has a common name too."""
        if self._nameless is None:
            return False
        if self._is_nameless:
            raise ApiError(f"{refusal}: the client pair for RBAC has a common name, too", kind=AUTH) from None
        try:
            self._gateway_context = self._nameless()
        except RingfenceError as exc:
            raise ApiError(f"{refusal}; the client pair for RBAC: {exc}", kind=AUTH) from exc
        self._is_nameless = True
        return True

    def _authenticate(self, url: str) -> None:
        """Get a token for the user that is given."""
        self._token = None
        account = {"name": self._access.user, "password": self._access.password}
        path = "/v3/auth/authenticate"
        try:
            token = self._ask(url, path, account).get("token")
        except ApiError as exc:
            problem = str(exc)
            if NO_RBAC in problem:
                # Switched off since.
                return
            if exc.kind == AUTH and NAMED in problem and self._use_nameless(exc):
                self._authenticate(url)
                return
            kind = USER if any(words in problem for words in WRONG_USER) else exc.kind
            raise ApiError(f"{problem} (user {self._access.user})", code=exc.code, kind=kind, url=url) from None
        if not isinstance(token, str) or not token or not token.isprintable() or not token.isascii():
            raise ApiError(f"{url}{path}: the answer has no token", url=url)
        self._token = token

    def _ask(self, url: str, path: str, message: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        status, body = self._request(url, "POST", path, json.dumps(message).encode("ascii"))
        try:
            # A streaming answer (keep alive) is one JSON value a line: the first is all that is asked for.
            answer = json.loads(body.split(b"\n", 1)[0])
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict) and "error" not in answer:
            return answer
        raise refusal(url, path, status, body, self._access.user is not None)

    def _request(self, url: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection, is_nameless = self._connection(url, body is not None, self._timeout_seconds)
        with contextlib.closing(connection), self._named_failures(url, path, is_nameless):
            connection.request(method, path, body=body, headers={} if body is None else self._headers())
            response = connection.getresponse()
            # A keep-alive's answer is a stream that etcd leaves open: a line is the whole message there.
            if path == "/v3/lease/keepalive":
                return response.status, response.readline(_ANSWER_BYTES)
            return response.status, response.read(_ANSWER_BYTES)

    def _connection(self, url: str, is_call: bool, timeout_seconds: float) -> tuple[http.client.HTTPConnection, bool]:
        """A connection for one request, and whether it has the pair for RBAC. ``is_call``: of the gateway."""
        host, port, is_tls = _split_url(url)
        if not is_tls:
            return http.client.HTTPConnection(host, port, timeout=timeout_seconds), False
        if self._context is None:
            raise ApiError(f"{url}: an https URL needs the CA file (ca_file)", url=url)
        # What needs no user is asked as the member, whatever becomes of the pair for RBAC.
        is_nameless = self._is_nameless and is_call
        context = self._gateway_context if is_nameless else self._context
        return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context), is_nameless

    @contextlib.contextmanager
    def _named_failures(self, url: str, path: str, is_nameless: bool) -> t.Iterator[None]:
        """What fails of a connection as an ApiError."""
        try:
            yield
        except (OSError, UnicodeError, http.client.HTTPException) as exc:
            kind = TLS if isinstance(exc, ssl.SSLError) else None
            if is_nameless:
                kind, path = AUTH if kind == TLS else None, f"{path}, asked with the client pair for RBAC"
            raise ApiError(f"{url}{path}: {why_no_answer(exc)}", kind=kind, url=url) from exc

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._access != NO_ACCESS:
            # Without it etcd takes the common name of its own certificate for the user, who may not exist.
            headers["Accept"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = self._token
        return headers


def _messages(response: http.client.HTTPResponse) -> t.Iterator[bytes]:
    """The messages of a stream: a JSON value a line."""
    rest = b""
    while True:
        block = response.read1(_BLOCK_BYTES)
        if not block:
            break
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _MESSAGE_BYTES:
            raise http.client.LineTooLong("message")
    if rest.strip():
        yield rest


def check_url(url: str) -> None:
    """InputError where a text is no client URL."""
    _split_url(url)


def _split_url(url: str) -> tuple[str, int, bool]:
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise InputError(f"the client URL {url!r} can't be read: {exc}", url=url) from None
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/") or parts.query:
        raise InputError(f"the client URL {url!r} must look like https://<address>:<port>", url=url)
    return host, port or 2379, parts.scheme == "https"


__all__ = (
    "GLANCE_SECONDS",
    "REQUEST_SECONDS",
    "Client",
    "check_url",
    "client_from",
    "client_of",
)
