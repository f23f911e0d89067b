# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces and cables. Nothing of it is ever in the machine's own namespace but the namespaces' names."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from . import system
from .errors import LabError
from .plan import Host

NETNS_FOLDER = "/run/netns"
SWITCH = "switch"
BRIDGE = "br0"
INTERFACE = "eth0"


def namespace(lab: str, name: str) -> str:
    """The namespace's name. Neither lab nor host names hold a dot, so no lab's prefix fits another lab's names."""
    return f"ringfence.{lab}.{name}"


def path_of(lab: str, name: str) -> str:
    return os.path.join(NETNS_FOLDER, namespace(lab, name))


def present(lab: str) -> list[str]:
    """The names (not the namespaces' full names) of this lab's machines that have a namespace."""
    prefix = namespace(lab, "")
    found = os.listdir(NETNS_FOLDER) if os.path.isdir(NETNS_FOLDER) else []
    return sorted(name[len(prefix) :] for name in found if name.startswith(prefix))


def labs_present() -> set[str]:
    found = os.listdir(NETNS_FOLDER) if os.path.isdir(NETNS_FOLDER) else []
    return {name.split(".")[1] for name in found if name.startswith("ringfence.") and name.count(".") == 2}


def _batch(lab: str, name: str, lines: t.Iterable[str]) -> None:
    system.run(["ip", "-n", namespace(lab, name), "-batch", "-"], input_text="\n".join(lines) + "\n")


def _add(lab: str, name: str) -> None:
    system.run(["ip", "netns", "add", namespace(lab, name)])


def folder_is_mounted() -> bool:
    """``ip netns`` mounts its folder onto itself at its first use and never takes that away."""
    return NETNS_FOLDER in system.mounts_below(NETNS_FOLDER)


def unmount_folder() -> None:
    """Leave the machine as it was: called where the lab was the folder's first user and is its last."""
    if folder_is_mounted() and not os.listdir(NETNS_FOLDER):
        system.run(["umount", NETNS_FOLDER], check=False)
        with contextlib.suppress(OSError):
            os.rmdir(NETNS_FOLDER)


def _addresses(lab: str, name: str, device: str) -> str | None:
    """What ``ip`` shows of an interface, None where there is no such interface."""
    done = system.run(["ip", "-n", namespace(lab, name), "-brief", "address", "show", "dev", device], check=False)
    return done.stdout if done.returncode == 0 else None


def ensure_switch(lab: str) -> None:
    if SWITCH not in present(lab):
        _add(lab, SWITCH)
    if _addresses(lab, SWITCH, BRIDGE) is None:
        # No spanning tree and no forward delay: a new port carries packets at once.
        _batch(lab, SWITCH, [f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0"])
    _batch(lab, SWITCH, ["link set lo up", f"link set {BRIDGE} up"])


def ensure_host(lab: str, host: Host) -> None:
    """A namespace with lo and eth0 up, eth0's other end on the lab's switch."""
    target = namespace(lab, host.name)
    if host.name in present(lab):
        # The addresses are given last: with all of them there, the rest is there too.
        shown = (_addresses(lab, host.name, INTERFACE) or "").split()
        if set(host.networks()) <= set(shown):
            return
        system.run(["ip", "-n", namespace(lab, SWITCH), "link", "delete", host.port], check=False)
        system.run(["ip", "netns", "delete", target])
    _add(lab, host.name)
    _batch(
        lab,
        SWITCH,
        [
            f"link add {host.port} type veth peer name {INTERFACE} netns {target}",
            f"link set {host.port} master {BRIDGE} up",
        ],
    )
    lines = ["link set lo up", f"link set {INTERFACE} up"]
    for address in host.networks():
        # nodad: an address of this plan can't be taken twice, and a second's wait for each host adds up.
        lines.append(f"address add {address} dev {INTERFACE}{' nodad' if ':' in address else ''}")
    _batch(lab, host.name, lines)


def processes(lab: str) -> list[int]:
    """All processes in any of the lab's namespaces: the hosts', and what was run for the controller."""
    inodes = set()
    for name in present(lab):
        try:
            inodes.add(os.stat(path_of(lab, name)).st_ino)
        except FileNotFoundError:
            continue
    found = []
    for pid in system.all_pids():
        try:
            link = os.readlink(f"/proc/{pid}/ns/net")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if any(link == f"net:[{inode}]" for inode in inodes):
            found.append(pid)
    return found


def delete(lab: str) -> None:
    for name in present(lab):
        system.run(["ip", "netns", "delete", namespace(lab, name)])


# ---------------------------------------------------------------------------- faults
def cut(lab: str, host: Host) -> None:
    """Take the host's cable off the switch. The host sees its link up: packets just go nowhere."""
    _batch(lab, SWITCH, [f"link set {host.port} nomaster"])


def heal(lab: str, host: Host, others: t.Iterable[Host]) -> None:
    """Undo every fault of the network for this host."""
    _batch(lab, SWITCH, [f"link set {host.port} master {BRIDGE}"])
    for other in others:
        separate(lab, host, other, undo=True)
    for name, device in ((SWITCH, host.port), (host.name, INTERFACE)):
        system.run(["tc", "-n", namespace(lab, name), "qdisc", "delete", "dev", device, "root"], check=False)


def is_cut(lab: str, host: Host) -> bool:
    done = system.run(["ip", "-n", namespace(lab, SWITCH), "link", "show", host.port], check=False)
    return done.returncode == 0 and "master" not in done.stdout


def separate(lab: str, host: Host, other: Host, undo: bool = False) -> None:
    """No packet from one host to the other, in either direction; both still reach all the rest.

    The neighbour's hardware address is nailed to one that nobody has: packets leave and get lost, as in a broken
    network. (A blackhole route would tell the sender at once.)
    """
    for here, there in ((host, other), (other, host)):
        for address in (there.ipv4, there.ipv6):
            if not address:
                continue
            command = ["ip", "-n", namespace(lab, here.name), "neighbour", "delete" if undo else "replace", address]
            command += ["dev", INTERFACE] + ([] if undo else ["lladdr", "02:00:00:00:00:00", "nud", "permanent"])
            system.run(command, check=not undo)


def close_port(lab: str, host: Host, port: int, undo: bool = False) -> None:
    """No packet gets to this TCP port of the host, by IPv4, as behind a firewall that drops. It calls out freely."""
    tc = ["tc", "-n", namespace(lab, SWITCH)]
    system.run([*tc, "qdisc", "delete", "dev", host.port, "root"], check=False)
    for words in [] if undo else picked_packets_are_lost(host.port, _to_port(port)):
        system.run([*tc, *words])


def plug(lab: str, host: Host, up: bool) -> None:
    """The host's end of the cable is dead: a machine without power answers nothing, not even a refusal."""
    _batch(lab, SWITCH, [f"link set {host.port} {'up' if up else 'down'}"])


def shape(lab: str, host: Host, discipline: t.Sequence[str]) -> None:
    """A queueing discipline (``netem delay 100ms loss 5%``) on both ends of the host's cable."""
    for name, device in ((SWITCH, host.port), (host.name, INTERFACE)):
        tc = ["tc", "-n", namespace(lab, name)]
        done = system.run([*tc, "qdisc", "replace", "dev", device, "root", *discipline], check=False)
        if "kind is unknown" in done.stderr:
            # What is there would be in the way of an add, and there may be nothing.
            system.run([*tc, "qdisc", "delete", "dev", device, "root"], check=False)
            for words in loss_without_netem(device, discipline):
                system.run([*tc, *words])
        elif done.returncode != 0:
            raise LabError(f"{' '.join(discipline)}: {done.stderr.strip()}")


def loss_without_netem(device: str, discipline: t.Sequence[str]) -> list[list[str]]:
    """The words for tc that do ``netem loss N%`` on a kernel without netem; anything else is refused.

    A filter picks packets by the kernel's random numbers.
    """
    found = re.fullmatch(r"netem loss (?:random )?(\d{1,3}(?:\.\d+)?)%", " ".join(discipline))
    if not found:
        raise LabError(
            f"this machine's kernel has no queueing discipline {discipline[0]!r} (sch_{discipline[0]}); without it "
            "packets can be lost but not delayed: netem loss 5%"
        )
    limit = min(int(float(found[1]) / 100 * 2**32), 2**32 - 1)
    # A = random number; A >= limit: no match (0); else: match (-1), to the filter's class.
    program = f"4,32 0 0 {2**32 - 0x1000 + 56},53 1 0 {limit},6 0 0 {2**32 - 1},6 0 0 0"
    return picked_packets_are_lost(device, program)


def _to_port(port: int) -> str:
    """The filter of TCP packets over IPv4 to a port: kind of packet, protocol, length of the IP header, port."""
    kind, protocol = "40 0 0 12,21 0 6 2048", "48 0 0 23,21 0 4 6"
    return f"9,{kind},{protocol},177 0 0 14,72 0 0 16,21 0 1 {port},6 0 0 {2**32 - 1},6 0 0 0"


def picked_packets_are_lost(device: str, program: str) -> list[list[str]]:
    """The words for tc: all packets pass an HTB unchanged, but for those that a filter in classic BPF picks.

    They go to a class that throws away what it gets.
    """
    return [
        ["qdisc", "add", "dev", device, "root", "handle", "1:", "htb"],
        ["class", "add", "dev", device, "parent", "1:", "classid", "1:1", "htb", "rate", "1gbit"],
        ["qdisc", "add", "dev", device, "parent", "1:1", "blackhole"],
        ["filter", "add", "dev", device, "parent", "1:", "bpf", "bytecode", program, "classid", "1:1"],
    ]
