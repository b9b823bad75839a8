"""How much playbooks do without a person: of one project, and of the whole node."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from casemate.model.playbook import Bounds, PlaybookAct, PlaybookRun, Step

MAX_OF_NODE = 20
NODE_SECONDS = 600.0
"""All playbooks together act on so many in so long."""
MAX_OF_PROJECT = 5
"""Of these, in one project."""
MAX_OF_OWNER = 10
"""Of functions that one person or token has deployed, in whatever projects."""
KEPT_FOR_FIRST = 10
"""So many of the node's are for projects in which nothing was done yet in that time."""
MAX_AGE_SECONDS = 900.0
"""A finding that is older is acted on by a person: by now it may be no more so."""
_COUNTED = (Step.BEGINS, Step.DONE, Step.FAILED, Step.UNDONE)


_AHEAD_SECONDS = 86_400.0
"""What stands further in the future was written by a clock that was wrong, and counts no more."""
_MAX_KNOWN = 2048


class Ages:
    """How long ago runs have acted, whatever is done to the clock meanwhile.

    Of what a process before this one has done, by the times that are kept.
    """

    def __init__(
        self,
        clock: Callable[[], float] | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`steady` does not go back."""
        self._clock = clock
        self._steady = steady
        self._acted: OrderedDict[str, float] = OrderedDict()

    def clock(self) -> float:
        """Return what the clock says that may be set."""
        return time.time() if self._clock is None else self._clock()

    def note(self, run: str) -> None:
        """Remember that a run acts now."""
        self._acted[run] = self._steady()
        self._acted.move_to_end(run)
        if len(self._acted) > _MAX_KNOWN:
            self._acted.popitem(last=False)

    def of(self, run: PlaybookRun, act: PlaybookAct) -> float:
        """Return how many seconds ago it was."""
        known = self._acted.get(run.id)
        if known is not None:
            return self._steady() - known
        age = self.clock() - (act.at or run.at)
        return age if age < -_AHEAD_SECONDS else max(0.0, age)


def why_not_alone(
    wanted: PlaybookRun, bounds: Bounds, runs: Iterable[PlaybookRun], ages: Ages
) -> str:
    """Return why a person has to be asked; empty: nobody has to.

    Counted in each project by itself: who has many findings made of his own uses up nobody
    else's, but for the bound of the whole node, beyond which people are asked anyway.
    """
    found = ages.clock() - wanted.found_at
    if found > MAX_AGE_SECONDS:
        return f"it was found {found:.0f} s ago"
    done = [one for one in runs if one.alone]
    here = [one for one in done if (one.playbook, one.project) == (wanted.playbook, wanted.project)]
    if len(_targets([*here, wanted], ages, 60 * bounds.minutes)) > bounds.targets:
        of = wanted.project or "the node"
        return (
            f"it has acted on {bounds.targets} of {of} in {bounds.minutes} minutes, which is all "
            "that it does without a person"
        )
    return _beyond_share(wanted, done, ages)


def _beyond_share(wanted: PlaybookRun, done: list[PlaybookRun], ages: Ages) -> str:
    """Return which share of the node's bound is used up; empty: none.

    Whoever has findings made of functions of his own uses up his share, and not what is left for
    the projects of others.
    """
    minutes = f"in {NODE_SECONDS / 60:.0f} minutes, which is all that they do without a person"
    same = [one for one in done if one.project == wanted.project]
    of_project = len(_targets([*same, wanted], ages, NODE_SECONDS))
    if of_project > MAX_OF_PROJECT:
        of = wanted.project or "the node"
        return f"all playbooks have acted on {MAX_OF_PROJECT} of {of} {minutes}"
    owned = [one for one in done if wanted.owner and one.owner == wanted.owner]
    if owned and len(_targets([*owned, wanted], ages, NODE_SECONDS)) > MAX_OF_OWNER:
        return f"all playbooks have acted on {MAX_OF_OWNER} that {wanted.owner} deployed {minutes}"
    most = MAX_OF_NODE if not _targets(same, ages, NODE_SECONDS) else MAX_OF_NODE - KEPT_FOR_FIRST
    if len(_targets([*done, wanted], ages, NODE_SECONDS)) > most:
        return f"all playbooks have acted on {most} {minutes}" + (
            "" if most == MAX_OF_NODE else "; the rest is reserved for other projects"
        )
    return ""


def _targets(runs: Iterable[PlaybookRun], ages: Ages, within: float) -> set[str]:
    """Return on what was acted; what is planned counts as if it had been."""
    return {
        act.target
        for one in runs
        for act in one.acts
        if act.state is Step.PLANNED or (act.state in _COUNTED and 0 <= ages.of(one, act) <= within)
    }
