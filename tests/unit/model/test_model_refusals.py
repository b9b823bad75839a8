"""What refusals are called: each remedy has a name of its own."""

from __future__ import annotations

import pytest

from casemate.model.invocation import Outcome
from casemate.model.refusals import refusal_type


@pytest.mark.parametrize(
    ("outcome", "status", "name"),
    [
        (Outcome.DENIED, None, "NotAuthenticated"),
        (Outcome.DENIED, 401, "NotAuthenticated"),
        (Outcome.DENIED, 403, "NotAllowed"),
        (Outcome.NOT_FOUND, None, "NotFound"),
        (Outcome.INVALID, None, "InvalidRequest"),
        (Outcome.INVALID, 400, "InvalidRequest"),
        (Outcome.INVALID, 405, "MethodNotAllowed"),
        (Outcome.INVALID, 413, "TooLarge"),
        (Outcome.INVALID, 415, "NotJson"),
        (Outcome.THROTTLED, None, "Throttled"),
        (Outcome.UNAVAILABLE, None, "Unavailable"),
        (Outcome.UNAVAILABLE, 507, "NoRoomToKeep"),
        (Outcome.INIT_ERROR, None, "Refused"),
    ],
)
def test_a_refusal_is_named_by_its_remedy(outcome: Outcome, status: int | None, name: str) -> None:
    assert refusal_type(outcome, status) == name
