"""The writer: group commit, one failing change among others, and an end in order."""

from __future__ import annotations

import asyncio
import threading

import pytest
from data_support import Data

from casemate.data import DataClosedError, DataError
from casemate.data.reading import ReadThreads
from casemate.model.errors import ConflictError, InvalidInputError


def insert(name: str):
    def change(work):
        work.connection.execute("INSERT INTO meta VALUES (?, X'78')", (name,))
        return name

    return change


def names(data: Data) -> set[str]:
    async def ask():
        return await data.opened().read(
            lambda c: {row[0] for row in c.execute("SELECT name FROM meta")}
        )

    return data.run(ask()) - {"marks"}


def failing(error: Exception):
    def change(work):
        work.connection.execute("INSERT INTO meta VALUES ('half', X'78')")
        work.after_commit(lambda: pytest.fail("it was not committed"))
        raise error

    return change


def together(data: Data, *changes):
    """Queue changes so that one transaction holds them."""
    data.resources("p")

    async def race():
        opened = data.opened()
        begin = threading.Event()

        def wait(work):
            begin.wait(5)

        first = opened.change(wait)
        futures = [opened.change(change) for change in changes]
        begin.set()
        await first
        return await asyncio.gather(*futures, return_exceptions=True)

    return data.run(race())


def test_what_is_wrong_with_one_is_its_own_answer(data: Data) -> None:
    results = together(
        data,
        insert("a"),
        failing(ConflictError("no")),
        failing(ValueError("planted-payload")),
        insert("a"),
        insert("b"),
    )
    assert results[0] == "a"
    assert isinstance(results[1], ConflictError)
    assert isinstance(results[2], DataError)
    assert "planted-payload" not in str(results[2])
    assert isinstance(results[3], InvalidInputError)
    assert results[4] == "b"
    assert names(data) == {"a", "b"}


def test_a_failing_database_fails_only_who_asked_too_much(data: Data) -> None:
    def broken(work):
        work.connection.execute("SELECT * FROM no_such_table")

    results = together(data, insert("a"), broken, insert("b"))
    assert (results[0], results[2]) == ("a", "b")
    assert isinstance(results[1], DataError)
    assert names(data) == {"a", "b"}


def test_actions_run_before_the_answer_and_cannot_undo_it(data: Data) -> None:
    seen = []

    def change(work):
        work.after_commit(lambda: seen.append(1))
        work.after_commit(lambda: 1 / 0)
        work.after_commit(lambda: seen.append(2))
        return "done"

    assert together(data, change) == ["done"]
    assert seen == [1, 2]


def test_many_changes_share_few_commits(data: Data) -> None:
    data.resources("p")
    commits = []

    async def race():
        opened = data.opened()
        opened.writer.connection.set_trace_callback(
            lambda statement: commits.append(1) if statement == "COMMIT" else None
        )
        await asyncio.gather(*(opened.change(insert(f"k{number}")) for number in range(200)))

    data.run(race())
    assert len(commits) < 50


def test_a_cancelled_change_is_made_all_the_same(data: Data) -> None:
    async def cancel():
        opened = data.opened()
        future = opened.change(insert("a"))
        future.cancel()
        await opened.change(insert("b"))

    data.resources("p")
    data.run(cancel())
    assert names(data) == {"a", "b"}


def test_what_is_queued_is_written_at_the_end(data: Data) -> None:
    async def leave():
        for number in range(50):
            data.opened().change(insert(f"k{number}"))

    data.resources("p")
    data.run(leave())
    opened = data.opened()
    data.reopen()
    data.resources("p")
    assert len(names(data)) == 50

    async def late():
        with pytest.raises(DataClosedError):
            opened.change(insert("late"))
        with pytest.raises(DataClosedError):
            await opened.read(lambda connection: None)

    data.run(late())


def test_a_failing_sweep_is_no_end(data: Data, monkeypatch) -> None:
    from casemate.data import project as project_module

    data.resources("p")

    def fail(*_: object) -> bool:
        raise ValueError("broken")

    async def run():
        opened = data.opened()
        monkeypatch.setattr(project_module.sweep, "sweep", fail)
        opened.writer._upkeep_due = 0.0
        await opened.change(insert("a"))
        await opened.change(insert("b"))

    data.run(run())
    assert names(data) == {"a", "b"}


def test_reading_threads() -> None:
    threads = ReadThreads(2)

    async def ask():
        assert await threads.submit(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.submit(lambda: 1 / 0)
        cancelled = threads.submit(lambda: 8)
        cancelled.cancel()
        return await threads.submit(threading.get_ident)

    assert asyncio.run(ask()) != threading.get_ident()
    threads.close()

    async def late():
        with pytest.raises(DataClosedError):
            threads.submit(lambda: 7)

    asyncio.run(late())


def test_a_reader_cannot_write(data: Data) -> None:
    data.resources("p")

    async def write():
        with pytest.raises(DataError):
            await data.opened().read(lambda c: c.execute("DELETE FROM resource"))

    data.run(write())
