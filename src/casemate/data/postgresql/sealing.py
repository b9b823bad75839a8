"""Encryption of single values: AES-256-GCM, each bound to what it belongs to.

A value has a format, the version of the project's DATA key, a salt, a number and the ciphertext.
Each process derives a key of its own from that key and a random salt (HKDF-SHA-256, RFC 5869) and
counts its values, so that no number is used twice under one key however many are written; random
numbers of 96 bits would allow too few. What a value is bound to is encoded so that no two places
have one encoding.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import OrderedDict
from itertools import count
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casemate.data.errors import DataCorruptError
from casemate.data.terms import Bound
from casemate.model.errors import CasemateError
from casemate.vault.interface import DataKey

_ENCODER: Final = msgspec.msgpack.Encoder()
_FORMAT: Final = 1
_HEAD: Final = struct.Struct(">BI16sQ")
_TAG_BYTES: Final = 16
OVERHEAD: Final = _HEAD.size + _TAG_BYTES
"""How many bytes longer a sealed value is."""
MAX_DERIVED: Final = 256
"""Keys of processes that are kept ready; each has written what is read at the moment."""
_NEXT = "Restore the project's data from a backup; what the database holds was changed."


class MissingValueKeyError(CasemateError):
    """A version of the project's DATA key is needed first; the caller fetches it, asks again."""

    def __init__(self, version: int) -> None:
        """Keep which."""
        super().__init__(f"Version {version} of the project's data key is not loaded.")
        self.version = version


class Sealer:
    """The DATA keys of one project, ready to use by any thread. It does not show them."""

    def __init__(self, project: str, newest: DataKey) -> None:
        """Seal with a key; others are added when they are needed."""
        self._project = project
        self._keys = {newest.version: newest.key}
        self._lock = threading.Lock()
        self._derived: OrderedDict[tuple[int, bytes], AESGCM] = OrderedDict()
        self._begin(newest.version)

    def _begin(self, version: int) -> None:
        salt = os.urandom(16)
        # Replaced at once: who seals at this moment uses all of the old or all of the new.
        self._own = (version, salt, self._derive(version, salt), count())

    @property
    def newest(self) -> int:
        """The version that is sealed with."""
        return self._own[0]

    def add(self, key: DataKey) -> None:
        """Have another version; one that is newer is sealed with from now on."""
        with self._lock:
            self._keys[key.version] = key.key
        if key.version > self.newest:
            self._begin(key.version)

    def seal(self, bound: Bound, content: bytes) -> bytes:
        """Return content that only `open` with the same `bound` gives back."""
        version, salt, cipher, numbers = self._own
        number = next(numbers)
        head = _HEAD.pack(_FORMAT, version, salt, number)
        return head + cipher.encrypt(number.to_bytes(12, "big"), content, self._context(bound))

    def open(self, bound: Bound, kept: bytes) -> bytes:
        """Return what was sealed. Raises DataCorruptError, MissingValueKeyError."""
        try:
            form, version, salt, number = _HEAD.unpack_from(kept)
        except struct.error as error:
            raise _corrupt(bound) from error
        if form != _FORMAT:
            raise _corrupt(bound)
        cipher = self._cipher(version, salt)
        try:
            return cipher.decrypt(
                number.to_bytes(12, "big"), kept[_HEAD.size :], self._context(bound)
            )
        except (InvalidTag, ValueError) as error:
            raise _corrupt(bound) from error

    def _context(self, bound: Bound) -> bytes:
        return _ENCODER.encode(("casemate-value-1", self._project, bound))

    def _cipher(self, version: int, salt: bytes) -> AESGCM:
        own = self._own
        if (version, salt) == own[:2]:
            return own[2]
        with self._lock:
            found = self._derived.get((version, salt))
            if found is not None:
                self._derived.move_to_end((version, salt))
                return found
        made = self._derive(version, salt)
        with self._lock:
            self._derived[version, salt] = made
            while len(self._derived) > MAX_DERIVED:
                self._derived.popitem(last=False)
        return made

    def _derive(self, version: int, salt: bytes) -> AESGCM:
        key = self._keys.get(version)
        if key is None:
            raise MissingValueKeyError(version)
        info = b"casemate project value"
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key))

    def __repr__(self) -> str:
        """Leave out the keys."""
        return f"Sealer({self._project!r})"


def version_of(kept: bytes) -> int:
    """Return the version of the key that a value is sealed with, 0 for what is no such value."""
    try:
        form, version, _, _ = _HEAD.unpack_from(kept)
    except struct.error:
        return 0
    return int(version) if form == _FORMAT else 0


def _corrupt(bound: Bound) -> DataCorruptError:
    return DataCorruptError(f"What is kept as {bound[0]} is not authentic.", next_step=_NEXT)
