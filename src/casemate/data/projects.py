"""Which projects are open: opened when first used, closed when idle, never more than a number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from casemate.data.damaged import DamagedObjects
from casemate.data.errors import DataBusyError, DataClosedError, DataError
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.orphans import OrphanSweeps
from casemate.data.project import OpenProject
from casemate.data.reading import ReadThreads
from casemate.model.errors import NoNamedError
from casemate.vault.interface import DataKey, Purpose

T = TypeVar("T")
Keys = Callable[[str, Purpose, int | None], Awaitable[DataKey]]
Ready = Callable[[str, str, str], None]
Created = Callable[[str], Awaitable[None]]
P_co = TypeVar("P_co", bound=OpenProject, covariant=True)
_WAIT_FOR_ROOM = 5.0


class Found(Protocol):
    """What is known of a project's database before it is open."""

    @property
    def version(self) -> int | None:
        """The version of the DATA key that it needs; None for the newest."""
        ...


class Use(Generic[P_co]):
    """Holds a project open for the time of a `async with`."""

    __slots__ = ("_create", "_name", "_project", "_projects")

    def __init__(self, projects: Projects[P_co], name: str, create: bool) -> None:
        self._projects = projects
        self._name = name
        self._create = create
        self._project: P_co | None = None

    async def __aenter__(self) -> P_co:
        """Return the open project."""
        project = self._projects.opened.get(self._name)
        if project is None:
            project = await self._projects.open(self._name, create=self._create)
        project.users += 1
        self._project = project
        return project

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the project go."""
        project = self._project
        if project is not None:
            project.users -= 1
            project.used_at = time.monotonic()
            if not project.users:
                self._projects.released.set()


class Databases(Protocol[P_co]):
    """Where the databases of projects are. All of it blocks, but `close` is called last."""

    in_network: bool
    """Whether the content of large objects is in a store that may be slow."""

    def files_of(self, name: str) -> ObjectFiles:
        """Return the files of a project's objects, for who closes them. Raises DataError."""
        ...

    def find(self, name: str) -> Found | None:
        """Return what is known of a project's database, None if it has none."""
        ...

    def load(
        self,
        name: str,
        found: Any,
        page_key: DataKey,
        object_key: DataKey,
        *,
        reads: ReadThreads,
        ready: Callable[[str, set[tuple[str, str]]], None],
    ) -> P_co:
        """Return a project with its database open, made if `found` is None. Raises DataError."""
        ...

    def close(self) -> None:
        """Let go of what all of them share."""
        ...


class Projects(Generic[P_co]):
    """The open projects of one node. Belongs to one event loop."""

    def __init__(
        self,
        databases: Databases[P_co],
        keys: Keys,
        options: DataOptions,
        on_created: Created | None = None,
        on_opened: Callable[[Any], None] = lambda project: None,
    ) -> None:
        """Open nothing yet.

        `on_created` is awaited when a project has got its database, before anything is kept in it;
        `on_opened` is told of each that is open.
        """
        self._on_created = on_created or _nothing
        self._on_opened = on_opened
        self.opened: dict[str, P_co] = {}
        self.released = asyncio.Event()
        self.databases = databases
        self.keys = keys
        self._options = options
        self._reads = ReadThreads(options.read_threads)
        self._files = ThreadPoolExecutor(options.file_threads, thread_name_prefix="data-file")
        # A store in the network may be slow; opening projects does not wait for it.
        self._content = (
            ThreadPoolExecutor(options.content_threads, thread_name_prefix="data-content")
            if databases.in_network
            else self._files
        )
        self.damaged = DamagedObjects()
        self._orphans = OrphanSweeps(self.content_in_thread, self.released)
        self._sweeping: asyncio.Task[None] | None = None
        self._gate = asyncio.Lock()
        self._refused: dict[str, str] = {}
        self._idle: asyncio.Task[None] | None = None
        self._closed = False
        self._watchers: list[tuple[asyncio.AbstractEventLoop, Ready]] = []

    def watch(self, ready: Ready) -> None:
        """Have `ready` called on the running loop for what can be leased."""
        self._watchers.append((asyncio.get_running_loop(), ready))

    def announce(self, project: str, hints: set[tuple[str, str]]) -> None:
        """Tell who watches that places of a project may have something to lease. Any thread."""
        for loop, ready in self._watchers:
            with suppress(RuntimeError):  # a closed loop has nobody left who watches
                loop.call_soon_threadsafe(_tell, ready, project, hints)

    def use(self, name: str, *, create: bool = False) -> Use[P_co]:
        """Hold a project open. NotFoundError if it has no data and none is to be created."""
        return Use(self, name, create)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do work that takes long on a thread for it."""
        self._require_open()
        return await asyncio.get_running_loop().run_in_executor(self._files, work)

    async def content_in_thread(self, work: Callable[[], T]) -> T:
        """Read or write the content of large objects."""
        self._require_open()
        return await asyncio.get_running_loop().run_in_executor(self._content, work)

    def start_in_thread(self, work: Callable[[], None]) -> None:
        """Begin to write content, by work that answers for itself."""
        self._require_open()
        self._content.submit(work)

    async def open(self, name: str, *, create: bool) -> P_co:
        """Return an open project. Whoever asked may be cancelled; it is opened all the same."""
        while True:
            project = await asyncio.shield(asyncio.ensure_future(self._open(name, create=create)))
            # Between the end of that task and now somebody may have needed the room.
            if self.opened.get(name) is project:
                return project

    async def _open(self, name: str, *, create: bool) -> P_co:
        async with self._gate:
            self._require_open()
            found = self.opened.get(name)
            if found is not None:
                return found
            file = await self.in_thread(lambda: self.databases.find(name))
            if file is None and not create:
                raise NoNamedError(
                    "project",
                    name,
                    f"The project {name} has no buckets, tables, queues or topics.",
                    next_step="Declare them in its manifest and deploy.",
                )
            version = None if file is None else file.version
            page_key = await self.keys(name, Purpose.DATA, version)
            object_key = await self.keys(name, Purpose.OBJECTS, None)
            await self._make_room()
            try:
                project = await self.in_thread(
                    lambda: self.databases.load(
                        name, file, page_key, object_key, reads=self._reads, ready=self.announce
                    )
                )
            except DataError as error:
                self._refused[name] = error.message
                raise
            self._refused.pop(name, None)
            if file is None:
                try:
                    await self._on_created(name)
                except BaseException:
                    await self.in_thread(project.abandon)
                    project.files.close()
                    raise
            project.writer.start()
            project.used_at = time.monotonic()
            self.opened[name] = project
            self._on_opened(project)
            if self._idle is None:
                self._idle = asyncio.ensure_future(self._close_idle())
            if project.files.shared and self._sweeping is None:
                sweeping = self._orphans.run(self.opened, self._pause)
                self._sweeping = asyncio.ensure_future(sweeping)
            return project

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with projects: what calls have met, and why some are not open."""
        found = self._orphans.faults | self._refused
        for name, project in self.opened.items():
            if told := project.connections.faults():
                found[name] = "; ".join(told)
        for name, damaged in self.damaged.faults().items():
            found[name] = f"{found[name]}; {damaged}" if name in found else damaged
        return tuple(f"project {name}: {what}" for name, what in sorted(found.items()))

    async def _make_room(self) -> None:
        deadline = time.monotonic() + _WAIT_FOR_ROOM
        while len(self.opened) >= self._options.max_open:
            unused = [p for p in self.opened.values() if not p.users]
            if unused:
                await self._close(min(unused, key=_last_use))
                continue
            self.released.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.released.wait(), deadline - time.monotonic())
                continue
            raise DataBusyError(
                f"{len(self.opened)} projects are in use at once, which is the most.",
                next_step="Try again in a moment, or raise max_open.",
            )

    async def _close(self, project: OpenProject) -> None:
        self.opened.pop(project.name, None)
        await self.in_thread(project.close)

    async def let_go(self, name: str) -> None:
        """Close a project if it is open, whoever uses it."""
        async with self._gate:
            project = self.opened.get(name)
            if project is not None and not self._closed:
                await self._close(project)
            self.damaged.left(name)

    @property
    def _pause(self) -> float:
        return max(0.05, self._options.idle_seconds / 4)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            async with self._gate:
                limit = time.monotonic() - self._options.idle_seconds
                for project in list(self.opened.values()):
                    if not project.users and project.used_at <= limit:
                        await self._close(project)

    async def close(self) -> None:
        """Write what is queued, close all projects, unlock the folder. Twice is fine."""
        for task in (self._idle, self._sweeping):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._idle = self._sweeping = None
        async with self._gate:
            if self._closed:
                return
            projects = list(self.opened.values())
            self.opened.clear()
            self._closed = True
            await asyncio.to_thread(self._shut, projects)

    def _shut(self, projects: Sequence[OpenProject]) -> None:
        failure: Exception | None = None
        self._files.shutdown(wait=True)
        self._content.shutdown(wait=True)
        for project in projects:
            try:
                project.close()
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                failure = error
        self._reads.close()
        self.databases.close()
        if failure is not None:
            raise DataError(
                f"A project's data could not be closed cleanly: {type(failure).__name__}."
            ) from failure

    def _require_open(self) -> None:
        if self._closed:
            raise DataClosedError(next_step="Send the request again once the node has restarted.")


def _last_use(project: OpenProject) -> float:
    return project.used_at


async def _nothing(_project: str) -> None:
    pass


def _tell(ready: Ready, project: str, hints: set[tuple[str, str]]) -> None:
    for kind, name in hints:
        ready(project, kind, name)
