"""Who has closed an incident: of two people at once the first has, and the other is told so."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from casemate.model.errors import ConflictError
from casemate.operations.incidents import Incident, IncidentState

MAX_KNOWN = 1000
_SLACK_SECONDS = 0.002
"""By which a time may be rounded in the journal."""


class _Decision(NamedTuple):
    state: IncidentState
    by: str
    at: float
    reason: str


def is_read(incident: Incident, by: str, at: float) -> bool:
    """Tell whether what somebody has decided of an incident stands in its timeline."""
    return any(
        line.kind == "state" and line.by == by and abs(line.at - at) <= _SLACK_SECONDS
        for line in incident.timeline
    )


class Decisions:
    """What was decided on this node lately: the monitor reads it some milliseconds later."""

    def __init__(self) -> None:
        """Know of none."""
        self._known: OrderedDict[str, _Decision] = OrderedDict()

    def decide(
        self, incident: Incident, state: IncidentState, by: str, reason: str, now: float
    ) -> None:
        """Remember who closes an incident, or opens it again. ConflictError: it is closed."""
        before = self._last(incident)
        if state.closed and before is not None and before.state.closed:
            raise ConflictError(
                f"The incident {incident.id} is closed already, as {before.state.value}, by "
                f"{before.by or 'the node'} at {datetime.fromtimestamp(before.at, UTC):%F %T}Z: "
                f"{before.reason}",
                next_step=f"If that is not so, open it again first: casemate incident resolve "
                f"{incident.id} --as open --reason TEXT",
            )
        self._known[incident.id] = _Decision(state, by, now, reason)
        self._known.move_to_end(incident.id)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _last(self, incident: Incident) -> _Decision | None:
        """Return what was decided last: as it was read, unless this node knows of a newer one."""
        here = self._known.get(incident.id)
        lines = [line for line in incident.timeline if line.kind == "state"]
        if here is not None and not is_read(incident, here.by, here.at):
            return here
        if not incident.state.closed or not lines:
            return None
        _, _, reason = lines[-1].text.partition(": ")
        return _Decision(incident.state, lines[-1].by, lines[-1].at, reason)
