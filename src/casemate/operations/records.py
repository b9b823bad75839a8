"""Operations on what invocations left behind: records, errors, denials, logs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.denial import Denial
from casemate.model.errors import NotFoundError
from casemate.model.invocation import (
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    Outcome,
    RunningInvocation,
)
from casemate.model.log_filter import MAX_SEARCH, LineFilter, LogLevel
from casemate.model.nodes import RecordsBehind
from casemate.model.principal import Action
from casemate.model.recording import ErrorSnapshot
from casemate.operations.declaration import (
    NDJSON,
    Decided,
    Declaration,
    Operation,
    on_chosen,
    on_project,
)
from casemate.operations.fields import (
    Id,
    Moment,
    Name,
    OnlyFunction,
    OnlyProject,
    number,
    text,
    whole,
)
from casemate.operations.given import Given

MAX_RECORDS = 1000
MAX_LINES = 10_000

_NotBefore = Given("Not before: `10m`, `2h`, `7d`, or a time.", metavar="TIME")
OnlyVersion = Annotated[
    int,
    number("Only those of this version; 0 is all."),
    Given("Only those of this version.", least=1),
]
OnlyOutcome = Annotated[
    Outcome,
    msgspec.Meta(
        description="Only those with this outcome: `ok`, `handler-error`, `timeout`, `denied`, ..."
    ),
    Given(metavar="OUTCOME"),
]
Since = Annotated[
    Moment,
    msgspec.Meta(description="Only those that began, or happened, at this Unix time or later."),
    _NotBefore,
]
Until = Annotated[
    Moment,
    msgspec.Meta(description="Only those that began, or happened, before this Unix time."),
    Given("Before: given like --since.", metavar="TIME"),
]
_OnlyCaller = Annotated[
    str,
    text(
        "Only those of this caller: `token:ID`, `user:NAME`, `function:PROJECT/NAME`, "
        "`trigger:PROJECT/NAME/TRIGGER`, `anonymous:public`.",
        least=1,
        most=512,
        example="user:ada",
    ),
    Given(metavar="CALLER"),
]
_OnlyInvocation = Annotated[Id, msgspec.Meta(description="Only those of this invocation.")]
_Search = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(rf"^[^\x00-\x1f\x7f]{{1,{MAX_SEARCH}}}$"),
        min_length=1,
        max_length=MAX_SEARCH,
        description="Only lines with this text; letters of ASCII match in both cases.",
        examples=["timeout"],
    ),
    Given("Only lines with this text.", metavar="TEXT"),
]
_Field = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(rf"^(?!.{{{MAX_SEARCH + 1}}})[^=\x00-\x1f\x7f]+=[^\x00-\x1f\x7f]*$"),
        min_length=2,
        max_length=MAX_SEARCH,
        description="Only lines that were logged with this field: `NAME=VALUE`.",
        examples=["order=42"],
    ),
    Given("Only lines that were logged with this field.", metavar="NAME=VALUE"),
]
_Limit = Annotated[
    int,
    number("How many at most.", least=1, most=MAX_RECORDS),
    Given(default=20, flags="--limit -n"),
]


_SHOWN = ErrorRecord(
    id="err_2f1f25ef71e873e660435a53",
    invocation="inv_01a21a5c499d6d1728d66ddc",
    project="shop",
    function="checkout",
    version=8,
    outcome=Outcome.HANDLER_ERROR,
    at=1764201600.0,
    type="KeyError",
    message="'amount'",
    trace="Traceback (most recent call last):\n  ...\nKeyError: 'amount'\n",
)
_SNAPSHOT = ErrorSnapshot(
    id=_SHOWN.id,
    invocation=_SHOWN.invocation,
    project="shop",
    function="checkout",
    version=8,
    at=1764201600.0,
    values="app.py:12 in handler\n  order = {'id': 1042, 'to': '[redacted:email#1f2e3d4c]'}\n",
)
_LINE = LogLine(
    invocation="inv_01a21a5c499d6d1728d66ddc",
    project="shop",
    function="checkout",
    version=8,
    at=1764201600.0,
    level="info",
    text="order 1042 is paid",
    sequence=7,
)


class Invocations(msgspec.Struct, frozen=True, kw_only=True):
    """Invocations, newest first."""

    running: tuple[RunningInvocation, ...] = ()
    """Those that run now, the longest first; empty where those of an outcome are asked for."""
    invocations: tuple[InvocationRecord, ...]
    """Those that have ended."""
    behind: tuple[RecordsBehind, ...] = ()
    """Other nodes, whose newest are not among them."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors, newest first, without their traces."""

    errors: tuple[ErrorSummary, ...]
    behind: tuple[RecordsBehind, ...] = ()
    """Other nodes, whose newest are not among them."""


class Denials(msgspec.Struct, frozen=True, kw_only=True):
    """Denied attempts, newest first."""

    denials: tuple[Denial, ...]
    before: int | None = None
    """Where to go on with `before`, on the same node; null when all were listed."""
    behind: tuple[RecordsBehind, ...] = ()
    """Other nodes, whose newest are not among them."""


class ListInvocations(Operation[Invocations], frozen=True, kw_only=True):
    """List the newest invocations, including the running ones."""

    declared = Declaration(
        http="GET /invocations",
        tag="records",
        action=Action.INVOCATION_READ,
        on=on_chosen,
        inside=frozenset({"trigger"}),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    outcome: OnlyOutcome | None = None
    version: OnlyVersion = 0
    since: Since | None = None
    until: Until | None = None
    limit: _Limit = 100
    caller: _OnlyCaller | None = None
    trigger: str | None = None
    """Only those that this kind of trigger began."""


class ShowInvocation(Operation[InvocationRecord], frozen=True, kw_only=True):
    """Show one invocation."""

    declared = Declaration(
        http="GET /invocations/{id}", tag="records", decided=Decided.FOR_EACH, problems=(404,)
    )
    id: Id

    @property
    def missing(self) -> NotFoundError:
        """What is told where there is none, and to those who may not read it."""
        return NotFoundError(
            f"There is no invocation {self.id} that you may see; records are kept for a "
            "limited time.",
            next_step="Run casemate invocations to see those there are.",
        )


class ListErrors(Operation[Errors], frozen=True, kw_only=True):
    """List the newest errors."""

    declared = Declaration(
        http="GET /errors", tag="records", action=Action.ERROR_READ, on=on_chosen
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    outcome: OnlyOutcome | None = None
    version: OnlyVersion = 0
    since: Since | None = None
    until: Until | None = None
    limit: _Limit = 100


class ShowError(Operation[ErrorRecord], frozen=True, kw_only=True):
    """Show everything about an error, by the id that the caller got, or by its invocation's."""

    declared = Declaration(
        http="GET /errors/{id}",
        tag="records",
        decided=Decided.FOR_EACH,
        problems=(404,),
        example={"id": _SHOWN.id},
        answer=_SHOWN,
    )
    id: Annotated[
        Id, msgspec.Meta(description="The error id in the answer, or that of the invocation.")
    ]

    @property
    def missing(self) -> NotFoundError:
        """What is told where there is none, and to those who may not read it."""
        return NotFoundError(
            f"There is no error {self.id} that you may see; records are kept for a limited time.",
            next_step="Run casemate invocations to see what failed lately.",
        )


class ShowErrorSnapshot(Operation[ErrorSnapshot], frozen=True, kw_only=True):
    """Show the variables of a handler's frames when it raised. That somebody looked is recorded.

    Secrets, tokens and personal data are masked. The snapshot is kept as long as the recording of
    the invocation.
    """

    declared = Declaration(
        http="GET /errors/{project}/{id}/snapshot",
        tag="records",
        recorded=True,
        action=Action.ERROR_SNAPSHOT,
        on=on_project,
        problems=(404,),
        example={"project": "shop", "id": _SHOWN.id},
        answer=_SNAPSHOT,
    )
    project: Name
    id: Annotated[Id, msgspec.Meta(description="That of the error.")]


class ListDenials(Operation[Denials], frozen=True, kw_only=True):
    """List attempts that were denied."""

    declared = Declaration(
        http="GET /denials", tag="records", action=Action.DENIAL_READ, on=on_chosen
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    invocation: _OnlyInvocation | None = None
    limit: _Limit = 100
    caller: _OnlyCaller | None = None
    address: (
        Annotated[
            str,
            text("Only those from this address.", least=1, most=64, example="192.0.2.7"),
            Given(metavar="ADDRESS"),
        ]
        | None
    ) = None
    since: Since | None = None
    until: Until | None = None
    before: (
        Annotated[
            int,
            msgspec.Meta(
                ge=0,
                lt=10**15,
                description="Only older ones: `before` of the answer that ended there.",
            ),
        ]
        | None
    ) = None


class ReadLogs(Operation[tuple[LogLine, ...]], frozen=True, kw_only=True):
    """Read what functions wrote.

    One JSON object a line (NDJSON), ascending by `sequence`. With `follow=true` the answer
    continues with new lines until the client ends it; an empty line only says that the node is
    there. `since`, `level`, `search`, `field` and `version` examine the newest 1000000 lines.
    """

    declared = Declaration(
        http="GET /logs",
        tag="records",
        action=Action.LOG_READ,
        on=on_chosen,
        answer_type=NDJSON,
        problems=(429,),
        answer=(_LINE,),
    )
    project: OnlyProject | None = None
    function: Annotated[OnlyFunction, Given("Only lines of this function.")] | None = None
    follow: Annotated[
        bool,
        msgspec.Meta(description="Go on with new lines as they are written."),
        Given("Go on with new lines until Ctrl-C.", "--follow -f"),
    ] = False
    invocation: (
        Annotated[_OnlyInvocation, Given("Only lines of this invocation.", "--invocation -i")]
        | None
    ) = None
    after: Annotated[
        int, number("Only lines with a greater `sequence`; 0 gives the newest ones.")
    ] = 0
    since: (
        Annotated[
            Moment,
            msgspec.Meta(description="Only lines that were written at this Unix time or later."),
            _NotBefore,
        ]
        | None
    ) = None
    level: (
        Annotated[
            LogLevel,
            msgspec.Meta(
                description="Only lines of this level or a more severe one; plain output counts "
                "as `info`."
            ),
            Given("Only lines of this level or above.", metavar="LEVEL"),
        ]
        | None
    ) = None
    search: _Search | None = None
    field: _Field | None = None
    version: OnlyVersion = 0
    limit: Annotated[
        int,
        number("How many at most at once.", least=1, most=MAX_LINES),
        Given("How many past lines at most.", "--limit -n", default=100),
    ] = 1000

    @property
    def only(self) -> LineFilter:
        """Which lines are wanted, beside whose they are."""
        return LineFilter(
            since=self.since,
            level=self.level,
            search=self.search,
            field=self.field,
            version=self.version or None,
        )
