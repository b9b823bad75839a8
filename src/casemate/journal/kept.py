"""Checkpoints that are kept elsewhere, many in one file: whoever judges a journal takes them all.

One is not enough. Who rolls a journal back and goes on has soon signed more entries than there
were before; what he cannot have is a tree in which the heads of before fit. So heads from all of
its life are kept; where there are too many, those go that leave the smallest gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_KEPT = 4096
"""Notes of one file, and that one look at a journal takes."""
MAX_KEPT_BYTES = 4 << 20
_SIGNATURE = "\u2014 "
_TEXT_LINES = 3
_MAX_DIGITS = 17
_NEVER = 10**_MAX_DIGITS


def notes_in(text: str) -> list[str]:
    """Return the notes in a text, in order: each of three lines, a blank one, and signatures.

    What a kill has cut in the middle is passed over. Whether they are signed is not looked at.
    """
    found: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].startswith(_SIGNATURE):
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end].startswith(_SIGNATURE):
            end += 1
        # Without a line after it the last signature may be cut.
        head = lines[max(0, at - _TEXT_LINES - 1) : at]
        if end < len(lines) and _is_head(head):
            found.append("\n".join([*head, *lines[at:end]]) + "\n")
        at = end
    return found


def _is_head(lines: Sequence[str]) -> bool:
    """Tell whether these are the three lines of a note and the blank one."""
    text = lines[:-1]
    whole = len(text) == _TEXT_LINES and not lines[-1]
    return whole and all(line and not line.startswith(_SIGNATURE) for line in text)


def thinned(notes: Sequence[str]) -> list[str]:
    """Return fewer notes where there are too many.

    The first, the newest quarter and each before which a journal became shorter stay; of the others
    those go that others stand close to, so that what is left is spread over all of the journal.
    """
    kept = list(notes)
    while len(kept) >= MAX_KEPT:
        sizes = [_size(note) for note in kept]
        older = range(1, max(2, len(kept) * 3 // 4))
        spans = [sizes[n + 1] - sizes[n - 1] for n in older]
        # Two that contradict each other are what all of them are kept for.
        spans = [
            span if sizes[n - 1] <= sizes[n] <= sizes[n + 1] else _NEVER
            for n, span in zip(older, spans, strict=True)
        ]
        limit = sorted(spans)[len(spans) // 2]
        left, gone = kept[:1], False
        for n, span in zip(older, spans, strict=True):
            gone = span <= limit and not gone
            if not gone:
                left.append(kept[n])
        kept = left + kept[older.stop :]
    return kept


def _size(note: str) -> int:
    digits = note.split("\n", 2)[1]
    return int(digits) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else 0
