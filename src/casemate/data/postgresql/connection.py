"""A connection that says what it can together: each word to the server is a way there and back.

Savepoints are made when something is done in them, released when the next one is made, and both
travel with the statement that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from casemate.postgresql import driver
from casemate.postgresql.connection import Connection, Cursor, Values
from casemate.postgresql.session import Session
from casemate.postgresql.statements import translated

_MAKE, _RELEASE, _UNDO = "SAVEPOINT part", "RELEASE part", "ROLLBACK TO part"
_BOUNDS: Final = frozenset({"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"})


class ProjectConnection(Connection):
    """Does as its base, in fewer exchanges."""

    def __init__(self, found: Session, lock: int) -> None:
        """Use `found`, which is set up."""
        super().__init__(found, lock)
        self._open: list[bool] = []
        """The savepoints, outermost first: whether the server knows of each."""
        self._released = 0
        """How many the server knows of that are over, all of them inside of those that are open."""

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """Do one statement. Raises the engine's errors."""
        if statement == _MAKE:
            self._open.append(False)
        elif statement == _RELEASE:
            self._released += self._open.pop()
        elif statement == _UNDO:
            if self._open[-1]:
                released, self._released = self._released, 0
                self._plainly(f"{_RELEASE}; " * released + _UNDO)
        elif statement in _BOUNDS:
            self._open.clear()
            self._released = 0
            return super().execute(statement, values)
        else:
            return self._do(statement, values)
        return Cursor(self, [], -1)

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Cursor:
        """Do one statement for each of many values."""
        found = list(rows)
        if found:
            for before in self._before():
                self._plainly(before)
        return super().executemany(statement, found)

    def _do(self, statement: str, values: Values) -> Cursor:
        wanted = translated(statement)
        given = wanted.values(values)
        before = self._before()
        if not before:
            return super().execute(statement, values)
        try:
            with self._server.pipeline():
                for word in before:
                    self._server.execute(word.encode())
                cursor = driver.RawCursor(self._server)
                cursor.execute(wanted.text.encode(), given, binary=True)
            rows = cursor.fetchall() if cursor.description is not None else []
        except driver.Error as error:
            raise self._told(error) from error
        return Cursor(self, rows, cursor.rowcount)

    def _before(self) -> list[str]:
        """Return what the server has to be told first, and take it as told."""
        before = [_RELEASE] * self._released + [_MAKE] * self._open.count(False)
        self._open = [True] * len(self._open)
        self._released = 0
        return before
