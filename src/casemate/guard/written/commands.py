"""Lines of commands that the code puts together, for a server elsewhere or an object of its own.

A line that data begins is a command of its own if it begins with a word of the protocol: one that
the code asks for itself, or one of a protocol that is known. Where a key ends at a blank, data with
a blank is one key more. What comes after its length is no line, whatever is in it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from ..constants import Constants
from ..core import Guard
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

NAME = "header"
FIX_LINE = (
    "take line ends out of what goes into a line of a protocol, or refuse values that have one"
)
_DATA = "\ue000"
"""What stands for data, which no text has."""
_MAX_TEXT, _MAX_LINES = 64 * 1024, 200
_WORD = re.compile(r"[ \t]{0,8}([A-Za-z][A-Za-z_-]{1,20})(?=[ \t\r\n]|\Z)")
_TAGGED = re.compile(r"[A-Za-z]{0,4}\d{1,6} ([A-Za-z]{3,14})(?=[ \t\r\n]|\Z)")
"""A command behind a mark by which its answer is told, as IMAP has it."""
_NUMBER = re.compile(r"(?<!\S)[$*]?(\d{1,7})\+?\Z")
"""How many bytes come after a line, at its end."""
_VERBS = frozenset(
    [
        *("set", "add", "replace", "append", "prepend", "cas", "get", "gets", "gat", "delete"),
        *("incr", "decr", "touch", "flush_all", "put", "use", "watch", "ignore", "reserve"),
        *("release", "bury", "kick", "stats", "pub", "sub", "unsub", "hset", "hget", "hdel"),
        *("del", "mget", "mset", "flushall", "flushdb", "config", "eval", "expire", "lpush"),
        *("rpush", "sadd", "publish", "subscribe", "helo", "ehlo", "mail", "rcpt", "data"),
        *("quit", "rset", "user", "pass", "dele", "retr", "stor", "cwd", "privmsg", "kick"),
        *("join", "mode", "nick", "select", "login", "slaveof", "rename", "keys", "auth"),
    ]
)
"""Of memcached, Redis, beanstalkd, NATS, SMTP, POP, IMAP, FTP and IRC, in small letters."""
_OF_KEYS = re.compile(
    r"\s{0,8}(?:gets?|gat|delete|del|incr|decr|touch|mget|exists|unlink)[ \t]\S{0,250}\Z"
)
"""What is before a key that is the first one, of commands that take several, or end with it."""


def may_be(text: str) -> bool:
    """Tell whether a text begins as lines of commands do: with a word, or behind a mark."""
    return _WORD.match(text) is not None or _TAGGED.match(text) is not None


def judging(guard: Guard) -> Judge:
    """Return what judges lines of commands by the words that the code holds."""
    return lambda text, spans: judge(guard.constants, text, spans)


def judge(known: Constants, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data begins a command in lines of the code's, or adds a key to one."""
    seen = [span for span in spans if not span.is_piece]
    if len(text) > _MAX_TEXT or not seen or is_whole(text, seen) or text[-1:] not in "\r\n":
        return None
    own = neutral(text, seen, _DATA)
    if own[-1:] == _DATA or not _are_commands(known, own):
        return None
    until = 0
    for span in doubtful(seen):
        before = before_in_line(own, span)
        if not before.strip(_DATA + " \t") or span.end <= until:
            continue
        adds = _OF_KEYS.match(before) is not None and _has_blank(text, span)
        if adds or any(_begins(known, own, line) for line in _begun(text, span)):
            until = _counted_until(text, own, span)
            if span.end > until:
                words = "adds a key to" if adds else "begins"
                return Verdict(span.origin, f"{words} a command of the protocol", FIX_LINE)
    return None


def _are_commands(known: Constants, own: str) -> bool:
    """Tell whether the code's own lines are of commands, the first one at least."""
    first = BREAKS.split(own[:MAX_LINE], maxsplit=1)[0]
    return _is_command(known, first) or _TAGGED.match(first) is not None


def _is_command(known: Constants, line: str) -> bool:
    found = _WORD.match(line)
    if found is None:
        return False
    word = found[1]
    if not (word.islower() or word.isupper()):
        return False  # it begins a sentence
    return word.lower() in _VERBS or _is_held(known, word)


def _is_held(known: Constants, word: str) -> bool:
    return any(map(known.holds, {word, word.upper(), word.lower()}))


def _begins(known: Constants, own: str, line: str) -> bool:
    """Tell whether a line is a command: of a known protocol if the code's own first one is."""
    if _is_command(known, line):
        found, first = _WORD.match(line), _WORD.match(own)
        of_protocol = first is None or first[1].lower() in _VERBS
        return of_protocol or (found is not None and _is_held(known, found[1]))
    tagged = _TAGGED.match(line)
    return tagged is not None and _TAGGED.match(own) is not None


def _begun(text: str, span: Span) -> Iterator[str]:
    """Yield the lines that begin in data."""
    for place in itertools.islice(begun_behind_blanks(text, span), _MAX_LINES):
        yield BREAKS.split(text[place : place + MAX_LINE], maxsplit=1)[0]


def _has_blank(text: str, span: Span) -> bool:
    """Tell whether there is a blank within the first line of data, and something behind it."""
    first = BREAKS.split(text[span.start : span.end], maxsplit=1)[0]
    return len(first.split()) > 1 or (first[:1].isspace() and first.strip() != "")


def _counted_until(text: str, own: str, span: Span) -> int:
    """Return where as many bytes end as a line of the code's before data says; 0 if none does."""
    end = span.start
    for _ in range(_MAX_LINES):
        end = own.rfind("\n", 0, end)
        if end < 0:
            break
        line = own[max(own.rfind("\n", 0, end) + 1, end - MAX_LINE) : end]
        found = _NUMBER.search(line.rstrip())
        if found is not None:
            size = int(found[1])
            counted = text[end + 1 :].encode(errors="surrogatepass")
            ended = counted[size : size + 1] in (b"", b"\r", b"\n")
            part = counted[:size].decode(errors="surrogatepass") if ended else ""
            return end + 1 + len(part)
    return 0
