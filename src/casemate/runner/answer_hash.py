"""The hash by which the answers of two calls are compared without being shown."""

from __future__ import annotations

import contextlib
import hashlib
import json


def answer_hash(body: bytes) -> str:
    """Return the hash of an answer, which is the same for equal JSON in another order."""
    with contextlib.suppress(ValueError, RecursionError):  # else it is bytes, or a text
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest()
