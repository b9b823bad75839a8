"""A connection that says what it can together: each word to the server is a way there and back.

Savepoints are made when something is done in them, released when the next one is made, and both
travel with the statement that needs them. So do statements whose answers nobody needs yet, and what
each transaction asks first travels with its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Any, Final

from casemate.postgresql.connection import Connection, Cursor, Values
from casemate.postgresql.session import Session
from casemate.postgresql.statements import Translated, translated

_MAKE, _RELEASE, _UNDO = "SAVEPOINT part", "RELEASE part", "ROLLBACK TO part"
_BOUNDS: Final = frozenset({"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"})


_MOST_LATER: Final = 8
"""How many statements wait for the next one at most."""


class _Known(Enum):
    """What the server knows of a savepoint that is open."""

    NOT = auto()
    MADE = auto()
    INNER = auto()
    """It is where the next one inside is: nothing was done in between, so that stands for both."""


class Later:
    """What a statement is answered with that travels with the next one."""

    __slots__ = ("_connection", "rows")

    def __init__(self, connection: ProjectConnection) -> None:
        self._connection = connection
        self.rows: list[tuple[Any, ...]] | None = None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows; does the statement now if it was not done."""
        if self.rows is None:
            self._connection.catch_up()
        return self.rows or []


class ProjectConnection(Connection):
    """Does as its base, in fewer exchanges."""

    def __init__(self, found: Session, lock: int) -> None:
        """Use `found`, which is set up."""
        super().__init__(found, lock)
        self._open: list[_Known] = []
        """The savepoints, outermost first."""
        self._released = 0
        """How many the server knows of that are over, all of them inside of those that are open."""
        self._later: list[tuple[Translated, list[object], Later]] = []
        """What is done along with the next statement; all of the innermost savepoint."""
        self.along: tuple[str, Values] | None = None
        """A question that each transaction that changes begins with."""
        self.begun: tuple[Any, ...] | None = None
        """What the present one was answered."""

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """Do one statement. Raises the engine's errors."""
        if statement == _MAKE:
            self.catch_up()
            self._open.append(_Known.NOT)
        elif statement == _RELEASE:
            self.catch_up()  # what fails is of this part, not of one that follows
            self._release(self._open.pop())
        elif statement == _UNDO:
            self._later.clear()
            if self._open[-1] is _Known.MADE:
                released, self._released = self._released, 0
                self._plainly(f"{_RELEASE}; " * released + _UNDO)
        elif statement in _BOUNDS:
            if statement == "COMMIT":
                self.catch_up()
            self._later.clear()
            self._open.clear()
            self._released = 0
            return super().execute(statement, values)
        else:
            return self._do(statement, values)
        return Cursor(self, [], -1)

    def later(self, statement: str, values: Values = ()) -> Later:
        """Do a statement along with the next one, or when its answer is asked for."""
        wanted = translated(statement)
        made = Later(self)
        if len(self._later) >= _MOST_LATER:
            self.catch_up()
        self._later.append((wanted, wanted.values(values), made))
        return made

    def catch_up(self) -> None:
        """Do what waits for the next statement."""
        if self._later:
            self._exchange(self._before(), [])

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Cursor:
        """Do one statement for each of many values."""
        found = list(rows)
        if found:
            self.catch_up()
            for before in self._before():
                self._plainly(before)
        return super().executemany(statement, found)

    def _enter(self) -> None:
        self.begun = None
        if self.along is None:
            super()._enter()
            return
        wanted = translated(self.along[0])
        # One statement after the other: the question sees what was committed before the lock.
        asked = [(wanted, wanted.values(self.along[1]))]
        (cursor,) = self._exchange(["BEGIN", self._locking], asked)
        self.begun = cursor.fetchone()

    def _do(self, statement: str, values: Values) -> Cursor:
        wanted = translated(statement)
        given = wanted.values(values)
        before = self._before()
        if not before and not self._later:
            return super().execute(statement, values)
        return self._exchange(before, [(wanted, given)])[0]

    def _exchange(
        self, words: Sequence[str], asked: Sequence[tuple[Translated, list[object]]]
    ) -> list[Cursor]:
        """Say words, do what waited and what is asked; return what the latter is answered."""
        later, self._later = self._later, []
        statements = [(wanted, given) for wanted, given, _ in later]
        cursors = self._ask(words, [*statements, *asked])
        for cursor, (_, _, waiting) in zip(cursors, later, strict=False):
            waiting.rows = cursor.fetchall()
        return cursors[len(later) :]

    def _before(self) -> list[str]:
        """Return what the server has to be told first, and take it as told."""
        before = [_RELEASE] * self._released
        self._released = 0
        if self._open and self._open[-1] is _Known.NOT:
            before.append(_MAKE)
            at = self._open.index(_Known.NOT)
            self._open[at:] = [_Known.INNER] * (len(self._open) - at - 1) + [_Known.MADE]
        return before

    def _release(self, known: _Known) -> None:
        if known is _Known.MADE:
            if self._open and self._open[-1] is _Known.INNER:
                self._open[-1] = _Known.MADE
            else:
                self._released += 1
