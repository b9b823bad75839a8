"""Who has uploaded which bundle that no version refers to yet, and how much that may be.

A bundle belongs to nobody until it is deployed. Until then only who has brought it learns that it
is there, and keeps no more of them than these bounds allow, no longer than a deploy takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from casemate.model.errors import QuotaError

KEPT_SECONDS = 3600.0
"""An upload that is not deployed by then is deleted."""
MAX_BYTES = 2 << 30
"""What one principal may have waiting, as archives."""
MAX_COUNT = 256
MAX_ACCOUNT = 2
"""How many times that one account may have waiting with all the tokens that it answers for."""
MAX_NODE_BYTES = 8 << 30
"""What all together may have waiting."""


class _Upload(NamedTuple):
    by: Mapping[str, int]
    """Who brings or has brought it, and how many times at once."""
    size: int
    at: float


def _require(who: str, waiting: list[int], size: int, share: int) -> None:
    """Raise QuotaError if that many shares are not enough for what waits and `size` bytes more."""
    most, most_bytes = share * MAX_COUNT, share * MAX_BYTES
    if len(waiting) >= most or sum(waiting) + size > most_bytes:
        raise QuotaError(
            f"{who} has {len(waiting)} bundles of {sum(waiting)} bytes waiting for a deploy; "
            f"{size} bytes more are too many: expected at most {most} bundles, and "
            f"{most_bytes} bytes.",
            next_step="Deploy them; bundles that are not deployed within an hour are deleted.",
        )


class Uploads:
    """The uploads that wait for their deploy. Lives on the event loop, holds no content."""

    def __init__(
        self, answerable: Callable[[str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with none; `answerable` says who answers for a token, `clock` counts seconds."""
        self._answerable = answerable
        self._clock = clock
        self._waiting: dict[str, _Upload] = {}

    def note(self, digest: str, size: int, by: str = "") -> None:
        """Note an upload of `size` bytes; of one that waits, one more who has brought it."""
        before = self._waiting.get(digest)
        if before is None:
            self._waiting[digest] = _Upload({by: 1}, size, self._clock())
            return
        whose = {**before.by, by: before.by.get(by, 0) + 1}
        # Of several at once one is kept, and nobody knows yet which.
        self._waiting[digest] = _Upload(whose, max(before.size, size), self._clock())

    def of(self, by: str) -> list[str]:
        """Return the digests of what `by` has brought and waits."""
        return [digest for digest, upload in self._waiting.items() if by in upload.by]

    def is_of(self, digest: str, by: str) -> bool:
        """Tell whether `by` has brought an upload that waits."""
        upload = self._waiting.get(digest)
        return upload is not None and by in upload.by

    def require_room(self, size: int, by: str) -> None:
        """Raise QuotaError if `by`, who answers for it, or all would have too much waiting.

        By each token alone, who may make tokens had the room of all; by who answers alone, one
        token had that of the others of its maker.
        """
        waiting, who = self._waiting.values(), self._answerable(by)
        own = [upload.size for upload in waiting if by in upload.by]
        _require(by, own, size, 1)
        account = [u.size for u in waiting if any(self._answerable(one) == who for one in u.by)]
        _require(who, account, size, MAX_ACCOUNT)
        total = sum(upload.size for upload in self._waiting.values())
        if total + size > MAX_NODE_BYTES:
            raise QuotaError(
                f"Bundles of {total} bytes wait for a deploy on this node, {size} more would be "
                f"too much; expected at most {MAX_NODE_BYTES}.",
                next_step="Try again in an hour; bundles not deployed by then are deleted.",
            )

    def withdraw(self, digest: str, by: str) -> None:
        """What `by` has brought was not that bundle; others, or `by` at once, may have brought it.

        What is kept but not noted would count for nobody, and never be deleted.
        """
        upload = self._waiting.get(digest)
        if upload is None or by not in upload.by:
            return
        left = {who: times - (who == by) for who, times in upload.by.items()}
        left = {who: times for who, times in left.items() if times}
        if left:
            self._waiting[digest] = upload._replace(by=left)
        else:
            del self._waiting[digest]

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
