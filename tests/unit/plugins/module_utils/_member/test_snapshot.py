# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Of which member a snapshot is taken, and what a file of one is called."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import Status
from ansible_collections.ringfence.etcd.plugins.module_utils._member import snapshot
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import gateway_server
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._etcd.test_snapshot_file import SNAPSHOT


def candidate(name: str, leader: str = "a", cluster: str = "c", problem: str | None = None) -> snapshot.Candidate:
    status = Status(name, cluster, leader, 1, 1, "3.5.16", False, (), 100, 7)
    return snapshot.Candidate(name, f"http://{name}", status, problem)


@pytest.mark.parametrize(
    ("ill", "me", "chosen"),
    [
        ((), None, "b"),
        ((), "a", "b"),
        ((), "c", "c"),
        ((), "none", "b"),
        (("b",), None, "c"),
        (("b", "c"), "c", "a"),
    ],
)
def test_one_that_is_well_and_does_not_lead(ill: tuple[str, ...], me: str | None, chosen: str) -> None:
    candidates = [candidate(name, problem="ill" if name in ill else None) for name in "abc"]
    assert snapshot.chosen(candidates, me, None)[0].name == chosen


def test_where_none_is_well_the_way_is_told() -> None:
    candidates = [candidate("a", problem="x is down"), snapshot.Candidate("b", "http://b", None, "no answer in time")]
    with pytest.raises(RefusedError, match=r"no member is healthy \(a: x is down; b: no answer in time\): mend"):
        snapshot.chosen(candidates, None, None)
    one, status = snapshot.chosen(candidates, None, "a")
    assert (one.name, status.revision) == ("a", 7)
    with pytest.raises(RefusedError, match="no snapshot of b: no answer in time"):
        snapshot.chosen(candidates, None, "b")
    with pytest.raises(InputError, match="d is no member: a, b are"):
        snapshot.chosen(candidates, None, "d")


def test_members_of_two_clusters_are_refused() -> None:
    candidates = [candidate("a"), candidate("b", cluster="d")]
    with pytest.raises(RefusedError, match=r"different clusters \(a c, b d\).*etcd_peer_tls_snapshot_member"):
        snapshot.chosen(candidates, None, None)
    assert snapshot.chosen(candidates, None, "b")[0].name == "b"


def test_names_are_in_the_order_of_time_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    name = snapshot.file_name("blue", datetime.datetime(2026, 1, 2, 1, 4, 5, tzinfo=zone))
    assert name == "blue-20260101T230405Z.db" and snapshot.is_file_name(name)
    for other in ("../x-20260101T230405Z.db", "blue-20260101T230405Z.db/..", "..", "x.db", "-a-20260101T230405Z.db\n"):
        assert not snapshot.is_file_name(other)
    assert snapshot.checked_prefix("my_cluster-1.x") and snapshot.checked_prefix("_x")
    for wrong in ("", ".x", "a/b", "a b"):
        with pytest.raises(InputError, match="prefix: "):
            snapshot.checked_prefix(wrong)


def message(part: bytes, left: int) -> str:
    import base64

    result = {"remaining_bytes": str(left), "blob": base64.b64encode(part).decode()}
    return json.dumps({"result": result}) + "\n"


WHOLE = message(SNAPSHOT[:5000], len(SNAPSHOT) - 5032) + message(SNAPSHOT[5000:-32], 0) + message(SNAPSHOT[-32:], 0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (WHOLE, None),
        ("", "the answer is empty"),
        (message(SNAPSHOT[:5000], 1000), "what a sent is damaged"),
        (message(SNAPSHOT[:5000], 1000) + '{"error": {"code": 14, "message": "it is over"}}\n', "HTTP 200: it is over"),
        ('{"error": {"code": 14, "message": "it is over"}}\n', "HTTP 200: it is over"),
        (
            message(SNAPSHOT[:5000], 1000) + "c2VjcmV0IHRleHQ=\n",
            "no snapshot of a: .*: what came is no part of a snapshot$",
        ),
        (message(b"\0" * 512, 0) + message(b"x" * 32, 0), "what a sent is no snapshot"),
        (message(b"", 2**60), "and 10995116279[0-9]* MiB are needed"),
    ],
)
def test_what_is_not_sent_as_a_whole_leaves_nothing(answer: str, words: str | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made.db"
    with gateway_server.running() as server:
        server.answers["/v3/maintenance/snapshot"] = (200, answer)
        one = snapshot.Candidate("a", server.url, None)
        if words is None:
            assert snapshot.take(Client(), one, str(path)).size == len(SNAPSHOT)
            assert path.read_bytes() == SNAPSHOT
            return
        with pytest.raises((ServiceError, FileError), match=words) as caught:
            snapshot.take(Client(), one, str(path))
    assert list(tmp_path.iterdir()) == [] and "c2VjcmV0" not in str(caught.value)


def test_a_gateway_that_is_off_and_a_refusal_have_a_way(tmp_path: pathlib.Path) -> None:
    answers: list[tuple[int, t.Any, str]] = [
        (404, "404 page not found\n", "enable-grpc-gateway"),
        (400, {"code": 3, "message": "etcdserver: user name is empty"}, "etcd_peer_tls_api_user"),
    ]
    with gateway_server.running() as server:
        for status, answer, words in answers:
            server.answers["/v3/maintenance/snapshot"] = (status, answer)
            with pytest.raises(ServiceError, match=words):
                snapshot.take(Client(), snapshot.Candidate("a", server.url, None), str(tmp_path / "x.db"))


def test_a_learner_is_no_member_to_ask() -> None:
    header = {"cluster_id": "12", "member_id": "255", "revision": "7"}
    with gateway_server.running() as server:
        server.answers["/health?exclude=NOSPACE"] = (200, {"health": "true"})
        for is_learner, problem in ((True, "it is a learner, which sends no snapshot"), (False, None)):
            answer = {"header": header, "version": "3.5.16", "leader": "1", "isLearner": is_learner}
            server.answers["/v3/maintenance/status"] = (200, answer)
            found = snapshot.look_at(Client(), "a", server.url)
            assert found.problem == problem and found.status is not None and not found.leads
        server.answers["/health?exclude=NOSPACE"] = (503, {"health": "false", "reason": "RAFT NO LEADER"})
        assert "RAFT NO LEADER" in str(snapshot.look_at(Client(), "a", server.url).problem)
        server.answers.clear()
        found = snapshot.look_at(Client(), "a", server.url)
        assert found.status is None and "take --enable-grpc-gateway=false" in str(found.problem)


def test_a_folder_is_made_for_its_owner_alone_and_else_left_as_it_is(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "a" / "b"
    snapshot.make_folder(str(folder))
    assert folder.stat().st_mode & 0o7777 == 0o700
    folder.chmod(0o755)
    snapshot.make_folder(str(folder))
    assert folder.stat().st_mode & 0o7777 == 0o755
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="file is a file, a directory is wanted"):
        snapshot.make_folder(str(tmp_path / "file"))


def test_the_file_is_given_to_who_takes_it_from_there(tmp_path: pathlib.Path) -> None:
    ids = (64123, 64124) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    path = tmp_path / "made.db"
    with gateway_server.running() as server:
        server.answers["/v3/maintenance/snapshot"] = (200, WHOLE)
        snapshot.take(Client(), snapshot.Candidate("a", server.url, None), str(path), ids)
    info = path.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*ids, 0o600)
