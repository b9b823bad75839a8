"""Numbers of `casemate usage` are written out, however small they are."""

from __future__ import annotations

import pytest

from casemate.cli.commands.usage import _gigabyte_hours


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
