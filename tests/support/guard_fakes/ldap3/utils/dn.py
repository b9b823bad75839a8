"""Escaping of names (RFC 4514)."""

from __future__ import annotations


def escape_rdn(rdn: str) -> str:
    """Escape what has a meaning in a name."""
    return "".join("\\" + c if c in '\\,+"<>;=' else c for c in rdn)
