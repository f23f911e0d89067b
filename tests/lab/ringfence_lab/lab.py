# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole lab: ``up`` until SSH answers, ``down`` until nothing is left, and what scenarios do in between."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import typing as t

from . import cgroups, etcd, image, network, plan, probe, surroundings, system
from .errors import LabError
from .machine import Machine, clear_systemd_folders
from .plan import Host

DEFAULT_DISK_MIB = 1024


class Lab:
    """A lab by its name. Making the object touches nothing; ``up`` and ``down`` may be repeated at will."""

    def __init__(
        self,
        name: str = "dev",
        hosts: int | None = None,
        release: str | None = None,
        ipv6_only: bool | None = None,
        distribution_etcd: t.Sequence[str] | None = None,
        disk_mib: int | None = None,
        nspawn_arguments: t.Sequence[str] | None = None,
        etcd: str | None = None,
        names: bool | None = None,
        clusters: int | None = None,
        packages: t.Collection[str] | None = None,
    ) -> None:
        self.name = plan.check_lab_name(name)
        self.folder = os.path.join(surroundings.state_folder(), self.name)
        wanted = {
            "hosts": hosts,
            "release": release,
            "ipv6_only": ipv6_only,
            "distribution_etcd": None if distribution_etcd is None else sorted(distribution_etcd),
            "disk_mib": disk_mib,
            "nspawn_arguments": None if nspawn_arguments is None else list(nspawn_arguments),
            "etcd": etcd,
            "names": names,
            "clusters": clusters,
            "packages": None if packages is None else sorted(packages),
        }
        self._wanted = {key: value for key, value in wanted.items() if value is not None}
        self._settings = self._with_defaults(self._stored()["settings"] if self.exists else self._wanted)

    @staticmethod
    def _with_defaults(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        version = settings.get("etcd")
        return {
            "hosts": 3,
            "release": etcd.release_of(version) if version else image.DEFAULT_RELEASE,
            "ipv6_only": False,
            "distribution_etcd": [],
            "disk_mib": DEFAULT_DISK_MIB,
            "nspawn_arguments": [],
            # None: the release's own package.
            "etcd": None,
            "names": False,
            "clusters": 1,
            # Beside what every host has.
            "packages": [],
            **settings,
        }

    # ---------------------------------------------------------------------------- what it consists of
    @property
    def exists(self) -> bool:
        return bool(self._stored())

    @property
    def hosts(self) -> tuple[Host, ...]:
        return plan.make_hosts(self._settings["hosts"], self._settings["ipv6_only"])

    @property
    def controller(self) -> Host:
        return plan.make_controller(self._settings["ipv6_only"])

    @property
    def release(self) -> str:
        return str(self._settings["release"])

    @property
    def image_name(self) -> str | None:
        """The image that it was made from, None where it is not up."""
        return self._stored().get("image")

    @property
    def programs(self) -> str | None:
        """The folder with etcd's programs that lies over the image, None where the image's own are used."""
        return self._stored().get("programs")

    @property
    def etcd_version(self) -> str | None:
        """The etcd that hosts have, None where none was asked for and there is no image yet to look into."""
        asked: str | None = self._settings["etcd"]
        return asked or (etcd.version_in_image(image.tree_of(self.image_name)) if self.image_name else None)

    @property
    def clusters(self) -> dict[str, tuple[Host, ...]]:
        """The inventory's groups, a cluster each."""
        return plan.make_clusters(self.hosts, self._settings["clusters"])

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"lab {self.name} has no host {name!r}; it has {', '.join(host.name for host in self.hosts)}")

    @property
    def inventory_path(self) -> str:
        return os.path.join(self.folder, "inventory.yml")

    @property
    def ca_folder(self) -> str:
        """Where the controller keeps the peer CA; its making is the collection's work."""
        return os.path.join(self.folder, "ca")

    @property
    def private_key_path(self) -> str:
        return os.path.join(self.folder, "ssh", "id_ed25519")

    @property
    def known_hosts_path(self) -> str:
        return os.path.join(self.folder, "ssh", "known_hosts")

    def machine(self, host: Host | str) -> Machine:
        name = host if isinstance(host, str) else host.name
        return Machine(self.name, name, os.path.join(self.folder, "hosts", name))

    # ---------------------------------------------------------------------------- state
    def _stored(self) -> dict[str, t.Any]:
        text = system.read_text(os.path.join(self.folder, "state.json"))
        return json.loads(text) if text else {}

    def _store(self, **changes: t.Any) -> None:
        state = {**self._stored(), **changes}
        system.write_text(os.path.join(self.folder, "state.json"), json.dumps(state, indent=2, sort_keys=True), 0o600)

    def supervisor(self, name: str) -> int | None:
        """The pid of the host's systemd-nspawn, where it is still that very process."""
        noted = (self._stored().get("supervisors") or {}).get(name)
        if not noted or not noted["started"]:
            return None
        return int(noted["pid"]) if system.start_time(noted["pid"]) == noted["started"] else None

    def leader(self, name: str) -> int | None:
        supervisor = self.supervisor(name)
        return self.machine(name).leader(supervisor) if supervisor else None

    def _note_supervisor(self, name: str, pid: int | None) -> None:
        supervisors = dict(self._stored().get("supervisors") or {})
        supervisors.pop(name, None)
        if pid is not None:
            supervisors[name] = {"pid": pid, "started": system.start_time(pid)}
        self._store(supervisors=supervisors)

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[None]:
        """One change of this lab at a time."""
        with system.locked(surroundings.lock_path(self.name)):
            yield

    # ---------------------------------------------------------------------------- up, down
    def up(self) -> None:
        """Boot what is not up yet and wait until every host lets SSH in."""
        surroundings.check_machine()
        with self._locked():
            self._check_wanted()
            image_name = self._image()
            self._prepare(image_name, self._programs(image_name))
            surroundings.need_inotify(sum(self.supervisor(host.name) is None for host in self.hosts))
            try:
                for host in self.hosts:
                    self._start(host)
                self._wait_for_ssh()
            except BaseException:
                system.say(f"lab {self.name} is half up; take it away by: lab down --name {self.name}")
                raise
        system.say(f"lab {self.name} is up: " + ", ".join(f"{host.name} {host.address}" for host in self.hosts))

    def _check_wanted(self) -> None:
        """A lab that is up may grow; anything else about it stays as it was made."""
        if not self.exists:
            self._settings = self._with_defaults(self._wanted)
            unknown = set(self._settings["distribution_etcd"]) - {host.name for host in self.hosts}
            if unknown:
                raise LabError(f"--distribution-etcd: no host {', '.join(sorted(unknown))} in this lab")
            if self.release not in image.RELEASES:
                raise LabError(f"release {self.release!r}: known are {', '.join(image.RELEASES)}")
            plan.make_clusters(self.hosts, self._settings["clusters"])
            return
        self._settings = self._with_defaults(self._stored()["settings"])
        for key, value in self._wanted.items():
            present: t.Any = self.etcd_version if key == "etcd" else self._settings[key]
            if key == "hosts" and value > present:
                if self._settings["clusters"] > 1:
                    raise LabError(f"lab {self.name} has several clusters and can't grow: hosts would change theirs")
                system.say(f"lab {self.name} grows from {present} to {value} hosts")
                self._settings = {**self._settings, "hosts": value}
            elif value != present:
                raise LabError(
                    f"lab {self.name} is there with {key} {present!r}, asked for is {value!r}: take it down first "
                    f"(lab down --name {self.name})"
                )

    def _image(self) -> str:
        """The name of the image: a lab keeps the one that it was made from, also when it grows."""
        present = self._stored().get("image")
        if present and os.path.isdir(image.tree_of(present)):
            return str(present)
        return image.ensure_image(image.recipe_of(self.release, self._settings["packages"]))

    def _programs(self, image_name: str) -> str | None:
        """The layer of programs over the image, kept as the image is. Nothing where the image has that etcd itself."""
        version = self._settings["etcd"]
        if not version or version == etcd.version_in_image(image.tree_of(image_name)):
            return None
        present = self.programs
        return present if present and os.path.isdir(present) else etcd.ensure_programs(version)

    def _prepare(self, image_name: str, programs: str | None) -> None:
        """Folders, keys, namespaces and cables."""
        with system.locked(surroundings.lock_path(surroundings.SHARED)):
            os.makedirs(surroundings.state_folder(), mode=0o700, exist_ok=True)
            if not network.folder_is_mounted():
                system.write_text(
                    os.path.join(surroundings.state_folder(), surroundings.NETNS_MARKER), "by the first lab\n"
                )
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            self._store(settings=self._settings, image=image_name, programs=programs)
            network.ensure_switch(self.name)
        for name in ("ca", "cp", "hosts", "ssh"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700, exist_ok=True)
        for path, comment in [(self.private_key_path, f"ringfence-lab-{self.name}")] + [
            (self._host_key_path(host), host.name) for host in self.hosts
        ]:
            if not os.path.exists(path):
                system.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
        public_keys = {host.name: self._read(f"{self._host_key_path(host)}.pub") for host in self.hosts}
        system.write_text(self.known_hosts_path, plan.known_hosts_text(public_keys, self.hosts), 0o600)
        system.write_text(self.hosts_file_path, plan.hosts_file_text([*self.hosts, self.controller]))
        system.write_text(self.inventory_path, self.inventory())
        for host in (self.controller, *self.hosts):
            network.ensure_host(self.name, host)
        for host in self.hosts:
            # A lab that grows: the older hosts learn the new ones' names.
            if self.machine(host).is_made():
                self.machine(host).write_hosts_file(self._read(self.hosts_file_path))

    @property
    def hosts_file_path(self) -> str:
        return os.path.join(self.folder, "hosts.txt")

    def _host_key_path(self, host: Host) -> str:
        return os.path.join(self.folder, "ssh", f"host-{host.name}")

    @staticmethod
    def _read(path: str) -> str:
        with open(path, encoding="utf-8") as stream:
            return stream.read()

    def _start(self, host: Host) -> None:
        """Boot a host that is not running; its disk is made where it is not there yet."""
        machine = self.machine(host)
        if self.supervisor(host.name):
            return
        # What a run has started that was killed before it could note the pid.
        machine.stop(None)
        if not machine.is_made():
            layers = [image.tree_of(self._stored()["image"])]
            machine.make_disk([self.programs, *layers] if self.programs else layers, self._settings["disk_mib"])
            machine.personalize(
                hosts_file=self._read(self.hosts_file_path),
                host_key=self._read(self._host_key_path(host)),
                public_key=self._read(f"{self._host_key_path(host)}.pub"),
                authorized_key=self._read(f"{self.private_key_path}.pub"),
            )
            if host.name in self._settings["distribution_etcd"]:
                machine.enable_distribution_etcd()
            machine.note_made()
        self._note_supervisor(host.name, machine.start(self._settings["nspawn_arguments"]))

    def _wait_for_ssh(self, timeout_seconds: float = 60) -> None:
        """Wait for those hosts that have not answered since they were booted."""
        noted = self._stored()["supervisors"]
        hosts = [host for host in self.hosts if host.name in noted and not noted[host.name].get("answered")]
        if not hosts:
            return
        system.say(f"booting {', '.join(host.name for host in hosts)}")
        with concurrent.futures.ThreadPoolExecutor(len(hosts)) as pool:
            # list: so that the first error among them is raised here.
            list(pool.map(lambda host: self._first_answer(host, timeout_seconds), hosts))
        supervisors = {name: {**entry, "answered": True} for name, entry in self._stored()["supervisors"].items()}
        self._store(supervisors=supervisors)

    def _first_answer(self, host: Host, timeout_seconds: float) -> None:
        end = time.monotonic() + timeout_seconds
        while True:
            done = self._ssh(host, "true", ["ConnectTimeout=2"], timeout_seconds=20)
            if done.returncode == 0:
                system.say(f"  {host.name} answers")
                return
            if self.supervisor(host.name) is None:
                raise LabError(f"host {host.name} ended while it booted: {self.machine(host).last_words()}")
            if time.monotonic() > end:
                raise LabError(
                    f"host {host.name} lets no SSH in after {timeout_seconds:g} s ({done.stderr.strip()}); "
                    f"its console: {self.machine(host).console}"
                )
            time.sleep(0.1)

    def down(self) -> None:
        """Take all of it away, also what a half-failed ``up`` left. Nothing there is no error."""
        if os.geteuid() != 0:
            raise LabError("the lab needs root: run it by sudo")
        with self._locked():
            names = {host.name for host in self.hosts} | set(network.present(self.name)) | self._folder_names()
            something = self.exists or bool(network.present(self.name)) or os.path.isdir(self.folder)
            machines = [self.machine(name) for name in sorted(names)]
            for machine in machines:
                supervisor = self.supervisor(machine.name)
                if supervisor or (cgroups.systemd_is_process_1() and something):
                    machine.stop(supervisor)
            cgroups.end_all(self.name)
            system.end_processes(network.processes(self.name), signal.SIGTERM)
            for machine in machines:
                clear_systemd_folders(machine.machine_name)
            system.unmount_below(self.folder)
            network.delete(self.name)
            cgroups.remove(self.name)
            # Never before the mounts are gone: this would delete through them.
            assert not system.mounts_below(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            surroundings.leave_machine()
        if something:
            system.say(f"lab {self.name} is down")

    def _folder_names(self) -> set[str]:
        folder = os.path.join(self.folder, "hosts")
        return set(os.listdir(folder)) if os.path.isdir(folder) else set()

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.down()

    # ---------------------------------------------------------------------------- commands inside
    def controller_command(self, command: t.Sequence[str]) -> list[str]:
        """The command as it runs in the controller's place: its network, and the lab's names in /etc/hosts."""
        self._check_up()
        script = 'if [ -e /etc/hosts ]; then mount --bind "$1" /etc/hosts; fi; shift; exec "$@"'
        return [
            "nsenter",
            f"--net={network.path_of(self.name, self.controller.name)}",
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            self.hosts_file_path,
            *command,
        ]

    def run(self, command: t.Sequence[str], **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the controller's place and keep its output (options: those of ``subprocess.run``)."""
        settings: dict[str, t.Any] = {"capture_output": True, "text": True, "errors": "replace", **options}
        check = bool(settings.pop("check", False))
        return subprocess.run(self.controller_command(command), check=check, **settings)

    def ssh_command(self, host: Host | str, command: str = "", user: str = "root") -> list[str]:
        """The whole command line that enters a host, or runs a command there, by SSH from the controller."""
        target = self.host(host) if isinstance(host, str) else host
        return self.controller_command(self._ssh_line(target, command, user))

    def _ssh_line(self, host: Host, command: str, user: str, options: t.Sequence[str] = ()) -> list[str]:
        line = ["ssh"]
        for option in options:
            line += ["-o", option]
        line += [*plan.ssh_options(self.known_hosts_path, self.private_key_path), f"{user}@{host.address}"]
        return line + (["--", command] if command else [])

    def _ssh(self, host: Host, command: str, options: t.Sequence[str], **settings: t.Any) -> t.Any:
        line = self.controller_command(self._ssh_line(host, command, "root", options))
        return system.run(line, check=False, **settings)

    def ssh(
        self,
        host: Host | str,
        command: str,
        *,
        check: bool = True,
        input_text: str | None = None,
        timeout_seconds: float = 120,
        user: str = "root",
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host by SSH and keep its output."""
        line = self.ssh_command(host, command, user)
        return self._evaluated(host, command, system.run(line, input_text, False, timeout_seconds), check)

    def execute(
        self,
        host: Host | str,
        command: str | t.Sequence[str],
        *,
        check: bool = True,
        input_text: str | None = None,
        timeout_seconds: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host from outside, without its network: works where the host is cut off."""
        done = system.run(self.execute_command(host, command), input_text, check=False, timeout_seconds=timeout_seconds)
        return self._evaluated(host, command if isinstance(command, str) else shlex.join(command), done, check)

    def execute_command(self, host: Host | str, command: str | t.Sequence[str]) -> list[str]:
        self._check_up()
        name = host if isinstance(host, str) else host.name
        leader = self._leader_or_error(name)
        inner = ["sh", "-c", command] if isinstance(command, str) else list(command)
        environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        entrance = ["nsenter", f"--target={leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return [*entrance, "--", *environment, f"TERM={os.environ.get('TERM', 'linux')}", *inner]

    @staticmethod
    def _evaluated(
        host: Host | str, command: str, done: subprocess.CompletedProcess[str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        if check and done.returncode != 0:
            name = host if isinstance(host, str) else host.name
            raise LabError(f"{name}: {command}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
        return done

    def probe(self, host: Host | str, **arguments: t.Any) -> dict[str, t.Any]:
        """Dial a peer port from a host, as ``probe.probe`` does it there; key material goes over standard input."""
        with open(probe.__file__, encoding="utf-8") as stream:
            source = stream.read()
        call = f"\nprint(json.dumps(probe(**json.loads({json.dumps(arguments)!r}))))\n"
        answer = self.ssh(host, "python3 -", input_text=source + call).stdout
        found: dict[str, t.Any] = json.loads(answer)
        return found

    def copy_to(self, host: Host | str, source: str, target: str) -> None:
        """A file or folder from this machine to a host."""
        self._copy(host, source, target, to_host=True)

    def copy_from(self, host: Host | str, source: str, target: str) -> None:
        """A file or folder from a host to this machine."""
        self._copy(host, source, target, to_host=False)

    def _copy(self, host: Host | str, source: str, target: str, to_host: bool) -> None:
        place = self.host(host) if isinstance(host, str) else host
        address = f"[{place.address}]" if ":" in place.address else place.address
        ends = [source, f"root@{address}:{target}"] if to_host else [f"root@{address}:{source}", target]
        options = plan.ssh_options(self.known_hosts_path, self.private_key_path)
        system.run(self.controller_command(["scp", "-q", "-r", *options, *ends]), timeout_seconds=300)

    def _check_up(self) -> None:
        if self.controller.name not in network.present(self.name):
            raise LabError(f"lab {self.name} is not up: lab up --name {self.name}")

    def _leader_or_error(self, name: str) -> int:
        leader = self.leader(self.host(name).name)
        if leader is None:
            raise LabError(f"host {name} of lab {self.name} is not running: lab fault {name} power-on")
        return leader

    # ---------------------------------------------------------------------------- inventory
    def variables(self) -> dict[str, t.Any]:
        """Inventory variables that reach the hosts, and the CA's folder on the controller."""
        # ansible keeps its connections' sockets by address, and every lab has the same addresses: one folder per lab.
        options = shlex.join(plan.ssh_options(self.known_hosts_path, self.private_key_path))
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": self.private_key_path,
            "ansible_ssh_common_args": options,
            "ansible_control_path_dir": os.path.join(self.folder, "cp"),
            "ansible_python_interpreter": "/usr/bin/python3",
            "etcd_peer_tls_ca_directory": self.ca_folder,
            "etcd_peer_tls_domain": plan.DOMAIN,
        }

    def inventory(
        self,
        groups: t.Mapping[str, t.Iterable[str]] | None = None,
        variables: t.Mapping[str, t.Any] | None = None,
        host_variables: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
    ) -> str:
        """A YAML inventory; without groups, a group for each of the lab's clusters (one: ``etcd``)."""
        chosen: t.Mapping[str, t.Sequence[Host]] = self.clusters
        group_variables: dict[str, dict[str, t.Any]] = {}
        if groups is not None:
            chosen = {group: [self.host(name) for name in names] for group, names in groups.items()}
        elif len(chosen) > 1:
            group_variables = {
                group: {
                    "etcd_peer_tls_group": group,
                    "etcd_peer_tls_ca_directory": os.path.join(self.ca_folder, group),
                }
                for group in chosen
            }
        own = {host.name: {"etcd_peer_tls_address": host.fqdn} for host in self.hosts if self._settings["names"]}
        for name, given in (host_variables or {}).items():
            own[name] = {**own.get(name, {}), **given}
        return plan.inventory_text(chosen, {**self.variables(), **(variables or {})}, own, group_variables)

    # ---------------------------------------------------------------------------- faults
    def cut(self, host: str, other: str | None = None) -> None:
        """No packets for this host any more; with ``other``, none between these two."""
        self._check_up()
        if other is None:
            network.cut(self.name, self.host(host))
        else:
            network.separate(self.name, self.host(host), self.host(other))

    def heal(self, host: str) -> None:
        """Undo all that ``cut`` and ``shape`` did to this host."""
        self._check_up()
        network.heal(self.name, self.host(host), [other for other in self.hosts if other.name != host])

    def shape(self, host: str, discipline: t.Sequence[str]) -> None:
        """Delay or drop packets: the words after ``tc qdisc … root``, such as netem delay 100ms."""
        self._check_up()
        network.shape(self.name, self.host(host), discipline)

    def freeze(self, host: str) -> None:
        """All of the host stands still, its connections stay open."""
        cgroups.freeze(self._leader_or_error(host), True)

    def thaw(self, host: str) -> None:
        cgroups.freeze(self._leader_or_error(host), False)

    def kill_etcd(self, host: str) -> None:
        """SIGKILL to etcd, as the kernel does when memory is short."""
        done = self.execute(host, ["pkill", "-KILL", "-x", "etcd"], check=False)
        if done.returncode != 0:
            raise LabError(f"no etcd runs on {host}")

    def power_off(self, host: str) -> None:
        """Pull the plug. The disk keeps what was written."""
        with self._locked():
            machine = self.machine(self.host(host))
            network.plug(self.name, self.host(host), False)
            machine.stop(self.supervisor(host))
            self._note_supervisor(host, None)

    def power_on(self, host: str) -> None:
        """Boot it again from the disk it had, and wait until SSH answers."""
        self._check_up()
        with self._locked():
            network.plug(self.name, self.host(host), True)
            self._start(self.host(host))
            self._wait_for_ssh()

    def fill_disk(self, host: str) -> None:
        """Leave no byte free; the file is at /var/tmp/ringfence-lab-full."""
        self.execute(host, "cat /dev/zero > /var/tmp/ringfence-lab-full 2>/dev/null; true")

    def free_disk(self, host: str) -> None:
        self.execute(host, ["rm", "-f", "/var/tmp/ringfence-lab-full"])

    # ---------------------------------------------------------------------------- status
    def status(self) -> list[dict[str, str]]:
        """One row a host: name, address, condition (running, frozen, off), cable (plugged, cut)."""
        rows = []
        for host in self.hosts:
            leader = self.leader(host.name)
            condition = "off" if leader is None else "frozen" if cgroups.is_frozen(leader) else "running"
            cable = "cut" if network.is_cut(self.name, host) else "plugged"
            rows.append({"host": host.name, "address": host.address, "condition": condition, "cable": cable})
        return rows
