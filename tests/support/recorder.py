"""A recorder of tests: everything is durable at once, or nothing can be recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from casemate.journal.verifying import Verified
from casemate.model.facts import Fact
from casemate.recorder.errors import NotRecordedError
from casemate.recorder.protocol import Found, Head, Proven, Query


class FakeRecorder:
    """Answers what it is given; `problem` keeps everything from beginning."""

    def __init__(self) -> None:
        self.problem = ""
        self.waited = 0
        self.found = Found((), None)
        self.asked: Query | None = None
        self._noted: dict[object, Fact] = {}

    def trouble(self) -> str:
        return self.problem

    def require(self) -> None:
        if self.problem:
            raise NotRecordedError(self.problem)

    @contextmanager
    def unfinished(self, fact: Fact) -> Iterator[Callable[[Fact], None]]:
        place = object()
        self._noted[place] = fact
        try:
            yield lambda other: self._noted.__setitem__(place, other)
        finally:
            del self._noted[place]

    @property
    def noted(self) -> list[Fact]:
        """What would be recorded, were the gateway killed now."""
        return list(self._noted.values())

    async def durable(self) -> None:
        self.waited += 1
        self.require()

    async def head(self) -> Head:
        return Head("", "name+00000000+key", 0)

    async def find(self, query: Query) -> Found:
        self.asked = query
        return self.found

    async def prove(self, index: int) -> Proven:
        raise NotImplementedError(index)

    async def verify(self, checkpoints: tuple[str, ...]) -> Verified:
        return Verified(0, 0, (), False)
