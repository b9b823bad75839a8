"""What a node remembers of access reviews: the last one of each, and how often they are due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container

import msgspec

from casemate.access_reviews.holders import Holder
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import QuotaError
from casemate.operations.access import AccessReview
from casemate.set_clock import OFF_SECONDS
from casemate.store.errors import StoreError
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.store.value import KeptValue

DAY = 86_400.0
DEFAULT_DAYS = 90
MAX_REVIEWS = 20_000
"""That are remembered, of those that are gone among them, which are forgotten hour by hour."""
_SETTINGS = "access review settings"


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    days: int = DEFAULT_DAYS


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    review: AccessReview
    rights: str
    """`Holder.fingerprint` of what was looked at."""


class Reviews:
    """One per gateway. Belongs to its event loop. Nothing is known before `load`, which whoever
    needs reviews waits for: the start of a node does not."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Keep them in `store`."""
        self._value = KeptValue(store, _SETTINGS)
        self._clock = clock
        self._parts = Parts(store, "access reviews", _Kept, lambda one: one.review.subject)
        self._settings = _Settings()
        self._loaded = False
        self._loading = asyncio.Lock()
        self.changing = asyncio.Lock()
        """Held by who decides about one that has rights, so that two do not at the same time."""

    async def load(self) -> None:
        """Read them, unless they are known. Raises StoreError."""
        async with self._loading:
            if not self._loaded:
                await self._parts.load()
                await self._load_settings()
                self._loaded = True

    async def reload(self) -> None:
        """Read them again where they are known. Raises StoreError."""
        async with self._loading:
            if self._loaded:
                await self._parts.load()
                await self._load_settings()

    async def _load_settings(self) -> None:
        stored = await self._value.read()
        if stored is None:
            return
        try:
            self._settings = msgspec.json.decode(stored, type=decodable(_Settings))
        except DECODING_ERRORS as error:
            raise StoreError(
                "How often access is reviewed cannot be read.",
                next_step="Start the Casemate that wrote it, or restore the store.",
            ) from error

    @property
    def days(self) -> int:
        """After how many days rights are due for review."""
        return self._settings.days

    async def set_days(self, days: int) -> None:
        """Have them looked at after as many days, from now on."""
        settings = _Settings(days=days)
        await self._value.write(msgspec.json.encode(settings))
        self._settings = settings

    def of(self, holder: Holder) -> AccessReview | None:
        """Return the last review of one; not that of another one that had its name before."""
        found = self._parts.held.get(holder.id)
        return found.review if found is not None and found.review.at >= holder.since else None

    def due(self, holder: Holder) -> float:
        """Return when the next review of one is due. One of other rights does not count.

        Nor does one of a clock that was ahead: it would hold for as much longer. One whose rights
        are of such a clock, and not reviewed since, is due now.
        """
        now = self._clock()
        latest = now + OFF_SECONDS
        since = holder.since if holder.since <= latest else 0.0
        kept = self._parts.held.get(holder.id)
        holds = kept is not None and since <= kept.review.at <= latest
        if kept is None or not holds or kept.rights != holder.fingerprint:
            return since + self._settings.days * DAY if since == holder.since else now
        return kept.review.at + self._settings.days * DAY

    async def keep(self, holder: Holder, *, by: str, reason: str, own: bool) -> AccessReview:
        """Remember that rights are kept. `changing` is held. Raises QuotaError."""
        held, subject = self._parts.held, holder.id
        if subject not in held and len(held) >= MAX_REVIEWS:
            raise QuotaError(
                f"{MAX_REVIEWS} reviews are remembered already, which is the most.",
                next_step="Try again in an hour: those of who is gone are forgotten.",
            )
        made = AccessReview(subject=subject, at=self._clock(), by=by, reason=reason, own=own)
        await self._parts.put(_Kept(review=made, rights=holder.fingerprint))
        return made

    async def forget_others(self, present: Container[str], *, before: float) -> None:
        """Forget reviews, made before a moment, of all that had no rights any more by then."""
        async with self.changing:
            gone = [
                subject
                for subject, kept in self._parts.held.items()
                if subject not in present and kept.review.at < before
            ]
            if gone:
                await self._parts.drop(gone)
