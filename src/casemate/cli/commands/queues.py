"""`casemate queues`: queues and topics."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from casemate.cli.client import NodeClient, connect, path_of
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import ProjectArgument, ResourceName, project_or_here, resolve_resource
from casemate.cli.terminal import YELLOW, print_json, print_line, print_table
from casemate.cli.text import moment, seconds, size

app = new_app("List queues and topics, see how much waits, purge them.")

QueueArgument = Annotated[
    str, typer.Argument(metavar="PROJECT/QUEUE", help="The queue, such as shop/jobs.")
]
TopicOption = Annotated[bool, typer.Option("--topic", help="It is a topic, not a queue.")]


class _Spec(msgspec.Struct):
    name: str
    max_message: int
    retention: float


class _Queues(msgspec.Struct):
    queues: tuple[_Spec, ...] = ()
    topics: tuple[_Spec, ...] = ()


class _Info(msgspec.Struct):
    name: str
    waiting: int
    oldest_at: float | None = None
    dead: int = 0


class _Purged(msgspec.Struct):
    deleted: int


@command(app, examples="$ casemate queues ls\n$ casemate queues ls shop")
def ls(project: ProjectArgument = None, json: JsonOption = False) -> None:
    """List the queues and topics of a project."""
    name = project_or_here(project)
    with connect() as client:
        found = client.get(path_of("queues", name), _Queues, query={})
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
    kind, name = _named(queue, topic)
    with connect() as client:
        info = _info(client, kind, name)
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
    kind, name = _named(queue, topic)
    with connect() as client:
        waiting = _info(client, kind, name).waiting
        confirm(f"Delete the {waiting} messages of {name} of {client.url}?", yes=yes)
        response = client.ask("POST", path_of(f"{kind}s", *name, "purge"))
        purged = client.decode(response, _Purged)
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
        client.ask("DELETE", path_of(f"{kind}s", *name))
    print_line(f"The {kind} {name} is deleted.")


def _named(text: str, topic: bool) -> tuple[str, ResourceName]:
    kind = "topic" if topic else "queue"
    return kind, resolve_resource(kind, text)


def _info(client: NodeClient, kind: str, name: ResourceName) -> _Info:
    return client.get(path_of(f"{kind}s", *name), _Info, query={})
