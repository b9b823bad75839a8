"""Cells of tables that others open: of CSV in a text, of rows for `csv.writer`, of books."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..verdict import Verdict
from .formulas import MAX_CELL, SIGNS, is_formula, judge_cell, judge_formula

NAME = "cell"
MAX_FORMULAS = 1000
"""Formulas of one text whose origin is looked for; with more the text is refused."""
_NUMBER = re.compile(r"[-+]?[\d.,]*")


def verdict_on(guard: Guard, table: str, separators: str) -> Verdict | None:
    """Return a verdict on the cells of a table that is put together."""
    for found, cell in enumerate(formulas(table, separators), 1):
        if found > MAX_FORMULAS:
            if not guard.spans(table):
                return None  # a report of the code's own
            raise ValueError(f"more than {MAX_FORMULAS} cells are formulas")
        spans = guard.spans(cell)
        verdict = judge_cell(cell, spans) if spans else None
        if verdict is not None:
            return verdict
    return None


def formulas(table: str, separators: str) -> Iterator[str]:
    """Yield the cells that are formulas, without their quotes. One pass, as RFC 4180 has it."""
    place = 0
    size = len(table)
    while place < size:
        if table[place] == '"':
            end = _closing(table, place + 1)
            cell = table[place + 1 : min(end, place + MAX_CELL)].replace('""', '"')
            place = end + 1
        else:
            end = place
            while end < size and table[end] not in separators and table[end] not in "\r\n":
                end += 1
            cell = table[place : min(end, place + MAX_CELL)]
            place = end
        if cell and cell.lstrip()[:1] in SIGNS and is_formula(cell):
            yield cell
        while place < size and table[place] not in separators and table[place] not in "\r\n":
            place += 1  # after a quote that ended early
        place += 1


def _closing(table: str, place: int) -> int:
    while True:
        end = table.find('"', place)
        if end < 0:
            return len(table)
        if table[end + 1 : end + 2] != '"':
            return end
        place = end + 2


def check_cell(guard: Guard, value: object) -> None:
    """Block a cell (BlockedError) that is a formula of the event's."""
    if (
        type(value) is str
        and value.lstrip()[:1] in SIGNS
        and value.strip()
        and guard.active
        and is_formula(value)
    ):
        guard.check(NAME, value, judge_cell)


class WatchedWriter:
    """What `csv.writer` returns, which is of a C type: looks at each row before it is written."""

    def __init__(self, guard: Guard, writer: Any) -> None:
        """Stand in the place of `writer`."""
        self._guard = guard
        self._writer = writer

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Write a row."""
        return self._writer.writerow(self._seen(row))

    def writerows(self, rows: Iterable[Iterable[Any]], /) -> None:
        """Write rows."""
        self._writer.writerows(self._seen(row) for row in rows)

    def _seen(self, row: Any) -> Any:
        if type(row) not in (list, tuple):
            if not isinstance(row, Iterable):
                return row  # the writer says what is wrong with it
            row = list(row)
        for value in row:
            if type(value) is str and value[:1] in SIGNS and not _NUMBER.fullmatch(value):
                check_cell(self._guard, value)
        return row

    def __getattr__(self, name: str) -> Any:
        """Return what else the writer has: its dialect."""
        return getattr(self._writer, name)


def patch_csv(guard: Guard, module: ModuleType) -> None:
    """Have `csv.writer` return a writer that looks at its rows."""
    library: Any = module
    plain = library.writer
    if getattr(plain, "__casemate_watched__", False):
        return

    def writer(*arguments: Any, **named: Any) -> WatchedWriter:
        return WatchedWriter(guard, plain(*arguments, **named))

    writer.__doc__ = plain.__doc__
    writer.__casemate_watched__ = True  # type: ignore[attr-defined]
    library.writer = writer


def patch_openpyxl(guard: Guard, module: ModuleType) -> None:
    """Watch cells as openpyxl writes them: the code may say until then that they are texts."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        cell = argument(arguments, named, 2, "cell")
        if getattr(cell, "data_type", "") == "f":
            check_cell(guard, getattr(cell, "value", None))

    wrap(module, "write_cell", before)


def patch_xlsxwriter(guard: Guard, module: ModuleType) -> None:
    """Watch formulas of XlsxWriter, which `write` makes of texts as well."""

    def formula(place: int) -> Any:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            check_formula(guard, argument(arguments, named, place, "formula"))

        return before

    wrap(module.Worksheet, "_write_formula", formula(3))
    wrap(module.Worksheet, "_write_array_formula", formula(5))


def patch_xlwt(guard: Guard, module: ModuleType) -> None:
    """Watch formulas of xlwt."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_formula(guard, argument(arguments, named, 1, "s"))

    wrap(module.Formula, "__init__", before)


def check_formula(guard: Guard, value: object) -> None:
    """Block a text (BlockedError) that is computed in any case, and that the event has changed."""
    if type(value) is str and guard.active:
        text = value if value.lstrip().startswith("=") else f"={value}"
        shift = len(text) - len(value)
        guard.check(
            NAME,
            value,
            lambda t, spans: (
                judge_cell(t, spans)
                if not shift
                else judge_formula(text, [s.moved(shift) for s in spans])
            ),
        )
