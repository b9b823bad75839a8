"""Templates of the code's own, whose marks it fills one after the other, or in more than one round.

    text.replace("{name}", name).replace("{link}", link)

A name with `{link}` in it is filled as well: it shows what another mark stands for.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from ..core import Guard
from ..matched import Substitution
from ..notes import DERIVED, FORMAT, JOINED, PERCENT, REPLACED
from ..origin import Span
from ..spans import neutral
from ..verdict import Verdict
from ..written.lines import doubtful, is_whole

NAME = "template"
MAX_TEXT = 64 * 1024
"""Characters of a text that is looked at."""
_MAX_ROUNDS = 64
_MAX_MARKS = 200
_MARK = re.compile(
    r"\$?\{{1,3}\s?[A-Za-z_][\w.-]{0,60}(?::[\w./-]{1,60})?\s?\}{1,3}|<<\s?[A-Za-z_][\w.-]{0,60}\s?>>"
    r"|<%=?\s?[A-Za-z_][\w.-]{0,60}\s?%>|\[\[\s?[a-z_][\w.]{0,60}\s?\]\]"
    r"|\[[A-Z][A-Z0-9_]{1,60}\]|<[A-Z][A-Z0-9_]{1,60}>"
    r"|(?P<sign>%{1,2}|@{1,2}|#{1,2}|__|~)[A-Za-z_][\w.-]{0,60}(?P=sign)|\$[A-Za-z_]\w{0,60}\$?"
)
"""A name with signs on both sides, or behind a dollar. Tags, entities and words of people's, such
as `:smile:` and `[[Page]]`, are none."""
_LOOSE = re.compile(r"\[[a-z][a-z0-9_.]{1,60}\]")
"""A mark only if a template of the code's has it, and a value takes its place: people write it."""
_PUT_TOGETHER = frozenset((FORMAT, JOINED, PERCENT))
_CHANGED = "is a mark of the code's own template, which is filled in it"
_FIX = (
    "fill all marks at once, so that values are not looked at again: "
    "re.sub(pattern, lambda mark: values[mark[1]], template)"
)


def filled(guard: Guard, text: Any, arguments: tuple[Any, ...], *_: Any) -> None:
    """Block the filling of a mark (BlockedError) that the event has brought into the text.

    Announced is what of the code replaces a mark, or what it has substituted by a pattern.
    """
    if not guard.active or len(text) > MAX_TEXT:
        return
    given = arguments[0]
    if type(given[0]) is Substitution:
        if _MARK.search(text) is not None:
            guard.decide(NAME, lambda: _of_pattern(guard, *given))
    elif _MARK.fullmatch(given[0]) is not None or _is_loose(guard, text, given[0]):
        guard.decide(NAME, lambda: _of_values(guard, text, given[0]))


def _is_loose(guard: Guard, text: str, mark: str) -> bool:
    """Tell whether a word in brackets is a mark of the code's own template, which it is filling."""
    if _LOOSE.fullmatch(mark) is None or guard.constants.is_literal(mark):
        return False  # what is written as it is may be markup: `replace("[b]", "<b>")`
    made = guard.provenance.of(text)
    for _ in range(_MAX_ROUNDS):
        if made is None or made.kind != REPLACED:
            break
        text = made.parts[0]
        made = guard.provenance.of(text)
    return guard.is_own(text) and mark in text


def _of_values(guard: Guard, text: str, mark: str) -> Verdict | None:
    """Judge the values that were put in before, and what the template was put together of."""
    filled: list[str] = [mark]
    made = guard.provenance.of(text)
    while made is not None and made.kind == REPLACED and len(filled) < _MAX_ROUNDS:
        text, before, value = made.parts[:3]
        filled.append(before)
        if type(value) is str and mark in value and not guard.constants.is_literal(value):
            # Of one that is a mark and no more the code has the same text.
            verdict = _within(value, guard.texts(value) or guard.spans(value), mark)
            if verdict is not None:
                return verdict
        made = guard.provenance.of(text)
    if made is None or made.kind not in _PUT_TOGETHER:
        return None
    spans = [span for span in guard.spans(text) if not span.is_piece]
    own = neutral(text, spans)
    # A template of the event's may have marks: the code has written all of this one's itself.
    if is_whole(text, spans) or any(one in text and one not in own for one in filled):
        return None
    return _within(text, spans, mark)


def _within(text: str, spans: Sequence[Span], mark: str) -> Verdict | None:
    for span in doubtful(spans):
        if text.find(mark, span.start, span.end) >= 0:
            return Verdict(span.origin, _CHANGED, _FIX)
    return None


def _of_pattern(guard: Guard, done: Substitution, result: str) -> Verdict | None:
    """Judge what a pattern has found of data that is a mark as the code's own."""
    text = done.text
    spans = [span for span in guard.spans(text) if not span.is_piece]
    if not spans or is_whole(text, spans):
        return None
    found = re.compile(done.pattern, done.flags).finditer(text)
    marks = [m for m in itertools.islice(found, _MAX_MARKS) if _MARK.fullmatch(m[0])]
    inside = [(m, _around(spans, m)) for m in marks]
    # Another than the code has itself, or one more: data is not the template.
    if all(span is not None for _, span in inside) and not _is_filled_again(guard, done):
        return None
    for mark, span in inside:
        # One that stands for nothing is left as it was.
        if span is None or span.vouched or result.count(mark[0]) >= text.count(mark[0]):
            continue
        if span.start <= mark.start() and mark.end() <= span.end:
            return Verdict(span.origin, _CHANGED, _FIX)
    return None


def _is_filled_again(guard: Guard, done: Substitution) -> bool:
    """Tell whether a text was put together of what the same pattern had filled before."""
    todo: list[object] = [done.text]
    for _ in range(_MAX_ROUNDS):
        made = guard.provenance.of(todo.pop()) if todo else None
        if made is None:
            if not todo:
                return False
            continue
        if made.kind == DERIVED:
            again = (part for part in made.parts if type(part) is Substitution)
            if any(one.pattern == done.pattern and _MARK.search(one.text) for one in again):
                return True
        todo += [part for part in made.parts if type(part) is str]
    return False


def _around(spans: Sequence[Span], mark: re.Match[str]) -> Span | None:
    """Return the data that a mark is in, or has a part of; None if the code has written it."""
    return next((s for s in spans if s.start < mark.end() and mark.start() < s.end), None)
