# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates by a CA whose key is not here: requests as files or by a command, and `openssl ca` as that CA."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.request import run
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import certificate_facts
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_certificates
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.offline_ca import OfflineCa
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.key_host import Answer, Node, public, spki
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from cryptography import x509


class Carrier:
    """The CA's host without the CA's key, the folder that a person carries away, and two members' hosts."""

    def __init__(self, folder: pathlib.Path, open_folder: pathlib.Path) -> None:
        self.ca = OfflineCa(folder / "offline-ca")
        self.requests = folder / "carried" / "requests"
        self.nodes = [Node(open_folder, name) for name in ("etcd-1", "etcd-2")]

    def member(self, node: Node, **more: t.Any) -> Answer:
        number = node.name[-1]
        return node.member(**{"dns_names": [node.name], "ip_addresses": [f"127.0.0.{number}"], **more})

    def ask(self, check_mode: bool = False, change: t.Mapping[str, t.Any] | None = None, **more: t.Any) -> Answer:
        """As the role does: decide, have keys made, take what was brought or write the requests."""
        members = [self.member(node, **(change or {})) for node in self.nodes]
        arguments = {
            "members": members,
            "ca_certificate_content": self.ca.pem,
            "key_custody": "node",
            "requests_directory": str(self.requests),
            **more,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        decided = run_module("etcd_peer_certificates", {**arguments, "decide_only": True}, check_mode=check_mode)
        due = {one["name"]: one["new_key"] for one in decided["members"]}
        assert due == {one["name"]: one["issued"] for one in decided["members"]}
        asked = {
            node.name: node.request(check_mode=check_mode, **names_of(member))["request_pem"]
            for node, member in zip(self.nodes, members)
            if due[node.name]
        }
        answer = run_module("etcd_peer_certificates", {**arguments, "requests": asked}, check_mode=check_mode)
        assert "PRIVATE KEY" not in json.dumps(answer) and "Traceback" not in answer["_stderr"]
        return answer

    def take(self, check_mode: bool = False) -> Answer:
        """The last of the three in this process, for requests that lie there."""
        specification = etcd_peer_certificates.argument_spec()
        unset = {name: option.get("default") for name, option in specification.items()}
        of_member = {name: option.get("default") for name, option in specification["members"]["options"].items()}
        params = {
            **unset,
            "members": [{**of_member, **self.member(node)} for node in self.nodes],
            "ca_certificate_content": self.ca.pem,
            "key_custody": "node",
            "requests_directory": str(self.requests),
            "requests": {node.name: (self.requests / f"{node.name}.csr").read_text() for node in self.nodes},
        }
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return run(params, now, check_mode, result_is_hidden=False, with_diff=True)[0]

    def sign(self, *names: str, words: t.Sequence[str] = ()) -> None:
        for name in names or [node.name for node in self.nodes]:
            self.ca.sign(self.requests / f"{name}.csr", self.requests / f"{name}.crt", *words)

    def deploy(self, answer: Answer) -> None:
        for node, found in zip(self.nodes, answer["members"]):
            done = node.put(ca_certificate_content=self.ca.pem, certificate_content=found["certificate"])
            assert done["changed"] and public(node.key) == spki(found["certificate"])

    def listed(self) -> list[str]:
        return sorted(path.name for path in self.requests.iterdir()) if self.requests.exists() else []


def names_of(member: Answer) -> Answer:
    return {name: member[name] for name in ("common_name", "dns_names", "ip_addresses")}


@pytest.fixture
def carrier(tmp_path: pathlib.Path, open_folder: pathlib.Path) -> Carrier:
    return Carrier(tmp_path, open_folder)


@pytest.fixture(scope="module")
def carrier_with_requests(tmp_path_factory: pytest.TempPathFactory) -> Carrier:
    """One whose members have asked, and where the second has its certificate."""
    carrier = Carrier(tmp_path_factory.mktemp("carrier"), tmp_path_factory.mktemp("nodes"))
    carrier.ask()
    carrier.sign("etcd-2")
    return carrier


def test_requests_are_carried_away_and_certificates_come_back(carrier: Carrier) -> None:
    predicted = carrier.ask(check_mode=True)
    assert predicted["changed"] and not carrier.requests.parent.exists()
    assert not any(one["issued"] or one["new_key"] for one in predicted["members"])
    first = carrier.ask()
    assert first["changed"] and first["diff"] == predicted["diff"]
    assert carrier.listed() == ["etcd-1.csr", "etcd-2.csr"] and stat.S_IMODE(os.stat(carrier.requests).st_mode) == 0o700
    assert [one["name"] for one in first["unsigned"]] == ["etcd-1", "etcd-2"]
    for part in ("(etcd-1, etcd-2)", f"{carrier.requests}/etcd-1.csr", f"{carrier.requests}/etcd-1.crt", "Offline CA"):
        assert part in first["unsigned_text"]
    assert "more than 30 and at most 365 days" in first["unsigned_text"] and "\n" not in first["unsigned_text"]
    # The same requests, as long as nobody brings anything.
    before = [(carrier.requests / name).read_bytes() for name in carrier.listed()]
    for check_mode in (True, False):
        again = carrier.ask(check_mode=check_mode)
        assert not again["changed"] and again["unsigned"] == first["unsigned"]
    assert [(carrier.requests / name).read_bytes() for name in carrier.listed()] == before
    # One of two is not enough for anybody.
    carrier.sign("etcd-1")
    half = carrier.ask()
    assert [one["name"] for one in half["unsigned"]] == ["etcd-2"] and not half["changed"]
    assert [one["certificate"] for one in half["members"]] == [None, None]
    carrier.sign("etcd-2")
    check = carrier.ask(check_mode=True)
    assert check["changed"] and check["unsigned"] == [] and check["members"][0]["certificate"] is None
    answer = carrier.ask()
    assert answer["changed"] and answer["unsigned_text"] is None and answer["diff"] == check["diff"]
    assert all(one["issued"] and one["new_key"] for one in answer["members"])
    carrier.deploy(answer)
    # By the rules of every other run nothing is due now, and nothing that was carried is touched.
    kept = carrier.listed()
    for check_mode in (True, False):
        done = carrier.ask(check_mode=check_mode)
        assert not done["changed"] and done["unsigned"] == [] and carrier.listed() == kept


def test_a_renewal_is_for_another_key(carrier: Carrier) -> None:
    carrier.ask()
    carrier.sign()
    carrier.deploy(carrier.ask())
    keys = [node.key.read_bytes() for node in carrier.nodes]
    # Nearly at their end by other rules; the certificates that came before lie where the new ones are awaited.
    near = {"renew_before_days": 400, "validity_days": 500}
    first = carrier.ask(**near)
    assert len(first["unsigned"]) == 2 and "is for another key than the request that waits" in first["unsigned_text"]
    assert first["changed"] and [node.key.read_bytes() for node in carrier.nodes] == keys
    carrier.sign(words=["-days", "450"])
    answer = carrier.ask(**near)
    # As the CA decided, and not as this collection would have.
    assert {one["days_left"] for one in answer["members"]} <= {449, 450}
    carrier.deploy(answer)
    assert all(node.key.read_bytes() != key for node, key in zip(carrier.nodes, keys))
    assert not carrier.ask(**near)["changed"]


def test_other_names_are_another_request_for_the_same_key(carrier: Carrier) -> None:
    carrier.ask()
    carrier.sign()
    waiting = [node.waiting.read_bytes() for node in carrier.nodes]
    wanted = {"common_name": "peers"}
    moved = carrier.ask(change=wanted)
    assert moved["changed"] and "the common name is etcd-1.example.com, peers is wanted" in moved["unsigned_text"]
    assert [node.waiting.read_bytes() for node in carrier.nodes] == waiting
    carrier.sign()
    assert carrier.ask(change=wanted)["unsigned"] == []


def test_one_with_its_ca_behind_it_is_deployed_alone(carrier: Carrier) -> None:
    carrier.ask()
    carrier.sign()
    path = carrier.requests / "etcd-1.crt"
    path.write_text(carrier.ca.pem + path.read_text().replace("\n", "\r\n"))
    answer = carrier.ask()
    assert answer["unsigned"] == [] and answer["members"][0]["certificate"].count("BEGIN CERTIFICATE") == 1
    assert certificate_facts(answer["members"][0]["certificate"].encode(), "it").common_names == ("etcd-1.example.com",)


def by_extensions(*lines: str) -> t.Callable[[Carrier], None]:
    """The CA does not take the extensions of the request, but these."""

    def sign(carrier: Carrier) -> None:
        configuration = carrier.ca.folder / "ca.cnf"
        text = configuration.read_text()
        own = "[identifiers]\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
        assert own in text
        configuration.write_text(text.replace("copy_extensions = copy\n", "").replace(own, "[identifiers]\n"))
        with configuration.open("a") as more:
            more.write("\n".join(lines) + "\n")
        carrier.sign("etcd-1")

    return sign


def by_words(*words: str) -> t.Callable[[Carrier], None]:
    return lambda carrier: carrier.sign("etcd-1", words=words)


def by_another_ca(carrier: Carrier) -> None:
    other = OfflineCa(carrier.ca.folder.parent / "other")
    other.sign(carrier.requests / "etcd-1.csr", carrier.requests / "etcd-1.crt")


def by_mistake(text: t.Callable[[Carrier], str | bytes]) -> t.Callable[[Carrier], None]:
    def put(carrier: Carrier) -> None:
        found = text(carrier)
        (carrier.requests / "etcd-1.crt").write_bytes(found if isinstance(found, bytes) else found.encode())

    return put


def revoked(carrier: Carrier) -> None:
    carrier.sign("etcd-1")
    carrier.ca.revoke(carrier.requests / "etcd-1.crt", carrier.requests / "ca.crl")


def twice(carrier: Carrier) -> None:
    carrier.sign("etcd-1")
    path = carrier.requests / "etcd-1.crt"
    one = path.read_text()
    carrier.sign("etcd-1")
    path.write_text(one + path.read_text())


KEPT = ("subjectKeyIdentifier = hash", "authorityKeyIdentifier = keyid")
USAGE = "keyUsage = critical,digitalSignature"
PURPOSES = "extendedKeyUsage = serverAuth,clientAuth"
LEAF = "basicConstraints = critical,CA:FALSE"
NAMES = "subjectAltName = DNS:etcd-1,IP:127.0.0.1"
REFUSED: dict[str, tuple[t.Callable[[Carrier], None], str]] = {
    "another CA": (by_another_ca, "is not signed by the CA 'Offline CA'"),
    "the other member's": (
        lambda carrier: carrier.ca.sign(carrier.requests / "etcd-2.csr", carrier.requests / "etcd-1.crt"),
        "is for another key than the request that waits",
    ),
    "another name": (by_words("-subj", "/CN=etcd-2.example.com"), "the common name is etcd-2.example.com"),
    "more in the subject": (
        by_words("-subj", "/O=Example/CN=etcd-1.example.com", "-policy", "any_name"),
        "the subject has O=Example beside",
    ),
    "another's address": (
        by_extensions(*KEPT, LEAF, USAGE, PURPOSES, f"{NAMES},IP:127.0.0.2"),
        "have 127.0.0.2, which is not wanted",
    ),
    "a wildcard": (by_extensions(*KEPT, LEAF, USAGE, PURPOSES, f"{NAMES},DNS:*"), "have *, which is not wanted"),
    "no names": (by_extensions(*KEPT, LEAF, USAGE, PURPOSES), "alternative names lack 127.0.0.1, etcd-1"),
    "a server's": (
        by_extensions(*KEPT, LEAF, USAGE, NAMES, "extendedKeyUsage = serverAuth"),
        "extended key usage is s",
    ),
    "a CA": (
        by_extensions(*KEPT, USAGE, PURPOSES, NAMES, "basicConstraints = critical,CA:TRUE"),
        "the basic constraints are not CA:FALSE",
    ),
    "no constraints": (by_extensions(*KEPT, USAGE, PURPOSES, NAMES), "the basic constraints are not CA:FALSE"),
    "a signer's": (
        by_extensions(*KEPT, LEAF, PURPOSES, NAMES, "keyUsage = critical,digitalSignature,keyCertSign"),
        "the key usage is digitalSignature, keyCertSign, digitalSignature (critical) is wanted",
    ),
    "no usage": (by_extensions(*KEPT, LEAF, PURPOSES, NAMES), "the key usage is absent"),
    "no identifiers": (
        by_extensions(LEAF, USAGE, PURPOSES, NAMES, "subjectKeyIdentifier = none", "authorityKeyIdentifier = none"),
        "identifier",
    ),
    "SHA-1": (by_words("-md", "sha1"), "the signature uses sha1"),
    "too long": (by_words("-days", "400"), "it is valid for 400 days, 365 at most are wanted"),
    "too short": (by_words("-days", "20"), "in 20 days; it is renewed 30 days before"),
    "ended": (
        by_words("-startdate", "20200101000000Z", "-enddate", "20201231000000Z"),
        "the certificate expired at 2020-12-31",
    ),
    "not begun": (
        by_words("-startdate", "20990101000000Z", "-enddate", "20990401000000Z"),
        "is valid only from 2099-01-01",
    ),
    "revoked": (revoked, "is on the CA's revocation list"),
    "two": (twice, "holds 2 certificates for the key that waits"),
    "the request": (by_mistake(lambda carrier: (carrier.requests / "etcd-1.csr").read_text()), "holds a request"),
    "the CA's key beside it": (
        by_mistake(lambda carrier: (carrier.ca.folder / "ca.key").read_text() + carrier.ca.pem),
        "holds a private key",
    ),
    "the CA's": (by_mistake(lambda carrier: carrier.ca.pem), "is for another key than the request that waits"),
    "empty": (by_mistake(lambda carrier: ""), "is empty"),
    "binary": (by_mistake(lambda carrier: b"0\x82\x01\x00\x00\xff"), "it is binary"),
    "many": (by_mistake(lambda carrier: carrier.ca.pem * 11), "holds 11 certificates"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_certificate_of_the_member_is_told_and_goes_nowhere(
    case: str, carrier_with_requests: Carrier
) -> None:
    sign, says = REFUSED[case]
    carrier = carrier_with_requests
    for path in carrier.requests.iterdir():
        if path.name not in ("etcd-1.csr", "etcd-2.csr", "etcd-2.crt"):
            path.unlink()
    carrier.ca.restore()
    sign(carrier)
    for check_mode in (True, False):
        answer = carrier.take(check_mode=check_mode)
        (unsigned,) = answer["unsigned"]
        assert unsigned["name"] == "etcd-1" and says in unsigned["why"], unsigned
        assert unsigned["why"] in answer["unsigned_text"] and "\n" not in answer["unsigned_text"]
        assert not any(one["issued"] or one["certificate"] for one in answer["members"]) and not answer["changed"]


def test_what_it_should_have_been(carrier_with_requests: Carrier) -> None:
    """With the very same requests and CA."""
    carrier_with_requests.ca.restore()
    (carrier_with_requests.requests / "ca.crl").unlink(missing_ok=True)
    carrier_with_requests.sign("etcd-1")
    assert carrier_with_requests.take()["unsigned"] == []


def test_two_with_one_serial_number(carrier: Carrier) -> None:
    """A CA that counts wrong: to revoke one would lock the other out."""
    carrier.ask()
    configuration = carrier.ca.folder / "ca.cnf"
    configuration.write_text(configuration.read_text().replace("rand_serial = yes", "serial = $dir/serial"))
    for name in ("etcd-1", "etcd-2"):
        (carrier.ca.folder / "serial").write_text("2A\n")
        (carrier.ca.folder / "index.txt").write_text("")
        carrier.sign(name)
    (unsigned,) = carrier.ask()["unsigned"]
    assert "its serial number 2a is that of the new certificate of etcd-1" in unsigned["why"]


def test_the_list_of_another_ca(carrier: Carrier) -> None:
    carrier.ask()
    carrier.sign()
    other = OfflineCa(carrier.ca.folder.parent / "other")
    (carrier.requests / "etcd-9.csr").write_text((carrier.requests / "etcd-1.csr").read_text())
    other.sign(carrier.requests / "etcd-9.csr", carrier.requests / "etcd-9.crt")
    other.revoke(carrier.requests / "etcd-9.crt", carrier.requests / "ca.crl")
    answer = carrier.ask()
    assert answer["failed"] and "ca.crl is not the one revocation list of the CA 'Offline CA'" in answer["msg"]
    (carrier.requests / "ca.crl").write_text("rubbish")
    answer = carrier.ask()
    assert answer["failed"] and "ca.crl is no revocation list" in answer["msg"]


@pytest.mark.parametrize("signer", ["files", "command"])
def test_no_request_leaves_that_asks_for_more_than_the_inventory_says(signer: str, carrier: Carrier) -> None:
    """A host's request goes to a CA that may issue what it says."""
    options = {"requests_directory": str(carrier.requests)} if signer == "files" else command(carrier)
    node = carrier.nodes[0]
    wanted = names_of(carrier.member(node))
    for asked, says in (
        ({}, "another subject"),
        ({**wanted, "common_name": "etcd-2.example.com"}, "another subject"),
        ({**wanted, "dns_names": ["etcd-1", "etcd-2"]}, "other names, addresses or usages"),
        ({**wanted, "ip_addresses": []}, "other names, addresses or usages"),
    ):
        arguments = {
            "members": [carrier.member(node)],
            "ca_certificate_content": carrier.ca.pem,
            "key_custody": "node",
            "requests": {"etcd-1": node.request(**asked)["request_pem"]},
            **{name: value for name, value in options.items() if value is not None},
        }
        for check_mode in (True, False) if signer == "files" else (False,):
            answer = run_module("etcd_peer_certificates", arguments, check_mode=check_mode)
            assert answer["failed"] and f"member etcd-1: its request asks for {says} than" in answer["msg"]
    assert carrier.listed() == [] and not (carrier.ca.folder / "asked").exists()


def test_one_that_ends_after_its_ca(tmp_path: pathlib.Path, open_folder: pathlib.Path) -> None:
    carrier = Carrier(tmp_path, open_folder)
    carrier.ca = OfflineCa(tmp_path / "short-lived-ca", days=100)
    carrier.ask()
    carrier.sign("etcd-1", words=["-days", "200"])
    carrier.sign("etcd-2", words=["-days", "99"])
    (unsigned,) = carrier.ask()["unsigned"]
    assert unsigned["name"] == "etcd-1" and ", after its CA, " in unsigned["why"]


def test_input(carrier: Carrier, tmp_path: pathlib.Path) -> None:
    node = carrier.nodes[0]
    good = {
        "members": [carrier.member(node)],
        "ca_certificate_content": carrier.ca.pem,
        "key_custody": "node",
        "requests_directory": str(carrier.requests),
    }
    client = {"name": "backup", "purpose": "client", "common_name": "backup"}
    for more, says in (
        ({"key_custody": "ca"}, "whose requests another CA signs: set key_custody: node"),
        ({"ca_private_key_path": str(tmp_path / "k")}, "for a CA whose key is not here: leave ca_private_key_path out"),
        ({"ca_private_key_content": "a key of a CA"}, "leave ca_private_key_content out"),
        ({"ca_directory": str(tmp_path)}, "leave ca_directory out"),
        ({"members": [client]}, "client backup: requests_directory is for members' certificates alone"),
        ({}, "etcd-1 needs a new key, and no request of that member came"),
    ):
        answer = run_module("etcd_peer_certificates", {**good, **more}, no_log="ca_private_key_content" in more)
        assert answer["failed"] and says in answer["msg"], answer["msg"]
    carrier.requests.parent.mkdir()
    carrier.requests.write_text("a file")
    answer = carrier.ask()
    assert answer["failed"] and str(carrier.requests) in answer["msg"]


def test_a_file_that_leads_elsewhere_is_not_written(carrier: Carrier, tmp_path: pathlib.Path) -> None:
    carrier.requests.mkdir(parents=True)
    (carrier.requests / "etcd-1.csr").symlink_to(tmp_path / "elsewhere")
    answer = carrier.ask()
    assert answer["failed"] and "is a symbolic link" in answer["msg"] and not (tmp_path / "elsewhere").exists()


def test_the_names_of_a_request_are_those_of_the_certificate(carrier: Carrier) -> None:
    carrier.ask()
    request = x509.load_pem_x509_csr((carrier.requests / "etcd-1.csr").read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names][:1] == ["etcd-1"] and request.is_signature_valid


# A command as signer

SIGNER = """\
set -e
folder="$1"
env | grep -E '^RINGFENCE_(.*NAMES?|.*ADDRESSES|.*USAGE|VALIDITY.*)=' | sort >> "$folder/asked"
cat > "$folder/request.csr"
openssl ca -config "$folder/ca.cnf" -batch -notext -in "$folder/request.csr" -days "$RINGFENCE_VALIDITY_DAYS"
cat "$folder/ca.crt"
"""


def command(carrier: Carrier, script: str = SIGNER, **more: t.Any) -> Answer:
    """The options for a program of the user's; its words hold what a shell would act on."""
    path = carrier.ca.folder / "signer"
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return {
        "requests_directory": None,
        "signer_command": [str(path), str(carrier.ca.folder), "$(touch /tmp/x); a'b"],
        **more,
    }


def test_a_command_signs(carrier: Carrier) -> None:
    asked = carrier.ca.folder / "asked"
    options = command(carrier)
    predicted = carrier.ask(check_mode=True, **options)
    assert predicted["changed"] and predicted["members"][0]["issued"] and not asked.exists()
    answer = carrier.ask(**options)
    assert "failed" not in answer, answer["msg"]
    assert answer["changed"] and answer["diff"] == predicted["diff"] and "unsigned" not in answer
    assert asked.read_text().splitlines()[:7] == [
        "RINGFENCE_COMMON_NAME=etcd-1.example.com",
        "RINGFENCE_DNS_NAMES=etcd-1",
        "RINGFENCE_EXTENDED_KEY_USAGE=clientAuth,serverAuth",
        "RINGFENCE_IP_ADDRESSES=127.0.0.1",
        "RINGFENCE_KEY_USAGE=digitalSignature",
        "RINGFENCE_NAME=etcd-1",
        "RINGFENCE_VALIDITY_DAYS=365",
    ]
    assert all(one["certificate"].count("BEGIN CERTIFICATE") == 1 for one in answer["members"])
    carrier.deploy(answer)
    # Nothing is due, and nobody is asked.
    asked.unlink()
    assert not carrier.ask(**options)["changed"] and not asked.exists()


FAILING: dict[str, tuple[str, str]] = {
    "it fails": ("echo no such provisioner >&2; exit 3", "for member etcd-1, ended with 3: no such provisioner"),
    "it fails in silence": ("exit 1", "ended with 1: it said nothing"),
    "it prints nothing": ("echo gone >&2", "printed no certificate: gone"),
    "it says its secrets": ('echo "$2 $VAULT_TOKEN" >&2; exit 1', "ended with 1: *** ***"),
    "it says a key": ('cat "$1/ca.key" >&2; exit 1', "what it said holds a private key, and is not shown"),
    "it prints the key": ('cat "$1/ca.key"', "for member etcd-1 holds a private key"),
    "it prints rubbish": ("echo rubbish", "for member etcd-1 is no PEM certificate"),
    "it gives the CA's": ('cat "$1/ca.crt"', "is for another key than the request"),
    "it is slow": ("exec sleep 60", "did not end within 1 seconds"),
    "it signs for too long": (f"RINGFENCE_VALIDITY_DAYS=900\n{SIGNER}", "it is valid for 900 days, 365 at most"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_command_that_gives_no_certificate(case: str, carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    script, says = FAILING[case]
    monkeypatch.setenv("VAULT_TOKEN", "hvs.sesame")
    answer = carrier.ask(**command(carrier, script, signer_timeout_seconds=1 if case == "it is slow" else 60))
    assert answer["failed"] and says in answer["msg"] and "\n" not in answer["msg"], answer["msg"]
    assert "sesame" not in answer["msg"] and "$(touch" not in answer["msg"] and str(carrier.ca.folder) in answer["msg"]


def test_a_command_that_can_not_be_called(carrier: Carrier) -> None:
    for more, says in (
        ({"signer_command": ["/nowhere/signer"]}, "/nowhere/signer, for member etcd-1, can't be started (No such file"),
        ({"signer_command": [" "]}, "the first word is no program"),
        ({"signer_timeout_seconds": 0}, "signer_timeout_seconds is 0"),
        ({"requests_directory": "/srv/requests"}, "two ways to the same CA"),
    ):
        node = carrier.nodes[0]
        arguments = {
            "members": [carrier.member(node)],
            "ca_certificate_content": carrier.ca.pem,
            "key_custody": "node",
            "requests": {"etcd-1": node.request(**names_of(carrier.member(node)))["request_pem"]},
            **command(carrier),
            **more,
        }
        given = {key: value for key, value in arguments.items() if value is not None}
        answer = run_module("etcd_peer_certificates", given)
        assert answer["failed"] and says in answer["msg"], answer["msg"]
