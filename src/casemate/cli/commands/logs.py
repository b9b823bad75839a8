"""`casemate logs`: what functions wrote."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import UnreachableError
from casemate.cli.operation_command import asked
from casemate.cli.options import new_app
from casemate.cli.terminal import (
    DIM,
    RED,
    YELLOW,
    note,
    print_json,
    print_json_line,
    print_written,
)
from casemate.cli.text import clock, moment
from casemate.model.invocation import LogLine
from casemate.operations.records import ReadLogs

app = new_app()

SILENCE_SECONDS = 35.0
"""A node sends something every ten seconds; a longer silence means that it is gone."""
RETRY_SECONDS = 1.0
_STYLES = {"debug": DIM, "warning": YELLOW, "error": RED, "critical": RED}


@asked(
    app,
    ReadLogs,
    fixed={"after": 0},
    examples="""\
$ casemate logs hello
$ casemate logs -f shop/cart
$ casemate logs --since 10m --level warning
$ casemate logs hello --search timeout --version 7
$ casemate logs hello --field order=42
$ casemate logs --invocation 0198c1f2
""",
)
def logs(
    wanted: ReadLogs,
    *,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document, or with --follow one for each line."),
    ] = False,
) -> None:
    """Print what functions wrote.

    The oldest line comes first. Control characters are shown as escapes such as `\\x1b`, so that a
    function cannot control your terminal. A line that is too long for the terminal is wrapped, and
    the indented lines of a trace stand below its first one; in a file or pipe each is one line,
    with its time. With --follow, a lost connection is resumed where it broke off.

    Levels are `debug`, `info`, `warning`, `error` and `critical`. What is printed is `stdout`, also
    if it went to standard error, and counts as `info`. The search ignores case, and covers the
    newest 1,000,000 lines. Fields are those of `context.log.info("sold", order=42)`, and those of
    printed JSON.
    """
    with connect() as client:
        if wanted.follow:
            follow_lines(client, wanted, json=json)
            return
        # They are kept as they come, and lines of a busy instance come a moment later.
        lines = sorted(client.call(wanted), key=lambda line: line.at)
    if json:
        print_json({"lines": lines})
        return
    before: LogLine | None = None
    for line in lines:
        _print(line, moment(line.at), before)
        before = line
    if not lines:
        note(_empty(wanted))


def _empty(wanted: ReadLogs) -> str:
    if wanted.invocation is not None:
        # It may have been refused before any code ran, which no line tells.
        return (
            f"There are no lines of {wanted.invocation}.\n"
            f"Next: `casemate trace {wanted.invocation}` shows what happened to it."
        )
    parts = (wanted.since, wanted.level, wanted.search, wanted.field, wanted.version or None)
    if any(part is not None for part in parts):
        return "No stored line matches."
    return "There are no lines yet. `casemate logs -f` waits for new ones."


def follow_lines(
    client: NodeClient,
    wanted: ReadLogs,
    *,
    json: bool,
    ended: Callable[[], bool] = lambda: False,
    leave_out: Callable[[LogLine], bool] = lambda _: False,
) -> None:
    """Print lines until interrupted; connect again if the node went away after the first time.

    Once the connection is lost it returns instead if `ended`, which says that the node was ended.
    """
    after, connected, told = 0, False, False
    before: LogLine | None = None
    while True:
        try:
            position = msgspec.structs.replace(wanted, follow=True, after=after)
            with client.stream(position, seconds=SILENCE_SECONDS) as lines:
                connected = True
                for line in lines:
                    told = False
                    if line is None:
                        continue
                    after = max(after, line.sequence)
                    if leave_out(line):
                        continue
                    if json:
                        print_json_line(line)
                    else:
                        _print(line, clock(line.at), before)
                        before = line
        except UnreachableError:
            if not connected:
                raise
        if ended():
            return
        if not told:
            note("The connection was lost; trying again.", YELLOW)
            told = True
        time.sleep(RETRY_SECONDS)


def _print(line: LogLine, at: str, before: LogLine | None) -> None:
    head = ""
    if not (before is not None and sys.stdout.isatty() and _goes_on(line, before)):
        head = f"{at}  {line.project}/{line.function}@{line.version}  {line.level:7}"
    print_written(f"{head}  {line.text}", _STYLES.get(line.level))


def _goes_on(line: LogLine, before: LogLine) -> bool:
    """Tell whether a line was written together with the one before, and is indented: a trace."""
    same = (line.invocation, line.at, line.level) == (before.invocation, before.at, before.level)
    return same and line.text[:1].isspace()
