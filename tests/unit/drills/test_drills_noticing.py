"""What counts as found: by the node in this run, or by a quiet rule that would find it again."""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec
import pytest

from casemate.detection import examples
from casemate.drills.node import Began
from casemate.drills.noticing import Noticed
from casemate.drills.recorded import event_of, events_of
from casemate.operations.findings import Finding, FindingPage, ListFindings
from casemate.operations.journal import JournalEntry, JournalPage, ListJournal

RULE = "policy-removed"


class Node:
    """Has findings, and a journal."""

    now = staticmethod(time.time)

    def __init__(self, found_at: float | None, events: list[dict[str, Any]]) -> None:
        self.found_at = found_at
        self.events = events

    def call(self, operation: Any) -> Any:
        if isinstance(operation, ListJournal):
            entries = tuple(
                JournalEntry(index=n, id=str(n), event=each) for n, each in enumerate(self.events)
            )
            return JournalPage(entries=entries[::-1], before=None)
        assert isinstance(operation, ListFindings)
        at = self.found_at
        if at is None or at < (operation.since or 0.0):
            return FindingPage(findings=(), more=False)
        page = cast("FindingPage", ListFindings.declared.answer)
        one: Finding = msgspec.structs.replace(page.findings[0], rule=RULE, at=at, id="fin_1")
        return FindingPage(findings=(one,), more=False)


def noticed(found_at: float | None, events: list[dict[str, Any]]) -> tuple[str, str]:
    node = cast("Any", Node(found_at, events))
    return Noticed(node, Began(node)).by(RULE, 0.0)


def attack() -> list[dict[str, Any]]:
    return list(events_of(examples()[RULE]["attack"]))


def test_what_is_found_now_counts() -> None:
    assert noticed(time.time(), []) == ("fin_1", "")


def test_what_nobody_has_found_does_not_whatever_the_journal_has() -> None:
    assert noticed(None, attack())[0] == ""
    assert noticed(time.time() - 7200, attack())[0] == ""


def test_of_a_rule_that_is_quiet_the_journal_must_tell() -> None:
    before = time.time() - 600
    assert noticed(before, attack()) == ("fin_1", "")
    id, problem = noticed(before, list(events_of(examples()[RULE]["twin"])))
    assert id == "" and "a run before" in problem


def test_what_is_no_example_is_refused() -> None:
    with pytest.raises(ValueError, match="no field"):
        event_of("SignedIn", {"nobody": 1}, 0.0)
    with pytest.raises(ValueError, match="has no"):
        list(events_of([{"SignedIn": {"by": "user:a", "method": "password"}, "often": 2}]))


@pytest.mark.parametrize("off", [-86_400.0, -3600.0, 0.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("jump", [-3600.0, 0.0, 3600.0])
def test_what_began_goes_by_the_clock_of_the_node(off: float, jump: float) -> None:
    """Which is another one than ours, and is set while a run goes on."""
    node = cast("Any", Node(None, []))
    node.now = lambda: float(int(time.time() + off))
    began = Began(node)
    before = time.time() + off
    node.now = lambda: float(int(time.time() + off + jump))
    after = time.time() + off + jump
    assert before - 7300 < began.since <= min(before, after)
    # Who cleans up after a run that was killed finds the same, though it began to ask later.
    assert abs(Began(node, began.told).since - began.since) < 1.1
    if not jump:
        assert before - 5 < began.since
