"""Whether a version lies in what an advisory calls affected (OSV, "Evaluation")."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from casemate.advisories.errors import VersionError
from casemate.advisories.packages import Ecosystem
from casemate.advisories.versions import canonical, spellings, version_key


class Kind(IntEnum):
    """What an event says. Events at one version take effect in this order.

    What is fixed and introduced anew at one version is affected; what is introduced and last
    affected at one version is affected there only.
    """

    FIXED = 0
    INTRODUCED = 1
    LAST_AFFECTED = 2
    LIMIT = 3


_FIXED, _INTRODUCED, _LIMIT = int(Kind.FIXED), int(Kind.INTRODUCED), int(Kind.LIMIT)

Event = tuple[int, str]
Range = tuple[Event, ...]
Keyed = tuple[tuple[int, str, Any], ...]
"""A range with what each version compares by; None for the first and for no limit."""

FIRST = "0"
"""The version that comes before all others."""
NO_LIMIT = "*"


def ordered(ecosystem: Ecosystem, events: Sequence[Event]) -> Range:
    """Return events in the order of their versions. Raises VersionError for what is none."""
    ends = [event for event in events if event[1] in (FIRST, NO_LIMIT)]
    rest = [event for event in events if event[1] not in (FIRST, NO_LIMIT)]
    rest.sort(key=lambda event: (version_key(ecosystem, event[1]), event[0]))
    return (*sorted(ends), *rest)


Form = tuple[str, str, Any]
"""A way to write a version: as it is, canonical, and what it compares by."""
Fix = tuple[Any, str]
"""What a version compares by, and the version."""


def forms(ecosystem: Ecosystem, version: str) -> tuple[Form, ...]:
    """Return the ways to write a version, made ready to be compared. Raises VersionError."""
    return tuple(
        (form, canonical(ecosystem, form), version_key(ecosystem, form))
        for form in spellings(ecosystem, version)
    )


class Affected:
    """What one advisory calls affected, made ready to be asked about many versions."""

    __slots__ = ("_ranges", "_versions", "error")

    def __init__(
        self, ecosystem: Ecosystem, ranges: Sequence[Range], versions: Sequence[str] = ()
    ) -> None:
        """Take ranges whose events are `ordered`, and versions that are canonical."""
        self._versions = frozenset(versions)
        self.error = ""
        """Why some range cannot be told; empty if all can."""
        self._ranges: list[Keyed] = []
        for each in ranges:
            try:
                self._ranges.append(_keyed(ecosystem, each))
            except VersionError as error:
                self.error = error.message.rstrip(".")

    def look(self, version: Sequence[Form]) -> list[Fix] | None:
        """Return None for a version that is not affected, listed or within a range.

        Else, for each range that it lies in, the nearest later version that ends it.
        """
        listed = self._versions
        affected = False
        fixes: list[Fix] = []
        for form, same, key in version:
            if listed and (same in listed or form in listed):
                affected = True
            for events in self._ranges:
                if within(key, events):
                    affected = True
                    for kind, text, at in events:
                        if kind == _FIXED and at is not None and at > key:
                            fixes.append((at, text))
                            break
        return fixes if affected else None


def _keyed(ecosystem: Ecosystem, events: Range) -> Keyed:
    """Return events with what their versions compare by. Raises VersionError."""
    return tuple(
        (kind, text, None if text in (FIRST, NO_LIMIT) else version_key(ecosystem, text))
        for kind, text in events
    )


def within(key: Any, events: Keyed) -> bool:
    """Tell whether a version is affected by a range."""
    affected, limited, below = False, False, False
    for kind, text, at in events:
        if kind == _INTRODUCED:
            affected = affected or at is None or key >= at
        elif kind == _FIXED:
            affected = affected and at is not None and key < at
        elif kind == _LIMIT:
            limited = True
            below = below or (text == NO_LIMIT if at is None else key < at)
        else:
            affected = affected and at is not None and key <= at
    return affected and (below or not limited)
