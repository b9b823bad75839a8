"""Languages of expressions that are made for texts from outside: simpleeval, asteval.

A formula of the event, whole or in a place of its own, is what they are for: what it may reach is
theirs to decide. What data does to the expression that the code has written is judged here.
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..sink import Patch
from ..spans import neutral
from ..verdict import Verdict
from .judgement import BrokenCodeError, tokens

_FIX = "give the value by a name: simple_eval('code == given', names={'given': value})"
_WRAPPED = {"simpleeval": ("SimpleEval", "eval"), "asteval.asteval": ("Interpreter", "eval")}


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends a literal of the code's expression, or is no whole formula."""
    doubtful = [s for s in spans if not s.vouched]
    try:
        literals = [
            token for token in tokens(neutral(text, doubtful)) if token[0] == tokenize.STRING
        ]
        found = set(tokens(text))
    except BrokenCodeError:
        return Verdict(doubtful[0].origin, "stands in code that is broken", _FIX)
    for span in doubtful:
        around = next((t for t in literals if t[1] < span.start and span.end < t[2]), None)
        if around is not None and around not in found:
            return Verdict(span.origin, "ends the literal that it stands in", _FIX)
        if around is None and not _is_formula(text[span.start : span.end]):
            return Verdict(span.origin, "is more than one formula", _FIX)
    return None


def _is_formula(part: str) -> bool:
    try:
        ast.parse(part.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches of such libraries, by module."""

    def watching(owner: str, method: str) -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                text = argument(arguments, named, 1, "expr")
                if isinstance(text, str) and guard.active:
                    guard.check(sink, text, _unless_whole)

            wrap(getattr(module, owner), method, before)

        return patch

    return {module: watching(*names) for module, names in _WRAPPED.items()}


def _unless_whole(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Let pass what the event has sent as an expression, whatever it is."""
    whole = any(span.exact and span.end - span.start == len(text) for span in spans)
    return None if whole else judge(text, spans)
