"""Arguments and variables of programs, with what in them came from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..origin import Span
from ..verdict import Verdict
from .programs import DANGEROUS_ENVIRONMENT
from .shell import Word

_WORD = re.compile(r"[\w.@%+=:,-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FIX_ENVIRONMENT = "set the variables that the code names, from values that it has checked"


class Argument(NamedTuple):
    """One argument of a program, and what in it came from outside."""

    value: str
    spans: Sequence[Span] = ()
    known: bool = True
    """It was seen being made, or is the event's own: not a text that only equals one of it."""

    @property
    def doubtful(self) -> list[Span]:
        """The spans that the code has neither checked nor foreseen."""
        return [s for s in self.spans if not vouched(self.value, s)]


def vouched(text: str, span: Span) -> bool:
    """Tell whether the function's code itself has checked or foreseen this very value."""
    if span.vouched:
        return True
    if span.checked in ("pattern", "word"):
        part = text[span.start : span.end]
        return _WORD.fullmatch(part) is not None and not part.startswith("-")
    return False


def argument_of(word: Word, spans: Sequence[Span]) -> Argument:
    """Return a word with the spans of the command line that are in its value."""
    inside: list[Span] = []
    for span in spans:
        places = [n for n, place in enumerate(word.places) if span.start <= place < span.end]
        if places:
            inside.append(span._replace(start=places[0], end=places[-1] + 1))
    return Argument(word.value, inside)


def judge_variable(name: str, argument: Argument, length: int) -> Verdict | None:
    for span in argument.doubtful:
        if span.start < length and not (
            span.end <= length
            and _NAME.fullmatch(name) is not None
            and not DANGEROUS_ENVIRONMENT.fullmatch(name)
        ):
            return Verdict(span.origin, "chooses a variable's name", _FIX_ENVIRONMENT)
        if DANGEROUS_ENVIRONMENT.fullmatch(name):
            return Verdict(span.origin, f"sets {name} for a program", _FIX_ENVIRONMENT)
    return None


def judge_environment(variables: Sequence[tuple[Argument, Argument]]) -> Verdict | None:
    """Judge the variables that a program is given: names and values."""
    for name, value in variables:
        if DANGEROUS_ENVIRONMENT.fullmatch(name.value):
            for span in name.doubtful:
                if span.exact:
                    words = "chooses a variable that has programs load or run something"
                    return Verdict(span.origin, words, _FIX_ENVIRONMENT)
            for span in value.doubtful:
                if span.exact:
                    words = f"sets {name.value} for a program"
                    return Verdict(span.origin, words, _FIX_ENVIRONMENT)
    return None
