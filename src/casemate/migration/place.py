"""What both places of a node's state are to a move: where it is read from, and where it is put."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from casemate.migration.contents import Contents
from casemate.migration.parts import Part
from casemate.vault.interface import DataKey, Purpose

Keys = Callable[[str, Purpose, int | None], DataKey]
"""Gives data keys of the vault; blocks."""
Told = Callable[[int], None]


class Bundle(NamedTuple):
    """A sealed bundle."""

    digest: str
    size: int
    at: float
    """When it was written (Unix time)."""


class ProjectParts(NamedTuple):
    """A project that is open at one of the places."""

    rows: Part
    contents: Contents
    tokens: bytes
    """What its tokens are made with."""


class Source(Protocol):
    """Where the state is. Nothing of it is changed before `mark_moved`."""

    place: str
    """For people; no user, no password."""

    def control(self) -> AbstractContextManager[Part]:
        """Open the control store to read."""
        ...

    def incarnation(self, control: Part) -> int:
        """Return the newest incarnation of any node."""
        ...

    def projects(self) -> list[str]:
        """Return the projects that have data, sorted."""
        ...

    def project(self, name: str) -> AbstractContextManager[ProjectParts]:
        """Open a project to read."""
        ...

    def bundles(self) -> list[Bundle]:
        """Return what sealed bundles there are."""
        ...

    def bundle(self, bundle: Bundle) -> Iterator[bytes]:
        """Give the bytes of one."""
        ...

    def mark_moved(self, place: str) -> None:
        """Have no node start here any more, durably. Done once more it is the same."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Target(Protocol):
    """Where the state goes. No node starts there before `open`."""

    place: str

    def begin(self, source: str) -> None:
        """Take the place for what comes from `source`. Raises TakenError if it has anything else.

        What an earlier try of the same move has left is gone on with.
        """
        ...

    def whole(self) -> list[str]:
        """Return the projects that an earlier try has moved, sorted."""
        ...

    def drop(self, name: str) -> None:
        """Delete what there is of a project."""
        ...

    def new_project(self, name: str, tokens: bytes) -> AbstractContextManager[ProjectParts]:
        """Open a new project, which is whole once the block has ended without an error."""
        ...

    def project(self, name: str) -> AbstractContextManager[ProjectParts]:
        """Open a whole one to read."""
        ...

    def bundles(self) -> list[Bundle]:
        """Return what sealed bundles are there."""
        ...

    def bundle(self, bundle: Bundle) -> Iterator[bytes]:
        """Give the bytes of one."""
        ...

    def keep_bundle(self, bundle: Bundle, pieces: Iterator[bytes]) -> None:
        """Keep one, in place of another of the digest."""
        ...

    def drop_bundle(self, bundle: Bundle) -> None:
        """Delete one that the source does not have."""
        ...

    def new_control(self) -> AbstractContextManager[Part]:
        """Open an empty control store, which is kept if the block ends without an error."""
        ...

    def finish_control(self, control: Part, incarnation: int) -> None:
        """Make what is made of the rows that have been written."""
        ...

    def open(self) -> None:
        """Have nodes start here. Durable when it returns."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
