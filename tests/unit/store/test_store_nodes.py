"""Two nodes on one database: each sees the other's changes at once, and of a race one wins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from store_samples import Opening, new, spec, token, user

from casemate.model.account import Token
from casemate.model.deployment import TrialTerms
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.trigger import QueueTrigger
from casemate.operations.accounts import (
    AcceptTotpStep,
    KeepToken,
    KeepUser,
    ReadTokens,
    ReadUsers,
    RevokeTokens,
)
from casemate.operations.deployments import ForgetFunction, KeepVersions
from casemate.operations.functions import ListFunctions, SetAlias, Target
from casemate.operations.grants import CountUses
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.operations.trials import EndTrial
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.store import Store, StoreForeignError, StoreMediumError
from casemate.store.postgresql.schema import COUNTS, STEPPING
from casemate.store.postgresql.store import SCHEMA, PostgresqlStore
from casemate.store.sqlite.schema import KEPT_TABLES, migrate
from support.database import Server
from support.proved_store import proved

Nodes = tuple[PostgresqlStore, PostgresqlStore]


@pytest.fixture
def second(database: str) -> Opening:
    return lambda: proved(PostgresqlStore.open(Settings.of_url(database), cluster="tests"))


@asynccontextmanager
async def nodes(opening: Opening) -> AsyncIterator[Nodes]:
    one, other = opening(), opening()
    try:
        yield one, other  # type: ignore[misc]
    finally:
        await one.close()
        await other.close()


def on_two(opening: Opening, scene: Callable[[Any, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with nodes(opening) as (one, other):
            await scene(one, other)

    asyncio.run(run())


async def race(*changes: Awaitable[Any]) -> tuple[list[Any], list[CasemateError]]:
    """Make changes at the same time; return what came of those that won, and of the others."""
    done = await asyncio.gather(*changes, return_exceptions=True)
    lost = [each for each in done if isinstance(each, CasemateError)]
    assert len(lost) == sum(isinstance(each, BaseException) for each in done), done
    return [each for each in done if not isinstance(each, BaseException)], lost


def with_route(name: str, path: str, method: str = "GET") -> FunctionSpec:
    return FunctionSpec(
        name=name, handler="a:b", python="3.11", http=(HttpTrigger(method=method, path=path),)
    )


def with_queue(name: str, queue: str) -> FunctionSpec:
    triggers = (QueueTrigger(name="queue-1", queue=queue),)
    return FunctionSpec(name=name, handler="a:b", python="3.11", triggers=triggers)


def deploying(*specs: FunctionSpec, **changes: Any) -> KeepVersions:
    versions = tuple(new(function=each.name, spec=each, **changes) for each in specs)
    return KeepVersions(versions=versions, by="k")


def test_a_change_is_seen_by_the_others_read_at_once(second: Opening) -> None:
    async def scene(one: Store, other: Store) -> None:
        for number in range(20):
            writer, reader = (one, other) if number % 2 else (other, one)
            await writer.change(KeepNodeValue(name="n", value=b"%d" % number))
            assert await reader.read(ReadNodeValue(name="n")) == b"%d" % number

    on_two(second, scene)


def test_numbers_of_versions_are_given_once(second: Opening) -> None:
    async def scene(one: Store, other: Store) -> None:
        won, _ = await race(*(each.change(deploying(spec())) for each in (one, other) * 10))
        assert sorted(version.number for (version,) in won) == list(range(1, 21))
        functions = (await one.read(ListFunctions())).functions
        assert functions == (await other.read(ListFunctions())).functions
        assert len(functions[0].versions) == 20

    on_two(second, scene)


@pytest.mark.parametrize(
    ("first", "second_spec"),
    [
        (with_route("a", "/x/{id}"), with_route("b", "/x/{name}")),
        (with_route("a", "/x/{rest...}"), with_route("b", "/x/{all...}")),
        (with_route("a", "/x", "*"), with_route("b", "/x", "POST")),
        (with_route("a", "/x", "POST"), with_route("b", "/x/", "*")),
        (with_queue("a", "jobs"), with_queue("b", "jobs")),
    ],
    ids=["route", "rest", "every-method", "method", "queue"],
)
def test_of_two_deploys_of_one_route_or_consumer_one_wins(
    second: Opening, first: FunctionSpec, second_spec: FunctionSpec
) -> None:
    async def scene(one: Store, other: Store) -> None:
        for _ in range(2):
            won, lost = await race(
                one.change(deploying(first)), other.change(deploying(second_spec))
            )
            assert (len(won), len(lost)) == (1, 1)
            assert isinstance(lost[0], ConflictError)
            (winner,) = (await one.read(ListFunctions())).functions
            assert winner.name in lost[0].message
            await other.change(ForgetFunction(project="demo", function=winner.name))

    on_two(second, scene)


@pytest.mark.parametrize(
    "beside",
    [
        with_route("b", "/x/{id}/y"),
        with_route("b", "/x/{rest...}"),
        with_route("b", "/x/{id}", "POST"),
        with_queue("b", "x"),
    ],
)
def test_what_does_not_overlap_is_deployed(second: Opening, beside: FunctionSpec) -> None:
    async def scene(one: Store, other: Store) -> None:
        _, lost = await race(
            one.change(deploying(with_route("a", "/x/{id}"))),
            other.change(deploying(beside)),
            one.change(deploying(with_route("a", "/x/{id}"), project="other")),
            other.change(deploying(with_queue("c", "y"), project="other")),
            other.change(deploying(with_queue("c", "y"))),
        )
        assert lost == []

    on_two(second, scene)


def test_a_route_follows_where_live_leads(second: Opening) -> None:
    async def scene(one: Store, other: Store) -> None:
        await one.change(deploying(with_route("a", "/old")))
        await other.change(deploying(with_route("a", "/new")))
        await one.change(deploying(with_route("b", "/old")))
        back = SetAlias(
            project="demo",
            function="a",
            name="live",
            targets=(Target(version=1, weight=100),),
        )
        with pytest.raises(ConflictError, match="GET /old of demo/a belongs to demo/b"):
            await other.change(back)
        (live,) = (await other.read(ListFunctions())).functions[0].aliases
        assert live.targets[0].version == 2
        # In one deploy one function may give to another what it had.
        await other.change(deploying(with_route("a", "/old"), with_route("b", "/new")))
        # What is tried declares, and what it would go back to keeps what it has: it can end.
        await one.change(
            deploying(with_route("a", "/tried"), trial=TrialTerms(weight=5, seconds=60.0))
        )
        for name, path in (("c", "/old"), ("d", "/tried")):
            with pytest.raises(ConflictError, match=f"{path} of demo/{name} belongs to demo/a"):
                await other.change(deploying(with_route(name, path)))
        (live,) = (await other.read(ListFunctions())).functions[0].aliases
        ending = EndTrial(
            project="demo", function="a", version=4, since=live.changed_at, promote=False
        )
        await one.change(ending)
        await other.change(deploying(with_route("d", "/tried")))

    on_two(second, scene)


def test_of_two_users_and_tokens_of_one_name_one_is_made(second: Opening) -> None:
    async def scene(one: Store, other: Store) -> None:
        for number in range(3):
            name = f"n{number}"
            won, lost = await race(
                one.change(KeepUser(user=user(name))), other.change(KeepUser(user=user(name)))
            )
            assert (len(won), [type(each) for each in lost]) == (1, [ConflictError])
            tokens = [token(f"{name}-{i}", name) for i in range(2)]
            won, lost = await race(
                one.change(KeepToken(token=tokens[0])), other.change(KeepToken(token=tokens[1]))
            )
            assert (len(won), [type(each) for each in lost]) == (1, [ConflictError])
        assert len(await one.read(ReadUsers())) == 3
        kept: tuple[Token, ...] = await other.read(ReadTokens())
        assert len(kept) == 3
        await one.change(RevokeTokens(ids=(kept[0].id,)))
        assert (await other.read(ReadTokens()))[0].revoked_at is not None

    on_two(second, scene)


def test_a_code_is_accepted_on_one_node_only(second: Opening) -> None:
    async def scene(one: Store, other: Store) -> None:
        await one.change(KeepUser(user=user("ada", totp_last=0)))
        for step in range(1, 6):
            asked = [each.change(AcceptTotpStep(user="ada", step=step)) for each in (one, other)]
            assert sorted(await asyncio.gather(*asked)) == [False, True]

    on_two(second, scene)


async def revision(store: PostgresqlStore) -> int:
    return (await store.changes_since(0)).revision


def test_each_change_steps_the_revision_and_what_changes_nothing_does_not(
    second: Opening,
) -> None:
    async def scene(one: PostgresqlStore, other: PostgresqlStore) -> None:
        before = await revision(one)
        await other.change(KeepNodeValue(name="a", value=b"1"))
        assert await revision(one) == before + 1
        await one.change(deploying(spec()))  # many rows, one step
        assert await revision(other) == before + 2
        with pytest.raises(ConflictError):
            await one.change(deploying(with_route("b", "/thumbs/{x}")))
        await one.change(CountUses(uses=()))
        await one.read(ListFunctions())
        assert await revision(other) == before + 2
        await one.change(ForgetFunction(project="demo", function="thumbs"))
        assert await revision(other) == before + 3

    on_two(second, scene)


def test_a_change_by_hand_steps_it_too(
    second: Opening, postgresql_server: Server, database: str
) -> None:
    async def scene(one: PostgresqlStore, other: PostgresqlStore) -> None:
        await one.change(KeepNodeValue(name="a", value=b"1"))
        before = await revision(one)
        name = database.split("/")[3].partition("?")[0]
        with postgresql_server.connect(name) as connection:
            connection.execute(f"DELETE FROM {SCHEMA}.node_value")  # type: ignore[arg-type]
        assert await revision(other) == before + 1
        assert await other.read(ReadNodeValue(name="a")) is None

    on_two(second, scene)


def test_another_cluster_is_refused(database: str) -> None:
    with pytest.raises(StoreForeignError, match="of the cluster 'tests'; expected the control of"):
        PostgresqlStore.open(Settings.of_url(database), cluster="theirs")


@pytest.mark.parametrize("cluster", ["", "x" * 129, "a\nb"])
def test_a_cluster_has_a_name(database: str, cluster: str) -> None:
    with pytest.raises(CasemateError, match="is not valid"):
        PostgresqlStore.open(Settings.of_url(database), cluster=cluster)


def test_a_server_that_goes_away_fails_calls_by_name_and_comes_back(
    second: Opening, postgresql_server: Server
) -> None:
    """Here connections end; in the long form (`storm`) the server is killed."""

    def end_all() -> None:
        with postgresql_server.connect("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
                "WHERE application_name = 'casemate'"
            )

    async def scene(one: PostgresqlStore, other: PostgresqlStore) -> None:
        await one.change(KeepNodeValue(name="a", value=b"1"))
        end_all()
        assert await one.read(ReadNodeValue(name="a")) == b"1"
        await one.change(KeepNodeValue(name="a", value=b"2"))
        assert await other.read(ReadNodeValue(name="a")) == b"2"
        await other.change(KeepNodeValue(name="a", value=b"3"))
        stop = asyncio.Event()

        async def keep(store: PostgresqlStore, name: str) -> tuple[int, int]:
            """Count up; return what was acknowledged last, and what was asked for last."""
            kept = asked = 0
            while not stop.is_set():
                asked += 1
                try:
                    await store.change(KeepNodeValue(name=name, value=b"%d" % asked))
                    kept = asked
                except StoreMediumError:
                    await asyncio.sleep(0.01)
            return kept, asked

        tasks = [asyncio.create_task(keep(each, f"n{i}")) for i, each in enumerate((one, other))]
        for _ in range(2):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(end_all)
        stop.set()
        for number, task in enumerate(tasks):
            kept, asked = await task
            found = int(await one.read(ReadNodeValue(name=f"n{number}")) or b"0")
            assert kept <= found <= asked
            assert kept > 0

    on_two(second, scene)


def test_the_tables_are_those_of_sqlite(database: str, postgresql_server: Server) -> None:
    kinds = {
        "TEXT": "text",
        "INTEGER": "bigint",
        "REAL": "double precision",
        "BLOB": "bytea",
    }
    lite = engine.driver.connect(":memory:", isolation_level=None)
    migrate(lite)
    name = database.split("/")[3].partition("?")[0]
    with postgresql_server.connect(name) as connection:
        for table in KEPT_TABLES:
            wanted = [
                (column, kinds[kind], bool(notnull) or bool(key))
                for _, column, kind, notnull, _, key in lite.execute(
                    f"PRAGMA table_info('{table}')"
                )
            ]
            found = connection.execute(
                "SELECT column_name, data_type, is_nullable = 'NO' "
                "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
                "ORDER BY ordinal_position",
                (SCHEMA, table),
            ).fetchall()
            assert found == wanted, table
            plain = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s "
                "AND table_name = %s AND data_type = 'text' "
                "AND collation_name IS DISTINCT FROM 'C'",
                (SCHEMA, table),
            ).fetchall()
            assert plain == [], "text compares by bytes"
            keys = {
                tuple(row[2] for row in lite.execute(f"PRAGMA index_info('{index[1]}')"))
                for index in lite.execute(f"PRAGMA index_list('{table}')")
                if index[2]
            }
            unique = {
                tuple(row[0])  # type: ignore[arg-type]
                for row in connection.execute(
                    "SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index i "
                    "JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place) ON true "
                    "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
                    "WHERE i.indisunique AND i.indrelid = to_regclass(%s) GROUP BY i.indexrelid",
                    (f'{SCHEMA}."{table}"',),
                )
            }
            assert keys <= unique, table
    assert {*STEPPING, *COUNTS, "node", "node_incarnation"} == set(KEPT_TABLES), (
        "what all have to read"
    )
    lite.close()
