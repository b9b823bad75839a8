"""A move that is killed anywhere leaves no place half-made in use, and is gone on with."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from migration_samples import (
    Folder,
    Shared,
    answers,
    to_folder,
    to_server,
)

from casemate.blobs import Blobs
from casemate.data import DataFullError
from casemate.migration.postgresql_place import PostgresqlSource, PostgresqlTarget
from casemate.migration.sqlite_place import SqliteSource, SqliteTarget
from casemate.store import StoreError, StoreForeignError

KILLED = 9


def killed(work: Callable[[], object]) -> None:
    """Do it in a process that ends in the middle, with nothing closed and nothing said."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == KILLED


def at(stage: str) -> Callable[[str, int], None]:
    """Return what ends the process as soon as it is at a stage."""

    def shown(doing: str, _rows: int) -> None:
        if doing.startswith(stage):
            os._exit(KILLED)

    return shown


def end(*_: object, **__: object) -> None:
    os._exit(KILLED)


STAGES = ("reading the store", "writing the project", "comparing the project", "moving bundles")


def test_a_move_to_a_server_is_gone_on_with(
    folder: Folder, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder.with_data(answers)
    for stage in (STAGES[0], STAGES[2], "writing the store"):
        killed(lambda stage=stage: to_server(folder, shared, at(stage)))  # type: ignore[misc]
        assert folder.with_data(answers) == before
        if stage != STAGES[0]:
            with pytest.raises(StoreForeignError, match="not whole yet"):
                shared.store()
    with monkeypatch.context() as patched:
        patched.setattr(SqliteSource, "mark_moved", end)
        killed(lambda: to_server(folder, shared))
        assert folder.with_data(answers) == before
    with monkeypatch.context() as patched:
        patched.setattr(PostgresqlTarget, "open", end)
        killed(lambda: to_server(folder, shared))
    # Between the two marks no node starts anywhere.
    with pytest.raises(StoreError, match="was moved to"):
        folder.store()
    with pytest.raises(StoreForeignError, match="not whole yet"):
        shared.store()
    moved = to_server(folder, shared)
    assert [one.kept for one in moved.parts if one.part == "project shop"] == [True]
    assert shared.with_data(answers) == before
    named = {row[0] for row in shared.sql("SELECT file FROM p_shop.object WHERE file IS NOT NULL")}
    assert named == {path.name for path in (shared.path / "objects" / "shop").iterdir()}


def test_a_move_back_is_gone_on_with(
    folder: Folder, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder.with_data(answers)
    to_server(folder, shared)
    shared.stop()
    back = Folder(tmp_path / "back", folder.keys)
    for stage in (STAGES[1], "writing the store"):
        killed(lambda stage=stage: to_folder(shared, back, at(stage)))  # type: ignore[misc]
        with pytest.raises(StoreError, match="not whole yet"):
            back.store()
    assert shared.with_data(answers) == before
    shared.stop()
    for kind, name in ((PostgresqlSource, "mark_moved"), (SqliteTarget, "open")):
        with monkeypatch.context() as patched:
            patched.setattr(kind, name, end)
            killed(lambda: to_folder(shared, back))
        with pytest.raises(StoreError, match="not whole yet"):
            back.store()
    with pytest.raises(StoreForeignError, match="was moved away"):
        shared.store()
    to_folder(shared, back, resumes=True)
    assert back.with_data(answers) == before
    assert not (back.folders.store / "records.db.move").exists()


@pytest.mark.storm
def test_what_changed_since_an_earlier_try_is_moved_as_it_is_now(
    folder: Folder, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(SqliteSource, "mark_moved", end)
        killed(lambda: to_server(folder, shared))

    async def change(data: object) -> None:
        await data.put_object("shop", "files", "o40000", b"n" * 50_000)  # type: ignore[attr-defined]
        await data.delete_object("shop", "files", "o200000")  # type: ignore[attr-defined]
        await data.ensure("other", (await data.resources("shop")))  # type: ignore[attr-defined]

    folder.with_data(change)
    now = folder.with_data(answers)
    folder.bundle(content=b"another" * 100)
    moved = to_server(folder, shared)
    assert {one.part: one.kept for one in moved.parts}["project shop"] is False
    assert shared.with_data(answers) == now
    (blob,) = shared.sql("SELECT blob FROM casemate_control.bundle")
    assert (shared.path / "bundles" / blob[0]).read_bytes() == b"another" * 100


@pytest.mark.storm
def test_a_full_disk_is_told_and_gone_on_from(folder: Folder, shared: Shared) -> None:
    opened = shared.blobs

    class Full:
        def __init__(self, blobs: Blobs) -> None:
            self._blobs = blobs

        def __getattr__(self, name: str) -> object:
            return getattr(self._blobs, name)

        def create(self) -> object:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = folder.with_data(answers)
    shared.blobs = lambda kind: Full(opened(kind))  # type: ignore[assignment,method-assign]
    with pytest.raises(DataFullError, match="No space left"):
        to_server(folder, shared)
    assert folder.with_data(answers) == before
    shared.blobs = opened  # type: ignore[method-assign]
    to_server(folder, shared)
    assert shared.with_data(answers) == before
