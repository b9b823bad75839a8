"""Records denials, many alike as one: a flood of attempts must not become a flood of records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from casemate.model.denial import Denial

BURST = 20
"""How many alike are recorded one by one within a window."""
WINDOW_SECONDS = 1.0
MAX_KINDS = 4096
"""How many different ones are told apart within a window; those beyond are recorded as one."""

_Key = tuple[str, ...]


class DenialRecorder:
    """Stands before `Store.deny`. On the event loop only."""

    def __init__(self, record: Callable[[Denial], None], loop: asyncio.AbstractEventLoop) -> None:
        """Write through `record`."""
        self._record = record
        self._loop = loop
        self._counts: dict[_Key, int] = {}
        self._held: dict[_Key, Denial] = {}
        self._timer: asyncio.TimerHandle | None = None

    def deny(self, denial: Denial) -> None:
        """Record one denial, or count it with others like it."""
        key: _Key = (
            denial.kind.value,
            denial.principal,
            denial.action,
            denial.resource,
            denial.reason,
            denial.remote_address,
        )
        if key not in self._counts and len(self._counts) >= MAX_KINDS:
            key = (denial.kind.value,)
        seen = self._counts.get(key, 0)
        self._counts[key] = seen + 1
        if self._timer is None:
            self._timer = self._loop.call_later(WINDOW_SECONDS, self.flush)
        if seen < BURST:
            self._record(denial)
            return
        held = self._held.get(key)
        if held is None:
            self._held[key] = denial
        else:
            total = held.count + denial.count
            self._held[key] = msgspec.structs.replace(held, count=total)

    def flush(self) -> None:
        """Record what was only counted so far, and begin anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, {}
        self._counts.clear()
        for denial in held.values():
            self._record(denial)
