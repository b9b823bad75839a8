"""The forms in which an application may have decoded a text: URL, base64, JSON in it, and so on.

Each decoder takes a text and yields what it decodes to, nothing if the text is not of its kind.
Sizes are bounded here, depth and number by the caller.
"""

from __future__ import annotations

import base64
import binascii
import html
import io
import json
import re
import sys
import unicodedata
import zlib
from collections.abc import Iterator
from typing import Any, Literal

from .binary import BEGINNINGS_IN_BASE64, may_hold_texts

MAX_FORM = 256 * 1024
"""Characters of a text that is looked at for encodings; a longer one is taken as it is."""
_MAX_IMAGE = 1 << 20
"""Characters of an image in base64 that are looked at; a multiple of four."""
MAX_INFLATED = 1 << 20
"""Bytes that a compressed form may come to."""
_MAX_FIELDS = 1000
MIN_CODED = 8
"""Characters of a text that is tried as base64 or hex: shorter ones hold no payload."""
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, LookupError)
"""What `zipfile` raises of archives that are encrypted, cut short or otherwise odd."""
WITH_SPACE = ("Beare", "beare", "data:")

BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
SPACED = re.compile(r"[A-Za-z0-9+/_=\s-]*")
BEGINNING = 256
_FORM = re.compile(r"[^=&\s]{1,200}=")
_HEX = re.compile(r"(?:0[xX]|\\x)?+(?:[0-9a-fA-F]{2}){3,}+")
is_hex = _HEX.fullmatch
has_hex = re.compile(r"\0(?:0[xX]|\\x)?[0-9a-fA-F]{6,}+(?=\0)").search
"""Finds one of many texts, each between null characters."""
JWT = re.compile(r"[\w-]*\.[\w-]{4,}(?:\.[\w-]*)?")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")
_Form = Literal["NFC", "NFKC"]
NO_CHARACTER = re.compile("[\ud800-\udfff]")
"""A byte that stands for no character, as `surrogateescape` has it, or half of one."""


def _changing(form: _Form) -> str:
    """Return the characters of two bytes of UTF-8 that normalizing changes or puts elsewhere.

    Of bytes by chance most characters are such of two. All others stay as they are, and are what
    marks combine with; none of these combines with what is before it.
    """
    found = map(chr, range(0x80, 0x800))
    return "".join(
        c for c in found if unicodedata.combining(c) or not unicodedata.is_normalized(form, c)
    )


NORMAL_FORMS: tuple[_Form, ...] = ("NFC", "NFKC")
_GROWING = {"\ufdfa": 18, "\ufdfb": 8}
"""Ligatures and the characters that NFKC makes of each; of any other it makes at most six."""
_MAY_CHANGE = {
    form: re.compile(f"[{_changing(form)}\u0800-\ud7ff\ue000-\U0010ffff]+") for form in NORMAL_FORMS
}
ESCAPES = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2}))"
)
"""A character beyond the first 65,536 is two escapes (RFC 8259, section 7), all others are one.

Cookies have them in octal digits.
"""
URL_ESCAPES = re.compile(r"(%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*)")
"""Begins with a sign, which is searched for faster than a group is."""
CONTROL = re.compile(r"[\x01-\x08\x0e-\x1f\x7f]")
_PART = re.compile(r"\r?\n\r?\n")
_WHITESPACE = re.compile(r"\s+")


def readable(data: bytes) -> str | None:
    """Return bytes as text if they are any."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text


def inflated(data: bytes) -> bytes | None:
    """Return what gzip or zlib data holds, None if it is neither or too large."""
    if data[:2] != b"\x1f\x8b" and data[:1] != b"\x78":
        return None
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = inflater.decompress(data, MAX_INFLATED)
    except zlib.error:
        return None
    return plain if inflater.eof else None


def _unzipped(data: bytes) -> dict[str, object]:
    """Return the texts in a ZIP archive by name, such as the parts of an office document."""
    # An application that has not imported it reads no archives.
    zipfile: Any = sys.modules.get("zipfile")
    found: dict[str, object] = {}
    if zipfile is None:
        return found
    room = MAX_INFLATED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist()[:_MAX_FIELDS]:
                with archive.open(entry) as file:
                    # The size that an archive tells of a file may be a lie.
                    content = file.read(room)
                room -= len(content)
                text = readable(content)
                if text:
                    found[entry.filename] = text
                if room <= 0:
                    break
    except (zipfile.BadZipFile, zlib.error, *_UNREADABLE):
        return found
    return found


def bytes_forms(data: bytes, how: str) -> Iterator[tuple[str, object]]:
    """Yield what bytes hold: an archive's texts, what was compressed, or text as it is."""
    if data[:4] == b"PK\x03\x04":
        texts = _unzipped(data)
        if texts:
            yield f"{how} and ZIP", texts
        return
    plain = inflated(data)
    if plain is not None:
        text = readable(plain)
        if text:
            yield f"{how} and gzip", text
        return
    text = readable(data)
    if text:
        yield how, text
    elif may_hold_texts(data):
        yield how, data


def base64_bytes(text: str) -> bytes | None:
    """Return what base64 of either alphabet holds, white space in it or not; None if it is none."""
    # What is none shows it soon: of a picture no space is to be taken out.
    if not SPACED.fullmatch(text, 0, BEGINNING):
        return None
    compact = _WHITESPACE.sub("", text)
    if not BASE64.fullmatch(compact):
        return None
    compact = compact.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    if len(compact) % 4 == 1:
        return None
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def base64_forms(text: str) -> Iterator[tuple[str, object]]:
    data_url = _DATA_URL.match(text)
    data = base64_bytes(text[data_url.end() :] if data_url else text)
    if data:
        yield from bytes_forms(data, "base64")


def hex_forms(text: str) -> Iterator[tuple[str, object]]:
    """Yield what hexadecimal digits hold."""
    if _HEX.fullmatch(text):
        digits = text[2:] if text[:2] in ("0x", "0X", "\\x") else text
        yield from bytes_forms(bytes.fromhex(digits), "hex")


def token_forms(text: str) -> Iterator[tuple[str, object]]:
    token = text[7:] if text[:7].lower() == "bearer " else text
    if not JWT.fullmatch(token):
        return
    for name, segment in zip(("head", "body"), token.split("."), strict=False):
        data = base64_bytes(segment)
        if data is not None:
            for _how, decoded in bytes_forms(data, ""):
                yield f"a token's {name}", decoded


def unquoted(text: str) -> str:
    """Return what `urllib.parse.unquote` does, in a third of the time where escapes are many."""
    if "%" not in text:
        return text
    parts = URL_ESCAPES.split(text)
    escapes = parts[1::2]
    if not escapes:
        return text
    # All at once, with a null between: what is no whole character ends there, too.
    plain = bytes.fromhex("%00".join(escapes).replace("%", "")).decode(errors="replace").split("\0")
    if len(plain) != len(escapes):  # there are nulls among them
        known = {e: bytes.fromhex(e.replace("%", "")).decode(errors="replace") for e in {*escapes}}
        plain = [known[escape] for escape in escapes]
    parts[1::2] = plain
    return "".join(parts)


def _url(text: str) -> Iterator[tuple[str, object]]:
    if "%" in text:
        decoded = unquoted(text)
        if decoded != text:
            yield "URL encoding", decoded
    if "+" in text:
        yield "URL encoding", unquoted(text.replace("+", " "))


def form_fields(text: str) -> Iterator[tuple[str, object]]:
    query = text.partition("?")[2] if text[:1] in ("/", "h") and "?" in text else text
    if not _FORM.match(query) or "=" not in query.rstrip("="):
        return
    pairs = query.split("&", _MAX_FIELDS)
    if len(pairs) <= _MAX_FIELDS:
        # As `parse_qsl` does, which takes four times as long.
        named = [pair.replace("+", " ").partition("=") for pair in pairs if pair]
        yield "a form", dict_of_lists([(unquoted(n), unquoted(value)) for n, _, value in named])


def dict_of_lists(fields: list[tuple[str, str]]) -> dict[str, object]:
    """Return fields by name; a name that comes more than once has a list."""
    found: dict[str, object] = {}
    for name, value in fields:
        before = found.get(name)
        if before is None:
            found[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            found[name] = [before, value]
    return found


def multipart_forms(text: str) -> Iterator[tuple[str, object]]:
    if not text.startswith("--") or "ontent-disposition:" not in text.lower():
        return
    boundary = text.split("\n", 1)[0].strip()
    parts: list[object] = []
    for part in text.split(boundary)[1 : _MAX_FIELDS + 1]:
        head, *body = _PART.split(part.strip("\r\n"), maxsplit=1)
        parts.append([*re.findall(r'name="([^"]*)"', head), *body])
    if parts:
        yield "multipart", parts


def json_forms(text: str) -> Iterator[tuple[str, object]]:
    if text.lstrip()[:1] in ("{", "[", '"'):
        try:
            yield "JSON", json.loads(text)
        except (ValueError, RecursionError):
            yield from _json_lines(text)


def _json_lines(text: str) -> Iterator[tuple[str, object]]:
    lines = text.strip().splitlines()
    if not 1 < len(lines) <= _MAX_FIELDS:
        return
    try:
        yield "JSON lines", [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return


def html_forms(text: str) -> Iterator[tuple[str, object]]:
    decoded = html.unescape(text)
    if decoded != text:
        yield "HTML entities", decoded


def unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(0x10000 + ((int(found[1], 16) - 0xD800) << 10) + int(found[2], 16) - 0xDC00)
    if found[5]:
        return chr(int(found[5], 8))
    return chr(int(found[3] or found[4], 16))


def escape_forms(text: str) -> Iterator[tuple[str, object]]:
    decoded = ESCAPES.sub(unescaped, text)
    if decoded != text:
        yield "escapes", decoded


def normalized(form: _Form, text: str) -> str:
    """Return a normal form of a text, of bytes that are none without what cannot change in it.

    Pictures and archives are mostly bytes that stand for no character. These and ASCII stay as they
    are and combine with nothing after them, and normalizing them cost seconds a megabyte. Nor do
    most characters of two bytes change, of which chance makes thousands.
    """
    if not has_no_character(text):
        return unicodedata.normalize(form, text)
    parts: list[str] = []
    at = 0
    for found in _MAY_CHANGE[form].finditer(text):
        start = max(found.start() - 1, at)  # a mark combines with the letter before it
        parts += (text[at:start], unicodedata.normalize(form, text[start : found.end()]))
        at = found.end()
    return "".join([*parts, text[at:]])


def has_no_character(text: str) -> bool:
    """Tell whether there is in a text what `NO_CHARACTER` finds, in a third of its time."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def unicode_forms(text: str) -> Iterator[tuple[str, str]]:
    seen = {text}
    normal = text
    for form in NORMAL_FORMS:
        # Of what is canonical already, most has no other form, which shows at once.
        normal = normalized(form, text if has_no_character(text) else normal)
        if normal not in seen:
            seen.add(normal)
            yield form, normal


def growth(text: str) -> int:
    """Return how many characters those of a text become that become by far the most."""
    if text.isascii():
        return 0
    return sum(size * text.count(sign) for sign, size in _GROWING.items())


def decoded(text: str, *, normal: bool = False) -> Iterator[tuple[str, object]]:
    """Yield how one encoding was undone and what came of it: a text, or JSON with texts.

    What is in a normal form already is not put into one again.
    """
    if len(text) > MAX_FORM:
        # The texts of an image are at its beginning.
        if text.startswith(BEGINNINGS_IN_BASE64):
            yield from base64_forms(text[:_MAX_IMAGE])
        return
    if not (normal or text.isascii()):
        yield from unicode_forms(text)
    if "%" in text or "+" in text:
        yield from _url(text)
    if "=" in text:
        yield from form_fields(text)
    if "&" in text and ";" in text:
        yield from html_forms(text)
    if "\\" in text:
        yield from escape_forms(text)
    if "{" in text or "[" in text or '"' in text:
        yield from json_forms(text)
    if "\n" in text and "--" in text:
        yield from multipart_forms(text)
    if len(text) >= MIN_CODED and (" " not in text or text[:5] in WITH_SPACE):
        if "." in text:
            yield from token_forms(text)
        yield from base64_forms(text)
        yield from hex_forms(text)
