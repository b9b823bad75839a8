"""What the parts of the port share."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from casemate.blobs import Blobs
from casemate.data.folder import DataFolder
from casemate.data.kept import DiskReserve
from casemate.data.limits import DataOptions
from casemate.data.project import OpenProject
from casemate.data.projects import Created, Keys, Projects
from casemate.data.registry import INBOX, QUEUE, Resource, require_kind
from casemate.data.uploads import Uploads
from casemate.data.work import Work
from casemate.sqlite.connecting import reserve
from casemate.sqlite.engine import Connection

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


class Port:
    """The open projects, and how an operation on messages reaches one."""

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        options: DataOptions | None = None,
        *,
        accepted_losses: frozenset[str] = frozenset(),
        on_created: Created | None = None,
        blobs: Callable[[str], Blobs] | None = None,
    ) -> None:
        """Lock `folder`, made where it is missing; `keys` is the vault's `data_key`.

        Projects in `accepted_losses` are opened once without the commits that their log has lost.
        `on_created` is awaited when a project has got its database, before anything is kept in it.
        `blobs` opens the place of a project's large objects; none: files below `folder`.

        Raises DataLockedError if another process has it, DataForeignError, DataError.
        """
        self._options = options or DataOptions()
        self._keys = keys
        self._projects = Projects(
            DataFolder(folder), keys, self._options, accepted_losses, on_created, blobs
        )
        self._uploads = Uploads(self._projects)
        self._claimant = secrets.token_hex(8)
        self._disk = DiskReserve(folder)

    async def _change_queue(
        self,
        place: AtPlace,
        kinds: tuple[str, ...],
        change: Callable[[Work, OpenProject, Resource], T],
        *,
        emptying: bool = False,
    ) -> T:
        """Make a change to a queue; one that is `emptying` it is made in a full project, too."""
        require_kind(place.kind, kinds)
        if not emptying:
            self._disk.require()
        async with self._projects.use(place.project) as opened:

            def run(work: Work) -> T:
                with reserve(work.connection) if emptying else nullcontext():
                    return change(work, opened, opened.resource(place.kind, place.name))

            return await opened.change(run)

    async def _read_queue(
        self,
        place: AtPlace,
        kinds: tuple[str, ...],
        question: Callable[[Connection, Resource], T],
    ) -> T:
        require_kind(place.kind, kinds)
        async with self._projects.use(place.project) as opened:
            found = opened.resource(place.kind, place.name)
            return await opened.read(lambda connection: question(connection, found))
