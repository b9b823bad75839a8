"""Sees what the store's functions ask of a connection: rows they are given, rows they write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from casemate.sqlite import engine
from casemate.store.postgresql.proofs import changes, rows
from casemate.store.postgresql.proofs.changes import Event
from casemate.store.postgresql.proofs.register import Item, Register
from casemate.store.sqlite import accounts, aliases, policies

_STATES: Final = frozenset(
    {aliases.SELECT_ALIAS, aliases.SELECT_ALIASES, aliases.SELECT_ALIAS_HISTORY}
)


class _Found(NamedTuple):
    kinds: frozenset[str]
    """Of which `items` are all there are."""
    items: Sequence[Item]
    missing: tuple[str, str] | None = None
    """A kind and a name under which nothing is said to be."""


class _Rows:
    """Rows that were looked at, as a cursor gives them."""

    def __init__(self, found: Iterable[tuple[Any, ...]], count: int) -> None:
        self._rows = iter(found)
        self.rowcount = count

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows


class Witness:
    """A connection for one operation. What it has seen is believed once `agrees` says so."""

    def __init__(self, connection: engine.Connection, *, inside: bool = False) -> None:
        """See what is asked of `connection`; `inside` a transaction of whoever asks."""
        self._connection = connection
        self._inside = inside
        self._found: list[_Found] = []
        self._changed: list[_Found] = []
        """Rows as an operation has left them."""
        self._states: dict[int, Sequence[Any]] = {}
        """States of aliases whose versions are asked for next."""
        self._all_aliases: int | None = None
        self._written: Sequence[Any] = ()
        """The state of an alias that was written last."""
        self.events: list[Event] = []
        """What was written."""

    def as_engine(self) -> engine.Connection:
        """Return it as what the operations' functions take."""
        return cast("engine.Connection", self)

    @property
    def has_found(self) -> bool:
        """Whether rows were given that have to be proved."""
        return bool(self._found)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is under way, be it that of whoever asks."""
        return bool(self._connection.in_transaction)

    def execute(self, statement: str, values: Any = (), /) -> Any:
        """Do one statement, and remember what it gave or wrote."""
        if self._inside and statement in ("BEGIN", "COMMIT"):
            return _Rows((), -1)
        if statement == aliases.INSERT_STATE:
            self._written = values
        event = changes.event_of(statement, (values,))
        cursor = self._connection.execute(statement, values)
        if event is not None:
            self.events.append(event)
        if statement in rows.WHOLE or statement in _STATES:
            return self._looked(statement, values, cursor.fetchall(), cursor.rowcount)
        if statement == accounts.SELECT_TOKEN:
            found = cursor.fetchall()
            self._changed += [_token_found(row) for row in found]
            return _Rows(found, cursor.rowcount)
        if statement in (policies.SELECT_VALUE, aliases.SELECT_TARGETS):
            return self._looked(statement, values, cursor.fetchall(), cursor.rowcount)
        return cursor

    def executemany(self, statement: str, many: Iterable[Any], /) -> Any:
        """Do one statement for each of many values."""
        values = list(many)
        event = changes.event_of(statement, values)
        if statement == aliases.INSERT_TARGET:
            event = changes.alias_event(self._written, values)
        cursor = self._connection.executemany(statement, values)
        if event is not None and values:
            self.events.append(event)
        return cursor

    def _looked(
        self, statement: str, values: Any, found: list[tuple[Any, ...]], count: int
    ) -> _Rows:
        if statement in rows.WHOLE:
            kinds, items = rows.WHOLE[statement]
            self._found.append(_Found(kinds, [item for row in found for item in items(row)]))
        elif statement == policies.SELECT_VALUE:
            given = [rows.value_item(values[0], row[0]) for row in found]
            missing = None if given else ("value", values[0])
            self._found.append(_Found(frozenset(), given, missing))
        elif statement == aliases.SELECT_TARGETS:
            states, self._states = self._states, {}
            targets: dict[int, list[Sequence[Any]]] = defaultdict(list)
            for state, *target in found:
                targets[state].append(target)
            given = [rows.alias_item(rest, targets[state]) for state, rest in states.items()]
            self._found.append(_Found(frozenset(), given))
        else:
            self._look_at_states(statement, values, found)
        return _Rows(found, count)

    def _look_at_states(self, statement: str, values: Any, found: list[tuple[Any, ...]]) -> None:
        if statement == aliases.SELECT_ALIASES:
            self._states = {state: rest for state, *rest in found}
            # Their versions are asked for after this; that none is missing is seen by their names.
            self._all_aliases = len(found)
        elif found:
            # Of a history the present state alone is proved.
            state, *rest = found[0]
            self._states = {state: rest}
        elif statement != aliases.SELECT_ALIAS_HISTORY or values[3] > 0:
            name = "/".join(map(str, values[:3]))
            self._found.append(_Found(frozenset(), (), ("alias", name)))

    def agrees_after(self, register: Register) -> bool:
        """Tell whether rows were given as what was written has left them."""
        return all(_agrees(found, register) for found in self._changed)

    def agrees(self, register: Register) -> bool:
        """Tell whether what was given is what nodes have written."""
        if self._states:  # their versions were never asked for
            return False
        if self._all_aliases is not None and self._all_aliases != register.count("alias"):
            return False
        return all(_agrees(found, register) for found in self._found)


def _token_found(row: Sequence[Any]) -> _Found:
    items = list(rows.token_items(row))
    is_revoked = len(items) > 1
    return _Found(frozenset(), items, None if is_revoked else ("revoked", items[0].name))


def _agrees(found: _Found, register: Register) -> bool:
    if found.missing is not None and register.has(*found.missing):
        return False
    counts = dict.fromkeys(found.kinds, 0)
    for item in found.items:
        if not register.is_proved(item):
            return False
        if item.kind in counts:
            counts[item.kind] += 1
    return all(register.count(kind) == count for kind, count in counts.items())
