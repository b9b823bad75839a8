"""A checkpoint on its way out: the signed note, and what it says of the journal."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from casemate.monitor.errors import MonitorError
from casemate.recorder.reading_protocol import Head

_LINES, _MAX_DIGITS = 3, 17


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
    lines = head.note.split("\n")
    try:
        if len(lines) <= _LINES or not lines[1].isdecimal() or len(lines[1]) > _MAX_DIGITS:
            raise ValueError(lines[:1])
        return Note(head.note, head.key, int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (ValueError, binascii.Error):
        raise MonitorError("What the recorder tells is no checkpoint.") from None
