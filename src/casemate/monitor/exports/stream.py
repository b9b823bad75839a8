"""One kind of records on its way to one place: from a kept position, in batches, until it is taken.

What waits is in the recorder's database and nowhere else: in memory there is one batch. What
retention deletes before it was sent is lost to the place, and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from casemate.model.errors import CasemateError
from casemate.model.invocation import InvocationRecord
from casemate.monitor.errors import RefusedError, TooLargeError
from casemate.monitor.exports.collector import Delivered
from casemate.monitor.exports.settings import Signal
from casemate.monitor.outlet import ATTEMPT_SECONDS
from casemate.monitor.protocol import ExportState
from casemate.monitor.retrying import Retried
from casemate.recorder.reading_protocol import Lent, Line, RecordKind

MAX_HALVINGS = 32
"""Times that one batch is cut in two because it is too large; what is left then is given up."""
_KINDS: dict[Signal, RecordKind] = {"traces": "invocations", "logs": "lines"}
_DECODERS: dict[RecordKind, Callable[[msgspec.Raw], list[Any]]] = {
    "invocations": msgspec.msgpack.Decoder(list[InvocationRecord]).decode,
    "lines": msgspec.msgpack.Decoder(list[Line]).decode,
}

LendRecords = Callable[[RecordKind, int | None], Awaitable[Lent]]
Send = Callable[[Sequence[Any]], Awaitable[Delivered]]
"""Delivers records, or raises."""
_log = logging.getLogger("casemate.monitor")


class Remembered(msgspec.Struct, frozen=True):
    """What a stream goes on with."""

    position: int | None
    sent: int
    refused: int
    missed: int


class Stream(Retried):
    """It."""

    def __init__(self, name: str, signal: Signal, every: float, send: Send) -> None:
        """Send by `send`, waiting `every` seconds for company."""
        super().__init__(signal, name)
        self.signal = signal
        self._every = every
        self._send = send
        self._kind = _KINDS[signal]
        self._position: int | None = None
        """Sequence of the last record that is done with; None: what is new from now on is sent."""
        self.changed: Callable[[], None] = _nothing
        self.sent = self.refused = self.missed = self.behind = 0

    @property
    def key(self) -> str:
        """By which it is remembered."""
        return f"{self.name} {self.signal}"

    async def run(self, lend: LendRecords) -> None:
        """Send for ever."""
        while True:
            try:
                lent = await lend(self._kind, self._position)
                rows = _DECODERS[self._kind](lent.rows)
            except (CasemateError, ValueError) as error:
                self._failed(error, "records cannot be read: ")
                await asyncio.sleep(self._pause())
                continue
            if self._failures:  # of reading: what is sent is tried until it is taken or refused
                self._worked()
            await asyncio.sleep(await self._take(lent, rows))

    async def _take(self, lent: Lent, rows: Sequence[Any]) -> float:
        """Send what was lent; return for how long to wait then."""
        position = self._position
        if position is None or lent.newest < position:
            if position is not None:
                # Others than those that were sent: sent twice is better than never.
                _log.error("records sent to %s were replaced: all are sent", self.name)
            self._position = lent.newest if position is None else 0
            self.changed()
            return self._every if position is None else 0.0
        await self._deliver(rows)
        self.missed += lent.next - position - lent.count
        self._position = lent.next
        self.behind = lent.newest - lent.next
        if lent.next != position:
            self.changed()
        return 0.0 if self.behind else self._every

    async def _deliver(self, rows: Sequence[Any]) -> None:
        """Send them until each was taken, or refused for good."""
        waiting, halvings = [rows] if rows else [], 0
        while waiting:
            part = waiting.pop()
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    done = await self._send(part)
            except RefusedError as error:
                if isinstance(error, TooLargeError) and len(part) > 1 and halvings < MAX_HALVINGS:
                    halvings += 1
                    waiting += (part[len(part) // 2 :], part[: len(part) // 2])
                else:
                    self._refused(len(part), error.message)
            except Exception as error:  # noqa: BLE001 - whatever is answered ends no other
                self._failed(error)
                waiting.append(part)
                await asyncio.sleep(self._pause(error))
            else:
                self._worked()
                refused = min(done.refused, len(part))
                self.sent += len(part) - refused
                if refused:
                    self._refused(refused, done.why)

    def _refused(self, count: int, why: str) -> None:
        """Count what is given up, and say why until something is taken."""
        if not self.refused:
            _log.error("%s does not take %d %s: %s", self.name, count, self.signal, why)
        self.refused += count
        self._answered(f"{count} were refused: {why}")

    @property
    def state(self) -> ExportState:
        """Return how it is."""
        return ExportState(
            name=self.name,
            signal=self.signal,
            sent=self.sent,
            refused=self.refused,
            missed=self.missed,
            behind=self.behind,
            problem=self.problem,
        )

    def remembered(self) -> Remembered:
        """Return what it goes on with after a kill."""
        return Remembered(self._position, self.sent, self.refused, self.missed)

    def recall(self, found: Remembered) -> None:
        """Go on from what was remembered."""
        self._position = found.position
        self.sent, self.refused, self.missed = found.sent, found.refused, found.missed


def _nothing() -> None:
    """Do nothing."""
