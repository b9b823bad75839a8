"""Texts in data that is none: the comment in an image, a name in a font, strings in a program.

An application that reads such data by a library gets these texts from it. The rest of the data is
compared as it is, and never taken apart: a photograph has no text worth a second.
"""

from __future__ import annotations

import re

MAX_LOOKED_AT = 1 << 20
"""Bytes of one value in which texts are looked for, from its beginning: there they are."""
MAX_RUNS = 500
MAX_RUN = 4096
_MAX_FOUND = 2 * MAX_RUNS
"""Runs that are found one by one: where there are more, most are the same."""
MIN_RUN = 8
"""Characters that follow each other: chance makes one of 8 in 2,600 random bytes, of 6 in 400."""
_SAMPLE = 4096
_PRINTED, _ZERO = b"\x01", b"\x02"
_KINDS = bytes(
    1 if byte in b"\t\n\r" or 0x20 <= byte < 0x7F else 2 if byte == 0 else 0 for byte in range(256)
)
"""Every byte by its kind: what is printed, zero, or neither. Searching kinds is done in C."""
_RUNS = {
    unit: re.compile(b"(?:%b){%d,%d}" % (unit, MIN_RUN, MAX_RUN))
    for unit in (_PRINTED, _PRINTED + _ZERO)
}
_TEXTS = {
    _PRINTED: re.compile(rb"[\t\n\r\x20-\x7e]{%d,%d}" % (MIN_RUN, MAX_RUN)),
    _PRINTED + _ZERO: re.compile(rb"(?:[\t\n\r\x20-\x7e]\x00){%d,%d}" % (MIN_RUN, MAX_RUN)),
}
"""The same in the data itself."""
_BEGINNINGS = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"8BPS"),
    *(b"ID3", b"OggS", b"fLaC", b"\0\0\0", b"\x1aE\xdf\xa3", b"%PDF"),
    *(b"SQLite format 3\0", b"\xd0\xcf\x11\xe0", b"wOFF", b"wOF2", b"OTTO", b"\0\1\0\0"),
)
"""How images, sound, films, documents and fonts begin, which have texts beside their data."""
BEGINNINGS_IN_BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGODdh", "R0lGODlh", "UklGR")
"""How images begin in base64."""
_DATABASE = b"SQLite format 3\0"
_SCHEMA = re.compile(r"CREATE (?:TABLE|(?:UNIQUE )?INDEX) ")
"""How SQLite writes the beginning of what it keeps of each table and index."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def is_binary(data: bytes) -> bool:
    """Tell whether data is no text: it has control characters, or is not UTF-8."""
    # Most that is none shows it at once.
    if _CONTROL.search(data, 0, _SAMPLE) or _CONTROL.search(data):
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def may_hold_texts(data: bytes) -> bool:
    """Tell whether data is, by how it begins, of a kind that has texts which libraries read."""
    return data.startswith(_BEGINNINGS)


def schema_in(data: bytes, texts: list[str]) -> list[str]:
    """Return those of the texts in data that tell of the tables of an SQLite database.

    Every library that uses these tables writes their names and columns in its own statements.
    """
    return list(filter(_SCHEMA.search, texts)) if data.startswith(_DATABASE) else []


def texts_in(data: bytes) -> list[str]:
    """Return the runs of printable characters in data, ASCII or UTF-16, at most MAX_RUNS."""
    data = data[:MAX_LOOKED_AT]
    kinds = data.translate(_KINDS)
    found: dict[str, None] = {}
    for unit in (_PRINTED, _PRINTED + _ZERO):
        step = len(unit)
        # The beginning of a run is found faster so than by an expression.
        run, whole = unit * MIN_RUN, _RUNS[unit]
        start, left = kinds.find(run), _MAX_FOUND
        while start >= 0 and len(found) < MAX_RUNS:
            if left <= 0:
                for text in dict.fromkeys(_TEXTS[unit].findall(data, start)):
                    if len(found) < MAX_RUNS:
                        found[text[::step].decode("ascii")] = None
                break
            left -= 1
            match = whole.match(kinds, start)
            end = match.end() if match is not None else start + len(run)
            found[data[start:end:step].decode("ascii")] = None
            start = kinds.find(run, end)
    return list(found)
