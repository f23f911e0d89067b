# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the preflight checks get and give: a cluster as it is wanted and as it was found, and a preflight failure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import unseen

Info = t.Mapping[str, t.Any]

# The version in a release archive's name.
_ARCHIVE_VERSION = re.compile(r"etcd-v([0-9]+\.[0-9]+\.[0-9]+)")
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}[0-9A-Za-z.+-]{0,40}")
_MOST_PROBLEM_CHARACTERS = 600


@dataclass(frozen=True)
class PreflightFailure:
    """Why a run does not go on: ``code`` for machines, ``text`` for people, in one line."""

    code: str
    text: str


@dataclass(frozen=True)
class PreflightQuestion:
    """What a run is asked to do with a cluster, beside the members and the findings.

    ``batch``: names of the members in this batch; ``play``: of those in the whole play (more than the batch with
    ``serial``); ``removed``: members that the user said are to go, in this run; ``removed_urls``: the peer URLs that
    those of them have who are hosts of the inventory: who was added and never ran has no name; ``replaced``: names of
    members that are to join anew, since their data is lost.
    """

    cluster_name: str
    identity: str = "list"
    batch: t.Collection[str] = ()
    play: t.Collection[str] = ()
    removed: t.Collection[str] = ()
    removed_urls: t.Collection[str] = ()
    replaced: t.Collection[str] = ()
    # Systemd starts and restarts the members, in this run.
    manages_service: bool = True
    # The user has given all members: by their number, or by a list of them.
    members_are_said: bool = True
    # Of which job this run is a slice, as partial_inventory tells it; empty where it is not known to be one.
    slice_of: str = ""
    # Names of members whose hosts the inventory of this run lacks: others can't be seen for another reason.
    not_in_inventory: t.Collection[str] = ()
    # "none", "package" or "archive"
    install: str = "none"
    archive: str = ""
    archive_sha256: str = ""
    overrule_distribution_etcd: bool = False
    # Restarts are to happen whatever the other members' state is.
    force_restart: bool = False
    # Another minor version of etcd may be begun, in this run.
    upgrade: bool = False
    ca_certificate: str | None = None
    # The CA in use, given or in its folder, with its parents; None where there is none, or it can't be read.
    authority: str | None = None
    # Why the CA in its folder, or the one to be made there, can't be used; empty where nothing is known against it.
    authority_problem: str = ""
    # The CA in its folder is read or made in this run.
    uses_authority: bool = True
    # There is none there, and this run is to make one.
    makes_authority: bool = False
    # The user said so, where the cluster has one already.
    new_ca: bool = False
    # Why a CA that this run makes would be lost with the controller; empty where it would not.
    new_authority_lost_because: str = ""
    flag_settings: FlagSettings | None = None
    # By host's name, of other clusters' hosts in this run: the cluster, and the number of its credentials' folder.
    folders_of_others: t.Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # By member's name, where a host of this run has settings of its own.
    own_flag_settings: t.Mapping[str, FlagSettings] = field(default_factory=dict)
    # None: the hosts' clocks are not compared with the controller's.
    time: datetime.datetime | None = None


@dataclass(frozen=True)
class Cluster:
    """The members that are wanted, what was found on those that were looked at (by member's name), and the question.

    ``states``: the whole results of etcd_peer_probe, of which ``infos`` are a part: what the running members tell of
    their cluster, what is due on the hosts, what they have against their new units.
    """

    members: t.Sequence[Member]
    infos: t.Mapping[str, Info]
    question: PreflightQuestion
    states: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)

    def inspected(self) -> t.Iterator[tuple[Member, Info]]:
        for member in self.members:
            if member.name in self.infos:
                yield member, self.infos[member.name]

    def flag_settings(self, name: str) -> FlagSettings | None:
        """What a member's command line is made of: settings may differ from host to host."""
        return self.question.own_flag_settings.get(name, self.question.flag_settings)

    def not_inspected(self) -> list[str]:
        return [member.name for member in self.members if member.name not in self.infos]

    def why_not_inspected(self) -> str:
        """The same with the reason, as the subject of a sentence; empty where all were inspected."""
        missing = self.not_inspected()
        return unseen(missing, self.question.not_in_inventory) if missing else ""

    def quorum(self) -> int:
        return len(self.members) // 2 + 1


def has_data(info: Info) -> bool:
    return bool((info.get("data") or {}).get("exists"))


def is_managed(info: Info) -> bool:
    return bool((info.get("unit") or {}).get("managed"))


def deployed(info: Info) -> t.Iterator[t.Mapping[str, t.Any]]:
    """What our unit on a host says, as written and as it runs."""
    if is_managed(info):
        yield info["unit"].get("settings") or {}
    if (info.get("process") or {}).get("configuration_hash"):
        yield info["process"].get("settings") or {}


def is_running(info: Info) -> bool:
    """Whether a process of ours runs on a host: one that was started from a unit of this role."""
    process = info.get("process") or {}
    return bool(process.get("running") and process.get("configuration_hash"))


def is_install_pending(is_found: bool, version: str | None, install: str, archive: str) -> bool:
    """Whether etcd is to be installed: it is missing, does not answer, or is not the version in the archive's name."""
    if install == "none":
        return False
    meant = archive_versions(install, archive)
    return not is_found or version is None or bool(meant and version not in meant)


def archive_versions(install: str, archive: str) -> list[str]:
    """The versions in the name of the archive that is to be installed: none, or more where its folder has one too."""
    return _ARCHIVE_VERSION.findall(archive) if install == "archive" else []


def version_to_start(question: PreflightQuestion, info: Info) -> str | None:
    """The version that the next start on a host will run: what is about to be installed, not what it replaces."""
    etcd = info.get("etcd") or {}
    version: str | None = etcd.get("version")
    if etcd.get("staged") or not is_install_pending(
        bool(etcd.get("found")), version, question.install, question.archive
    ):
        return version
    return next(reversed(archive_versions(question.install, question.archive)), None)


def with_program(info: Info, program: t.Mapping[str, t.Any] | None) -> Info:
    """What was found on a host, with the etcd that is about to be started in place of the one that is there.

    ``program``: what ``etcd_program`` gave on that host, None or without a version where nothing was tried. Its
    ``etcd`` then has ``staged: true``, and a ``problem`` where it can't be started.
    """
    given = program or {}
    etcd = info.get("etcd") or {}
    if given.get("failed") is True:
        said = given.get("msg")
        problem = " ".join(said.split())[:_MOST_PROBLEM_CHARACTERS] if isinstance(said, str) else ""
        problem = problem or "the program was not tried"
        return {**info, "etcd": {**etcd, "staged": True, "found": True, "version": None, "problem": problem}}
    version = given.get("version")
    if isinstance(version, str) and _VERSION.fullmatch(version):
        return {**info, "etcd": {**etcd, "staged": True, "found": True, "version": version, "problem": None}}
    return info


@dataclass(frozen=True)
class Listed:
    """A member as a running one lists it. Who was never started has no client URLs, and has no name if it was added."""

    member_id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool = False


def reported_lists(cluster: Cluster) -> dict[str, list[Listed]]:
    """The member list as each running member reports it, by that member's name."""
    found = {}
    for name, state in cluster.states.items():
        if state.get("live_members") is not None and _is_ours(state.get("info") or {}):
            found[name] = [
                Listed(
                    one_line(one.get("member_id")),
                    one_line(one.get("name") or ""),
                    tuple(one_line(url) for url in one.get("peer_urls") or ()),
                    tuple(one_line(url) for url in one.get("client_urls") or ()),
                    one.get("is_learner") is True,
                )
                for one in state["live_members"]
            ]
    return found


def _is_ours(info: Info) -> bool:
    """Whether who answers on a host is this member: no process of another's, and one that systemd need not know of."""
    return is_running(info) or (has_data(info) and not (info.get("process") or {}).get("running"))


def one_line(value: t.Any) -> str:
    """What a host answered, as part of one line."""
    text = str(value)[:1000]
    if " " not in text and text.isprintable():
        return text
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def is_formed(info: Info) -> bool:
    """Whether a host's data is of a cluster that has had a leader; in doubt it has."""
    return has_data(info) and info["data"].get("formed") is not False


def change_text(name: str, found: str, wanted: str) -> str:
    """What would change of a member, as part of a preflight failure."""
    return f"{name} from {found} to {wanted}"


def running_members(cluster: Cluster) -> t.Iterator[tuple[Member, Info]]:
    """The members of which a process of ours runs."""
    return ((member, info) for member, info in cluster.inspected() if is_running(info))


__all__ = (
    "Cluster",
    "Info",
    "Listed",
    "PreflightFailure",
    "PreflightQuestion",
    "archive_versions",
    "change_text",
    "deployed",
    "has_data",
    "is_formed",
    "is_install_pending",
    "is_managed",
    "is_running",
    "one_line",
    "reported_lists",
    "running_members",
    "version_to_start",
    "with_program",
)
