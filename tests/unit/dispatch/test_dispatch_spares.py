"""Instances that wait: the newest is taken, the oldest goes."""

from __future__ import annotations

from casemate.dispatch.spares import Spares


class Instance:
    closed = False

    def close(self) -> None:
        self.closed = True


def three() -> tuple[Spares, list[Instance]]:
    spares, instances = Spares(), [Instance() for _ in range(3)]
    for at, instance in enumerate(instances):
        spares.add(instance, float(at))  # type: ignore[arg-type]
    return spares, instances


def test_the_newest_is_taken_first() -> None:
    spares, instances = three()
    assert [spares.take() for _ in range(3)] == instances[::-1]
    assert len(spares) == 0 and not spares and spares.oldest_since == float("inf")


def test_any_is_taken_by_chance_and_the_rest_stay_in_order() -> None:
    taken = set()
    for _ in range(200):
        spares, instances = three()
        one = spares.take(by_chance=True)
        taken.add(instances.index(one))  # type: ignore[arg-type]
        assert [spare for spare, _ in spares] == [other for other in instances if other is not one]
    assert taken == {0, 1, 2}


def test_the_oldest_is_ended_first_and_none_that_waits_since_then() -> None:
    spares, instances = three()
    spares.trim(0, 1.0)
    assert [one.closed for one in instances] == [True, False, False]
    spares.trim(1, float("inf"))
    assert [one.closed for one in instances] == [True, True, False]
    spares.trim(1, float("inf"))
    assert len(spares) == 1 and spares.oldest_since == 2.0
    spares.close()
    assert len(spares) == 0 and instances[2].closed


def test_one_that_has_ended_is_forgotten_with_its_time() -> None:
    spares, instances = three()
    assert spares.forget(instances[1]) == 1.0  # type: ignore[arg-type]
    assert spares.forget(instances[1]) is None  # type: ignore[arg-type]
    assert [at for _, at in spares] == [0.0, 2.0]
    assert not any(one.closed for one in instances)


def test_one_is_ended_by_choice() -> None:
    spares, instances = three()
    assert spares.close_one(lambda one: one is instances[1])
    assert not spares.close_one(lambda one: one is instances[1])
    assert [one.closed for one in instances] == [False, True, False]
