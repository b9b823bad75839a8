"""Heads of mail and of requests that a function puts together itself, and lines of protocols."""

from __future__ import annotations

import collections
import io
import re
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..pieces import as_text
from ..quoted import judge as judge_quoted
from ..quoted import language
from ..spans import around, neutral
from ..standing import is_direct, is_own, is_put_together, wrap_after, wrap_direct
from ..url import links, structure
from ..verdict import Verdict
from . import commands, shaped
from .alike import KINDS, POINT, STATSD, adds_tag
from .commands import FIX_LINE
from .fields import judge_value
from .heads import FIX_HEAD, judge_head, judge_inside
from .lines import BREAKS, before_in_line, begun, doubtful

NAME = "header"
MAX_HEAD = 64 * 1024
"""Characters of a request, or of lines of a protocol, that are judged."""
_REQUEST = re.compile(r"[A-Z]{3,12} (\S[^\r\n]*)")
_VERSION = re.compile(r" HTTP/1\.[01]\r?$")
_ANSWER = re.compile(r"HTTP/1\.[01] \d{3}")
_STORES = r"(?:set|add|replace|append|prepend|cas|gets?|delete|incr|decr|touch|put|use|watch) "
"""Commands of memcached and beanstalkd, whose names are in small letters."""
_OF_KEYS = re.compile(r"(?:gets?|gat|delete|incr|decr|touch) [^\s]{0,250}\Z")
"""What is before a key of memcached that is the first one."""
_VERB = re.compile(r"[A-Z]{3,12}(?=[ \r\n:])|" + _STORES)
_HEAD = re.compile(rb"[A-Z]{3,12}[ \r\n:]|HTTP/1\.|" + _STORES.encode())
_SAMPLE = re.compile(
    rb"[A-Za-z_][\w./-]{0,200}:[-+\d.]{1,30}\|[a-z]{1,2}(?:\|@[\d.]{1,20})?(?:\|#[^|\r\n]*)?\n?"
)
"""One whole sample for StatsD."""
_END = re.compile(r"\r?\n\r?\n")
_MAIL = re.compile(r"^DATA\r?\n", re.MULTILINE)
_LINE = re.compile(r"[\r\n]")
_DIVIDING = ('"', "<", ";")
"""What divides the values of fields that have parts."""
_TELLING = re.compile(r'[\r\n"<;]')
"""These, and line ends."""
_CRITERIA = language(
    "search of mails",
    "take quotes and backslashes out of the value, or compare what is fetched in the code",
    strings=r'"(?:[^"\\]|\\.)*"',
    opened='"',
    names=False,
)
_MAIL_FIELD = re.compile(r"(?:From|To|Cc|Bcc|Subject|Date|Reply-To|Return-Path|MIME-Version): ?")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}: ")
_HTTP = re.compile(
    r"(?:HTTP/1|SIP/2|RTSP/1)\.|[A-Z]{3,12} \S[^\r\n]{0,900} (?:HTTP/1|SIP/2|RTSP/1)\.[01]\r?\n|"
    r"Status: \d|"
    r"(?:Content-(?:Type|Length|Disposition|Encoding|Language)|Location|Set-Cookie|Cookie|Host"
    r"|Authorization|Cache-Control|ETag|User-Agent|Accept|Referer|Server|Connection|Origin"
    r"|Transfer-Encoding|Last-Modified|Expires|Vary|Link|X-[A-Z][A-Za-z0-9-]{0,60}): ",
)
"""How a head of HTTP begins, or of SIP and RTSP, which are made alike."""
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}:[ \t][^\r\n]{0,900}\r?\n")
"""How a head begins that the code puts together, as for a CGI gateway: with a field."""
MAX_FIRST_LINE = 1024
_MAX_LINES = 1000
"""Of the code's own of which the kind is looked at."""
_MIN_FIELDS = 2
_CUTS = 40
"""As how many cuts at signs one counts that is asked for commands."""
_HOST = "http://host"
_CLIENTS = frozenset(("smtplib", "aiosmtplib.smtp"))
_MAX_FRAMES = 6
_WRITTEN: collections.deque[str | bytes] = collections.deque(maxlen=8)
"""Mails that messages have written last."""


def check_sent(guard: Guard, data: object) -> None:
    """Block bytes (BlockedError) that the function's own code sends, if data adds lines to them."""
    if not guard.active or not isinstance(data, (str, bytes, bytearray, memoryview)):
        return
    if isinstance(data, str):
        check_line(guard, data)
        return
    headed = _HEAD.match(data) is not None
    given = data if type(data) is bytes else bytes(data[:MAX_HEAD])
    parted = b"\n" in given[:-1] or b"|" in given or b";" in given
    if len(given) > MAX_HEAD or not (headed or parted):
        return
    if not headed and _SAMPLE.fullmatch(given) is not None:
        return  # in none of its parts is another
    if is_direct(guard, "socket", "ssl", "asyncio"):
        judged = judge_sent if headed else _judge_parts
        words = commands.judging(guard)
        guard.check(NAME, given, lambda text, spans: judged(text, spans) or words(text, spans))


def sent_by_own(guard: Guard, function: Any, arguments: tuple[Any, ...], *_: Any) -> None:
    """Block what the code hands to an object of its own (BlockedError) as it does to a socket."""
    if is_own(guard, function) and arguments:
        check_sent(guard, arguments[0])


def mailed_by_own(
    guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a mail (BlockedError) that the code hands to a relay of its own, as to `smtplib`."""
    if not guard.active or not is_own(guard, function):
        return
    for one in (*arguments, *named.values()):
        if not isinstance(one, (str, bytes)) or len(one) > MAX_HEAD:
            continue
        begins = as_text(one[:MAX_FIRST_LINE])
        if _MAIL_FIELD.match(begins) is not None and is_put_together(guard, one):
            guard.check(NAME, one, judge_head)
            links.check(guard, NAME, one)


def check_line(guard: Guard, text: str) -> None:
    """As `check_sent`, of a text that is written into a file over a socket."""
    if _VERB.match(text) is not None and len(text) <= MAX_HEAD and is_direct(guard, "socket"):
        guard.check(NAME, text, judge_sent)


def read_answer(guard: Guard, text: Any, *_: Any) -> None:
    """Block an answer (BlockedError) that the code has written and takes apart itself."""
    if not guard.active or not isinstance(text, (str, bytes)) or len(text) > MAX_HEAD:
        return
    begins = as_text(text[:MAX_FIRST_LINE])
    if _ANSWER.match(begins) is not None:
        guard.check(NAME, text, judge_sent)
    elif _HTTP.match(begins) is not None:
        _check_head(guard, text)
    elif _MAIL_FIELD.match(begins) is not None and is_put_together(guard, text):
        guard.check(NAME, text, _judge_mail)


def begins_mail(text: str) -> bool:
    """Tell whether a text begins as a mail does, with a field that all mails have."""
    return _MAIL_FIELD.match(text) is not None


def _judge_mail(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a text that begins as a mail does, and may be one that people are shown.

    What begins a field there, or the body, does so within a field that all mails have.
    """
    end = _end_of_own(text, spans)
    for span in doubtful(spans):
        if span.start >= end or _MAIL_FIELD.match(before_in_line(text, span)) is None:
            continue
        for place in begun(text, span):
            if _FIELD_NAME.match(text, place) is not None:
                return Verdict(span.origin, "ends its header field and begins another", FIX_HEAD)
    return None


def _end_of_own(text: str, spans: Sequence[Span]) -> int:
    """Return where the head of a text ends that the code has ended itself."""
    for found in _END.finditer(text):
        if not any(s.start < found.end() and found.start() < s.end for s in spans):
            return found.start()
    return len(text)


def read_head(guard: Guard, function: Any, *_: Any) -> None:
    """Block the head of a message (BlockedError) that the code has written and takes apart.

    By a method of its text, or by a function that is given the text.
    """
    text = function if isinstance(function, (str, bytes)) else getattr(function, "__self__", None)
    if isinstance(text, (str, bytes)) and len(text) <= MAX_HEAD and guard.active:
        _check_head(guard, text)
        if guard.provenance.cuts_left > 0 and commands.may_be(as_text(text[:MAX_FIRST_LINE])):
            _check_commands(guard, text)


def _check_commands(guard: Guard, text: str | bytes) -> None:
    """Block lines of commands (BlockedError) that the code has put together and reads itself."""
    guard.provenance.cuts_left -= _CUTS
    if is_put_together(guard, text):
        guard.check(NAME, text, commands.judging(guard))


def _check_head(guard: Guard, text: str | bytes) -> None:
    begins = as_text(text[:MAX_FIRST_LINE])
    answer = _ANSWER.match(begins) is not None
    if (answer or _FIELD.match(begins) is not None) and is_put_together(guard, text):
        guard.check(NAME, text, judge_head if answer else _judge_fields)


def wrote_head(guard: Guard, text: object, *_: Any) -> None:
    """Block a head (BlockedError) of HTTP that the code has put together, whoever reads it."""
    if not isinstance(text, (str, bytes)) or not guard.active or len(text) > MAX_HEAD:
        return
    if _HTTP.match(as_text(text[:MAX_FIRST_LINE])) is not None:
        guard.check(NAME, text, _judge_written)


def _judge_written(text: str, spans: Sequence[Span]) -> Verdict | None:
    # What begins a line is a head of the event's own, which the code adds fields to.
    inside = [s for s in spans if text[max(s.start - 1, 0) : s.start] != "\n"]
    return judge_head(text, inside) if inside else None


def _judge_fields(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a head that the code has put together of fields, as for a CGI gateway."""
    # One line with a name and a colon may begin any text; those of messages end otherwise.
    ends = "\r\n" in neutral(text, spans) or _begun_by_code(text, spans) >= _MIN_FIELDS
    # What begins a line is a head of the event's own, which the code adds fields to.
    inside = [s for s in spans if text[max(s.start - 1, 0) : s.start] != "\n"]
    return judge_head(text, inside) if ends and inside else None


def _begun_by_code(text: str, spans: Sequence[Span]) -> int:
    """Return how many fields at the beginning of a text the code has begun."""
    place = number = 0
    while (field := _FIELD.match(text, place)) is not None and number < _MIN_FIELDS:
        if any(span.start <= place < span.end for span in spans):
            break
        place = field.end()
        number += 1
    return number


def judge_sent(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict on what goes to a socket: a request, an answer or lines of a protocol."""
    if all(s.start == 0 for s in spans):
        return None  # it is passed on
    first = text.partition("\n")[0]
    request = _REQUEST.match(text)
    if request is not None and (_VERSION.search(first) or " HTTP/1." in text[:MAX_HEAD]):
        found = judge_head(text, spans)
        # What CONNECT names is a host and a port, which egress grants decide, as for a socket.
        return found or (None if text.startswith("CONNECT ") else _target(text, first, spans))
    if _ANSWER.match(text) is not None:
        return judge_head(text, spans)
    return _commands(text, spans) if _VERB.match(text) is not None else None


def _target(text: str, first: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the target of a request by the rules for URLs."""
    start = first.index(" ") + 1
    end = first.rfind(" HTTP/1.")
    inside = [s.moved(-start) for s in spans if s.start >= start and s.end <= end]
    target = text[start:end]
    if (
        len(inside) == 1
        and target[:1] == "/"
        and (inside[0].start, inside[0].end) == (0, len(target))
    ):
        # All of it is the event's, after a host of the code's.
        target, inside = _HOST + target, [inside[0].moved(len(_HOST))]
    return structure.judge(target, inside, lambda *_: True) if inside else None


def judge_lines(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data begins a line of a kind that the code's own lines are of."""
    own = BREAKS.split("q".join(around(text, spans)), maxsplit=_MAX_LINES)
    like = [kind for kind in KINDS if any(map(kind.match, own))]
    for span in doubtful(spans) if like else ():
        if STATSD in like and "|" in text[span.start : span.end]:
            return Verdict(span.origin, "adds a part to a sample of metrics", FIX_LINE)
        if POINT in like and adds_tag(before_in_line(text, span), text[span.start : span.end]):
            return Verdict(span.origin, "adds a tag to a point of metrics", FIX_LINE)
        for place in begun(text, span):
            if any(kind.match(text, place) for kind in like):
                return Verdict(span.origin, "begins a line of the protocol", FIX_LINE)
    return None


def _judge_parts(text: str, spans: Sequence[Span]) -> Verdict | None:
    return judge_lines(text, spans) or shaped.judge(text, [s for s in spans if not s.is_piece])


def _commands(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge lines of commands, up to the body of a mail if there is one."""
    if text[-1:] != "\n" or any(s.end == len(text) for s in spans):
        return None
    mail = _MAIL.search(text)
    body = _END.search(text, mail.end()) if mail is not None else None
    end = body.start() if body is not None else len(text)
    for span in doubtful(spans):
        # What begins a line is a payload, such as that of a message; but a mail has none there.
        payload = mail is None and text[span.start - 1 : span.start] == "\n"
        ends_mail = body is not None and "\n.\r" in text[span.start : span.end + 1]
        if span.start < end and not payload and _adds_words(text, span):
            return Verdict(span.origin, "adds a key to a command of the protocol", FIX_LINE)
        if span.start < end and not payload and next(begun(text, span), None) is not None:
            return Verdict(span.origin, "begins a command of the protocol", FIX_LINE)
        if ends_mail:
            return Verdict(span.origin, "ends the body of the mail", FIX_LINE)
    return None


def _adds_words(text: str, span: Span) -> bool:
    """Tell whether data in a command of memcached has what divides its words: keys have none."""
    line = before_in_line(text, span)
    return _OF_KEYS.match(line) is not None and any(map(str.isspace, _first_line(text, span)))


def _first_line(text: str, span: Span) -> str:
    return BREAKS.split(text[span.start : span.end], maxsplit=1)[0]


def _is_line(text: str, spans: Sequence[Span]) -> Verdict | None:
    for span in doubtful(spans):
        if _LINE.search(text, span.start, span.end):
            return Verdict(span.origin, "begins a command of the protocol", FIX_LINE)
    return None


def _is_value(text: str, spans: Sequence[Span]) -> Verdict | None:
    for span in doubtful(spans):
        if next(begun(text, span), None) is not None:
            return Verdict(span.origin, "ends its header field and begins another", FIX_HEAD)
    return None


def patch_socket(guard: Guard, module: ModuleType) -> None:
    """Watch what the function's own code sends by sockets."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if guard.active and len(arguments) > 1:
            check_sent(guard, arguments[1])

    def made(arguments: tuple[Any, ...], named: dict[str, Any], file: Any) -> None:
        if "w" in str(argument(arguments, named, 1, "mode")) and guard.active:
            plain = file.write

            def write(data: Any, /) -> Any:
                """Write what was looked at."""
                check_sent(guard, data)
                return plain(data)

            file.write = write

    def before_parts(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parts = arguments[1] if len(arguments) > 1 else None
        if guard.active and isinstance(parts, (list, tuple)):
            for part in parts:
                check_sent(guard, part)

    for name in ("send", "sendall", "sendto"):
        wrap(module.socket, name, before)
    wrap(module.socket, "sendmsg", before_parts)
    wrap_after(module.socket, "makefile", made)


def patch_ssl(guard: Guard, module: ModuleType) -> None:
    """Watch the same where it is encrypted."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if guard.active and len(arguments) > 1:
            check_sent(guard, arguments[1])

    for name in ("send", "sendall"):
        wrap(module.SSLSocket, name, before)


def patch_streams(guard: Guard, module: ModuleType) -> None:
    """Watch asyncio's streams."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_sent(guard, argument(arguments, named, 1, "data"))

    wrap(module.StreamWriter, "write", before)
    # What comes from a network is fed by asyncio itself.
    wrap_direct(guard, module.StreamReader, "feed_data", before)


def patch_mail(guard: Guard, module: ModuleType) -> None:
    """Watch mails that are texts as smtplib and aiosmtplib send them."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        message = argument(arguments, named, 3, "msg", "message")
        if guard.active and isinstance(message, (str, bytes)):
            guard.check(NAME, message, judge_inside if _is_of_message(message) else judge_head)
            links.check(guard, NAME, message)

    wrap(module.SMTP, "sendmail", before)


def patch_mailbox(guard: Guard, module: ModuleType) -> None:
    """Watch mails that are texts as they are put into a mailbox, for another to send or to read."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        message = argument(arguments, named, 1, "message")
        if guard.active and isinstance(message, (str, bytes)):
            guard.check(NAME, message, judge_inside if _is_of_message(message) else judge_head)
            links.check(guard, NAME, message)
        elif guard.active and isinstance(message, (io.StringIO, io.BytesIO)):
            guard.check(NAME, message.getvalue(), judge_head)

    wrap(module.Mailbox, "_dump_message", before)


def _is_of_message(text: str | bytes) -> bool:
    """Tell whether a mail was written by a message, whose headers were judged as they were set.

    Then a line of the event that is in the head as well is one of its body: a mail that is quoted.
    """
    if text in _WRITTEN:
        return True
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name == "send_message":
            return frame.f_code.co_filename == _file_of(frame)
        frame = frame.f_back
    return False


def _file_of(frame: FrameType) -> str:
    """Return the file of the client of SMTP that a frame is said to be of."""
    name = str(frame.f_globals.get("__name__", ""))
    known = sys.modules.get(name) if name in _CLIENTS else None
    return str(getattr(known, "__file__", ""))


def patch_parser(guard: Guard, module: ModuleType) -> None:
    """Watch mails that the code puts together and reads again."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 1, "text")
        if guard.active and isinstance(text, (str, bytes)) and is_direct(guard, "email"):
            guard.check(NAME, text, judge_head)

    def before_file(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _check_file(guard, argument(arguments, named, 1, "fp"))

    wrap(module.Parser, "parsestr", before)
    wrap(module.BytesParser, "parsebytes", before)
    wrap(module.Parser, "parse", before_file)
    wrap(module.BytesParser, "parse", before_file)


def patch_feeds(guard: Guard, module: ModuleType) -> None:
    """Watch the same where the code hands it to a parser by itself."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 1, "data")
        fits = isinstance(text, (str, bytes)) and len(text) <= MAX_HEAD
        if fits and guard.active and is_direct(guard):
            _check_head(guard, text)

    wrap(module.FeedParser, "feed", before)
    wrap(module.BytesFeedParser, "feed", before)


def patch_http_client(guard: Guard, module: ModuleType) -> None:
    """Watch heads that the code puts together and has read as those of answers."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _check_file(guard, argument(arguments, named, 0, "fp"))

    wrap(module, "parse_headers", before)


def _check_file(guard: Guard, file: Any) -> None:
    """Block a head (BlockedError) that the code has put into a file in memory to be read."""
    if guard.active and isinstance(file, (io.StringIO, io.BytesIO)):
        text = file.getvalue()
        if len(text) > MAX_HEAD or not is_direct(guard, "email", "http"):
            return
        if isinstance(text, bytes):
            _check_head(guard, text)
        elif _FIELD.match(text) is not None:  # of which nobody saw how it came there
            guard.check(NAME, text, _judge_found)


def _judge_found(text: str, spans: Sequence[Span]) -> Verdict | None:
    whole = [s for s in spans if not s.is_piece]
    return _judge_fields(text, whole) if whole else None


def patch_icalendar(guard: Guard, module: ModuleType) -> None:
    """Watch calendars that the code puts together and reads again."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 1, "st")
        if guard.active and isinstance(text, (str, bytes)) and is_direct(guard, "icalendar"):
            guard.check(NAME, text, judge_head)

    for kind in ("Component", "Calendar", "Event"):
        if "from_ical" in vars(owner := getattr(module, kind, object)):
            wrap(owner, "from_ical", before)


def patch_zone(guard: Guard, module: ModuleType) -> None:
    """Watch zones of DNS that the code puts together and reads again."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 0, "text")
        if guard.active and isinstance(text, str) and is_direct(guard, "dns"):
            guard.check(NAME, text, judge_head)

    wrap(module, "from_text", before)


def patch_message(guard: Guard, module: ModuleType) -> None:
    """Watch headers of messages whose policy takes line ends; `EmailPolicy` refuses them itself."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        # Frameworks set headers of their own in each call: most have no such sign.
        if not any(map(_may_tell, (*arguments[1:], *named.values()))) or not guard.active:
            return
        if len(arguments) > 2:
            _check_value(guard, arguments[1], arguments[2])
        if _refuses_breaks(arguments[0]):
            return
        for value in (*arguments[1:], *named.values()):
            if isinstance(value, str) and _LINE.search(value) is not None:
                guard.check(NAME, value, _is_value)

    def written(arguments: tuple[Any, ...], named: dict[str, Any], text: Any) -> None:
        if guard.active:
            _WRITTEN.append(text)

    for name in ("__setitem__", "add_header", "replace_header"):
        wrap(module.Message, name, before)
    for name in ("as_string", "as_bytes"):
        wrap_after(module.Message, name, written)


def _may_tell(value: object) -> bool:
    """Tell whether what a header is made of has a sign of those that are looked for."""
    return isinstance(value, str) and _TELLING.search(value) is not None


def _check_value(guard: Guard, field: object, value: object) -> None:
    """Block the value of a header field (BlockedError) if data is more than one part of it."""
    if not isinstance(value, str) or not isinstance(field, str) or not guard.active:
        return
    if any(sign in value for sign in _DIVIDING):
        name = field.lower()
        guard.check(NAME, value, lambda text, spans: judge_value(name, text, spans))


def _refuses_breaks(message: Any) -> bool:
    policies = sys.modules.get("email.policy")  # which needs this module to be there
    return policies is not None and isinstance(message.policy, policies.EmailPolicy)


def patch_server(guard: Guard, module: ModuleType) -> None:
    """Watch headers that `http.server` answers, which it takes as they are."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for value in (*arguments[1:], *named.values()):
            if isinstance(value, str) and _LINE.search(value) is not None and guard.active:
                guard.check(NAME, value, _is_value)
        field, value = (
            argument(arguments, named, 1, "keyword"),
            argument(arguments, named, 2, "value"),
        )
        _check_value(guard, field, value)

    wrap(module.BaseHTTPRequestHandler, "send_header", before)


def patch_imap(guard: Guard, module: ModuleType) -> None:
    """Watch commands of imaplib, which takes line ends in their arguments."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for value in arguments[1:]:
            if isinstance(value, (str, bytes)) and _LINE.search(as_text(value)) and guard.active:
                guard.check(NAME, value, _is_line)
            elif isinstance(value, str) and '"' in value and guard.active:
                guard.check(NAME, value, lambda text, spans: judge_quoted(text, spans, _CRITERIA))

    wrap(module.IMAP4, "_command", before)


def patch_pop(guard: Guard, module: ModuleType) -> None:
    """Watch commands of poplib."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        line = argument(arguments, named, 1, "line")
        if isinstance(line, str) and _LINE.search(line) and guard.active:
            guard.check(NAME, line, _is_line)

    wrap(module.POP3, "_putcmd", before)
