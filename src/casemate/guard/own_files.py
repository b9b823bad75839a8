"""Files of the function's own code that it reads while it runs: templates, statements, settings.

A template that is loaded from one has `{{ name }}`, as an event may have: none of it is of this.
Nor is a value that stands in one, such as a condition in settings.
"""

from __future__ import annotations

import json
import os
from posixpath import join, normpath  # as they are before the guard follows what they make
from typing import Any

_NOTED = ("file", "own")
MAX_FILES = 64
"""Of one invocation that are compared, the last ones that it opened."""
MAX_SIZE = 256 * 1024
"""Bytes of one that is compared."""
_MAX_ENDS = 64
_MIN_VALUE = 8
"""Characters of a value that is looked for in one."""
_BEFORE = ("= ", ": ", "=", "- ")
"""What is before a value without quotes, up to the end of its line."""


def opened(kept: dict[Any, Any], root: str, path: object) -> None:
    """Take in that a file was opened to be read. Most are none of the code's own."""
    if not isinstance(path, str) or (path[:1] == "/" and not path.startswith(root)):
        return
    where = normpath(join(os.getcwd(), path))
    if where.startswith(root):
        noted: dict[str, None] = kept.setdefault(_NOTED, {})
        noted.pop(where, None)
        noted[where] = None
        if len(noted) > MAX_FILES:
            del noted[next(iter(noted))]


def holds(kept: dict[Any, Any], text: str) -> bool:
    """Tell whether a text is all that is in one of these files, but for blank lines at its ends."""
    noted = kept.get(_NOTED)
    if not noted or len(text) > MAX_SIZE:
        return False
    size = len(text.encode(errors="surrogatepass"))
    most = size + text.count("\n") + _MAX_ENDS
    return any(_is_in(path, text, size - _MAX_ENDS, most) for path in reversed(list(noted)))


def has_value(kept: dict[Any, Any], text: str) -> bool:
    """Tell whether a text is a value in one of these files: in quotes, or behind a name."""
    noted = kept.get(_NOTED)
    if not noted or not _MIN_VALUE <= len(text) <= MAX_SIZE:
        return False
    quoted = [f'"{text}"', f"'{text}'", json.dumps(text), json.dumps(text, ensure_ascii=False)]
    plain = [] if "\n" in text else [f"{before}{text}\n" for before in _BEFORE]
    for path in reversed(list(noted)):
        found = _read(path)
        if any(one in found for one in quoted) or any(one in f"{found}\n" for one in plain):
            return True
    return False


def _read(path: str) -> str:
    try:
        if os.stat(path).st_size > MAX_SIZE:
            return ""
        with open(path, "rb") as file:
            return file.read(MAX_SIZE).decode().replace("\r\n", "\n")
    except (OSError, ValueError):
        return ""


def _is_in(path: str, text: str, least: int, most: int) -> bool:
    try:
        if not least <= os.stat(path).st_size <= most:
            return False
        with open(path, "rb") as file:
            found = file.read(most).decode()
    except (OSError, ValueError):
        return False
    return found.replace("\r\n", "\n").strip() == text.strip()
