"""A state that was moved to a server, and back, answers as it did."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from migration_samples import (
    DIGEST,
    SECRET,
    FakeKeys,
    Folder,
    Shared,
    answers,
    to_folder,
    to_server,
    used_up,
)

from casemate.data import NewMessage
from casemate.migration.tables import CONTROL, COUNTED, PROJECT, UNMOVED, UNMOVED_CONTROL
from casemate.model.deployment import LIVE
from casemate.operations.deployments import ShowAliasHistory
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sqlite import engine
from casemate.vault.interface import Purpose


def files(folder: Path) -> dict[str, str]:
    """Return the hashes of all files but of those that say who had it open, or where it went."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("owner.pid", "records.db.move")
        and not path.name.endswith(("-shm", "-count"))
    }


async def told(store: Any) -> list[Any]:
    return [
        await store.read(ReadNodeValue(name="a value")),
        await store.read(ReadNodeValue(name="bucket")),
        await store.read(ShowAliasHistory(project="shop", function="thumbs", name=LIVE)),
    ]


def require_nothing_seen(shared: Shared) -> None:
    """Neither database nor blobs show what is kept."""
    names = [
        row[0] for row in shared.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'p_shop'")
    ]
    rows = [shared.sql(f"SELECT * FROM p_shop.{name}") for name in names]
    assert SECRET.encode() not in repr(rows).encode()
    assert b"user:ada" not in repr(rows).encode()
    assert SECRET.encode() not in b"".join(
        p.read_bytes() for p in shared.path.rglob("*") if p.is_file()
    )


def own_columns(path: Path, key: bytes) -> dict[str, set[str]]:
    with closing(engine.connect(path, key)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            for (name,) in tables
        }


def server_columns(shared: Shared, schema: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table, column in shared.sql(
        "SELECT table_name, column_name FROM information_schema.columns "
        f"WHERE table_schema = '{schema}' AND table_name NOT LIKE 'casemate%'"
    ):
        found.setdefault(table, set()).add(column)
    return found


def require_all_columns(folder: Folder, shared: Shared) -> None:
    """Every table and column is moved, or named as one that is not."""
    store, project = folder.folders.store / "records.db", folder.folders.projects / "shop@1.db"
    for tables, left, founds in (
        (
            PROJECT,
            UNMOVED,
            (
                own_columns(project, folder.keys("shop", Purpose.DATA).key),
                server_columns(shared, "p_shop"),
            ),
        ),
        (
            CONTROL,
            UNMOVED_CONTROL,
            (
                own_columns(store, folder.keys("", Purpose.STORE).key),
                server_columns(shared, "casemate_control"),
            ),
        ),
    ):
        moved = {table.name: set(table.columns) for table in tables}
        for found in founds:
            assert set(found) - left == set(moved)
            for name, names in moved.items():
                assert found[name] - COUNTED.get(name, frozenset()) == names, name


def test_there_and_back(folder: Folder, shared: Shared, tmp_path: Path) -> None:
    before = folder.with_data(answers), folder.with_store(told), files(folder.folders.data)
    there = to_server(folder, shared)
    assert files(folder.folders.data) == before[2]
    assert (shared.with_data(answers), shared.with_store(told)) == before[:2]
    assert [name.name for name in (shared.path / "objects" / "shop").iterdir()] != [
        name.name for name in (folder.folders.projects / "objects" / "shop").iterdir()
    ]
    require_nothing_seen(shared)
    require_all_columns(folder, shared)

    async def serve(store: Any) -> None:
        await store.change(KeepNodeValue(name="bucket", value=b"of this server's nodes"))

    shared.with_store(serve)
    back = Folder(tmp_path / "back", folder.keys)
    shared.stop()
    again = to_folder(shared, back)
    assert (back.with_data(answers), back.with_store(told)) == before[:2]
    assert (back.folders.bundles / f"{DIGEST}.sealed").read_bytes() == b"sealed" * 1000
    # The same rows have the same digest, wherever they are and however they are sealed.
    told_there, told_again = (
        {one.part: one.digest for one in each.parts} for each in (there, again)
    )
    assert told_there == told_again
    assert sum(one.rows for one in there.parts) > 50
    assert (there.objects, there.bundles) == (6, 1)


def test_what_is_used_up_is_used_up_in_the_same_way(
    folder: Folder, shared: Shared, tmp_path: Path
) -> None:
    to_server(folder, shared)
    back = Folder(tmp_path / "back", folder.keys)
    shared.stop()
    to_folder(shared, back)
    (folder.folders.store / "records.db.move").unlink()
    leased, number, claimed, fresh = folder.with_data(used_up)
    assert [one.key for one in leased] == [SECRET]
    assert back.with_data(used_up) == [leased, number, claimed, fresh]


@pytest.mark.storm
def test_newer_keys_are_used_and_older_ones_found(
    folder: Folder, shared: Shared, keys: FakeKeys, tmp_path: Path
) -> None:
    before = folder.with_data(answers)
    keys.newest = 2
    to_server(folder, shared)
    keys.newest = 3
    back = Folder(tmp_path / "back", keys)
    assert shared.with_data(answers) == before
    shared.stop()
    to_folder(shared, back)
    assert (back.folders.projects / "shop@3.db").exists()
    assert back.with_data(answers) == before


def test_numbers_go_on_after_the_highest_that_was_given(folder: Folder, shared: Shared) -> None:
    async def send(data: Any) -> int:
        (number,) = await data.send_many("shop", "queue", "jobs", [new])
        await data.purge("shop", "queue", "jobs")
        return int(number, 16)

    new = NewMessage(body=b"1")
    given = folder.with_data(send)
    to_server(folder, shared)
    assert shared.with_data(send) > given
