"""Writing a journal: entries are durable when `append` returns, and signed at the next checkpoint.

Order within a checkpoint: full tiles and bundles (durable), parts of tiles, the signed head
(durable), then what is now in full bundles leaves the pending file. A kill between any two of them
is made good at the next start, from the pending entries and the full tiles alone.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from casemate.journal.checkpoint import Checkpoint
from casemate.journal.errors import JournalDamagedError, JournalInputError, JournalWriteError
from casemate.journal.files import (
    CHECKPOINT,
    HISTORY,
    LOCK,
    append_line,
    drop_partial,
    make_folders,
    write_whole,
)
from casemate.journal.frontier import Frontier
from casemate.journal.merkle import EMPTY_ROOT, leaf_hash
from casemate.journal.note import SIGNED, NoteKey, Sign
from casemate.journal.pending import PendingFile, encoded
from casemate.journal.reader import read_bundle, read_head, read_row
from casemate.journal.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    MAX_LEVEL,
    WIDTH,
    WIDTH_BITS,
    bundle,
    path,
    widths,
)

HISTORY_SECONDS = 300.0
"""One checkpoint in so many seconds is kept in the history."""
MAX_WAITING = 1 << 18
"""Entries that may wait for a checkpoint; then no more are taken."""
MAX_BATCH = 8192
"""Entries in one call of `append`."""
NEWEST = 16_384
"""Entries that `newest` returns, if there are as many."""


class Proposal(msgspec.Struct, frozen=True):
    """A head that is to be signed, and the right edge of its tree."""

    head: Checkpoint
    rows: list[list[bytes]]
    full: int
    """Tiles that were full then."""


class Writer:
    """The writer of a journal. One thread, one per folder."""

    def __init__(
        self, folder: Path, key: NoteKey, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Go on where the folder's journal ended, or begin one.

        Raises JournalDamagedError where what the newest checkpoint says is not what the files hold,
        JournalWriteError where another process writes it, or the disk refuses.
        """
        self._folder = folder
        self._key = key
        self._clock = clock
        self._broken = ""
        self._full: list[tuple[int, int, bytes]] = []
        self._frontier = Frontier(self._became_full)
        self._kept_at = -math.inf
        try:
            make_folders(folder)
            self._lock = self._locked()
            self._open()
        except OSError as error:
            raise JournalWriteError(f"The journal cannot be opened: {error.strerror}.") from error

    def _open(self) -> None:
        pending: PendingFile | None = None
        try:
            self._pending = pending = PendingFile(self._folder)
            self.head = self._restore()
        except BaseException:
            if pending is not None:
                pending.close()
            os.close(self._lock)
            raise

    @property
    def size(self) -> int:
        """Return how many entries there are."""
        return self._frontier.size

    def waiting(self, index: int) -> list[bytes] | None:
        """Return the entries from an index on that are in no full bundle yet.

        None where that index is in one.
        """
        at = index - self._pending.first
        return None if at < 0 else self._pending.entries[at:]

    def pending_of_head(self) -> bytes:
        """Return the pending file as it is where the signed entries are all there are."""
        first = self._pending.first
        return encoded(first, self._pending.entries[: self.head.size - first])

    def newest(self) -> list[bytes]:
        """Return the newest entries, oldest first: all that may not have been acknowledged.

        Raises JournalDamagedError.
        """
        entries = list(self._pending.entries)
        index = self._pending.first >> WIDTH_BITS
        while index and len(entries) < NEWEST:
            index -= 1
            entries = [*read_bundle(self._folder, index, WIDTH), *entries]
        return entries

    def _locked(self) -> int:
        descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            raise JournalWriteError("Another process writes this journal.") from error
        return descriptor

    def _became_full(self, level: int, index: int, row: Sequence[bytes]) -> None:
        self._full.append((level, index, b"".join(row)))

    def _restore(self) -> Checkpoint:
        """Make the tree's right edge from full tiles and the pending entries; return the head.

        No part of a tile is trusted: those are not durable.
        """
        first = self._pending.first
        if first % WIDTH:
            raise JournalDamagedError("The pending entries do not begin with a bundle.")
        for level in range(MAX_LEVEL, -1, -1):
            end = first >> WIDTH_BITS * (level + 1)
            start = (end >> WIDTH_BITS) << WIDTH_BITS
            tiles = [read_row(self._folder, level, index, WIDTH) for index in range(start, end)]
            self._frontier.add_full_tiles(level, tiles)
        self._full.clear()
        head = self._signed_last()
        if not first <= head.size <= first + len(self._pending.entries):
            raise JournalDamagedError(
                f"{head.size} entries were signed, {first} to {first + len(self._pending.entries)} "
                "are there: some are gone."
            )
        hashed = [leaf_hash(entry) for entry in self._pending.entries]
        for each in hashed[: head.size - first]:
            self._frontier.add(each)
        if self._frontier.root() != head.root:
            raise JournalDamagedError(f"The {head.size} entries are not those that were signed.")
        for each in hashed[head.size - first :]:
            self._frontier.add(each)
        return head

    def _signed_last(self) -> Checkpoint:
        found = read_head(self._folder, self._key)
        if found is not None:
            return found[1]
        if (self._folder / HISTORY).exists():
            raise JournalDamagedError(f"{CHECKPOINT} is missing, and there was one.")
        return Checkpoint(self._key.name, 0, EMPTY_ROOT)  # nothing was signed yet

    def append(self, entries: Sequence[bytes]) -> int:
        """Keep these entries durably, all or none; return the index of the first.

        Raises JournalInputError for what no entry can be, JournalWriteError where nothing can be
        kept: then nothing was.
        """
        self._require_usable()
        if len(entries) > MAX_BATCH or any(len(each) > MAX_ENTRY_BYTES for each in entries):
            raise JournalInputError(
                f"Got {len(entries)} entries, the longest of {max(map(len, entries))} bytes; "
                f"expected at most {MAX_BATCH} of at most {MAX_ENTRY_BYTES}.",
                next_step="Give less at once.",
            )
        if len(self._pending.entries) + len(entries) > MAX_WAITING:
            raise JournalWriteError(
                f"{len(self._pending.entries)} entries wait for a checkpoint that is not made."
            )
        first = self.size
        try:
            self._pending.append(entries)
        except OSError as error:
            # Without room nothing was kept, and later there may be some. Any other failure leaves
            # open what is on disk: only reading it anew can tell.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._broken = f"{error.strerror} when it was written"
            raise JournalWriteError(f"The journal cannot be written: {error.strerror}.") from error
        for entry in entries:
            self._frontier.add(leaf_hash(entry))
        return first

    def _require_usable(self) -> None:
        if self._broken:
            raise JournalWriteError(f"The journal cannot be written: {self._broken}.")

    def propose(self) -> Proposal | None:
        """Return what is to be signed next, None at no news. More may be appended meanwhile."""
        self._require_usable()
        if self.size == self.head.size:
            return None
        head = Checkpoint(self._key.name, self.size, self._frontier.root())
        return Proposal(head, [list(row) for row in self._frontier.rows], len(self._full))

    def publish(self, proposal: Proposal, note: str) -> Checkpoint:
        """Put a head in place that was proposed last and is signed now, and what it stands on.

        Raises JournalWriteError: then the one before stands, and all entries are kept.
        """
        self._require_usable()
        try:
            self._write(proposal, note.encode())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._broken = f"{error.strerror} at a checkpoint"
            raise JournalWriteError(f"No checkpoint can be written: {error.strerror}.") from error
        self.head = proposal.head
        return self.head

    def checkpoint(self, sign: Sign) -> Checkpoint:
        """Propose, sign and publish; return the head. Raises also what `sign` raises."""
        proposal = self.propose()
        if proposal is None:
            return self.head
        return self.publish(proposal, proposal.head.signed(self._key, sign))

    def _write(self, proposal: Proposal, note: bytes) -> None:
        size, full = proposal.head.size, self._full[: proposal.full]
        entries = self._pending.entries[: size - self._pending.first]
        first = self._pending.first >> WIDTH_BITS
        bundles = len(entries) >> WIDTH_BITS
        for number in range(bundles):
            data = bundle(entries[number * WIDTH : (number + 1) * WIDTH])
            write_whole(self._folder / path(ENTRIES, first + number), data, durable=True)
        for level, index, row in full:
            write_whole(self._folder / path(level, index), row, durable=True)
        for level, index, width in widths(size):
            data = b"".join(proposal.rows[level])
            write_whole(self._folder / path(level, index, width), data, durable=False)
            if level == 0:
                data = bundle(entries[bundles * WIDTH :])
                write_whole(self._folder / path(ENTRIES, index, width), data, durable=False)
        write_whole(self._folder / CHECKPOINT, note, durable=True)
        self._keep(note)
        if bundles:
            self._pending.drop(bundles * WIDTH)
        del self._full[: len(full)]
        self._drop_parts(size, full, first, bundles)

    def _keep(self, note: bytes) -> None:
        now = self._clock()
        if now - self._kept_at < HISTORY_SECONDS:
            return
        fresh = self._kept_at < 0
        append_line(self._folder / HISTORY, note, begin=SIGNED, fresh=fresh)
        self._kept_at = now

    def _drop_parts(
        self, size: int, full: Sequence[tuple[int, int, bytes]], first: int, bundles: int
    ) -> None:
        """Remove the parts that wider ones or full tiles stand for now."""
        for level, index, _ in full:
            drop_partial(self._folder, level, index)
        for number in range(bundles):
            drop_partial(self._folder, ENTRIES, first + number)
        for level, index, width in widths(size):
            drop_partial(self._folder, level, index, width)
            if level == 0:
                drop_partial(self._folder, ENTRIES, index, width)

    def close(self) -> None:
        """Release the files; closing twice is fine. Asks for no last checkpoint."""
        self._pending.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._broken = self._broken or "it is closed"
