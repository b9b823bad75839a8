"""Where nodes leave what they count for each other: sealed, while somebody wants to see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

MAX_CONTENT_BYTES = 512 << 10
"""Of what one node tells; what is larger is given as empty."""


WANTED_TOPIC = "numbers_wanted"
"""What is followed: it is changed when somebody wants to see numbers."""
MAX_TOLD = 128
"""Nodes of which it is read."""


class ToldNumbers(NamedTuple):
    """What one node has told last."""

    node: str
    """Its id."""
    age: float
    """Seconds, by the store's clock."""
    content: bytes


class NumberRows(Protocol):
    """The rows. Raises StoreError."""

    async def want(self) -> None:
        """Have all nodes know that their numbers are wanted now."""
        ...

    async def keep(self, node: str, content: bytes) -> None:
        """Keep what a node tells, in the place of what it told before."""
        ...

    async def told(self, latest: float) -> Sequence[ToldNumbers]:
        """Return what was told in the last so many seconds; a bounded number."""
        ...
