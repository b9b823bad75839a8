"""An older copy of a project's database is refused; what a kill or a full disk leaves is none."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from data_support import RESOURCES, FakeVault

from casemate.data import SqliteProjectData, starts
from casemate.data.errors import DataCorruptError, DataFullError
from casemate.data.starts import moment_of
from support.data_calls import Calls


class Seen:
    """Implements `Starts`."""

    def __init__(self) -> None:
        self.current, self.ticks = 1, 0
        self.noted: dict[str, int] = {}
        self.closed = 0

    def seen(self, project: str) -> int:
        return self.noted.get(project, 0)

    def now(self) -> int:
        return moment_of(self.current) + self.ticks

    def note(self, project: str, moment: int) -> None:
        self.noted[project] = moment

    async def close(self) -> None:
        self.closed += 1


class Data(SqliteProjectData, Calls):
    """With a method for each operation."""


Scene = Callable[[Data], Awaitable[Any]]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def begin(tmp_path: Path, seen: Seen) -> Callable[..., None]:
    """Play a scene in one start of a node; `vault` has its keys."""
    vault = FakeVault()

    def play(scene: Scene, start: int, *accepted: str, newest: int = 1) -> None:
        async def run() -> None:
            seen.current = start
            vault.newest = newest
            data = Data(
                tmp_path / "data",
                vault.data_key,
                accepted_losses=frozenset(accepted),
                starts=seen,
            )
            try:
                await scene(data)
            finally:
                await data.close()

        asyncio.run(run())

    return play


async def make(data: Data) -> None:
    await data.ensure("p", RESOURCES)
    await data.send("p", "queue", "jobs", b"1")


async def read(data: Data) -> None:
    await data.queue_info("p", "queue", "jobs")


def test_a_database_that_has_not_seen_the_last_start_is_refused(
    begin: Any, seen: Seen, tmp_path: Path
) -> None:
    begin(make, 1)
    older = tmp_path / "older"
    shutil.copytree(tmp_path / "data", older)
    begin(read, 2)
    assert seen.noted == {"p": moment_of(2)}
    shutil.rmtree(tmp_path / "data")
    older.rename(tmp_path / "data")
    for start in (3, 4):
        with pytest.raises(DataCorruptError, match=r"start 2, .* this one is of start 1") as told:
            begin(read, start)
        assert "--accept-loss data/p" in str(told.value.next_step)
        assert seen.noted == {"p": moment_of(2)}
    begin(read, 5, "p")
    begin(read, 6)
    assert seen.noted == {"p": moment_of(6)}


def test_what_was_not_remembered_before_a_kill_is_no_older_copy(begin: Any, seen: Seen) -> None:
    """The database has it first."""
    begin(make, 1)
    begin(read, 2)
    seen.noted = {"p": moment_of(1)}
    begin(read, 3)
    seen.noted = {}  # the store was lost, and that was accepted
    begin(read, 1)
    assert seen.noted == {"p": moment_of(1)}


def test_a_new_database_of_a_name_that_was_here_before_is_none(
    begin: Any, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen.noted = {"p": moment_of(7)}
    with monkeypatch.context() as patch:
        # Killed once it has its place, before it is open.
        patch.setattr("casemate.data.databases.SqliteProject", None)
        with pytest.raises(TypeError):
            begin(make, 8)
    assert list((tmp_path / "data").glob("p@1.db"))
    begin(make, 9)
    assert seen.noted == {"p": moment_of(9)}


def test_an_earlier_release_left_no_start(
    begin: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("casemate.data.databases.mark", lambda *_: 0)
        patch.setattr("casemate.data.sqlite_project.mark", lambda *_: 0)
        begin(make, 1)
    assert not seen.noted
    begin(read, 2)
    assert seen.noted == {"p": moment_of(2)}


def test_a_rotation_of_keys_takes_it_along(begin: Any, seen: Seen) -> None:
    begin(make, 4)

    async def rotate(data: Data) -> None:
        await data._renew_keys("p")

    begin(rotate, 5, newest=2)
    begin(read, 6, newest=2)
    assert seen.noted == {"p": moment_of(6)}


def test_a_full_disk_keeps_no_project_closed_and_is_remembered_as_none(
    begin: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(make, 1)

    def full(*_given: Any) -> Any:
        raise DataFullError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(starts, "transaction", full)
        begin(read, 2)
    assert seen.noted == {"p": moment_of(1)}
    begin(read, 3)
    assert seen.noted == {"p": moment_of(3)}


def test_it_is_written_once_for_each_start(
    begin: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(make, 1)
    written: list[int] = []
    transaction = starts.transaction

    def counting(*given: Any) -> Any:
        written.append(seen.current)
        return transaction(*given)

    monkeypatch.setattr(starts, "transaction", counting)

    async def often(data: Data) -> None:
        for _ in range(3):
            await read(data)
            await data._projects.let_go("p")
        await make(data)

    begin(often, 2)
    assert written == [2]


def test_an_older_copy_of_the_same_start_is_refused(begin: Any, seen: Seen, tmp_path: Path) -> None:
    """Before: what was opened in the node's last start was none, however old."""
    older = tmp_path / "older"

    async def often(data: Data) -> None:
        await make(data)
        seen.ticks = 7
        shutil.copytree(tmp_path / "data", older)
        assert seen.noted == {"p": moment_of(1)}
        await make(data)
        assert seen.noted == {"p": moment_of(1) + 7}

    begin(often, 1)
    shutil.rmtree(tmp_path / "data")
    older.rename(tmp_path / "data")
    with pytest.raises(DataCorruptError, match=r"start 1, after 35 s, and .* start 1, after 0 s"):
        begin(read, 2)
    begin(read, 2, "p")


def test_a_moment_is_written_once_along_with_a_change_and_never_for_a_look(
    begin: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(make, 1)
    written: list[int] = []

    def writing(connection: Any, moment: int) -> None:
        written.append(moment - moment_of(2))
        starts.write(connection, moment)

    monkeypatch.setattr("casemate.data.sqlite_project.write", writing)

    async def often(data: Data) -> None:
        for seen.ticks in (0, 0, 3, 3, 4, 5):
            await read(data)
            if seen.ticks != 4:
                await make(data)

    begin(often, 2)
    assert written == [3, 5]


def test_a_full_database_takes_what_makes_room_at_any_moment(
    begin: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment that was not written once, and would need room, is no reason to refuse a change."""
    begin(make, 1)

    def full(*_given: Any) -> Any:
        raise DataFullError("The disk is full.")

    async def change(data: Data) -> None:
        await make(data)
        seen.ticks = 9
        await make(data)

    with monkeypatch.context() as patch:
        patch.setattr(starts, "transaction", full)
        begin(change, 2)
    assert seen.noted == {"p": moment_of(1)}
