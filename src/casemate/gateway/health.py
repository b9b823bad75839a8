"""How each part of a node is: looked at in the background, told at once.

Whoever asks gets what the last look found, so that no question hangs where a part does, and
questions of strangers cost nothing. A look that does not end is itself a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from casemate.admission import Catalogue
from casemate.background import Background
from casemate.egress import EgressClient
from casemate.gateway.bundles import BundleStore
from casemate.gateway.state import NodeData
from casemate.model.errors import CasemateError
from casemate.model.node import NodeHealth, PartHealth
from casemate.model.nodes import ProjectDatabase
from casemate.monitor import MonitorClient
from casemate.operations.policies import ReadPolicies
from casemate.recorder import RecorderClient
from casemate.sandbox.client import SandboxClient
from casemate.store.interface import Store
from casemate.triggers.outside import OutsideTriggers
from casemate.unwritten import try_again, unwritten
from casemate.vault.interface import Vault

if TYPE_CHECKING:  # it brings psycopg, which a node that shares nothing goes without
    from casemate.gateway.project_moves import ProjectMoves

LOOK_SECONDS = 5.0
"""Between two looks."""
PART_SECONDS = 3.0
"""What does not answer within that is not well."""
STALE_SECONDS = 3 * (LOOK_SECONDS + PART_SECONDS)
LEAST_FREE_BYTES = 64 << 20
"""Free bytes of the data folder's file system below which writes soon fail."""
_MOST_PROJECTS = 200
_MOST_NAMED = 5
_log = logging.getLogger(__name__)

Look = Callable[[], Awaitable[str]]
"""Returns what is wrong, empty if nothing is. May raise and may never end."""


class Health:
    """Looks at the parts of a node; `now` tells how they were."""

    def __init__(
        self, parts: dict[str, tuple[Look, bool]], refusal: Callable[[], str] = str
    ) -> None:
        """Look at `parts`: by name how, and whether the node cannot serve without it.

        While `refusal` gives a reason the node is not ready, whatever the last look found.
        """
        self._parts = parts
        self._refusal = refusal
        self._found = NodeHealth(ok=True, ready=True, checked_at=time.time(), parts=())
        self._looked_at = time.monotonic()
        self._background = Background()

    def start(self) -> None:
        """Begin to look, from the running loop on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    def now(self) -> NodeHealth:
        """Return what the last look found; never waits."""
        silent = time.monotonic() - self._looked_at
        if silent <= STALE_SECONDS:
            found = self._found
            return msgspec.structs.replace(found, ready=found.ready and not self._refusal())
        late = PartHealth(
            name="health", ok=False, detail=f"The parts were last checked {silent:.0f} s ago."
        )
        return NodeHealth(
            ok=False,
            ready=False,
            checked_at=self._found.checked_at,
            parts=(*self._found.parts, late),
        )

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look at all parts at once."""
        found = await asyncio.gather(
            *(self._part(name, look) for name, (look, _) in self._parts.items())
        )
        before = {part.name: part.ok for part in self._found.parts}
        for part in found:
            if not part.ok and before.get(part.name, True):
                _log.error("not well: %s: %s", part.name, part.detail)
            elif part.ok and not before.get(part.name, True):
                _log.info("well again: %s", part.name)
        self._found = NodeHealth(
            ok=all(part.ok for part in found),
            ready=all(part.ok for part in found if self._parts[part.name][1]),
            checked_at=time.time(),
            parts=tuple(found),
        )
        self._looked_at = time.monotonic()

    async def _part(self, name: str, look: Look) -> PartHealth:
        try:
            problem = await asyncio.wait_for(look(), PART_SECONDS)
        except TimeoutError:
            problem = f"It does not answer within {PART_SECONDS:g} s."
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what was asked for
            problem = f"{type(error).__name__}: {error}"
        return PartHealth(name=name, ok=not problem, detail=problem)


def parts_of(
    *,
    store: Store,
    vault: Vault,
    data: NodeData,
    client: SandboxClient,
    bundles: BundleStore,
    catalogue: Catalogue,
    egress: EgressClient,
    outside: OutsideTriggers,
    recorder: RecorderClient,
    unsigned: Callable[[], str],
    clock: Callable[[], str],
    monitor: MonitorClient,
    folder: Path,
    faults: Callable[[], Iterable[str]],
) -> dict[str, tuple[Look, bool]]:
    """Return how to look at each part of a node; `faults` tells what calls and checks have met."""

    async def look_at_store() -> str:
        await store.read(ReadPolicies())
        return ""

    async def look_at_vault() -> str:
        await vault.status()
        return ""

    async def look_at_projects() -> str:
        bad = []
        for name in data.open_projects()[:_MOST_PROJECTS]:
            try:
                await data.probe(name)
            except Exception as error:  # noqa: BLE001 - what is wrong with one hides no other
                bad.append(f"{name} ({type(error).__name__}: {error})")
        return _listed("Data that cannot be read: ", bad)

    async def look_at_interpreters() -> str:
        return _listed("", [f"Python {m}: {why}" for m, why in sorted(client.problems.items())])

    async def look_at_bundles() -> str:
        used = catalogue.digests()
        missing = await bundles.missing(used)
        bad = {digest: why for digest, why in bundles.damaged.items() if digest in used}
        return _listed("", [*bad.values(), *(f"{d} is missing." for d in missing - bad.keys())])

    async def look_at_egress() -> str:
        return "" if egress.connected else "The egress proxy is gone and not yet back."

    async def look_at_sources() -> str:
        return "" if outside.running else "The sources process is gone and not yet back."

    return {
        "store": (look_at_store, True),
        "vault": (look_at_vault, True),
        "interpreters": (look_at_interpreters, True),
        "disk": (look_at_disk(folder), True),
        "writes": (look_at_writes(vault), False),
        "clock": (told(clock), False),
        "journal": (told(recorder.trouble), True),
        "signatures": (told(unsigned), False),
        "records": (told(recorder.losses), False),
        "refused": (told(recorder.aside.problem), False),
        "monitor": (told(monitor.problems), False),
        "projects": (look_at_projects, False),
        "check": (told(lambda: _listed("", faults())), False),
        "bundles": (look_at_bundles, False),
        "egress": (look_at_egress, False),
        "sources": (look_at_sources, False),
    }


def look_at_disk(folder: Path) -> Look:
    """Return how to look at the file system of a folder."""

    async def look() -> str:
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        return "" if free >= LEAST_FREE_BYTES else f"{free >> 20} MiB of the disk are left."

    return look


def look_at_writes(vault: Vault) -> Look:
    """Return how to look at what this process and the vault could not write, and to try again."""

    async def look() -> str:
        await asyncio.to_thread(try_again)
        # A vault that does not answer is a finding of its own part.
        with contextlib.suppress(CasemateError):
            return _listed("", [*unwritten(), *(await vault.status()).unwritten])
        return _listed("", unwritten())

    return look


def told(problems: Callable[[], str]) -> Look:
    """Return how to look at a part that knows itself what is wrong."""

    async def look() -> str:
        return problems()

    return look


def problems_of(databases: Iterable[ProjectDatabase], moves: ProjectMoves | None) -> str:
    """Return why the projects of some databases wait, and which could not be moved."""
    bad = [
        f"{one.name} ({one.projects} projects): {one.problem}" for one in databases if one.problem
    ]
    return _listed("", bad if moves is None else [*bad, *moves.faults()])


def _listed(before: str, problems: Iterable[str]) -> str:
    """Return a few of many problems, and how many more there are."""
    problems = list(problems)
    if not problems:
        return ""
    more = f", and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
    return before + "; ".join(problems[:_MOST_NAMED]) + more
