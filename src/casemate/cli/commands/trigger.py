"""`casemate trigger`: the triggers of functions, and events as they bring them, on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.deployed import live_version
from casemate.cli.errors import MissingError, UsageError
from casemate.cli.file_input import STANDARD_INPUT, content_of
from casemate.cli.names import resolve
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import FUNCTION_HELP, JsonOption, command, new_app
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.cli.triggers_shown import listens_to, schedule_shown
from casemate.decoding import DECODING_ERRORS
from casemate.model.deployment import DeployedFunction
from casemate.model.trigger import ScheduleTrigger, kind_of
from casemate.operations.functions import ListFunctions, ListSchedules, ShowFunction
from casemate.operations.triggers import Fired, FireTrigger

app = new_app("List triggers, and send a function a sample event, as its trigger would.")

MAX_DATA_BYTES = 60 * 1024


@command(
    app,
    examples="$ casemate trigger ls\n$ casemate trigger ls shop/resize\n"
    "$ casemate trigger ls --project shop --json",
)
def ls(
    function: Annotated[
        str | None, typer.Argument(metavar="[FUNCTION]", help=FUNCTION_HELP)
    ] = None,
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="PROJECT", help="Only those of this project."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the triggers of the live versions of functions, with what each listens to.

    Routes are no triggers here: `casemate ls` has them. Of a schedule it is told when it is due
    next. Names are those that `casemate trigger fire` takes. With --json: `triggers`, of a schedule
    with `next_at` (Unix time).
    """
    if function is not None and project is not None:
        raise UsageError(
            "Both a function and a project are given, expected one of them.",
            next_step="Leave out the project: the function is enough.",
        )
    with connect() as client:
        found = [
            shown for each in _functions(client, function, project) for shown in _of(client, each)
        ]
    if json:
        print_json({"triggers": [one for one, _ in found]})
        return
    print_table(
        ("trigger", "function", "listens to"),
        [(one["name"], one["function"], told) for one, told in found],
        empty="There are no triggers; in casemate.toml, such as [[function.NAME.schedule]], they "
        "are declared.",
        below=("listens to",),
    )


def _functions(
    client: NodeClient, function: str | None, project: str | None
) -> list[DeployedFunction]:
    if function is not None:
        name = resolve(function)
        return [client.call(ShowFunction(project=name.project, function=name.function))]
    found = client.call(ListFunctions()).functions
    chosen = [each for each in found if project in (None, each.project)]
    if project is not None and not chosen:
        raise MissingError(
            f"There is no project {project} with functions that you may see.",
            next_step="`casemate ls` lists the functions that you may see, as PROJECT/FUNCTION.",
        )
    return chosen


def _of(client: NodeClient, function: DeployedFunction) -> list[tuple[dict[str, Any], str]]:
    """Return the triggers of a function as --json has them, each with what people are told."""
    live = live_version(function)
    if live is None:
        return []
    schedules = {}
    if any(isinstance(trigger, ScheduleTrigger) for trigger in live.spec.triggers):
        asked = ListSchedules(project=function.project, function=function.name)
        schedules = {each.name: each for each in client.call(asked).schedules}
    found = []
    for trigger in live.spec.triggers:
        shown: dict[str, Any] = {
            "function": f"{function.project}/{function.name}",
            "name": trigger.name,
            "kind": kind_of(trigger).value,
            "listens_to": listens_to(trigger),
            "contract": bool(trigger.contract),
        }
        told = listens_to(trigger)
        if (due := schedules.get(trigger.name)) is not None:
            shown |= {"next_at": due.next_at, "failing": due.failing}
            failing = "; its event cannot be kept at present" if due.failing else ""
            told = f"schedule {schedule_shown(due)}{failing}"
        found.append((shown, told))
    return found


def _read(text: str) -> Any:
    if text == STANDARD_INPUT:
        content = content_of(None, "standard input", MAX_DATA_BYTES)
    elif text.startswith("@"):
        content = content_of(Path(text[1:]), text[1:], MAX_DATA_BYTES)
    else:
        content = text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_DATA_BYTES:
        raise UsageError(
            f"The data has more than {MAX_DATA_BYTES} bytes.", next_step="Send less of it."
        )
    try:
        return msgspec.json.decode(content)
    except DECODING_ERRORS as error:
        raise UsageError(
            f"--data is no JSON: {error}", next_step="Quote it as one word."
        ) from error


@answered(
    app,
    FireTrigger,
    read={"data": _read},
    examples="""\
$ casemate trigger fire shop/resize bucket-1
$ casemate trigger fire resize bucket-1 --data '{"key": "photos/cat.jpg"}'
$ casemate trigger fire nightly schedule-1 --data @night.json
""",
)
def fire(fired: Fired, call: Call) -> None:
    """Send a function an event, as one of its triggers would.

    It works for every kind: a schedule's time, a message, a change of a bucket or table, a web
    hook, a message of an outside server. The event fits the trigger's filters and takes the way of
    real ones: contract, batches, attempts, dead letters. Bucket, table, queue and topic stay as
    they are. It needs `trigger:fire`.
    """
    print_line(fired.id)
    note(f"{fired.event.type} is kept for {call.name}.")
    note(
        f"Next: `casemate invocations {call.name} --status {fired.id}` tells how it ended, "
        f"`casemate logs -i {fired.id}` shows its lines."
    )
