"""Whether a value of the environment looks like a secret, which does not belong there.

A secret in a manifest is in the version control, the bundle and every listing. The check cannot
find all of them; it finds those that people paste.
"""

from __future__ import annotations

import math
import re
from collections import Counter

_TOKENS = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:"
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}"  # Amazon access key ids
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{10,}"  # Stripe
    r"|sk-[A-Za-z0-9_-]{20,}"
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|hf_[A-Za-z0-9]{20,}"
    r"|cm_[0-9a-f]{16}_[A-Za-z0-9_-]{43,}"  # this platform's own
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # JWT
    r")"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_PASSWORD_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://[^/@\s:]*:[^/@\s]+@")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)\Z|PASSWORD"
)
_PASSWORD_NAME = re.compile(r"PASSWORD|PASSWD|PASSPHRASE")

_MIN_LENGTH = 12
_MIN_BITS = 3.0
"""Bits of entropy a character: words and paths lie below, random keys above."""


def looks_like_secret(name: str, value: str) -> str | None:
    """Return what a variable looks like if that is a secret, else None. Never tells the value."""
    if _PRIVATE_KEY.search(value):
        return "a private key"
    if _TOKENS.search(value):
        return "a token of a known service"
    if _PASSWORD_IN_URL.search(value):
        return "an address with a password in it"
    if _PASSWORD_NAME.search(name) and value:
        return "a password"
    if _SECRET_NAME.search(name) and _is_random(value):
        return "a random key or token"
    return None


def _is_random(value: str) -> bool:
    if len(value) < _MIN_LENGTH or any(char.isspace() for char in value):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return bits >= _MIN_BITS and any(char.isdigit() for char in value)
