"""Marks of code that was packed to be run unseen: unpacked and executed in one expression.

That is how the payloads of malicious packages look. It is looked for by its words, not by running
or parsing: what is written in another way is not found here, and runs in the sandbox only.
"""

from __future__ import annotations

import re

import msgspec

_RUNS = rb"\b(?:exec|eval)\s{0,20}\(\s{0,20}"
_UNPACKS = (
    rb"(?:b(?:16|32|64|85)decode|a85decode|decodebytes|decompress|marshal\s{0,9}\.\s{0,9}loads"
    rb"|fromhex|unhexlify|rot13|rot_13)"
)
_MARK = re.compile(_RUNS + rb"[^\n]{0,300}?" + _UNPACKS)
_MAX_LOOKED_AT = 4 * 1024 * 1024


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and where."""

    line: int
    what: str


def payload_mark(source: bytes) -> Mark | None:
    """Return the first mark in a source file."""
    data = source[:_MAX_LOOKED_AT]
    match = _MARK.search(data)
    if match is None:
        return None
    line = data.count(b"\n", 0, match.start()) + 1
    return Mark(line=line, what="unpacks text and executes it in one step")
