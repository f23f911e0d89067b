# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: thin words around ``Lab``."""

from __future__ import annotations

import argparse
import os
import sys
import typing as t

from . import etcd, execution_environment, image, plan, surroundings, system
from .errors import LabError
from .lab import DEFAULT_DISK_MIB, Lab

FAULTS: dict[str, str] = {
    "cut": "take the host's cable off the switch; with a second host: no packets between these two",
    "heal": "undo cut and netem",
    "netem": "delay or drop packets: netem delay 100ms loss 5%%",
    "freeze": "all its processes stand still",
    "thaw": "they go on",
    "kill-etcd": "kill -9 etcd",
    "fill-disk": "leave no byte free",
    "free-disk": "make room again",
    "power-off": "pull the plug, keep the disk",
    "power-on": "boot it again",
}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=os.environ.get("RINGFENCE_LAB_NAME", "dev"), help="the lab (default: dev)")
    parser = argparse.ArgumentParser(prog="lab", description="Real hosts on this machine, for trying the collection.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[common], help="boot it, or what of it is not up yet")
    up.add_argument("--hosts", type=int, help="etcd-1 to etcd-N (default: 3); a lab that is up may grow")
    up.add_argument("--release", choices=image.RELEASES, help=f"Debian release (default: {image.DEFAULT_RELEASE})")
    up.add_argument("--ipv6", action="store_true", default=None, help="hosts have IPv6 addresses only")
    up.add_argument("--disk", type=int, metavar="MIB", help=f"size of each disk (default: {DEFAULT_DISK_MIB})")
    up.add_argument(
        "--distribution-etcd",
        metavar="HOST,…",
        help="hosts on which Debian's own etcd service is enabled, as its package leaves it; or all",
    )
    up.add_argument(
        "--etcd",
        metavar="VERSION",
        choices=etcd.known_versions(),
        help=f"etcd on the hosts: {', '.join(etcd.known_versions())} (default: what the Debian release has)",
    )
    up.add_argument("--names", action="store_true", default=None, help="members are known to each other by name")
    up.add_argument("--clusters", type=int, metavar="N", help="several clusters: inventory groups etcd-a, etcd-b, …")
    down = commands.add_parser("down", parents=[common], help="take it all away")
    down.add_argument("--all", action="store_true", help="every lab of this machine")
    commands.add_parser("status", parents=[common], help="its hosts, and the names of all labs")
    commands.add_parser("inventory", parents=[common], help="print a YAML inventory")

    ssh = commands.add_parser("ssh", parents=[common], help="enter a host, or run a command there, by SSH")
    ssh.add_argument("host")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    execute = commands.add_parser("exec", parents=[common], help="run a command on a host without using the network")
    execute.add_argument("host")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    run = commands.add_parser("run", parents=[common], help="run a command in the controller's place")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command")

    fault = commands.add_parser(
        "fault",
        parents=[common],
        help="break something, or mend it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {text}" for name, text in FAULTS.items()).replace("%%", "%"),
    )
    fault.add_argument("host")
    fault.add_argument("fault", choices=sorted(FAULTS), metavar="FAULT")
    fault.add_argument("words", nargs=argparse.REMAINDER, metavar="…")

    build = commands.add_parser("image", help="build a Debian release's image now, and not at the next up")
    build.add_argument("release", nargs="+", choices=image.RELEASES)

    prune = commands.add_parser(
        "prune", help="remove images and etcd programs that no lab uses and no present recipe makes"
    )
    prune.add_argument("--all", action="store_true", help="also those that the next lab would use")

    versions = commands.add_parser("etcd", help="the versions of etcd: list, build, pin")
    actions = versions.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="versions, where each comes from, whether its programs are here")
    build = actions.add_parser("build", help="make programs now (needs no root), not when a lab first wants them")
    build.add_argument("versions", nargs="*", metavar="VERSION", help="all (the default) is all that can be made")
    pin = actions.add_parser("pin", help="write go.mod and go.sum of a version, new or known, into tests/lab/etcd")
    pin.add_argument("version", metavar="VERSION")
    return parser


def _replace_process(command: t.Sequence[str]) -> t.NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], list(command))


def _words(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def _up(options: argparse.Namespace) -> None:
    names: list[str] | None = None
    if options.distribution_etcd == "all":
        names = [host.name for host in plan.make_hosts(options.hosts or 3)]
    elif options.distribution_etcd is not None:
        names = [name.strip() for name in options.distribution_etcd.split(",") if name.strip()]
    Lab(
        options.name,
        hosts=options.hosts,
        release=options.release,
        ipv6_only=options.ipv6,
        distribution_etcd=names,
        disk_mib=options.disk,
        etcd=options.etcd,
        names=options.names,
        clusters=options.clusters,
    ).up()


def _status(options: argparse.Namespace) -> None:
    names = surroundings.lab_names()
    print(f"labs: {', '.join(names) or 'none'}")
    chosen = Lab(options.name)
    if chosen.exists:
        version = f"etcd {chosen.etcd_version or 'unknown'}{' (laid over the image)' if chosen.programs else ''}"
        print(f"{options.name}: Debian {chosen.release}, {version}, inventory {chosen.inventory_path}")
        for row in chosen.status():
            state = f"{row['condition']:8} cable {row['cable']}"
            print(f"  {row['host']:12} {row['address']:24} {state}")


def _fault(options: argparse.Namespace) -> None:
    chosen, host, words = Lab(options.name), options.host, _words(options.words)
    if options.fault == "cut":
        chosen.cut(host, words[0] if words else None)
    elif options.fault == "netem":
        if not words:
            raise LabError("netem: say what, for example: netem delay 100ms loss 5%")
        chosen.shape(host, ["netem", *words])
    else:
        getattr(chosen, options.fault.replace("-", "_"))(host)
    system.say(f"{host}: {options.fault} done")


def _prune(everything: bool) -> None:
    labs = [Lab(name) for name in surroundings.lab_names()]
    images = {str(one.image_name) for one in labs}
    programs = {etcd.name_of_tree(one.programs) for one in labs if one.programs}
    if not everything:
        images |= {recipe.name for recipe in image.standing_recipes()}
        programs |= etcd.present_names()
    removed = image.prune(images, image.images_folder()) + etcd.prune(programs)
    removed += execution_environment.prune(everything)
    print(f"removed: {', '.join(removed) or 'nothing'}")


def _etcd(options: argparse.Namespace) -> None:
    if options.action == "pin":
        print(etcd.pin_modules(options.version))
    elif options.action == "build":
        wanted = options.versions
        for version in etcd.buildable_versions() if not wanted or wanted == ["all"] else wanted:
            print(f"{version}: {etcd.ensure_programs(version)}", flush=True)
    else:
        rows = [{key: key.upper() for key in ("version", "package", "here", "source")}, *etcd.listing()]
        for row in rows:
            print(f"{row['version']:9}{row['package']:18}{row['here']:6}{row['source']}")


def _dispatch(options: argparse.Namespace) -> None:
    if options.command == "up":
        _up(options)
    elif options.command == "down":
        for name in surroundings.lab_names() if options.all else [options.name]:
            Lab(name).down()
    elif options.command == "status":
        _status(options)
    elif options.command == "inventory":
        print(Lab(options.name).inventory(), end="")
    elif options.command == "ssh":
        _replace_process(Lab(options.name).ssh_command(options.host, " ".join(_words(options.words))))
    elif options.command == "exec":
        # As ssh does it: the words are one line for the host's shell.
        line = " ".join(_words(options.words)) or "exec bash --login"
        _replace_process(Lab(options.name).execute_command(options.host, line))
    elif options.command == "run":
        words = _words(options.words) or [os.environ.get("SHELL", "/bin/sh")]
        _replace_process(Lab(options.name).controller_command(words))
    elif options.command == "fault":
        _fault(options)
    elif options.command == "image":
        surroundings.check_machine()
        for release in options.release:
            print(image.ensure_image(image.recipe_of(release)))
    elif options.command == "prune":
        _prune(options.all)
    elif options.command == "etcd":
        _etcd(options)


def main(arguments: t.Sequence[str] | None = None) -> int:
    try:
        _dispatch(_parser().parse_args(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
