"""The keys that are trusted: certificate authorities, their logs, and the logs of signatures.

The format is that of Sigstore's `trusted_root.json` (protobuf-specs, TrustedRoot 0.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.sigstore.errors import TrustedRootError

MAX_ROOT_BYTES = 1 << 20
ROOT_FILE = "trusted_root.json"
_MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_MAX_KEYS = 64
_MAX_CHAIN = 8


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """What all parts of the file share: names as protobuf's JSON has them."""


class Period(_Wire, frozen=True):
    """When a key was, or is, in use."""

    start: datetime
    end: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Tell whether a moment is in it."""
        return self.start <= moment and (self.end is None or moment <= self.end)


class _PublicKey(_Wire, frozen=True):
    raw_bytes: bytes
    valid_for: Period


class _LogId(_Wire, frozen=True):
    key_id: bytes


class _Log(_Wire, frozen=True):
    public_key: _PublicKey
    log_id: _LogId
    base_url: str = ""


class _Certificate(_Wire, frozen=True):
    raw_bytes: bytes


class _Chain(_Wire, frozen=True):
    certificates: list[_Certificate]


class _Authority(_Wire, frozen=True):
    cert_chain: _Chain
    valid_for: Period


class _Root(_Wire, frozen=True):
    media_type: str
    tlogs: list[_Log]
    certificate_authorities: list[_Authority]
    ctlogs: list[_Log]
    timestamp_authorities: list[_Authority] = []


class LogKey:
    """The key of a log, when it signs, and the name by which it signs heads of its tree."""

    def __init__(
        self, public: EllipticCurvePublicKey | Ed25519PublicKey, period: Period, origin: str
    ) -> None:
        """Verify with `public`."""
        self._public = public
        self.period = period
        self.origin = origin

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Tell whether a signature of a message is that of the log."""
        return is_signed(self._public, signature, message)


class Authority(msgspec.Struct, frozen=True):
    """A certificate authority: its chain, the one that issues first and the root last."""

    chain: tuple[x509.Certificate, ...]
    period: Period


class TrustedRoot(msgspec.Struct, frozen=True, kw_only=True):
    """All that is trusted. Logs are found by their ids."""

    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...] = ()
    signature_logs: Mapping[bytes, LogKey]
    certificate_logs: Mapping[bytes, LogKey]


def is_signed(public: object, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature (ECDSA with SHA-256, or Ed25519) of a message is that of a key."""
    try:
        if isinstance(public, EllipticCurvePublicKey):
            public.verify(signature, message, ECDSA(hashes.SHA256()))
        elif isinstance(public, Ed25519PublicKey):
            public.verify(signature, message)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def read_root(data: bytes, name: str) -> TrustedRoot:
    """Return what a file says that people know as `name`. Raises TrustedRootError."""
    if len(data) > MAX_ROOT_BYTES:
        raise TrustedRootError(f"{name} is larger than {MAX_ROOT_BYTES} bytes.")
    try:
        told = msgspec.json.decode(data, type=decodable(_Root))
        if told.media_type != _MEDIA_TYPE:
            raise ValueError(f"it is a {told.media_type[:80]!r}, expected {_MEDIA_TYPE}")
        kinds = (told.tlogs, told.ctlogs, told.certificate_authorities, told.timestamp_authorities)
        many = max(len(each) for each in kinds)
        if many > _MAX_KEYS:
            raise ValueError(f"it has {many} keys of one kind, expected at most {_MAX_KEYS}")
        root = TrustedRoot(
            authorities=tuple(_authority(each) for each in told.certificate_authorities),
            timestamp_authorities=tuple(_authority(each) for each in told.timestamp_authorities),
            signature_logs=_logs(told.tlogs),
            certificate_logs=_logs(told.ctlogs),
        )
    except (ValueError, TypeError, *DECODING_ERRORS) as error:
        raise TrustedRootError(
            f"{name} is no file of trusted keys: {str(error)[:200]}.",
            next_step="Get the trusted_root.json of the Sigstore instance that is meant.",
        ) from error
    if not (root.authorities and root.signature_logs and root.certificate_logs):
        raise TrustedRootError(f"{name} trusts no authority, or no log.")
    return root


@cache
def public_good() -> TrustedRoot:
    """Return the keys of Sigstore's public instance, which package indexes use."""
    return read_root(Path(__file__).with_name(ROOT_FILE).read_bytes(), ROOT_FILE)


def _authority(told: _Authority) -> Authority:
    certificates = told.cert_chain.certificates
    if not 1 <= len(certificates) <= _MAX_CHAIN:
        raise ValueError(f"an authority has {len(certificates)} certificates")
    chain = tuple(x509.load_der_x509_certificate(each.raw_bytes) for each in certificates)
    return Authority(chain, _zoned(told.valid_for))


def _logs(told: list[_Log]) -> dict[bytes, LogKey]:
    """Return the keys by id, without those of a kind that is not known: nothing holds by them."""
    found = {}
    for each in told:
        try:
            public = load_der_public_key(each.public_key.raw_bytes)
        except UnsupportedAlgorithm:
            continue
        if isinstance(public, EllipticCurvePublicKey | Ed25519PublicKey):
            origin = each.base_url.partition("://")[2].rstrip("/")
            period = _zoned(each.public_key.valid_for)
            found[each.log_id.key_id] = LogKey(public, period, origin)
    return found


def _zoned(period: Period) -> Period:
    """Return a period whose ends are compared with times in UTC. Raises ValueError without one."""
    if period.start.tzinfo is None or (period.end is not None and period.end.tzinfo is None):
        raise ValueError("a time has no zone")
    end = period.end.astimezone(UTC) if period.end is not None else None
    return Period(period.start.astimezone(UTC), end)
