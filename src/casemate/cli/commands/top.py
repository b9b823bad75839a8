"""`casemate top`: what functions do at the moment."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.rates import Looks, Rate
from casemate.cli.terminal import (
    BOLD,
    RED,
    Style,
    print_json,
    print_json_line,
    print_line,
    print_screen,
)
from casemate.cli.text import one_line, size
from casemate.cli.times_shown import short_seconds
from casemate.model.metrics import Metrics
from casemate.operations.metrics import ShowMetrics

app = new_app()
LOOK_SECONDS = 1.0
WIDTH = 80
_HEAD = "CALLS/S  ERR/S   ~P50   ~P99 COLD/S  RUN IDLE WAIT   AGE    MEM"
_LEAST_NAME, _MOST_NAME = WIDTH - len(_HEAD) - 1, 60


@asked(
    app,
    ShowMetrics,
    examples="""\
$ casemate top
$ casemate top --project shop
$ casemate top --once --json
""",
)
def top(
    wanted: ShowMetrics,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show the figures once, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what functions are doing right now.

    It shows rates, durations, errors, instances, and what waits. It refreshes each second until
    Ctrl-C; rates and durations cover the last ten seconds. `~P50` and `~P99` are estimates, as in
    `casemate metrics`. Into a file or a pipe it is printed once. With --json each refresh is one
    line, or with --once one document. On nodes that share their state it covers all of them, or
    with --node one of them.
    """
    with connect() as client:
        if once or (not json and not sys.stdout.isatty()):
            _show_once(client, wanted, json=json)
            return
        try:
            _show(client, wanted, json=json)
        except KeyboardInterrupt:
            return  # it is how it ends


def _show_once(client: NodeClient, wanted: ShowMetrics, *, json: bool) -> None:
    looks = Looks()
    looks.add(client.call(wanted))
    time.sleep(LOOK_SECONDS)
    newest = client.call(wanted)
    looks.add(newest)
    rates = looks.rates()
    if json:
        print_json(_told(newest, rates))
        return
    for line, style in _lines(newest, rates, WIDTH):
        print_line(line, style)


def _show(client: NodeClient, wanted: ShowMetrics, *, json: bool) -> None:
    looks = Looks()
    while True:
        newest = client.call(wanted)
        looks.add(newest)
        rates = looks.rates()
        if json:
            print_json_line(_told(newest, rates), compact=True)
        else:
            width, height = shutil.get_terminal_size()
            print_screen(_lines(newest, rates, width)[: height - 1])
        time.sleep(LOOK_SECONDS)


def _told(newest: Metrics, rates: Sequence[Rate]) -> dict[str, object]:
    return {
        "at": newest.at,
        "nodes": [one.node for one in newest.nodes],
        "missing": list(newest.missing),
        "functions": [rate._asdict() for rate in rates],
    }


def _lines(newest: Metrics, rates: Sequence[Rate], width: int) -> list[tuple[str, Style | None]]:
    name = min(max(width - len(_HEAD) - 1, _LEAST_NAME), _MOST_NAME)
    calls = sum(rate.calls for rate in rates)
    errors = sum(rate.errors for rate in rates)
    busy = sum(rate.busy for rate in rates)
    waiting = sum(rate.waiting + rate.inbox for rate in rates)
    up = short_seconds(max(0.0, newest.at - newest.started_at))
    first = (
        f"{_count(calls)} calls/s, {_count(errors)} errors/s, {busy} run, {waiting} wait; up {up}"
    )
    if newest.nodes:
        first = f"{_nodes(newest)}: {first}"
    left_out = ", ".join(map(one_line, newest.missing))
    return [
        (first, None),
        *([(f"not counted, as they have told nothing: {left_out}", RED)] if left_out else []),
        (f"{'FUNCTION'.ljust(name)} {_HEAD}", BOLD),
        *((_line(rate, name), RED if rate.errors else None) for rate in rates),
    ]


def _nodes(newest: Metrics) -> str:
    if len(newest.nodes) > 1 or newest.missing:
        there = len(newest.nodes)
        of = f" of {there + len(newest.missing)}" if newest.missing else ""
        return f"{there}{of} nodes"
    return f"node {one_line(newest.nodes[0].node)}"


def _line(rate: Rate, width: int) -> str:
    name = one_line(f"{rate.project}/{rate.function}" if rate.project else f"({rate.function})")
    if len(name) > width:
        name = "…" + name[-(width - 1) :]
    return (
        f"{name.ljust(width)} {_count(rate.calls):>7} {_count(rate.errors):>6} "
        f"{short_seconds(rate.p50):>6} {short_seconds(rate.p99):>6} "
        f"{_count(rate.cold_starts):>6} {rate.busy:>4} {rate.spares:>4} "
        f"{_count(rate.waiting + rate.inbox):>4} {short_seconds(rate.inbox_age):>5} "
        f"{size(rate.memory).replace(' ', ''):>6}"
    )


def _count(number: float) -> str:
    """Return a number in four characters or hardly more."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return (
                f"{number:.0f}{unit}"
                if number >= 10 or number == int(number)
                else (f"{number:.1f}{unit}")
            )
        number /= 1000
    return f"{number:.0f}G"
