# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each host of a cluster is told to do so that the role's own unit starts its member, and why it may not be. Pure.

The units are made from the operator's variables. What hosts tell is held against them, and only refuses.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import differences, why_never
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed, deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster, Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, certificates_in, issued_by
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.fence import (
    NO_FENCE,
    Fence,
    are_told_apart,
    as_it_is,
    list_of_names,
    names_of_several,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.names import KEEP, Problem, names_shown
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover, takeover_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.refusals import cluster_of, speaks_http
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.variables import (
    for_inventory,
    templates_in,
    variables_of,
)

ADOPTED, GIVEN_BACK = "adopted", "given back"
_SAY = "put what it has into the inventory (the run prints the variables), or change it there first"


@dataclass(frozen=True)
class WantedUnit:
    """A member's unit as the operator's variables make it. ``http_text``: the same with peers that speak http.

    ``text_with``: the same with a list of other names, or (of none) without a list.
    """

    text: str = field(repr=False)
    http_text: str = field(repr=False)
    text_with: t.Callable[[t.Sequence[str]], str] = field(repr=False, compare=False)
    unit: str
    unit_directory: str
    directory: str
    owner: str
    owner_group: str
    manages_service: bool = True


@dataclass(frozen=True)
class Authority:
    """The CA of the operator's variables, and why it can't issue; None where it can."""

    pem: str
    problem: str | None


def adoption_of(
    run: Run,
    addresses: t.Mapping[str, str],
    units: t.Mapping[str, WantedUnit],
    authority: Authority,
    is_back: bool = False,
    keeps_certificates: bool = False,
) -> Takeover:
    """The plan; RefusedError with all that speaks against it. ``units``: by host. ``keeps_certificates``: whether the
    operator said that members keep certificates which the role can't renew, or which do not tell them apart.

    These, and members whose peers speak http, get a unit with which they go on as they are: certificates and the list
    come by the deployment, step by step, once all of them are the role's.
    """
    done = GIVEN_BACK if is_back else ADOPTED
    fence = NO_FENCE if is_back else _fence_of(cluster_of(run, done), keeps_certificates)
    wanted = units
    units = {claim.host: _unit(units[claim.host], claim, fence) for claim in run.claims if claim.host in units}

    def more(cluster: Cluster, names: tuple[str, ...]) -> t.Iterator[Problem]:
        for claim in cluster.members:
            unit = units.get(claim.host)
            if unit is None:
                yield claim, "its host has no settings of this role", "put it into the group of the cluster"
            elif not unit.manages_service:
                yield claim, "the role starts no service here", "set etcd_peer_tls_manage_service: true"
            elif not is_back and not claim.told["managed"] and claim.settings is not None:
                yield from _against(claim, unit, names, fence.is_kept)
        if fence.is_kept:
            yield from _of_names_that_stay(cluster, wanted)
        elif fence.has_tls:
            yield from _of_authority(cluster, authority)

    plan = takeover_of(run, addresses, is_back, done, more, lambda _cluster: fence)
    options = {host: {**one, **_options(units[host], fence)} for host, one in plan.options.items()}
    return replace(plan, options=options)


def _fence_of(cluster: Cluster, keeps_certificates: bool) -> Fence:
    if all(map(speaks_http, cluster.members)):
        return NO_FENCE
    # Those that are the role's already are on their way.
    is_on_its_way = not are_told_apart(cluster) and all(claim.told["managed"] for claim in cluster.members)
    return as_it_is(cluster) if keeps_certificates or is_on_its_way else list_of_names(cluster)


def _unit(unit: WantedUnit, claim: Claim, fence: Fence) -> WantedUnit:
    if speaks_http(claim):
        return replace(unit, text=unit.http_text)
    return replace(unit, text=unit.text_with(fence.names)) if fence.is_kept else unit


def _of_names_that_stay(cluster: Cluster, units: t.Mapping[str, WantedUnit]) -> t.Iterator[Problem]:
    """A name that several had is nobody's afterwards: whoever has their key would be let in by it."""
    found = [deployed_from_text(unit.text) for unit in units.values()]
    wanted = {name for one in found if one is not None for name in one["allowed_common_names"]}
    for name in sorted(wanted & names_of_several(cluster)):
        what = f"several members present the common name {name}, and by the inventory one is to have it"
        yield None, what, "give that one another (etcd_peer_tls_domain, etcd_peer_tls_common_name)"


def _options(unit: WantedUnit, fence: Fence) -> dict[str, t.Any]:
    return {
        "keep_certificates": fence.is_kept,
        "unit_content": unit.text,
        "unit_directory": unit.unit_directory,
        "directory": unit.directory,
        "owner": unit.owner,
        "group": unit.owner_group,
    }


def _against(claim: Claim, unit: WantedUnit, names: tuple[str, ...], keeps_list: bool) -> t.Iterator[Problem]:
    """What would be another setting of one member."""
    told = claim.told
    if told["unknown_settings"]:
        what = ", ".join(told["unknown_settings"])
        yield claim, f"it is given {what}, which is no flag of etcd that is known here", "take that out first"
    after = t.cast(Deployed, deployed_from_text(unit.text))
    found = differences({**claim.flags, "data-dir": told["data_dir"]}, after["flags"], unit.directory, keeps_list)
    never = [(one, why) for one, why in ((one, why_never(one)) for one in found) if why]
    if never:
        one, why = never[0]
        yield claim, f"it has --{one.flag}={one.before}, which no unit of this role has ({why})", "take that out first"
    texts = [str(one) for one in found]
    pairs = [("unit", told["unit"], unit.unit), ("program", told["program"], after["program"])]
    pairs += [("user", told["owner"], unit.owner), ("group", told["owner_group"], unit.owner_group)]
    texts += [f"its {what} is {before} and would be {wanted}" for what, before, wanted in pairs if before != wanted]
    if names and set(after["allowed_common_names"]) != set(names):
        texts.append(f"the list would be {','.join(after['allowed_common_names'])}, and they present {','.join(names)}")
    if texts:
        yield claim, "; ".join(texts), _SAY


def _of_authority(cluster: Cluster, authority: Authority) -> t.Iterator[Problem]:
    """The role renews what it finds, so it needs the very CA that all members trust, with its key."""
    way = (
        "give the members' own CA with its key (etcd_peer_tls_ca_certificate and etcd_peer_tls_ca_private_key, or as "
        "ca.crt and ca.key in etcd_peer_tls_ca_directory): without the key the role could renew no certificate; where "
        f"nobody has it, {KEEP}"
    )
    try:
        issuing = certificates_in(authority.pem)[:1]
    except RingfenceError:
        issuing = ()
    if not issuing:
        yield None, "there is no CA in the role's variables that can be used", way
        return
    others = [
        claim.name
        for claim in cluster.members
        if claim.peer_certificate.first is None or not issued_by(claim.peer_certificate.first, issuing)
    ]
    if others:
        yield None, f"the role's CA ({issuing[0].common_name}) has not signed what {', '.join(others)} presents", way
    elif authority.problem is not None:
        yield None, f"the role's CA can't issue ({authority.problem})", way


def told_variables(run: Run, is_back: bool = False) -> dict[str, t.Any]:
    """The variables for the inventory that say what the members run with, and what none can say."""
    cluster = cluster_of(run, GIVEN_BACK if is_back else ADOPTED)
    shown, _problems = names_shown(cluster)
    # A name of several is none for any of them.
    names = {member: name for member, name in shown.items() if list(shown.values()).count(name) == 1}
    known = [claim for claim in cluster.members if claim.settings is not None and not claim.told["managed"]]
    by_host = {claim.host: variables_of(claim, names.get(claim.name)) for claim in known}
    problems = [
        f"{host}: {name} has a value with braces, which an inventory would read as a template: write it by hand"
        for host, variables in by_host.items()
        for name in templates_in(variables)
    ]
    safe = {
        host: {name: value for name, value in variables.items() if name not in templates_in(variables)}
        for host, variables in by_host.items()
    }
    return {**for_inventory(safe), "problems": problems}


__all__ = ("Authority", "WantedUnit", "adoption_of", "told_variables")
