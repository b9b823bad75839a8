"""Marks of code that was packed to be run unseen: unpacked and executed in one expression.

That is how the payloads of malicious packages look. It is looked for by its words, not by running
or parsing: what is written in another way is not found here, and runs in the sandbox only.
"""

from __future__ import annotations

import re

import msgspec

_RUNS = re.compile(rb"\b(?:exec|eval)[ \t]{0,20}\(")
_UNPACKS = re.compile(
    rb"b(?:16|32|64|85)decode|a85decode|decodebytes|decompress|marshal[ \t]{0,9}\.[ \t]{0,9}loads"
    rb"|fromhex|unhexlify|rot_?13"
)
MAX_LOOKED_AT = 4 * 1024 * 1024
"""Bytes of a file; what follows them is not looked at."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and where."""

    line: int
    what: str


def payload_mark(source: bytes) -> Mark | None:
    """Return the first mark in a source file."""
    data = source[:MAX_LOOKED_AT]
    place = 0
    # Line by line, each looked at once: a file made of nothing but `exec(` costs no more.
    while (runs := _RUNS.search(data, place)) is not None:
        end = data.find(b"\n", runs.end())
        place = len(data) if end < 0 else end
        if _UNPACKS.search(data, runs.end(), place):
            line = data.count(b"\n", 0, runs.start()) + 1
            return Mark(line=line, what="unpacks text and executes it in one step")
    return None
