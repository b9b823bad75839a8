"""What retention has deleted, counted with the deletion, until the journal has it.

Counts are sums since the records began, kept by the transaction that deletes. So one that is told
again after a kill says the same, and none is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from casemate.recorder.records.progress import place_of, remember
from casemate.sqlite import engine

_SUM, _TOLD = "forgotten", "forgotten-told"
_UNTOLD = f"""
    SELECT substr(sum.name, length('{_SUM}') + 2), sum.until, coalesce(told.until, 0)
    FROM progress AS sum LEFT JOIN progress AS told
        ON told.name = '{_TOLD}' || substr(sum.name, length('{_SUM}') + 1)
    WHERE sum.name > '{_SUM} ' AND sum.name < '{_SUM}!' AND sum.until > coalesce(told.until, 0)
    ORDER BY sum.name LIMIT ?
"""  # noqa: S608 - constants alone


class Forgotten(NamedTuple):
    """Records of one kind of one project that are gone."""

    project: str
    """Empty for denials: whose those are, who was denied may have made up."""
    kind: str
    number: int
    """Since it was told last."""
    total: int
    """Since the records began."""


def note(connection: engine.Connection, kind: str, numbers: Mapping[str, int]) -> None:
    """Count deleted records, by project."""
    for project, number in numbers.items():
        if number:
            name = f"{_SUM} {kind} {project}"
            remember(connection, name, place_of(connection, name) + number)


def untold(connection: engine.Connection, limit: int) -> list[Forgotten]:
    """Return what the journal does not have yet."""
    found = []
    for name, total, told in connection.execute(_UNTOLD, (limit,)).fetchall():
        kind, _, project = name.partition(" ")
        found.append(Forgotten(project, kind, total - told, total))
    return found


def told(connection: engine.Connection, every: Iterable[Forgotten]) -> None:
    """Take note of what the journal has."""
    for each in every:
        remember(connection, f"{_TOLD} {each.kind} {each.project}", each.total)
