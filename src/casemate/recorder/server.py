"""The recorder's loop: what comes is kept together, acknowledged once durable, and signed later.

Facts go to the journal and records to their database, at the same time; a message is acknowledged
once both have what is theirs in it. What is asked about records is answered on threads.

When the gateway is gone, what has come is kept, and what it had not told (`outstanding.py`).

Whatever is wrong with a message ends the connection it came on. What cannot be kept ends the
process: the gateway has another one started, which reads what is on disk, and sends what was not
acknowledged again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from casemate.child.calls import refusal, reply
from casemate.child.channel import ENDED, SENT_WRONG, FrameSocket
from casemate.child.frames import FrameError
from casemate.journal.checkpoint import Checkpoint, opened_checkpoint
from casemate.journal.copying import JournalCopy
from casemate.journal.note import NoteKey, signed_by
from casemate.journal.reader import Reader
from casemate.journal.verifying import Verified, verify
from casemate.journal.writer import Writer
from casemate.model.errors import CasemateError, InvalidInputError, NotFoundError
from casemate.model.facts import Fact, GatewayDoubtful
from casemate.recorder import clock, protocol, restored
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.forgotten import Telling
from casemate.recorder.keeper import Keeper, KeyRing, holds_facts
from casemate.recorder.left_over import LeftOver
from casemate.recorder.ocsf import OWN_KINDS
from casemate.recorder.own_facts import OwnFacts
from casemate.recorder.reading import Readers
from casemate.recorder.reading_protocol import KINDS as KINDS_OF_READERS
from casemate.recorder.reading_protocol import GetHead, Lend
from casemate.recorder.records.keeping_cost import KeepingCost, Stopwatch
from casemate.recorder.records_server import RecordsServer
from casemate.recorder.search import Search
from casemate.recorder.shipping import Journal, Shipping
from casemate.vault.recorder_client import RecorderVault

CHECKPOINT_SECONDS = 1.0
MAX_WAITING = 256
"""Messages that wait to be kept; a gateway never has as many under way."""
MAX_WAITING_BYTES = 32 << 20
"""Bytes of what they hold; a gateway never has half as many under way."""
MAX_QUESTIONS = 32
"""Questions at once: twice those of the gateway, which asks the next once it has an answer, when
the one before may not be over here."""
MAX_UNREAD = 4 << 20
"""Bytes of answers that wait to be read before the next answer of a question is given."""
UNREAD_SECONDS = 0.01
END_SECONDS = 1.0
"""How long each step of the end may take: the supervisor waits no longer than for two of them."""
MAX_COPY_BYTES = 4 << 30
"""About how much of a copy of the journal is one file of a backup."""
_NOT_ITS_OWN = KINDS_OF_READERS | {kind.__name__ for kind in OWN_KINDS}
"""Kinds of facts that a gateway may not tell."""

_log = logging.getLogger("casemate.recorder")


class Recorder:
    """Keeps the journal in a folder for one gateway."""

    def __init__(
        self,
        folder: Path,
        writer: Writer,
        key: NoteKey,
        keys: KeyRing,
        keeper: Keeper,
        vault: RecorderVault,
        records: RecordsServer,
        *,
        restored: bool,
        lends_records: bool,
        memories: Sequence[int] = (),
    ) -> None:
        """Serve once `serve` is called; who reads along is lent records only if that is so.

        `restored` tells that the journal came out of a backup; `memories` are those of gateways
        (`left_over.py`).
        """
        self._folder = folder
        self._writer = writer
        self._key = key
        self._keys = keys
        self._keeper = keeper
        self._vault = vault
        self._records = records
        self._stopwatch = Stopwatch()
        self._search = Search(folder, writer, keys)
        self.readers = Readers(self._search, lambda: writer.size, self._take, self._asked_along)
        self._lends_records = lends_records
        self._restored = restored
        self._unsigned = ""
        """Why the newest head could not be signed."""
        self._waiting: list[tuple[protocol.Take, Callable[[bytes], None]]] = []
        self._waiting_bytes = 0
        self._own = OwnFacts()
        self._doubt = ""
        """What the gateway has told that it may not."""
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._over = False
        self._left_over = LeftOver(memories, key.text, self._keep_all, _NOT_ITS_OWN)
        self._publishing = asyncio.Lock()
        self._paging = asyncio.Lock()
        self._questions: set[asyncio.Task[None]] = set()
        self._copying = asyncio.Lock()
        self._copy: JournalCopy | None = None

    async def begin(self) -> None:
        """Keep what gateways before this one have left. Raises CasemateError."""
        await self._left_over.keep_earlier()

    async def serve(self, sock: socket.socket) -> None:
        """Serve the gateway on this connection until it or the vault is gone."""
        loop = asyncio.get_running_loop()
        # Until all is kept: whoever hears of the end has another one started, and this one killed.
        held = sock.dup()
        self._socket = FrameSocket(
            sock, loop, protocol.ANSWERING, received=self._received, ended=self._lost
        )
        telling = Telling(self._records, self._take_own)
        keeping = loop.create_task(self._keep())
        duties = (self._sign(), telling.run(), clock.watch(self._tell))
        tasks = [loop.create_task(duty) for duty in duties]
        for task in (keeping, *tasks):
            task.add_done_callback(lambda _: self._ended.set())
        self._vault.lost.add_done_callback(lambda _: self._ended.set())
        await self._ended.wait()
        for task in (*tasks, *self._questions):
            task.cancel()
        await self._keep_rest(keeping)
        await self._say_doubt()
        tasks.append(keeping)
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                _log.error("the recorder ends: %s", failure)
        self._socket.close()
        held.close()
        self.readers.close()
        self._writer.close()
        await self._records.close()

    def _tell(self, fact: Fact) -> None:
        self._take_own(self._own.take(fact), lambda _reply: None)

    async def _say_doubt(self) -> None:
        """Tell in the journal why the gateway is not believed: it would not itself."""
        if not self._doubt:
            return
        told = self._own.take(GatewayDoubtful(at=time.time(), reason=self._doubt))
        try:
            await asyncio.wait_for(self._keeper.keep([told]), END_SECONDS)
        except (CasemateError, TimeoutError) as error:
            _log.error("it is not on record that the gateway is doubtful: %s", error)

    async def _keep_rest(self, keeping: asyncio.Task[None]) -> None:
        """Keep what has come; if the gateway is gone, also what it had not told."""
        gone = await self._left_over.is_gateway_gone()
        if gone:
            # All that it had sent is read before its end is.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hung_up.wait(), END_SECONDS)
        self._over = True
        self._ready.set()
        await asyncio.wait((keeping,), timeout=END_SECONDS)
        keeping.cancel()
        if gone:
            try:
                await self._left_over.keep_last()
            except CasemateError as error:
                _log.error("what a gateway had not told waits for the next recorder: %s", error)
        self._left_over.close()

    def _lost(self, why: str) -> None:
        if why != ENDED:
            _log.warning("the connection to the gateway is closed: %s", why)
        if why.startswith(SENT_WRONG):
            self._doubt = why
        self._hung_up.set()
        self._ended.set()

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        if isinstance(request, protocol.Take):
            if not _NOT_ITS_OWN.isdisjoint([told.kind for told in request.facts]):
                raise FrameError("a fact that is not the gateway's to tell")
            self._take(request, self._socket.send)
            return
        copies = isinstance(request, protocol.CopyRecords | protocol.CopyJournal)
        descriptor = self._socket.take_descriptor() if copies else -1
        if len(self._questions) >= MAX_QUESTIONS:
            if descriptor >= 0:
                os.close(descriptor)
            busy = RecorderError("The recorder has many questions to answer first.")
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(busy)))
            return
        task = asyncio.get_running_loop().create_task(self._answer(request, descriptor))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    def _take(self, request: protocol.Take, answer: Callable[[bytes], None]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise FrameError("more facts than may be under way")
        size = sum([len(told.fact) for told in request.facts])
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise FrameError("more bytes than may be under way")
        self._waiting_bytes += size
        self._waiting.append((request, answer))
        self._ready.set()

    def _take_own(self, told: protocol.Take, answer: Callable[[bytes], None]) -> bool:
        """Keep what the recorder itself tells, unless the gateway has enough to be kept."""
        if len(self._waiting) >= MAX_WAITING // 2:
            return False
        self._take(told, answer)
        return True

    async def _keep(self) -> None:
        """Keep what has come, together, and acknowledge it; end where it cannot be kept."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            batches, self._waiting, self._waiting_bytes = self._waiting, [], 0
            if not batches and self._over:
                return
            try:
                lost = await self._keep_all([batch for batch, _ in batches])
            except CasemateError as error:
                _log.error("what happens cannot be kept: %s", error)
                if isinstance(error, RecorderInputError | InvalidInputError):
                    self._doubt = f"{SENT_WRONG}what is no fact and no record"
                failure = protocol.ERRORS.failure(error)
                for batch, answer in (*batches, *self._waiting):
                    answer(refusal(batch.n, failure))
                return
            for batch, answer in batches:
                answer(reply(batch.n, lost))
                lost = 0
            self.readers.wake()
            if self._over:
                self._ready.set()

    async def _keep_all(self, batches: list[protocol.Take]) -> int:
        """Have facts and records durable; return how many records cannot be. CasemateError."""
        costs, begun = self._stopwatch.taken(), self._stopwatch.begin(batches)
        try:
            lost = await self._keep_with(batches, costs)
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            # Said of what came, so that who sent it finds what of it. Its text may quote that.
            raise RecorderInputError(f"What came ends in a {type(error).__name__}.") from error
        if begun is not None:
            self._stopwatch.end(begun)
        return lost

    async def _keep_with(self, batches: list[protocol.Take], costs: list[KeepingCost]) -> int:
        if not holds_facts(batches):
            return await self._records.keep(batches, costs)  # as most: what calls leave behind
        # The records' thread first: the journal is written on this one.
        records = asyncio.ensure_future(self._records.keep(batches, costs))
        try:
            await self._keeper.keep(batches)
        except BaseException:
            await asyncio.wait((records,))
            # Of two failures the journal's is answered: this one would be told by nobody.
            if (failure := records.exception()) is not None:
                _log.error("records cannot be kept either: %s", failure)
            raise
        await asyncio.wait((records,))
        return records.result()

    async def _sign(self) -> None:
        while True:
            try:
                async with self._publishing:
                    await self._sign_once()
                self._unsigned = ""
            except CasemateError as error:
                # Entries are kept; the next second tries again, until too many wait.
                if error.message != self._unsigned:
                    _log.error("no checkpoint: %s", error)
                self._unsigned = error.message
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def _sign_once(self) -> None:
        proposal = self._writer.propose()
        if proposal is not None:
            text = proposal.head.text
            signature = await self._vault.sign_head(text)
            self._writer.publish(proposal, signed_by(text, self._key, signature))

    async def _answer(self, request: protocol.Request, descriptor: int) -> None:
        try:
            if isinstance(request, protocol.Ask):
                # One page at a time: whoever asks much and reads slowly fills no memory.
                async with self._paging:
                    await self._answers_are_read()
                    self._socket.send(reply(request.n, await self._records.page(request)))
            else:
                self._socket.send(reply(request.n, await self._result(request, descriptor)))
        except CasemateError as error:
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))
        except FrameError as error:
            self._lost(f"{SENT_WRONG}what is no message: {error}")
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    async def _answers_are_read(self) -> None:
        """Wait until little of what was answered waits to be read."""
        while True:
            if self._socket.closed or self._socket.unsent_bytes <= MAX_UNREAD:
                return
            await asyncio.sleep(UNREAD_SECONDS)

    async def _result(self, request: protocol.Request, descriptor: int) -> object:
        match request:
            case protocol.CopyRecords() | protocol.CopyJournal():
                return await self._copied(request, descriptor)
            case protocol.Find():
                return await self._search.find(request.query)
            case protocol.Prove():
                return await self._proven(request.index)
            case protocol.Verify():
                return await self._verified(request.checkpoints)
            case protocol.GetHead():
                return self._head()
            case _:
                return await self._of_records(request)

    async def _of_records(self, request: protocol.Request) -> object:
        if isinstance(request, protocol.Ship | protocol.Receive | protocol.GetPlaces):
            return await self._shipping.result(request)
        return await self._records.result(request)

    @cached_property
    def _shipping(self) -> Shipping:
        """What tells other nodes, where there are any."""
        noted = self._keeper.noted
        journal = Journal(self._folder, self._key, self._writer, self._search, noted)
        return self._records.shipping(journal, self._take_own)

    async def _copied(
        self, request: protocol.CopyRecords | protocol.CopyJournal, descriptor: int
    ) -> bool | None:
        if isinstance(request, protocol.CopyRecords):
            await self._records.copy(descriptor)
            return None
        async with self._copying:
            if request.begin:
                # All that was told before, and nothing of it half-written.
                async with self._publishing:
                    await self._sign_once()
                    self._copy = JournalCopy(self._folder, self._key, self._writer)
            if self._copy is None:
                raise RecorderInputError(
                    "No copy of the journal was begun.", next_step="Make the backup again."
                )
            try:
                more = await asyncio.to_thread(self._copy.write, descriptor, MAX_COPY_BYTES)
            except OSError as error:
                self._copy = None
                raise RecorderError(
                    f"The journal cannot be copied: {error.strerror}.",
                    next_step="Make room on that file system.",
                ) from error
            if not more:
                self._copy = None
            return more

    async def _asked_along(self, request: Lend | GetHead) -> object:
        """Return what somebody who reads along asks for. Raises CasemateError."""
        if isinstance(request, GetHead):
            return self._head()
        if not self._lends_records:
            raise RecorderInputError(
                "The settings of the node have no records exported.",
                next_step="Name an export in them.",
            )
        return await self._records.lent(request)

    def _head(self) -> protocol.Head:
        note, size = self._note(), self._writer.size
        return protocol.Head(note, self._key.text, size, self._restored, self._unsigned)

    def _note(self) -> str:
        return Reader(self._folder, self._key).note if self._writer.head.size else ""

    async def _proven(self, index: int) -> protocol.Proven:
        if index >= self._writer.head.size:
            raise NotFoundError(
                f"The journal has no signed entry {index}.",
                next_step="Wait a second for the next checkpoint, then try again.",
            )
        proof = Reader(self._folder, self._key).proof(index)
        entry = self._search.entry(index)
        text = await self._search.text_of(entry)
        return protocol.Proven(entry, proof.text, text or b"null")

    async def _verified(self, notes: tuple[str, ...]) -> Verified:
        # Not here: of many notes each has a signature that takes its time.
        kept = await asyncio.to_thread(self._opened, notes)
        # Files but the pending one change at checkpoints only: those wait for it.
        async with self._publishing:
            found = await asyncio.to_thread(verify, self._folder, self._key, kept)
        return await restored.explained(found, self._search)

    def _opened(self, notes: tuple[str, ...]) -> list[Checkpoint]:
        return [opened_checkpoint(note, self._key) for note in notes]
