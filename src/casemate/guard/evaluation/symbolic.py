"""Mathematics from texts: sympy evaluates what it parses, with the built-in functions in reach.

Formulas of the event are what such functions are for. What no formula needs is stopped: attributes,
texts, subscripts of names, and functions that Python has built in.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..sink import Patch
from ..verdict import Verdict

MAX_FORMULA = 10_000
"""Characters of a formula."""
_MATHEMATICAL = frozenset(("abs", "max", "min", "pow", "round", "sum", "divmod", "int", "float"))
_FUNCTIONS = frozenset(dir(builtins)) - _MATHEMATICAL - frozenset(("True", "False", "None"))
_NAME = re.compile(r"[^\W\d]\w*")
_ATTRIBUTE = re.compile(r"(?<!\w)[^\W\d]\w*\s*\.|[)\]}\"']\s*\.\s*[^\W\d]|\.\s*[^\W\d_]\w*\s*\(")
_MARK = re.compile(r"[\"'`\\:;@{}\n\r]|__|(?<![<>=!])=(?!=)")
_POWERS = re.compile(r"\*\*\s*[\d(]*\d{4,}|(?<!\d)\d{5,}\s*!|\*\*[^*+\-/]*\*\*\s*\d{2,}")
_FIX = (
    "parse the formula with what allows only what you name, such as ast.parse and a visitor, or "
    "check it: re.fullmatch(r'[0-9a-z+*/(). -]{1,200}', text) and no name with a dot"
)


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a formula is more than mathematics."""
    for span in spans:
        if span.checked in ("member", "constant", "pattern"):
            continue
        part = text[span.start : span.end]
        if len(part) > MAX_FORMULA:
            return Verdict(span.origin, "is a formula without end", _FIX)
        if _MARK.search(part) or _ATTRIBUTE.search(part):
            return Verdict(span.origin, "is more than mathematics: it reaches attributes", _FIX)
        if any(name in _FUNCTIONS for name in _NAME.findall(part)):
            return Verdict(span.origin, "names a function that Python has built in", _FIX)
        if _POWERS.search(part):
            return Verdict(span.origin, "is a number that takes all memory", _FIX)
    return None


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches of sympy, by module."""

    def formula(name: str, parameter: str) -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                text = argument(arguments, named, 0, parameter)
                for item in text if isinstance(text, (list, tuple, set)) else (text,):
                    if isinstance(item, str) and guard.active:
                        guard.check(sink, item, judge)

            wrap(module, name, before)

        return patch

    def lambdify(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            for text in (argument(arguments, named, 1, "expr"), argument(arguments, named, 0)):
                if isinstance(text, str) and guard.active:
                    guard.check(sink, text, judge)

        wrap(module, "lambdify", before)

    return {
        "sympy.core.sympify": formula("sympify", "a"),
        "sympy.parsing.sympy_parser": formula("parse_expr", "s"),
        "sympy.utilities.lambdify": lambdify,
    }
