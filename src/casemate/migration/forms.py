"""The form in which rows pass from one engine to the other: in clear, the same for both.

Keys of items are bytes in order, texts that are only compared are tokens under the project's
secret, keys of messages are texts, and nothing is leased. `SqliteForm` and `PostgresqlForm` make it
of their engine's rows, and those of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

from casemate.data import messages
from casemate.data.errors import DataCorruptError
from casemate.data.messages import State
from casemate.data.postgresql.ordering import ordered, value_of
from casemate.data.postgresql.sealing import MissingValueKeyError
from casemate.data.postgresql.terms import Shared
from casemate.data.terms import Terms, made_token
from casemate.migration.tables import KEYED, TEXTS, Table
from casemate.vault.interface import DataKey

Row = tuple[Any, ...]
_PURGED: Final = b"purged"
"""The one reason that is kept in clear (`casemate.data.invocations`)."""


class Form(Protocol):
    """Rows of one engine, and what is made of them."""

    def taken(self, table: Table, row: Sequence[Any]) -> Row:
        """Return a row of `Table.columns` as it passes."""
        ...

    def kept(self, table: Table, row: Row) -> Row:
        """Return a row that passes as the engine keeps it."""
        ...


class PlainForm:
    """Rows of the control store: the same on both."""

    def taken(self, table: Table, row: Sequence[Any]) -> Row:
        """Return it."""
        return tuple(row)

    def kept(self, table: Table, row: Row) -> Row:
        """Return it."""
        return row


class SqliteForm:
    """Rows of a project's own file."""

    def __init__(self, tokens: bytes, *, has_tokens: bool) -> None:
        """`has_tokens`: what is only compared is kept as tokens here, too."""
        self._tokens = tokens
        self._has_tokens = has_tokens

    def taken(self, table: Table, row: Sequence[Any]) -> Row:
        """Return it as it passes."""
        found = dict(zip(table.columns, row, strict=True))
        for name in table.keys:
            found[name] = ordered(found[name])
        if not self._has_tokens:
            for name, kind in table.tokens.items():
                found[name] = made_token(self._tokens, kind, found[name])
        return _unleased(table, found)

    def kept(self, table: Table, row: Row) -> Row:
        """Return it as it is kept."""
        if not table.keys:
            return row
        found = dict(zip(table.columns, row, strict=True))
        for name in table.keys:
            found[name] = value_of(found[name])
        return tuple(found.values())


class PostgresqlForm:
    """Rows of a project's schema: sealed for their place."""

    def __init__(
        self, terms: Terms, shared: Shared, key_of: Callable[[int], DataKey], project: str
    ) -> None:
        """`key_of` gives versions of the DATA key that rows are sealed with."""
        self._terms = terms
        self._shared = shared
        self._key_of = key_of
        self._project = project

    def taken(self, table: Table, row: Sequence[Any]) -> Row:
        """Return it as it passes. Raises DataCorruptError for what is not authentic."""
        found = dict(zip(table.columns, row, strict=True))
        sealed = table.sealed
        if sealed is not None:
            place = tuple(found[name] for name in sealed.place)
            for one in sealed.columns:
                kept = found[one.column]
                if kept is not None and not (one.kind == "reason" and kept == _PURGED):
                    bound = (one.kind, *place, *(found[name] for name in one.beside))
                    found[one.column] = self.opened(bound, kept)
            for name in TEXTS & found.keys():
                found[name] = found[name].decode()
        if table.name in KEYED:
            self._take_key(found)
        return _unleased(table, found)

    def kept(self, table: Table, row: Row) -> Row:
        """Return it as it is kept."""
        found = dict(zip(table.columns, row, strict=True))
        if table.name in KEYED and found["key"]:
            attributes, trace, _ = messages.unpacked_with_key(found["attributes"])
            found["attributes"] = messages.packed(attributes, trace, found["key"])
            found["key"] = self._terms.token("key", found["key"])
        sealed = table.sealed
        if sealed is None:
            return tuple(found.values())
        for name in TEXTS & found.keys():
            found[name] = found[name].encode()
        place = tuple(found[name] for name in sealed.place)
        clear = dict(found)
        for one in sealed.columns:
            if clear[one.column] is not None:
                bound = (one.kind, *place, *(clear[name] for name in one.beside))
                found[one.column] = self._terms.seal(bound, clear[one.column])
        return tuple(found.values())

    def opened(self, bound: tuple[object, ...], kept: bytes) -> bytes:
        """Return what a value holds, under whichever version of the key it is sealed."""
        try:
            return self._terms.open(bound, kept)
        except MissingValueKeyError as error:
            self._shared.sealer.add(self._key_of(error.version))
        return self._terms.open(bound, kept)

    def _take_key(self, found: dict[str, Any]) -> None:
        if not found["key"]:
            return
        attributes, trace, key = messages.unpacked_with_key(found["attributes"])
        if self._terms.token("key", key) != found["key"]:
            raise DataCorruptError(
                f"A message of {self._project} has another key than the one it is in order by."
            )
        found["key"], found["attributes"] = key, messages.packed(attributes, trace)


def _unleased(table: Table, found: dict[str, Any]) -> Row:
    """Return a row; one that is leased is ready: who holds the lease is gone."""
    if table.name == "message" and found["state"] == State.LEASED:
        found["state"], found["visible_at"] = int(State.READY), found["sent_at"]
    return tuple(found.values())


def token_secret(marks: bytes) -> bytes:
    """Return what tokens are made with where a project has none: made of its secret for marks.

    The same at every try, so that a move that is done again gives the same rows.
    """
    return hmac.digest(marks, b"casemate tokens", sha256)
