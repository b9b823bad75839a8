"""The one way in which anything security-relevant is told, and how it is listened to.

    happened(fact) ──▶ listeners of its type, at once, on the event loop
                   └─▶ feeds: bounded queues of those who read at their own pace

Nothing is kept here. What nobody listens to costs a look into a dictionary.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from casemate.model.facts import Fact

FactT = TypeVar("FactT", bound=Fact)

MAX_WAITING = 1024
"""Facts that wait in one feed; the oldest give way, and the reader is told how many."""
MAX_FEEDS = 256

_log = logging.getLogger(__name__)


class TooManyFeedsError(Exception):
    """There are as many readers as there may be."""


class Feed:
    """What happened since a reader last asked, of the types that it wants. Close it."""

    def __init__(self, stream: FactStream, kinds: frozenset[type[Fact]]) -> None:
        """Begin to listen."""
        self._stream = stream
        self._kinds = kinds
        self._waiting: deque[Fact] = deque(maxlen=MAX_WAITING)
        self._ready = asyncio.Event()
        self.missed = 0
        """Facts that gave way since the last `take`."""

    def put(self, fact: Fact) -> None:
        """Add one; the oldest gives way to it where there is no room."""
        if type(fact) not in self._kinds:
            return
        if len(self._waiting) == MAX_WAITING:
            self.missed += 1
        self._waiting.append(fact)
        self._ready.set()

    async def take(self, seconds: float) -> tuple[list[Fact], int]:
        """Return what waits, oldest first, and how many gave way; waits `seconds` at most."""
        if not self._waiting:
            try:
                await asyncio.wait_for(self._ready.wait(), seconds)
            except TimeoutError:
                return [], 0
        self._ready.clear()
        found, missed = list(self._waiting), self.missed
        self._waiting.clear()
        self.missed = 0
        return found, missed

    def close(self) -> None:
        """Listen no more. Closing twice is fine."""
        self._stream.end(self)


class FactStream:
    """One per process. On its event loop only."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: dict[type[Fact], tuple[Callable[[Any], None], ...]] = {}
        self._feeds: set[Feed] = set()

    def listen(self, kind: type[FactT], listener: Callable[[FactT], None]) -> None:
        """Have `listener` called with each fact of exactly this type; it must not block."""
        self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def happened(self, fact: Fact) -> None:
        """Tell it. A listener that raises is logged, and keeps no other from hearing it."""
        for listener in self._listeners.get(type(fact), ()):
            try:
                listener(fact)
            except Exception:  # noqa: BLE001 - logged; what happened is told to the others
                _log.exception("a listener failed at %s", type(fact).__name__)
        for feed in self._feeds:
            feed.put(fact)

    def wanted(self, kind: type[Fact]) -> bool:
        """Tell whether anybody listens: what is costly to tell is not made for nobody."""
        return kind in self._listeners or bool(self._feeds)

    def feed(self, *kinds: type[Fact]) -> Feed:
        """Return a feed of these types, which its reader closes. TooManyFeedsError."""
        if len(self._feeds) >= MAX_FEEDS:
            raise TooManyFeedsError
        feed = Feed(self, frozenset(kinds))
        self._feeds.add(feed)
        return feed

    def end(self, feed: Feed) -> None:
        """Forget a feed."""
        self._feeds.discard(feed)
