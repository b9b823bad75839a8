"""From a file to TOML data with places, refusing what cannot be a manifest before parsing it."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path

from casemate.manifest.locator import MAX_DEPTH, KeyLocator, Position
from casemate.manifest.problem import ManifestError, dotted, file_problem, printable

MAX_BYTES = 1024 * 1024

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_TOML_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")
_MAX_MESSAGE = 200
_REPEATED = ("Cannot overwrite a value", "Duplicate inline table key", "Cannot declare ")
"""How what tomllib says of a key begins that is there already, without telling which, or where."""
_EXPECTED = {
    "Invalid value": "a value: text in quotes, a number, true, false, [ ... ] or { ... }",
    "Expected '=' after a key": "key = value",
}
"""What stands in TOML where tomllib says something that begins so."""

# tomllib promises TOMLDecodeError (a ValueError) alone, yet some releases leak others.
_PARSER_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Document:
    """A manifest's data as `tomllib` gives it, and where its keys stand."""

    data: dict[str, object]
    locator: KeyLocator


def read_document(path: Path) -> Document:
    """Read and parse the file at `path`; ManifestError if it is no TOML of a manifest's size."""
    text = _decode(path, _read_bytes(path))
    locator = KeyLocator(text)
    if locator.too_deep is not None:
        raise file_problem(
            path,
            "tables or arrays nested too deeply",
            f"at most {MAX_DEPTH} levels",
            locator.too_deep,
        )
    return Document(_parse(path, text, locator), locator)


def _read_bytes(path: Path) -> bytes:
    expected = "a readable manifest of at most 1 MiB"
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise file_problem(path, "a folder", expected)
            if not stat.S_ISREG(mode):
                raise file_problem(path, "something that is not a regular file", expected)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise _missing(path, "no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid path"
        raise file_problem(path, f"a file that cannot be read ({reason})", expected) from error
    if len(data) > MAX_BYTES:
        raise file_problem(path, "more than 1 MiB", expected)
    return data


def _missing(path: Path, found: str) -> ManifestError:
    """Return the error of a manifest that is not there."""
    return file_problem(
        path,
        found,
        "a manifest",
        next_step="Run `casemate init` to make a project, or go to the folder of one.",
    )


def _decode(path: Path, data: bytes) -> str:
    expected = "UTF-8 text without a byte order mark"
    if data.startswith(_BYTE_ORDER_MARKS):
        raise file_problem(path, "a byte order mark", expected, Position(1, 1))
    nul = data.find(0)
    if nul >= 0:
        raise file_problem(path, "binary data (a NUL byte)", expected, _place(data, nul))
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise file_problem(
            path,
            f"the byte 0x{data[error.start]:02x}, which is not UTF-8",
            expected,
            _place(data, error.start),
        ) from error


def _parse(path: Path, text: str, locator: KeyLocator) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise file_problem(path, "tables or arrays nested too deeply", "TOML 1.0") from error
    except _PARSER_ERRORS as error:
        message = str(error)
        match = _TOML_PLACE.search(message)
        place = None
        if match is not None:
            message = message[: match.start()]
            place = (
                Position(int(match[1]), int(match[2])) if match[1] else locator.position(len(text))
            )
        raise _unparsed(path, message, place, locator) from error


def _unparsed(
    path: Path, message: str, place: Position | None, locator: KeyLocator
) -> ManifestError:
    """Return the error of what tomllib does not take, in words for who writes a manifest."""
    twice = locator.repeated
    if twice is not None and message.startswith(_REPEATED):
        return file_problem(
            path,
            f"{dotted(twice.path)} a second time; the first is on line {twice.first.line}",
            "each key and each table once",
            twice.second,
        )
    expected = (text for begin, text in _EXPECTED.items() if message.startswith(begin))
    shown = printable(message[:_MAX_MESSAGE])
    return file_problem(path, f"invalid TOML: {shown}", next(expected, "TOML 1.0"), place)


def _place(data: bytes, offset: int) -> Position:
    start = data.rfind(b"\n", 0, offset) + 1
    line = data.count(b"\n", 0, offset) + 1
    return Position(line, len(data[start:offset].decode(errors="replace")) + 1)
