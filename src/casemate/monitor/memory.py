"""What the monitor remembers, in one file: where it is in the journal, and all that goes with it.

Put in place at once or not at all, encrypted. Position and memory are of one moment, so that a
monitor that was killed sees again exactly what came after it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.journal.errors import JournalDamagedError
from casemate.journal.files import read_bounded, write_whole
from casemate.monitor.errors import MonitorError
from casemate.recorder.protocol import Told
from casemate.vault import envelope
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import DataKey

FILE = "memory"
MAX_BYTES = 128 << 20
_FORMAT = b"casemate monitor 1"
_ASIDE = "damaged-"
MAX_ASIDE = 4


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """All of one moment."""

    position: int
    """Index of the entry that is read next."""
    last: str
    """Id of the one before; empty: there is none, or it had none."""
    consumers: dict[str, bytes]
    telling: list[tuple[str, Told]]


class MemoryDamagedError(MonitorError):
    """What the monitor remembered cannot be read."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode
GetKey = Callable[[int | None], Awaitable[DataKey]]


class Memory:
    """The file, in a folder of the monitor alone."""

    def __init__(self, folder: Path, get_key: GetKey) -> None:
        """Use the keys that `get_key` returns."""
        self._folder = folder
        self._get_key = get_key
        self._key: DataKey | None = None
        self._writing = threading.Lock()

    async def load(self) -> Remembered | None:
        """Return what was remembered, None at the very first start.

        Raises MemoryDamagedError; VaultError where the key cannot be had.
        """
        self._key = await self._get_key(None)
        try:
            data = read_bounded(self._folder / FILE, MAX_BYTES)
        except JournalDamagedError as error:
            raise MemoryDamagedError(error.message) from error
        if data is None:
            return None
        head, _, sealed = data.partition(b"\n")
        name, _, version = head.rpartition(b" ")
        try:
            if name != _FORMAT:
                raise ValueError(name)
            number = int(version)
            key = self._key if self._key.version == number else await self._get_key(number)
            return _decode(envelope.decrypt(key.key, sealed, head))
        except (ValueError, DecryptionError, *DECODING_ERRORS) as error:
            raise MemoryDamagedError("What the monitor remembered was changed or cut.") from error

    def put_aside(self) -> str:
        """Keep a file that cannot be read beside, for people to look at; return its name."""
        aside = sorted(self._folder.glob(f"{_ASIDE}*"))
        for each in aside[: max(0, len(aside) - MAX_ASIDE + 1)]:
            each.unlink(missing_ok=True)
        name = f"{_ASIDE}{int(time.time())}"
        (self._folder / FILE).rename(self._folder / name)
        return name

    def sealed(self, remembered: Remembered) -> bytes:
        """Return what is to be written."""
        if self._key is None:
            raise MonitorError("The key was not loaded.")
        head = _FORMAT + b" %d" % self._key.version
        return head + b"\n" + envelope.encrypt(self._key.key, _encode(remembered), head)

    def write(self, data: bytes) -> None:
        """Put it in place, durably; one after the other, from any thread. Raises OSError."""
        with self._writing:
            write_whole(self._folder / FILE, data, durable=True)
