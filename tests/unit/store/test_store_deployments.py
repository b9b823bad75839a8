"""Versions and aliases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from store_samples import Opening, deploy, digest, memory, new, spec

from casemate.model.deployment import AliasTarget
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.operations.deployments import (
    ForgetFunction,
    ForgetVersion,
    KeepVersions,
    ShowAliasHistory,
)
from casemate.operations.functions import ListFunctions, SetAlias, Target
from casemate.sqlite import engine
from casemate.store import Store
from casemate.store.sqlite.aliases import alias_history
from casemate.store.sqlite.deployments import add_version, functions
from casemate.store.sqlite.schema import migrate


@pytest.fixture
def using(opening: Opening) -> Callable[[Callable[[Store], Awaitable[None]]], None]:
    """Return a function that runs a coroutine function on a fresh store and closes that."""

    async def go(test: Callable[[Store], Awaitable[None]]) -> None:
        store = opening()
        try:
            await test(store)
        finally:
            await store.close()

    return lambda test: asyncio.run(go(test))


def shares(*pairs: tuple[int, int]) -> tuple[AliasTarget, ...]:
    return tuple(AliasTarget(version=v, weight=w) for v, w in pairs)


def pointing(name: str, targets: tuple[AliasTarget, ...]) -> SetAlias:
    wanted = tuple(Target(version=t.version, weight=t.weight) for t in targets)
    return SetAlias(project="demo", function="thumbs", name=name, targets=wanted)


def history(limit: int = 20) -> ShowAliasHistory:
    return ShowAliasHistory(project="demo", function="thumbs", name="live", limit=limit)


def forget(function: str) -> ForgetFunction:
    return ForgetFunction(project="demo", function=function)


def forget_version(number: int) -> ForgetVersion:
    return ForgetVersion(project="demo", function="thumbs", number=number)


def keeping(by: str = "k", **changes: object) -> KeepVersions:
    return KeepVersions(versions=(new(**changes),), by=by)


def test_deploy_adds_a_version_and_points_live_at_it(using) -> None:
    async def test(store: Store) -> None:
        (version,) = await store.change(keeping())
        (function,) = (await store.read(ListFunctions())).functions
        assert function.versions == (version,)
        assert (function.project, function.name) == ("demo", "thumbs")
        assert [(a.name, a.targets) for a in function.aliases] == [("live", shares((1, 100)))]
        assert version.spec == spec()

    using(test)


def test_add_version_leaves_aliases_alone_and_numbers_a_digest_anew() -> None:
    connection = memory()
    migrate(connection)
    for _ in range(2):
        add_version(connection, new(), "k")
    (function,) = functions(connection, ListFunctions()).functions
    assert [v.number for v in function.versions] == [1, 2]
    assert function.aliases == ()


def test_numbers_are_never_used_again(using) -> None:
    async def test(store: Store) -> None:
        assert [await deploy(store) for _ in range(3)] == [1, 2, 3]
        await store.change(forget("thumbs"))
        assert await deploy(store) == 4
        assert await deploy(store, name="other") == 1

    using(test)


def test_functions_are_sorted_by_project_and_name(using) -> None:
    async def test(store: Store) -> None:
        for name in ("b", "a", "c"):
            await deploy(store, name=name)
        await store.change(keeping(project="alpha", function="z"))
        assert [(f.project, f.name) for f in (await store.read(ListFunctions())).functions] == [
            ("alpha", "z"),
            ("demo", "a"),
            ("demo", "b"),
            ("demo", "c"),
        ]

    using(test)


def test_remove_returns_the_digests_nothing_refers_to(using) -> None:
    async def test(store: Store) -> None:
        for letter in ("a", "b", "a", "c"):
            await deploy(store, letter)
        await deploy(store, "b", name="other")
        assert await store.change(forget("thumbs")) == (
            digest("a"),
            digest("c"),
        )
        assert [f.name for f in (await store.read(ListFunctions())).functions] == ["other"]
        assert await store.read(history()) == ()
        assert await store.change(forget("other")) == (digest("b"),)
        with pytest.raises(NotFoundError, match="demo/other"):
            await store.change(forget("other"))

    using(test)


def test_alias_history_is_newest_first_and_limited(using) -> None:
    async def test(store: Store) -> None:
        await deploy(store)
        await deploy(store)
        split = await store.change(pointing("live", shares((1, 95), (2, 5))))
        back = await store.change(pointing("live", shares((1, 100))))
        await store.change(pointing("beta", shares((2, 100), (1, 0))))
        states = await store.read(history())
        assert states[:2] == (back, split)
        assert [h.targets for h in states[2:]] == [shares((2, 100)), shares((1, 100))]
        assert await store.read(history(1)) == (back,)
        assert await store.read(history(0)) == ()
        (function,) = (await store.read(ListFunctions())).functions
        assert [(a.name, a.targets) for a in function.aliases] == [
            ("beta", shares((2, 100), (1, 0))),
            ("live", shares((1, 100))),
        ]

    using(test)


@pytest.mark.parametrize(
    "targets",
    [
        (),
        shares((1, 99)),
        shares((1, 101)),
        shares((1, 60), (2, 60)),
        shares((1, 50), (1, 50)),
        shares((1, 150), (2, -50)),
        shares((0, 100)),
        shares((-1, 100)),
        shares((2**63, 100)),
        (AliasTarget(version=1, weight=100.0),),  # type: ignore[arg-type]
        (AliasTarget(version=True, weight=100),),
    ],
)
def test_shares_that_are_not_valid_are_refused(using, targets: tuple[AliasTarget, ...]) -> None:
    async def test(store: Store) -> None:
        await deploy(store)
        await deploy(store)
        before = (await store.read(ListFunctions())).functions
        with pytest.raises(InvalidInputError, match="expected"):
            await store.change(pointing("live", targets))
        assert (await store.read(ListFunctions())).functions == before

    using(test)


def test_targets_must_exist(using) -> None:
    async def test(store: Store) -> None:
        with pytest.raises(NotFoundError, match="it has none"):
            await store.change(pointing("live", shares((1, 100))))
        for _ in range(12):
            await deploy(store)
        with pytest.raises(NotFoundError, match=r"no version 13; it has … 3, .*, 12\."):
            await store.change(
                pointing(
                    "live",
                    shares((1, 50), (13, 50)),
                )
            )
        await store.change(forget("thumbs"))
        with pytest.raises(NotFoundError):
            await store.change(pointing("live", shares((1, 100))))

    using(test)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 64, "a\n", "../a", "\udc80"])
def test_names_are_checked(using, name: str) -> None:
    async def test(store: Store) -> None:
        await deploy(store)
        with pytest.raises(InvalidInputError, match="project name"):
            await store.change(keeping(project=name, function="f"))
        with pytest.raises(InvalidInputError, match="function name"):
            await store.change(keeping(project="p", function=name))
        with pytest.raises(InvalidInputError, match="alias name"):
            await store.change(pointing(name, shares((1, 100))))
        assert len((await store.read(ListFunctions())).functions) == 1

    using(test)


@pytest.mark.parametrize("value", ["", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_digests_are_checked(using, value: str) -> None:
    async def test(store: Store) -> None:
        with pytest.raises(InvalidInputError, match="64 lower-case hex digits"):
            await store.change(keeping(function="f", digest=value))
        assert (await store.read(ListFunctions())).functions == ()

    using(test)


def test_text_that_is_not_unicode_is_refused_not_half_written(using) -> None:
    async def test(store: Store) -> None:
        with pytest.raises(InvalidInputError, match="cannot be stored"):
            await store.change(keeping("\udc80", function="f"))
        assert (await store.read(ListFunctions())).functions == ()
        assert await deploy(store, name="f") == 1

    using(test)


def test_a_version_is_removed_once_no_alias_leads_to_it(using) -> None:
    async def test(store: Store) -> None:
        for letter in ("a", "b", "a"):
            await deploy(store, letter)
        await store.change(pointing("old", shares((2, 100))))
        for number in (2, 3):
            with pytest.raises(ConflictError, match="leads to version"):
                await store.change(forget_version(number))
        await store.change(pointing("old", shares((3, 100))))
        assert await store.change(forget_version(2)) == (digest("b"),)
        assert await store.change(forget_version(1)) == (), "version 3 has it too"
        with pytest.raises(NotFoundError):
            await store.change(forget_version(1))
        [function] = (await store.read(ListFunctions())).functions
        assert [version.number for version in function.versions] == [3]
        states = await store.read(history())
        assert [state.targets for state in states] == [shares((3, 100))]

    using(test)


class FailsToRead:
    """A connection that fails once it has begun, and has undone its transaction as SQLite may."""

    def __init__(self) -> None:
        self.connection = memory()
        self.failed = engine.OperationalError("disk I/O error")

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, statement: str, *values: object) -> object:
        if "SELECT" not in statement:
            return self.connection.execute(statement, *values)
        self.connection.execute("ROLLBACK")
        raise self.failed


@pytest.mark.parametrize(
    "ask", [lambda c: functions(c, ListFunctions()), lambda c: alias_history(c, history())]
)
def test_a_read_that_fails_is_told_and_not_that_there_is_nothing_to_commit(ask) -> None:
    failing = FailsToRead()
    with pytest.raises(engine.OperationalError) as caught:
        ask(failing)
    assert caught.value is failing.failed
    assert not failing.in_transaction
