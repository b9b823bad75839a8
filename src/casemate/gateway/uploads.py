"""Who has uploaded which bundle that no version refers to yet, and how much that may be.

A bundle belongs to nobody until it is deployed. Until then only who has brought it learns that it
is there, and keeps no more of them than these bounds allow, no longer than a deploy takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from casemate.model.errors import QuotaError

KEPT_SECONDS = 3600.0
"""An upload that is not deployed by then is deleted."""
MAX_BYTES = 2 << 30
"""What one principal may have waiting, as archives."""
MAX_COUNT = 256
MAX_NODE_BYTES = 8 << 30
"""What all together may have waiting."""


class _Upload(NamedTuple):
    by: frozenset[str]
    size: int
    at: float


class Uploads:
    """The uploads that wait for their deploy. Lives on the event loop, holds no content."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with none; `clock` counts seconds."""
        self._clock = clock
        self._waiting: dict[str, _Upload] = {}

    def note(self, digest: str, size: int, by: str = "") -> None:
        """Note an upload of `size` bytes; of one that waits, one more who has brought it."""
        before = self._waiting.get(digest)
        whose = before.by | {by} if before is not None else frozenset((by,))
        self._waiting[digest] = _Upload(whose, size, self._clock())

    def is_of(self, digest: str, by: str) -> bool:
        """Tell whether `by` has brought an upload that waits."""
        upload = self._waiting.get(digest)
        return upload is not None and by in upload.by

    def require_room(self, size: int, by: str) -> None:
        """Raise QuotaError if `by`, or all together, would have too much waiting."""
        mine = [u.size for u in self._waiting.values() if by in u.by]
        if len(mine) >= MAX_COUNT or sum(mine) + size > MAX_BYTES:
            raise QuotaError(
                f"{by} has {len(mine)} bundles of {sum(mine)} bytes waiting for a deploy; "
                f"{size} bytes more are too many: expected at most {MAX_COUNT} bundles, and "
                f"{MAX_BYTES} bytes.",
                next_step="Deploy them; what is not deployed within an hour is deleted.",
            )
        total = sum(upload.size for upload in self._waiting.values())
        if total + size > MAX_NODE_BYTES:
            raise QuotaError(
                f"Bundles of {total} bytes wait for a deploy on this node, {size} more would be "
                f"too much; expected at most {MAX_NODE_BYTES}.",
                next_step="Try again in an hour; what is not deployed by then is deleted.",
            )

    def withdraw(self, digest: str, by: str) -> None:
        """What `by` has brought was not that bundle; others may have brought it."""
        upload = self._waiting.get(digest)
        if upload is not None and upload.by == {by}:
            del self._waiting[digest]
        elif upload is not None:
            self._waiting[digest] = upload._replace(by=upload.by - {by})

    def forget(self, digest: str) -> None:
        """A version refers to it now, or it is gone."""
        self._waiting.pop(digest, None)

    def take_expired(self) -> tuple[str, ...]:
        """Forget what has waited too long; return the digests."""
        limit = self._clock() - KEPT_SECONDS
        expired = tuple(d for d, upload in self._waiting.items() if upload.at <= limit)
        for digest in expired:
            del self._waiting[digest]
        return expired
