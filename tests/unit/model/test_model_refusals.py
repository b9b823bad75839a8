"""What refusals are called: each remedy has a name of its own."""

from __future__ import annotations

import pytest

from casemate.cli.commands import errors
from casemate.model import refusals
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


def test_each_name_stands_in_the_help_of_the_command_that_lists_them() -> None:
    names = {refusals.CONTRACT_BROKEN, refusals.HOSTILE_EVENT}
    names |= {*refusals._BY_STATUS.values(), *refusals._BY_OUTCOME.values()}
    assert {name for name in names if f"`{name}`" not in str(errors.ls.__doc__)} == set()
