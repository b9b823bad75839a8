"""Verification of an ID token (OpenID Connect Core 1.0, section 3.1.3.7), numbered as there is
something to check. Whatever cannot be verified is refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from casemate.accounts.errors import IdTokenError
from casemate.model.errors import CasemateError
from casemate.model.oidc import OidcSettings

MAX_BYTES = 16 * 1024
SKEW = 60.0
"""Seconds by which the clocks of provider and node may differ."""
MAX_AGE = 15 * 60.0
"""Seconds since `iat` beyond which a login has taken too long to be one."""
MIN_RSA_BITS = 2048
MAX_KEYS = 100
"""Of one provider. They are read on the event loop: 3,000 take half a second."""
_MAX_NUMBER = 4096
"""Characters of one number of a key: an RSA key of 16,384 bits, the most that OpenSSL uses, has
2,731."""
_LAST_TIME = 2**40

PublicKey = RSAKey | ECKey | OKPKey

_KEY_OF_ALGORITHM: dict[str, tuple[type[PublicKey], str | None]] = {
    "RS256": (RSAKey, None),
    "PS256": (RSAKey, None),
    "ES256": (ECKey, "P-256"),
    "EdDSA": (OKPKey, "Ed25519"),
}
"""Asymmetric only: `none` and the HMAC family do not exist here (RFC 8725, sections 3.1, 3.2)."""

_FORBIDDEN_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
"""Headers that would let a token say where its key is, or what it means (RFC 8725, 3.10)."""


class TooManyKeysError(CasemateError):
    """There are more keys than a provider has."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the provider has authenticated."""

    issuer: str
    subject: str
    nonce: str


class TokenHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a token before its signature is verified."""

    alg: str
    kid: str | None = None


def read_header(token: str) -> TokenHeader:
    """Return the header of a token in compact form (RFC 7515). Raises IdTokenError."""
    if len(token) > MAX_BYTES or not token.isascii() or token.count(".") != 2:
        raise IdTokenError("The ID token is not a signed JWT in compact form.")
    try:
        raw = token.partition(".")[0]
        header = json.loads(
            base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True),
            object_pairs_hook=_unique,
        )
    except (binascii.Error, ValueError, RecursionError) as error:
        raise IdTokenError("The header of the ID token is not JSON.") from error
    if not isinstance(header, dict):
        raise IdTokenError("The header of the ID token is not a JSON object.")
    named = sorted(set(header) & set(_FORBIDDEN_HEADERS))
    if named:
        raise IdTokenError(f"The ID token has the header {named[0]}, which is not accepted.")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _KEY_OF_ALGORITHM:
        raise IdTokenError(
            "The ID token is signed with another algorithm than "
            f"{', '.join(_KEY_OF_ALGORITHM)}, or not at all."
        )
    if kid is not None and not isinstance(kid, str):
        raise IdTokenError("The key id of the ID token is not text.")
    return TokenHeader(alg=algorithm, kid=kid)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def import_keys(jwks: object) -> tuple[PublicKey, ...]:
    """Return the keys of a JWKS (RFC 7517) that can verify ID tokens; all others are left out.

    Raises TooManyKeysError for more than MAX_KEYS, usable or not.
    """
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    keys = []
    if isinstance(listed, list) and len(listed) > MAX_KEYS:
        raise TooManyKeysError
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        operations = entry.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            continue
        key = _import_key(entry)
        if key is not None:
            keys.append(key)
    return tuple(keys)


def _import_key(entry: dict[str, Any]) -> PublicKey | None:
    kinds: dict[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    type_name, algorithm = entry.get("kty"), entry.get("alg", "RS256")
    if not isinstance(type_name, str) or not isinstance(algorithm, str):
        return None
    kind = kinds.get(type_name)
    if kind is None or algorithm not in _KEY_OF_ALGORITHM:
        return None
    public: dict[str, Any] = {
        n: entry[n] for n in ("kty", "n", "e", "crv", "x", "y", "kid", "alg") if n in entry
    }
    if any(isinstance(value, str) and len(value) > _MAX_NUMBER for value in public.values()):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are left out below
            key = kind.import_key(public)
        if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def candidates(header: TokenHeader, keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys that may have signed: of the right type and curve, and of that key id.

    A token without a key id is verified only where a single key comes into question.
    """
    kind, curve = _KEY_OF_ALGORITHM[header.alg]
    fitting = [
        key
        for key in keys
        if isinstance(key, kind)
        and (curve is None or key.as_dict(private=False).get("crv") == curve)
        and key.as_dict(private=False).get("alg", header.alg) == header.alg
    ]
    if header.kid is not None:
        fitting = [key for key in fitting if key.kid == header.kid]
    return fitting if len(fitting) == 1 else []


def verify_id_token(
    token: str,
    keys: Sequence[PublicKey],
    settings: OidcSettings,
    *,
    nonce_is_valid: Callable[[str], bool],
    now: float,
) -> Identity:
    """Return whom a token is about. Raises IdTokenError, whose message holds nothing of it."""
    # (1) signed by the provider, (2) by that provider, (3) now
    claims = verified_claims(token, keys, settings.issuer, now=now, max_age=MAX_AGE)
    # (4) for this node, and nobody whom it does not know
    _check_audience(claims, settings)
    # (5) for this login
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonce_is_valid(nonce):
        raise IdTokenError(
            "The ID token does not belong to a login that began here and is not over.",
            next_step="Run `casemate login --oidc` again.",
        )
    # (6) about somebody
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not _is_text(subject):
        raise IdTokenError("The ID token does not say whom it is about.")
    return Identity(issuer=settings.issuer, subject=subject, nonce=nonce)


def _is_text(value: str) -> bool:
    """Tell whether it can be written in UTF-8: JSON can hold half of a character (`\\ud800`)."""
    return not any("\ud800" <= each <= "\udfff" for each in value)


def verified_claims(
    token: str, keys: Sequence[PublicKey], issuer: str, *, now: float, max_age: float
) -> dict[str, Any]:
    """Return what an issuer says now. For whom, about whom and how often is the caller's to check.

    `max_age` is in seconds since the token was issued, whatever it says of its end. Raises
    IdTokenError, whose message holds nothing of the token.
    """
    header = read_header(token)
    # By a key of the issuer, with an algorithm that fits that key.
    fitting = candidates(header, keys)
    if not fitting:
        raise IdTokenError("The ID token is signed with a key that the provider does not have.")
    claims = _signed_claims(token, header, fitting[0])
    if claims.get("iss") != issuer:
        raise IdTokenError("The ID token was issued by another issuer.")
    _check_times(claims, now, max_age)
    return claims


def _signed_claims(token: str, header: TokenHeader, key: PublicKey) -> dict[str, Any]:
    registry = jws.JWSRegistry(algorithms=[header.alg], strict_check_header=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "EdDSA" is the older name of Ed25519 (RFC 9864)
            signed = jws.deserialize_compact(
                token.encode("ascii"), key, algorithms=[header.alg], registry=registry
            )
        claims = json.loads(signed.payload or b"", object_pairs_hook=_unique)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise IdTokenError("The signature of the ID token is not valid.") from error
    if not isinstance(claims, dict):
        raise IdTokenError("The ID token has no claims.")
    return claims


def _check_audience(claims: dict[str, Any], settings: OidcSettings) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise IdTokenError("The ID token does not say whom it is for.")
    if settings.client_id not in named:
        raise IdTokenError("The ID token is for another client.")
    if not set(named) <= {settings.client_id, *settings.audiences}:
        raise IdTokenError(
            "The ID token is also for an audience that is not among those allowed.",
            next_step="An owner can allow it: `casemate oidc set ISSUER --client-id ID "
            "--audience NAME`.",
        )
    party = claims.get("azp")
    if (party is not None or len(named) > 1) and party != settings.client_id:
        raise IdTokenError("The ID token was issued to another client.")


def _check_times(claims: dict[str, Any], now: float, max_age: float) -> None:
    expires_at, issued_at = _time(claims, "exp"), _time(claims, "iat")
    if expires_at is None or issued_at is None:
        raise IdTokenError("The ID token does not say when it was issued and when it expires.")
    next_step = "Log in again; if it stays so, compare the clocks of the node and the provider."
    if now >= expires_at + SKEW or now > issued_at + max_age + SKEW:
        raise IdTokenError("The ID token has expired.", next_step=next_step)
    not_before = _time(claims, "nbf") if "nbf" in claims else issued_at
    if not_before is None or max(issued_at, not_before) > now + SKEW:
        raise IdTokenError("The ID token is not valid yet.", next_step=next_step)


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Written so that NaN, infinity and integers too large for a float are refused alike.
    return float(value) if 0 <= value <= _LAST_TIME else None


def same_subject(left: str | None, right: str) -> bool:
    """Compare subjects as bytes: they are case-sensitive."""
    return left is not None and hmac.compare_digest(left.encode(), right.encode())
