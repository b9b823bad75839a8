"""What a node has seen of a bundle that was built here."""

from __future__ import annotations

from casemate.cli.client import connect
from casemate.cli.deployed import live_version
from casemate.cli.names import FunctionName
from casemate.cli.terminal import YELLOW, note
from casemate.model.evidence import Evidence
from casemate.operations.functions import ShowFunction
from casemate.operations.signing import ShowEvidence


def evidence_of(name: FunctionName, digest: str) -> Evidence | None:
    """Return what the node has seen of just this bundle; a note where that is not to be had."""
    with connect() as client:
        shown = client.call(ShowFunction(project=name.project, function=name.function))
        version = live_version(shown)
        if version is None or version.digest != digest:
            note(f"{name}: what is live was built from something else; nothing is seen.", YELLOW)
            return None
        return client.call(
            ShowEvidence(project=name.project, function=name.function, number=version.number)
        )
