"""Texts and numbers as code writes them."""

from __future__ import annotations

import re

from casemate.audit.flow.limits import MAX_TEXT
from casemate.audit.flow.values import ANY_NUMBER, Const, Value
from casemate.audit.javascript.syntax import Node

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_NUMBER = re.compile(r"\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,3})?")
_HEX = {"0x": 16, "0o": 8, "0b": 2}


def escaped(text: str) -> str:
    """Return what an escape sequence stands for."""
    rest = text[1:]
    if rest[:1] in ("x", "u"):
        digits = rest[1:].strip("{}")
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            return ""
    return _ESCAPES.get(rest, rest)


def string_of(node: Node | None) -> str | None:
    """Return the text of a string, or of a template without holes."""
    if node is None or node.kind not in ("string", "template_string"):
        return None
    if any(kid.kind == "template_substitution" for kid in node.kids):
        return None
    return "".join(
        escaped(kid.text) if kid.kind == "escape_sequence" else kid.text for kid in node.kids
    )[:MAX_TEXT]


def number_of(text: str) -> Value:
    """Return a number."""
    plain = text.replace("_", "").removesuffix("n").lower()
    base = _HEX.get(plain[:2])
    try:
        if base is not None:
            return Const(int(plain[2:], base)) if len(plain) < 40 else ANY_NUMBER
        if _NUMBER.fullmatch(plain) is None:
            return ANY_NUMBER
        value = float(plain)
    except (ValueError, OverflowError):
        return ANY_NUMBER
    return Const(int(value)) if value.is_integer() and value < 1e15 else Const(value)
