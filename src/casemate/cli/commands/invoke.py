"""`casemate invoke`: call a function."""

from __future__ import annotations

import base64
import json as json_module
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import typer

from casemate.cli.client import CONNECT_SECONDS, NodeClient, connect, when_again
from casemate.cli.deployed import live_version
from casemate.cli.errors import (
    CommandError,
    DeniedError,
    ExitCode,
    MissingError,
    UsageError,
)
from casemate.cli.file_input import STANDARD_INPUT, content_of
from casemate.cli.names import FunctionName, resolve
from casemate.cli.options import command, new_app
from casemate.cli.terminal import RED, note, print_json
from casemate.cli.text import many_lines, size
from casemate.kernel.placing import write_whole
from casemate.model.errors import CasemateError
from casemate.near_names import near, question
from casemate.operations.functions import ShowFunction

app = new_app()

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
MAX_EVENT_BYTES = 100 << 20
"""The most that a manifest can let a function take (`limits.request`)."""
INVOCATION_HEADER = "x-request-id"
_EXIT_CODES = {401: ExitCode.DENIED, 403: ExitCode.DENIED, 404: ExitCode.NOT_FOUND}

QualifiedArgument = Annotated[
    str,
    typer.Argument(
        metavar="FUNCTION",
        help="PROJECT/FUNCTION or FUNCTION; append @ALIAS or @VERSION to choose one.",
    ),
]
EventArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="The event. `-` or nothing reads standard input; at a terminal, nothing sends {}.",
    ),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Read the event from this file.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="The event, as the argument; `@FILE` reads a file, `-` standard input.",
    ),
]
ContentTypeOption = Annotated[str, typer.Option("--content-type", help="Media type of the event.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the answer's body to this file.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the answer.")
]
LaterOption = Annotated[
    bool,
    typer.Option(
        "--async",
        help="Do not wait: print the id once the event is stored, and let the node run it.",
    ),
]
DelayOption = Annotated[
    float | None,
    typer.Option(
        "--delay",
        min=0.0,
        metavar="SECONDS",
        help="With --async: run it no earlier than after this time.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="With --async: handle events with this key one after the other."),
]
PriorityOption = Annotated[
    int | None,
    typer.Option("--priority", min=-9, max=9, help="With --async: a higher priority runs sooner."),
]
MaxAgeOption = Annotated[
    float | None,
    typer.Option(
        "--max-age",
        min=0.0,
        metavar="SECONDS",
        help="With --async: give the event up when it is older than this.",
    ),
]
IdempotencyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Calls with the same key count as one call."),
]
WholeAnswerOption = Annotated[
    bool,
    typer.Option("--json", help="Print status, headers, timing, ids and body as JSON."),
]


@command(
    app,
    examples="""\
$ casemate invoke hello '{"name": "Ada"}'
$ casemate invoke hello --data @event.json
$ casemate invoke thumbnail --file photo.jpg --content-type image/jpeg --output small.jpg
$ echo '{"name": "Ada"}' | casemate invoke shop/greet@beta --json
$ casemate invoke thumbnail '{"key": "a.jpg"}' --async --delay 30
""",
)
def invoke(
    function: QualifiedArgument,
    event: EventArgument = None,
    *,
    data: DataOption = None,
    file: FileOption = None,
    content_type: ContentTypeOption = JSON_TYPE,
    output: OutputOption = None,
    timeout: TimeoutOption = 930.0,
    later: LaterOption = False,
    delay: DelayOption = None,
    key: KeyOption = None,
    priority: PriorityOption = None,
    max_age: MaxAgeOption = None,
    idempotency_key: IdempotencyOption = None,
    json: WholeAnswerOption = False,
) -> None:
    """Call a function and print its answer.

    Only the body goes to standard output. A status of 400 or more ends with a non-zero exit code: 3
    for 404, 4 for 401 and 403, otherwise 1.
    """
    name = resolve(function, qualified=True)
    if not (content_type.isascii() and content_type.isprintable() and content_type.strip()):
        raise UsageError(
            f"{content_type!r} is not a media type.", next_step="Give one such as text/csv."
        )
    content = _read_event(event, data, file)
    if content_type.partition(";")[0].strip().lower() == JSON_TYPE:
        _check_json(content)
    headers = {"content-type": content_type}
    headers |= _wishes(
        later,
        {
            "casemate-delay": None if delay is None else f"{delay:.6f}",
            "casemate-key": key,
            "casemate-priority": None if priority is None else str(priority),
            "casemate-max-age": None if max_age is None else f"{max_age:.6f}",
        },
    )
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    with connect() as client:
        started = time.perf_counter()
        response = client.exchange(
            "POST",
            _path(name),
            content=content,
            headers=headers,
            timeout=httpx2.Timeout(timeout, connect=CONNECT_SECONDS),
        )
        duration = (time.perf_counter() - started) * 1000
        _show(client, name, response, duration, output, json=json)
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise typer.Exit(_EXIT_CODES.get(response.status_code, ExitCode.FAILURE))


def _path(name: FunctionName) -> str:
    qualifier = f"@{quote(name.qualifier, safe='')}" if name.qualifier else ""
    return f"/invoke/{name.project}/{name.function}{qualifier}"


def _wishes(later: bool, wishes: dict[str, str | None]) -> dict[str, str]:
    """Return the headers for what was asked for. What only makes sense later needs --async."""
    given = {name: value for name, value in wishes.items() if value is not None}
    if given and not later:
        option = next(iter(given)).removeprefix("casemate-")
        raise UsageError(
            f"--{option} is given without --async, expected both: a call that is waited for is "
            "neither delayed nor queued.",
            next_step="Add --async.",
        )
    for name, value in given.items():
        if not (value.isascii() and value.isprintable() and value):
            raise UsageError(
                f"--{name.removeprefix('casemate-')} is {value[:40]!r}, expected printable ASCII.",
                next_step="Use letters, digits and signs, such as order-17.",
            )
    return {**given, "prefer": "respond-async"} if later else {}


def _read_event(text: str | None, data: str | None, file: Path | None) -> bytes:
    if sum(each is not None for each in (text, data, file)) > 1:
        raise UsageError(
            "The event is given twice, expected one of DATA, --data and --file.",
            next_step="Leave out the others.",
        )
    if data is not None and data.startswith("@"):
        file = Path(data[1:])
    elif text is None:
        text = data
    if text is not None and text != STANDARD_INPUT:
        return text.encode("utf-8", "surrogateescape")
    if text is None and file is None and sys.stdin.isatty():
        return b"{}"
    named = file is not None and str(file) != STANDARD_INPUT
    place = str(file) if named else "standard input"
    event = content_of(file, place, MAX_EVENT_BYTES)
    if len(event) > MAX_EVENT_BYTES:
        raise UsageError(
            f"The event in {place} has more than {size(MAX_EVENT_BYTES)}, the most that a function "
            "takes.",
            next_step="Keep large content in a bucket, and its key in the event.",
        )
    return event if named else event or b"{}"


def _check_json(event: bytes) -> None:
    try:
        json_module.loads(event)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The event is not JSON: {error}.",
            next_step="A file is read by --file."
            if event.startswith(b"@")
            else 'Check the quotes of your shell: \'{"name": "Ada"}\'. For anything other than '
            "JSON, name its media type with --content-type.",
        ) from error


def _show(
    client: NodeClient,
    name: FunctionName,
    response: httpx2.Response,
    duration: float,
    output: Path | None,
    *,
    json: bool,
) -> None:
    problem = _is_problem(response)
    if json:
        print_json(_document(response, duration))
    if output is not None and not problem:
        _write(output, response.content)
    elif not json and not problem:
        _print_body(response)
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        _tell_failure(client, name, response)


def _is_problem(response: httpx2.Response) -> bool:
    """Tell whether the node answered in the place of the function."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    return response.status_code >= HTTPStatus.BAD_REQUEST and kind == PROBLEM_TYPE


def _error_id(response: httpx2.Response) -> str | None:
    if not _is_problem(response):
        return None
    try:
        found = json_module.loads(response.content)
    except ValueError:
        return None
    error_id = found.get("error_id") if isinstance(found, dict) else None
    return error_id if isinstance(error_id, str) else None


def _tell_failure(client: NodeClient, name: FunctionName, response: httpx2.Response) -> None:
    if not _is_problem(response):
        note(f"The function itself answered with status {response.status_code}.", RED)
        note("Next: Its body, above, and `casemate logs` tell what the handler meant by it.")
        return
    error = client.failure(response)
    if response.status_code == HTTPStatus.NOT_FOUND:
        error = _missing(client, name) or error
    elif response.status_code == HTTPStatus.FORBIDDEN:
        error = _internal(client, name) or error
    note(f"Error: {response.status_code}: {error.message}", RED)
    error_id = _error_id(response)
    if error_id is not None and response.status_code not in (401, 403, 404):
        full = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        again = f"{when_again(response)}; " if full else ""
        note(f"Next: {again}`casemate errors show {error_id}` tells the owner what happened.")
    else:
        note(f"Next: {error.next_step}")


def _missing(client: NodeClient, name: FunctionName) -> MissingError | None:
    """Return what is not there, as who may see functions is told; None: the function is.

    A call is told no names, as anybody may make one.
    """
    try:
        found = client.call(ShowFunction(project=name.project, function=name.function))
    except MissingError as error:
        return error
    except CasemateError:
        return None
    qualifier, function = name.qualifier, f"{name.project}/{name.function}"
    aliases = {alias.name: f"{function}@{alias.name}" for alias in found.aliases}
    numbers = {str(version.number) for version in found.versions}
    if qualifier is None or qualifier in aliases.keys() | numbers:
        return None
    what = "version" if qualifier.isascii() and qualifier.isdecimal() else "alias"
    return MissingError(
        f"{function} has no {what} {qualifier}{question(near(qualifier, aliases)) or '.'}",
        next_step=f"`casemate show {function}` lists its versions and aliases.",
    )


def _internal(client: NodeClient, name: FunctionName) -> DeniedError | None:
    """Return that nobody may call what is live, whoever it is; None for who may not see that."""
    try:
        found = client.call(ShowFunction(project=name.project, function=name.function))
    except CasemateError:
        return None
    live = live_version(found)
    if live is None or not live.spec.internal:
        return None
    function = f"{name.project}/{name.function}"
    if live.spec.triggers:
        named = live.spec.triggers[0].name
        step = f"`casemate trigger fire {function} {named}` sends it an event as its trigger."
    else:
        granted = f'invoke = ["{name.function}"]'
        step = f"Call it from a function with {granted} in its grants: it has no trigger."
    return DeniedError(
        f"{function} is internal: only its triggers and functions of its project call it.",
        next_step=step,
    )


def _document(response: httpx2.Response, duration: float) -> dict[str, Any]:
    document: dict[str, Any] = {
        "status": response.status_code,
        "headers": dict(response.headers),
        "duration_ms": round(duration, 3),
        "invocation_id": response.headers.get(INVOCATION_HEADER),
        "error_id": _error_id(response),
    }
    try:
        text = response.content.decode()
    except UnicodeDecodeError:
        return {**document, "body_base64": base64.b64encode(response.content).decode()}
    try:
        return {**document, "body": json_module.loads(text)}
    except (ValueError, RecursionError):
        return {**document, "body": text}


def _print_body(response: httpx2.Response) -> None:
    """Print the body as it is, but never raw to a terminal: a function wrote it."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(response.content)
        sys.stdout.buffer.flush()
        return
    try:
        text = response.content.decode()
    except UnicodeDecodeError:
        kind = response.headers.get("content-type", "no type")
        note(f"The body is binary: {kind}, {size(len(response.content))}. Use --output FILE.")
        return
    print(many_lines(text), end="" if text.endswith("\n") else "\n", flush=True)


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.", next_step="Choose another --output."
        ) from error
    note(f"{path}: {size(len(content))}")
