"""The gateway's end: tells the recorder what happens, and knows what is durable.

Facts and records wait for a few milliseconds for company, travel in batches under numbers, and are
forgotten once they are acknowledged. Until then a copy of each is in memory that outlives this
process: a gateway that is killed loses nothing of what it has answered (`outstanding.py`).
When the recorder ends another one is started, and all that was not acknowledged is sent again.
While nothing can be recorded the buffer fills: at half of it, or when the recorder is gone for too
long, nothing more may begin; the other half is for what runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from casemate.child.calls import Number, decode_reply, encode
from casemate.child.frames import FrameError
from casemate.child.questions import Questions, Respondent
from casemate.child.restart import Backoff, KeptProcess
from casemate.facts import FactStream
from casemate.journal.verifying import Verified
from casemate.metrics.figures import Timed
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.facts import Fact
from casemate.recorder import protocol
from casemate.recorder.errors import NotRecordedError
from casemate.recorder.folding import WINDOW_SECONDS, Folding
from casemate.recorder.ocsf import KINDS
from casemate.recorder.outstanding import NO_NUMBER, Outstanding
from casemate.recorder.protocol import BEGUN, Found, Head, Proven, Query, Told
from casemate.recorder.refused import Aside, Sent

COMPANY_SECONDS = 0.005
"""How long a fact waits for others before it is sent."""
RECORD_COMPANY_SECONDS = 0.2
"""How long a record does: nobody waits for it but who asks for records, which sends it at once.
What is written for a message alone costs as much as some eighty records of it."""
MAX_BUFFERED = 32_768
"""Facts and records that wait to be acknowledged. At half of them nothing more may begin."""
MAX_BUFFERED_BYTES = 64 << 20
"""Bytes of them, likewise."""
MAX_UNDER_WAY = 64
"""Messages that wait to be acknowledged."""
MAX_UNDER_WAY_BYTES = 8 << 20
MAX_BATCH_BYTES = 512 << 10
"""After so many bytes a message is full; a larger record goes alone."""
GONE_SECONDS = 5.0
"""How long the recorder may be gone before nothing more may begin."""
LOSSES_SECONDS = 3600.0
"""How long a look at the node's health tells of what could not be kept."""
DURABLE_SECONDS = 10.0
"""How long one waits for what was told to be durable."""
ANSWER_SECONDS = 60.0
START_SECONDS = 60.0
_RESPONDENT = Respondent(
    name="recorder",
    most=16,
    most_waiting=256,
    errors=protocol.ERRORS,
    unavailable=NotRecordedError,
    takes=protocol.decode_request,
    if_late="Ask for less, or try again.",
)

T = TypeVar("T")


_decode_lost = msgspec.msgpack.Decoder(Number | None).decode
"""Returns how many records of a message could not be kept; None: all were."""
_NOT_HELD = (-1, b"")
_log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()


def _told(fact: Fact, count: int = 1) -> Told:
    return Told(type(fact).__name__, _encoder.encode(fact), count)


class RecorderClient:
    """Tells and asks one recorder, whichever it is at the time. In the loop's thread only."""

    _losses: tuple[tuple[int, int], float] = ((0, 0), 0.0)
    """What was missed and lost when that was asked last, and since when it was so much."""

    def __init__(
        self,
        starter: socket.socket | None,
        loop: asyncio.AbstractEventLoop,
        facts: FactStream,
        memory: int,
    ) -> None:
        """Have recorders started on `starter`, and record what `facts` tells from now on.

        `memory` is that of `Memories`, for this one alone.
        """
        self._loop = loop
        self._session = os.urandom(protocol.SESSION_BYTES)
        self._folding = Folding()
        self._buffer: deque[tuple[Told, int]] = deque()
        """Told and not sent, each with its slot; after those under way."""
        self._outstanding = Outstanding(memory, self._session)
        self._held: dict[str, tuple[int, bytes]] = {}
        """Slots of what will be told, and what is in them (empty: that it runs), by whose it is."""
        self._sent: deque[Sent] = deque()
        """Under way, in order."""
        self._again: deque[Sent] = deque()
        """To be sent one after the other, after those under way: a recorder has refused them."""
        self._refused_by = 0
        """Which recorder, of `starts`, has refused something last."""
        self.aside = Aside(self._outstanding)
        self._aside_after = -1
        """How many were told up to the last that was put aside."""
        self._sent_bytes = 0
        self._bytes = 0
        """Of all that waits to be acknowledged."""
        self._next = 0
        """Number of the first fact in the buffer."""
        self._acknowledged = 0
        """All facts with lower numbers are durable."""
        self._durable: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._questions = Questions(_RESPONDENT, loop)
        self._flushing: asyncio.TimerHandle | None = None
        self._flush_at = 0.0
        self._since = 0.0
        """By the loop's clock, when the first of what is in the buffer was told."""
        self.took = Timed()
        """How long the first of a message waited until it was durable."""
        self._window: asyncio.TimerHandle | None = None
        self._gone_at: float | None = loop.time()
        self._probe = 0
        """Number of the question that a new recorder is asked first."""
        self.problem = ""
        """Why facts are not kept, as the recorder said it last."""
        self.missed = 0
        """Facts for which there was no room."""
        self._missed_after = -1
        """How many were told then; -1 once others were acknowledged."""
        self.lost = 0
        """Records for which there was no room, or that hold what cannot be kept."""
        self._closed = False
        self._process = KeptProcess(
            "recorder",
            starter,
            loop,
            bounds=protocol.ASKING,
            backoff=Backoff(longest=1.0),
            started=self._begin,
            received=self._received,
            lost=self._lost,
        )
        for kind in KINDS:
            facts.listen(kind, self.note)
        facts.count_with(self._folding.counts)
        self._process.start()

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done when there will be no recorder any more."""
        return self._process.gone

    @property
    def starts(self) -> int:
        """How many recorders there were."""
        return self._process.starts

    # -- what happens ----------------------------------------------------------------------------

    def note(self, fact: Fact) -> None:
        """Record a fact, soon. Never raises."""
        if self._folding.passes(fact):
            self._put(fact, 1)
        if self._window is None:
            self._window = self._loop.call_later(WINDOW_SECONDS, self._close_window)

    def _close_window(self) -> None:
        self._window = None
        for fact, count in self._folding.close_window():
            self._put(fact, count)

    def _put(self, fact: Fact, count: int) -> None:
        told = _told(fact, count)
        if not self._buffered(told, COMPANY_SECONDS):
            self.missed, self._missed_after = self.missed + count, self.told

    def expect(self, id: str, kind: str, body: bytes) -> bool:
        """Have a record kept that is told later under this id, in case that this process is killed.

        What is told then stands in its place, and it in that of what was noted by `begin`. False
        where there is no room for one so large.
        """
        slot, before = self._held.get(id, _NOT_HELD)
        if before:
            return True
        if slot >= 0:
            if not self._outstanding.number(slot, Told(kind, body), NO_NUMBER):
                return False
        elif (slot := self._outstanding.put(Told(kind, body))) < 0:
            return False
        self._held[id] = slot, body
        return True

    def begin(self, id: str, body: bytes) -> None:
        """Note that there will be a record under this id, in case that this process is killed."""
        if id not in self._held and (slot := self._outstanding.put(Told(BEGUN, body))) >= 0:
            self._held[id] = slot, b""

    @contextmanager
    def unfinished(self, fact: Fact) -> Iterator[Callable[[Fact], None]]:
        """Have a fact recorded if this process is killed within the block.

        What is yielded takes another in its place. Where there is no room nothing is noted.
        """
        slot = self._outstanding.put(_told(fact))

        def instead(other: Fact) -> None:
            if slot >= 0:
                self._outstanding.number(slot, _told(other), NO_NUMBER)

        try:
            yield instead
        finally:
            if slot >= 0:
                self._outstanding.free(slot)

    def expected(self, id: str) -> bytes:
        """Return what is expected under an id, empty where nothing is."""
        held = self._held.get(id)
        return b"" if held is None else held[1]

    def record(self, kind: str, body: bytes, *, share: float = 1.0, held: str = "") -> None:
        """Have a record kept, soon; it is lost where more than a share of the buffer is taken."""
        slot = self._held.pop(held, _NOT_HELD)[0] if held else -1
        if (share < 1.0 and self._fill >= share) or not self._buffered(
            Told(kind, body), RECORD_COMPANY_SECONDS, slot
        ):
            self.lost += 1
            if slot >= 0:
                self._outstanding.free(slot)

    def _buffered(self, told: Told, company: float, slot: int = -1) -> bool:
        size = len(told.fact)
        if size > protocol.MAX_RECORD_BYTES:
            return False  # which no recorder takes
        if self.waiting >= MAX_BUFFERED or self._bytes + size > MAX_BUFFERED_BYTES:
            return False
        if not self._buffer:
            self._since = self._loop.time()
        # Before anything can be sent: what has no number there was not.
        if slot < 0:
            slot = self._outstanding.put(told, self.told)
            whole = slot >= 0
        else:
            whole = self._outstanding.number(slot, told, self.told)
        self._buffer.append((told, slot))
        self._bytes += size
        if not whole:
            # No copy of all of it: the less it waits, the less can be lost of it.
            self._flush_soon()
        elif len(self._buffer) >= protocol.MAX_FACTS or size >= MAX_BATCH_BYTES:
            self._flush()
        elif self._flushing is None or self._flush_at > self._loop.time() + company:
            if self._flushing is not None:
                self._flushing.cancel()
            self._flush_at = self._loop.time() + company
            self._flushing = self._loop.call_later(company, self._flush)
        return True

    def _flush_soon(self) -> None:
        """Send at the end of this turn, with what else is told in it."""
        if self._flushing is None or self._flush_at > self._loop.time():
            if self._flushing is not None:
                self._flushing.cancel()
            self._flush_at = self._loop.time()
            self._flushing = self._loop.call_later(0.0, self._flush)

    @property
    def told(self) -> int:
        """How many facts were told and had room."""
        return self._next + len(self._buffer)

    @property
    def waiting(self) -> int:
        """How many facts wait to be acknowledged."""
        return self._next + len(self._buffer) - self._acknowledged

    @property
    def _fill(self) -> float:
        """How much of the buffer is taken."""
        return max(self.waiting / MAX_BUFFERED, self._bytes / MAX_BUFFERED_BYTES)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        while (
            self._buffer
            and not self._again
            and not (self._sent and self._sent[0].refused)
            and len(self._sent) < MAX_UNDER_WAY
            and self._sent_bytes < MAX_UNDER_WAY_BYTES
            and self._process.connection
        ):
            batch, slots, size = self._next_batch()
            first, self._next = self._next, self._next + len(batch)
            self._send(Sent(0, first, batch, slots, size, self._since))

    def _next_batch(self) -> tuple[tuple[Told, ...], tuple[int, ...], int]:
        batch: list[tuple[Told, int]] = []
        size = 0
        while self._buffer and len(batch) < protocol.MAX_FACTS:
            more = len(self._buffer[0][0].fact)
            if batch and size + more > MAX_BATCH_BYTES:
                break
            batch.append(self._buffer.popleft())
            size += more
        return tuple([told for told, _ in batch]), tuple([slot for _, slot in batch]), size

    def _send(self, message: Sent) -> None:
        number = self._questions.number()
        self._sent.append(message._replace(n=number))
        self._sent_bytes += message.size
        self._process.send(
            encode(protocol.Take(number, self._session, message.first, message.told))
        )

    def _begin(self) -> None:
        """Tell a new recorder what the one before may not have kept."""
        # Its first answer tells that it is there, also where nothing happens.
        self._probe = self._questions.number()
        self._process.send(encode(protocol.GetHead(self._probe)))
        sent, self._sent = (*self._sent, *self._again), deque()
        self._sent_bytes = 0
        self._again = deque()
        for each in sent:
            if self._again or each.refused:
                self._again.extend(each.parts())
            else:
                self._send(each)
        self._send_again()
        self._flush()

    def _send_again(self) -> None:
        """Send the next of what a recorder has refused, alone: it is told what of it is wrong."""
        if self._again and not self._sent:
            self._send(self._again.popleft())

    def _received(self, body: bytes) -> None:
        answer = decode_reply(body)
        if self._questions.answered(answer):
            return
        if answer.n == self._probe and answer.failure is None:
            if not self._sent and not self._again:  # else what waits tells, once it is kept
                self._is_back()
            return
        if answer.n != self._probe and all(each.n != answer.n for each in self._sent):
            return  # to a question that nobody waits for any more
        if answer.failure is not None:
            # It ends now; what was not kept is sent to the next one.
            if self.problem != answer.failure.message:
                _log.error("facts are not recorded: %s", answer.failure.message)
            self.problem = answer.failure.message
            self._fail_waiters()
            if isinstance(protocol.ERRORS.error(answer.failure), InvalidInputError):
                self._refused()
            return
        # Before anything is taken for kept: whatever raises here ends the connection, and all that
        # was not acknowledged is sent again.
        lost = _decode_lost(answer.result) or 0
        if self._sent[0].n != answer.n:
            raise FrameError("no answer to what was told first")
        done = self._sent.popleft()
        self._sent_bytes -= done.size
        self._bytes -= done.size
        self.took.add(self._loop.time() - done.since)
        self.lost += lost
        for slot in done.slots:
            if slot >= 0:
                self._outstanding.free(slot)
        self._acknowledge(done.first + len(done.told))
        self._send_again()

    def _refused(self) -> None:
        """Note which messages this recorder has refused: it answers each of them so, and ends."""
        if self._refused_by == self.starts:
            return
        self._refused_by = self.starts
        self._sent = deque(each._replace(refused=each.refused + 1) for each in self._sent)
        if len(self._sent) == 1 and self.aside.take(self._sent[0], self.problem):
            done = self._sent.popleft()
            self._sent_bytes -= done.size
            self._bytes -= done.size
            # Who waited for it was told that it is not durable; who will is told by this.
            self._acknowledged = self._aside_after = done.first + 1

    def _fail_waiters(self) -> None:
        """Tell who waits for something durable that it is not, and may not be for long."""
        waiters, self._durable = self._durable, deque()
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(self._not_recorded(self.problem))

    @staticmethod
    def _not_recorded(why: str) -> NotRecordedError:
        return NotRecordedError(
            f"It was done, but could not be recorded: {why}",
            next_step="Check what is there before you do it again.",
        )

    def _is_back(self) -> None:
        self.problem = ""
        self._gone_at = None

    def _acknowledge(self, until: int) -> None:
        if self.problem or self._gone_at is not None:
            _log.info("facts are recorded again")
        self._is_back()
        self._acknowledged, self._missed_after = until, -1
        while self._durable and self._durable[0][0] <= until:
            _, waiter = self._durable.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._buffer and self._flushing is None:  # else they wait for company
            self._flush()

    def _lost(self) -> None:
        if self._gone_at is None:
            self._gone_at = self._loop.time()
        self._questions.lost()

    # -- what may begin --------------------------------------------------------------------------

    def trouble(self) -> str:
        """Return why nothing more may begin, empty while all is recorded."""
        if self.waiting >= MAX_BUFFERED // 2 or self._bytes >= MAX_BUFFERED_BYTES // 2:
            return self.problem or f"{self.waiting} facts wait to be recorded."
        gone = self._gone_at
        if gone is not None:
            if self._loop.time() - gone > GONE_SECONDS:
                return self.problem or "The recorder is gone and not yet back."
            if self._outstanding.is_full:
                return "The recorder is gone, and there is no memory left for what waits for it."
        return ""

    def losses(self) -> str:
        """Return what could not be kept, for an hour after the last of it; empty: nothing."""
        now, found = self._loop.time(), (self.missed, self.lost)
        if found != self._losses[0]:
            self._losses = found, now
        if not any(found) or now - self._losses[1] > LOSSES_SECONDS:
            return ""
        missed = f"{self.missed} facts could not be kept. " if self.missed else ""
        lost = f"{self.lost} records could not be kept. " if self.lost else ""
        return f"{missed}{lost}".rstrip()

    def require(self) -> None:
        """Raise NotRecordedError if nothing more may begin."""
        if trouble := self.trouble():
            raise NotRecordedError(
                f"What happens cannot be recorded: {trouble}",
                next_step="See the node's log; calls are served again once the journal is written.",
            )

    async def durable(self, seconds: float = DURABLE_SECONDS) -> None:
        """Wait until all that was told is durable. Raises NotRecordedError."""
        until = self.told
        if until in (self._missed_after, self._aside_after):
            raise self._not_recorded(self.problem or "too much waits to be recorded.")
        if until <= self._acknowledged:
            return
        self._flush()
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._durable.append((until, waiter))
        try:
            await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            raise self._not_recorded(
                self.problem or f"the recorder did not answer within {seconds:g} s."
            ) from None

    # -- what was recorded -----------------------------------------------------------------------

    async def ask(
        self,
        kind: type[T],
        make: Callable[[int], msgspec.Struct],
        *,
        descriptors: Sequence[int] = (),
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        """Ask the recorder; copies of the descriptors go along. Raises CasemateError."""
        return await self._questions.ask(
            self._process, kind, make, seconds=seconds, descriptors=descriptors
        )

    async def ready(self) -> None:
        """Wait until there is a recorder that has its journal open.

        Raises NotRecordedError, or why it has none: then none will have one.
        """
        async with asyncio.timeout(START_SECONDS):
            await self.head()

    async def head(self) -> Head:
        """Return where the journal is. Raises CasemateError."""
        return await self.ask(Head, protocol.GetHead)

    async def find(self, query: Query) -> Found:
        """Return entries, newest first. Raises CasemateError."""
        return await self.ask(Found, lambda n: protocol.Find(n, query))

    async def prove(self, index: int) -> Proven:
        """Return an entry with its proof. Raises CasemateError."""
        return await self.ask(Proven, lambda n: protocol.Prove(n, index))

    async def verify(self, checkpoints: tuple[str, ...]) -> Verified:
        """Look for anything that was changed. Raises CasemateError."""
        return await self.ask(Verified, lambda n: protocol.Verify(n, checkpoints))

    async def close(self, seconds: float = DURABLE_SECONDS) -> None:
        """Have what was told durable, and end the recorder. Closing twice is fine.

        What is not durable after so many seconds is left to the recorder that comes next.
        """
        if self._closed:
            return
        self._closed = True
        if self._window is not None:
            self._window.cancel()
        self._close_window()
        try:
            await self.durable(seconds)
        except CasemateError as error:
            _log.error("at the end: %s", error)
        if self._flushing is not None:
            self._flushing.cancel()
        self._outstanding.close()
        self._process.close()
