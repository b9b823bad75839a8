"""What a table cannot say of `[function.NAME.delivery]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from casemate.manifest.grants import PlacedGrant, check_declared
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector, quoted
from casemate.manifest.triggers import PlacedTrigger
from casemate.manifest.validation import Values
from casemate.model.function import Delivery, DestinationKind
from casemate.model.grant import Grant, GrantKind
from casemate.model.trigger import QueueTrigger

ENDS = ("on_success", "on_failure")


def check_delivery(
    function: str,
    delivery: Values,
    triggers: Collection[PlacedTrigger],
    declared: Mapping[GrantKind, Collection[str]],
    problems: ProblemCollector,
) -> None:
    """Note destinations that are not declared or lead back to the function, and waits amiss."""
    path: KeyPath = ("function", function, "delivery")
    first = delivery.get("backoff", Delivery().backoff)
    most = delivery.get("backoff_most", Delivery().backoff_most)
    if isinstance(first, float) and isinstance(most, float) and first > most:
        problems.add((*path, "backoff_most"), "less than backoff", "at least as much as backoff")
    consumed = {t.queue for t, _ in triggers if isinstance(t, QueueTrigger)}
    for end in ENDS:
        values = delivery.get(end)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, dict):
                place: KeyPath = (*path, end, index)
                _check(function, value, consumed, place, declared, problems)


def _check(
    function: str,
    value: Mapping[str, object],
    consumed: Iterable[str],
    path: KeyPath,
    declared: Mapping[GrantKind, Collection[str]],
    problems: ProblemCollector,
) -> None:
    kind, name = DestinationKind(str(value["kind"])), str(value["name"])
    if kind is DestinationKind.FUNCTION and name == function:
        problems.add(path, "the function itself", "another one: it would never end")
    elif kind is DestinationKind.QUEUE and name in consumed:
        problems.add(
            path,
            f"{quoted(name)}, which the function consumes",
            "another queue: it would never end",
        )
    else:
        grant = Grant(kind=GrantKind(kind.value), name=name, actions=("send",))
        if grant.kind in declared:
            check_declared([PlacedGrant(grant, path)], declared, problems, key="")
