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
from casemate.model.trigger import QueueTrigger, ResultTrigger, TopicTrigger

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


def check_rings(
    functions: Mapping[str, Values],
    triggers: Mapping[str, Collection[PlacedTrigger]],
    problems: ProblemCollector,
) -> None:
    """Note queues and topics by which the same end of functions leads back to the first.

    What is handed from function to function is counted, and comes to a stop; a message is not. A
    subscription with a filter may take others alone.
    """
    for end in ENDS:
        leads = _leads(end, functions, triggers)
        for name, targets in leads.items():
            for path, reached in targets:
                kind, _, target = str(path[-1]).partition(":")
                told = kind == DestinationKind.QUEUE and name in reached  # by `check_delivery`
                if kind != _DIRECT and not told and _reaches(leads, reached, name):
                    problems.add(
                        path[:-1],
                        f"the {kind} {quoted(target)}, which leads back to {quoted(name)}",
                        "another one: it would never end",
                    )


_DIRECT = "function"


def _leads(
    end: str,
    functions: Mapping[str, Values],
    triggers: Mapping[str, Collection[PlacedTrigger]],
) -> dict[str, list[tuple[KeyPath, set[str]]]]:
    """Return where an end of each function leads: the place, the way, and the functions."""
    consumers: dict[str, set[str]] = {}
    waiting: dict[str, set[str]] = {}
    for name, placed in triggers.items():
        for trigger, _ in placed:
            if isinstance(trigger, QueueTrigger):
                consumers.setdefault(f"queue:{trigger.queue}", set()).add(name)
            elif isinstance(trigger, TopicTrigger) and not trigger.filter:
                consumers.setdefault(f"topic:{trigger.topic}", set()).add(name)
            elif isinstance(trigger, ResultTrigger) and end.removeprefix("on_") in trigger.on:
                waiting.setdefault(trigger.function, set()).add(name)
    leads: dict[str, list[tuple[KeyPath, set[str]]]] = {}
    for name, function in functions.items():
        delivery = function.get("delivery")
        values = delivery.get(end) if isinstance(delivery, dict) else None
        found = leads[name] = [((_DIRECT,), waiting.get(name, set()))]
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, dict):
                way = f"{value['kind']}:{value['name']}"
                direct = value["kind"] == DestinationKind.FUNCTION
                place: KeyPath = ("function", name, "delivery", end, index)
                reached = {str(value["name"])} if direct else consumers.get(way, set())
                found.append(((*place, _DIRECT if direct else way), reached))
    return leads


def _reaches(
    leads: Mapping[str, Collection[tuple[KeyPath, set[str]]]], first: Iterable[str], name: str
) -> bool:
    """Tell whether what begins with functions comes to another one."""
    seen = set[str]()
    waiting = list(first)
    while waiting:
        each = waiting.pop()
        if each == name:
            return True
        if each not in seen:
            seen.add(each)
            waiting += [to for _, reached in leads.get(each, ()) for to in reached]
    return False


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
