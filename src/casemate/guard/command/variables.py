"""Variables that a script of the code expands: what they hold becomes words, or a program.

`sh -c '$X'`, `eval "$X"` and `ls $X` read what the environment has. So each command of a script is
judged once more with the values in the place of their names (POSIX 2.6.2, 2.6.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from ..verdict import Verdict
from . import programs
from .arguments import Argument
from .escaped import words_of
from .reading import piped
from .shell import Kind, Line, Word, is_assignment, parse

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-+=?][^{}]*)?\}|([A-Za-z_]\w*))")
_QUOTES = re.compile(r"\\([\"\\$`])|[\"']")
"""Quotes go, but for escaped ones, which `eval` reads."""
_BEFORE = frozenset(("exec", "command", "builtin"))
_MAX_DEPTH = 4
_MAX_NAMES = 100

Lookup = Callable[[str], "Argument | None"]
"""Returns what a variable holds, if some of it is from outside."""
JudgeArguments = Callable[[Sequence[Argument]], "Verdict | None"]
JudgePipe = Callable[[Sequence[Argument], Sequence[Argument]], "Verdict | None"]


def names_in(script: str) -> list[str]:
    """Return the names of the variables that a script may expand."""
    found = (match[1] or match[2] for match in _REFERENCE.finditer(script))
    return list(dict.fromkeys(found))[:_MAX_NAMES]


def judge(
    script: str, lookup: Lookup, judged: JudgeArguments, pipe: JudgePipe, depth: int = 0
) -> Verdict | None:
    """Return a verdict if what is in variables is more than one value of the script's commands."""
    held = {name: value for name in names_in(script) if (value := lookup(name)) is not None}
    if not held or depth > _MAX_DEPTH:
        return None
    line = parse(script)
    for writes, reads in piped(line):
        if script[line.commands[writes][-1].end :].lstrip()[:1] == "|":
            both = [
                [a for word in line.commands[n] for a in _expanded(script, line, word, held)]
                for n in (writes, reads)
            ]
            verdict = pipe(both[0], both[1])
            if verdict is not None:
                return verdict
    for command in line.commands:
        words = list(command)
        while words and (is_assignment(words[0]) or words[0].value in _BEFORE):
            del words[0]
        arguments = [a for word in words for a in _expanded(script, line, word, held)]
        verdict = judged(arguments) if any(a.spans for a in arguments) else None
        if verdict is None and words and programs.base_name(words[0].value) in programs.SHELLS:
            inner = (word.value for word in words[1:] if _is_quoted(line, word))
            verdicts = (judge(text, lookup, judged, pipe, depth + 1) for text in inner)
            verdict = next((found for found in verdicts if found is not None), None)
        if verdict is not None:
            return verdict
    return None


def _is_quoted(line: Line, word: Word) -> bool:
    return any(m.kind is Kind.SINGLE and word.start <= m.start < word.end for m in line.marks)


def _expanded(script: str, line: Line, word: Word, held: dict[str, Argument]) -> Iterator[Argument]:
    """Yield what becomes of a word: without quotes, a value is cut at its blanks."""
    single = [(m.start, m.end) for m in line.marks if m.kind is Kind.SINGLE]
    double = [(m.start, m.end) for m in line.marks if m.kind is Kind.DOUBLE]
    text, place, cut = "", word.start, False
    spans = []
    for match in _REFERENCE.finditer(script, word.start, word.end):
        value = held.get(match[1] or match[2])
        if value is None or any(start < match.start() < end for start, end in single):
            continue
        text += _plain(script[place : match.start()])
        spans += [s.moved(len(text)) for s in value.spans]
        text += value.value
        cut = cut or not any(start < match.start() < end for start, end in double)
        place = match.end()
    if not spans:
        yield Argument(word.value)
        return
    whole = Argument(text + _plain(script[place : word.end]), spans)
    yield from words_of(whole) if cut else (whole,)


def _plain(text: str) -> str:
    return _QUOTES.sub(r"\1", text)
