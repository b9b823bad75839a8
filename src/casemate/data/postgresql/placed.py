"""`PlacedProjectData`: the port on several PostgreSQL databases, in one of which a project lives.

The main one has the control store as well, and is needed. Any other may be away, also at the start:
its own projects wait, the others go on. No transaction is over two of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from casemate.blobs import Blobs
from casemate.data.creating import creates
from casemate.data.errors import DataBusyError, DataError, DataMediumError
from casemate.data.limits import DataOptions
from casemate.data.postgresql.binding import MAIN
from casemate.data.postgresql.data import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.postgresql.joint_coordination import JointCoordination
from casemate.data.postgresql.moving import Move
from casemate.data.postgresql.placements import Placement, Placements
from casemate.data.projects import Created, Keys
from casemate.model.data import ObjectInfo
from casemate.model.errors import NotFoundError
from casemate.model.integrity import Damaged
from casemate.model.nodes import ProjectDatabase
from casemate.operations.declaration import Effect, Operation
from casemate.operations.form import form_of
from casemate.operations.objects import ReadObject

AnswerT = TypeVar("AnswerT")
RETRY_SECONDS: Final = 2.0
"""Between two tries to open a database that is away."""
_log = logging.getLogger(__name__)


class _Database:
    """One of them: open, or why not."""

    def __init__(self, name: str, open_it: Callable[[], Any]) -> None:
        self.name = name
        self.data: PostgresqlProjectData | None = None
        self.fault = "It was not asked yet."
        self._open = open_it

    async def open(self) -> PostgresqlProjectData:
        """Raises DataError, which names the database; a PostgreSQL that is away is DataMedium."""
        try:
            self.data = await self._open()
        except DataError as error:
            told = type(error)(
                f"The database {self.name}: {error.message}", next_step=error.next_step
            )
            self.fault = error.message
            raise told from error
        self.fault = ""
        return self.data

    def require(self) -> PostgresqlProjectData:
        """Return it open. Raises DataMediumError."""
        if self.data is None:
            raise DataMediumError(
                f"The database {self.name}, in which the project lives, cannot be used: "
                f"{self.fault}",
                next_step="Look into the log of the database server, and whether this node "
                "reaches it. The projects of other databases are served.",
            )
        return self.data

    def faults(self) -> tuple[str, ...]:
        return (self.fault,) if self.data is None else self.data.faults()


class PlacedProjectData:
    """Satisfies `casemate.data.interface.ProjectData`, which documents the calls."""

    def __init__(self, databases: Mapping[str, Callable[[], Any]], placements: Placements) -> None:
        """`databases` opens each, by name; MAIN is among them."""
        self._databases = {name: _Database(name, open_it) for name, open_it in databases.items()}
        self._placements = placements
        self._watchers: list[Callable[[str, str, str], None]] = []
        self._retrying: asyncio.Task[None] | None = None
        self._letting_go: set[asyncio.Task[None]] = set()
        self._main: PostgresqlProjectData

    @classmethod
    async def open(
        cls,
        clusters: Sequence[Cluster],
        blobs: Callable[[str], Blobs],
        keys: Keys,
        placements: Placements,
        options: DataOptions | None = None,
        *,
        on_created: Created | None = None,
    ) -> PlacedProjectData:
        """Open all of them, at once. Raises as `PostgresqlProjectData.open` for the main one.

        Another one that is away is tried again for as long as it takes; one that is not what it is
        to be ends the start.
        """

        def opening(cluster: Cluster) -> Callable[[], Any]:
            return lambda: PostgresqlProjectData.open(
                cluster, blobs, keys, options, on_created=on_created
            )

        made = cls({one.binding.name: opening(one) for one in clusters}, placements)
        try:
            await made._begin()
        except BaseException:
            await made.close()
            raise
        return made

    async def _begin(self) -> None:
        found = self._databases
        # The main one first: what is given twice is the main one, and not the other.
        self._main = await found[MAIN].open()
        self.coordination = JointCoordination(self._main.coordination, self._database_of)
        others = [one for one in found.values() if one.name != MAIN]
        ends = await asyncio.gather(*(one.open() for one in others), return_exceptions=True)
        for one, end in zip(others, ends, strict=True):
            if isinstance(end, DataMediumError):
                _log.error("the projects of the database %s wait: %s", one.name, one.fault)
                self.coordination.add(one.name, None)
            elif isinstance(end, BaseException):
                raise end
            else:
                self.coordination.add(one.name, end.coordination)
        if any(one.data is None for one in others):
            self._retrying = asyncio.ensure_future(self._retry(others))

    async def _retry(self, others: Sequence[_Database]) -> None:
        """Open what was away, each by itself: one that does not answer holds up no other."""
        await asyncio.gather(*(self._retry_one(one) for one in others if one.data is None))

    async def _retry_one(self, one: _Database) -> None:
        while one.data is None:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                opened = await one.open()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again, and told
                one.fault = one.fault or str(error) or type(error).__name__
                continue
            for ready in self._watchers:
                opened.watch(ready)
            self.coordination.add(one.name, opened.coordination)
            _log.info("the database %s is there, and so are its projects", one.name)

    # -- where a project is --------------------------------------------------------------------

    def _database_of(self, project: str) -> str:
        """Return where a project lives as far as is known. Any thread."""
        found = self._placements.known.get(project)
        return MAIN if found is None else found.database

    def _opened(self, project: str, placement: Placement | None) -> PostgresqlProjectData:
        if placement is None:
            return self._main
        if placement.to:
            raise DataBusyError(
                f"The project {project} is being moved from the database {placement.database} to "
                f"{placement.to}.",
                next_step="Send it again when that is done: casemate nodes ls shows it.",
            )
        database = self._databases.get(placement.database)
        if database is None:
            raise DataMediumError(
                f"The project {project} lives in the database {placement.database}, of which this "
                "node was not told.",
                next_step="Start it with the same --databases as the other nodes.",
            )
        return database.require()

    async def place_new(self, project: str, database: str) -> bool:
        """Place a project that has no place and no data; tell whether it was so."""
        if await self._placements.find(project) is not None:
            return False
        there = MAIN if await asyncio.to_thread(self._main.has, project) else database
        return (await self._placements.place(project, there)).database == database

    async def _place(self, project: str, *, creates: bool) -> Placement | None:
        """Return where a project lives that was placed nowhere yet, as far as this node knows."""
        found = await self._placements.find(project)
        if found is not None or not creates:
            return found
        if await asyncio.to_thread(self._main.has, project):
            return await self._placements.place(project, MAIN)  # by a former release
        return await self._placements.place(project, self._least_used())

    def _least_used(self) -> str:
        """Return which open database has the fewest projects."""
        counted = self._counted()
        there = [one for one in self._databases.values() if one.data is not None]
        fit = [one.name for one in there if not self.coordination.fault(one.name)] or [MAIN]
        return min(fit, key=lambda name: (counted[name], name != MAIN, name))

    def _counted(self) -> Counter[str]:
        return Counter(one.database for one in self._placements.known.values())

    async def _asked(self, operation: Operation[AnswerT]) -> AnswerT:
        project = str(getattr(operation, "project", ""))
        placement = self._placements.known.get(project)
        if placement is None:
            placement = await self._place(project, creates=creates(operation))
        try:
            return await _done(self._opened(project, placement), operation)
        except DataError:
            # Another node may have moved it meanwhile: nothing was done where it is no more.
            if await self._placements.find(project) == placement:
                raise
        return await _done(self._opened(project, self._placements.known.get(project)), operation)

    def move_of(self, project: str, moves: int, attempt: str, origin: str, target: str) -> Move:
        """Return the steps of moving a project. Raises DataMediumError where one cannot be used."""
        return Move(
            project,
            moves,
            attempt,
            self._require(origin).databases,
            self._require(target).databases,
        )

    def require(self, name: str) -> None:
        """Raise NotFoundError unless there is such a database, DataMediumError if it is away."""
        self._require(name)

    def _require(self, name: str) -> PostgresqlProjectData:
        if name not in self._databases:
            raise NotFoundError(
                f"There is no database {name[:80]!r} of projects.",
                next_step="`casemate nodes ls` lists them; --databases names them to nodes.",
            )
        return self._databases[name].require()

    def follow_places(self) -> None:
        """Go by what is known of places now: let go of what lives elsewhere."""
        self.coordination.share_out()
        for one in self._databases.values():
            data = one.data
            for project in () if data is None else data.open_projects():
                where = self._placements.known.get(project)
                if data and where and (where.to or where.database != one.name):
                    task = asyncio.ensure_future(data.let_go(project))
                    self._letting_go.add(task)
                    task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._letting_go.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a project that was moved is not closed: %s", task.exception())

    # -- the port ------------------------------------------------------------------------------

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing."""
        _require(operation, reads=True)
        return await self._asked(operation)

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably."""
        _require(operation, reads=False)
        return await self._asked(operation)

    def recent(self, operation: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        """Return the present revision if that takes no waiting, else None."""
        placement = self._placements.known.get(operation.project)
        if placement is None or placement.to:
            return None
        found = self._databases.get(placement.database)
        return None if found is None or found.data is None else found.data.recent(operation)

    def watch(self, ready: Callable[[str, str, str], None]) -> None:
        """Have `ready` called on the running loop when a message can be leased."""
        self._watchers.append(ready)
        for one in self._there():
            one.watch(ready)

    def _there(self) -> list[PostgresqlProjectData]:
        return [one.data for one in self._databases.values() if one.data is not None]

    async def take_newest_keys(self) -> None:
        """Seal with the keys that are newest now. Raises VaultError, of the vault's `data_key`."""
        for one in self._there():
            await one.take_newest_keys()

    def open_projects(self) -> list[str]:
        """Return the names of the projects that are open now."""
        return sorted({name for one in self._there() for name in one.open_projects()})

    async def probe(self, project: str) -> None:
        """Read something of a project that is open. Raises what every reader would meet."""
        await self._opened(project, self._placements.known.get(project)).probe(project)

    async def scrub(self, project: str, pace: Callable[[int], None]) -> tuple[str | Damaged, ...]:
        """Read all of a project's data; return what is wrong with it. Raises DataError."""
        opened = self._opened(project, self._placements.known.get(project))
        return await opened.scrub(project, pace)

    def projects(self) -> list[str]:
        """Return the projects that have data; of a database that is away all of it. Blocks."""
        found: set[str] = set()
        for one in self._databases.values():
            try:
                found.update(one.require().projects())
            except DataMediumError:
                if one.name == MAIN:
                    raise
                found.update(self._placed_in(one.name))
        # Of those that move neither side has all.
        moving = (name for name, where in self._placements.known.items() if where.to)
        unknown = self._counted().keys() - self._databases.keys()
        return sorted(found.union(moving, *(self._placed_in(name) for name in unknown)))

    def _placed_in(self, database: str) -> set[str]:
        known = self._placements.known
        return {name for name, where in known.items() if where.database == database}

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each project keeps of those that can be asked. Blocks."""
        found: dict[str, int] = {}
        for one in self._databases.values():
            with suppress(DataMediumError):
                found.update(one.require().sizes())
        return found

    def databases(self) -> tuple[ProjectDatabase, ...]:
        """Return each of them, as this node sees it."""
        counted = self._counted()
        moving = Counter(one.database for one in self._placements.known.values() if one.to)
        return tuple(
            ProjectDatabase(
                name=name,
                projects=counted[name],
                moving=moving[name],
                problem=self._problem(name),
            )
            for name in sorted(self._databases.keys() | counted.keys(), key=_main_first)
        )

    def _problem(self, name: str) -> str:
        one = self._databases.get(name)
        if one is None:
            return "This node was not told of it."
        if one.data is None:
            return one.fault
        return "; ".join(one.data.coordination.faults()) or self.coordination.fault(name)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words."""
        return tuple(
            fault if one.name == MAIN else f"database {one.name}: {fault}"
            for one in self._databases.values()
            for fault in one.faults()
        )

    async def close(self) -> None:
        """Write what is queued, and be none of their nodes any more."""
        if self._retrying is not None:
            self._retrying.cancel()
            with suppress(asyncio.CancelledError):
                await self._retrying
        await asyncio.gather(*self._letting_go, return_exceptions=True)
        closing = (one.close() for one in self._there())
        for end in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(end, BaseException):
                raise end


async def _done(data: PostgresqlProjectData, operation: Operation[AnswerT]) -> AnswerT:
    reads = form_of(type(operation)).effect is Effect.READ
    return await (data.read(operation) if reads else data.change(operation))


def _require(operation: Operation[Any], *, reads: bool) -> None:
    if (form_of(type(operation)).effect is Effect.READ) is not reads:
        raise TypeError(f"{type(operation).__name__} is asked for by the wrong one of both calls.")


def _main_first(name: str) -> tuple[bool, str]:
    return name != MAIN, name
