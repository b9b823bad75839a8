"""A checkpoint on its way out: the signed note, and what it says of the journal."""

from __future__ import annotations

import hashlib

import msgspec

from casemate.journal.checkpoint import read_checkpoint
from casemate.monitor.errors import MonitorError
from casemate.recorder.reading_protocol import Head


class Note(msgspec.Struct, frozen=True):
    """It. That its signature holds is for those to see who do not trust this node."""

    text: str
    key: str
    """As verifiers of signed notes take it."""
    size: int
    root: bytes

    @property
    def id(self) -> str:
        """By which a receiver knows one that it has had already."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def note_of(head: Head) -> Note:
    """Return the checkpoint of a head. Raises MonitorError for what is none."""
    text, _, _ = head.note.partition("\n\n")
    found = read_checkpoint(f"{text}\n")
    if found is None:
        raise MonitorError("The recorder did not send a checkpoint.")
    return Note(head.note, head.key, found.size, found.root)
