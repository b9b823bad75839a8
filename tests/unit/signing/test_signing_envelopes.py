"""Envelopes and statements: what was changed, mixed or written otherwise is refused."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
import pytest

from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.errors import InvalidInputError
from casemate.model.signing import Envelope
from casemate.signing import (
    PAYLOAD_TYPE,
    SignatureError,
    SigningKey,
    comparable_sbom,
    key_id,
    migrated_provenance,
    opened,
    proof_of,
    provenance_of,
    read_vouched,
    require_proof,
    require_public,
    sbom_statement,
    sealed,
    signing_payload,
)
from support.core import spec

ADA, EVE = SigningKey.made(), SigningKey.made()
KNOWN = {ADA.id: ADA.public, EVE.id: EVE.public}
SBOM = b'{"bomFormat":"CycloneDX","metadata":{"tools":{"v":"1"},"component":{"name":"f"}}}'
MANIFEST = BundleManifest(
    project="t",
    function=spec("f"),
    lock_sha256="a" * 64,
    packages=(LockedPackage(name="requests", version="2.32.3"),),
    files=(BundleFile(path="code/app.py", size=1, sha256="b" * 64),),
)
DIGEST = MANIFEST.digest()


def made(
    key: SigningKey = ADA, manifest: BundleManifest = MANIFEST, **changes: Any
) -> tuple[Envelope, Envelope]:
    document = sbom_statement(manifest, SBOM)
    values = {"builder": key.id, "at": 1_764_201_600.7, "run": "r", "version": "1", **changes}
    return sealed(provenance_of(manifest, document, **values), (key,)), sealed(document, (key,))


def payload_of(envelope: Envelope) -> dict[str, Any]:
    return msgspec.json.decode(base64.b64decode(envelope.payload))


def again(content: Any, *keys: SigningKey) -> Envelope:
    """Sign what is wrong, correctly."""
    payload = content if type(content) is bytes else msgspec.json.encode(content, order="sorted")
    return sealed(payload, keys or (ADA,))


def test_what_was_signed_is_read() -> None:
    said = read_vouched(DIGEST, *made(), KNOWN)
    assert said.keys == {ADA.id} and (said.project, said.function) == ("t", "f")
    assert said.at == 1_764_201_600 and not said.migrated
    assert said.sbom == msgspec.json.decode(SBOM)


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signing_payload("http://example.com/HelloWorld", b"hello world") == expected


def test_the_statements_are_those_of_in_toto_and_slsa() -> None:
    provenance, sbom = map(payload_of, made())
    assert provenance["_type"] == sbom["_type"] == "https://in-toto.io/Statement/v1"
    assert provenance["subject"] == [{"name": "t/f", "digest": {"sha256": DIGEST}}]
    assert provenance["predicateType"] == "https://slsa.dev/provenance/v1"
    assert sbom["predicateType"] == "https://cyclonedx.org/bom"
    definition, run = (provenance["predicate"][n] for n in ("buildDefinition", "runDetails"))
    assert {"uri": "pkg:pypi/requests@2.32.3"} in definition["resolvedDependencies"]
    assert {"name": "lock", "digest": {"sha256": "a" * 64}} in definition["resolvedDependencies"]
    assert run["builder"]["id"] == f"urn:casemate:builder:{ADA.id}"
    assert run["metadata"]["finishedOn"] == "2025-11-27T00:00:00Z"


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_a_changed_byte_of_what_was_signed_is_refused(position: int) -> None:
    provenance, sbom = made()
    for which in (0, 1):
        envelopes = [provenance, sbom]
        payload = bytearray(base64.b64decode(envelopes[which].payload))
        payload[position % len(payload)] ^= 1
        text = base64.b64encode(payload).decode()
        envelopes[which] = msgspec.structs.replace(envelopes[which], payload=text)
        with pytest.raises(SignatureError, match="does not hold"):
            read_vouched(DIGEST, *envelopes, KNOWN)


def test_every_byte_of_a_signature_counts() -> None:
    provenance, sbom = made()
    (one,) = provenance.signatures
    raw = base64.b64decode(one.sig)
    for position in range(64):
        changed = bytearray(raw)
        changed[position] ^= 0x10
        sig = base64.b64encode(changed).decode()
        broken = msgspec.structs.replace(
            provenance, signatures=(msgspec.structs.replace(one, sig=sig),)
        )
        with pytest.raises(SignatureError):
            read_vouched(DIGEST, broken, sbom, KNOWN)


def test_signatures_that_are_malleable_are_refused() -> None:
    """S + L is another spelling of the same signature (RFC 8032, 5.1.7)."""
    provenance, _ = made()
    (one,) = provenance.signatures
    raw = base64.b64decode(one.sig)
    order = 2**252 + 27742317777372353535851937790883648493
    other = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    broken = msgspec.structs.replace(one, sig=base64.b64encode(other).decode())
    with pytest.raises(SignatureError):
        opened(msgspec.structs.replace(provenance, signatures=(broken,)), KNOWN)


def test_another_payload_type_is_refused_even_if_it_is_signed() -> None:
    for kind in ("application/json", PAYLOAD_TYPE + " ", PAYLOAD_TYPE.upper(), ""):
        provenance, _ = made()
        with pytest.raises(SignatureError, match="expected application"):
            opened(msgspec.structs.replace(provenance, payloadType=kind), KNOWN)


def test_what_was_signed_without_its_type_does_not_count() -> None:
    """Payload type confusion: a signature over the payload alone, or over another framing."""
    provenance, _ = made()
    payload = base64.b64decode(provenance.payload)
    for message in (
        payload,
        signing_payload("application/json", payload),
        b"DSSEv1 " + PAYLOAD_TYPE.encode() + b" " + payload,
    ):
        sig = base64.b64encode(ADA.sign(message)).decode()
        (one,) = provenance.signatures
        broken = msgspec.structs.replace(one, sig=sig)
        with pytest.raises(SignatureError, match="does not hold"):
            opened(msgspec.structs.replace(provenance, signatures=(broken,)), KNOWN)


def test_one_more_signature_is_refused_unless_it_holds() -> None:
    provenance, _ = made()
    (one,) = provenance.signatures
    stranger = SigningKey.made()
    message = signing_payload(PAYLOAD_TYPE, base64.b64decode(provenance.payload))
    holds = base64.b64encode(stranger.sign(message)).decode()
    for more, problem in (
        (msgspec.structs.replace(one, keyid=stranger.id, sig=holds), "not known here"),
        (msgspec.structs.replace(one, keyid=EVE.id), "does not hold"),
        (one, "signs twice"),
    ):
        with pytest.raises(SignatureError, match=problem):
            opened(msgspec.structs.replace(provenance, signatures=(one, more)), KNOWN)


def test_the_id_of_anothers_key_does_not_make_it_theirs() -> None:
    provenance, sbom = made(EVE)
    (one,) = provenance.signatures
    renamed = msgspec.structs.replace(
        provenance, signatures=(msgspec.structs.replace(one, keyid=ADA.id),)
    )
    with pytest.raises(SignatureError, match="does not hold"):
        read_vouched(DIGEST, renamed, sbom, KNOWN)
    # What Eve signs in Ada's name.
    with pytest.raises(SignatureError, match="another builder"):
        read_vouched(DIGEST, *made(EVE, builder=ADA.id), KNOWN)


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace("=", "").ljust(len(text), "="),
        lambda text: text.replace("+", "-").replace("/", "_") + "=",
        lambda text: text[:-1],
    ],
)
def test_base64_has_one_spelling(spell: Any) -> None:
    provenance, _ = made()
    text = spell(provenance.payload)
    if text != provenance.payload:
        with pytest.raises(SignatureError):
            opened(msgspec.structs.replace(provenance, payload=text), KNOWN)


def test_a_statement_has_one_encoding() -> None:
    provenance, sbom = made()
    payload = base64.b64decode(provenance.payload)
    content = payload_of(provenance)
    for other in (
        payload + b"\n",
        payload.replace(b'{"_type"', b'{ "_type"', 1),
        payload.replace(b'{"_type"', b'{"_type":"x","_type"', 1),
        payload.replace(b'"t/f"', b'"\\u0074/f"'),
        msgspec.json.encode(dict(reversed(content.items()))),
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
        b"",
    ):
        with pytest.raises(SignatureError):
            read_vouched(DIGEST, again(other), sbom, KNOWN)


def test_envelopes_of_two_bundles_are_not_mixed() -> None:
    other = msgspec.structs.replace(MANIFEST, project="u")
    mine, theirs = made(), made(manifest=other)
    for provenance, sbom in ((theirs[0], mine[1]), (mine[0], theirs[1]), theirs):
        with pytest.raises(SignatureError):
            read_vouched(DIGEST, provenance, sbom, KNOWN)
    # The SBOM of another signing of the same bundle, by the same person, with other content.
    changed = sbom_statement(MANIFEST, SBOM.replace(b'"name":"f"', b'"name":"g"'))
    with pytest.raises(SignatureError, match="not the one that the provenance names"):
        read_vouched(DIGEST, mine[0], again(changed), KNOWN)
    with pytest.raises(SignatureError, match="different keys"):
        read_vouched(DIGEST, mine[0], made(EVE)[1], KNOWN)
    with pytest.raises(SignatureError, match="missing"):
        read_vouched(DIGEST, mine[0], None, KNOWN)
    with pytest.raises(SignatureError):
        read_vouched(DIGEST, mine[1], mine[0], KNOWN)


def test_a_statement_about_more_than_the_bundle_is_refused() -> None:
    provenance, sbom = made()
    content = payload_of(provenance)
    subject = content["subject"][0]
    for subjects in (
        [],
        [subject, subject],
        [{**subject, "digest": {"sha256": DIGEST, "sha1": "0" * 40}}],
        [{**subject, "digest": {"sha512": DIGEST}}],
        [{"name": "t/f"}],
    ):
        broken = again({**content, "subject": subjects})
        with pytest.raises(SignatureError, match="something else"):
            read_vouched(DIGEST, broken, sbom, KNOWN)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("buildDefinition", "buildType"), "https://example.org/other"),
        (("buildDefinition", "externalParameters"), {"project": "t"}),
        (("buildDefinition", "externalParameters"), {"project": "t", "function": 7}),
        (("runDetails", "metadata", "finishedOn"), "yesterday"),
        (("runDetails", "metadata", "finishedOn"), "2025-11-27T00:00:00+00:00"),
        (("runDetails", "metadata", "finishedOn"), None),
        (("runDetails", "byproducts"), []),
        (("runDetails",), None),
    ],
)
def test_a_provenance_that_says_less_or_other_is_refused(path: tuple[str, ...], value: Any) -> None:
    provenance, sbom = made()
    content = payload_of(provenance)
    inner = content["predicate"]
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(SignatureError):
        read_vouched(DIGEST, again(content), sbom, KNOWN)


def test_what_a_node_says_of_old_bundles_is_marked() -> None:
    payload = migrated_provenance("t", "f", DIGEST, builder=ADA.id, run="r")
    said = read_vouched(DIGEST, sealed(payload, (ADA,)), None, KNOWN)
    assert said.migrated and said.at is None and said.sbom is None
    with pytest.raises(SignatureError, match="There is an SBOM"):
        read_vouched(DIGEST, sealed(payload, (ADA,)), made()[1], KNOWN)


def test_a_proof_is_of_one_key_and_one_token() -> None:
    proof = proof_of(ADA, "3f9a")
    require_proof(ADA.public, "3f9a", proof)
    for public, token, text in (
        (ADA.public, "3f9b", proof),
        (EVE.public, "3f9a", proof),
        (ADA.public, "3f9a", proof_of(EVE, "3f9a")),
        (ADA.public, "", proof_of(ADA, "")),
        (ADA.public, "3f9a\n", proof_of(ADA, "3f9a\n")),
        (ADA.public, "3f9a", proof[:-4]),
        (ADA.public, "3f9a", "not base64!"),
    ):
        with pytest.raises(InvalidInputError):
            require_proof(public, token, text)


SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""Keys for which anybody can make signatures, other spellings among them."""


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_of_small_order_are_none(key: str) -> None:
    with pytest.raises(InvalidInputError, match="not one that"):
        require_public(base64.b64encode(bytes.fromhex(key)).decode())


def test_public_keys_have_one_spelling() -> None:
    text = base64.b64encode(ADA.public).decode()
    assert key_id(require_public(text)) == ADA.id == hashlib.sha256(ADA.public).hexdigest()
    for other in (text[:-1], text + "\n", text + "AAAA", "", "=" * 44):
        with pytest.raises(InvalidInputError):
            require_public(other)


def test_two_releases_write_the_same_sbom_but_for_their_name() -> None:
    one = msgspec.json.decode(SBOM)
    two = msgspec.json.decode(SBOM.replace(b'"v":"1"', b'"v":"2"'))
    assert comparable_sbom(one) == comparable_sbom(two)
    other = msgspec.json.decode(SBOM.replace(b'"name":"f"', b'"name":"g"'))
    assert comparable_sbom(one) != comparable_sbom(other)


def test_a_private_key_is_not_shown() -> None:
    assert ADA.to_bytes().hex() not in repr(ADA)
    assert SigningKey.from_bytes(ADA.to_bytes()).id == ADA.id
