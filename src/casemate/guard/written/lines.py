"""Lines that data begins: of a log, of header fields, of settings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from ..origin import PIECE, Span
from ..quoted import judge as judge_quoted
from ..quoted import neutral
from ..verdict import Verdict
from .alike import ends_comment, ends_label, is_alike
from .fields import judge_values
from .languages import JSON

BREAKS = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00\x07\x08\x1b\x7f\x9b]")
_INSIDE = re.compile(r"^BEGIN:V(?:CALENDAR|CARD)\b", re.MULTILINE)
"""What is made of fields within the body of a mail."""
_PART = re.compile(r"^--[^\s-]\S{0,80}\r?\n(?=[A-Za-z][\w-]{0,40}:)", re.MULTILINE)
_MAX_MIME_PARTS = 50
_MAX_PART_HEAD = 8192
"""Characters of a part of a message in which its head is looked for."""
_NAME_ALONE = re.compile(r"[\r\n]{0,2}[A-Za-z][\w-]{0,40}:[ \t]{0,8}")
_BLANK_LINE = re.compile(r"\r?\n\r?\n|\r\r")
_SHAPES = ((re.compile(r"\d+"), "0"), (re.compile(r"[A-Z]+(?![a-z])"), "A"))
_WORDS = re.compile(r"[A-Za-z]*[a-z][A-Za-z]*")
_FIRST = re.compile(r"\s*(\S+)")
_TOKEN = re.compile(r"[^\s|:,=]+|\S")
_FIELD = re.compile(r"[|;\t]\s?[A-Za-z_]\w{0,63}=")
_NAMED = re.compile(r"(?<![\w|;])[A-Za-z_]\w{0,63}=")
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
_RECORD = re.compile(f"{_LEVEL.pattern}|{_TIME.pattern}")
_WARNED = re.compile(r"\S{1,200}:\d{1,7}: ")
"""How Python begins what it shows of a warning."""
_TAG = re.compile(r"[A-Z][A-Z0-9_-]{2,30}(?=[ :|=])")
"""How a record begins that says in capitals what it is of."""
_RUNNER = re.compile(r"::[a-z][a-z-]{1,30}(?: [^:\n]{0,200})?::|##(?:vso|teamcity)\[")
"""How what is printed gives orders to what runs a pipeline: GitHub Actions, Azure, TeamCity."""
_TRACE = "Traceback (most recent call last)"
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,200}: ")
_MIN_WORDS = 2
"""Of the code's before data, after which a line with the same words is a record like it."""
_MIN_NUMBERS, _MIN_COLUMNS = 2, 3
_MAX_LINE = 512
"""Characters of a line that are looked at, before and after where data begins one."""
FIX_LOG = (
    "write what is from outside as JSON or by its repr (`%r`), or take line ends and control "
    "characters out of it: `' '.join(value.split())`"
)
FIX_HEAD = (
    "take line ends out of what goes into a header, `' '.join(value.split())`, or build it by "
    "email.message.EmailMessage or an HTTP client, which refuse them"
)
FIX_EVENT = (
    "send the value as JSON, json.dumps(value), or each of its lines behind its own `data: `"
)
FIX_MAKE = (
    'hand the value over as a variable of the environment and use it as "$$NAME" in the recipe; '
    "or double each `$` in it"
)
FIX_LINE = (
    "take line ends out of the value, or have a library write the file: json.dumps, yaml.safe_dump"
)


def doubtful(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans that the code does not vouch for."""
    return (s for s in spans if not s.vouched)


def begun(text: str, span: Span) -> Iterator[int]:
    """Yield where lines begin, with something in them, whose line end is data."""
    for found in BREAKS.finditer(text, span.start, span.end):
        following = text[found.end() : found.end() + 1]
        if following not in ("", " ", "\t", "\r", "\n") and found.end() < span.end:
            yield found.end()


def before_in_line(text: str, span: Span, most: int = _MAX_LINE) -> str:
    """Return what is before a span in its line, so many characters at most."""
    least = max(span.start - most, 0)
    return text[max(text.rfind("\n", least, span.start) + 1, least) : span.start]


def is_whole(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether the code has put nothing around what came from outside: it is passed on."""
    place = 0
    for span in spans:
        if text[place : span.start].strip():
            return False
        place = span.end
    return not text[place:].strip()


def judge_record(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a record begins another one, or holds control characters."""
    for span in doubtful(spans):
        if _CONTROL.search(text, span.start, span.end):
            return Verdict(span.origin, "puts control characters into a log", FIX_LOG)
        own = before_in_line(text, span)
        for place in begun(text, span):
            line = text[place : place + _MAX_LINE]
            if _resembles(own, line) or _has_fields(own, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        if (words := _copied(text, span)) is not None:
            return Verdict(span.origin, words, FIX_LOG)
    return None


def judge_printed(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in what is printed begins another record of the code's.

    Much is printed that has texts of more than one line. What begins like a record here has its
    level, its time, its first word in capitals, or the very words of the code's own. Where a trace
    says what was raised any level and any time begin one.
    """
    traced = _TRACE in text
    for span in doubtful(spans):
        own = before_in_line(text, span)
        begins = _LEVEL if _LEVEL.match(own) else _TIME if _TIME.match(own) else None
        if _ACCESS.match(own) and next(begun(text, span), None) is not None:
            return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        raised = _RAISED.match(own) if traced else None
        if raised is not None:
            own, begins = own[raised.end() :], _RECORD
        tag, like = _TAG.match(own), _like(own)
        for place in begun(text, span):
            line = text[place : place + _MAX_LINE]
            other = _TAG.match(line)
            alike = bool(begins and begins.match(line)) or like(line)
            alike = alike or _RUNNER.match(line) is not None
            alike = alike or (tag is not None and other is not None and other[0] == tag[0])
            if alike or _has_fields(own, line):
                return Verdict(span.origin, "begins a record of the log", FIX_LOG)
        if _ends_as_own(text, span):
            return Verdict(span.origin, "ends a record of the log", FIX_LOG)
    return None


def judge_warning(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a warning begins another, or a record of any log."""
    for span in doubtful(spans):
        for place in begun(text, span):
            line = text[place : place + _MAX_LINE]
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
    after = text[span.end : span.end + _MAX_LINE].partition("\n")[0]
    words, line = after.strip(), part[: ended.start()]
    if len(_LETTERS.findall(words)) >= _MIN_WORDS and line.rstrip().endswith(words):
        return True
    return any(sign in after and line.count(sign) >= after.count(sign) for sign in _DIVIDING)


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
        level, shape = _LEVEL.match(own) is not None, _shape(own)
        numbers = shape.count("0") >= _MIN_NUMBERS
        like = _like(own)
        for place in begun(text, span):
            line = text[place : place + _MAX_LINE]
            alike = _LEVEL.match(line) if level else numbers and _shape(line) == shape
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
    after = text[span.end : span.end + _MAX_LINE].partition("\n")[0]
    before = before_in_line(text, span)
    if before[-1:] in ("'", '"') and before[-1:] not in part:
        return None
    for found in _FIELD.finditer(part[:_MAX_LINE]):
        if found[0] in before or found[0] in after:
            return "adds a field to a record of the log"
    ended = BREAKS.search(part)
    if ended is None or (ended.end() >= len(part) and not after.strip()):
        return None
    for found in _NAMED.finditer(part[: ended.start()][:_MAX_LINE]):
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
            line = text[place : place + _MAX_LINE]
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
    after = written[span.end : span.end + _MAX_LINE].partition("\n")[0]
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
        return verdict or _judge_divided(text, spans)
    own = list(doubtful(spans))
    if _WORDS_FIRST.search(neutral(text, spans)) is None:
        return judge_quoted(text, own, JSON)
    return _judge_objects(text, own)


def _judge_divided(text: str, spans: Sequence[Span]) -> Verdict | None:
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


def _shape(text: str) -> str:
    """Return how a line begins: digits, capitals and words, each as one sign."""
    found = _TOKEN.match(first[1]) if (first := _FIRST.match(text)) is not None else None
    shape = found[0][:64] if found is not None else ""
    for pattern, sign in _SHAPES:
        shape = pattern.sub(sign, shape)
    return _WORDS.sub("a", shape)


def _has_fields(own: str, line: str) -> bool:
    """Tell whether a line has fields that the code's own has: `badge=` and `door=`."""
    found = _NAMED.findall(BREAKS.split(line, maxsplit=1)[0])
    return len(set(_NAMED.findall(own)).intersection(found)) >= _MIN_WORDS


def _resembles(own: str, line: str) -> bool:
    """Tell whether a line looks like the beginning of the code's own."""
    return not own.strip() or _shape(own) == _shape(line)


def judge_head(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in the head of a message ends its header field."""
    end = _end_of_head(text)
    verdict = judge_fields(text, spans, end=end) or judge_values(text, spans, end)
    return verdict or _judge_parts(text, spans) or judge_inside(text, spans)


def judge_inside(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a calendar or a card within a message begins another field."""
    inside = _INSIDE.search(text)
    # One that the event brings whole within a text of several lines is passed on.
    if inside is None or any(s.start < inside.end() and inside.start() < s.end for s in spans):
        return None
    moved = [s.moved(-inside.start()) for s in spans if s.start > inside.start()]
    return judge_fields(text[inside.start() :], moved) if moved else None


def _judge_parts(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the heads of the parts of a message, which are fields as well (RFC 2046, 5.1)."""
    for found in itertools.islice(_PART.finditer(text), _MAX_MIME_PARTS):
        part = text[found.end() : found.end() + _MAX_PART_HEAD]
        moved = [
            s._replace(start=s.start - found.end(), end=min(s.end - found.end(), len(part)))
            for s in spans
            if found.end() <= s.start < found.end() + len(part)
        ]
        verdict = judge_fields(part, moved, end=_end_of_head(part)) if moved else None
        if verdict is not None:
            return verdict
    return None


def _end_of_head(text: str) -> int:
    found = _BLANK_LINE.search(text)
    return found.start() if found is not None else len(text)


def judge_fields(text: str, spans: Sequence[Span], *, end: int | None = None) -> Verdict | None:
    """Return a verdict if data begins a line of its own in lines that are fields."""
    end = len(text) if end is None else end
    if is_whole(text, spans):
        return None
    first = len(text) - len(text.lstrip())
    for span in doubtful(spans):
        # What begins with the data is a message of the event's own, which the code adds to.
        if span.start <= first or span.start >= end or _is_name_alone(text, span):
            continue
        if next(begun(text, span), None) is not None or _BLANK_LINE.search(
            text, span.start, span.end
        ):
            return Verdict(span.origin, "ends its header field and begins another", FIX_HEAD)
    return None


def _is_name_alone(text: str, span: Span) -> bool:
    """Tell of a piece whether it is the name of a field, which the head has as well."""
    if span.origin.decoding[-1:] != PIECE:
        return False
    return _NAME_ALONE.fullmatch(text, span.start, span.end) is not None


def judge_events(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in what a server sends begins a field: of this event, or another.

    Other lines are nothing to who reads them (HTML, 9.2.6): a text of several lines passes.
    """
    if is_whole(text, spans):
        return None
    for span in doubtful(spans):
        if _EVENT_FIELD.search(text, span.start, span.end):
            return Verdict(span.origin, "begins a field of an event", FIX_EVENT)
    return None


def judge_settings(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data begins a line in a file of settings, and is not quoted there."""
    if is_whole(text, spans):
        return None
    own = neutral(text, spans)
    for span in doubtful(spans):
        part = text[span.start : span.end]
        if _SIGNS.search(part) is None:
            continue
        before = before_in_line(text, span)
        # Quotes are the code's own if no data before has brought them.
        written = before_in_line(own, span)
        quote = "" if _COMMENT.match(before) else _quote(written)
        if quote and (quote not in part or _stays_quoted(before, part, quote)):
            if quote == '"' and _SUBSTITUTES.search(part):
                return Verdict(span.origin, "is a command within a setting", FIX_LINE)
            continue
        if quote == '"':
            return Verdict(span.origin, "ends the quotes of a setting", FIX_LINE)
        if before.strip() and next(begun(text, span), None) is not None:
            return Verdict(span.origin, "begins a line of its own among settings", FIX_LINE)
    return None


def judge_yaml(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_settings`, of YAML: a line that is indented may be a key or an item as well."""
    verdict = judge_settings(text, spans)
    if verdict is not None or is_whole(text, spans):
        return verdict
    for span in doubtful(spans):
        before = before_in_line(text, span)
        if _quote(before):
            continue
        if _is_flow(before, text[span.start : span.end]):
            return Verdict(span.origin, "is a list or a mapping where a value is due", FIX_LINE)
        # Of a block the data is no key while it stands as deep as where it begins.
        depth = len(before) if not before.strip() else _MAX_LINE
        for found in _YAML_LINE.finditer(text, span.start, span.end):
            if len(found[1]) < depth:
                return Verdict(span.origin, "begins a line of its own among settings", FIX_LINE)
    return None


def _is_flow(before: str, part: str) -> bool:
    """Tell whether data without quotes is a list or a mapping of YAML's, or ends one."""
    if "#" in before:
        return False
    opened = before.count("{") + before.count("[") - before.count("}") - before.count("]")
    if opened > 0 and _VALUED.search(before):
        return _ENDS_FLOW.search(part) is not None
    return _BEGINS_VALUE.search(before) is not None and _FLOW.fullmatch(part) is not None


def judge_expansions(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if make expands data: `$(shell ...)`, where `$$(...)` is none."""
    for span in doubtful(spans):
        before = text[max(span.start - _MAX_LINE, 0) : span.start]
        for found in _EXPANDED.finditer(text[span.start : span.end]):
            # A sign that the code has doubled stands behind the other.
            signs = len(found[1]) + (
                len(before) - len(before.rstrip("$")) if not found.start() else 0
            )
            if signs % 2:
                return Verdict(span.origin, "is expanded by make", FIX_MAKE)
        part = text[span.start : span.end]
        variable = (
            _VARIABLE_OF_MAKE.match(before_in_line(text, span)) if RECIPE.search(part) else None
        )
        if variable is not None and _is_used_bare(text, variable[1], part):
            words = "is in a variable that make puts into commands, and ends one"
            return Verdict(span.origin, words, FIX_MAKE)
    return None


def _is_used_bare(text: str, name: str, part: str) -> bool:
    """Tell whether a variable with this value is used elsewhere than in quotes of recipes.

    Or ends these. One that is not used in the same file is put into no command.
    """
    uses = [n for use in (f"$({name})", f"${{{name}}}") for n in _places(text, use)]
    return any(
        (ends := _ENDS.get(_quoted_by(text, n))) is None or ends.search(part) is not None
        for n in uses
    )


def _places(text: str, part: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part))


def _quoted_by(text: str, place: int) -> str:
    """Return the sign of the quotes that a place of a recipe is in; empty without any."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    if line[:1] != "\t":
        return ""
    quote = ""
    for sign in line:
        if sign == "\\" and quote != "'":
            return ""
        if sign in ("'", '"') and quote in ("", sign):
            quote = "" if quote else sign
    return quote


_ENDS = {"'": re.compile(r"['$\r\n]"), '"': re.compile(r"[\"$`\\\r\n]")}
_VARIABLE_OF_MAKE = re.compile(
    r" {0,8}(?:(?:export|override) {1,8})?([A-Za-z_][\w.-]{0,63})[ \t]{0,8}(?:::?:?|[?+!])?="
)
RECIPE = re.compile(r"[$`;|&<>\r\n]")
"""Signs by which the value of a variable of make's is more than text in a recipe."""
_YAML_LINE = re.compile(
    r"[\r\n]([ \t]{0,80})(?:-[ \t]|[\"']?[\w.-]{1,80}[\"']?[ \t]{0,8}:(?:\s|\Z))"
)
_BEGINS_VALUE = re.compile(r"(?:[\w\"'.-][ \t]{0,8}:|(?:^|\s)-)[ \t]{1,40}\Z")
_VALUED = re.compile(r"(?::|^|\s-)[ \t]{0,8}[{\[]")
_FLOW = re.compile(r"\s*+(?:\{.*\}|\[.*\])\s*+", re.DOTALL)
_ENDS_FLOW = re.compile(r"[{}\[\]]|:\s")
_EXPANDED = re.compile(r"(?<!\$)(\$++)[({]")
_EVENT_FIELD = re.compile(r"[\r\n](?:event|data|id|retry)[ \t]?:")
_COMMENT = re.compile(r"[ \t]{0,40}#")
_SIGNS = re.compile(r"[\"'`$;{}\r\n\x0b\x0c\x85\u2028\u2029]")
_OPENS = re.compile(r"(?:^|[=:\s(,\[{])(['\"])")
_SUBSTITUTES = re.compile(r"\$\(|`[^`\n]+`")
_ESCAPED_TEXT = re.compile(r'(?:[^"\\\r\n]|\\[^\r\n])*+')


def _stays_quoted(before: str, part: str, quote: str) -> bool:
    """Tell whether data in double quotes has each of its own behind a backslash, in one line.

    `before` is the line up to the data: a backslash at its end may be the first of such a pair.
    """
    opened = before[before.rfind(quote) + 1 :]
    return quote == '"' and _ESCAPED_TEXT.fullmatch(opened + part) is not None


def _quote(before: str) -> str:
    """Return the quote that is open at the end of this part of a line."""
    place = 0
    while (found := _OPENS.search(before, place)) is not None:
        closing = before.find(found[1], found.end())
        if closing < 0:
            return found[1]
        place = closing + 1
    return ""


_ENDS_DIRECTIVE = re.compile(r"[;{}]|[\r\n]")
_DIRECTIVES = re.compile(r"[;{}][ \t]*(?:#[^\n]*)?$", re.MULTILINE)


def judge_blocks(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends its directive, as nginx has them; else as settings."""
    if is_whole(text, spans):
        return None
    if _DIRECTIVES.search(text) is None:
        return judge_settings(text, spans)
    for span in doubtful(spans):
        part = text[span.start : span.end]
        if _SIGNS.search(part) is None:
            continue
        before = before_in_line(text, span)
        if _COMMENT.match(before):
            if BREAKS.search(part.rstrip()) is not None:
                return Verdict(span.origin, "ends a comment and begins a line", FIX_LINE)
            continue
        quote = _quote(before)
        if quote in part if quote else _ENDS_DIRECTIVE.search(part):
            return Verdict(span.origin, "ends its directive", FIX_LINE)
    return None
