# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import identity_of, read_identity, was_formed
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import NAMES_LIMIT
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import ordinary_user
from hypothesis import given, settings
from hypothesis import strategies as st

# The first 112 bytes of the logs of real etcds, and the ids that these printed when they started.
HEAD_3_4_23 = bytes.fromhex(
    "040000000000008408041000000000001d000000000000830801108d9cf9161a1408c0c0caafc1ba96892e1087d5edba"
    "8fd59dc1040000000e00000000000082080510878cc58d0d1a040800100000007300000000000085080210f2c9c3c909"
    "1a6908011001180122610800100018c0"
)
HEAD_3_6_16 = bytes.fromhex(
    "040000000000008408041000000000001f0000000000008108011084de9af4021a1508cd8fb1cd8abccaa4fd0110b084"
    "9ed7bf81bf8502000e000000000000820805109ac9be960c1a040800100000006f00000000000081080210d59c9dfd05"
    "1a65080110011801225d0800100018cd"
)
# The first of three members of a real etcd 3.5.16: alone, waiting for the others, and a few seconds after they came.
WAITING = bytes.fromhex(
    "040000000000008408041000000000001f00000000000081080110919fd4b60f1a1508a59c808a92aeddce3610aad3c1"
    "e1e1e79ddf8101000e00000000000082080510fcdbc3c1011a040800100000006e00000000000082080210cda89bc70a"
    "1a64080110011801225c0800100018a59c808a92aeddce36224c7b226964223a33393335343330373738313431323831"
    "3832392c227065657255524c73223a5b22687474703a2f2f3132372e302e302e313a3239333831225d2c226e616d6522"
    "3a226d31227d00006f0000000000008108021098a0929f081a65080110011802225d08001000189fa18fd2859e84e684"
    "01224c7b226964223a393536393034313933323734383035303539312c227065657255524c73223a5b22687474703a2f"
    "2f3132372e302e302e313a3239333833225d2c226e616d65223a226d33227d007000000000000000080210b7e7d59503"
    "1a66080110011803225e0800100018c38e83a1fbf9f485b901224d7b226964223a313333333339383430313037393432"
    "32333432372c227065657255524c73223a5b22687474703a2f2f3132372e302e302e313a3239333832225d2c226e616d"
    "65223a226d32227d10000000000000000803108ef798bc071a06080110001803"
)
FORMED = bytes.fromhex(
    "040000000000008408041000000000001f00000000000081080110919fd4b60f1a1508a59c808a92aeddce3610aad3c1"
    "e1e1e79ddf8101000e00000000000082080510fcdbc3c1011a040800100000006e00000000000082080210cda89bc70a"
    "1a64080110011801225c0800100018a59c808a92aeddce36224c7b226964223a33393335343330373738313431323831"
    "3832392c227065657255524c73223a5b22687474703a2f2f3132372e302e302e313a3239333831225d2c226e616d6522"
    "3a226d31227d00006f0000000000008108021098a0929f081a65080110011802225d08001000189fa18fd2859e84e684"
    "01224c7b226964223a393536393034313933323734383035303539312c227065657255524c73223a5b22687474703a2f"
    "2f3132372e302e302e313a3239333833225d2c226e616d65223a226d33227d007000000000000000080210b7e7d59503"
    "1a66080110011803225e0800100018c38e83a1fbf9f485b901224d7b226964223a313333333339383430313037393432"
    "32333432372c227065657255524c73223a5b22687474703a2f2f3132372e302e302e313a3239333832225d2c226e616d"
    "65223a226d32227d10000000000000000803108ef798bc071a06080110001803190000000000008708031086e7fb800a"
    "1a0f0802109fa18fd2859e84e6840118030000000000000010000000000000000802109dabc6aa0b1a06080010021804"
    "9a00000000000086080210a0d1de9c091a8f01080010021805228601088286a89efbc2e8cfd00112035055541a262f30"
    "2f6d656d626572732f383463633130663035613433643039662f6174747269627574657322357b226e616d65223a226d"
    "33222c22636c69656e7455524c73223a5b22687474703a2f2f3132372e302e302e313a3239333933225d7d2800320038"
    "0048005000580060006800700078008001000000000000009900000000000087080210d388e6d9081a8e010800100218"
)
IDENTITY_3_4_23 = ("2e1259d415f2a040", "48276a8f75b6a87")
IDENTITY_3_6_16 = ("fd4929e0a9ac47cd", "20afc0bfae78230")


def write_log(data_dir: pathlib.Path, name: str, content: bytes) -> None:
    folder = data_dir / "member" / "wal"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("head", "identity"), [(HEAD_3_4_23, IDENTITY_3_4_23), (HEAD_3_6_16, IDENTITY_3_6_16)], ids=["3.4.23", "3.6.16"]
)
def test_the_head_of_a_real_log(head: bytes, identity: tuple[str, str], tmp_path: pathlib.Path) -> None:
    assert identity_of(head) == identity
    # A log is 64 MB of which the rest is zeros at first.
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", head + bytes(8192))
    assert read_identity(str(tmp_path)) == identity
    assert read_identity("/nowhere", wal_dir=str(tmp_path / "member" / "wal")) == identity


def test_no_log_is_no_identity(tmp_path: pathlib.Path) -> None:
    assert read_identity(str(tmp_path / "absent")) is None
    assert read_identity(str(tmp_path)) is None
    write_log(tmp_path, "0.tmp", b"not a log yet")
    assert read_identity(str(tmp_path)) is None


def test_the_newest_log_that_can_be_read_counts(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", HEAD_3_4_23)
    write_log(tmp_path, "0000000000000001-0000000000001000.wal", HEAD_3_6_16)
    assert read_identity(str(tmp_path)) == IDENTITY_3_6_16
    write_log(tmp_path, "0000000000000001-0000000000001000.wal", b"")
    assert read_identity(str(tmp_path)) == IDENTITY_3_4_23


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cut short"),
        (bytes(4096), "no record where one is expected"),
        (HEAD_3_4_23[:40], "cut short"),
        (b"\xff" * 4096, "out of range"),
        (HEAD_3_4_23[16:], "not the checksum record"),
        (HEAD_3_4_23[:16] * 4, "not the metadata record"),
        (b"\x02" + bytes(7) + b"\x08\xff", "number is cut short"),
        (b"\x0b" + bytes(7) + b"\x08" + b"\xff" * 10, "number is too long"),
        (b"\x03" + bytes(7) + b"\x1a\x05x", "field is cut short"),
        (b"\x02" + bytes(7) + b"\x0f\x00", "unknown kind 7"),
        (HEAD_3_4_23[:16] + b"\x06" + bytes(7) + b"\x08\x01\x1a\x02\x08\x01", "no member id"),
        (b"-----BEGIN CERTIFICATE-----\n" * 40, "out of range"),
    ],
)
def test_garbage_has_one_line(content: bytes, problem: str, tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", content)
    with pytest.raises(FileError, match=problem) as caught:
        read_identity(str(tmp_path))
    assert str(tmp_path / "member" / "wal" / "0000000000000000-0000000000000000.wal") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_real_head_is_understood_or_refused() -> None:
    for length in range(len(HEAD_3_6_16)):
        try:
            assert identity_of(HEAD_3_6_16[:length]) == IDENTITY_3_6_16
        except ValueError:
            assert length < 16 + 48


def test_a_folder_that_may_not_be_read(open_folder: pathlib.Path) -> None:
    write_log(open_folder, "0000000000000000-0000000000000000.wal", HEAD_3_4_23)
    (open_folder / "member" / "wal").chmod(0)
    with ordinary_user(), pytest.raises(FileError, match=r"can't read .*/member/wal: permission denied"):
        read_identity(str(open_folder))
    (open_folder / "member" / "wal").chmod(0o755)


def test_a_log_that_can_not_be_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "member" / "wal" / "0.wal").mkdir(parents=True)
    with pytest.raises(FileError, match=r"/member/wal/0\.wal is a directory, not a file: move it away"):
        read_identity(str(tmp_path))


def test_a_pipe_among_the_logs_does_not_block(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", HEAD_3_4_23)
    os.mkfifo(tmp_path / "member" / "wal" / "zzzz.wal")
    with pytest.raises(FileError, match=r"/member/wal/zzzz\.wal is not a regular file: move it away"):
        read_identity(str(tmp_path))


def test_a_log_with_a_strange_name_has_one_line(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", HEAD_3_4_23)
    os.mkfifo(os.fsencode(tmp_path) + b"/member/wal/z\xff\n\x1b[31m.wal")
    with pytest.raises(FileError) as caught:
        read_identity(str(tmp_path))
    for text in (str(caught.value), caught.value.details["path"]):
        assert text.isprintable() and r"z\udcff" in text and r"\x1b[31m.wal" in text


def test_a_log_that_etcd_took_away_meanwhile_is_none(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0000000000000000-0000000000000000.wal", HEAD_3_4_23)
    (tmp_path / "member" / "wal" / "0000000000000001-0000000000000000.wal").symlink_to("gone")
    assert read_identity(str(tmp_path)) == IDENTITY_3_4_23


def test_a_folder_without_end_is_not_read_to_its_end(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, "0.wal", HEAD_3_4_23)
    for number in range(NAMES_LIMIT):
        os.mkfifo(tmp_path / "member" / "wal" / str(number))
    with pytest.raises(FileError, match=r"/member/wal has more than 10000 entries: clear away"):
        read_identity(str(tmp_path))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda at, by, head: head[:at] + by + head[at + len(by) :],
        st.integers(0, 111),
        st.binary(max_size=12),
        st.sampled_from([HEAD_3_4_23, HEAD_3_6_16]),
    )
)
def test_whatever_stands_there_is_an_identity_or_a_value_error(head: bytes) -> None:
    try:
        member, cluster = identity_of(head)
    except ValueError:
        return
    assert 0 < int(member, 16) < 1 << 64 and 0 < int(cluster, 16) < 1 << 64


FIRST_LOG = "0000000000000000-0000000000000000.wal"


def make_snapshots(data_dir: pathlib.Path, *names: str) -> None:
    folder = data_dir / "member" / "snap"
    folder.mkdir(parents=True)
    for name in ("db", *names):
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(("log", "formed"), [(WAITING, False), (FORMED, True)], ids=["waiting", "formed"])
def test_a_cluster_is_formed_when_it_has_had_a_leader(log: bytes, formed: bool, tmp_path: pathlib.Path) -> None:
    make_snapshots(tmp_path)
    write_log(tmp_path, FIRST_LOG, log + bytes(8192))
    assert was_formed(str(tmp_path)) is formed
    assert was_formed(str(tmp_path), wal_dir=str(tmp_path / "member" / "wal")) is formed


def test_what_is_written_after_a_while_is_of_a_formed_cluster(tmp_path: pathlib.Path) -> None:
    write_log(tmp_path, FIRST_LOG, WAITING + bytes(64))
    make_snapshots(tmp_path, "0000000000000002-0000000000000a01.snap")
    assert was_formed(str(tmp_path)) is True
    (tmp_path / "member" / "snap" / "0000000000000002-0000000000000a01.snap").unlink()
    assert was_formed(str(tmp_path)) is False
    write_log(tmp_path, "0000000000000001-0000000000001000.wal", b"")
    assert was_formed(str(tmp_path)) is True


@pytest.mark.parametrize("log", [b"", b"x" * 7, b"x" * 600, WAITING[:300], WAITING], ids=len)
def test_in_doubt_it_is_not_known(log: bytes, tmp_path: pathlib.Path) -> None:
    """A log that is cut short says nothing: what would come next may be the leader's entry."""
    assert was_formed(str(tmp_path)) is None
    make_snapshots(tmp_path)
    assert was_formed(str(tmp_path)) is None
    write_log(tmp_path, FIRST_LOG, log)
    assert was_formed(str(tmp_path)) is None


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    make_snapshots(tmp_path)
    (tmp_path / "member" / "wal").mkdir()
    os.mkfifo(tmp_path / "member" / "wal" / FIRST_LOG)
    assert was_formed(str(tmp_path)) is None
