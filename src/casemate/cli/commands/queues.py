"""`casemate queues`: queues and topics."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect
from casemate.cli.errors import MissingError, UsageError
from casemate.cli.json_input import JsonFileArgument, json_given
from casemate.cli.operation_command import Call, Instead, answered, asked, name_of
from casemate.cli.options import JsonOption, YesOption, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import project_alone
from casemate.cli.terminal import YELLOW, print_json, print_line, print_table
from casemate.cli.text import moment, seconds, size
from casemate.model.messages import QueueInfo
from casemate.operations.messages import (
    DropQueue,
    DropTopic,
    ListQueues,
    PublishToTopic,
    PurgeQueue,
    PurgeTopic,
    Queues,
    SendToQueue,
    ShowQueue,
    ShowTopic,
)

app = new_app("List queues and topics, send to them, see what waits, purge them.")

_TOPIC = ("topic", "It is a topic, not a queue.")


@answered(
    app,
    ListQueues,
    examples="$ casemate queues ls\n$ casemate queues ls shop",
    read={"project": project_alone("casemate queues show")},
)
def ls(found: Queues, call: Call) -> None:
    """List the queues and topics of a project."""
    project = call.operation.project
    print_table(
        ("name", "kind", "message at most", "kept for"),
        [
            (f"{project}/{spec.name}", kind, size(spec.max_message), seconds(spec.retention))
            for kind, specs in (("queue", found.queues), ("topic", found.topics))
            for spec in specs
        ],
        empty=f"The project {project} has no queues or topics that you may read.",
    )


@answered(
    app,
    ShowQueue,
    instead=Instead(ShowTopic, *_TOPIC),
    examples="$ casemate queues show shop/jobs\n$ casemate queues show shop/news --topic",
)
def show(info: QueueInfo, call: Call) -> None:
    """Show how many messages wait, and how many were given up.

    Delayed messages, and those being handled, count as waiting.
    """
    oldest = "" if info.oldest_at is None else f", the oldest since {moment(info.oldest_at)}"
    print_line(f"{call.name}: {info.waiting} waiting{oldest}.")
    if info.dead:
        print_line(f"{info.dead} were given up: casemate dlq ls {call.name} --queue", YELLOW)


@asked(
    app,
    SendToQueue,
    instead=Instead(PublishToTopic, *_TOPIC),
    fixed={"message": msgspec.Raw(b"null"), "attributes": None},
    examples="""\
$ casemate queues send shop/jobs job.json
$ echo '{"order": 7}' | casemate queues send shop/jobs --delay 10m --key customer-12
$ echo '{"order": 7}' | casemate queues send shop/news --topic --attribute trace=a-1
""",
)
def send(
    sent: SendToQueue | PublishToTopic,
    *,
    file: JsonFileArgument = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="NAME=TEXT",
            help="A text beside the message. Can be given several times.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send a message, which is any JSON of at most 512 KB; with --topic publish it.

    It is kept once its id is printed, and handled as what functions send: its consumer's contract
    and all limits hold.
    """
    beside = _attributes(attribute or [])
    message = json_given(file, "message")
    with connect() as client:
        try:
            kept = client.call(msgspec.structs.replace(sent, message=message, attributes=beside))
        except MissingError as error:
            if isinstance(sent, PublishToTopic):
                raise
            further = f"If it is a topic, add --topic. {error.next_step or ''}".rstrip()
            raise MissingError(error.message, next_step=further) from error
    if json:
        print_json(kept)
    else:
        print_line(f"{name_of(sent)}: message {kept.id} is kept.")


def _attributes(given: list[str]) -> dict[str, str] | None:
    """Return texts by their names. Raises UsageError; the node has the limits."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not (name and equals):
            raise UsageError(
                f"--attribute is {each[:80]!r}, expected NAME=TEXT.",
                next_step="Such as: --attribute trace=a-1",
            )
        if name in found:
            raise UsageError(
                f"The attribute {name[:80]!r} is given more than once.", next_step="Leave out one."
            )
        found[name] = text
    return found or None


@asked(
    app,
    ShowQueue,
    instead=Instead(ShowTopic, *_TOPIC),
    examples="$ casemate queues purge shop/jobs",
)
def purge(
    shown: ShowQueue | ShowTopic, *, yes: YesOption = False, json: JsonOption = False
) -> None:
    """Delete every message. There is no way back."""
    with connect() as client:
        name = name_of(shown)
        waiting = client.call(shown).waiting
        confirm(f"Delete the {waiting} messages of {name} of {client.url}?", yes=yes)
        purged = client.call(
            PurgeTopic(project=shown.project, topic=shown.topic)
            if isinstance(shown, ShowTopic)
            else PurgeQueue(project=shown.project, queue=shown.queue)
        )
    if json:
        print_json(purged)
    else:
        print_line(f"{name}: {purged.deleted} messages deleted.")


@answered(
    app,
    DropQueue,
    instead=Instead(DropTopic, *_TOPIC),
    examples="$ casemate queues rm shop/jobs",
    confirm="Delete the {call.kind} {call.name} of {call.url} with its messages?",
    removed="{call.name}",
)
def rm(call: Call) -> None:
    """Delete a queue or topic with its messages. There is no way back."""
    print_line(f"The {call.kind} {call.name} is deleted.")
