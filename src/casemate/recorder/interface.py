"""What others of the gateway need of the recorder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from casemate.journal.verifying import Verified
from casemate.model.facts import Fact
from casemate.recorder.protocol import Found, Head, Proven, Query


class Recorder(Protocol):
    """Keeps what happens, and answers what happened."""

    def require(self) -> None:
        """Raise NotRecordedError if nothing more may begin: it could not be recorded."""
        ...

    def unfinished(self, fact: Fact) -> AbstractContextManager[Callable[[Fact], None]]:
        """Have a fact recorded if the gateway is killed within the block.

        What is yielded takes another in its place.
        """
        ...

    async def durable(self) -> None:
        """Wait until all that was told is durable. Raises NotRecordedError."""
        ...

    async def head(self) -> Head:
        """Return where the journal is. Raises CasemateError."""
        ...

    async def find(self, query: Query) -> Found:
        """Return entries, newest first, and where to go on. Raises CasemateError."""
        ...

    async def prove(self, index: int) -> Proven:
        """Return an entry with the proof that it is in the journal. Raises NotFoundError."""
        ...

    async def verify(self, checkpoints: tuple[str, ...]) -> Verified:
        """Look for anything that was changed, also since these signed heads were made.

        Raises JournalInputError for what is none of this journal, CasemateError.
        """
        ...
