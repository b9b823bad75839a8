"""All attacks there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from casemate.drills import calls, detections, events, others
from casemate.drills.drill import Drill
from casemate.model.errors import NotFoundError


@cache
def catalogue() -> tuple[Drill, ...]:
    """Return them in the order in which they are played: the attacker is removed last."""
    *contained, removed = others.containment()
    return (
        *events.drills(),
        *others.drills(),
        *calls.drills(),
        *contained,
        *detections.drills(),
        removed,
    )


def chosen(names: Sequence[str]) -> tuple[Drill, ...]:
    """Return the attacks whose ids begin with one of these, all without any. NotFoundError."""
    every = catalogue()
    for name in names:
        if not any(each.id.startswith(name) for each in every):
            raise NotFoundError(
                f"There is no attack whose id begins with {name!r}.",
                next_step="`casemate drill ls` shows what there is.",
            )
    if not names:
        return every
    return tuple(each for each in every if each.id.startswith(tuple(names)))
