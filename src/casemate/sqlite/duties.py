"""What a writer does for its owner around its transactions, and along with them."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from casemate.model.errors import CasemateError
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.engine import Connection
from casemate.sqlite.family import Family
from casemate.unwritten import Place

W = TypeVar("W")


class Duties(Generic[W]):
    """What the owner of a database has done by the writer, on its thread. `W` is what changes get.

    Here nothing is; an owner overrides what it needs, and always `begin`.
    """

    def begin(self, connection: Connection) -> W:
        """Return what the changes of a transaction that begins now work with."""
        raise NotImplementedError

    def end(self) -> None:
        """A transaction, or a job, is over, whatever came of it."""

    def mark(self, work: W) -> int:
        """Return what `forget` needs to know before a change is made."""
        return 0

    def forget(self, work: W, mark: int) -> None:
        """A change was undone; the others of its transaction stand."""

    def committed(self, work: W) -> None:
        """A transaction is durable; nobody was told yet. Must not raise."""

    def begin_job(self) -> None:
        """A job begins."""

    def end_job(self) -> None:
        """A job is over; it may have changed anything. Must not raise."""

    def hurries(self) -> bool:
        """Tell whether upkeep is due before its time."""
        return False

    def upkeep(self, work: W) -> bool:
        """Do in a transaction what is done from time to time; return True if there is more."""
        return False

    def upkeep_failed(self, error: CasemateError) -> None:
        """It could not be done; it is tried again when its time comes."""


class WriterConnections(Protocol):
    """Where a writer's connection comes from: a file of this node, or a server of many."""

    family: Family
    written: Place
    """By which is told what could not be written."""

    @property
    def guard(self) -> CommitGuard | None:
        """What looks at the files around a commit; None where there are none."""
        ...

    def has_ended(self, connection: Connection) -> bool:
        """Tell whether the other side has ended a connection since it was used. Does not block."""
        ...

    def renew_writer(self, connection: Connection) -> Connection:
        """Return a new connection in the place of one that is of no use."""
        ...

    def try_write(self, connection: Connection) -> None:
        """Write what changes nothing, within a transaction. Raises what the engine does."""
        ...

    def end(self, connection: Connection) -> None:
        """Close the connection that writes. It may be closed already."""
        ...

    def note(self) -> None:
        """A job may have committed something."""
        ...

    def explain(self, error: Exception) -> Exception:
        """Return an error that says why the engine failed. Blocks."""
        ...
