"""What is told of the end of an event: to the function's destinations, and to who waits for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from casemate.data.interface import Fate, NewMessage
from casemate.decoding import DECODING_ERRORS
from casemate.delivery.leased import Leased
from casemate.delivery.verdict import Verdict, body_of, content_type_of
from casemate.invocation.cloudevents import structured
from casemate.invocation.rendering import function_source
from casemate.model.event import Event
from casemate.model.function import Delivery, DestinationKind
from casemate.model.path import Sealed
from casemate.model.tracing import handed_on
from casemate.model.trigger import INBOX, ResultTrigger, TriggerKind

MAX_CHAIN = 16
"""Ends that follow from one another: functions that wait for each other come to a stop."""
MAX_FOLLOWING = 256
"""Functions that are told at each of these steps, all that follows from one event together."""
MAX_RESULT = 64 * 1024
"""Bytes of an answer that are passed on; of a larger one only that it was there."""
SUCCEEDED, FAILED = "casemate.function.succeeded", "casemate.function.failed"

_encode = msgspec.json.Encoder().encode

Waiting = tuple[str, ResultTrigger]
"""The name of a function and its trigger for the end of another one's events."""


def ends(
    function: str,
    leased: Leased,
    verdict: Verdict,
    sealed: Sealed | None,
    delivery: Delivery,
    waiting: Sequence[Waiting],
    now: float,
    ran: Sealed | None = None,
) -> tuple[tuple[str, str, NewMessage], ...]:
    """Return the messages that are kept with the end of an event; none for one that goes on.

    `ran` is the invocation, where there was one; `sealed` is what of it is told.
    """
    if verdict.fate is Fate.RETRY or leased.event is None:
        return ()
    succeeded = verdict.fate is Fate.DONE
    word = "success" if succeeded else "failure"
    destinations = delivery.on_success if succeeded else delivery.on_failure
    told = [(name, trigger) for name, trigger in waiting if word in trigger.on] if waiting else []
    if not destinations and not told:
        return ()
    depth = _depth(leased.event) + 1
    if depth > MAX_CHAIN:
        return ()
    trace = _trace(ran) or leased.event.trace
    left = _left(leased.event)
    destinations = destinations[:left]
    told = told[: left - len(destinations)]
    follow = {"depth": depth, "left": left // (len(destinations) + len(told))}
    event = _end(function, leased, verdict, sealed, follow, now, trace)
    sends: list[tuple[str, str, NewMessage]] = []
    for destination in destinations:
        if destination.kind is DestinationKind.FUNCTION:
            sends.append((INBOX, destination.name, NewMessage(body=_encode(event))))
        else:
            sends.append(
                (
                    destination.kind.value,
                    destination.name,
                    NewMessage(body=structured(event), trace=event.trace),
                )
            )
    for name, trigger in told:
        named = msgspec.structs.replace(event, trigger=trigger.name)
        sends.append((INBOX, name, NewMessage(body=_encode(named))))
    return tuple(sends)


def _trace(ran: Sealed | None) -> str:
    """Return where what comes of an invocation stands in a trace, as it is kept."""
    if ran is None or not ran.id:
        return ""
    return (ran.trace or handed_on(ran.id, None)).kept


def _depth(event: Event) -> int:
    depth = event.detail.get("depth", 0) if event.kind is TriggerKind.RESULT else 0
    return depth if isinstance(depth, int) else MAX_CHAIN


def _left(event: Event) -> int:
    """Return how many may be told of its end, and of what follows from that, at each step."""
    told = event.kind is TriggerKind.RESULT
    left = event.detail.get("left", MAX_FOLLOWING) if told else MAX_FOLLOWING
    return min(max(left, 1), MAX_FOLLOWING) if isinstance(left, int) else 1


def _end(
    function: str,
    leased: Leased,
    verdict: Verdict,
    sealed: Sealed | None,
    follow: dict[str, int],
    now: float,
    trace: str,
) -> Event:
    succeeded = verdict.fate is Fate.DONE
    message, event = leased.message, leased.event
    return Event(
        id=f"{message.invocation or message.id}.{message.attempts}",
        source=function_source(leased.place[0], function),
        type=SUCCEEDED if succeeded else FAILED,
        time=now,
        kind=TriggerKind.RESULT,
        subject=event.id if event is not None else "",
        data=msgspec.Raw(b'{"result":' + _result(sealed if succeeded else None) + b"}"),
        detail={
            "function": function,
            "invocation": message.invocation,
            "outcome": "success" if succeeded else verdict.reason,
            "error_id": sealed.error_id if sealed is not None else "",
            "attempts": message.attempts,
            **follow,
        },
        trace=trace,
    )


def _result(sealed: Sealed | None) -> bytes:
    """Return a handler's answer as JSON; null if it is none, or too large."""
    if sealed is None:
        return b"null"
    body = body_of(sealed.response)
    media_type = content_type_of(sealed.response).partition(";")[0].strip()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    if not is_json or not body or len(body) > MAX_RESULT:
        return b"null"
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        body.decode()
    except DECODING_ERRORS:
        return b"null"
    return body


def waiting_for(
    functions: Sequence[tuple[str, Sequence[object]]],
) -> dict[str, tuple[Waiting, ...]]:
    """Return who waits for the ends of which function, from the triggers of a project."""
    found: dict[str, list[Waiting]] = {}
    for name, triggers in functions:
        for trigger in triggers:
            if isinstance(trigger, ResultTrigger):
                found.setdefault(trigger.function, []).append((name, trigger))
    return {function: tuple(waiting) for function, waiting in found.items()}
