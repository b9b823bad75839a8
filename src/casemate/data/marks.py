"""Page marks: where a listing goes on, opaque to callers and authenticated.

A mark holds the position, and a MAC over it and the question it belongs to. One that was made up,
changed, or made for another question or project is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from casemate.model.errors import InvalidInputError

_MAC_BYTES = 16
_MAX_TEXT = 16 * 1024


def write_mark(secret: bytes, question: tuple[Any, ...], position: tuple[Any, ...]) -> str:
    """Return the mark of a position in the answer to a question."""
    body = msgspec.msgpack.encode(position)
    return base64.urlsafe_b64encode(_mac(secret, question, body) + body).decode().rstrip("=")


def read_mark(secret: bytes, question: tuple[Any, ...], mark: object, length: int) -> list[Any]:
    """Return the position that a mark of the same question holds.

    Raises InvalidInputError for anything that `write_mark` did not return.
    """
    failure = InvalidInputError(
        "`after` is not what an earlier page of the same question returned.",
        next_step="Pass `after` of the page before, unchanged, with the same other parameters.",
    )
    if type(mark) is not str or len(mark) > _MAX_TEXT or not mark.isascii():
        raise failure
    try:
        raw = base64.b64decode(mark + "=" * (-len(mark) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise failure from error
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, question, body)):
        raise failure
    position = msgspec.msgpack.decode(body)
    if type(position) is not list or len(position) != length:
        raise failure
    return position


def _mac(secret: bytes, question: tuple[Any, ...], body: bytes) -> bytes:
    # The question is encoded with its length first, so that no two pairs give the same text.
    asked = msgspec.msgpack.encode(question)
    message = len(asked).to_bytes(4, "big") + asked + body
    return hmac.new(secret, message, hashlib.sha256).digest()[:_MAC_BYTES]
