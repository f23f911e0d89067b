# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a host has in its unit, environment files, command line and answers: it is read, or refused in one line."""

from __future__ import annotations

import re
import socket
import time
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    deployed_from_arguments,
    deployed_from_text,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import parse_active_peers
from ansible_collections.ringfence.etcd.plugins.module_utils._probe import handshake
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    configuration_hash_of,
    environment_files,
    exec_arguments,
    exec_command,
    parse_unit,
)
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

# A smaller example takes minutes to be found, and says no more.
BOUNDED = settings(max_examples=200, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])

# Text that is nothing but text, and text that is nearly what is looked for.
_PIECES = st.sampled_from(
    [
        *("[Service]", "[Unit]", "[", "]", "ExecStart=", "Environment=", "EnvironmentFile=", "UnsetEnvironment="),
        *("ETCD_", "NAME", "=", "--", "-", "name", "peer-client-cert-auth", ",", "$", "${", "}", "%", "%%", "$$"),
        *("\n", "\r", "\r\n", " ", "\t", "\\", '"', "'", "#", ";", "\\;", "\\x", "\\u00e9", "\\101", "@", "!", "|"),
        *("RINGFENCE_CONFIGURATION_HASH", "a", "=a,b", "/usr/bin/etcd", "\x00", "\udcff", "\u2028", "\x1b[31m"),
    ]
)
texts = st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map("".join))
words = st.lists(st.one_of(st.text(max_size=30), st.lists(_PIECES, max_size=6).map("".join)), max_size=12)
variables = st.dictionaries(st.one_of(st.text(max_size=10), _PIECES.map("ETCD_{}".format)), st.text(max_size=20))


@BOUNDED
@given(texts, variables)
@example("[Service]\nExecStart=@", {})
@example("[Service]\nExecStart=-", {})
@example('[Service]\nExecStart="', {})
def test_any_text_of_a_unit(text: str, from_files: dict[str, str]) -> None:
    for section in parse_unit(text).values():
        assert all("\n" not in key + value for key, value in section)
    assert all(isinstance(word, str) for word in exec_command(text, from_files))
    reported = deployed_from_text(text, from_files)
    assert reported is None or set(reported) == set(deployed_from_arguments([]))
    assert configuration_hash_of(text) is None or len(configuration_hash_of(text) or "") == 64
    assert isinstance(configuration_hash_is_valid(text), bool)
    try:
        assert all(isinstance(path, str) for path, _optional in environment_files(text, "etcd.service"))
    except InputError as exc:
        assert "\n" not in str(exc)


@BOUNDED
@given(texts)
def test_any_text_of_an_environment_file(text: str) -> None:
    try:
        found = parse_environment(text)
    except ValueError as exc:
        assert "\n" not in str(exc)
        return
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in found)
    assert sum(len(value) for value in found.values()) <= len(text)


@BOUNDED
@given(texts, variables)
def test_any_command_line_of_a_unit(value: str, environment: dict[str, str]) -> None:
    assert all(isinstance(word, str) for word in exec_arguments(value) + exec_arguments(value, environment))


@BOUNDED
@given(words, variables)
@example(["etcd", "--"], {})
@example(["etcd", "--=x", "-=", "---"], {"ETCD_": "x", "ETCD__": "x"})
def test_any_arguments_of_a_process(argv: list[str], environment: dict[str, str]) -> None:
    reported = deployed_from_arguments(argv, environment)
    assert all(isinstance(value, str) and value is not None for value in reported["flags"].values())
    assert reported["files"].keys() == deployed_from_arguments([])["files"].keys()
    assert all("\n" not in warning["code"] for warning in reported["warnings"])


_METRIC = 'etcd_network_active_peers{Local="1",Remote="2"} '


@BOUNDED
@given(
    st.one_of(
        st.text(max_size=200),
        st.text(st.sampled_from("0123456789.eE+-infaNI "), max_size=12).map(lambda value: f"{_METRIC}{value}\n"),
        st.text(max_size=20).map(lambda name: f'etcd_network_active_peers{{Remote="{name}"}} 1\n'),
    )
)
@example(f"{_METRIC}1e999\n")
@example(f"{_METRIC}nan\n")
@example(f"{_METRIC}1.2.3\n")
@example(f"{_METRIC}{'9' * 5000}\n")
def test_any_text_of_metrics(text: str) -> None:
    assert all(isinstance(count, int) for count in parse_active_peers(text).values())


def answered(content: bytes) -> handshake.ProbeResult:
    """What a call makes of an answer, over a real connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        base = handshake.ProbeResult(handshake.REFUSED, None, "", tls="TLSv1.3")
        return handshake._ask(t.cast("t.Any", ours), base, time.monotonic() + 10, False, handshake.VERSION_REQUEST)


@BOUNDED
@given(
    st.one_of(
        st.binary(max_size=100),
        st.tuples(st.sampled_from([b"HTTP/1.1 ", b"HTTP/", b"http/1.1 "]), st.binary(max_size=20)).map(b"".join),
    )
)
@example(b"HTTP/1.1 200 OK\r\n")
@example(b"HTTP/1.1 200\r\n")
@example("HTTP/1.1 ²³ OK\r\n".encode("latin-1"))
@example(b"HTTP/1.1 " + b"1" * 30000 + b"\r\n")
@example(b"HTTP/\x1b[31m 200 OK\r\n")
def test_only_an_answer_of_http_is_one(content: bytes) -> None:
    state = answered(content)
    is_http = re.match(rb"HTTP/1\.[01] [1-5][0-9]{2}( [^\r]*)?\r\n", content) is not None
    assert (state.outcome == handshake.ACCEPTED) == is_http
    assert state.text.isprintable() and state.text.isascii() and len(state.text) < 100
