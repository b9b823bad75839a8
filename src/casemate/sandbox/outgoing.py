"""What is on its way to an instance, and the room that all of it may take.

A function decides whether it reads. So what waits for it is sent without being copied or joined,
is bounded, and waits for so long only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from casemate.sandbox.waking import Waking
from casemate.turn_end import TurnEnd

DELIVERY_SECONDS: Final = 10.0
"""Within this a reply is read to its end, or its reader is ended."""
FUNCTION_BYTES: Final = 32 << 20
"""Replies that are made for, or wait for, all instances of one function."""
NODE_BYTES: Final = 256 << 20
"""Replies that are made for, or wait for, all instances of a node."""
_PIECES_AT_ONCE = 64


class Outgoing:
    """Frames in their order. Those that are replies are told of when the socket has taken them."""

    __slots__ = (
        "_later",
        "_loop",
        "_on_stalled",
        "_on_taken",
        "_pieces",
        "_replies",
        "_sock",
        "_timer",
        "_waiting_for_end",
        "_waking",
    )

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        waking: Waking,
        *,
        on_taken: Callable[[], None],
        on_stalled: Callable[[], None],
    ) -> None:
        """Send over a non-blocking stream socket, which stays the caller's to close.

        `on_taken` is called for each reply once the socket has all of it, `on_stalled` once if
        that takes longer than DELIVERY_SECONDS. What sending takes is counted in `waking`.
        """
        self._sock = sock
        self._loop = loop
        self._on_taken = on_taken
        self._on_stalled = on_stalled
        self._waking = waking
        self._pieces: deque[memoryview | None] = deque()  # None: a reply ends here
        self._later: tuple[bytes, ...] = ()
        """A frame that is sent at the end of the loop's turn."""
        self._replies = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_for_end: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._pieces or self._later)

    def put(self, *parts: bytes | memoryview, reply: bool) -> None:
        """Send one frame, given in parts, after those that wait."""
        if self._later:
            self._send_later()
        idle = not self._pieces
        if idle and not reply:
            parts = self._rest(parts)
            if not parts:
                return
        self._pieces.extend(memoryview(part) for part in parts if len(part))
        if reply:
            self._replies += 1
            self._pieces.append(None)
        if idle:
            self._send()
            if self._pieces:
                self._loop.add_writer(self._sock.fileno(), self._writable)
        if self._replies and self._timer is None:
            self._timer = self._loop.call_later(DELIVERY_SECONDS, self._on_stalled)

    def put_later(self, turn_end: TurnEnd, *parts: bytes) -> None:
        """Send one frame that is no reply at the end of the loop's turn, after those that wait."""
        if self:
            self.put(*parts, reply=False)
            return
        self._later = parts
        turn_end.put(self._send_later)

    def _send_later(self) -> None:
        later, self._later = self._later, ()
        if later:
            self.put(*later, reply=False)

    def _rest(self, parts: tuple[bytes | memoryview, ...]) -> tuple[bytes | memoryview, ...]:
        """Send a frame that nothing waits before, and return what the socket has not taken."""
        begun = self._waking.begin()
        try:
            sent = self._sock.sendmsg(parts)
        except BlockingIOError:
            return parts
        except OSError:
            return ()  # its end is about to be read
        self._waking.end(begun)
        if sent == sum(map(len, parts)):
            return ()
        rest = []
        for part in parts:
            rest.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        return tuple(rest)

    def _send(self) -> None:
        """Send what the socket takes at once; drop all if there is nobody to send it to."""
        batch: list[memoryview] = []
        for piece in self._pieces:
            if len(batch) == _PIECES_AT_ONCE:
                break
            if piece is not None:
                batch.append(piece)
        begun = self._waking.begin()
        try:
            sent = self._sock.sendmsg(batch) if batch else 0
            self._waking.end(begun)
        except BlockingIOError:
            return
        except OSError:
            # Its end is about to be read.
            self._pieces.clear()
            self._replies = 0
            self._settle()
            return
        while self._pieces:
            piece = self._pieces[0]
            if piece is None:
                self._taken()
            elif len(piece) <= sent:
                sent -= len(piece)
            else:
                self._pieces[0] = piece[sent:]
                break
            self._pieces.popleft()
        self._settle()

    def _taken(self) -> None:
        self._replies -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._replies:
            self._timer = self._loop.call_later(DELIVERY_SECONDS, self._on_stalled)
        self._on_taken()

    def _writable(self) -> None:
        self._send()
        if not self._pieces:
            self._loop.remove_writer(self._sock.fileno())

    def _settle(self) -> None:
        if self._pieces:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting_for_end = self._waiting_for_end, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def sent(self) -> None:
        """Wait until nothing waits any more, or it was dropped."""
        self._send_later()
        if self._pieces:
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting_for_end.append(future)
            await future

    def close(self) -> None:
        """Drop what waits. To be called before the socket is closed."""
        self._later = ()
        if self._pieces:
            self._loop.remove_writer(self._sock.fileno())
            self._pieces.clear()
            self._replies = 0
        self._settle()


class ReplyRoom:
    """The bytes that replies may take: those that are being made, and those that wait.

    One for a node. What does not fit waits before it is made; a function that has no room left
    keeps no other from getting some, and functions take turns.
    """

    def __init__(self, *, node: int = NODE_BYTES, function: int = FUNCTION_BYTES) -> None:
        """Give room for so many bytes."""
        self._node, self._function = node, function
        self._total = 0
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    @property
    def taken(self) -> int:
        """Bytes that are taken."""
        return self._total

    def _fits(self, function: str, size: int) -> bool:
        taken = self._taken.get(function, 0)
        # What is larger than all of the room is alone in it.
        return (taken + size <= self._function or not taken) and (
            self._total + size <= self._node or not self._total
        )

    def _take(self, function: str, size: int) -> None:
        self._total += size
        self._taken[function] = self._taken.get(function, 0) + size

    def _give_back(self, function: str, size: int) -> None:
        self._total -= size
        left = self._taken.get(function, 0) - size
        if left > 0:
            self._taken[function] = left
        else:
            self._taken.pop(function, None)
        self._admit()

    def _admit(self) -> None:
        """Let those in that fit now, one of each function after the other."""
        admitted = True
        while admitted:
            admitted = False
            for function in list(self._waiting):
                queue = self._waiting[function]
                while queue and queue[0][1].done():  # its invocation is over
                    queue.popleft()
                if queue and self._fits(function, queue[0][0]):
                    size, future = queue.popleft()
                    self._take(function, size)
                    future.set_result(None)
                    admitted = True
                    # Behind those that have waited since.
                    self._waiting[function] = self._waiting.pop(function)
                if not queue:
                    del self._waiting[function]

    @contextlib.asynccontextmanager
    async def held(self, function: str, size: int) -> AsyncIterator[Callable[[int], None]]:
        """Hold room for a reply of `size` bytes; yield what takes its true size once it is known.

        A true size beyond what was asked for is taken at once: the reply is there already.
        """
        if function in self._waiting or not self._fits(function, size):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(function, deque()).append((size, future))
            try:
                await future
            except asyncio.CancelledError:
                if future.cancelled():
                    self._admit()
                else:
                    self._give_back(function, size)
                raise
        else:
            self._take(function, size)
        held = size

        def resize(true: int) -> None:
            nonlocal held
            change, held = true - held, true
            if change > 0:
                self._take(function, change)
            else:
                self._give_back(function, -change)

        try:
            yield resize
        finally:
            self._give_back(function, held)
