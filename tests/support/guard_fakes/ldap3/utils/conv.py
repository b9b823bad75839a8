"""Escaping of filters (RFC 4515)."""

from __future__ import annotations


def escape_filter_chars(text: str, encoding: str | None = None) -> str:
    """Escape what has a meaning in a filter."""
    return "".join(f"\\{ord(c):02x}" if c in "\\*()\x00" else c for c in text)
