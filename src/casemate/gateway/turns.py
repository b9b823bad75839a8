"""The order in which functions of a node are changed, and in which they are started before that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from casemate.gateway.start_places import StartPlace, StartPlaces
from casemate.model.facts import Actor

MAX_STARTS = 16
"""Deploys and trial starts of all projects whose functions are started at a time."""
MAX_STARTS_OF_CALLER = 4
"""Of these, asked for by one person or token, in whatever projects: others find room."""
_Locks = WeakValueDictionary[str, asyncio.Lock]
"""By project: of its turn, and of its starts of functions that nobody calls yet."""
_Callers = WeakValueDictionary[str, asyncio.Semaphore]


class Turns:
    """Makes one change after the other, and lets starts go on beside them. On the event loop."""

    def __init__(self) -> None:
        """Nothing is changed or started."""
        self.changing = asyncio.Lock()
        """Held while anything is changed."""
        self._projects, self._starts, self._callers = _Locks(), _Locks(), _Callers()
        self._places = StartPlaces(MAX_STARTS)

    @asynccontextmanager
    async def change(self, *projects: str) -> AsyncIterator[None]:
        """Make one change after the other, and those of projects in turn.

        Who asks for a hundred of them waits for its own: of each project one at most stands in
        the way of the others. Within it nothing waits for what a function does.
        """
        async with _held(self._projects, projects), self.changing:
            yield

    @asynccontextmanager
    async def start(self, projects: Iterable[str], by: Actor) -> AsyncIterator[StartPlace]:
        """Start functions beside those of other projects, and of other people and tokens.

        Whoever asks for many waits for his own before he stands in anybody's way.
        """
        projects = frozenset(projects)
        caller = self._callers.setdefault(by.principal, asyncio.Semaphore(MAX_STARTS_OF_CALLER))
        async with caller, _held(self._starts, projects), self._places.hold(projects) as place:
            yield place


@asynccontextmanager
async def _held(locks: _Locks, projects: Iterable[str]) -> AsyncIterator[None]:
    """Hold the locks of some projects, in an order in which no two wait for each other."""
    async with AsyncExitStack() as held:
        for project in sorted(set(projects)):
            await held.enter_async_context(locks.setdefault(project, asyncio.Lock()))
        yield
