"""Changes made together: in order, bounded, and each refused alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_sqlite_writer import Plain, play

from casemate.model.errors import ConflictError
from casemate.sqlite import engine, joint
from casemate.sqlite.answers import Waiter
from casemate.sqlite.connections import Connections
from casemate.sqlite.joint import Joint, parts
from casemate.sqlite.writer import Writer


def of(key: str, given: object, weight: int = 0) -> Joint[Any]:
    return Joint(key, given, lambda _, all_: all_, weight)


def made(*changes: Joint[Any] | str) -> list[list[object]]:
    found = parts(changes, lambda c: c if isinstance(c, Joint) else None)
    return [[c.given if isinstance(c, Joint) else c for c in part] for part in found]


def test_those_of_one_key_keep_their_order_and_none_passes_one_that_is_alone() -> None:
    assert made() == []
    assert made(of("a", 1), of("b", 2), of("a", 3), of("b", 4)) == [[1, 3], [2, 4]]
    assert made(of("a", 1), "alone", of("a", 2), of("a", 3)) == [[1], ["alone"], [2, 3]]


def test_together_they_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "MAX_WEIGHT", 10)
    assert made(*(of("a", n, 4) for n in range(5))) == [[0, 1], [2, 3], [4]]
    assert made(of("a", 1, 99), of("a", 2, 1), of("a", 3, 1)) == [[1], [2, 3]]


class Inserting:
    """Inserts names by one call for all; refuses what its test says."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def make(self, work: engine.Connection, names: Sequence[Any]) -> list[object]:
        self.calls.append(len(names))
        for name in names:
            work.execute("INSERT INTO t (b) VALUES (?)", (name,))
        if "bad" in names:
            raise ConflictError("one of them is bad")
        if "odd" in names:
            raise KeyError("odd")
        return [ConflictError("no") if name == "own" else name for name in names]


def outcomes(folder: Path, *names: object) -> tuple[list[object], list[object], list[int], int]:
    """Return what each was answered, what is kept, sizes of the calls, and how many were undone."""
    inserting = Inserting()
    undone: list[object] = []
    answers: list[object] = []
    kept: list[object] = []

    async def scene(writer: Writer[engine.Connection], _: Plain, found: Connections) -> None:
        waiters = []
        hold = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(_: engine.Connection) -> None:
            asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(20)

        first = writer.submit(wait)
        await asyncio.sleep(0.01)
        for name in names:
            waiter = Waiter.of_running_loop()
            change: Joint[engine.Connection] = Joint("t", name, inserting.make)
            writer.enqueue(waiter, change, lambda name=name: undone.append(name))
            waiters.append(waiter.future)
        hold.set()
        await first
        answers.extend(await asyncio.gather(*waiters, return_exceptions=True))
        kept.extend(
            found.read(lambda c: [row[0] for row in c.execute("SELECT b FROM t ORDER BY a")])
        )

    play(folder, scene)
    return answers, kept, inserting.calls, len(undone)


def test_all_of_them_are_one_call(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(20)]
    answers, kept, calls, undone = outcomes(tmp_path, *names)
    assert (answers, kept, calls, undone) == (names, names, [20], 0)


@pytest.mark.parametrize("bad", ["bad", "odd", "\ud800"])
def test_one_that_fails_fails_alone(tmp_path: Path, bad: str) -> None:
    names = [f"n{i}" for i in range(64)]
    answers, kept, calls, undone = outcomes(tmp_path, *names[:40], bad, *names[40:])
    assert sorted(kept) == sorted(names)
    assert [a for a in answers if not isinstance(a, Exception)] == names
    assert isinstance(answers[40], Exception)
    assert undone == 1
    assert len(calls) <= 1 + 2 * 7  # halves, not each alone


def test_all_that_fail_are_told_each(tmp_path: Path) -> None:
    answers, kept, calls, undone = outcomes(tmp_path, *["bad"] * 8)
    assert (kept, undone, len(calls)) == ([], 8, 15)
    assert all(isinstance(answer, ConflictError) for answer in answers)


def test_an_error_that_is_returned_refuses_that_one(tmp_path: Path) -> None:
    answers, _, calls, undone = outcomes(tmp_path, "a", "own", "b")
    assert [isinstance(answer, ConflictError) for answer in answers] == [False, True, False]
    assert (calls, undone) == ([3], 1)
