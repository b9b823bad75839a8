"""What commands print with: data to standard output, everything else to standard error.

On a terminal tables are drawn and progress moves; elsewhere both are plain lines. Everything
printed here comes out with its control characters made visible (`casemate.cli.text`), because
much of it was written by functions. Colour follows NO_COLOR (no-color.org) and TERM.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from casemate.cli.tables import Table
from casemate.cli.text import json_text, many_lines, one_line

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


def colourful(stream: TextIO) -> bool:
    """Tell whether to colour what is written to `stream`."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, style: str | None, stream: TextIO) -> str:
    """Return safe text in a style (an SGR parameter) if `stream` shows colours."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and colourful(stream) else text


def print_line(text: str = "", style: str | None = None) -> None:
    """Print one line of data."""
    print(paint(one_line(text), style, sys.stdout), flush=True)


def print_screen(lines: Sequence[tuple[str, str | None]]) -> None:
    """Show lines in their styles in place of what the terminal shows, in one piece."""
    shown = "\n".join(paint(one_line(text), style, sys.stdout) for text, style in lines)
    print(f"\x1b[H\x1b[J{shown}", flush=True)


def print_row(cells: Sequence[str]) -> None:
    """Print a line of CSV that no spreadsheet takes for a formula."""
    import csv

    safe = [one_line(cell) for cell in cells]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell for cell in safe
    )
    print(line.getvalue(), flush=True)


def print_text(text: str) -> None:
    """Print text of several lines."""
    print(many_lines(text), flush=True)


def note(text: str, style: str | None = None) -> None:
    """Tell something that is not data."""
    print(paint(many_lines(text), style, sys.stderr), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one JSON document: any value of the model, or plain data."""
    print(json_text(_encoded(value, indent=2)), flush=True)


def print_json_text(text: str) -> None:
    """Print a JSON document as it is written, but for what a terminal would obey."""
    print(json_text(text.removesuffix("\n")), flush=True)


def print_json_line(value: Any, *, compact: bool = False) -> None:
    """Print one JSON document on one line, without spaces if it is `compact`."""
    print(json_text(_encoded(value, indent=None, compact=compact)), flush=True)


def _encoded(value: Any, *, indent: int | None, compact: bool = False) -> str:
    import msgspec  # not above: help is shown without it

    plain, separators = msgspec.to_builtins(value), (",", ":") if compact else None
    return json.dumps(plain, indent=indent, ensure_ascii=False, separators=separators)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    empty: str,
    below: Collection[str] = (),
) -> None:
    """Print rows under their columns' names; `empty` says on standard error that there are none.

    On a terminal that is too narrow, the columns `below` go under each row; elsewhere every row
    is one line.
    """
    if not rows:
        note(empty)
        return
    cells = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        for line, heading in Table(columns, cells, below).lines(width):
            print(paint(line.upper() if heading else line, BOLD if heading else None, sys.stdout))
        sys.stdout.flush()
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in ([name.upper() for name in columns], *cells):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())
    sys.stdout.flush()


def wrapped(text: str, indent: int) -> Sequence[str]:
    """Break text at spaces for a terminal on which `indent` characters precede each line."""
    if not sys.stdout.isatty():
        return [text]
    width = max(shutil.get_terminal_size().columns - indent, 1)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


class Progress:
    """One step that takes a while. `update` changes its text."""

    def update(self, text: str) -> None:
        """Say how far it is; shown only on a terminal."""


class _Spinner(Progress):
    def __init__(self, status: Any) -> None:
        self._status = status

    def update(self, text: str) -> None:
        from rich.text import Text

        self._status.update(Text(one_line(text)))


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show that something goes on: a moving line on a terminal, one plain line elsewhere."""
    if not sys.stderr.isatty():
        note(text)
        yield Progress()
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(one_line(text))) as status:
        yield _Spinner(status)
