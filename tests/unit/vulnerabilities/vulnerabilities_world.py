"""A gate whose store is in memory, and what it judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from casemate.advisories import Place
from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.deployment import Quarantine
from casemate.model.facts import Actor, Fact
from casemate.model.licence import PackageLicence
from casemate.operations.advisories import ExceptAdvisory
from casemate.operations.quarantine import QuarantineFunction
from casemate.vulnerabilities import Gate, Live, Packages, Watch, packages_of
from support.core import MemoryStore, spec

ADA = Actor("user:ada", "192.0.2.1")
DAY = 86400.0


def manifest(*packages: str, name: str = "f", files: tuple[str, ...] = ()) -> BundleManifest:
    """Return the manifest of a bundle with packages, each as `name==version`."""
    return BundleManifest(
        project="t",
        function=spec(name),
        lock_sha256="1" * 64 if packages else None,
        packages=tuple(
            LockedPackage(name=name, version=version)
            for name, _, version in (each.partition("==") for each in packages)
        ),
        files=tuple(BundleFile(path=path, size=1, sha256="0" * 64) for path in files),
    )


def excepted(advisory: str = "GHSA-1", package: str = "left", **changes: Any) -> ExceptAdvisory:
    """Return the wish for an exception."""
    wanted: dict[str, Any] = {
        "project": "t",
        "function": "f",
        "reason": "not reached",
        "seconds": 3600,
        "advisory": advisory,
        "package": package,
        **changes,
    }
    return ExceptAdvisory(**wanted)


class World:
    """A gate and its watch; what they told, and put into quarantine."""

    def __init__(self, folder: Path, store: MemoryStore | None = None) -> None:
        self.place = Place(folder / "advisories")
        self.store = store or MemoryStore()
        self.told: list[Fact] = []
        self.ahead = 0.0
        """By how many seconds the clock is ahead."""
        self.gate = Gate(self.place, self.store, self.told.append, self.clock, time.time)
        self.lives: list[Live] = []
        self.bundles: dict[str, BundleManifest] = {}
        self.opened: list[str] = []
        self.licences: tuple[PackageLicence, ...] = ()
        """What bundles that are opened state."""
        self.quarantined: list[QuarantineFunction] = []
        self.watch = Watch(
            self.gate,
            self.store,
            live=self._live,
            digests=lambda: [one.digest for one in self.lives],
            packages=self._packages,
            quarantine=self._quarantine,
            happened=self.told.append,
        )

    def clock(self) -> float:
        return time.time() + self.ahead

    def deploy(self, *packages: str, name: str = "f") -> None:
        """Have a function live, whatever the gate says."""
        made = manifest(*packages, name=name)
        self.bundles[made.digest()] = made
        self.lives = [one for one in self.lives if one.function != name]
        self.lives.append(Live("t", name, 1, made.digest()))

    def of(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.told if type(fact) is kind]

    async def _live(self) -> list[Live]:
        return self.lives

    async def _packages(self, digest: str) -> Packages:
        self.opened.append(digest)
        made = self.bundles[digest]
        return msgspec.structs.replace(packages_of(made), licences=self.licences)

    async def _quarantine(self, wanted: QuarantineFunction) -> Quarantine:
        self.quarantined.append(wanted)
        return Quarantine(
            project=wanted.project, function=wanted.function, reason="", by="node", since=1.0
        )


def play(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    """Run a scene in a world that is loaded."""

    async def run() -> None:
        world = World(folder)
        await world.gate.load()
        await asyncio.wait_for(scene(world), 20)

    asyncio.run(run())
