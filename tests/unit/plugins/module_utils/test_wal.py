# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._paths import NAMES_LIMIT
from ansible_collections.ringfence.etcd.plugins.module_utils._wal import identity_of, read_identity
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
