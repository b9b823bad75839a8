"""Statements logged in Rekor 2, dated by timestamp authorities: what holds, and what does not."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from casemate.sigstore import (
    AttestationError,
    TrustedRoot,
    Verified,
    public_good,
    read_bundle,
    read_root,
    verified,
)
from casemate.sigstore.timestamps import MAX_TIMESTAMP_BYTES, stamped_at
from support.rekor2 import CONTENT_TYPE, MESSAGE_DIGEST, Stamping, TiledSigstore, attribute, oid
from support.sigstore_keys import LOGGED, der, github, new_key, statement, text

FOLDER = Path(__file__).parent / "rekor2"
OWN = TiledSigstore()
ROOT = read_root(OWN.trusted_root(), "trusted.json")
PAYLOAD = statement("bundle", "a" * 64)
WHO = github("owner/six")
Bundle = dict[str, Any]


def made(own: TiledSigstore = OWN, **wrong: Any) -> Bundle:
    return own.tiled(PAYLOAD, WHO, **wrong)


def check(one: Bundle, root: TrustedRoot = ROOT) -> Verified:
    return verified(read_bundle(json.dumps(one).encode()), root)


def refused(one: Bundle, words: str, root: TrustedRoot = ROOT) -> None:
    with pytest.raises(AttestationError, match=words):
        check(one, root)


def entry(one: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = one["verificationMaterial"]["tlogEntries"][0]
    return found


def stamps(one: Bundle) -> list[dict[str, str]]:
    found: list[dict[str, str]] = one["verificationMaterial"]["timestampVerificationData"][
        "rfc3161Timestamps"
    ]
    return found


# -- real bundles --------------------------------------------------------------------------------


def test_a_real_bundle_of_the_staging_instance_holds_by_its_keys_alone() -> None:
    root = read_root((FOLDER / "staging_root.json").read_bytes(), "staging")
    data = (FOLDER / "dsse-happy-path.json").read_bytes()
    found = verified(read_bundle(data), root)
    assert found.identity[1] == "sigstore-conformance/extremely-dangerous-public-oidc-beacon"
    assert found.logged == datetime(2026, 5, 13, 19, 23, 33, tzinfo=UTC)
    with pytest.raises(AttestationError, match="no log of the trusted root"):
        verified(read_bundle(data), public_good())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("invalid-sig", "Its signature does not hold"),
        ("mismatch-envelope", "of another statement"),
        ("mismatch-sig", "of another signature"),
    ],
)
def test_real_bundles_that_have_to_fail(name: str, words: str) -> None:
    root = read_root((FOLDER / "staging_root.json").read_bytes(), "staging")
    refused(json.loads((FOLDER / f"dsse-{name}_fail.json").read_bytes()), words, root)


# -- the log -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dsse", "hashedrekord"])
def test_entries_of_both_kinds_hold(kind: str) -> None:
    found = check(made(kind=kind))
    assert (found.identity[1], found.logged, found.payload) == ("owner/six", LOGGED, PAYLOAD)


def of_another_statement(body: Bundle) -> None:
    for spec in body["spec"].values():
        (spec.get("data") or spec["payloadHash"])["digest"] = text(b"d" * 32)


def of_another_signature(body: Bundle) -> None:
    for spec in body["spec"].values():
        (spec.get("signature") or spec["signatures"][0])["content"] = text(b"s")


def of_another_key(body: Bundle) -> None:
    for spec in body["spec"].values():
        signed = spec.get("signature") or spec["signatures"][0]
        signed["verifier"]["x509Certificate"]["rawBytes"] = text(OWN.certificate(WHO))


def weak(body: Bundle) -> None:
    for spec in body["spec"].values():
        (spec.get("data") or spec["payloadHash"])["algorithm"] = "MD5"


@pytest.mark.parametrize("kind", ["dsse", "hashedrekord"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_another_statement, "of another statement"),
        (weak, "of another statement"),
        (of_another_signature, "of another signature"),
        (of_another_key, "of another signature"),
        (lambda body: body["spec"].clear(), "not one of a signed statement"),
        (lambda body: body["spec"].update(dsseV002=1), "not one of a signed statement"),
        (lambda body: body.update(apiVersion="0.0.1"), "Its log entry is a"),
        (lambda body: body.update(kind="intoto"), "Its log entry is a 'intoto'"),
    ],
)
def test_what_was_logged_is_that_signature(
    kind: str, change: Callable[[Bundle], Any], words: str
) -> None:
    refused(made(kind=kind, change_body=change), words)


@pytest.mark.parametrize("where", [{"origin": "tiles.evil.example"}, {"signer": "evil.example"}])
def test_the_head_is_of_the_log_by_name(where: dict[str, str]) -> None:
    refused(made(**where), "head")


def test_a_log_without_a_name_has_no_heads() -> None:
    told = json.loads(OWN.trusted_root())
    for log in told["tlogs"]:
        log["baseUrl"] = ""
    root = read_root(json.dumps(told).encode(), "trusted.json")
    refused(made(), "The signed head is of", root)
    refused(made(origin=""), "head", root)


def test_an_entry_is_not_taken_for_one_of_the_other_log() -> None:
    one = made()
    entry(one)["kindVersion"]["version"] = "0.0.1"
    refused(one, "expected dsse 0.0.1")
    entry(one)["kindVersion"]["kind"] = "dsse"
    refused(one, "no time that the log signed")
    # Nor does the log of Rekor 1 stand in for the other: its heads have another name.
    entry(one)["kindVersion"] = {"kind": "hashedrekord", "version": "0.0.2"}
    entry(one)["logId"] = OWN.made(PAYLOAD, WHO).entry["logId"]
    refused(one, "The signed head is of")


def test_a_time_that_only_the_bundle_tells_is_none() -> None:
    one = made()
    stamps(one).clear()
    entry(one)["integratedTime"] = str(int(LOGGED.timestamp()))
    refused(one, "it has no timestamp")
    entry(one)["inclusionPromise"] = {"signedEntryTimestamp": text(b"x")}
    refused(one, "it has no timestamp")


def test_without_a_log_there_is_no_bundle() -> None:
    one = made()
    one["verificationMaterial"]["tlogEntries"] = []
    refused(one, "0 entries of logs")
    one = made()
    del entry(one)["inclusionProof"]
    refused(one, "no proof that it is in the log")


# -- the timestamps ------------------------------------------------------------------------------


def put(**wrong: Any) -> Callable[[Stamping], None]:
    def change(one: Stamping) -> None:
        for what, value in wrong.items():
            setattr(one, what, value)

    return change


OTHER = attribute(CONTENT_TYPE, oid(CONTENT_TYPE))
DIGEST = attribute(MESSAGE_DIGEST, der(4, b"d" * 32))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"key": new_key()}, "signed by no authority of the trusted root"),
        ({"imprint": b"i" * 32}, "of another signature"),
        ({"told_digest": b"d" * 32}, "not what it tells"),
        ({"status": b"\2"}, "refused to give"),
        ({"version": b"\2"}, "another version"),
        ({"kind": CONTENT_TYPE}, "is not a timestamp"),
        ({"digest": bytes.fromhex("2b0e03021a")}, "digest of a kind"),  # SHA-1
        ({"algorithm": bytes.fromhex("2a864886f70d010105")}, "not known, expected ECDSA"),
        ({"more": der(0xA1, b"")}, "something in it"),
        ({"tail": b"\0"}, "something in it"),
        ({"signers": 2}, "something in it"),
        ({"attributes": [DIGEST]}, "another form"),
        ({"attributes": [OTHER, DIGEST]}, "of another kind"),
        ({"attributes": [OTHER, OTHER]}, "twice"),
        ({"moment": "20260101120000"}, "is none"),
        ({"moment": "20260101120000+0100Z"}, "is none"),
        ({"moment": "20261301120000Z"}, "is none"),
        ({"moment": "\u0661" * 14 + "Z"}, "is none"),
        ({"moment": "20240101120000Z"}, "no timestamp authority of the trusted root was in use"),
        ({"moment": "20260101115459Z"}, "its certificate was valid from"),
        ({"moment": "20260101120501Z"}, "its certificate was valid from"),
    ],
)
def test_timestamps_that_do_not_hold(wrong: dict[str, Any], words: str) -> None:
    refused(made(stamp=put(**wrong)), words)


def test_fractions_of_a_second_and_a_name_are_read() -> None:
    assert check(made(stamp=put(moment="20260101120000.25Z"))).logged == LOGGED
    assert check(made(stamp=put(more=der(2, b"\7") + der(0xA0, b"")))).logged == LOGGED


@pytest.mark.parametrize(
    "own",
    [
        {"usage": (ExtendedKeyUsageOID.CODE_SIGNING,)},
        {"usage": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)},
        {"critical": False},
        {"stamps_until": LOGGED - timedelta(seconds=1)},
    ],
)
def test_an_authority_needs_a_certificate_for_timestamps(own: dict[str, Any]) -> None:
    other = TiledSigstore(**own)
    root = read_root(other.trusted_root(), "trusted.json")
    refused(made(other), "had no certificate for that", root)


def test_an_authority_that_the_root_did_not_make_is_refused() -> None:
    own = copy.copy(OWN)
    own.root = TiledSigstore().root
    told = json.loads(own.trusted_root())
    told["certificateAuthorities"] = json.loads(OWN.trusted_root())["certificateAuthorities"]
    root = read_root(json.dumps(told).encode(), "trusted.json")
    refused(made(), "had no certificate for that", root)


@pytest.mark.parametrize("what", ["stamps", "tiles"])
def test_keys_that_were_given_up_hold_until_then_and_at_that_moment(what: str) -> None:
    def until(moment: datetime) -> TrustedRoot:
        return read_root(OWN.trusted_root(**{what: f"{moment:%Y-%m-%dT%H:%M:%SZ}"}), "trusted.json")

    refused(made(), "in use", until(LOGGED - timedelta(seconds=1)))
    assert check(made(), until(LOGGED)).logged == LOGGED


def test_each_timestamp_has_to_hold_and_the_earliest_counts() -> None:
    one = made()
    signed = base64.b64decode(one["dsseEnvelope"]["signatures"][0]["sig"])
    later = Stamping(OWN.stamp_key, "20260101120200Z", der(4, b""))
    later.imprint = hashlib.sha256(signed).digest()
    stamps(one).append({"signedTimestamp": text(later.data())})
    assert check(one).logged == LOGGED
    later.key = new_key()
    stamps(one).append({"signedTimestamp": text(later.data())})
    refused(one, "signed by no authority")
    stamps(one)[:] = stamps(one)[:1] * 5
    refused(one, "more than 4 timestamps")


def test_a_timestamp_beside_the_first_logs_time_has_to_hold_as_well() -> None:
    one = json.loads(OWN.made(PAYLOAD, WHO).bundle())
    one["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps(made())}
    refused(one, "of another signature")


def test_a_signature_cannot_be_dated_anew_for_years() -> None:
    refused(made(valid=timedelta(days=400)), "valid for more than a day")


def test_an_instance_without_a_timestamp_authority_dates_nothing() -> None:
    told = json.loads(OWN.trusted_root())
    del told["timestampAuthorities"]
    refused(made(), "no timestamp authority", read_root(json.dumps(told).encode(), "t"))


def test_a_changed_bit_of_a_timestamp_is_refused_or_changes_nothing() -> None:
    """What is not read, such as who is said to have signed, may differ; what it says may not."""
    one = made()
    signed = base64.b64decode(one["dsseEnvelope"]["signatures"][0]["sig"])
    whole = base64.b64decode(stamps(one)[0]["signedTimestamp"])
    believed = 0
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        try:
            found = stamped_at(bytes(changed), signed, ROOT.timestamp_authorities)
        except AttestationError:
            continue
        believed += 1
        assert found == LOGGED
    assert believed < 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"\x30\x80\0\0",
        b"\x30\x81\x01\0",
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x82\xff\xff",
        b"\x30\xff",
        b"\x30\x03\x30\x01\x30",
        b"\x30" * MAX_TIMESTAMP_BYTES,
        b"\x30" * (MAX_TIMESTAMP_BYTES + 1),
    ],
)
def test_bytes_that_are_no_timestamp(data: bytes) -> None:
    with pytest.raises(AttestationError):
        stamped_at(data, b"s", ROOT.timestamp_authorities)


def test_each_place_where_a_timestamp_is_cut_is_refused() -> None:
    whole = base64.b64decode(stamps(made())[0]["signedTimestamp"])
    for size in range(len(whole)):
        with pytest.raises(AttestationError):
            stamped_at(whole[:size], b"s", ROOT.timestamp_authorities)


def test_a_length_in_more_bytes_than_it_needs_is_refused() -> None:
    one = made()
    whole = base64.b64decode(stamps(one)[0]["signedTimestamp"])
    assert whole[:2] == b"\x30\x82"
    stamps(one)[0]["signedTimestamp"] = text(b"\x30\x83\0" + whole[2:])
    refused(one, "not encoded in DER")
