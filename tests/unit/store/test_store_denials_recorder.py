"""Denials alike: the first ones each, the rest by number, none lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from casemate.model.denial import Denial, DenialKind
from casemate.model.principal import ANONYMOUS
from casemate.store.denials import BURST, EXAMPLES, MAX_KINDS, OTHERS, DenialRecorder


def denial(action: str = "a", **rest: object) -> Denial:
    fields = {"at": 1.0, "kind": DenialKind.AUTHENTICATION, "by": "p", "resource": "r"}
    return Denial(**{**fields, "action": action, "reason": "no", **rest})  # type: ignore[arg-type]


def recorded(*denials: Denial, flush: bool = True) -> list[Denial]:
    found: list[Denial] = []

    async def run() -> None:
        recorder = DenialRecorder(found.append, asyncio.get_running_loop())
        for one in denials:
            recorder.deny(one)
        if flush:
            recorder.flush()

    asyncio.run(run())
    return found


def test_a_few_alike_are_recorded_each_at_once() -> None:
    few = [denial(invocation=str(n)) for n in range(BURST)]
    assert recorded(*few, flush=False) == few


def test_a_flood_becomes_a_number() -> None:
    found = recorded(*[denial() for _ in range(1000)])
    assert len(found) == BURST + 1
    assert sum(one.count for one in found) == 1000


def test_one_flood_does_not_hide_another_attempt() -> None:
    found = recorded(*[denial() for _ in range(1000)], denial("other"), flush=False)
    assert found[-1].action == "other"


def test_what_is_counted_is_recorded_when_the_window_ends() -> None:
    found: list[Denial] = []

    async def run() -> None:
        recorder = DenialRecorder(found.append, asyncio.get_running_loop())
        for _ in range(BURST + 5):
            recorder.deny(denial())
        await asyncio.sleep(1.1)
        recorder.deny(denial())

    asyncio.run(run())
    assert [one.count for one in found[BURST:]] == [5, 1]


def test_made_up_differences_do_not_fill_the_memory() -> None:
    flood = [denial(f"a{number}") for number in range(MAX_KINDS + 500)]
    found = recorded(*flood)
    assert len(found) <= MAX_KINDS + BURST + 1
    assert sum(one.count for one in found) == len(flood)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), max_size=200))
def test_none_is_lost_whatever_comes(attempts: list[tuple[str, int]]) -> None:
    found = recorded(*[denial(action, count=count) for action, count in attempts])
    assert sum(one.count for one in found) == sum(count for _, count in attempts)


def test_names_that_nobody_vouches_for_are_a_few_examples_and_a_number() -> None:
    flood = [
        denial("function:invoke", by=ANONYMOUS.text, resource=f"function:p/{n}", project="p")
        for n in range(100_000)
    ]
    found = recorded(*flood)
    assert len(found) == EXAMPLES + 1
    assert sum(one.count for one in found) == 100_000
    assert found[-1].resource == OTHERS
    assert not found[-1].project


def test_an_example_is_recorded_again_and_who_is_known_is_never_folded_by_names() -> None:
    name = denial(by=ANONYMOUS.text, resource="function:p/f")
    assert recorded(*[name] * 5, flush=False) == [name] * 5
    known = [denial(resource=f"function:p/{n}") for n in range(EXAMPLES + 10)]
    assert recorded(*known, flush=False) == known
