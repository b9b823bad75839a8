"""Records of logs, of what is printed and of trails that a program keeps: data begins none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..origin import Span
from ..quoted import judge as judge_quoted
from ..spans import neutral
from ..verdict import Verdict
from .alike import ends_comment, ends_label, is_alike
from .languages import JSON
from .lines import BREAKS, MAX_LINE, before_in_line, begun, doubtful, is_whole

_CONTROL = re.compile(r"[\x00\x07\x08\x1b\x7f\x9b]")
_SHAPES = ((re.compile(r"\d+"), "0"), (re.compile(r"[A-Z]+(?![a-z])"), "A"))
_WORDS = re.compile(r"[A-Za-z]*[a-z][A-Za-z]*")
_FIRST = re.compile(r"\s*(\S+)")
_TOKEN = re.compile(r"[^\s|:,=]+|\S")
_FIELD = re.compile(r"[|;\t]\s?[A-Za-z_]\w{0,63}=")
_NAMED = re.compile(r"(?<![\w|;])[A-Za-z_]\w{0,63}=")
_WORD_NAMED = re.compile(r" [A-Za-z_]\w{0,63}=")
_KEY = re.compile(r"[A-Za-z_]\w{0,63}[=:]")
_LEVEL = re.compile(
    r"[\[(<]?(?:DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|AUDIT)\b[\])>:|]?"
    r"|[\[(<](?:debug|info|notice|warn|warning|error|critical|fatal|audit)[\])>]"
)
_TIME = re.compile(r"[\[(]?\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_STAMPS = (
    re.compile(r"[\[(]?\d\d:\d\d:\d\d(?!\d)"),
    re.compile(r"[\[(]?\d{9,13}(?:\.\d{1,9})?(?![\w.])"),
    re.compile(r"<\d{1,3}>"),
    re.compile(r"#\d{1,9}(?!\w)"),
    re.compile(r"[\[(]?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"[\[(]?(?:[A-Z][a-z]{2} [ \d]\d|\d\d/[A-Z][a-z]{2}/\d{4})[ :]\d\d:\d\d:\d\d"),
)
"""What else records begin with: a time, seconds, a priority, a number, a UUID, a date."""
_LETTERS = re.compile(r"[^\W\d_]")
_MIN_LETTERS = 3
"""Of what the code has written before data, by which another line that begins so is a record."""
_DIVIDING = ("|", "\t")
_ACCESS = re.compile(r"\S{1,200} \S{1,200} (?:\S{1,200} )?(?:\[[^\]\n]{0,60}\] )?\"[A-Z]{3,10} ")
"""How a line of an access log begins, in the forms that servers of HTTP write."""
_WORDS_FIRST = re.compile(r"^(?:[A-Za-z<(]|\d{4}-)", re.MULTILINE)
"""What begins a line that is no JSON, nor a part of it."""
_LEVELED = re.compile(rf"(?:\S{{1,40}}[ \t]){{0,3}}(?:{_LEVEL.pattern})")
"""A line with a level among its first words."""
_RECORD = re.compile(f"{_LEVEL.pattern}|{_TIME.pattern}")
_WARNED = re.compile(r"\S{1,200}:\d{1,7}: ")
"""How Python begins what it shows of a warning."""
_TAG = re.compile(r"[A-Z][A-Z0-9_-]{2,30}(?=[ :|=])")
"""How a record begins that says in capitals what it is of."""
_RUNNER = re.compile(r"::[a-z][a-z-]{1,30}(?: [^:\n]{0,200})?::|##(?:vso|teamcity)\[")
"""How what is printed gives orders to what runs a pipeline: GitHub Actions, Azure, TeamCity."""
_OBJECT = re.compile(r"\{\s?\"[^\"{}]{1,64}\":")
_TRACE = "Traceback (most recent call last)"
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,200}: ")
_MIN_WORDS = 2
"""Of the code's before data, after which a line with the same words is a record like it."""
_MIN_NUMBERS, _MIN_COLUMNS = 2, 3
FIX_LOG = (
    "write what is from outside as JSON or by its repr (`%r`), or take line ends and control "
    "characters out of it: `' '.join(value.split())`"
)


def judge_record(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a record begins another one, or holds control characters."""
    for span in doubtful(spans):
        if _CONTROL.search(text, span.start, span.end):
            return Verdict(span.origin, "puts control characters into a log", FIX_LOG)
        own = before_in_line(text, span)
        for place in begun(text, span):
            line = text[place : place + MAX_LINE]
            if _resembles(own, line) or _has_fields(own, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        if (words := _copied(text, span)) is not None:
            return Verdict(span.origin, words, FIX_LOG)
    return None


def judge_logged(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict on a record of `logging` on a standard stream, where others may be leveled.

    As `judge_printed`, and any level and any time begin one where the code's own has neither.
    """
    return judge_printed(text, spans, logged=True)


def judge_printed(text: str, spans: Sequence[Span], *, logged: bool = False) -> Verdict | None:
    """Return a verdict if data in what is printed begins another record of the code's.

    Much is printed that has texts of more than one line. What begins like a record here has its
    level, its time, its first word in capitals, or the very words of the code's own. Where a trace
    says what was raised any level and any time begin one.
    """
    traced = _TRACE in text
    for span in doubtful(spans):
        own = before_in_line(text, span)
        begins = _LEVEL if _LEVEL.match(own) else _TIME if _TIME.match(own) else None
        if logged and begins is None:
            begins = _RECORD
        if _ACCESS.match(own) and next(begun(text, span), None) is not None:
            return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        raised = _RAISED.match(own) if traced else None
        if raised is not None:
            own, begins = own[raised.end() :], _RECORD
        tag, like = _TAG.match(own), _like(own)
        for place in begun(text, span):
            line = text[place : place + MAX_LINE]
            other = _TAG.match(line)
            alike = bool(begins and begins.match(line)) or like(line)
            alike = alike or _RUNNER.match(line) is not None
            alike = alike or (tag is not None and other is not None and other[0] == tag[0])
            if alike or _has_fields(own, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        if _ends_as_own(text, span):
            return Verdict(span.origin, "ends a record of the log", FIX_LOG)
    return judge_object(text, spans)


def judge_object(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a line that is an object of JSON which the code has written by hand."""
    if text[:1] != "{" or _OBJECT.match(neutral(text, spans)) is None:
        return None
    own = [span for span in doubtful(spans) if span.exact]
    return judge_quoted(text, own, JSON) if own else None


def judge_warning(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a warning begins another, or a record of any log."""
    for span in doubtful(spans):
        for place in begun(text, span):
            line = text[place : place + MAX_LINE]
            if _WARNED.match(line) or _RECORD.match(line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
    return None


def _like(own: str) -> Callable[[str], bool]:
    """Return what tells whether a line begins with the code's words before data, or its stamp."""
    words = len(own.split()) >= _MIN_WORDS or len(_LETTERS.findall(own)) >= _MIN_LETTERS
    stamps = [stamp for stamp in _STAMPS if stamp.match(own)]

    def alike(line: str) -> bool:
        return (words and line.startswith(own)) or any(stamp.match(line) for stamp in stamps)

    return alike


def _ends_as_own(text: str, span: Span) -> bool:
    """Tell whether data has a line that ends as the code ends its own, or has as many columns."""
    part = text[span.start : span.end]
    ended = BREAKS.search(part)
    if ended is None or ended.end() >= len(part):
        return False
    after = text[span.end : span.end + MAX_LINE].partition("\n")[0]
    words, line = after.strip(), part[: ended.start()]
    if len(_LETTERS.findall(words)) >= _MIN_WORDS and line.rstrip().endswith(words):
        return True
    return any(sign in after and line.count(sign) >= after.count(sign) for sign in _DIVIDING)


def begins_record(text: str) -> bool:
    """Tell whether a text begins as a record of a log does: with a level, or when it was."""
    return _LEVEL.match(text) is not None or _TIME.match(text) is not None


def begins_with_level(text: str) -> bool:
    """Tell whether a text begins as records do that say first how much they matter."""
    return _LEVEL.match(text) is not None


def judge_kept(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data begins a record among those that the code keeps in memory.

    Their line has a level, or begins with numbers, as addresses and times do: more than one, since
    lists have one. Other texts of several lines are no records.
    """
    if is_whole(text, spans):
        return None
    for span in doubtful(spans):
        own = before_in_line(text, span)
        if ends_label(own, text[span.start : span.end]):
            return Verdict(span.origin, "adds a field to a record of the log", FIX_LOG)
        if BREAKS.search(text, span.start, span.end) is None:
            continue  # most by far
        level, begins = _LEVEL.match(own) is not None, shape(own)
        numbers = begins.count("0") >= _MIN_NUMBERS
        like = _like(own)
        for place in begun(text, span):
            line = text[place : place + MAX_LINE]
            alike = _LEVEL.match(line) if level else numbers and shape(line) == begins
            alike = alike or _ACCESS.match(own) or like(line) or _has_columns(own, line)
            alike = alike or _RUNNER.match(line) or is_alike(own, line)
            if alike or _has_fields(own, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        if _ends_as_own(text, span):
            return Verdict(span.origin, "ends a record of the log", FIX_LOG)
    return None


def _copied(text: str, span: Span) -> str | None:
    """Return what data does that has a field of the code's own record in it, as `|role=`.

    With a sign before its name it is another field; followed by a line end it ends the record,
    the code's own rest of which becomes a record of its own.
    """
    part = text[span.start : span.end]
    after = text[span.end : span.end + MAX_LINE].partition("\n")[0]
    before = before_in_line(text, span)
    if before[-1:] in ("'", '"') and before[-1:] not in part:
        return None
    for found in _FIELD.finditer(part[:MAX_LINE]):
        if found[0] in before or found[0] in after:
            return "adds a field to a record of the log"
    if _NAMED.search(after) is not None:  # what is last may be any text
        for found in _WORD_NAMED.finditer(part[:MAX_LINE]):
            if found[0] in before or found[0] in after:
                return "adds a field to a record of the log"
    ended = BREAKS.search(part)
    if ended is None or (ended.end() >= len(part) and not after.strip()):
        return None
    for found in _NAMED.finditer(part[: ended.start()][:MAX_LINE]):
        if found[0] in after:
            return "ends a record of the log"
    return None


def judge_trail(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the records of a file of no known kind that the code adds to."""
    written = neutral(text, spans)
    for span in doubtful(spans):
        if (words := _copied(text, span) or _divided(text, written, span)) is not None:
            return Verdict(span.origin, words, FIX_LOG)
        before = before_in_line(text, span)
        own, like = _KEY.match(before), _like(before)
        for place in begun(text, span):
            line = text[place : place + MAX_LINE]
            same = own is not None and line.startswith(own[0])
            timed = _TIME.match(before) and _TIME.match(line)
            kind = is_alike(before, line) or ends_comment(before, line)
            if same or timed or like(line) or kind or _has_columns(before, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
    return None


def _has_columns(own: str, line: str) -> bool:
    """Tell whether a line has as many columns as the code has written before data in its own."""
    first = BREAKS.split(line, maxsplit=1)[0]
    return any(sign in own and first.count(sign) >= own.count(sign) for sign in _DIVIDING)


def _divided(text: str, written: str, span: Span) -> str | None:
    """Return what data does that has the sign in it by which the code divides fields after it.

    `written`: the text with letters in the place of data. The last field may have any sign.
    """
    part = text[span.start : span.end]
    after = written[span.end : span.end + MAX_LINE].partition("\n")[0]
    rows = (before_in_line(written, span) + after).count(";") >= _MIN_COLUMNS
    for sign in (*_DIVIDING, *(";" if rows else "")):
        if sign in part and sign in after:
            return "adds a field to a record of the log"
    return None


def judge_records(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the records of a file, each of which may be JSON."""
    if is_whole(text, spans):
        return None
    verdict = judge_record(text, spans)
    if verdict is not None or text.lstrip()[:1] != "{":
        return verdict or judge_divided(text, spans)
    own = [s for s in doubtful(spans) if not _is_line(text, s)]
    if _WORDS_FIRST.search(neutral(text, spans)) is None:
        return judge_quoted(text, own, JSON)
    return _judge_objects(text, own)


def _is_line(text: str, span: Span) -> bool:
    """Tell whether data is all of a line, and no more: a record of its own that is passed on."""
    after = text[span.end : span.end + MAX_LINE].partition("\n")[0]
    alone = not before_in_line(text, span).strip() and not after.strip()
    return alone and BREAKS.search(text[span.start : span.end].strip()) is None


def judge_divided(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data has the sign by which the code divides the fields after it."""
    written = neutral(text, spans)
    for span in doubtful(spans):
        if (words := _divided(text, written, span)) is not None:
            return Verdict(span.origin, words, FIX_LOG)
    return None


def _judge_objects(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the lines of a file that are objects of JSON, beside which others are none."""
    done = -1
    for span in spans:
        start = text.rfind("\n", 0, span.start) + 1
        if start == done:
            continue
        done, end = start, text.find("\n", span.start)
        line = text[start : end if end >= 0 else len(text)]
        if not line.lstrip().startswith("{"):
            continue
        within = [
            one._replace(start=one.start - start, end=min(one.end - start, len(line)))
            for one in spans
            if start <= one.start < start + len(line)
        ]
        if within and (verdict := judge_quoted(line, within, JSON)) is not None:
            return verdict
    return None


def shape(text: str) -> str:
    """Return how a line begins: digits, capitals and words, each as one sign."""
    found = _TOKEN.match(first[1]) if (first := _FIRST.match(text)) is not None else None
    begun = found[0][:64] if found is not None else ""
    for pattern, sign in _SHAPES:
        begun = pattern.sub(sign, begun)
    return _WORDS.sub("a", begun)


def _has_fields(own: str, line: str) -> bool:
    """Tell whether a line has fields that the code's own has: `badge=` and `door=`."""
    found = _NAMED.findall(BREAKS.split(line, maxsplit=1)[0])
    return len(set(_NAMED.findall(own)).intersection(found)) >= _MIN_WORDS


def _resembles(own: str, line: str) -> bool:
    """Tell whether a line looks like the beginning of the code's own."""
    leveled = _LEVELED.match(own) is not None and _LEVELED.match(line) is not None
    return not own.strip() or leveled or shape(own) == shape(line)
