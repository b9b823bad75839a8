"""Looks for passwords, tokens and values of secret stores that Python writes to a log."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import SECRETIVE, scopes
from casemate.audit.rules.python_disclosures import LOGGERS

_KEYS = re.compile(
    r"(?:^|[_-])(?:passw(?:or)?d|passwd|secret|api_?key|access_?token|auth_?token|private_?key"
    r"|client_?secret|credentials?)$|^(?:proxy-)?authorization(?:token)?$",
    re.I,
)
"""Keys of what is secret: `DB_PASSWORD` of the environment, `authorizationToken` of an event."""
_STORES = frozenset(("secret", "secret_bytes", "get_secret"))
"""Methods that give the value of a secret."""
_SHOWN_IN = frozenset(
    (
        *("str", "repr", "format", "dumps", "join", "dict", "list", "encode", "decode", "strip"),
        *("pformat", "loads", "extend", "deepcopy", "copy", "lower", "upper"),
    )
)
"""Calls whose result shows all that they are given."""
_OF_ANSWERS = frozenset(("SecretString", "SecretBinary"))
"""Where the answer of Secrets Manager has the value."""


def logged_secrets(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find what is named like a secret, or came from a store of secrets, and is logged."""
    if not any(LOGGERS.match(name) for _, name in file.calls()):
        return
    for nodes in scopes(file):
        held: set[str] | None = None
        for node in nodes:
            if isinstance(node, ast.Call) and LOGGERS.match(file.name(node.func)):
                held = _held(nodes) if held is None else held
                for argument in (*node.args, *(k.value for k in node.keywords)):
                    for found in _shown(argument, held):
                        yield node, f"{found[:40]} is logged"


def _held(nodes: list[ast.AST]) -> set[str]:
    """Return the names that are given a secret, and nothing else."""
    given: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(node.value)
    found: set[str] = set()
    for _ in range(_ROUNDS):
        found |= {n for n, values in given.items() if all(_is_secret(v, found) for v in values)}
    return found


_ROUNDS = 2
"""How often a secret may be given another name."""


def _is_secret(value: ast.expr, held: set[str]) -> bool:
    """Tell whether an expression is a secret as a whole."""
    if isinstance(value, ast.Name):
        return value.id in held
    if isinstance(value, ast.Await):
        return _is_secret(value.value, held)
    if isinstance(value, ast.Subscript):
        key = _text(value.slice)
        return key in _OF_ANSWERS or bool(_KEYS.search(key))
    return isinstance(value, ast.Call) and _gives_secret(value, held)


def _gives_secret(call: ast.Call, held: set[str]) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ("get", "getenv", "pop") and call.args:
        return bool(_KEYS.search(_text(call.args[0])))
    if name in ("encode", "decode", "strip") and isinstance(call.func, ast.Attribute):
        return _is_secret(call.func.value, held)
    given = name in ("str", "loads") and any(_is_secret(each, held) for each in call.args)
    return given or name in _STORES


def _text(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else ""


def _shown(value: ast.AST, held: set[str]) -> Iterator[str]:
    """Yield the secrets that an argument of a log shows, by their names."""
    if isinstance(value, ast.Name):
        if SECRETIVE.match(value.id) or value.id in held:
            yield value.id
    elif isinstance(value, ast.Attribute):
        if SECRETIVE.match(value.attr):
            yield value.attr
    elif isinstance(value, ast.Subscript):
        if isinstance(value.slice, ast.Slice):
            yield from _shown(value.value, held)
        elif _is_secret(value, held):
            yield _text(value.slice)
    elif isinstance(value, ast.Call):
        yield from _of_call(value, held)
    elif not isinstance(value, (ast.Compare, ast.Lambda, ast.Constant)):
        inner = (value.body, value.orelse) if isinstance(value, ast.IfExp) else None
        for each in inner or ast.iter_child_nodes(value):
            yield from _shown(each, held)


def _of_call(call: ast.Call, held: set[str]) -> Iterator[str]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if _is_secret(call, held):
        yield _text(call.args[0]) if call.args else name
    elif name in _SHOWN_IN:
        if isinstance(call.func, ast.Attribute):
            yield from _shown(call.func.value, held)
        for each in (*call.args, *(k.value for k in call.keywords)):
            yield from _shown(each, held)
