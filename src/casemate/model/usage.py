"""What functions have used: amounts that are counted of each invocation, and sums of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from casemate.model.estimate import Estimate

HOUR, DAY = 3600, 86_400
"""Seconds over which amounts are summed up."""
OTHERS = "(others)"
"""Callers of a function, together, for whom there is no room."""


class UsageBy(StrEnum):
    """By what sums are told apart."""

    PROJECT = "project"
    FUNCTION = "function"
    TRIGGER = "trigger"
    CALLER = "caller"
    ACCOUNT = "account"
    """Who answers for the caller: the person who made a token, the project of a function."""
    ROUTE = "route"


class UsageSpan(StrEnum):
    """Over what sums go."""

    HOUR = "hour"
    DAY = "day"


class Amounts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much of what. Whole numbers, so that sums are exact in whatever order."""

    requests: int = 0
    """Attempts that ran code of the function."""
    refused: int = 0
    """Those that did not get as far. They cost nothing.

    Beyond the first of each second they are told by their number, without trigger and route; what
    a gateway had not told of the last second when it was killed is not in it."""
    errors: int = 0
    """Of `requests`, those that did not end well."""
    retries: int = 0
    """Of `requests`, further attempts at an event that is kept."""
    cold: int = 0
    """Of `requests`, those for which a process had to be started."""
    run_us: int = 0
    """Microseconds from event to answer."""
    cpu_us: int = 0
    """Microseconds of the CPU, of all that ran for them, also after the answer."""
    memory_mb_ms: int = 0
    """Megabytes that they could have, times milliseconds that they ran."""
    request_bytes: int = 0
    response_bytes: int = 0
    egress_in: int = 0
    """Bytes that came through the egress proxy."""
    egress_out: int = 0
    uses: int = 0
    """Uses of capabilities."""
    byte_hours: int = 0
    """Bytes that are stored, times hours."""
    peak: int = 0
    """The most bytes of memory that a process of the function ever held."""
    longest_us: int = 0
    """The longest from event to answer."""
    guard_sampled: int = 0
    """Of `requests`, those of which was measured what the sink guard's hooks took."""
    guard_us: int = 0
    """Microseconds of the CPU that they took in these, as the function's own process tells it."""
    guard_squares: int = 0
    """The sum of the squares of these microseconds, by which the error is known."""


SAMPLED = ("guard_sampled", "guard_us", "guard_squares")
SUMMED = tuple(name for name in Amounts.__struct_fields__ if name not in ("peak", "longest_us"))
GREATEST = ("peak", "longest_us")


def add(to: Amounts, more: Amounts) -> None:
    """Add amounts to others."""
    for name in SUMMED:
        setattr(to, name, getattr(to, name) + getattr(more, name))
    for name in GREATEST:
        setattr(to, name, max(getattr(to, name), getattr(more, name)))


class Passed(msgspec.Struct, frozen=True):
    """What a function's connections have carried since this was told last."""

    project: Annotated[str, msgspec.Meta(max_length=63)]
    function: Annotated[str, msgspec.Meta(max_length=63)]
    came_in: int
    """Bytes."""
    went_out: int


class Stored(msgspec.Struct, frozen=True):
    """How much a project keeps in its tables, buckets and queues at this moment."""

    project: Annotated[str, msgspec.Meta(max_length=63)]
    size: int
    """Bytes that it takes on the disk."""


class GuardSampled(msgspec.Struct, frozen=True):
    """What the sink guard's hooks took of one call that was sampled."""

    project: Annotated[str, msgspec.Meta(max_length=63)]
    function: Annotated[str, msgspec.Meta(max_length=63)]
    trigger: str
    caller: str
    route: str
    guard_us: int
    """Microseconds of the CPU, at most those of the call."""


Beside = Passed | Stored | GuardSampled
"""What is counted beside the records of invocations."""


def used_by(project: str, function: str) -> str:
    """Return as whose what is used beside invocations counts, among callers."""
    return f"function:{project}/{function}" if function else f"project:{project}"


class Usage(Amounts, kw_only=True, omit_defaults=True):
    """Amounts of something; what they are not told apart by is empty."""

    project: str = ""
    function: str = ""
    trigger: str = ""
    caller: str = ""
    account: str = ""
    route: str = ""
    start: float = 0.0
    """Unix time at which the hour or day began; 0: not told apart by these."""
    guard: Estimate | None = None
    """What the sink guard's hooks took of a request, inside the function's process: of the
    samples; none where there are none."""
    journal: Estimate | None = None
    """What keeping a request's record, and what the journal says of it, took the recorder of this
    node: of sampled batches of all functions; none where there are none."""
