"""The rows of bundles, in the database that has the versions which need them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from casemate.model.errors import ConflictError
from casemate.operations.declaration import Operation
from casemate.operations.deployments import KeepVersions
from casemate.sqlite import engine
from casemate.store.bundle_rows import BundleRow

T = TypeVar("T")
_ROW = "SELECT digest, blob, size, at FROM bundle"


class Run(Protocol):
    """Does something by a connection of the store's."""

    def __call__(self, work: Callable[[engine.Connection], T], /) -> Awaitable[T]:
        """Return what it gave."""
        ...


class StoredBundleRows:
    """Satisfies `casemate.store.bundle_rows.BundleRows`."""

    def __init__(self, ask: Run, change: Run) -> None:
        """`ask` only reads, `change` is durable once awaited."""
        self._ask = ask
        self._change = change

    async def find(self, digest: str) -> BundleRow | None:
        """Return a bundle's row."""
        return await self._ask(partial(_find, digest=digest))

    async def keep(self, row: BundleRow) -> BundleRow | None:
        """Make this the row of its digest, durably; return the one that it replaced."""

        def make(connection: engine.Connection) -> BundleRow | None:
            before = _find(connection, digest=row.digest)
            connection.execute(
                "INSERT INTO bundle (digest, blob, size, at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (digest) DO UPDATE SET blob = excluded.blob, size = excluded.size, "
                "at = excluded.at",
                row,
            )
            return before

        return await self._change(make)

    async def forget(self, digest: str, blob: str) -> bool:
        """Delete a row that is still of that blob, and of no version; return whether it was."""

        def make(connection: engine.Connection) -> bool:
            gone = connection.execute(
                "DELETE FROM bundle WHERE digest = ? AND blob = ? "
                "AND NOT EXISTS (SELECT 1 FROM version WHERE version.digest = bundle.digest) "
                "RETURNING digest",
                (digest, blob),
            )
            return gone.fetchone() is not None

        return await self._change(make)

    async def rows(self) -> list[BundleRow]:
        """Return all."""
        return await self._ask(
            lambda connection: [
                BundleRow(*row) for row in connection.execute(f"{_ROW} ORDER BY digest")
            ]
        )


def require_bundles(connection: engine.Connection, operation: Operation[Any]) -> None:
    """Raise ConflictError if an operation that was done has made versions without a bundle."""
    if not isinstance(operation, KeepVersions):
        return
    for digest in dict.fromkeys(one.digest for one in operation.versions):
        if _find(connection, digest=digest) is None:
            raise ConflictError(
                f"The bundle {digest} was removed while it was deployed.",
                next_step="Deploy it again: this uploads it again.",
            )


def _find(connection: engine.Connection, *, digest: str) -> BundleRow | None:
    row = connection.execute(f"{_ROW} WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else BundleRow(*row)
