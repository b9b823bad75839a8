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


class DamagedObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object of a bucket whose content is not what was written."""

    bucket: str
    key: str
    """Content: not for logs, nor for who may not list the bucket."""
    problem: str
    """Names the row and the bucket, not the key."""


class CheckFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was written, or is gone."""

    place: str
    """`store`, `data/PROJECT`, `bundles/DIGEST` or `vault`."""
    problem: str
    """In words for the operator; never content."""
    bucket: str = ""
    """Of a damaged object: its bucket."""
    key: str = ""
    """Of a damaged object: its key, for who may list the bucket."""


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
