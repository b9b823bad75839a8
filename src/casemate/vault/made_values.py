"""Random values of secrets, in the forms that servers and people take."""

from __future__ import annotations

import base64
import os
import secrets
import string

from casemate.model.vault import LEAST_LENGTH, MAX_LENGTH, NewValue, ValueForm
from casemate.vault.errors import VaultInputError

PASSWORD_PARTS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-._~")
"""What is in passwords: nothing that has to be escaped in addresses, shells or settings."""
_draw = secrets.SystemRandom()


def make(wanted: NewValue) -> bytes:
    """Return a value that was never there before. Raises VaultInputError for one that is short."""
    form, length = wanted.form, wanted.length
    if not LEAST_LENGTH[form] <= length <= MAX_LENGTH:
        raise VaultInputError(
            f"A value of the form {form.value} with a length of {length} is not made.",
            next_step=f"Give a length of {LEAST_LENGTH[form]} to {MAX_LENGTH}.",
        )
    match form:
        case ValueForm.BYTES:
            return os.urandom(length)
        case ValueForm.HEX:
            return os.urandom(length).hex()[:length].encode()
        case ValueForm.URL_SAFE:
            return base64.urlsafe_b64encode(os.urandom(length))[:length]
        case ValueForm.PASSWORD:
            return _password(length).encode()


def _password(length: int) -> str:
    drawn = [_draw.choice(part) for part in PASSWORD_PARTS]
    drawn += [_draw.choice("".join(PASSWORD_PARTS)) for _ in range(length - len(drawn))]
    _draw.shuffle(drawn)
    return "".join(drawn)
