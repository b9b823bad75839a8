"""What rules look for in Python between calls: items that change meanwhile, answers passed on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import EVENTS
from casemate.audit.syntax import walk

_READS = frozenset(("get_item",))
OWNER = re.compile(
    r"^(?:id|ID|sub)$|_(?:id|ID)$|[a-z]I[dD]$|(?:[oO]wner|[uU]ser(?:[nN]ame)?|[eE]mail|[tT]enant"
    r"|[aA]uthor|[cC]reated_?[bB]y|[aA]ccount|[oO]rg(?:ani[sz]ation)?)$"
)
"""Names of fields that say whose something is."""
_WRITES = frozenset(("put_item", "update_item", "delete_item"))
_CONDITIONS = ("ConditionExpression", "Expected", "ConditionalOperator")
_ORDERED = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_FAILURES = ("FunctionError", "errorMessage", "errorType", "stackTrace")
_MAX_NODES = 20_000
"""Nodes of one function: a longer one is not looked at."""
_MAX_READS = 10
_MAX_TESTS = 200
"""Of one function: more are not looked at."""
_MAX_STEPS = 4
"""Names through which a value is followed."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class _Use(NamedTuple):
    """A use of one item of a table."""

    table: str
    key: str
    """As it is written; empty where the item is written whole."""


class _Body:
    """One function with all that is in it."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        """Look at what its names are given."""
        self.nodes = nodes
        self.given = _given(nodes)
        self._written: dict[str, str] = {}

    def use(self, node: ast.AST, methods: frozenset[str]) -> _Use | None:
        """Return which item of which table a call uses, if that can be told."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return None
        if node.func.attr not in methods or any(k.arg is None for k in node.keywords):
            return None
        arguments = {k.arg: k.value for k in node.keywords}
        table = arguments.get("TableName", node.func.value)
        key = arguments.get("Key")
        if key is None and "Item" not in arguments:
            return None
        return _Use(self.written(table), self.written(key) if key is not None else "")

    def written(self, node: ast.expr) -> str:
        """Return how a value is written; of a name that is given one value, that value."""
        if not isinstance(node, ast.Name):
            return ast.dump(node)
        if node.id not in self._written:
            self._written[node.id] = node.id  # what leads to itself
            values = {self.written(value) for value in self.given.get(node.id, ())}
            self._written[node.id] = values.pop() if len(values) == 1 else node.id
        return self._written[node.id]

    def names_from(self, first: str) -> frozenset[str]:
        """Return the names that hold a value, or something that was made of it."""
        found = {first}
        for _ in range(_MAX_STEPS):
            more = {
                name
                for name, values in self.given.items()
                if name not in found and any(_mentions(value, found) for value in values)
            }
            if not more:
                break
            found |= more
        return frozenset(found)


def undecided(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find writes of an item after a decision about what it held, which do not ask for it again."""
    if "get_item" not in file.text:
        return
    for nodes in _bodies(file):
        body = _Body(nodes)
        reads = {
            name: use
            for name, values in body.given.items()
            for value in values
            for call in walk(value)
            if (use := body.use(call, _READS)) is not None
        }
        tests = [node for node in nodes if isinstance(node, ast.If)][:_MAX_TESTS]
        decided = {}
        for name in [*reads][:_MAX_READS]:
            names = body.names_from(name)
            decided[name] = names, [test for test in tests if _compares(test.test, names)]
        for call in nodes:
            use = body.use(call, _WRITES) if decided else None
            if use is None or not isinstance(call, ast.Call) or _asks(call):
                continue
            for name, (names, by) in decided.items():
                read = reads[name]
                same = use.key == read.key if use.key else _mentions(call, names)
                if use.table == read.table and same and _decided(by, call):
                    yield (
                        call,
                        "another call may change the item between the decision and this write",
                    )
                    break


def _bodies(file: PythonFile) -> Iterator[list[ast.AST]]:
    """Yield the nodes of each function that is in no other, of those that are not too long."""
    inner = set[int]()
    for node in file.nodes:  # from the outside in
        if isinstance(node, _FUNCTIONS) and id(node) not in inner:
            nodes = walk(node)
            inner.update(id(each) for each in nodes if isinstance(each, _FUNCTIONS))
            if len(nodes) <= _MAX_NODES:
                yield nodes


def _given(nodes: list[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what each name is given in a function."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(node.value)
    return found


def _mentions(node: ast.AST, names: frozenset[str] | set[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for each in walk(node))


def _asks(call: ast.Call) -> bool:
    return any(k.arg in _CONDITIONS for k in call.keywords)


def _decided(tests: list[ast.If], call: ast.Call) -> bool:
    """Tell whether a comparison of what was read leads to a call, or keeps it from being made."""
    return any(
        (test.lineno, test.col_offset) < (call.lineno, call.col_offset)
        and (call.lineno <= (test.end_lineno or 0) or isinstance(test.body[-1], _ENDS))
        for test in tests
    )


def _compares(test: ast.expr, names: frozenset[str]) -> bool:
    """Tell whether a value is compared, not only asked whether it is there."""
    return any(
        isinstance(each, ast.Compare)
        and isinstance(each.ops[0], _ORDERED)
        and not _is_length(each.left)
        and any(_mentions(side, names) for side in (each.left, *each.comparators))
        and not any(_is_status(side) for side in walk(each))
        and not (isinstance(each.ops[0], (ast.Eq, ast.NotEq)) and _of_owner(each))
        for each in walk(test)
    )


def _is_length(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _of_owner(compared: ast.Compare) -> bool:
    """Tell whether it is asked whose something is: that seldom changes, and is no race."""
    return any(
        isinstance(each, ast.Constant)
        and isinstance(each.value, str)
        and OWNER.search(each.value) is not None
        for each in walk(compared)
    )


def _is_status(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("HTTPStatusCode", "ResponseMetadata")


def passed_on(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find answers that are those of another function, whatever that answered."""
    if "Payload" not in file.text or "FunctionName" not in file.text:
        return
    for nodes in _bodies(file):
        calls = any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "invoke"
            and any(k.arg == "FunctionName" for k in node.keywords)
            for node in nodes
        )
        asked = any(isinstance(n, ast.Constant) and n.value in _FAILURES for n in nodes)
        if not calls or asked:
            continue
        given = _given(nodes)
        names: set[str] = set()
        for _ in range(_MAX_STEPS):
            more = {n for n, values in given.items() if any(_whole(v, names) for v in values)}
            if more <= names:
                break
            names |= more
        handles = isinstance(nodes[0], _FUNCTIONS) and any(
            argument.arg in EVENTS for argument in nodes[0].args.args[:2]
        )
        for node in nodes:
            told = _body(node)
            if told is None and handles and isinstance(node, ast.Return):
                told = node.value if not isinstance(node.value, ast.Dict) else None
            if told is not None and _whole(told, names):
                yield node, "another function's answers are passed on, including its errors"


def _body(node: ast.AST) -> ast.expr | None:
    """Return the body of an answer of Lambda, where a node is one."""
    if not isinstance(node, ast.Dict):
        return None
    keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
    if "body" in keys and "statusCode" in keys:
        return node.values[keys.index("body")]
    return None


def _whole(node: ast.expr, names: set[str]) -> bool:  # noqa: PLR0911
    """Tell whether a value is the whole answer of another function, in whatever form."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "Payload"
    if isinstance(node, ast.Await):
        return _whole(node.value, names)
    if isinstance(node, ast.Dict):
        return _body(node) is None and any(_whole(value, names) for value in node.values)
    if isinstance(node, ast.IfExp):
        return _whole(node.body, names) or _whole(node.orelse, names)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if method in ("read", "decode"):
            return _whole(node.func.value, names)
        if method == "get":
            named = node.args[0] if node.args else None
            return isinstance(named, ast.Constant) and named.value == "Payload"
        if method not in ("loads", "load", "dumps"):
            return False
    elif not (isinstance(node.func, ast.Name) and node.func.id in ("loads", "dumps", "str")):
        return False
    return bool(node.args) and _whole(node.args[0], names)
