"""Texts that the code put together and reads again: forms, tables and literals of Python.

What they are read by makes plain values alone. What data can do is to be more of them than it was
meant to be: another parameter, another column or row, the next item.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
import shlex
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..evaluation.judgement import judge as judge_code
from ..hooks import wrap
from ..origin import Span
from ..sink import Patch
from ..spans import neutral
from ..standing import is_direct, is_put_together, wrap_direct
from ..url.joining import cut_with
from ..verdict import Judge, Verdict
from ..written.lines import doubtful
from ..written.tables import MAX_TABLE, judge_table

MAX_LINES = 1000
"""Of a list that are judged."""
_MAX_LITERAL = 4096
_BEFORE = re.compile(r"(?:\A|[(\[{,:=])\s{0,64}\Z")
_AFTER = re.compile(r"\s{0,64}(?:\Z|[)\]},:])")
_PARAMETER = re.compile(r"&[\w.\[\]-]{1,64}=")
_OPERATOR = re.compile(r"\S\s{1,9}(?:&&|\|\|?|;|>>?)\s{1,9}\S")
"""What divides commands, between words."""
_FIX_FORM = "put it together by urllib.parse.urlencode, or take the values as they are"
_FIX_WORDS = "put values in by shlex.quote(), or put the list of words together itself"
_FIX_LITERAL = "put values in by repr(), or take them as they are"


def judge_form(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a value of a form that the code put together ends this."""
    # Found by search, it may be a part of a form of the event's own; a number is by chance.
    sure = all(span.exact or text[span.start : span.end].isalnum() for span in spans)
    for span in doubtful(spans):
        begin, part = text.rfind("&", 0, span.start) + 1, text[span.start : span.end]
        # What blanks were replaced in is found again, all of it, and has a name of its own then.
        begins = "&" in part if sure else not span.is_piece and _PARAMETER.search(part) is not None
        if "=" in text[begin : span.start] and begins:
            return Verdict(span.origin, "begins another parameter", _FIX_FORM)
    return None


def judge_literal(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than the inside of texts, and whole values."""
    if not all(span.exact for span in spans):
        return None
    others = [span for span in doubtful(spans) if not _is_value(text, span)]
    verdict = judge_code(text, others) if others else None
    return verdict._replace(fix=_FIX_LITERAL) if verdict is not None else None


def judge_words(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends the quotes that the code has put around it, between words."""
    own = neutral(text, spans)
    for span in doubtful(spans):
        before, after = own[max(span.start - 1, 0) : span.start], own[span.end : span.end + 1]
        part = text[span.start : span.end]
        if span.exact and before == " " and _OPERATOR.search(part) and "'" not in own[: span.start]:
            return Verdict(span.origin, "begins another word, and another command", _FIX_WORDS)
        quoted = span.exact and before == after and before in ("'", '"')
        if quoted and before in text[span.start : span.end]:
            with contextlib.suppress(ValueError):
                if len(shlex.split(text)) == len(shlex.split(own)):
                    continue
            return Verdict(span.origin, "ends its quotes, and begins another word", _FIX_WORDS)
    return None


def _is_value(text: str, span: Span) -> bool:
    """Tell whether data is a literal, or some with commas, that stands where one may."""
    if not (_BEFORE.search(text[: span.start]) and _AFTER.match(text, span.end)):
        return False
    if span.end - span.start > _MAX_LITERAL:
        return False
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        ast.literal_eval(text[span.start : span.end].strip())
        return True
    return False


def patches(sink: str) -> dict[str, Patch]:
    """Return what watches the readers of Python, for the sink that judges what they read."""
    return {
        "ast": _watching(sink, judge_literal, "literal_eval"),
        "shlex": _watching(sink, judge_words, "split"),
        "csv": functools.partial(_patch_tables, sink),
        "urllib.parse": functools.partial(_patch_forms, sink),
    }


def _patch_forms(sink: str, guard: Guard, module: ModuleType) -> None:
    """Watch what reads forms: one that the code put together, or the query of such a URL."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if arguments:
            _check_form(sink, guard, arguments[0], by_hand=False)

    for name in ("parse_qs", "parse_qsl"):
        wrap_direct(guard, module, name, before, "urllib")


def read_form(sink: str, guard: Guard, text: Any, *_: Any) -> None:
    """Block a form (BlockedError) that the code put together and takes apart, as `judge_form`."""
    _check_form(sink, guard, text, by_hand=True)


def _check_form(sink: str, guard: Guard, text: Any, *, by_hand: bool) -> None:
    if not isinstance(text, str) or "&" not in text or not guard.active:
        return
    # To ask how each text was made takes long.
    if not guard.constants.builds_forms(by_hand=by_hand):
        return
    if is_put_together(guard, text):
        guard.check(sink, text, judge_form)
    elif (url := cut_with(guard, text)) is not None:
        guard.check(sink, url, _judge_query)


def _judge_query(url: str, spans: Sequence[Span]) -> Verdict | None:
    begin = url.find("?") + 1
    inside = [s.moved(-begin) for s in spans if s.start >= begin]
    return (
        _judge_begun(url, spans)
        or judge_form(url[begin:], inside)
        or _judge_cut(url[begin:], inside)
    )


def _judge_begun(url: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data before the code's own query begins one."""
    own = neutral(url, spans)
    for span in doubtful(spans):
        if "?" in url[span.start : span.end] and 0 <= span.end <= own.find("?"):
            return Verdict(span.origin, "begins the query before the code does", _FIX_FORM)
    return None


def _judge_cut(query: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a value ends the query, of which the code has written more."""
    own = neutral(query, spans)
    for span in doubtful(spans):
        ends = span.exact and "#" in query[span.start : span.end]
        if ends and "#" not in own and _PARAMETER.search(own, span.end) is not None:
            return Verdict(span.origin, "ends the query, and cuts parameters off", _FIX_FORM)
    return None


def _watching(sink: str, judge: Judge, *names: str) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]

        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            text = arguments[0] if arguments else None
            if isinstance(text, str) and guard.active and is_put_together(guard, text):
                guard.check(sink, text, judge)

        for name in names:
            wrap_direct(guard, module, name, before, package)

    return patch


def _patch_tables(sink: str, guard: Guard, module: ModuleType) -> None:
    """Watch what reads tables: of a text in memory, or of lines."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        source = arguments[0] if arguments else None
        if not isinstance(source, (io.StringIO, list, tuple)) or not guard.active:
            return
        if not is_direct(guard, "csv"):
            return

        def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
            return judge_table(text, spans, *arguments[1:], **named)

        # Of a text in memory there is no note: what is in it is searched for.
        is_file = isinstance(source, io.StringIO)
        texts = [source.getvalue()] if isinstance(source, io.StringIO) else source[:MAX_LINES]
        for text in texts:
            fits = isinstance(text, str) and len(text) <= MAX_TABLE
            if fits and (is_file or is_put_together(guard, text)):
                guard.check(sink, text, judge)

    wrap(module, "reader", before)
