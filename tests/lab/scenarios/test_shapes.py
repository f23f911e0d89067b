# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters by the files that deployers really write, from the first audit to the role, while a client writes.

``RINGFENCE_SHAPES``: ``all`` of them, their names, or the number of one; the first one where it says nothing.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

import pytest
from audits import assert_clean, failed, others, remedy
from deployers import CONF
from ringfence_lab.lab import Lab
from shapes import AS_THEY_COME, NAMES, OPEN, STORIES, Story
from support import TRIO, Controller, Writer
from takeovers import TakenOver, assert_nothing_lost

_CLIENTS = "ETCD_CLIENT_CERT_AUTH"


def _chosen(wanted: str) -> tuple[str, ...]:
    if wanted.isdigit():
        return (NAMES[int(wanted) % len(NAMES)],)
    chosen = NAMES if wanted == "all" else tuple(wanted.split(","))
    assert set(chosen) <= set(NAMES), f"RINGFENCE_SHAPES={wanted}: there are {', '.join(NAMES)}"
    return chosen


# Those whose members come to a CA of the role's own after a takeover, too.
_WITHOUT_KEY = ("etcdadm", "guide")
_CHOSEN = _chosen(os.environ.get("RINGFENCE_SHAPES") or "0")


@pytest.fixture(scope="module")
def theirs(controller: Controller, lab: Lab) -> t.Iterator[TakenOver]:
    controller.bare()
    made = TakenOver(controller, lab)
    yield made
    made.clear()


def _audit_before(theirs: TakenOver, story: Story, names: t.Sequence[str], codes: t.Collection[str] = OPEN) -> None:
    """Each hole is told, with its line, and nothing else."""
    run, audit = theirs.audit()
    found = failed(audit)
    assert run.returncode != 0 and {code for code, _subject in found} == set(codes), audit["findings"]
    assert {subject for _code, subject in found} == {", ".join(TRIO)}
    assert others(audit) == story.warnings, audit["findings"]
    (code,) = set(codes) - {"strangers"}
    joined = ", ".join(names) if "[NAMES]" in story.line else ",".join(names)
    assert story.line.replace("NAMES", joined) in remedy(audit, code)


def _settings_lost_and_come(output: str) -> set[str]:
    """The flags of the first member that an adoption's diff shows as gone or come."""
    lines = output.partition("settings of etcd-1")[2].partition("\n\n")[0].splitlines()
    return {line[3:].partition("=")[0] for line in lines if line[:3] in ("---", "+--")}


@pytest.mark.parametrize("name", [name for name in _CHOSEN if name in STORIES])
def test_from_an_audit_to_the_role(theirs: TakenOver, name: str) -> None:
    story, controller = STORIES[name], theirs.controller
    names = [story.shape.pairs[0].on(host).common_name for host in TRIO]
    theirs.inventory = controller.inventory()
    theirs.with_client(story.shape)
    ids, before, processes = theirs.member_ids(), theirs.files(), theirs.running()
    _audit_before(theirs, story, names)

    check = theirs.succeed("--check", "--diff")
    where = f"+++ after: {CONF}" if story.shape.file == CONF else "zz-ringfence.env"
    assert where in check.output and all(name in check.output for name in names)
    assert all(count for count in check.changed.values()) and "would be round the members" in check.output
    assert theirs.running() == processes and theirs.files() == before

    with Writer(controller, operation=f"takeover: {name}") as writer:
        run = theirs.succeed()
    assert_nothing_lost(writer)
    assert "etcd: PROVED - 3 members" in run.output and theirs.member_ids() == ids
    processes, taken = theirs.running(), theirs.files()
    report = controller.folder / f"after-{name}.json"
    again = theirs.succeed(etcd_peer_tls_report_json=str(report))
    assert not any(again.changed.values()) and theirs.running() == processes and theirs.files() == taken
    assert_clean(again, json.loads(report.read_text()), warnings=story.left)

    with Writer(controller, operation=f"way back of a takeover: {name}") as writer:
        theirs.succeed(etcd_takeover_state="absent")
    assert_nothing_lost(writer)
    assert theirs.files() == before and theirs.member_ids() == ids and theirs.lists() == {""}
    theirs.succeed()
    assert theirs.files() == taken
    _adopt(theirs, name, story, names)
    assert theirs.member_ids() == ids
    theirs.succeed(playbook="adopt", etcd_adopt_state="absent")
    assert theirs.files() == taken and theirs.member_ids() == ids and controller.is_healthy()


@pytest.mark.parametrize("name", [name for name in _CHOSEN if name in _WITHOUT_KEY])
def test_nobody_has_the_key_of_their_ca(theirs: TakenOver, name: str) -> None:
    """After a takeover: the role's unit with the certificates that there are, then those of a CA of its own."""
    story, controller = STORIES[name], theirs.controller
    controller.bare()
    theirs.inventory = controller.inventory()
    theirs.with_client(story.shape)
    theirs.succeed()
    ids = theirs.member_ids()
    told = theirs.told("where nobody has it, ringfence.etcd.adopt with -e etcd_adopt_keep_certificates=true")
    _put_with_their_clients(theirs, told, story)
    with Writer(controller, operation=f"adopt as it is: {name}") as writer:
        theirs.succeed(playbook="adopt", etcd_adopt_keep_certificates=True)
    assert_nothing_lost(writer)
    names = [story.shape.pairs[0].on(host).common_name for host in TRIO]
    assert set(controller.allowed_names().values()) == {",".join(names)}
    # For both CAs; the list is the one already.
    _to_the_role_s_own_ca(theirs, name, restarts=1)
    assert theirs.member_ids() == ids


def _put_with_their_clients(theirs: TakenOver, told: dict[str, t.Any], story: Story) -> None:
    """Who is a client is told by the CA that all had, where the client port has files of its own."""
    pair: dict[str, t.Any] = {}
    if told["vars"].pop("etcd_peer_tls_peers_are_clients", False):
        made = theirs.forge.certificate("somebody", days=5, server=False)
        pair = dict(zip(("etcd_peer_tls_probe_client_certificate", "etcd_peer_tls_probe_client_private_key"), made))
    theirs.put_into_inventory(told, **story.variables, **story.extra_settings, **pair)


def _to_the_role_s_own_ca(theirs: TakenOver, name: str, restarts: int) -> None:
    """Certificates of a CA that the run makes, the list, and their CA out of the trust bundles."""
    controller = theirs.controller
    with Writer(controller, operation=f"to a fence: {name}") as writer:
        run = theirs.succeed(playbook="site", etcd_peer_tls_new_ca=True)
    assert_nothing_lost(writer, restarts)
    assert ": PROVED - 3 members" in run.output
    again = theirs.succeed(playbook="site")
    assert not any(again.changed.values())
    said = re.search(r"drop it with etcd_peer_tls_retire_ca: \[([0-9a-f]{64})\]", " ".join(again.output.split()))
    assert said, again.output[-6000:]
    with Writer(controller, operation=f"their CA goes: {name}") as writer:
        run = theirs.succeed(playbook="retire_ca", etcd_peer_tls_retire_ca=said[1])
    assert_nothing_lost(writer)
    assert ": PROVED - 3 members" in run.output
    assert not any(theirs.succeed(playbook="site").changed.values())


def _adopt(theirs: TakenOver, name: str, story: Story, names: t.Sequence[str]) -> None:
    controller = theirs.controller
    told = theirs.told("there is no CA in the role's variables")
    assert told["problems"] == []
    theirs.put_into_inventory(told, **theirs.authority(), **story.variables)
    if story.extra_settings:
        theirs.refuse(f"its unit has {story.shape.texts.lost}, and the role's has not", playbook="adopt")
        theirs.put_into_inventory(told, **theirs.authority(), **story.variables, **story.extra_settings)
    with Writer(controller, operation=f"adopt: {name}") as writer:
        run = theirs.succeed("--diff", playbook="adopt")
    assert_nothing_lost(writer)
    own_files = {f"{prefix}{one}-file" for prefix in ("", "peer-") for one in ("cert", "key", "trusted-ca")}
    found = _settings_lost_and_come(run.output)
    assert found and found <= own_files, found
    assert set(controller.allowed_names().values()) == {",".join(names)}
    processes = theirs.running()
    # It may issue anew what has other names than the role gives, and restarts nobody for that.
    assert ": PROVED - 3 members" in theirs.succeed(playbook="site").output and theirs.running() == processes
    assert not any(theirs.succeed(playbook="site").changed.values())


@pytest.mark.parametrize("name", [name for name in _CHOSEN if name in AS_THEY_COME])
def test_by_the_role_to_a_fence(theirs: TakenOver, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no list tells members apart: the role's unit first, then certificates and the list."""
    story, controller = AS_THEY_COME[name], theirs.controller
    controller.bare()
    theirs.inventory = controller.inventory()
    is_shared = bool(story.shape.pairs)
    scheme = "https" if is_shared else "http"
    monkeypatch.setattr(controller, "clients_have_files", is_shared)
    (theirs.with_client if is_shared else theirs.deploy)(story.shape)
    ids = theirs.member_ids()
    _audit_before(theirs, story, [], OPEN if is_shared else ("peer_tls",))
    why = "present one common name" if is_shared else "its peers speak http"
    theirs.refuse("nothing is taken over: ", why)

    shared = {"etcd_adopt_keep_certificates": True} if is_shared else {}
    told = theirs.told()
    _put_with_their_clients(theirs, told, story)
    if name == "autobase-shared":
        # No unit of the role has that: by its own setting (etcd_client_cert_auth) first.
        theirs.refuse("--client-cert-auth is not set and would be true", playbook="adopt", **shared)
        controller.on_each(TRIO, f"sed -i 's/^{_CLIENTS}=.*/{_CLIENTS}=\"true\"/' {story.shape.file}")
        theirs.restart()
    before = theirs.files()
    with Writer(controller, scheme=scheme, operation=f"adopt as it is: {name}") as writer:
        theirs.succeed(playbook="adopt", **shared)
    assert_nothing_lost(writer)
    theirs.succeed(playbook="adopt", etcd_adopt_state="absent", **shared)
    assert theirs.files() == before and theirs.member_ids() == ids
    theirs.succeed(playbook="adopt", **shared)

    if is_shared:
        _to_the_role_s_own_ca(theirs, name, restarts=2)
    else:
        with Writer(controller, scheme=scheme, operation=f"to a fence: {name}") as writer:
            run = theirs.succeed(playbook="site", etcd_peer_tls_new_ca=True)
        assert_nothing_lost(writer, restarts=2)
        assert ": PROVED - 3 members" in run.output
        assert not any(theirs.succeed(playbook="site").changed.values())
    assert theirs.member_ids() == ids
