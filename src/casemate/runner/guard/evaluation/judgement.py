"""Did data change the structure of Python code? Its tokens must be the same with harmless data."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Sequence

from ..origin import Origin, Span
from ..sink import Verdict

_LETTER = "q"
_NUMBER = re.compile(r"\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?")
_ARITHMETIC = re.compile(r"[\d\s.+*/()%<>=,-]*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_SKIPPED = frozenset((tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER))

FIX = (
    "take data as data: json.loads or ast.literal_eval for values, a dictionary of functions for "
    "choices, a parser of expressions that allows what it names; pass values as variables"
)

Token = tuple[int, int, int]
"""Kind of a token, its start and its end."""


class BrokenCodeError(ValueError):
    """A text that is no Python code."""


def tokens(text: str) -> list[Token]:
    """Return the tokens of Python code. BrokenCodeError if it has none."""
    starts = [0]
    for line in io.StringIO(text, newline="\n"):
        starts.append(starts[-1] + len(line))
    found: list[Token] = []
    try:
        for kind, _, (row, column), (last, end), _ in tokenize.generate_tokens(
            io.StringIO(text, newline="\n").readline
        ):
            if kind == tokenize.ERRORTOKEN and text[starts[row - 1] + column] in "\"'":
                raise BrokenCodeError("a literal does not end")
            if kind not in _SKIPPED and row <= len(starts):
                found.append((kind, starts[row - 1] + column, starts[last - 1] + end))
    except (tokenize.TokenError, SyntaxError, IndexError) as error:
        raise BrokenCodeError(str(error)) from error
    return found


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if `spans` are more than the inside of literals."""
    doubtful = [s for s in spans if not _vouched(text, s)]
    if not doubtful:
        return None
    neutral = text
    for span in doubtful:
        part = text[span.start : span.end]
        harmless = _LETTER * len(part)
        if part.isdigit():
            harmless = part
        elif _NUMBER.fullmatch(part):
            harmless = "1" * len(part)
        neutral = neutral[: span.start] + harmless + neutral[span.end :]
    try:
        expected = tokens(neutral)
        found = tokens(text)
    except BrokenCodeError:
        return Verdict(doubtful[0].origin, "stands in code that is broken", FIX)
    if found != expected:
        place = next(
            (a[1] for a, b in zip(found, expected, strict=False) if a != b), doubtful[0].start
        )
        return Verdict(_nearest(doubtful, place), "is more than one literal of the code", FIX)
    for span in doubtful:
        for kind, start, end in found:
            named = kind == tokenize.NAME and start < span.end and end > span.start
            if named and span.exact:
                return Verdict(span.origin, "is a name in the code", FIX)
    return None


def _vouched(text: str, span: Span) -> bool:
    part = text[span.start : span.end]
    if span.checked in ("member", "constant"):
        return True
    if span.checked == "word":
        return part.isdigit()
    return span.checked == "pattern" and _ARITHMETIC.fullmatch(part) is not None


def _nearest(spans: Sequence[Span], place: int) -> Origin:
    return next((s for s in spans if s.end > place), spans[-1]).origin


def judge_module(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if `spans` choose what is imported, beyond a name in the code's package."""
    for span in spans:
        if span.checked in ("member", "constant", "pattern"):
            continue
        part = text[span.start : span.end]
        if span.start == 0 and span.exact:
            return Verdict(span.origin, "chooses the module that is imported", _FIX_MODULE)
        if span.start and (not _NAME.fullmatch("a" + part) or part.startswith("__")):
            return Verdict(span.origin, "leaves the package that the code names", _FIX_MODULE)
    return None


_FIX_MODULE = (
    "choose modules from a collection in the code (`if name not in PLUGINS: raise ...`), or import "
    "them all and keep them in a dictionary"
)
