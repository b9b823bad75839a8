"""How much of a volume is kept free."""

from __future__ import annotations

import pytest

from casemate.kernel.volume import reserve_of

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("whole", "reserve"),
    [
        (0, 0),
        (200 * MIB, 50 * MIB),  # before: 10 MiB, less than the logs of two databases take
        (GIB, 64 * MIB),
        (10 * GIB, 512 * MIB),
        (1000 * GIB, 2 * GIB),
    ],
)
def test_the_reserve_holds_the_logs_of_databases(whole: int, reserve: int) -> None:
    assert reserve_of(whole) == reserve
