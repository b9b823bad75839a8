"""Text as the records keep it: of bounded length and always Unicode.

Much of it comes from hostile code or callers.
"""

from __future__ import annotations

MAX_NAME = 256
"""Characters kept of ids, names, levels and classes."""
MAX_TEXT = 16 * 1024
"""Characters kept of a log line and of an error's message."""


def clean(text: str, limit: int = MAX_NAME) -> str:
    """Return text cut to `limit` characters, which is then said at its end, and `escaped`."""
    if len(text) <= limit and text.isascii():
        return text  # as nearly all is
    if len(text) > limit:
        text = f"{text[:limit]} [{len(text) - limit} characters cut]"
    return escaped(text)


def escaped(text: str) -> str:
    """Return text that is Unicode: lone surrogates become `\\udcxx`, readable and harmless."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
