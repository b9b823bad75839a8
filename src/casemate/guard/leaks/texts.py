"""A body as it reads once what packs or encodes it is undone.

JSON in JSON, HTML, addresses and mail in layers; base64, hexadecimal and base32 in it, as cookies
of sessions and attachments have them, and what is packed in it, in two layers each.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import io
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from .escapes import unescaped, unquoted
from .shapes import TAG
from .spelled import respelled

MAX_LOOKED = 1 << 20
"""Bytes of an answer that are searched for texts of exceptions: half of it at its beginning, half
at its end. What is between these in a larger one is looked at for traces, pages and paths only."""
_LEVELS = 4
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,30}+m")
"""As traces have them within words; highlighted code has tags there."""
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}+")
_FOLDED = re.compile(r"[ \t]{0,8}+([A-Za-z0-9+/]{1,76}+)")
"""What follows a full line of base64."""
_LINES = frozenset((60, 64, 72, 76))
"""Characters of a full line of base64, as mail, PEM and tools have them."""
_UNSEEN = (
    "\N{ZERO WIDTH SPACE}",
    "\N{SOFT HYPHEN}",
    "\N{ZERO WIDTH NON-JOINER}",
    "\N{ZERO WIDTH JOINER}",
    "\N{WORD JOINER}",
    "\N{ZERO WIDTH NO-BREAK SPACE}",
)
"""Characters that show nothing, which pages have within words."""
_MAX_BINARY = 64 * 1024
"""Bytes of a run beyond which it is not tried whether they are packed otherwise."""
_LEGIBLE = bytes(range(0x20, 0x7F))
_HEX = re.compile(r"[0-9a-fA-F]{24,}+")
_BASE32 = re.compile(r"[A-Z2-7]{24,}+={0,6}+")
_MAX_BASE64 = 1_024
"""Runs of base64 of one text that are decoded; what they hold is MAX_LOOKED bytes at most."""
_NESTED = 2
_STANDARD = str.maketrans("-_", "+/")
_WORDS = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if chr(byte).isalnum() and byte < 128 else 32
    for byte in range(256)
)
"""To small letters and digits of ASCII, all else blank."""
_UTF16 = 64
"""Bytes at the beginning by which UTF-16 and UTF-32 are told."""
_CHARSET = re.compile(rb"charset=[\\\"' ]{0,3}+([A-Za-z0-9_.:-]{1,40}+)", re.IGNORECASE)


def looked_at(data: bytes) -> bytes:
    """Return the part of a body that is searched."""
    if len(data) <= MAX_LOOKED:
        return data
    half = MAX_LOOKED // 2
    return data[:half] + b"\n" + data[-half:]


def unpacked(data: bytes, encodings: bytes) -> bytes:
    """Return what a body holds that is packed as its headers say, MAX_LOOKED bytes of it at most.

    Nothing if it is not, or by what this process has not loaded: then its code has not packed it.
    """
    if b"gzip" in encodings or b"deflate" in encodings:
        return inflated(data) or inflated(data, -zlib.MAX_WBITS)
    for word, names in _PACKERS.items():
        module = next((sys.modules[name] for name in names if name in sys.modules), None)
        if word in encodings and module is not None:
            try:
                return _read(module, data)
            except Exception:  # noqa: BLE001 - a library's own errors; it is no such body
                return b""
    return b""


_GZIP, _ZIP, _BZIP2, _XZ = b"\x1f\x8b\x08", b"PK\x03\x04", b"1AY&SY", b"\xfd7zXZ\x00"
_LZMA = b"]\0\0"
_MAX_PACKED = 64
"""Places of each kind at which something packed may begin that are tried, of one body: members of
an archive, parts of a message."""
_ZIP_HEAD, _ZIP_LENGTHS = 30, 26
"""Bytes of a local header before its name, and where it says how long name and extra are."""


def parts(data: bytes) -> bytes:
    """Return what is packed anywhere in a body, whatever its headers say: MAX_LOOKED bytes at most.

    Archives, downloads, parts of a message; an archive that is packed itself.
    """
    made = _parts(data)
    for _ in range(_NESTED - 1):
        inner = _parts(made)
        if not inner:
            break
        made = (made + b"\n" + inner)[: 2 * MAX_LOOKED]
    return made


def _parts(data: bytes) -> bytes:
    found: list[bytes] = []
    left = MAX_LOOKED
    whole = memoryview(data)
    for mark, before, unpack in _MARKED:
        at = data.find(mark)
        for _ in range(_MAX_PACKED):
            if at < before or left <= 0:
                break
            one, used = unpack(whole[at - before :], left)
            if one:
                found.append(one)
                left -= len(one)
            at = data.find(mark, at + max(used - before, len(mark)))
    return b"\n".join(found)


_Unpack = Callable[[memoryview, int], tuple[bytes, int]]


def _inflate(data: memoryview, bits: int, most: int) -> tuple[bytes, int]:
    """Return what is packed at the beginning, and how many bytes of it were used."""
    engine = zlib.decompressobj(wbits=bits)
    try:
        return engine.decompress(data, most), len(data) - len(engine.unused_data)
    except zlib.error:
        return b"", 0


def _of_gzip(data: memoryview, most: int) -> tuple[bytes, int]:
    return _inflate(data, 16 + zlib.MAX_WBITS, most)


def _of_zlib(data: memoryview, most: int) -> tuple[bytes, int]:
    return _inflate(data, zlib.MAX_WBITS, most)


def _of_zip(data: memoryview, most: int) -> tuple[bytes, int]:
    lengths = bytes(data[_ZIP_LENGTHS:_ZIP_HEAD])
    begin = (
        _ZIP_HEAD + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    )
    one, used = _inflate(data[begin:], -zlib.MAX_WBITS, most)
    return (one, begin + used) if one else (b"", 0)


def _of_module(name: str, engine: str) -> _Unpack:
    def unpack(data: memoryview, most: int) -> tuple[bytes, int]:
        module = sys.modules.get(name)
        if module is None:
            return b"", 0  # code of this process has not packed it
        made = getattr(module, engine)()
        try:
            one = made.decompress(data, most)
        except Exception:  # noqa: BLE001 - each has errors of its own; it is no such body
            return b"", 0
        return one, len(data) - len(made.unused_data) if made.eof else 0

    return unpack


_MARKED: tuple[tuple[bytes, int, _Unpack], ...] = (
    (_GZIP, 0, _of_gzip),
    (b"x\x9c", 0, _of_zlib),
    (b"x\xda", 0, _of_zlib),
    (b"x\x01", 0, _of_zlib),
    (b"x^", 0, _of_zlib),
    (_ZIP, 0, _of_zip),
    (_BZIP2, 4, _of_module("bz2", "BZ2Decompressor")),
    (_XZ, 0, _of_module("lzma", "LZMADecompressor")),
    (_LZMA, 0, _of_module("lzma", "LZMADecompressor")),
)
"""What each kind begins with, how many bytes there are before that, and what unpacks it."""


_PACKERS = {b"br": ("brotli", "brotlicffi"), b"zstd": ("zstandard", "compression.zstd")}


def _read(module: Any, data: bytes) -> bytes:
    if hasattr(module, "ZstdDecompressor") and hasattr(module, "ZstdFile"):
        with module.ZstdFile(io.BytesIO(data)) as file:
            return bytes(file.read(MAX_LOOKED))
    if hasattr(module, "ZstdDecompressor"):
        with module.ZstdDecompressor().stream_reader(io.BytesIO(data)) as file:
            return bytes(file.read(MAX_LOOKED))
    made, decompressor = bytearray(), module.Decompressor()
    for at in range(0, len(data), _STEP):
        made += decompressor.process(data[at : at + _STEP])
        if len(made) >= MAX_LOOKED:
            break
    return bytes(made[:MAX_LOOKED])


_STEP = 256
"""Bytes of a body that are unpacked at once where the library takes no bound on what comes out."""


def inflated(data: bytes, bits: int = 47) -> bytes:
    """Return what a body holds that is packed by gzip or zlib, MAX_LOOKED bytes of it at most."""
    try:
        return zlib.decompressobj(wbits=bits).decompress(data, MAX_LOOKED)
    except zlib.error:
        return b""


def views(data: bytes, head: bytes = b"") -> list[str]:
    """Return a body's text, then the same with one level of escapes less, as often as it helps.

    White space is one blank: headers and pages have no lines. What base64 in it holds comes after
    these, and how a small one reads that is written otherwise last.
    `head` is what may name its character set.
    """
    found: dict[str, None] = {}
    known: dict[str, int] = {}
    for text in _texts(data, head):
        last = _layers(text, found, known)
        dull = _COLOUR.sub("", last) if "\x1b" in last else last
        bare = TAG.sub("", dull) if "<" in dull else dull
        others = dict.fromkeys((dull, bare, unquoted(text), unquoted(last), _plain(last)))
        for plain in others.keys() - {text, last}:
            _layers(plain, found, known)
    packed = " ".join(found)
    if len(found) > 1:
        packed = packed[:MAX_LOOKED]
    for _ in range(_NESTED):
        packed = " ".join(_decoded(packed))
        if not packed:
            break
        _layers(packed, found, known)
    for text in known:
        for made in respelled(text):
            found[made] = None
            found[unescaped(made)] = None
    return list(found)


def _plain(text: str) -> str:
    """Return a text without characters that show nothing, and others in their usual form."""
    if text.isascii() or "\0" in text:
        return text  # the latter is no text
    for unseen in _UNSEEN:
        text = text.replace(unseen, "")
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)


def words(text: str) -> list[str]:
    """Return the words of a text in small letters, of ASCII alone and without punctuation."""
    return [word.decode() for word in text.encode("ascii", "replace").translate(_WORDS).split()]


def worded(text: str) -> bytes:
    """Return the words of a text with a blank before and after each.

    What quotes, escapes, joins or spells it otherwise is gone from it.
    """
    return b" %b " % b" ".join(text.encode("ascii", "replace").translate(_WORDS).split())


def _texts(data: bytes, head: bytes) -> Iterator[str]:
    begin = data[:_UTF16]
    if len(begin) >= 4 and 3 * begin.count(0) >= len(begin):
        yield _wide(data, begin)
    try:
        yield data.decode()
    except UnicodeDecodeError:
        yield data.decode("latin-1")
    named = _CHARSET.search(head)
    name = named.group(1).decode().lower().replace("-", "_") if named else ""
    if name == "utf_7":
        yield codecs.utf_7_decode(data, "replace")[0]
    elif name not in ("", "utf_8") and f"encodings.{name}" in sys.modules:
        try:
            yield data.decode(name, "replace")
        except (LookupError, ValueError):
            return  # no character set


def _wide(data: bytes, begin: bytes) -> str:
    if 5 * begin.count(0) > 3 * len(begin):
        return data.decode("utf-32-be" if begin[0] == 0 else "utf-32-le", "replace")
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    little = begin[1::2].count(0) >= begin[::2].count(0)
    return data.decode("utf-16-le" if little else "utf-16-be", "replace")


def _layers(text: str, found: dict[str, None], known: dict[str, int]) -> str:
    """Add a text with ever less escapes to `found`; return the last of them as it is.

    `known` are those that were gone on from, by how many levels.
    """
    for left in range(_LEVELS, -1, -1):
        if known.get(text, -1) >= left:
            break
        known[text] = left
        found[" ".join(text.split())] = None
        plain = unescaped(text) if left else text
        if plain == text:
            break
        text = plain
    return text


def _decoded(text: str) -> Iterator[str]:
    """Yield the texts that are in a text as base64 of either alphabet, hexadecimal or base32."""
    left = MAX_LOOKED
    end = 0
    for number, run in enumerate(_BASE64.finditer(text)):
        if number == _MAX_BASE64 or left <= 0:
            return
        if run.start() < end:
            continue  # a line of what was decoded already
        one, end = _unfolded(text, run)
        for raw in _raw(one):
            data, text_of_it = _read_as_text(raw, left)
            if text_of_it:
                yield text_of_it
                left -= len(data)


def _read_as_text(raw: bytes, left: int) -> tuple[bytes, str]:
    """Return what bytes hold, unpacked, and their text, where most of it is legible."""
    data = inflated(raw) or raw
    if data is raw and len(raw) <= _MAX_BINARY:
        data = parts(raw) or _deflated(raw) or raw
    data = data[:left]
    try:
        return data, data.decode()
    except UnicodeDecodeError:
        legible = len(data) - len(data.translate(None, _LEGIBLE))
        return data, data.decode("latin-1") if 2 * legible > len(data) else ""


def _deflated(raw: bytes) -> bytes:
    """Return what is packed without a head, if that is text: much else begins like it."""
    data = inflated(raw, -zlib.MAX_WBITS)
    return data if data.isascii() else b""


def _unfolded(text: str, run: re.Match[str]) -> tuple[str, int]:
    """Return a run of base64 with the lines that follow its first, and where it ends."""
    lines, end = [run.group()], run.end()
    while len(lines[-1]) == len(lines[0]) and len(lines[0]) in _LINES:
        line = _FOLDED.match(text, end)
        if line is None or len(line.group(1)) > len(lines[0]):
            break
        lines.append(line.group(1))
        end = line.end()
    return "".join(lines), end


def _raw(run: str) -> Iterator[bytes]:
    one = run.translate(_STANDARD)
    try:
        if _HEX.fullmatch(run) and len(run) % 2 == 0:
            yield bytes.fromhex(run)
        elif _BASE32.fullmatch(run):
            yield base64.b32decode(run + "=" * (-len(run) % 8))
    except (binascii.Error, ValueError):
        pass  # base64 that looks like it
    try:
        yield base64.b64decode(one + "=" * (-len(one) % 4))
    except (binascii.Error, ValueError):
        return
