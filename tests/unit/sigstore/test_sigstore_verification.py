"""Signed statements: what holds, and each way in which one does not, in its own words."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from casemate.sigstore import (
    Attestation,
    AttestationError,
    TrustedRoot,
    Verified,
    of_attestation,
    public_good,
    read_bundle,
    read_root,
    verified,
)
from support.sigstore_keys import (
    GITHUB,
    LOGGED,
    Made,
    OwnSigstore,
    github,
    inclusion,
    new_key,
    signature,
    statement,
    text,
)

OWN = OwnSigstore()
ROOT = read_root(OWN.trusted_root(), "trusted.json")
PAYLOAD = statement("six-1.0-py3-none-any.whl", "a" * 64)
WHO = github("owner/six")
Change = Callable[[Made], None]


def made(own: OwnSigstore = OWN, identity: dict[int, str] = WHO, **wrong: Any) -> Made:
    return own.made(PAYLOAD, identity, **wrong)


def check(one: Made, root: TrustedRoot = ROOT) -> Verified:
    read = msgspec.json.decode(json.dumps(one.attestation()), type=Attestation)
    return verified(of_attestation(read), root)


def refused(one: Made, words: str, root: TrustedRoot = ROOT) -> None:
    with pytest.raises(AttestationError, match=words):
        check(one, root)


def test_a_statement_that_holds() -> None:
    found = check(made())
    assert found.identity == ("GitHub", "owner/six", "publish.yml")
    assert (found.payload, found.logged) == (PAYLOAD, LOGGED)


def test_the_same_as_a_bundle() -> None:
    assert verified(read_bundle(made().bundle()), ROOT).identity[1] == "owner/six"


@pytest.mark.parametrize("size", range(1, 10))
def test_entries_at_each_place_of_logs_of_each_size(size: int) -> None:
    leaves = [bytes([number]) for number in range(size - 1)]
    for place in range(size):
        own = copy.copy(OWN)
        own.leaves, own.place = leaves, place
        assert check(made(own)).logged == LOGGED


def changed_payload(one: Made) -> None:
    one.payload = statement("six-1.0-py3-none-any.whl", "b" * 64)


def changed_time(one: Made) -> None:
    one.entry["integratedTime"] = str(int(LOGGED.timestamp()) + 1)


def without_promise(one: Made) -> None:
    del one.entry["inclusionPromise"]


def other_log(one: Made) -> None:
    one.entry["logId"]["keyId"] = text(b"x" * 32)


def other_promise(one: Made) -> None:
    one.entry["inclusionPromise"]["signedEntryTimestamp"] = text(signature(new_key(), b"x"))


def proof_of(one: Made) -> dict[str, Any]:
    proof: dict[str, Any] = one.entry["inclusionProof"]
    return proof


def without_head(one: Made) -> None:
    del proof_of(one)["checkpoint"]


def without_proof(one: Made) -> None:
    del one.entry["inclusionProof"]


def unsigned_head(one: Made) -> None:
    head = proof_of(one)["checkpoint"]
    head["envelope"] = head["envelope"].partition("\n\n")[0] + "\n\n"


def head_of_another(one: Made) -> None:
    other = OwnSigstore()
    proof_of(one)["checkpoint"]["envelope"] = other.checkpoint(6, b"r" * 32)


def head_of_another_tree(one: Made) -> None:
    proof_of(one)["checkpoint"]["envelope"] = OWN.checkpoint(6, b"r" * 32)


def head_changed(one: Made) -> None:
    head = proof_of(one)["checkpoint"]
    head["envelope"] = head["envelope"].replace("\n6\n", "\n7\n")


def cut(one: Made) -> None:
    del proof_of(one)["hashes"][-1]


def all_cut(one: Made) -> None:
    proof_of(one)["hashes"] = []


def longer(one: Made) -> None:
    proof_of(one)["hashes"] += [text(b"h" * 32)]


def endless(one: Made) -> None:
    proof_of(one)["hashes"] = [text(b"h" * 32)] * 65


def other_hash(one: Made) -> None:
    proof_of(one)["hashes"][0] = text(b"h" * 32)


def short_hash(one: Made) -> None:
    proof_of(one)["hashes"][0] = text(b"h")


def beyond(one: Made) -> None:
    proof_of(one)["logIndex"] = "6"


def elsewhere(one: Made) -> None:
    proof_of(one)["logIndex"] = "2"


def negative(one: Made) -> None:
    proof_of(one)["logIndex"] = -1


def absurd(one: Made) -> None:
    one.entry["logIndex"] = "9" * 5000


def twice(one: Made) -> None:
    one.certificate += b"\0"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_payload, "Its signature does not hold"),
        (changed_time, "signature of the time of its entry does not hold"),
        (without_promise, "no time that the log signed"),
        (other_promise, "signature of the time of its entry does not hold"),
        (other_log, "no log of the trusted root"),
        (without_proof, "no proof that it is in the log"),
        (without_head, "no signed head"),
        (unsigned_head, "signature of its head does not hold"),
        (head_of_another, "signature of its head does not hold"),
        (head_changed, "signature of its head does not hold"),
        (head_of_another_tree, "of another head than the signed one"),
        (cut, "cut short"),
        (all_cut, "cut short"),
        (longer, "longer than the log is deep"),
        (endless, "more than 64 hashes"),
        (other_hash, "does not lead to the head"),
        (elsewhere, "does not lead to the head"),
        (short_hash, "not in the form of one"),
        (beyond, "not in the form of one"),
        (negative, "A number of its log entry is none"),
        (absurd, "A number of its log entry is none"),
        (twice, "certificate"),
    ],
)
def test_what_was_changed_is_refused(change: Change, words: str) -> None:
    one = made()
    change(one)
    refused(one, words)


def other_kind(body: dict[str, Any]) -> None:
    body["kind"] = "hashedrekord"


def no_signatures(body: dict[str, Any]) -> None:
    body["spec"]["signatures"] = []


def two_signatures(body: dict[str, Any]) -> None:
    body["spec"]["signatures"] *= 2


def other_signature(body: dict[str, Any]) -> None:
    body["spec"]["signatures"][0]["signature"] = text(b"x")


def other_signer(body: dict[str, Any]) -> None:
    issued = x509.load_der_x509_certificate(OWN.certificate(WHO))
    pem = issued.public_bytes(Encoding.PEM)
    body["spec"]["signatures"][0]["verifier"] = text(pem)


def weak_hash(body: dict[str, Any]) -> None:
    body["spec"]["payloadHash"]["algorithm"] = "md5"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_kind, "expected dsse"),
        (no_signatures, "of another signature"),
        (two_signatures, "of another signature"),
        (other_signature, "of another signature"),
        (other_signer, "of another signature"),
        (weak_hash, "of another statement"),
        (lambda body: body.pop("spec"), "not one of a signed statement"),
    ],
)
def test_what_was_logged_is_that_signature(
    change: Callable[[dict[str, Any]], None], words: str
) -> None:
    refused(made(change_body=change), words)


def test_what_was_logged_is_that_statement() -> None:
    refused(made(logged_payload=b"another"), "of another statement")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"start": LOGGED + timedelta(seconds=1)}, "its certificate was valid from"),
        ({"start": LOGGED - timedelta(minutes=11)}, "its certificate was valid from"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "not for signing code"),
        ({"logged": False}, "not said to be in a log"),
        ({"issuer": "somebody"}, "of no authority of the trusted root"),
        ({"by": new_key()}, "not signed by the authority that it names"),
    ],
)
def test_certificates_that_do_not_hold(wrong: dict[str, Any], words: str) -> None:
    refused(made(**wrong), words)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("authority", "authority was not in use"),
        ("ctlog", "certificate was logged when that log was not in use"),
        ("tlog", "when that log was not in use"),
    ],
)
def test_keys_that_were_given_up_hold_until_then(what: str, words: str) -> None:
    before = read_root(OWN.trusted_root(**{what: "2025-12-31T00:00:00Z"}), "trusted.json")
    refused(made(), words, before)
    after = read_root(OWN.trusted_root(**{what: "2026-01-02T00:00:00Z"}), "trusted.json")
    assert check(made(), after).logged == LOGGED


@pytest.mark.parametrize("key", ["issuer_key", "certificate_log", "signature_log"])
def test_another_instance_with_one_key_of_its_own_is_refused(key: str) -> None:
    names = ("root_key", "issuer_key", "certificate_log", "signature_log")
    other = OwnSigstore(**{each: getattr(OWN, each) for each in names if each != key})
    refused(made(other), "trusted root|authority that it names")


def test_an_authority_that_the_root_did_not_make_is_refused() -> None:
    own = copy.copy(OWN)
    own.root = OwnSigstore().root
    root = read_root(own.trusted_root(), "trusted.json")
    refused(made(), "not signed by the authority that it names", root)


def test_another_instance_is_refused() -> None:
    refused(made(OwnSigstore()), "no log of the trusted root")
    refused(made(), "no log of the trusted root", public_good())


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({}, "does not say who signed"),
        ({8: "https://login.example.com"}, "not known here"),
        ({8: GITHUB}, "does not say who signed"),
        ({**WHO, 12: "https://github.com/owner/other"}, "no workflow of the repository"),
        ({**WHO, 12: "https://evil.example/owner/six"}, "no workflow of the repository"),
        ({**WHO, 14: "refs/heads/x"}, "no workflow of the repository"),
        ({**WHO, 13: "", 14: ""}, "no workflow of the repository"),
        ({**WHO, 12: "https://github.com/owner/si"}, "no workflow of the repository"),
        ({8: "https://oidc.circleci.com", 9: "https://circleci.com/x"}, "no pipeline"),
        ({8: "https://accounts.google.com"}, "does not name one account"),
    ],
)
def test_identities_that_are_not_whole_are_refused(identity: dict[int, str], words: str) -> None:
    refused(made(identity=identity), words)


def test_identities_of_each_kind() -> None:
    source = "https://gitlab.com/group/deep/project"
    gitlab = {8: "https://gitlab.com", 12: source, 13: "c0", 14: "refs/heads/main"}
    gitlab[18] = f"{source}//ci/a.yml@c0"
    assert check(made(identity=gitlab)).identity == ("GitLab", "group/deep/project", "ci/a.yml")
    google = {8: "https://accounts.google.com"}
    account = x509.RFC822Name("a@example.com")
    assert check(made(identity=google, alternative=account)).identity == ("Google", "a@example.com")
    uri = "https://circleci.com/api/v2/projects/p-1/pipeline-definitions/d-2"
    circle = {8: "https://oidc.circleci.com", 9: uri}
    assert check(made(identity=circle)).identity == ("CircleCI", "p-1", "d-2")


def test_a_reference_with_an_at_sign_names_the_workflow_alone() -> None:
    who = {**WHO, 14: "refs/tags/a@b"}
    who[18] = "https://github.com/owner/six/.github/workflows/publish.yml@refs/tags/a@b"
    assert check(made(identity=who)).identity == ("GitHub", "owner/six", "publish.yml")


def test_one_entry_is_expected() -> None:
    one = made().attestation()
    entries = one["verification_material"]["transparency_entries"]
    for many in ([], entries * 2):
        one["verification_material"]["transparency_entries"] = many
        with pytest.raises(AttestationError, match="expected one"):
            of_attestation(msgspec.convert(one, Attestation))
    with pytest.raises(AttestationError, match="version is 2"):
        of_attestation(msgspec.convert({**one, "version": 2}, Attestation))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mediaType": "text/plain"}, "expected a Sigstore bundle"),
        ({"dsseEnvelope": None}, "no DSSE envelope"),
        ({"verificationMaterial": {"tlogEntries": []}}, "no certificate"),
        ({"verificationMaterial": []}, "no Sigstore bundle"),
    ],
)
def test_bundles_that_are_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AttestationError, match=words):
        read_bundle(json.dumps({**json.loads(made().bundle()), **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b"{}", b"\xff", b" " * (5 << 20)])
def test_bytes_that_are_no_bundle(data: bytes) -> None:
    with pytest.raises(AttestationError):
        read_bundle(data)


def flipped(encoded: str, at: int) -> str:
    data = bytearray(base64.b64decode(encoded))
    data[at % len(data)] ^= 1 << (at % 8)
    return text(bytes(data))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_changed_bit_anywhere_is_refused() -> None:
    one = made()
    size = len(one.certificate)
    whole = one.attestation()
    for at in range(0, size, 3):
        changed = copy.deepcopy(whole)
        material = changed["verification_material"]
        material["certificate"] = flipped(material["certificate"], at)
        with pytest.raises(AttestationError):
            verified(of_attestation(msgspec.convert(changed, Attestation)), ROOT)
    places: list[tuple[Any, str]] = [
        (whole["envelope"], "statement"),
        (whole["envelope"], "signature"),
        (one.entry, "canonicalizedBody"),
        (one.entry["inclusionPromise"], "signedEntryTimestamp"),
        (one.entry["inclusionProof"], "rootHash"),
        (one.entry["logId"], "keyId"),
    ]
    for where, key in places:
        before = where[key]
        for at in range(0, 400, 23):
            where[key] = flipped(before, at)
            with pytest.raises(AttestationError):
                verified(of_attestation(msgspec.convert(whole, Attestation)), ROOT)
        where[key] = before
    assert verified(of_attestation(msgspec.convert(whole, Attestation)), ROOT).logged == LOGGED


def test_the_trees_of_these_tests_are_those_of_rfc_6962() -> None:
    """The known answers of the reference implementation, for the first leaves it has."""
    leaves = [b"", b"\0", b"\x10", b"\x20\x21"]
    roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    for size, expected in enumerate(roots, start=1):
        assert inclusion(leaves[:size], 0)[0].hex() == expected
