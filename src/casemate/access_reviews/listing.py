"""One page of those who have rights."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from casemate.access_reviews.holders import Holder, place_of
from casemate.access_reviews.reviews import Reviews
from casemate.access_reviews.rights import rights_of
from casemate.operations.access import Access, AccessPage, ReviewAccess

LastUsed = Callable[[Holder], Awaitable[tuple[float | None, bool]]]
"""Returns when one was last used, and whether that is known at all."""


class _Due(NamedTuple):
    holder: Holder
    due: float


async def page_of(
    wanted: ReviewAccess,
    found: Sequence[Holder],
    reviews: Reviews,
    *,
    last_used: LastUsed,
    now: float,
) -> AccessPage:
    """Return a page of `found`, which are in order. Only those on it are asked for their use."""
    # There may be many: not on the event loop.
    every, overdue = await asyncio.to_thread(_chosen, wanted, found, reviews, now)
    start = _start(every, wanted.after)
    page = every[start : start + wanted.limit]
    entries = [await _entry(one, wanted, reviews, last_used, now) for one in page]
    more = start + wanted.limit < len(every)
    return AccessPage(
        entries=tuple(entries),
        after=page[-1].holder.id if more else "",
        total=len(every),
        overdue=overdue,
        node_wide=0 if wanted.project is None else sum(one.is_node_wide for one in found),
        days=reviews.days,
    )


def _chosen(
    wanted: ReviewAccess, found: Sequence[Holder], reviews: Reviews, now: float
) -> tuple[list[_Due], int]:
    """Return those that are asked for, and how many of their reviews are overdue."""
    every = [_Due(one, reviews.due(one)) for one in found if _shown(one, wanted)]
    late = [one for one in every if now >= one.due]
    return (late if wanted.overdue else every), len(late)


def _shown(holder: Holder, wanted: ReviewAccess) -> bool:
    if wanted.kind is not None and holder.kind is not wanted.kind:
        return False
    return wanted.project is None or wanted.project in holder.projects


def _start(every: Sequence[_Due], after: str) -> int:
    """Return where to go on, also if the last one of the page before is gone meanwhile."""
    if not after:
        return 0
    place = place_of(after)
    return bisect_right(every, place, key=lambda one: place_of(one.holder.id))


async def _entry(
    one: _Due, wanted: ReviewAccess, reviews: Reviews, last_used: LastUsed, now: float
) -> Access:
    holder = one.holder
    used, known = await last_used(holder)
    return Access(
        id=holder.id,
        kind=holder.kind,
        name=holder.name,
        rights=rights_of(holder, wanted.project),
        digest=holder.fingerprint,
        since=holder.since,
        last_used=used,
        used_known=known,
        review=reviews.of(holder),
        due=one.due,
        overdue=now >= one.due,
    )
