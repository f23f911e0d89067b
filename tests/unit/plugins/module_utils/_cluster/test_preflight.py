# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_authority, preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values as guard_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    CA_PRINT,
    OTHER_PRINT,
    bare,
    codes,
    fingerprint,
    fresh,
    living,
    only_text,
    question,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from cryptography import x509


def test_an_ordinary_user_works_for_nobody_else() -> None:
    cluster = fresh()
    for name, user in (("etcd-1", "alice"), ("etcd-2", "root"), ("etcd-3", "alice")):
        cluster.infos[name]["user"] = {"name": "etcd", "module_user": user, "may_own": user == "root"}
    assert codes(cluster) == ["not_root"]
    text = only_text(cluster)
    assert text.startswith("member etcd-1, etcd-3: only root can give files to etcd, and this runs as alice")
    assert "etcd_peer_tls_owner: alice and etcd_peer_tls_manage_service: false" in text


def test_bare_hosts_and_a_living_cluster_may_go_on() -> None:
    assert codes(fresh()) == []
    assert codes(living()) == []


def test_a_cluster_of_one_is_formed_only_where_that_was_said() -> None:
    """A slice of a job is an inventory of one host, too; one that is there already is none of these."""
    assert codes(fresh(1, members_are_said=False)) == ["cluster_of_one"]
    text = only_text(fresh(1, members_are_said=False))
    assert (
        "one member, etcd-1" in text and "etcd_peer_tls_member_count to 1" in text and "etcd_peer_tls_members" in text
    )
    assert codes(fresh(1)) == []
    assert codes(fresh(2, members_are_said=False)) == []
    assert codes(living(1, members_are_said=False)) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_slice_forms_no_cluster_of_any_size(count: int) -> None:
    """Six hosts in two slices are two clusters of three, each whole by all that one sees of it."""
    told = "this job is a slice of job template 'deploy'"
    assert codes(fresh(count, members_are_said=False, slice_of=told)) == ["cluster_of_a_slice"]
    text = only_text(fresh(count, members_are_said=False, slice_of=told))
    assert told in text and "etcd-1" in text and "give all members in etcd_peer_tls_members" in text
    assert codes(fresh(count, slice_of=told)) == codes(living(count, members_are_said=False, slice_of=told)) == []


def test_a_member_whose_host_the_inventory_lacks_is_called_so() -> None:
    """Its entry of the list may be its name alone, and then its address is not known."""
    cluster = fresh(not_in_inventory=["etcd-3"])
    del cluster.infos["etcd-3"]  # type: ignore[attr-defined]
    found = {failure.code: failure.text for failure in guards.check_cluster(cluster)}
    assert "etcd-3 can't be seen in this run (not in its inventory: a disabled host" in found["start_not_seen"]
    cluster = living(not_in_inventory=["etcd-3"])
    cluster.members[2] = dataclasses.replace(cluster.members[2], peer_url="https://etcd-3:2380")  # type: ignore[index]
    text = only_text(cluster)
    assert "peer URLs would change (etcd-3 from https://10.0.0.3:2380" in text
    assert "no host of etcd-3 (a disabled host, or a slice of a job)" in text and "etcd_peer_tls_members" in text


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
    shared = preflight_values.Cluster(cluster.members, cluster.infos, question(identity="shared"))
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
    assert "etcd-9.example.com" in text and "etcd-2" in text and "etcd_peer_tls_removed" in text


@pytest.mark.parametrize("where", ["unit", "process"])
def test_nobody_stops_to_check_the_revocation_list_unasked(where: str) -> None:
    """A CA that is given as content has none: what is revoked would be let in again."""
    settings = FlagSettings("blue", "/var/lib/etcd/blue", "/etc/etcd/pki")
    cluster = living(flag_settings=settings)
    assert codes(cluster) == []
    flags: t.Any = cluster.infos["etcd-2"][where]["settings"]["flags"]
    flags["peer-crl-file"] = "/etc/etcd/pki/ca.crl"
    text = only_text(cluster)
    assert text.startswith("member etcd-2: it checks the CA's revocation list, and would do so no more")
    kept = dataclasses.replace(settings, extra_flags={"peer-crl-file": "/etc/etcd/pki/ca.crl"})
    asked = dataclasses.replace(cluster.question, flag_settings=kept)
    assert codes(dataclasses.replace(cluster, question=asked)) == []
    # Somebody's own list is theirs.
    flags["peer-crl-file"] = "/etc/theirs.crl"
    assert codes(cluster) == []


@pytest.mark.parametrize("said", ["etcd-9.example.com", "etcd-9"])
def test_a_name_may_leave_when_the_user_said_so(said: str) -> None:
    cluster = living(removed=[said])
    cluster.infos["etcd-2"]["unit"]["settings"]["allowed_common_names"].append("etcd-9.example.com")  # type: ignore[index]
    assert codes(cluster) == []


def test_saying_one_name_lets_no_other_go() -> None:
    cluster = living(removed=["etcd-9"])
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


def test_a_parent_that_is_trusted_does_not_make_an_authority_the_clusters_own() -> None:
    """The other way round a cluster may trust more: the CA that issues is what counts."""
    root = maker.authority("root")
    ours, other = maker.authority("ours", root), maker.authority("other", root)
    for given, trusted, found in (
        (ours.pem + root.pem, [ours, root], []),
        (root.pem + ours.pem, [ours, root], []),
        (ours.pem, [ours, root], []),
        (ours.pem + root.pem, [ours], []),
        (other.pem + root.pem, [ours, root], ["other_ca"]),
        (ours.pem + root.pem, [root], ["other_ca"]),
    ):
        cluster = living(ca_certificate=given)
        for info in cluster.infos.values():
            info["credentials"]["ca"]["certificates"] = [{"fingerprint": fingerprint(one)} for one in trusted]
        assert codes(cluster) == found


def test_names_that_the_authority_may_not_sign() -> None:
    network = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
    permitted = x509.NameConstraints([x509.DNSName("example.com"), network], None)
    assert codes(fresh(authority=maker.authority("free").pem)) == []
    constrained = fresh(authority=maker.authority("ours", constraints=permitted).pem)
    assert codes(constrained) == ["name_constraints"] * 3
    assert all("etcd_peer_tls_loopback_sans: false" in failure.text for failure in guards.check_cluster(constrained))
    without = [
        dataclasses.replace(member, dns_names=member.dns_names[:1], ip_addresses=member.ip_addresses[:1])
        for member in constrained.members
    ]
    assert codes(preflight_values.Cluster(without, constrained.infos, constrained.question)) == []


def test_an_authority_is_not_made_where_it_would_be_lost() -> None:
    assert "it is lost" in only_text(fresh(new_authority_lost_because="it is lost"))


def test_a_first_deployment_may_make_an_authority() -> None:
    assert preflight_authority.why_no_new_authority(fresh()) is None
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
    reason = preflight_authority.why_no_new_authority(cluster)
    assert reason is not None and words in reason and "etcd-2" in reason


def test_no_authority_is_made_where_a_member_was_not_seen() -> None:
    cluster = fresh()
    part = preflight_values.Cluster(cluster.members, {"etcd-1": cluster.infos["etcd-1"]}, cluster.question)
    reason = preflight_authority.why_no_new_authority(part)
    assert reason is not None and "etcd-2, etcd-3" in reason and "--limit" in reason


def test_data_that_was_never_deployed_here_is_refused() -> None:
    cluster = fresh()
    cluster.infos["etcd-1"]["data"].update(exists=True, member_id="1", cluster_id="dd")  # type: ignore[index]
    assert codes(cluster)[0] == "data_of_another_cluster"


def test_data_that_was_restored_to_a_new_host_is_known_by_the_marker_of_root() -> None:
    """There is no unit yet. A marker of other data, or without its IDs, says nothing of what is there."""
    cluster = fresh()
    for number, name in enumerate(cluster.infos, 1):
        info: t.Any = cluster.infos[name]
        info["data"].update(exists=True, formed=True, member_id=str(number), cluster_id="dd")
        info["formed_marker"] = {"exists": True, "member_id": str(number), "cluster_id": "dd", "path": "/x.formed"}
    assert "data_of_another_cluster" not in codes(cluster)
    # A unit that was renamed has marker and data too: it would come back at the next boot.
    for name in cluster.infos:
        t.cast(t.Any, cluster.infos[name])["in_the_way"] = [
            {"what": "unit", "unit": "fence.service", "uses_data": True}
        ]
    assert "data_of_another_cluster" in codes(cluster)
    for name in cluster.infos:
        t.cast(t.Any, cluster.infos[name])["in_the_way"] = []
    assert "data_of_another_cluster" not in codes(cluster)
    for name in cluster.infos:
        t.cast(t.Any, cluster.infos[name])["formed_marker"].update(cluster_id="ee")
    assert "data_of_another_cluster" in codes(cluster)
    for name in cluster.infos:
        t.cast(t.Any, cluster.infos[name])["formed_marker"].update(cluster_id=None)
        t.cast(t.Any, cluster.infos[name])["data"].update(cluster_id=None)
    assert "data_of_another_cluster" in codes(cluster)


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


OTHER: dict[str, t.Any] = {
    "unit_path": "/etc/systemd/system/etcd.service",
    "running": True,
    "pid": 7,
    "data_dir": "/var/lib/pg",
    "has_data": True,
    "key_count": 296,
    "members": ["etcd-1", "etcd-2", "etcd-3"],
    "cluster_id": "5c",
    "problem": None,
}


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        ({"key_count": 0, "members": ["default"]}, None),
        ({"key_count": 7, "members": ["default"]}, "holds 7 keys"),
        ({"key_count": 0}, "is one of 3 members (etcd-1, etcd-2, etcd-3)"),
        ({"key_count": None}, "does not answer"),
        ({"key_count": None, "data_dir": None, "problem": "a script"}, "can't be told to be empty (a script)"),
        ({"running": False, "key_count": None, "members": None}, "is stopped, so that its keys can't be counted"),
        ({"running": False, "has_data": False, "key_count": 0, "members": []}, None),
        # Counted, and still nobody knows where its data is.
        ({"has_data": False, "members": None}, "holds 296 keys"),
    ],
)
def test_the_distributions_etcd(other: dict[str, t.Any], refused: str | None) -> None:
    for overrule in (False, True):
        cluster = fresh(overrule_distribution_etcd=overrule)
        cluster.infos["etcd-2"]["other_etcd"] = {**OTHER, **other}  # type: ignore[index]
        assert codes(cluster) == (["distribution_etcd_in_use"] if refused and not overrule else [])
        warnings = guards.cluster_warnings(cluster)
        if refused and not overrule:
            text = only_text(cluster)
            assert (
                refused in text and "member etcd-2" in text and str(other.get("data_dir", "/var/lib/pg")) in text
            ) or ("a folder that can't be told" in text)
            for word in ("new, empty cluster", "is not used, and the new cluster starts empty", "same ports"):
                assert word in text
        assert [refused is not None and refused in warning for warning in warnings] == [True] * bool(
            refused and overrule
        )
        assert not warnings or "is not used: the new cluster starts empty" in warnings[0]


def test_members_of_one_cluster_are_told_as_one() -> None:
    cluster = fresh(5)
    for name in ("etcd-1", "etcd-2", "etcd-3"):
        cluster.infos[name]["other_etcd"] = {**OTHER, "pid": hash(name)}  # type: ignore[index]
    cluster.infos["etcd-4"]["other_etcd"] = {**OTHER, "cluster_id": None, "key_count": None}  # type: ignore[index]
    first, second = guards.check_cluster(cluster)
    assert first.text.startswith(
        "members etcd-1, etcd-2, etcd-3: one cluster of 3 members of the same unit name that this role did not deploy "
        "(/etc/systemd/system/etcd.service, data in /var/lib/pg) holds 296 keys"
    )
    assert second.text.startswith("member etcd-4: ")


def rival(**more: t.Any) -> dict[str, t.Any]:
    return {
        "what": "process",
        "unit": "pg.service",
        "pid": 7,
        "program": "etcd",
        "listens": [],
        "data_dir": None,
        "uses_data": False,
        "cluster_id": None,
        "managed": False,
        "enabled": False,
        "problem": None,
        **more,
    }


PORTS = ["10.0.0.2:2380", "127.0.0.1:2379"]
UNIT: dict[str, t.Any] = {"what": "unit", "pid": None, "program": None, "enabled": True}


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (
            {"listens": PORTS, "program": "nginx", "unit": "nginx.service"},
            "port_in_use",
            ("nginx (pid 7, of nginx.service) listens at 10.0.0.2:2380, 127.0.0.1:2379", "disable --now nginx.service"),
        ),
        (
            {"listens": PORTS, "unit": None},
            "port_in_use",
            ("etcd (pid 7) listens", "stop it if it is not needed (where it was started)"),
        ),
        (
            {"listens": PORTS, "unit": None, "pid": None, "program": None},
            "port_in_use",
            ("a process that can't be seen from here listens",),
        ),
        (
            {"listens": PORTS, "data_dir": "/pg"},
            "port_in_use",
            ("is an etcd with data in /pg, and a run does not take it over", "a new cluster starts empty"),
        ),
        (
            {"data_dir": "/var/lib/etcd/blue", "uses_data": True, "listens": PORTS},
            "data_in_use",
            (
                "runs on /var/lib/etcd/blue, the data folder that is meant for etcd.service",
                "in another folder (etcd_peer_tls_data_dir)",
            ),
        ),
        (
            {"data_dir": "/var/lib/etcd/blue", "uses_data": True, "managed": True, "unit": "old.service"},
            "unit_renamed",
            ("set etcd_peer_tls_unit: old.service as it was",),
        ),
        (
            {**UNIT, "listens": PORTS, "data_dir": "/pg"},
            "unit_in_the_way",
            ("pg.service is stopped and enabled: at the next boot it listens at 10.0.0.2:2380", "data in /pg"),
        ),
        (
            {**UNIT, "uses_data": True, "data_dir": "/var/lib/etcd/blue", "managed": True},
            "unit_renamed",
            ("etcd_peer_tls_unit: pg.service",),
        ),
        ({**UNIT, "problem": "a script"}, "unit_unknown", ("(a script)", "systemctl disable pg.service")),
        ({"what": "unknown", "problem": "no /proc"}, "in_the_way_unknown", ("(no /proc)",)),
        # Neither runs nor comes by itself.
        ({**UNIT, "uses_data": True, "data_dir": "/var/lib/etcd/blue", "enabled": False}, None, ()),
    ],
)
def test_who_is_in_the_way(found: dict[str, t.Any], code: str | None, words: tuple[str, ...]) -> None:
    for overrule in (False, True):
        cluster = fresh(overrule_distribution_etcd=overrule)
        cluster.infos["etcd-2"]["unit"]["name"] = "etcd.service"  # type: ignore[index]
        cluster.infos["etcd-2"]["in_the_way"] = [rival(**found)]  # type: ignore[index]
        assert codes(cluster) == ([] if code is None else [code])
        for word in words:
            assert word in only_text(cluster) and only_text(cluster).startswith("member etcd-2: ")


def test_the_same_on_several_hosts_is_told_once() -> None:
    cluster = fresh()
    for number, name in enumerate(cluster.infos, 1):
        one = rival(listens=[f"10.0.0.{number}:2380"], pid=number, data_dir="/pg", cluster_id="5c")
        cluster.infos[name]["in_the_way"] = [one]  # type: ignore[index]
    text = only_text(cluster)
    assert text.startswith("members etcd-1, etcd-2, etcd-3: etcd of pg.service listens at 10.0.0.1:2380, 10.0.0.2:2380")
    assert "one of 3 members of a cluster that this role did not deploy (data in /pg)" in text


def test_a_living_etcd_is_never_moved_away_from_under_itself() -> None:
    cluster = fresh()
    info: t.Any = cluster.infos["etcd-2"]
    info["data"].update(exists=True, member_id="1", cluster_id="dd")
    info["unit"].update(name="etcd.service")

    def first(code: str, **more: t.Any) -> str:
        failures = guards.check_cluster(preflight_values.Cluster(cluster.members, cluster.infos, question(**more)))
        assert [failure.code for failure in failures if failure.code != "join_not_prepared"] == [code]
        return failures[0].text

    text = first("data_of_another_cluster")
    assert ": move it away" in text and "starts empty either way" in text
    info["other_etcd"] = {**OTHER, "data_dir": "/var/lib/etcd/blue"}
    for overrule in (False, True):
        text = first("data_of_another_cluster", overrule_distribution_etcd=overrule)
        assert "etcd.service (pid 7) runs on it" in text and "ringfence.etcd.adopt takes it over as it is" in text
        assert "disable --now etcd.service) and move" in text
    info["other_etcd"] = None
    info["in_the_way"] = [rival(uses_data=True, data_dir="/var/lib/etcd/blue")]
    first("data_in_use")
    info["in_the_way"] = [rival(**{**UNIT, "enabled": False, "uses_data": True})]
    assert "the unit pg.service, which is stopped, names the folder" in first("data_of_another_cluster")
    info["in_the_way"] = [rival(**{**UNIT, "enabled": False, "uses_data": True, "managed": True})]
    assert "set etcd_peer_tls_unit: pg.service as it was" in first("data_of_another_cluster")


def test_data_that_can_not_be_told_is_left_alone() -> None:
    for cluster in (fresh(), living()):
        cluster.infos["etcd-2"]["data"]["problem"] = "no etcd write-ahead log"  # type: ignore[index]
        assert codes(cluster) == ["data_unknown"]
        assert "no etcd write-ahead log" in only_text(cluster)


def test_a_first_start_in_batches_is_refused() -> None:
    cluster = fresh()
    part = preflight_values.Cluster(
        cluster.members,
        {"etcd-1": cluster.infos["etcd-1"]},
        question(batch=["etcd-1"], play=["etcd-1", "etcd-2", "etcd-3"]),
    )
    assert codes(part) == ["start_not_seen", "first_start_in_batches"]
    assert "take serial out of the play" in guards.check_cluster(part)[1].text
    # Nor is it with --limit: who is not seen may be a cluster already.
    limited = preflight_values.Cluster(part.members, part.infos, question(batch=["etcd-1"], play=["etcd-1"]))
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


def test_what_is_about_to_be_installed_is_judged_and_not_what_it_replaces() -> None:
    """The run that would mend it is not refused for what it mends."""
    archive = {"install": "archive", "archive": "/srv/etcd-v3.5.35-linux-amd64.tar.gz", "archive_sha256": "0" * 64}
    cluster = living(**archive)
    for info in cluster.infos.values():
        info["etcd"]["version"] = "3.5.12"  # type: ignore[index]
    assert codes(cluster) == []
    assert set(codes(preflight_values.Cluster(cluster.members, cluster.infos, question()))) == {
        "version",
        "downgrade",
    }
    nothing: set[str] = set()
    for version, found in (("3.5.35", nothing), ("3.5.14", {"version", "downgrade"})):
        infos = {
            name: guard_values.with_program(info, {"version": version, "staged": True})
            for name, info in cluster.infos.items()
        }
        assert all(info["etcd"]["staged"] and info["etcd"]["version"] == version for info in infos.values())
        assert set(codes(preflight_values.Cluster(cluster.members, infos, question(**archive)))) == found
        assert set(codes(preflight_values.Cluster(cluster.members, infos, question()))) == found


def test_one_host_on_which_it_can_not_be_started_stops_all() -> None:
    cluster = living()
    infos = dict(cluster.infos)
    for name in ("etcd-1", "etcd-3"):
        infos[name] = guard_values.with_program(infos[name], {"failed": True, "msg": "is a program\nfor aarch64"})
    failures = guards.check_cluster(preflight_values.Cluster(cluster.members, infos, question()))
    assert [(failure.code, failure.text) for failure in failures] == [
        ("program_unusable", "member etcd-1, etcd-3: is a program for aarch64")
    ]


@pytest.mark.parametrize(
    "program",
    [
        None,
        {},
        {"skipped": True},
        {"version": None},
        {"version": 7},
        {"version": ["3.5.35"]},
        {"version": "3.5.35\nand more"},
        {"version": "3.5." + "9" * 5000},
        {"version": "newest"},
        {"failed": "yes"},
    ],
)
def test_what_a_node_says_of_its_program_is_data(program: dict[str, t.Any] | None) -> None:
    info = bare()
    assert guard_values.with_program(info, program) == info
    assert guard_values.with_program(info, program)["etcd"].get("problem") is None


@pytest.mark.parametrize("said", [None, 7, [], "", " ", "x" * 100_000])
def test_a_failure_without_words(said: t.Any) -> None:
    problem = guard_values.with_program(bare(), {"failed": True, "msg": said})["etcd"]["problem"]
    assert problem and len(problem) <= 600
