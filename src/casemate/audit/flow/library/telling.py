"""Tells of outside data in one argument."""

from __future__ import annotations

import ast
from collections.abc import Callable

from casemate.audit.flow.library import contexts
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import State
from casemate.audit.flow.values import (
    Value,
)

Check = Callable[[Reader, str, Arguments, State, ast.AST, Value | None], bool | None]


def tell(
    reader: Reader,
    weakness: str,
    name: str,
    value: Value | None,
    state: State,
    node: ast.AST,
    confidence: str = "high",
) -> bool:
    """Tell of outside data in a value."""
    if value is None or (weakness == "markup" and reader.route and not reader.route.shown):
        return False
    taints = contexts.harmful(weakness, value, state, reader.kinds)
    if taints:
        reader.report(weakness, name, taints, node, confidence)
    contexts.look(reader, weakness, value, taints, state, node)
    return bool(taints)
