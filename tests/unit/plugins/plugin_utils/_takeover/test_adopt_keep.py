# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members whose certificates can't stay get a unit with which they go on; own certificates and the list come then."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import differences
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.adopt import (
    Authority,
    WantedUnit,
    adoption_of,
    told_variables,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover, takeover_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils._takeover.test_adopt import (
    HTTP,
    PKI,
    Flags,
    all_variables,
    run_of,
    told_by,
    units_of,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    Met,
    pair,
)

NO_AUTHORITY = Authority("", "there is none")
# As githubixx' role has it: one pair for all.
SHARED: Flags = {
    **HTTP,
    **dict.fromkeys(("cert-file", "key-file", "trusted-ca-file", "client-cert-auth")),
    "peer-cert-file": f"{PKI}/peer.pem",
    "peer-key-file": f"{PKI}/peer-key.pem",
}
WAY = (
    "ringfence.etcd.adopt with -e etcd_adopt_keep_certificates=true takes the members as they are, and "
    "ringfence.etcd.site with -e etcd_peer_tls_new_ca=true then gives each a certificate of its own, and the list"
)
GIVE_CA = (
    "give the members' own CA with its key (etcd_peer_tls_ca_certificate and etcd_peer_tls_ca_private_key, or as "
    "ca.crt and ca.key in etcd_peer_tls_ca_directory): without the key the role could renew no certificate; where "
    "nobody has it, "
)


def sharing(
    names: str | t.Sequence[str | None] | None = "etcd",
    changed: Flags | None = None,
    by_host: t.Mapping[str, Flags] | None = None,
    **state: t.Any,
) -> Run:
    """What the hosts tell whose members present certificates with these names; one name is one certificate."""
    each = [names] * len(HOSTS) if names is None or isinstance(names, str) else names
    met = Met()
    answers = {}
    for host, name in zip(HOSTS, each):
        own = {**SHARED, **(changed or {}), **(by_host or {}).get(host, {})}
        answers[host] = told_by(own, **state)[host]
        answers[host]["processes"][0]["peer_certificate"] = {"path": "/c", "pem": pair(name).pem, "problem": None}
    for seen in met.served.values():
        for one in seen:
            one["pem"] = pair(each[HOSTS.index(one["to"])]).pem
    run = run_of(answers)
    return replace(run, calls={host: answer for host, answer in met.answers().items() if host in answers})


def plan(
    run: Run,
    units: t.Mapping[str, WantedUnit] | None = None,
    authority: Authority = NO_AUTHORITY,
    is_said: bool = True,
    is_back: bool = False,
) -> Takeover:
    units = units_of(all_variables(run)) if units is None else units
    return adoption_of(run, {}, units, authority, is_back, is_said)


def refused(*said: str, run: Run | None = None, **options: t.Any) -> str:
    with pytest.raises(RefusedError) as caught:
        plan(run or sharing(), **options)
    text = str(caught.value)
    assert text.startswith("nothing is adopted: ") and "\n" not in text
    assert all(one in text for one in said), text
    return text


@pytest.mark.parametrize("name", ["etcd", None, "a,b", "{{ a }}"])
@pytest.mark.parametrize("authority", [NO_AUTHORITY, Authority(CA.pem, None)])
def test_nothing_changes_but_who_owns_the_unit(name: str | None, authority: Authority) -> None:
    run = sharing(name, {"quota-backend-bytes": "8589934592"})
    units = units_of(all_variables(run))
    made = plan(run, units, authority)
    assert made.names == ()
    for claim in run.claims:
        options = made.options[claim.host]
        after = deployed_from_text(options["unit_content"])
        assert after is not None and options["common_names"] == [] and options["keep_certificates"] is True
        assert differences(claim.flags, after["flags"], units[claim.host].directory, keeps_list=True) == []
        assert "peer-cert-allowed-cn" not in after["flags"] and "crl" not in options["unit_content"]
        assert after["flags"]["peer-client-cert-auth"] == "true"
    back = plan(run, units, is_back=True)
    assert back.names == () and not any(one["keep_certificates"] for one in back.options.values())


def test_it_has_to_be_said() -> None:
    refused(f"the cluster: etcd-1, etcd-2, etcd-3 present one common name (etcd): {WAY}", is_said=False)
    refused(f"its common name is empty: give one of 1 to 64 characters: {WAY}", run=sharing(None), is_said=False)
    with pytest.raises(RefusedError) as caught:
        takeover_of(sharing(), {})
    assert f"etcd-1, etcd-2, etcd-3 present one common name (etcd): {WAY}" in str(caught.value)


@pytest.mark.parametrize("has_list", [False, True])
def test_nobody_has_the_key_of_their_ca(has_list: bool) -> None:
    """Each has a name of its own, as a takeover leaves it: the role's CA comes with the deployment."""
    names = [f"member-{host}" for host in HOSTS]
    run = sharing(names, {"peer-cert-allowed-cn": ",".join(names)} if has_list else None)
    kept = plan(run)
    assert kept.names == (tuple(names) if has_list else ())
    for options in kept.options.values():
        assert options["keep_certificates"] and options["common_names"] == list(kept.names)
        assert ("--peer-cert-allowed-cn=" in options["unit_content"]) is has_list
    refused(f"there is no CA in the role's variables that can be used: {GIVE_CA}{WAY}", run=run, is_said=False)
    # With the key each gets the list at once.
    made = plan(run, authority=Authority(CA.pem, None), is_said=False)
    assert made.names == tuple(names) and not any(one["keep_certificates"] for one in made.options.values())
    assert all("--peer-cert-allowed-cn=member-etcd-1" in one["unit_content"] for one in made.options.values())


@pytest.mark.parametrize("names", [["a", "etcd", "etcd"], ["a", "b", None], ["a", "b", "c,d"]])
def test_some_of_them(names: list[str | None]) -> None:
    run = sharing(names)
    assert plan(run).names == ()
    told = told_variables(run)
    assert "etcd_peer_tls_common_name" not in told["vars"]
    have_own = {host for host, own in told["hosts"].items() if "etcd_peer_tls_common_name" in own}
    assert have_own == {host for host, name in zip(HOSTS, names) if name in ("a", "b")}


def test_the_role_has_them_already() -> None:
    """The second run changes nothing, and asks for no word."""
    run = sharing(managed=True)
    units = units_of(all_variables(sharing()))
    assert plan(run, units, is_said=False).names == ()
    # In the midst of the deployment lists differ: that is no matter of an adoption.
    halfway = sharing(managed=True, by_host={"etcd-1": {"peer-cert-allowed-cn": "etcd,etcd-1"}})
    assert plan(halfway, units, is_said=False).names == ()


def test_the_role_has_those_already_that_have_names_of_their_own() -> None:
    """They have the list, and nothing is kept."""
    names = [f"member-{host}" for host in HOSTS]
    made = plan(sharing(names, managed=True), units_of(all_variables(sharing(names))), Authority(CA.pem, None), False)
    assert made.names == tuple(names) and not any(one["keep_certificates"] for one in made.options.values())


# A list that is there -------------------------------------------------------------------------------------------------


def test_a_list_that_is_there_stays() -> None:
    run = sharing(changed={"peer-cert-allowed-cn": "etcd"})
    made = plan(run)
    assert made.names == ("etcd",)
    for options in made.options.values():
        assert "--peer-cert-allowed-cn=etcd\n" in options["unit_content"].replace(" \\", "")
        assert options["common_names"] == ["etcd"] and options["keep_certificates"]


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({"etcd-1": "etcd"}, "etcd-2, etcd-3: its list of allowed names is not what the members present (none)"),
        (dict.fromkeys(HOSTS, "etcd,old"), "is not what the members present (etcd, old): let all members have a list"),
    ],
)
def test_another_list(lists: t.Mapping[str, str], told: str) -> None:
    by_host = {host: {"peer-cert-allowed-cn": value} for host, value in lists.items()}
    refused(told, "a list of just etcd, or none, before that", run=sharing(by_host=by_host))


# What is refused all the same ----------------------------------------------------------------------------------------


def test_a_name_that_a_member_would_have_alone() -> None:
    run = sharing("etcd-1")
    units = units_of({**all_variables(run)})
    refused(
        "several members present the common name etcd-1, and by the inventory one is to have it: give that one another "
        "(etcd_peer_tls_domain, etcd_peer_tls_common_name)",
        run=run,
        units=units,
    )


def test_a_certificate_without_the_address_of_a_member() -> None:
    """Another one does not let that member in, also today."""
    run = sharing()
    calls = {host: {**answer, "calls": [dict(one) for one in answer["calls"]]} for host, answer in run.calls.items()}
    for one in calls["etcd-3"]["calls"]:
        if one["case"] == "member":
            one.update(outcome="refused", reason="address", text="its certificate is not for this address")
    refused(
        "etcd-3: etcd-1 does not let it in (its certificate is not for this address): mend that first",
        run=replace(run, calls=calls),
    )


def test_what_nobody_saw_and_what_another_ca_signed() -> None:
    run = sharing()
    unseen = {**run.calls, "etcd-2": {**run.calls["etcd-2"], "served": []}}
    refused("etcd-2 was not shown its certificate", run=replace(run, calls=unseen))
    other = {"path": "/m/ca.pem", "pem": issue("another", is_ca=True).pem, "problem": None}
    refused("its certificate is not of the CA that etcd-1 trusts", run=sharing(peer_authority=other))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"peer-cert-allowed-hostname": "etcd"}, "it is fenced by host names"),
        ({"heartbeat-interval": "250"}, "--heartbeat-interval is 250 and would be not set"),
    ],
)
def test_settings_that_would_be_others(changed: Flags, told: str) -> None:
    refused(told, run=sharing(changed=changed), units=units_of(all_variables(sharing())))
