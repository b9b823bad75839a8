"""What a check of all that a node keeps has found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CheckState(StrEnum):
    """Where a check is."""

    NONE = "none"
    """None was made since the node started."""
    RUNNING = "running"
    DONE = "done"


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """An object or an item that is not as it was written."""

    problem: str
    """In words for the operator; names the row and where it is, never content."""
    kind: str
    """`bucket` or `table`."""
    name: str
    key: str
    """Content: not for logs, nor for who may not list what is in there."""


class CheckFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was written, or is gone."""

    place: str
    """`store`, `data/PROJECT`, `bundles/DIGEST` or `vault`."""
    problem: str
    """In words for the operator; never content."""
    kind: str = ""
    """Of a damaged object or item: `bucket` or `table`, which one, and its key."""
    name: str = ""
    key: str = ""
    """Only for who may list the objects of the bucket or query the table."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A check, as far as it has come. Times are Unix seconds."""

    state: CheckState = CheckState.NONE
    started_at: float | None = None
    ended_at: float | None = None
    place: str = ""
    """What is looked at now."""
    places: int = 0
    """How many have been looked at: the store, each project, each bundle, the vault."""
    bytes_read: int = 0
    findings: tuple[CheckFinding, ...] = ()
