# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes last_words.json anew: what real etcds write when they can't start, each in a way that users bring about.

Run by hand as root, with the programs of one version after the other, the newest last:

    python3 tests/unit/plugins/module_utils/_etcd/last_words_maker.py /path/to/3.5.16/etcd /path/to/3.6.16/etcd

An etcd that is given before gives the data that a later one is started on. Info lines, and stack traces after their
first lines, are left out.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.request

RESULT = pathlib.Path(__file__).with_name("last_words.json")
SECONDS = 12.0
_TRACE_LINES = 4
_OTHER_LINES = 12
_VALUE = b"ringfence"
_PUT = json.dumps({"key": "YQ==", "value": base64.b64encode(_VALUE).decode()}).encode()
_PEER, _CLIENT = "http://127.0.0.1:{0}", "http://127.0.0.1:{1}"


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def flags(folder: pathlib.Path, **other: str) -> list[str]:
    peer, client = free_ports()
    given = {
        "name": "etcd-1",
        "data_dir": str(folder / "data"),
        "listen_peer_urls": _PEER.format(peer, client),
        "initial_advertise_peer_urls": _PEER.format(peer, client),
        "listen_client_urls": _CLIENT.format(peer, client),
        "advertise_client_urls": _CLIENT.format(peer, client),
        "initial_cluster": f"etcd-1={_PEER.format(peer, client)}",
        **other,
    }
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]


def run(etcd: str, arguments: t.Sequence[str], prefix: t.Sequence[str] = (), **environment: str) -> list[str]:
    """What etcd writes until it ends, or for some seconds."""
    with subprocess.Popen(
        [*prefix, etcd, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], **environment},
    ) as child:
        try:
            said, _nothing = child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            child.terminate()
            said, _nothing = child.communicate()
    return said.decode("utf-8", "replace").splitlines()


def seed(etcd: str, folder: pathlib.Path) -> list[str]:
    """Let etcd make its data, with some keys in it; gives its flags."""
    arguments = flags(folder)
    url = next(flag.partition("=")[2] for flag in arguments if flag.startswith("--advertise-client-urls="))
    with subprocess.Popen([etcd, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        time.sleep(6)
        for _number in range(50):
            urllib.request.urlopen(f"{url}/v3/kv/put", data=_PUT).close()
        child.terminate()
    return arguments


def overwrite(path: pathlib.Path, offset: int, content: bytes) -> None:
    with open(path, "r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def certificate(folder: pathlib.Path, days: int = 1) -> dict[str, str]:
    key, cert = folder / "peer.key", folder / "peer.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
        + ["-subj", "/CN=etcd-1", "-days", str(days), "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return {"cert": str(cert), "key": str(key)}


def https(arguments: t.Iterable[str]) -> list[str]:
    return [argument.replace("http://", "https://") for argument in arguments]


def cases(etcd: str, older: str | None, folder: pathlib.Path) -> t.Iterator[tuple[str, list[str]]]:
    def place(name: str) -> pathlib.Path:
        (folder / name).mkdir()
        return folder / name

    yield "unknown flag", run(etcd, [*flags(place("a")), "--no-such-flag=1"])
    yield "bad value", run(etcd, flags(place("b"), heartbeat_interval="fast"))
    yield "bad boolean", run(etcd, [*flags(place("b2")), "--peer-client-cert-auth=maybe"])
    yield "heartbeat", run(etcd, flags(place("c"), heartbeat_interval="2000", election_timeout="1000"))
    yield "election", run(etcd, flags(place("c2"), heartbeat_interval="20000", election_timeout="60000"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        yield "port in use", run(etcd, flags(place("d"), listen_client_urls=url))
    yield "no such address", run(etcd, flags(place("e"), listen_client_urls="http://192.0.2.1:2379"))
    denied = place("f")
    denied.chmod(0o700)
    yield "permission denied", run(etcd, flags(denied), prefix=["setpriv", "--reuid=65534", "--clear-groups"])
    tls = place("g")
    made = certificate(tls)
    yield (
        "no certificate",
        run(
            etcd,
            https(flags(tls, peer_cert_file="/nonexistent/peer.crt", peer_key_file=made["key"])),
        ),
    )
    (tls / "garbage").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    pair = {"peer_cert_file": made["cert"], "peer_key_file": made["key"]}
    yield "no CA", run(etcd, https(flags(tls, **pair, peer_trusted_ca_file="/nonexistent/ca.crt")))
    yield "damaged CA", run(etcd, https(flags(tls, **pair, peer_trusted_ca_file=str(tls / "garbage"))))
    other = certificate(place("h"))
    yield (
        "key of another certificate",
        run(
            etcd,
            https(flags(tls, peer_cert_file=made["cert"], peer_key_file=other["key"])),
        ),
    )
    yield (
        "cipher suites with TLS 1.3",
        run(
            etcd,
            https(flags(tls, **pair, cipher_suites="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", tls_min_version="TLS1.3")),
        ),
    )
    yield "no such cipher suite", run(etcd, https(flags(tls, **pair, cipher_suites="TLS_BEST")))
    yield "name not in the cluster", run(etcd, flags(place("i"), initial_cluster="etcd-2=http://127.0.0.1:1"))
    yield "flag and environment", run(etcd, flags(place("j")), ETCD_NAME="etcd-2")
    damaged = place("k")
    arguments = seed(etcd, damaged)
    (wal,) = (damaged / "data" / "member" / "wal").glob("*.wal")
    overwrite(wal, wal.read_bytes().index(_VALUE), b"R")
    yield "damaged WAL", run(etcd, arguments)
    damaged = place("l")
    arguments = seed(etcd, damaged)
    overwrite(damaged / "data" / "member" / "snap" / "db", 0, b"\xff" * 16384)
    yield "damaged database", run(etcd, arguments)
    joined = place("m")
    living = flags(place("n"))
    with subprocess.Popen([etcd, *living], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        time.sleep(5)
        (url,) = (flag.partition("=")[2] for flag in living if flag.startswith("--initial-advertise-peer"))
        new = flags(joined, initial_cluster_state="existing")
        new = [f"{flag},etcd-0={url}" if flag.startswith("--initial-cluster=") else flag for flag in new]
        yield "not added to the cluster", run(etcd, new)
        child.terminate()
    full = place("o")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(full)], check=True)
    try:
        yield "disk full", run(etcd, flags(full))
    finally:
        subprocess.run(["umount", str(full)], check=True)
    if older is not None:
        newer = place("p")
        arguments = seed(etcd, newer)
        yield "invalid downgrade", run(older, arguments)


def shortened(lines: t.Iterable[str], folder: str) -> list[str]:
    kept, trace = [], 0
    for line in lines:
        if re.match(r"^goroutine \d+ \[|^\s+\S+\.go:\d+|^\S+\(.*\)$|^created by ", line):
            trace += 1
            if trace > _TRACE_LINES:
                continue
        elif re.search(r'"level":"(?:info|debug)"|^\S+ \S+ [ID] \| |^\s{2,}', line):
            continue
        line = re.sub(r'("stacktrace":"[^"]{,200})[^"]*"', r'\1"', line)
        kept.append(line.replace(folder, "/tmp/etcd"))
    return kept[:_OTHER_LINES] + kept[max(_OTHER_LINES, len(kept) - _OTHER_LINES) :]


def main() -> None:
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    older = None
    for etcd in sys.argv[1:]:
        first = subprocess.run([etcd, "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0]
        version = first.split()[-1]
        found[version] = {}
        with tempfile.TemporaryDirectory() as name:
            pathlib.Path(name).chmod(0o755)
            for case, lines in cases(etcd, older, pathlib.Path(name)):
                found[version][case] = shortened(lines, name)
                print(f"{version} {case}: {len(lines)} lines", flush=True)
        older = etcd
    RESULT.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
