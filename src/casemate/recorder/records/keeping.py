"""Writing what was told: each number of a session once, whatever is sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.model.denial import Denial
from casemate.model.usage import Beside, GuardSampled, Passed, Stored
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.protocol import (
    DENIED,
    ENDED,
    LEFT,
    PASSED,
    RECORD_KINDS,
    SAMPLED,
    STORED,
    Take,
    Told,
)
from casemate.recorder.records import keeping_cost, usage
from casemate.recorder.records.denials import insert_denials
from casemate.recorder.records.keeping_cost import KeepingCost
from casemate.recorder.records.rows import Ended, Left, insert_records, insert_together
from casemate.recorder.records.unshipped import Unshipped
from casemate.sqlite import engine

MAX_SESSIONS = 64
"""Gateways, the newest, whose records are known again when they are sent twice."""

Record = Left | Denial | Beside
_decoders: dict[str, Callable[[bytes], Record]] = {
    LEFT: msgspec.msgpack.Decoder(Left).decode,
    ENDED: msgspec.msgpack.Decoder(Ended).decode,
    DENIED: msgspec.msgpack.Decoder(Denial).decode,
    PASSED: msgspec.msgpack.Decoder(Passed).decode,
    STORED: msgspec.msgpack.Decoder(Stored).decode,
    SAMPLED: msgspec.msgpack.Decoder(GuardSampled).decode,
}

_LINE_COST = 4
"""Bytes that a character takes at most, what it is found again by included."""


class Kept(NamedTuple):
    """What came of it."""

    rows: int
    lost: int
    """Records with values that no column takes, and lines without room."""


def holds_records(batches: Sequence[Take]) -> bool:
    """Tell whether there is anything to write."""
    return any(told.kind in RECORD_KINDS for batch in batches for told in batch.facts)


def keep(
    connection: engine.Connection,
    batches: Sequence[Take],
    now: float,
    room: Callable[[], int | None] = lambda: None,
    *,
    costs: Iterable[KeepingCost] = (),
    together: bool = False,
    unshipped: Unshipped | None = None,
) -> Kept:
    """Insert the records of these batches that are not there yet, in a transaction of the caller's.

    Lines that need more bytes than `room` tells, if that counts, are not kept: anybody can cause
    them. It is asked where there are any.
    `together` is cheaper, and raises UnstorableRecordError where one of them cannot be kept: what
    was changed until then is the caller's to undo. `unshipped` is told what was inserted. `costs`
    are what keeping earlier batches took. Raises
    RecorderInputError for what is no record, engine.Error if the medium fails.
    """
    left: list[Left] = []
    denials: list[Denial] = []
    beside: list[Beside] = []
    for batch in batches:
        for one in _decoded(_new(connection, batch)):
            if isinstance(one, Left):
                left.append(one)
            elif isinstance(one, Denial):
                denials.append(one)
            else:
                beside.append(one)
    lost = 0
    if any(one.log for one in left) and (most := room()) is not None:
        lost, left = _without_lines(left, most)
    if together:
        insert_together(connection, left, now, unshipped)
    else:
        lost += insert_records(connection, left, now, unshipped)
    lost += insert_denials(connection, denials, now) if denials else 0
    usage.count_many(connection)
    usage.count_folded(connection, denials, now)
    for used in beside:
        usage.count_beside(connection, used, now)
    for cost in costs:
        keeping_cost.count(connection, cost, now)
    return Kept(len(left) + len(denials) + len(beside) + sum([len(one.log) for one in left]), lost)


def _without_lines(left: Sequence[Left], room: int) -> tuple[int, list[Left]]:
    """Take away the lines that have no room; return how many these are, and what is left."""
    lost, kept = 0, []
    for one in left:
        room -= sum(_LINE_COST * len(line.text) for line in one.log)
        if room >= 0 or not one.log:
            kept.append(one)
            continue
        lost += len(one.log)
        if one.invocation is not None:
            kept.append(msgspec.structs.replace(one, log=()))
    return lost, kept


def _decoded(facts: Sequence[Told]) -> list[Record]:
    """Return the records among facts."""
    try:
        found = [
            decode(told.fact) for told in facts if (decode := _decoders.get(told.kind)) is not None
        ]
    except DECODING_ERRORS as error:
        raise RecorderInputError(f"This is no record: {error}.") from error
    for one in found:
        if isinstance(one, Left) and one.invocation is None and not one.log:
            raise RecorderInputError("This is neither an invocation nor a line of one.")
    return found


def _new(connection: engine.Connection, batch: Take) -> Sequence[Told]:
    """Return what of a batch was not kept before, and remember that it is."""
    if not batch.facts:
        return ()
    number = batch.first + len(batch.facts) - 1
    follows = connection.execute(
        "UPDATE session SET number = ? WHERE id = ? AND number = ?",
        (number, batch.session, batch.first - 1),
    ).rowcount
    if follows:
        return batch.facts  # as nearly all do
    last = _newest(connection, batch.session)
    if number > last:
        _note(connection, batch.session, number, known=last >= 0)
    return batch.facts[max(last + 1 - batch.first, 0) :]


def _newest(connection: engine.Connection, session: bytes) -> int:
    row = connection.execute("SELECT number FROM session WHERE id = ?", (session,)).fetchone()
    return -1 if row is None else int(row[0])


def _note(connection: engine.Connection, session: bytes, number: int, *, known: bool) -> None:
    if known:
        connection.execute("UPDATE session SET number = ? WHERE id = ?", (number, session))
        return
    connection.execute(
        "INSERT INTO session (id, number, begun) "
        "SELECT ?, ?, coalesce(max(begun), 0) + 1 FROM session",
        (session, number),
    )
    connection.execute(
        "DELETE FROM session WHERE begun <= (SELECT max(begun) FROM session) - ?", (MAX_SESSIONS,)
    )
