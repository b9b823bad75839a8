"""All attacks there are."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.drills import calls, events, others
from casemate.drills.drill import Drill
from casemate.model.errors import NotFoundError

CATALOGUE: tuple[Drill, ...] = (
    *events.drills(),
    *others.drills(),
    *calls.drills(),
    *others.containment(),
)
"""In the order in which they are played."""


def chosen(names: Sequence[str]) -> tuple[Drill, ...]:
    """Return the attacks whose ids begin with one of these, all without any. NotFoundError."""
    for name in names:
        if not any(each.id.startswith(name) for each in CATALOGUE):
            raise NotFoundError(
                f"There is no attack whose id begins with {name!r}.",
                next_step="casemate drill ls shows what there is",
            )
    if not names:
        return CATALOGUE
    return tuple(each for each in CATALOGUE if each.id.startswith(tuple(names)))
