"""Small objects that were read of late, kept in memory as they are stored: encrypted.

They spare a read the hop to a thread and back, which is most of its time. Whoever reads one gets
what a read of the database would give: an entry is kept only if no transaction ran from before it
was read until then, and a change takes it out before it is committed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from casemate.model.data import ObjectInfo

MAX_OBJECT_BYTES = 8 * 1024
"""Larger ones take so long to decrypt that it is not for the event loop."""
MAX_BYTES = 1 << 20
"""All of one project, as stored and with what is known of them."""
_ENTRY_BYTES = 512


class FoundObject(NamedTuple):
    """An object as stored."""

    info: ObjectInfo
    key_version: int
    file: str | None
    sealed: bytes


class RecentObjects:
    """The present revisions of some objects of one project. Any thread may use it."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = threading.Lock()
        self._objects: OrderedDict[tuple[int, str], FoundObject] = OrderedDict()
        self._bytes = 0
        self._transactions = 0
        self._changing = False

    def find(self, bucket: int, key: str) -> FoundObject | None:
        """Return an object as it is now, None if it has to be read."""
        with self._lock:
            found = self._objects.get((bucket, key))
            if found is not None:
                self._objects.move_to_end((bucket, key))
            return found

    def before_read(self) -> int:
        """Return what `keep` needs to know of the time before a read."""
        return self._transactions

    def keep(self, before: int, bucket: int, found: FoundObject) -> None:
        """Keep the present revision of an object, unless something may have changed since."""
        if found.file is not None or found.info.size > MAX_OBJECT_BYTES:
            return
        place = bucket, found.info.key
        with self._lock:
            if self._changing or self._transactions != before:
                return
            self._remove(place)
            self._objects[place] = found
            self._bytes += _size(found)
            while self._bytes > MAX_BYTES:
                self._remove(next(iter(self._objects)))

    def begin(self) -> None:
        """Keep nothing that is read from now until `end`: a transaction begins."""
        with self._lock:
            self._changing = True
            self._transactions += 1

    def end(self) -> None:
        """Take in again what is read from now on: the transaction is over."""
        with self._lock:
            self._changing = False
            self._transactions += 1

    def drop(self, bucket: int, key: str) -> None:
        """Forget an object that the transaction under way changes."""
        with self._lock:
            self._remove((bucket, key))

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._objects.clear()
            self._bytes = 0

    def _remove(self, place: tuple[int, str]) -> None:
        found = self._objects.pop(place, None)
        if found is not None:
            self._bytes -= _size(found)


def _size(found: FoundObject) -> int:
    info = found.info
    metadata = sum(len(name) + len(value) for name, value in info.metadata.items())
    return _ENTRY_BYTES + len(found.sealed) + len(info.key) + metadata + len(info.labels)
