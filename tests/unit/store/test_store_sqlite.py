"""The port's contract, on both adapters, through its public calls."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import typing
from pathlib import Path
from typing import Any

import pytest
from store_samples import KEY, Opening, deploy, opened, token, user

from casemate.model.errors import InvalidInputError, UnavailableError
from casemate.operations import (
    accounts,
    attestations,
    budget_shares,
    deployments,
    grants,
    node,
    nodes,
    policies,
)
from casemate.operations.accounts import KeepToken, KeepUser, ReadTokens, ReplaceUser
from casemate.operations.catalogue import operations_of
from casemate.operations.declaration import Decided
from casemate.operations.deployments import ShowAliasHistory
from casemate.operations.form import form_of
from casemate.operations.functions import ListFunctions, SetAlias
from casemate.operations.node import KeepNodeValue
from casemate.operations.nodes import DrainNode, ListNodes, RemoveNode
from casemate.operations.policies import RemovePolicy
from casemate.operations.positions import ShowPosition
from casemate.operations.trials import EndTrial, StartTrial
from casemate.sqlite import engine
from casemate.store import Store, StoreClosedError
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite.performed import PERFORMED
from casemate.store.sqlite.store import SqliteStore


def test_adapter_has_every_method_of_the_port_with_its_parameters() -> None:
    for name, wanted in inspect.getmembers(Store, inspect.isfunction):
        if name.startswith("_"):
            continue
        for adapter in (SqliteStore, PostgresqlStore):
            got = inspect.signature(getattr(adapter, name))
            assert got.parameters == inspect.signature(wanted).parameters, name


SHARED = {
    ListFunctions,
    SetAlias,
    StartTrial,
    EndTrial,
    RemovePolicy,
    ListNodes,
    DrainNode,
    RemoveNode,
}
"""What the API asks of the store as it was asked itself."""
OWN = {
    kind
    for module in (
        *(accounts, attestations, budget_shares, deployments, grants, node, nodes, policies),
    )
    for kind in operations_of(module)
    if kind.declared.decided is Decided.INSIDE
}


def test_every_operation_of_the_port_is_performed_and_no_other() -> None:
    performed = {**PERFORMED.reads, **PERFORMED.changes}
    assert set(performed) == SHARED | OWN


@pytest.mark.parametrize("kind", sorted(SHARED | OWN, key=lambda kind: kind.__name__))
def test_what_performs_an_operation_takes_it_and_answers_as_declared(kind: Any) -> None:
    perform = {**PERFORMED.reads, **PERFORMED.changes}[kind]
    found = typing.get_type_hints(perform)
    answer = form_of(kind).answer
    assert found.pop("return") == (type(None) if answer is None else answer)
    assert list(found.values()) == [engine.Connection, kind]


def test_an_operation_of_the_data_and_the_wrong_call_are_refused(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        with pytest.raises(TypeError, match="not among"):
            await store.read(ShowPosition(project="p", position="x"))
        with pytest.raises(TypeError, match="wrong one"):
            await store.change(ListFunctions())
        with pytest.raises(TypeError, match="wrong one"):
            await store.read(KeepToken(token=token()))
        assert await store.read(ReadTokens()) == ()
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "operation",
    [
        KeepUser(user=user(totp=b"hidden")),
        ReplaceUser(user=user(totp=b"hidden")),
        KeepToken(token=token(sha256="hidden")),
        KeepNodeValue(name="key", value=b"hidden"),
    ],
)
def test_what_is_secret_is_not_shown(operation: object) -> None:
    assert "hidden" not in repr(operation)


def test_everything_survives_a_restart(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        await deploy(store)
        await store.change(KeepToken(token=token()))
        before = ((await store.read(ListFunctions())).functions, await store.read(ReadTokens()))
        await store.close()
        store = opening()
        assert (
            (await store.read(ListFunctions())).functions,
            await store.read(ReadTokens()),
        ) == before
        await store.close()

    asyncio.run(run())


def test_an_awaited_change_is_on_disk_and_seen_by_reads(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        for number in range(1, 6):
            assert await deploy(store) == number
            (function,) = (await store.read(ListFunctions())).functions
            assert function.versions[-1].number == number
            other = opened(tmp_path / "s")
            assert other.execute("SELECT max(number) FROM version").fetchone() == (number,)
            other.close()
        await store.close()

    asyncio.run(run())


def test_close_writes_what_is_queued_and_may_be_called_again_and_at_once(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        change = store.change(KeepToken(token=token()))
        done = asyncio.ensure_future(change)
        await asyncio.sleep(0)
        await asyncio.gather(store.close(), store.close())
        await store.close()
        await done
        store = opening()
        assert len(await store.read(ReadTokens())) == 1
        await store.close()

    asyncio.run(run())


def test_a_closed_store_refuses_with_a_retryable_error(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        await store.close()
        for call in (
            store.read(ListFunctions()),
            store.change(KeepToken(token=token())),
            deploy(store),
        ):
            with pytest.raises(StoreClosedError) as caught:
                await call
            assert isinstance(caught.value, UnavailableError)
            assert caught.value.retryable
            assert caught.value.next_step

    asyncio.run(run())


def test_no_thread_or_descriptor_is_left_behind(opening: Opening) -> None:
    async def run() -> None:
        for _ in range(3):
            store = opening()
            await deploy(store)
            (await store.read(ListFunctions())).functions
            await store.close()

    asyncio.run(run())
    threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(run())
    assert threading.active_count() == threads
    # Fewer, where what an earlier test has left is collected meanwhile.
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors


def test_concurrent_changes_get_their_own_answers_and_share_commits(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        numbers = await asyncio.gather(*(deploy(store, name="same") for _ in range(200)))
        assert sorted(numbers) == list(range(1, 201))
        await store.close()

    asyncio.run(run())


def test_a_failing_change_does_not_fail_those_committed_with_it(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        answers = await asyncio.gather(
            store.change(KeepToken(token=token("k1"))),
            store.change(KeepToken(token=token("k2"))),
            store.change(KeepToken(token=token("k3", "third"))),
            deploy(store, letter="x"),
            deploy(store),
            return_exceptions=True,
        )
        assert [type(a).__name__ for a in answers] == [
            "NoneType",
            "ConflictError",
            "NoneType",
            "InvalidInputError",
            "int",
        ]
        assert [k.id for k in await store.read(ReadTokens())] == ["k1", "k3"]
        assert len((await store.read(ListFunctions())).functions) == 1
        await store.close()

    asyncio.run(run())


def test_a_cancelled_awaiter_harms_nobody(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        task = asyncio.create_task(deploy(store))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await deploy(store)
        await store.close()

    asyncio.run(run())


def test_two_event_loops_may_use_one_store(opening: Opening) -> None:
    store = opening()
    first = asyncio.run(deploy(store))
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(deploy(store))))
    thread.start()
    found.append(asyncio.run(deploy(store)))
    thread.join()
    assert {first, *found} == {1, 2, 3}
    asyncio.run(store.close())


def test_the_event_loop_runs_on_while_the_database_is_held(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        other = opened(tmp_path / "s")
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(deploy(store))
        longest = 0.0
        for _ in range(20):
            start = time.perf_counter()
            (await store.read(ListFunctions())).functions
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - start)
        assert not task.done()
        assert longest < 1.0
        other.execute("ROLLBACK")
        other.close()
        assert await task == 1
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("limit", [-1, 100_001, True])
def test_bounds_of_reads_are_checked(opening: Opening, limit: int) -> None:
    async def run() -> None:
        store = opening()
        with pytest.raises(InvalidInputError, match="limit"):
            await store.read(
                ShowAliasHistory(project="demo", function="thumbs", name="live", limit=limit)
            )
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["\udc80", "'; DROP TABLE version; --", "\0", "é" * 10_000])
def test_hostile_text_in_a_question_finds_nothing_and_breaks_nothing(
    opening: Opening, text: str
) -> None:
    async def run() -> None:
        store = opening()
        await deploy(store)
        try:
            history = ShowAliasHistory(project="demo", function=text, name="live")
            assert await store.read(history) == ()
        except InvalidInputError as error:
            # Text with NUL is none to PostgreSQL.
            assert text == "\udc80" or (text == "\0" and not isinstance(store, SqliteStore))
            assert error.next_step
        assert len((await store.read(ListFunctions())).functions) == 1
        await store.close()

    asyncio.run(run())
