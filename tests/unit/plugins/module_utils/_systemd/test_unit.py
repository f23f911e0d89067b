# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    configuration_hash_of,
    environment_files,
    exec_arguments,
    parse_unit,
    plain_value,
    quote_argument,
    quote_program,
    quote_value,
    with_configuration_hash,
)
from hypothesis import given
from hypothesis import strategies as st

UNIT = r"""# made by a test
[Unit]
Description=etcd member etcd-1
After=network-online.target

[Service]
Type=notify
User=etcd
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecStart=/usr/bin/etcd \
  --name=etcd-1 \
# a comment between the lines
  --data-dir=/var/lib/etcd/etcd-1 \
  --peer-trusted-ca-file=/etc/etcd/pki/ca.crt \
  --peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com \
  "--initial-cluster-token=50%% off for $$5"
Restart=always

[Install]
WantedBy=multi-user.target
"""

# What systemd can carry: no control characters, surrogates or noncharacters.
writable = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn")), max_size=40)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("--name=etcd-1", "--name=etcd-1"),
        (
            "--listen-peer-urls=https://[::1]:2380,http://10.0.0.1:2380",
            "--listen-peer-urls=https://[::1]:2380,http://10.0.0.1:2380",
        ),
        ("", '""'),
        ("a b", '"a b"'),
        ("100%", "100%%"),
        ("$HOME and ${HOME}", '"$$HOME and $${HOME}"'),
        ("back\\slash", '"back\\\\slash"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("it's", '"it\'s"'),
        (";", '";"'),
        ("#no-comment", '"#no-comment"'),
        ("grüße", '"grüße"'),
    ],
)
def test_quote_argument(value: str, quoted: str) -> None:
    assert quote_argument(value) == quoted
    assert exec_arguments(quoted) == [value]


@given(st.lists(writable, max_size=6), st.sampled_from([" ", "  ", " \\\n  "]))
def test_arguments_come_back_as_they_were_given(values: list[str], separator: str) -> None:
    line = separator.join(quote_argument(value) for value in values)
    assert exec_arguments(line.replace("\\\n", " ")) == values
    service = parse_unit(f"[Service]\nExecStart={line}\n")["Service"]
    assert [exec_arguments(value) for _key, value in service] == [values]


@pytest.mark.parametrize("quote", [quote_argument, quote_value, plain_value])
@pytest.mark.parametrize(
    "value", ["a\nb", "a\rb", "a\0b", "a\tb", "\x1b[0m", "a\x7f", "a\x85", "a\u2028b", "a\ud800", "a\ufffe", "\ufdd0"]
)
def test_what_would_break_the_line_is_refused(quote: t.Callable[[str], str], value: str) -> None:
    with pytest.raises(InputError, match="remove it"):
        quote(value)


def test_quote_value_leaves_dollar_signs() -> None:
    assert quote_value("/srv/50% $x") == '"/srv/50%% $x"'


def test_quote_program() -> None:
    assert quote_program("/opt/my etcd/etcd%") == '"/opt/my etcd/etcd%%"'
    for value in ("etcd", "", "/opt/$x/etcd"):
        with pytest.raises(InputError, match="absolute path without a dollar sign"):
            quote_program(value)


def test_plain_value() -> None:
    assert plain_value("etcd member 100%") == "etcd member 100%%"
    for value in (" x", "x ", "x\\"):
        with pytest.raises(InputError, match="begins or ends"):
            plain_value(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("/usr/bin/etcd  --a   --b", ["/usr/bin/etcd", "--a", "--b"]),
        ("--a='b c' \"--d e\"f", ["--a=b c", "--d ef"]),
        (r"a\x41 \101 \u00e4 \s.", ["aA", "A", "ä", " ."]),
        # Unknown escapes stay as they are written, a trailing backslash too.
        (r"\q \x4 \8", [r"\q", r"\x4", r"\8"]),
        # So do numbers that are cut short or stand for no character.
        (r"\10 \777 \000 \ud800 \U00110000", [r"\10", r"\777", r"\000", r"\ud800", r"\U00110000"]),
        ("  a \t", ["a"]),
        (r"\x4", [r"\x4"]),
        (r"\10", [r"\10"]),
        ("a\\", ["a\\"]),
        (r"a \; b ; second command", ["a", ";", "b"]),
        ("%H $X ${Y} %% $$", ["%H", "$X", "${Y}", "%", "$"]),
        ("", []),
    ],
)
def test_exec_arguments(value: str, words: list[str]) -> None:
    assert exec_arguments(value) == words


def test_parse_unit() -> None:
    text = (
        "ignored=before any section\n[Unit]\nAfter = a\nAfter=b\n; comment\n\njunk\n"
        "[Service]\nExecStart=/x \\\n# inner\n; inner\n  --y \\\n\nUser=z\n[Unit]\nWants=c\\\\\nBefore=d\\"
    )
    assert parse_unit(text) == {
        "Unit": [("After", "a"), ("After", "b"), ("Wants", "c\\\\"), ("Before", "d")],
        "Service": [("ExecStart", "/x    --y"), ("User", "z")],
    }
    assert parse_unit(text.replace("\n", "\r\n")) == parse_unit(text)


def test_a_swallowed_newline_takes_the_section_with_it() -> None:
    # Seen on a real cluster: systemd takes it, and the last common name is one that no certificate has.
    text = UNIT.replace('$$5"\nRestart=always\n\n[Install]', '$$5"[Install]')
    assert "Install" not in parse_unit(text)
    assert t.cast(t.Any, deployed_from_text(text))["flags"]["initial-cluster-token"].endswith("[Install]")


def test_deployed_from_text() -> None:
    deployed = deployed_from_text(UNIT)
    assert deployed is not None
    assert deployed["program"] == "/usr/bin/etcd"
    assert deployed["member_name"] == "etcd-1"
    assert deployed["data_dir"] == "/var/lib/etcd/etcd-1"
    assert deployed["allowed_common_names"] == ["etcd-1.example.com", "etcd-2.example.com"]
    assert deployed["files"]["peer_trusted_ca_file"] == "/etc/etcd/pki/ca.crt"
    assert deployed["files"]["peer_crl_file"] is None
    assert deployed["flags"]["initial-cluster-token"] == "50% off for $5"
    assert deployed["warnings"] == []


@pytest.mark.parametrize("text", ["", "[Service]\n", "[Service]\nExecStart=/x\nExecStart=\n", "ExecStart=/x\n"])
def test_a_text_without_a_command_says_nothing(text: str) -> None:
    assert deployed_from_text(text) is None


def test_environment_of_a_text_counts_where_the_flag_is_missing() -> None:
    text = (
        '[Service]\nEnvironment=ETCD_DATA_DIR=/data "ETCD_NAME=a 100%%"\nEnvironment=ETCD_INITIAL_CLUSTER=\n'
        "ExecStart=-/usr/bin/etcd --name=b\n"
    )
    deployed = t.cast(t.Any, deployed_from_text(text))
    assert (deployed["data_dir"], deployed["member_name"], deployed["initial_cluster"]) == ("/data", "b", {})
    assert deployed["program"] == "/usr/bin/etcd"


def test_an_empty_environment_takes_back_what_came_before() -> None:
    text = "[Service]\nEnvironment=ETCD_NAME=a\nEnvironment=\nEnvironment=word ; ETCD_DATA_DIR=/d\nExecStart=/etcd\n"
    deployed = t.cast(t.Any, deployed_from_text(text))
    assert (deployed["member_name"], deployed["data_dir"]) == ("default", "/d")


def test_a_command_with_a_name_of_its_own() -> None:
    deployed = t.cast(t.Any, deployed_from_text("[Service]\nExecStart=@/usr/bin/etcd etcd --name=b\n"))
    assert (deployed["program"], deployed["member_name"]) == ("/usr/bin/etcd", "b")


# Environment files --------------------------------------------------------------------------------------------------


def test_environment_files() -> None:
    text = (
        "[Service]\nEnvironmentFile=/gone\nEnvironmentFile=\nEnvironmentFile=/a%%b\nEnvironmentFile=-/etc/default/%p\n"
    )
    assert environment_files(text, "etcd@1.service") == [("/a%b", False), ("/etc/default/etcd", True)]
    for path in ("/etc/etcd.d/*.env", "/etc/%i", "/etc/100%"):
        with pytest.raises(InputError, match="name each file"):
            environment_files(f"[Service]\nEnvironmentFile={path}\n", "etcd.service")


def test_variables_of_files_win_and_are_put_into_the_command() -> None:
    text = "[Service]\nEnvironment=ETCD_NAME=a X=--debug\nExecStart=/usr/bin/etcd $ARGS --data-dir=${D}/$$x $X $NONE\n"
    reported = deployed_from_text(
        text, {"ETCD_NAME": "b", "ARGS": "--auto-tls --quota-backend-bytes 5", "D": "/v/my data"}
    )
    assert reported is not None
    flags = {"auto-tls": "true", "quota-backend-bytes": "5", "data-dir": "/v/my data/$x", "debug": "true", "name": "b"}
    assert reported["flags"] == flags


def test_variables_that_the_unit_takes_away() -> None:
    text = "[Service]\nUnsetEnvironment=X\nUnsetEnvironment=\n"
    text += "UnsetEnvironment=ETCD_CONFIG_FILE ETCD_NAME=a\nExecStart=/e\n"
    for name, kept in (("a", {}), ("b", {"name": "b"})):
        reported = deployed_from_text(text, {"ETCD_CONFIG_FILE": "/x", "ETCD_NAME": name})
        assert reported is not None and reported["flags"] == kept


def test_seal() -> None:
    assert configuration_hash_of(UNIT) is None
    assert not configuration_hash_is_valid(UNIT)
    hashed = with_configuration_hash(UNIT)
    configuration_hash = configuration_hash_of(hashed)
    assert configuration_hash is not None and len(configuration_hash) == 64
    assert configuration_hash_is_valid(hashed)
    assert with_configuration_hash(hashed) == hashed
    assert hashed.replace(configuration_hash, "") == UNIT
    assert configuration_hash_of(with_configuration_hash(UNIT + "\n")) != configuration_hash


@given(st.sampled_from(range(len(UNIT))), st.sampled_from("xX \n"))
def test_a_change_breaks_the_seal(position: int, character: str) -> None:
    hashed = with_configuration_hash(UNIT)
    changed = hashed[:position] + character + hashed[position + 1 :]
    assert changed == hashed or not configuration_hash_is_valid(changed)


@pytest.mark.parametrize(
    "text",
    [
        UNIT.replace("Environment=RINGFENCE_CONFIGURATION_HASH=\n", ""),
        UNIT.replace("Environment=RINGFENCE_CONFIGURATION_HASH=\n", "Environment=RINGFENCE_CONFIGURATION_HASH=\n" * 2),
        UNIT.replace("Environment=RINGFENCE_CONFIGURATION_HASH=\n", "").replace(
            "[Unit]\n", "[Unit]\nEnvironment=RINGFENCE_CONFIGURATION_HASH=\n"
        ),
        UNIT.replace(
            "Environment=RINGFENCE_CONFIGURATION_HASH=",
            'Environment=RINGFENCE_CONFIGURATION_HASH=\nEnvironment="RINGFENCE_CONFIGURATION_HASH=x"',
        ),
        UNIT.replace("Environment=RINGFENCE_CONFIGURATION_HASH=", "Environment=RINGFENCE_CONFIGURATION_HASH=\\"),
        UNIT.replace("Type=notify\n", "Type=notify \\\n").replace("User=etcd\n", "User=etcd \\\n"),
    ],
)
def test_the_seal_has_one_place(text: str) -> None:
    with pytest.raises(InputError, match="RINGFENCE_CONFIGURATION_HASH"):
        with_configuration_hash(text)
    assert configuration_hash_of(text) is None
    assert not configuration_hash_is_valid(text)
