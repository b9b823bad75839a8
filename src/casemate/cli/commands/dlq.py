"""`casemate dlq`: events that were given up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.deployed import deployed_functions, live_version
from casemate.cli.errors import DeniedError, MissingError, UsageError
from casemate.cli.names import resolve
from casemate.cli.operation_command import Instead, asked, name_of
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import resolve_resource
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.cli.text import moment, quantity, size
from casemate.model.messages import DeadLetter
from casemate.model.tracing import kept_context
from casemate.model.trigger import QueueTrigger
from casemate.operations.declaration import Operation
from casemate.operations.delivery import (
    MAX_IDS,
    Counted,
    Letter,
    Letters,
    ListDeadLetterPlaces,
    ListFunctionDeadLetters,
    ListQueueDeadLetters,
    PurgeFunctionDeadLetters,
    PurgeQueueDeadLetters,
    RedriveFunctionDeadLetters,
    RedriveQueueDeadLetters,
    ShowFunctionDeadLetter,
    ShowQueueDeadLetter,
)
from casemate.operations.functions import ShowFunction
from casemate.operations.messages import ListQueues

app = new_app("See events that were given up (dead letters), retry or delete them.")

FUNCTION, QUEUE = "function", "queue"
_NODES_OWN = frozenset(("kind", "trigger", "trace", "kept_by"))
"""What is kept with an event and is none of its attributes."""

_OF_NOTICES = ("err_", "inv_")
"""How ids begin that a notice of a dead letter holds; its own is made after the notice."""
_MOST_PAGES, _MOST_TOLD = 100, 16
_SHORT = re.compile(r"[0-9a-fA-F]{1,16}")
_ID_LENGTH = 16
"""Digits of an id, which is a number in base 16: its zeros may be left out."""

_QUEUE_HELP = "It is a queue, not a function."
QueueOption = Annotated[bool, typer.Option("--queue", help=_QUEUE_HELP)]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters.")]


_OF_QUEUES = (RedriveQueueDeadLetters, PurgeQueueDeadLetters)
_Chosen = (
    RedriveFunctionDeadLetters
    | RedriveQueueDeadLetters
    | PurgeFunctionDeadLetters
    | PurgeQueueDeadLetters
)
_Shown = ShowFunctionDeadLetter | ShowQueueDeadLetter
_ChosenT = TypeVar("_ChosenT", bound=_Chosen)


class _Waiting(msgspec.Struct):
    """How many events of one function or queue were given up. `more`: there are more than that."""

    name: str
    kind: str
    letters: int
    more: bool
    oldest_at: float
    removed: bool = False


class _Place(NamedTuple):
    """The function or queue whose dead letters are meant."""

    kind: str
    project: str
    name: str

    def __str__(self) -> str:
        return f"{self.project}/{self.name}"

    @property
    def flag(self) -> str:
        """What a command needs besides the name."""
        return " --queue" if self.kind == QUEUE else ""

    def listed(self, limit: int, after: str | None = None) -> Operation[Letters]:
        """Return the operation that lists them."""
        project, name = self.project, self.name
        if self.kind == QUEUE:
            return ListQueueDeadLetters(project=project, queue=name, limit=limit, after=after)
        return ListFunctionDeadLetters(project=project, function=name, limit=limit, after=after)


def _queues(kind: type[Operation[Any]]) -> Instead:
    """Return how the dead letters of a queue are asked for in place of those of a function."""
    help = "The function, such as shop/thumbnail, or with --queue a queue."
    return Instead(kind, "queue", _QUEUE_HELP, "NAME", help)


@command(
    app,
    examples="""\
$ casemate dlq ls
$ casemate dlq ls shop/thumbnail
$ casemate dlq ls shop/jobs --queue
""",
)
def ls(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="The function, or with --queue the queue. Default: list which have any.",
        ),
    ] = None,
    queue: QueueOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Continue after this one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List dead letters, the oldest first, or what has any.

    A dead letter is an event that was given up: it failed at every attempt, was too old, or could
    never succeed. Nothing tries it again by itself. It is deleted once it has been kept as long as
    messages of its queue, 14 days for the events of a function.

    `about` is what an event of a function is about, such as an object's key; those see it who may
    see what is in it.
    """
    if name is None:
        if queue or after is not None:
            raise UsageError(
                "It is not said whose dead letters.",
                next_step="Name one: casemate dlq ls PROJECT/NAME",
            )
        _overview(json=json)
        return
    place = _place(name, queue)
    with _telling_of_queues(name, queue), connect() as client:
        found = client.call(place.listed(limit, None if after is None else _whole(after)))
    if json:
        print_json(found)
        return
    print_table(
        ("id", "given up", "attempts", "size", "about", "event", "trigger", "reason", "error"),
        [_columns(letter) for letter in found.letters],
        below=("about", "event", "trigger", "reason", "error"),
        empty=f"No event of {place} was given up.",
    )
    if found.letters:
        _tell_what_to_do(str(place), queue)
    elif not queue:
        _tell_of_queues(place)
    if found.after is not None:
        note(f"There are more: casemate dlq ls {name} --after {found.after}")


@contextmanager
def _telling_of_queues(name: str, queue: bool) -> Iterator[None]:
    """Where nothing is found of a function, tell how a queue is named: it may be one."""
    try:
        yield
    except MissingError as error:
        if queue:
            raise
        step = f"If {name} is a queue, add --queue. Else: {error.next_step}"
        raise MissingError(error.message, next_step=step) from error


def _tell_what_to_do(name: str, queue: bool, id: str = "--all") -> None:
    """Tell what becomes of dead letters by whoever does what, and if nobody does anything."""
    flag = " --queue" if queue else ""
    who = (
        "the function that consumes the queue then"
        if queue
        else "the version that is live then, or the one that its sender asked for"
    )
    if id == "--all":
        note(f"Why one was given up: `casemate dlq show {name} ID{flag}`")
    note(
        f"Once the cause is mended: `casemate dlq redrive {name}{flag} {id}`. It is handled by "
        f"{who}, with your rights, and all attempts begin anew."
    )
    note(
        f"If it is to run no more: `casemate dlq purge {name}{flag} {id}`. Left alone, it is never "
        f"tried again, and deleted {_kept(queue)}."
    )


def _kept(queue: bool) -> str:
    from casemate.data.limits import INBOX_RETENTION

    if queue:
        return "when it was there for as long as the queue keeps messages"
    return f"{INBOX_RETENTION / 86_400:.0f} days after it was given up"


def _event_of(found: Letter) -> dict[str, Any] | None:
    """Return what a dead letter of a function holds of its event; a queue's is the message."""
    content = found.content
    is_event = found.letter.kind != QUEUE and isinstance(content, dict)
    return content if is_event and not found.withheld else None


def _of_event(found: Letter) -> tuple[tuple[str, str], ...]:
    """Return what the node has kept with an event, and hands over to nobody."""
    event = _event_of(found)
    if event is None:
        return ()
    trace = kept_context(str(event.get("trace", "")))
    by = str(event.get("kept_by", ""))
    return (
        ("kept for", f"{by}, whose rights decide" if by else ""),
        ("trace", trace.trace_id if trace is not None else ""),
    )


def _handed_over(found: Letter) -> Any:
    """Return the content as the handler gets it, in names of the event's attributes."""
    event = _event_of(found)
    if event is None:
        return found.content
    return {name: value for name, value in event.items() if name not in _NODES_OWN}


def _tell_of_queues(function: _Place) -> None:
    """Tell where messages of the queues that the function consumes are, once they are given up."""
    live = None
    with suppress(MissingError, DeniedError), connect() as client:  # or it is removed
        live = live_version(
            client.call(ShowFunction(project=function.project, function=function.name))
        )
    for trigger in live.spec.triggers if live is not None else ():
        if isinstance(trigger, QueueTrigger):
            name = f"{function.project}/{trigger.queue}"
            note(f"Messages of its queue are with the queue: `casemate dlq ls {name} --queue`")


@asked(
    app,
    ShowFunctionDeadLetter,
    instead=_queues(ShowQueueDeadLetter),
    examples="""\
$ casemate dlq show shop/thumbnail 000000000000002a
$ casemate dlq show shop/thumbnail err_8f97ada63bc5ae3dfc6b89c8
""",
)
def show(wanted: ShowFunctionDeadLetter | ShowQueueDeadLetter, *, json: JsonOption = False) -> None:
    """Show a dead letter, with its content if you may see that: the event as the handler gets it.

    Zeros at the beginning of an id may be left out, here and wherever one is named: `2a`. In its
    place, the error id or the invocation's id can be given that a notice of it (`on_failure`)
    holds.

    `kept for` is who sent it, and whose rights decide when it is tried again; `trace` is what it
    came of, for `casemate trace`. With --json they stand in the content as `kept_by` and `trace`.
    """
    of_queue = isinstance(wanted, ShowQueueDeadLetter)
    with _telling_of_queues(name_of(wanted), of_queue), connect() as client:
        of_notice = wanted.id.startswith(_OF_NOTICES)
        id = _letter_of(client, wanted) if of_notice else _whole(wanted.id)
        wanted = msgspec.structs.replace(wanted, id=id)
        found = client.call(wanted)
    if json:
        print_json(found)
        return
    name = name_of(wanted)
    letter = found.letter
    for label, value in (
        ("id", letter.id),
        ("of", name),
        ("event", letter.event_type),
        ("trigger", letter.trigger),
        ("reason", letter.reason),
        ("attempts", f"{letter.attempts}, and no more by itself"),
        ("sent", moment(letter.sent_at)),
        ("given up", moment(letter.died_at)),
        ("invocation", letter.invocation),
        ("error", letter.error_id),
        *_of_event(found),
    ):
        if value:
            print_line(f"{label:<12}{value}")
    if found.withheld:
        note("The content is shown to those who may dead-letter:content.")
    else:
        print_json(_handed_over(found))
    if letter.error_id:
        note(f"What failed: `casemate errors show {letter.error_id}`")
    _tell_what_to_do(name, letter.kind == QUEUE, letter.id)


def _letter_of(client: NodeClient, wanted: _Shown) -> str:
    """Return the id of the dead letter that an error, or an invocation, came to."""
    place = _place_of(wanted)
    found = _letters_of(client, place, {wanted.id})
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} dead letters of {place} are of {wanted.id}, as of a batch: "
            f"{', '.join(found[:_MOST_TOLD])}{', ...' if len(found) > _MOST_TOLD else ''}",
            next_step=f"Name one: `casemate dlq show {place} {found[0]}{place.flag}`",
        )
    return found[0]


def _letters_of(client: NodeClient, place: _Place, wanted: Collection[str]) -> list[str]:
    """Return the ids of the dead letters that errors, or invocations, came to."""
    found: list[str] = []
    missing, after = set(wanted), None
    for _ in range(_MOST_PAGES):
        page = client.call(place.listed(MAX_IDS, after))
        for one in page.letters:
            of = {one.error_id, one.invocation}.intersection(wanted)
            missing -= of
            found += [one.id] if of else []
        after = page.after
        if after is None:
            break
    if missing:
        raise MissingError(
            f"No dead letter of {place} is of {', '.join(sorted(missing)[:_MOST_TOLD])}.",
            next_step=f"`casemate dlq ls {place}{place.flag}` lists those that there are; what was "
            "tried again is none any more.",
        )
    return found


@asked(
    app,
    RedriveFunctionDeadLetters,
    instead=_queues(RedriveQueueDeadLetters),
    examples="""\
$ casemate dlq redrive shop/thumbnail --all
$ casemate dlq redrive shop/thumbnail 000000000000002a 000000000000002b
$ casemate dlq redrive shop/thumbnail err_8f97ada63bc5ae3dfc6b89c8
$ casemate dlq redrive shop/thumbnail --all --to resize
""",
)
def redrive(
    wanted: RedriveFunctionDeadLetters | RedriveQueueDeadLetters,
    *,
    every: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Try dead letters again, as if they had just been sent.

    The version that is live then handles them, or the one that their sender asked for; messages of
    a queue go to whichever function consumes it. Your rights decide, and all attempts begin anew.
    What fails at each of them is a dead letter again.

    With --to another function of the project gets them; this also works for a removed function.
    In place of an id, that of the error or the invocation can be given, as for `show`.
    """
    _require_chosen(wanted.ids, every)
    with _telling_of_queues(name_of(wanted), isinstance(wanted, _OF_QUEUES)), connect() as client:
        wanted = _by_their_ids(client, wanted)
        counted = client.call(wanted)
    if json:
        print_json(counted)
    elif not counted.letters:
        _tell_of_none(wanted)
    else:
        told = "1 event is" if counted.letters == 1 else f"{counted.letters} events are"
        other = getattr(wanted, "to", None)
        print_line(f"{name_of(wanted)}: {told} tried {f'by {other}' if other else 'again'}.")
        again = f"{wanted.project}/{other}" if other else name_of(wanted)
        flag = _place_of(wanted).flag
        note(f"What fails at each attempt is listed again: `casemate dlq ls {again}{flag}`")
        if other:
            note(
                f"Those of a trigger whose name is none of {other}'s are given up again: "
                f"`casemate dlq ls {wanted.project}/{other}`"
            )
    _require_found(wanted, counted)


@asked(
    app,
    PurgeFunctionDeadLetters,
    instead=_queues(PurgeQueueDeadLetters),
    examples="$ casemate dlq purge shop/thumbnail --all",
)
def purge(
    wanted: PurgeFunctionDeadLetters | PurgeQueueDeadLetters,
    *,
    every: AllOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete dead letters. There is no way back.

    Their events are lost: they are not handled again. Who gets alerts is told of it. In place of
    an id, that of the error or the invocation can be given, as for `show`.
    """
    _require_chosen(wanted.ids, every)
    with _telling_of_queues(name_of(wanted), isinstance(wanted, _OF_QUEUES)), connect() as client:
        wanted = _by_their_ids(client, wanted)
        of_ids = quantity(len(wanted.ids or ()), "dead letter")
        what = "all dead letters" if wanted.ids is None else of_ids
        confirm(f"Delete {what} of {name_of(wanted)} of {client.url}?", yes=yes)
        counted = client.call(wanted)
    if json:
        print_json(counted)
    elif not counted.letters:
        _tell_of_none(wanted)
    else:
        letters = "dead letter is" if counted.letters == 1 else "dead letters are"
        print_line(f"{name_of(wanted)}: {counted.letters} {letters} deleted.")
    _require_found(wanted, counted)


def _tell_of_none(wanted: _Chosen) -> None:
    """Say that all were meant, and that there are none; see `_require_found` for their ids."""
    if wanted.ids is None:
        print_line(f"{name_of(wanted)} has no dead letters: nothing was done.")


def _require_found(wanted: _Chosen, counted: Counted) -> None:
    """Say of how many ids there was no dead letter; MissingError if there was none at all."""
    missing = len(set(wanted.ids or ())) - counted.letters
    if missing <= 0:
        return
    of = _place_of(wanted)
    what = f"For {missing} of the ids there is no dead letter of {of}, or it is there no more."
    where = f"`casemate dlq ls {of}{of.flag}` lists them."
    if not counted.letters:
        raise MissingError(what, next_step=where)
    note(f"{what} {where}")


def _overview(*, json: bool) -> None:
    """Print which functions and queues have dead letters, of those that one may look at."""
    with connect() as client:
        try:
            told = client.call(ListDeadLetterPlaces())
            found = [
                _Waiting(f"{one.project}/{one.name}", one.kind, one.letters, False, one.oldest_at,
                         removed=one.removed)
                for one in told.places
            ]  # fmt: skip
            more = told.more
        except (DeniedError, MissingError):
            # Of a node of an earlier release, or for who may look at single functions.
            found, more = _of_those_that_are_there(client), False
    if json:
        print_json({"waiting": found})
        return
    print_table(
        ("name", "kind", "given up", "oldest"),
        [
            (
                w.name,
                f"{w.kind}, removed" if w.removed else w.kind,
                f"{w.letters}{'+' if w.more else ''}",
                moment(w.oldest_at),
            )
            for w in found
        ],
        empty="No event was given up.",
    )
    if more:
        note("There are more functions and queues than are listed.")
    if (of := next((w for w in found if w.kind == QUEUE), None)) is not None:
        note(f"Those of a queue are asked for so: `casemate dlq ls {of.name} --queue`")
    if (gone := next((w for w in found if w.removed), None)) is not None:
        note(
            f"What is removed has its events tried by another function: `casemate dlq redrive "
            f"{gone.name} --all --to FUNCTION`, or deleted: `casemate dlq purge {gone.name} --all`"
        )


def _of_those_that_are_there(client: NodeClient) -> list[_Waiting]:
    """Ask for the dead letters of each function and queue, one after the other."""
    found: list[_Waiting] = []
    functions = deployed_functions(client).values()
    places = [_Place(FUNCTION, f.project, f.name) for f in functions]
    for project in sorted({f.project for f in functions}):
        with suppress(DeniedError, MissingError):
            declared = client.call(ListQueues(project=project))
            places += [_Place(QUEUE, project, q.name) for q in declared.queues]
    for place in places:
        with suppress(DeniedError, MissingError):
            page = client.call(place.listed(MAX_IDS))
            if page.letters:
                number, more = len(page.letters), page.after is not None
                oldest = page.letters[0].died_at
                found.append(_Waiting(str(place), place.kind, number, more, oldest))
    return found


def _place(name: str, queue: bool) -> _Place:
    if queue:
        found = resolve_resource("queue", name)
        return _Place(QUEUE, found.project, found.name)
    function = resolve(name)
    return _Place(FUNCTION, function.project, function.function)


def _require_chosen(ids: tuple[str, ...] | None, every: bool) -> None:
    if bool(ids) == every:
        raise UsageError(
            "It is not said which dead letters, expected their ids or --all.",
            next_step="`casemate dlq ls` lists them.",
        )
    _require_few(ids or ())


def _require_few(ids: Collection[str]) -> None:
    if len(ids) > MAX_IDS:
        raise UsageError(
            f"{len(ids)} dead letters are named, expected at most {MAX_IDS}.",
            next_step="Use --all.",
        )


def _whole(id: str) -> str:
    """Return an id with the zeros that may be left out; what is none stays what it is."""
    return id.lower().zfill(_ID_LENGTH) if _SHORT.fullmatch(id) else id


def _place_of(wanted: _Shown | _Chosen) -> _Place:
    kind = QUEUE if isinstance(wanted, (ShowQueueDeadLetter, *_OF_QUEUES)) else FUNCTION
    project, _, name = name_of(wanted).partition("/")
    return _Place(kind, project, name)


def _by_their_ids(client: NodeClient, wanted: _ChosenT) -> _ChosenT:
    """Return what is wanted by the whole ids of dead letters; of an error, all that came to it."""
    if wanted.ids is None:
        return wanted
    ids = dict.fromkeys(_whole(id) for id in wanted.ids if not id.startswith(_OF_NOTICES))
    of_notices = {id for id in wanted.ids if id.startswith(_OF_NOTICES)}
    if of_notices:
        ids |= dict.fromkeys(_letters_of(client, _place_of(wanted), of_notices))
        _require_few(ids)
    return msgspec.structs.replace(wanted, ids=tuple(ids))


def _columns(letter: DeadLetter) -> tuple[str, ...]:
    return (
        letter.id,
        moment(letter.died_at),
        str(letter.attempts),
        size(letter.size),
        letter.subject,
        letter.event_type,
        letter.trigger,
        letter.reason,
        letter.error_id,
    )
