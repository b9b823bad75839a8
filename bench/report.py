"""The tables that a run prints and the JSON that it writes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.judge import Verdict, judge
from bench.reasons import MB
from bench.results import CASEMATE_INSTANCE, CASEMATE_REQUEST, HANDLERS, Results

NONE = "-"
TITLES = {"plain": "Plain handler", "tables": "Handler with numpy and pandas"}


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure with thousands apart, or a dash."""
    return NONE if value is None else f"{value:,.{digits}f}"


def times(value: float | None) -> str:
    """Return a ratio with three significant digits, or a dash."""
    return NONE if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, aligned for reading as text: first column left, others right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(padded) + " |"

    rule = [("-" * widths[0]), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def comparison(results: Results, handler: str) -> str:
    """Return the table of all targets with one handler: medians over the rounds."""
    at_rest = f"{results.settings.peer_crowd} at rest, MB"
    many = f"req/s, {results.settings.connections} conn."
    head = ["", "between calls", "cold start, ms", "p50, ms", "p99, ms", many]
    head += ["at rest, MB", *([at_rest] if handler == "plain" else []), "answers", "failed"]
    rows = []
    for target, isolation in results.targets():
        cells = [c for c in results.cells if c.target == target and c.handler == handler]
        if not cells:
            continue
        memory = results.median(target, handler, "memory")
        row = [target, isolation, number(results.median(target, handler, "cold_ms"), 0)]
        row += [number(results.median(target, handler, name)) for name in ("p50_ms", "p99_ms")]
        row.append(number(results.median(target, handler, "per_second"), 0))
        row.append(number(None if memory is None else memory / MB, 1))
        if handler == "plain":
            crowd = results.crowds.get(target)
            row.append(number(None if crowd is None else crowd / MB, 0))
        row += [f"{sum(c.answers for c in cells):,}", str(sum(c.failed for c in cells))]
        rows.append(row)
    return table(head, rows)


def ratios(results: Results, handler: str) -> str | None:
    """Return how Casemate stands to each peer, within rounds; None if there is no pair."""
    ours = [CASEMATE_REQUEST, CASEMATE_INSTANCE]
    rows = []
    for peer, _ in results.targets():
        if peer in ours:
            continue
        row = [peer]
        for our in ours:
            row.append(times(results.ratio(our, peer, handler, "per_second")))
            row.append(times(results.ratio(our, peer, handler, "p50_ms")))
        if any(cell != NONE for cell in row[1:]):
            rows.append(row)
    head = ["Casemate / peer", "request: req/s", "request: p50", "instance: req/s", "instance: p50"]
    return table(head, rows) if rows else None


def verdicts(found: Sequence[Verdict]) -> str:
    """Return the table of targets."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [[v.what, v.wanted, v.measured, words[v.met]] for v in found]
    return table(["target", "wanted", "measured", ""], rows)


def text(results: Results) -> str:
    """Return the whole report."""
    machine = results.machine
    parts = [
        f"{machine.processor}, {machine.cores} cores shared by the targets and the load;"
        f" Linux {machine.kernel}, Python {machine.python}; load before {machine.load_before:.2f};"
        f" {results.settings.rounds} interleaved rounds, {results.seconds:.0f} s in all"
    ]
    for handler in HANDLERS:
        if not any(cell.handler == handler for cell in results.cells):
            continue
        parts.append(
            f"{TITLES[handler]} (medians over the rounds)\n\n{comparison(results, handler)}"
        )
        if pairs := ratios(results, handler):
            parts.append(f"Ratios, {handler} (taken within each round, then the median)\n\n{pairs}")
    found = judge(results)
    parts.append("Targets\n\n" + verdicts(found))
    if missed := [v for v in found if v.reason]:
        lines = (f"- {v.what}: {v.reason}" for v in missed)
        parts.append("Why they were missed, as measured beside them\n\n" + "\n".join(lines))
    if results.leftovers:
        parts.append(f"{results.leftovers} processes were left behind by targets and were killed.")
    if results.not_measured:
        parts.append("Not measured\n\n" + "\n".join(f"- {line}" for line in results.not_measured))
    return "\n\n".join(parts)


def as_json(results: Results) -> bytes:
    """Return the run with its verdicts, indented."""
    whole = msgspec.to_builtins(results, str_keys=True)
    whole["targets"] = msgspec.to_builtins(judge(results))
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
