"""Whether the advisories that are in force can be relied upon, and if not, why.

Nothing found by advisories that are missing, partial, unreadable or old is no result. So each of
these is a problem of its own, and `judge` carries all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec

from casemate.advisories import limits
from casemate.advisories.database import IMPORT, Database, Header
from casemate.advisories.errors import (
    AdvisoriesError,
    DatabaseMissingError,
    DatabaseUnreadableError,
)
from casemate.advisories.packages import Ecosystem
from casemate.advisories.place import Attempt, Place

_DAY = 86400.0


class Trouble(StrEnum):
    """Why advisories cannot be relied upon."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    OLD = "old"
    PARTIAL = "partial"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in words."""

    kind: Trouble
    text: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force. It can be relied upon if there are no problems."""

    header: Header | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    next_step: str | None = None

    @property
    def good(self) -> bool:
        """Tell whether it can be relied upon."""
        return not self.problems


def look(place: Place, now: float, used: Collection[Ecosystem] | None = None) -> Standing:
    """Return how the advisories in a place stand at a time; `used` as of `standing_of`."""
    try:
        with Database(place.database) as database:
            return standing_of(database.header, place, now, used)
    except DatabaseMissingError as error:
        return _without(Trouble.MISSING, error, place)
    except DatabaseUnreadableError as error:
        return _without(Trouble.UNREADABLE, error, place)


def standing_of(
    header: Header, place: Place, now: float, used: Collection[Ecosystem] | None = None
) -> Standing:
    """Return how an open database stands; `used` are the ecosystems that it is needed for.

    Without `used` these are the ones that its import was asked for.
    """
    problems = []
    age = now - header.imported
    if age > limits.MAX_AGE:
        problems.append(
            Problem(
                kind=Trouble.OLD,
                text=f"The last import was {age / _DAY:.0f} days ago; "
                f"{limits.MAX_AGE / _DAY:.0f} are allowed.",
            )
        )
    elif age < -limits.CLOCK_SLACK:
        problems.append(
            Problem(
                kind=Trouble.OLD, text="The last import lies in the future; is the clock right?"
            )
        )
    for name in header.records if used is None else [one.value for one in used]:
        if not header.records.get(name):
            problems.append(Problem(kind=Trouble.PARTIAL, text=f"There is no record about {name}."))
    lacking = [problem for problem in problems if problem.kind is Trouble.PARTIAL]
    cut, warnings = _attempt(place, header)
    problems += cut
    warnings += _warnings(header, now)
    return Standing(
        header=header,
        problems=tuple(problems),
        warnings=tuple(warnings),
        next_step=_next_step(lacking, problems),
    )


def _next_step(lacking: Sequence[Problem], problems: Sequence[Problem]) -> str | None:
    """Return what makes them reliable. A source may hold one ecosystem, and no more be needed."""
    if not problems:
        return None
    if len(lacking) == len(problems):
        return (
            "Import a source that has these as well, or with --ecosystem alone what is needed: "
            f"{IMPORT}"
        )
    return f"Import again: {IMPORT}"


def _without(kind: Trouble, error: AdvisoriesError, place: Place) -> Standing:
    _, warnings = _attempt(place, None)
    return Standing(
        header=None,
        problems=(Problem(kind=kind, text=error.message),),
        warnings=tuple(warnings),
        next_step=f"Import advisories: {IMPORT}",
    )


def _attempt(place: Place, header: Header | None) -> tuple[list[Problem], list[str]]:
    """Return what the last attempt means: a problem if it was cut short, else a warning."""
    try:
        attempt = place.last_attempt()
        running = attempt is not None and attempt.ended is None and place.is_importing()
        if attempt is not None and attempt.ended is None and not running:
            # It may have come into force between the two looks.
            attempt = place.last_attempt()
    except AdvisoriesError as error:
        return [Problem(kind=Trouble.PARTIAL, text=error.message)], []
    if attempt is None or (header is not None and header.imported >= attempt.begun):
        return [], []
    if attempt.ended is None:
        if running or place.is_importing():
            return [], ["An import is running."]
        return [_cut_short(attempt, "it was ended")], []
    if attempt.cut_short:
        return [_cut_short(attempt, attempt.problem)], []
    return [], [f"The last import failed, what is in force was kept: {attempt.problem}"]


def _cut_short(attempt: Attempt, problem: str) -> Problem:
    return Problem(
        kind=Trouble.PARTIAL,
        text=f"The last import, of {attempt.source}, was cut short, and the records in force were "
        f"kept: {problem.rstrip('.')}.",
    )


def _warnings(header: Header, now: float) -> list[str]:
    quiet = (now - header.newest) / _DAY
    found = []
    if quiet > limits.QUIET_AGE / _DAY:
        found.append(
            f"The newest record was changed {quiet:.0f} days ago: the source may be an old copy."
        )
    elif quiet < -1:
        found.append("The newest record lies in the future.")
    return found
