"""`Proofs`: what a node believes of a control database that others can write as well.

The writer's thread and the reader's have a register each. What another node has changed since is
taken from the changes that the database keeps, or all rows are read again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from casemate.model.errors import CasemateError
from casemate.sqlite import engine
from casemate.sqlite.transaction import one_state
from casemate.store.errors import StoreMovedError, StoreProofError
from casemate.store.postgresql.proofs import head as heads
from casemate.store.postgresql.proofs.head import Entry, Head
from casemate.store.postgresql.proofs.register import Change, Key, Register
from casemate.store.postgresql.proofs.rows import all_items
from casemate.store.postgresql.proofs.seen import SeenFile
from casemate.store.postgresql.proofs.witness import Witness
from casemate.vault.interface import DataKey

T = TypeVar("T")
LOSS: Final = "control/"
"""How the name of what is taken as it is begins."""
FORESEEN: Final = (CasemateError, engine.Error, MemoryError)
"""What asking may raise; all else is of rows that are not as they were written."""
_CHANGED: Final = "rows are not what nodes of the cluster have written"
_TELL_SECONDS: Final = 60.0
_MAX_REFUSALS: Final = 64
_LOG = logging.getLogger(__name__)


class MissingProofKeyError(CasemateError):
    """A version of the key is needed first; the caller fetches it, asks again."""

    def __init__(self, version: int) -> None:
        """Keep which."""
        super().__init__(f"Version {version} of the key that proves rows is not loaded.")
        self.version = version


class MissedChangesError(StoreMovedError):
    """Nothing was done; asked again it begins with all that others have changed."""


@dataclass(frozen=True, slots=True)
class _Given(Generic[T]):
    """What a question came to, before it is known whether its rows are those of nodes."""

    value: T | None = None
    failure: Exception | None = None

    def answer(self) -> T:
        if self.failure is not None:
            raise self.failure
        return cast("T", self.value)


def _given(question: Callable[[engine.Connection], T], witness: Witness) -> _Given[T]:
    """Ask. Rows that no node has written may be of no form at all, which is told as what it is."""
    try:
        return _Given(question(witness.as_engine()))
    except FORESEEN:
        raise
    except Exception as failure:  # noqa: BLE001 - raised once its rows were looked at
        return _Given(failure=failure)


class Proofs:
    """Of one store. What has `writer` in its name is for the thread that changes."""

    def __init__(
        self,
        newest: DataKey,
        seen: SeenFile,
        accepted: Collection[str] = (),
    ) -> None:
        """Prove with the newest key of the vault, and remember in `seen`.

        `accepted` names what the operator takes as it is.
        """
        self.on_refused: Callable[[str], None] = lambda why: None
        """Told, on any thread, what is not believed; the same at most once a minute."""
        self._refusals: dict[str, float] = {}
        self._newest_key = Key(newest)
        self._keys = {newest.version: self._newest_key}
        self._seen = seen
        self._accepted = accepted
        self._writes: Register | None = None
        self._reads: Register | None = None
        self._missed = False
        """The writer's register lacks more than changes can tell."""
        self._making: list[tuple[int, Entry]] = []
        """Changes of the transaction that is open."""
        self._made: deque[tuple[int, Entry]] = deque(maxlen=heads.KEPT)
        """Changes that the reader's register has not taken yet."""
        self._undo: list[Callable[[], None]] = []

    def prove_all(self, connection: engine.Connection) -> None:
        """Have all that is there proved, in a transaction of whoever has written it."""
        self._begin(connection, _read(connection, self._newest_key))

    def require(self, connection: engine.Connection) -> None:
        """Raise StoreProofError unless all that is there was written by nodes."""
        with one_state(connection):
            head = heads.read_head(connection)
            key = self._newest_key if head is None else self._key(head.key)
            register = _read(connection, key)
            why = self._why_not(connection, head, register)
        if why:
            raise self._not_believed(why)

    # What is read

    def read(self, connection: engine.Connection, question: Callable[[engine.Connection], T]) -> T:
        """Answer a question, by nothing but what nodes have written. Raises StoreProofError."""
        register = self._opened(self._reads)
        self._take_made(register)
        witness = Witness(connection)
        given = _given(question, witness)
        if not witness.has_found:
            return given.answer()
        if register.generation >= self._seen.generation and witness.agrees(register):
            return given.answer()
        seen = self._seen.generation  # before the state that is asked now
        with one_state(connection):
            register = self._reads = self._newest(connection, register, seen)
            witness = Witness(connection, inside=True)
            given = _given(question, witness)
        self._note(register)
        if not witness.agrees(register):
            raise self._not_believed(_CHANGED)
        return given.answer()

    def _take_made(self, register: Register) -> None:
        """Have the reader's register know what this node itself has changed."""
        while self._made:
            generation, entry = self._made.popleft()
            if (generation, entry.before) == (register.generation + 1, register.code):
                _is_followed(register, generation, entry)

    # What is written

    def begin_in_writer(self, connection: engine.Connection) -> None:
        """Read all there is, in a transaction that holds the lock. Raises StoreProofError."""
        newest = self._newest_key
        head = heads.read_head(connection)
        key = newest if head is None else self._key(head.key)
        register = _read(connection, key)
        why = self._why_not(connection, head, register)
        if head is None and not register.total and not self._seen.generation:
            self._begin(connection, register)
        elif why:
            self._take_as_it_is(connection, head, register, why)
        elif head is not None:
            register.step(head.generation, head.code)
        if newest.version != key.version:
            # The key was changed: from now on the newest one proves.
            other = _read(connection, newest)
            other.step(register.generation, register.code)
            self._begin(connection, other)
            register = other
        self._undo.append(lambda: None)
        self._writes, self._reads = register, register.copied()

    def transaction_begins(self) -> None:
        """A transaction begins; one that was not committed is over."""
        self.undo_to(0)

    def mark(self) -> int:
        """Return what `undo_to` needs to know."""
        return len(self._undo)

    def undo_to(self, mark: int) -> None:
        """What was changed since was undone."""
        while len(self._undo) > mark:
            self._undo.pop()()

    def committed(self) -> None:
        """What was changed is durable, and nobody was told yet."""
        if not self._undo or self._writes is None:
            return
        self._undo.clear()
        # First: whoever sees that there is more finds it there.
        self._made.extend(self._making)
        self._making.clear()
        self._note(self._writes)

    def prepare_in_writer(self, connection: engine.Connection) -> None:
        """Know enough of what others have written, before one operation. Raises StoreProofError."""
        writes, reads = self._opened(self._writes), self._opened(self._reads)
        far = self._seen.generation - writes.generation > heads.KEPT // 2
        if not self._undo and (self._missed or far or reads.key.version > writes.key.version):
            self._writes = self._newest(connection, writes.copied(), self._seen.generation)
            self._missed = False

    def keep_in_writer(self, connection: engine.Connection, witness: Witness) -> None:
        """Prove what one operation has written.

        Raises StoreProofError; MissedChangesError if others have changed more than is kept.
        """
        if not witness.events and not witness.has_found:
            return
        self.require_in_writer(connection, witness)
        for _ in range(2):
            mark = self.mark()
            if self._is_kept(connection, witness):
                if not witness.agrees_after(self._opened(self._writes)):
                    raise self._not_believed(_CHANGED)
                return
            self.undo_to(mark)
            self._sync_writer(connection)
        raise self._not_believed("somebody else changes what proves its rows")

    def require_in_writer(self, connection: engine.Connection, witness: Witness) -> None:
        """Raise StoreProofError unless what an operation was given is what nodes have written."""
        if witness.has_found:
            self._sync_writer(connection)
            if not witness.agrees(self._opened(self._writes)):
                raise self._not_believed(_CHANGED)

    def _is_kept(self, connection: engine.Connection, witness: Witness) -> bool:
        register = self._opened(self._writes)
        changes: list[Change] = []
        try:
            for event in witness.events:
                for change in event(register):
                    self._undo.append(register.apply(change))
                    changes.append(change)
        except StoreProofError as error:
            # Perhaps another node has written what this one does not know of yet.
            if not self._is_newest(connection, register):
                return False
            self._refused(error.message)
            raise
        if not changes:
            return not witness.events or self._is_newest(connection, register)
        was = register.generation
        head = Head(was + 1, register.code, register.next_code(), register.key.version)
        if not heads.step(connection, head, was, changes, register.key):
            return False
        self._undo.append(register.step(head.generation, head.code))
        made = (head.generation, Entry(head.before, head.code, changes))
        self._making.append(made)
        self._undo.append(lambda: self._making.remove(made))
        return True

    def _is_newest(self, connection: engine.Connection, register: Register) -> bool:
        head = heads.read_head(connection)
        return head is not None and (head.generation, head.code) == (
            register.generation,
            register.code,
        )

    def _sync_writer(self, connection: engine.Connection) -> None:
        was = self._opened(self._writes)
        register = self._newest(connection, was.copied(), self._seen.generation, may_read=False)

        def undo() -> None:
            self._writes = was

        self._undo.append(undo)
        self._writes = register

    # What other nodes have written

    def _newest(
        self,
        connection: engine.Connection,
        known: Register,
        seen: int,
        *,
        may_read: bool = True,
    ) -> Register:
        """Return the register as the database is; raises StoreProofError if it is not believed.

        Rows cannot be read any more where an operation has changed some of them already.
        """
        head = heads.read_head(connection)
        if head is None:
            raise self._not_believed("what proves its rows is gone")
        if (head.generation, head.code) == (known.generation, known.code):
            return known
        if head.generation < max(seen, known.generation):
            raise self._not_believed(
                f"it is at generation {head.generation}, and {max(seen, known.generation)} was seen"
            )
        why = self._why_no_successor(connection, head, known.generation, known.code, known)
        if why:
            raise self._not_believed(why)
        if (known.generation, known.code) == (head.generation, head.code):
            return known
        if not may_read:
            self._missed = True  # so that the next operation begins with it
            raise MissedChangesError(
                "Other nodes have changed more than can be followed.", next_step="Try again."
            )
        register = _read(connection, self._key(head.key))
        if register.key.of_whole(head.generation, register.total, head.before) != head.code:
            raise self._not_believed(_CHANGED)
        register.step(head.generation, head.code)
        return register

    def _why_no_successor(
        self,
        connection: engine.Connection,
        head: Head,
        generation: int,
        code: bytes,
        register: Register | None = None,
    ) -> str:
        """Tell why a head did not come of a generation that was seen; empty if it did.

        `register`, which is of that generation, takes the changes for as long as they say all.
        """
        if head.generation - generation > heads.KEPT:
            return ""
        for kept in heads.read_entries(connection, generation):
            entry = heads.opened(kept, self._key(kept.key))
            if entry is None or kept.generation != generation + 1 or entry.before != code:
                return f"its generation {kept.generation} did not come of the one that was seen"
            if register is not None and not _is_followed(register, kept.generation, entry):
                register = None
            generation, code = kept.generation, entry.code
        if (generation, code) != (head.generation, head.code):
            return "changes between what was seen and what it is now are missing"
        return ""

    # Beginning

    def _why_not(self, connection: engine.Connection, head: Head | None, register: Register) -> str:
        """Tell why all there is is not believed when a node starts; empty if it is."""
        seen = self._seen
        if head is None:
            return "nothing proves its rows"
        if register.key.of_whole(head.generation, register.total, head.before) != head.code:
            return _CHANGED
        if head.generation < seen.generation:
            return f"it is at generation {head.generation}, and {seen.generation} was seen"
        if not seen.generation or (head.generation, head.code) == (seen.generation, seen.code):
            return ""
        return self._why_no_successor(connection, head, seen.generation, seen.code)

    def _take_as_it_is(
        self, connection: engine.Connection, head: Head | None, register: Register, why: str
    ) -> None:
        seen = self._seen
        code = b"" if head is None else head.code
        found = register.total.to_bytes(32, "big")
        at = seen.generation.to_bytes(8, "big") + seen.code
        name = f"{LOSS}{register.key.name_of(found, code, at)}"
        if name not in self._accepted:
            raise self._not_believed(why, name)
        _LOG.warning("The control database is taken as it is, as was accepted: %s.", why)
        made = head and register.key.of_whole(head.generation, register.total, head.before)
        if head is not None and made == head.code:
            register.step(head.generation, head.code)
            seen.note(head.generation, head.code, back=True)
        else:
            register.step(max(seen.generation, 0 if head is None else head.generation), code)
            self._begin(connection, register)

    def _begin(self, connection: engine.Connection, register: Register) -> None:
        """Have all there is proved from now on, as the next generation."""
        head = Head(
            register.generation + 1, register.code, register.next_code(), register.key.version
        )
        heads.begin(connection, head, register.key)
        register.step(head.generation, head.code)

    def add_key(self, key: DataKey) -> None:
        """Have another version of the key ready. Any thread."""
        self._keys[key.version] = Key(key)

    def has_no_key(self, version: int) -> StoreProofError:
        """Return the error for a version that the vault does not have."""
        return self._not_believed(f"its key {version} is none of the vault's")

    def _key(self, version: int) -> Key:
        key = self._keys.get(version)
        if key is None:
            raise MissingProofKeyError(version)
        return key

    def _refused(self, why: str) -> None:
        now = time.monotonic()
        if now - self._refusals.get(why, -_TELL_SECONDS) < _TELL_SECONDS:
            return
        if len(self._refusals) >= _MAX_REFUSALS:
            self._refusals.clear()
        self._refusals[why] = now
        self.on_refused(why)

    def _note(self, register: Register) -> None:
        try:
            self._seen.note(register.generation, register.code)
        except OSError as error:
            _LOG.error("what was seen of the control database cannot be written: %s", error)

    def _opened(self, register: Register | None) -> Register:
        if register is None:
            raise StoreProofError("The control database is asked before it was proved.")
        return register

    def _not_believed(self, why: str, name: str = "") -> StoreProofError:
        self._refused(why)
        accept = f" To take what is there as it is: casemate serve --accept-loss {name}"
        return StoreProofError(
            f"The control database is not believed: {why}.",
            next_step="See who can write it, and bring it back from a backup: "
            f"docs/howto/run-many-nodes.md.{accept if name else ''}",
        )


def _is_followed(register: Register, generation: int, entry: Entry) -> bool:
    """Have a register take what the next generation has changed; False if it cannot."""
    undo = [register.apply(change) for change in entry.changes or ()]
    if entry.changes is not None and register.next_code() == entry.code:
        register.step(generation, entry.code)
        return True
    for each in reversed(undo):
        each()
    return False


def _read(connection: engine.Connection, key: Key) -> Register:
    register = Register(key)
    for item in all_items(connection):
        register.apply(register.kept(item))
    return register
