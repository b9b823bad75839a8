"""Decoys: what nothing honest touches, so that whoever touches it is not honest."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class DecoyKind(StrEnum):
    """What a decoy looks like."""

    SECRET = "secret"  # noqa: S105
    """A secret's name that no manifest grants."""
    TOKEN = "token"  # noqa: S105
    """A service token that lets nobody in."""
    HOST = "host"
    """A host name that there is not."""
    ROW = "row"
    """The one item of a table that no manifest declares."""


class DecoySetting(msgspec.Struct, frozen=True, kw_only=True):
    """That a decoy is off, and why."""

    kind: DecoyKind
    reason: str
    by: str
    at: float


class DecoyState(msgspec.Struct, frozen=True, kw_only=True):
    """One decoy of a project: where it is, never what it would open."""

    project: str
    kind: DecoyKind
    place: str
    """The secret's name, the token's id, the host's name, or the table with the row."""
    generation: int
    """Counts the rotations."""
    on: bool
    reason: str = ""
    """Why it is off."""
    by: str = ""
    at: float | None = None
