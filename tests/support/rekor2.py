"""A timestamp authority of our own for tests, and a log as Rekor 2 is one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.sigstore_keys import (
    LOGGED,
    Key,
    OwnSigstore,
    der,
    inclusion,
    name,
    new_key,
    signature,
    text,
)

ORIGIN = "tiles.example.com"
SHA256 = bytes.fromhex("608648016503040201")
ECDSA = bytes.fromhex("2a8648ce3d040302")
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
MEDIA = "application/vnd.in-toto+json"


def seq(*parts: bytes) -> bytes:
    return der(0x30, b"".join(parts))


def oid(data: bytes) -> bytes:
    return der(6, data)


def attribute(kind: bytes, value: bytes) -> bytes:
    return seq(oid(kind), der(0x31, value))


@dataclass
class Stamping:
    """What a timestamp is made of; each part can be made wrong."""

    key: Key
    moment: str
    imprint: bytes
    status: bytes = b"\0"
    kind: bytes = TST_INFO
    version: bytes = b"\1"
    digest: bytes = SHA256
    algorithm: bytes = ECDSA
    more: bytes = b""
    told_digest: bytes | None = None
    attributes: list[bytes] | None = None
    signers: int = 1
    tail: bytes = b""

    def data(self) -> bytes:
        info = seq(
            der(2, self.version), oid(b"\x2a\3"),
            seq(seq(oid(self.digest), der(5, b"")), der(4, self.imprint)),
            der(2, b"\7"), der(0x18, self.moment.encode()), seq(der(2, b"\1")), self.more,
        )  # fmt: skip
        digest = self.told_digest or hashlib.sha256(info).digest()
        attributes = self.attributes or [
            attribute(CONTENT_TYPE, oid(TST_INFO)),
            attribute(MESSAGE_DIGEST, der(4, digest)),
        ]
        signed = signature(self.key, der(0x31, b"".join(attributes)))
        signer = seq(
            der(2, b"\1"), seq(seq(), der(2, b"\5")), seq(oid(SHA256)),
            der(0xA0, b"".join(attributes)), seq(oid(self.algorithm)), der(4, signed),
        )  # fmt: skip
        content = seq(oid(self.kind), der(0xA0, der(4, info)))
        whole = seq(
            der(2, b"\3"), der(0x31, seq(oid(SHA256))), content, der(0x31, signer * self.signers)
        )
        token = seq(oid(SIGNED_DATA), der(0xA0, whole))
        return seq(seq(der(2, self.status)), token) + self.tail


@dataclass
class TiledSigstore(OwnSigstore):
    """The instance, with a log that tells no time, and an authority that does."""

    stamp_key: Key = field(default_factory=new_key)
    tiles: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    usage: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)
    critical: bool = True
    stamps_until: datetime = datetime(2035, 1, 1, tzinfo=UTC)

    def tiles_id(self) -> bytes:
        raw = self.tiles.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return hashlib.sha256(f"{ORIGIN}\n\1".encode() + raw).digest()

    def stamp_certificate(self) -> x509.Certificate:
        by_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name("stamps"))
            .issuer_name(name("root"))
            .public_key(self.stamp_key.public_key())
            .serial_number(5)
            .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
            .not_valid_after(self.stamps_until)
            .add_extension(by_id, critical=False)
            .add_extension(x509.ExtendedKeyUsage(self.usage), critical=self.critical)
            .sign(self.root_key, hashes.SHA256())
        )

    def trusted_root(self, **ends: str) -> bytes:
        """Return its file of keys; `stamps` and `tiles` may have an end, too."""
        told = json.loads(super().trusted_root(**ends))

        def period(what: str) -> dict[str, str]:
            return {"start": "2025-01-01T00:00:00Z"} | ({"end": ends[what]} if what in ends else {})

        public = self.tiles.public_key()
        told["tlogs"].append(
            {
                "baseUrl": f"https://{ORIGIN}/",
                "publicKey": {
                    "rawBytes": text(
                        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                    ),
                    "validFor": period("tiles"),
                },
                "logId": {"keyId": text(self.tiles_id())},
            }
        )
        chain = (self.stamp_certificate(), self.root)
        told["timestampAuthorities"] = [
            {
                "certChain": {
                    "certificates": [
                        {"rawBytes": text(each.public_bytes(Encoding.DER))} for each in chain
                    ]
                },
                "validFor": period("stamps"),
            }
        ]
        return json.dumps(told).encode()

    def tiled(
        self,
        payload: bytes,
        identity: dict[int, str],
        kind: str = "hashedrekord",
        *,
        moment: datetime = LOGGED,
        stamp: Callable[[Stamping], Any] = lambda one: None,
        change_body: Callable[[dict[str, Any]], Any] = lambda body: None,
        origin: str = ORIGIN,
        signer: str = ORIGIN,
        **certificate: Any,
    ) -> dict[str, Any]:
        """Sign a statement, log that in the other log, and have it dated; return the bundle."""
        issued = self.certificate(identity, **certificate)
        message = f"DSSEv1 {len(MEDIA)} {MEDIA} {len(payload)} ".encode() + payload
        signed = self.signer.sign(message, ec.ECDSA(hashes.SHA256()))
        one = {
            "content": text(signed),
            "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "x509Certificate": {"rawBytes": text(issued)},
            },
        }

        def digest(data: bytes) -> dict[str, str]:
            return {"algorithm": "SHA2_256", "digest": text(hashlib.sha256(data).digest())}

        spec: dict[str, Any] = {
            "hashedrekord": {"hashedRekordV002": {"data": digest(message), "signature": one}},
            "dsse": {"dsseV002": {"payloadHash": digest(payload), "signatures": [one]}},
        }[kind]
        body = {"apiVersion": "0.0.2", "kind": kind, "spec": spec}
        change_body(body)
        leaf = json.dumps(body).encode()
        leaves = [*self.leaves[: self.place], leaf, *self.leaves[self.place :]]
        root, proof = inclusion(leaves, self.place)
        head = f"{origin}\n{len(leaves)}\n{text(root)}\n"
        by = self.tiles_id()[:4] + self.tiles.sign(head.encode())
        making = Stamping(
            self.stamp_key, f"{moment:%Y%m%d%H%M%SZ}", hashlib.sha256(signed).digest()
        )
        stamp(making)
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": text(issued)},
                "tlogEntries": [
                    {
                        "logIndex": str(self.place),
                        "logId": {"keyId": text(self.tiles_id())},
                        "kindVersion": {"kind": kind, "version": "0.0.2"},
                        "inclusionProof": {
                            "logIndex": str(self.place),
                            "rootHash": text(root),
                            "treeSize": str(len(leaves)),
                            "hashes": [text(each) for each in proof],
                            "checkpoint": {
                                "envelope": f"{head}\n\u2014 {signer} {text(by)}\n"
                                f"\u2014 witness.example {text(b'w' * 76)}\n"
                            },
                        },
                        "canonicalizedBody": text(leaf),
                    }
                ],
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": text(making.data())}]
                },
            },
            "dsseEnvelope": {
                "payload": text(payload),
                "payloadType": MEDIA,
                "signatures": [{"sig": text(signed)}],
            },
        }
