"""Which lines of a log are wanted."""

from __future__ import annotations

import pytest

from casemate.model.invocation import LogLine
from casemate.model.log_filter import EVERY_LINE, LineFilter, LogLevel


def line(text: str = "text", level: str = "info", version: int = 1, at: float = 5.0) -> LogLine:
    return LogLine(
        invocation="i", project="p", function="f", version=version, at=at, level=level, text=text
    )


@pytest.mark.parametrize("level", ["debug", "info", "stdout", "notice", "critical", ""])
def test_without_a_filter_every_line_is_wanted(level: str) -> None:
    assert EVERY_LINE.wants(line(level=level))


def test_levels_are_in_order_and_those_of_a_functions_own_are_kept() -> None:
    levels = ["debug", "stdout", "info", "warning", "error", "critical", "notice"]
    wanted = {
        least: [level for level in levels if LineFilter(level=least).wants(line(level=level))]
        for least in LogLevel
    }
    assert wanted == {
        LogLevel.DEBUG: levels,
        LogLevel.INFO: levels[1:],
        LogLevel.WARNING: levels[3:],
        LogLevel.ERROR: levels[4:],
        LogLevel.CRITICAL: levels[5:],
    }


def test_all_parts_have_to_fit() -> None:
    only = LineFilter(since=5.0, level=LogLevel.ERROR, search="TiMe", version=2)
    right = line("a Time", "error", 2, 5.0)
    assert only.wants(right)
    for other in (
        line("a Time", "error", 2, 4.9),
        line("a Time", "info", 2, 5.0),
        line("a tide", "error", 2, 5.0),
        line("a Time", "error", 1, 5.0),
    ):
        assert not only.wants(other)
