"""Did data change a text that somebody else will read, by the kind of it?"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable, Sequence

from ..core import Guard
from ..evaluation.judgement import judge as judge_python
from ..markup.feeds import judge_document
from ..origin import Span
from ..pages import cleaning
from ..pages.judgement import judge as judge_page
from ..pages.judgement import judge_addresses
from ..pieces import as_text
from ..sql import structure
from ..sql.tokens import Dialect
from ..verdict import Verdict
from . import cells, heads, lines, records, settings, shaped, tables
from .kinds import Kind
from .languages import LANGUAGES, judge_code

_start = operator.attrgetter("start")
Judge = Callable[[str, Sequence[Span]], Verdict | None]

MAX_TEXT = 256 * 1024
"""Characters of a text that is judged; a longer one is not."""
MAX_PARTS = 500
"""Parts from outside in one script of a shell or of Python; with more it is refused."""
FILE, CELL, LOG, HEADER = "file", cells.NAME, "log", "header"
"""Sinks."""
_SINKS = {
    Kind.CELLS: CELL,
    Kind.TABBED: CELL,
    Kind.RECORDS: LOG,
    Kind.TRAIL: LOG,
    Kind.HEADED: HEADER,
    Kind.FIELDS: HEADER,
    Kind.EVENTS: HEADER,
}
_DIALECTS = (Dialect.SQLITE, Dialect.POSTGRESQL)
_FIELDS = 5
"""Fields of a line of cron before its command."""
_OF_MANY = frozenset((Kind.SQL, Kind.PAGE))
_SEPARATORS = {Kind.CELLS: ",;\t", Kind.TABBED: "\t"}
_OF_LINES: dict[Kind, Judge] = {
    Kind.RECORDS: records.judge_records,
    Kind.TRAIL: records.judge_trail,
    Kind.HEADED: heads.judge_head,
    Kind.FIELDS: heads.judge_fields,
    Kind.EVENTS: heads.judge_events,
    Kind.SETTINGS: settings.judge_settings,
    Kind.BLOCKS: settings.judge_blocks,
    Kind.XML: judge_document,
    Kind.SHAPED: shaped.judge,
}


def sink_of(kind: Kind) -> str:
    """Return the sink that texts of a kind are judged by."""
    return _SINKS.get(kind, FILE)


def verdict_on(
    guard: Guard, kind: Kind, text: str, pieces: Sequence[str | bytes], shell: Judge
) -> Verdict | None:
    """Return a verdict on a text. `pieces`: what it was put together of; `shell` judges scripts."""
    if kind in _SEPARATORS:
        verdict = _rows(guard, kind, text, pieces)
        if verdict is not None or next(cells.formulas(text, _SEPARATORS[kind]), None) is None:
            return verdict
        spans = spans_of(guard, pieces)
        if lines.is_whole(text, spans) and len({s.origin for s in spans}) == 1:
            return None  # it is passed on
        return cells.verdict_on(guard, text, _SEPARATORS[kind])
    verdict = verdict_by(guard, kind, text, spans_of(guard, pieces), shell)
    if verdict is None and kind is Kind.PAGE:
        # Addresses by what a library made of them as well, such as one of Markdown.
        verdict = judge_addresses(text, guard.spans)
    return verdict


def verdict_by(
    guard: Guard, kind: Kind, text: str, spans: Sequence[Span], shell: Judge
) -> Verdict | None:
    """Return a verdict on a text of no table, by where in it data is."""
    if not spans or lines.is_whole(text, spans):
        return None
    return _judged(guard, kind, text, spans, shell)


def _rows(guard: Guard, kind: Kind, text: str, pieces: Sequence[str | bytes]) -> Verdict | None:
    """Judge the rows that the code was seen putting together: most come from a library."""
    if len(text) > tables.MAX_TABLE or not any(guard.provenance.of(piece) for piece in pieces):
        return None
    spans: list[Span] = []
    place = 0
    for piece in pieces:
        if guard.provenance.of(piece) is not None:
            spans += [s.moved(place) for s in guard.spans(piece) if s.exact]
        place += len(as_text(piece))
    return tables.judge_rows(text, spans, _SEPARATORS[kind]) if spans else None


def spans_of(guard: Guard, pieces: Sequence[str | bytes]) -> list[Span]:
    """Return the parts of a text that came from outside.

    None counts as seen being put there: a plain name chooses nothing here that runs by itself.
    What libraries have escaped is left out: where such a part ends is not known well enough.
    """
    found: list[Span] = []
    place = 0
    for piece in pieces:
        spans = [s for s in guard.spans(piece) if not s.is_piece]
        found += [s.moved(place)._replace(exact=False) for s in spans]
        place += len(as_text(piece))
    return found


def _judged(  # noqa: PLR0911 - one language after the other
    guard: Guard, kind: Kind, text: str, spans: Sequence[Span], shell: Judge
) -> Verdict | None:
    if kind in _OF_LINES:
        return _OF_LINES[kind](text, spans)
    if kind in LANGUAGES:
        return judge_code(kind, text, spans)
    if kind not in _OF_MANY and len(spans) > MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS} parts of a script are from outside")
    if kind is Kind.PYTHON:
        return judge_python(text, spans, guard.texts)
    if kind is Kind.SQL:
        return structure.judge(text, spans, _DIALECTS)
    if kind is Kind.PAGE:
        return judge_page(text, spans, cleaning.cleaned_of(guard), guard.constants.plain_tags())
    if kind is Kind.SCHEDULE:
        return settings.judge_settings(text, spans) or _commands(text, spans, shell, _scheduled)
    if kind is Kind.RECIPES:
        verdict = settings.judge_expansions(text, spans) or settings.judge_settings(text, spans)
        return verdict or _commands(text, spans, shell, _recipe)
    return shell(text, spans)


def _scheduled(line: str) -> int:
    """Return where the command of a line of cron begins; its length if it has none."""
    place = 0
    words = 1 if line.startswith("@") else _FIELDS
    for _ in range(words):
        place = len(line) - len(line[place:].lstrip(" \t"))
        while place < len(line) and line[place] not in " \t":
            place += 1
    return len(line) if line.lstrip().startswith("#") or "=" in line[:place] else place


def _recipe(line: str) -> int:
    return 1 if line.startswith("\t") else len(line)


def _commands(
    text: str, spans: Sequence[Span], shell: Judge, command: Callable[[str], int]
) -> Verdict | None:
    """Judge the lines that hold data as command lines."""
    place = at = 0
    for line in text.split("\n"):
        end = place + len(line)
        begins = place + command(line)
        while at < len(spans) and spans[at].end <= place:
            at += 1
        inside = [
            s._replace(start=max(s.start, begins) - begins, end=min(s.end, end) - begins)
            for s in spans[at : bisect.bisect_left(spans, end, key=_start)]
            if s.end > begins
        ]
        verdict = shell(text[begins:end], inside) if inside else None
        if verdict is not None:
            return verdict
        place = end + 1
    return None
