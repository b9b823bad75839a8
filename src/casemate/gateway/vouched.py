"""On whose word a bundle is deployed: signed provenance and SBOM, held against what is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from casemate.gateway.bundles import BundleStore
from casemate.model.bundle import BundleManifest
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.model.facts import Actor, Fact, FunctionPlace
from casemate.model.signing import SigningRule
from casemate.sbom import SbomError, sbom
from casemate.supply import Admitted, Signatures, UnsignedError

VouchingStamp = tuple[int, SigningRule]
"""What is decided by: the same as long as no key and no rule of the project has changed."""


class Vouching:
    """Lets deploy what is vouched for, and tells of what is not."""

    def __init__(
        self, signatures: Signatures, bundles: BundleStore, happened: Callable[[Fact], None]
    ) -> None:
        """Ask `signatures`; the files are those of `bundles`."""
        self._signatures = signatures
        self._bundles = bundles
        self._happened = happened

    def stamp(self, project: str) -> VouchingStamp:
        """Return what decides now on whose word bundles of a project are deployed."""
        return (self._signatures.keys.revision, self._signatures.rule(project))

    def look_ahead(self, versions: Sequence[Version]) -> None:
        """Have what the first starts of versions just deployed ask be found out beside all else."""
        self._signatures.look_ahead(versions)

    async def require(self, manifest: BundleManifest, by: Actor) -> Admitted:
        """Return on whose word `by` can deploy a bundle. Raises UnsignedError, which is told."""

        async def made() -> dict[str, Any]:
            return await self._sbom(manifest)

        with self._told(manifest.project, manifest.function.name, by):
            return await self._signatures.admit(manifest, by=by, sbom=made)

    async def require_possible(
        self, project: str, function: str, key: str | None, by: Actor, *, sigstore: bool
    ) -> None:
        """Raise what any bundle of a project would be refused for that `key` signs.

        UnsignedError is told, of `function`.
        """
        with self._told(project, function, by):
            await self._signatures.require_possible(project, key, by, sigstore=sigstore)

    @contextmanager
    def _told(self, project: str, function: str, by: Actor) -> Iterator[None]:
        try:
            yield
        except UnsignedError as error:
            self._happened(
                denied_at(
                    FunctionPlace(project, function, 0, invocation=""),
                    at=time.time(),
                    kind=DenialKind.SIGNATURE,
                    by=by,
                    action="function:deploy",
                    reason=error.message,
                )
            )
            raise

    async def _sbom(self, manifest: BundleManifest) -> dict[str, Any]:
        """Return the SBOM of the bundle that is here. InvalidInputError if it has none."""
        digest = manifest.digest()
        await self._bundles.acquire(digest)
        try:
            folder = self._bundles.folder(digest)
            found: dict[str, Any] = msgspec.json.decode(
                await asyncio.to_thread(sbom, folder, manifest)
            )
        except SbomError as error:
            raise InvalidInputError(f"The bundle has no SBOM: {error.message}") from error
        finally:
            self._bundles.release(digest)
        return found
