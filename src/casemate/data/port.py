"""What the parts of the port share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol, TypeVar

from casemate.data.project import OpenProject
from casemate.data.projects import Keys, Projects
from casemate.data.registry import INBOX, QUEUE, Resource, require_kind
from casemate.data.uploads import Uploads
from casemate.data.work import Work
from casemate.loop_turns import LoopTurns
from casemate.sqlite.engine import Connection
from casemate.sqlite.joint import Joint

G = TypeVar("G")
T = TypeVar("T")
LEASED = (QUEUE, INBOX)
"""Kinds of places whose messages are leased by delivery, and become dead letters."""


class AtPlace(Protocol):
    """What says where messages are, as many operations do."""

    @property
    def project(self) -> str:
        """The project."""
        ...

    @property
    def kind(self) -> str:
        """What they are in: a queue, a topic or an inbox."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...


class Place(NamedTuple):
    """Where messages are, where an operation says it otherwise."""

    project: str
    kind: str
    name: str


class Reserve(Protocol):
    """The part of the room for data that is kept free."""

    def require(self) -> None:
        """Raise DataFullError if only that is left."""
        ...


class Port:
    """The open projects, and how an operation on messages reaches one."""

    def __init__(
        self,
        projects: Projects[OpenProject],
        keys: Keys,
        disk: Reserve,
        *,
        claimant: str,
    ) -> None:
        """Do what is asked in `projects`; `keys` is the vault's `data_key`.

        Nothing that fills is done while `disk` has no room. `claimant` is this process, for claims.
        """
        self._keys = keys
        self._projects = projects
        self._uploads = Uploads(projects)
        self._claimant = claimant
        self._disk = disk
        self._large_items = LoopTurns()

    async def _renew_keys(self, project: str) -> None:
        """Encrypt what a project has stored with the newest keys. Raises DataError."""
        raise NotImplementedError

    async def _change_queue(
        self,
        place: AtPlace,
        kinds: tuple[str, ...],
        change: Callable[[Work, OpenProject, Resource], T],
    ) -> T:
        """Make a change that empties a queue, or leaves it as full: in a full project, too."""
        require_kind(place.kind, kinds)
        async with self._projects.use(place.project) as opened:

            def run(work: Work) -> T:
                with opened.emptying(work.connection):
                    return change(work, opened, opened.resource(place.kind, place.name))

            return await opened.change(run)

    async def _join_queue(
        self,
        place: AtPlace,
        kinds: tuple[str, ...],
        change: Callable[[Work, OpenProject, Resource, Sequence[G]], Sequence[Any]],
        given: G,
        *,
        what: str,
        weight: int,
        emptying: bool = False,
    ) -> Any:
        """Make a change to a queue together with others that do the same, which `what` names."""
        require_kind(place.kind, kinds)
        if not emptying:
            self._disk.require()
        kind, name = place.kind, place.name
        async with self._projects.use(place.project) as opened:

            def make(work: Work, all_: Sequence[G]) -> Sequence[Any]:
                with opened.emptying(work.connection) if emptying else nullcontext():
                    return change(work, opened, opened.resource(kind, name), all_)

            return await opened.join(Joint((what, kind, name), given, make, weight))

    async def _read_queue(
        self,
        place: AtPlace,
        kinds: tuple[str, ...],
        question: Callable[[Connection, Resource], T],
    ) -> T:
        require_kind(place.kind, kinds)
        async with self._projects.use(place.project) as opened:
            return await opened.read_of(place.kind, place.name, question)
