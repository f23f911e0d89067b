# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a member lets this host in: by real servers. What etcd itself says is in test_etcd_member.py."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.admission import admission
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("another CA", is_ca=True)
SERVER = issue("etcd-1", CA)


def pair_in(folder: pathlib.Path, pair: Issued, authorities: str = CA.pem) -> tuple[str, str, str]:
    paths = [folder / name for name in ("ca.crt", "etcd-2.crt", "etcd-2.key")]
    for path, content in zip(paths, (authorities, pair.pem, pair.key_pem)):
        path.write_text(content)
    authority, certificate, private_key = map(str, paths)
    return authority, certificate, private_key


def test_who_lets_this_host_in(tmp_path: pathlib.Path) -> None:
    """The pair is what is asked with, and the CA file's certificates are all trusted."""
    why_not = admission(*pair_in(tmp_path, issue("etcd-2", CA), OTHER_CA.pem + CA.pem))
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as port:
        assert why_not("etcd-1", f"https://127.0.0.1:{port}") is None
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, OTHER_CA))) as port:
        assert why_not("etcd-1", f"https://127.0.0.1:{port}") in ("TLS alert: unknown ca", "TLS alert: decrypt error")
    with ports.listening(ports.closes_after_handshake(ports.server_context(SERVER, CA))) as port:
        assert why_not("etcd-1", f"https://127.0.0.1:{port}") == (
            "the connection was closed after the handshake, with no alert"
        )


def test_a_server_that_is_not_the_cluster_s_lets_nobody_in(tmp_path: pathlib.Path) -> None:
    why_not = admission(*pair_in(tmp_path, issue("etcd-2", CA)))
    with ports.listening(ports.speaks_tls(ports.server_context(issue("etcd-1", OTHER_CA), CA))) as port:
        text = why_not("etcd-1", f"https://127.0.0.1:{port}")
    assert text is not None and text.startswith("the certificate that it serves is refused: ")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"https://127.0.0.1:{ports.CLOSED_PORT}", "nothing listens at port 1"),
        ("http://127.0.0.1:2380", "its peer URL http://127.0.0.1:2380 is not https"),
        ("", "member etcd-1: peer URL '' is none: write it like https://10.0.0.1:2380"),
        ("https://[::1", "member etcd-1: peer URL 'https://[::1' is none: write it like https://10.0.0.1:2380"),
    ],
)
def test_a_peer_url_at_which_nobody_can_let_anybody_in(tmp_path: pathlib.Path, url: str, why: str) -> None:
    assert admission(*pair_in(tmp_path, issue("etcd-2", CA)))("etcd-1", url) == why


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_file_that_is_missing_is_named(tmp_path: pathlib.Path, missing: int) -> None:
    paths = pair_in(tmp_path, issue("etcd-2", CA))
    pathlib.Path(paths[missing]).unlink()
    with pytest.raises(FileError) as caught:
        admission(*paths)
    assert str(caught.value) == f"can't read {paths[missing]}: no such file or directory"


def test_a_key_that_is_another_s_is_refused_before_anybody_is_called(tmp_path: pathlib.Path) -> None:
    paths = pair_in(tmp_path, issue("etcd-2", CA))
    pathlib.Path(paths[2]).write_text(SERVER.key_pem)
    with pytest.raises(CryptoError):
        admission(*paths)
