# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    SET_TWICE,
    deployed_from_arguments,
    is_true,
)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--name=a"], {"name": "a"}),
        (["-name=a"], {"name": "a"}),
        (["--name", "a"], {"name": "a"}),
        (["-name", "a", "--data-dir", "/d"], {"name": "a", "data-dir": "/d"}),
        (["--peer-client-cert-auth", "--name=a"], {"peer-client-cert-auth": "true", "name": "a"}),
        (["--peer-client-cert-auth=false"], {"peer-client-cert-auth": "false"}),
        (["--name=a", "--name=b"], {"name": "b"}),
        (["--name=a=b"], {"name": "a=b"}),
        (["--name="], {"name": ""}),
        # Go stops at the first word that is no flag.
        (["--name=a", "x", "--name=b"], {"name": "a"}),
        (["--name=a", "--", "--name=b"], {"name": "a"}),
        ([], {}),
    ],
)
def test_flags(words: list[str], flags: dict[str, str]) -> None:
    assert deployed_from_arguments(["etcd", *words])["flags"] == flags


def test_deployed_from_arguments() -> None:
    deployed = deployed_from_arguments(
        [
            "/usr/bin/etcd",
            "--name=etcd-1",
            "--initial-cluster=etcd-1=https://10.0.0.1:2380,etcd-2=https://[fd00::2]:2380,etcd-1=https://10.1.0.1:2380",
            "--initial-advertise-peer-urls=https://10.0.0.1:2380",
            "--listen-peer-urls=https://0.0.0.0:2380",
            "--advertise-client-urls=https://10.0.0.1:2379",
            "--listen-client-urls=https://10.0.0.1:2379,https://127.0.0.1:2379",
            "--peer-cert-allowed-hostname=h",
        ]
    )
    assert deployed["data_dir"] == "etcd-1.etcd"
    assert deployed["initial_cluster"] == {
        "etcd-1": "https://10.0.0.1:2380,https://10.1.0.1:2380",
        "etcd-2": "https://[fd00::2]:2380",
    }
    assert deployed["peer_urls"] == ["https://10.0.0.1:2380"]
    assert deployed["listen_peer_urls"] == ["https://0.0.0.0:2380"]
    assert deployed["client_urls"] == ["https://10.0.0.1:2379"]
    assert deployed["listen_client_urls"] == ["https://10.0.0.1:2379", "https://127.0.0.1:2379"]
    assert (deployed["allowed_common_names"], deployed["allowed_hostnames"]) == ([], ["h"])


def test_defaults_are_those_of_etcd() -> None:
    deployed = deployed_from_arguments([])
    assert deployed["program"] is None
    assert (deployed["member_name"], deployed["data_dir"]) == ("default", "default.etcd")
    assert deployed["peer_urls"] == ["http://localhost:2380"]


def test_an_empty_variable_is_skipped_and_a_flag_goes_first() -> None:
    environment = {"ETCD_NAME": "a", "ETCD_DATA_DIR": "", "ETCD_INITIAL_CLUSTER": "a=http://x", "HOME": "/"}
    deployed = deployed_from_arguments(["etcd", "--name=b"], environment)
    assert (deployed["member_name"], deployed["data_dir"]) == ("b", "b.etcd")
    assert deployed["flags"] == {"name": "b", "initial-cluster": "a=http://x"}


@pytest.mark.parametrize(
    ("words", "names", "codes"),
    [
        (["--peer-cert-allowed-cn=a,b", "--peer-trusted-ca-file=/ca"], ["a", "b"], []),
        (["--peer-cert-allowed-cn=a, b", "--peer-trusted-ca-file=/ca"], ["a", " b"], ["allowed_common_names_spaces"]),
        (["--peer-cert-allowed-cn=a,", "--peer-trusted-ca-file=/ca"], ["a", ""], ["allowed_common_names_hole"]),
        (["--peer-cert-allowed-cn=", "--peer-trusted-ca-file=/ca"], [""], ["allowed_common_names_empty"]),
        (["--peer-cert-allowed-cn=a"], ["a"], ["no_peer_trust_bundle"]),
        (["--config-file=/etc/etcd.yml"], [], ["config_file"]),
        (["--peer-skip-client-san-verification"], [], ["address_check_off"]),
        (["--experimental-peer-skip-client-san-verification=true"], [], ["address_check_off"]),
        (["--peer-skip-client-san-verification=false"], [], []),
    ],
)
def test_common_names_and_warnings(words: list[str], names: list[str], codes: list[str]) -> None:
    deployed = deployed_from_arguments(["etcd", *words])
    assert deployed["allowed_common_names"] == names
    assert [warning["code"] for warning in deployed["warnings"]] == codes


# What Go's strconv.ParseBool takes, as etcd's flags and variables do.
@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True"])
def test_what_etcd_takes_for_true(value: str) -> None:
    assert is_true(value)
    reported = deployed_from_arguments(["etcd"], {"ETCD_PEER_CLIENT_CERT_AUTH": value})
    assert is_true(reported["flags"]["peer-client-cert-auth"])
    reported = deployed_from_arguments(["etcd", f"-peer-skip-client-san-verification={value}"])
    assert [warning["code"] for warning in reported["warnings"]] == ["address_check_off"]


@pytest.mark.parametrize("value", ["0", "f", "F", "FALSE", "false", "False", "", "yes", "tRUE", None])
def test_what_etcd_does_not_take_for_true(value: str | None) -> None:
    assert not is_true(value)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--peer-client-cert-auth"], "true"),
        (["-peer-client-cert-auth=T"], "T"),
        # A boolean flag takes no word of its own: the next one ends the flags.
        (["--peer-client-cert-auth", "false", "--name=x"], "true"),
        (["--peer-client-cert-auth=true", "--peer-client-cert-auth=false"], "false"),
    ],
)
def test_a_boolean_flag_as_go_reads_it(words: list[str], value: str) -> None:
    reported = deployed_from_arguments(["etcd", *words])
    assert reported["flags"]["peer-client-cert-auth"] == value and reported["member_name"] == "default"


def test_what_is_told_twice_ends_etcd() -> None:
    reported = deployed_from_arguments(
        ["etcd", "--name=a"], {"ETCD_NAME": "a", "ETCD_DATA_DIR": "/d", "ETCD_DEBUG": ""}
    )
    (warning,) = reported["warnings"]
    assert warning["code"] == SET_TWICE and warning["text"].startswith("ETCD_NAME stands beside --name: etcd ends")
    assert reported["member_name"] == "a"
