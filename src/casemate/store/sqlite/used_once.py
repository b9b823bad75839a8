"""What works once in all nodes, in SQL: that it was used is remembered for as long as it would."""

from __future__ import annotations

from typing import Final

from casemate.model.errors import ConflictError
from casemate.operations.accounts import UseOnce
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.sqlite.clock import now_of

MAX_REMEMBERED: Final = 65_536
"""Of one kind. Beyond that nothing is accepted: what is forgotten would work again."""

performs = DirectPerformers()


@performs(UseOnce)
def use(connection: engine.Connection, operation: UseOnce) -> bool:
    """Remember that it was used; False if it was before, and is remembered."""
    key = (operation.kind, operation.name)
    if connection.execute("SELECT 1 FROM used_once WHERE kind = ? AND name = ?", key).fetchone():
        return False
    (count,) = connection.execute(
        "SELECT count(*) FROM used_once WHERE kind = ?", (operation.kind,)
    ).fetchone()
    if count >= MAX_REMEMBERED:
        raise ConflictError(
            f"{count} of what works once ({operation.kind}) were used in a short time, which is "
            "the most.",
            next_step="Try again in some minutes.",
        )
    connection.execute(
        "INSERT INTO used_once VALUES (?, ?, ?)", (*key, now_of(connection) + operation.seconds)
    )
    return True


def forget_used(connection: engine.Connection, *, now: float) -> None:
    """Forget what would not work any more, by a time that no clock which is set has moved.

    By the clock itself, what was forgotten while it was ahead works again once that is right.
    """
    connection.execute("DELETE FROM used_once WHERE until <= ?", (now,))
