"""Whether a version lies in what an advisory calls affected (OSV, "Evaluation")."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

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


Event = tuple[int, str]
Range = tuple[Event, ...]

FIRST = "0"
"""The version that comes before all others."""
NO_LIMIT = "*"


def ordered(ecosystem: Ecosystem, events: Sequence[Event]) -> Range:
    """Return events in the order of their versions. Raises VersionError for what is none."""
    ends = [event for event in events if event[1] in (FIRST, NO_LIMIT)]
    rest = [event for event in events if event[1] not in (FIRST, NO_LIMIT)]
    rest.sort(key=lambda event: (version_key(ecosystem, event[1]), event[0]))
    return (*sorted(ends), *rest)


def within(ecosystem: Ecosystem, version: str, events: Range) -> bool:
    """Tell whether a version is affected by a range whose events are `ordered`.

    Raises VersionError.
    """
    key = version_key(ecosystem, version)
    affected, limited, below = False, False, False
    for kind, text in events:
        first = text == FIRST
        if kind == Kind.LIMIT:
            limited = True
            below = below or text == NO_LIMIT or (not first and key < version_key(ecosystem, text))
        elif kind == Kind.INTRODUCED:
            affected = affected or first or key >= version_key(ecosystem, text)
        elif kind == Kind.FIXED:
            affected = affected and not first and key < version_key(ecosystem, text)
        else:
            affected = affected and not first and key <= version_key(ecosystem, text)
    return affected and (below or not limited)


def affects(
    ecosystem: Ecosystem, version: str, ranges: Sequence[Range], versions: Sequence[str]
) -> bool:
    """Tell whether a version is listed, or lies in a range. `versions` are canonical.

    Raises VersionError if that cannot be told.
    """
    for form in spellings(ecosystem, version):
        if versions and (canonical(ecosystem, form) in versions or form in versions):
            return True
        for each in ranges:
            if within(ecosystem, form, each):
                return True
    return False


def fixes(ecosystem: Ecosystem, version: str, ranges: Sequence[Range]) -> tuple[str, ...]:
    """Return the nearest later version that ends each range which a version lies in."""
    found = {}
    for form in spellings(ecosystem, version):
        for events in ranges:
            try:
                nearest = _nearest(ecosystem, form, events)
            except VersionError:
                continue
            if nearest is not None:
                found[nearest] = version_key(ecosystem, nearest)
    return tuple(sorted(found, key=lambda each: found[each]))


def _nearest(ecosystem: Ecosystem, version: str, events: Range) -> str | None:
    if not within(ecosystem, version, events):
        return None
    key = version_key(ecosystem, version)
    for kind, text in events:
        if kind == Kind.FIXED and text != FIRST and version_key(ecosystem, text) > key:
            return text
    return None
