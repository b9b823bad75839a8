"""Nodes that share their state act once: one of them, and another when that is gone."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
from msgspec.structs import replace
from playbooks_world import ADA, Control, World, finding, noticed

from casemate.model.errors import ConflictError
from casemate.model.playbook import Step
from casemate.operations.findings import Finding
from casemate.operations.node import KeepNodeValue
from casemate.playbooks import turns
from casemate.playbooks.errors import TakenError
from casemate.store.errors import StoreMovedError
from support.core import MemoryStore


class Peers:
    """As a node sees the others."""

    def __init__(self, name: str, *, first: bool = False) -> None:
        self.name = name
        self.first = first
        self.gone: set[str] = set()

    def is_gone(self, name: str) -> bool:
        return name in self.gone


class SharedStore(MemoryStore):
    """Keeps a value only in the place of the one that was read, as the shared one does."""

    async def change(self, operation: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(operation, KeepNodeValue) and operation.was is not None:
            known = self.values.get(operation.name)
            if operation.was != (b"" if known is None else hashlib.sha256(known).digest()):
                raise StoreMovedError("Another node has changed it.")
        return await super().change(operation)


class Two:
    """Two nodes that share a store, and what is acted on."""

    def __init__(self) -> None:
        self.control = Control()
        self.peers = Peers("one"), Peers("two", first=True)
        store = SharedStore()
        self.one, self.two = (World(store, self.control, each) for each in self.peers)

    async def loaded(self) -> Two:
        await self.one.loaded()
        await self.two.loaded()
        return self

    async def heard(self) -> None:
        """Have each know what the other has kept."""
        await self.one.playbooks.load()
        await self.two.playbooks.load()

    async def look(self, world: World) -> None:
        for each in world.playbooks.turns.deferred():
            await world.playbooks._look(each)


def running(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


def of(node: str, found: Finding) -> Finding:
    """Return a finding as another node has told it."""
    return replace(found, node=node)


A, B = finding(id="a" * 16), finding(id="b" * 16)


@running
async def test_what_one_has_found_the_other_leaves_to_it() -> None:
    both = await Two().loaded()
    found = finding()
    await both.two.find(of("one", found))
    assert not both.control.done
    await both.one.find(found)
    await both.heard()
    await both.look(both.two)
    assert both.control.done == ["quarantine shop/pay"]
    [run] = both.two.playbooks.runs
    assert (run.node, run.state) == ("one", Step.DONE)


@running
async def test_what_both_have_found_at_once_one_acts_on() -> None:
    for _ in range(20):
        both = await Two().loaded()
        await asyncio.gather(both.one.find(A), both.two.find(B))
        await both.heard()
        for world in (both.one, both.two, both.one, both.two):
            await both.look(world)
        assert both.control.done == ["quarantine shop/pay"]
        assert len(list(both.one.playbooks.runs)) == 1


@running
async def test_another_acts_when_who_has_found_it_is_gone() -> None:
    both = await Two().loaded()
    await both.two.find(of("one", finding()))
    await both.look(both.two)
    assert not both.control.done, "it is there, and will act"
    both.peers[1].gone.add("one")
    both.peers[1].first = False
    await both.look(both.two)
    assert not both.control.done, "another one does so"
    both.peers[1].first = True
    await both.look(both.two)
    assert both.control.done == ["quarantine shop/pay"]


@running
async def test_who_has_claimed_it_and_died_before_it_acted_keeps_nobody_from_it() -> None:
    both = await Two().loaded()
    died = turns.Turns.claim

    async def claimed_and_died(self: turns.Turns, run: Any) -> bool:
        await died(self, run)
        raise asyncio.CancelledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns.Turns, "claim", claimed_and_died)
        with pytest.raises(asyncio.CancelledError):
            await both.one.find(A)
    await both.heard()
    await both.two.find(B)
    assert not both.control.done, "it waits for the run of the other"
    both.peers[1].gone.add("one")
    await both.look(both.two)
    assert both.control.done == ["quarantine shop/pay"]


@running
async def test_a_run_is_finished_by_another_and_not_by_who_wakes_up() -> None:
    both = await Two().loaded()
    asleep, awake = asyncio.Event(), asyncio.Event()
    quarantine = both.one.control.quarantine

    async def freeze(operation: Any, **named: Any) -> Any:
        asleep.set()
        await awake.wait()
        return await quarantine(operation, **named)

    both.control.quarantine = freeze  # type: ignore[method-assign]
    frozen = asyncio.ensure_future(both.one.find(A))
    await asleep.wait()
    both.control.quarantine = quarantine  # type: ignore[method-assign]
    await both.heard()
    await both.two.playbooks._resume()
    assert not both.control.done, "who has begun it is there"
    both.peers[1].gone.add("one")
    await both.two.playbooks._resume()
    [run] = both.two.playbooks.runs
    assert (run.node, run.state) == ("two", Step.DONE)
    undone = await both.two.playbooks.undo(run.id, None, "it was us", ADA)
    awake.set()
    await frozen
    await both.heard()
    [run] = both.one.playbooks.runs
    assert run == undone, "what is known of it is what the other one says"


@running
async def test_of_two_people_who_decide_at_once_on_two_nodes_one_does() -> None:
    for how in ("approve", "dismiss"):
        both = await Two().loaded()
        run = turns_run(both)
        await both.one.playbooks.runs.take(run, "one")
        await both.heard()
        other = (
            both.two.playbooks.approve(run.id, ADA)
            if how == "approve"
            else both.two.playbooks.dismiss(run.id, "no", ADA)
        )
        outcomes = await asyncio.gather(
            both.one.playbooks.approve(run.id, ADA), other, return_exceptions=True
        )
        assert [type(each) for each in outcomes].count(TakenError) == 1, outcomes


def turns_run(both: Two) -> Any:
    book = both.one.playbooks.files.book("escape-tried")
    planned = both.one.playbooks.planned(book.name, A, "inc_1")
    return replace(planned, state=Step.WAITS)


@running
async def test_of_two_who_take_it_back_at_once_one_does() -> None:
    both = await Two().loaded()
    await both.one.find(A)
    await both.heard()
    [run] = both.one.playbooks.runs
    outcomes = await asyncio.gather(
        both.one.playbooks.undo(run.id, None, "r", ADA),
        both.two.playbooks.undo(run.id, None, "r", ADA),
        return_exceptions=True,
    )
    assert [isinstance(each, ConflictError) for each in outcomes].count(True) == 1
    assert not both.control.held


@running
async def test_what_is_found_later_is_acted_on_again_and_claims_are_few() -> None:
    both = await Two().loaded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "MAX_CLAIMS", 4)
        for number in range(8):
            at = time.time() - 800 + number
            await both.one.find(finding(function=f"f{number}", at=at, id=f"{number:016x}"))
    assert len(both.one.playbooks.turns._claims.held) <= 4
    assert turns.ALIKE_SECONDS == 120.0
    old = noticed(replace(A, at=time.time() - 1000, node="one"))
    both.two.playbooks.turns.defer(old)
    assert both.two.playbooks.turns.deferred() == []


def test_deferred_findings_are_bounded() -> None:
    kept = turns.Turns(MemoryStore(), None, Peers("one"))  # type: ignore[arg-type]
    kept.defer(noticed(finding(id="f" * 16)))
    for number in range(turns.MAX_DEFERRED + 5):
        kept.defer(noticed(finding(id=f"{number:016x}", project="evil")))
    deferred = kept.deferred()
    assert len(deferred) == turns.MAX_DEFERRED
    assert deferred[0].finding.project == "shop", "a flood of another project's pushes it not out"
