"""What a queue is sent of an event that was given up, as the page on dead letters shows it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from casemate.data.interface import Fate, Message
from casemate.delivery.destinations import MAX_CHAIN, MAX_FOLLOWING, ends
from casemate.delivery.leased import Leased
from casemate.delivery.verdict import DONE, Verdict
from casemate.model.event import Event
from casemate.model.function import Delivery, Destination, DestinationKind
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Sealed
from casemate.model.tracing import TraceContext, handed_on
from casemate.model.trigger import TriggerKind

PAGE = Path(__file__).parents[3] / "docs/howto/dead-letters.md"


def told(invocation: str) -> dict[str, object]:
    """Return what is sent to a queue of an event that was tried in vain."""
    event = Event(
        id="70ec0cb59499f91fb25f15cef8658ad7",
        source="/projects/shop/buckets/in",
        type="casemate.bucket.created",
        time=1.0,
        kind=TriggerKind.BUCKET,
    )
    message = Message(
        id="0000000000000009", body=b"{}", attempts=3, sent_at=1.0, invocation=invocation
    )
    ((_, name, sent),) = ends(
        "thumbnail",
        Leased(("shop", "inbox", "thumbnail"), message, 1.0, event),
        Verdict(fate=Fate.DEAD, reason="handler-error"),
        Sealed(
            outcome=Outcome.HANDLER_ERROR,
            response=HttpResponse(500, (), b""),
            error_id="err_8f97ada63bc5ae3dfc6b89c8",
        ),
        Delivery(on_failure=(Destination(kind=DestinationKind.QUEUE, name="failed"),)),
        (),
        2.0,
    )
    assert name == "failed"
    found: dict[str, object] = json.loads(sent.body)
    return found


RAN = Sealed(
    outcome=Outcome.OK,
    response=HttpResponse(200, ((b"content-type", b"application/json"),), b"1"),
    id="inv_01a21a5c499d6d1728d66ddc",
)
PART = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "1728d66ddc000000", state="a=1")


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        (None, "00-ab"),
        (msgspec.structs.replace(RAN, id=""), "00-ab"),
        (RAN, handed_on(RAN.id, None).text),
        (msgspec.structs.replace(RAN, trace=PART), f"{PART.text} a=1"),
    ],
)
def test_what_is_told_stands_in_the_trace_of_the_invocation_or_of_its_event(
    ran: Sealed | None, expected: str
) -> None:
    event = Event(id="1", source="/s", type="t", time=1.0, kind=TriggerKind.INVOKE, trace="00-ab")
    message = Message(id="0000000000000009", body=b"{}", attempts=1, sent_at=1.0)
    on_success = (Destination(kind=DestinationKind.QUEUE, name="told"),)
    leased = Leased(("shop", "inbox", "f"), message, 1.0, event)
    ((_, _, sent),) = ends("f", leased, DONE, ran, Delivery(on_success=on_success), (), 2.0, ran)
    assert sent.trace == expected


@pytest.mark.parametrize("invocation", ["", "inv_1"])
def test_the_page_shows_what_is_sent(invocation: str) -> None:
    block = PAGE.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    found = told(invocation)
    for key, value in json.loads(block).items():
        if key != "id":
            assert found[key] == value, key
    assert found.get("invocation", "") == invocation


def test_functions_that_tell_each_other_make_no_more_at_each_step() -> None:
    """Five that told the other four of a failure made 4 to the 16th of one event."""
    names = tuple(f"f{number}" for number in range(9))
    waiting = [msgspec.json.encode(RESULT)]
    counts = []
    while waiting:
        following = []
        for number, body in enumerate(waiting):
            name = names[number % len(names)]
            delivery = Delivery(
                on_failure=tuple(
                    Destination(kind=DestinationKind.FUNCTION, name=each)
                    for each in names
                    if each != name
                )
            )
            event = msgspec.json.decode(body, type=Event)
            message = Message(id="0000000000000009", body=body, attempts=1, sent_at=1.0)
            leased = Leased(("shop", "inbox", name), message, 1.0, event)
            sent = ends(name, leased, Verdict(fate=Fate.DEAD, reason="x"), None, delivery, (), 2.0)
            following += [message.body for _, _, message in sent]
        waiting = following
        counts.append(len(waiting))
    assert counts[:3] == [8, 64, 256]
    assert max(counts) <= MAX_FOLLOWING and len(counts) == MAX_CHAIN + 1


@pytest.mark.parametrize("left", ["x", 0, -5, 1 << 70, None, True])
def test_what_an_event_says_of_how_many_is_bounded(left: object) -> None:
    event = msgspec.structs.replace(RESULT, detail={"depth": 1, "left": left})
    message = Message(id="0000000000000009", body=b"{}", attempts=1, sent_at=1.0)
    to = tuple(Destination(kind=DestinationKind.FUNCTION, name=f"g{n}") for n in range(8))
    leased = Leased(("shop", "inbox", "f"), message, 1.0, event)
    sent = ends("f", leased, DONE, None, Delivery(on_success=to), (), 2.0)
    assert 1 <= len(sent) <= 8


RESULT = Event(id="1", source="/s", type="t", time=1.0, kind=TriggerKind.RESULT)
