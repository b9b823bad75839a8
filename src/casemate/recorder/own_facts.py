"""Facts that a recorder itself tells, beside those of the gateway."""

from __future__ import annotations

import os

import msgspec

from casemate.model.facts import Fact
from casemate.recorder.protocol import SESSION_BYTES, Take, Told


class OwnFacts:
    """Numbers facts of one who tells them, in a session of its own."""

    def __init__(self) -> None:
        """None was told yet."""
        self._session = os.urandom(SESSION_BYTES)
        self._next = 0

    def take(self, *facts: Fact) -> Take:
        """Return facts as they are kept together. A number is never given again."""
        first, self._next = self._next, self._next + len(facts)
        told = tuple(Told(type(each).__name__, msgspec.msgpack.encode(each)) for each in facts)
        return Take(0, self._session, first, told)
