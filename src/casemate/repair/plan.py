"""What a change of a lock is: which versions, why, and what it leaves."""

from __future__ import annotations

import msgspec

from casemate.advisories import Finding, Severity
from casemate.repair.steps import Step


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A hole of a locked package that some release that may be installed is without."""

    package: str
    finding: Finding


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one package: another version, new (no `old`), or gone (no `new`)."""

    package: str
    old: str | None
    new: str | None
    step: Step | None
    """What of the version changes; none for a package that comes or goes."""
    down: bool
    passed: int
    """How many releases lie on the way, the new one counted."""
    clears: tuple[str, ...]
    """Ids of the holes that are gone."""
    why: str


class Uncleared(msgspec.Struct, frozen=True, kw_only=True):
    """A hole that stays, and why."""

    package: str
    version: str
    id: str
    ids: tuple[str, ...]
    severity: Severity
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest change that clears what can be cleared."""

    changes: tuple[Change, ...]
    uncleared: tuple[Uncleared, ...]
    versions: dict[str, str]
    """Every package of the lock as it would be."""
    loosened: tuple[str, ...] = ()
    """Packages whose own requirements stand in the way and have to be changed."""
    smallest: bool = True
    """False if the search was cut short: then a smaller change may exist."""
    asked: int = 0
    """How often the resolver was asked."""

    @property
    def changed(self) -> bool:
        """Tell whether anything would be another."""
        return bool(self.changes)
