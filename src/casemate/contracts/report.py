"""What a deploy is told of a function's contracts: what got tighter, and what has none."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.contracts.difference import tightened
from casemate.model.function import FunctionSpec
from casemate.model.trigger import BucketTrigger, ScheduleTrigger

DIRECT = "direct calls"
_READING = frozenset(("GET", "HEAD"))
_FILLED_HERE = (BucketTrigger, ScheduleTrigger)


def contracts_of(spec: FunctionSpec) -> dict[str, str]:
    """Return the text of each contract by what it is for; empty where there is none."""
    found = {} if spec.internal and not spec.contract and spec.triggers else {DIRECT: spec.contract}
    for route in spec.http:
        found[f"{route.method} {route.path}"] = route.contract
    for trigger in spec.triggers:
        found[trigger.name] = trigger.contract
    return found


def tighter(live: FunctionSpec | None, new: FunctionSpec) -> list[tuple[str, str]]:
    """Return what would be refused and is not now: what the contract is for, and the rule."""
    if live is None:
        return []
    before = contracts_of(live)
    return [
        (what, line)
        for what, text in contracts_of(new).items()
        if what in before
        for line in tightened(before[what], text)
    ]


def uncovered(spec: FunctionSpec) -> Iterator[str]:
    """Yield what has no contract, so that only the default limits hold.

    Not told of is what has no shape but the node's own: the data of a schedule stands in the
    manifest, an event of a bucket has the fields that the node fills, and a request to read (GET,
    HEAD) has no body, which is all that a contract of a route is about.
    """
    filled = {trigger.name for trigger in spec.triggers if isinstance(trigger, _FILLED_HERE)}
    filled |= {f"{route.method} {route.path}" for route in spec.http if route.method in _READING}
    for what, text in contracts_of(spec).items():
        if not text and what not in filled:
            yield what
