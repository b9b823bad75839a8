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

from casemate.model.errors import UnavailableError
from casemate.model.facts import Fact

FactT = TypeVar("FactT", bound=Fact)

MAX_WAITING = 1024
"""Facts that wait in one feed; the oldest give way, and the reader is told how many."""
MAX_FEEDS = 256

_log = logging.getLogger(__name__)


class TooManyFeedsError(UnavailableError):
    """There are as many readers of what happens as there may be."""


class Feed:
    """What happened since a reader last asked, of the types that it wants. Close it."""

    def __init__(
        self, stream: FactStream, kinds: frozenset[type[Fact]], only: Callable[[Any], bool]
    ) -> None:
        """Hold nothing yet; the stream puts in what is of its `kinds` and of which `only` holds."""
        self._stream = stream
        self.kinds = kinds
        self._only = only
        self._waiting: deque[Fact] = deque(maxlen=MAX_WAITING)
        self._ready = asyncio.Event()
        self.missed = 0
        """Facts that gave way since the last `take`."""
        self.ended = False
        """Whether nothing is put in any more: it was closed, or the process stops."""

    def __enter__(self) -> Feed:
        """Return it; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def put(self, fact: Fact) -> None:
        """Add one; the oldest gives way to it where there is no room."""
        if not self._only(fact):
            return
        if len(self._waiting) == MAX_WAITING:
            self.missed += 1
        self._waiting.append(fact)
        self._ready.set()

    async def take(self, seconds: float) -> tuple[list[Fact], int]:
        """Return what waits, oldest first, and how many gave way; waits `seconds` at most."""
        if not self._waiting and not self.ended:
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
        self._stream.drop(self)

    def end(self) -> None:
        """Have the reader know that nothing comes any more."""
        self.ended = True
        self._ready.set()


def _any(_: object) -> bool:
    return True


class FactStream:
    """One per process. On its event loop only."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: dict[type[Fact], tuple[Callable[[Any], None], ...]] = {}
        """The feeds of a type are among its listeners."""
        self._feeds: set[Feed] = set()
        self._restated: dict[type[Fact], tuple[Callable[[Any], Fact], ...]] = {}
        self._counts: Callable[[tuple[object, ...]], bool] | None = None

    def count_with(self, counts: Callable[[tuple[object, ...]], bool]) -> None:
        """Have `counts` asked whether a fact that is alike is counted without being made.

        It is that of who listens to all kinds for which `counted` is asked, alone.
        """
        self._counts = counts

    def counted(self, kind: type[Fact], *what: object) -> bool:
        """Tell whether a fact of a kind has been told, being like another that was told before.

        `what` is by what such facts are alike. Nobody else may want them one by one.
        """
        if self._counts is None or len(self._listeners.get(kind, ())) != 1:
            return False
        return self._counts((kind, *what))

    def listen(self, kind: type[FactT], listener: Callable[[FactT], None]) -> None:
        """Have `listener` called with each fact of exactly this type; it must not block."""
        self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def restate(self, kind: type[FactT], restated: Callable[[FactT], FactT]) -> None:
        """Have facts of exactly this type heard as `restated` returns them, one after the other.

        It must not block. Where it raises, that is logged, and the fact is heard as it is.
        """
        self._restated[kind] = (*self._restated.get(kind, ()), restated)

    def happened(self, fact: Fact) -> None:
        """Tell it. A listener that raises is logged, and keeps no other from hearing it."""
        for restated in self._restated.get(type(fact), ()):
            try:
                fact = restated(fact)
            except Exception:  # noqa: BLE001 - logged; what happened is told all the same
                _log.exception("%s is told as it is", type(fact).__name__)
        for listener in self._listeners.get(type(fact), ()):
            try:
                listener(fact)
            except Exception:  # noqa: BLE001 - logged; what happened is told to the others
                _log.exception("a listener failed at %s", type(fact).__name__)

    def wanted(self, kind: type[Fact]) -> bool:
        """Tell whether anybody listens: what is costly to tell is not made for nobody."""
        return kind in self._listeners

    def require_room(self) -> None:
        """Raise TooManyFeedsError if `feed` would."""
        if len(self._feeds) >= MAX_FEEDS:
            raise TooManyFeedsError

    def feed(self, *kinds: type[FactT], only: Callable[[FactT], bool] = _any) -> Feed:
        """Return a feed of those facts of these types of which `only` holds. TooManyFeedsError.

        Its reader closes it.
        """
        self.require_room()
        feed = Feed(self, frozenset(kinds), only)
        self._feeds.add(feed)
        for kind in feed.kinds:
            self._listeners[kind] = (*self._listeners.get(kind, ()), feed.put)
        return feed

    def drop(self, feed: Feed) -> None:
        """Forget a feed, which has its end. Doing so twice is fine."""
        feed.end()
        if feed not in self._feeds:
            return
        self._feeds.discard(feed)
        for kind in feed.kinds:
            left = tuple(each for each in self._listeners[kind] if each != feed.put)
            if left:
                self._listeners[kind] = left
            else:
                del self._listeners[kind]

    def end_feeds(self) -> None:
        """End all feeds, whose readers would hold up the end of the process."""
        for feed in tuple(self._feeds):
            self.drop(feed)
