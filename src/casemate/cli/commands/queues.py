"""`casemate queues`: queues and topics."""

from __future__ import annotations

from casemate.cli.client import connect
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
    PurgeQueue,
    PurgeTopic,
    Queues,
    ShowQueue,
    ShowTopic,
)

app = new_app("List queues and topics, see how many messages wait, purge them.")

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
)
def rm(call: Call) -> None:
    """Delete a queue or topic with its messages. There is no way back."""
    print_line(f"The {call.kind} {call.name} is deleted.")
