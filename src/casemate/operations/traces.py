"""Operations on traces: what came of one thing, through every function that had a part in it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.errors import NotFoundError
from casemate.model.invocation import InvocationRecord
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Id
from casemate.operations.given import Given

MAX_INVOCATIONS = 1000
"""Invocations of one trace that are shown, the first ones."""

TraceOrInvocation = Annotated[
    Id,
    msgspec.Meta(description="Id of a trace (32 hexadecimal digits), or of an invocation in it."),
    Given(argument=True),
]


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a trace, with its duration."""

    id: str
    parent: str
    """Id of the span that it came of; empty, or of a span that is not shown, at the top."""
    name: str
    """`invoke`, `http`, ... of an invocation; `delivery`, `queue`, `start`, `run`, or what it
    used, such as `queue.send`, of its parts."""
    on: str = ""
    """What was used, such as `queue jobs`."""
    started_at: float
    """Unix time in seconds."""
    ms: float
    ok: bool
    invocation: str
    project: str
    function: str
    version: int
    attempt: int = 1
    outcome: str = ""
    """Of an invocation; empty of its parts."""
    more: int = 0
    """Of an invocation: what it used beyond what is shown."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller may see of a trace, by its beginning."""

    id: str
    spans: tuple[TraceSpan, ...]


class ShowTrace(Operation[Trace], frozen=True, kw_only=True):
    """Show a trace: everything that came of one call, through queues and functions, in order.

    Parts that you may not see are left out, as if they were not there.
    """

    declared = Declaration(
        http="GET /traces/{id}", tag="records", decided=Decided.FOR_EACH, problems=(404,)
    )
    id: TraceOrInvocation

    @property
    def missing(self) -> NotFoundError:
        """What is told where there is none, and to those who may not see any of it."""
        return NotFoundError(
            f"There is no trace {self.id} that you may see; records are kept for a limited time.",
            next_step="Run casemate invocations to see those there are.",
        )


class FindTrace(Operation[tuple[InvocationRecord, ...]], frozen=True, kw_only=True):
    """Return the invocations of a trace, or of the one that an invocation is part of."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    id: Id
