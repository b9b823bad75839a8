"""Names to addresses, for all functions, in one place.

The answer for a name stays the same for `EgressLimits.cache` seconds for one zygote, so that a
server of names cannot alternate between answers while its name is in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from casemate.egress.config import EgressLimits
from casemate.egress.errors import UpstreamError
from casemate.egress.target import Address

Lookup = Callable[..., list[tuple[Any, Any, Any, Any, Any]]]
"""As socket.getaddrinfo; called in a thread."""

_MAX_NAMES = 256
_MAX_ADDRESSES = 64
_SLOW_SECONDS = 60.0
"""For which a zygote is known for a name whose server did not answer."""
_SLOW_PART = 4
"""Zygotes that are have one look-up at a time, and together a part of so many of all."""
Addresses = tuple[Address, ...]
Entries = list[tuple[Any, Any, Any, Any, Any]]


class _Pending:
    """A look-up that somebody waits for, or did."""

    def __init__(self) -> None:
        self.callers = 0
        self.answer: asyncio.Future[Addresses]


class _Names:
    """What one zygote has resolved, and its look-ups under way."""

    def __init__(self, lookups: int) -> None:
        self.known: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self.pending: dict[str, _Pending] = {}
        self.turns = asyncio.Semaphore(lookups)
        self.under_way = 0
        self.slow_until = 0.0

    @property
    def is_slow(self) -> bool:
        return time.monotonic() < self.slow_until


class _Threads:
    """Threads for look-ups: no zygote keeps the others from theirs, however long its own take.

    A look-up cannot be stopped. Once nobody waits for one any more it counts for nothing but for
    the number of those, so that there are twice as many threads at the most.
    """

    def __init__(self, limits: EgressLimits) -> None:
        self._limits = limits
        self._waited_for = self._given_up = self._slow = 0
        self._changed = asyncio.Event()
        self._pool = ThreadPoolExecutor(2 * limits.lookups_total, thread_name_prefix="resolve")

    def _has_room(self, names: _Names) -> bool:
        total = self._limits.lookups_total
        threads = self._waited_for + self._given_up
        if self._waited_for >= total or threads >= 2 * total:
            return False
        if names.is_slow:
            few = self._slow < max(1, total // _SLOW_PART)
            return not names.under_way and few and threads < total
        # What is left of the second half is for those that have none under way.
        return not names.under_way or self._waited_for < total // 2

    async def run(
        self, names: _Names, pending: _Pending, look_up: Callable[[], Entries]
    ) -> Entries:
        """Return what `look_up` does, in a thread. Raises OSError if nobody waits for it."""
        while pending.callers and not self._has_room(names):
            self._changed.clear()
            await self._changed.wait()
        if not pending.callers:
            raise OSError("nobody waits for it any more")
        loop = asyncio.get_running_loop()
        was_slow, late = names.is_slow, False
        names.under_way += 1
        self._waited_for += 1
        self._slow += was_slow

        def give_up() -> None:
            nonlocal late
            late = True
            names.slow_until = time.monotonic() + _SLOW_SECONDS
            self._waited_for -= 1
            self._given_up += 1
            self._changed.set()

        def ended() -> None:
            timer.cancel()
            names.under_way -= 1
            self._slow -= was_slow
            self._given_up -= late
            self._waited_for -= not late
            self._changed.set()

        timer = loop.call_later(self._limits.resolve_time, give_up)
        work = self._pool.submit(look_up)
        # Of the thread, not of who waits: a zygote that is gone leaves its threads behind.
        work.add_done_callback(lambda _: _tell(loop, ended))
        return await asyncio.wrap_future(work)

    def look(self) -> None:
        """Have who waits for room see whether anybody waits for them."""
        self._changed.set()

    def close(self) -> None:
        """Start no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the process ends
        loop.call_soon_threadsafe(ended)


class Resolver:
    """Resolves with `lookup` in threads: bounded, with a time limit, remembering the answers."""

    def __init__(self, limits: EgressLimits, lookup: Lookup = socket.getaddrinfo) -> None:
        """Make the threads' pool; a thread starts when it is needed."""
        self._limits = limits
        self._lookup = lookup
        self._names: dict[int, _Names] = {}
        self._threads = _Threads(limits)

    async def resolve(self, zygote: int, host: str) -> Addresses:
        """Return every address of a name, at least one. Raises UpstreamError."""
        names = self._names.setdefault(zygote, _Names(self._limits.lookups))
        known = names.known.get(host)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        pending = names.pending.get(host)
        if pending is None:
            pending = names.pending[host] = _Pending()
            pending.answer = asyncio.ensure_future(self._look_up(names, host, pending))
            pending.answer.add_done_callback(lambda done: self._finished(names, host, done))
        pending.callers += 1
        try:
            async with asyncio.timeout(self._limits.resolve_time):
                # Others may wait for the same answer, and a thread cannot be stopped anyway.
                return await asyncio.shield(pending.answer)
        except TimeoutError:
            raise UpstreamError("The host's name was not resolved in time.", status=504) from None
        except (OSError, ValueError, UnicodeError):
            raise UpstreamError("The host's name cannot be resolved.", status=502) from None
        finally:
            pending.callers -= 1
            self._threads.look()

    async def _look_up(self, names: _Names, host: str, pending: _Pending) -> Addresses:
        async with names.turns:
            answer = await self._threads.run(names, pending, lambda: self._ask(host))
        found = dict.fromkeys(ip_address(entry[4][0]) for entry in answer)
        if not 1 <= len(found) <= _MAX_ADDRESSES:
            raise OSError(f"{len(found)} addresses")
        return tuple(found)

    def _ask(self, host: str) -> Entries:
        # As bytes: the name is ASCII already, and text would go through a codec of Python's.
        return self._lookup(host.encode("ascii"), None, type=socket.SOCK_STREAM)

    def _finished(self, names: _Names, host: str, done: asyncio.Future[Addresses]) -> None:
        names.pending.pop(host, None)
        if done.cancelled() or done.exception() is not None:
            return
        names.known[host] = (time.monotonic() + self._limits.cache, done.result())
        names.known.move_to_end(host)
        while len(names.known) > _MAX_NAMES:
            names.known.popitem(last=False)

    def forget(self, zygote: int) -> None:
        """Drop what is known for a zygote that is gone."""
        names = self._names.pop(zygote, None)
        if names is not None:
            for pending in list(names.pending.values()):
                pending.answer.cancel()

    def close(self) -> None:
        """Start no more threads."""
        self._threads.close()
