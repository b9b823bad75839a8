r"""One level of what escapes a text: `\u0041`, `&#65;`, `%41` and, in mail, `=41`.

Texts of a megabyte that are nothing but escapes are read at the speed of C: an escape is looked up
in a table of those that the text has already had, and code of ours runs for new ones alone.
"""

from __future__ import annotations

import html
import re
import sys
from html.entities import html5

_BACKSLASH = re.compile(
    r"(\\(?:u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}"
    r"|[0-3][0-7]{2}|\\(?:\\\\)*+|.))",
    re.DOTALL,
)
"""Of JSON, JavaScript, Python, and the octal ones of cookies; a row of backslashes is one."""
_REFERENCE = re.compile(r"(&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{1,31};?))")
"""Of HTML; no name has other signs or more of them."""
_PERCENT = re.compile(r"(%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*+)")
_QUOTED = re.compile(r"(=(?:[0-9A-F]{2}|[ \t]{0,8}+\r?\n))")
"""Of mail (RFC 2045, 6.7) and of its headers (RFC 2047)."""
_JOINED = re.compile(r"\?=\s{1,8}+=\?[A-Za-z0-9-]{1,40}+\?[QqBb]\?")
"""Between two pieces of a header that was cut into them."""
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_MAX_DIGITS = 7
"""Of a character's number; Python refuses to read one of thousands."""
_BEGINNINGS = frozenset(name[:2] for name in html5 if not name.endswith(";"))
"""Of the names that need no semicolon."""


class _Table(dict[str, str]):
    """What the escapes of one text stand for."""

    __slots__ = ()


class _Backslash(_Table):
    def __missing__(self, escape: str) -> str:
        kind = escape[1]
        if kind == "\\":
            made = escape[::2]
        elif len(escape) == 2:
            made = _NAMED.get(kind, kind)
        elif kind in "uUx":
            number = int(escape[2:].strip("{}"), 16)
            made = chr(number) if number <= sys.maxunicode else ""
        else:
            made = chr(int(escape[1:], 8))
        self[escape] = made
        return made


class _Reference(_Table):
    def __missing__(self, escape: str) -> str:
        if escape[1] == "#":
            sign = escape[2] if escape[2] in "xX" else ""
            digits = escape[2 + len(sign) :].rstrip(";").lstrip("0") or "0"
            number = f"&#{sign}{digits};"
            made = "\ufffd" if len(digits) > _MAX_DIGITS else html.unescape(number)
        else:
            # The standard library tries each beginning of a name that it does not know.
            known = escape[1:3] in _BEGINNINGS or escape[1:] in html5
            made = html.unescape(escape) if known else escape
        self[escape] = made
        return made


class _Percent(_Table):
    def __missing__(self, escape: str) -> str:
        made = bytes.fromhex(escape.replace("%", "")).decode("utf-8", "replace")
        self[escape] = made
        return made


class _Quoted(_Table):
    def __missing__(self, escape: str) -> str:
        made = "" if escape[-1] == "\n" else chr(int(escape[1:], 16))
        self[escape] = made
        return made


def unescaped(text: str) -> str:
    """Return a text with one level of escapes of backslashes, of HTML and of addresses less.

    No half of a character is left in it.
    """
    if "\\" in text:
        table = _Backslash()
        text = _replaced(_BACKSLASH, text, table)
        if any("\ud800" <= sign <= "\udfff" for sign in table.values()):
            text = _paired(text)
    if "&" in text:
        text = _replaced(_REFERENCE, text, _Reference())
    if "%" in text:
        text = _replaced(_PERCENT, text, _Percent())
    return text


def unquoted(text: str) -> str:
    """Return a text without the escapes of mail."""
    if "=" not in text:
        return text
    plain = _JOINED.sub("", text) if "?=" in text else text
    return _replaced(_QUOTED, plain, _Quoted())


def _replaced(escape: re.Pattern[str], text: str, table: _Table) -> str:
    pieces = escape.split(text)
    if len(pieces) == 1:
        return text
    pieces[1::2] = map(table.__getitem__, pieces[1::2])
    return "".join(pieces)


def _paired(text: str) -> str:
    """Return a text with its halves of characters joined, as JSON has those of emoji."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
