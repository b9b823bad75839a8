"""What is under hold is deleted by no age, number, size or flood, and fills no disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_samples import KEY, SESSION, invocation

from casemate.model.denial import Denial, DenialKind
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.protocol import DENIED, LEFT, Take, Told
from casemate.recorder.records import holding, retention
from casemate.recorder.records.keeping import keep
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.rows import Left
from casemate.recorder.records.schema import migrate
from casemate.sqlite import engine

NOW = 1_795_392_000.0
DAY = 86_400.0
_encode = msgspec.msgpack.Encoder().encode


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[engine.Connection]:
    with closing(engine.connect(tmp_path / "records.db", KEY, create=True)) as opened:
        migrate(opened)
        yield opened


class Records:
    """Keeps invocations and denials of functions of `shop`."""

    def __init__(self, connection: engine.Connection) -> None:
        self.connection = connection
        self.number = 0

    def keep(self, at: float, **functions: int) -> None:
        told: list[Told] = []
        for name, count in functions.items():
            for n in range(count):
                record = msgspec.structs.replace(
                    invocation(f"i{name}{at}{n}"), project="shop", function=name
                )
                told.append(Told(LEFT, _encode(Left(record))))
                told.append(Told(DENIED, _encode(denial(name, at))))
        for first in range(0, len(told), 500):
            part = tuple(told[first : first + 500])
            keep(self.connection, [Take(1, SESSION, self.number, part)], at)
            self.number += len(part)

    def hold(self, *functions: str, id: str = "inc_1", days: float = 30, **more: Any) -> Any:
        given: dict[str, Any] = {
            "since": NOW - DAY,
            "until": NOW,
            "expires_at": NOW + days * DAY,
            "now": NOW,
            "deleting": NOW,
            "max_bytes": 1 << 30,
            **more,
        }
        pairs = [("shop", name) for name in functions]
        return holding.hold(self.connection, id, pairs, **given)

    def prune(self, now: float, **options: Any) -> None:
        for _ in range(50):
            chosen = RecordsOptions(**options)
            if not retention.prune(self.connection, chosen, now=now, batch=100):
                return
        raise AssertionError("it goes on for ever")

    def left(self, name: str, table: str = "invocation") -> int:
        statement = f"SELECT count(*) FROM {table} WHERE function = ?"
        return int(self.connection.execute(statement, (name,)).fetchone()[0])


def denial(name: str, at: float) -> Denial:
    return Denial(
        at=at,
        by=f"function:shop/{name}",
        kind=DenialKind.CAPABILITY,
        action="x",
        resource="y",
        reason="z",
        project="shop",
        function=name,
    )


@pytest.fixture
def records(connection: engine.Connection) -> Records:
    return Records(connection)


def test_age_deletes_what_is_not_under_hold_alone(records: Records) -> None:
    records.keep(NOW - 2 * DAY, pay=3)  # before what is held
    records.keep(NOW, pay=150, cart=150)
    assert records.hold("pay") == (300, pytest.approx(150 * 800, rel=0.2))
    records.keep(NOW + 1, pay=20)  # comes later
    records.prune(NOW + 20 * DAY)
    for table in ("invocation", "denial"):
        assert (records.left("pay", table), records.left("cart", table)) == (150, 0)
    # Once its time is over, or it was ended, it goes as everything does.
    records.prune(NOW + 31 * DAY)
    assert records.left("pay") == records.left("pay", "denial") == 0


def test_a_hold_that_is_ended_is_none(records: Records) -> None:
    records.keep(NOW, pay=10)
    records.hold("pay")
    records.hold("pay", id="inc_2")
    holding.release(records.connection, "inc_1")
    records.prune(NOW + 20 * DAY)
    assert records.left("pay") == 10
    holding.release(records.connection, "inc_2")
    records.prune(NOW + 20 * DAY)
    assert records.left("pay") == 0


def test_number_and_floods_push_out_others_and_the_new(records: Records) -> None:
    records.keep(NOW, pay=200)
    records.hold("pay")
    records.keep(NOW + 1, pay=300, flood=1000)
    records.prune(NOW + 2, max_records=400, max_denials=300)
    held = "SELECT count(*) FROM {} WHERE function = 'pay' AND stored_at <= ?"
    for table in ("invocation", "denial"):
        found = records.connection.execute(held.format(table), (NOW,)).fetchone()[0]
        assert found == 200, table
    assert records.left("flood") <= 400
    # What is under hold is not counted against what the function may have beside it.
    assert records.left("pay") > 300


def test_a_full_disk_is_made_room_on_by_what_is_not_held(records: Records) -> None:
    """Also where whoever has the most has it under hold: others must give then."""
    records.keep(NOW, pay=2000)
    records.hold("pay")
    records.keep(NOW + 1, **{f"f{n}": 20 for n in range(60)})
    most = retention.used_bytes(records.connection) * 3 // 4
    records.prune(NOW + 2, max_bytes=most)
    assert records.left("pay") == 2000
    assert sum(records.left(f"f{n}") for n in range(60)) < 1200


def test_holds_are_a_part_of_what_records_may_take(records: Records) -> None:
    records.keep(NOW, pay=300, cart=300)
    _, size = records.hold("pay", max_bytes=1 << 30)
    with pytest.raises(RecorderInputError, match="would have"):
        records.hold("cart", id="inc_2", max_bytes=4 * size + 4)
    with pytest.raises(RecorderInputError):
        records.hold("pay", id="inc_3", max_bytes=4 * size + 4)  # once more counts, too


@pytest.mark.parametrize("days", [-1, 0, 91, 10_000, float("inf"), float("nan")])
def test_none_is_for_ever(records: Records, days: float) -> None:
    records.keep(NOW, pay=1)
    with pytest.raises(RecorderInputError):
        records.hold("pay", days=days)


def test_what_comes_later_is_never_under_it(records: Records) -> None:
    records.keep(NOW, pay=5)
    records.hold("pay", until=NOW + 365 * DAY)
    records.keep(NOW + 10, pay=50)
    records.prune(NOW + 20 * DAY)
    assert records.left("pay") == 5


def test_without_holds_nothing_is_asked_of_rows(records: Records) -> None:
    assert holding.free(records.connection, "invocation") == "TRUE"
