"""Texts of a known look that the function's code puts together and takes apart itself.

No name or type tells what they are: a crontab, a zone of DNS, a calendar, blocks of Terraform, a
message of syslog. What they are is told by what the code has written of them alone.
"""

from __future__ import annotations

import functools
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..core import Guard
from ..in_memory import found, held_by, is_binary
from ..matched import Substitution
from ..notes import DERIVED
from ..origin import Span
from ..pieces import as_text
from ..quoted import QUOTE, opens_quotes
from ..spans import Cover, around, merged, neutral
from ..standing import is_put_together
from ..verdict import Judge as JudgeText
from ..verdict import Verdict
from . import alike, entries, escaped, indented, quoted_cells, shaped, taken_apart, wire
from .judgement import Judge, sink_of, verdict_by
from .kinds import Kind
from .lines import BREAKS, before_in_line, doubtful
from .records import FIX_LOG
from .settings import FIX_LINE, judge_blocks
from .taken_apart import source_of

_FILES = frozenset((io.BufferedRandom, io.TextIOWrapper))
MAX_TEXT = 64 * 1024
"""Characters of a text that is looked at."""
_MAX_CHANGES = 4
_TERRAFORM = re.compile(
    r"^(?:resource|data|variable|module|provider|output|locals|terraform)\b[^\n{]{0,200}\{",
    re.MULTILINE,
)
_ENDS = re.compile(r"[\r\n]|(?<!\$)\$\{|(?<!%)%\{")
_SYSLOG = shaped.SYSLOG

_BLOCK = re.compile(
    r"^[ \t]{0,40}[a-z_]{2,40}(?:[ \t][^\n{};]{0,200})?\{\n[^\n{};]{1,400};$", re.MULTILINE
)
"""A block with a directive in it, as nginx has them."""
_POINT = shaped.POINT
_LABELLED = re.compile(r"<https?://[^<>|\n]{1,500}\|[^<>\n]{1,200}>")
"""A link of Slack's, whose text is another than the URL."""
_QUOTED_TEXT = re.compile(r"['\"]\(?(?:\?:)?(?:\[\^|\.[*+]|\\.)")
_APOSTROPHE = re.compile(r"(?<!\\)(?:\\\\)*'")
_QUOTES = {"'": _APOSTROPHE, '"': QUOTE}
_FIX_QUOTES = "escape quotes in the value as the expression says, or hand it over as a variable"
_CALL = re.compile(r"<!(?:channel|here|everyone|subteam\^)")
_MASKED = re.compile(r"<(?:https?://|mailto:)([^<>|\s]{1,500})\|([^<>]{1,200})")
"""A link by another name, unless the name is a part of the URL, as where chats find one."""
_FIX_CHAT = 'write `&`, `<` and `>` of values as "&amp;", "&lt;" and "&gt;"'


class _Look(NamedTuple):
    """How a text looks, and what it is."""

    pattern: re.Pattern[str]
    kind: Kind


_LOOKS = (
    _Look(re.compile(r"\ABEGIN:V(?:CALENDAR|CARD|EVENT)\b"), Kind.FIELDS),
    _Look(re.compile(r"\A#EXTM3U\b|\A>\w\S{0,200}[ \n]"), Kind.FIELDS),
    _Look(
        re.compile(
            r"^\$(?:ORIGIN|TTL)[ \t]|^[\w.@*-]{1,255}[ \t]{1,40}(?:\d{1,9}[ \t]{1,40})?"
            r"IN[ \t]{1,40}(?:A|AAAA|CAA|CNAME|MX|NS|PTR|SOA|SRV|TXT)[ \t]",
            re.MULTILINE,
        ),
        Kind.FIELDS,
    ),
    _Look(
        re.compile(r"^(?:SHELL|MAILTO|CRON_TZ)=|^(?:[\d*/,-]{1,20} ){5}[\w/.]", re.MULTILINE),
        Kind.SCHEDULE,
    ),
)


def reads_quotes(pattern: str) -> bool:
    """Tell whether a pattern finds texts in quotes, as those of an expression."""
    return _QUOTED_TEXT.search(pattern) is not None


def read(
    shell: Callable[[Guard], Judge], guard: Guard, text: Any, arguments: Any = (), *_: Any
) -> None:
    """Block a text (BlockedError) that the event has changed, and that the code takes apart.

    `arguments`: the pattern by which it does, if there is one.
    """
    if type(text) is not str or not guard.active or len(text) > MAX_TEXT:
        return
    patterns = arguments[0] if arguments else ()
    quoted = [one for one in patterns if reads_quotes(source_of(one))] if _has_quotes(text) else []
    look_at(shell, guard, text, quoted[0] if len(quoted) == 1 else None)
    if quoted_cells.is_kept(guard, text) and not quoted_cells.reads_tables(guard):
        guard.check(entries.NAME, text, found(guard, entries.judging(guard)))
    for pattern in patterns:
        if pattern in quoted:
            _check(guard, "nosql", text, functools.partial(judge_quotes, pattern))
        fits = len(text) <= taken_apart.MAX_TEXT and is_put_together(guard, text)
        judged = taken_apart.judging(pattern) if fits else None
        if judged is not None:
            guard.check(taken_apart.NAME, text, judged)


def _has_quotes(text: str) -> bool:
    return "'" in text or '"' in text


def look_at(
    shell: Callable[[Guard], Judge],
    guard: Guard,
    text: str,
    pattern: str | re.Pattern[str] | None = None,
    *,
    answered: bool = False,
) -> None:
    """As `read`, of a text that need not be taken apart; `pattern` is what reads its quotes.

    `answered`: whether it is a result, of which nobody says that its lists are read again.
    """
    if _SYSLOG.match(text) is not None:
        _check(guard, "log", text, judge_structured)
    elif _POINT.match(text) is not None:
        _check(guard, wire.NAME, text, wire.judge_lines)
    elif "\n" not in text:
        if shaped.signs_of(text):
            _check(guard, "file", text, functools.partial(_judge_shaped, guard, pattern))
    elif any(kind.match(text) for kind in alike.KINDS):
        _check(guard, wire.NAME, text, wire.judge_lines)
    else:
        if _TERRAFORM.search(text) is not None:
            _check(guard, "file", text, judge_terraform)
        if "{\n" in text and _BLOCK.search(text) is not None:
            _check(guard, "file", text, judge_block)
        check_chat(guard, text)
        look = _look_of(text)
        if look is not None:
            judged = functools.partial(_judge, guard, look, shell(guard))
            _check(guard, sink_of(look.kind), text, judged)
        elif is_put_together(guard, text):
            if shaped.signs_of(text):
                guard.check("file", text, functools.partial(_judge_shaped, guard, pattern))
            admitting = _admitting(guard, pattern)
            of_lines = entries.judging(guard, admitting, listed=not answered)
            guard.check(entries.NAME, text, of_lines)
        elif shaped.has_commands(text) and _is_filled(guard, text):
            guard.check("file", text, functools.partial(_judge_shaped, guard, pattern))


def _is_filled(guard: Guard, text: str) -> bool:
    """Tell whether marks of a template of the code's were filled by a function: `re.sub`."""
    made = guard.provenance.of(text)
    for _ in range(_MAX_CHANGES):
        if made is None or made.kind != DERIVED:
            return False
        for part in made.parts:
            if isinstance(part, Substitution):
                return callable(part.by) and guard.constants.holds(part.text)
        made = guard.provenance.of(made.parts[0]) if made.parts else None
    return False


def _admitting(guard: Guard, pattern: str | re.Pattern[str] | None) -> entries.Admitting:
    """Return what leaves out data in quotes, where the code reads tables, or by such a pattern."""

    def admitting(text: str, spans: Sequence[Span]) -> Callable[[Span], bool]:
        tables = quoted_cells.reads_tables(guard)
        held = quoted_cells.holding(text, spans) if tables and '"' in text else None
        knows = escaped.knowing(pattern, text, spans) if pattern is not None else None
        return lambda span: (
            not ((held and held(span)) or (knows and knows(span)))
            and not indented.is_indented(guard, text, span)
        )

    return admitting


def check_chat(guard: Guard, text: object) -> None:
    """Block a message for a chat (BlockedError) in which the event calls people, or hides a link.

    It is one if the code has a link with a name in it. JSON has brought it mostly: what it was put
    together of is searched for.
    """
    if isinstance(text, bytes) and b"<http" in text and len(text) <= MAX_TEXT:
        text = as_text(text)
    elif not isinstance(text, str) or "<http" not in text or len(text) > MAX_TEXT:
        return
    if guard.active and _LABELLED.search(text) is not None:
        guard.check("file", text, judge_controls)


def read_written(shell: Callable[[Guard], Judge], guard: Guard, function: Any, *_: Any) -> None:
    """As `read`, of what the code has written into a file in memory, or one without a name."""
    function = getattr(function, "__wrapped__", function)  # of a temporary file
    held = _written(getattr(function, "__self__", None)) if guard.active else None
    if held is None or not 0 < len(held) <= MAX_TEXT or is_binary(held):
        return
    text = as_text(held)
    look = _look_of(text) if "\n" in text else None
    if look is not None:
        judged = functools.partial(_judge, guard, look, shell(guard))
        guard.check(sink_of(look.kind), text, found(guard, judged))
    elif BREAKS.search(text.strip()) is not None:
        # What reads from a file's beginning may do so line by line; of a text it has to be told.
        whole = getattr(function, "__name__", "") == "getvalue" or quoted_cells.reads_tables(guard)
        admitting = functools.partial(_without_cells, guard) if whole and '"' in text else None
        guard.check(entries.NAME, text, found(guard, entries.judging(guard, admitting)))


def _without_cells(guard: Guard, text: str, spans: Sequence[Span]) -> Callable[[Span], bool]:
    """Return what leaves out data in quoted cells, of which lines may be asked later."""
    held = quoted_cells.holding(text, spans)
    if any(map(held, spans)):
        quoted_cells.keep(guard, text)
    return lambda span: not held(span)


def _look_of(text: str) -> _Look | None:
    return next((one for one in _LOOKS if one.pattern.search(text) is not None), None)


def _written(file: Any) -> str | bytes | None:
    if _is_spooled(file):
        file = file._file
    held = held_by(file)
    if held is not None or type(file) not in _FILES or file.closed:
        return held
    if not (file.readable() and file.writable()):
        return None
    file.flush()
    if type(inner := getattr(file, "buffer", None)) is io.BytesIO:
        return inner.getvalue()
    return os.pread(file.fileno(), MAX_TEXT + 1, 0)


def _is_spooled(file: Any) -> bool:
    known = sys.modules.get("tempfile")  # without it there is none
    return known is not None and type(file) is known.SpooledTemporaryFile


def _check(guard: Guard, sink: str, text: str, judge: JudgeText) -> None:
    if is_put_together(guard, text):
        guard.check(sink, text, judge)


def _judge(
    guard: Guard, look: _Look, shell: Judge, text: str, spans: Sequence[Span]
) -> Verdict | None:
    whole = [s for s in spans if not s.is_piece]
    # The event may have brought what looks so: then it is no text of the code's.
    if not whole or look.pattern.search("q".join(around(text, whole))) is None:
        return None
    return verdict_by(guard, look.kind, text, whole, shell)


def _judge_shaped(
    guard: Guard, pattern: str | re.Pattern[str] | None, text: str, spans: Sequence[Span]
) -> Verdict | None:
    """Judge a text of a shape; `pattern` is what takes it apart, if that reads quotes."""
    whole = [span for span in spans if not span.is_piece]
    if shaped.has_commands(text):
        # A value that was put together by its characters has signs that the code escapes as well.
        seen = Cover((span.start, span.end) for span in whole)
        texts = (one for one in guard.texts(text) if seen.meets(one.start, one.end))
        whole = merged([*whole, *texts])

    def begins_lines(span: Span) -> bool:
        return not indented.is_indented(guard, text, span)

    verdict = shaped.judge(text, whole, begins_lines=begins_lines)
    if verdict is None or pattern is None or verdict.changed != shaped.ENDS_QUOTES:
        return verdict
    knows = escaped.knowing(pattern, text, whole)
    return shaped.judge(text, whole, lambda span: not knows(span), begins_lines)


def judge_quotes(
    pattern: str | re.Pattern[str], text: str, spans: Sequence[Span]
) -> Verdict | None:
    """Return a verdict if data ends the quotes that the code has put around it.

    Unless the pattern takes back how the code has escaped those in the data.
    """
    own = neutral(text, spans)
    knows: escaped.Knows | None = None
    for span in doubtful(spans):
        before, after = own[max(span.start - 1, 0) : span.start], own[span.end : span.end + 1]
        part = text[span.start : span.end]
        if span.is_piece or before not in _QUOTES or before != after or before not in part:
            continue
        knows = knows or escaped.knowing(pattern, text, spans)
        if not knows(span) and _ends(pattern, before, part):
            return Verdict(span.origin, "ends its quotes in an expression", _FIX_QUOTES)
    return None


def _ends(pattern: str | re.Pattern[str], quote: str, part: str) -> bool:
    """Tell whether data ends its quotes: one behind a backslash does where no pattern knows it."""
    return _QUOTES[quote].search(part) is not None or "\\\\" not in source_of(pattern)


def judge_structured(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends a value in a message's structured data (RFC 5424, 6.3)."""
    own = neutral(text, spans)
    for span in doubtful(spans):
        opened = opens_quotes(before_in_line(own, span))
        if opened and QUOTE.search(text, span.start, span.end) is not None:
            return Verdict(span.origin, "ends a value in a record of the log", FIX_LOG)
    return None


def judge_block(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data within a line of the code's ends its directive."""
    if _BLOCK.search("q".join(around(text, spans))) is None:
        return None
    # What begins a line is the event's to write: directives of its own.
    inside = [span for span in spans if before_in_line(text, span).strip()]
    return judge_blocks(text, inside) if inside else None


def judge_controls(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data calls people in a chat, or is a link there by another name."""
    whole = [s for s in spans if not s.is_piece]
    if _LABELLED.search("q".join(around(text, whole))) is None:
        return None
    for span in doubtful(whole):
        if _CALL.search(text, span.start, span.end) is not None:
            return Verdict(span.origin, "calls people in a chat", _FIX_CHAT)
        for link in _MASKED.finditer(text, span.start, span.end):
            if link[2].strip().removeprefix("http://").removeprefix("https://") not in link[1]:
                return Verdict(span.origin, "is a link by another name in a chat", _FIX_CHAT)
    return None


def judge_terraform(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends its text, is calculated within it, or begins a line."""
    if _TERRAFORM.search("q".join(around(text, spans))) is None:
        return None
    own = neutral(text, spans)
    for span in doubtful(spans):
        part = text[span.start : span.end]
        if opens_quotes(before_in_line(own, span)):
            ends = QUOTE.search(part) is not None or _ENDS.search(part) is not None
        else:
            ends = "\n" in part or ('"' not in part and ("{" in part or "}" in part))
        if ends:
            return Verdict(span.origin, "is more than a value in a block of Terraform", FIX_LINE)
    return None
