"""What frameworks make for a route before they call it: `x = Depends(f)`, `@app.before_request`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from casemate.audit.flow import characters, names
from casemate.audit.flow.limits import MAX_CALLS
from casemate.audit.flow.ports import Arguments, Frame, Reader
from casemate.audit.flow.state import Class, State
from casemate.audit.flow.values import ANYTHING, Bound, Func, Ref, Value, options, shallow
from casemate.audit.syntax import walk

_MAKING = ("Depends", "Security")
_ASKING = ("Query", "Path", "Header", "Cookie", "Body", "Form", "Param")
_WORDS = characters.all_but("-_a")
"""What a slug has not."""
_CONVERTED = re.compile(r"<(\w{1,40}):(\w{1,100})>")
Parameter = Callable[[ast.arguments, ast.arg], Value]
"""Returns what a framework gives for a parameter."""


def said_of(parameters: ast.arguments, parameter: ast.arg) -> Iterator[ast.Call]:
    """Yield the calls that say what a parameter is: its default, those within `Annotated[...]`."""
    every = [*parameters.posonlyargs, *parameters.args]
    defaults = dict(zip(reversed(every), reversed(parameters.defaults), strict=False))
    named = dict(zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True))
    default = defaults.get(parameter) or named.get(parameter)
    if isinstance(default, ast.Call):
        yield default
    if isinstance(parameter.annotation, ast.Subscript):
        yield from (each for each in walk(parameter.annotation) if isinstance(each, ast.Call))


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def dependency_of(parameters: ast.arguments, parameter: ast.arg) -> ast.Call | None:
    """Return `Depends(...)` of a parameter."""
    return next((e for e in said_of(parameters, parameter) if _called(e) in _MAKING), None)


def within(annotation: ast.expr) -> ast.Call | None:
    """Return `Depends(...)` within `Annotated[...]`."""
    calls = (each for each in walk(annotation) if isinstance(each, ast.Call))
    return next((each for each in calls if _called(each) in _MAKING), None)


@contextmanager
def in_module(reader: Reader, module: str, state: State) -> Iterator[None]:
    """Read names as a module has them."""
    outer = reader.frame
    reader.module(module, state)
    reader.frame = Frame(module, reader.path_of(module), reader.scope_of(module), "")
    try:
        yield
    finally:
        reader.frame = outer


def aliases_of(trees: Mapping[str, ast.Module]) -> dict[str, tuple[str, ast.expr]]:
    """Return types that have a name, as `User = Annotated[dict, Depends(f)]`, and their modules."""
    found: dict[str, tuple[str, ast.expr]] = {}
    twice = set[str]()
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        twice |= {target.id} & found.keys()
                        found[target.id] = module, node.value
    return {name: held for name, held in found.items() if name not in twice}


def made(
    reader: Reader, call: ast.Call, annotation: ast.expr | None, state: State, given: Parameter
) -> Value:
    """Return what a framework makes by `Depends(f)`: it reads `f`, whose checks hold then."""
    named = [k.value for k in call.keywords if k.arg == "dependency"]
    target = next(iter((*call.args[:1], *named)), _class_of(annotation))
    if target is None:
        return ANYTHING
    for option in options(reader.evaluate(target, state)):
        function = _begin(reader, option, state)
        if function is None or reader.stack.count(function.node) or len(reader.stack) >= MAX_CALLS:
            continue
        if not isinstance(function.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in walk(function.node)):
            continue
        arguments = _arguments(reader, option, function, given)
        return reader.call(option, arguments, state, call)
    return ANYTHING


def _class_of(annotation: ast.expr | None) -> ast.expr | None:
    """Return the class that `Depends()` is made of: what the parameter is annotated with."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        return inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else None
    return annotation


def _begin(reader: Reader, option: Value, state: State) -> Func | None:
    """Return the function that is called, of a class its `__init__`."""
    if isinstance(option, Ref) and isinstance(state.things.get(option.number), Class):
        found = names.class_attribute(reader, option.number, "__init__", state)
        return found if isinstance(found, Func) else None
    inner = option.function if isinstance(option, Bound) else option
    return inner if isinstance(inner, Func) else None


def _arguments(reader: Reader, option: Value, function: Func, given: Parameter) -> Arguments:
    parameters = function.node.args
    bound = len(option.arguments) if isinstance(option, Bound) else int(isinstance(option, Ref))
    outer = reader.frame
    path = reader.path_of(function.module)
    reader.frame = Frame(function.module, path, function.scope, "")
    reader.stack.append(function.node)
    try:
        out = Arguments()
        for each in [*parameters.posonlyargs, *parameters.args][bound:]:
            out.places.append(given(parameters, each))
        for each in parameters.kwonlyargs:
            out.named[each.arg] = given(parameters, each)
        return out
    finally:
        reader.stack.pop()
        reader.frame = outer


def limited(parameters: ast.arguments, parameter: ast.arg, value: Value, state: State) -> None:
    """Know what `x: str = Query(pattern="^[a-z]+$")` lets through."""
    for call in said_of(parameters, parameter):
        for each in call.keywords if _called(call) in _ASKING else ():
            text = getattr(each.value, "value", None)
            if each.arg in ("pattern", "regex") and isinstance(text, str) and text[:1] == "^":
                learn(value, characters.by_expression(text, whole=False), state)


def learn(value: Value, without: frozenset[str], state: State) -> None:
    """Know what is not in outside data."""
    for taint in shallow(value):
        state.learn(taint.forms[0], without, frozenset())


def converter(patterns: Iterable[str], name: str) -> str:
    """Return what every path of a view has for a parameter: `int`, `slug`; or nothing."""
    found = {kind for pattern in patterns for kind, of in _CONVERTED.findall(pattern) if of == name}
    return found.pop() if len(found) == 1 else ""


def words(value: Value, state: State) -> Value:
    """Return data that is a slug."""
    learn(value, _WORDS, state)
    return value


def patterns_of(trees: Iterable[ast.Module]) -> dict[str, list[str]]:
    """Return the paths of views by the last names of these, as `path("x/<int:n>/", views.x)`."""
    found: dict[str, list[str]] = {}
    for tree in trees:
        for node in walk(tree):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            text = getattr(node.args[0], "value", None)
            if _called(node) == "path" and isinstance(text, str):
                view = node.args[1]
                name = getattr(view, "attr", getattr(view, "id", ""))
                found.setdefault(name, []).append(text)
    return found
