"""Whether rules of detection have found what a run does."""

from __future__ import annotations

from typing import Any

from casemate.detection import over, shipped_rules
from casemate.drills.node import Began, Node, until
from casemate.operations.findings import MAX_FINDINGS, Finding, ListFindings
from casemate.operations.journal import ListJournal

FOUND_SECONDS = 8.0
"""How long one waits for a finding: some facts are told in sums of a few seconds."""
QUIET_SECONDS = 3600.0
"""For so long a rule is not told of again for the same function, caller or address."""
_PAGE, _PAGES = 1000, 20


class Noticed:
    """What rules of the node have found since a run has begun."""

    def __init__(self, node: Node, began: Began) -> None:
        """Ask `node`."""
        self._node = node
        self._began = began

    def _found(self, since: float) -> dict[str, Finding]:
        page = self._node.call(ListFindings(since=since, limit=MAX_FINDINGS))
        return {each.rule: each for each in page.findings}

    def by(self, rule: str, seconds: float) -> tuple[str, str]:
        """Return the id of what a rule has found, and why there is none.

        A rule that has told of the same within the hour is quiet: then it must find it again in
        what the node's journal has of this run.
        """
        since = self._began.since
        found = until(lambda: self._found(since).get(rule), seconds)
        if found is not None:
            return found.id, ""
        before = self._found(since - QUIET_SECONDS).get(rule)
        if before is None:
            return "", "No rule has found it."
        if over(self._events(since), shipped_rules().only(rule)):
            return before.id, ""
        return "", "It was found in a run before, and not in this one."

    def _events(self, since: float) -> list[dict[str, Any]]:
        """Return what is in the journal since the run has begun, the oldest first."""
        found: list[dict[str, Any]] = []
        before: int | None = None
        for _ in range(_PAGES):
            page = self._node.call(ListJournal(since=since, before=before, limit=_PAGE))
            found += [each.event for each in page.entries if each.event is not None]
            before = page.before
            if before is None:
                break
        return found[::-1]
