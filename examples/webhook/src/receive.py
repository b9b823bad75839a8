"""Receive webhooks as Standard Webhooks 1.0.0 describes them: `POST /webhook`.

Only its asymmetric scheme, `v1a` (Ed25519), is accepted: checking a signature needs no secret.
"""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_PREFIX, SIGNATURE_PREFIX = "whpk_", "v1a,"
TOLERANCE = 300
"""Seconds by which the signed time may differ, for clocks and delivery."""
MAX_SIGNATURES = 4
"""Bounds the work that a stranger can cause. Senders send two while they change their key."""

ID_TEXT = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Without a full stop, which would let a part of the id pass for the timestamp."""
TIMESTAMP_TEXT = re.compile(r"[0-9]{1,12}")


class KeyFileError(Exception):
    """The file of trusted keys contains something other than keys."""


class RefusedError(Exception):
    """The request is not one that a trusted sender has sent just now."""


def read_keys(text: str) -> list[Ed25519PublicKey]:
    """Return the keys of a file: one a line, `#` starts a comment."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        if not written.startswith(KEY_PREFIX):
            raise KeyFileError(f"line {number}: expected a public key, which starts with whpk_")
        try:
            raw = base64.b64decode(written.removeprefix(KEY_PREFIX), validate=True)
            keys.append(Ed25519PublicKey.from_public_bytes(raw))
        except ValueError as error:
            raise KeyFileError(f"line {number}: expected whpk_ and 32 bytes in base64") from error
    return keys


# A mistake in the file raises here, at import: the deployment fails, and the previous version
# stays live.
TRUSTED_KEYS = read_keys(Path(__file__).with_name("trusted_keys.txt").read_text(encoding="utf-8"))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Accept an event of a trusted sender; say no more than "no" to anybody else."""
    if not TRUSTED_KEYS:
        context.log.error("no key is trusted: add one to src/trusted_keys.txt and deploy again")
        return {"status": 503, "body": {"error": "not ready to receive"}}
    try:
        message_id, payload = verify(event, TRUSTED_KEYS, time.time())
    except RefusedError as refused:
        context.log.warning("refused", reason=str(refused))
        return {"status": 401, "body": {"error": "not signed by a trusted sender"}}
    try:
        message = json.loads(payload)
        kind = message["type"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return {"status": 400, "body": {"error": "expected a JSON object with a type"}}
    context.log.info("received", id=message_id, type=kind)
    return {"status": 202, "body": {"accepted": message_id, "type": kind}}


def verify(event: dict[str, Any], keys: list[Ed25519PublicKey], now: float) -> tuple[str, bytes]:
    """Return the message's id and body if one of the keys has signed both not long ago."""
    headers = event.get("headers") or {}
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not ID_TEXT.fullmatch(message_id) or not TIMESTAMP_TEXT.fullmatch(timestamp):
        raise RefusedError("no valid webhook-id and webhook-timestamp")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise RefusedError("the timestamp is too far from now")
    payload = payload_of(event)
    signed = f"{message_id}.{timestamp}.".encode() + payload
    signatures = headers.get("webhook-signature", "").split()[:MAX_SIGNATURES]
    if not any(is_signed_by(key, text, signed) for text in signatures for key in keys):
        raise RefusedError("no signature of a trusted key")
    return message_id, payload


def payload_of(event: dict[str, Any]) -> bytes:
    """Return the body as the bytes that were sent, which is what was signed."""
    body = event.get("body") or ""
    try:
        return base64.b64decode(body, validate=True) if event.get("is_base64") else body.encode()
    except ValueError as error:
        raise RefusedError("the body cannot be read") from error


def is_signed_by(key: Ed25519PublicKey, text: str, signed: bytes) -> bool:
    """Tell if `text` is a signature of scheme v1a that `key` made of `signed`."""
    if not text.startswith(SIGNATURE_PREFIX):
        return False
    try:
        key.verify(base64.b64decode(text.removeprefix(SIGNATURE_PREFIX), validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True
