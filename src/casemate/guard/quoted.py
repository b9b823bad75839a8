"""Did data change the structure of a text in a small language with quoted literals?

Tokens must be the same with harmless letters in place of the data, as for SQL (`sql/structure.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .origin import Span
from .plain_names import is_plain
from .spans import neutral
from .verdict import Verdict

STRING, WORD, NUMBER, OPERATOR, COMMENT, BROKEN = (
    "string literal",
    "word",
    "number",
    "operator",
    "comment",
    "unterminated literal",
)
Token = tuple[str, int, int]
"""Kind, and where it begins and ends."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_PHRASE = re.compile(r"[\w\s.,:@*/()\[\]|-]+")
_SIGN = re.compile(r"[<>]=?|!?=")
"""How the code compares, where it has the sign itself: `Op("<").value`."""
_NAME = re.compile(r"[^\W\d][\w.:-]*")
QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')
"""A double quote that is not behind a backslash."""


class Language(NamedTuple):
    """How a language is cut into tokens."""

    name: str
    pattern: re.Pattern[str]
    """Groups `s` string, `c` comment, `b` unterminated, `n` number, `w` word; else operator."""
    fix: str
    names: bool = True
    """Whether a bare word that the event chose changes the structure."""
    harmless: frozenset[str] = frozenset()
    """Words, in lower case, that may be chosen all the same."""
    chosen: re.Pattern[str] | None = None
    """Where the event may choose a plain name: matched from the character before one, its name in
    the group `name`."""


def language(
    name: str,
    fix: str,
    *,
    strings: str,
    opened: str,
    words: str = r"[^\W\d][\w.:-]*",
    comments: str = r"(?!)",
    numbers: str = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    names: bool = True,
    harmless: frozenset[str] = frozenset(),
    chosen: str = "",
) -> Language:
    """Return a language by the patterns of its tokens; white space is none."""
    pattern = (
        rf"(?P<x>\s+)|(?P<c>{comments})|(?P<s>{strings})|(?P<b>(?:{opened}).*)"
        rf"|(?P<n>{numbers})|(?P<w>{words})|(?P<o>.)"
    )
    places = re.compile(chosen, re.DOTALL) if chosen else None
    return Language(name, re.compile(pattern, re.DOTALL), fix, names, harmless, places)


_KINDS = {"c": COMMENT, "s": STRING, "b": BROKEN, "n": NUMBER, "w": WORD, "o": OPERATOR}


def tokenize(text: str, spoken: Language) -> list[Token]:
    """Return the tokens of a text; what is not closed is one BROKEN token to the end."""
    return [
        (_KINDS[group], match.start(), match.end())
        for match in spoken.pattern.finditer(text)
        if (group := match.lastgroup) is not None and group != "x"
    ]


def judge(text: str, spans: Sequence[Span], spoken: Language) -> Verdict | None:
    """Return a verdict if data is more than the inside of literals, a number, or a checked name."""
    spans = [trimmed for span in spans if (trimmed := _trimmed(text, span)) is not None]
    doubtful = [s for s in spans if not vouched(text, s) or _is_compared(text, s, spoken)]
    if not doubtful:
        return None
    tokens = tokenize(text, spoken)
    if tokens and tokens[-1][0] == BROKEN:
        origin = nearest(doubtful, tokens[-1][1]).origin
        return Verdict(origin, f"stands in a {spoken.name} with an open literal", spoken.fix)
    doubtful = _without_quotes(doubtful, tokens)
    worded = [s for s in doubtful if not _NUMBER.fullmatch(text, s.start, s.end)]
    expected = tokenize(neutral(text, worded), spoken)
    if tokens != expected:
        place = next(
            (t[1] for t, e in zip(tokens, expected, strict=False) if t != e),
            min(t[-1][2] for t in (tokens, expected) if t),
        )
        changed = f"changes the structure of a {spoken.name}: it is more than one value"
        return Verdict(nearest(doubtful, place).origin, changed, spoken.fix)
    if spoken.names:
        for span in worded:
            if (
                span.exact
                and _is_bare(text, span, tokens, spoken)
                and not _is_free(text, span, spoken)
            ):
                words = f"is a name or keyword of a {spoken.name}"
                return Verdict(span.origin, words, spoken.fix)
    return None


def _is_free(text: str, span: Span, spoken: Language) -> bool:
    """Tell whether a span is a plain name where the event may choose one."""
    part = text[span.start : span.end]
    if spoken.chosen is None or not is_plain(part.replace("-", "_")):
        return False
    # Blanks before a name say nothing.
    before = len(text[: span.start].rstrip())
    found = spoken.chosen.match(text, max(before - 1, 0))
    return found is not None and found.span("name") == (span.start, span.end)


def _without_quotes(spans: Sequence[Span], tokens: Sequence[Token]) -> list[Span]:
    """Leave out the quotes of whole literals that were found by search.

    The event may have them as well: what is JSON in its text is quoted as `json.dumps` does it.
    """
    if all(span.exact for span in spans):
        return list(spans)
    literals = {token[1:] for token in tokens if token[0] == STRING}
    return [
        s._replace(start=s.start + 1, end=s.end - 1)
        if not s.exact and (s.start, s.end) in literals
        else s
        for s in spans
    ]


def _trimmed(text: str, span: Span) -> Span | None:
    part = text[span.start : span.end]
    start = span.start + len(part) - len(part.lstrip())
    end = start + len(part.strip())
    return span._replace(start=start, end=end) if start < end else None


def vouched(text: str, span: Span) -> bool:
    """Tell whether the function's code itself has checked or foreseen this very value."""
    if span.checked == "member":
        return True
    if span.checked == "constant":
        return any(p.fullmatch(text, span.start, span.end) for p in (_PHRASE, _SIGN))
    if span.checked in ("named", "pattern", "word"):
        return _NAME.fullmatch(text, span.start, span.end) is not None
    return False


def _is_compared(text: str, span: Span, spoken: Language) -> bool:
    """Tell whether a vouched word stands where a value is due: `name = name` is always true."""
    if not spoken.names or span.checked == "member" or not text[span.start].isidentifier():
        return False
    return text[: span.start].rstrip()[-1:] in ("=", "<", ">")


def opens_quotes(before: str) -> bool:
    """Tell whether a double quote is open at the end of a text, those behind a backslash aside."""
    return len(QUOTE.findall(before)) % 2 == 1


def nearest(spans: Sequence[Span], place: int) -> Span:
    """Return the span at or after a place, the last one if there is none."""
    return next((span for span in spans if span.end > place), spans[-1])


def _is_bare(text: str, span: Span, tokens: Sequence[Token], spoken: Language) -> bool:
    return any(
        kind == WORD
        and start >= span.start
        and end <= span.end
        and text[start:end].lower() not in spoken.harmless
        for kind, start, end in tokens
    )
