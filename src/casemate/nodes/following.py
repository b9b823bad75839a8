"""Follows the revision of a control store: what other nodes have changed is read again here.

One statement every half second asks what has changed since; who holds a part of it in memory reads
that again. At most one reading of each part at a time. What could not be read is what it was, that
is told, and it is read at the next look; until then the node knows that it does not know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from casemate.nodes.standing import Standing
from casemate.store.interface import SharedStore

LOOK_SECONDS = 0.5
"""Between the beginnings of two looks at the least: two readings a second, whatever changes."""
ASK_SECONDS = 5.0
"""How long a look may take."""
READ_SECONDS = 30.0
"""How long reading a part may take."""
MAX_STALE = 10.0
"""Seconds after which nothing is decided on what could not be read again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that is in memory of what is stored."""

    name: str
    topics: frozenset[str]
    """Changes of which make it old."""
    reload: Callable[[], Awaitable[None]]
    """Reads it again: wholly, or it raises and all is as it was."""


@dataclass(eq=False)
class _Followed:
    part: Part
    read_at: float
    """What others had changed by then is in memory."""
    old: bool = False
    fault: str = ""
    reading: asyncio.Task[None] | None = field(default=None)


class Following:
    """One per node that has its store with others. Belongs to its event loop."""

    def __init__(self, store: SharedStore, parts: Sequence[Part], standing: Standing) -> None:
        """Follow `store`; `standing` is told up to when all is known."""
        self._store = store
        self._standing = standing
        self._revision = 0
        self._fault = ""
        self._parts = [_Followed(part, standing.now()) for part in parts]
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Note at which revision the store is, before anything is read. Raises StoreError."""
        began = self._standing.now()
        self._revision = (await self._store.changes_since(0)).revision
        for each in self._parts:
            each.read_at = began
        self._standing.known(began)

    def start(self) -> None:
        """Follow it, from the running loop on; all has been read since `begin`."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Follow it no more."""
        tasks = [each.reading for each in self._parts if each.reading is not None]
        tasks += [] if self._task is None else [self._task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def problems(self) -> str:
        """Return what could not be read, empty if all was."""
        return "; ".join(filter(None, (self._fault, *(each.fault for each in self._parts))))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.look()
            await asyncio.sleep(max(0.05, began + LOOK_SECONDS - loop.time()))

    async def look(self) -> None:
        """Ask once what has changed, and begin to read it; waits for the question alone."""
        asked_at = self._standing.now()
        try:
            # Not wait_for, which can lose the end of this task (`close`) in Python 3.11.
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._store.changes_since(self._revision)
        except Exception as error:  # noqa: BLE001 - whatever it is, others' changes are not known
            self._note_fault(f"The control store cannot be read: {_told(error)}")
            return
        self._note_fault("")
        self._revision = found.revision
        for each in self._parts:
            if found.topics is None or each.part.topics & found.topics:
                each.old = True
            if each.reading is not None:
                continue
            if each.old:
                each.old = False
                each.reading = asyncio.ensure_future(self._read(each, asked_at))
            else:
                each.read_at = asked_at
        # What is short is known at once: a change that was met holds when this returns.
        await asyncio.sleep(0)
        self._tell()

    async def settled(self) -> None:
        """Wait until what is being read has been read."""
        await asyncio.gather(
            *(each.reading for each in self._parts if each.reading is not None),
            return_exceptions=True,
        )

    async def _read(self, followed: _Followed, asked_at: float) -> None:
        part = followed.part
        try:
            async with asyncio.timeout(READ_SECONDS):
                await part.reload()
        except Exception as error:  # noqa: BLE001 - what is known stays, and it is said
            followed.old = True
            fault = f"What others have changed of {part.name} cannot be read: {_told(error)}"
            if fault != followed.fault:
                _log.error("%s", fault)
            followed.fault = fault
        else:
            if followed.fault:
                _log.info("what others have changed of %s is read again", part.name)
            followed.fault = ""
            followed.read_at = asked_at
        finally:
            followed.reading = None
            self._tell()

    def _tell(self) -> None:
        self._standing.known(min(each.read_at for each in self._parts))

    def _note_fault(self, fault: str) -> None:
        if fault and not self._fault:
            _log.error("%s", fault)
        elif self._fault and not fault:
            _log.info("the control store can be asked again")
        self._fault = fault


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return str(error) or type(error).__name__
