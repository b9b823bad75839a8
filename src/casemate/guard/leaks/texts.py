"""A body as it reads once what packs or encodes it is undone.

JSON in JSON, HTML and addresses in layers; base64 in it, as cookies of sessions have it, once.
"""

from __future__ import annotations

import base64
import binascii
import html
import io
import re
import sys
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

MAX_LOOKED = 1 << 20
"""Bytes of an answer that are searched for texts of exceptions: half of it at its beginning, half
at its end. What is between these in a larger one is looked at for traces, pages and paths only."""
_LEVELS = 3
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}+")
_MAX_BASE64 = 1_024
"""Runs of base64 of one text that are decoded; what they hold is MAX_LOOKED bytes at most."""
_STANDARD = str.maketrans("-_", "+/")
_MARKS = str.maketrans(dict.fromkeys("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~", " "))
_UTF16 = 64
"""Bytes at the beginning by which UTF-16 is told."""
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


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


def views(data: bytes) -> list[str]:
    """Return a body's text, then the same with one level of escapes less, as often as it helps.

    White space is one blank: headers and pages have no lines. What base64 in it holds comes last.
    """
    found = _layers(_text(data))
    packed = " ".join(_decoded(found[-1]))
    return [*found, *_layers(packed)] if packed else found


def words(text: str) -> list[str]:
    """Return the words of a text, without punctuation."""
    return text.translate(_MARKS).split()


def _text(data: bytes) -> str:
    begin = data[:_UTF16]
    if 3 * begin.count(0) < len(begin) or len(begin) < 4:
        return data.decode("utf-8", "replace")
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    little = begin[1::2].count(0) >= begin[::2].count(0)
    return data.decode("utf-16-le" if little else "utf-16-be", "replace")


def _layers(text: str) -> list[str]:
    found = [" ".join(text.split())]
    for _ in range(_LEVELS):
        plain = _unescaped(text)
        if plain == text:
            break
        text = plain
        found.append(" ".join(text.split()))
    return found


def _decoded(text: str) -> Iterator[str]:
    """Yield the texts that are in a text as base64 of either alphabet, packed by zlib or not."""
    left = MAX_LOOKED
    for number, run in enumerate(_BASE64.finditer(text)):
        if number == _MAX_BASE64 or left <= 0:
            return
        one = run.group().translate(_STANDARD)
        try:
            data = base64.b64decode(one + "=" * (-len(one) % 4))
        except (binascii.Error, ValueError):
            continue
        data = (inflated(data) or data)[:left]
        try:
            yield data.decode()
        except UnicodeDecodeError:
            continue
        left -= len(data)


def _unescaped(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_character, text)
    if "&" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text, errors="replace")
    return text


def _character(match: re.Match[str]) -> str:
    code, sign = match.groups()
    return chr(int(code, 16)) if code else _NAMED.get(sign, sign)
