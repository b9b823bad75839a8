"""Operations on what functions have used."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.estimate import Estimate
from casemate.model.nodes import RecordsBehind
from casemate.model.principal import Action
from casemate.model.usage import DAY, Usage, UsageBy, UsageSpan
from casemate.operations.declaration import Decided, Declaration, Effect, Operation, on_chosen
from casemate.operations.fields import Moment, OnlyFunction, OnlyProject, number
from casemate.operations.given import Given

MAX_ROWS = 50_000
"""Sums of one answer; what is beyond is asked for with a narrower question."""
_Since = Annotated[
    Moment,
    msgspec.Meta(description="From the hour on in which this Unix time is; 0: the month's first."),
    Given("From: `2h`, `7d`, or a time; the month's first day otherwise.", metavar="TIME"),
]
_Until = Annotated[
    Moment,
    msgspec.Meta(description="Before this Unix time; 0: until now."),
    Given("Before: given like --since.", metavar="TIME"),
]
_SHOWN = Usage(
    project="shop",
    function="checkout",
    requests=1042,
    refused=3,
    errors=2,
    retries=1,
    cold=4,
    run_us=13_546_000,
    cpu_us=4_890_120,
    memory_mb_ms=1_733_888,
    request_bytes=88_211,
    response_bytes=402_114,
    uses=2084,
    peak=41_943_040,
    longest_us=88_120,
    guard_sampled=17,
    guard_us=697,
    guard_squares=28_769,
    guard=Estimate(sampled=17, us_per_request=41.0, error_us=1.778),
    journal=Estimate(sampled=66, us_per_request=152.25, error_us=12.5),
)


class UsageFound(msgspec.Struct, frozen=True, kw_only=True):
    """What was used, and from when to when."""

    since: float
    until: float
    rows: tuple[Usage, ...]
    more: bool = False
    """Whether there are sums that are not shown: they are too many."""
    behind: tuple[RecordsBehind, ...] = ()
    """Other nodes, and from when on what they have served is not counted."""


class ShowUsage(Operation[UsageFound], frozen=True, kw_only=True):
    """Show what functions have used: requests, times, CPU, memory, bytes.

    Each invocation is counted once, by what its control group measured, in hours of UTC. The cost
    of the sink guard, and of storing the record, are estimates from samples, each with its 95 %
    confidence interval. The function's own process reports the cost of the guard, which is not part
    of a bill.
    """

    declared = Declaration(
        http="GET /usage",
        tag="records",
        action=Action.INVOCATION_READ,
        on=on_chosen,
        answer=UsageFound(since=1764547200.0, until=1764633600.0, rows=(_SHOWN,)),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    by: Annotated[
        UsageBy,
        msgspec.Meta(
            description="How to group the sums: `project`, `function`, `trigger`, `caller`, "
            "`account` or `route`."
        ),
        Given(metavar="WHAT"),
    ] = UsageBy.FUNCTION
    each: (
        Annotated[
            UsageSpan,
            msgspec.Meta(description="Sums of each `hour` or `day`, instead of the whole time."),
            Given(metavar="SPAN"),
        ]
        | None
    ) = None
    since: _Since = 0.0
    until: _Until = 0.0


class ReadUsage(Operation[tuple[Usage, ...]], frozen=True, kw_only=True):
    """Return sums of what was used."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    by: UsageBy = UsageBy.FUNCTION
    each: UsageSpan | None = None
    since: Moment = 0.0
    until: Moment = 10**6 * DAY
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_ROWS + 1)] = MAX_ROWS
    here: bool = False
    """Only what this node has served, of those that share their state."""
