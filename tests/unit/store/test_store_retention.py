"""What is forgotten, and what never is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from store_samples import KEY, denial, deploy, failure, invocation, line, memory, token, user

from casemate.operations.accounts import KeepToken, KeepUser, ReadTokens
from casemate.operations.deployments import ShowAliasHistory
from casemate.operations.functions import ListFunctions
from casemate.operations.records import ListInvocations, ReadLogs
from casemate.sqlite import engine
from casemate.store.sqlite import SqliteOptions, SqliteStore, accounts
from casemate.store.sqlite.accounts import ENDED_KEPT
from casemate.store.sqlite.denials import insert_denials
from casemate.store.sqlite.records import Entry, insert_records
from casemate.store.sqlite.retention import PRUNED_TABLES, prune, used_bytes
from casemate.store.sqlite.schema import migrate

NOW = 1_000_000.0


def filled(count: int, stored_at: float = NOW) -> engine.Connection:
    connection = memory()
    migrate(connection)
    entries = [
        Entry(invocation(f"i{n}"), failure(f"e{n}"), [line(str(n), at=9e15)]) for n in range(count)
    ]
    insert_records(connection, entries, stored_at)
    insert_denials(connection, [denial() for _ in range(count)], stored_at)
    return connection


def counts(connection: engine.Connection) -> list[int]:
    return [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in PRUNED_TABLES]


def run_all(connection: engine.Connection, options: SqliteOptions, batch: int = 10) -> int:
    rounds = 1
    while prune(connection, options, now=NOW, batch=batch):
        rounds += 1
    return rounds


def test_old_rows_go_in_batches_and_young_ones_stay() -> None:
    connection = filled(35, stored_at=NOW - 101)
    insert_records(connection, [Entry(invocation("young"), failure(), [line()])], NOW - 99)
    assert run_all(connection, SqliteOptions(retention=100)) == 4
    assert counts(connection) == [1, 1, 1, 0]
    assert connection.execute("SELECT id FROM invocation").fetchall() == [("young",)]


def test_a_function_cannot_keep_its_lines_by_a_time_of_its_own() -> None:
    connection = filled(3, stored_at=NOW - 101)
    run_all(connection, SqliteOptions(retention=100))
    assert counts(connection) == [0, 0, 0, 0]


def test_beyond_max_records_the_oldest_go() -> None:
    connection = filled(50)
    run_all(connection, SqliteOptions(max_records=20, max_denials=10))
    assert counts(connection) == [20, 20, 20, 10]
    assert connection.execute("SELECT min(id) FROM invocation").fetchone() == ("i30",)


def test_beyond_max_bytes_the_oldest_go_until_there_is_room() -> None:
    connection = filled(3000)
    limit = used_bytes(connection) // 2
    run_all(connection, SqliteOptions(max_bytes=limit), batch=100)
    assert used_bytes(connection) <= limit
    left = counts(connection)
    assert all(0 < count < 3000 for count in left)
    assert connection.execute("SELECT max(sequence) FROM log_line").fetchone() == (3000,)


def test_an_empty_store_beyond_max_bytes_does_not_loop() -> None:
    connection = filled(0)
    assert not prune(connection, SqliteOptions(max_bytes=1), now=NOW, batch=10)


def test_denials_have_a_bound_of_their_own_and_push_nothing_out() -> None:
    connection = filled(10)
    insert_denials(connection, [denial() for _ in range(500)], NOW)
    run_all(connection, SqliteOptions(max_denials=100))
    assert counts(connection) == [10, 10, 10, 100]


def test_tokens_that_ended_long_ago_go_and_those_in_force_stay() -> None:
    connection = filled(0)
    ended = NOW - ENDED_KEPT
    accounts.add_user(connection, KeepUser(user=user()))
    for number, (expires, revoked) in enumerate(
        [(None, None), (ended - 1, None), (None, ended - 1), (ended + 1, ended + 1), (NOW, None)]
    ):
        made = token(f"t{number}", user="ada", expires_at=expires, revoked_at=revoked)
        accounts.add_token(connection, KeepToken(token=made))
    run_all(connection, SqliteOptions())
    assert [t.id for t in accounts.tokens(connection, ReadTokens())] == ["t0", "t3", "t4"]


def test_nothing_is_due_within_the_bounds() -> None:
    connection = filled(30)
    assert not prune(connection, SqliteOptions(), now=NOW, batch=10)
    assert counts(connection) == [30, 30, 30, 30]


def test_the_writer_prunes_by_itself_and_keeps_what_must_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.store.sqlite.store.PRUNE_SECONDS", 0.05)

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", SqliteOptions(retention=0.01), key=KEY)
        await deploy(store)
        await store.change(KeepToken(token=token()))
        for number in range(3000):
            store.record(invocation(f"i{number}"), None, [line()])
        await store.flush()
        end = time.monotonic() + 10
        while (
            (await store.read(ListInvocations())).invocations or await store.read(ReadLogs())
        ) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert (await store.read(ListInvocations())).invocations == ()
        assert await store.read(ReadLogs()) == ()
        assert len((await store.read(ListFunctions())).functions) == 1
        assert len(await store.read(ReadTokens())) == 1
        assert (
            len(await store.read(ShowAliasHistory(project="demo", function="thumbs", name="live")))
            == 1
        )
        await store.close()

    asyncio.run(run())


def test_the_bound_holds_while_records_come_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Until its turn comes, less than _PRUNE_AFTER_ROWS may be above the bound.
    monkeypatch.setattr("casemate.store.sqlite.store.PRUNE_SECONDS", 0.5)

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", SqliteOptions(max_records=1000), key=KEY)
        for number in range(15_000):
            store.record(invocation(f"i{number}"), None, [line()])
        await store.flush()
        await deploy(store)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            left = (
                len(await store.read(ReadLogs(limit=50_000))),
                len((await store.read(ListInvocations(limit=50_000))).invocations),
            )
            if max(left) <= 1000:
                break
            await asyncio.sleep(0.02)
        assert left == (1000, 1000)
        assert ((await store.read(ListInvocations(limit=1))).invocations)[0].id == "i14999"
        await store.close()

    asyncio.run(run())


def principals(connection: engine.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT principal, count(*) FROM denial GROUP BY principal")
    return dict(rows.fetchall())


def test_a_flood_of_denials_pushes_out_none_but_its_own() -> None:
    connection = filled(0)
    known = [denial(by=f"token:t{n % 3}", reason=str(n)) for n in range(30)]
    insert_denials(connection, known, NOW)
    for _ in range(10):
        flood = [denial(by="anonymous:public", resource=f"r{n}") for n in range(500)]
        insert_denials(connection, flood, NOW)
        run_all(connection, SqliteOptions(max_denials=200), batch=1000)
    assert principals(connection) == {
        "anonymous:public": 170,
        "token:t0": 10,
        "token:t1": 10,
        "token:t2": 10,
    }
    newest = connection.execute("SELECT max(sequence) FROM denial").fetchone()
    assert newest == (5030,), "of the flood the oldest went"


def test_who_has_a_token_pushes_out_none_but_its_own_either() -> None:
    connection = filled(0)
    insert_denials(connection, [denial(by="token:quiet") for _ in range(5)], NOW)
    insert_denials(connection, [denial(by="token:loud") for _ in range(500)], NOW)
    insert_denials(connection, [denial(by="token:other") for _ in range(400)], NOW)
    run_all(connection, SqliteOptions(max_denials=105), batch=7)
    assert principals(connection) == {"token:quiet": 5, "token:loud": 50, "token:other": 50}


def test_where_the_disk_is_full_the_largest_give_way_first() -> None:
    connection = filled(0)
    insert_denials(connection, [denial(by="token:quiet") for _ in range(5)], NOW)
    insert_denials(connection, [denial(by="token:loud") for _ in range(3000)], NOW)
    limit = used_bytes(connection) // 2
    run_all(connection, SqliteOptions(max_bytes=limit), batch=100)
    assert principals(connection)["token:quiet"] == 5
    assert used_bytes(connection) <= limit
