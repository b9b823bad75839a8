"""One second place: what it was sent last, when it is sent more, and what becomes of a failure.

Each has a task of its own: one that hangs delays no other, and nothing that the node does waits for
any of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from casemate.model.errors import CasemateError
from casemate.monitor.outlet import ATTEMPT_SECONDS
from casemate.monitor.places.note import Note, note_of
from casemate.monitor.protocol import PlaceState
from casemate.monitor.retrying import FIRST_PAUSE, Retried
from casemate.recorder.reading_protocol import Head

UNSENT_SECONDS = 60.0
"""How long a checkpoint may fail to arrive before that is a finding."""

GetHead = Callable[[], Awaitable[Head]]
Send = Callable[[Note], Awaitable[None]]


class Remembered(msgspec.Struct, frozen=True):
    """What it goes on with."""

    size: int
    root: bytes
    at: float
    sent: int
    failed: int


class Place(Retried):
    """It."""

    def __init__(self, name: str, every: float, send: Send) -> None:
        """Send by `send`, once in `every` seconds at most."""
        super().__init__("checkpoints", name)
        self._every = every
        self._send = send
        self._size = -1
        self._root = b""
        self._at = 0.0
        self._failing_since: float | None = None
        """By the loop's clock."""
        self._headless = False
        """Whether there is no head of the journal to send."""
        self.sent = self.failed = 0
        self.changed: Callable[[], None] = lambda: None
        self.rolled_back: Callable[[str, int, int], None] = lambda _name, _sent, _now: None
        """Told the entries that were sent and those that there are, where these are others."""
        self.unsent: Callable[[str], None] = lambda _name: None
        """Told again and again while a checkpoint does not arrive."""

    async def run(self, head: GetHead) -> None:
        """Send for ever."""
        while True:
            try:
                found = await head()
                note = note_of(found) if found.note else None
            except (CasemateError, ValueError) as error:
                # That nothing can be sent is as bad as that nothing arrives.
                self._headless = True
                self._failed(error)
                note = None
            else:
                if self._headless:
                    self._worked()
            if note is not None and (note.size, note.root) != (self._size, self._root):
                self._compare(note)
                await self._attempt(note)
            await asyncio.sleep(self._wait())

    def _wait(self) -> float:
        if self._failures:
            return self._pause()
        # The first one goes as soon as there is one.
        return self._every if self._size >= 0 else FIRST_PAUSE

    def _compare(self, note: Note) -> None:
        """See that the journal has not become shorter than what was sent, or another one."""
        if note.size <= self._size:
            self.rolled_back(self.name, self._size, note.size)

    async def _attempt(self, note: Note) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._send(note)
        except Exception as error:  # noqa: BLE001 - whatever a place answers ends no other
            self.failed += 1
            self._failed(error)
        else:
            self._worked()
            self.sent += 1
            self._size, self._root, self._at = note.size, note.root, time.time()
        self.changed()

    def _failed(self, error: Exception, why: str = "") -> None:
        super()._failed(error, why)
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= UNSENT_SECONDS:
            self.unsent(self.name)

    def _worked(self) -> None:
        super()._worked()
        self._failing_since = None
        self._headless = False

    @property
    def failing_for(self) -> float:
        """For how many seconds the place has not taken what it was sent."""
        if self._failing_since is None or self._headless:
            return 0.0
        return asyncio.get_running_loop().time() - self._failing_since

    @property
    def state(self) -> PlaceState:
        """Return how it is."""
        return PlaceState(
            name=self.name,
            sent=self.sent,
            failed=self.failed,
            size=max(0, self._size),
            at=self._at,
            problem=self.problem,
        )

    def remembered(self) -> Remembered:
        """Return what it goes on with after a kill."""
        return Remembered(self._size, self._root, self._at, self.sent, self.failed)

    def recall(self, found: Remembered) -> None:
        """Go on from what was remembered."""
        self._size, self._root, self._at = found.size, found.root, found.at
        self.sent, self.failed = found.sent, found.failed
