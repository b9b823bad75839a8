"""Parts of a service that are there, and are asked for nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from casemate.baselines import Baselines
from casemate.decoys import Decoys
from casemate.facts import FactStream
from casemate.recordings import Recordings
from casemate.supply import EvidenceKeeper
from support.signing import SqlAttestations, signatures


def unused_parts(facts: FactStream, folder: Path | None = None) -> dict[str, Any]:
    """Return parts of a service that keep and read nothing before they are asked."""
    nothing: Any = SimpleNamespace()
    return {
        "decoys": Decoys(nothing, nothing, facts),
        "baselines": Baselines(nothing, facts),
        "recordings": Recordings(folder or Path("nowhere"), nothing),
        "signatures": signatures(happened=facts.happened),
        "evidence": EvidenceKeeper(SqlAttestations(), nothing),
    }
