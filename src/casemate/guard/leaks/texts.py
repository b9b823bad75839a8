"""A body as it reads once what encodes it is undone: JSON in JSON, HTML, addresses."""

from __future__ import annotations

import html
import re
import zlib
from urllib.parse import unquote

MAX_LOOKED = 1 << 20
"""Bytes of an answer that are searched for texts of exceptions: half of it at its beginning, half
at its end. What is between these in a larger one is looked at for traces, pages and paths only."""
_LEVELS = 3
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def looked_at(data: bytes) -> bytes:
    """Return the part of a body that is searched."""
    if len(data) <= MAX_LOOKED:
        return data
    half = MAX_LOOKED // 2
    return data[:half] + b"\n" + data[-half:]


def inflated(data: bytes) -> bytes:
    """Return what a body holds that is packed by gzip or zlib, MAX_LOOKED bytes of it at most."""
    try:
        return zlib.decompressobj(wbits=47).decompress(data, MAX_LOOKED)
    except zlib.error:
        return b""


def views(data: bytes) -> list[str]:
    """Return a body's text, then the same with one level of escapes less, as often as it helps.

    White space is one blank: headers and pages have no lines.
    """
    text = data.decode("utf-8", "replace")
    found = [" ".join(text.split())]
    for _ in range(_LEVELS):
        plain = _unescaped(text)
        if plain == text:
            break
        text = plain
        found.append(" ".join(text.split()))
    return found


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
