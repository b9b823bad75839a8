"""How much playbooks do without a person: of one project, and of the whole node."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.model.playbook import Bounds, PlaybookRun, Step

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


def why_not_alone(
    wanted: PlaybookRun, bounds: Bounds, runs: Iterable[PlaybookRun], now: float
) -> str:
    """Return why a person has to be asked; empty: nobody has to.

    Counted in each project by itself: who has many findings made of his own uses up nobody
    else's, but for the bound of the whole node, beyond which people are asked anyway.
    """
    if now - wanted.found_at > MAX_AGE_SECONDS:
        return f"it was found {now - wanted.found_at:.0f} s ago"
    done = [one for one in runs if one.alone]
    here = [one for one in done if (one.playbook, one.project) == (wanted.playbook, wanted.project)]
    if len(_targets([*here, wanted], now - 60 * bounds.minutes)) > bounds.targets:
        of = wanted.project or "the node"
        return (
            f"it has acted on {bounds.targets} of {of} in {bounds.minutes} minutes, which is all "
            "that it does without a person"
        )
    return _beyond_share(wanted, done, now - NODE_SECONDS)


def _beyond_share(wanted: PlaybookRun, done: list[PlaybookRun], since: float) -> str:
    """Return which share of the node's bound is used up; empty: none.

    Whoever has findings made of functions of his own uses up his share, and not what is left for
    the projects of others.
    """
    minutes = f"in {NODE_SECONDS / 60:.0f} minutes, which is all that they do without a person"
    same = [one for one in done if one.project == wanted.project]
    of_project = len(_targets([*same, wanted], since))
    if of_project > MAX_OF_PROJECT:
        of = wanted.project or "the node"
        return f"all playbooks have acted on {MAX_OF_PROJECT} of {of} {minutes}"
    owned = [one for one in done if wanted.owner and one.owner == wanted.owner]
    if owned and len(_targets([*owned, wanted], since)) > MAX_OF_OWNER:
        return f"all playbooks have acted on {MAX_OF_OWNER} that {wanted.owner} deployed {minutes}"
    most = MAX_OF_NODE if not _targets(same, since) else MAX_OF_NODE - KEPT_FOR_FIRST
    if len(_targets([*done, wanted], since)) > most:
        return f"all playbooks have acted on {most} {minutes}" + (
            "" if most == MAX_OF_NODE else "; what is left is for other projects"
        )
    return ""


def _targets(runs: Iterable[PlaybookRun], since: float) -> set[str]:
    """Return on what was acted; what is planned counts as if it had been."""
    return {
        act.target
        for one in runs
        for act in one.acts
        if act.state is Step.PLANNED or (act.state in _COUNTED and (act.at or one.at) >= since)
    }
