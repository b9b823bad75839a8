"""Checkpoints: how many entries a journal has and their root, as C2SP's tlog-checkpoint has it."""

from __future__ import annotations

import base64

import msgspec

from casemate.journal.errors import JournalInputError
from casemate.journal.merkle import HASH_BYTES, MAX_SIZE
from casemate.journal.note import NoteKey, Sign, opened, signed

_LINES = 3
_MAX_DIGITS = 17


class Checkpoint(msgspec.Struct, frozen=True):
    """A journal's head. `origin` names the journal and is the name of its key."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, key: NoteKey, sign: Sign) -> str:
        """Return it as a signed note."""
        return signed(self.text, key, sign)


def opened_checkpoint(note: str, key: NoteKey) -> Checkpoint:
    """Return what a note says that this key signed, of the journal that it names.

    Raises JournalInputError.
    """
    found = read_checkpoint(opened(note, key))
    if found is None:
        raise JournalInputError(
            "The note is signed, but not a checkpoint.", next_step="Give a journal's `checkpoint`"
        )
    if found.origin != key.name:
        raise JournalInputError(
            f"The checkpoint is of {found.origin!r}, expected {key.name!r}.",
            next_step="Give one of this journal.",
        )
    return found


def read_checkpoint(text: str) -> Checkpoint | None:
    """Return what a note's text says, whoever signed it; None where it is no checkpoint."""
    lines = text.split("\n")
    if len(lines) <= _LINES or "" in lines[:-1]:
        return None
    origin, number, encoded = lines[:_LINES]
    if not (number.isascii() and number.isdigit()) or len(number) > _MAX_DIGITS:
        return None
    try:
        root = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    size = int(number)
    if str(size) != number or size > MAX_SIZE or len(root) != HASH_BYTES:
        return None
    return Checkpoint(origin, size, root)
