"""How soon a process that ended is there again, and what is said to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casemate.child.restart import pause_after


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_are_drawn_from_the_upper_half(
    failures: int, draw: float
) -> None:
    pause = pause_after(failures, 0.25, 30.0, draw)
    full = min(30.0, 0.25 * 2.0 ** min(failures - 1, 32))
    assert full / 2 <= pause <= full
