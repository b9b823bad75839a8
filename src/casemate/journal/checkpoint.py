"""Checkpoints: how many entries a journal has and their root, as C2SP's tlog-checkpoint has it."""

from __future__ import annotations

import base64
import binascii

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
    lines = opened(note, key).split("\n")
    size = root = None
    if len(lines) > _LINES and "" not in lines[:-1]:
        if lines[1].isascii() and lines[1].isdigit() and len(lines[1]) <= _MAX_DIGITS:
            size = int(lines[1])
        try:
            root = base64.b64decode(lines[2], validate=True)
        except binascii.Error:
            root = None
    if (
        size is None
        or root is None
        or str(size) != lines[1]
        or size > MAX_SIZE
        or len(root) != HASH_BYTES
    ):
        raise JournalInputError(
            "The note is signed, and is no checkpoint.", next_step="give a journal's `checkpoint`"
        )
    if lines[0] != key.name:
        raise JournalInputError(
            f"The checkpoint is of {lines[0]!r}, expected {key.name!r}.",
            next_step="give one of this journal",
        )
    return Checkpoint(lines[0], size, root)
