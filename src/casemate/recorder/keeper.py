"""Keeping facts: each becomes one entry, sealed with its project's key, once, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from casemate.journal.copying import KEYS, MAX_KEYS_BYTES
from casemate.journal.errors import JournalDamagedError, JournalWriteError
from casemate.journal.files import read_bounded, write_whole
from casemate.journal.writer import MAX_BATCH, Writer
from casemate.model.facts import OperationPerformed
from casemate.recorder import ocsf
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import MAX_FACT_BYTES, RECORD_KINDS, Take
from casemate.recorder.sealing import EntryKey, opening
from casemate.vault.interface import DataKey

ROTATION = "rotateKeys"
"""The operation after which entries have other keys."""
MAX_SESSIONS = 64
"""Gateways, the newest, whose facts are known again when they are sent twice."""

GetKey = Callable[[str, int | None], Awaitable[DataKey]]


def holds_facts(batches: Sequence[Take]) -> bool:
    """Tell whether there is anything for the journal."""
    return not all(
        RECORD_KINDS.issuperset([told.kind for told in batch.facts]) for batch in batches
    )


class KeyRing:
    """The keys of entries by project and by id.

    Which project and version a key id is of is kept in a file beside the journal, encrypted with
    the node's own key, and written before the first entry of a key.
    """

    def __init__(self, folder: Path, get_key: GetKey) -> None:
        """Use the keys that `get_key` returns."""
        self._folder = folder
        self._get_key = get_key
        self._by_project: dict[str, EntryKey] = {}
        self._by_id: dict[bytes, EntryKey] = {}
        self._named: dict[bytes, tuple[str, int]] = {}
        self._node: EntryKey | None = None

    async def load(self, *, expected: bool = False) -> None:
        """Read which keys there were; `expected`: there are entries, so there were some.

        Raises VaultError, JournalDamagedError.
        """
        self._node = self._added("", await self._get_key("", None))
        data = read_bounded(self._folder / KEYS, MAX_KEYS_BYTES)
        if data is None:
            if expected:
                raise JournalDamagedError(
                    f"{KEYS} is missing, which says by which keys the entries are read."
                )
            return
        version, _, sealed = data.partition(b"\n")
        try:
            node = EntryKey("", 0, (await self._get_key("", int(version))).key)
            named = json.loads(node.open(sealed))
        except (ValueError, RecorderError) as error:
            raise JournalDamagedError(f"{KEYS} cannot be read.") from error
        self._named = {bytes.fromhex(k): (str(p), int(v)) for k, (p, v) in named.items()}

    def _added(self, project: str, key: DataKey) -> EntryKey:
        made = EntryKey(project, key.version, key.key)
        self._by_project[project] = self._by_id[made.id] = made
        return made

    async def of_project(self, project: str) -> EntryKey:
        """Return the key for new entries of a project; `""`: of none.

        Raises VaultError, JournalWriteError.
        """
        known = self._by_project.get(project)
        if known is None:
            known = self._added(project, await self._get_key(project, None))
        if known.id not in self._named:
            self._named[known.id] = (project, known.version)
            try:
                self._write()
            except OSError as error:
                del self._named[known.id]
                text = f"The key of an entry cannot be noted: {error.strerror}."
                raise JournalWriteError(text) from error
            except BaseException:
                del self._named[known.id]
                raise
        return known

    def _write(self) -> None:
        if self._node is None:
            raise RecorderError("The keys were not loaded.")
        named = {key_id.hex(): where for key_id, where in self._named.items()}
        sealed = self._node.seal(bytes(8), 0, json.dumps(named).encode())
        data = b"%d\n%b" % (self._node.version, sealed)
        write_whole(self._folder / KEYS, data, durable=True)

    async def of_id(self, key_id: bytes) -> EntryKey | None:
        """Return the key of an entry, None where it is known no more. Raises VaultError."""
        known = self._by_id.get(key_id)
        if known is None and (named := self._named.get(key_id)) is not None:
            project, version = named
            key = await self._get_key(project, version)
            known = EntryKey(project, key.version, key.key)
            if known.id != key_id:
                return None  # erased, and made anew under the same number
            self._by_id[key_id] = known
        return known

    def forget_newest(self) -> None:
        """Ask for the newest keys again: they may have been rotated."""
        self._by_project.clear()


class Keeper:
    """Turns facts into entries of the journal."""

    def __init__(self, writer: Writer, keys: KeyRing, noted: Noted) -> None:
        """Write with `writer`, sealed with `keys`, and tell `noted` of each entry."""
        self._writer = writer
        self.noted = noted
        self._keys = keys
        self._seen: dict[bytes, int] = {}
        """The newest number of each session: they come in order, and each that failed ends its
        connection, so that none is kept before one that is not."""

    def remember(self, entries: Sequence[bytes]) -> None:
        """Know these entries, the newest of the journal, when they are sent again."""
        for entry in entries:
            if (clear := opening(entry)) is not None:
                self._note(clear.session, clear.number)

    def _note(self, session: bytes, number: int) -> None:
        self._seen.pop(session, None)  # those that were heard of last are forgotten last
        self._seen[session] = number
        if len(self._seen) > MAX_SESSIONS:
            del self._seen[next(iter(self._seen))]

    async def keep(self, batches: Sequence[Take]) -> None:
        """Have all facts of these batches durable, or raise.

        Raises RecorderInputError for what is no fact, JournalWriteError, VaultError.
        """
        entries: list[bytes] = []
        kept: list[tuple[bytes, int, str]] = []
        last = dict(self._seen)
        now = time.time()
        for batch in batches:
            seen = last.get(batch.session, -1)
            for number, told in enumerate(batch.facts, batch.first):
                if number <= seen or told.kind in RECORD_KINDS:
                    continue  # kept before the connection was lost, or not the journal's
                if len(told.fact) > MAX_FACT_BYTES:
                    raise RecorderInputError("A fact is larger than one may be.")
                fact = ocsf.decode(told.kind, told.fact)
                if isinstance(fact, OperationPerformed) and fact.operation == ROTATION:
                    self._keys.forget_newest()
                key = await self._keys.of_project(fact.project)
                uid = f"{batch.session.hex()}-{number}"
                text = ocsf.event(fact, told.count, uid, now)
                entries.append(key.seal(batch.session, number, text))
                kept.append((batch.session, number, told.kind))
                last[batch.session] = number
        for start in range(0, len(entries), MAX_BATCH):
            first = self._writer.append(entries[start : start + MAX_BATCH])
            for place, (session, number, kind) in enumerate(kept[start : start + MAX_BATCH], first):
                self._note(session, number)
                self.noted.note(place, kind)
