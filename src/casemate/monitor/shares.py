"""Whose findings go where there is no room for all: those of whoever has the most of them.

Who causes ten thousand in a project of his own pushes out his own, and not the one of somebody else
that people have to see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from casemate.operations.findings import Finding

OneT = TypeVar("OneT")
Share = tuple[str, str]


def share_of(project: str, rule: str) -> Share:
    """Return by what a finding is counted: its project, or its rule where it is of none."""
    return (project, "") if project else ("", rule)


def share_of_finding(found: Finding) -> Share:
    """Return by what a finding is counted."""
    return share_of(found.project, found.rule)


def take_from(counts: Counter[Share], share: Share) -> None:
    """Count one of a share less; of whom there are none nothing is kept."""
    counts[share] -= 1
    if not counts[share]:
        del counts[share]


def first_of_fullest(
    kept: Iterable[OneT], counts: Counter[Share], of: Callable[[OneT], Share]
) -> OneT:
    """Return the first of those kept of whose share there are the most. Raises StopIteration.

    It depends on what is kept, and not on the order in which it was counted: whoever reads the
    journal again comes to the same.
    """
    most = max(counts.values())
    return next(one for one in kept if counts[of(one)] == most)
