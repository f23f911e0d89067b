# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One cluster that lives through all operations in a row, and each operation as a user asks for it."""

from __future__ import annotations

import functools
import hashlib
import re
import ssl
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployers import SHAPES
from releases import Releases
from support import PAIR, PKI, TRIO, Controller
from takeovers import Adopted

DATA = "/var/lib/etcd/etcd"


@dataclass
class Living:
    """The cluster as the operations before have left it: variables and members of its inventory."""

    controller: Controller
    variables: dict[str, t.Any] = field(default_factory=dict)
    of_hosts: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    hosts: tuple[str, ...] = TRIO
    authorities: int = 0
    # In the place of what is above, where the cluster was adopted.
    given: Path | None = None

    @functools.cached_property
    def releases(self) -> Releases:
        folder = self.controller.folder / "releases"
        folder.mkdir(exist_ok=True)
        return Releases(folder)

    def inventory(self) -> Path:
        if self.given:
            return self.given
        gone = [host for host in TRIO if host not in self.hosts]
        # A host without a member has no variables of one.
        own = {host: variables for host, variables in self.of_hosts.items() if host in self.hosts}
        return self.controller.inventory({"etcd": self.hosts, "gone": gone}, own, **self.variables)

    def succeed(self, **words: t.Any) -> None:
        """One run that nobody kills."""
        self.controller.succeed(self.inventory(), **words)

    def members(self) -> dict[str, str]:
        """By name, the ID."""
        lines = self.controller.etcdctl("etcd-1", "member list").splitlines()
        fields = [[part.strip() for part in line.split(",")] for line in lines]
        assert all(part[1] == "started" and part[5] == "false" for part in fields), lines
        return {part[2]: part[0] for part in fields}

    def presented(self, *words: str) -> set[str]:
        """What openssl tells of each member's certificate."""
        command = f"openssl x509 -noout {' '.join(words)} -in {PKI}/$(hostname).crt"
        return set(self.controller.on_each(self.hosts, command).values())

    def serial_number(self, host: str) -> str:
        told = self.controller.lab.execute(host, f"openssl x509 -noout -serial -in {PKI}/{host}.crt").stdout
        return told.strip().partition("=")[2].lower()

    def revoked(self) -> set[str]:
        """The serial numbers in the lists of all members, which are the same."""
        command = f"openssl crl -inform DER -noout -text -in {PKI}/ca.crl"
        texts = self.controller.on_each(self.hosts, command).values()
        (found,) = {frozenset(re.findall(r"Serial Number: (\w+)", text)) for text in texts}
        return {one.lower() for one in found}

    def arguments(self, flag: str) -> set[str]:
        """What the members' processes were told."""
        return {self.controller.argument(host, flag) for host in self.hosts}

    def running(self) -> set[str]:
        """The version of each member's process."""
        command = "/proc/$(systemctl show -P MainPID etcd.service)/exe --version | head -n 1"
        answers = self.controller.on_each(self.hosts, command).values()
        # Some operations begin with hosts where none runs.
        return {told.split()[-1] for told in answers if told.strip()}


@dataclass(frozen=True)
class Asked:
    """One operation on the living cluster: the words that say it, and how it is seen that it was done.

    ``again``: whether a run with the words changes nothing once it is done; else the last run is asked without them.
    ``anew``: members that have another ID then. ``follows``: where clients find the members then, by scheme and port.
    """

    check: t.Callable[[], bool]
    words: dict[str, t.Any] = field(default_factory=dict)
    again: bool = True
    anew: tuple[str, ...] = ()
    follows: tuple[str, int] | None = None
    playbook: str = "site"
    # A restore takes away what was written since.
    keeps_writes: bool = True


def another_domain(living: Living) -> Asked:
    domain = "example.net" if living.variables.get("etcd_peer_tls_domain") == "example.org" else "example.org"
    living.variables["etcd_peer_tls_domain"] = domain
    names = ",".join(f"{name}.{domain}" for name in living.hosts)
    return Asked(lambda: living.arguments("peer-cert-allowed-cn") == {names})


def a_name_for_each(living: Living) -> Asked:
    """They share one before."""
    living.variables["etcd_peer_tls_identity"] = "shared"
    living.succeed()
    assert living.arguments("peer-cert-allowed-cn") == {"etcd.peers"}
    living.variables["etcd_peer_tls_identity"] = "list"
    domain = living.variables.get("etcd_peer_tls_domain", "example.com")
    names = ",".join(f"{name}.{domain}" for name in living.hosts)
    return Asked(lambda: living.arguments("peer-cert-allowed-cn") == {names})


def another_port(living: Living) -> Asked:
    port = 2380 if living.variables.get("etcd_peer_tls_peer_port") == 2480 else 2480
    living.variables["etcd_peer_tls_peer_port"] = port

    def check() -> bool:
        listed = living.controller.etcdctl("etcd-1", "member list")
        return listed.count(f":{port},") == len(living.hosts)

    return Asked(check)


def another_address(living: Living) -> Asked:
    """Of one member; its host goes on to call the others from the one that it had."""
    address = "10.0.0.2" if "etcd-2" in living.of_hosts else "10.0.0.22"
    device = "$(ip -o -4 address show to 10.0.0.2 | awk '{print $2}')"
    living.controller.lab.execute("etcd-2", f"ip address replace 10.0.0.22/24 dev {device}")
    if "etcd-2" in living.of_hosts:
        del living.of_hosts["etcd-2"]
    else:
        living.of_hosts["etcd-2"] = {"etcd_peer_tls_address": address, "etcd_peer_tls_extra_sans": ["10.0.0.2"]}

    def check() -> bool:
        urls = living.controller.argument("etcd-2", "listen-client-urls")
        listed = living.controller.etcdctl("etcd-1", "member list")
        return urls == f"https://{address}:2379,https://127.0.0.1:2379" and f"https://{address}:2" in listed

    return Asked(check)


def tls_for_clients(living: Living) -> Asked:
    """It goes, with another client port; it comes back."""
    has_tls = living.variables.get("etcd_peer_tls_client_tls", True)
    scheme, port = ("http", 2479) if has_tls else ("https", 2379)
    living.variables.update(etcd_peer_tls_client_tls=not has_tls, etcd_peer_tls_client_port=port)

    def check() -> bool:
        wanted = {f"{scheme}://10.0.0.{number}:{port},{scheme}://127.0.0.1:{port}" for number in (1, 2, 3)}
        return living.arguments("listen-client-urls") == wanted

    return Asked(check, follows=(scheme, port))


def another_ca(living: Living) -> Asked:
    living.authorities += 1
    name = f"CA number {living.authorities}"
    folder = str(living.controller.folder / f"ca-{living.authorities}")
    living.variables.update(etcd_peer_tls_ca_directory=folder, etcd_peer_tls_ca_common_name=name)
    return Asked(lambda: all(name in one for one in living.presented("-issuer")), {"etcd_peer_tls_new_ca": True})


def the_ca_before_goes(living: Living) -> Asked:
    if len(bundle(living)) == 1:
        living.succeed(**another_ca(living).words)
    own = fingerprint((Path(living.variables["etcd_peer_tls_ca_directory"]) / "ca.crt").read_text())
    retired = sorted({fingerprint(one) for one in bundle(living)} - {own})
    words = {"etcd_peer_tls_retire_ca": retired}
    return Asked(lambda: [fingerprint(one) for one in bundle(living)] == [own], words, again=False)


def bundle(living: Living) -> list[str]:
    """The CAs that all members trust."""
    texts = set(living.controller.on_each(living.hosts, f"cat {PKI}/ca.crt").values())
    assert len(texts) == 1
    end = "-----END CERTIFICATE-----\n"
    return [part + end for part in texts.pop().split(end) if part.strip()]


def fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def a_member_goes(living: Living) -> Asked:
    """The one that leads."""
    lead(living.controller, "etcd-3")
    living.hosts = PAIR

    def is_gone() -> bool:
        state = f"systemctl is-active etcd; systemctl is-enabled etcd; ls {DATA}"
        told = living.controller.lab.execute("etcd-3", state, check=False).stdout.split()
        return told[:2] == ["inactive", "disabled"] and "member" not in told

    return Asked(is_gone, {"etcd_peer_tls_removed": "etcd-3"})


def lead(controller: Controller, name: str) -> None:
    """Let a member lead."""
    leader = controller.leader()
    listed = controller.etcdctl("etcd-1", "member list").splitlines()
    number = next(line.split(", ")[0] for line in listed if line.split(", ")[2] == name)
    if leader != name:
        controller.etcdctl(leader, f"move-leader {number}")


def a_member_comes(living: Living) -> Asked:
    if living.hosts == TRIO:
        living.succeed(**a_member_goes(living).words)
    return _joined(living, ("etcd-3",))


def from_one_to_three(living: Living) -> Asked:
    living.hosts = TRIO[:1]
    living.succeed(etcd_peer_tls_removed="etcd-3,etcd-2")
    return _joined(living, ("etcd-2", "etcd-3"))


def from_one_to_three_with_another_ca(living: Living) -> Asked:
    """In one run: the member that is there has its certificate of the new CA before the others come."""
    come = from_one_to_three(living)
    asked = another_ca(living)
    return replace(asked, check=lambda: come.check() and asked.check())


def _joined(living: Living, names: tuple[str, ...]) -> Asked:
    living.hosts = TRIO
    # What is put aside each time it leaves fills its disk in the end.
    living.controller.on_each(names, f"rm -rf {DATA}/*.removed-*")

    def are_there() -> bool:
        told = living.controller.on_each(names, "systemctl is-active etcd; systemctl is-enabled etcd")
        return {state for answer in told.values() for state in answer.split()} == {"active", "enabled"}

    return Asked(are_there)


def a_member_that_lost_its_data(living: Living) -> Asked:
    living.controller.lab.execute("etcd-2", f"systemctl stop etcd; rm -rf {DATA}/member")
    return Asked(lambda: True, {"etcd_peer_tls_replaced": "etcd-2"}, anew=("etcd-2",))


def new_keys(living: Living) -> Asked:
    before = living.presented("-serial")
    return Asked(lambda: not before & living.presented("-serial"), {"etcd_peer_tls_new_keys": True}, again=False)


def leaked_keys(living: Living) -> Asked:
    before = {living.serial_number(host) for host in living.hosts}
    processes = living.controller.processes()

    def check() -> bool:
        now = {living.serial_number(host) for host in living.hosts}
        is_revoked = before <= living.revoked() and not now & living.revoked()
        return is_revoked and all_are_others(processes, living.controller.processes())

    return Asked(check, {"etcd_peer_tls_keys_leaked": "all"}, again=False)


def all_are_others(processes: t.Mapping[str, str], now: t.Mapping[str, str]) -> bool:
    """Whether each member was restarted: who was connected is so no more."""
    return all(now[host] != process for host, process in processes.items())


def a_revoked_certificate(living: Living) -> Asked:
    """One that a member had before; who is connected with it is cut off."""
    before = living.serial_number("etcd-3")
    living.succeed(etcd_peer_tls_new_keys=True)
    words = {"etcd_peer_tls_revoked": before, "etcd_peer_tls_disconnect_revoked": True}
    processes = living.controller.processes()
    return Asked(lambda: before in living.revoked() and all_are_others(processes, living.controller.processes()), words)


def renewal(living: Living) -> Asked:
    """What is there ends too soon all of a sudden; new ones are valid for longer."""
    before = living.presented("-serial")
    days = living.variables.get("etcd_peer_tls_validity_days", 365)
    living.variables.update(etcd_peer_tls_validity_days=days + 400, etcd_peer_tls_renew_before_days=days + 200)
    return Asked(lambda: not before & living.presented("-serial"))


def snapshot(living: Living) -> Asked:
    folder = living.controller.folder / f"snapshots-{living.authorities}"

    def check() -> bool:
        # Nothing that is a part of one.
        names = [path.name for path in folder.iterdir()]
        return bool(names) and all(re.fullmatch(r"etcd-\w+\.db", name) for name in names)

    return Asked(check, {"etcd_peer_tls_snapshot_directory": str(folder)}, again=False, playbook="backup")


def restored(living: Living) -> Asked:
    """What was written since the snapshot is gone, and nothing else."""
    controller = living.controller
    controller.etcdctl("etcd-1", "put restored/before 1")
    folder = controller.folder / f"restored-{len(list(controller.folder.glob('restored-*')))}"
    inventory = living.inventory()
    words = {"etcd_peer_tls_snapshot_directory": str(folder)}
    controller.succeed(inventory, playbook=controller.named("backup"), **words)
    (path,) = folder.iterdir()
    controller.etcdctl("etcd-1", "put restored/since 1")

    def check() -> bool:
        return controller.etcdctl("etcd-1", "get restored/ --prefix --keys-only").split() == ["restored/before"]

    words = {"etcd_peer_tls_restore": str(path), "etcd_peer_tls_restore_over_running": True}
    return Asked(check, words, anew=TRIO, playbook="restore", keeps_writes=False)


LATER_PATCH, NEXT_MINOR = "3.5.35", "3.6.16"


def a_later_patch(living: Living) -> Asked:
    """From the distribution's package to an archive."""
    living.variables.update(living.releases[LATER_PATCH])
    return Asked(lambda: living.running() == {LATER_PATCH})


def the_next_minor_version(living: Living) -> Asked:
    if living.running() != {LATER_PATCH}:
        a_later_patch(living)
        living.succeed()
    living.variables.update(living.releases[NEXT_MINOR])
    return Asked(lambda: living.running() == {NEXT_MINOR}, {"etcd_peer_tls_upgrade": True})


def https_for_peers(living: Living) -> Asked:
    """Of a cluster without TLS that somebody else deployed, and that was adopted as it is."""
    controller = living.controller
    controller.bare()
    theirs = Adopted(controller, controller.lab)
    theirs.deploy(SHAPES["debian"])
    controller.clients_have_files, controller.client_place = False, ("http", 2379)
    told = theirs.told()
    living.given = theirs.inventory = controller.inventory(host_variables=told["hosts"], **told["vars"])
    theirs.succeed()

    def check() -> bool:
        listed = controller.etcdctl("etcd-1", "member list")
        names = ",".join(f"{host}.example.com" for host in TRIO)
        return "http://10.0.0.1:2380" not in listed and living.arguments("peer-cert-allowed-cn") == {names}

    return Asked(check, {"etcd_peer_tls_new_ca": True})


# The last three leave another etcd, or another cluster, to those after them.
OPERATIONS: dict[str, t.Callable[[Living], Asked]] = {
    "another domain": another_domain,
    "one name for all becomes a list": a_name_for_each,
    "another peer port": another_port,
    "another address": another_address,
    "TLS for clients goes": tls_for_clients,
    "TLS for clients comes": tls_for_clients,
    "another CA": another_ca,
    "the old CA goes": the_ca_before_goes,
    "a member goes that leads": a_member_goes,
    "a member comes": a_member_comes,
    "members from 1 to 3": from_one_to_three,
    "members from 1 to 3, and another CA": from_one_to_three_with_another_ca,
    "a member that lost its data joins anew": a_member_that_lost_its_data,
    "new keys": new_keys,
    "a certificate is revoked, its clients cut off": a_revoked_certificate,
    "all keys have leaked": leaked_keys,
    "renewal": renewal,
    "a snapshot": snapshot,
    "a restore": restored,
    "a later patch of etcd": a_later_patch,
    "the next minor version of etcd": the_next_minor_version,
    "http to https for peers": https_for_peers,
}
