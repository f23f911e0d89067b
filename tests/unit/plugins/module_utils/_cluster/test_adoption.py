# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import (
    Difference,
    as_lines,
    differences,
    effective,
    why_never,
)

PKI = "/etc/etcd/pki"
THEIRS = {
    "name": "etcd-1",
    "peer-cert-file": "/ssl/member.pem",
    "peer-key-file": "/ssl/member-key.pem",
    "peer-trusted-ca-file": "/ssl/ca.pem",
    "cert-file": "/ssl/member.pem",
    "key-file": "/ssl/member-key.pem",
    "trusted-ca-file": "/ssl/ca.pem",
    "peer-client-cert-auth": "True",
    "client-cert-auth": "1",
}
OURS = {
    "name": "etcd-1",
    "peer-cert-file": f"{PKI}/etcd-1.crt",
    "peer-key-file": f"{PKI}/etcd-1.key",
    "peer-trusted-ca-file": f"{PKI}/ca.crt",
    "cert-file": f"{PKI}/etcd-1.crt",
    "key-file": f"{PKI}/etcd-1.key",
    "trusted-ca-file": f"{PKI}/ca.crt",
    "peer-client-cert-auth": "true",
    "client-cert-auth": "true",
    "peer-cert-allowed-cn": "a,b",
    "logger": "zap",
    "initial-cluster": "etcd-1=https://10.0.0.1:2380",
    "initial-cluster-state": "new",
    "initial-cluster-token": "etcd-cluster",
    "cipher-suites": "",
    "tls-min-version": "TLS1.2",
}


def test_the_list_and_the_places_of_its_own_files_may_differ() -> None:
    assert differences(THEIRS, OURS, PKI) == [] == differences(THEIRS, OURS, f"{PKI}/")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # As etcd has it by default, or as it spells it otherwise.
        ({"client-cert-auth": "t"}, {}),
        # With a CA peers are asked in any case.
        ({"peer-client-cert-auth": "false"}, {}),
        ({"enable-pprof": "T"}, {"enable-pprof": "true"}),
        ({"listen-client-urls": "https://b:1,https://a:1/"}, {"listen-client-urls": "https://a:1,https://b:1"}),
        ({"initial-cluster-state": "existing"}, {}),
        ({"initial-cluster-token": "k8s_etcd"}, {"initial-cluster-token": "k8s_etcd"}),
        ({"wal-dir": ""}, {}),
        ({"unsafe-no-fsync": "false", "peer-auto-tls": "0", "enable-grpc-gateway": "1"}, {}),
    ],
)
def test_one_setting_in_two_spellings(before: dict[str, str], after: dict[str, str]) -> None:
    assert differences(THEIRS | before, OURS | after, PKI) == []


@pytest.mark.parametrize(
    ("before", "after", "flag"),
    [
        ({"heartbeat-interval": "250"}, {}, "heartbeat-interval"),
        ({}, {"quota-backend-bytes": "8"}, "quota-backend-bytes"),
        ({"initial-cluster-token": "k8s_etcd"}, {}, "initial-cluster-token"),
        ({"name": "other"}, {}, "name"),
        ({"tls-min-version": "TLS1.3"}, {}, "tls-min-version"),
        ({}, {"tls-min-version": "TLS1.3"}, "tls-min-version"),
        ({}, {"cipher-suites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, "cipher-suites"),
        ({"client-cert-auth": "false"}, {}, "client-cert-auth"),
        ({"peer-client-cert-auth": "false", "peer-trusted-ca-file": ""}, {}, "peer-client-cert-auth"),
        ({"strict-reconfig-check": "false"}, {}, "strict-reconfig-check"),
        # A pair of its own for clients stays where it is, or is none.
        ({"cert-file": "/ssl/other.pem"}, {}, "cert-file"),
        ({"trusted-ca-file": "/ssl/clients.pem"}, {}, "trusted-ca-file"),
        ({}, {"cert-file": "/ssl/another.pem"}, "cert-file"),
        # Only copies in the role's own folder are copies of them.
        ({}, {"peer-cert-file": f"{PKI}/etcd-2.crt"}, "peer-cert-file"),
        ({}, {"peer-key-file": "/elsewhere/etcd-1.key"}, "peer-key-file"),
    ],
)
def test_what_is_another_setting(before: dict[str, str], after: dict[str, str], flag: str) -> None:
    assert flag in [one.flag for one in differences(THEIRS | before, OURS | after, PKI)]


def test_files_for_clients_that_stay_where_they_are() -> None:
    own = {"cert-file": "/c/pair.pem", "key-file": "/c/key.pem", "trusted-ca-file": "/c/ca.pem"}
    assert differences(THEIRS | own, OURS | own, PKI) == []


def test_a_difference_is_told() -> None:
    assert str(Difference("metrics", None, "basic")) == "--metrics is not set and would be basic"
    assert str(Difference("metrics", "extensive", None)) == "--metrics is extensive and would be not set"


def test_a_list_that_is_to_stay() -> None:
    old, new = {"peer-cert-allowed-cn": "a,b"}, {"peer-cert-allowed-cn": "a"}
    assert differences(THEIRS | old, OURS | {"peer-cert-allowed-cn": "b,a"}, PKI, keeps_list=True) == []
    told = [str(one) for one in differences(THEIRS | old, OURS | new, PKI, keeps_list=True)]
    assert told == ["--peer-cert-allowed-cn is a,b and would be a"]
    assert "peer-cert-allowed-cn" in OURS and differences(THEIRS, OURS, PKI, keeps_list=True)


def test_what_no_unit_of_the_role_has() -> None:
    assert why_never(Difference("unsafe-no-fsync", "true", None)) is not None
    assert why_never(Difference("metrics", "basic", None)) is None
    assert why_never(Difference("unsafe-no-fsync", None, "true")) is None


def test_what_is_shown() -> None:
    assert as_lines({"b": "2", "a": "1", "logger": "zap"}) == "--a=1\n--b=2\n"
    assert effective({"initial-cluster": "x", "wal-dir": "", "metrics": "basic"}) == {"metrics": "basic"}
