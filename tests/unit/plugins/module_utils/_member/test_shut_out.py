# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom the next start of a node's etcd would refuse, by what real servers present."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._member.shut_out import shut_out
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue

CA, NEW_CA = issue("etcd peer CA", is_ca=True), issue("another CA", is_ca=True)
OWN, OTHER = issue("etcd-2", CA), issue("etcd-1", CA)
LIST = "--peer-cert-allowed-cn=etcd-1,etcd-2"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, content in (("ca.crt", CA.pem), ("own.crt", OWN.pem), ("own.key", OWN.key_pem)):
        (tmp_path / name).write_text(content)
    return tmp_path


def asked(
    folder: pathlib.Path, *flags: str, tls: bool = True, is_strict: bool = False
) -> t.Callable[[t.Iterable[str]], str | None]:
    """What the next start with these flags would hold against who answers."""
    files = [("trusted-ca", "ca.crt"), ("cert", "own.crt"), ("key", "own.key")]
    words = [f"--peer-{flag}-file={folder / name}" for flag, name in files] if tls else []
    settings = deployed_from_arguments(["etcd", *words, *flags], {})
    return shut_out(settings, datetime.datetime.now(datetime.timezone.utc), is_strict)


def told(why_not: t.Callable[[t.Iterable[str]], str | None], presented: Issued, trusts: Issued = CA) -> str | None:
    with ports.listening(ports.speaks_tls(ports.server_context(presented, trusts))) as port:
        # The first one is nobody's any more.
        return why_not([f"https://127.0.0.1:{ports.CLOSED_PORT}", f"https://127.0.0.1:{port}"])


def test_who_is_let_in_is_not_shut_out(folder: pathlib.Path) -> None:
    assert told(asked(folder, "--peer-client-cert-auth", LIST), OTHER) is None


def test_a_name_that_is_not_in_the_list_would_be_shut_out(folder: pathlib.Path) -> None:
    why_not = asked(folder, "--peer-client-cert-auth", LIST)
    assert told(why_not, issue("etcd-1.example.org", CA)) == "its common name is not in --peer-cert-allowed-cn"
    # Without a list every name of that CA is let in.
    assert told(asked(folder, "--peer-client-cert-auth"), issue("etcd-1.example.org", CA)) is None


def test_a_ca_that_is_not_in_the_bundle_would_be_shut_out(folder: pathlib.Path) -> None:
    why_not = asked(folder, "--peer-client-cert-auth", LIST)
    assert told(why_not, issue("etcd-1", NEW_CA)) == f"its CA is not in {folder / 'ca.crt'}"
    # With a CA etcd asks, whatever that flag says.
    assert told(asked(folder, LIST), issue("etcd-1", NEW_CA)) == f"its CA is not in {folder / 'ca.crt'}"
    (folder / "ca.crt").write_text(CA.pem + NEW_CA.pem)
    assert told(asked(folder, "--peer-client-cert-auth", LIST), issue("etcd-1", NEW_CA)) is None


def test_what_can_not_be_seen_is_not_held_against_anybody(folder: pathlib.Path) -> None:
    stranger = issue("etcd-1.example.org", NEW_CA)
    # Who does not take this host, or is not there, has told nothing of its own; and without TLS nobody is refused.
    why_not = asked(folder, "--peer-client-cert-auth", LIST)
    assert told(why_not, OTHER, trusts=NEW_CA) is None
    assert why_not(["http://127.0.0.1:2380", "nonsense", f"https://127.0.0.1:{ports.CLOSED_PORT}"]) is None
    assert told(asked(folder, LIST, tls=False), stranger) is None
    (folder / "own.key").write_text("")
    assert told(asked(folder, "--peer-client-cert-auth", LIST), stranger) is None


def test_what_can_not_be_seen_is_a_reason_where_that_is_asked_for(folder: pathlib.Path) -> None:
    why_not = asked(folder, "--peer-client-cert-auth", LIST, is_strict=True)
    with ports.listening(ports.speaks_tls(ports.server_context(OTHER, CA))) as port:
        assert why_not([f"https://127.0.0.1:{port}"]) is None
        assert "does not let this member in" in (
            why_not([f"https://127.0.0.1:{port}", f"https://127.0.0.1:{ports.CLOSED_PORT}"]) or ""
        )
    assert "does not let this member in" in (told_alone(why_not, trusts=NEW_CA) or "")
    assert why_not(["http://127.0.0.1:2380"]) == "http://127.0.0.1:2380 is no https"
    assert why_not(["nonsense"]) == "nonsense is no peer URL"
    assert asked(folder, LIST, tls=False, is_strict=True)(["https://127.0.0.1:1"]) == (
        "this member's own files for peers can't be used"
    )


def told_alone(why_not: t.Callable[[t.Iterable[str]], str | None], trusts: Issued) -> str | None:
    with ports.listening(ports.speaks_tls(ports.server_context(OTHER, trusts))) as port:
        return why_not([f"https://127.0.0.1:{port}"])
