"""What is refused, and that nothing is written then."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from migration_samples import (
    DIGEST,
    FakeKeys,
    Folder,
    Shared,
    answers,
    to_folder,
    to_server,
)

from casemate.data import DataCorruptError
from casemate.data.schema import MIGRATIONS as PROJECT
from casemate.migration.errors import (
    InUseError,
    MigrationError,
    NotTheSameError,
    TakenError,
    UnstorableError,
)
from casemate.migration.sequence import Move
from casemate.sqlite import engine
from casemate.store import StoreError, StoreKeyError, StoreLockedError, StoreVersionError
from casemate.vault.interface import Purpose


def alter(folder: Folder, name: str, *statements: str) -> None:
    """Do something to a file of the node that is not ours to do."""
    store = name == "store"
    path = folder.folders.store / "records.db" if store else folder.folders.projects / "shop@1.db"
    key = folder.keys("" if store else "shop", Purpose.STORE if store else Purpose.DATA).key
    with closing(engine.connect(path, key)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("part", "statement", "named"),
    [
        ("store", "UPDATE version SET created_by = 'a' || char(0)", "column created_by .* version"),
        (
            "store",
            "INSERT INTO node_value VALUES (CAST(x'61ff' AS TEXT), x'00')",
            "column name of a row of the table node_value",
        ),
        (
            "project",
            "UPDATE object SET key = 'k' || char(0) WHERE id = 1",
            "project shop: the column key of row 1 of the table object has a NUL",
        ),
        (
            "project",
            "UPDATE message SET key = CAST(x'eda080' AS TEXT)",
            r"column key of row \d of the table message has text that is no Unicode",
        ),
        (
            "project",
            "UPDATE status SET error_id = 'e' || char(0)",
            r"column error_id of row \d of the table status",
        ),
    ],
)
def test_text_that_the_server_does_not_keep_is_named_before_anything_is_written(
    folder: Folder, shared: Shared, part: str, statement: str, named: str
) -> None:
    alter(folder, part, statement)
    with pytest.raises(UnstorableError, match=named):
        to_server(folder, shared)
    assert not shared.schemas()


def test_what_only_the_file_keeps_as_text_may_have_any(folder: Folder, shared: Shared) -> None:
    alter(folder, "project", "UPDATE letter SET reason = 'r' || char(0)")
    to_server(folder, shared)
    (letter,) = shared.with_data(answers)["letters"]
    assert letter[0].reason == "r\0"


def test_a_node_that_has_the_folder_is_left_alone(folder: Folder, shared: Shared) -> None:
    async def try_it(_store: object) -> None:
        with pytest.raises(StoreLockedError, match="another node"):
            to_server(folder, shared)

    folder.with_store(try_it)
    assert not shared.schemas()


def test_another_master_key_is_refused(folder: Folder, shared: Shared) -> None:
    folder.keys = FakeKeys("another")
    with pytest.raises(StoreKeyError):
        to_server(folder, shared)
    assert not shared.schemas()


@pytest.mark.parametrize(
    ("part", "version", "kind", "named"),
    [
        ("store", 7, MigrationError, "The store has schema version 7"),
        ("store", 99, StoreVersionError, "99"),
        ("project", len(PROJECT) - 1, MigrationError, "The project shop has schema version"),
    ],
)
def test_other_releases_are_refused(
    folder: Folder, shared: Shared, part: str, version: int, kind: type[Exception], named: str
) -> None:
    alter(folder, part, f"PRAGMA user_version = {version}")
    with pytest.raises(kind, match=named):
        to_server(folder, shared)
    assert not shared.schemas()


def test_a_bundle_that_is_gone_is_named(folder: Folder, shared: Shared) -> None:
    (folder.folders.bundles / f"{DIGEST}.sealed").unlink()
    with pytest.raises(MigrationError, match=DIGEST):
        to_server(folder, shared)
    assert not shared.schemas()


@pytest.mark.parametrize("harm", ["gone", "flipped"])
def test_a_damaged_object_is_named(folder: Folder, shared: Shared, harm: str) -> None:
    name = max(
        (folder.folders.projects / "objects" / "shop").iterdir(), key=lambda p: p.stat().st_size
    )
    if harm == "gone":
        name.unlink()
    else:
        content = bytearray(name.read_bytes())
        content[70_000] ^= 1
        name.write_bytes(content)
    with pytest.raises(DataCorruptError, match=r"object '[^']+' \(number \d+\) of the bucket"):
        to_server(folder, shared)
    with pytest.raises(StoreError, match="not whole yet"):
        shared.store()


def test_a_database_of_another_cluster_is_left_alone(folder: Folder, shared: Shared) -> None:
    shared.cluster = "d2" * 16
    shared.with_store(lambda _: asyncio.sleep(0))
    shared.cluster = "c1" * 16
    with pytest.raises(TakenError, match="holds the state of the cluster"):
        to_server(folder, shared)


def test_a_database_in_use_is_left_alone(folder: Folder, shared: Shared) -> None:
    shared.with_store(lambda _: asyncio.sleep(0))
    with pytest.raises(TakenError, match="in use or was moved away"):
        to_server(folder, shared)


def test_a_schema_that_is_there_beside_is_not_dropped(folder: Folder, shared: Shared) -> None:
    shared.sql("CREATE SCHEMA p_shop; CREATE TABLE p_shop.mine (id int)")
    with pytest.raises(Exception, match="was not made by Casemate"):
        to_server(folder, shared)
    assert shared.sql("SELECT count(*) FROM p_shop.mine") == [(0,)]


def test_nodes_that_serve_are_named(folder: Folder, shared: Shared, tmp_path: Path) -> None:
    to_server(folder, shared)
    shared.with_data(answers)
    back = Folder(tmp_path / "back", folder.keys)
    for seen in (
        "SELECT 1",  # it was opened a moment ago
        "INSERT INTO casemate_control.node VALUES "
        "('n', 'i', 'a', 1, 'v', 0, extract(epoch FROM now()), 0)",
    ):
        shared.sql(seen)
        with pytest.raises(InUseError):
            to_folder(shared, back)
        assert not (back.folders.store / "records.db.move").exists()
        shared.stop()
    with pytest.raises(TakenError, match="has a store or data already"):
        to_folder(shared, folder)
    with pytest.raises(StoreError, match=re.escape(shared.name)):
        folder.source("postgresql://elsewhere:5432/x")
    shared.sql("UPDATE casemate_projects.project SET moves = 1")
    with pytest.raises(MigrationError, match="or were moved between them: shop"):
        to_folder(shared, back)
    shared.sql("UPDATE casemate_projects.project SET moves = 0")
    for swap in (
        "UPDATE p_shop.item SET value = (SELECT value FROM p_shop.item WHERE id = 2) WHERE id = 1",
        "UPDATE p_shop.meta SET value = (SELECT value FROM p_shop.meta WHERE name = 'marks') "
        "WHERE name = 'tokens'",
    ):
        shared.sql(swap)
        with pytest.raises(DataCorruptError, match="not authentic"):
            to_folder(shared, back)
        assert not (back.folders.store / "records.db.move").exists()


def test_a_node_that_slept_writes_nothing_any_more(
    folder: Folder, shared: Shared, tmp_path: Path
) -> None:
    to_server(folder, shared)

    async def sleep(data: object) -> None:
        await data.put_object("shop", "files", "a", b"1")  # type: ignore[attr-defined]
        shared.stop()
        to_folder(shared, Folder(tmp_path / "back", folder.keys))
        with pytest.raises(Exception, match="Another process keeps data as the node"):
            await data.put_object("shop", "files", "a", b"2")  # type: ignore[attr-defined]

    shared.with_data(sleep)


def test_two_moves_do_not_meet(folder: Folder, shared: Shared) -> None:
    first = shared.target()
    try:
        with pytest.raises(InUseError, match="Somebody else writes"):
            shared.target()
    finally:
        first.close()


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM p_shop.deduplication",
        "SELECT setval('p_shop.message_number', 999)",
    ],
)
def test_what_is_not_the_same_there_is_told(
    folder: Folder, shared: Shared, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: Callable[..., object] = Move._verified

    def harmed(*arguments: object) -> object:
        shared.sql(harm)
        return verified(*arguments)

    monkeypatch.setattr(Move, "_verified", harmed)
    with pytest.raises(NotTheSameError):
        to_server(folder, shared)
    with pytest.raises(StoreError, match="not whole yet"):
        shared.store()
    folder.with_data(answers)
