"""Who reads along: given what is kept, in order, as soon as it is durable; never waited for."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

from casemate.child.calls import refusal, reply
from casemate.child.channel import ENDED, FrameSocket
from casemate.child.frames import FrameError
from casemate.journal.errors import JournalDamagedError
from casemate.journal.tiles import WIDTH
from casemate.model.errors import CasemateError
from casemate.recorder import ocsf
from casemate.recorder import reading_protocol as protocol
from casemate.recorder.errors import RecorderError
from casemate.recorder.protocol import SESSION_BYTES, Take
from casemate.recorder.reading_protocol import Batch, Follow, GetHead, Lend, Seen, Tell
from casemate.recorder.sealing import opening
from casemate.recorder.search import Search

MAX_READERS = 2
"""The one that came first makes room: it is one that hangs."""

_log = logging.getLogger("casemate.recorder")

Keep = Callable[[Take, Callable[[bytes], None]], None]
"""Has facts kept, and answers with what it is given once they are."""
Answer = Callable[[Lend | GetHead], Awaitable[object]]
"""Returns what else is asked for, or raises CasemateError."""


class Readers:
    """All who read along."""

    def __init__(self, search: Search, size: Callable[[], int], keep: Keep, answer: Answer) -> None:
        """Read with `search` up to `size()`; what readers tell goes to `keep`.

        What is no entry of the journal is asked of `answer`.
        """
        self.search = search
        self.size = size
        self.keep = keep
        self.answer = answer
        self._readers: list[Reader] = []
        self._known = -1
        """Entries that there were when they were told last that there are more."""

    def accept(self, sock: socket.socket) -> None:
        """Serve one more, on a connected stream socket."""
        while len(self._readers) >= MAX_READERS:
            self._readers[0].close()
        self._readers.append(Reader(self, sock))

    def forget(self, reader: Reader) -> None:
        """Drop one whose connection is closed."""
        if reader in self._readers:
            self._readers.remove(reader)

    def wake(self) -> None:
        """Tell all that there is more, if there is: what calls leave behind is no entry."""
        size = self.size()
        if size == self._known:
            return
        self._known = size
        for reader in self._readers:
            reader.wake()

    def close(self) -> None:
        """End all."""
        for reader in list(self._readers):
            reader.close()


class Reader:
    """One who reads along, over one connection."""

    def __init__(self, readers: Readers, sock: socket.socket) -> None:
        """Serve what comes on `sock`."""
        self._readers = readers
        self._session = os.urandom(SESSION_BYTES)
        """Ours: a reader that chose it could take the numbers of others' facts."""
        self._told = 0
        self._telling = False
        self._more = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._socket = FrameSocket(
            sock,
            asyncio.get_running_loop(),
            protocol.ANSWERING,
            received=self._received,
            ended=self._lost,
        )

    def _lost(self, why: str) -> None:
        if why != ENDED:
            _log.warning("a connection of a reader is closed: %s", why)
        self.close()

    def close(self) -> None:
        """End the connection. Closing twice is fine."""
        if self._following is not None:
            self._following.cancel()
        for task in self._questions:
            task.cancel()
        self._socket.close()
        self._readers.forget(self)

    def wake(self) -> None:
        """There is more."""
        self._more.set()

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        if isinstance(request, Tell):
            self._keep(request)
            return
        if not isinstance(request, Follow):
            self._ask(request)
            return
        if self._following is not None and not self._following.done():
            raise FrameError("more than one question at a time")
        self._following = asyncio.get_running_loop().create_task(self._follow(request))

    def _keep(self, request: Tell) -> None:
        if self._telling:
            raise FrameError("more facts than may be under way")
        for told in request.facts:
            if told.kind not in protocol.KINDS:
                raise FrameError("a fact that is not a reader's to tell")
            try:
                # What is no fact ends this connection; with the gateway's it would end us all.
                ocsf.decode(told.kind, told.fact)
            except CasemateError as error:
                raise FrameError("what is no fact") from error
        first, self._told = self._told, self._told + len(request.facts)
        self._telling = True
        self._readers.keep(Take(request.n, self._session, first, request.facts), self._kept)

    def _kept(self, answer: bytes) -> None:
        self._telling = False
        self._socket.send(answer)

    def _ask(self, request: Lend | GetHead) -> None:
        if len(self._questions) >= protocol.MAX_QUESTIONS:
            raise FrameError("more questions than may wait")
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, request: Lend | GetHead) -> None:
        try:
            self._socket.send(reply(request.n, await self._readers.answer(request)))
        except CasemateError as error:
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))
        except FrameError as error:
            self._lost(str(error))

    async def _follow(self, request: Follow) -> None:
        try:
            self._more.clear()
            if request.wait and self._readers.size() == request.after:
                try:
                    async with asyncio.timeout(protocol.WAIT_SECONDS):
                        await self._more.wait()
                except TimeoutError:
                    pass
            self._socket.send(reply(request.n, await self._batch(request.after)))
        except CasemateError as error:
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))

    async def _batch(self, after: int) -> Batch:
        """Return what there is from an index on. Raises VaultError."""
        size = self._readers.size()
        end = min(size, after + protocol.MAX_ENTRIES)
        at, held = after, 0
        found: list[Seen] = []
        while at < end and held < protocol.MAX_BYTES:
            try:
                entries = self._readers.search.bundle(at // WIDTH)[at % WIDTH :]
            except JournalDamagedError as error:
                if found:
                    break  # told with the next one
                return Batch((), min((at // WIDTH + 1) * WIDTH, size), size, error.message)
            for entry in entries[: end - at]:
                found.append(Seen(at, *await self._opened(entry)))
                at += 1
                held += len(entry)
                if held >= protocol.MAX_BYTES:
                    break
            # Others have their turn: facts wait to be durable.
            await asyncio.sleep(0)
        return Batch(tuple(found), max(at, after), size)

    async def _opened(self, entry: bytes) -> tuple[str, bytes]:
        clear = opening(entry)
        if clear is None:
            return "", b""
        try:
            return clear.id, await self._readers.search.text_of(entry) or b""
        except RecorderError:
            return clear.id, b""  # verify tells of it
