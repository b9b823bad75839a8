"""What answers about many nodes say of those that they do not have all of."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.cli.terminal import note
from casemate.cli.text import moment
from casemate.model.nodes import RecordsBehind


def note_behind(behind: Iterable[RecordsBehind]) -> None:
    """Tell up to when there is anything of nodes that are gone, or cannot be read."""
    for one in behind:
        note(f"Of node {one.node} there is what it had told until {moment(one.until)}.")
