"""A node that takes no calls says so before it reads a body, and gives no reason to strangers."""

from __future__ import annotations

from typing import Any

from casemate.front import Resting
from casemate.model.http import Destination, HttpResponse


class Place:
    def __init__(self) -> None:
        self.found = 0

    def find(self, head: Any, asking: Any) -> Destination | HttpResponse:
        self.found += 1
        return Destination(1, None)  # type: ignore[arg-type]


def test_it_leads_nowhere_while_there_is_a_reason_and_on_afterwards() -> None:
    place, reasons = Place(), [""]
    resting = Resting(place, lambda: reasons[0])
    nobody: Any = None
    assert isinstance(resting.find(nobody, nobody), Destination)
    reasons[0] = "The store at 10.0.0.7 cannot be read."
    answer = resting.find(nobody, nobody)
    assert isinstance(answer, HttpResponse) and answer.status == 503
    assert (b"retry-after", b"2") in answer.headers
    assert b"10.0.0.7" not in answer.body
    reasons[0] = ""
    assert isinstance(resting.find(nobody, nobody), Destination)
    assert place.found == 2
