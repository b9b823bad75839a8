"""Operations on incidents: findings that belong together, what is done about them, and by whom."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.errors import NotFoundError
from casemate.model.function import NAME_PATTERN
from casemate.model.level import Level
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.operations.declaration import Declaration, Operation, on_project_or_node
from casemate.operations.fields import Id, Name, OnlyProject, Reason, number, text, whole
from casemate.operations.findings import Finding, LeastLevel
from casemate.operations.given import Given

MAX_INCIDENTS = 1000
MAX_TEXT = 1000
_PATH = "/incidents/{id}"
_FUNCTION = f"{ResourceKind.FUNCTION.value}:"
_NAMED = f"{NAME_PATTERN.removesuffix('$')}/{NAME_PATTERN.removeprefix('^')}"
MAX_CONTAINED = 10
"""Functions that one request puts into quarantine."""


class IncidentState(StrEnum):
    """How far it is."""

    OPEN = "open"
    CONTAINED = "contained"
    RESOLVED = "resolved"
    FALSE_ALARM = "false-alarm"

    @property
    def closed(self) -> bool:
        """Tell whether nothing more is to be done about it."""
        return self in (IncidentState.RESOLVED, IncidentState.FALSE_ALARM)


class IncidentEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line of its timeline."""

    at: float
    kind: str
    """`finding`, `assign`, `note`, `state`, `contain`, `playbook` or `undo`."""
    by: str
    """A principal's text; empty: the node itself."""
    text: str
    node: str = ""
    """Where it was found, said or done, of nodes that share their state; empty: the one asked."""


class IncidentRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one rule has found of it."""

    rule: str
    title: str
    level: Level
    findings: int
    first_at: float
    last_at: float


class Noticed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finding that stands in the journal, for whoever acts on it."""

    index: int
    """Of its entry in the journal."""
    finding: Finding
    incident: str
    """Empty: it is of none."""
    incident_level: Level


class IncidentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in a list."""

    id: str
    """That of its first finding, behind `inc_`."""
    title: str
    """Of the gravest finding."""
    level: Level
    state: IncidentState
    owner: str
    """Who works on it; empty: nobody yet."""
    opened_at: float
    last_at: float
    """Of its newest finding."""
    findings: int
    things: tuple[str, ...]
    """Who and what it is about: principals, functions, addresses."""
    projects: tuple[str, ...]
    techniques: tuple[str, ...]

    @property
    def functions(self) -> tuple[Resource, ...]:
        """Return the functions among the things."""
        named = (each.removeprefix(_FUNCTION) for each in self.things if each.startswith(_FUNCTION))
        return tuple(
            Resource(kind=ResourceKind.FUNCTION, project=project, name=name)
            for project, _, name in (each.partition("/") for each in named)
        )


PREFIX = "inc_"
"""Before the id of its first finding."""


class Incident(IncidentSummary, frozen=True, kw_only=True):
    """An incident, with all that is known of it."""

    rules: tuple[IncidentRule, ...]
    finding_ids: tuple[str, ...]
    """The newest."""
    timeline: tuple[IncidentEvent, ...]
    contained_at: float | None
    closed_at: float | None
    more: int
    """Lines of the timeline for which there was no room."""

    def is_called(self, id: str) -> bool:
        """Tell whether an id is its own, or was: on a node that knew less of it."""
        return id == self.id or id.removeprefix(PREFIX) in self.finding_ids


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, newest first."""

    incidents: tuple[IncidentSummary, ...]
    more: bool
    """Whether there are more than were asked for."""


class IncidentAction(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to contain an incident."""

    action: str
    """`quarantine`."""
    target: str
    done: bool
    problem: str
    """Why not; empty: it was done."""
    undo: str
    """The command that takes it back."""
    before: str = ""
    """Who had done it before, and why; empty: nobody, it was done now."""


class Containment(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, and the incident as it is now."""

    incident: str
    actions: tuple[IncidentAction, ...]


_INCIDENT = Incident(
    id="inc_9f2c51aa03b1e7d4",
    title="Data of an event would have changed SQL",
    level=Level.HIGH,
    state=IncidentState.OPEN,
    owner="",
    opened_at=1764201600.0,
    last_at=1764201660.0,
    findings=2,
    things=("function:shop/report", "198.51.100.7"),
    projects=("shop",),
    techniques=("T1190",),
    rules=(
        IncidentRule(
            rule="sql-injection",
            title="Data of an event would have changed SQL",
            level=Level.HIGH,
            findings=2,
            first_at=1764201600.0,
            last_at=1764201660.0,
        ),
    ),
    finding_ids=("9f2c51aa03b1e7d4",),
    timeline=(IncidentEvent(at=1764201600.0, kind="finding", by="", text="high: sql-injection"),),
    contained_at=None,
    closed_at=None,
    more=0,
)
_SUMMARY = msgspec.convert(_INCIDENT, IncidentSummary, from_attributes=True)
_DONE = IncidentAction(
    action="quarantine",
    target="function:shop/report",
    done=True,
    problem="",
    undo="casemate release shop/report --reason TEXT",
)


class ListIncidents(Operation[IncidentPage], frozen=True, kw_only=True):
    """List incidents, newest finding first: groups of findings about the same actor or target."""

    declared = Declaration(
        http="GET /incidents",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        on=on_project_or_node,
        answer=IncidentPage(incidents=(_SUMMARY,), more=False),
    )
    project: OnlyProject | None = None
    state: (
        Annotated[IncidentState, msgspec.Meta(description="Only those in this state.")] | None
    ) = None
    level: LeastLevel | None = None
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_INCIDENTS)] = 100


class ShowIncident(Operation[Incident], frozen=True, kw_only=True):
    """Show an incident: what was found, about whom or what, and what was done by whom."""

    declared = Declaration(
        http=f"GET {_PATH}",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        on=on_project_or_node,
        problems=(404,),
        answer=_INCIDENT,
    )
    id: Id
    project: (
        Annotated[Name, msgspec.Meta(description="Only if it is of this project alone.")] | None
    ) = None

    @property
    def missing(self) -> NotFoundError:
        """What is told where there is none, and of one that is not of the project alone."""
        return NotFoundError(
            f"There is no incident {self.id[:64]}.",
            next_step="`casemate incident ls` shows what there is.",
        )


class AssignIncident(Operation[None], frozen=True, kw_only=True):
    """Set who works on an incident."""

    declared = Declaration(
        http=f"POST {_PATH}/assign",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 413, 415, 422),
        example={"owner": "ada"},
    )
    id: Id
    owner: Annotated[
        str,
        text("Who: the name of an account, or of somebody on call.", most=128, example="ada"),
        Given(argument=True),
    ]
    outside: Annotated[
        bool, msgspec.Meta(description="Accept a name that the node does not know.")
    ] = False


class NoteIncident(Operation[None], frozen=True, kw_only=True):
    """Add a note to the timeline of an incident."""

    declared = Declaration(
        http=f"POST {_PATH}/note",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 413, 415),
        example={"text": "the address is that of our scanner"},
    )
    id: Id
    text: Annotated[
        str, text("The text of the note.", least=1, most=MAX_TEXT), Given(argument=True)
    ]


class ResolveIncident(Operation[None], frozen=True, kw_only=True):
    """Close an incident, or open it again.

    If something new is found while it is being closed, the incident stays open: the answer is 409,
    and the timeline has the reason. 503 means that the request is on record, but its result is not
    known yet.
    """

    declared = Declaration(
        http=f"POST {_PATH}/state",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409, 413, 415, 503),
        example={"state": "resolved", "reason": "version 9 passes the name as a parameter"},
    )
    id: Id
    state: Annotated[
        IncidentState,
        msgspec.Meta(description="`resolved`, `false-alarm`, or `open` again."),
        Given("`resolved`, `false-alarm`, or `open` again.", "--as"),
    ] = IncidentState.RESOLVED
    reason: Annotated[
        str,
        text("The reason, for whoever asks later.", least=1, most=MAX_TEXT),
        Given(flags="--reason", metavar="TEXT"),
    ]


class ContainIncident(Operation[Containment], frozen=True, kw_only=True):
    """Put the functions that an incident is about into quarantine.

    Needs `function:quarantine` on each function. If one is refused or fails, the others are still
    quarantined. The answer tells how to undo each.
    """

    declared = Declaration(
        http=f"POST {_PATH}/contain",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415),
        example={"reason": "until version 9 is out"},
        answer=Containment(incident=_INCIDENT.id, actions=(_DONE,)),
    )
    id: Id
    reason: Reason
    functions: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=whole(_NAMED), examples=["shop/report"])], ...],
        msgspec.Meta(
            max_length=MAX_CONTAINED,
            description=f"Only these of its functions. Without it all, {MAX_CONTAINED} at most.",
        ),
        Given(
            "Only this of its functions. Can be given several times.",
            "--function",
            metavar="PROJECT/FUNCTION",
        ),
    ] = ()
    kill: Annotated[bool, msgspec.Meta(description="End running calls at once.")] = False
