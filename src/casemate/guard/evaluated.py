"""Calls of `eval`, by their look: what is the text given to be evaluated with?"""

from __future__ import annotations

import ast

from .names import EVAL_ALONE, EVAL_IN, EVAL_OF_NAMES, NAMESPACES

_MAX_GIVEN = 64
"""Names that are told of with a call of `eval`."""


def form_of_eval(node: ast.Call) -> str:
    """Return how a call of `eval` is announced with its variables, by its look; empty without."""
    given = node.args[1:]
    if not 1 <= len(given) <= 2 or node.keywords:
        return ""
    if _leaves_nothing(given[0]):
        return EVAL_ALONE
    if len(given) == 1 and _has_names(given[0]):
        return EVAL_OF_NAMES
    # `locals()` and the like are what the code has for itself.
    own = any(
        isinstance(part, ast.Call)
        and isinstance(part.func, ast.Name)
        and part.func.id in NAMESPACES
        and not part.args
        for one in given
        for part in ast.walk(one)
    )
    return "" if own else EVAL_IN


def _leaves_nothing(given: ast.expr) -> bool:
    """Tell whether variables leave a text no built-in functions, by their look."""
    if not isinstance(given, ast.Dict):
        return False
    for key, value in zip(given.keys, given.values, strict=True):
        if not isinstance(key, ast.Constant):
            return False  # `**` brings what nobody sees here
        if key.value == "__builtins__":
            none = isinstance(value, ast.Constant) and value.value is None
            return none or (isinstance(value, ast.Dict) and not value.keys)
    return False


def _has_names(given: ast.expr) -> bool:
    """Tell whether variables are names of the code's in the place of all others."""
    if not isinstance(given, ast.Dict) or not 0 < len(given.keys) <= _MAX_GIVEN:
        return False
    return all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in given.keys)
