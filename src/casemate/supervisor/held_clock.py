"""What the supervisor believes of the clock, across starts of the node.

What is written while the clock is ahead has its times: the start after that would take them for
the last that was known. So while the clock is held, what is believed instead is kept in a file.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.folder.folders import Folders
from casemate.kernel.durability import sync_folder
from casemate.set_clock import Believed, begin_as_of

FILE = "held-clock"
"""In the data folder, while the clock is held."""
_MAX_BYTES = 200
_KEEP_SECONDS = 10.0
"""Between two looks; what passes in between is waited for again after a kill."""


class _Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in the file. Times are Unix seconds, as they are believed."""

    at: float
    waited: float


class HeldClock:
    """Belongs to the supervisor's thread."""

    def __init__(
        self, folders: Folders, report: Callable[[str], None], *, accepted: bool = False
    ) -> None:
        """Begin with when the node ran last; with the clock as it is if that is `accepted`."""
        self._path = folders.data / FILE
        self._report = report
        held = None if accepted else self._read()
        known = None if accepted else folders.last_told()
        if held is not None:
            known = held.at if known is None else min(held.at, known)
        self._deleting = begin_as_of(known, None if held is None else held.waited)
        self._told = ""
        self._look_at = 0.0
        self._is_kept = held is not None or accepted
        self.look()

    def believed(self) -> Believed:
        """Return what is believed of the clock, for a process that is started now."""
        return self._deleting.believed()

    def look(self) -> None:
        """Keep what is believed, if it is not the clock as it is. Never raises."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _KEEP_SECONDS
        held = self._deleting.held()
        if bool(held) != bool(self._told):
            self._report(held or "what is over is deleted by the clock again")
        self._told = held
        try:
            if held:
                believed = self._deleting.believed()
                self._write(_Held(at=self._deleting.now(), waited=believed.waited))
                self._is_kept = True
            elif self._is_kept:
                self._path.unlink(missing_ok=True)
                self._is_kept = False
        except OSError as error:
            self._report(f"what is believed of the clock cannot be kept: {error.strerror}")

    def _read(self) -> _Held | None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=decodable(_Held))
        except FileNotFoundError:
            return None
        except (OSError, *DECODING_ERRORS) as error:
            self._report(f"what was believed of the clock cannot be read: {type(error).__name__}")
            return None

    def _write(self, held: _Held) -> None:
        beside = self._path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(msgspec.json.encode(held))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path)
        sync_folder(self._path.parent)
