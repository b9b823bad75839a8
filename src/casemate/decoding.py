"""Makes types ready to be decoded to, so that threads may do it for the first time together.

What msgspec knows of a class it collects at the first use and lets others see before it is whole:
a second thread that decodes to that class meanwhile follows a null pointer and the process ends
(msgspec 0.22, `StructInfo_Convert`). So within functions every type that has classes of ours in it
goes through `decodable`; decoders that a module makes while it is imported need it not.

It also reads a few numbers four hundred times slower than others, without giving up the
interpreter's lock; `has_many_extremes` and `has_long_number` tell where they are. For a key of TOML
tomllib takes time by the square of its parts: 30,000 in a text of 60 KB take longer than a node
waits for its gateway. What is from outside is read by `toml_of`.
"""

from __future__ import annotations

import threading
from typing import Any, Final, TypeVar, overload

import msgspec

T = TypeVar("T")

DECODING_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All that msgspec raises for data that is not what was expected. Members that it does not know it
passes over level by level: for some thousand of them it raises RecursionError."""

_collecting = threading.RLock()
_ready: set[object] = set()


@overload
def decodable(kind: type[T]) -> type[T]: ...


@overload
def decodable(kind: Any) -> Any: ...


def decodable(kind: Any) -> Any:
    """Return `kind`, a type that msgspec can decode to, with all that it has to know collected.

    The first use costs what the first decoding would have cost; later ones a look into a set.
    Raises TypeError if msgspec does not support the type.
    """
    if kind not in _ready:
        with _collecting:
            msgspec.json.Decoder(kind)
        _ready.add(kind)
    return kind


MAX_EXTREMES = 1000
"""Numbers with exponents of three digits and more in one text: those beyond 1e288 and below
1e-307 take 8 microseconds each to read, others 20 nanoseconds."""
NUMBER_SHAPES = bytes(
    ord("0") if chr(byte).isdigit() and byte < 128 else byte | 0x20 if byte in b"eE" else byte
    for byte in range(256)
)
"""Makes zeros of all digits, and small letters of exponents."""
_LEAST_EXTREME_BYTES = 6


def has_many_extremes(data: bytes) -> bool:
    """Tell whether JSON has more than MAX_EXTREMES numbers that are slow to read."""
    if len(data) < MAX_EXTREMES * _LEAST_EXTREME_BYTES:
        return False
    return _extremes(data) > MAX_EXTREMES and _extremes(without_texts(data)) > MAX_EXTREMES


def _extremes(data: bytes) -> int:
    return data.translate(NUMBER_SHAPES, b"+-").count(b"0e000")


def without_texts(data: bytes) -> bytes:
    """Return valid JSON without the content of its texts."""
    if b"\\" in data:
        # A backslash stands in texts only, and belongs to the byte after it.
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(data.split(b'"')[::2])


MAX_DIGITS = 1300
"""Digits of a number of JSON that stand together: those of 4,300 bits, keys of RSA among them. What
a whole number takes to read grows with the square of them; Python itself reads up to 4,300."""
_MORE_DIGITS = b"0" * (MAX_DIGITS + 1)


def has_long_number(data: bytes) -> bool:
    """Tell whether JSON has a number with more than MAX_DIGITS digits that stand together."""
    if len(data) <= MAX_DIGITS or _MORE_DIGITS not in data.translate(NUMBER_SHAPES):
        return False
    return _MORE_DIGITS in without_texts(data).translate(NUMBER_SHAPES)


def is_slow_to_read(data: bytes) -> bool:
    """Tell whether JSON has numbers that take far longer to read than others of its size."""
    return has_many_extremes(data) or has_long_number(data)


MAX_DOTS = 200
"""Outside of quotes, in one line of TOML."""


def toml_of(text: str) -> dict[str, Any]:
    """Return what TOML says. Raises ValueError, also for what takes its reader too long."""
    import tomllib  # few processes read any

    number = line_of_long_key(text, MAX_DOTS)
    if number is not None:
        raise ValueError(f"line {number} has more than {MAX_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def line_of_long_key(text: str, most: int) -> int | None:
    """Return the number of the first line of TOML with more dots than these outside of quotes."""
    # Not `splitlines`, to which more is the end of a line than to TOML: quoted keys may hold that.
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > most and _dots(line, text) > most:
            return number
    return None


def _dots(line: str, text: str) -> int:
    """Return how many dots of a line are outside of quotes, at least."""
    if '"""' in text or "'''" in text:  # which may begin and end in other lines
        return line.count(".")
    count, quote, escaped = 0, "", False
    for char in line:
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\" and quote == '"'
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        else:
            count += char == "."
    return count
