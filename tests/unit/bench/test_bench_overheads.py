"""The measurement of what seeing everything costs: what is compared, and how sure it is."""

from __future__ import annotations

import pytest
from bench.figures import interval_of_median
from bench.node_processes import Used
from bench.overheads import EVERYTHING, NOTHING, Figures, compared, text


def turn(us: float) -> Figures:
    return {
        "all": us,
        "told": us / 2,
        "per_second": 1e6 / us,
        "calls": 1000,
        "roles": {"gateway": Used(us / 1e6, 0.5, 0.25, 0.0)},
        "counted": {"restores": 990.0, "discards": 0.0, "forks": 10.0},
    }


def test_a_turn_is_compared_with_its_neighbours_alone() -> None:
    # The machine gets ten times as slow in the middle: each ratio is right all the same.
    turns = []
    for slow in (1.0, 1.0, 10.0, 10.0):
        turns += [(NOTHING, turn(100 * slow)), (EVERYTHING, turn(112 * slow))]
        turns += [(NOTHING, turn(100 * slow))]
    found = compared(turns)
    assert found[EVERYTHING]["processor"]["median"] == pytest.approx(1.12)
    assert found[EVERYTHING]["told"]["median"] == pytest.approx(1.06)
    assert found[EVERYTHING]["time"]["median"] == pytest.approx(1.12)
    assert found[EVERYTHING]["processor"]["turns"] == 4
    assert found[NOTHING]["processor"]["median"] == pytest.approx(1.0, abs=0.05)


def test_what_is_not_certain_is_said() -> None:
    turns = [(NOTHING, turn(100.0))]
    for us in (90, 105, 106, 107, 108, 150):
        turns += [(EVERYTHING, turn(us)), (NOTHING, turn(100.0))]
    result = {"plain": compared(turns)}
    assert "processor met, not for certain: measure longer" in text(result)
    result["plain"][EVERYTHING]["processor"]["interval"] = (1.0, 1.09)
    assert text(result).splitlines()[-2].endswith("processor met")
    result["plain"][EVERYTHING]["processor"] |= {"median": 1.2, "interval": (1.11, 1.3)}
    assert text(result).splitlines()[-2].endswith("processor MISSED")


def test_the_interval_is_that_of_order_statistics() -> None:
    # Tables of the sign test: of 10 samples the second ones from both ends, of 16 the fourth.
    assert interval_of_median([float(n) for n in range(10, 0, -1)]) == (2.0, 9.0)
    assert interval_of_median([float(n) for n in range(1, 17)]) == (4.0, 13.0)
    assert interval_of_median([1.0, 2.0, 3.0]) == (1.0, 3.0)
    with pytest.raises(ValueError, match="no samples"):
        interval_of_median([])
