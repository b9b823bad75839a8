"""Where recorders' batches are stored for the other nodes: sealed, in an order that they prove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

KEPT_SECONDS = 8 * 86_400.0
"""By the store's clock; then whoever needs them has them, or asks their node."""

MAX_BATCH_BYTES = 6 << 20
"""Of one batch; a larger one is none, and is given as empty."""


class Batch(NamedTuple):
    """One batch."""

    node: str
    stream: bytes
    number: int
    content: bytes


class Stream(NamedTuple):
    """What a node has stored under one name of its own."""

    node: str
    stream: bytes
    last: int
    """The highest number."""


class ShippedRecords(Protocol):
    """The rows. Raises StoreError."""

    async def keep(self, batch: Batch) -> bool:
        """Store a batch, durably; False and nothing if another is there under its number."""
        ...

    async def streams(self) -> Sequence[Stream]:
        """Return them, those of a node in their order; a bounded number."""
        ...

    async def after(self, stream: Stream, number: int, most: int) -> Sequence[Batch]:
        """Return batches of a stream with higher numbers, in order."""
        ...

    async def forget(self) -> int:
        """Delete some that are old; return how many."""
        ...
