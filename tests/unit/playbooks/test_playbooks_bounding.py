"""How much playbooks do without a person, while somebody sets the clock."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from casemate.model.playbook import Bounds, PlaybookAct, PlaybookRun, Step
from casemate.playbooks.bounding import NODE_SECONDS, Ages, why_not_alone

DAY = 86_400.0
BOUNDS = Bounds(targets=1, minutes=10)


class Node:
    def __init__(self) -> None:
        self.off, self.passed = 0.0, 1000.0
        self.ages = Ages(lambda: 1e9 + self.passed + self.off, lambda: self.passed)
        self.runs: list[PlaybookRun] = []

    def acts(self, *, again: bool = False) -> bool:
        """Find something about one more function; tell whether it is acted on without a person."""
        now, name = self.ages.clock(), f"run-{len(self.runs)}"
        act = PlaybookAct(do="quarantine", target=f"function:t/{name}", at=now)
        run = PlaybookRun(
            id=name,
            playbook="p",
            digest="",
            finding=name,
            rule="r",
            incident="",
            project="t",
            found_at=now,
            at=now,
            state=Step.DONE,
            alone=True,
            acts=(act,),
        )
        if why_not_alone(run, BOUNDS, self.runs, self.ages if not again else self.kept):
            return False
        self.ages.note(run.id)
        self.runs.append(replace(run, acts=(replace(act, state=Step.DONE),)))
        return True

    @property
    def kept(self) -> Ages:
        """As a process that started anew knows them."""
        return Ages(self.ages.clock, lambda: 0.0)


@pytest.mark.parametrize("off", [-3650 * DAY, -3600.0, 3600.0, 3650 * DAY])
def test_a_clock_that_is_set_neither_widens_a_bound_nor_shuts_it(off: float) -> None:
    node = Node()
    assert node.acts() and not node.acts()
    node.off = off
    assert not node.acts()
    node.off = 0.0
    assert not node.acts()
    node.passed += NODE_SECONDS + 1
    assert node.acts()


def test_what_was_done_in_a_far_future_does_not_count_for_years() -> None:
    node = Node()
    node.off = 3600.0
    assert node.acts()
    node.off = 0.0
    assert not node.acts(again=True)  # an hour ahead: it was now
    node = Node()
    node.off = 3650 * DAY
    assert node.acts()
    node.off = 0.0
    assert node.acts(again=True)
