"""What a gateway keeps its state in, and where: its own files, or what many nodes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from casemate.data import ProjectData, SqliteProjectData
from casemate.gateway.known_projects import KnownProjects
from casemate.gateway.sealed_bundles import SealedBundles
from casemate.gateway.seen_starts import ProjectStarts, SeenCount
from casemate.model.integrity import Damaged
from casemate.model.nodes import ProjectDatabase
from casemate.nodes import Among, Part
from casemate.store.interface import Store
from casemate.store.shipped_records import ShippedRecords
from casemate.store.sqlite.store import SqliteStore
from casemate.store.told_numbers import NumberRows

if TYPE_CHECKING:  # it brings psycopg, which a node that shares nothing goes without
    from casemate.gateway.project_moves import ProjectMoves


class NodeData(ProjectData, Protocol):
    """The data of projects, with what a node looks after."""

    def projects(self) -> list[str]:
        """Return the projects that have data. Blocks. Raises OSError, CasemateError."""
        ...

    def open_projects(self) -> list[str]:
        """Return the names of the projects that are open now."""
        ...

    async def probe(self, project: str) -> None:
        """Read something of a project that is open. Raises what every reader would meet."""
        ...

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each project keeps. Blocks. Raises OSError, CasemateError."""
        ...

    async def scrub(self, project: str, pace: Callable[[int], None]) -> tuple[str | Damaged, ...]:
        """Read all of a project's data; return what is wrong with it. Raises DataError."""
        ...


async def always() -> bool:
    """Tell that this node does what one node alone has to: it is the only one."""
    return True


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """What only a node has that keeps its state itself: files to copy, to read and to encrypt."""

    store: SqliteStore
    data: SqliteProjectData
    starts: ProjectStarts | None = None
    """None where they are only read."""
    seen_vault: SeenCount | None = None

    async def remember(self) -> None:
        """Write what tells an older copy of data and vault, once the data is closed."""
        for each in (self.starts, self.seen_vault):
            if each is not None:
                await each.close()


@dataclass(frozen=True, kw_only=True)
class State:
    """All that outlives a gateway, but for its records."""

    store: Store
    nodes: Among
    """The node has its place among them already."""
    known: KnownProjects
    data: NodeData
    bundles: SealedBundles
    bundles_in_clear: Sequence[Path] = ()
    """Bundles as an earlier release left them."""
    own: OwnFiles | None = None
    """None where other nodes share it."""
    databases: Callable[[], Sequence[ProjectDatabase]] = tuple
    """Where projects live, as this node sees it; none where it has them itself."""
    moves: ProjectMoves | None = None
    """Has projects live in another database; None where there is none."""
    parts: Sequence[Part] = ()
    """What of it is read again when other nodes have changed it, besides what is in the store."""
    shipped: ShippedRecords | None = None
    """Where recorders tell each other what they keep; None where there is one alone."""
    numbers: NumberRows | None = None
    """Where nodes tell each other what they count; None where there is one alone."""
    sweep_bundles: Callable[[], Awaitable[int]] | None = None
    """Deletes blobs of bundles that no row names; None where there are only files."""
    bucket: Callable[[], Awaitable[str]] | None = None
    """Tells what is wrong with the bucket that nodes share; None where there are only files."""
    tell_refusals: Callable[[Callable[[str], None]], None] = lambda told: None
    """Has somebody told, on any thread, why what others may have written is not believed."""
    close_places: Callable[[], None] = lambda: None
    """Lets go of what the data and the bundles were kept in, once they are closed. Blocks."""
