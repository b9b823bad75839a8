"""`casemate dlq`: events that were given up."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer

from casemate.cli.client import NodeClient, connect, path_of
from casemate.cli.deployed import deployed_functions
from casemate.cli.errors import DeniedError, MissingError, UsageError
from casemate.cli.names import resolve
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import resolve_resource
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.cli.text import moment, size

app = new_app("Look at events that were given up (dead letters), try them again, delete them.")

_MAX_IDS = 1000

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The function, such as shop/thumbnail, or with --queue a queue."
    ),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The dead letter, as `ls` shows it.")]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Only these dead letters.")
]
QueueOption = Annotated[bool, typer.Option("--queue", help="It is a queue, not a function.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that there are.")]


class _Letter(msgspec.Struct):
    id: str
    kind: str
    name: str
    trigger: str
    event_type: str
    reason: str
    error_id: str
    attempts: int
    sent_at: float
    died_at: float
    size: int
    invocation: str = ""


class _Letters(msgspec.Struct):
    letters: tuple[_Letter, ...]
    after: str | None = None


class _Shown(msgspec.Struct):
    letter: _Letter
    withheld: bool
    content: Any = None


class _Counted(msgspec.Struct):
    letters: int


class _Named(msgspec.Struct):
    name: str


class _Queues(msgspec.Struct):
    queues: tuple[_Named, ...] = ()


class _Waiting(msgspec.Struct):
    """How many events of one function or queue were given up. `more`: there are more than that."""

    name: str
    kind: str
    letters: int
    more: bool
    oldest_at: float


class _Place(msgspec.Struct):
    """The function or queue, as text and as the first parts of its path."""

    text: str
    parts: tuple[str, str, str]


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
            help="The function, or with --queue the queue. Without it: which have any.",
        ),
    ] = None,
    queue: QueueOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Go on behind this one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List dead letters, the oldest first, or where there are any."""
    if name is None:
        if queue or after is not None:
            raise UsageError(
                "It is not said whose dead letters.", next_step="casemate dlq ls PROJECT/NAME"
            )
        _overview(json=json)
        return
    place = _place(name, queue)
    with connect() as client:
        found = client.get(_path(place), _Letters, query={"limit": limit, "after": after})
    if json:
        print_json(found)
        return
    print_table(
        ("id", "given up", "event", "trigger", "attempts", "size", "reason", "error"),
        [_columns(letter) for letter in found.letters],
        below=("event", "trigger", "reason", "error"),
        empty=f"No event of {place.text} was given up.",
    )
    if found.after is not None:
        note(f"There are more: casemate dlq ls {name} --after {found.after}")


@command(app, examples="$ casemate dlq show shop/thumbnail 000000000000002a")
def show(
    name: NameArgument, id: IdArgument, queue: QueueOption = False, json: JsonOption = False
) -> None:
    """Show a dead letter, with its content if you may see that."""
    place = _place(name, queue)
    with connect() as client:
        found = client.get(_path(place, id), _Shown, query={})
    if json:
        print_json(found)
        return
    letter = found.letter
    for label, value in (
        ("id", letter.id),
        ("of", place.text),
        ("event", letter.event_type),
        ("trigger", letter.trigger),
        ("reason", letter.reason),
        ("attempts", str(letter.attempts)),
        ("sent", moment(letter.sent_at)),
        ("given up", moment(letter.died_at)),
        ("invocation", letter.invocation),
        ("error", letter.error_id),
    ):
        if value:
            print_line(f"{label:<12}{value}")
    if found.withheld:
        note("The content is shown to those who may dead-letter:content.")
    else:
        print_json(found.content)


@command(
    app,
    examples="""\
$ casemate dlq redrive shop/thumbnail --all
$ casemate dlq redrive shop/thumbnail 000000000000002a 000000000000002b
""",
)
def redrive(
    name: NameArgument,
    ids: IdsArgument = None,
    every: AllOption = False,
    queue: QueueOption = False,
    json: JsonOption = False,
) -> None:
    """Have dead letters tried again, as if they had just been sent."""
    place, chosen = _place(name, queue), _chosen(ids, every)
    with connect() as client:
        counted = _change(client, place, "redrive", chosen)
    if json:
        print_json(counted)
    else:
        told = "1 event is" if counted.letters == 1 else f"{counted.letters} events are"
        print_line(f"{place.text}: {told} tried again.")


@command(app, examples="$ casemate dlq purge shop/thumbnail --all")
def purge(
    name: NameArgument,
    ids: IdsArgument = None,
    every: AllOption = False,
    queue: QueueOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete dead letters. There is no way back."""
    place, chosen = _place(name, queue), _chosen(ids, every)
    with connect() as client:
        what = "all dead letters" if chosen is None else f"{len(chosen)} dead letters"
        confirm(f"Delete {what} of {place.text} of {client.url}?", yes=yes)
        counted = _change(client, place, "purge", chosen)
    if json:
        print_json(counted)
    else:
        print_line(f"{place.text}: {counted.letters} dead letters deleted.")


def _overview(*, json: bool) -> None:
    """Print which functions and queues have dead letters, of those that one may look at."""
    found: list[_Waiting] = []
    with connect() as client:
        functions = deployed_functions(client).values()
        places = [
            ("function", _Place(f"{f.project}/{f.name}", ("functions", f.project, f.name)))
            for f in functions
        ]
        for project in sorted({f.project for f in functions}):
            with suppress(DeniedError, MissingError):
                declared = client.get(path_of("queues", project), _Queues, query={})
                places += [
                    ("queue", _Place(f"{project}/{q.name}", ("queues", project, q.name)))
                    for q in declared.queues
                ]
        for kind, place in places:
            with suppress(DeniedError, MissingError):
                page = client.get(_path(place), _Letters, query={"limit": _MAX_IDS})
                if page.letters:
                    number, more = len(page.letters), page.after is not None
                    oldest = page.letters[0].died_at
                    found.append(_Waiting(place.text, kind, number, more, oldest))
    if json:
        print_json({"waiting": found})
        return
    print_table(
        ("name", "kind", "given up", "oldest"),
        [
            (w.name, w.kind, f"{w.letters}{'+' if w.more else ''}", moment(w.oldest_at))
            for w in found
        ],
        empty="No event was given up.",
    )


def _place(name: str, queue: bool) -> _Place:
    if queue:
        found = resolve_resource("queue", name)
        return _Place(str(found), ("queues", *found))
    function = resolve(name)
    return _Place(
        f"{function.project}/{function.function}",
        ("functions", function.project, function.function),
    )


def _path(place: _Place, *rest: str) -> str:
    return path_of(*place.parts, "dead-letters", *rest)


def _chosen(ids: list[str] | None, every: bool) -> list[str] | None:
    if bool(ids) == every:
        raise UsageError(
            "It is not said which dead letters, expected their ids or --all.",
            next_step="`casemate dlq ls` lists them.",
        )
    if ids and len(ids) > _MAX_IDS:
        raise UsageError(
            f"{len(ids)} ids are given, expected at most {_MAX_IDS}.", next_step="Use --all."
        )
    return ids or None


def _change(client: NodeClient, place: _Place, verb: str, ids: list[str] | None) -> _Counted:
    return client.send("POST", _path(place, verb), _Counted, {"ids": ids})


def _columns(letter: _Letter) -> tuple[str, ...]:
    return (
        letter.id,
        moment(letter.died_at),
        letter.event_type,
        letter.trigger,
        str(letter.attempts),
        size(letter.size),
        letter.reason,
        letter.error_id,
    )
