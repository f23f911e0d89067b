# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values with which etcd does not start: each was tried on etcd 3.4.23, 3.5.16, 3.6.16 and 3.7.3."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flag_values import why_not_started
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings, etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

MEMBERS = make_members([{"name": "etcd-1", "address": "10.0.0.1"}], ClusterSettings(name="etcd", domain="example.com"))


def flags(**more: t.Any) -> dict[str, str]:
    settings = FlagSettings("etcd", "/var/lib/etcd/etcd", "/etc/etcd/pki", **more)
    return dict(etcd_flags(MEMBERS[0], MEMBERS, settings))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (
            {"heartbeat-interval": 2000},
            "--heartbeat-interval=2000 is refused: etcd would not run with it: --election-t",
        ),
        ({"heartbeat-interval": 0}, "--heartbeat-interval=0 is refused"),
        ({"election-timeout": 0}, "--election-timeout=0 is refused"),
        ({"election-timeout": 400}, "(400 ms) has to be at least 5 times --heartbeat-interval (100 ms)"),
        ({"election-timeout": 50001}, "at most 50000 milliseconds"),
        ({"auto-compaction-mode": "daily"}, "periodic or revision is wanted"),
        ({"auto-compaction-retention": "1d"}, "a number, or a duration such as 12h or 30m"),
        ({"auto-compaction-retention": "-1"}, "a number, or a duration"),
        ({"log-level": "trace"}, "one of debug, info"),
        ({"logger": "text"}, "every version takes zap"),
        ({"log-outputs": ["default", "/var/log/etcd.log"]}, "default stands for itself alone"),
        ({"listen-metrics-urls": "http://etcd-1.example.com:2381"}, "listens at an IP address"),
        ({"listen-metrics-urls": "http://10.0.0.1"}, "a URL like http://10.0.0.1:2381 is wanted"),
        ({"max-request-bytes": 0}, "with 0 etcd would take no request"),
        ({"max-txn-ops": "0x0"}, "with 0 etcd would take no request"),
        ({"experimental-compact-hash-check-time": "0s"}, "a duration above 0"),
        ({"compact-hash-check-time": "-1m"}, "a duration above 0"),
        ({"experimental-enable-lease-checkpoint-persist": True}, "it needs --experimental-enable-lease-checkpoint"),
        ({"auth-token": "ldap"}, "simple, or jwt"),
    ],
)
def test_what_etcd_would_not_run_with_is_refused(extra: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        flags(extra_flags=extra)
    text = str(caught.value)
    assert text.startswith("etcd_peer_tls_extra_flags: --") and words in text and "\n" not in text


@pytest.mark.parametrize(
    "extra",
    [
        {"heartbeat-interval": 200},
        {"heartbeat-interval": 2000, "election-timeout": 10000},
        {"heartbeat-interval": "many"},  # etcd says it itself, when it reads its flags
        {"election-timeout": 50000, "snapshot-count": 0, "quota-backend-bytes": -1, "max-wals": 0},
        {"auto-compaction-mode": "revision", "auto-compaction-retention": 1000},
        {"auto-compaction-retention": "1h30m"},
        {"auto-compaction-retention": "0"},
        {"log-level": "debug", "log-outputs": "stderr,/var/log/etcd.log"},
        {"log-outputs": "default"},
        {"listen-metrics-urls": "http://127.0.0.1:2381,http://localhost:2381,http://[::1]:2381"},
        {"max-request-bytes": 10485760, "max-txn-ops": 1024},
        {"compact-hash-check-time": "1m", "auth-token": "jwt,pub-key=/a,priv-key=/b,sign-method=RS256"},
        {"cors": "*", "host-whitelist": "a,b"},
        {"experimental-enable-lease-checkpoint-persist": True, "experimental-enable-lease-checkpoint": True},
    ],
)
def test_what_etcd_runs_with_is_taken(extra: dict[str, t.Any]) -> None:
    assert set(extra) <= set(flags(extra_flags=extra))


PLACES = {
    "listen-peer-urls": "https://10.0.0.1:2380",
    "listen-client-urls": "https://10.0.0.1:2379,https://127.0.0.1:2379",
    "cert-file": "/etc/etcd/pki/etcd-1.crt",
}
SIX = {"listen-peer-urls": "https://[fd00::1]:2380", "listen-client-urls": "https://[fd00::1]:2379"}


@pytest.mark.parametrize(
    ("url", "others", "words"),
    [
        ("http://10.0.0.1:2381", PLACES, None),
        ("https://10.0.0.1:2381", PLACES, None),
        ("http://[::]:2381", PLACES, None),
        # Another address of the host is another place.
        ("http://10.0.0.9:2379", PLACES, None),
        ("unix://metrics", PLACES, None),
        ("etcd-1:2381", PLACES, "a URL like http://10.0.0.1:2381 is wanted"),
        ("ftp://10.0.0.1:2381", PLACES, "a URL like http://10.0.0.1:2381 is wanted"),
        ("http://10.0.0.1:2380", PLACES, "where etcd listens for peers or clients"),
        ("http://localhost:2379", PLACES, "where etcd listens for peers or clients"),
        ("http://0.0.0.0:2379", PLACES, "where etcd listens for peers or clients"),
        ("http://[::]:2380", PLACES, "where etcd listens for peers or clients"),
        ("http://10.0.0.1:2381,http://10.0.0.1:2379", PLACES, "where etcd listens for peers or clients"),
        ("http://[fd00:0::1]:2379", SIX, "where etcd listens for peers or clients"),
        ("http://10.0.0.1:2381/metrics", PLACES, "with a port and no path"),
        ("http://10.0.0.1", PLACES, "with a port and no path"),
        ("http://10.0.0.1:0x1", PLACES, "an IP address and a port"),
        ("https://[fd00::1]:2381", SIX, "has the certificate of the client port, and there is none"),
    ],
)
def test_a_place_for_metrics(url: str, others: dict[str, str], words: str | None) -> None:
    found = why_not_started({**others, "listen-metrics-urls": url})
    assert (found is None) if words is None else found is not None and words in found[1]


def test_a_variable_for_metrics_is_named_where_it_is_wrong() -> None:
    urls = ["http://10.0.0.1:2381", "http://127.0.0.1:2381"]
    assert flags(metrics_urls=urls)["listen-metrics-urls"] == ",".join(urls)
    assert "listen-metrics-urls" not in flags()
    with pytest.raises(
        InputError, match=r"^etcd_peer_tls_metrics_urls: --listen-metrics-urls=http://x:2381 is refused"
    ):
        flags(metrics_urls=["http://x:2381"])
    with pytest.raises(InputError, match="--listen-metrics-urls is set by the role: use the role's own variable"):
        flags(metrics_urls=urls, extra_flags={"listen-metrics-urls": urls})


@pytest.mark.parametrize(
    ("suites", "words"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "has to be among them, for HTTP/2"),
        ("TLS_FOO,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_FOO is none that Go knows"),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", None),
    ],
)
def test_cipher_suites(suites: str, words: str | None) -> None:
    found = why_not_started({"cipher-suites": suites})
    assert found == (None if words is None else ("cipher-suites", found and found[1]))
    assert words is None or (found is not None and words in found[1])


# What is added to the unit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"ExecStart": "/bin/true"}, "ExecStart= is refused: there is one command"),
        ({"EnvironmentFile": "-/etc/default/etcd"}, "EnvironmentFile= is refused: what a file says is not seen here"),
        ({"Type": "simple"}, "Type= is refused"),
        ({"User": "root"}, "use etcd_peer_tls_owner"),
        ({"DynamicUser": "true"}, "DynamicUser= is refused"),
        ({"Environment": "ETCD_ENABLE_GRPC_GATEWAY=false"}, "Environment=ETCD_ENABLE_GRPC_GATEWAY is refused: members"),
        ({"Environment": ["A=1", '"ETCD_CONFIG_FILE=/etc/etcd.yml"']}, "ETCD_CONFIG_FILE is refused: etcd would"),
        ({"Environment": "GOMAXPROCS=2 ETCD_PEER_AUTO_TLS=true"}, "ETCD_PEER_AUTO_TLS is refused: peers would trust"),
        ({"Environment": "ETCD_NAME=etcd-1"}, "etcd ends at once where it is given --name as well"),
        ({"Environment": "ETCD_MAX_WALS=3"}, "etcd ends at once where it is given --max-wals as well"),
        ({"Environment": "ETCD_HEARTBEAT_INTERVAL=2000"}, "ETCD_HEARTBEAT_INTERVAL=2000 is refused"),
        ({"Environment": "ETCD_TLS_MIN_VERSION=TLS1.2"}, "use etcd_peer_tls_min_version"),
        ({"Environment": "RINGFENCE_CONFIGURATION_HASH=0"}, "the role's own mark"),
        ({"Environment": ""}, "an empty Environment= is refused"),
        ({"UnsetEnvironment": ""}, "an empty UnsetEnvironment= is refused"),
        (
            {"UnsetEnvironment": "LANG RINGFENCE_CONFIGURATION_HASH"},
            "UnsetEnvironment=RINGFENCE_CONFIGURATION_HASH is refused: the unit needs it",
        ),
        ({"PassEnvironment": "ETCD_QUOTA_BACKEND_BYTES"}, "PassEnvironment=ETCD_QUOTA_BACKEND_BYTES is refused"),
    ],
)
def test_what_would_tell_etcd_otherwise_is_refused_by_name(service: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        flags(unit_settings={"Service": service}, extra_flags={"max-wals": 5})
    text = str(caught.value)
    assert text.startswith("etcd_peer_tls_extra_unit_settings: ") and words in text and "\n" not in text


def test_what_tells_etcd_nothing_else_is_taken() -> None:
    service = {
        "Environment": ["GOMAXPROCS=2", "ETCD_SNAPSHOT_COUNT=5000 ETCD_ENABLE_GRPC_GATEWAY=true", "ETCD_NAME="],
        "ExecStartPre": "/bin/sleep 5",
        "MemoryMax": "1G",
        "UnsetEnvironment": "LANG",
    }
    assert flags(unit_settings={"Service": service, "Unit": {"After": "x.service"}}) == flags()
    with pytest.raises(InputError, match="Service is 'x'"):
        flags(unit_settings={"Service": "x"})
