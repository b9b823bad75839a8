"""Escaping of names."""

from __future__ import annotations


def escape_dn_chars(text: str) -> str:
    """Escape what has a meaning in a name."""
    return "".join("\\" + c if c in '\\,+"<>;=' else c for c in text)
