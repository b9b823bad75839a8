"""Did data change the structure of Python code? Its tokens must be the same with harmless data."""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Callable, Sequence

from ..origin import Origin, Span
from ..plain_names import is_field, is_hidden
from ..verdict import Verdict

_LETTER = "q"
_NAMED_BEFORE = re.compile(r"[\w)\]}\"']\s{0,9}\Z")
"""Of what a dot begins the name of an attribute, or goes on with a number."""
_NUMBER = re.compile(r"(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_ARITHMETIC = re.compile(r"(?:[\d\s.+*/()%<>=,-]|!=)*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_BEFORE_SIGN = re.compile(r"(?:^|[=<>(,\[{+\-*/%:|&^~\n]|\b(?:and|or|not|in|is|return|if|else))$")
_SIGNS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_COMPARED = re.compile(
    r"(?:\A|.{0,2}[(&|]|and|.?or|not)\s*`?(?P<name>\w+)`?\s*(?:[=!<>]=|[<>])\s*(?:['\"\d@]|-\d)"
)
_COLUMN = re.compile(r"(?:\A|[(&|\s])`?(?P<name>[^\W\d]\w{0,63})`?\s*\Z")
_GIVEN_VALUE = re.compile(r"[ \t]{0,9}(?::[ \t]{0,9}\w{1,64}[ \t]{0,9})?=(?!=)")
_VALUE = re.compile(r"\s*(?:['\"\d@]|-\d)")
_FORMATTED = re.compile(r"[rR]?[fF][rR]?['\"]")
_NAMED = ("word", "pattern", "member")
_SKIPPED = frozenset((tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER))

FIX = (
    "take data as data: json.loads or ast.literal_eval for values, a dictionary of functions for "
    "choices, a parser of expressions that allows what it names; pass values as variables"
)

FindTexts = Callable[[str], Sequence[Span]]
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
            # Before Python 3.12 a literal that does not end is a token of its own, no error.
            if kind == tokenize.ERRORTOKEN and text[starts[row - 1] + column] in "\"'":
                raise BrokenCodeError("a literal does not end")
            if kind not in _SKIPPED and row <= len(starts):
                found.append((kind, starts[row - 1] + column, starts[last - 1] + end))
    except (tokenize.TokenError, SyntaxError, IndexError) as error:
        raise BrokenCodeError(str(error)) from error
    return found


def judge(
    text: str, spans: Sequence[Span], texts: FindTexts | None = None, *, columns: bool = False
) -> Verdict | None:
    """Return a verdict if `spans` are more than the inside of literals.

    `texts` finds the event's texts, whole, in another: a literal that has one was escaped well.
    `columns`: the event may choose which column is compared with a literal, and how.
    """
    doubtful = [s for span in spans if not _vouched(text, s := _trimmed(text, span))]
    named = any(s.checked in _NAMED for s in doubtful)
    local = _parameters(text) if named else frozenset[str]()
    doubtful = [s for s in doubtful if not _is_target(text, s, local)]
    if columns:
        doubtful = [s for s in doubtful if not _is_column(text, s) and not _is_sign(text, s)]
    if not doubtful:
        return None
    try:
        found = tokens(text)
        neutral = text
        doubtful = [s for s in doubtful if not _is_literal(text, s, found)]
        for span in doubtful:
            if _in_format(text, span, found):
                return Verdict(span.origin, "is a field of a formatted literal", FIX)
            if texts is None or not _escaped(text, span, found, texts):
                harmless = _harmless(text, span)
                neutral = neutral[: span.start] + harmless + neutral[span.end :]
        expected = tokens(neutral)
    except BrokenCodeError:
        return Verdict(doubtful[0].origin, "stands in code that is broken", FIX)
    # With their places, which is why harmless text is as long as what it stands for.
    if found != expected:
        place = next(
            (a[1] for a, b in zip(found, expected, strict=False) if a != b), doubtful[0].start
        )
        return Verdict(_nearest(doubtful, place), "is more than one literal of the code", FIX)
    for span in doubtful:
        if span.checked in _NAMED and text[span.start : span.end] in local:
            continue
        for kind, start, end in found:
            named = kind == tokenize.NAME and start < span.end and end > span.start
            if named and span.exact:
                return Verdict(span.origin, "is a name in the code", FIX)
    return None


def _parameters(text: str) -> frozenset[str]:
    """Return the names that functions in a text take, and that stand for nothing of Python's.

    Wherever else these are in it, as `self.city = city`, they are what the function was given.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return frozenset()
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset(n for n in names if not n.startswith("_") and n not in vars(builtins))


def _is_target(text: str, span: Span, local: frozenset[str]) -> bool:
    """Tell whether a name that the code has checked to be one is what a line gives a value.

    It names a field of what is generated, also behind `self.` where a function in the text takes
    that: else it is an object of the code's. What is given to it is judged as ever.
    """
    name = text[span.start : span.end]
    if span.checked not in ("word", "pattern") or name.startswith("_"):
        return False
    if not name.isidentifier() or keyword.iskeyword(name):
        return False
    before = text[: span.start].rpartition("\n")[2].strip()
    begins = not before or (before == "self." and "self" in local)
    return begins and _GIVEN_VALUE.match(text, span.end) is not None


def _is_literal(text: str, span: Span, found: Sequence[Token]) -> bool:
    """Tell of what was only found whether it is a whole literal, as `repr` has written one.

    The event may have the same letters with quotes around elsewhere.
    """
    if span.exact or _FORMATTED.match(text, span.start) is not None:
        return False
    return (tokenize.STRING, span.start, span.end) in found


def _is_column(text: str, span: Span) -> bool:
    found = _COMPARED.match(text, max(len(text[: span.start].rstrip()) - 3, 0))
    named = found is not None and found.span("name") == (span.start, span.end)
    return span.exact and named and is_field(text[span.start : span.end])


def _is_sign(text: str, span: Span) -> bool:
    if not span.exact or text[span.start : span.end] not in _SIGNS:
        return False
    column = _COLUMN.search(text[: span.start])
    return (
        column is not None
        and not is_hidden(column["name"])
        and _VALUE.match(text, span.end) is not None
    )


def _trimmed(text: str, span: Span) -> Span:
    """Leave out blanks around a span: they mean nothing, but where one of several lines begins."""
    part = text[span.start : span.end]
    if "\n" in text and not text[: span.start].rpartition("\n")[2].strip():
        return span
    start = span.start + len(part) - len(part.lstrip(" "))
    return span._replace(start=start, end=start + len(part.strip(" ")))


def _harmless(text: str, span: Span) -> str:
    """Return what could as well stand in the place of a span."""
    part = text[span.start : span.end]
    if part.isdigit():
        return part
    if _NUMBER.fullmatch(part) and not (
        part[0] == "." and _NAMED_BEFORE.search(text[: span.start])
    ):
        return "1" * len(part)
    if part[:1] in ("-", "+") and _NUMBER.fullmatch(part[1:]):
        # A sign is part of a number only where a value is due. `-1 ** 2` is `-(1 ** 2)`.
        before, after = text[: span.start].rstrip(" "), text[span.end :].lstrip(" ")
        if not after.startswith("**") and _BEFORE_SIGN.search(before):
            return part
    return _LETTER * len(part)


def _around(span: Span, found: Sequence[Token]) -> Token | None:
    return next(
        (t for t in found if t[0] == tokenize.STRING and t[1] <= span.start and span.end <= t[2]),
        None,
    )


def _in_format(text: str, span: Span, found: Sequence[Token]) -> bool:
    """Tell whether a span has fields of an f-string, which is one token before Python 3.12."""
    around = _around(span, found)
    if around is None or not _FORMATTED.match(text, around[1]):
        return False
    return "{" in text[span.start : span.end] or "}" in text[span.start : span.end]


def _escaped(text: str, span: Span, found: Sequence[Token], texts: FindTexts) -> bool:
    """Tell whether a literal, read as Python reads it, holds the event's very text."""
    around = _around(span, found)
    if around is None or _FORMATTED.match(text, around[1]):
        return False
    value = ast.literal_eval(text[around[1] : around[2]])
    if isinstance(value, bytes):
        return False
    part = text[span.start : span.end]
    if any(s.exact for s in texts(part)):
        return part in value
    return bool(texts(value))


def _vouched(text: str, span: Span) -> bool:
    part = text[span.start : span.end]
    if span.vouched:
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
        if _only_calculates(text):
            continue
        if span.start == 0 and span.exact:
            return Verdict(span.origin, "chooses the module that is imported", _FIX_MODULE)
        if span.start and (not _NAME.fullmatch("a" + part) or part.startswith("__")):
            return Verdict(span.origin, "leaves the package that the code names", _FIX_MODULE)
    return None


def _only_calculates(text: str) -> bool:
    """Tell whether a name is of Python's own that only makes values, or of their module."""
    module, _, name = text.replace(":", ".").partition(".")
    plain = not name or (name.isidentifier() and not name.startswith("_"))
    if module in VALUE_TYPES:
        return not name or name in VALUE_TYPES[module]
    return module in _CALCULATING and plain and name not in _WITHIN


_CALCULATING = frozenset(
    [
        *("collections", "datetime", "decimal", "fractions", "math", "cmath", "statistics"),
        *("ipaddress", "json", "pprint", "html"),
    ]
)
"""Modules whose functions reach nothing but their arguments. What such a module has imported stays
closed (`_judge_attribute`)."""
VALUE_TYPES = {"uuid": frozenset(("UUID",))}
"""Modules of Python's own of which an event may choose these types of values, and nothing else."""
_WITHIN = frozenset(("tool", "scanner", "encoder", "decoder", "abc", "parser", "entities"))
"""Modules within these."""
_FIX_MODULE = (
    "choose modules from a collection in the code (`if name not in PLUGINS: raise ...`), or import "
    "them all and keep them in a dictionary"
)
