"""Looks for what Python tells that it should not: in answers, and in logs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import EVENTS, scopes
from casemate.audit.syntax import walk

LOGGERS = re.compile(
    r"^(?:print|logging\.\w+|(?:\w*log(?:ger)?|LOG(?:GER)?)\.(?:debug|info|warning|warn|error|exception|critical|log|msg))$|^(?:self|app|current_app)\.logg?er\.\w+$|^(?:context|ctx)\.log\.\w+$"
)


def _caught(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node, node.name
        elif (
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.args.args
            and any(map(_takes_every_error, node.decorator_list))
        ):
            yield node, node.args.args[-1].arg


_TAKING = ("errorhandler", "app_errorhandler", "exception_handler", "error_handler")
"""Decorators of frameworks whose function answers for an error, its last argument."""


_FAILED = 500


def _takes_every_error(decorator: ast.expr) -> bool:
    """Tell whether a function is what answers for each error, not only for the code's own ones."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return False
    kind = decorator.args[0] if decorator.args else None
    every = getattr(kind, "id", "") in ("Exception", "BaseException")
    every = every or getattr(kind, "value", None) == _FAILED
    return decorator.func.attr in _TAKING and every


def _tells(value: ast.AST, name: str, aliases: set[str]) -> bool:
    """Tell whether an expression has the text of an exception in it, and not one of its fields."""
    for each in walk(value):
        if isinstance(each, ast.Call):
            called = getattr(each.func, "id", getattr(each.func, "attr", ""))
            if called in ("str", "repr", "format") and any(
                isinstance(a, ast.Name) and a.id in aliases for a in each.args
            ):
                return True
        if (
            isinstance(each, ast.FormattedValue)
            and isinstance(each.value, ast.Name)
            and each.value.id in aliases
        ):
            return True
        if (
            isinstance(each, ast.Attribute)
            and each.attr in ("args", "message")
            and isinstance(each.value, ast.Name)
            and each.value.id == name
        ):
            return True
    return isinstance(value, ast.Name) and value.id != name and value.id in aliases


_TEXTS = frozenset(
    (
        *("str", "repr", "format", "dict", "list", "tuple", "dumps", "jsonify", "join", "strip"),
        *("lower", "upper", "replace", "encode", "splitlines", "split", "pformat", "title"),
        *("JSONResponse", "Response", "HttpResponse", "JsonResponse", "PlainTextResponse"),
        *("make_response", "HTMLResponse", "HttpResponseServerError", "HttpResponseBadRequest"),
    )
)
"""Calls that give the text that they are given, in another form."""


class _Texts:
    """What has the text of an exception in it, in what handles one or is given one."""

    def __init__(self, tellers: dict[str, set[int | str]], name: str) -> None:
        self._tellers, self._name = tellers, name
        self.names = set[str]()

    def assigned(self, nodes: list[ast.AST]) -> None:
        """Take the names that are given such a text."""
        for node in nodes:
            if isinstance(node, ast.Assign) and self.shown(node.value):
                self.names |= {t.id for t in node.targets if isinstance(t, ast.Name)}

    def shown(self, value: ast.expr | None) -> bool:
        """Tell whether a value has the text in it."""
        todo: list[ast.expr | None] = [value]
        while todo:
            node = todo.pop()
            if node is not None and self._is_text(node):
                return True
            todo += _parts(node)
        return False

    def _is_text(self, node: ast.expr) -> bool:
        """Tell whether an expression is a text of the exception by itself."""
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Attribute):
            return node.attr in ("args", "message") and self._is_error(node.value)
        if isinstance(node, ast.FormattedValue):
            return self._is_error(node.value)
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.Mod) and any(map(self._is_error, _right(node)))
        return isinstance(node, ast.Call) and self._called(node)

    def _is_error(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and node.attr in ("original_exception", "__cause__"):
            node = node.value
        return isinstance(node, ast.Name) and node.id == self._name

    def _called(self, call: ast.Call) -> bool:
        """Tell whether a call is given the exception and gives back its text."""
        called = _last(call)
        given = [*enumerate(call.args), *((k.arg, k.value) for k in call.keywords)]
        own = (
            self._tellers.get(called, set())
            if isinstance(call.func, ast.Name)
            else set[int | str]()
        )
        whole = called in ("str", "repr", "format")
        return any((whole or key in own) and self._is_error(value) for key, value in given)


def _right(node: ast.BinOp) -> list[ast.expr]:
    return node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]


def _parts(node: ast.expr | None) -> list[ast.expr]:
    """Return what of an expression is in what it gives."""
    if isinstance(node, ast.Call):
        if _last(node) not in _TEXTS:
            return []
        inner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return [*inner, *node.args, *(each.value for each in node.keywords)]
    if isinstance(node, ast.BinOp):
        return [node.left, *_right(node)]
    held = [getattr(node, name) for name in _PARTS.get(type(node), ())]
    return [each for one in held for each in (one if isinstance(one, list) else [one])]


_PARTS: dict[type[object], tuple[str, ...]] = {
    ast.IfExp: ("body", "orelse"),
    **dict.fromkeys((ast.Dict, ast.BoolOp, ast.JoinedStr), ("values",)),
    **dict.fromkeys((ast.List, ast.Tuple, ast.Set), ("elts",)),
    **dict.fromkeys((ast.Subscript, ast.Starred, ast.Await, ast.FormattedValue), ("value",)),
}


def _last(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


Tellers = dict[str, set[int | str]]
"""Functions that give back the text of what they are given, and of which argument."""


def tellers(file: PythonFile) -> Tellers:
    """Return those of a file, by their names."""
    found: Tellers = {}
    for node in file.nodes:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        inside = walk(node)
        returns = [each.value for each in inside if isinstance(each, ast.Return)]
        for at, argument in enumerate(node.args.args[:_MAX_ARGUMENTS] if returns else ()):
            texts = _Texts({}, argument.arg)
            texts.assigned(inside)
            if any(map(texts.shown, returns)):
                found.setdefault(node.name, set()).update((at, argument.arg))
    return found


_MAX_ARGUMENTS = 8


def returned_errors(
    file: PythonFile, others: Mapping[str, set[int | str]] | None = None
) -> Iterator[tuple[ast.AST, str]]:
    """Find answers that hold the text of an exception; `others` are tellers by `module.name`."""
    caught = list(_caught(file))
    known = tellers(file) if caught else {}
    for own, whole in file.imported.items() if others else ():
        told = (others or {}).get(".".join(whole.split(".")[-2:]))
        if told:
            known.setdefault(own, told)
    for handler, name in caught:
        aliases = {name}
        nodes = walk(handler)
        texts = _Texts(known, name)
        texts.assigned(nodes)
        for node in nodes:
            if isinstance(node, ast.Assign) and _tells(node.value, name, aliases):
                aliases |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        for node in nodes:
            if isinstance(node, ast.Return) and node.value is not None:
                if _tells(node.value, name, aliases) or texts.shown(node.value):
                    yield node, "the text of an exception is in the answer"
            elif any(map(texts.shown, _raised(node))):
                yield node, "the text of an exception is in the answer that is raised"


_ANSWERING = ("HTTPException", "abort", "HttpError", "APIException", "ChaliceViewError")
"""What a framework makes an answer of, with the text that it is given."""


def _raised(node: ast.AST) -> list[ast.expr]:
    """Return the texts of an answer that is raised: `raise HTTPException(500, str(error))`."""
    value = node.exc if isinstance(node, ast.Raise) else getattr(node, "value", None)
    if not isinstance(node, (ast.Raise, ast.Expr)) or not isinstance(value, ast.Call):
        return []
    if _last(value) not in _ANSWERING:
        return []
    return [*value.args, *(each.value for each in value.keywords)]


_TRACES = ("traceback.format_exc", "traceback.format_exception", "sys.exc_info")


def returned_traces(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find answers that hold a trace, or a name that was given one."""
    if "traceback" not in file.text and "exc_info" not in file.text:
        return
    for nodes in scopes(file):
        names = _named_traces(file, nodes)
        for node in nodes:
            if isinstance(node, ast.Return) and node.value is not None:
                measured = _measured(node.value)
                for each in walk(node.value):
                    made = isinstance(each, ast.Call) and file.name(each.func) in _TRACES
                    held = isinstance(each, ast.Name) and each.id in names
                    if made or (held and id(each) not in measured):
                        yield node, "the trace of an exception is in the answer"


def _named_traces(file: PythonFile, nodes: list[ast.AST]) -> set[str]:
    """Return the names that are given a trace."""
    found = set[str]()
    for node in nodes:
        if isinstance(node, ast.Assign):
            called = [each.func for each in walk(node.value) if isinstance(each, ast.Call)]
            if any(file.name(each) in _TRACES for each in called):
                found |= {e.id for t in node.targets for e in walk(t) if isinstance(e, ast.Name)}
    return found


def _whole(node: ast.AST) -> bool:
    """Tell whether an argument is a whole event, as it is or as JSON."""
    if isinstance(node, ast.Name):
        return node.id in EVENTS
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return called in ("dumps", "str", "repr", "pformat", "format") and any(
            map(_whole, node.args)
        )
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(v, ast.FormattedValue) and _whole(v.value) for v in node.values)
    if isinstance(node, ast.BinOp):
        return _whole(node.right) or _whole(node.left)
    return isinstance(node, ast.Dict) and any(map(_whole, node.values))


def _handlers(file: PythonFile) -> set[int]:
    """Return the lines that are inside of functions that are given an event."""
    lines = set[int]()
    for node in file.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.args]
            if names and names[0] in EVENTS:
                lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def logged_events(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find whole events that are logged."""
    inside = _handlers(file) if any(word in file.text for word in EVENTS) else set()
    for call, name in file.calls() if inside else ():
        if call.lineno in inside and LOGGERS.match(name) and any(map(_whole, call.args)):
            yield call, "the whole event is logged"


_SHOWING = frozenset(
    (
        *("dict", "str", "repr", "dumps", "format", "pformat", "jsonify", "copy", "deepcopy"),
        *("list", "tuple", "encode", "join", "items", "values", "escape"),
    )
)


def _given_on(value: ast.AST) -> set[int]:
    """Return what is given to functions that answer with something of their own."""
    given = set[int]()
    for call in walk(value):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in _SHOWING and "response" not in name.lower():
                arguments = (*call.args, *(each.value for each in call.keywords))
                given |= {id(each) for argument in arguments for each in walk(argument)}
    return given


def _whole_environment(file: PythonFile, value: ast.AST, without: Set[int] = frozenset()) -> bool:
    """Tell whether an expression has the whole environment in it, and not one variable of it."""
    every = walk(value)
    environ = [e for e in every if isinstance(e, ast.Attribute) and e.attr == "environ"]
    if not environ:
        return False
    asked = {
        id(e.value)
        for e in every
        if isinstance(e, ast.Subscript) or (isinstance(e, ast.Attribute) and e.attr == "get")
    }
    asked |= {
        id(each)
        for e in every
        if isinstance(e, ast.Compare)
        for each in e.comparators  # `"STAGE" in os.environ`
    }
    asked |= {id(each) for e in every for each in _named_only(e)} | without
    return any(id(e) not in asked and file.name(e) == "os.environ" for e in environ)


def _named_only(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what is asked for its names alone: `list(os.environ)`, `os.environ.keys()`."""
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
        yield node.func.value
    elif isinstance(node.func, ast.Name) and node.func.id in ("list", "sorted", "len", "set"):
        yield from node.args


def logged_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find where the whole environment is logged."""
    for call, name in file.calls():
        if LOGGERS.match(name) and any(_whole_environment(file, a) for a in call.args):
            yield call, "the whole environment is logged, with the function's credentials"


def returned_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find answers that hold the whole environment."""
    for node in file.nodes:
        if (
            isinstance(node, ast.Return)
            and node.value is not None
            and _whole_environment(file, node.value, _given_on(node.value))
        ):
            yield node, "the whole environment is in the answer, with the function's credentials"


def _measured(argument: ast.AST) -> set[int]:
    """Return what is only measured in an argument: its length, its type, whether it is there."""
    return {
        id(measured)
        for e in walk(argument)
        if isinstance(e, ast.Call) and getattr(e.func, "id", "") in ("len", "bool", "type")
        for measured in e.args
    }
