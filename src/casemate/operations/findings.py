"""Operations on what was found and who is told of it: findings, channels of alerts, silences."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.errors import NotFoundError
from casemate.model.level import Level
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_project_or_node
from casemate.operations.fields import Id, Moment, Name, OnlyProject, Reason, number, text, whole
from casemate.operations.given import DURATION, Given

MAX_FINDINGS = 1000
MAX_SILENCE = 7 * 86_400
NEVER_SILENT = "alerts-silenced"
"""The rule that finds silences: who could silence it could have nobody told of any."""

RuleName = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"),
        description="Name of a rule.",
        examples=["tokens-tried"],
    ),
]
LeastLevel = Annotated[
    Level,
    msgspec.Meta(description="Only those of this severity or above.", examples=["high"]),
]


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """That a rule matches what happened."""

    id: str
    rule: str
    title: str
    level: Level
    entity: str
    """Who or what it is about, as `field=value` for each field that tells it."""
    at: float
    """Unix time of the event that completed it."""
    count: int
    """Events that it stands for."""
    events: tuple[str, ...]
    """Ids of entries of the journal, the newest."""
    techniques: tuple[str, ...]
    """Of ATT&CK."""
    project: str
    """Empty: of none."""
    function: str = ""
    """Which of the project it is of; empty: of none."""
    who: str = ""
    """Who did what completed it, as its event says it; empty: the node."""
    node: str = ""
    """Which node has found it, of those that share their state; empty: the one that is asked."""
    again: int = 0
    """Events alike that came since, and are counted with the next finding instead of told."""
    latest_at: float = 0.0
    """Unix time of the last of those; 0: there were none."""


_FINDING = Finding(
    id="9f2c51aa03b1e7d4",
    rule="tokens-tried",
    title="Tokens are tried",
    level=Level.HIGH,
    entity="src_endpoint.ip=192.0.2.7",
    at=1764201600.0,
    count=30,
    events=("9f2c51aa03b1e7d4-17",),
    techniques=("T1110",),
    project="",
)


class FindingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Findings, newest first."""

    findings: tuple[Finding, ...]
    more: bool
    """Whether there are more: go on with `before`, the id of the last one."""


class AlertChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that alerts are sent to, and its state."""

    name: str
    kind: str
    """`webhook`, `mail` or `syslog`."""
    server: str
    level: str
    """The least grave finding that is told."""
    waiting: int
    sent: int
    """Findings, pages and tests that it took."""
    failed: int
    """Given up."""
    dropped: int
    """For which there was no room; they are among those that failed."""
    folded: int
    """Not told, because alike ones were told shortly before."""
    silenced: int
    problem: str
    """Why the last attempt failed; empty: it did not."""
    on_call: str = ""
    """Rotation by whose turns it is told; empty: it always is."""
    person: str = ""
    """Whose turn that is."""
    again: int = 0
    """Events alike that came after findings as grave as it tells, and made no finding yet."""
    folded_at: float = 0.0
    """Unix time of the last of what was folded or came again; 0: nothing was."""


class AlertChannels(msgspec.Struct, frozen=True, kw_only=True):
    """All channels."""

    channels: tuple[AlertChannel, ...]
    signs_of_life: int
    """That were sent to who watches for them, since the monitor was started."""


class OnCallShift(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call of a rotation, from when until when (Unix times)."""

    rotation: str
    person: str
    since: float
    until: float


class OnCallShifts(msgspec.Struct, frozen=True, kw_only=True):
    """Shifts of each rotation, the one that is on first."""

    shifts: tuple[OnCallShift, ...]


class AlertTest(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a test alert."""

    channel: str
    problem: str
    """Why it was not taken; empty: it was."""


class AlertSilence(msgspec.Struct, frozen=True, kw_only=True):
    """That no alerts of a rule are sent for a time."""

    rule: str
    since: float
    until: float
    reason: str
    by: str


class AlertSilences(msgspec.Struct, frozen=True, kw_only=True):
    """The active silences."""

    silences: tuple[AlertSilence, ...]


class ListFindings(Operation[FindingPage], frozen=True, kw_only=True):
    """List what the detection rules have found, newest first."""

    declared = Declaration(
        http="GET /findings",
        tag="findings",
        action=Action.FINDINGS_READ,
        on=on_project_or_node,
        answer=FindingPage(findings=(_FINDING,), more=False),
    )
    project: OnlyProject | None = None
    rule: RuleName | None = None
    level: LeastLevel | None = None
    since: (
        Annotated[
            Moment,
            msgspec.Meta(description="Only what happened at this time or later."),
            Given("Not before: `10m`, `2h`, `7d`, or a time.", metavar="TIME"),
        ]
        | None
    ) = None
    before: (
        Annotated[Id, msgspec.Meta(description="Only those after this one in the list.")] | None
    ) = None
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_FINDINGS)] = 100


class ShowFinding(Operation[Finding], frozen=True, kw_only=True):
    """Show one finding."""

    declared = Declaration(
        http="GET /findings/{id}",
        tag="findings",
        action=Action.FINDINGS_READ,
        on=on_project_or_node,
        problems=(404,),
        example={"id": "9f2c51aa03b1e7d4"},
        answer=_FINDING,
    )
    id: Id
    project: Annotated[Name, msgspec.Meta(description="Only if it is of this project.")] | None = (
        None
    )

    @property
    def missing(self) -> NotFoundError:
        """What is told where there is none, and of one of another project.

        Its id follows from what was found, so that who may see one project could ask for another's.
        """
        return NotFoundError(
            f"There is no finding {self.id[:64]}.",
            next_step="`casemate findings ls` shows what there is.",
        )


class ListAlertChannels(Operation[AlertChannels], frozen=True, kw_only=True):
    """Show the channels that alerts are sent to, and the state of each."""

    declared = Declaration(http="GET /alerts", tag="findings", action=Action.FINDINGS_READ)


class TestAlertChannel(Operation[AlertTest], frozen=True, kw_only=True):
    """Send a test alert to a channel now, and tell the result."""

    declared = Declaration(
        http="POST /alerts/test",
        tag="findings",
        action=Action.ALERTS_WRITE,
        problems=(404,),
        answer=AlertTest(channel="pager", problem=""),
    )
    channel: Annotated[str, text("Name of the channel.", least=1, most=63, example="pager")]


class ListOnCall(Operation[OnCallShifts], frozen=True, kw_only=True):
    """Show who is on call and who is next: the shifts of each rotation for some days."""

    declared = Declaration(
        http="GET /alerts/on-call",
        tag="findings",
        action=Action.FINDINGS_READ,
        answer=OnCallShifts(
            shifts=(
                OnCallShift(
                    rotation="primary", person="ada", since=1764230400.0, until=1764835200.0
                ),
            )
        ),
    )
    days: Annotated[int, number("For how many days from now.", least=1, most=92)] = 14


class PagePeople(Operation[None], frozen=True, kw_only=True):
    """Alert people at once, at any hour: those on call, or one channel."""

    declared = Declaration(
        http="POST /alerts/page",
        tag="findings",
        action=Action.ALERTS_PAGE,
        problems=(404, 503),
        status=HTTPStatus.NO_CONTENT,
        example={"message": "The shop does not answer.", "to": "primary"},
    )
    message: Annotated[str, text("The text that they get.", least=1, most=256)]
    to: Annotated[
        str,
        text("A rotation or a channel; `*` means everybody whose turn it is.", least=1, most=63),
        Given(),
    ] = "*"


class SilenceAlerts(Operation[None], frozen=True, kw_only=True):
    """Send no alerts of a rule for a time. Its findings are still stored.

    A silence is itself a finding, and the rule that reports silences cannot be silenced. 503 means
    that the monitor, which knows the rules, is away: a silence can only be ended then.
    """

    declared = Declaration(
        http="POST /alerts/silences",
        tag="findings",
        action=Action.ALERTS_WRITE,
        problems=(404, 409),
        status=HTTPStatus.NO_CONTENT,
        example={"rule": "tokens-tried", "seconds": 7200, "reason": "a planned test"},
    )
    rule: RuleName
    seconds: Annotated[
        int,
        number("For how long; 0 ends a silence.", least=0, most=MAX_SILENCE),
        Given(flags="--for", metavar=DURATION),
    ]
    reason: Reason


class ListAlertSilences(Operation[AlertSilences], frozen=True, kw_only=True):
    """List the active silences."""

    declared = Declaration(http="GET /alerts/silences", tag="findings", action=Action.FINDINGS_READ)
