"""A store on a server that believes, and writes, only what can be proved."""

from __future__ import annotations

from concurrent.futures import Future

from casemate.sqlite import engine
from casemate.store.postgresql.proofs import Proofs, SeenFile
from casemate.store.postgresql.proofs.proofs import MissingProofKeyError
from casemate.store.postgresql.store import KeyOf, PostgresqlStore
from casemate.vault.interface import DataKey

KEY = DataKey(version=1, key=bytes(32))


def proved(
    store: PostgresqlStore, proofs: Proofs | None = None, key_of: KeyOf | None = None
) -> PostgresqlStore:
    """Return a store that is proved from now on, as by `prove`, where no loop runs."""
    found = proofs or Proofs(KEY, SeenFile())
    store._duties.proofs, store._key_of = found, key_of
    try:
        try:
            _begun(store, found)
        except MissingProofKeyError as missing:
            if key_of is None:
                raise
            found.add_key(_now(key_of, missing.version))
            _begun(store, found)
    except BaseException:
        store._shut()
        raise
    return store


def _begun(store: PostgresqlStore, proofs: Proofs) -> None:
    answer: Future[None] = Future()

    def begin(connection: engine.Connection) -> None:
        try:
            proofs.begin_in_writer(connection)
        except BaseException as error:
            answer.set_exception(error)
            raise
        answer.set_result(None)

    store._writer.enqueue(None, begin)
    answer.result(20)


def _now(key_of: KeyOf, version: int) -> DataKey:
    try:
        key_of(version).__await__().send(None)  # type: ignore[attr-defined]
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise TimeoutError
