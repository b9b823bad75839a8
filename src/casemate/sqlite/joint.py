"""Changes that are made together: few statements for all of them, where each alone needs some.

Who waits for one cannot tell the difference. All of them wait at the same moment, so any order is
right; those of one key keep theirs, and none changes places with one that is made alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

W = TypeVar("W")
C = TypeVar("C")

MAX_WEIGHT: Final = 8 << 20
"""Bytes that changes made together may bring or take: more are made in several parts."""


@dataclass(frozen=True, slots=True, eq=False)
class Joint(Generic[W]):
    """A change that may be made together with others of its key."""

    key: Hashable
    """Says what is changed and how; `make` does the same for all of one key."""
    given: Any
    make: Callable[[W, Sequence[Any]], Sequence[Any]]
    """Takes what each was given, returns what each is answered with, or an error that one alone
    is refused with. If it raises, nothing was changed, and fewer are made together."""
    weight: int = 0
    """Bytes that it brings or takes."""


def parts(changes: Sequence[C], joint: Callable[[C], Joint[Any] | None]) -> list[list[C]]:
    """Return changes as they are made: those together that may be, in the order of the first."""
    found: list[list[C]] = []
    open_: dict[Hashable, list[C]] = {}
    weights: dict[Hashable, int] = {}
    for change in changes:
        one = joint(change)
        if one is None:
            found.append([change])
            open_.clear()
            continue
        weight = weights.get(one.key, 0) + one.weight
        part = open_.get(one.key)
        if part is None or weight > MAX_WEIGHT:
            part, weight = [], one.weight
            open_[one.key] = part
            found.append(part)
        part.append(change)
        weights[one.key] = weight
    return found
