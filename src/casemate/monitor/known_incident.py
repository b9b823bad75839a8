"""An incident, while it changes: what is kept of it, and how it is shown."""

from __future__ import annotations

import bisect

import msgspec

from casemate.model.level import Level
from casemate.operations.incidents import Incident, IncidentEvent, IncidentRule, IncidentState

MAX_LINES = 200
"""Of a timeline: the first and the newest."""
MAX_HELD = 64


class Known(msgspec.Struct):
    """An incident, while it changes."""

    id: str
    opened_at: float
    last_at: float
    title: str
    level: Level
    state: IncidentState = IncidentState.OPEN
    owner: str = ""
    findings: int = 0
    things: list[str] = []
    """Who and what it is about: by what is grave enough to open one."""
    links: list[str] = []
    """Addresses that its lesser findings name besides: others join by these, and it is about no
    more. What else they name links nothing: whoever deploys all functions of all projects at night
    would have whatever is found of any be one incident.
    """
    projects: list[str] = []
    techniques: list[str] = []
    rules: dict[str, IncidentRule] = {}
    ids: list[str] = []
    timeline: list[IncidentEvent] = []
    more: int = 0
    contained_at: float | None = None
    held: dict[str, tuple[float, bool]] = {}
    """What was done to contain it: when that was said last, and whether it is in force."""
    closed_at: float | None = None
    first: tuple[float, str] = (0.0, "")
    """When the first of its findings was, and its id: by that it is named, on all nodes."""
    names: list[str] = []
    """Findings by which it was named before an earlier one came, of another node."""
    owner_said: tuple[float, str] = (0.0, "")
    """When, and on which node."""
    state_said: tuple[float, str] = (0.0, "")

    def say(self, line: IncidentEvent) -> None:
        """Add a line to the timeline, at its time."""
        bisect.insort(self.timeline, line, key=lambda each: each.at)
        if len(self.timeline) > MAX_LINES:
            del self.timeline[MAX_LINES // 2]
            self.more += 1

    def hold(self, what: str, at: float, *, in_force: bool) -> None:
        """Have something be in force that contains it, or no more; while it is open the state says
        which, so that nobody takes for contained what calls reach again.
        """
        before = self.held.get(what)
        if before is not None and before[0] > at:
            return
        if before is not None or len(self.held) < MAX_HELD:
            self.held[what] = at, in_force
        if in_force and self.contained_at is None:
            self.contained_at = at
        if not self.state.closed:
            self.state = self.state_while_open(in_force=in_force)

    def state_while_open(self, *, in_force: bool = False) -> IncidentState:
        """Return whether it is contained, by anything or by what is said now to be in force."""
        contained = in_force or any(on for _, on in self.held.values())
        return IncidentState.CONTAINED if contained else IncidentState.OPEN

    def shown(self) -> Incident:
        """Return it in an order that does not tell in which one this node heard of it."""
        return Incident(
            id=self.id,
            title=self.title,
            level=self.level,
            state=self.state,
            owner=self.owner,
            opened_at=self.opened_at,
            last_at=self.last_at,
            findings=self.findings,
            things=tuple(self.things),
            projects=tuple(sorted(self.projects)),
            techniques=tuple(sorted(self.techniques)),
            rules=tuple(sorted(self.rules.values(), key=lambda each: (each.first_at, each.rule))),
            finding_ids=tuple(self.ids),
            timeline=tuple(self.timeline),
            contained_at=self.contained_at,
            closed_at=self.closed_at,
            more=self.more,
        )
