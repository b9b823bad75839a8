"""A trace as a tree, with a bar for when each part of it was."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.cli.text import one_line
from casemate.operations.traces import Trace, TraceSpan

LEAST_WIDTH = 60
_BAR, _LEAST_BAR = 24, 12
_TIME = 11
_MOST_DEEP = 12
"""Levels that are indented; what is deeper stands below each other."""
_BELOW = {"├ ": "│ ", "└ ": "  "}
"""What goes on below the end of a branch."""
_FULL, _POINT = "█", "▏"


def rows(trace: Trace, width: int | None) -> Iterator[tuple[str, bool]]:
    """Yield the lines of each span, and whether it went well; without a width each is one line.

    What a span is of may be longer than the room for it: it goes on below itself, and is not cut.
    """
    if not trace.spans:
        return
    begin = min(span.started_at for span in trace.spans)
    end = max(span.started_at + span.ms / 1000 for span in trace.spans)
    scale = max(end - begin, 1e-6)
    shown = [(span, branch, one_line(_named(span))) for span, branch in _in_order(trace.spans)]
    longest = max(len(branch) + len(text) for _, branch, text in shown)
    width = longest + _TIME + 4 + _BAR if width is None else max(width, LEAST_WIDTH)
    room = width - _TIME - 4
    # How it ended says more than the last signs of a bar.
    columns = min(_BAR, max(_LEAST_BAR, room - longest))
    label = room - columns
    for span, branch, text in shown:
        *above, last = _label(branch, text, label, width)
        for line in above:
            yield line, span.ok
        bar = _bar((span.started_at - begin) / scale, span.ms / 1000 / scale, columns)
        line = f"{last.ljust(label)}  {_duration(span.ms).rjust(_TIME - 2)}  {bar}"
        yield line.rstrip(), span.ok


def _label(branch: str, text: str, label: int, width: int) -> list[str]:
    """Return a text behind its branch in lines of `label`; only single words are up to `width`.

    The last line has room for the time.
    """
    if len(branch) + len(text) <= label:
        return [branch + text]
    below = branch[:-2] + _BELOW.get(branch[-2:], "") + "  "
    lines, room = [branch], width - len(below)
    for word in text.split(" "):
        # Only what is longer than a line of the terminal is broken, as the terminal would do it.
        for at in range(0, max(len(word), 1), room):
            part = word[at : at + room]
            if lines[-1] in (branch, below):
                lines[-1] += part
            elif not at and len(lines[-1]) + 1 + len(part) <= label:
                lines[-1] += f" {part}"
            else:
                lines.append(below + part)
    return lines if len(lines[-1]) <= label else [*lines, below]


def _in_order(spans: tuple[TraceSpan, ...]) -> Iterator[tuple[TraceSpan, str]]:
    """Yield spans, each before what came of it, with the lines that lead to it."""
    known = {span.id for span in spans}
    below: dict[str, list[TraceSpan]] = {}
    for span in spans:
        # Parents come from callers: one that is not here, or itself, leads to none.
        parent = span.parent if span.parent in known and span.parent != span.id else ""
        below.setdefault(parent, []).append(span)
    seen: set[int] = set()
    # Those in a circle come of none of the first; each is a beginning then.
    for first in (*below.get("", ()), *spans):
        todo: list[tuple[TraceSpan, str, str]] = [(first, "", "")]
        while todo:
            span, branch, before = todo.pop()
            if id(span) in seen:
                continue
            seen.add(id(span))
            yield span, branch
            children = [one for one in below.get(span.id, ()) if id(one) not in seen]
            # An id that is there twice, as of an event that was tried again, has them once.
            deep = len(before) // 2 >= _MOST_DEEP
            for number, child in reversed(list(enumerate(children, 1))):
                last = number == len(children)
                mark, more = ("└ ", "  ") if last else ("├ ", "│ ")
                todo.append((child, before + mark, before if deep else before + more))


def _named(span: TraceSpan) -> str:
    if not span.outcome:
        return f"{span.name} {span.on}".rstrip()
    text = f"{span.name} {span.project}/{span.function}"
    if span.version:
        text += f"@{span.version}"
    if span.attempt > 1:
        text += f" attempt {span.attempt}"
    if not span.ok:
        text += f" {span.outcome}"
    return text + (f" (+{span.more} uses)" if span.more else "")


def _bar(start: float, part: float, columns: int) -> str:
    """Return a bar from `start`, `part` of `columns` long; what is short is a point."""
    # A node may tell any times, of which differences and parts can be no numbers.
    start, part = (min(1.0, max(0.0, each)) for each in (start, part))
    first = min(int(start * columns), columns - 1)
    length = min(round(part * columns), columns - first)
    return " " * first + (_FULL * length or _POINT)


def _duration(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.1f} ms"
