"""What a statement of Python imports, by its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def imported(node: ast.AST) -> Iterator[str]:
    """Yield whole names; of `from a import b` both `a` and `a.b`, whichever is the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
