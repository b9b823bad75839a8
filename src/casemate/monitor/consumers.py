"""Who is given what the monitor reads: entries of the journal in order, each once, none left out.

What a consumer remembers is kept together with the position in the journal: after a kill it goes on
from there, sees again what came since, and must come to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Happened(msgspec.Struct, frozen=True, gc=False):
    """An entry of the journal."""

    index: int
    id: str
    kind: str
    """Name of the fact's type: `metadata.event_code`."""
    at: float
    """Unix time."""
    event: dict[str, Any]
    """As OCSF has it."""
    node: str = ""
    """In whose journal it stands first; empty: in that of this node."""


class Consumer(Protocol):
    """Takes what happens, quickly: all of it runs on the monitor's one loop."""

    @property
    def name(self) -> str:
        """By which its memory is found again."""
        ...

    def take(self, batch: Sequence[Happened]) -> None:
        """See what has happened. Must not raise, and must not wait."""
        ...

    def remembered(self) -> bytes:
        """Return what it would need to go on from here; empty: nothing."""
        ...

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered. ValueError for what is none of its own."""
        ...
