"""A store on a server that believes, and writes, only what can be proved."""

from __future__ import annotations

from concurrent.futures import Future

from casemate.sqlite import engine
from casemate.store.postgresql.proofs import Proofs, SeenFile
from casemate.store.postgresql.store import PostgresqlStore
from casemate.vault.interface import DataKey


def key_of(version: int | None) -> DataKey:
    return DataKey(version=version or 1, key=bytes(32))


def proved(store: PostgresqlStore, proofs: Proofs | None = None) -> PostgresqlStore:
    """Return a store that believes, and writes, only what can be proved."""
    found = proofs or Proofs(key_of, SeenFile())
    answer: Future[None] = Future()

    def begin(connection: engine.Connection) -> None:
        try:
            answer.set_result(found.begin_in_writer(connection))
        except BaseException as error:
            answer.set_exception(error)
            raise

    store._duties.proofs = found
    store._writer.enqueue(None, begin)
    try:
        answer.result(20)
    except BaseException:
        store._shut()
        raise
    return store
