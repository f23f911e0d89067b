# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python program as a client of etcd (docs/applications.md): it writes, reads, and sees what is written.

By etcd3gw, which speaks JSON to etcd's gateway: apt install python3-etcd3gw, or pip install etcd3gw.
"""

import os

import etcd3gw

MEMBERS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
FOLDER = "/etc/app/etcd"
# Under RBAC only.
USER = os.environ.get("ETCD_USER")
PASSWORD = os.environ.get("ETCD_PASSWORD")


def connect(address):
    """A client of one member; another one etcd3gw does not try. Its files are read for each new connection."""
    client = etcd3gw.client(
        host=address,
        protocol="https",
        ca_cert=f"{FOLDER}/ca.crt",
        cert_cert=f"{FOLDER}/app.crt",
        cert_key=f"{FOLDER}/app.key",
        timeout=5,
    )
    # Else REQUESTS_CA_BUNDLE of the environment would count, and not ca_cert.
    client.session.trust_env = False
    return client


def log_in(client):
    """Have a token go with each call. etcd3gw knows no users."""
    answer = client.post(client.get_url("/auth/authenticate"), json={"name": USER, "password": PASSWORD})
    client.session.headers["Authorization"] = answer["token"]


def first_answer(clients, call):
    """What the first member says that answers. A call that failed may have been done: for calls that may come twice."""
    problems = []
    for client in clients:
        # The second time with a new token: a member that was restarted knows none.
        for is_again in (False, True) if USER else (False,):
            try:
                if is_again:
                    log_in(client)
                return call(client)
            except etcd3gw.exceptions.Etcd3Exception as problem:
                problems.append(problem)
    raise problems[-1]


def main():
    clients = [connect(address) for address in MEMBERS]
    first_answer(clients, lambda client: client.put("app/greeting", "hello"))
    print("read", first_answer(clients, lambda client: client.get("app/greeting"))[0].decode())
    # Not before a call that needs the same right: a watch that is refused says nothing and waits for ever.
    events, stop_watching = first_answer(clients, lambda client: client.watch("app/greeting"))
    first_answer(clients, lambda client: client.put("app/greeting", "hello again"))
    print("seen", next(events)["kv"]["value"].decode())
    stop_watching()


if __name__ == "__main__":
    main()
