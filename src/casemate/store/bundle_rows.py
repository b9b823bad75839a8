"""Which blob each sealed bundle has, where all nodes share a store of bundles: the port."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class BundleRow(NamedTuple):
    """Which blob a bundle has."""

    digest: str
    blob: str
    size: int
    """Bytes of the sealed file."""
    at: float
    """When it was written (Unix time)."""


class BundleRows(Protocol):
    """The rows, which all nodes share. Raises CasemateError.

    Whoever keeps them lets no version be made whose bundle has no row, in the transaction that
    makes it: else a bundle could go between a deploy's look at it and the version.
    """

    async def find(self, digest: str) -> BundleRow | None:
        """Return a bundle's row."""
        ...

    async def keep(self, row: BundleRow) -> BundleRow | None:
        """Make this the row of its digest, durably; return the one that it replaced."""
        ...

    async def forget(self, digest: str, blob: str) -> bool:
        """Delete a row that is still of that blob, and of no version; return whether it was."""
        ...

    async def rows(self) -> list[BundleRow]:
        """Return all."""
        ...
