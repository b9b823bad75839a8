"""`casemate metrics`: how functions do, in numbers since the node's start."""

from __future__ import annotations

import time

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_line, print_table
from casemate.cli.text import size
from casemate.cli.times_shown import short_seconds
from casemate.model.metrics import FunctionMetrics, Metrics
from casemate.operations.metrics import ShowMetrics

app = new_app()


@answered(
    app,
    ShowMetrics,
    examples="$ casemate metrics\n$ casemate metrics hello\n$ casemate metrics shop/cart --json",
)
def metrics(found: Metrics) -> None:
    """Show the figures of functions since the node's start.

    These are calls, errors, durations, and the functions' own measurements. `casemate top` shows
    what happens right now, and Prometheus reads the same numbers at `/metrics`.

    `~p50`, `~p95` and `~p99` are estimates. Durations are counted in classes from 1 ms to 30 s, and
    those of one class are taken for spread evenly over it; longer ones are told as 30 s.

    `cold` are calls that had a process started for their function, `waits` are waiting calls and
    events, `memory` is what its imported code holds, whether somebody calls it or not (`-`: none is
    loaded, or that was not measured yet), `dead` are its dead letters.
    `(other)` stands for calls of functions that do not exist, and for functions beyond the first
    500.
    """
    shown = (*found.functions, *(() if found.others is None else (found.others,)))
    print_table(
        ("function", "calls", "errors", "~p50", "~p99", "cold", "waits", "memory", "dead"),
        [_columns(one) for one in shown if one.calls or one.project],
        below=("cold", "waits", "memory", "dead"),
        empty="No function was called since the node's start.",
    )
    shared = [(one, version) for one in shown for version in one.versions]
    if shared:
        print_line()
        print_table(
            ("function", "version", "calls", "failed", "~p50", "~p95"),
            [
                (
                    *(f"{one.project}/{one.function}", str(version.version)),
                    *(str(version.calls), str(version.failed)),
                    short_seconds(version.run.quantile(0.5)),
                    short_seconds(version.run.quantile(0.95)),
                )
                for one, version in shared
            ],
            empty="",
        )
    own = [(one, name, measured) for one in shown for name, measured in one.own.items()]
    if own:
        print_line()
        print_table(
            ("function", "measures", "count", "sum", "mean", "least", "most", "unit"),
            [
                (
                    f"{one.project}/{one.function}",
                    name,
                    str(measured.count),
                    f"{measured.sum:g}",
                    f"{measured.sum / measured.count:g}",
                    f"{measured.least:g}",
                    f"{measured.most:g}",
                    measured.unit,
                )
                for one, name, measured in own
            ],
            below=("least", "most", "unit"),
            empty="",
        )
    refused = sum(one.own_refused for one in shown)
    if refused:
        print_line(f"{refused} measurements broke a bound and are not counted.")
    started = max(0.0, time.time() - found.started_at)
    print_line(f"Since the node's start {short_seconds(started)} ago.")


def _columns(one: FunctionMetrics) -> tuple[str, ...]:
    name = f"{one.project}/{one.function}" if one.project else f"({one.function})"
    return (
        name,
        str(one.calls),
        str(one.errors),
        short_seconds(one.run.quantile(0.5)),
        short_seconds(one.run.quantile(0.99)),
        str(one.cold_starts),
        str(one.waiting + one.inbox),
        size(one.resting_bytes) if one.resting_bytes else "-",
        str(one.dead_letters),
    )
