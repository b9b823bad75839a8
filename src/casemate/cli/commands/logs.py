"""`casemate logs`: what functions wrote."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import typer

from casemate.cli.client import NodeClient, connect, path_of
from casemate.cli.errors import CommandError, UnreachableError
from casemate.cli.filters import VersionOption
from casemate.cli.names import FunctionName, resolve
from casemate.cli.options import command, new_app
from casemate.cli.terminal import (
    DIM,
    RED,
    YELLOW,
    note,
    print_json,
    print_json_line,
    print_line,
)
from casemate.cli.text import clock, moment
from casemate.cli.times import SinceOption, moment_of
from casemate.model.invocation import LogLine
from casemate.model.log_filter import LogLevel

app = new_app()

SILENCE_SECONDS = 35.0
"""A node sends something every ten seconds; a longer silence means that it is gone."""
RETRY_SECONDS = 1.0
_STYLES = {"debug": DIM, "warning": YELLOW, "error": RED, "critical": RED}


@command(
    app,
    examples="""\
$ casemate logs hello
$ casemate logs -f shop/cart
$ casemate logs --since 10m --level warning
$ casemate logs hello --search timeout --version 7
$ casemate logs --invocation 0198c1f2
""",
)
def logs(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only lines of this function.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    invocation: Annotated[
        str | None, typer.Option("--invocation", "-i", help="Only lines of this invocation.")
    ] = None,
    since: SinceOption = None,
    level: Annotated[
        LogLevel | None,
        typer.Option("--level", metavar="LEVEL", help="Only lines of this level or a worse one."),
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only lines with this text.")
    ] = None,
    version: VersionOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many past lines at most.")
    ] = 100,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document, or with --follow one on each line."),
    ] = False,
) -> None:
    """Print what functions wrote.

    The oldest line comes first. Control characters in it are shown as escapes such as `\\x1b`, so
    that a function cannot steer your terminal. A lost connection is taken up again where it broke
    off. Levels are `debug`, `info`, `warning`, `error` and `critical`; what is printed counts as
    `info`. Text is found in capital and small letters, among the newest 100,000 lines.
    """
    name = resolve(function) if function is not None else None
    query = {
        "project": name.project if name else None,
        "function": name.function if name else None,
        "invocation": invocation,
        "since": moment_of(since, "--since"),
        "level": level.value if level is not None else None,
        "search": search,
        "version": version,
        "limit": limit,
    }
    with connect() as client:
        if follow:
            follow_lines(client, query, json=json)
            return
        response = client.ask(
            "GET", path_of("logs"), params={k: v for k, v in query.items() if v is not None}
        )
        lines = [_decode(text) for text in response.text.split("\n") if text]
        if not lines and name is not None:
            _require_function(client, name)
    if json:
        print_json({"lines": lines})
        return
    for line in lines:
        _print(line, moment(line.at))
    if not lines:
        note(_empty(query))


def _empty(query: dict[str, Any]) -> str:
    if any(query[name] is not None for name in ("since", "level", "search", "version")):
        return "There are no such lines among those that are kept."
    return "There are no lines yet. `casemate logs -f` waits for them."


def _require_function(client: NodeClient, name: FunctionName) -> None:
    """Raise CommandError if there is no such function: a wrong name has no lines either."""
    answer = client.exchange("GET", path_of("functions", name.project, name.function))
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise CommandError(
            f"There is no function {name.project}/{name.function}.",
            next_step="`casemate ls` lists those there are.",
        )


def follow_lines(
    client: NodeClient,
    query: dict[str, Any],
    *,
    json: bool,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Print lines until interrupted; connect again if the node went away after the first time.

    Once the connection is lost it returns instead if `ended`, which says that the node was ended.
    """
    after, connected, told = 0, False, False
    query = {**query, "follow": "true"}
    while True:
        try:
            position = {**query, "after": after}
            with client.stream(path_of("logs"), query=position, seconds=SILENCE_SECONDS) as texts:
                connected = True
                for text in texts:
                    told = False
                    if not text:
                        continue
                    line = _decode(text)
                    after = max(after, line.sequence)
                    if json:
                        print_json_line(line)
                    else:
                        _print(line, clock(line.at))
        except UnreachableError:
            if not connected:
                raise
        if ended():
            return
        if not told:
            note("The connection is lost; trying again.", YELLOW)
            told = True
        time.sleep(RETRY_SECONDS)


def _decode(text: str) -> LogLine:
    try:
        return msgspec.json.decode(text, type=LogLine)
    except msgspec.MsgspecError as error:
        raise CommandError(
            f"The node sent a line that is not understood here: {error}",
            next_step="Compare `casemate --version` with the version of the node.",
        ) from error


def _print(line: LogLine, at: str) -> None:
    where = f"{line.project}/{line.function}@{line.version}"
    print_line(f"{at}  {where}  {line.level:7}  {line.text}", _STYLES.get(line.level))
