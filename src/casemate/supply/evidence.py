"""Which packages of bundles were loaded: told by zygotes and calls, kept by bundle.

Files are a function's own word, held against the bundle's manifest and bounded; what does not
change what is known costs a look into a set.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec

from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.evidence import MAX_OCCURRENCES, Evidence, PackageEvidence
from casemate.operations.attestations import KeepEvidence, ReadEvidence
from casemate.store.interface import Store

MAX_WAITING = 64
"""Notes that wait to be kept; those beyond are passed over, and come again."""
MAX_KNOWN = 4_096
PAUSE_SECONDS = 10.0
"""For which calls of a bundle are not heard after one was: a function can tell of each another."""
_log = logging.getLogger(__name__)
Owners = Callable[[str], Awaitable[Mapping[str, tuple[str, str]]]]
"""Returns name and version of the package of each file below `deps/` of a bundle, by its path."""


class EvidenceKeeper:
    """One per gateway. Belongs to its event loop."""

    def __init__(
        self, store: Store, owners: Owners, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep what is seen in `store`; `owners` tells whose files are."""
        self._store = store
        self._owners = owners
        self._clock = clock
        self._known: dict[tuple[str, bool], int] = {}
        """Hash of what was noted last of a bundle, at import and late."""
        self._due: dict[str, float] = {}
        """When calls of a bundle are heard again."""
        self._waiting: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def note(self, version: Version, files: Iterable[str], late: bool) -> None:
        """Note files that were loaded. Does not wait."""
        now = self._clock()
        if late and now < self._due.get(version.digest, -math.inf):
            return
        found = frozenset(files)
        key, seen = (version.digest, late), hash(found)
        if self._known.get(key) == seen or len(self._waiting) >= MAX_WAITING:
            return
        if late:
            self._due[version.digest] = now + PAUSE_SECONDS
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._due.clear()
        self._known[key] = seen
        task = asyncio.ensure_future(self._keep(version.digest, found, late=late))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def of(self, digest: str) -> Evidence:
        """Return what is known of a bundle."""
        return await self._store.read(ReadEvidence(digest=digest)) or Evidence(digest=digest)

    async def settle(self) -> None:
        """Wait until all that was noted is kept."""
        while self._waiting:
            await asyncio.wait(tuple(self._waiting))

    async def _keep(self, digest: str, files: frozenset[str], *, late: bool) -> None:
        try:
            owners = await self._owners(digest)
            async with self._turn:
                before = await self.of(digest)
                packages = _merged(before, owners, files, late=late)
                if packages != before.packages:
                    kept = Evidence(digest=digest, packages=packages, observed_at=self._clock())
                    await self._store.change(KeepEvidence(evidence=kept))
        except CasemateError as error:
            # What is seen is seen again; a function does not stop because it was not kept.
            self._known.pop((digest, late), None)
            _log.warning("what a bundle has loaded cannot be kept: %s", error)


def _merged(
    before: Evidence,
    owners: Mapping[str, tuple[str, str]],
    files: frozenset[str],
    *,
    late: bool,
) -> tuple[PackageEvidence, ...]:
    """Return what is known of all packages with what was seen now."""
    known = {one.name: one for one in before.packages}
    loaded: dict[str, list[str]] = {}
    for path in sorted(files):
        owner = owners.get(f"deps/{path}")
        if owner is not None:
            loaded.setdefault(owner[0], []).append(f"deps/{path}")
    for name, version in sorted(set(owners.values())):
        one = known.get(name) or PackageEvidence(name=name, version=version)
        if name in loaded:
            paths = dict.fromkeys((*one.occurrences, *loaded[name]))
            one = msgspec.structs.replace(
                one,
                at_import=one.at_import or not late,
                at_call=one.at_call or late,
                occurrences=tuple(paths)[:MAX_OCCURRENCES],
            )
        known[name] = one
    return tuple(known[name] for name in sorted(known))
