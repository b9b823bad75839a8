"""Reads an env file (dotenv), and refuses what programs that read them take in different ways.

    # a comment, or an empty line
    NAME=value               letters, digits and marks; no space, quote, `$`, `#`, `\\` or backquote
    export NAME='value'      as it is, up to the next quote, over several lines if need be
    NAME="value"             with \\n, \\r, \\t, \\\\, \\" and \\$; no other `$` or `\\`

After a quoted value only a comment may follow. What is refused is told by its line, never by its
text: these are secrets.
"""

from __future__ import annotations

import re

from casemate.cli.errors import CommandError

MAX_FILE_BYTES = 1024 * 1024
MAX_ENTRIES = 1000
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]{0,199})=")
_PLAIN = re.compile(r"[^\s'\"$#\\`]*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_AFTER_PLAIN = re.compile(r"[ \t]*(?:\n|\Z)|[ \t]+#[^\n]*(?:\n|\Z)")
_IN_DOUBLE = re.compile(r'[^"\\$`]+|\\[nrt\\"$]')
"""One piece of what may stand between double quotes: the whole in one expression would be tried
anew from each quote of a text that never ends."""
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_env_file(data: bytes) -> dict[str, str]:
    """Return the values by name, in the order of the file. Raises CommandError."""
    if len(data) > MAX_FILE_BYTES:
        raise CommandError(
            f"The env file has more than {MAX_FILE_BYTES // 1024} KiB.",
            next_step="Set large secrets one by one: casemate secrets set PROJECT/NAME < FILE.",
        )
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(line, "is not UTF-8") from None
    if "\0" in text or "\r" in text:
        place = min(text.find(mark) for mark in "\0\r" if mark in text)
        raise _refused(text.count("\n", 0, place) + 1, "has a NUL or a lone carriage return")
    found: dict[str, str] = {}
    position, line = 0, 1
    while position < len(text):
        start = position
        position = _entry(text, position, line, found)
        line += text.count("\n", start, position)
        if len(found) > MAX_ENTRIES:
            raise _refused(line, f"is beyond {MAX_ENTRIES} values, the most of one file")
    return found


def _entry(text: str, position: int, line: int, found: dict[str, str]) -> int:
    """Read one line, or one value of several; return where the next begins."""
    blank = _REST.match(text, position)
    if blank is not None:
        return blank.end()
    name = _NAME.match(text, position)
    if name is None:
        raise _refused(line, "is no NAME=value: no space belongs before or around the `=`")
    if name[1] in found:
        raise _refused(line, f"gives {name[1]} again")
    value, end = _value(text, name.end(), line)
    found[name[1]] = value
    return end


def _value(text: str, position: int, line: int) -> tuple[str, int]:
    """Return a value and where the next line begins."""
    first = text[position : position + 1]
    if first not in {"'", '"'}:
        plain = _PLAIN.match(text, position)
        value = plain[0] if plain else ""
        after = _AFTER_PLAIN.match(text, position + len(value))
        if after is None:
            raise _refused(
                line, "has a space, quote, `$`, `#`, `\\` or backquote: put the value in '...'"
            )
        return value, after.end()
    start = position + 1
    end = text.find("'", start) if first == "'" else _end_of_double(text, start)
    if end < 0:
        raise _refused(
            line, "has a quote that is not closed, or within \"...\" a `$`, backquote or `\\` that "
            "programs read in different ways: put the value in '...'"
        )  # fmt: skip
    after = _REST.match(text, end + 1)
    if after is None:
        raise _refused(line, "goes on after the quoted value")
    value = text[start:end]
    if first == '"':
        value = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), value)
    return value, after.end()


def _end_of_double(text: str, position: int) -> int:
    """Return where the closing double quote is, -1 if something else comes first."""
    while (piece := _IN_DOUBLE.match(text, position)) is not None:
        position = piece.end()
    return position if text[position : position + 1] == '"' else -1


def _refused(line: int, what: str) -> CommandError:
    return CommandError(
        f"Line {line} of the env file {what}.", next_step="Mend it; nothing was set."
    )
