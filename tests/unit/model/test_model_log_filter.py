"""Which lines of a log are wanted."""

from __future__ import annotations

import json

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


def wants(field: str, **fields: object) -> bool:
    text = f"sold {json.dumps(fields, default=str, ensure_ascii=False)}"
    return LineFilter(field=field).wants(line(text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order=42", 42), ("order=42", "42"), ("order=-0.5", -0.5), ("order=true", True),
        ("order=null", None), ("order=None", "None"), ("order=", ""), ("order=a=b", "a=b"),
        ('order=a "b" \\', 'a "b" \\'), ("order=\u00fc", "\u00fc"), ("order=1e5", "1e5"),
        ("order=1e+16", 1e16),
    ],
)  # fmt: skip
def test_a_field_is_found_by_its_value(field: str, value: object) -> None:
    for others in ({}, {"z": 1}):
        assert wants(field, order=value, **others)
        assert wants(field, a="x", order=value, **others)
    assert wants(field, nested={"order": value})
    assert not wants(field, orders=value) and not wants(field, a=value) and not wants(field)


def test_a_part_of_a_value_or_of_a_name_is_none() -> None:
    for field in ("order=4", "order=2", "rder=42", "Order=42", "order=42 "):
        assert not wants(field, order=42)
        assert not wants(field, order="42")
    assert not wants("order=42", text='"order": 42, and more'), "a text that looks like one"
    assert not LineFilter(field="order=42").wants(line("order=42"))


@pytest.mark.parametrize("value", ["[" * 150, "9" * 190, "1e999", "NaN", "{}", "[1]", '"', "\\"])
def test_what_is_no_plain_value_is_looked_for_as_text(value: str) -> None:
    assert wants(f"order={value}", order=value)
