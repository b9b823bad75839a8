"""What a rollback goes back to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.gateway.stable import require_stable_before, stable_before
from casemate.model.deployment import LIVE, Alias, AliasTarget, Trial
from casemate.model.errors import ConflictError

ALL = range(1, 100)


def state(*shares: tuple[int, int] | int) -> Alias:
    targets = [(s, 100) if isinstance(s, int) else s for s in shares]
    return Alias(
        project="t",
        function="f",
        name=LIVE,
        targets=tuple(AliasTarget(version=v, weight=w) for v, w in targets),
        changed_at=0.0,
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], None),
        ([state(1)], None),
        ([state(1), state(2)], 1),
        # A canary that failed, at any share, and one that took everybody by then.
        ([state(7), state((7, 95), (8, 5))], 7),
        ([state(7), state((7, 95), (8, 5)), state((7, 50), (8, 50))], 7),
        ([state(7), state((7, 95), (8, 5)), state((7, 50), (8, 50)), state(8)], 7),
        # Again: not to what was just taken back, but further.
        ([state(6), state(7), state(8), state(7)], 6),
        ([state(7), state(8), state(7)], None),
        # A new one after that: to the one before it, not to the one that was taken back.
        ([state(6), state(7), state(8), state(7), state(9)], 7),
        # On the way back by hand.
        ([state(7), state(8), state((7, 50), (8, 50))], 7),
        ([state(7), state((7, 0), (8, 100))], 7),
        # To one further back, which shares the calls: those between were passed over.
        ([state(1), state(2), state(3), state((3, 50), (1, 50))], 1),
        ([state(1), state(3), state((3, 50), (1, 50))], 1),
        ([state(6), state(7), state((8, 10), (7, 80), (6, 10))], 7),
        # One that shares them and never had all is no place to go back to.
        ([state(1), state((1, 90), (2, 10)), state(3), state((3, 50), (2, 50))], 1),
    ],
)
def test_the_version_that_had_all_callers(states: list[Alias], expected: int | None) -> None:
    assert stable_before(states[::-1], ALL) == expected


@pytest.mark.parametrize("tried", [1, 2, 4])
def test_what_is_left_is_what_is_on_trial_be_it_older(tried: int) -> None:
    trial = Trial(version=tried, back=3, until=0.0)
    now = msgspec.structs.replace(state((3, 90), (tried, 10)), trial=trial)
    assert stable_before([now, state(3), state(2), state(1)], ALL) == 3


def test_a_version_that_is_gone_is_passed_over() -> None:
    assert stable_before([state(3), state(2), state(1)], {1, 3}) == 1


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_rollbacks_come_to_an_end_and_never_return(versions: list[int]) -> None:
    states = [state(version) for version in versions][::-1]
    seen = {versions[-1]}
    while (back := stable_before(states, ALL)) is not None:
        assert back not in seen
        seen.add(back)
        states.insert(0, state(back))
    assert len(seen) <= 5


def test_without_one_the_commands_to_go_elsewhere_are_told() -> None:
    with pytest.raises(ConflictError) as refused:
        require_stable_before("shop/cart", [state(1)], ALL)
    assert refused.value.next_step is not None
    assert "`casemate rollback shop/cart --to VERSION`" in refused.value.next_step
    with pytest.raises(ConflictError) as alone:
        require_stable_before("shop/cart", [state(1)], (1,))
    assert alone.value.next_step == "It has one version alone: deploy another one."
