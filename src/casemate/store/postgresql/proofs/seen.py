"""The newest proof that a node has seen, in a file of its own: an older one is not believed.

It is written before whoever made a change is told, and made durable once a second: a killed process
loses nothing of it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import threading
import time
from pathlib import Path
from typing import Final

from casemate.store.errors import StoreProofError

DAMAGED: Final = "control/damaged"
_RECORD: Final = struct.Struct("<8sQ32s")
_MAGIC: Final = b"CMPROOF1"
_HASH_BYTES: Final = 16
_SYNC_SECONDS: Final = 1.0


class SeenFile:
    """Any thread may use it."""

    def __init__(self, path: Path | None = None, *, forget: bool = False) -> None:
        """Read a file, made where it is missing; None: remember as long as the process lives.

        `forget` has one that is damaged begin anew. Raises StoreProofError, OSError.
        """
        self._lock = threading.Lock()
        self._file = -1
        self._synced = 0.0
        self.generation = 0
        """0: none was seen."""
        self.code = b""
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._load(path.name, forget=forget)
            except BaseException:
                self.close()
                raise

    def note(self, generation: int, code: bytes, *, back: bool = False) -> None:
        """Remember a proof; an older one only if the operator has said so. Raises OSError."""
        with self._lock:
            if generation <= self.generation and not back:
                return
            if self._file >= 0:
                text = _RECORD.pack(_MAGIC, generation, code)
                os.pwrite(self._file, text + _hash(text), 0)
                if time.monotonic() - self._synced > _SYNC_SECONDS:
                    os.fdatasync(self._file)
                    self._synced = time.monotonic()
            self.generation, self.code = generation, code

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _load(self, name: str, *, forget: bool) -> None:
        content = os.pread(self._file, _RECORD.size + _HASH_BYTES + 1, 0)
        if not content or forget:
            return
        text = content[: _RECORD.size]
        if len(content) != _RECORD.size + _HASH_BYTES or not hmac.compare_digest(
            content[_RECORD.size :], _hash(text)
        ):
            raise StoreProofError(
                f"{name}, which says what this node has seen of the control database, is damaged.",
                next_step="Restore it from a backup of the data folder. To go on without knowing "
                "whether the database was put back to an earlier time: casemate serve "
                f"--accept-loss {DAMAGED}",
            )
        _, self.generation, self.code = _RECORD.unpack(text)


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:_HASH_BYTES]
