"""In which of a cluster's databases a project lives: what the control store says, and proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Placement(NamedTuple):
    """Where a project lives."""

    database: str
    moves: int = 0
    """How often it has moved; its database says the same, or is an older copy."""
    to: str = ""
    """Where it is being moved to, empty if it is not; nobody uses it meanwhile."""
    attempt: str = ""
    """Of that move, made at random: what another one has left is not taken for its own."""


class Placements(Protocol):
    """Of all projects. Those that are placed nowhere live in the main database, if anywhere."""

    @property
    def known(self) -> Mapping[str, Placement]:
        """What is in memory, replaced as a whole. Any thread."""
        ...

    async def find(self, project: str) -> Placement | None:
        """Return what is stored at this moment. Raises StoreError."""
        ...

    async def place(self, project: str, database: str) -> Placement:
        """Place a project that has no place; return where it lives, if another node was first.

        Raises StoreError.
        """
        ...
