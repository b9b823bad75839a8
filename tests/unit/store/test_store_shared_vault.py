"""The vault's rows on a server: replaced by who knows what is there, with all files or none."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreError, StoreForeignError
from casemate.store.postgresql.schema import VAULT_TOPIC
from casemate.store.postgresql.shared_vault import fetched_state
from casemate.store.postgresql.store import SCHEMA, PostgresqlStore
from casemate.store.shared_vault import StateChange, StoredFile, StoredState
from support.database import Server


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def change(before: bytes, after: bytes, added: Any = (), removed: Any = ()) -> StateChange:
    files = [StoredFile(*file) for file in added]
    state = StoredState(digest(after), after)
    return StateChange(digest(before) if before else b"", len(after), state, files, removed)


def on_two(database: str, scene: Callable[[Any, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        stores = [PostgresqlStore.open(Settings.of_url(database), cluster="tests") for _ in "12"]
        try:
            await scene(*stores)
        finally:
            for store in stores:
                await store.close()

    asyncio.run(run())


def test_a_state_is_replaced_once_with_its_files(database: str) -> None:
    async def scene(one: Any, other: Any) -> None:
        here, there = one.vault_rows(), other.vault_rows()
        assert await here.state(b"") is None
        await here.keep_files([StoredFile("a", b"1"), StoredFile("b", b"2")])
        first = [rows.change(change(b"", b"one")) for rows in (here, there)]
        assert sorted(await asyncio.gather(*first)) == [False, True]
        assert await there.state(b"") == (digest(b"one"), b"one")
        assert await there.state(digest(b"one")) == (digest(b"one"), b"")
        ours = change(b"one", b"two!", added=[("c", b"3" * 1000)], removed=["a"])
        theirs = change(b"one", b"three", added=[("d", b"4")], removed=["b"])
        made = await asyncio.gather(here.change(ours), there.change(theirs))
        assert sorted(made) == [False, True]
        found = await here.files(["a", "b", "c", "d"])
        assert found == ((None, b"2", b"3" * 1000, None) if made[0] else (b"1", None, None, b"4"))
        assert not await here.change(change(b"one", b"late", removed=["b", "c", "d"]))
        assert await there.files(["a", "b", "c", "d"]) == found

    on_two(database, scene)


def test_a_change_is_followed(database: str) -> None:
    async def scene(one: Any, other: Any) -> None:
        begun = (await other.changes_since(0)).revision
        await one.vault_rows().change(change(b"", b"one"))
        found = await other.changes_since(begun)
        assert (found.revision, found.topics) == (begun + 1, {VAULT_TOPIC})
        await one.vault_rows().change(change(b"", b"two"))
        assert (await other.changes_since(found.revision)).topics == set()

    on_two(database, scene)


def test_of_many_at_once_each_is_made_on_the_one_before(database: str) -> None:
    async def scene(one: Any, other: Any) -> None:
        made = []

        async def add(store: Any, name: str) -> None:
            rows = store.vault_rows()
            while True:
                before = await rows.state(b"")
                text = before.content if before is not None else b""
                if await rows.change(change(text, text + name.encode())):
                    made.append(name)
                    return

        await asyncio.gather(
            *(add(s, n) for s, n in zip((one, other) * 8, "abcdefghijklmnop", strict=True))
        )
        assert sorted((await one.vault_rows().state(b"")).content.decode()) == sorted(made)
        assert len(made) == 16

    on_two(database, scene)


def test_a_node_that_joins_gets_the_state_and_no_more_than_it_takes(
    database: str, postgresql_server: Server
) -> None:
    settings = Settings.of_url(database)
    assert fetched_state(settings, SCHEMA, 100) is None

    async def scene(one: Any, other: Any) -> None:
        await one.vault_rows().change(change(b"", b"x" * 50))

    on_two(database, scene)
    assert fetched_state(settings, SCHEMA, 50) == b"x" * 50
    with pytest.raises(StoreError, match="50 bytes, expected at most 49"):
        fetched_state(settings, SCHEMA, 49)
    empty = Settings.of_url(postgresql_server.url(postgresql_server.database()))
    assert fetched_state(empty, SCHEMA, 50) is None
    with postgresql_server.connect(empty.database) as connection:
        connection.execute("CREATE SCHEMA casemate_control")
        connection.execute("CREATE TABLE casemate_control.casemate_schema (kind text)")
        connection.execute("INSERT INTO casemate_control.casemate_schema VALUES ('data')")
    with pytest.raises(StoreForeignError, match="not that of a cluster's control"):
        fetched_state(empty, SCHEMA, 50)
