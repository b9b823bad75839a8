"""Finds the smallest change of a lock that clears its known holes.

Smallest is, in this order: fewest requirements of the project's own changed, fewest packages with
another version, no version lower, fewest major steps, fewest minor ones, fewest releases passed.
A hole that cannot be cleared does not keep the others from it; the gravest come first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from casemate.build.resolving import Resolved
from casemate.model.errors import InvalidInputError
from casemate.repair.aims import Aims, aims_of, excluded_by, is_candidate
from casemate.repair.holes import Holes, Tolerated, is_hidden, tolerated
from casemate.repair.plan import Change, Goal, Plan, Uncleared
from casemate.repair.resolver import Resolver
from casemate.repair.search import Questions, TooManyQuestionsError, smallest_sets, smallest_steps
from casemate.repair.steps import costs_of, is_lower, step_of

_MAX_ALTERNATIVES = 8
"""Sets of packages of one size whose steps are compared."""


class NoSolutionError(InvalidInputError):
    """What is required cannot be met any more, holes or not."""


class _Asked(NamedTuple):
    """A question to the resolver."""

    constraints: tuple[str, ...]
    loosened: frozenset[str]
    left: Tolerated


class Planner:
    """Plans the change of one lock."""

    def __init__(
        self,
        resolver: Resolver,
        holes: Holes,
        locked: Mapping[str, str],
        loosenable: frozenset[str],
    ) -> None:
        """Plan for a lock of these versions; the requirements of `loosenable` may be changed."""
        self._resolver = resolver
        self._holes = holes
        self._locked = dict(locked)
        self._loosenable = frozenset(name for name in loosenable if name in self._locked)
        self._questions = Questions(self._ask)
        self._down: frozenset[str] = frozenset()
        self._why_else = "fits the others no more"

    def security(self) -> Plan:
        """Return the smallest change after which what can be cleared is. Raises NoSolutionError."""
        try:
            return self._security()
        except TooManyQuestionsError as error:
            raise _endless() from error

    def newest(self) -> Plan:
        """Return the newest versions that the rules and requirements allow, without known holes."""
        try:
            return self._newest()
        except TooManyQuestionsError as error:
            raise _endless() from error

    def _security(self) -> Plan:
        aims = self._aims()
        if not aims.goals:
            return self._unchanged(aims)
        self._down = aims.down
        goals, uncleared = self._together(aims, self._loosenable)
        if not goals:
            return self._unchanged(Aims((), (*aims.uncleared, *uncleared), frozenset()))
        left = self._left(goals)
        loosened = self._loosened(left)
        dropped, bounds, smallest = self._smallest(left, loosened, {goal.package for goal in goals})
        kept = self._locked.keys() - dropped
        found = self._solved(self._lines(kept, bounds), loosened, left)
        return self._plan(found, goals, (*aims.uncleared, *uncleared), loosened, smallest)

    def _newest(self) -> Plan:
        aims = self._aims()
        self._why_else = "there is a newer one"
        goals, uncleared = self._together(aims, frozenset(), floors=False)
        found = self._solved((), frozenset(), self._left(goals))
        return self._plan(found, goals, (*aims.uncleared, *uncleared), frozenset(), smallest=True)

    # -- what is to be reached ------------------------------------------------------------------

    def _aims(self) -> Aims:
        return aims_of(self._locked, self._holes, self._resolver)

    def _together(
        self, aims: Aims, loosened: frozenset[str], *, floors: bool = True
    ) -> tuple[list[Goal], list[Uncleared]]:
        """Return the goals that can be reached at once, the gravest first, and the others."""
        free = self._lines((), {}) if floors else ()
        goals = list(aims.goals)
        if self._fits(free, loosened, self._left(goals)):
            return goals, []
        reached: list[Goal] = []
        missed: list[Uncleared] = []
        if not self._fits(free, loosened, self._left(reached)):
            raise NoSolutionError(
                "The requirements of the lock can no longer be met: "
                f"{self._why(free, loosened, reached)}",
                next_step="Lock again (casemate build --relock), and see what it says.",
            )
        for goal in goals:
            if self._fits(free, loosened, self._left([*reached, goal])):
                reached.append(goal)
            else:
                why = self._why(free, loosened, [*reached, goal])
                missed.append(aims.missed(goal, excluded_by(goal.package, why)))
        return reached, missed

    def _left(self, goals: Sequence[Goal]) -> Tolerated:
        """Return the holes of the lock that are no goal."""
        cleared = {(goal.package, goal.finding.id) for goal in goals}
        return tolerated(
            {
                name: tuple(
                    each for each in self._holes.of(name, version) if (name, each.id) not in cleared
                )
                for name, version in self._locked.items()
            }
        )

    def _loosened(self, left: Tolerated) -> frozenset[str]:
        """Return the fewest packages whose requirements have to be changed."""
        free = self._lines((), {})
        if self._fits(free, frozenset(), left):
            return frozenset()

        def holds(strict: frozenset[str]) -> bool:
            return self._fits(free, self._loosenable - strict, left)

        try:
            return next(smallest_sets(self._loosenable, holds), self._loosenable)
        except TooManyQuestionsError:
            return self._loosenable

    # -- the smallest change --------------------------------------------------------------------

    def _smallest(
        self, left: Tolerated, loosened: frozenset[str], affected: set[str]
    ) -> tuple[frozenset[str], dict[str, str], bool]:
        """Return which packages change, how far each may go, and whether less is impossible."""

        def holds(kept: frozenset[str]) -> bool:
            return self._fits(self._lines(kept, {}), loosened, left)

        best: tuple[tuple[int, ...], list[str], dict[str, str]] | None = None
        smallest = True
        try:
            found = smallest_sets(self._locked.keys(), holds, likely=affected)
            for dropped in islice(found, _MAX_ALTERNATIVES):
                cost, bounds = self._steps(dropped, loosened, left)
                if best is None or (cost, sorted(dropped)) < best[:2]:
                    best = (cost, sorted(dropped), bounds)
        except TooManyQuestionsError:
            smallest = False
        if best is not None:
            return frozenset(best[1]), best[2], smallest
        return self._small(left, loosened)

    def _small(
        self, left: Tolerated, loosened: frozenset[str]
    ) -> tuple[frozenset[str], dict[str, str], bool]:
        """Return a change of which no part can be left out, where the smallest takes too long."""
        self._questions = Questions(self._ask, most=2 * len(self._locked) + 400)
        kept: set[str] = set()
        try:
            for name in sorted(self._locked):
                if self._fits(self._lines({*kept, name}, {}), loosened, left):
                    kept.add(name)
        except TooManyQuestionsError:
            pass
        self._questions = Questions(self._ask)
        return frozenset(self._locked.keys() - kept), {}, False

    def _steps(
        self, dropped: frozenset[str], loosened: frozenset[str], left: Tolerated
    ) -> tuple[tuple[int, ...], dict[str, str]]:
        """Return the least sum of steps with which these packages change, and how far each goes."""
        kept = self._locked.keys() - dropped
        ways = {name: self._way(name, left) for name in dropped}
        costs = {name: [cost for cost, _ in way] for name, way in ways.items()}

        def bounds(steps: Mapping[str, int]) -> dict[str, str]:
            return {name: ways[name][step][1] for name, step in steps.items()}

        def holds(steps: Mapping[str, int]) -> bool:
            return self._fits(self._lines(kept, bounds(steps)), loosened, left)

        # What cannot be kept even if all else is free, and is still needed then, has to move.
        least = {
            name: 1 for name in dropped if not self._fits(self._lines((name,), {}), loosened, left)
        }
        steps = smallest_steps(costs, holds, least=least)
        if steps is None:  # only by a release that no index lists as one that fits
            return (len(self._locked),) * 4, {}
        total = tuple(map(sum, zip(*(costs[n][s] for n, s in steps.items()), strict=True)))
        return total, bounds(steps)

    def _way(self, name: str, left: Tolerated) -> list[tuple[tuple[int, ...], str]]:
        """Return the versions that a package may have, ever farther away, each with its cost."""
        current = self._locked[name]
        down = name in self._down
        farther = [
            each.version
            for each in self._resolver.offers(name)
            if each.refused is None
            and each.version != current
            and is_lower(each.version, current) is down
            and is_candidate(each.version, current)
        ]
        if down:
            farther.reverse()
        listed = zip(costs_of(current, farther), (current, *farther), strict=True)
        return [
            (cost, version)
            for cost, version in listed
            if version == current or not is_hidden(self._holes, name, version, left)
        ]

    # -- asking ---------------------------------------------------------------------------------

    def _lines(self, kept: Collection[str], bounds: Mapping[str, str]) -> tuple[str, ...]:
        """Return constraints: what is kept stays, nothing goes lower but what must, or too far."""
        lines = []
        for name, version in sorted(self._locked.items()):
            if name in kept:
                lines.append(f"{name}=={version}")
                continue
            ends = (version, bounds.get(name))
            low, high = reversed(ends) if name in self._down else ends
            limits = [f">={_public(low)}"] if low else []
            limits += [f"<={_public(high)}"] if high else []
            lines.append(f"{name}{','.join(limits)}")
        return tuple(lines)

    def _ask(self, asked: _Asked) -> Resolved:
        def hides(name: str, version: str) -> bool:
            return self._is_early(name, version) or is_hidden(
                self._holes, name, version, asked.left
            )

        return self._resolver.versions(asked.constraints, loosened=asked.loosened, hides=hides)

    def _is_early(self, name: str, version: str) -> bool:
        """Tell a pre-release where none is locked: uv takes one where nothing else fits."""
        current = self._locked.get(name)
        return current not in (None, version) and not is_candidate(version, current or "")

    def _fits(
        self, constraints: tuple[str, ...], loosened: frozenset[str], left: Tolerated
    ) -> bool:
        return self._questions(_Asked(constraints, loosened, left)).versions is not None

    def _why(
        self, constraints: tuple[str, ...], loosened: frozenset[str], goals: Sequence[Goal]
    ) -> str:
        return self._questions(_Asked(constraints, loosened, self._left(goals))).why

    def _solved(
        self, constraints: tuple[str, ...], loosened: frozenset[str], left: Tolerated
    ) -> dict[str, str]:
        found = self._questions(_Asked(constraints, loosened, left))
        if found.versions is None:
            raise NoSolutionError(f"No versions fit together: {found.why}")
        return found.versions

    # -- what it comes to -----------------------------------------------------------------------

    def _unchanged(self, aims: Aims) -> Plan:
        return Plan(
            changes=(),
            uncleared=aims.uncleared,
            versions=self._locked,
            asked=self._questions.asked,
        )

    def _plan(
        self,
        found: dict[str, str],
        goals: Sequence[Goal],
        uncleared: tuple[Uncleared, ...],
        loosened: frozenset[str],
        smallest: bool,
    ) -> Plan:
        names = sorted(self._locked.keys() | found.keys())
        changes = [
            self._change(name, found.get(name), goals)
            for name in names
            if self._locked.get(name) != found.get(name)
        ]
        return Plan(
            changes=tuple(changes),
            uncleared=uncleared,
            versions=found,
            loosened=tuple(sorted(loosened)),
            smallest=smallest,
            asked=self._questions.asked,
        )

    def _change(self, name: str, new: str | None, goals: Sequence[Goal]) -> Change:
        old = self._locked.get(name)
        clears = tuple(goal.finding.id for goal in goals if goal.package == name)
        offers = self._resolver.offers(name)
        why = "is vulnerable"
        if old is not None and not clears:
            refused = next((o.refused for o in offers if o.version == old and o.refused), None)
            why = refused.message if refused is not None else self._why_else
        elif old is None:
            why = "is needed newly"
        if new is None and not clears:
            why = "is needed no more"
        down = old is not None and new is not None and is_lower(new, old)
        return Change(
            package=name,
            old=old,
            new=new,
            step=step_of(old, new) if old is not None and new is not None else None,
            down=down,
            passed=_passed([each.version for each in offers], old, new),
            clears=clears,
            why=why,
        )


def _endless() -> NoSolutionError:
    return NoSolutionError(
        "The resolver takes too long to say what fits together.",
        next_step="Is the index slow? Try again, or update with fewer requirements at once.",
    )


def _passed(versions: Sequence[str], old: str | None, new: str | None) -> int:
    if old is None or new is None:
        return 0
    low, high = (new, old) if is_lower(new, old) else (old, new)
    between = [v for v in versions if is_lower(low, v) and is_lower(v, high)]
    return len(between) + 1


def _public(version: str) -> str:
    """Return a version without its local part, which only `==` may name (PEP 440)."""
    try:
        return Version(version).public
    except InvalidVersion:
        return version
