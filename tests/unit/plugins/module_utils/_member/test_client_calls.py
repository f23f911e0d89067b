# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which client ports a member's host calls, and as whom."""

from __future__ import annotations

import itertools
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_calls import (
    client_callers,
    client_targets,
    https_targets,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue

NAMES = ["a", "b", "c", "d"]
CA = issue("etcd client CA", is_ca=True)
PAIR = issue("app", CA)
PEM = (PAIR.pem.encode(), PAIR.key_pem.encode())
ALL = ("client", "client_unknown_ca", "client_peer", "client_no_certificate")


@pytest.mark.parametrize(
    ("own", "present", "targets"),
    [
        ("a", NAMES, ["b"]),
        ("d", NAMES, ["a"]),
        ("a", ["a", "d"], ["b", "c", "d"]),
        ("d", ["a", "d"], ["a"]),
        ("b", ["b"], ["c", "d", "a", "b"]),
    ],
)
def test_who_is_called(own: str, present: list[str], targets: list[str]) -> None:
    assert client_targets(NAMES, own, present) == targets


def test_each_port_is_called_by_one_host_whoever_is_there() -> None:
    for size in range(1, 5):
        for present in itertools.combinations(NAMES, size):
            called = [target for own in present for target in client_targets(NAMES, own, present)]
            assert sorted(called) == NAMES


def test_one_that_is_alone_calls_itself() -> None:
    assert client_targets(["a"], "a", ["a"]) == ["a"]


def test_callers_as_far_as_there_is_what_it_takes(tmp_path: pathlib.Path) -> None:
    trusted = tmp_path / "ca.crt"
    trusted.write_text(CA.pem)
    pairs = dict.fromkeys(("client", "client_unknown_ca", "client_peer"), PEM)
    callers, problem = client_callers(ALL, pairs, str(trusted))
    assert [caller.case for caller in callers] == list(ALL) and problem is None
    # What a client asks is what RBAC is about.
    assert b"POST /v3/kv/range" in callers[0].request and b"GET /version" in callers[1].request
    callers, problem = client_callers(ALL, {}, str(trusted))
    assert [caller.case for caller in callers] == ["client_no_certificate"] and problem is None
    assert client_callers((), pairs, str(trusted)) == ([], None)


@pytest.mark.parametrize("file", [None, "nowhere.crt"])
def test_without_what_checks_the_members_there_is_no_client(file: str | None, tmp_path: pathlib.Path) -> None:
    """The others check nobody, and call all the same."""
    path = None if file is None else str(tmp_path / file)
    callers, problem = client_callers(ALL, {"client": PEM, "client_unknown_ca": PEM}, path)
    assert [caller.case for caller in callers] == ["client_unknown_ca", "client_no_certificate"]
    assert problem is not None and "by which a client of this cluster would check its members" in problem


def test_a_url_without_tls_is_not_called() -> None:
    urls = {"a": "https://[fd00::1]:2379", "b": "http://10.0.0.2:2379"}
    assert [(one.name, one.host, one.port) for one in https_targets(urls, urls)] == [("a", "fd00::1", 2379)]
    with pytest.raises(InputError, match="member c: client URL 'https://x' is none"):
        https_targets({"c": "https://x"}, ["c"])
