"""What is held back while an attack is looked into: it takes hold at once, and is lifted again."""

from __future__ import annotations

import time
from typing import NamedTuple

from casemate.drills.node import Node, until
from casemate.model.errors import CasemateError
from casemate.model.restriction import RestrictionKind
from casemate.operations.functions import SetAlias, Target
from casemate.operations.restrictions import LiftRestriction, Restrict

_REASON = "a drill"
_NO_VERSION = 10**9
"""There is none: what tries to point an alias there is refused, frozen or not."""


class Played(NamedTuple):
    """What came of it."""

    problem: str
    """What did not go as it must; empty: all did."""
    contained_seconds: float | None = None
    restored_seconds: float | None = None


def freeze(node: Node, project: str, function: str) -> Played:
    """Have no alias of a function moved, and lift that. Raises CasemateError."""

    def frozen() -> bool:
        return is_frozen(node, project, function)

    if frozen():
        return Played("Its aliases are frozen before it was said.")
    clock = time.monotonic()
    restriction = node.call(
        Restrict(kind=RestrictionKind.ALIAS, project=project, function=function, reason=_REASON)
    )
    try:
        contained = time.monotonic() - clock if until(frozen) else None
    finally:
        clock = time.monotonic()
        node.call(LiftRestriction(id=restriction.id, reason=_REASON))
    if contained is None:
        return Played("Its aliases are moved all the same.")
    if not until(lambda: not frozen()):
        return Played("Its aliases stay frozen after that was lifted.", contained)
    return Played("", contained, time.monotonic() - clock)


def is_frozen(node: Node, project: str, function: str) -> bool:
    """Tell whether aliases of a function are frozen, by trying to point one nowhere."""
    nowhere = (Target(version=_NO_VERSION, weight=100),)
    try:
        node.call(SetAlias(project=project, function=function, name="drill", targets=nowhere))
    except CasemateError as error:
        return "frozen" in error.message
    return False
