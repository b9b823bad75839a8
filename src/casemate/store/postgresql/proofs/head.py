"""What the database has of the proofs: one code over all rows, and what the newest changes were.

A change is encrypted, so that nobody sees a code, and says what it follows: who knows an earlier
generation can tell whether a later one came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.sqlite import engine
from casemate.store.postgresql.proofs.register import Change
from casemate.store.postgresql.proofs.register import Key as ProofKey
from casemate.vault import envelope
from casemate.vault.errors import DecryptionError

KEPT: Final = 1024
"""Changes that stay: who missed more reads all rows again."""
_TIDY: Final = 64
_HEAD: Final = "SELECT generation, before, code, key FROM proof"
_ENTRIES: Final = """
    SELECT generation, key, content FROM proof_change WHERE generation > ?
    ORDER BY generation LIMIT ?
"""
# Both in one exchange with the server.
_STEP: Final = """
    WITH stepped AS (
        UPDATE proof SET generation = ?, before = ?, code = ?, key = ?
        WHERE generation = ? AND code = ? RETURNING generation, key
    )
    INSERT INTO proof_change (generation, key, content) SELECT generation, key, ? FROM stepped
    ON CONFLICT (generation) DO UPDATE SET key = excluded.key, content = excluded.content
    RETURNING generation
"""
_BEGIN: Final = """
    INSERT INTO proof (one, generation, before, code, key) VALUES (1, ?, ?, ?, ?)
    ON CONFLICT (one) DO UPDATE SET generation = excluded.generation, before = excluded.before,
    code = excluded.code, key = excluded.key
"""
_ADD: Final = """
    INSERT INTO proof_change (generation, key, content) VALUES (?, ?, ?)
    ON CONFLICT (generation) DO UPDATE SET key = excluded.key, content = excluded.content
"""
_DROP: Final = "DELETE FROM proof_change WHERE generation <= ?"
_DROP_LATER: Final = "DELETE FROM proof_change WHERE generation >= ?"


class Head(NamedTuple):
    """The code of all rows at a generation, and that of the generation before."""

    generation: int
    before: bytes
    code: bytes
    key: int
    """Version of the key that all codes are made with."""


class Entry(NamedTuple):
    """What one generation has changed."""

    before: bytes
    code: bytes
    changes: Sequence[Change] | None
    """None: too much, such as another key; all rows are read again."""


class _Kept(NamedTuple):
    generation: int
    key: int
    content: bytes


def read_head(connection: engine.Connection) -> Head | None:
    """Return what is there, None if nothing is."""
    row = connection.execute(_HEAD).fetchone()
    return None if row is None else Head(*row)


def read_entries(connection: engine.Connection, after: int) -> list[_Kept]:
    """Return the changes after a generation, sealed."""
    return [_Kept(*row) for row in connection.execute(_ENTRIES, (after, KEPT + 1))]


def opened(kept: _Kept, key: ProofKey) -> Entry | None:
    """Return a change; None if no node has written it so."""
    try:
        content = envelope.decrypt(key.entries, kept.content, _context(kept.generation))
        before, code, changes = msgspec.msgpack.decode(content, type=decodable(_Content))
    except (DecryptionError, *DECODING_ERRORS):
        return None
    return Entry(before, code, None if changes is None else [Change(*each) for each in changes])


_Content = tuple[bytes, bytes, list[tuple[str, str, str, bytes | None]] | None]


def step(
    connection: engine.Connection,
    head: Head,
    was: int,
    changes: Iterable[Change] | None,
    key: ProofKey,
) -> bool:
    """Put a head in the place of that of the generation `was`; False if another one is there."""
    content = _sealed(head, changes, key)
    row = (head.generation, head.before, head.code, head.key, was, head.before, content)
    if connection.execute(_STEP, row).fetchone() is None:
        return False
    if head.generation % _TIDY == 0:
        connection.execute(_DROP, (head.generation - KEPT,))
    return True


def begin(connection: engine.Connection, head: Head, key: ProofKey) -> None:
    """Put a head there, whatever there is."""
    connection.execute(_BEGIN, head)
    connection.execute(_DROP_LATER, (head.generation,))
    connection.execute(_ADD, (head.generation, head.key, _sealed(head, None, key)))


def _sealed(head: Head, changes: Iterable[Change] | None, key: ProofKey) -> bytes:
    listed = None if changes is None else list(changes)
    content = msgspec.msgpack.encode((head.before, head.code, listed))
    return envelope.encrypt(key.entries, content, _context(head.generation))


def _context(generation: int) -> bytes:
    return envelope.context("proof change", generation)
