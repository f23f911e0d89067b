# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's pure parts: they need neither root nor namespaces."""

from __future__ import annotations

import dataclasses
import os
import resource
import sys

import pytest
import yaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import cgroups, image, network, plan, system
from ringfence_lab.cli import main
from ringfence_lab.errors import LabError
from ringfence_lab.probe import probe


# --------------------------------------------------------------------------- addresses
def test_hosts_have_the_tutorials_names_and_addresses() -> None:
    hosts = plan.make_hosts(3)
    assert [(host.name, host.address) for host in hosts] == [
        ("etcd-1", "10.0.0.1"),
        ("etcd-2", "10.0.0.2"),
        ("etcd-3", "10.0.0.3"),
    ]
    assert hosts[2].networks() == ["10.0.0.3/24", "fd72:696e:6766::3/64"]
    assert plan.make_controller().address == "10.0.0.254"


def test_ipv6_only_hosts_have_no_ipv4() -> None:
    host = plan.make_hosts(1, ipv6_only=True)[0]
    assert (host.ipv4, host.address, host.networks()) == (None, "fd72:696e:6766::1", ["fd72:696e:6766::1/64"])


def test_no_host_ever_has_the_controllers_address_and_no_interface_name_is_too_long() -> None:
    hosts = plan.make_hosts(plan.MAXIMUM_HOSTS)
    everybody = [*hosts, plan.make_controller()]
    assert len({host.address for host in everybody}) == len({host.port for host in everybody}) == len(everybody)
    assert all(len(host.port) <= 15 for host in everybody)


@pytest.mark.parametrize("count", [0, -1, plan.MAXIMUM_HOSTS + 1])
def test_number_of_hosts_out_of_range(count: int) -> None:
    with pytest.raises(LabError, match=f"number of hosts {count}"):
        plan.make_hosts(count)


@pytest.mark.parametrize("name", ["", "a.b", "A", "1a", "a" * 21, "../x", "a\n", "-shared"])
def test_lab_name_refused(name: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        plan.check_lab_name(name)


def test_a_labs_namespaces_are_never_taken_for_another_labs() -> None:
    assert not network.namespace("a-b", "etcd-1").startswith(network.namespace("a", ""))


# --------------------------------------------------------------------------- texts
def test_inventory_is_yaml_with_groups_and_variables() -> None:
    hosts = plan.make_hosts(3)
    text = plan.inventory_text(
        {"blue": hosts[:2], "green": hosts[2:]},
        {"ansible_user": "root", "options": "-o 'a b' # x", "number": 1, "flag": True},
        {"etcd-3": {"etcd_peer_tls_address": "fd72::3"}},
    )
    loaded = yaml.safe_load(text)["all"]
    assert loaded["vars"] == {"ansible_user": "root", "options": "-o 'a b' # x", "number": 1, "flag": True}
    assert loaded["children"]["blue"]["hosts"] == {
        "etcd-1": {"ansible_host": "10.0.0.1"},
        "etcd-2": {"ansible_host": "10.0.0.2"},
    }
    assert loaded["children"]["green"]["hosts"]["etcd-3"]["etcd_peer_tls_address"] == "fd72::3"


def test_hosts_file_has_each_name_at_each_address() -> None:
    lines = plan.hosts_file_text(plan.make_hosts(2)).splitlines()
    assert "10.0.0.2 etcd-2.example.com etcd-2" in lines
    assert "fd72:696e:6766::2 etcd-2.example.com etcd-2" in lines


def test_known_hosts_has_a_host_under_all_its_names() -> None:
    text = plan.known_hosts_text({"etcd-1": "ssh-ed25519 AAAA comment\n"}, plan.make_hosts(1))
    assert text == "etcd-1,etcd-1.example.com,10.0.0.1,fd72:696e:6766::1 ssh-ed25519 AAAA\n"


def test_ssh_checks_host_keys_and_reads_no_configuration_of_the_user() -> None:
    options = plan.ssh_options("/k", "/i")
    assert options[:2] == ["-F", "none"]
    assert {"StrictHostKeyChecking=yes", "UserKnownHostsFile=/k", "IdentitiesOnly=yes"} <= set(options)


# --------------------------------------------------------------------------- images
def test_every_part_of_a_recipe_changes_the_images_name() -> None:
    recipe = image.Recipe()
    assert recipe.name == image.Recipe().name
    assert recipe.name.startswith("trixie-")
    others = [
        dataclasses.replace(recipe, release="bookworm"),
        dataclasses.replace(recipe, packages=(*recipe.packages, "vim-tiny")),
        dataclasses.replace(recipe, customize=recipe.customize + "true\n"),
        dataclasses.replace(recipe, architecture="other"),
    ]
    assert len({recipe.name, *(other.name for other in others)}) == 5


DEB822 = """\
Types: deb
# a comment within
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm

Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (DEB822, "http://mirror.example/debian"),
        ("deb http://a.example/debian bookworm main\n", "http://a.example/debian"),
        ("deb [arch=amd64 signed-by=/k] http://a.example/debian/ bookworm main\n", "http://a.example/debian"),
        ("# deb http://a.example/debian bookworm main\n", None),
        ("deb-src http://a.example/debian bookworm main\n", None),
        ("deb http://a.example/debian trixie main\n", None),
        ("deb http://tools.example/apt bookworm main\n", None),
        ("", None),
    ],
)
def test_mirror_of_a_source_list(text: str, wanted: str | None) -> None:
    assert image.mirror_in_sources(text, "bookworm") == wanted


def test_apt_options_are_those_that_reach_the_mirror() -> None:
    dump = (
        'APT::Architecture "amd64";\nAcquire::http::Proxy "http://p.example:3128";\n'
        'Acquire::https::Proxy::m.example "DIRECT";\nAcquire::Check-Date "false";\nDPkg::Post-Invoke:: "rm x";\n'
    )
    assert image.apt_options(dump) == [
        'Acquire::http::Proxy "http://p.example:3128";',
        'Acquire::https::Proxy::m.example "DIRECT";',
        'Acquire::Check-Date "false";',
    ]


# --------------------------------------------------------------------------- control groups
MIXED = """\
30 23 0:26 / /sys/fs/cgroup rw - tmpfs cgroup rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup rw
"""
UNIFIED = "33 30 0:29 / /sys/fs/cgroup rw,relatime shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mountinfo", "hierarchies", "unified"),
    [
        (MIXED, ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"], "/sys/fs/cgroup/unified"),
        (UNIFIED, ["/sys/fs/cgroup"], "/sys/fs/cgroup"),
        ("22 1 0:5 / /proc rw - proc proc rw\n", [], None),
    ],
)
def test_hierarchies(mountinfo: str, hierarchies: list[str], unified: str | None) -> None:
    assert cgroups.hierarchies(mountinfo) == hierarchies
    assert cgroups.unified_mount(mountinfo) == unified


def test_inotify_instances_are_counted_and_given_back() -> None:
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Not up to the kernel's limit: hosts that boot at this moment would get none.
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + 10, hard))
    try:
        assert system.free_inotify_instances(100) < 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert os.listdir("/proc/self/fd") == before


# --------------------------------------------------------------------------- words
def test_a_wrong_lab_name_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--name", "No.Good"]) == 1
    assert capsys.readouterr().err.startswith("lab: lab name 'No.Good': wanted is")


def test_probe_of_a_port_where_nobody_listens_is_an_answer_and_no_exception() -> None:
    found = probe("127.0.0.1", ca=CA, port=1, timeout_seconds=1)
    assert (found["accepted"], found["status"]) == (False, None)
    assert found["detail"].startswith("no connection")


# A self-signed certificate that stands for nothing; its key was never kept.
CA = """\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUC32TAusdcCzJ4oHy2fDlJF1/pF4wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzIzNTQyNVoYDzIxMjYxMDMwMjM1
NDI1WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQf6W3hIYsMNcHWXJG4aF2G0xEbJeILk4dKzV0xgtR3Q0ka6WCH5Rwpe/qPW52w
T4jWGhknMFfK4/s8AAm1TBGJo1MwUTAdBgNVHQ4EFgQUdYhVCR88aNUeMY3UI++9
Sx2ZH7UwHwYDVR0jBBgwFoAUdYhVCR88aNUeMY3UI++9Sx2ZH7UwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAkt9ibp0wXySgXPax7ake8bADBLiQ
vo6FJlyIpYDccy0CIB6OfI4nsDTz13N5BQLeBsIsR/aA7Rp62nza0iVRyy+j
-----END CERTIFICATE-----
"""
