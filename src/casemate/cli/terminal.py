"""What commands print with: data to standard output, everything else to standard error.

On a terminal tables are drawn and progress moves; elsewhere both are plain lines. Everything
printed here comes out with its control characters made visible (`casemate.cli.text`), because
much of it was written by functions. Colour follows NO_COLOR (no-color.org) and TERM.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, TextIO

from casemate.cli.tables import Table
from casemate.cli.text import inert_cell, json_text, many_lines, one_line


class Style(StrEnum):
    """What text looks like, as parameters of SGR: a terminal knows no names of colours."""

    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    CYAN = "36"
    BOLD_CYAN = "1;36"


BOLD, DIM, RED, GREEN = Style.BOLD, Style.DIM, Style.RED, Style.GREEN
YELLOW, CYAN, BOLD_CYAN = Style.YELLOW, Style.CYAN, Style.BOLD_CYAN
_WORD = re.compile(r" *(?:`[^`]*`\S*|[^ ]+)")
"""A word with the spaces before it. A command in backquotes is one: it is there to be copied."""

_PART = re.compile(r" +[^ ]*|[^ ]+")
_BEFORE_COMMA = re.compile(r"[^,]*,|[^,]+$")
_INDENT = 4
"""Spaces before what goes on of a line of data."""


def colourful(stream: TextIO) -> bool:
    """Tell whether to colour what is written to `stream`."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, style: Style | None, stream: TextIO) -> str:
    """Return safe text in a style if `stream` shows colours."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and colourful(stream) else text


def print_line(text: str = "", style: Style | None = None) -> None:
    """Print one line of data."""
    print(paint(one_line(text), style, sys.stdout), flush=True)


def print_prose(text: str, style: Style | None = None) -> None:
    """Print a sentence; on a terminal its lines end between words, and commands stay whole.

    For what is there to be read, further lines under its first. Data that somebody copies goes
    by `print_line`.
    """
    safe = one_line(text)
    lines: Sequence[str] = [safe]
    if sys.stdout.isatty():
        prose = safe.lstrip()
        indent = safe[: len(safe) - len(prose)]
        width = max(shutil.get_terminal_size().columns - len(indent), 1)
        lines = [indent + line for line in between_words(prose, width)]
    print("\n".join(paint(line, style, sys.stdout) for line in lines), flush=True)


def print_command(text: str, style: Style | None = None) -> None:
    """Print a line with a command; on a terminal it goes on as a shell takes it: it is copied."""
    safe = one_line(text)
    lines: Sequence[str] = [safe]
    if sys.stdout.isatty():
        lines = _as_a_shell_takes_them(safe, shutil.get_terminal_size().columns)
    print("\n".join(paint(line, style, sys.stdout) for line in lines), flush=True)


def print_written(text: str, style: Style | None = None) -> None:
    """Print a line that a function wrote; on a terminal no word of it is broken at the edge.

    Elsewhere, where programs read it, it is one line as it was written.
    """
    safe = one_line(text)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(safe)
    lines = folded(safe, width)
    print("\n".join(paint(line, style, sys.stdout) for line in lines), flush=True)


def print_document(text: str, *, is_json: bool = False) -> None:
    """Print a text that may be JSON; on a terminal that it is too wide for, JSON is indented.

    What is wider then is a single value, which stays whole. Elsewhere it is as it was written.
    `is_json` where it is for sure, so that it is JSON also once it does nothing to a terminal.
    """
    safe = json_text if is_json else many_lines
    if not sys.stdout.isatty():
        print(safe(text), flush=True)
        return
    width = shutil.get_terminal_size().columns
    if len(text) > width and text[:1] in ("{", "["):
        import msgspec  # not above: help is shown without it

        from casemate.decoding import DECODING_ERRORS

        # It moves what is written and reads no values: of a name that is there twice both stay.
        with suppress(*DECODING_ERRORS):
            text = msgspec.json.format(text.encode(), indent=2).decode()
    for line in safe(text).split("\n"):
        print("\n".join(folded(line, width)), flush=True)


def print_screen(lines: Sequence[tuple[str, Style | None]]) -> None:
    """Show lines in their styles in place of what the terminal shows, in one piece."""
    shown = "\n".join(paint(one_line(text), style, sys.stdout) for text, style in lines)
    print(f"\x1b[H\x1b[J{shown}", flush=True)


def print_row(cells: Sequence[str]) -> None:
    """Print a line of CSV that no spreadsheet takes for a formula."""
    import csv

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(map(inert_cell, cells))
    print(line.getvalue(), flush=True)


def print_text(text: str) -> None:
    """Print text of several lines."""
    print(many_lines(text), flush=True)


def note(text: str, style: Style | None = None) -> None:
    """Tell something that is not data; on a terminal its lines end between words.

    Those of a listing or a trace, which begin with a space, go on below themselves.
    """
    safe = many_lines(text)
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        parts = (
            (folded if line.startswith(" ") else between_words)(line, width)
            for line in safe.split("\n")
        )
        safe = "\n".join(line for lines in parts for line in lines)
    print(paint(safe, style, sys.stderr), file=sys.stderr, flush=True)


def folded(line: str, width: int) -> Sequence[str]:
    """Break a line of data that is wider than `width` at spaces, and at commas of long words.

    A command in backquotes stays whole where a line has room for it. What is longer than a line all
    the same, such as a token, does so, too.
    """
    if len(line) <= width:
        return [line]
    lines = [""]
    # Below what it goes on of; a line that begins far to the right is none of ours.
    indent = min(len(line) - len(line.lstrip(" ")), width // 2) + _INDENT
    for part in _parts(line, width - indent):
        if lines[-1].strip(" ") and len(lines[-1]) + len(part) > width:
            lines.append(" " * indent + part.lstrip(" "))
        else:
            lines[-1] += part
    return lines


def _parts(line: str, room: int) -> Iterator[str]:
    """Yield what is not to be broken, each with the spaces before it; wider is single words."""
    for word in _words(line):
        for part in [word] if len(word.lstrip(" ")) <= room else _PART.findall(word):
            yield from [part] if len(part.lstrip(" ")) <= room else _BEFORE_COMMA.findall(part)


def _words(line: str) -> list[str]:
    """Return its words, each with the spaces before it.

    Spaces at the end lead to none: they would be looked through again from each of them.
    """
    return _WORD.findall(line.rstrip(" "))


def between_words(line: str, width: int) -> Sequence[str]:
    """Break a line of prose that is wider than `width`; what is longer than that stays whole.

    A command that is longer goes on in further lines as a shell takes them, and can be copied.
    Lines that begin with a space (of a trace, a listing) are not prose and stay as they are.
    """
    if len(line) <= width or line.startswith(" "):
        return [line]
    lines: list[str] = []
    for word in _words(line):
        if lines and len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        else:
            lines += _continued(f"  {word.lstrip()}" if lines else word, width)
    return lines


def _continued(text: str, width: int) -> Sequence[str]:
    """Break a command that is wider than `width` at spaces, each line but the last with a `\\`."""
    if not text.lstrip().startswith("`"):
        return [text]
    return _as_a_shell_takes_them(text, width)


def _as_a_shell_takes_them(text: str, width: int) -> Sequence[str]:
    if len(text) <= width or "'" in text or '"' in text:
        return [text]
    command = text.lstrip()
    first, *rest = command.split(" ")
    lines = [text[: len(text) - len(command)] + first]
    for word in rest:
        if len(lines[-1]) + len(word) + 3 <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {word}")
    return lines


def print_json(value: Any) -> None:
    """Print one JSON document: any value of the model, or plain data."""
    print(json_text(_encoded(value, indent=2)), flush=True)


def print_json_text(text: str) -> None:
    """Print a JSON document as it is written, but for what a terminal would obey."""
    print(json_text(text.removesuffix("\n")), flush=True)


def print_json_line(value: Any, *, compact: bool = False) -> None:
    """Print one JSON document on one line, without spaces if it is `compact`."""
    line = json_text(_encoded(value, indent=None, compact=compact))
    print(f"{line}\n", end="", flush=True)  # at once: threads print beside each other


def json_line(value: Any) -> str:
    """Return a value as JSON on one line."""
    return _encoded(value, indent=None)


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
    return textwrap.wrap(text, _room(indent), break_long_words=False, break_on_hyphens=False)


def _room(indent: int) -> int:
    """Return how many characters a line of the terminal has behind so many."""
    return max(shutil.get_terminal_size().columns - indent, 1)


_BELOW_LABEL = 4
"""Characters before what is printed below its label."""


def print_labelled(label: str, text: str, indent: int, style: Style | None = None) -> None:
    """Print a text behind its label, which takes `indent` characters.

    On a terminal that is too narrow it goes on below itself, and all of it below its label if a
    word such as an address has no room behind that.
    """
    lines = wrapped(text, indent)
    if sys.stdout.isatty() and max(map(len, lines), default=0) > _room(indent):
        print_line(label, style)
        lines, label, indent = wrapped(text, _BELOW_LABEL), "", _BELOW_LABEL
    for number, line in enumerate(lines):
        print_line(f"{'' if number else label:{indent}}{line}", style)


class Progress:
    """One step that takes a while. `update` changes its text."""

    def update(self, text: str) -> None:
        """Say how far it is; shown only on a terminal."""


_FRAME = 2
"""Characters before a moving text: what moves, and a space."""


class _Spinner(Progress):
    def __init__(self, status: Any, text: str) -> None:
        self._status = status
        self.text = text

    def update(self, text: str) -> None:
        self.text = text
        self._status.update(_moving(text))


_SHOWN: ContextVar[_Spinner | None] = ContextVar("spinner", default=None)
"""The moving line of this thread: a terminal has room for one."""


def _moving(text: str) -> Any:
    """Return a text that ends where the terminal's line does: it is drawn anew again and again.

    It is cut here: what rich puts together of it and what moves forgets that it is not to wrap.
    """
    from rich.text import Text

    cut = Text(one_line(text))
    room = shutil.get_terminal_size().columns - _FRAME
    cut.truncate(max(room, 1), overflow="ellipsis")
    return cut


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show that something goes on: a moving line on a terminal, one plain line elsewhere.

    A step of something that is shown already takes the place of its text until it is done.
    """
    if not sys.stderr.isatty():
        note(text)
        yield Progress()
        return
    outer = _SHOWN.get()
    if outer is not None:
        before = outer.text
        outer.update(text)
        try:
            yield outer
        finally:
            outer.update(before)
        return
    from rich.console import Console

    with Console(stderr=True).status(_moving(text)) as status:
        spinner = _Spinner(status, text)
        token = _SHOWN.set(spinner)
        try:
            yield spinner
        finally:
            _SHOWN.reset(token)
