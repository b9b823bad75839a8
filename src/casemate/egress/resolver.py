"""Names to addresses, for all functions, in one place.

The answer for a name stays the same for `EgressLimits.cache` seconds for one zygote, so that a
server of names cannot alternate between answers while its name is in use.
"""

from __future__ import annotations

import asyncio
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
Addresses = tuple[Address, ...]


class _Names:
    """What one zygote has resolved, and its look-ups under way."""

    def __init__(self, lookups: int) -> None:
        self.known: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self.pending: dict[str, asyncio.Future[Addresses]] = {}
        self.turns = asyncio.Semaphore(lookups)


class Resolver:
    """Resolves with `lookup` in threads: bounded, with a time limit, remembering the answers."""

    def __init__(self, limits: EgressLimits, lookup: Lookup = socket.getaddrinfo) -> None:
        """Make the threads' pool; a thread starts when it is needed."""
        self._limits = limits
        self._lookup = lookup
        self._names: dict[int, _Names] = {}
        self._pool = ThreadPoolExecutor(limits.lookups_total, thread_name_prefix="resolve")

    async def resolve(self, zygote: int, host: str) -> Addresses:
        """Return every address of a name, at least one. Raises UpstreamError."""
        names = self._names.setdefault(zygote, _Names(self._limits.lookups))
        known = names.known.get(host)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        pending = names.pending.get(host)
        if pending is None:
            pending = asyncio.ensure_future(self._look_up(names, host))
            names.pending[host] = pending
            pending.add_done_callback(lambda done: self._finished(names, host, done))
        try:
            async with asyncio.timeout(self._limits.resolve_time):
                # Others may wait for the same answer, and a thread cannot be stopped anyway.
                return await asyncio.shield(pending)
        except TimeoutError:
            raise UpstreamError("The host's name was not resolved in time.", status=504) from None
        except (OSError, ValueError, UnicodeError):
            raise UpstreamError("The host's name cannot be resolved.", status=502) from None

    async def _look_up(self, names: _Names, host: str) -> Addresses:
        async with names.turns:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._pool, self._ask, host)
        found = dict.fromkeys(ip_address(entry[4][0]) for entry in answer)
        if not 1 <= len(found) <= _MAX_ADDRESSES:
            raise OSError(f"{len(found)} addresses")
        return tuple(found)

    def _ask(self, host: str) -> list[tuple[Any, Any, Any, Any, Any]]:
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
                pending.cancel()

    def close(self) -> None:
        """Start no more threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
