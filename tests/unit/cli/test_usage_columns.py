"""Numbers of `casemate usage` are written out, however small they are."""

from __future__ import annotations

import pytest

from casemate.cli.commands.usage import _gigabyte_hours, name_of
from casemate.model.usage import Usage


@pytest.mark.parametrize(
    ("byte_hours", "shown"),
    [
        (0.0, ""),
        (82_873.0, "0.000083"),
        (12.0, "<0.000001"),
        (1e9, "1"),
        (2.5e9, "2.5"),
        (1.5e12, "1500"),
        (3.21e18, "3210000000"),
    ],
)
def test_what_is_stored_has_no_exponent(byte_hours: float, shown: str) -> None:
    assert _gigabyte_hours(byte_hours) == shown


def test_what_is_of_no_call_is_no_unknown_caller() -> None:
    assert name_of(Usage(requests=3)) == "(not known)"
    assert name_of(Usage()) == "(no calls)"
    assert name_of(Usage(trigger="queue", requests=0)) == "queue"
