"""Texts that the code puts together with a sign between their parts, and cuts at that sign again.

No language is known for it: what the code has written between its values says where one ends. Data
with that sign in it has the text cut elsewhere than where the code has joined it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core import Guard
from ..exponential import is_exponential
from ..notes import JOINED, Made
from ..origin import Span
from ..pieces import as_text
from ..spans import neutral
from ..standing import is_put_together
from ..url.joining import goes_on
from ..verdict import Verdict
from .lines import before_in_line, doubtful, is_whole

MAX_TEXT = 16 * 1024
"""Characters of a text that is looked at where it is cut."""
_ASKED, _JUDGED = 10, 80
"""As how many cuts one counts that is asked how its text was made, and one judged."""
_MAX_WAITING = 4096
"""Notes that wait up to which a text is asked for: to sort in more takes longer than the cut."""
_MAX_SIGNS = 64
_MAX_SIGN = 8
_SINGLE = frozenset("|;,=&\t^~*+'\"$%:#!@<>?\\")
"""Signs at which records are cut, beside those that nobody sees. Paths, sentences and dates have
others in them."""
_OTHER = re.compile(
    r"[^\w\s/.\\-]{2,8}|\s?[|;^~]{1,4}\s?|\s[:=>#*+!@<\\]\s|\s[^\w\s]{2,4}\s|-{1,2}>|__|: ?"
)
_POSITIONAL = "\n"
"""What ends a line that is read by its place alone: the first one of a text."""
_BREAKS = frozenset(("\r", "\r\n"))
"""At which protocols end their lines: what begins one may be a text of several."""
_WORDS = re.compile(r"\s(?:AND|OR|NOT|UNION|THEN)\s")
"""Words between the parts of an expression."""
_NOT_CUT = frozenset(("://", "...", "''", '""', "!=", "==", "=>"))
_CLASS = re.compile(r"(?:\\s\*)?\[((?:[^\]\[\\^]|\\[nrt;|&]){1,20})\][+]?(?:\\s\*)?")
"""A pattern of a few signs."""
_ESCAPES = (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\", ""))
_ORDER = re.compile(r"[a-z]{2,16}[ \t]\S")
_NUMBERS = re.compile(r"[\d:.,+/\s-]*")
"""Times, dates, versions, coordinates."""
_OF_WORDS = re.compile(r"\\[wWdD]|\\s\+|\[\^|\.[*+?]")
"""What a pattern has that divides words of people, or takes any text."""
_SCHEME, _MAX_URL = "://", 2048
"""Where a client of the code's own begins to look for the host of a URL."""
_MAX_PATTERN = 40
_PLAIN = ("qq qq", "q, q. q", "q\nq")
_PAIRS = {"|": "&", "||": "&&", " or ": " and ", " | ": " & "}
"""What divides alternatives of conditions, and what divides these."""
_CHANGED = "is more than one part of a text that the code cuts again"
_FIX = (
    "refuse values with the sign that stands between the parts of the text, or escape it: "
    "urllib.parse.quote(value, safe=''), json.dumps"
)


class Cut(NamedTuple):
    """How a text is cut."""

    sign: str
    most: int = -1
    """How often, at most; all of them if negative."""
    backwards: bool = False
    part: int | None = None
    """Which part is used, if no other is: `text.split(";")[0]`."""

    def places(self, text: str) -> Sequence[int]:
        """Return where a text is cut; where the one part begins and ends, if it is one."""
        found: list[int] = []
        end, at = len(text), 0
        while len(found) != self.most:
            place = text.rfind(self.sign, 0, end) if self.backwards else text.find(self.sign, at)
            if place < 0:
                break
            found.append(place)
            end, at = place, place + len(self.sign)
        if self.part is None:
            return found
        around = [-1, *sorted(found), len(text)]
        number = self.part if self.part >= 0 else len(around) - 1 + self.part
        return around[number : number + 2]


class Signs(dict[str, bool]):
    """Whether the code may have written a sign between parts of its texts."""

    def __init__(self, guard: Guard | None = None) -> None:
        """Without a guard none."""
        super().__init__()
        self._guard = guard

    def __missing__(self, sign: str) -> bool:
        answer = self._guard is not None and _divides(sign) and _is_put(self._guard, sign)
        if len(self) < _MAX_SIGNS:
            self[sign] = answer
        return answer


def _divides(sign: str) -> bool:
    if sign == _SCHEME:
        return True
    if sign in _SINGLE or sign in _BREAKS or _WORDS.fullmatch(sign) is not None:
        return True
    if (len(sign) == 1 and not sign.isprintable()) or sign in _PAIRS:
        return True
    return (
        1 < len(sign) <= _MAX_SIGN and sign not in _NOT_CUT and _OTHER.fullmatch(sign) is not None
    )


def _is_put(guard: Guard, sign: str) -> bool:
    known = guard.constants
    if sign == _POSITIONAL or _WORDS.fullmatch(sign) is not None:
        return True
    if sign == _SCHEME:
        return any(_SCHEME in text and text != sign for text in known.texts)
    signs = {sign, _PAIRS.get(sign, sign)}
    return not known.between.isdisjoint(signs) or any(
        one in text and text != one for one in signs for text in known.texts
    )


def look_for_signs(guard: Guard) -> None:
    """Have the code's cuts at signs announced that it may have written itself."""
    guard.provenance.divides = Signs(guard)


def read_parts(guard: Guard, text: Any, arguments: tuple[Any, ...], *_: Any) -> None:
    """Block a text (BlockedError) that the code cuts at a sign which data has brought as well."""
    provenance = guard.provenance
    if type(text) is not str or len(text) > MAX_TEXT or provenance.cuts_left <= 0:
        return
    provenance.cuts_left -= _ASKED
    if len(arguments[0]) == 1:
        _read_pattern(guard, text, *arguments[0])
        return
    cut = Cut(*arguments[0])
    if cut.sign == _SCHEME:
        if len(text) <= _MAX_URL:
            guard.decide("url", lambda: goes_on(guard, text))
        return
    if cut.sign == _POSITIONAL and cut.part is None:
        return  # lines, which are judged by what begins them
    _read_cut(guard, text, cut)


def _read_cut(guard: Guard, text: str, cut: Cut) -> None:
    provenance = guard.provenance
    if len(provenance._waiting) > _MAX_WAITING or not is_put_together(guard, text):
        return
    made = provenance.of(text)
    if made is not None and made.kind is JOINED and not _is_in_values(made, cut.sign):
        return
    provenance.cuts_left -= _JUDGED
    guard.check("deserialisation", text, lambda whole, spans: judge_cut(cut, whole, spans))


def _read_pattern(guard: Guard, text: str, pattern: str) -> None:
    """Block orders (BlockedError) that the code divides by a pattern of a few signs, `;` too."""
    literal = pattern.removeprefix("\\") if not pattern[1:].isalnum() else ""
    if literal and re.escape(literal) in (pattern, f"\\{pattern}"):
        if guard.provenance.divides[literal]:
            _read_cut(guard, text, Cut(literal))
        return
    signs = _class_of(pattern)
    if ";" in signs and is_put_together(guard, text):
        guard.provenance.cuts_left -= _JUDGED
        guard.check("deserialisation", text, functools.partial(_judge_orders, signs))
    elif is_put_together(guard, text) and (compiled := _dividing(pattern)) is not None:
        guard.provenance.cuts_left -= _JUDGED
        guard.check("deserialisation", text, functools.partial(_judge_pattern, compiled))


@functools.lru_cache(maxsize=256)
def _dividing(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern that looks for signs alone, which are not between words of people."""
    if len(pattern) > _MAX_PATTERN or _OF_WORDS.search(pattern) is not None:
        return None
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None
    return None if is_exponential(pattern) or any(map(compiled.search, _PLAIN)) else compiled


def _judge_pattern(pattern: re.Pattern[str], text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_cut`, of a pattern at which a text is cut."""
    seen = [span for span in spans if not span.is_piece]
    if not seen or is_whole(text, seen) or pattern.search(neutral(text, seen)) is None:
        return None
    for span in doubtful(seen):
        part = text[span.start : span.end]
        if pattern.search(part) is not None and _NUMBERS.fullmatch(part) is None:
            return Verdict(span.origin, _CHANGED, _FIX)
    return None


def _class_of(pattern: str) -> str:
    """Return the signs that a pattern consists of, `;` or `[;\\n]`; none if it is another."""
    found = _CLASS.fullmatch(pattern)
    signs = found[1] if found is not None else pattern if pattern == ";" else ""
    for escape, sign in _ESCAPES:
        signs = signs.replace(escape, sign)
    return signs


def _judge_orders(signs: str, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge orders of the code's own, each of which begins with a word: data begins none."""
    seen = [span for span in spans if not span.is_piece]
    if not seen or is_whole(text, seen) or _ORDER.match(neutral(text, seen)) is None:
        return None
    for span in doubtful(seen):
        ends = [at for sign in signs if (at := text.find(sign, span.start, span.end)) >= 0]
        following = text[min(ends) + 1 :].lstrip() if ends else ""
        place = len(text) - len(following)
        if following and any(one.start <= place < one.end for one in seen):
            return Verdict(span.origin, "is more than one order of those that the code cuts", _FIX)
    return None


def _is_in_values(made: Made, sign: str) -> bool:
    values = (part for number, part in enumerate(made.parts) if not made.constant >> number & 1)
    return any(sign in as_text(value) for value in values if value != sign)


def judge_cut(cut: Cut, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data has a text cut elsewhere than where the code has joined it."""
    seen = [span for span in spans if not span.is_piece]
    if not seen or is_whole(text, seen):
        return None
    own, word = neutral(text, seen), _WORDS.fullmatch(cut.sign) is not None
    paired = _PAIRS.get(cut.sign.lower(), cut.sign)
    written = cut.sign in own or paired in own.lower() or (word and _WORDS.search(own))
    if not written:
        return None  # it is the event's to write
    given = [span for span in doubtful(seen) if _has(text, span, cut.sign)]
    if word or cut.sign[0] == " ":
        given = [span for span in given if not _stays_in_quotes(text, span)]
    if cut.sign in _BREAKS:
        given = [span for span in given if before_in_line(text, span).strip()]
    if not given or cut.places(text) == cut.places(neutral(text, given)):
        return None
    return Verdict(given[0].origin, _CHANGED, _FIX)


def _stays_in_quotes(text: str, span: Span) -> bool:
    """Tell whether the code has put quotes around data that has none: its words are a value's."""
    before = text[max(span.start - 1, 0) : span.start]
    quoted = before in ("'", '"') and text[span.end : span.end + 1] == before
    return quoted and before not in text[span.start : span.end]


def _has(text: str, span: Span, sign: str) -> bool:
    part = text[span.start : span.end]
    if sign == "=":
        part = part.rstrip("=")  # as base64 ends
    return sign in part and _NUMBERS.fullmatch(part) is None
