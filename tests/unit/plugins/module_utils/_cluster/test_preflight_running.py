# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, clients, programs, units and restarts of a cluster that lives: what each edit would do to it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_running import pending_restarts
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    NAMES,
    SETTINGS,
    codes,
    edited,
    info,
    living,
    members,
    only_text,
    others,
    pending_on,
    question,
    reported,
    silent,
    without_data,
)

# Names and the client side --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"domain": "example.org"}, {"identity": "shared"}])
def test_common_names_that_the_running_members_do_not_allow(changes: dict[str, t.Any]) -> None:
    removed = [f"{name}.example.com" for name in NAMES]
    cluster = edited(living(), others(**changes), removed=removed)
    assert codes(cluster) == ["common_name_differs"]
    assert "(etcd-1 from etcd-1.example.com to " in only_text(cluster)
    # What is off is started with all of it at once, where all are in the run.
    assert "common_name_differs" not in codes(edited(silent(living()), others(**changes), removed=removed))


def test_the_common_name_of_one_member() -> None:
    everyone = others(etcd_2={"common_name": "two.example.com"})
    cluster = edited(living(), everyone, removed=["etcd-2.example.com"])
    assert codes(cluster) == ["common_name_differs"]
    # Lists that have it already let it in.
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["allowed_common_names"].append("two.example.com")
    assert codes(cluster) == []


@pytest.mark.parametrize(
    ("changes", "settings", "words", "code"),
    [
        (
            {"client_port": 2479},
            {},
            "etcd-1 from https://10.0.0.1:2379 to https://10.0.0.1:2479; etcd-2 from",
            "client_url_differs",
        ),
        (
            {"client_tls": False},
            {"client_tls": False},
            "etcd-1 from https://10.0.0.1:2379 to http://10.0.0.1:2379",
            "client_side_differs",
        ),
        (
            {"client_tls": False},
            {"client_tls": False},
            "set another etcd_peer_tls_client_port with it, and members answer at both until clients have followed",
            "client_side_differs",
        ),
        # At another port a change in several passes does it.
        (
            {"client_tls": False, "client_port": 2479},
            {"client_tls": False},
            "etcd-1 from https://10.0.0.1:2379 to http://10.0.0.1:2479; etcd-2 from",
            "client_url_differs",
        ),
        ({}, {"client_ca_file": "/c/ca.crt"}, "etcd-1 from client CA of the peers to /c/ca.crt", "client_side_differs"),
    ],
)
def test_the_client_side_of_members_that_run(
    changes: dict[str, t.Any], settings: dict[str, t.Any], words: str, code: str
) -> None:
    pair = {f"client_{kind}_file": f"/c/own.{kind}" for kind in ("cert", "key") if "client_ca_file" in settings}
    meant = dataclasses.replace(SETTINGS, **settings, **pair)
    cluster = edited(living(), others(**changes), flag_settings=meant)
    assert codes(cluster) == [code] and words in only_text(cluster)
    # Off, or on their way to a first quorum, nobody has to be asked.
    assert codes(edited(silent(living()), others(**changes), flag_settings=meant)) == []
    starting = edited(living(), others(**changes), flag_settings=meant)
    for name in NAMES:
        info(starting, name)["data"]["formed"] = False
    assert codes(starting) == []


def test_tls_for_clients_does_not_change_at_a_port_that_is_in_use() -> None:
    """Whatever address comes with it, and where a change has begun and is taken back half way."""
    meant = dataclasses.replace(SETTINGS, client_tls=False)
    cluster = living()
    for name in NAMES:
        settings = info(cluster, name)["process"]["settings"]
        settings["client_urls"] = [url.replace("10.0.0.", "10.0.1.") for url in settings["client_urls"]]
    assert codes(edited(cluster, others(client_tls=False), flag_settings=meant)) == ["client_side_differs"]
    begun = living()
    for name in NAMES:
        settings = info(begun, name)["process"]["settings"]
        settings["client_urls"] = [settings["client_urls"][0].replace("https", "http").replace("2379", "2479")] + list(
            settings["client_urls"]
        )
    assert codes(edited(begun, others(client_tls=False, client_port=2479), flag_settings=meant)) == [
        "client_url_differs"
    ]
    assert codes(edited(begun, others(client_port=2479))) == ["client_side_differs"]
    assert codes(edited(begun, others())) == ["client_url_differs"]


def standard_pair(name: str) -> dict[str, str]:
    pki = SETTINGS.credentials_directory
    return {"cert_file": f"{pki}/{name}.crt", "key_file": f"{pki}/{name}.key"}


def meaning(cluster: guards.Cluster, **changes: str) -> guards.Cluster:
    """The same cluster in a run that means another CA for clients, and the members' own pair but for the changes."""
    own = {}
    for name in NAMES:
        pair = {f"client_{option}": path for option, path in standard_pair(name).items()}
        own[name] = dataclasses.replace(SETTINGS, **{"client_ca_file": "/c/ca.crt", **pair, **changes})
    return edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own)


def test_ca_and_pair_for_clients_change_one_after_the_other() -> None:
    """With the pair that runs, members that were restarted and those that were not are asked alike."""
    cluster = living()
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"].update(standard_pair(name))
    assert codes(meaning(cluster)) == []
    text = only_text(meaning(cluster, client_cert_file="/c/own.crt"))
    assert "etcd-1 from client CA of the peers to /c/ca.crt" in text
    assert "change one at a time: first etcd_peer_tls_client_ca_file alone, to a file with the old CA and" in text
    # Then the pair, and back to the peers' CA the same way.
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"]["trusted_ca_file"] = "/c/ca.crt"
    other = {"client_cert_file": "/c/own.crt", "client_key_file": "/c/own.key"}
    assert codes(meaning(cluster, **other)) == codes(edited(cluster, members(), flag_settings=SETTINGS)) == []
    # Not while a member has yet to read the file that has the new CA in it.
    info(cluster, "etcd-2")["process"]["newer_files"] = ["/c/ca.crt"]
    assert "(etcd-2 from client CA as /c/ca.crt was to as it is now)" in only_text(meaning(cluster, **other))
    assert codes(meaning(cluster)) == []


def test_another_folder_for_the_same_client_authority() -> None:
    """The CA of the peers is that of the clients wherever it lies."""
    meant = dataclasses.replace(SETTINGS, credentials_directory="/srv/pki")
    assert codes(edited(living(), members(), flag_settings=meant)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"data_dir": "/srv/etcd"},
            "etcd_peer_tls_data_dir is /var/lib/etcd/blue in what is deployed, and this run me",
        ),
        ({"extra_flags": {"wal-dir": "/srv/wal"}}, "wal-dir (in etcd_peer_tls_extra_flags) is not set in what is dep"),
    ],
)
def test_a_member_stays_in_its_folders(settings: dict[str, t.Any], words: str) -> None:
    meant = dataclasses.replace(SETTINGS, **settings)
    cluster = living()
    for name in NAMES:
        # Each host is asked for the folder that is wanted there.
        info(cluster, name)["data"]["directory"] = meant.data_dir
    found = guards.check_cluster(edited(cluster, members(), flag_settings=meant))
    assert [failure.code for failure in found] == ["data_moved"] * 3 and words in found[0].text


def test_data_that_was_moved_while_its_etcd_was_off() -> None:
    cluster = silent(living())
    meant = dataclasses.replace(SETTINGS, data_dir="/srv/etcd")
    for name in NAMES:
        info(cluster, name)["data"]["directory"] = meant.data_dir
    assert codes(edited(cluster, members(), flag_settings=meant)) == []
    for name in NAMES:
        without_data(cluster, name)
        info(cluster, name)["data"]["directory"] = meant.data_dir
    assert codes(edited(cluster, members(), flag_settings=meant)) == ["data_moved"] * 3


def test_each_member_may_have_a_folder_of_its_own() -> None:
    """As with the host's name in it: the settings at hand are those of one host."""
    cluster = living()
    for name in NAMES:
        for settings in (info(cluster, name)["unit"]["settings"], info(cluster, name)["process"]["settings"]):
            settings["data_dir"] = f"/srv/{name}"
        info(cluster, name)["data"]["directory"] = f"/srv/{name}"
    meant = dataclasses.replace(SETTINGS, data_dir="/srv/etcd-1")
    assert codes(edited(cluster, members(), flag_settings=meant)) == []


def test_each_member_is_held_against_its_own_settings() -> None:
    """Settings may differ from host to host: those of one member refuse nothing of another, and miss nothing."""
    cluster = living()
    log = info(cluster, "etcd-2")
    for settings in (log["unit"]["settings"], log["process"]["settings"]):
        settings["flags"]["wal-dir"] = "/srv/wal"
        settings["files"].update(trusted_ca_file="/c/ca.crt", cert_file="/c/own.cert", key_file="/c/own.key")
    pair = {f"client_{kind}_file": f"/c/own.{kind}" for kind in ("cert", "key")}
    own = dataclasses.replace(SETTINGS, client_ca_file="/c/ca.crt", extra_flags={"wal-dir": "/srv/wal"}, **pair)
    assert codes(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings={"etcd-2": own})) == []
    # Meant for the wrong one of them: both are told.
    found = guards.check_cluster(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings={"etcd-3": own}))
    assert [failure.code for failure in found] == ["data_moved", "data_moved", "client_side_differs"]
    assert "etcd-2" in found[0].text and "etcd-3" in found[1].text
    assert "(etcd-2 from client CA /c/ca.crt to that of the peers; etcd-3 from client CA of the peers" in found[2].text


def test_a_flag_of_one_member_is_told_of_that_one() -> None:
    wrong = dataclasses.replace(SETTINGS, extra_flags={"peer-auto-tls": True})
    text = only_text(edited(living(), members(), flag_settings=SETTINGS, own_flag_settings={"etcd-2": wrong}))
    assert text.startswith("member etcd-2: etcd_peer_tls_extra_flags: --peer-auto-tls is refused")
    assert only_text(edited(living(), members(), flag_settings=wrong)).startswith("etcd_peer_tls_extra_flags: --peer")


def test_a_log_that_was_moved_while_its_etcd_was_off() -> None:
    """As the refusal says: its own records are read where it is going to be."""
    cluster = living()
    meant = dataclasses.replace(SETTINGS, extra_flags={"wal-dir": "/srv/wal"})
    own = {"own_flag_settings": {"etcd-2": meant}, "flag_settings": SETTINGS}
    assert codes(edited(cluster, members(), **own)) == ["data_moved"]
    info(cluster, "etcd-2")["process"] = {"running": False, "configuration_hash": None, "settings": None}
    assert codes(edited(cluster, members(), **own)) == []
    info(cluster, "etcd-2")["data"].update(member_id=None, cluster_id=None)
    assert codes(edited(cluster, members(), **own)) == ["data_moved"]


def test_what_makes_another_member_of_the_unit_is_named_with_its_hosts() -> None:
    cluster = living()
    assert codes(cluster) == []
    for name in ("etcd-1", "etcd-3"):
        reported(cluster, name)["unit_overrides"] = ["/etc/x.conf gives etcd --peer-auto-tls=true"]
    text = only_text(cluster)
    assert text.startswith("member etcd-1, etcd-3: /etc/x.conf gives etcd --peer-auto-tls=true, other than the role's")


def test_a_logger_that_only_etcd_3_4_has() -> None:
    cluster = living()
    own = {"etcd-2": dataclasses.replace(SETTINGS, extra_flags={"logger": "capnslog"})}
    text = only_text(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own))
    assert text.startswith("member etcd-2: etcd_peer_tls_extra_flags: --logger=capnslog is refused: etcd 3.5.16 would")
    info(cluster, "etcd-2")["etcd"]["version"] = "3.4.23"
    info(cluster, "etcd-2")["process"]["version"] = "3.4.23"
    found = guards.check_cluster(
        edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own, identity="shared")
    )
    assert "flags" not in [failure.code for failure in found]


def test_a_larger_quota_is_rolled_out_under_the_alarm() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "1", "alarm": "NOSPACE"}]
        reported(cluster, name)["pending"] = [{"part": "service", "code": "unit_changed", "text": "changed"}]
    larger = dataclasses.replace(SETTINGS, extra_flags={"quota-backend-bytes": 4294967296})
    assert codes(edited(cluster, members(), flag_settings=larger)) == []
    assert codes(edited(cluster, members(), flag_settings=SETTINGS)) == ["restart_alarm_nospace"]
    # One of them would be restarted for nothing.
    own = {"etcd-3": SETTINGS}
    assert codes(edited(cluster, members(), flag_settings=larger, own_flag_settings=own)) == ["restart_alarm_nospace"]
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "1", "alarm": "CORRUPT"}]
    assert codes(edited(cluster, members(), flag_settings=larger)) == ["restart_alarm_corrupt"]


# Programs and units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "code", "words"),
    [
        ("3.6.16", "upgrade_not_said", "3.6.16 is another minor version: say so with etcd_peer_tls_upgrade: true"),
        ("3.4.30", "downgrade", "a member runs as etcd 3.5.16, and 3.4.30 is older: etcd has to agree first"),
        ("3.5.15", "downgrade", "runs as etcd 3.5.16, and 3.5.15 is older: name 3.5.16 or later (member etcd-2)"),
        ("4.0.0", "upgrade_not_said", "another minor version"),
        ("3.5.16", None, None),
        ("3.5.35", None, None),
    ],
)
def test_what_is_started_is_what_runs_or_a_later_patch_of_it(starts: str, code: str | None, words: str | None) -> None:
    cluster = living()
    info(cluster, "etcd-2")["etcd"]["version"] = starts
    found = guards.check_cluster(dataclasses.replace(cluster, question=question(identity="shared")))
    assert [failure.code for failure in found] == ([] if code is None else [code])
    assert words is None or words in found[0].text


def test_what_is_about_to_be_installed_is_judged_and_not_what_it_replaces() -> None:
    def installing(version: str) -> preflight_values.Cluster:
        archive = f"/srv/etcd-v{version}-linux-amd64.tar.gz"
        return living(install="archive", archive=archive, archive_sha256="a" * 64)

    assert codes(installing("3.5.35")) == codes(installing("3.5.16")) == []
    assert codes(installing("3.6.16")) == ["upgrade_not_said"]
    assert codes(installing("3.5.12")) == ["version"] * 3 + ["downgrade"]
    # An etcd that is too old for a list is mended by the one that replaces it.
    mended = installing("3.5.35")
    for name in NAMES:
        info(mended, name)["etcd"]["version"] = info(mended, name)["process"]["version"] = "3.5.12"
    assert codes(mended) == []


def test_a_member_that_is_off_comes_back_as_the_others_run() -> None:
    cluster = living()
    info(cluster, "etcd-3")["process"] = {
        "running": False,
        "configuration_hash": None,
        "settings": None,
        "version": None,
    }
    reported(cluster, "etcd-3").update(live_members=None)
    info(cluster, "etcd-3")["etcd"]["version"] = "3.6.16"
    assert "member etcd-3: its etcd is not 3.5.16, as etcd-1 runs, and 3.6.16 would be started" in only_text(cluster)


@pytest.mark.parametrize("version", [None, "unknown", 7])
def test_a_version_that_nobody_tells_is_none(version: t.Any) -> None:
    cluster = living()
    for name in NAMES:
        info(cluster, name)["process"]["version"] = version
    assert codes(cluster) == []


def test_a_unit_that_one_host_does_not_take_is_written_on_none() -> None:
    cluster = living()
    for name in NAMES[1:]:
        reported(cluster, name)["unit_problem"] = "/usr/bin/etcd does not take its arguments: -x"
    assert only_text(cluster) == "member etcd-2, etcd-3: /usr/bin/etcd does not take its arguments: -x"
    info(cluster, "etcd-2")["etcd"]["version"] = None
    assert codes(cluster) == ["binary_unusable", "unit_not_taken"]
    assert guards.check_cluster(cluster)[1].text.startswith("member etcd-3: ")
    info(cluster, "etcd-2")["etcd"]["version"] = "3.5.16"
    # The one that is going to be installed is tried when it is there.
    archive = {"install": "archive", "archive": "/srv/etcd-v3.5.35-linux-amd64.tar.gz", "archive_sha256": "a" * 64}
    assert codes(edited(cluster, members(), **archive)) == []


# Restarts that could not be guarded -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["unit_changed", "flags_differ", "trust_bundle_changed", "binary_replaced"])
def test_what_means_a_restart(code: str) -> None:
    assert pending_restarts(pending_on(living(), "etcd-2", code=code)) == ["etcd-2"]


def test_what_means_none() -> None:
    cluster = pending_on(living(), *NAMES, code="repair_data_directory")
    assert pending_restarts(cluster) == []
    assert pending_restarts(pending_on(silent(living()), *NAMES)) == []


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("auth", "set etcd_peer_tls_api_user and etcd_peer_tls_api_password"),
        ("user", "does not take the user of etcd_peer_tls_api_user"),
        ("right", "etcdctl user grant-role NAME root"),
        ("gateway", "take the flag out"),
    ],
)
def test_a_restart_that_nobody_could_guard_is_not_begun(obstacle: str, words: str) -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name).update(
            live_members=None, live_obstacle=obstacle, live_members_problem="HTTP 400: no\nno"
        )
    # Certificates are renewed all the same.
    assert codes(cluster) == []
    text = only_text(pending_on(cluster, "etcd-2"))
    assert text.startswith("member etcd-1, etcd-2, etcd-3: its etcd") and words in text
    assert "(a restart is due on etcd-2; the member says: HTTP 400: no no)" in text
    assert codes(edited(cluster, members(), force_restart=True)) == []


def test_http_at_other_urls_is_an_obstacle_too() -> None:
    cluster = pending_on(living(), "etcd-2")
    info(cluster, "etcd-1")["process"]["settings"]["flags"]["listen-client-http-urls"] = "http://127.0.0.1:9"
    reported(cluster, "etcd-1").update(live_members=None)
    assert codes(cluster) == ["restart_gateway"]


def test_client_files_that_do_not_fit_any_more() -> None:
    cluster = pending_on(living(), "etcd-2")
    reported(cluster, "etcd-2").update(live_members=None, live_obstacle="tls", live_members_problem="TLS: unknown ca")
    # The peers' own are made sound by the run itself.
    assert codes(edited(cluster, members(), flag_settings=SETTINGS)) == []
    files = {f"client_{kind}_file": f"/c/{kind}" for kind in ("ca", "cert", "key")}
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"]["trusted_ca_file"] = "/c/ca"
    meant = dataclasses.replace(SETTINGS, **files)
    assert codes(edited(cluster, members(), flag_settings=meant)) == ["restart_tls"]


@pytest.mark.parametrize(("alarm", "words"), [("NOSPACE", "etcdctl alarm disarm"), ("CORRUPT", "remove that member")])
def test_an_alarm_is_named_with_its_remedy(alarm: str, words: str) -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "2", "alarm": alarm}]
    assert codes(cluster) == []
    (warning,) = [one for one in guards.cluster_warnings(cluster) if "alarm" in one]
    assert warning.startswith(f"alarm {alarm} of etcd-2: ") and words in warning
    text = only_text(pending_on(cluster, "etcd-1"))
    assert text.startswith(f"alarm {alarm} of etcd-2: no member is restarted") and words in text
    assert codes(edited(cluster, members(), force_restart=True)) == []


def test_what_a_host_tells_is_one_line() -> None:
    cluster = living()
    reported(cluster, "etcd-1")["live_members"][1]["peer_urls"] = ["https://x\n\x1b[31mred", "y" * 9000]
    reported(cluster, "etcd-2")["live_members"][0].update(name="evil\r\nname", member_id="9\n")
    assert codes(cluster) == ["peer_url_differs", "member_not_in_inventory", "member_not_listed"]
    assert all(len(failure.text) < 5000 and failure.text.isprintable() for failure in guards.check_cluster(cluster))
