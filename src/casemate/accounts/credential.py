"""The text of tokens: `cm_<id>_<secret><checksum>` (see `casemate.model.account.Token`)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from zlib import crc32

PREFIX = "cm_"
ID_LENGTH = 16
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
OLD_LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH
"""Keys of the first release have no checksum; those that were issued stay valid."""
LENGTH = OLD_LENGTH + CHECKSUM_LENGTH
ID_END = len(PREFIX) + ID_LENGTH

PATTERN = re.compile(
    rf"{PREFIX}[0-9a-f]{{{ID_LENGTH}}}_[A-Za-z0-9_-]{{{SECRET_LENGTH}}}"
    rf"(?:[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})?"
)
"""What scanners for leaked secrets can look for; the checksum tells the false ones."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
_SCHEME = "bearer "
_MAX_HEADER = 256


def checksum(body: str) -> str:
    """Return the CRC-32 of an ASCII text in base 62, six characters, most significant first.

    It protects nothing: it tells a mistyped or truncated token from a wrong one, and a leaked
    one from any other text.
    """
    rest, low = divmod(crc32(body.encode("ascii")), 3844)
    high, middle = divmod(rest, 3844)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def new_text() -> tuple[str, str]:
    """Return the id and the text of a new token, which is to be kept nowhere."""
    token_id = secrets.token_hex(ID_LENGTH // 2)
    body = f"{PREFIX}{token_id}_{secrets.token_urlsafe(32)}"
    return token_id, body + checksum(body)


def digest(text: str) -> str:
    """Return the hash under which a token or a one-time code is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(given: str, stored: str | None) -> bool:
    """Compare two hashes in constant time; nothing equals a hash that is not there."""
    return hmac.compare_digest(given, stored or "")


def token_id_of(authorization: str | None) -> str | None:
    """Return the id of the token in an Authorization header's value, None without a token.

    Says nothing of whether the token is genuine: for who has been authenticated by it.
    """
    text = bearer_text(authorization)
    return None if text is None else text[len(PREFIX) : ID_END]


def bearer_text(authorization: str | None) -> str | None:
    """Return the well-formed token in an Authorization header's value (RFC 6750), or None.

    Only its form is checked, the checksum included; whether it was issued is not.
    """
    if authorization is None or len(authorization) > _MAX_HEADER or not authorization.isascii():
        return None
    if authorization[:7].lower() != _SCHEME:
        return None
    text = authorization[7:]
    if len(text) not in (LENGTH, OLD_LENGTH):
        text = text.strip(" ")
    if not text.startswith(PREFIX) or text[ID_END : ID_END + 1] != "_":
        return None
    if len(text) == LENGTH:
        return text if checksum(text[:OLD_LENGTH]) == text[OLD_LENGTH:] else None
    return text if len(text) == OLD_LENGTH else None
