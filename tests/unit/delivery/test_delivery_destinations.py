"""What a queue is sent of an event that was given up, as the page on dead letters shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casemate.data.interface import Fate, Message
from casemate.delivery.destinations import ends
from casemate.delivery.leased import Leased
from casemate.delivery.verdict import Verdict
from casemate.model.event import Event
from casemate.model.function import Delivery, Destination, DestinationKind
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Sealed
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


@pytest.mark.parametrize("invocation", ["", "inv_1"])
def test_the_page_shows_what_is_sent(invocation: str) -> None:
    block = PAGE.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    found = told(invocation)
    for key, value in json.loads(block).items():
        if key != "id":
            assert found[key] == value, key
    assert found.get("invocation", "") == invocation
