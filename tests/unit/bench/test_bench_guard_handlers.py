"""What a report of the guard's handlers says of those that it leaves out."""

from __future__ import annotations

from bench.guard_handlers import HANDLERS, report


def test_what_was_not_chosen_is_not_said_to_be_missing() -> None:
    one, other, *others = sorted(HANDLERS)
    measured = {one: [(0.1, 0.2)]}
    told = report(measured, measured, {}, [one, other])
    assert f"left out, not installed: {other}\n" in told
    assert f"left out, not chosen: {', '.join(others)}\n" in told

    every = {name: [(0.1, 0.2)] for name in HANDLERS}
    assert "left out" not in report(every, every, {}, sorted(HANDLERS))
