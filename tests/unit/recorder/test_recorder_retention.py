"""What is forgotten, and what never is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_samples import KEY, Filled, database, denial, failure, invocation, line, told
from records_samples import invocations as kept_invocations
from records_samples import lines as kept_lines

from casemate import set_clock
from casemate.model.function import Logs
from casemate.recorder.protocol import Take
from casemate.recorder.records import database as module
from casemate.recorder.records import forgetting
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.denials import insert_denials
from casemate.recorder.records.keeping import keep
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.retention import PRUNED_TABLES, prune, used_bytes
from casemate.recorder.records.rows import Left, insert_records
from casemate.recorder.records.shares import BYTES, TABLES, shares, surplus
from casemate.sqlite import engine
from support.set_time import Clock

NOW = 1_000_000.0


def filled(count: int, stored_at: float = NOW) -> engine.Connection:
    connection = database()
    entries = [
        Left(invocation(f"i{n}"), failure(f"e{n}"), [line(str(n), at=9e15)]) for n in range(count)
    ]
    insert_records(connection, entries, stored_at)
    insert_denials(connection, [denial() for _ in range(count)], stored_at)
    return connection


def counts(connection: engine.Connection) -> list[int]:
    return [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in PRUNED_TABLES]


def run_all(connection: engine.Connection, options: RecordsOptions, batch: int = 10) -> int:
    rounds = 1
    while prune(connection, options, now=NOW, batch=batch):
        rounds += 1
    return rounds


def test_old_rows_go_in_batches_and_young_ones_stay() -> None:
    connection = filled(35, stored_at=NOW - 101)
    insert_records(connection, [Left(invocation("young"), failure(), [line()])], NOW - 99)
    assert run_all(connection, RecordsOptions(retention=100)) == 4
    assert counts(connection) == [1, 1, 1, 0]
    assert connection.execute("SELECT id FROM invocation").fetchall() == [("young",)]


def test_a_function_cannot_keep_its_lines_by_a_time_of_its_own() -> None:
    connection = filled(3, stored_at=NOW - 101)
    run_all(connection, RecordsOptions(retention=100))
    assert counts(connection) == [0, 0, 0, 0]


def test_beyond_max_records_the_oldest_go() -> None:
    connection = filled(50)
    run_all(connection, RecordsOptions(max_records=20, max_denials=10))
    assert counts(connection) == [20, 20, 20, 10]
    assert connection.execute("SELECT min(id) FROM invocation").fetchone() == ("i30",)


def test_beyond_max_bytes_the_oldest_go_until_there_is_room() -> None:
    connection = filled(3000)
    limit = used_bytes(connection) // 2
    run_all(connection, RecordsOptions(max_bytes=limit), batch=100)
    assert used_bytes(connection) <= limit
    left = counts(connection)
    assert all(0 < count < 3000 for count in left)
    assert connection.execute("SELECT max(sequence) FROM log_line").fetchone() == (3000,)


def test_what_the_reserve_of_the_volume_lacks_goes_so_that_the_file_grows_no_further() -> None:
    connection = filled(3000)
    whole = used_bytes(connection)
    missing = whole // 4
    while prune(connection, RecordsOptions(), now=NOW, batch=100, beside=-missing):
        pass
    assert not prune(connection, RecordsOptions(), now=NOW, batch=100, beside=-missing)
    lines, *others = counts(connection)
    assert 0 <= lines < 3000 and others == [3000, 3000, 3000], "what ran and was denied stays"
    assert used_bytes(connection) <= whole - missing or lines == 0


def test_a_volume_that_something_else_fills_leaves_half_of_the_records() -> None:
    connection = filled(3000)
    whole = used_bytes(connection)
    while prune(connection, RecordsOptions(), now=NOW, batch=100, beside=-100 * whole):
        pass
    lines, *others = counts(connection)
    assert others == [3000, 3000, 3000]
    assert used_bytes(connection) > whole // 3 and (
        lines == 0 or used_bytes(connection) <= whole // 2
    )


def test_records_hurry_while_the_reserve_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: lines of anybody's calls filled the disk, and nothing more could be recorded."""

    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "beside_reserve", lambda _: -(1 << 40))

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        filled = Filled(records)
        await filled.tell(*(Left(invocation(f"i{n}"), None, (line(),)) for n in range(2000)))
        end = time.monotonic() + 10
        left = 2000
        while time.monotonic() < end and left == 2000:
            left = len(await kept_lines(records))
            await asyncio.sleep(0.02)
        assert left < 2000 and len(await kept_invocations(records)) == 2000
        records.close()

    asyncio.run(run())


def test_nothing_goes_by_a_clock_that_is_set_right_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: set forward for a minute, it took all that was on record with it."""
    clock = Clock()
    monkeypatch.setattr(set_clock, "time", clock)
    monkeypatch.setattr(module, "time", clock)

    duties = module._Duties(RecordsOptions(), tmp_path)
    connection = filled(3, stored_at=clock.now)
    clock.step(400 * 86_400.0)
    duties.upkeep(connection)
    assert counts(connection) == [3, 3, 3, 3]
    clock.step(-400 * 86_400.0)
    duties.upkeep(connection)
    assert counts(connection) == [3, 3, 3, 3]


def test_lines_without_room_are_counted_and_all_else_is_kept() -> None:
    connection = database()
    batch = Take(1, b"s" * 16, 0, (told(Left(invocation("i"), failure("e"), (line("x" * 500),))),))
    kept = keep(connection, [batch], NOW, lambda: 1000)
    assert (kept.lost, counts(connection)) == (1, [0, 1, 1, 0])
    more = (told(Left(None, None, (line("y" * 500),))), told(Left(None, None, (line("z"),))))
    kept = keep(connection, [Take(2, b"s" * 16, 1, more)], NOW, lambda: 5)
    assert (kept.lost, counts(connection)[0]) == (2, 0)
    short = (told(Left(None, None, (line("z"),))),)
    kept = keep(connection, [Take(3, b"s" * 16, 3, short)], NOW, lambda: 5)
    assert (kept.lost, counts(connection)[0]) == (0, 1)


def test_the_volume_is_asked_for_room_where_there_are_lines_alone() -> None:
    connection, asked = database(), []

    def room() -> int:
        asked.append(1)
        return 1000

    keep(connection, [Take(1, b"s" * 16, 0, (told(Left(invocation("i"))),))], NOW, room)
    assert not asked
    keep(connection, [Take(2, b"s" * 16, 1, (told(Left(None, None, (line("z"),))),))], NOW, room)
    assert asked


def test_each_number_of_a_session_is_kept_once_whatever_is_sent_again() -> None:
    connection = database()
    every = tuple(told(Left(invocation(f"i{n}"))) for n in range(9))
    for first, until in ((0, 3), (0, 3), (3, 5), (4, 6), (3, 5), (6, 6), (7, 9), (7, 9)):
        keep(connection, [Take(1, b"s" * 16, first, every[first:until])], NOW)
    ids = connection.execute("SELECT id FROM invocation ORDER BY sequence").fetchall()
    # The sixth was never told: a gap is as it was told.
    assert [id for (id,) in ids] == ["i0", "i1", "i2", "i3", "i4", "i5", "i7", "i8"]


def test_an_empty_store_beyond_max_bytes_does_not_loop() -> None:
    connection = filled(0)
    assert not prune(connection, RecordsOptions(max_bytes=1), now=NOW, batch=10)


def test_denials_have_a_bound_of_their_own_and_push_nothing_out() -> None:
    connection = filled(10)
    insert_denials(connection, [denial() for _ in range(500)], NOW)
    run_all(connection, RecordsOptions(max_denials=100))
    assert counts(connection) == [10, 10, 10, 100]


def test_nothing_is_due_within_the_bounds() -> None:
    connection = filled(30)
    assert not prune(connection, RecordsOptions(), now=NOW, batch=10)
    assert counts(connection) == [30, 30, 30, 30]


def test_the_writer_prunes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRUNE_SECONDS", 0.05)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY, RecordsOptions(retention=0.01))
        filled = Filled(records)
        await filled.tell(*(Left(invocation(f"i{n}"), None, (line(),)) for n in range(3000)))
        end = time.monotonic() + 10
        while (
            await kept_invocations(records) or await kept_lines(records)
        ) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert await kept_invocations(records) == []
        assert await kept_lines(records) == []
        records.close()

    asyncio.run(run())


def test_the_bound_holds_while_records_come_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Until its turn comes, less than _PRUNE_AFTER_ROWS may be above the bound.
    monkeypatch.setattr(module, "PRUNE_SECONDS", 0.5)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY, RecordsOptions(max_records=1000))
        filled = Filled(records)
        await filled.tell(*(Left(invocation(f"i{n}"), None, (line(),)) for n in range(15_000)))
        end = time.monotonic() + 10
        left = (15_000, 15_000)
        while time.monotonic() < end:
            left = (len(await kept_invocations(records)), len(await kept_lines(records)))
            if max(left) <= 1000:
                break
            await asyncio.sleep(0.02)
        assert left == (1000, 1000)
        assert (await kept_invocations(records, limit=1))[0].id == "i14999"
        records.close()

    asyncio.run(run())


def test_what_is_searched_goes_with_its_lines() -> None:
    connection = filled(300, stored_at=NOW - 101)
    insert_records(connection, [Left(invocation(), None, (line("needle"),))], NOW)
    run_all(connection, RecordsOptions(retention=100), batch=50)
    for _ in range(10):
        prune(connection, RecordsOptions(retention=100), now=NOW, batch=50)
    (blocks,) = connection.execute("SELECT count(*) FROM log_block").fetchone()
    assert blocks == 1
    found = connection.execute("SELECT rowid FROM log_text WHERE log_text MATCH '\"eed\"'")
    assert found.fetchall() == [(301,)]


def test_a_lower_bound_of_a_function_holds_after_a_day_and_a_higher_one_at_once() -> None:
    connection = filled(0)
    day = 86_400.0

    def kept() -> set[float]:
        return {share.age for share in shares(connection)}

    add(connection, "p", "f", 10, at=NOW, logs=Logs(keep=5 * day))
    add(connection, "p", "f", 1, at=NOW + 10, logs=Logs(keep=0.0, keep_bytes=0))
    run_all(connection, RecordsOptions())
    assert owned(connection, "log_line") == {("p", "f"): 11}, (
        "nothing is forgotten by being told so"
    )
    assert kept() == {5 * day}
    add(connection, "p", "f", 1, at=NOW + day + 11, logs=Logs(keep=60.0))
    assert kept() == {60.0}
    add(connection, "p", "f", 1, at=NOW + day + 12, logs=Logs(keep=6 * day))
    assert kept() == {6 * day}


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
        run_all(connection, RecordsOptions(max_denials=200), batch=1000)
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
    run_all(connection, RecordsOptions(max_denials=105), batch=7)
    assert principals(connection) == {"token:quiet": 5, "token:loud": 50, "token:other": 50}


def test_where_the_disk_is_full_the_largest_give_way_first() -> None:
    connection = filled(0)
    insert_denials(connection, [denial(by="token:quiet") for _ in range(5)], NOW)
    insert_denials(connection, [denial(by="token:loud") for _ in range(3000)], NOW)
    limit = used_bytes(connection) // 2
    run_all(connection, RecordsOptions(max_bytes=limit), batch=100)
    assert principals(connection)["token:quiet"] == 5
    assert used_bytes(connection) <= limit


# --- who gives way


def add(
    connection: engine.Connection,
    project: str,
    function: str,
    count: int,
    *,
    text: str = "x",
    at: float = NOW,
    logs: Logs = Logs(),  # noqa: B008
) -> None:
    entries = [
        Left(
            invocation(project=project, function=function),
            failure(project=project, function=function),
            [line(text, project=project, function=function)],
            logs,
        )
        for _ in range(count)
    ]
    insert_records(connection, entries, at)


def owned(connection: engine.Connection, table: str) -> dict[tuple[str, str], int]:
    rows = connection.execute(
        f"SELECT project, function, count(*) FROM {table} GROUP BY project, function"
    ).fetchall()
    return {(project, function): number for project, function, number in rows}


def require_counted(connection: engine.Connection) -> None:
    """The table of shares is what counting all rows would find."""
    found = []
    for kind in TABLES:
        found += connection.execute(
            f"SELECT project, function, '{kind}', count(*), sum({BYTES[kind]}) FROM {kind} "
            "GROUP BY project, function"
        ).fetchall()
    assert sorted(found) == sorted(share[:5] for share in shares(connection))


@pytest.mark.parametrize("table", TABLES)
def test_a_flood_pushes_out_no_record_of_another(table: str) -> None:
    connection = filled(0)
    add(connection, "shop", "quiet", 20, at=NOW - 50)
    add(connection, "shop", "loud", 30, at=NOW - 40)
    add(connection, "other", "small", 5, at=NOW - 60)
    for _ in range(10):
        add(connection, "noise", "flood", 300)
        add(connection, "shop", "loud", 50)
        run_all(connection, RecordsOptions(max_records=200), batch=1000)
        require_counted(connection)
    assert owned(connection, table) == {
        ("shop", "quiet"): 20,
        ("shop", "loud"): 77,
        ("other", "small"): 5,
        ("noise", "flood"): 97,
    }


def test_many_functions_of_one_project_get_no_more_than_one_of_another() -> None:
    connection = filled(0)
    add(connection, "one", "f", 100)
    for number in range(50):
        add(connection, "many", f"f{number}", 100)
    run_all(connection, RecordsOptions(max_records=200), batch=1000)
    kept = owned(connection, "log_line")
    assert kept.pop(("one", "f")) == 100
    assert set(kept.values()) == {2}
    require_counted(connection)


@pytest.mark.parametrize("quiet", ["shop", "noise"])
def test_where_the_disk_is_full_who_takes_the_most_gives_way(quiet: str) -> None:
    connection = filled(0)
    add(connection, quiet, "quiet", 50, text="y" * 100, at=NOW - 50)
    insert_denials(connection, [denial() for _ in range(50)], NOW)
    add(connection, "noise", "flood", 800, text="z" * 8000)
    limit = used_bytes(connection) // 3
    run_all(connection, RecordsOptions(max_bytes=limit), batch=20)
    assert used_bytes(connection) <= limit
    for table in TABLES:
        assert owned(connection, table)[quiet, "quiet"] == 50
        assert 0 < owned(connection, table)["noise", "flood"] < 800
    assert counts(connection)[-1] == 50
    require_counted(connection)


def test_a_function_keeps_its_records_no_longer_than_it_wants() -> None:
    connection = filled(0)
    add(connection, "p", "short", 30, at=NOW - 100, logs=Logs(keep=60.0))
    add(connection, "p", "short", 5, at=NOW - 10, logs=Logs(keep=60.0))
    add(connection, "p", "long", 30, at=NOW - 100)
    run_all(connection, RecordsOptions(retention=1000), batch=10)
    for table in TABLES:
        assert owned(connection, table) == {("p", "short"): 5, ("p", "long"): 30}
    require_counted(connection)


def test_a_function_keeps_no_more_bytes_than_it_wants() -> None:
    connection = filled(0)
    add(connection, "p", "little", 200, text="x" * 1000, logs=Logs(keep_bytes=65_536))
    add(connection, "p", "much", 200, text="x" * 1000)
    run_all(connection, RecordsOptions(), batch=30)
    sizes: dict[str, int] = {}
    for share in shares(connection):
        sizes[share.function] = sizes.get(share.function, 0) + share.bytes
    assert 50_000 < sizes["little"] <= 65_536
    assert owned(connection, "log_line")["p", "much"] == 200
    assert connection.execute(
        "SELECT max(sequence) FROM log_line WHERE function = 'little'"
    ).fetchone() == (200,), "the oldest went"
    require_counted(connection)


def test_what_is_no_plain_text_is_counted_as_it_is_deleted() -> None:
    connection = filled(0)
    add(connection, "p", "f", 10, text="a\0b \U0001f600 \udcff")
    require_counted(connection)
    run_all(connection, RecordsOptions(max_records=3))
    require_counted(connection)
    run_all(connection, RecordsOptions(max_records=0))
    assert shares(connection) == []


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("fg"), st.sampled_from("kl")),
        st.integers(0, 1000),
    ),
    st.integers(0, 3000),
)
def test_no_one_gives_up_more_than_it_has_or_while_it_has_less_than_its_share(
    sizes: dict[tuple[str, str, str], int], keep: int
) -> None:
    over = surplus(sizes, keep)
    assert all(0 <= over[place] <= sizes[place] for place in over)
    left = sum(sizes.values()) - sum(over.values())
    assert left <= keep or sum(sizes.values()) <= keep
    projects = {place[0] for place in sizes}
    for project in projects:
        if sum(size for place, size in sizes.items() if place[0] == project) <= keep // len(
            projects
        ):
            assert not any(over.get(place) for place in sizes if place[0] == project)


def forgotten(connection: engine.Connection) -> set[tuple[str, str, int, int]]:
    return {tuple(each) for each in forgetting.untold(connection, 100)}


def test_what_is_deleted_is_counted_with_its_deletion_until_it_is_told() -> None:
    connection = filled(12, stored_at=NOW - 101)
    other = [Left(invocation("o", project="other"), None, [line(project="other")] * 2)]
    insert_records(connection, other, NOW - 99)
    assert forgotten(connection) == set()
    run_all(connection, RecordsOptions(retention=100))
    kinds = ("invocation", "error", "log_line")
    gone = {("demo", kind, 12, 12) for kind in kinds} | {("", "denial", 12, 12)}
    assert forgotten(connection) == gone
    assert len(forgetting.untold(connection, 2)) == 2
    forgetting.told(connection, forgetting.untold(connection, 100))
    assert forgotten(connection) == set()
    run_all(connection, RecordsOptions(retention=98))
    gone = {("other", "invocation", 1, 1), ("other", "log_line", 2, 2)}
    assert forgotten(connection) == gone
    # By other bounds as well: their number, and the bytes of a function's own.
    insert_records(connection, [Left(invocation(str(n)), None, []) for n in range(30)], NOW)
    run_all(connection, RecordsOptions(max_records=20))
    assert ("demo", "invocation", 10, 22) in forgotten(connection)


def test_what_is_rolled_back_was_not_forgotten() -> None:
    connection = filled(12, stored_at=NOW - 101)
    connection.execute("BEGIN")
    prune(connection, RecordsOptions(retention=100), now=NOW, batch=10)
    assert forgotten(connection)
    connection.execute("ROLLBACK")
    assert forgotten(connection) == set() and counts(connection) == [12] * 4


def test_names_of_projects_lead_to_no_other_count() -> None:
    connection = database()
    for project in ("a", "a b", "-told a", "", "\u00e9", "log_line a", "%", "a" * 63):
        forgetting.note(connection, "log_line", {project: 3})
        [found] = forgetting.untold(connection, 9)
        assert found == (project, "log_line", 3, 3)
        forgetting.told(connection, [found])
        assert not forgetting.untold(connection, 9)


def test_records_take_a_quarter_of_a_small_volume_at_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "whole", lambda _: 4_000_000)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        assert records._options.max_bytes == 1_000_000
        records.close()

    asyncio.run(run())
