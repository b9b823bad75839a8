"""Parts of a service that are there, and are asked for nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from casemate.advisories import Place
from casemate.baselines import Baselines
from casemate.decoys import Decoys
from casemate.facts import FactStream
from casemate.recordings import Recordings
from casemate.vulnerabilities import Advisories, Gate, Watch
from support.core import MemoryStore


def unused_parts(facts: FactStream, folder: Path | None = None) -> dict[str, Any]:
    """Return parts of a service that keep and read nothing before they are asked."""
    nothing: Any = SimpleNamespace()
    return {
        "decoys": Decoys(nothing, nothing, facts),
        "baselines": Baselines(nothing, facts),
        "recordings": Recordings(folder or Path("nowhere"), nothing),
        "advisories": advisories(MemoryStore(), facts, folder or Path("nowhere")),
    }


def advisories(store: Any, facts: FactStream, folder: Path) -> Advisories:
    """Return the gate of a node on which nothing is live."""

    async def nothing() -> tuple[()]:
        return ()

    def quarantine(_operation: Any) -> Any:
        raise AssertionError("nothing is live")

    gate = Gate(Place(folder / "advisories"), store, facts.happened)
    watch = Watch(
        gate,
        store,
        live=nothing,
        digests=lambda: (),
        manifest=quarantine,
        quarantine=quarantine,
        happened=facts.happened,
    )
    return Advisories(gate, watch, facts.happened)
