"""What a store that nodes share keeps of their vault: sealed bytes, changed by one node at a time.

The store can open none of it, and is not believed: the vault of each node looks at what it is
given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class StoredState(NamedTuple):
    """The state of the vault."""

    digest: bytes
    """SHA-256 of the content."""
    content: bytes
    """Empty if it is what whoever asked has already."""


class StoredFile(NamedTuple):
    """The sealed value of a secret."""

    name: str
    content: bytes


class StateChange(NamedTuple):
    """Another state in the place of the one with the digest `expected`; empty: of none."""

    expected: bytes
    generation: int
    state: StoredState
    added: Sequence[StoredFile]
    removed: Sequence[str]


class VaultRows(Protocol):
    """Where they are. Raises StoreError; StoreCommitUnsureError if a change may have been made."""

    async def state(self, known: bytes) -> StoredState | None:
        """Return the state, its content unless its digest is `known`; None if there is none."""
        ...

    async def files(self, names: Sequence[str]) -> tuple[bytes | None, ...]:
        """Return the contents of files, None for each that is not there."""
        ...

    async def keep_files(self, files: Sequence[StoredFile]) -> None:
        """Keep files, durably, before there is a state that names them."""
        ...

    async def change(self, change: StateChange) -> bool:
        """Make a change, durably; False and nothing if another state is there."""
        ...
