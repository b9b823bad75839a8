"""`casemate queues`: queues and topics."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import ProjectArgument, ResourceName, project_or_here, resolve_resource
from casemate.cli.terminal import YELLOW, print_json, print_line, print_table
from casemate.cli.text import moment, seconds, size
from casemate.operations.messages import (
    DropQueue,
    DropTopic,
    ListQueues,
    PurgeQueue,
    PurgeTopic,
    ShowQueue,
    ShowTopic,
)

app = new_app("List queues and topics, see how much waits, purge them.")

QueueArgument = Annotated[
    str, typer.Argument(metavar="PROJECT/QUEUE", help="The queue, such as shop/jobs.")
]
TopicOption = Annotated[bool, typer.Option("--topic", help="It is a topic, not a queue.")]


@command(app, examples="$ casemate queues ls\n$ casemate queues ls shop")
def ls(project: ProjectArgument = None, json: JsonOption = False) -> None:
    """List the queues and topics of a project."""
    name = project_or_here(project)
    with connect() as client:
        found = client.call(ListQueues(project=name))
    if json:
        print_json(found)
        return
    print_table(
        ("name", "kind", "message at most", "kept for"),
        [
            (f"{name}/{spec.name}", kind, size(spec.max_message), seconds(spec.retention))
            for kind, specs in (("queue", found.queues), ("topic", found.topics))
            for spec in specs
        ],
        empty=f"The project {name} has no queues or topics that you may read.",
    )


@command(app, examples="$ casemate queues show shop/jobs\n$ casemate queues show shop/news --topic")
def show(queue: QueueArgument, topic: TopicOption = False, json: JsonOption = False) -> None:
    """Tell how much waits, and how much was given up.

    Messages that are delayed or being handled are counted as waiting.
    """
    _, name = _named(queue, topic)
    with connect() as client:
        info = client.call(_show(name, topic))
    if json:
        print_json(info)
        return
    oldest = "" if info.oldest_at is None else f", the oldest since {moment(info.oldest_at)}"
    print_line(f"{name}: {info.waiting} waiting{oldest}.")
    if info.dead:
        print_line(f"{info.dead} were given up: casemate dlq ls {name} --queue", YELLOW)


@command(app, examples="$ casemate queues purge shop/jobs")
def purge(
    queue: QueueArgument,
    topic: TopicOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete every message. There is no way back."""
    _, name = _named(queue, topic)
    with connect() as client:
        waiting = client.call(_show(name, topic)).waiting
        confirm(f"Delete the {waiting} messages of {name} of {client.url}?", yes=yes)
        purged = client.call(
            PurgeTopic(project=name.project, topic=name.name)
            if topic
            else PurgeQueue(project=name.project, queue=name.name)
        )
    if json:
        print_json(purged)
    else:
        print_line(f"{name}: {purged.deleted} messages deleted.")


@command(app, examples="$ casemate queues rm shop/jobs")
def rm(queue: QueueArgument, topic: TopicOption = False, yes: YesOption = False) -> None:
    """Delete a queue or topic with its messages. There is no way back."""
    kind, name = _named(queue, topic)
    with connect() as client:
        confirm(f"Delete the {kind} {name} of {client.url} with its messages?", yes=yes)
        client.call(
            DropTopic(project=name.project, topic=name.name)
            if topic
            else DropQueue(project=name.project, queue=name.name)
        )
    print_line(f"The {kind} {name} is deleted.")


def _named(text: str, topic: bool) -> tuple[str, ResourceName]:
    kind = "topic" if topic else "queue"
    return kind, resolve_resource(kind, text)


def _show(name: ResourceName, topic: bool) -> ShowQueue | ShowTopic:
    if topic:
        return ShowTopic(project=name.project, topic=name.name)
    return ShowQueue(project=name.project, queue=name.name)
