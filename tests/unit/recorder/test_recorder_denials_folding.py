"""Denials alike: the first ones each, the rest by number, none lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from casemate.facts import FactStream
from casemate.model.denial import Denial, DenialKind
from casemate.model.principal import ANONYMOUS
from casemate.recorder.denials import (
    BURST,
    EXAMPLES,
    MAX_ADDRESSES,
    MAX_KINDS,
    OTHERS,
    DenialRecorder,
)


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


def names(count: int, address: str, prefix: str = "n") -> list[Denial]:
    """Return what somebody without a token has tried, each time another name."""
    return [
        denial(by=ANONYMOUS.text, resource=f"function:p/{prefix}{n}", remote_address=address)
        for n in range(count)
    ]


def test_who_goes_for_what_there_is_is_not_one_of_those_who_make_names_up() -> None:
    real = names(3, "192.0.2.2", "real")
    found = recorded(*names(5000, "192.0.2.1"), *real, flush=False)
    assert found[-3:] == real
    network = [f"2001:db8::{n:x}" for n in range(5000)]
    flood = [one for address in network for one in names(1, address, address)]
    found = recorded(*flood, *real, flush=False)
    assert (found[-3:], len(found)) == (real, EXAMPLES + 3), "a /64 is one"


def test_many_addresses_are_a_few_hundred_records_and_a_number() -> None:
    flood = [one for n in range(4000) for one in names(25, f"192.0.{n >> 8}.{n & 255}", f"{n}-")]
    found = recorded(*flood)
    assert len(found) <= (EXAMPLES + 1) * (MAX_ADDRESSES + 1)
    assert sum(one.count for one in found) == len(flood)


def test_an_example_is_recorded_again_and_who_is_known_is_never_folded_by_names() -> None:
    name = denial(by=ANONYMOUS.text, resource="function:p/f")
    assert recorded(*[name] * 5, flush=False) == [name] * 5
    known = [denial(resource=f"function:p/{n}") for n in range(EXAMPLES + 10)]
    assert recorded(*known, flush=False) == known


ATTEMPTS = st.lists(
    st.builds(
        denial,
        st.sampled_from("ab"),
        by=st.sampled_from([ANONYMOUS.text, "user:ada", "token:t1"]),
        resource=st.integers(0, 60).map("function:p/{}".format),
        remote_address=st.sampled_from(["", "192.0.2.1", "192.0.2.2"]),
        kind=st.sampled_from(DenialKind),
        count=st.integers(1, 9),
    ),
    max_size=400,
)


@given(ATTEMPTS, st.sampled_from([1, 3, 50]))
def test_it_listens_to_the_stream_and_loses_none(attempts: list[Denial], repeated: int) -> None:
    """Whatever is told, the counts of what is recorded add up to it, by kind and by who."""
    found: list[Denial] = []

    async def run() -> None:
        facts = FactStream()
        recorder = DenialRecorder(found.append, asyncio.get_running_loop())
        facts.listen(Denial, recorder.deny)
        for one in attempts:
            for _ in range(repeated):
                facts.happened(one)
        recorder.flush()

    asyncio.run(run())
    for kind in DenialKind:
        for by in (ANONYMOUS.text, "user:ada", "token:t1"):
            told = sum(d.count for d in attempts if (d.kind, d.by) == (kind, by)) * repeated
            assert sum(d.count for d in found if (d.kind, d.by) == (kind, by)) == told
    alike = {(d.kind, d.by, d.action, d.resource, d.remote_address) for d in attempts}
    assert len(found) <= len(alike) * (BURST + 1) + len(DenialKind) * 2


def test_a_store_that_fails_is_no_fault_of_who_tells() -> None:
    def full(_: Denial) -> None:
        raise OSError("disk full")

    async def run() -> None:
        facts, heard = FactStream(), list[Denial]()
        facts.listen(Denial, DenialRecorder(full, asyncio.get_running_loop()).deny)
        facts.listen(Denial, heard.append)
        facts.happened(denial())
        assert heard == [denial()]

    asyncio.run(run())
