# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import hashlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils import _guards as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._flags import FlagSettings, allowed_common_names
from ansible_collections.ringfence.etcd.plugins.module_utils._members import ClusterSettings, Member, make_members
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, der_of, issue

CA_PRINT = "a" * 64
OTHER_PRINT = "b" * 64


def members(count: int = 3) -> list[Member]:
    entries = [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in range(1, count + 1)]
    return make_members(entries, ClusterSettings(name="blue", domain="example.com"))


def bare() -> dict[str, t.Any]:
    """What etcd_peer_info says of a host that has an etcd binary and nothing else."""
    return {
        "etcd": {"binary": "/usr/bin/etcd", "found": True, "version": "3.5.16"},
        "credentials": {
            "ca": {"path": "/etc/etcd/pki/ca.crt", "state": "absent", "certificates": []},
            "certificate": {"state": "absent", "pem": None},
            "private_key": {"state": "absent", "matches_certificate": None},
        },
        "unit": {"managed": False, "settings": None, "drop_ins": []},
        "process": {"running": False, "seal": None, "settings": None},
        "data": {"directory": "/var/lib/etcd/blue", "exists": False, "member_id": None, "cluster_id": None},
        "other_etcd": None,
    }


def deployed(number: int, everyone: t.Sequence[Member]) -> dict[str, t.Any]:
    """What it says of a host that this role deployed and that runs."""
    info = bare()
    told = {
        "allowed_common_names": allowed_common_names(everyone),
        "initial_cluster": {member.name: member.peer_url for member in everyone},
        "flags": {"initial-cluster-token": "blue"},
        "data_dir": "/var/lib/etcd/blue",
        "peer_urls": [everyone[number - 1].peer_url],
        "client_urls": [everyone[number - 1].client_url],
        "files": {"peer_trusted_ca_file": "/etc/etcd/pki/ca.crt", "trusted_ca_file": "/etc/etcd/pki/ca.crt"},
        "warnings": [],
    }
    info["credentials"]["ca"].update(state="file", certificates=[{"fingerprint": CA_PRINT}])
    info["credentials"]["certificate"].update(state="file", pem="PEM", common_name=everyone[number - 1].common_name)
    info["credentials"]["private_key"].update(state="file", matches_certificate=True)
    info["unit"] = {"managed": True, "settings": copy.deepcopy(told), "drop_ins": []}
    info["process"] = {"running": True, "seal": "c" * 64, "settings": copy.deepcopy(told), "version": "3.5.16"}
    info["data"].update(exists=True, member_id=str(number), cluster_id="cc", formed=True)
    return info


def fingerprint(issued: Issued) -> str:
    return hashlib.sha256(der_of(issued.certificate)).hexdigest()


def question(**more: t.Any) -> guards.Question:
    return guards.Question(cluster_name="blue", **more)


def member_list(everyone: t.Sequence[Member]) -> list[dict[str, t.Any]]:
    """As a running member tells it."""
    return [
        {
            "member_id": str(number),
            "name": member.name,
            "peer_urls": [member.peer_url],
            "client_urls": [member.client_url],
            "is_learner": False,
        }
        for number, member in enumerate(everyone, 1)
    ]


def look(info: dict[str, t.Any], live: list[dict[str, t.Any]] | None) -> dict[str, t.Any]:
    """The result of etcd_peer_probe, as far as guards read it."""
    return {
        "info": info,
        "due": [],
        "unit_problem": None,
        "live_members": live,
        "live_members_problem": None if live is not None else "connection refused",
        "live_obstacle": None,
        "live_alarms": None if live is None else [],
    }


def living(count: int = 3, **more: t.Any) -> guards.Cluster:
    everyone = members(count)
    infos = {member.name: deployed(number, everyone) for number, member in enumerate(everyone, 1)}
    looks = {name: look(info, member_list(everyone)) for name, info in infos.items()}
    return guards.Cluster(everyone, infos, question(batch=list(infos), play=list(infos), **more), looks)


def fresh(count: int = 3, **more: t.Any) -> guards.Cluster:
    everyone = members(count)
    infos = {member.name: bare() for member in everyone}
    return guards.Cluster(everyone, infos, question(batch=list(infos), play=list(infos), **more))


def codes(cluster: guards.Cluster) -> list[str]:
    refusals = guards.check_cluster(cluster)
    assert all("\n" not in refusal.text and refusal.text for refusal in refusals)
    return [refusal.code for refusal in refusals]


def test_an_ordinary_user_works_for_nobody_else() -> None:
    cluster = fresh()
    for name, user in (("etcd-1", "alice"), ("etcd-2", "root"), ("etcd-3", "alice")):
        cluster.infos[name]["user"] = {"name": "etcd", "module_user": user, "may_own": user == "root"}
    assert codes(cluster) == ["not_root"]
    text = only_text(cluster)
    assert text.startswith("member etcd-1, etcd-3: only root can give files to etcd, and this runs as alice")
    assert "etcd_peer_tls_owner: alice and etcd_peer_tls_manage_service: false" in text


def only_text(cluster: guards.Cluster) -> str:
    (refusal,) = guards.check_cluster(cluster)
    return refusal.text


def test_bare_hosts_and_a_living_cluster_may_go_on() -> None:
    assert codes(fresh()) == []
    assert codes(living()) == []


def test_a_missing_binary_is_refused_and_both_ways_out_are_said() -> None:
    cluster = fresh()
    cluster.infos["etcd-2"]["etcd"].update(found=False, version=None)  # type: ignore[index]
    text = only_text(cluster)
    assert "etcd-2" in text and "/usr/bin/etcd" in text
    assert "etcd_peer_tls_etcd_binary" in text and "etcd_peer_tls_install" in text


def test_a_binary_that_is_no_etcd_is_refused() -> None:
    cluster = fresh()
    cluster.infos["etcd-2"]["etcd"].update(version=None)  # type: ignore[index]
    assert codes(cluster) == ["binary_unusable"]


def test_a_binary_that_is_to_be_installed_may_be_missing() -> None:
    cluster = fresh(install="package")
    cluster.infos["etcd-2"]["etcd"].update(found=False, version=None)  # type: ignore[index]
    assert codes(cluster) == []


@pytest.mark.parametrize(
    ("archive", "checksum", "found"),
    [
        ("", "a" * 64, "found none"),
        ("etcd-v3.5.16-linux-amd64.tar.gz", "", "found none"),
        ("etcd-v3.5.16-linux-amd64.tar.gz", "a" * 63, "found " + "a" * 63),
        ("etcd-v3.5.16-linux-amd64.tar.gz", "g" * 64, "found " + "g" * 64),
    ],
)
def test_an_archive_is_known_by_its_sum(archive: str, checksum: str, found: str) -> None:
    text = only_text(fresh(install="archive", archive=archive, archive_sha256=checksum))
    assert "etcd_peer_tls_archive_sha256 (64 hexadecimal digits" in text and found in text
    assert codes(fresh(install="archive", archive="etcd.tar.gz", archive_sha256="A" * 64)) == []


def test_one_member_with_an_old_etcd_is_enough_to_refuse() -> None:
    cluster = fresh()
    cluster.infos["etcd-3"]["etcd"]["version"] = "3.5.12"  # type: ignore[index]
    assert "etcd-3 has etcd 3.5.12" in only_text(cluster)
    shared = guards.Cluster(cluster.members, cluster.infos, question(identity="shared"))
    assert codes(shared) == []


def test_an_extra_flag_that_breaks_the_fence_is_refused_once() -> None:
    settings = FlagSettings("blue", "/d", "/p", extra_flags={"peer-auto-tls": True})
    assert codes(fresh(flag_settings=settings)) == ["flags"]


def test_the_unit_of_another_cluster_is_refused() -> None:
    cluster = living()
    cluster.infos["etcd-1"]["unit"]["settings"]["flags"]["initial-cluster-token"] = "green"  # type: ignore[index]
    assert "belongs to cluster green" in only_text(cluster)


@pytest.mark.parametrize("where", ["unit", "process"])
def test_a_name_that_would_leave_the_list_is_refused(where: str) -> None:
    cluster = living()
    cluster.infos["etcd-2"][where]["settings"]["allowed_common_names"].append("etcd-9.example.com")  # type: ignore[index]
    text = only_text(cluster)
    assert "etcd-9.example.com" in text and "etcd-2" in text and "etcd_peer_tls_leaving" in text


@pytest.mark.parametrize("said", ["etcd-9.example.com", "etcd-9"])
def test_a_name_may_leave_when_the_user_said_so(said: str) -> None:
    cluster = living(leaving=[said])
    cluster.infos["etcd-2"]["unit"]["settings"]["allowed_common_names"].append("etcd-9.example.com")  # type: ignore[index]
    assert codes(cluster) == []


def test_saying_one_name_lets_no_other_go() -> None:
    cluster = living(leaving=["etcd-9"])
    cluster.infos["etcd-2"]["unit"]["settings"]["allowed_common_names"] += ["etcd-9.example.com", "etcd-90.example.com"]  # type: ignore[index]
    assert "etcd-90.example.com" in only_text(cluster)


def test_a_unit_that_is_not_ours_has_no_say_about_names() -> None:
    cluster = fresh()
    cluster.infos["etcd-1"]["unit"] = {"managed": False, "settings": {"allowed_common_names": ["x"]}, "drop_ins": []}  # type: ignore[index]
    assert codes(cluster) == []


def test_members_that_trust_different_authorities_are_refused() -> None:
    cluster = living()
    cluster.infos["etcd-3"]["credentials"]["ca"]["certificates"] = [{"fingerprint": OTHER_PRINT}]  # type: ignore[index]
    assert codes(cluster) == ["trust_differs"]


def test_a_bundle_in_common_is_trust_in_common() -> None:
    cluster = living()
    cluster.infos["etcd-3"]["credentials"]["ca"]["certificates"] = [
        {"fingerprint": OTHER_PRINT},
        {"fingerprint": CA_PRINT},
    ]  # type: ignore[index]
    assert codes(cluster) == []
    assert guards.common_fingerprints(cluster) == [CA_PRINT]


def test_an_authority_that_is_given_must_be_the_clusters_own() -> None:
    ours, other = issue("etcd peer CA", is_ca=True), issue("etcd peer CA", is_ca=True)
    for given, found in ((ours, []), (other, ["other_ca"])):
        cluster = living(ca_certificate=given.pem)
        for info in cluster.infos.values():
            info["credentials"]["ca"]["certificates"] = [{"fingerprint": fingerprint(ours)}]
        assert codes(cluster) == found
    assert fingerprint(other)[:8] in only_text(cluster) and fingerprint(ours)[:8] in only_text(cluster)
    # A first deployment trusts nothing yet.
    assert codes(fresh(ca_certificate=other.pem)) == []


def test_a_first_deployment_may_make_an_authority() -> None:
    assert guards.why_no_new_authority(fresh()) is None
    assert guards.common_fingerprints(fresh()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda info: info["credentials"]["ca"].update(state="file"), "has /etc/etcd/pki/ca.crt already"),
        (lambda info: info["data"].update(exists=True), "has been deployed already"),
        (lambda info: info["unit"].update(managed=True), "has been deployed already"),
    ],
)
def test_no_authority_is_made_next_to_a_deployed_host(change: t.Callable[[t.Any], None], words: str) -> None:
    cluster = fresh()
    change(cluster.infos["etcd-2"])
    reason = guards.why_no_new_authority(cluster)
    assert reason is not None and words in reason and "etcd-2" in reason


def test_no_authority_is_made_where_a_member_was_not_seen() -> None:
    cluster = fresh()
    part = guards.Cluster(cluster.members, {"etcd-1": cluster.infos["etcd-1"]}, cluster.question)
    reason = guards.why_no_new_authority(part)
    assert reason is not None and "etcd-2, etcd-3" in reason and "--limit" in reason


def test_data_that_was_never_deployed_here_is_refused() -> None:
    cluster = fresh()
    cluster.infos["etcd-1"]["data"].update(exists=True, member_id="1", cluster_id="dd")  # type: ignore[index]
    assert codes(cluster)[0] == "data_of_another_cluster"


def test_data_of_two_clusters_is_refused() -> None:
    cluster = living()
    cluster.infos["etcd-3"]["data"]["cluster_id"] = "dd"  # type: ignore[index]
    text = only_text(cluster)
    assert "cluster cc" in text and "cluster dd" in text and "etcd-3" in text


def test_data_without_a_log_is_the_member_that_its_unit_names() -> None:
    """etcd made its folders and was stopped before it wrote: no number yet, and nothing to compare."""
    cluster = living()
    cluster.infos["etcd-3"]["data"].update(member_id=None, cluster_id=None)  # type: ignore[index]
    assert codes(cluster) == []


def test_a_cloned_data_folder_is_refused() -> None:
    cluster = living()
    cluster.infos["etcd-3"]["data"]["member_id"] = "1"  # type: ignore[index]
    assert "etcd-1, etcd-3" in only_text(cluster)


def test_a_member_whose_unit_was_lost_is_known_by_its_clusters_number() -> None:
    cluster = living()
    cluster.infos["etcd-3"]["unit"] = {"managed": False, "settings": None, "drop_ins": []}  # type: ignore[index]
    assert codes(cluster) == []


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        ({"running": True, "has_data": True, "key_count": 0}, False),
        ({"running": True, "has_data": True, "key_count": 7}, True),
        ({"running": True, "has_data": True, "key_count": None}, True),
        ({"running": False, "has_data": True, "key_count": None}, True),
        ({"running": False, "has_data": False, "key_count": None}, False),
    ],
)
def test_the_distributions_etcd(other: dict[str, t.Any], refused: bool) -> None:
    for overrule in (False, True):
        cluster = fresh(overrule_distribution_etcd=overrule)
        cluster.infos["etcd-2"]["other_etcd"] = {
            "unit_path": "/lib/systemd/system/etcd.service",
            "data_dir": "/d",
            **other,
        }  # type: ignore[index]
        assert codes(cluster) == (["distribution_etcd_in_use"] if refused and not overrule else [])


def test_a_first_start_in_batches_is_refused() -> None:
    cluster = fresh()
    part = guards.Cluster(
        cluster.members,
        {"etcd-1": cluster.infos["etcd-1"]},
        question(batch=["etcd-1"], play=["etcd-1", "etcd-2", "etcd-3"]),
    )
    assert codes(part) == ["start_not_seen", "first_start_in_batches"]
    assert "take serial out of the play" in guards.check_cluster(part)[1].text
    # Nor is it with --limit: who is not seen may be a cluster already.
    limited = guards.Cluster(part.members, part.infos, question(batch=["etcd-1"], play=["etcd-1"]))
    assert codes(limited) == ["start_not_seen"]


def test_an_even_number_of_members_is_worth_a_line() -> None:
    assert any("4 members" in warning for warning in guards.cluster_warnings(fresh(4)))
    assert guards.cluster_warnings(fresh(3)) == []


def test_drop_ins_and_what_is_wrong_in_a_unit_are_worth_a_line() -> None:
    cluster = living()
    cluster.infos["etcd-1"]["unit"]["drop_ins"] = ["/etc/systemd/system/etcd.service.d/x.conf"]  # type: ignore[index]
    cluster.infos["etcd-2"]["unit"]["settings"]["warnings"] = [{"code": "skip", "text": "skips the SAN check"}]  # type: ignore[index]
    warnings = guards.cluster_warnings(cluster)
    assert any("x.conf" in warning and "etcd-1" in warning for warning in warnings)
    assert any("skips the SAN check" in warning and "etcd-2" in warning for warning in warnings)


def test_requests_are_for_the_members_that_were_seen() -> None:
    cluster = living()
    del cluster.infos["etcd-2"]  # type: ignore[attr-defined]
    requests = guards.certificate_requests(cluster)
    assert [request["name"] for request in requests] == ["etcd-1", "etcd-3"]
    assert requests[0]["certificate"] == "PEM" and requests[0]["private_key_matches"] is True
    assert requests[0]["common_name"] == "etcd-1.example.com"
