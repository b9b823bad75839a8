"""Looking for entries, newest first, in slices that let the journal be written meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from casemate.journal.reader import read_bundle
from casemate.journal.tiles import WIDTH
from casemate.journal.writer import Writer
from casemate.recorder.errors import RecorderError
from casemate.recorder.keeper import KeyRing
from casemate.recorder.protocol import Entry, Found, Query
from casemate.recorder.sealing import EntryKey, opening

MAX_LOOKED_AT = 50_000
"""Entries that one search opens; the next goes on from there."""
_NULL = b"null"


class _When(msgspec.Struct):
    time: int


_when = msgspec.json.Decoder(_When).decode


class Search:
    """Looks through what a writer has written."""

    def __init__(self, folder: Path, writer: Writer, keys: KeyRing) -> None:
        """Read the writer's folder, and what it has not put in bundles yet."""
        self._folder = folder
        self._writer = writer
        self._keys = keys

    def bundle(self, index: int) -> Sequence[bytes]:
        """Return the entries of a bundle, as many as are durable. Raises JournalDamagedError."""
        waiting = self._writer.waiting(index * WIDTH)
        return read_bundle(self._folder, index, WIDTH) if waiting is None else waiting[:WIDTH]

    def entry(self, index: int) -> bytes:
        """Return one entry. IndexError where there is none."""
        return self.bundle(index // WIDTH)[index % WIDTH]

    async def text_of(self, entry: bytes) -> bytes | None:
        """Return the text of an entry, None where its key is known no more. Raises VaultError."""
        clear = opening(entry)
        key = None if clear is None else await self._keys.of_id(clear.key_id)
        return None if key is None else key.open(entry)

    async def find(self, wanted: Query) -> Found:
        """Return what is wanted. Raises JournalDamagedError, VaultError."""
        size = self._writer.size
        end = size if wanted.before is None else min(wanted.before, size)
        texts = tuple(each.encode() for each in wanted.contains)
        found: list[Entry] = []
        looked = 0
        while end > wanted.first:
            index = (end - 1) // WIDTH
            entries = self.bundle(index)
            least = max(wanted.first - index * WIDTH, 0)
            for at in range(min(end - index * WIDTH, len(entries)) - 1, least - 1, -1):
                end = index * WIDTH + at
                if (entry := await self._matching(wanted, texts, end, entries[at])) is not None:
                    found.append(entry)
                looked += 1
                if len(found) == wanted.most or looked == MAX_LOOKED_AT:
                    return Found(tuple(found), end if end > wanted.first else None)
            # Others have their turn: facts wait to be durable.
            await asyncio.sleep(0)
        return Found(tuple(found), None)

    async def _matching(
        self, wanted: Query, texts: tuple[bytes, ...], index: int, entry: bytes
    ) -> Entry | None:
        clear = opening(entry)
        if clear is None:
            return None
        key: EntryKey | None = await self._keys.of_id(clear.key_id)
        if key is None:
            # Erased: that it is there is shown where no content was asked for.
            asked = wanted.project is not None or texts or wanted.since or wanted.until
            return None if asked else Entry(index, clear.id, _NULL)
        if wanted.project is not None and key.project != wanted.project:
            return None
        try:
            text = key.open(entry)
        except RecorderError:
            return None  # verify tells of it
        holds = all(each in text for each in texts) and _is_within(wanted, text)
        # What begins with a quote is JSON, of a field and its value; all else is a person's words.
        words = [each for each in texts if not each.startswith(b'"')]
        if holds and words:
            said = _values_of(text)
            holds = all(each in said for each in words)
        return Entry(index, clear.id, text) if holds else None


def _values_of(text: bytes) -> bytes:
    """Return the values of an event, as JSON has them: names of fields say nothing of it."""
    found: list[bytes] = []
    waiting: list[object] = [msgspec.json.decode(text)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        else:
            found.append(msgspec.json.encode(one))
    return b"\n".join(found)


def _is_within(wanted: Query, text: bytes) -> bool:
    """Tell whether an event is of the time that is wanted."""
    if wanted.since is None and wanted.until is None:
        return True
    at = _when(text).time / 1000
    return (wanted.since is None or at >= wanted.since) and (
        wanted.until is None or at <= wanted.until
    )
