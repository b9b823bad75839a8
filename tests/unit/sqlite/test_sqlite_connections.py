"""Connections: replaced when they are of no use, moved to another file, closed in the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_samples import KEY, OTHER_KEY, connections, count, damage, made

from casemate.model.errors import InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.commit_count import lost_commits
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connections import Connections
from casemate.sqlite.copying import change_key, copy_pages
from casemate.sqlite.errors import (
    DatabaseClosedError,
    DatabaseCorruptError,
    DatabaseGoneError,
    DatabaseKeyError,
    DatabaseMediumError,
)
from casemate.store.errors import StoreForeignError
from casemate.store.sqlite.faults import STORE


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Connections, engine.Connection]]:
    found = connections(made(tmp_path / "x.db", 200))
    writer = found.open_writer()
    yield found, writer
    found.end(writer)
    found.close()


def failing(*faults: Exception) -> Callable[[engine.Connection], int]:
    """Return a question that fails so many times, and is then answered."""
    left = list(faults)

    def ask(connection: engine.Connection) -> int:
        if left:
            raise left.pop(0)
        return count(connection)

    return ask


def corrupt() -> engine.Error:
    error = engine.DatabaseError("malformed")
    error.sqlite_errorcode = engine.CORRUPT
    return error


def test_a_reader_that_met_a_bad_page_is_not_asked_again(
    opened: tuple[Connections, engine.Connection],
) -> None:
    seen = []

    def ask(connection: engine.Connection) -> int:
        seen.append(connection)
        if len(seen) == 1:
            raise corrupt()
        return count(connection)

    assert opened[0].read(ask) == 200
    assert seen[0] is not seen[1]
    with pytest.raises(engine.ProgrammingError, match="closed"):
        seen[0].execute("SELECT 1")
    assert opened[0].read(lambda c: c is seen[1])


def test_intact_pages_that_cannot_be_true_are_damage_after_a_third_try(
    opened: tuple[Connections, engine.Connection],
) -> None:
    assert opened[0].read(failing(corrupt(), corrupt())) == 200
    with pytest.raises(DatabaseCorruptError):
        opened[0].read(failing(corrupt(), corrupt(), corrupt()))
    assert opened[0].read(count) == 200


def test_damage_is_named_and_told_as_a_fault(tmp_path: Path) -> None:
    path = made(tmp_path / "x.db", 200)
    damage(path, 3, 3)
    found = connections(path)
    with pytest.raises(DatabaseCorruptError, match=r"page 3 of x\.db"):
        found.read(lambda c: c.execute("SELECT sum(length(b)) FROM t").fetchone())
    assert any("page 3" in fault for fault in found.faults())
    found.close()


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_no_error_is_its_own_cause(tmp_path: Path, key: bytes) -> None:
    path = made(tmp_path / "x.db", 20)
    if key == KEY:
        damage(path, 1, 1)
    found = connections(path, key=key)
    with pytest.raises((DatabaseKeyError, DatabaseCorruptError)) as caught:
        found.read(count)
    seen: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        assert error not in seen
        seen.append(error)
        error = error.__cause__
    found.close()


def test_values_at_fault_are_the_callers(opened: tuple[Connections, engine.Connection]) -> None:
    with pytest.raises(InvalidInputError):
        opened[0].read(lambda c: c.execute("SELECT ?", ("\udc80",)).fetchone())


def test_a_file_that_is_gone_is_missed(
    tmp_path: Path, opened: tuple[Connections, engine.Connection]
) -> None:
    found, writer = opened
    assert found.read(count) == 200
    (tmp_path / "x.db").rename(tmp_path / "y.db")
    with pytest.raises(DatabaseGoneError):
        found.read(count)
    with pytest.raises(DatabaseGoneError):
        found.renew_writer(writer)
    (tmp_path / "y.db").rename(tmp_path / "x.db")
    assert found.read(count) == 200


def test_what_is_refused_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    engine.connect(path, KEY, create=True).execute("CREATE TABLE t (a)")
    before = path.read_bytes()
    found = connections(path)

    def refuse(_: engine.Connection) -> None:
        raise StoreForeignError("not ours")

    with pytest.raises(StoreForeignError):
        found.open_writer(refuse)
    found.close()
    assert path.read_bytes() == before
    assert not path.with_name("x.db-wal").exists()


def test_another_file_takes_its_place(
    tmp_path: Path, opened: tuple[Connections, engine.Connection]
) -> None:
    found, writer = opened
    made(tmp_path / "z.db", 7, OTHER_KEY)
    other = connections(tmp_path / "z.db", key=OTHER_KEY)
    renewed = other.open_writer()
    assert found.read(count) == 200
    found.move(CommitGuard(tmp_path / "z.db"), OTHER_KEY)
    assert (found.read(count), found.path, found.key) == (7, tmp_path / "z.db", OTHER_KEY)
    writer.close()
    other.end(renewed)
    other.close()


def test_one_that_cannot_is_no_loss(
    tmp_path: Path, opened: tuple[Connections, engine.Connection]
) -> None:
    made(tmp_path / "z.db", 7, OTHER_KEY)  # no log is open of it
    with pytest.raises(DatabaseMediumError):
        opened[0].move(CommitGuard(tmp_path / "z.db"), OTHER_KEY)
    assert opened[0].read(count) == 200


def test_after_the_end_nothing_is_read(tmp_path: Path) -> None:
    found = connections(made(tmp_path / "x.db", 1))
    assert found.read(count) == 1
    found.close()
    with pytest.raises(DatabaseClosedError):
        found.read(count)


def test_a_copy_is_one_state_and_has_a_salt_of_its_own(
    tmp_path: Path, opened: tuple[Connections, engine.Connection]
) -> None:
    found, writer = opened
    copy = tmp_path / "copy.db"
    copy.touch()
    source = found.open_copy_source()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (1000, 'not yet')")
    steps = []
    copy_pages(source, copy, KEY, lambda: steps.append(1))
    writer.execute("COMMIT")
    source.close()
    made_copy = engine.connect(copy, KEY)
    assert count(made_copy) == 200
    made_copy.close()
    assert steps
    assert copy.read_bytes()[:16] != (tmp_path / "x.db").read_bytes()[:16]


def test_a_copy_that_is_given_up_leaves_the_source_free(
    tmp_path: Path, opened: tuple[Connections, engine.Connection]
) -> None:
    source = opened[0].open_copy_source()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        (tmp_path / "copy.db").touch()
        copy_pages(source, tmp_path / "copy.db", KEY, stop)
    assert not source.in_transaction
    source.close()


def test_a_new_key_counts_once_the_file_opens_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "x.db", 20)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "rekey", lambda *_: None)
        assert not change_key(path, KEY, OTHER_KEY, STORE)
    assert change_key(path, KEY, OTHER_KEY, STORE)
    with pytest.raises(DatabaseKeyError):
        change_key(path, KEY, KEY, STORE)


def test_what_a_killed_process_committed_is_synced_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a commit and its fsync a kill leaves it with the kernel: whoever opens it next tells
    that it is kept, and the power may go then."""
    made(tmp_path / "x.db", 3)
    before = engine.connect(tmp_path / "x.db", KEY)
    before.execute("INSERT INTO t VALUES (99, 'x')")
    left = tmp_path / "left"
    left.mkdir()
    for name in ("x.db", "x.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    before.close()
    done: list[tuple[str, str]] = []

    def noted(name: str) -> None:
        real = getattr(os, name)

        def call(descriptor: int, *rest: Any) -> Any:
            done.append((name, Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
            return real(descriptor, *rest)

        monkeypatch.setattr(os, name, call)

    noted("fsync")
    noted("pwrite")
    found = connections(left / "x.db")
    writer = found.open_writer()
    try:
        assert count(writer) == 4
        assert done.index(("fsync", "x.db-wal")) < done.index(("pwrite", "x.db-count"))
    finally:
        found.end(writer)
        found.close()


def killed(folder: Path) -> Path:
    """Return a database as a process leaves it that was killed after a commit."""
    found = connections(made(folder / "running" / "x.db", 1))
    writer = found.open_writer()
    writer.execute("INSERT INTO t VALUES (7, 'acknowledged')")
    found.note()
    left = shutil.copytree(folder / "running", folder / "left") / "x.db"
    found.end(writer)
    found.close()
    return left


def test_an_opening_that_fails_has_no_commit_taken_for_lost(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    left = killed(tmp_path)
    assert lost_commits(left) is None
    assert left.with_name("x.db-wal").exists()

    def refuse(connection: engine.Connection) -> None:
        count(connection)
        raise OSError(5, "Input/output error")

    found = connections(left)
    with pytest.raises(OSError, match="Input/output"):
        found.open_writer(prepare=refuse)
    found.close()
    # The last connection has written the log back and taken it along.
    assert not left.with_name("x.db-wal").exists()
    assert lost_commits(left) is None
    again = connections(left)
    writer = again.open_writer()
    assert count(writer) == 2
    again.end(writer)
    again.close()


def test_a_log_that_somebody_took_away_is_lost_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    left = killed(tmp_path)
    left.with_name("x.db-wal").unlink()
    assert "is gone" in (lost_commits(left) or "")
