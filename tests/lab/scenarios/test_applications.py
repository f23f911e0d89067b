# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real applications of a cluster, on hosts that are no members, by the examples of docs/applications.

Patroni with PostgreSQL is on two hosts, etcdctl and a Python program on the first of them. All of them run on while
clients get new keys and the old certificates are revoked, while each member is restarted, and while peers get another
CA; and then under RBAC.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import shlex
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from rbac import API
from ringfence_lab.image import APPLICATION_PACKAGES
from ringfence_lab.lab import Lab
from support import PKI, RESTART, TRIO, Controller

HOSTS = 5
PACKAGES = APPLICATION_PACKAGES
# Debian starts a PostgreSQL of its own on each host that has the package.
NSPAWN_ARGUMENTS = ("systemd.mask=postgresql.service",)
DATABASES = FIRST, SECOND = ("etcd-4", "etcd-5")
EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "applications"
# What the examples call the hosts. The addresses in them are the lab's.
NAMES = {"db-1": FIRST, "db-2": SECOND, "app-1": FIRST}

FOLDER = "/srv/applications"
CLIENTS = "/etc/etcd/clients/etcd"
OF_PATRONI = "/etc/patroni/etcd/patroni"
CONFIGURATION = "/etc/patroni/config.yml"
DATA = "/var/lib/postgresql/17/patroni"
SCOPE = "/service/main/"
WRITTEN_BY_PATRONI = ("status", *(f"members/{host}" for host in DATABASES))
DATABASE = "host=10.0.0.4,10.0.0.5 user=postgres dbname=postgres password=an-example"
WRITABLE = f"{DATABASE} target_session_attrs=read-write"
# One that is refused tries again for that long.
SOON = "--command-timeout 2s"

# What another run may have left, in a lab that was kept.
_LEFT = f"{FOLDER} /etc/app {DATA} {OF_PATRONI}* {Path(OF_PATRONI).parent}/ca.crt"
_BARE = f"systemctl stop patroni inserts puts watch; systemctl reset-failed; rm -rf {_LEFT}"
# One session with whichever of the two leads. It ends with the first answer that is not the number it wrote.
_INSERTS = f"""
number=0
while [ ! -e {FOLDER}/stop ]; do
  number=$((number + 1))
  echo "INSERT INTO written VALUES ($number) RETURNING number;"
  sleep 0.1
done | psql --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "{WRITABLE}"
"""
# The example's functions, with the same clients for as long as it takes.
_PUTS = f"""
import os, time
import client
clients = [client.connect(address) for address in client.MEMBERS]
number = 0
while not os.path.exists("{FOLDER}/stop"):
    number += 1
    client.first_answer(clients, lambda one: one.put(f"app/numbers/{{number}}", str(number)))
    print(number, flush=True)
    time.sleep(0.5)
"""


def example(name: str) -> str:
    text = (EXAMPLES / name).read_text()
    for theirs, ours in NAMES.items():
        text = text.replace(theirs, ours)
    return text


def etcdctl(pair: str = f"{CLIENTS}/operator") -> str:
    """Without a pair it has no certificate of its own."""
    endpoints = ",".join(f"https://10.0.0.{number}:2379" for number in (1, 2, 3))
    files = f"--cert {pair}.crt --key {pair}.key" if pair else ""
    return f"etcdctl --endpoints {endpoints} --cacert {CLIENTS}/ca.crt {files}"


def base64_text(text: str) -> str:
    return base64.b64decode(text).decode()


def until(is_so: t.Callable[[], bool]) -> None:
    """Wait for it, longer than anything here may take."""
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.5)


class Applications:
    """A cluster and those who use it."""

    def __init__(self, controller: Controller, lab: Lab) -> None:
        self.controller, self.lab = controller, lab
        self.variables: dict[str, t.Any] = yaml.safe_load(example("inventory.yml"))["etcd"]["vars"]
        self.variables["etcd_peer_tls_client_ca_directory"] = str(controller.folder / "client-ca")
        self.options = ""
        """Of etcdctl, where it looks at what Patroni has."""

    def play(self, playbook: str = "site", **words: t.Any) -> None:
        inventory = self.controller.inventory({"etcd": TRIO, "applications": DATABASES}, **self.variables)
        self.controller.succeed(inventory, playbook=self.controller.named(playbook), **words)

    def on(self, host: str, command: str, check: bool = True) -> str:
        return self.lab.execute(host, command, check=check).stdout.strip()

    def here(self, command: str, check: bool = True) -> str:
        return self.on(FIRST, command, check)

    def put(self, host: str, path: str, text: str) -> None:
        self.on(host, f"mkdir -p {Path(path).parent}; printf %s {shlex.quote(text)} > {path}")

    # -- Patroni -----------------------------------------------------------------------------------------------------
    def start_patroni(self) -> None:
        text = example("patroni.yml").replace("loop_wait: 10", "loop_wait: 2")
        for host in DATABASES:
            address = self.lab.host(host).address
            own = text.replace(f"name: {FIRST}", f"name: {host}").replace("10.0.0.4", address)
            self.put(host, CONFIGURATION, own)
            self.on(host, f"chown postgres: {CONFIGURATION}; chmod 600 {CONFIGURATION}; systemctl restart patroni")
        until(self.is_well)

    def cluster(self) -> list[dict[str, t.Any]]:
        """What Patroni on the second host tells of both, which it reads in etcd."""
        url = f"http://{self.lab.host(SECOND).address}:8008/cluster"
        command = f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\", timeout=20).read().decode())'"
        told: list[dict[str, t.Any]] = json.loads(self.on(SECOND, command, check=False) or "{}").get("members", [])
        return told

    def is_well(self) -> bool:
        states = {(one["role"], one["state"]) for one in self.cluster()}
        return states == {("leader", "running"), ("replica", "streaming")}

    def keys(self) -> dict[str, dict[str, t.Any]]:
        """What Patroni has in etcd, by the last part of the key."""
        told = json.loads(self.here(f"{etcdctl()} {self.options} get {SCOPE} --prefix --write-out=json"))
        return {base64_text(one["key"]).removeprefix(SCOPE): one for one in told["kvs"]}

    def leadership(self) -> tuple[t.Any, ...]:
        """Who leads, on which timeline, and by which lock: another one would mean that it was lost in between."""
        lock = self.keys()["leader"]
        (leader,) = (one for one in self.cluster() if one["role"] == "leader")
        return leader["name"], leader["timeline"], lock["create_revision"], lock["lease"]

    def goes_on(self) -> None:
        """Patroni on both hosts has written to etcd since now. Twice: a call may be under way."""
        for _time in range(2):
            until(functools.partial(self.has_written_since, self.revisions()))
        assert self.is_well()

    def has_written_since(self, before: list[int]) -> bool:
        # It does so where PostgreSQL did.
        self.here(f"psql \"{WRITABLE}\" -c \"SELECT pg_logical_emit_message(false, 'test', 'test')\"")
        return all(now > then for now, then in zip(self.revisions(), before))

    def revisions(self) -> list[int]:
        keys = self.keys()
        return [keys[name]["mod_revision"] for name in WRITTEN_BY_PATRONI]

    def rows(self, host: str) -> set[str]:
        """The numbers that a host's PostgreSQL has."""
        place = DATABASE.replace("10.0.0.4,10.0.0.5", self.lab.host(host).address)
        return set(self.here(f'psql --no-align --tuples-only "{place}" -c "SELECT number FROM written"').split())

    # -- who is at work all the time ---------------------------------------------------------------------------------
    @contextlib.contextmanager
    def at_work(self) -> t.Iterator[None]:
        """INSERTs, a watch by etcdctl and the Python program, each one process from the beginning to the end."""
        self.here(f'psql "{WRITABLE}" -c "CREATE TABLE written (number int)"')
        self.put(FIRST, f"{FOLDER}/inserts", _INSERTS)
        self.put(FIRST, f"{FOLDER}/puts.py", _PUTS)
        commands = {
            "inserts": f"bash -o pipefail {FOLDER}/inserts",
            "puts": f"python3 {FOLDER}/puts.py",
            "watch": f"{etcdctl()} watch --prefix app/numbers/ --write-out=json",
        }
        for name, command in commands.items():
            output = f"-p StandardOutput=file:{FOLDER}/{name}.out -p StandardError=file:{FOLDER}/{name}.err"
            self.here(f"systemd-run --quiet --unit={name} -p RemainAfterExit=yes {output} {command}")
        until(lambda: all(self.lines(name) for name in commands))
        yield
        self.here(f"touch {FOLDER}/stop")
        until(lambda: all(self.state(name) == "exited" for name in ("inserts", "puts")))
        last = f"app/numbers/{self.lines('puts')[-1]}"
        until(lambda: last in self.watched())
        assert self.state("watch") == "running"

    def state(self, name: str) -> str:
        told = self.here(f"systemctl show -P SubState {name}")
        assert told != "failed", self.here(f"tail -n 5 {FOLDER}/{name}.err")
        return told

    def lines(self, name: str) -> list[str]:
        return self.here(f"cat {FOLDER}/{name}.out").split()

    def watched(self) -> set[str]:
        """The keys of all events so far. What was written last may not be whole yet."""
        told = [line for line in self.here(f"cat {FOLDER}/watch.out").split("\n") if line.endswith("}")]
        return {base64_text(event["kv"]["key"]) for line in told for event in json.loads(line).get("Events") or []}


@pytest.fixture(scope="module")
def applications(controller: Controller, lab: Lab) -> Applications:
    controller.bare(*TRIO, *DATABASES)
    controller.on_each(DATABASES, _BARE)
    made = Applications(controller, lab)
    made.play()
    made.start_patroni()
    made.put(FIRST, f"{FOLDER}/client.py", example("client.py"))
    return made


def test_clients_on_a_host_that_is_no_member(applications: Applications) -> None:
    """etcdctl and the Python program write and read; without their certificate they are refused."""
    assert applications.here(f"{etcdctl()} put app/seen 1") == "OK"
    applications.here(f"! {etcdctl('')} {SOON} put app/seen 2")
    assert applications.here(f"{etcdctl()} get app/seen --print-value-only") == "1"
    program = f"{FOLDER}/client.py"
    assert applications.here(f"python3 {program}").split("\n") == ["read hello", "seen hello again"]
    without = f"sed '/ cert_cert=/d; / cert_key=/d' {program} > {FOLDER}/without.py; python3 {FOLDER}/without.py 2>&1"
    assert "ConnectionFailedError" in applications.here(without, check=False)


def test_applications_go_on(applications: Applications, controller: Controller) -> None:
    """No failover, no lost row, and nobody was told to read files again. The old certificates are refused by then."""
    old = [(pair, f"{FOLDER}/old-{Path(pair).name}") for pair in (OF_PATRONI, f"{CLIENTS}/operator")]
    with applications.at_work():
        before = applications.leadership()
        assert before[1] == 1
        for pair, copy in old:
            applications.here(f"cp {pair}.crt {copy}.crt; cp {pair}.key {copy}.key; {etcdctl(copy)} get app/seen")

        applications.play("clients", etcd_peer_tls_revoked="patroni,app,operator")
        for pair, copy in old:
            applications.here(f"! {etcdctl(copy)} {SOON} get app/seen; {etcdctl(pair)} get app/seen")
        applications.goes_on()

        # Every connection is a new one from here on.
        applications.variables |= RESTART
        restarted(applications)
        assert applications.leadership() == before

        applications.variables["etcd_peer_tls_ca_directory"] = str(controller.folder / "another-ca")
        applications.variables["etcd_peer_tls_ca_common_name"] = "another CA"
        restarted(applications, etcd_peer_tls_new_ca=True)
        assert applications.leadership() == before
        issuers = controller.on_each(TRIO, f"openssl x509 -noout -issuer -in {PKI}/$(hostname).crt")
        assert all("another CA" in issuer for issuer in issuers.values())

    inserted = applications.lines("inserts")
    assert inserted == [str(number) for number in range(1, len(inserted) + 1)]
    until(lambda: all(applications.rows(host) == set(inserted) for host in DATABASES))
    kept = applications.here(f"{etcdctl()} get app/numbers/ --prefix --print-value-only").split()
    assert set(applications.lines("puts")) <= set(kept)


def restarted(applications: Applications, **words: t.Any) -> None:
    """A run that restarts each member, and after it Patroni goes on."""
    processes = applications.controller.processes()
    applications.play(**words)
    now = applications.controller.processes()
    assert all(now[host] != processes[host] for host in TRIO)
    applications.goes_on()


def test_under_rbac(applications: Applications) -> None:
    """By a password at etcd's gateway, where nobody may have a common name; by the common name with etcdctl."""
    before = applications.leadership()
    commands = [
        *("user add root:secret", "user grant-role root root"),
        *("user add operator --no-password", "user add app:secret", "user add patroni:a-secret"),
        f"user add {API['etcd_peer_tls_api_user']}:{API['etcd_peer_tls_api_password']}",
        *("role add app", "role grant-permission app readwrite app/ --prefix"),
        *("role add patroni", "role grant-permission patroni readwrite /service/ --prefix"),
        *("user grant-role operator app", "user grant-role app app", "user grant-role patroni patroni"),
    ]
    applications.here(" && ".join(f"{etcdctl()} {command}" for command in commands))
    # As the example says it.
    login = "s/# username: patroni/username: patroni/; s/# password: a secret/password: a-secret/"
    applications.controller.on_each(DATABASES, f"sed -i '{login}' {CONFIGURATION}; systemctl reload patroni")
    applications.here(f"{etcdctl()} auth enable")
    applications.options = "--user root:secret"

    applications.goes_on()
    assert applications.leadership() == before
    assert applications.here(f"{etcdctl()} put app/seen 3") == "OK"
    applications.here(f"! {etcdctl()} {SOON} get {SCOPE}leader")
    program = f"python3 {FOLDER}/client.py 2>&1"
    assert "seen hello again" in applications.here(f"ETCD_USER=app ETCD_PASSWORD=secret {program}")
    assert "Etcd3Exception" in applications.here(program, check=False)
    named = f"sed 's#/app.crt#/operator.crt#; s#/app.key#/operator.key#; s#^FOLDER = .*#FOLDER = \"{CLIENTS}\"#'"
    with_a_name = f"{named} {FOLDER}/client.py > {FOLDER}/named.py; ETCD_USER=app ETCD_PASSWORD=secret"
    assert "Bad Request" in applications.here(f"{with_a_name} python3 {FOLDER}/named.py 2>&1", check=False)
    # The role itself, by a pair without a common name that each run makes.
    applications.variables |= API
    applications.play("verify")
