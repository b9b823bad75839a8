"""Has projects live where the operator wants them: places new ones, moves those that have data.

A move goes on when whoever asked for it has gone, and is gone on with by asking for it again, on
whatever node; to ask for where it was goes back. The control store says at each moment which one
database has the project.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Final

from casemate.data.postgresql.moving import Move
from casemate.data.postgresql.placed import PlacedProjectData
from casemate.data.postgresql.placements import Placement
from casemate.gateway.project_places import ProjectPlaces
from casemate.model.errors import ConflictError
from casemate.model.nodes import ProjectPlace

ANSWER_SECONDS: Final = 20.0
"""For so long who asked is kept waiting; what takes longer goes on."""
_ATTEMPT_BYTES: Final = 6
MOST_AT_ONCE: Final = 2
"""Projects that a node moves at the same time."""
_log = logging.getLogger(__name__)


class ProjectMoves:
    """Of one gateway. Belongs to one event loop."""

    def __init__(self, places: ProjectPlaces, data: PlacedProjectData) -> None:
        """Move between the databases of `data`, and keep where it is in `places`."""
        self._places = places
        self._data = data
        self._running: dict[str, asyncio.Task[None]] = {}
        self._faults: dict[str, str] = {}

    async def place(self, project: str, database: str) -> ProjectPlace:
        """Have a project live in a database.

        Raises NotFoundError for one that there is not, DataError, StoreError, ConflictError if it
        is being moved to a third one.
        """
        self._data.require(database)
        if project not in self._running:
            if len(self._running) >= MOST_AT_ONCE:
                raise ConflictError(
                    f"This node moves {len(self._running)} projects already, which is the most.",
                    next_step="Wait until one of them is there: casemate nodes ls",
                )
            task = asyncio.ensure_future(self._place(project, database))
            self._running[project] = task
            task.add_done_callback(lambda done: self._ended(project, done))
        task = self._running[project]
        done, _ = await asyncio.wait((task,), timeout=ANSWER_SECONDS)
        if done:
            task.result()
        where = self._places.known[project]
        return ProjectPlace(
            project=project, database=where.database, moving_to=where.to, moves=where.moves
        )

    def _ended(self, project: str, task: asyncio.Task[None]) -> None:
        self._running.pop(project, None)
        self._faults.pop(project, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the project %s was not moved: %s", project, error)
            self._faults[project] = getattr(error, "message", "") or type(error).__name__

    def faults(self) -> tuple[str, ...]:
        """Return which moves have failed on this node since they were asked for last."""
        return tuple(f"project {name}: {why}" for name, why in sorted(self._faults.items()))

    async def _place(self, project: str, database: str) -> None:
        if await self._data.place_new(project, database):
            return
        attempt = secrets.token_hex(_ATTEMPT_BYTES)
        where = await self._places.change(
            project, lambda found: _begun(project, found, database, attempt)
        )
        if not where.to:
            return  # it is there
        backwards = where.to == where.database
        origin, moves = where.database, where.moves - backwards
        move = self._data.move_of(project, moves, where.attempt, origin, database)
        if backwards:
            await asyncio.to_thread(move.reopen_origin)
        else:
            await asyncio.to_thread(_moved, move)
        await self._places.change(project, _settled(project, where))
        if not backwards:
            await asyncio.to_thread(move.drop_origin)

    async def close(self) -> None:
        """Begin nothing more; what runs ends, or is gone on with by whoever asks again."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)


def _moved(move: Move) -> None:
    move.close_origin()
    move.copy()


def _begun(project: str, found: Placement | None, database: str, attempt: str) -> Placement:
    """Return that a project moves to a database; as it is where it is there, or moves there."""
    if found is None:
        return Placement(database)
    if not found.to:
        return found if found.database == database else _towards(found, database, attempt)
    if found.to == database:
        return found
    if found.database == database:  # back, by another number: nobody goes on with it
        return Placement(database, found.moves + 1, database, attempt)
    raise ConflictError(
        f"The project {project} is being moved to {found.to}.",
        next_step=f"Have that done first: casemate nodes place {project} {found.to}; or take it "
        f"back: casemate nodes place {project} {found.database}",
    )


def _towards(found: Placement, database: str, attempt: str) -> Placement:
    return found._replace(to=database, attempt=attempt)


def _settled(project: str, was: Placement) -> Callable[[Placement | None], Placement]:
    """Return what says that a move is over, if nobody has said anything else meanwhile."""
    to_another = was.to != was.database
    after = Placement(was.to, was.moves + to_another)

    def wanted(found: Placement | None) -> Placement:
        if found == after:
            return after
        if found != was:
            raise ConflictError(
                f"The project {project} was moved elsewhere by somebody else meanwhile.",
                next_step="Look where it is: casemate nodes ls",
            )
        return after

    return wanted
