"""Sums of what invocations have used: a fold of their records, with the position kept beside.

The fold goes on where records wait to be counted in numbers, and before sums are asked for, told to
other nodes, or records forgotten: so nobody sees that it is behind. Its position is kept with the
sums, so that each record is counted once whatever is sent again and whoever is killed. It goes by
the time at which records were kept, which is the recorder's own. Runs on the thread that writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from casemate.model.denial import Denial, DenialKind
from casemate.model.usage import (
    DAY,
    GREATEST,
    HOUR,
    OTHERS,
    SAMPLED,
    SUMMED,
    Beside,
    GuardSampled,
    Passed,
    Stored,
    Usage,
    UsageBy,
    UsageSpan,
    used_by,
)
from casemate.operations.usage import ReadUsage
from casemate.recorder.records import keeping_cost
from casemate.recorder.records.progress import place_of, remember
from casemate.recorder.records.rows import Page
from casemate.recorder.records.text import clean
from casemate.sqlite import engine

NAME = "usage"
"""Of the position, among those of other works."""
MANY = 20_000
"""Records that wait to be counted, after which they are. Each sum that is added to costs as much as
two or three of them, whether it is of one or of hundreds: of so many callers and routes that each
record of a thousand had nearly its own, counting a thousand at once took five times as long."""
MOST_AT_ONCE = 50_000
"""Records that are counted in one transaction; more are those of a release before."""
MOST_KEYS = 1000
"""Callers and routes of a function that are told apart within an hour or a day."""
KEEP = {HOUR: 8 * DAY, DAY: 400 * DAY}
"""For how long sums are kept, in seconds."""
_PRUNED_AT_ONCE = 1000
MOST_GUARD_US = 1 << 24
"""That one sample of the guard counts, some 17 s: so that thousands of squares fit in a sum."""
MOST_HOURS = 24 * 31
"""For which a project is counted to have kept what it keeps, where nobody told how much."""
MOST_PLACES = 20_000
"""Projects whose byte-hours are counted, with those that are gone."""
MAX_NAME = 63
"""Characters of a project's name."""
_PLACES = "SELECT count(*) FROM progress"
_STORED = "stored of "
"""Begins the name of the position up to which a project's byte-hours are counted."""
PAGE_ROWS = 15_000
"""Of one page of an answer, some three megabytes: each page is a question of its own."""

_KEY = ("project", "function", "trigger", "caller", "route")
# Bounded, each and as a sum: what a gateway tells that was taken over must neither take anything
# off nor make a sum that no column holds.
_MOST = 2**61
_RUN = "min(max(run_ms, 0), 1e9)"
_MEMORY = "min(max(memory, 0), 1 << 46)"
_AMOUNTS = {
    "requests": "sum(run_ms > 0)",
    "refused": "sum(run_ms <= 0)",
    "errors": "sum(run_ms > 0 AND outcome <> 'ok')",
    "retries": "sum(run_ms > 0 AND attempt > 1)",
    "cold": "sum(run_ms > 0 AND cold)",
    "run_us": f"CAST(sum({_RUN} * 1000) AS INTEGER)",
    "cpu_us": "sum(min(max(cpu_us, 0), 1 << 46))",
    "memory_mb_ms": f"sum(CAST({_RUN} * {_MEMORY} / 1048576 + 0.5 AS INTEGER))",
    "request_bytes": "sum((run_ms > 0) * min(max(request_bytes, 0), 1 << 40))",
    "response_bytes": "sum((run_ms > 0) * min(max(response_bytes, 0), 1 << 40))",
    "uses": "sum(min(max(uses, 0), 1 << 30))",
    "peak": "max(min(max(peak, 0), 1 << 46))",
    "longest_us": f"CAST(max({_RUN}) * 1000 AS INTEGER)",
}
# A version is known: what was called that there is not belongs to nobody.
_COUNT = f"""
    SELECT CAST(stored_at / {HOUR} AS INTEGER) * {HOUR}, {", ".join(_KEY)},
        {", ".join(_AMOUNTS.values())}
    FROM invocation WHERE sequence > ? AND sequence <= ? AND version > 0 AND node = 0
    GROUP BY function, caller, 1, project, trigger, route
"""  # noqa: S608 - names of ours
_SET = ", ".join(
    f"{name} = max({name}, ?)" if name in GREATEST else f"{name} = min({name} + ?, {_MOST})"
    for name in _AMOUNTS
)
_BESIDE = ("egress_in", "egress_out", "byte_hours")
_MOST_BYTES = 1 << 50
_WHERE = " AND ".join(f"{name} = ?" for name in ("span", "start", *_KEY))


def _adding(changes: str) -> tuple[str, str]:
    """Return how to add to a sum that other nodes are to be told of anyway, and to any sum.

    The index of those to be told of need not be touched for the first, which halves its cost.
    """
    return (
        f"UPDATE usage SET {changes} WHERE {_WHERE} AND unshipped = 1",  # noqa: S608 - ours
        f"UPDATE usage SET {changes}, unshipped = 1 WHERE {_WHERE}",  # noqa: S608 - ours
    )


def _sums(names: Iterable[str]) -> str:
    return ", ".join(f"{name} = min({name} + ?, {_MOST})" for name in names)


def _inserting(names: Iterable[str]) -> str:
    columns = (*names, "span", "start", *_KEY)
    places = ", ".join("?" * len(columns))
    return f"INSERT INTO usage ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names of ours


_ADD = _adding(_SET)
_ADD_BESIDE, _INSERT_BESIDE = _adding(_sums(_BESIDE)), _inserting(_BESIDE)
_ADD_SAMPLE, _INSERT_SAMPLE = _adding(_sums(SAMPLED)), _inserting(SAMPLED)
_ADD_REFUSED, _INSERT_REFUSED = _adding(_sums(("refused",))), _inserting(("refused",))
_INSERT = _inserting(_AMOUNTS)
_KEYS = "SELECT count(*) FROM usage WHERE span = ? AND start = ? AND project = ? AND function = ?"
_PRUNE = """
    DELETE FROM {table} WHERE (span, start, project, function, trigger, caller, route) IN (
        SELECT span, start, project, function, trigger, caller, route FROM {table}
        WHERE span = ? AND start < ? LIMIT ?
    )
"""
_PRUNES = tuple(_PRUNE.format(table=table) for table in ("usage", "others_usage"))


_NAMES = ", ".join(("span", "start", *_KEY, *SUMMED, *GREATEST))
_ANY_OTHERS = "SELECT 1 FROM others_usage LIMIT 1"
_ALL = f"(SELECT {_NAMES} FROM usage UNION ALL SELECT {_NAMES} FROM others_usage)"  # noqa: S608


def uncounted(connection: engine.Connection) -> int:
    """Return how many records wait to be counted, at the most."""
    row = connection.execute("SELECT max(sequence) FROM invocation").fetchone()
    return int(row[0] or 0) - place_of(connection, NAME)


def count_many(connection: engine.Connection) -> None:
    """Do as `count` does where many wait."""
    if uncounted(connection) >= MANY:
        count(connection)


def count(connection: engine.Connection, most: int | None = None) -> int:
    """Add what records tell that were not counted yet; return how many they were at the most.

    `most` of them: MOST_AT_ONCE.

    In a transaction of the caller's. Raises engine.Error.
    """
    waiting = min(uncounted(connection), MOST_AT_ONCE if most is None else most)
    if waiting <= 0:
        return 0
    after = place_of(connection, NAME)
    until = after + waiting
    for start, *rest in connection.execute(_COUNT, (after, until)).fetchall():
        key, amounts = rest[: len(_KEY)], rest[len(_KEY) :]
        _add(connection, (HOUR, start, *key), amounts)
        _add(connection, (DAY, start // DAY * DAY, *key), amounts)
    remember(connection, NAME, until)
    return waiting


def count_beside(connection: engine.Connection, used: Beside, now: float) -> None:
    """Add what was used beside invocations, in the transaction that keeps that it was told."""
    if isinstance(used, GuardSampled):
        _count_sample(connection, used, now)
        return
    if isinstance(used, Passed):
        place = (used.project, used.function, "", used_by(used.project, used.function), "")
        amounts = [_bounded(used.came_in), _bounded(used.went_out), 0]
    else:
        place = (used.project, "", "", used_by(used.project, ""), "")
        amounts = [0, 0, _byte_hours(connection, used, now)]
    if not any(amounts):
        return
    for span in (HOUR, DAY):
        key = (span, int(now // span * span), *place)
        _add(connection, key, amounts, add=_ADD_BESIDE, insert=_INSERT_BESIDE)


def _count_sample(connection: engine.Connection, sample: GuardSampled, now: float) -> None:
    place = (sample.project, sample.function, sample.trigger, sample.caller, sample.route)
    us = min(max(sample.guard_us, 0), MOST_GUARD_US)
    for span in (HOUR, DAY):
        key = (span, int(now // span * span), *(clean(each) for each in place))
        _add(connection, key, [1, us, us * us], add=_ADD_SAMPLE, insert=_INSERT_SAMPLE)


def count_folded(connection: engine.Connection, denials: Iterable[Denial], now: float) -> None:
    """Add refusals for load that have no record of their own, by their denials.

    In the transaction that keeps these. By which trigger and route they came is not known.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for one in denials:
        # As of records: what was called that there is not belongs to nobody.
        if one.kind is DenialKind.LOAD and one.version > 0:
            found[one.project, one.function, "", clean(one.by), ""] += _bounded(one.count)
    for place, count in found.items():
        for span in (HOUR, DAY):
            key = (span, int(now // span * span), *place)
            _add(connection, key, [count], add=_ADD_REFUSED, insert=_INSERT_REFUSED)


def _byte_hours(connection: engine.Connection, stored: Stored, now: float) -> int:
    """Return for how long a project has kept so much, and remember that it is counted.

    By the time that has passed since it was told before: what nobody told of, as the node was
    down, is counted with the next, and nothing twice. A clock that was set back counts for nothing.
    """
    name = _STORED + stored.project
    before = place_of(connection, name)
    if not before and connection.execute(_PLACES).fetchone()[0] >= MOST_PLACES:
        return 0
    remember(connection, name, int(now))
    if not before or now <= before:
        return 0
    hours = min((int(now) - before) / HOUR, MOST_HOURS)
    return int(_bounded(stored.size) * hours)


def counted_elsewhere(connection: engine.Connection, project: str, until: int, now: float) -> None:
    """Note up to when another node has counted what a project keeps, which is not to come.

    Raises ValueError for what is no project's name.
    """
    if len(project) > MAX_NAME:
        raise ValueError("the name of a project is too long")
    name = _STORED + project
    before = place_of(connection, name)
    if before or connection.execute(_PLACES).fetchone()[0] < MOST_PLACES:
        remember(connection, name, max(before, min(until, int(now))))


def _bounded(amount: int) -> int:
    return min(max(amount, 0), _MOST_BYTES)


def _add(
    connection: engine.Connection,
    key: tuple[Any, ...],
    amounts: list[int],
    *,
    add: tuple[str, str] = _ADD,
    insert: str = _INSERT,
) -> None:
    if any(connection.execute(each, (*amounts, *key)).rowcount for each in add):
        return
    if connection.execute(_KEYS, key[:4]).fetchone()[0] >= MOST_KEYS:
        key = (*key[:5], OTHERS, "")
        if any(connection.execute(each, (*amounts, *key)).rowcount for each in add):
            return
    connection.execute(insert, (*amounts, *key))


def prune(connection: engine.Connection, now: float) -> None:
    """Forget some sums that are old."""
    for span, seconds in KEEP.items():
        for statement in _PRUNES:
            connection.execute(statement, (span, now - seconds, _PRUNED_AT_ONCE))
        keeping_cost.prune(connection, span, now - seconds)


def usage(connection: engine.Connection, operation: ReadUsage, at: int | None = None) -> Page:
    """Return sums, ordered by what they are told apart by."""
    shown = {name: name for name in _COLUMNS[operation.by]}
    if operation.each is not None:
        seconds = _SECONDS[operation.each]
        shown["start"] = f"start / {seconds} * {seconds}"
    # Of the last days there are hours as well, for questions that are not about whole days.
    hours = operation.each is UsageSpan.HOUR or operation.since % DAY or operation.until % DAY
    span = HOUR if hours else DAY
    where, values = (
        ["span = ?", "start >= ?", "start < ?"],
        [span, operation.since, operation.until],
    )
    for name in ("project", "function"):
        if (wanted := getattr(operation, name)) is not None:
            where.append(f"{name} = ?")
            values.append(wanted)
    sums = [*(f"sum({name})" for name in SUMMED), *(f"max({name})" for name in GREATEST)]
    group = ", ".join(str(number + 1) for number in range(len(shown)))
    alone = operation.here or connection.execute(_ANY_OTHERS).fetchone() is None
    most = min(PAGE_ROWS, operation.limit)
    rows = connection.execute(
        f"SELECT {', '.join((*shown.values(), *sums))} "  # noqa: S608 - names of ours
        f"FROM {'usage' if alone else _ALL} WHERE {' AND '.join(where)} "
        f"GROUP BY {group} ORDER BY {group} LIMIT ? OFFSET ?",
        (*values, most + 1, at or 0),
    ).fetchall()
    names = (*shown, *SUMMED, *GREATEST)
    # One more than are told: whether there is another page is not worth all sums once more.
    found = [Usage(**dict(zip(names, row, strict=True))) for row in rows[:most]]
    journal = keeping_cost.asked(connection, span, operation.since, operation.until)
    for one in found:
        if one.requests:
            one.journal = journal
    return Page(found, (at or 0) + most if len(rows) > most else None)


_COLUMNS = {
    UsageBy.PROJECT: ("project",),
    UsageBy.FUNCTION: ("project", "function"),
    UsageBy.TRIGGER: ("trigger",),
    UsageBy.CALLER: ("caller",),
    UsageBy.ACCOUNT: ("caller",),
    UsageBy.ROUTE: ("project", "function", "route"),
}
_SECONDS = {UsageSpan.HOUR: HOUR, UsageSpan.DAY: DAY}
