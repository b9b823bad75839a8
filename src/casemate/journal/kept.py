"""Checkpoints that are kept elsewhere, many in one file: whoever judges a journal takes them all.

One is not enough. Who rolls a journal back and goes on has soon signed more entries than there
were before; what he cannot have is a tree in which the heads of before fit. So heads from all of
its life are kept, the older ones with ever larger gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_KEPT = 4096
"""Notes of one file, and that one look at a journal takes."""
MAX_KEPT_BYTES = 4 << 20
_SIGNATURE = "\u2014 "
_TEXT_LINES = 3


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
        if end < len(lines) and len(head) == _TEXT_LINES + 1 and not head[-1] and all(head[:-1]):
            found.append("\n".join([*head, *lines[at:end]]) + "\n")
        at = end
    return found


def thinned(notes: Sequence[str]) -> list[str]:
    """Return fewer notes where there are too many: of the older half every second one goes.

    The first and the newest ones stay.
    """
    kept = list(notes)
    while len(kept) >= MAX_KEPT:
        half = len(kept) // 2
        kept = kept[:half:2] + kept[half:]
    return kept
