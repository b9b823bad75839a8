"""Files of the function's own code that it reads while it runs: templates, statements, pages.

A template that is loaded from one has `{{ name }}`, as an event may have: none of it is of this.
"""

from __future__ import annotations

import os
from typing import Any

_NOTED = ("file", "own")
MAX_FILES = 64
"""Of one invocation that are compared, the last ones that it opened."""
MAX_SIZE = 256 * 1024
"""Bytes of one that is compared."""
_MAX_ENDS = 64


def opened(kept: dict[Any, Any], root: str, path: object) -> None:
    """Take in that a file was opened to be read. Most are none of the code's own."""
    if not isinstance(path, str) or (path[:1] == "/" and not path.startswith(root)):
        return
    where = os.path.abspath(path)
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


def _is_in(path: str, text: str, least: int, most: int) -> bool:
    try:
        if not least <= os.stat(path).st_size <= most:
            return False
        with open(path, "rb") as file:
            found = file.read(most).decode()
    except (OSError, ValueError):
        return False
    return found.replace("\r\n", "\n").strip() == text.strip()
