"""What is learned of a function, what is left out of it, and how much is ever remembered."""

from __future__ import annotations

import pytest

from casemate.baselines import Learned
from casemate.baselines.learned import MAX_TEXT, MAX_TOLD, MAX_VALUES, TOLD_SECONDS, Waiting, power
from casemate.model.baseline import Aspect, BaselineState


def test_what_was_met_is_usual_and_nothing_else() -> None:
    learned, waiting = Learned(since=0.0), Waiting()
    waiting.value(Aspect.HOST, "api.example.com:443")
    waiting.number(Aspect.REQUEST, power(100))
    waiting.calls += 3
    waiting.take_over(learned)
    assert learned.calls == 3
    assert learned.knows(Aspect.HOST, "api.example.com:443")
    assert not learned.knows(Aspect.HOST, "api.example.com:80")
    assert not learned.knows(Aspect.GRANT, "api.example.com:443")


def test_what_was_met_beside_a_denial_is_not_learned() -> None:
    learned, waiting = Learned(since=0.0), Waiting()
    waiting.value(Aspect.HOST, "evil.example.com:443")
    waiting.number(Aspect.RESPONSE, power(1 << 30))
    waiting.calls += 1
    waiting.poisoned = True
    waiting.take_over(learned)
    assert not learned.knows(Aspect.HOST, "evil.example.com:443")
    assert not learned.ranges and not learned.calls and learned.withheld == 1
    waiting.value(Aspect.HOST, "api.example.com:443")
    waiting.take_over(learned)
    assert learned.knows(Aspect.HOST, "api.example.com:443"), "it goes on afterwards"


def test_values_are_bounded_and_the_rest_is_said() -> None:
    learned = Learned(since=0.0)
    for number in range(MAX_VALUES + 50):
        learned.add(Aspect.CALLER, f"token:{number}")
    learned.add(Aspect.CALLER, "token:0")
    learned.add(Aspect.HOST, "x" * 10_000)
    assert len(learned.sets[Aspect.CALLER]) == MAX_VALUES
    assert learned.left_out == {Aspect.CALLER: 50}
    assert not learned.knows(Aspect.CALLER, f"token:{MAX_VALUES + 1}"), "it is not usual then"
    assert [len(each) for each in learned.sets[Aspect.HOST]] == [MAX_TEXT]
    shown = {usual.aspect: usual for usual in learned.shown("shop", "f").usual}
    assert shown[Aspect.CALLER].left_out == 50


def test_what_waits_is_bounded() -> None:
    waiting = Waiting()
    for number in range(100_000):
        waiting.value(Aspect.HOST, f"{number}.example.com:443")
    assert len(waiting.values) <= 4 * MAX_VALUES


@pytest.mark.parametrize(
    ("number", "usual"),
    [(0, False), (40, True), (64, True), (500, True), (1023, True), (4096, False), (10**9, False)],
)
def test_sizes_are_usual_within_twice_of_the_range(number: int, usual: bool) -> None:
    learned = Learned(since=0.0)
    for each in (64, 100, 400):
        learned.widen(Aspect.RESPONSE, power(each))
    assert learned.within(Aspect.RESPONSE, power(number)) is usual


def test_a_range_is_shown_as_numbers() -> None:
    learned = Learned(since=0.0)
    learned.widen(Aspect.DURATION, power(0.4))
    learned.widen(Aspect.DURATION, power(12.7))
    [duration] = [u for u in learned.shown("s", "f").usual if u.aspect is Aspect.DURATION]
    assert (duration.low, duration.high) == (0, 15)


def test_nothing_of_a_size_was_learned_so_any_is_usual() -> None:
    assert Learned(since=0.0).within(Aspect.REQUEST, power(1 << 40))


def test_what_a_new_version_is_granted_is_open_and_the_rest_is_not() -> None:
    learned = Learned(since=0.0, locked_at=1.0)
    learned.meet(1, ("table orders get", "egress api.example.com:443 connect"))
    assert not learned.is_open(Aspect.GRANT, "table orders get"), "it had its time"
    learned.meet(2, ("table orders get", "secret stripe read", "egress *.cdn.com:443 connect"))
    assert learned.differences == (
        "+ egress *.cdn.com:443 connect",
        "+ secret stripe read",
        "- egress api.example.com:443 connect",
    )
    assert learned.is_open(Aspect.GRANT, "secret stripe read")
    assert not learned.is_open(Aspect.GRANT, "table orders get")
    assert learned.is_open(Aspect.HOST, "a.cdn.com:443")
    for host in ("cdn.com:443", "a.cdn.com:80", "evilcdn.com:443", "api.example.com:443"):
        assert not learned.is_open(Aspect.HOST, host)
    learned.meet(3, ("table orders get",))
    assert not learned.is_open(Aspect.GRANT, "secret stripe read"), "it is granted no more"


def test_a_deviation_is_told_once_an_hour_with_its_count() -> None:
    waiting = Waiting()
    told = [waiting.tells(Aspect.HOST, "a", float(second)) for second in range(10)]
    assert told == [1] + [0] * 9
    assert waiting.tells(Aspect.HOST, "b", 10.0) == 1
    assert waiting.tells(Aspect.HOST, "a", 10.0, refused=True) == 1
    assert waiting.tells(Aspect.HOST, "a", 10.0, refused=True) == 0
    assert waiting.tells(Aspect.HOST, "a", TOLD_SECONDS + 1) == 10


def test_a_deviation_is_told_though_the_clock_was_ahead_when_it_was_last() -> None:
    waiting = Waiting()
    assert waiting.tells(Aspect.HOST, "a", 1e9) == 1
    assert waiting.tells(Aspect.HOST, "a", 10.0) == 1
    assert waiting.tells(Aspect.HOST, "a", 11.0) == 0


def test_a_flood_of_deviations_is_bounded_and_counted() -> None:
    waiting = Waiting()
    told = [waiting.tells(Aspect.HOST, f"{number}", 1.0) for number in range(10_000)]
    assert sum(told) == MAX_TOLD + 1
    assert len(waiting.told) == MAX_TOLD + 1
    again = [waiting.tells(Aspect.HOST, f"new {n}", TOLD_SECONDS + 2) for n in range(10)]
    assert again == [1] * 10, "what is over makes room"


def test_it_says_how_far_it_is() -> None:
    learned = Learned(since=5.0)
    assert learned.shown("s", "f").state is BaselineState.LEARNING
    learned.locked_at, learned.locked_by = 9.0, "user:ada"
    assert learned.shown("s", "f").state is BaselineState.LOCKED
