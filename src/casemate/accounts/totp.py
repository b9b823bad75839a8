"""Time-based one-time passwords (RFC 6238): SHA-1, 30 seconds, 6 digits.

These are the parameters that every authenticator application knows; HMAC-SHA-1 is sound here.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from urllib.parse import quote, urlencode

PERIOD = 30
DIGITS = 6
WINDOW = 1
"""Steps before and after the present one whose code is accepted (RFC 6238, section 5.2)."""
SKEW_WINDOW = 10
"""Steps in which a code is recognised, though not accepted, so that a wrong clock is told."""
SECRET_BYTES = 20

_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> bytes:
    """Return a new secret of 160 bits (RFC 4226, section 4)."""
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 4226, section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """Return the time step, at most SKEW_WINDOW from now, that `code` belongs to, or None.

    The nearest one wins; every step is compared, so that the time taken does not tell which.
    """
    digits = "".join(code.split())
    if _CODE.fullmatch(digits) is None:
        return None
    present = int(now) // PERIOD
    found: int | None = None
    for distance in range(SKEW_WINDOW, -1, -1):
        for step in (present - distance, present + distance):
            if step >= 0 and hmac.compare_digest(code_at(secret, step), digits):
                found = step
    return found


def steps_off(step: int, now: float) -> int:
    """Return how many steps a code is late (negative) or early (positive)."""
    return step - int(now) // PERIOD


def otpauth_uri(secret: bytes, name: str, issuer: str) -> str:
    """Return the URI that authenticator applications read, usually as a QR code.

    Algorithm, digits and period are those that it stands for without naming them: with them the
    code is 25 lines high, and its top is gone from a terminal of 24.
    """
    label = f"{quote(issuer, safe='')}:{quote(name, safe='')}"
    query = urlencode(
        {
            "secret": base64.b32encode(secret).decode().rstrip("="),
            "issuer": issuer,
        },
        quote_via=quote,
    )
    return f"otpauth://totp/{label}?{query}"
