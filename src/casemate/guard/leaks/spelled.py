"""Small texts that are written otherwise: backwards, by rot13, in base85, or sign by sign.

Large ones are not read so: for them it would cost more than all else.
"""

from __future__ import annotations

import base64
import binascii
import re
import string
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat

MAX_SPELLED = 16 * 1024
"""Characters of a text beyond which it is not read otherwise."""
_MAX_RUNS = 64
"""Runs of one kind in a text that are decoded."""
_LEAST = 12
"""Signs, bytes or numbers in a row that are read as a text."""
_LONGEST = 3
"""Characters of a sign, a byte in hexadecimal, or a number below 256."""
_Row = tuple[bytes, bytes, tuple[int, ...]]
"""Of what stands between signs: its first one in a row, all of it in a row, and every how many
bytes the first one is there, between single signs or pairs."""


def _rows(*between: str) -> dict[str, _Row]:
    return {
        each: (
            each.strip('"').encode()[:1] * _LEAST,
            each.encode() * _LEAST,
            (2, 3) if len(each) == 1 else (len(each) + 1,),
        )
        for each in between
    }


_BLANK = _rows(" ", "\n", "-", ".", ":", ",", ", ")
_QUOTES = _rows('","', '", "')
"""What stands between signs, as what draws words apart has it, and lists."""
_SINGLE, _PAIRS = re.compile(b"[\0\1]{12,}+"), re.compile(b"\2{12,}+")
_NUMBERS = re.compile(b"[\1-\3]{12,}+")
"""As lengths: a row of what may be signs, bytes in hexadecimal, or numbers."""
_LAST_NUMBER = re.compile(r"([0-9]{1,3})$")
_FIRST_NUMBER = re.compile(r"^([0-9]{1,3})")
_BASE85 = re.compile(r"[!#$%&()*+\-0-9;<=>?@A-Z^_`a-z{|}~]{18,}+")
_SHORTEST = 18
"""Characters of base85 that are decoded."""
_UNQUOTED = bytes.maketrans(b"\"'\\,", b"    ")
"""Signs that base85 has not, and JSON and pages are full of."""
_DIGITS = string.digits.encode()
_ASCII85 = re.compile(r"[!-uz]{18,}+")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{18,}+")
_FROM_Z85 = str.maketrans(
    string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#",
    string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~",
)
_QUOTED = re.compile(r"[\"'](?::[\"']|,)|=[\"']|<~|~>")
"""What in JSON or a page is before or after a value, and can be in ASCII85 as well."""
_TRIED = 20
"""Characters by which a run is told that is no text: all but every run of something else."""
_PACKED = (b"x\x01", b"x^", b"x\x9c", b"x\xda", b"\x1f\x8b\x08")
_ANY = 47
"""zlib or gzip, whatever it begins with."""
_UU_BEGIN = "begin "
_UU = re.compile(r"begin [0-7]{3} [^\r\n]{1,100}+\r?\n((?:[ -`]{1,85}+\r?\n){1,800}+)")
_ROT13 = str.maketrans(
    string.ascii_letters,
    string.ascii_lowercase[13:]
    + string.ascii_lowercase[:13]
    + string.ascii_uppercase[13:]
    + string.ascii_uppercase[:13],
)


def respelled(text: str) -> Iterator[str]:
    """Yield what a small text says if it is read otherwise; nothing of a large one.

    White space is one blank in it, as far as that is told.
    """
    if not _LEAST <= len(text) <= MAX_SPELLED:
        return
    folded = " ".join(text.split())
    yield folded[::-1]
    yield folded.translate(_ROT13)
    # Python's lists have either quote.
    alike = folded.replace("'", '"')
    data = text.encode("ascii", "replace")
    for between in _separators(data, _BLANK):
        yield from map(_folded, _sign_by_sign(text, between))
    for between in _separators(alike.encode("ascii", "replace"), _QUOTES):
        for made in map(_folded, _sign_by_sign(alike, between)):
            yield from (made, made.replace('"', "'"))
    yield from filter(None, map(_folded, _packed(text, data)))


def _folded(text: str) -> str:
    return " ".join(text.split())


def _separators(data: bytes, rows: Mapping[str, _Row]) -> Iterator[str]:
    """Yield what may be between signs, pairs or numbers of a row in it: at the speed of C.

    With one sign between single ones, every second byte of the row is the same.
    """
    steps = {step for _, _, taken in rows.values() for step in taken}
    every = {step: [data[begin::step] for begin in range(step)] for step in steps}
    bare = data.translate(None, _DIGITS)
    for between, (row, whole, taken) in rows.items():
        if whole in bare or any(row in part for step in taken for part in every[step]):
            yield between


def _packed(text: str, data: bytes) -> Iterator[str]:
    # Words are taken apart first, which is faster than to look for long ones.
    bare = [each for each in data.translate(_UNQUOTED).split() if len(each) >= _SHORTEST]
    for word in bare[:_MAX_RUNS]:
        for pattern, decode in ((_BASE85, _of_base85), (_Z85, _of_z85)):
            for run in pattern.findall(word.decode()):
                yield decode(run)
    for long in [each for each in text.split() if len(each) >= _SHORTEST][:_MAX_RUNS]:
        for run in _ASCII85.findall(long):
            yield from map(_of_ascii85, {run, *_QUOTED.split(run)})
    for block in _UU.findall(text) if _UU_BEGIN in text else ():
        yield _of_uuencode(block)


def _sign_by_sign(text: str, between: str) -> Iterator[str]:
    pieces = text.split(between)
    lengths = bytes(map(min, map(len, pieces), repeat(_LONGEST + 1)))
    for pattern, read in ((_SINGLE, _of_signs), (_PAIRS, _of_pairs), (_NUMBERS, _of_numbers)):
        for run in pattern.finditer(lengths):
            # The first and the last are parts of what comes before and after: `["a", "b"]`.
            before = pieces[run.start() - 1] if run.start() else ""
            after = pieces[run.end()] if run.end() < len(pieces) else ""
            yield from read(before, pieces[run.start() : run.end()], after)


def _of_signs(before: str, row: list[str], after: str) -> Iterator[str]:
    # A blank that stood between two of these is nothing, twice.
    signs = "".join(each or "\0" for each in row).replace("\0\0", " ")
    yield f"{before[-1:]}{signs}{after[:1]}"


def _of_pairs(before: str, row: list[str], after: str) -> Iterator[str]:
    yield _of_hexadecimal(before[-2:] + "".join(row) + after[:2])
    yield _of_hexadecimal("".join(row))


def _of_numbers(before: str, row: list[str], after: str) -> Iterator[str]:
    last = _LAST_NUMBER.findall(before) + _LAST_NUMBER.findall(row[0])
    first = _FIRST_NUMBER.findall(row[-1]) + _FIRST_NUMBER.findall(after)
    inner = [each for each in row[1:-1] if each]
    text = "".join(inner)
    if not (text.isascii() and text.isdecimal()):
        return
    try:
        if _is_text(bytes(map(int, inner[:_TRIED]))):
            yield _legible(bytes(map(int, (*last, *inner, *first))))
    except ValueError:
        return  # of more than a byte


def _legible(data: bytes) -> str:
    """Return bytes as a text, nothing where they are none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if "".join(text.split()).isprintable() else ""


def _of_hexadecimal(text: str) -> str:
    try:
        return _legible(bytes.fromhex(text))
    except ValueError:
        return ""


def _decoded(run: str, decode: Callable[[str], bytes]) -> str:
    if len(run) < _SHORTEST:
        return ""
    try:
        begin = decode(run[:_TRIED])
        if begin.startswith(_PACKED):
            return _legible(zlib.decompressobj(wbits=_ANY).decompress(decode(run), MAX_SPELLED))
        return _legible(decode(run)) if _is_text(begin) else ""
    except (ValueError, zlib.error):
        return ""


def _is_text(begin: bytes) -> bool:
    return all(each >= 0x20 or each in b"\t\r\n" for each in begin)


def _of_base85(run: str) -> str:
    return _decoded(run, base64.b85decode)


def _of_z85(run: str) -> str:
    return _decoded(run.translate(_FROM_Z85), base64.b85decode)


def _of_ascii85(run: str) -> str:
    return _decoded(run.strip("\"'"), base64.a85decode)


def _of_uuencode(block: str) -> str:
    made = bytearray()
    try:
        for line in block.splitlines():
            made += binascii.a2b_uu(line)
    except binascii.Error:
        return ""
    return _legible(bytes(made))
