"""Values that the shell reads in another way than they stand: escaped, or as `$1` of a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from ..origin import Span
from .arguments import Argument, argument_of
from .shell import EXPANSION, Kind, Line, Word, is_assignment, parse

_EVAL = re.compile(r"(?:^|[;&|({\s])eval\s")
_PARAMETER = re.compile(r'"?\$(?:\{([0-9@*])\}|([0-9@*]))"?')
_BEFORE = frozenset(("exec", "command", "builtin"))
"""What in a script may stand before a command, and changes nothing of it."""
_PLAIN = re.compile(r"[\w./:@+-]")
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
    # What the code put before it stands there as it is, if the whole was made in many steps.
    return bool(inside & read) and all(_PLAIN.match(word.value, n) for n in inside - read)


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
        for number, argument in enumerate(_given(match, given)):
            text += " " if number else ""
            spans += [s.moved(len(text)) for s in argument.spans]
            text += argument.value
    return Argument(text + script.value[place:], spans)


def called(script: Argument, given: Sequence[Argument]) -> Iterator[list[Argument]]:
    """Yield the commands of a script that are one of its arguments, such as `$1` or `exec "$@"`."""
    if script.spans or not any(a.spans for a in given):
        return
    for command in parse(script.value).commands:
        words = list(command)
        while words and (is_assignment(words[0]) or words[0].value in _BEFORE):
            del words[0]
        if words and _PARAMETER.fullmatch(script.value, words[0].start, words[0].end):
            yield [a for word in words for a in _expanded(script.value, word, given)]


def _given(parameter: re.Match[str], given: Sequence[Argument]) -> Sequence[Argument]:
    name = parameter[1] or parameter[2]
    return given[1:] if name in "@*" else given[int(name) : int(name) + 1]


def _expanded(script: str, word: Word, given: Sequence[Argument]) -> Iterator[Argument]:
    """Yield what becomes of a word of a script: without quotes, a value is cut at its spaces."""
    parameter = _PARAMETER.fullmatch(script, word.start, word.end)
    if parameter is None:
        yield argument_of(word, ())
        return
    for argument in _given(parameter, given):
        if script[word.start] == '"':
            yield argument
        else:
            yield from words_of(argument)


def words_of(argument: Argument) -> Iterator[Argument]:
    """Yield the words that a shell makes of a value which is not quoted."""
    for part in re.finditer(r"\S+", argument.value):
        first, last = part.span()
        spans = [
            s._replace(start=max(s.start, first) - first, end=min(s.end, last) - first)
            for s in argument.spans
            if s.start < last and s.end > first
        ]
        yield argument._replace(value=part[0], spans=spans)
