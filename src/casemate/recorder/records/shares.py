"""How much of the records each function of each project has, and who is to give way.

The table is kept by the same transactions that insert and delete records, so that nobody has to
count millions of rows to find who has the most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from casemate.model.function import Logs
from casemate.recorder.records import forgetting
from casemate.sqlite import engine

TABLES = ("log_line", "invocation", "error")
BYTES = {
    "log_line": "length(CAST(text AS BLOB)) + 200",
    "invocation": "coalesce(length(trace), 0) + 300",
    "error": "length(CAST(message AS BLOB)) + length(CAST(trace AS BLOB)) + 300",
}
"""Of one row, its indexes guessed."""
ROW_BYTES = {"log_line": 200, "invocation": 300, "error": 300}

LOWERING_SECONDS = 86_400.0
"""After so long without the higher one, a lower bound of a function's own holds. A gateway that
was broken into could have all that was recorded forgotten at once else, by a bound of nothing."""

_HOLDS = f"""
    CASE WHEN excluded.age >= age AND excluded.most >= most
        OR excluded.told_at > told_at + {LOWERING_SECONDS}
    THEN excluded.{{name}} ELSE {{name}} END
"""
_ADD = f"""
    INSERT INTO record_share (project, function, kind, number, bytes, age, most, told_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET number = number + excluded.number, bytes = bytes + excluded.bytes,
        age = {_HOLDS.format(name="age")}, most = {_HOLDS.format(name="most")},
        told_at = {_HOLDS.format(name="told_at")}
"""  # noqa: S608 - constants alone
_TAKE = """
    UPDATE record_share SET number = max(number - ?, 0), bytes = max(bytes - ?, 0)
    WHERE project = ? AND function = ? AND kind = ?
"""

Owner = tuple[str, str]
"""Project and function."""
Place = tuple[str, str, str]
"""Project, function and table."""


class Share(NamedTuple):
    """The records of one kind that one function has."""

    project: str
    function: str
    kind: str
    number: int
    bytes: int
    age: float
    """Seconds that it wants them kept."""
    most: int
    """Bytes of all kinds that it wants kept."""

    @property
    def place(self) -> Place:
        """Whose they are, and where."""
        return self.project, self.function, self.kind


class Added:
    """What one transaction adds."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sums: dict[Place, list[int]] = {}
        self._logs: dict[Owner, Logs] = {}

    def note(self, project: str, function: str, kind: str, size: int, logs: Logs) -> None:
        """Count a row with `size` bytes of text."""
        self.note_whole(project, function, kind, size + ROW_BYTES[kind], logs)

    def note_whole(self, project: str, function: str, kind: str, size: int, logs: Logs) -> None:
        """Count a row of `size` bytes, its indexes guessed."""
        sums = self._sums.get((project, function, kind))
        if sums is None:
            sums = self._sums[project, function, kind] = [0, 0]
        sums[0] += 1
        sums[1] += size
        self._logs[project, function] = logs

    def write(self, connection: engine.Connection, now: float) -> None:
        """Add it to the table. `now` is when the bounds were told; 0: they may be any."""
        connection.executemany(
            _ADD,
            [
                (*place, *sums, self._logs[place[:2]].keep, self._logs[place[:2]].keep_bytes, now)
                for place, sums in self._sums.items()
            ],
        )


def taken(connection: engine.Connection, kind: str, rows: Sequence[tuple[str, str, int]]) -> int:
    """Take deleted rows (project, function, bytes) off the table, count them as forgotten.

    Returns how many they are.
    """
    sums: dict[Owner, list[int]] = {}
    for project, function, size in rows:
        sum_ = sums.setdefault((project, function), [0, 0])
        sum_[0] += 1
        sum_[1] += size
    numbers: dict[str, int] = {}
    for (project, _), (number, _) in sums.items():
        numbers[project] = numbers.get(project, 0) + number
    forgetting.note(connection, kind, numbers)
    if sums:
        connection.executemany(_TAKE, [(*sum_, *who, kind) for who, sum_ in sums.items()])
        connection.execute("DELETE FROM record_share WHERE number <= 0")
    return len(rows)


def shares(connection: engine.Connection) -> list[Share]:
    """Return the table."""
    rows = connection.execute(
        "SELECT project, function, kind, number, bytes, age, most FROM record_share"
    )
    return [Share(*row) for row in rows.fetchall()]


def level(counts: Sequence[int], keep: int) -> int:
    """Return how many each group may keep so that all together keep at most `keep`.

    `counts` is sorted, the largest first. Who has fewer leaves its share to the others.
    """
    left = keep
    for place in range(len(counts) - 1, -1, -1):
        share = left // (place + 1)
        if counts[place] > share:
            return share
        left -= counts[place]
    return counts[0] if counts else 0


def surplus(sizes: Mapping[Place, int], keep: int) -> dict[Place, int]:
    """Return what each is to give up so that all together keep at most `keep`.

    Projects share alike, then the functions of each project that has more than its share: who has
    less than a share gives up nothing. Each kind of a function gives up its part.
    """
    found: dict[Place, int] = {}
    for project, kept in _shared(sizes, 0, keep):
        of_project = {place: size for place, size in sizes.items() if place[0] == project}
        for function, of_function in _shared(of_project, 1, kept):
            kinds = {place: size for place, size in of_project.items() if place[1] == function}
            whole = sum(kinds.values())
            for place, size in kinds.items():
                found[place] = -(-size * (whole - of_function) // whole)
    return found


def _shared(sizes: Mapping[Place, int], part: int, keep: int) -> Iterable[tuple[str, int]]:
    """Yield the names that have more than their share, and what that is."""
    sums: dict[str, int] = {}
    for place, size in sizes.items():
        sums[place[part]] = sums.get(place[part], 0) + size
    if sum(sums.values()) <= keep:
        return
    share = level(sorted(sums.values(), reverse=True), keep)
    for name, size in sums.items():
        if size > share:
            yield name, share
