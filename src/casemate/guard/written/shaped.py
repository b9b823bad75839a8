"""Texts of a shape: segments with a name each, entries, labels, whatever language they are in.

No name or type tells what they are. The code has written names, and the same signs around them more
than once; data that has such signs and a name as well is more than a value. So are an end of quotes
or braces that the code has opened, and a command where the code has written others.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..origin import Span
from ..quoted import QUOTE
from ..spans import neutral
from ..verdict import Verdict
from .lines import MAX_LINE, before_in_line, doubtful, is_whole
from .records import shape

MAX_TEXT = 64 * 1024
ENDS_QUOTES = "ends its quotes"
_DATA = "\ue000"
"""What stands for data, which no text has."""
_SIGNS = re.compile(r"[|;&^~'\r\n\\{<>#\"]|\]\(")
"""One of them is in each text with a shape."""
_IN_VALUES = re.compile(r"[^\w .-]")
_HEADS = (
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}[A-Z][A-Z0-9]{1,15}(?=[ \t]{1,4}\S|[\r\n]|\Z)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}\d{1,2} [A-Z]{3,5}\b"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}\d{1,4},(?=[\w.])"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}[a-z_][\w.-]{0,40}:(?=[ \t\r\n]|\Z)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}[a-z][\w-]{0,40}:(?=[^\s/])"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}\[(?=\w)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}\$(?=\w)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}@(?=\w)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}!(?=\w)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}%(?=\w)"),
    re.compile(r"(?:\A|(?<=[\r\n]))[ \t]{0,20}\.(?=\w)"),
)
"""How lines begin that are an order, a field or an entry: `RUN pip`, `1 NOTE`, `16,475`, `app: x`,
`destination:/q`, `[00:12`, `$GPGGA`."""
_SIGNED = _HEADS[-6:]
"""Those that begin with a sign, of which what follows has to be alike as well."""
_RECORD = re.compile(r"(?:.*\r)?[A-Z][A-Z0-9]{1,15}([|*])")
_SEGMENT = re.compile(
    r"(?P<before>[|;&^~'\r\n])[ \t]{0,2}(?P<name>[:#@]?[A-Za-z0-9_][\w.-]{0,40})"
    r"(?P<after>[|*+:=^])"
)
_FIRST = re.compile(r"(?P<before>)(?P<name>[:#@]?[A-Za-z0-9_][\w.-]{0,40})(?P<after>[|*+:=^])")
"""A segment: `PID|`, `NAD+`, `:20:`, `#EXTINF:`, `role=`, behind what ends the one before it."""
_TAG = re.compile(r"(:\d{2}[A-Z]?|[:#@]?[A-Z0-9]{2,16}(?=[|*+^]))([|*+:^])")
"""A segment at the beginning of a line that is all of the data's."""
_CAPITALS = re.compile(r"[:#@]?[A-Z0-9][A-Z0-9_-]{0,40}")
_OF_RECORDS = frozenset((*((sign, "=") for sign in ";&|\n"), ("|", ":")))
"""Signs before and behind names that are of records alone, whatever letters the names have."""
_ENDS_SEGMENT = ("'", "~")
"""Signs that end a segment, behind each of which there may be a line end."""
_MANY = 2
_MAX_NAMES = 200
_BLANK = re.compile(r"\s")
_QUOTES = re.compile(r"[=(\[{,:]\"|[:=] \"|\[\w{1,20} \"")
_BRACES = re.compile(r"(?:=[ \t]{0,3}|\\[A-Za-z]{2,30}(?:\[[^\]\n]{0,80}\])?)\{")
_ENCLOSED = re.compile(
    r"[=(\[{,:]\"\Z|\": \"\Z|= \"\Z|\[\w{1,20} \"\Z|(?:\A|\n)[ \t]{0,20}[A-Z]{2,16} \"\Z"
)
_BRACED = re.compile(_BRACES.pattern + r"\Z")
_END = re.compile(r"[\r\n]")
_ESCAPED = re.compile(r"\\.")
_NUMBERS = re.compile(r"[\d.,\s+-]*")
_STYLES = re.compile(r"[{;]\s{0,20}[\w-]{1,40}:\s{0,4}")
_STYLED = re.compile(_STYLES.pattern + r"\Z")
_MIN_DIRECTIVES = 3
_DIRECTIVE_BEGUN = re.compile(r"[ \t]{0,20}[A-Za-z][\w-]{1,40}[ \t]")
_DIRECTIVE = re.compile(
    r"[ \t]{0,20}[A-Za-z][\w-]{1,40}(?:[ \t]{1,8}[^\s]{1,200}){1,4}(?<![.,!?:;])\s{0,3}"
)
"""A word and a few values, as in settings of SSH; a sentence ends otherwise, or has more words."""
_COMMENT = re.compile(r"[ \t]{0,40}#")
_ENDS_STYLE = re.compile(r"[;{}]")
_NAMED = re.compile(r"[\w\]\[]\[\Z|\n[ \t]{0,9}[-*]? ?\[\Z|\A\[\Z")
_SHOWN = re.compile(r"\)[ \t]{0,3}(?:Tj|show)\b")
_FIX = (
    "refuse values that have the signs between the parts of the text, or escape these as the "
    "format says; better, have a library write it"
)


SYSLOG = re.compile(r"<\d{1,3}>1 \S")
POINT = re.compile(r"[A-Za-z_][\w.-]{0,100},[\w.-]{1,60}=")
_SEQUENCE = re.compile(r"\A>[\w\ue000][^\n]{0,500}\n")


class _Command(NamedTuple):
    """What a text is known by, and what data in it is more than a value by."""

    begins: str
    """A part of all that `own` matches."""
    own: re.Pattern[str]
    data: re.Pattern[str]
    signs: str
    """What of it such data has in any case."""


_COMMANDS = (
    _Command(
        "\\",
        re.compile(r"\\(?:documentclass|usepackage|begin|section|subsection|textbf|item)\b"),
        re.compile(
            r"(?<!\\)(?:\\\\)*\\(?!(?:text[a-z]{2,16}|l?dots|hat|tilde|quad|par|newline|linebreak"
            r"|euro|pounds|copyright|slash|ss|ae|oe|aa)\b)[A-Za-z]{2,40}"
        ),
        "\\",
    ),
    _Command("^", re.compile(r"\^X[AZ]|\^FD"), re.compile(r"[\^~][A-Z][A-Z0-9@]"), "^~"),
    _Command(
        "-->",
        re.compile(r"\d\d:\d\d:\d\d[,.]\d{3} --> "),
        re.compile(r"\d\d:\d\d[,.]\d{3}[ \t]{1,3}-->"),
        ">",
    ),
    _Command(">", _SEQUENCE, re.compile(r"\n>"), "\r\n"),
    _Command(
        "\n",
        re.compile(r"@startuml|\A\s{0,9}(?:graph|flowchart|sequenceDiagram|classDiagram)\b"),
        re.compile(r"[\r\n]"),
        "\r\n",
    ),
    _Command(")", _SHOWN, re.compile(r"(?<!\\)" + _SHOWN.pattern), ")"),
)
"""LaTeX (but for what shows a sign or a space, or ends a line), ZPL, subtitles, sequences,
diagrams, what PDF and PostScript show."""


def has_sign(text: str) -> bool:
    """Tell whether a text has a sign of those that each text with a shape has: most have none."""
    return _SIGNS.search(text) is not None


def may_be(text: str) -> bool:
    """Tell whether a text may have a shape."""
    return len(text) <= MAX_TEXT and has_sign(text)


def signs_of(text: str) -> frozenset[str]:
    """Return the signs of which data has one that is more than a value in this text, by its look.

    None if it has no shape. That data may have other shapes beside it makes them more, never fewer.
    """
    if not may_be(text):
        return frozenset()
    segments = list(itertools.islice(_each_segment(text), _MAX_NAMES))
    found = {one["before"] for one in segments} if len(segments) >= _MANY else set()
    if "\n" in text.strip():
        first = text.lstrip().partition("\n")[0]
        found.update("\r\n", (sign for sign in "|;\t,*" if first.count(sign) >= _MANY))
        found.update(';{}"$%' if "{" in text else "", "<>|!" if "<http" in text else "")
    if '"' in text and (_QUOTES.search(text) or SYSLOG.match(text)) is not None:
        found.add('"')
    if POINT.match(text) is not None:
        found.update(',="')
    if "{" in text and (_BRACES.search(text) or _STYLES.search(text)) is not None:
        found.update(";{}")
    if "](" in text:
        found.update("])")
    for each in _COMMANDS:
        if each.begins in text and each.own.search(text) is not None:
            found.update(each.signs)
    if segments and segments[0]["after"] in "|*":
        found.add(segments[0]["after"])
    return frozenset(found - {""})


def has_commands(text: str) -> bool:
    """Tell whether a text is one of commands, such as LaTeX, by its look."""
    return len(text) <= MAX_TEXT and any(
        each.begins in text and each.own.search(text) is not None for each in _COMMANDS
    )


def judge(
    text: str,
    spans: Sequence[Span],
    admits: Callable[[Span], bool] = lambda span: True,
    begins_lines: Callable[[Span], bool] = lambda span: True,
) -> Verdict | None:
    """Return a verdict if data is more than one value in a text that the code has put together.

    Data that is not to be looked at, `admits` leaves out; that of which no line begins one for who
    reads the text, `begins_lines`.
    """
    if is_whole(text, spans):
        return None
    given = [span for span in doubtful(spans) if _IN_VALUES.search(text, span.start, span.end)]
    given = [span for span in given if admits(span)]
    if not given:
        return None
    lettered, marked = neutral(text, spans), neutral(text, spans, _DATA)
    flat = _flat(text, [span for span in given if not begins_lines(span)])
    for rules, own in ((_BY_NAMES, lettered), (_BY_LOOK, marked)):
        for rule in rules:
            found = next(rule(flat if rule in _OF_LINES else text, own, given), None)
            if found is not None:
                return Verdict(found[0].origin, found[1], _FIX)
    return None


Found = Iterator[tuple[Span, str]]


def _flat(text: str, spans: Sequence[Span]) -> str:
    """Return a text with blanks in the place of the line ends of data."""
    pieces: list[str] = []
    place = 0
    for span in spans:
        pieces += (text[place : span.start], _END.sub(" ", text[max(span.start, place) : span.end]))
        place = max(span.end, place)
    return "".join((*pieces, text[place:]))


def _each_segment(text: str) -> Iterator[re.Match[str]]:
    """Yield the segments of a text; the first one has nothing before it."""
    first = _FIRST.match(text)
    if first is not None:
        yield first
    yield from _SEGMENT.finditer(text)


class _Names:
    """The names that the code has written before its values, by the signs around them."""

    def __init__(self, own: str, spans: Sequence[Span]) -> None:
        self._own = own
        self._names: dict[tuple[str, str], list[tuple[int, str]]] = {}
        at = 0
        for found in _each_segment(own):
            place = found.start("name")
            while at < len(spans) and spans[at].end <= place:
                at += 1
            if at == len(spans) or place < spans[at].start:
                signs = found["before"], found["after"]
                self._names.setdefault(signs, []).append((place, found["name"]))
        self._over_lines = frozenset(self._ended())
        for sign, after in self._over_lines:
            both = (self._names.get((before, after), []) for before in (sign, "\n"))
            self._names[sign, after] = sorted(itertools.chain.from_iterable(both))

    def _ended(self) -> Iterator[tuple[str, str]]:
        """Yield signs around names of segments, EDIFACT's or X12's, between which lines end.

        The line ends are nothing to who reads them.
        """
        for sign in _ENDS_SEGMENT:
            if f"{sign}\n" in self._own or f"{sign}\r\n" in self._own:
                yield from ((sign, after) for after in "+*^|")

    def around(self, span: Span, before: str, after: str) -> list[str]:
        """Return those that have these signs where the data stands: in its text, line or word."""
        held = self._names.get((before, after), [])
        if before and before in "\r\n" and not held:  # readers take both for ends of lines
            held = self._names.get(("\n" if before == "\r" else "\r", after), [])
        start, end = self._bounds(span, "" if (before, after) in self._over_lines else before)
        first = bisect.bisect_left(held, (start, ""))
        last = bisect.bisect_left(held, (end, ""))
        return [name for _, name in held[first : min(last, first + _MAX_NAMES)]]

    def first(self, after: str) -> list[str]:
        """Return what the text begins with, if it has this sign behind it."""
        return [name for _, name in self._names.get(("", after), [])]

    def _bounds(self, span: Span, before: str) -> tuple[int, int]:
        own = self._own
        if not before or before in "\r\n":
            return 0, len(own)
        if before == "&":
            after = _BLANK.search(own, span.end)
            part = own[max(span.start - MAX_LINE, 0) : span.start]
            words = part.split()
            begun = len(words[-1]) if words and not part[-1:].isspace() else 0
            return span.start - begun, after.start() if after is not None else len(own)
        end = own.find("\n", span.end)
        return own.rfind("\n", 0, span.start) + 1, end if end >= 0 else len(own)


def _segments(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that begins a segment like those of the code."""
    names = _Names(own, spans)
    for span in spans:
        within = before_in_line(text, span).strip() != ""
        if not within and (found := _TAG.match(text, span.start, span.end)) is not None:
            known = names.around(span, "\n", found[2])
            if span.start and _are_alike(known, found[1], "\n", found[2]):
                yield span, "begins a segment of its own"
        for found in _SEGMENT.finditer(text, span.start, span.end):
            before, after = found["before"], found["after"]
            if before in "\r\n" and not within:
                continue
            known = [*names.around(span, before, after), *names.first(after)]
            if found["name"] in known:
                yield span, "begins a segment that the code has written as well"
            elif _are_alike(known, found["name"], before, after):
                yield span, "begins a segment of its own"


def _are_alike(known: Sequence[str], name: str, before: str, after: str) -> bool:
    """Tell whether a name that data has is one as those of the code are: more than one of these."""
    if len(known) < _MANY:
        return False
    if (before, after) in _OF_RECORDS:
        return True
    return all(_CAPITALS.fullmatch(one) is not None for one in (*known, name))


def _columns(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data with the sign between the columns of a record that begins with a name."""
    for span in spans:
        record = _RECORD.match(before_in_line(own, span))
        after = own[span.end : span.end + MAX_LINE].partition("\n")[0].partition("\r")[0]
        tabbed = before_in_line(own, span).count("\t") + after.count("\t") >= _MANY
        sign = record[1] if record is not None else "\t" if tabbed else ""
        if sign and sign in after and sign in _ESCAPED.sub("", text[span.start : span.end]):
            yield span, "is more than one column of a record"


def _lines(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that begins a line as the code's own lines begin."""
    within = [
        s for s in spans if _END.search(text, s.start, s.end) and before_in_line(text, s).strip()
    ]
    for head in _HEADS if within else ():
        written = sum(1 for _ in itertools.islice(head.finditer(own), _MANY))
        # Protocols end their lines so: one is enough.
        if written < (1 if "\r\n" in own and head is _HEADS[0] else _MANY):
            continue
        shapes = (
            {shape(own[one.start() :]) for one in head.finditer(own)} if head in _SIGNED else ()
        )
        for span in within:
            found = head.search(text, span.start + 1, span.end)
            if found is None or found.end() <= span.start + 1:
                continue
            if not shapes or shape(text[found.start() : span.end]) in shapes:
                yield span, "begins a line as the code's own lines begin"


def _rows(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that has more columns, or rows, than the code's own rows, which have as many."""
    rows = [row for row in own.splitlines() if row.strip()]
    if len(rows) < _MANY:
        return
    for sign in "|;\t,":
        columns = rows[0].count(sign)
        if columns < _MANY or any(row.count(sign) != columns for row in rows):
            continue
        if sign == "," and ", " in own:
            continue  # sentences
        for span in spans:
            part = text[span.start : span.end]
            quoted = own[max(span.start - 1, 0) : span.start] == own[span.end : span.end + 1] == '"'
            if sign in ",;" and before_in_line(own, span).count(sign) == columns:
                continue  # in the last column, behind which no reader looks for another
            if not quoted and sign in _ESCAPED.sub("", part) and _NUMBERS.fullmatch(part) is None:
                yield span, "is more than one column of a row"


def _ends(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that ends quotes, braces or brackets which the code has opened around it."""
    opens = _opening(own)
    for span in spans:
        part, before = text[span.start : span.end], own[max(span.start - 120, 0) : span.start]
        after = own[span.end : span.end + 1]
        if after == '"' and _ENCLOSED.search(before) is not None:
            doubled = part.replace('""', "") if before[-2:-1] == "," else part  # as in tables
            if QUOTE.search(doubled) is not None:
                yield span, ENDS_QUOTES
        elif after == "}" and _BRACED.search(before) is not None and _ends_pair(part, "{}"):
            yield span, "ends its braces"
        elif after in (";", "}") and "{" in before and _STYLED.search(before) is not None:
            if _ENDS_STYLE.search(part) is not None:
                yield span, "ends its declaration"
        elif after == "]" and before[-1:] == "[" and _ends_pair(part, "[]"):
            if own[span.end : span.end + 2] == "](" or _NAMED.search(before) is not None:
                yield span, "ends its brackets"
        elif after == ")" and opens(before) and _ends_pair(part, "()"):
            yield span, "ends its brackets"


def _directives(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that begins a line among the code's lines of a word and values each."""
    lines = [line for line in own.splitlines() if line.strip() and _COMMENT.match(line) is None]
    if len(lines) < _MIN_DIRECTIVES or not all(map(_DIRECTIVE.fullmatch, lines)):
        return
    for span in spans:
        before = before_in_line(own, span)
        if _DIRECTIVE_BEGUN.match(before) is None and _COMMENT.match(before) is None:
            continue
        for end in _END.finditer(text, span.start, span.end):
            line = text[end.end() : end.end() + MAX_LINE].partition("\n")[0].rstrip("\r")
            if end.end() < span.end and _DIRECTIVE.fullmatch(line) is not None:
                yield span, "begins a line of its own among settings"


def _opening(own: str) -> Callable[[str], bool]:
    """Return what tells whether a bracket is open that is more than one of a sentence."""
    shown = _SHOWN.search(own) is not None
    return lambda before: before[-2:] == "](" or (shown and before[-1:] == "(")


def _ends_pair(part: str, pair: str) -> bool:
    depth = 0
    escaped = False
    for sign in part:
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign in pair:
            depth += 1 if sign == pair[0] else -1
            if depth < 0:
                return True
    return False


def _heads(text: str, own: str, spans: Sequence[Span]) -> Found:
    """Yield data that ends the head of a sequence, whose lines are what stands behind it."""
    if _SEQUENCE.match(own) is None:
        return
    for span in spans:
        if before_in_line(own, span)[:1] == ">" and _END.search(text, span.start, span.end):
            yield span, "ends the head of a sequence"


def _commands(text: str, own: str, spans: Sequence[Span]) -> Found:
    for each in _COMMANDS:
        if each.own.search(own) is None:
            continue
        for span in spans:
            if each.data.search(text, span.start, span.end) is not None:
                yield span, "is a command or an entry of the text that it stands in"


_BY_NAMES = (_segments, _columns)
"""These take letters for data: a name of the code's may end with some."""
_BY_LOOK = (_rows, _lines, _directives, _ends, _heads, _commands)
"""These do not: what data alone begins is none of the code's."""
_OF_LINES = (_segments, _lines, _directives)
