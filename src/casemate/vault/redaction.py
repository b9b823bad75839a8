"""Finds known values in text, also encoded, and puts their names in their place.

What is searched for, of each value: itself; base64 and base64url in all three alignments that it
can have inside of other data; hexadecimal; and its longer lines, because logs are cut into lines.
Text with percent-encoding or backslash escapes (JSON, Python) is also searched as what it decodes
to, so it does not matter which characters were escaped. A value that was encoded twice, encrypted,
compressed or cut into pieces is not found.

All of that takes time that is linear in the text, whatever it is; see `pattern_search`.
"""

from __future__ import annotations

import base64
import bisect
import re
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote_to_bytes

from casemate.vault.pattern_search import SEARCH_SECONDS, Hit, Pattern, PatternSearch

MIN_LINE_BYTES = 16
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(
    rb"""\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"""
    rb"""|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|["'\\/abfnrtv])"""
)
_SIMPLE = {
    ord(char): bytes([code])
    for char, code in zip("\"'\\/abfnrtv", b"\"'\\/\x07\x08\x0c\n\r\t\x0b", strict=True)
}
_Decode = Callable[[re.Match[bytes]], bytes]
_QUICK_PATTERNS = 64
_QUICK_BYTES = 4 * 1024
"""Up to here it takes a few milliseconds at most, whatever the text is."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base64_patterns(value: bytes, name: str) -> Iterable[Pattern]:
    """Give what stays the same of a value's base64, whatever stands before and after it."""
    for shift in range(3):
        first = -(-shift * 8 // 6)
        end = (shift + len(value)) * 8
        core = base64.b64encode(bytes(shift) + value)[first : end // 6]
        for text in {core, core.translate(_URL_SAFE)}:
            yield Pattern(text, 1 if shift else 0, 1 if end % 6 else 0, name)


def _lines(value: bytes) -> set[bytes]:
    """Return the lines of a value by which it can be told, such as those of a PEM key."""
    lines = {line.strip() for line in value.splitlines()}
    return {x for x in lines if len(x) >= MIN_LINE_BYTES and not x.startswith(b"-----")} - {value}


def _unescape(match: re.Match[bytes]) -> bytes:
    token = match[0][1:]
    kind = token[:1]
    if kind == b"x":
        return bytes([int(token[1:], 16)])
    if kind != b"u":
        return _SIMPLE[token[0]]
    units = b"".join(int(part, 16).to_bytes(2, "big") for part in token[1:].split(b"\\u"))
    return units.decode("utf-16-be", "replace").encode()


def _unquote(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


class _Origin:
    """Where the parts of decoded text came from."""

    def __init__(self, text: bytes, token: re.Pattern[bytes], decode: _Decode) -> None:
        # Arrays: a megabyte of escapes has hundreds of thousands of tokens.
        self._decoded, self._raw = array("q", [0]), array("q", [0])
        self._short, self._long = array("q", [0]), array("q", [0])
        """Of each token: how long it is decoded, and as it was."""
        shrunk = 0
        for match in token.finditer(text):
            short, long = len(decode(match)), match.end() - match.start()
            self._decoded.append(match.start() - shrunk)
            self._raw.append(match.start())
            self._short.append(short)
            self._long.append(long)
            shrunk += long - short

    def of(self, position: int, *, end: bool) -> int:
        """Return the raw position of a decoded one; inside of a token, that token's edge."""
        search = bisect.bisect_left if end else bisect.bisect_right
        index = max(0, search(self._decoded, position) - 1)
        inside = position - self._decoded[index]
        short, long = self._short[index], self._long[index]
        if inside >= short:
            return self._raw[index] + long + inside - short
        return self._raw[index] + (long if end else 0)


def _patterns(values: Iterable[tuple[str, bytes]]) -> Iterable[Pattern]:
    """Return what to search for, each text once."""
    found: dict[bytes, Pattern] = {}
    for name, value in values:
        for text in (value, *_lines(value)):
            found.setdefault(text, Pattern(text, 0, 0, name))
            if b" " in text:
                form = text.replace(b" ", b"+")  # application/x-www-form-urlencoded
                found.setdefault(form, Pattern(form, 0, 0, name))
            for digits in {text.hex().encode(), text.hex().upper().encode()}:
                found.setdefault(digits, Pattern(digits, 0, 0, name))
        for pattern in _base64_patterns(value, name):
            found.setdefault(pattern.text, pattern)
    return found.values()


class Redactor:
    """The patterns of one project's secrets. For one thread at a time."""

    def __init__(self, values: Iterable[tuple[str, bytes]]) -> None:
        """Take names and values; the values stay in this process. They are prepared on first use,
        which takes a while where there are many."""
        self._values: tuple[tuple[str, bytes], ...] = tuple(values)
        self._search: PatternSearch | None = None

    def is_quick(self, texts: Sequence[bytes]) -> bool:
        """Tell whether redacting `texts` takes so little that nobody has to wait for it."""
        search = self._search
        return (
            search is not None
            and len(search) <= _QUICK_PATTERNS
            and sum(map(len, texts)) <= _QUICK_BYTES
        )

    def _prepared(self) -> PatternSearch:
        if self._search is None:
            self._search = PatternSearch(_patterns(self._values))
            self._values = ()
        return self._search

    def redact(self, text: bytes) -> bytes:
        """Return `text` with every known value replaced by `[redacted:NAME]`.

        Raises SearchTooLongError.
        """
        deadline = time.thread_time() + SEARCH_SECONDS
        hits = self._prepared().hits(text, deadline)
        if b"%" in text:
            hits += self._decoded_hits(text, unquote_to_bytes(text), _PERCENT, _unquote, deadline)
        if b"\\" in text:
            hits += self._decoded_hits(
                text, _ESCAPE.sub(_unescape, text), _ESCAPE, _unescape, deadline
            )
        return _replaced(text, hits) if hits else text

    def _decoded_hits(
        self,
        text: bytes,
        decoded: bytes,
        token: re.Pattern[bytes],
        decode: _Decode,
        deadline: float,
    ) -> list[Hit]:
        """Return the stretches of `text` that decode to known values."""
        found = self._prepared().hits(decoded, deadline)
        if not found:
            return []
        origin = _Origin(text, token, decode)
        return [
            Hit(origin.of(start, end=False), origin.of(end, end=True), name)
            for start, end, name in found
        ]


def _replaced(text: bytes, hits: list[Hit]) -> bytes:
    """Replace every stretch that hits cover; overlapping hits are one stretch."""
    stretches: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if stretches and hit.start < stretches[-1].end:
            last = stretches[-1]
            stretches[-1] = last._replace(end=max(last.end, hit.end))
        else:
            stretches.append(hit)
    parts: list[bytes] = []
    done = 0
    for start, end, name in stretches:
        parts += (text[done:start], f"[redacted:{name}]".encode())
        done = end
    return b"".join((*parts, text[done:]))
