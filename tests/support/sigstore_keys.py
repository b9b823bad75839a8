"""A Sigstore of our own for tests: an authority, its log, a log of signatures, and signers.

What it makes holds for its `trusted_root` and for no other. Each part can be made wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOGGED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
_ARC = "1.3.6.1.4.1.57264.1"
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
GITHUB = "https://token.actions.githubusercontent.com"

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def signature(key: Key, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def public(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def log_id(key: Key) -> bytes:
    return hashlib.sha256(public(key)).digest()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(tag: int, data: bytes) -> bytes:
    """Return a value in DER."""
    size = len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
    length = bytes([len(data)]) if len(data) < 128 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + length + data


def utf8(value: str) -> bytes:
    return der(0x0C, value.encode())


def github(repository: str, workflow: str = "publish.yml") -> dict[int, str]:
    """Return what an authority writes of a workflow of GitHub."""
    source = f"https://github.com/{repository}"
    return {
        8: GITHUB,
        12: source,
        13: "0" * 40,
        14: "refs/tags/v1",
        18: f"{source}/.github/workflows/{workflow}@refs/tags/v1",
    }


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def statement(filename: str, sha256: str, kind: str = PUBLISH) -> bytes:
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": filename, "digest": {"sha256": sha256}}],
            "predicateType": kind,
            "predicate": None,
        }
    ).encode()


def inclusion(leaves: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Return the root of a Merkle tree and the proof of one leaf, as RFC 6962 defines them."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest(), []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = leaves[:split], leaves[split:]
    if index < split:
        root, proof = inclusion(left, index)
        other = inclusion(right, 0)[0]
        return hashlib.sha256(b"\1" + root + other).digest(), [*proof, other]
    root, proof = inclusion(right, index - split)
    other = inclusion(left, 0)[0]
    return hashlib.sha256(b"\1" + other + root).digest(), [*proof, other]


@dataclass
class Made:
    """A signature and all that belongs to it, to be changed before it is written."""

    certificate: bytes
    payload: bytes
    signature: bytes
    entry: dict[str, Any]

    def attestation(self) -> dict[str, Any]:
        """Return it as an index has it (PEP 740)."""
        return {
            "version": 1,
            "verification_material": {
                "certificate": text(self.certificate),
                "transparency_entries": [self.entry],
            },
            "envelope": {"statement": text(self.payload), "signature": text(self.signature)},
        }

    def bundle(self) -> bytes:
        """Return it as a Sigstore bundle."""
        told = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": text(self.certificate)},
                "tlogEntries": [self.entry],
            },
            "dsseEnvelope": {
                "payload": text(self.payload),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": text(self.signature)}],
            },
        }
        return json.dumps(told).encode()


@dataclass
class OwnSigstore:
    """The instance. Fields are what may be made wrong; `leaves` is what else its log has."""

    root_key: Key = field(default_factory=new_key)
    issuer_key: Key = field(default_factory=new_key)
    certificate_log: Key = field(default_factory=new_key)
    signature_log: Key = field(default_factory=new_key)
    leaves: list[bytes] = field(default_factory=lambda: [b"a", b"b", b"c", b"d", b"e"])
    place: int = 3
    signer: Key = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.root = self._authority("root", "root", self.root_key, self.root_key)
        self.issuer = self._authority("issuer", "root", self.issuer_key, self.root_key)

    def _authority(self, subject: str, issuer: str, key: Key, by: Key) -> x509.Certificate:
        signs = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"),
            False,
        )  # fmt: skip
        key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        by_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2035, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs), critical=True)
            .add_extension(key_id, critical=False)
            .add_extension(by_id, critical=False)
            .sign(by, hashes.SHA256())
        )

    def trusted_root(self, **ends: str) -> bytes:
        """Return its file of keys; `authority`, `ctlog` and `tlog` may have an end."""

        def period(what: str) -> dict[str, str]:
            told = {"start": "2025-01-01T00:00:00Z"}
            return {**told, "end": ends[what]} if what in ends else told

        def log(key: Key, what: str) -> dict[str, Any]:
            return {
                "baseUrl": "https://log.example.com",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": text(public(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": period(what),
                },
                "logId": {"keyId": text(log_id(key))},
            }

        chain = [{"rawBytes": text(each.public_bytes(Encoding.DER))} for each in self.chain()]
        told = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.signature_log, "tlog")],
            "ctlogs": [log(self.certificate_log, "ctlog")],
            "timestampAuthorities": [],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "root"},
                    "uri": "https://authority.example.com",
                    "certChain": {"certificates": chain},
                    "validFor": period("authority"),
                }
            ],
        }
        return json.dumps(told).encode()

    def chain(self) -> list[x509.Certificate]:
        return [self.issuer, self.root]

    def certificate(
        self,
        identity: dict[int, str],
        *,
        start: datetime = LOGGED - timedelta(minutes=5),
        valid: timedelta = timedelta(minutes=10),
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        logged: bool = True,
        alternative: x509.GeneralName | None = None,
        issuer: str = "issuer",
        by: Key | None = None,
    ) -> bytes:
        """Issue a signer's certificate, and log it."""
        signs = dict.fromkeys(
            ("key_cert_sign", "crl_sign", "content_commitment", "key_encipherment",
             "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )  # fmt: skip
        names = [alternative or x509.UniformResourceIdentifier("https://example.com/signer")]
        by_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(name(issuer))
            .public_key(self.signer.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + valid)
            .add_extension(x509.KeyUsage(digital_signature=True, **signs), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(by_id, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
        )
        for number, value in identity.items():
            oid = x509.ObjectIdentifier(f"{_ARC}.{number}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, utf8(value)), False)
        by = by or self.issuer_key
        if logged:
            body = builder.sign(by, hashes.SHA256()).tbs_certificate_bytes
            stamps = x509.UnrecognizedExtension(_SCT_LIST, self._timestamps(body))
            builder = builder.add_extension(stamps, critical=False)
        return builder.sign(by, hashes.SHA256()).public_bytes(Encoding.DER)

    def _timestamps(self, body: bytes) -> bytes:
        """Return the list of the one timestamp of a log of certificates, in DER."""
        moment = int(LOGGED.timestamp() * 1000 - 1877).to_bytes(8, "big")
        issuer = hashlib.sha256(public(self.issuer_key)).digest()
        size = len(body).to_bytes(3, "big")
        message = b"\0\0" + moment + b"\0\1" + issuer + size + body + b"\0\0"
        signed = signature(self.certificate_log, message)
        one = b"\0" + log_id(self.certificate_log) + moment + b"\0\0\4\3"
        one += len(signed).to_bytes(2, "big") + signed
        listed = len(one).to_bytes(2, "big") + one
        return der(0x04, len(listed).to_bytes(2, "big") + listed)

    def made(
        self,
        payload: bytes,
        identity: dict[int, str],
        *,
        moment: datetime = LOGGED,
        kind: str = "dsse",
        logged_payload: bytes | None = None,
        change_body: Callable[[dict[str, Any]], None] = lambda body: None,
        **certificate: Any,
    ) -> Made:
        """Sign a statement, and log that."""
        issued = self.certificate(identity, **certificate)
        media = "application/vnd.in-toto+json"
        message = f"DSSEv1 {len(media)} {media} {len(payload)} ".encode() + payload
        signed = signature(self.signer, message)
        pem = x509.load_der_x509_certificate(issued).public_bytes(Encoding.PEM)
        digest = hashlib.sha256(logged_payload or payload).hexdigest()
        body = {
            "apiVersion": "0.0.1",
            "kind": kind,
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": digest},
                "payloadHash": {"algorithm": "sha256", "value": digest},
                "signatures": [{"signature": text(signed), "verifier": text(pem)}],
            },
        }
        change_body(body)
        return Made(issued, payload, signed, self.entry(json.dumps(body).encode(), moment, kind))

    def entry(self, body: bytes, moment: datetime, kind: str = "dsse") -> dict[str, Any]:
        """Log an entry."""
        leaves = [*self.leaves[: self.place], body, *self.leaves[self.place :]]
        root, proof = inclusion(leaves, self.place)
        promised = json.dumps(
            {
                "body": text(body),
                "integratedTime": int(moment.timestamp()),
                "logID": log_id(self.signature_log).hex(),
                "logIndex": 1000 + self.place,
            },
            separators=(",", ":"),
        ).encode()
        return {
            "logIndex": str(1000 + self.place),
            "logId": {"keyId": text(log_id(self.signature_log))},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": str(int(moment.timestamp())),
            "inclusionPromise": {
                "signedEntryTimestamp": text(signature(self.signature_log, promised))
            },
            "inclusionProof": {
                "logIndex": str(self.place),
                "rootHash": text(root),
                "treeSize": str(len(leaves)),
                "hashes": [text(each) for each in proof],
                "checkpoint": {"envelope": self.checkpoint(len(leaves), root)},
            },
            "canonicalizedBody": text(body),
        }

    def checkpoint(self, size: int, root: bytes) -> str:
        head = f"log.example - 1\n{size}\n{text(root)}\n"
        signed = log_id(self.signature_log)[:4] + signature(self.signature_log, head.encode())
        return f"{head}\n\u2014 log.example {text(signed)}\n"


@cache
def own_sigstore() -> OwnSigstore:
    """Return the one that the tests of indexes share."""
    return OwnSigstore()
