"""Escaping of filters."""

from __future__ import annotations


def escape_filter_chars(assertion_value: str, escape_mode: int = 0) -> str:
    """Escape what has a meaning in a filter."""
    return "".join(f"\\{ord(c):02x}" if c in "\\*()\x00" else c for c in assertion_value)


def filter_format(filter_template: str, assertion_values: list[str]) -> str:
    """Put escaped values into a template."""
    return filter_template % tuple(escape_filter_chars(v) for v in assertion_values)
