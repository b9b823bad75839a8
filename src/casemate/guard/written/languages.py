"""Languages of scripts that a program writes for others, as tokens."""

from __future__ import annotations

import bisect
import json
import operator
import re
from collections.abc import Sequence

from ..nosql import languages as queries
from ..origin import Span
from ..quoted import STRING, Language, judge, language, tokenize
from ..spans import neutral
from ..verdict import Verdict
from .kinds import Kind

JSON = queries.JSON
_FIX = (
    "write values as literals of the language, json.dumps(value) or repr(value), or hand them over "
    "beside the script: as arguments, variables of the environment, a file that it reads"
)
_DOUBLE = r'"(?:[^"\\]|\\.)*"'
_SINGLE = r"'(?:[^'\\]|\\.)*'"
_BACK = r"`(?:[^`\\]|\\.)*`"
_REGEX = r"(?:(?<![\w)\]}\"'$./])|(?<=\bif )|(?<=\band )|(?<=\bor ))/(?![/*\s])(?:[^/\\\n]|\\.)+/"


TOML: Language = language(
    "TOML document",
    "take line ends and quotes out of the value, or have a library write the document",
    strings=(
        r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\r\n]|\\.)*"'
        r"|'[^'\r\n]*'"
    ),
    opened=r"['\"]",
    comments=r"#[^\r\n]*",
    words=r"[\w.:+-]+",
    numbers=r"(?!)",
    names=False,
)


def _language(name: str, comments: str, *, regex: bool = False) -> Language:
    return language(
        name,
        _FIX,
        strings=f"{_DOUBLE}|{_SINGLE}|{_BACK}" + (f"|{_REGEX}" if regex else ""),
        opened=r"['\"`]",
        comments=comments,
        words=r"[$@%]?[^\W\d]\w*",
    )


_HASH = r"#[^\r\n]*"
_SLASHES = r"//[^\r\n]*|/\*.*?\*/"
LANGUAGES: dict[Kind, Language] = {
    Kind.JAVASCRIPT: queries.JAVASCRIPT,
    Kind.LUA: queries.LUA,
    Kind.JSON: JSON,
    Kind.AWK: _language("program of awk", _HASH, regex=True),
    Kind.PERL: _language("script of Perl", _HASH, regex=True),
    Kind.RUBY: _language("script of Ruby", _HASH, regex=True),
    Kind.PHP: _language("script of PHP", rf"{_HASH}|{_SLASHES}"),
    Kind.CODE: _language("script", rf"{_HASH}|{_SLASHES}"),
}
_INSERTED = {
    Kind.JAVASCRIPT: (re.compile(r"\$\{"), "`"),
    Kind.PERL: (re.compile(r"[$@](?:\{|\w)|\(\?\??\{"), '"`/'),
    Kind.RUBY: (re.compile(r"#[{$@]"), '"`/'),
    Kind.PHP: (re.compile(r"\$\w|\{\$|\$\{"), '"`'),
    Kind.CODE: (re.compile(r"[$%#]\{|\$\("), '"`'),
}
"""What is code within a literal, and the quotes of the literals where it is."""
_BEGINS = tuple('{["-0123456789tfn')
_start = operator.attrgetter("start")
_CALLED = re.compile(r"\s*+(?:/\*[^*]{0,40}+\*/\s*+)?+;?+\s*+(?:typeof\s++)?+\Z")
_CALLEE = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*|\[[0-9]{1,6}\])*(?=\s*\()")


def judge_code(kind: Kind, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than the inside of literals, or is code within one."""
    doubtful = [s for s in spans if not s.vouched]
    if kind is Kind.JAVASCRIPT:
        doubtful = [s for s in doubtful if not _is_callee(text, s)]
    if kind in (Kind.JAVASCRIPT, Kind.JSON):
        doubtful = _without_values(text, doubtful, LANGUAGES[kind])
    elif kind is Kind.CODE:
        coded = [s for s in doubtful if _INSERTED[kind][0].search(text, s.start, s.end)]
        plain = [s for s in doubtful if s not in coded]
        doubtful = sorted([*coded, *_without_values(text, plain, LANGUAGES[kind])], key=_start)
    if not doubtful:
        return None
    spoken = LANGUAGES[kind]
    return judge(text, doubtful, spoken) or judge_inserted(kind, text, doubtful)


def judge_inserted(kind: Kind, text: str, doubtful: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is code within a literal, as `${...}` is in JavaScript."""
    if kind not in _INSERTED:
        return None
    spoken = LANGUAGES[kind]
    inserted, quotes = _INSERTED[kind]
    found = [s for s in doubtful if inserted.search(text, s.start, s.end)]
    if not found:
        return None
    for name, start, end in tokenize(text, spoken):
        if name != STRING or text[start] not in quotes:
            continue
        at = bisect.bisect_left(found, start, key=_start)
        if at < len(found) and found[at].start < end:
            return Verdict(found[at].origin, f"is code in a literal of a {spoken.name}", _FIX)
    return None


def _without_values(text: str, spans: Sequence[Span], spoken: Language) -> list[Span]:
    """Leave out what is a whole value as JSON, outside of literals: one of a script as well."""
    values = [s for s in spans if _is_json(text[s.start : s.end])]
    if not values:
        return list(spans)
    literals = [t for t in tokenize(neutral(text, values), spoken) if t[0] == STRING]
    starts = [start for _, start, _ in literals]

    def inside(span: Span) -> bool:
        at = bisect.bisect_left(starts, span.start) - 1
        return at >= 0 and span.start < literals[at][2]

    free = {s for s in values if not inside(s)}
    return [s for s in spans if s not in free]


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(_BEGINS):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_callee(text: str, span: Span) -> bool:
    """Tell whether data names the function that an answer calls, as JSONP has it."""
    found = _CALLEE.match(text, span.start)
    return (
        found is not None
        and found.end() == span.end
        and _CALLED.match(text[: min(span.start, 200)]) is not None
        and span.start < 200
    )
