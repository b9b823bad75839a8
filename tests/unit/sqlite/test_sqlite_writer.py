"""The writer on its own: jobs, undoing, upkeep that fails, and an end in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlite_samples import connections, count, made

from casemate.model.errors import CasemateError, ConflictError
from casemate.sqlite import engine
from casemate.sqlite import transaction as transaction_module
from casemate.sqlite.answers import Waiter
from casemate.sqlite.connections import Connections
from casemate.sqlite.duties import Duties
from casemate.sqlite.errors import (
    DatabaseClosedError,
    DatabaseError,
    DatabaseGoneError,
    DatabaseUnsureError,
)
from casemate.sqlite.family import Family
from casemate.sqlite.writer import Writer
from casemate.store.sqlite.faults import STORE


class Plain(Duties[engine.Connection]):
    """Counts what it is told; its upkeep raises what it is given."""

    def __init__(self) -> None:
        self.open = 0
        self.commits = 0
        self.faults: list[Exception] = []
        self.told: list[CasemateError] = []
        self.upkeeps = 0

    def begin(self, connection: engine.Connection) -> engine.Connection:
        self.open += 1
        return connection

    def end(self) -> None:
        self.open -= 1

    def begin_job(self) -> None:
        self.open += 1

    def end_job(self) -> None:
        self.open -= 1

    def committed(self, work: engine.Connection) -> None:
        self.commits += 1

    def upkeep(self, work: engine.Connection) -> bool:
        self.upkeeps += 1
        if self.faults:
            raise self.faults.pop(0)
        return False

    def upkeep_failed(self, error: CasemateError) -> None:
        self.told.append(error)


Scene = Callable[[Writer[engine.Connection], Plain, Connections], Awaitable[None]]


def play(folder: Path, scene: Scene, family: Family = STORE, upkeep: float = 60.0) -> None:
    found = connections(made(folder / "x.db"), family)
    duties = Plain()
    writer = Writer(
        found.open_writer(),
        found,
        duties,
        name="test-writer",
        upkeep_seconds=upkeep,
        changes_per_commit=100,
    )
    writer.start()
    try:
        asyncio.run(asyncio.wait_for(scene(writer, duties, found), 30))
    finally:
        writer.stop()
        found.close()
    assert duties.open == 0


def insert(connection: engine.Connection) -> int:
    connection.execute("INSERT INTO t (b) VALUES ('x')")
    return count(connection)


def test_what_comes_in_one_turn_of_a_loop_is_one_transaction(tmp_path: Path) -> None:
    """Before: the first of those who were answered together had one of its own."""

    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        for commits in (1, 2):
            futures = []
            for _ in range(3):
                futures.append(writer.submit(insert))
                time.sleep(0.02)  # the writer's thread could run
            await asyncio.gather(*futures)
            assert duties.commits == commits
            await asyncio.sleep(0.3)  # until the writer waits again: before, it takes what is there
        # What another thread asks for waits for no loop.
        waiter = Waiter.of_running_loop()
        threading.Thread(target=writer.enqueue, args=(waiter, insert)).start()
        deadline = time.monotonic() + 10
        while duties.commits == 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert duties.commits == 3
        assert await waiter.future == 7

    play(tmp_path, scene)


def test_a_job_may_leave_the_next_with_a_new_connection(tmp_path: Path) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        seen = []

        def job(connection: engine.Connection) -> tuple[None, str]:
            seen.append(connection)
            found.end(connection)
            return None, "done"

        assert await writer.submit_job(job) == "done"
        assert await writer.submit(insert) == 1
        assert writer.connection is not seen[0]

    play(tmp_path, scene)


def test_a_job_has_its_turn_and_nobody_needs_to_wait_for_it(tmp_path: Path) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        order = []

        def job(connection: engine.Connection) -> tuple[engine.Connection, None]:
            order.append(count(connection))
            return connection, None

        def broken(_: engine.Connection) -> tuple[engine.Connection, None]:
            raise ZeroDivisionError

        changes = [writer.submit(insert)]
        await asyncio.to_thread(writer.enqueue_job, job)
        await asyncio.to_thread(writer.enqueue_job, broken)
        changes.append(writer.submit(insert))
        assert await asyncio.gather(*changes) == [1, 2]
        assert order == [1]
        with pytest.raises(DatabaseError, match="not foreseen"):
            await writer.submit_job(broken)

    play(tmp_path, scene)


def test_what_was_refused_is_undone_beside_the_database_too(tmp_path: Path) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        undone: list[str] = []

        def refused(connection: engine.Connection) -> None:
            insert(connection)
            raise ConflictError

        def undo() -> None:
            undone.append("refused")
            raise ZeroDivisionError

        waiter, kept = Waiter.of_running_loop(), Waiter.of_running_loop()
        writer.enqueue(waiter, refused, undo)
        writer.enqueue(kept, insert, lambda: undone.append("kept"))
        assert await kept.future == 1
        with pytest.raises(ConflictError):
            await waiter.future
        assert undone == ["refused"]

    play(tmp_path, scene)


def test_a_commit_of_which_nothing_is_known_is_neither_repeated_nor_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        calls: list[int] = []
        undone: list[int] = []

        def fail(_: object, family: Family) -> None:
            raise family.unsure.of("EIO")

        def change(connection: engine.Connection) -> int:
            calls.append(1)
            return insert(connection)

        with monkeypatch.context() as patch:
            patch.setattr(transaction_module, "_commit", fail)
            begin = threading.Event()
            first = writer.submit_job(lambda c: (begin.wait(5) and c, None))  # type: ignore[arg-type, return-value]
            waiters = [Waiter.of_running_loop() for _ in range(3)]
            for waiter in waiters:
                writer.enqueue(waiter, change, lambda: undone.append(1))
            begin.set()
            await first
            answers = await asyncio.gather(*(w.future for w in waiters), return_exceptions=True)
        assert all(isinstance(answer, DatabaseUnsureError) for answer in answers)
        assert (len(calls), undone) == (3, [])
        assert await writer.submit(insert) == 1

    play(tmp_path, scene)


@pytest.mark.parametrize("fault", [ValueError("x"), ConflictError("x"), MemoryError()])
def test_an_upkeep_that_fails_is_told_and_the_writer_lives_on(
    tmp_path: Path, fault: Exception
) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        duties.faults.append(fault)
        for _ in range(200):
            if duties.told and duties.upkeeps > 1:
                break
            await asyncio.sleep(0.02)
        assert len(duties.told) == 1
        assert await writer.submit(insert) == 1

    play(tmp_path, scene, upkeep=0.02)


def test_nothing_is_written_to_a_file_that_is_gone(tmp_path: Path) -> None:
    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        assert await writer.submit(insert) == 1
        (tmp_path / "x.db").rename(tmp_path / "y.db")
        for _ in range(2):
            with pytest.raises(DatabaseGoneError):
                await writer.submit(insert)
        before = duties.commits
        (tmp_path / "y.db").rename(tmp_path / "x.db")
        await writer.submit(insert)
        assert duties.commits == before + 1

    play(tmp_path, scene)


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    kept: list[Writer[engine.Connection]] = []

    async def scene(writer: Writer[engine.Connection], duties: Plain, found: Connections) -> None:
        kept.append(writer)
        for _ in range(5):
            writer.submit(insert)

    play(tmp_path, scene)
    found = connections(tmp_path / "x.db")
    assert found.read(count) == 5
    found.close()

    async def late() -> None:
        with pytest.raises(DatabaseClosedError):
            kept[0].submit(insert)
        with pytest.raises(DatabaseClosedError):
            kept[0].enqueue_job(lambda connection: (connection, None))

    asyncio.run(late())
