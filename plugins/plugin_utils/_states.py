# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the members' hosts have registered, for the actions that judge a whole cluster.

One host's answer never decides about another: what can't be used is told of its own member, and the others are judged
without it.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import functools
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate, as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import read_certificate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import (
    ADVICE,
    AnswerError,
    checked_answer,
    one_line,
    shown,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of

PROBE = schema_of("etcd_peer_probe", "etcd_peer_info")
# Where the role keeps what etcd_settings gave.
_SETTINGS = "__etcd_peer_tls_settings"
_FACTS = ("fingerprint", "serial_number", "not_before", "not_after", "days_left", "key_algorithm", "is_ca")
# What depends on the moment, and the name of a kind of key, which readers have many of.
_NO_FACT = ("days_left", "key_algorithm")
# What the evaluation raises where two parts of an answer contradict each other.
_NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def registered_states(
    task_vars: t.Mapping[str, t.Any], members: t.Sequence[t.Mapping[str, t.Any]], variable: str
) -> dict[str, t.Any]:
    """By member's name, what its host has registered under a name (None: nothing), for the hosts of this batch.

    Read as it was registered. An option that is templated would be copied leaf by leaf, which for the results of a
    whole cluster is the dearest thing that a run does.
    """
    present = set(plain(task_vars.get("ansible_play_batch", ())))
    hostvars = task_vars["hostvars"]
    states = {}
    for member in members:
        host = member.get("host")
        if host in present:
            try:
                states[plain(member.get("name"))] = plain(hostvars.raw_get(host).get(variable))
            except RecursionError:
                states[plain(member.get("name"))] = {"msg": "what it answered is too deep to be read"}
    return states


def registered_value(task_vars: t.Mapping[str, t.Any], variable: str, host: str | None = None) -> dict[str, t.Any]:
    """What a host (None: this one) has registered under a name; empty where that is nothing, or no mapping."""
    asked = plain(task_vars["inventory_hostname"]) if host is None else host
    return _mapping(plain(task_vars["hostvars"].raw_get(asked).get(variable)))


def states_by_id(task_vars: t.Mapping[str, t.Any], variable: str, loop_variable: str) -> dict[str, t.Any]:
    """The results of a loop that this host has registered, by the ``id`` of what each is about."""
    results = registered_value(task_vars, variable).get("results")
    answers = [_mapping(one) for one in results] if isinstance(results, list) else []
    return {str(_mapping(one.get(loop_variable)).get("id")): one for one in answers}


def _mapping(found: t.Any) -> dict[str, t.Any]:
    return found if isinstance(found, dict) else {}


def folders_of_others(
    task_vars: t.Mapping[str, t.Any], members: t.Sequence[t.Mapping[str, t.Any]], variable: str
) -> dict[str, tuple[str, str]]:
    """By host, for the hosts of this batch that are no members here: their cluster, and their credentials' folder.

    A host's answer can only make a run be refused, and the line names the host.
    """
    own = {plain(member.get("host")) for member in members}
    hostvars = task_vars["hostvars"]
    found = {}
    for host in plain(task_vars.get("ansible_play_batch", ())):
        if host in own:
            continue
        variables = hostvars.raw_get(host)
        settings, state = variables.get(_SETTINGS), variables.get(variable)
        if not isinstance(settings, dict) or not isinstance(state, dict) or not isinstance(state.get("info"), dict):
            continue
        cluster, folder = settings.get("cluster_name"), state["info"].get("folder")
        if isinstance(cluster, str) and isinstance(folder, str):
            found[str(host)] = (str(cluster), str(folder))
    return found


def refused_settings(
    task_vars: t.Mapping[str, t.Any], members: t.Sequence[t.Mapping[str, t.Any]], variable: str
) -> list[str]:
    """Whose own settings keep hosts of members out of this play, a line for each host that tells why.

    ``variable``: what ``etcd_settings`` was registered as. The others would go on without such a member, as if the user
    had left it out.
    """
    everybody = set(plain(task_vars.get("ansible_play_hosts_all", ())))
    gone = everybody - set(plain(task_vars.get("ansible_play_batch", ())))
    tellers: dict[str, list[str]] = {}
    for member in members:
        host = plain(member.get("host"))
        found = plain(task_vars["hostvars"].raw_get(host).get(variable)) if host in gone else None
        if isinstance(found, dict) and _is_refused(found):
            details = found.get("details")
            teller = details.get("told_by") if isinstance(details, dict) else None
            tellers.setdefault(str(teller or host), []).append(host)
    return [f"{', '.join(hosts)}: settings are refused: see host {teller}" for teller, hosts in tellers.items()]


def has_refused_settings(task_vars: t.Mapping[str, t.Any], host: str) -> bool:
    """Whether a host's settings were refused, in this run."""
    return _is_refused(plain(task_vars["hostvars"].raw_get(host).get(_SETTINGS)))


def _is_refused(found: t.Any) -> bool:
    return isinstance(found, dict) and found.get("failed") is True and found.get("problem") == InputError.problem


def checked_state(state: t.Any) -> dict[str, t.Any]:
    """The answer of ``etcd_peer_probe`` as far as it is documented; AnswerError, which says why, where it is none."""
    if not isinstance(state, dict):
        raise AnswerError("it did not answer")
    if state.get("failed") or not ("info" in state and "probes" in state):
        raise AnswerError(one_line(state.get("msg") or state.get("skip_reason")) or "it did not answer")
    try:
        checked = checked_answer(PROBE, state)
        _check_facts(checked)
        now = datetime.datetime.strptime(checked["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        for path, credentials in (
            ("info.credentials", checked["info"]["credentials"]),
            ("process_credentials", checked["process_credentials"]),
        ):
            if credentials is not None:
                _read_again(credentials, path, now)
        return checked
    except AnswerError as exc:
        raise AnswerError(f"the answer of {PROBE.module} {exc}: {ADVICE}") from exc


def _check_facts(state: t.Mapping[str, t.Any]) -> None:
    """A member's certificate has all of these facts or none: who has one counts on the others."""
    facts = state["info"]["credentials"]["certificate"]
    missing = [name for name in _FACTS if facts[name] is None]
    if missing and len(missing) < len(_FACTS):
        raise AnswerError(f"has info.credentials.certificate.{missing[0]} as null and other facts of a certificate")


def _read_again(credentials: dict[str, t.Any], path: str, now: datetime.datetime) -> None:
    """The certificates' facts as they are read here, from the certificates that the host sent.

    What a host says of them is not gone by; AnswerError where it says something else, because a reader that is wrong
    there takes decisions of its own, in front of a restart for one.
    """
    bundle, leaf = credentials["ca"], credentials["certificate"]
    said = bundle["certificates"]
    found = _facts_of(bundle["pem"], now) if said or bundle["problem"] is None else ()
    if found is None or len(found) != len(said):
        here = "none" if found is None else str(len(found))
        raise AnswerError(
            f"has {path}.ca.certificates with {len(said)} certificates, {here} can be read in its pem here"
        )
    for number, (facts, own) in enumerate(zip(said, found)):
        _compare(facts, own, f"{path}.ca.certificates[{number}]")
    if leaf["fingerprint"] is not None:
        found = _facts_of(leaf["pem"], now)
        if not found:
            raise AnswerError(f"has facts in {path}.certificate, no certificate can be read in its pem here")
        _compare(leaf, found[0], f"{path}.certificate")


def _facts_of(pem: str | None, now: datetime.datetime) -> tuple[dict[str, t.Any], ...] | None:
    """The facts of each certificate in a text; None where one of them can't be read."""
    try:
        blocks = split_pem((pem or "").encode("utf-8", "replace"))
        return tuple(as_result(_read(block.der), now) for block in blocks if block.label == CERTIFICATE_LABEL)
    except RingfenceError:
        return None


@functools.lru_cache(maxsize=512)
def _read(der: bytes) -> Certificate:
    """Members have their CA in common."""
    return read_certificate(der, "the certificate")


def _compare(said: dict[str, t.Any], own: t.Mapping[str, t.Any], path: str) -> None:
    """Put what was read here in the place of what was said of it."""
    for name in own.keys() & said.keys():
        if said[name] != own[name] and name not in _NO_FACT:
            raise AnswerError(f"has {path}.{name} as {shown(said[name])}, its pem says {shown(own[name])}")
        said[name] = own[name]


def unusable(states: t.Mapping[str, t.Any], evaluate: t.Callable[[dict[str, t.Any]], t.Any]) -> dict[str, str]:
    """By member's name, why its answer can't be used although each key is what it should be."""
    found: dict[str, str] = {}
    usable: dict[str, t.Any] = {}
    # First each one by itself, so that no member is blamed for another.
    alone = [{name: state} for name, state in states.items()]
    for added in alone:
        _blame(added, {}, evaluate, found)
    for added in alone:
        if not set(added) & set(found):
            _blame(added, usable, evaluate, found)
            usable.update({name: state for name, state in added.items() if name not in found})
    return found


def _blame(
    added: dict[str, t.Any],
    usable: dict[str, t.Any],
    evaluate: t.Callable[[dict[str, t.Any]], t.Any],
    found: dict[str, str],
) -> None:
    try:
        evaluate({**usable, **added})
    except _NONSENSE as exc:
        why = f"what it answered makes no sense ({type(exc).__name__}: {one_line(str(exc))[:100]}): {ADVICE}"
        found.update(dict.fromkeys(added, why))


__all__ = (
    "PROBE",
    "checked_state",
    "folders_of_others",
    "has_refused_settings",
    "refused_settings",
    "registered_states",
    "registered_value",
    "states_by_id",
    "unusable",
)
