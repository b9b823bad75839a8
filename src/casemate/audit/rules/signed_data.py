"""Whether code has looked at the signature of data before it reads objects from it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import scopes
from casemate.audit.syntax import walk

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPARING = ("compare_digest", "verify")
_OPENING = ("decrypt", "unsign")
_OPENED = ("cryptography.", "itsdangerous.", "nacl.")


def signed_reads(file: PythonFile, calls: Iterable[ast.Call]) -> set[int]:
    """Return those of some calls that read data whose signature was looked at before."""
    if not any(each in file.text for each in (*_COMPARING, *_OPENING, "hmac")):
        return set()
    wanted = {id(call): call for call in calls}
    checkers = {
        node.name: any(isinstance(each, ast.Raise) for each in walk(node))
        for node in file.nodes
        if isinstance(node, _FUNCTIONS) and any(map(_compares, walk(node)))
    }
    found = set[int]()
    for nodes in scopes(file):
        asked = [each for each in nodes if id(each) in wanted]
        for call in asked:
            before = [n for n in nodes if getattr(n, "lineno", 0) <= getattr(call, "lineno", 0)]
            if _is_signed(file, wanted[id(call)], before, checkers):
                found.add(id(call))
    return found


def _is_signed(
    file: PythonFile, call: ast.Call, before: list[ast.AST], checkers: dict[str, bool]
) -> bool:
    given = call.args[0] if call.args else None
    if given is None:
        return False
    if _opens(file, given, checkers):
        return True
    known = set(_signed(file, before, checkers))
    called = {id(each.func) for each in walk(given) if isinstance(each, ast.Call)}
    found = (e for e in walk(given) if isinstance(e, ast.Name) and id(e) not in called)
    names = {each.id for each in found}
    return ast.unparse(given) in known or (bool(names) and names <= known)


def _signed(file: PythonFile, before: list[ast.AST], checkers: dict[str, bool]) -> Iterator[str]:
    """Yield the names of data that was signed, by what stands before."""
    asked = [walk(node.test) for node in before if isinstance(node, (ast.If, ast.Assert))]
    tests = [each for inner in asked for each in inner]
    compared = any(map(_compares, tests)) or any(
        isinstance(each, ast.Compare) and _signs(file, each) for each in tests
    )
    for node in before:
        if isinstance(node, ast.Call) and compared and file.name(node.func) == "hmac.new":
            yield from _names(node.args[1:2])
        elif isinstance(node, ast.Assign) and _opens(file, node.value, checkers):
            yield from _names(node.targets)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = _called(node.value)
            if checkers.get(called) or called == "verify":
                yield from _names(node.value.args)
    for each in tests:
        if isinstance(each, ast.Call) and _called(each) in checkers:
            yield from _names(each.args)


def _opens(file: PythonFile, value: ast.expr, checkers: dict[str, bool]) -> bool:
    """Tell whether an expression is what a check gives back: it raises where nobody signed."""
    if not isinstance(value, ast.Call):
        return False
    if checkers.get(_called(value), False):
        return True
    made = isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call)
    name = file.name(value.func.value.func) if made else ""  # type: ignore[attr-defined]
    return _called(value) in _OPENING and name.startswith(_OPENED)


def _compares(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) == "compare_digest"


def _signs(file: PythonFile, node: ast.AST) -> bool:
    return any(isinstance(e, ast.Call) and file.name(e.func) == "hmac.new" for e in walk(node))


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _names(nodes: Iterable[ast.expr]) -> Iterator[str]:
    """Yield how names, and parts of what they stand for, are written."""
    for node in nodes:
        data = _data_of(node)
        if isinstance(data, (ast.Name, ast.Subscript, ast.Attribute)):
            yield ast.unparse(data)


def _data_of(node: ast.expr) -> ast.expr:
    """Return what is given to `x.encode()` and `b64decode(x)`."""
    while isinstance(node, ast.Call):
        inner = [node.func.value] if isinstance(node.func, ast.Attribute) else node.args[:1]
        if not inner:
            break
        node = inner[0]
    return node
