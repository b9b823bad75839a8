"""Finds the calls by which code may ask an object of its own by a text that it has put together.

A client of the code's own (`jira.ask(f'project = X AND text ~ "{words}"')`) has any name for what
it does. Looked at are the modules alone that have a literal which looks like a part of a query, or
begins like a command, or ends as its lines do; in all others calls stay as they are.
"""

from __future__ import annotations

import ast
import builtins
import re

_HOLE = "\0"
_QUERY = re.compile(
    r"(?:[=~:(,<>]|\b(?:eq|ne|like|LIKE|contains|is|[A-Z]{2,12})\b)\s?['\"](?:\0|%s|%\(|\{|\Z)"
)
"""A value in quotes behind a comparison."""
_JOINED = re.compile(
    r"\b(?:and|or|where|match|filter|select|eq|find|return)\b|&&|\|\||[{(\[,|;]", re.IGNORECASE
)
_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_JOINS = frozenset(("and", "or", "&&", "||"))
"""What is between two conditions, by itself: `" AND ".join(parts)`."""
_FIELDS = re.compile(r"(?:\w{2,40}[:=]\w[\w.-]{0,60}[ ,]){1,8}\w{2,40}[:=](?:\0|%s|%\(|\{|\Z)")
"""Words behind names of fields: `label:support from:`, `tenant=t1,app=`."""
_COMMAND = re.compile(r"[A-Z]{2,12}(?:[ +][^\n]{0,200})?(?:\0|%s|%\(|\{|\Z)")
"""A word in capitals, as protocols begin their lines."""
_VALUE = re.compile(r"\0|%[sd]|\{\w{0,40}\}")
"""Where a value goes into a text."""
_DOCUMENT = re.compile(r"\{\s{0,9}\w{1,40}\s{0,3}\(\s{0,3}\w{1,40}\s{0,3}:")
"""A field of GraphQL's with an argument."""
_FILTER = re.compile(r"\([&|!]\(|\(\w{1,40}=(?:\0|%s|%\(|\{|\*|\Z)")
"""A filter of LDAP's."""
_OPERATOR = re.compile(r"\$(?:ne|gte?|lte?|n?in|n?or|and|regex|exists|not|where)")
"""An operator in a query that is a document."""
_MAX_LITERAL = 4096
_BUILT_IN = frozenset(dir(builtins))
_LEFT_ALONE = frozenset(
    [
        *("append", "add", "extend", "insert", "pop", "setdefault", "discard", "remove", "index"),
        *("count", "keys", "values", "items", "copy", "clear", "sort", "isoformat", "hexdigest"),
        *("debug", "info", "warning", "error", "exception", "critical", "log", "warn", "fatal"),
    ]
)

_NO_TEXTS = (ast.Constant, ast.List, ast.ListComp, ast.Set, ast.Tuple)
"""What is written there, or holds values: a statement beside them is a literal, mostly."""


def asks_by_text(module: ast.Module) -> bool:
    """Tell whether a module has a literal of a query or a command in it."""
    nodes = [(text, node) for node in ast.walk(module) if (text := _literal(node))]
    texts = [text for text, _ in nodes]
    if any(map(_OPERATOR.fullmatch, texts)):
        return True
    parts = [(text, node) for text, node in nodes if _is_part(text)]
    # Most that are a word in capitals alone are `"method": "POST"` and its like.
    words = [node for text, node in parts if text in _METHODS]
    if len(parts) > len(words) or (words and not _named_methods(module).issuperset(words)):
        return True
    joins = any(text.strip().lower() in _JOINS for text in texts if len(text) < 8)
    return joins and any(_QUERY.search(text) for text in texts if len(text) <= _MAX_LITERAL)


def _named_methods(module: ast.Module) -> set[ast.AST]:
    """Return what is told by its name, or compared with something, that is a method of HTTP."""
    found: set[ast.AST] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found.update(value for key, value in pairs if key and _tells_method(key))
        elif isinstance(node, ast.keyword) and "method" in (node.arg or "").lower():
            found.update(ast.walk(node.value) if _is_collection(node.value) else (node.value,))
        elif isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            for side in sides if any(map(_tells_method, sides)) else ():
                found.update(ast.walk(side) if _is_collection(side) else (side,))
    return found


def _is_collection(node: ast.AST) -> bool:
    return isinstance(node, (ast.List, ast.Set, ast.Tuple))


def _tells_method(node: ast.AST) -> bool:
    return "method" in ast.unparse(node).lower()


def may_ask(node: ast.Call, name: str) -> bool:
    """Tell whether a call of a method or a function may be one by such a text."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if not name or name in _LEFT_ALONE or name in _BUILT_IN or not given or len(node.args) > 3:
        return False
    return any(not isinstance(argument, _NO_TEXTS) for argument in given)


def _literal(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else _HOLE for v in node.values)
        return "".join(part for part in parts if isinstance(part, str))
    held = node.value if isinstance(node, ast.Constant) else ""
    if isinstance(held, bytes):
        held = held.decode("latin-1")
    return held if isinstance(held, str) else ""


def _is_part(text: str) -> bool:
    if len(text) > _MAX_LITERAL:
        return False
    if _QUERY.search(text) is not None and _JOINED.search(text) is not None:
        return True
    if _DOCUMENT.search(text) is not None or _FILTER.search(text) is not None:
        return True
    if _FIELDS.search(text) is not None or _COMMAND.match(text) is not None:
        return True
    return _is_line(text)


def _is_line(text: str) -> bool:
    """Tell whether a text ends as lines of protocols do, or is one with a value in it.

    Those that begin with a capital letter are for people to read.
    """
    if text[-2:] == "\r\n":
        return True
    ended = text[-1:] == "\n" and text[:1].islower() and " " in text
    return ended and _VALUE.search(text) is not None
