"""Did data add to a template's code? Its tags must be the same with harmless data there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..origin import Span
from ..spans import Cover, neutral
from ..verdict import Verdict
from .tags import Kind, Tags

NEEDED = ("template", "needed")
"""Under which is kept what templates of the event show, and where it is from."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LITERAL = re.compile(
    "|".join(rf"{q}[^{q}\\]*(?:\\(?:.|\Z)[^{q}\\]*)*(?:{q}|\Z)" for q in "\"'"), re.DOTALL
)
"""A text in an expression; one that nothing ends goes on to the end, so that it is linear."""
_PLAIN_WORDS = re.compile(r"[\w ]*")
FIX = (
    'keep the template in the code and give the data as context: Template("Hello {{ name }}")'
    ".render(name=name); templates that users write belong into "
    "jinja2.sandbox.ImmutableSandboxedEnvironment"
)


_BODY = r"[^{}<>%#\[\]$\n]{1,200}?"
"""What is in a tag that shows a value."""
_BRACES = ("{{", "}}")


class Syntax(NamedTuple):
    """How an engine tells code from text."""

    tags: Tags
    """Whole tags, with the code in them."""
    marks: re.Pattern[str]
    """What begins a tag, closed or not."""
    shows: re.Pattern[str] | None = None
    """Whole tags that show a value, and what is in them (`body`)."""


def syntax(tags: Sequence[Kind], marks: Sequence[str], shows: str = "") -> Syntax:
    """Return a syntax from patterns."""
    return Syntax(
        Tags(tags),
        re.compile("|".join(marks), re.DOTALL | re.MULTILINE),
        re.compile(shows) if shows else None,
    )


def delimited(
    pairs: Sequence[tuple[str, str]],
    lines: Sequence[str] = (),
    shown: tuple[str, str] | None = None,
) -> Syntax:
    """Return the syntax of an engine whose tags have delimiters; `lines` begin lines of code.

    `shown` are those of tags that show a value.
    """
    tags = [Kind(re.escape(begin), end) for begin, end in pairs]
    # What ends a tag ends nothing outside of one, such as in `{"a": {"b": 1}}`.
    marks = [re.escape(begin) for begin, _ in pairs]
    begun = [Kind(rf"^[ \t]*{re.escape(line)}[^\n]*") for line in lines]
    begin, end = map(re.escape, shown or ("", ""))
    shows = f"{begin}(?P<body>{_BODY}){end}" if shown else ""
    begins = [*marks, *(rf"^[ \t]*{re.escape(line)}" for line in lines)]
    return syntax([*tags, *begun], begins, shows)


JINJA = delimited((("{{", "}}"), ("{%", "%}"), ("{#", "#}")), shown=_BRACES)
MAKO = syntax(
    [
        *(Kind(r"\$\{", "}"), Kind("<%", ">"), Kind("</%", ">")),
        *(Kind(r"^[ \t]*%(?!%)[^\n]*"), Kind(r"^[ \t]*##[^\n]*")),
    ],
    [r"\$\{", r"<%", r"</%", r"^[ \t]*%(?!%)", r"^[ \t]*##"],
    rf"\$\{{(?P<body>{_BODY})\}}",
)
TORNADO = JINJA
DJANGO = JINJA
BOTTLE = delimited((("{{", "}}"), ("<%", "%>")), ("%",), shown=_BRACES)
CHAMELEON = syntax(
    [
        *(Kind(r"\$\{", "}"), Kind(r"<\?python", "?>")),
        Kind(r"(?:tal|metal|i18n):[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')"),
    ],
    [r"\$\{", r"<\?python", r"(?:tal|metal|i18n):", r"<"],
    rf"\$\{{(?P<body>{_BODY})\}}",
)
CHEETAH = syntax([Kind(r"\$\S+"), Kind(r"#\w+[^\n]*"), Kind("<%", "%>")], [r"\$", r"#", r"<%"])
VELOCITY = CHEETAH
MUSTACHE = delimited((("{{", "}}"),), shown=_BRACES)


def judge(text: str, spans: Sequence[Span], how: Syntax) -> Verdict | None:
    """Return a verdict if `spans` begin, end or stand in a tag."""
    doubtful = [s for s in spans if not s.vouched and not _NUMBER.fullmatch(text, s.start, s.end)]
    if not doubtful:
        return None
    code_alone = neutral(text, doubtful)
    tags = how.tags.find(text)
    for found, expected in (
        (tags, how.tags.find(code_alone)),
        (_places(how.marks, text), _places(how.marks, code_alone)),
    ):
        if found != expected:
            new = next((f for f in found if f not in expected), (doubtful[-1].start, 0))
            origin = next((s for s in doubtful if s.end > new[0]), doubtful[-1]).origin
            return Verdict(origin, "adds code to the template", FIX)
    for start, end in tags:
        for span in doubtful:
            if span.start < end and span.end > start and not _is_data(text, span):
                return Verdict(span.origin, "stands in the template's code", FIX)
    return None


def judge_expression(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more in an expression than the inside of a literal."""
    doubtful = [s for s in spans if not s.vouched and not _NUMBER.fullmatch(text, s.start, s.end)]
    if not doubtful:
        return None
    literals = _places(_LITERAL, text)
    if literals != _places(_LITERAL, neutral(text, doubtful)):
        return Verdict(doubtful[0].origin, "adds code to the template", FIX)
    inside = Cover((start + 1, end - 1) for start, end in literals)
    for span in doubtful:
        words = not span.exact or span.checked in ("pattern", "word")
        if not inside.holds(span.start, span.end) and not (
            words and _PLAIN_WORDS.fullmatch(text, span.start, span.end)
        ):
            return Verdict(span.origin, "stands in the template's code", FIX)
    return None


def _places(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def _is_data(text: str, span: Span) -> bool:
    """Tell whether data in code is a word by chance, or the inside of a plain literal."""
    part = text[span.start : span.end]
    if not span.exact or span.checked in ("pattern", "word"):
        return _PLAIN_WORDS.fullmatch(part) is not None
    before = text[max(0, text.rfind("{", 0, span.start)) : span.start]
    for quote in "\"'":
        if before.count(quote) % 2:
            return quote not in part and "\\" not in part
    return False
