"""Lines that the code puts together and reads again one by one, whatever its own format is.

No look tells of it. What the code has written into its own lines does, together with how it reads
lines: a name and a sign behind it, at which it cuts; as many columns; or a pattern of its own. Data
that begins another line of that kind is more than the value that it was put in as.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from ..constants import Constants
from ..core import Guard
from ..exponential import is_exponential
from ..origin import Span
from ..spans import neutral
from ..verdict import Judge, Verdict
from .lines import (
    BREAKS,
    MAX_LINE,
    before_in_line,
    begun_behind_blanks,
    doubtful,
    is_whole,
)

NAME = "deserialisation"
MAX_TEXT = 64 * 1024
_DATA = "\ue000"
"""What stands for data, which no text has."""
_HEAD = re.compile(
    r"[ \t]{0,8}(?P<key>[\[(<*#@$%/!.+-]{0,3}[A-Za-z_][\w./-]{0,40}[\])>]?)"
    r"(?P<sign>[ ]?(?:[:=]{1,2}|->|=>|[|;,~^#>])[ ]?|\t| )"
)
"""A name, and the sign behind it."""
_TAGGED = re.compile(r"[ \t]{0,8}[\[<{@#$!%/*.+-]{1,3}[A-Za-z_][\w./-]{0,40}[\]>}]?(?=\s|\Z)")
"""A name with signs before it: `[private]`, `@end`, `/ban`."""
_BEGINNINGS = re.compile(r"\A.{2,60}")
_SIGN = re.compile(r"[^\w\s.,'\"!?)(-]")
_ITEMS = frozenset(("*", "+", ">", "#", "##", "###"))
"""What begins items, quotations and headings of Markdown; a `-` asks for nothing anyway."""
_MAX_ASKED = 40
"""Characters of a beginning for which a line is asked."""
_DIRECTIVE = re.compile(r"\s{0,16}[A-Za-z_][\w-]{1,40} [^;]{1,300};\s*\Z")
"""A line of settings: a word, what it is set to, and a semicolon."""
_COLUMNS = "\t|;~^*,\x1f"
_MIN_DIRECTIVES = 2
_MAX_LINES, _MAX_PATTERNS, _MAX_PATTERN = 200, 64, 400
_PLAIN = ("qqqq qqqq", "qqqq")
"""What a pattern takes that asks for nothing in particular."""
_CHANGED = "begins a line of its own among those that the code reads"
_FIX = (
    "refuse line ends in what goes into a line, or write values by json.dumps() or repr(), which "
    "leave none in them"
)


Admitting = Callable[[str, Sequence[Span]], Callable[[Span], bool]]
"""Returns what leaves out data in which no line begins for who reads the text."""


def judging(guard: Guard, admitting: Admitting | None = None, *, listed: bool = True) -> Judge:
    """Return what judges lines that the code reads again, by what its code has written.

    Without `listed` what begins an item of a list (`* `) is for people alone.
    """
    return lambda text, spans: judge(guard.constants, text, spans, admitting, listed=listed)


def judge(
    known: Constants,
    text: str,
    spans: Sequence[Span],
    admitting: Admitting | None = None,
    *,
    listed: bool = True,
) -> Verdict | None:
    """Return a verdict if data begins a line such as the code has written and reads."""
    seen = [span for span in spans if not span.is_piece]
    if len(text) > MAX_TEXT or not seen or is_whole(text, seen):
        return None
    own = neutral(text, seen, _DATA)
    given = [
        span
        for span in doubtful(seen)
        if _begins(own, span) and any(begun_behind_blanks(text, span))
    ]
    if given and admitting is not None:
        given = list(filter(admitting(text, seen), given))
    if not given:
        return None
    lines = [line for line in BREAKS.split(own, maxsplit=_MAX_LINES) if line.strip(_DATA + " \t")]
    for span in given:
        # In quotes a reader may fold a line end, as YAML does, but not one of directives.
        quoted = _is_quoted(text, span)
        alike = _ended(known, lines) if quoted else _alike(known, text, lines, span, listed=listed)
        for place in itertools.islice(begun_behind_blanks(text, span), _MAX_LINES):
            if alike(BREAKS.split(text[place : place + MAX_LINE], maxsplit=1)[0]):
                return Verdict(span.origin, _CHANGED, _FIX)
    return None


def _is_quoted(text: str, span: Span) -> bool:
    """Tell whether the code has put quotes around data that has none of them."""
    sign = text[max(span.start - 1, 0) : span.start]
    around = sign in ("'", '"') and text[span.end : span.end + 1] == sign
    return around and sign not in text[span.start : span.end]


def _begins(own: str, span: Span) -> bool:
    """Tell whether the code has begun the line in which data stands."""
    return before_in_line(own, span).strip(_DATA + " \t") != ""


def _alike(
    known: Constants, text: str, lines: Sequence[str], span: Span, *, listed: bool
) -> Callable[[str], bool]:
    """Return what tells whether a line is one like those of the code."""
    rules = (
        _named(known, lines),
        _asked(known, lines, listed=listed),
        _tagged(lines),
        _ended(known, lines),
        _rows(known, lines),
        _read(known, text, span),
    )
    return lambda line: any(rule(line) for rule in rules)


def _named(known: Constants, lines: Sequence[str]) -> Callable[[str], bool]:
    heads = [found for line in lines if (found := _HEAD.match(line)) is not None]
    pairs = {(found["key"], found["sign"]) for found in heads}
    signs = {sign.strip() or sign for _, sign in pairs}
    orders = len(heads) == len(lines) and not any(map(_is_sentence, lines))
    # Of orders that the code reads it asks for one that it has written itself.
    orders = orders and any(known.holds(found["key"]) for found in heads)

    def alike(line: str) -> bool:
        found = _HEAD.match(line)
        if found is None:
            return False
        key, sign = found["key"], found["sign"]
        bare = sign.strip() or sign
        if bare == " ":
            # Sentences have words as well: it is one that the code reads by itself.
            reads = known.holds(" ") or known.holds(f"{key} ") or known.holds(key)
            return reads and ((key, sign) in pairs or (orders and known.holds(key)))
        return (key, sign) in pairs or (bare in signs and _cuts(known, bare, sign, key))

    return alike


def _is_sentence(line: str) -> bool:
    """Tell whether a line begins or ends as what people write, and not as an order does."""
    first = line.strip().partition(" ")[0]
    return not (first.islower() or first.isupper()) or line.rstrip()[-1:] in ".,!?:"


def _asked(known: Constants, lines: Sequence[str], *, listed: bool) -> Callable[[str], bool]:
    """Return what tells whether a line begins as one of the code's does, for which it may ask."""
    heads = (line.partition(_DATA)[0].lstrip() for line in lines)
    parts = {found[0] for head in heads for found in _BEGINNINGS.finditer(head) if found[0]}
    asked = [
        text
        for text in known.texts
        if 1 < len(text) <= _MAX_ASKED
        and _SIGN.search(text)
        and (listed or text.strip() not in _ITEMS)
        and any(p.startswith(text) for p in parts)
    ]
    return lambda line: line.startswith(tuple(asked))


def _cuts(known: Constants, *signs: str) -> bool:
    return any(known.holds(sign) for sign in signs)


def _tagged(lines: Sequence[str]) -> Callable[[str], bool]:
    tags = [found[0].strip() for line in lines if (found := _TAGGED.match(line)) is not None]
    shapes = {_shape(tag) for tag in tags}

    def alike(line: str) -> bool:
        found = _TAGGED.match(line)
        return found is not None and _shape(found[0].strip()) in shapes

    return alike


def _ended(known: Constants, lines: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a line is a directive, as more than one of the code's is."""
    own = sum(_DIRECTIVE.match(line) is not None for line in lines)
    if own < _MIN_DIRECTIVES or not known.holds(";"):
        return lambda line: False
    return lambda line: _DIRECTIVE.match(line) is not None


def _shape(tag: str) -> str:
    return re.sub(r"\w[\w./-]*", "a", tag)


def _rows(known: Constants, lines: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a line has as many columns as all of the code's own lines."""
    counts = {sign: {line.count(sign) for line in lines} for sign in _COLUMNS if known.holds(sign)}
    least = {sign: min(found) for sign, found in counts.items() if found}
    return lambda line: any(
        count and line.count(sign) >= max(count, 2 if sign == "," else 1)
        for sign, count in least.items()
    )


def _read(known: Constants, text: str, span: Span) -> Callable[[str], bool]:
    """Return what tells whether a pattern of the code's takes a line, and the code's own line."""
    start = span.start - len(before_in_line(text, span))
    first = BREAKS.split(text[start : start + MAX_LINE], maxsplit=1)[0]
    patterns = [one for one in _patterns(known) if one.match(first) is not None]
    return lambda line: any(one.match(line) is not None for one in patterns)


def _patterns(known: Constants) -> Iterator[re.Pattern[str]]:
    """Yield the patterns of the code's that ask for something in particular."""
    texts = (t for t in known.texts if "(" in t and len(t) <= _MAX_PATTERN and "\n" not in t)
    for text in itertools.islice(texts, _MAX_PATTERNS):
        try:
            if not is_exponential(text):
                pattern = re.compile(text)
            else:
                continue
        except (re.error, OverflowError, RecursionError, ValueError):
            continue
        if not any(map(pattern.match, _PLAIN)):
            yield pattern
