"""Legal holds: what is on record of an incident's functions stays whatever retention says.

What is there when a hold is said is under it, and nothing that comes later: it does not grow. It
ends by itself unless it is renewed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.recording import RecordingSummary
from casemate.model.still import require_still
from casemate.operations.evidence import HoldView
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_HOLDS = 32
MAX_FUNCTIONS = 10
"""Of one incident, those that are named first."""
DAY_SECONDS = 86_400.0
BEFORE_SECONDS = 3600.0
"""Before an incident: what is noticed had a beginning."""
MOST_RECORDING_BYTES = 128 << 20
"""Of recordings under all holds: a part of what recordings may take."""


class HeldRecords(Protocol):
    """Keeps records whatever retention says."""

    async def hold(
        self,
        id: str,
        functions: Sequence[tuple[str, str]],
        *,
        since: float,
        until: float,
        expires_at: float,
    ) -> tuple[int, int]: ...

    async def release(self, id: str) -> None: ...


class HeldRecordings(Protocol):
    """Tells which recordings there are."""

    async def list(
        self, project: str | None, function: str | None
    ) -> tuple[RecordingSummary, ...]: ...


class Holds:
    """One per gateway. On its event loop only."""

    def __init__(
        self,
        store: Store,
        records: HeldRecords,
        *,
        clock: Callable[[], float] = time.time,
        deleting: Callable[[], float] | None = None,
        running: Callable[[], float] | None = None,
    ) -> None:
        """Keep in `store` which there are; `records` keeps what is under them.

        They end by `deleting`, without it by `clock`: a clock that is wrong for a moment ends none.
        By `running` they are for so many days from now on.
        """
        self._parts = Parts(store, "holds", HoldView, lambda one: one.incident, parts=4)
        self._records = records
        self._clock = clock
        self._deleting = deleting or clock
        self._running = running or self._deleting
        self._turn = asyncio.Lock()
        """Two at once would each find room for itself alone."""

    async def load(self) -> None:
        """Read them. Raises StoreError: what is under hold would be deleted."""
        await self._parts.load()

    def all(self) -> tuple[HoldView, ...]:
        """Return those that hold, by which ends first."""
        now = self._deleting()
        found = [one for one in self._parts.held.values() if now < one.expires_at]
        return tuple(sorted(found, key=lambda one: (one.expires_at, one.incident)))

    def one(self, incident: str) -> HoldView:
        """Return that of an incident. Raises NotFoundError."""
        found = next((one for one in self.all() if one.incident == incident), None)
        if found is None:
            raise NotFoundError(
                f"Nothing of {incident[:64]} is under hold.",
                next_step="`casemate incident holds` shows what is.",
            )
        return found

    def covers(self, summary: RecordingSummary) -> bool:
        """Tell whether a recording is under some hold."""
        now = self._deleting()
        name = f"{summary.project}/{summary.function}"
        return any(
            now < one.expires_at and one.since <= summary.at <= one.until and name in one.functions
            for one in self._parts.held.values()
        )

    async def hold(
        self,
        incident: str,
        functions: Sequence[str],
        opened_at: float,
        last_at: float,
        days: int,
        *,
        reason: str,
        by: str,
        recordings: HeldRecordings,
    ) -> HoldView:
        """Have what is there under hold for so many days, or renew that.

        Also what is of times to come: the clock was ahead when something was found last.
        What is under it stays what it was when it is renewed. Raises ConflictError, CasemateError.
        """
        async with self._turn:
            require_still()
            now = self._deleting()
            before = self._parts.held.get(incident)
            if before is not None and before.expires_at <= now:
                before = None
            if before is None and len(self.all()) >= MAX_HOLDS:
                raise ConflictError(
                    f"{MAX_HOLDS} incidents are under hold already, which is the most.",
                    next_step="End one: casemate incident holds, casemate incident release-hold",
                )
            if before is None and not functions:
                raise ConflictError(
                    f"{incident} is about no function, so nothing is on record to be kept.",
                    next_step=f"`casemate incident evidence {incident}` keeps what there is of it.",
                )
            made = before or HoldView(
                incident=incident,
                functions=tuple(functions)[:MAX_FUNCTIONS],
                since=min(opened_at, self._clock()) - BEFORE_SECONDS,
                until=max(last_at, self._clock()),
                expires_at=now,
                reason=reason,
                by=by,
                records=0,
                bytes=0,
                recordings=0,
            )
            ends_at = self._running() + days * DAY_SECONDS
            made = replace(made, expires_at=ends_at, reason=reason, by=by)
            if before is None:
                made = replace(made, recordings=await self._counted(made, recordings))
            pairs = [
                (project, name) for project, _, name in (f.partition("/") for f in made.functions)
            ]
            number, size = await self._records.hold(
                incident, pairs, since=made.since, until=made.until, expires_at=made.expires_at
            )
            made = replace(made, records=number, bytes=size)
            over = [one for one in self._parts.held if self._parts.held[one].expires_at <= now]
            await self._parts.drop(over)
            await self._parts.put(made)
            return made

    async def _counted(self, made: HoldView, recordings: HeldRecordings) -> int:
        """Return how many recordings come under a hold. Raises ConflictError for too many."""
        found, size = 0, 0
        for each in await recordings.list(None, None):
            name = f"{each.project}/{each.function}"
            is_of = name in made.functions and made.since <= each.at <= made.until
            if is_of or self.covers(each):
                size += each.size
                found += is_of
        if size > MOST_RECORDING_BYTES:
            raise ConflictError(
                f"Recordings under hold would have {size} bytes, of {MOST_RECORDING_BYTES} that "
                "they may.",
                next_step="End a hold that is not needed: casemate incident holds",
            )
        return found

    async def release(self, incident: str) -> None:
        """End one: what is under it is deleted by age and number again. Raises NotFoundError."""
        async with self._turn:
            require_still()
            self.one(incident)
            await self._records.release(incident)
            # Last: what is cut short is known still, and can be asked again.
            await self._parts.drop((incident,))
