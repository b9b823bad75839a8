"""Looking for anything that was edited, removed, reordered, cut off or rolled back.

Every hash is made anew from the entries, and compared with the tiles, with each head that the
journal's key has signed, and with those that were sent elsewhere. What the tiles still tell is
found to the entry; where somebody made them anew as well, to the entries between two signed heads.
Reads each file once; memory does not depend on the journal's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from casemate.journal.checkpoint import Checkpoint, opened_checkpoint
from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.files import CHECKPOINT, HISTORY, PENDING, read_bounded, read_tile
from casemate.journal.frontier import Frontier
from casemate.journal.merkle import leaf_hash
from casemate.journal.note import MAX_NOTE_BYTES, NoteKey
from casemate.journal.pending import read_pending
from casemate.journal.reader import read_head
from casemate.journal.tiles import ENTRIES, WIDTH, WIDTH_BITS, hashes, path, unbundled

MAX_FINDINGS = 200
"""Findings that are told one by one; then only that there are more."""
MAX_HISTORY_BYTES = 256 << 20
_NOTE_LINES = 5

Kind = Literal["changed", "missing", "rewritten", "rolled back", "checkpoint", "tile", "pending"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it was: which entries it touches, `first` up to before `end`."""

    kind: Kind
    first: int
    end: int
    text: str


class Verified(msgspec.Struct, frozen=True):
    """What was looked at and what was found. Without findings all of it is as it was signed."""

    size: int
    unsigned: int
    """Entries that are kept and were not signed yet."""
    findings: tuple[Finding, ...]
    more: bool
    """Whether there are findings beyond `MAX_FINDINGS`."""


class _Search:
    def __init__(self, folder: Path, key: NoteKey) -> None:
        self.folder = folder
        self.key = key
        self.findings: list[Finding] = []
        self.more = False
        self.tree = Frontier(self._became_full)

    def found(self, kind: Kind, first: int, end: int, text: str) -> None:
        """Note a finding."""
        if len(self.findings) == MAX_FINDINGS:
            self.more = True
            return
        self.findings.append(Finding(kind, first, end, text))

    def _became_full(self, level: int, index: int, row: Sequence[bytes]) -> None:
        """Compare a full tile above level 0, which entries are compared with, with its file."""
        if level:
            self.compare(level, index, row)

    def compare(self, level: int, index: int, row: Sequence[bytes]) -> None:
        """Compare a row that was made anew with its tile, hash by hash."""
        kept = self.tile(level, index, len(row))
        span = 1 << WIDTH_BITS * level
        start = index * WIDTH * span
        if len(kept) != len(row):
            end = start + len(row) * span
            self.found("tile", start, end, f"{path(level, index)} is missing, cut or too long")
            return
        for at, (ours, theirs) in enumerate(zip(row, kept, strict=True)):
            if ours != theirs:
                first = start + at * span
                text = f"hash {at} of {path(level, index)} is not that of its entries"
                self.found("tile", first, first + span, text)

    def tile(self, level: int, index: int, width: int) -> list[bytes]:
        """Return a tile's hashes, none where it is missing or not whole."""
        try:
            found = hashes(read_tile(self.folder, level, index, width) or b"")
        except (ValueError, JournalDamagedError):
            return []
        # A full tile stands for a part of it; a part that has more was added to.
        return found[:width] if len(found) <= width or len(found) == WIDTH else []

    def leaves(self, index: int, width: int) -> list[bytes]:
        """Return the hashes of a bundle's entries, after comparing them with their tile.

        Where entries are missing the tile's hashes stand for them, so that the rest is looked at.
        """
        first = index * WIDTH
        kept = self.tile(0, index, width)
        try:
            data = read_tile(self.folder, ENTRIES, index, width)
            entries = unbundled(data or b"")
            if width < len(entries) < WIDTH:
                text = f"{path(ENTRIES, index)} holds {len(entries)} entries, {width} were signed"
                self.found("changed", first + width, first + len(entries), text)
            entries = entries[:width]
        except (ValueError, JournalDamagedError) as error:
            self.found("changed", first, first + width, f"{path(ENTRIES, index)}: {error}")
            entries = []
        made = [leaf_hash(entry) for entry in entries]
        if len(made) < width:
            text = f"{path(ENTRIES, index)} holds {len(made)} of {width} entries"
            self.found("missing", first + len(made), first + width, text)
        if len(kept) < width:
            text = f"{path(0, index)} is missing, cut or too long"
            self.found("tile", first, first + width, text)
            kept = kept + made[len(kept) :]
        for at, (ours, theirs) in enumerate(zip(made, kept, strict=False)):
            if ours != theirs:
                text = f"entry {first + at} is not the one that was written"
                self.found("changed", first + at, first + at + 1, text)
        return made + kept[len(made) :]


def _history(folder: Path, key: NoteKey, search: _Search) -> list[Checkpoint]:
    """Return the heads that are kept beside the newest one; what does not hold is a finding."""
    try:
        data = read_bounded(folder / HISTORY, MAX_HISTORY_BYTES) or b""
    except JournalDamagedError as error:
        search.found("checkpoint", 0, 0, str(error))
        return []
    lines = data.decode(errors="replace").split("\n")
    heads: list[Checkpoint] = []
    # A kill may cut the last one.
    for at in range(0, len(lines) - _NOTE_LINES, _NOTE_LINES):
        try:
            note = "\n".join(lines[at : at + _NOTE_LINES]) + "\n"
            heads.append(opened_checkpoint(note, key))
        except JournalInputError as error:
            search.found("checkpoint", 0, 0, f"line {at + 1} of {HISTORY}: {error}")
            break
    rest = "\n".join(lines[len(lines) - 1 - (len(lines) - 1) % _NOTE_LINES :])
    begin = f"{key.name}\n"
    if len(rest) > MAX_NOTE_BYTES or not (begin.startswith(rest) or rest.startswith(begin)):
        search.found("checkpoint", 0, 0, f"the end of {HISTORY} is no part of a checkpoint")
    return heads


def _newest(folder: Path, key: NoteKey, search: _Search, *, signed: bool) -> Checkpoint | None:
    """Return the newest head; where there is none, that is a finding if any was ever signed."""
    try:
        found = read_head(folder, key)
    except JournalDamagedError as error:
        search.found("checkpoint", 0, 0, str(error))
        return None
    if found is not None:
        return found[1]
    if signed or (folder / "tile").exists():
        search.found("checkpoint", 0, 0, f"{CHECKPOINT} is missing")
    return None


def _compare_heads(search: _Search, roots: dict[int, bytes], heads: Sequence[Checkpoint]) -> None:
    """Find the first signed head that the entries do not have, and the last that they have."""
    held = before_held = 0
    for head in sorted(heads, key=lambda each: each.size):
        root = roots.get(head.size)
        if root is None:
            continue  # larger than what is there: a roll-back, told as such
        # Of one size there may be two: who rolled back and went on has signed it twice.
        before = held if held < head.size else before_held
        if root != head.root:
            exact = any(
                before <= each.first < head.size and each.kind != "checkpoint"
                for each in search.findings
            )
            if not exact:
                text = f"the first {head.size} entries are not those that were signed"
                search.found("rewritten", before, head.size, text)
            return
        if head.size > held:
            before_held, held = held, head.size


def _look_at_pending(search: _Search, size: int) -> int:
    """Return how many entries wait to be signed."""
    try:
        first, entries, _ = read_pending(search.folder / PENDING)
    except JournalDamagedError as error:
        search.found("pending", size, size, str(error))
        return 0
    if not first <= size <= first + len(entries):
        text = f"{PENDING} holds entries {first} to {first + len(entries)}, {size} were signed"
        search.found("pending", first + len(entries), size, text)
        return 0
    for index in range(first >> WIDTH_BITS, -(-size // WIDTH)):
        # The same entries stand in a bundle already: both have to tell the same.
        start = index * WIDTH
        width = min(WIDTH, size - start)
        kept = search.tile(0, index, width)
        for at, theirs in enumerate(kept):
            if leaf_hash(entries[start - first + at]) != theirs:
                text = f"entry {start + at} differs between {PENDING} and its bundle"
                search.found("pending", start + at, start + at + 1, text)
    return first + len(entries) - size


def verify(folder: Path, key: NoteKey, sent: Sequence[Checkpoint] = ()) -> Verified:
    """Look for what was changed in a journal that nobody writes meanwhile.

    `sent` are heads that were kept elsewhere: against who has the key too, only they help. Never
    raises for what the files hold.
    """
    search = _Search(folder, key)
    history = _history(folder, key, search)
    heads = [*history, *sent]
    newest = _newest(folder, key, search, signed=bool(heads))
    known = max((each.size for each in heads), default=0)
    size = newest.size if newest is not None else known
    if known > size:
        text = f"{known} entries were signed before, {size} are left"
        search.found("rolled back", size, known, text)
    if newest is not None:
        if not history:
            search.found(
                "checkpoint", 0, 0, f"{HISTORY} is missing, or has none of its checkpoints"
            )
        heads.append(newest)
    wanted = sorted({each.size for each in heads})
    roots = {0: search.tree.root()}
    for index in range(-(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        leaves = search.leaves(index, width)
        if len(leaves) < width:
            break  # neither entries nor hashes: nothing behind them can be made anew
        while wanted and wanted[0] < (index + 1) * WIDTH:
            if (count := wanted.pop(0) - index * WIDTH) <= width:
                roots[index * WIDTH + count] = search.tree.root(leaves[:count])
        for leaf in leaves:
            search.tree.add(leaf)
        if wanted and wanted[0] == search.tree.size:
            roots[wanted.pop(0)] = search.tree.root()
    for level in range(1, len(search.tree.rows)):
        if row := search.tree.rows[level]:
            search.compare(level, search.tree.size >> WIDTH_BITS * (level + 1), row)
    _compare_heads(search, roots, heads)
    unsigned = _look_at_pending(search, size)
    return Verified(size, unsigned, tuple(search.findings), search.more)
