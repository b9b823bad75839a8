"""What is held back while an attack is looked into: it takes hold at once, and is lifted again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from casemate.drills.leftovers import absent
from casemate.drills.node import Node, until
from casemate.model.errors import CasemateError
from casemate.model.restriction import EVERYTHING, RestrictionKind
from casemate.operations.functions import SetAlias, Target
from casemate.operations.records import ListDenials
from casemate.operations.restrictions import LiftRestriction, Restrict

_REASON = "a drill"
_HONEST, _HOLDER = "honest", "holder"
_OK, _FORBIDDEN, _REFUSED = 200, 403, "403"
_NO_VERSION = 10**9
"""There is none: what tries to point an alias there is refused, frozen or not."""


class Played(NamedTuple):
    """What came of it."""

    problem: str
    """What did not go as it must; empty: all did."""
    contained_seconds: float | None = None
    restored_seconds: float | None = None


Holding = Callable[[Node, str], Played]
"""Holds something of a project back, and lets it go again. Raises CasemateError."""


class Words(NamedTuple):
    """What is said of something that is not held back as it must be."""

    before: str
    goes_on: str
    stays: str


def restricted(node: Node, wanted: Restrict, held: Callable[[], bool], words: Words) -> Played:
    """Restrict something until it is `held`, and lift that."""
    if held():
        return Played(words.before)
    clock = time.monotonic()
    restriction = node.call(wanted)
    try:
        contained = time.monotonic() - clock if until(held) else None
    finally:
        clock = time.monotonic()
        node.call(LiftRestriction(id=restriction.id, reason=_REASON))
    if contained is None:
        return Played(words.goes_on)
    if not until(lambda: not held()):
        return Played(words.stays, contained)
    return Played("", contained, time.monotonic() - clock)


_FROZEN = Words(
    "Its aliases are frozen before it was said.",
    "Its aliases are moved all the same.",
    "Its aliases stay frozen after that was lifted.",
)
_CUT = Words(
    "It reaches no host before it was said.",
    "It reaches its host all the same.",
    "It is cut off after that was lifted.",
)
_BLOCKED = Words(
    "Its calls are not taken before it was said.",
    "Its calls are taken all the same.",
    "Its calls are not taken after that was lifted.",
)


def freeze(node: Node, project: str) -> Played:
    """Have no alias of a function moved."""
    wanted = Restrict(kind=RestrictionKind.ALIAS, project=project, function=_HONEST, reason=_REASON)
    return restricted(node, wanted, lambda: is_frozen(node, project, _HONEST), _FROZEN)


def is_frozen(node: Node, project: str, function: str) -> bool:
    """Tell whether aliases of a function are frozen, by trying to point one nowhere."""
    nowhere = (Target(version=_NO_VERSION, weight=100),)
    try:
        node.call(SetAlias(project=project, function=function, name="drill", targets=nowhere))
    except CasemateError as error:
        return "frozen" in error.message
    return False


def what_holder_does(node: Node, project: str, do: str) -> dict[str, Any]:
    """Return what a function that holds a secret says."""
    answer = node.exchange("POST", f"/invoke/{project}/{_HOLDER}", json={"do": do})
    body = answer.json() if answer.status_code == _OK else {}
    return body if isinstance(body, dict) else {}


def cut(node: Node, project: str) -> Played:
    """Have a function reach no host, of which it is granted one."""

    def status() -> str:
        return str(what_holder_does(node, project, "reach").get("status", ""))

    before = status()
    if not before or before == _REFUSED:
        return Played("It did not reach the proxy before it was cut off.")
    wanted = Restrict(
        kind=RestrictionKind.HOST,
        what=EVERYTHING,
        project=project,
        function=_HOLDER,
        reason=_REASON,
    )
    return restricted(node, wanted, lambda: status() == _REFUSED, _CUT)


def block(node: Node, project: str) -> Played:
    """Take no calls from where this one comes from: of a project that is not there."""
    elsewhere = absent(project)
    path = f"/invoke/{elsewhere}/nothing"
    node.as_stranger("POST", path, json={})

    def own() -> str:
        denials = node.call(ListDenials(limit=20)).denials
        return next((one.remote_address for one in denials if elsewhere in one.resource), "")

    address = until(own)
    if not address:
        return Played("No denial tells where this call came from.")
    wanted = Restrict(kind=RestrictionKind.ADDRESS, what=address, project=elsewhere, reason=_REASON)
    return restricted(
        node,
        wanted,
        lambda: node.exchange("POST", path, json={}).status_code == _FORBIDDEN,
        _BLOCKED,
    )


HOLDING: dict[str, Holding] = {
    "freeze-alias": freeze,
    "cut-egress": cut,
    "block-address": block,
}
