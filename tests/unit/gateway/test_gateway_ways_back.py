"""Which versions were live lately."""

from __future__ import annotations

import pytest

from casemate.gateway.ways_back import LATELY_SECONDS, live_lately
from casemate.model.deployment import LIVE, Alias, AliasTarget

NOW = 1_000_000.0


def state(ago: float, **weights: int) -> Alias:
    return Alias(
        project="t",
        function="f",
        name=LIVE,
        targets=tuple(AliasTarget(version=int(v[1:]), weight=w) for v, w in weights.items()),
        changed_at=NOW - ago,
    )


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param((), set(), id="nothing"),
        pytest.param((state(9e5, v3=100),), {3}, id="what is live, however long"),
        pytest.param((state(60, v3=100), state(9e5, v2=100), state(9.5e5, v1=100)), {2, 3},
                     id="what was until a minute ago"),
        pytest.param((state(LATELY_SECONDS + 1, v3=100), state(9e5, v2=100)), {3},
                     id="not what ended before"),
        pytest.param((state(60, v3=100), state(120, v3=0, v2=100), state(180, v1=5, v3=95)),
                     {1, 2, 3}, id="what had a share, not what had none"),
    ],
)  # fmt: skip
def test_by_the_end_of_each_state(history: tuple[Alias, ...], found: set[int]) -> None:
    assert live_lately(history, NOW) == found
