# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_peer_certificates: issues where there is a reason and nowhere else; keys are neither lost nor shown."""

from __future__ import annotations

import os
import typing as t
from datetime import datetime
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import peer_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.request import request_from, run
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    certificate_facts,
    load_certificate,
    not_before,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

NOW, DAY = factory.NOW, factory.DAY
GOOD = factory.authority()
OTHER = factory.authority(number=1)
PASSPHRASE = "correct horse battery"
DEFAULTS: dict[str, t.Any] = {
    "ca_directory": None,
    "ca_certificate_path": None,
    "ca_certificate_content": GOOD.pem.decode(),
    "ca_private_key_path": None,
    "ca_private_key_content": GOOD.key_pem.decode(),
    "ca_private_key_passphrase": None,
    "ca_pending": False,
    "decide_only": False,
    "directory": None,
    "owner": None,
    "group": None,
    "key_type": "ecdsa-p256",
    "validity_days": 365,
    "renew_before_days": 30,
    "backdate_minutes": 60,
    "new_keys": False,
    "key_custody": "ca",
    "requests": None,
    "requests_directory": None,
    "signer_command": [],
    "signer_timeout_seconds": 60,
}


def member(name: str = "etcd-1", **changes: t.Any) -> dict[str, t.Any]:
    """A member as the module gets it, with the profile of certificate_factory."""
    return {
        "name": name,
        "purpose": "peer",
        "common_name": f"{name}.example.com",
        "dns_names": [f"{name}.example.com", "localhost"],
        "ip_addresses": ["10.0.0.1", "127.0.0.1", "::1"],
        "certificate": None,
        "private_key_matches": None,
        "new_key": False,
        **changes,
    }


def issue(
    members: list[dict[str, t.Any]],
    check_mode: bool = False,
    hidden: bool = True,
    now: datetime = NOW,
    **changes: t.Any,
) -> dict[str, t.Any]:
    result, warnings = run({**DEFAULTS, "members": members, **changes}, now, check_mode, hidden, with_diff=True)
    return {**result, "warnings": warnings}


def spki(certificate: t.Any) -> bytes:
    return keys.public_key_bytes(certificate.public_key())


def codes(answer: dict[str, t.Any], index: int = 0) -> list[str]:
    return [reason["code"] for reason in answer["members"][index]["reasons"]]


def present(pem: bytes, matches: bool | None = True, **changes: t.Any) -> dict[str, t.Any]:
    return member(certificate=pem.decode(), private_key_matches=matches, **changes)


PEM = factory.member_pem(GOOD)


def test_good_certificate_is_left_alone_and_needs_no_key() -> None:
    answer = issue([present(PEM)], ca_private_key_content=None)
    assert not answer["changed"] and codes(answer) == []
    (found,) = answer["members"]
    assert found["certificate"] == PEM.decode() and not found["issued"] and "private_key" not in found
    assert answer["diff"]["before"] == answer["diff"]["after"] == {"folders": {}, "members": {}}


REASONS: list[tuple[str, dict[str, t.Any], dict[str, t.Any], list[str], bool]] = [
    ("missing", member(), {}, ["missing"], True),
    ("empty text", member(certificate=""), {}, ["missing"], True),
    ("unreadable", member(certificate="rubbish", private_key_matches=True), {}, ["unreadable"], True),
    ("CA of the same name", present(factory.member_pem(OTHER)), {}, ["other_ca", "profile"], False),
    ("common name", present(PEM, common_name="b"), {}, ["common_name"], False),
    ("names", present(PEM, ip_addresses=["10.0.0.2"]), {}, ["subject_alternative_names"], False),
    ("key type", present(PEM), {"key_type": "ed25519"}, ["key_type"], True),
    (
        "expired",
        present(factory.member_pem(GOOD, not_after=NOW - DAY / 2, not_before=NOW - DAY)),
        {},
        ["expired"],
        False,
    ),
    ("expires soon", present(factory.member_pem(GOOD, not_after=NOW + 29 * DAY)), {}, ["expires_soon"], False),
    ("not yet valid", present(factory.member_pem(GOOD, not_before=NOW + DAY)), {}, ["not_yet_valid"], False),
    ("no key", present(PEM, None), {}, ["private_key_missing"], True),
    ("another key", present(PEM, False), {}, ["private_key_mismatch"], True),
    ("new key for one", present(PEM, new_key=True), {}, ["new_key_requested"], True),
    ("new keys for all", present(PEM), {"new_keys": True}, ["new_key_requested"], True),
    ("the CA itself", present(GOOD.pem), {}, ["common_name", "subject_alternative_names", "key_usage"], False),
]


@pytest.mark.parametrize(
    ("given", "options", "wanted", "new_key"), [r[1:] for r in REASONS], ids=[r[0] for r in REASONS]
)
def test_each_reason_issues_once(
    given: dict[str, t.Any], options: dict[str, t.Any], wanted: list[str], new_key: bool
) -> None:
    check = issue([given], check_mode=True, ca_private_key_content=None, **options)
    answer = issue([given], **options)
    assert codes(answer)[: len(wanted)] == wanted and answer["changed"]
    assert check["members"][0]["reasons"] == answer["members"][0]["reasons"]
    assert check["diff"] == answer["diff"] and check["changed"]
    assert check["members"][0]["certificate"] is None and "private_key" not in check["members"][0]

    (issued,) = answer["members"]
    assert issued["issued"] and issued["new_key"] is new_key and ("private_key" in issued) is new_key
    certificate = load_certificate(issued["certificate"].encode(), "it")
    public_key = spki(certificate)
    if new_key:
        key = keys.load_private_key(issued["private_key"].encode(), "it")
        assert keys.public_key_bytes(key.public_key()) == public_key
    else:
        before = load_certificate(given["certificate"].encode(), "it")
        assert spki(before) == public_key, "a renewal keeps the key"
    assert issued["fingerprint"] == certificates.fingerprint(certificate)
    assert issued["serial_number"] == serial_hex(certificate.serial_number)
    assert issued["days_left"] == 365

    again = issue(
        [{**given, "certificate": issued["certificate"], "private_key_matches": True, "new_key": False}],
        **{**options, "new_keys": False},
    )
    assert not again["changed"], again["members"][0]["reasons"]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(factory.member_pem(GOOD, factory.profile("etcd-3")), id="another member's"),
        pytest.param(factory.member_pem(OTHER, factory.profile("etcd-3")), id="one of its own making"),
        pytest.param(GOOD.pem, id="the CA's"),
    ],
)
def test_whatever_certificate_a_node_shows_it_gets_its_own_names_alone(shown: bytes) -> None:
    """A renewal signs the public key that the node shows: for the names that the member has, and for no others."""
    (made,) = issue([present(shown)])["members"]
    facts = certificate_facts(made["certificate"].encode(), "it")
    assert facts.common_names == ("etcd-1.example.com",) and not facts.is_ca and facts.other_names == ()
    assert set(facts.dns_names) == {"etcd-1.example.com", "localhost"}
    assert set(facts.ip_addresses) == {"10.0.0.1", "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"dns_names": ["etcd-2.example.com"]}, "etcd-2.example.com"),
        ({"dns_names": ["ETCD-2"]}, "etcd-2"),
        ({"ip_addresses": ["10.0.0.2"]}, "10.0.0.2"),
    ],
)
def test_no_certificate_is_issued_for_another_members_name(changes: dict[str, t.Any], name: str) -> None:
    others = [member("etcd-2", ip_addresses=["10.0.0.2"]), member("etcd-3", ip_addresses=["10.0.0.3"])]
    with pytest.raises(RingfenceError) as caught:
        issue([member(**changes), *others])
    assert str(caught.value) == (
        f"member etcd-1: dns_names and ip_addresses have {name}, which is member etcd-2's: a certificate never carries "
        "another member's name or address"
    )


def test_only_who_is_due_is_issued() -> None:
    second = factory.member_pem(GOOD, factory.profile("etcd-2"))
    members = [member(), member("etcd-2", certificate=second.decode(), private_key_matches=True), member("etcd-3")]
    answer = issue(members)
    assert [found["issued"] for found in answer["members"]] == [True, False, True]
    assert [found["name"] for found in answer["members"]] == ["etcd-1", "etcd-2", "etcd-3"]
    assert set(answer["diff"]["after"]["members"]) == {"etcd-1", "etcd-3"}
    private_keys = [found["private_key"] for found in answer["members"] if found["issued"]]
    assert len(set(private_keys)) == 2


def test_certificates_end_with_their_ca_and_are_not_issued_again() -> None:
    ca = factory.authority(not_after=NOW + 10 * DAY)
    options: dict[str, t.Any] = {
        "ca_certificate_content": ca.pem.decode(),
        "ca_private_key_content": ca.key_pem.decode(),
    }
    answer = issue([member()], **options)
    (issued,) = answer["members"]
    assert issued["days_left"] == 10
    assert "itself ends at" in answer["warnings"][0] and "etcd-1" in answer["warnings"][0]
    again = issue([member(certificate=issued["certificate"], private_key_matches=True)], **options)
    assert not again["changed"] and len(again["warnings"]) == 1


def test_backdating_stops_at_the_ca() -> None:
    ca = factory.authority(not_before=NOW - DAY / 288)
    answer = issue([member()], ca_certificate_content=ca.pem.decode(), ca_private_key_content=ca.key_pem.decode())
    issued = load_certificate(answer["members"][0]["certificate"].encode(), "it")
    assert not_before(issued) == not_before(ca.certificate)


def test_pending_ca_in_check_mode() -> None:
    options: dict[str, t.Any] = {"ca_certificate_content": None, "ca_private_key_content": None, "ca_pending": True}
    answer = issue([member(), present(PEM, name="etcd-2")], check_mode=True, **options)
    assert [codes(answer, index) for index in (0, 1)] == [["missing"], ["other_ca"]]
    assert answer["changed"] and not any(found["certificate"] for found in answer["members"])


def test_deciding_alone_shows_reasons_and_needs_neither_key_nor_no_log() -> None:
    answer = issue([member()], hidden=False, decide_only=True, ca_private_key_content=None)
    assert answer["changed"] is False and answer["warnings"] == []
    assert answer["members"][0]["issued"] and answer["members"][0]["new_key"]
    assert codes(answer) == ["missing"]
    assert answer["members"][0]["certificate"] is None and "PRIVATE KEY" not in str(answer)


def test_private_keys_need_a_hidden_result() -> None:
    with pytest.raises(RingfenceError, match=r"nothing was issued.*etcd-1.*no_log"):
        issue([member()], hidden=False)
    assert "a real run would be refused" in issue([member()], hidden=False, check_mode=True)["warnings"][0]
    # A renewal returns no key, so it may be seen.
    assert issue([present(factory.member_pem(GOOD, not_after=NOW + DAY))], hidden=False)["changed"]


EXPIRED = factory.authority(not_before=NOW - 10 * DAY, not_after=NOW - DAY)
LATER = factory.authority(not_before=NOW + DAY, not_after=NOW + 10 * DAY)
FOREIGN = certificate_maker.issue("etcd peer CA", key=ec.generate_private_key(ec.SECP521R1()), is_ca=True)
ENCRYPTED = keys.private_key_pem(GOOD.key, PASSPHRASE).decode()
CA, KEY, PHRASE = "ca_certificate_content", "ca_private_key_content", "ca_private_key_passphrase"
REFUSALS: list[tuple[str, dict[str, t.Any], str]] = [
    ("no CA given", {CA: None}, "set ca_certificate_path or ca_certificate_content"),
    ("no such CA file", {CA: None, "ca_certificate_path": "/no/such/ca.crt"}, "no CA certificate /no/such/ca.crt"),
    ("empty CA", {CA: ""}, "ca_certificate_content is empty"),
    ("broken CA", {CA: GOOD.pem.decode().replace("M", "!")}, "ca_certificate_content is"),
    ("no CA certificate", {CA: factory.not_a_ca_pem(GOOD.key).decode()}, "is not a CA certificate"),
    ("expired CA", {CA: EXPIRED.pem.decode()}, "it expired at"),
    ("CA of tomorrow", {CA: LATER.pem.decode()}, "it is valid only from"),
    ("CA with a key of another type", {CA: FOREIGN.pem}, "has a key of type ecdsa-secp521r1: use one of ecdsa-p256"),
    ("bundle", {CA: (GOOD.pem + OTHER.pem).decode()}, "holds certificates of different CAs"),
    ("no key", {KEY: None}, "certificates are due (etcd-1: missing): give the CA's private key"),
    ("no such key file", {KEY: None, "ca_private_key_path": "/no/such/ca.key"}, "no CA private key /no/such/ca.key"),
    ("another CA's key", {KEY: OTHER.key_pem.decode()}, "is not the key of the CA certificate"),
    ("empty key", {KEY: ""}, "ca_private_key_content is empty"),
    ("no passphrase", {KEY: ENCRYPTED}, "give its passphrase with ca_private_key_passphrase"),
    ("wrong passphrase", {KEY: ENCRYPTED, PHRASE: "wrong"}, "the passphrase in ca_private_key_passphrase is wrong"),
    ("needless passphrase", {PHRASE: PASSPHRASE}, "leave ca_private_key_passphrase out"),
    ("pending", {"ca_pending": True}, "for check mode only"),
    ("no members", {"members": []}, "members is empty"),
    ("one name twice", {"members": [member(), member()]}, "two members have the name etcd-1"),
    ("the CA's name", {"members": [member(common_name="etcd peer CA")]}, "is the CA's own"),
    ("no names", {"members": [member(dns_names=[], ip_addresses=[])]}, "member etcd-1 has neither"),
    ("window", {"validity_days": 30}, "must be more than renew_before_days"),
    ("owner alone", {"owner": "root"}, "owner and group are for the files in directory"),
]


@pytest.mark.parametrize(("changes", "part"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_refusal_is_one_line_without_a_secret(changes: dict[str, t.Any], part: str) -> None:
    options = dict(changes)
    members = options.pop("members", [member()])
    with pytest.raises(RingfenceError) as caught:
        issue(members, **options)
    line = str(caught.value)
    assert part in line and "\n" not in line and PASSPHRASE not in line and "PRIVATE KEY-----" not in line


def test_nothing_is_issued_without_an_issuer() -> None:
    wanted = peer_certificates.plan_issue(
        request_from({**DEFAULTS, "members": [member()]}), peer_certificates.load_authority(GOOD.pem, "it", NOW), NOW
    )
    with pytest.raises(
        RingfenceError, match=r"certificates are due .etcd-1: missing., but the CA's private key was not"
    ):
        peer_certificates.apply_issue(wanted, None)


def test_encrypted_ca_key_opens_with_its_passphrase() -> None:
    assert issue([member()], ca_private_key_content=ENCRYPTED, ca_private_key_passphrase=PASSPHRASE)["changed"]


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o7777:04o}" for path in folder.iterdir() if path.name != ".lock"}


def test_directory_check_run_check_run(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    args = {
        "members": [
            {"name": f"etcd-{n}", "common_name": f"etcd-{n}", "ip_addresses": [f"fd00::{n}"]} for n in (1, 2, 3)
        ],
        "ca_certificate_content": GOOD.pem.decode(),
        "ca_private_key_content": GOOD.key_pem.decode(),
        "directory": str(folder),
    }
    answers = []
    for check_mode in (True, False, True, False):
        before = sorted(tmp_path.rglob("*"))
        answers.append(run_module("etcd_peer_certificates", args, check_mode=check_mode))
        assert not check_mode or sorted(tmp_path.rglob("*")) == before
    assert [answer["changed"] for answer in answers] == [True, True, False, False]
    assert set(answers[0]["diff"]["after"]["folders"]) == {str(tmp_path / "not"), str(folder)}
    assert answers[0]["diff"]["before"] == answers[1]["diff"]["before"]
    assert answers[0]["diff"]["after"]["folders"] == answers[1]["diff"]["after"]["folders"]
    assert modes(folder) == {
        f"etcd-{n}.{end}": mode for n in (1, 2, 3) for end, mode in (("crt", "0644"), ("key", "0600"))
    }
    assert "PRIVATE KEY" not in str(answers)
    assert [answer["_stderr"] for answer in answers] == [""] * 4
    assert answers[3]["members"][0]["certificate"] == (folder / "etcd-1.crt").read_text()


def test_directory_renewal_keeps_the_key_file(tmp_path: Path) -> None:
    issue([member()], directory=str(tmp_path))
    key = (tmp_path / "etcd-1.key").read_bytes()
    answer = issue([member(ip_addresses=["10.0.0.7"])], directory=str(tmp_path))
    assert codes(answer) == ["subject_alternative_names"] and not answer["members"][0]["new_key"]
    assert (tmp_path / "etcd-1.key").read_bytes() == key
    assert list(answer["diff"]["after"]["members"]["etcd-1"]["files"]) == [str(tmp_path / "etcd-1.crt")]


@pytest.mark.parametrize(
    "content, code",
    [
        (None, "private_key_missing"),
        (keys.private_key_pem(OTHER.key), "private_key_mismatch"),
        (b"", "private_key_mismatch"),
        (b"rubbish", "private_key_mismatch"),
        (keys.private_key_pem(OTHER.key, PASSPHRASE), "private_key_mismatch"),
    ],
)
def test_directory_key_is_replaced_and_kept(content: bytes | None, code: str, tmp_path: Path) -> None:
    issue([member()], directory=str(tmp_path))
    path = tmp_path / "etcd-1.key"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    answer = issue([member()], directory=str(tmp_path))
    assert codes(answer) == [code]
    kept = tmp_path / "etcd-1.key.replaced"
    assert (kept.read_bytes() if kept.exists() else None) == content
    assert not issue([member()], directory=str(tmp_path))["changed"]


def test_directory_drift_is_repaired_and_issues_nothing(tmp_path: Path) -> None:
    issue([member(), member("etcd-2")], directory=str(tmp_path))
    contents = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "etcd-1.key").chmod(0o644)
    answer = issue([member(), member("etcd-2")], directory=str(tmp_path), ca_private_key_content=None)
    assert answer["changed"] and not any(found["issued"] for found in answer["members"])
    assert list(answer["diff"]["after"]["members"]) == ["etcd-1"]
    assert modes(tmp_path)["etcd-1.key"] == "0600"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_directory_keeps_the_mode_of_a_present_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    issue([member()], directory=str(tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "members, part",
    [
        ([member("ca")], "would share ca.crt and ca.key with the CA"),
        ([present(PEM)], "can't be given together with directory"),
    ],
)
def test_directory_refusals(members: list[dict[str, t.Any]], part: str, tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match=part):
        issue(members, directory=str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_key_that_does_not_fit_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match="is not the key of the CA"):
        issue([member()], directory=str(tmp_path / "new"), ca_private_key_content=OTHER.key_pem.decode())
    assert not (tmp_path / "new").exists()


def test_killed_between_key_and_certificate_the_next_run_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue([member()], directory=str(tmp_path))
    rename = os.rename
    done: list[str] = []

    class Killed(BaseException):
        pass

    def dying(source: str, target: str, **folders: int) -> None:
        if done:
            raise Killed
        # The replaced key is kept by a rename, too.
        if not target.endswith(".replaced"):
            done.append(target)
        rename(source, target, **folders)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", dying)
        with pytest.raises(Killed):
            issue([member(new_key=True)], directory=str(tmp_path))
    answer = issue([member()], directory=str(tmp_path))
    assert codes(answer) == ["private_key_mismatch"]
    assert not issue([member()], directory=str(tmp_path))["changed"]


def client(name: str = "backup@etcd-1", **changes: t.Any) -> dict[str, t.Any]:
    return member(
        name, **{"purpose": "client", "common_name": "backup", "dns_names": [], "ip_addresses": [], **changes}
    )


def test_a_client_is_no_server_and_needs_no_names() -> None:
    result = issue([client()])
    (made,) = result["members"]
    facts = certificate_facts(made["certificate"].encode(), "it")
    assert (facts.common_names, facts.extended_key_usage) == (("backup",), ("clientAuth",))
    assert (facts.dns_names, facts.ip_addresses) == ((), ())
    assert result["diff"]["after"]["members"]["backup@etcd-1"]["certificate"]["extended_key_usage"] == ["clientAuth"]
    again = issue([client(certificate=made["certificate"], private_key_matches=True)])
    assert not again["changed"] and again["members"][0]["reasons"] == []


def test_a_members_certificate_is_no_clients_and_the_other_way_round() -> None:
    as_member, as_client = (issue([one])["members"][0] for one in (member(), client()))
    for asked, has in ((client(), as_member), (member(), as_client)):
        (decided,) = issue([{**asked, "certificate": has["certificate"], "private_key_matches": True}])["members"]
        assert "extended_key_usage" in [reason["code"] for reason in decided["reasons"]]
        assert decided["issued"] and not decided["new_key"]


@pytest.mark.parametrize("places", [{}, {"dns_names": ["app.example.com"], "ip_addresses": ["10.0.0.9"]}])
def test_a_client_of_the_gateway_has_an_empty_subject(places: dict[str, t.Any]) -> None:
    """Names beside an empty subject are critical (RFC 5280, 4.1.2.6); another run finds nothing to do."""
    nameless, named = {"common_name": "", **places}, {"common_name": "backup", **places}
    (made,) = issue([client(**nameless)])["members"]
    found = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert found.subject == x509.Name([]) and made["common_name"] == ""
    kinds = {one.oid: one.critical for one in found.extensions}
    assert kinds.get(x509.SubjectAlternativeName.oid) == (True if places else None)
    as_it_is = {"certificate": made["certificate"], "private_key_matches": True}
    assert not issue([client(**nameless, **as_it_is)])["changed"]
    # From there to a name and back, with the same key.
    for asked, has in ((named, nameless), (nameless, named)):
        (present,) = issue([client(**has)])["members"]
        held = {"certificate": present["certificate"], "private_key_matches": True}
        (decided,) = issue([client(**asked, **held)])["members"]
        assert "common_name" in [reason["code"] for reason in decided["reasons"]] and not decided["new_key"]


def test_a_member_has_a_common_name() -> None:
    with pytest.raises(RingfenceError, match="common name"):
        issue([member(common_name="")])


def test_clients_on_several_hosts_share_a_name_and_may_be_where_a_member_is() -> None:
    clients = [client(), client("backup@etcd-2", ip_addresses=["10.0.0.1"])]
    result = issue([member(), *clients])
    assert [one["common_name"] for one in result["members"]] == ["etcd-1.example.com", "backup", "backup"]
    assert len({one["serial_number"] for one in result["members"]}) == 3


@pytest.mark.parametrize(
    "given, part",
    [
        (client("backup@etcd/1"), "behind the @ the name of an inventory host is wanted"),
        (client("backup@"), "behind the @ the name of an inventory host is wanted"),
        (client("@etcd-1"), "can't be a file's name"),
        (client("ca@etcd-1"), "would share ca.crt and ca.key with the CA"),
        (client(common_name="two,names"), "client backup@etcd-1: common name 'two,names' has a comma"),
        (client(common_name=factory.CA_NAME), "client backup@etcd-1: common name .* is the CA's own"),
        (client(dns_names=["*.example.com"]), "no DNS name"),
        (member("backup@etcd-1"), "can't be a file's name"),
    ],
)
def test_what_a_client_may_not_be_called(given: dict[str, t.Any], part: str) -> None:
    with pytest.raises(RingfenceError, match=part):
        issue([given])


def test_module_hides_and_refuses() -> None:
    args = {
        "members": [{"name": "a", "common_name": "a", "ip_addresses": ["10.0.0.1"]}],
        "ca_certificate_content": GOOD.pem.decode(),
        "ca_private_key_content": ENCRYPTED,
        "ca_private_key_passphrase": PASSPHRASE,
    }
    refused = run_module("etcd_peer_certificates", args)
    assert refused["failed"] and refused["problem"] == "refused" and "no_log" in refused["msg"]
    answer = run_module("etcd_peer_certificates", args, no_log=True)
    assert answer["changed"] and answer["members"][0]["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    for found in (refused, answer):
        assert PASSPHRASE not in str(found) and ENCRYPTED.splitlines()[1] not in str(found)
        assert found["_stderr"] == ""


@pytest.mark.parametrize("more", [{}, {"decide_only": True}, {"check_mode": True}])
def test_without_diff_there_is_none(more: dict[str, bool]) -> None:
    """All ways out of the module; the rest of the answer is the same."""
    args = {
        "members": [{"name": "etcd-1", "common_name": "etcd-1.example.com", "ip_addresses": ["10.0.0.1"]}],
        "ca_certificate_content": GOOD.pem.decode(),
        "ca_private_key_content": GOOD.key_pem.decode(),
        **{option: value for option, value in more.items() if option != "check_mode"},
    }
    check_mode = more.get("check_mode", False)
    with_diff, without = (
        run_module("etcd_peer_certificates", args, check_mode=check_mode, no_log=True, diff=diff)
        for diff in (True, False)
    )
    assert set(with_diff) - set(without) == {"diff"} and set(without) < set(with_diff)
    assert without["members"][0]["issued"]


def test_module_warns_of_a_ca_that_ends_first() -> None:
    # Half a day off the border, on which it would depend on the machine whether a second has passed since NOW.
    short = factory.authority(not_after=NOW + 39.5 * DAY)
    args = {
        "members": [{"name": "a", "common_name": "a", "ip_addresses": ["10.0.0.1"]}],
        "ca_certificate_content": short.pem.decode(),
        "ca_private_key_content": short.key_pem.decode(),
    }
    answer = run_module("etcd_peer_certificates", args, check_mode=True)
    assert answer["changed"] and "in 39 days; the certificates of a can't last longer" in str(answer["warnings"])


def test_a_key_among_the_certificates_is_not_shown() -> None:
    """Not by the line, and not among the options that the module was called with."""
    args = {
        "members": [{"name": "a", "common_name": "a", "ip_addresses": ["10.0.0.1"]}],
        "ca_certificate_content": (GOOD.pem + GOOD.key_pem).decode(),
        "decide_only": True,
    }
    answer = run_module("etcd_peer_certificates", args)
    assert answer["failed"] and "holds a private key" in answer["msg"]
    assert not any(line.decode() in str(answer) for line in GOOD.key_pem.splitlines()[1:-1])


def test_a_chain_issues_by_its_first_and_holds_names_against_all() -> None:
    root = maker.authority("root")
    issuing = maker.authority("issuing", root)
    for bundle in (issuing.pem + root.pem, root.pem + issuing.pem):
        answer = issue([member()], ca_certificate_content=bundle, ca_private_key_content=issuing.key_pem)
        certificate = x509.load_pem_x509_certificate(answer["members"][0]["certificate"].encode())
        assert certificate.issuer == issuing.certificate.subject
        again = issue([present(answer["members"][0]["certificate"].encode())], ca_certificate_content=bundle)
        assert not again["changed"]
    permitted = x509.NameConstraints([x509.DNSName("example.com")], None)
    narrow = maker.authority("narrow", constraints=permitted)
    below = maker.authority("below", narrow)
    for pem, key in ((narrow.pem, narrow.key_pem), (below.pem + narrow.pem, below.key_pem)):
        with pytest.raises(RingfenceError, match="etcd_peer_tls_loopback_sans: false"):
            issue([member()], ca_certificate_content=pem, ca_private_key_content=key)
        names = {"dns_names": ["etcd-1.example.com"], "ip_addresses": ["10.0.0.1"]}
        assert issue([member(**names)], ca_certificate_content=pem, ca_private_key_content=key)["changed"]
