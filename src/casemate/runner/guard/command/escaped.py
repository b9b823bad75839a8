"""Values that the shell reads in another way than they stand: escaped ones, and those of `eval`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..origin import Span
from .arguments import Argument
from .shell import EXPANSION, Kind, Line, Word

_EVAL = re.compile(r"(?:^|[;&|({\s])eval\s")
_PARAMETER = re.compile(r'"?\$(?:\{([0-9@*])\}|([0-9@*]))"?')
_LITERAL = frozenset((Kind.SINGLE, Kind.DOUBLE, Kind.ESCAPE, Kind.WORD))


def literal(text: str, span: Span, found: Line, texts: Callable[[str], Sequence[Span]]) -> bool:
    """Tell whether the shell reads a span as the event's very text in one word.

    `shlex.quote`, a `replace` of quotes and backslashes before them all put more characters than
    the value has; undone by the shell they have to give the value again, whole.
    """
    part = text[span.start : span.end]
    word = _word_around(span, found)
    if word is None or word.plain or EXPANSION in word.value:
        return False
    for mark in found.marks:
        if mark.kind not in _LITERAL and mark.start < word.end and mark.end > word.start:
            # A substitution around the word is no part of it.
            if mark.start < word.start and mark.end > word.end:
                continue
            return False
    inside = {n for n, place in enumerate(word.places) if span.start <= place < span.end}
    if any(s.exact for s in texts(part)):
        # It stands there as it came: then the shell has to read it as it came, too.
        start = word.value.find(part)
        return start >= 0 and inside <= set(range(start, start + len(part)))
    read = {n for s in texts(word.value) for n in range(s.start, s.end)}
    return bool(inside) and inside <= read


def _word_around(span: Span, found: Line) -> Word | None:
    words = [word for command in found.commands for word in command]
    around = [w for w in (*words, *found.targets) if w.start <= span.start and span.end <= w.end]
    return min(around, key=lambda w: w.end - w.start, default=None)


def evaluated(script: Argument, given: Sequence[Argument]) -> Argument | None:
    """Return what `eval` makes of a script: with `given` in place of `$0`, `$1` and so on."""
    begun = _EVAL.search(script.value)
    if begun is None or script.spans or not any(a.spans for a in given):
        return None
    text, place = "", begun.end()
    spans: list[Span] = []
    for match in _PARAMETER.finditer(script.value, place):
        text += script.value[place : match.start()]
        place = match.end()
        name = match[1] or match[2]
        chosen = given[1:] if name in "@*" else given[int(name) : int(name) + 1]
        for number, argument in enumerate(chosen):
            text += " " if number else ""
            spans += [s.moved(len(text)) for s in argument.spans]
            text += argument.value
    return Argument(text + script.value[place:], spans)
