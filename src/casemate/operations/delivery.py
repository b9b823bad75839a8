"""Operations on what runs later: how an asynchronous invocation stands, and dead letters."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from casemate.model.data import MAX_PAGE
from casemate.model.messages import DeadLetter, InvocationState, LetterCount
from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import Decided, Declaration, Effect, Operation, on, on_function
from casemate.operations.fields import Id, Name, OnlyProject, number
from casemate.operations.given import Given

MAX_IDS = 1000

_FUNCTION = "/functions/{project}/{function}"
_QUEUE = "/queues/{project}/{queue}"
_queue = on(ResourceKind.QUEUE)

_Letter = Annotated[Id, Given("The dead letter, as `ls` shows it.")]
_After = Annotated[Id, msgspec.Meta(description="Go on behind this letter."), Given(metavar="ID")]
_Limit = Annotated[int, number("How many at most.", least=1, most=MAX_PAGE)]
_Ids = Annotated[
    tuple[Id, ...],
    msgspec.Meta(min_length=1, max_length=MAX_IDS, description="Which; null is all there are."),
    Given("Only these dead letters.", argument=True, metavar="ID"),
]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an asynchronous invocation, or a call with an idempotency key, stands."""

    id: str
    function: str
    state: InvocationState
    attempts: int
    accepted_at: float
    finished_at: float | None = None
    status: int | None = None
    """HTTP status of its last answer."""
    reason: str = ""
    error_id: str = ""
    content_type: str = ""
    result: Any = None
    """The answer if it is JSON; null also if it was too large to be kept."""
    result_base64: str | None = None
    """The answer if it is anything else."""


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, oldest first. `after` continues, null at the end."""

    letters: tuple[DeadLetter, ...]
    after: str | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, and what is in it for who may see that."""

    letter: DeadLetter
    withheld: bool
    """True if who asks may not see the content."""
    content: Any = None
    """The event, or the message; secrets of the project are taken out."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters it was."""

    letters: int


class LettersOf(msgspec.Struct, frozen=True, kw_only=True):
    """That events of a function, or of a queue, were given up and are kept."""

    project: str
    name: str
    kind: str
    """`function` or `queue`."""
    letters: int
    removed: bool = False
    """Whether the function is not there any more; its events are."""
    oldest_at: float
    """When the one that was given up first was."""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Functions and queues of which there are dead letters."""

    places: tuple[LettersOf, ...]
    more: bool = False
    """Whether there are more than are told: ask for one project."""


class ShowInvocationStatus(Operation[Status], frozen=True, kw_only=True):
    """Tell whether an asynchronous invocation waits, runs or has ended.

    The function's answer is included while the function keeps results (`keep_results`).
    """

    declared = Declaration(
        http=f"GET {_FUNCTION}/invocations/{{id}}",
        tag="delivery",
        action=Action.INVOCATION_STATUS,
        on=on_function,
        problems=(404,),
        answer=Status(
            id="inv_01a21a5c499d6d1728d66ddc",
            function="checkout",
            state=InvocationState.SUCCEEDED,
            attempts=1,
            accepted_at=1764201600.0,
            finished_at=1764201600.4,
            status=200,
            content_type="application/json",
            result={"total": 12},
        ),
    )
    project: Name
    function: Name
    id: Id


class ReadDeadLetter(Operation[tuple[DeadLetter, bytes]], frozen=True, kw_only=True):
    """Return a dead letter of a project with its body (NotFoundError)."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    id: Id


class ReadLetterSubjects(Operation[dict[str, str]], frozen=True, kw_only=True):
    """Return what the events of dead letters of a project are about, by their ids, where told."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    ids: tuple[Id, ...]


class ListDeadLetterPlaces(Operation[Places], frozen=True, kw_only=True):
    """List functions and queues that have dead letters, including functions that were removed.

    Only those for which you have `dead-letter:read`; at most 1000.
    """

    declared = Declaration(
        http="GET /dead-letters",
        tag="delivery",
        decided=Decided.FOR_EACH,
        answer=Places(
            places=(
                LettersOf(
                    project="shop", name="cart", kind="function", letters=3, removed=True,
                    oldest_at=1764201600.0,
                ),
            )
        ),
    )  # fmt: skip
    project: OnlyProject | None = None


class ShowLetterCounts(Operation[tuple[LetterCount, ...]], frozen=True, kw_only=True):
    """Tell how many dead letters each inbox and queue of a project has, where there are any."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name


# -- dead letters of functions --------------------------------------------------------------------


class ListFunctionDeadLetters(Operation[Letters], frozen=True, kw_only=True):
    """List the dead letters of a function: events that were given up.

    What each is about is shown to those who have `dead-letter:content`.
    """

    declared = Declaration(
        http=f"GET {_FUNCTION}/dead-letters",
        tag="delivery",
        action=Action.DEAD_LETTER_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    limit: _Limit = 100
    after: _After | None = None


class ShowFunctionDeadLetter(Operation[Letter], frozen=True, kw_only=True):
    """Show a dead letter of a function.

    Its content is shown to those who have `dead-letter:content`.
    """

    declared = Declaration(
        http=f"GET {_FUNCTION}/dead-letters/{{id}}",
        tag="delivery",
        action=Action.DEAD_LETTER_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    id: _Letter


class RedriveFunctionDeadLetters(Operation[Counted], frozen=True, kw_only=True):
    """Try dead letters of a function again, with the same function or another one.

    They start with all their attempts. Without a body, or with `ids` null, all are tried. `to`
    needs `dead-letter:write` and `function:invoke` on that function. If that function has a trigger
    of the same name, this trigger handles the event.
    """

    declared = Declaration(
        http=f"POST {_FUNCTION}/dead-letters/redrive",
        tag="delivery",
        action=Action.DEAD_LETTER_WRITE,
        on=on_function,
        body_optional=True,
        problems=(404, 413, 429),
    )
    project: Name
    function: Name
    ids: _Ids | None = None
    to: (
        Annotated[
            Name,
            msgspec.Meta(description="Another function of the project to send them to."),
            Given(metavar="FUNCTION"),
        ]
        | None
    ) = None


class PurgeFunctionDeadLetters(Operation[Counted], frozen=True, kw_only=True):
    """Delete dead letters of a function.

    Without a body, or with `ids` null, all are deleted.
    """

    declared = Declaration(
        http=f"POST {_FUNCTION}/dead-letters/purge",
        tag="delivery",
        effect=Effect.DESTROY,
        action=Action.DEAD_LETTER_WRITE,
        on=on_function,
        body_optional=True,
        problems=(404, 413),
    )
    project: Name
    function: Name
    ids: _Ids | None = None


# -- dead letters of queues -----------------------------------------------------------------------


class ListQueueDeadLetters(Operation[Letters], frozen=True, kw_only=True):
    """List the dead letters of a queue: events that were given up."""

    declared = Declaration(
        http=f"GET {_QUEUE}/dead-letters",
        tag="delivery",
        action=Action.DEAD_LETTER_READ,
        on=_queue,
        problems=(404,),
    )
    project: Name
    queue: Name
    limit: _Limit = 100
    after: _After | None = None


class ShowQueueDeadLetter(Operation[Letter], frozen=True, kw_only=True):
    """Show a dead letter of a queue.

    Its content is shown to those who have `dead-letter:content`.
    """

    declared = Declaration(
        http=f"GET {_QUEUE}/dead-letters/{{id}}",
        tag="delivery",
        action=Action.DEAD_LETTER_READ,
        on=_queue,
        problems=(404,),
    )
    project: Name
    queue: Name
    id: _Letter


class RedriveQueueDeadLetters(Operation[Counted], frozen=True, kw_only=True):
    """Try dead letters of a queue again.

    They start with all their attempts. Without a body, or with `ids` null, all are tried.
    """

    declared = Declaration(
        http=f"POST {_QUEUE}/dead-letters/redrive",
        tag="delivery",
        action=Action.DEAD_LETTER_WRITE,
        on=_queue,
        body_optional=True,
        problems=(404, 413, 429),
    )
    project: Name
    queue: Name
    ids: _Ids | None = None


class PurgeQueueDeadLetters(Operation[Counted], frozen=True, kw_only=True):
    """Delete dead letters of a queue.

    Without a body, or with `ids` null, all are deleted.
    """

    declared = Declaration(
        http=f"POST {_QUEUE}/dead-letters/purge",
        tag="delivery",
        effect=Effect.DESTROY,
        action=Action.DEAD_LETTER_WRITE,
        on=_queue,
        body_optional=True,
        problems=(404, 413),
    )
    project: Name
    queue: Name
    ids: _Ids | None = None
