"""What rules look for in JavaScript between calls: items that change meanwhile, answers passed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from casemate.audit.javascript.script_file import FUNCTIONS, ScriptFile, given, key_of
from casemate.audit.javascript.syntax import Node
from casemate.audit.rules.javascript_answers import ANSWERS, BACK
from casemate.audit.rules.javascript_looks import Found
from casemate.audit.rules.python_between import OWNER

_READS = ("GetCommand", "GetItemCommand", ".get", ".getItem")
_WRITES = (
    *("UpdateCommand", "UpdateItemCommand", "PutCommand", "PutItemCommand", "DeleteCommand"),
    *("DeleteItemCommand", ".update", ".updateItem", ".put", ".putItem", ".delete", ".deleteItem"),
)
_CONDITIONS = ("ConditionExpression", "Expected", "ConditionalOperator")
_ORDERED = frozenset(("===", "!==", "==", "!=", "<", ">", "<=", ">="))
_NOTHING = frozenset(("null", "undefined"))
_ENDS = frozenset(("return_statement", "throw_statement", "continue_statement", "break_statement"))
_FAILURES = frozenset(("FunctionError", "errorMessage", "errorType", "stackTrace"))
_NAMES = frozenset(("identifier", "shorthand_property_identifier"))
_KEYS = ("property_identifier", "shorthand_property_identifier")
_FORMS = frozenset(("JSON.parse", "JSON.stringify", "Buffer.from", "String"))
_METHODS = frozenset(("toString", "decode", "transformToString"))
_MAX_READS = 10
_MAX_TESTS = 200
"""Of one function: more are not looked at."""
_MAX_STEPS = 4
"""Names through which a value is followed."""
_MAX_SHAPE = 200
"""Nodes of a key or a name of a table: longer ones are not compared."""


class _Use(NamedTuple):
    """A use of one item of a table."""

    call: Node
    table: str
    key: str
    """As it is written; empty where the item is written whole."""


class _Body:
    """A function that is in no other, with all that is in it."""

    def __init__(self, file: ScriptFile, outer: Node) -> None:
        """Look at what its names are given."""
        self.file = file
        self.nodes = list(file.below(outer))
        self.given: dict[str, list[Node]] = {}
        for node in self.nodes:
            value = node.get("value") or node.get("right")
            if node.kind in ("variable_declarator", "assignment_expression") and value is not None:
                for name in _bound(node.get("name") or node.get("left")):
                    self.given.setdefault(name, []).append(value)

    def uses(self, names: tuple[str, ...]) -> Iterator[_Use]:
        """Yield each use of an item by calls of these names."""
        for call in self.nodes:
            if call.kind not in ("call_expression", "new_expression"):
                continue
            arguments = given(call)
            called = self.file.name(call.get("function") or call.get("constructor"))
            if not arguments or not called.endswith(names):
                continue
            wanted = self._object(arguments[0])
            table, key = _field(wanted, "TableName"), _field(wanted, "Key")
            if table is None or (key is None and _field(wanted, "Item") is None):
                continue
            if wanted is not None and not any(_field(wanted, name) for name in _CONDITIONS):
                yield _Use(call, self._shape(table), self._shape(key) if key is not None else "")

    def _object(self, node: Node) -> Node | None:
        values = self.given.get(node.text, []) if node.kind in _NAMES else [node]
        return values[0] if len(values) == 1 and values[0].kind == "object" else None

    def _shape(self, node: Node) -> str:
        """Return how a value is written; of a name that is given one value, that value."""
        for _ in range(_MAX_STEPS):
            values = self.given.get(node.text, []) if node.kind in _NAMES else []
            if len(values) != 1:
                break
            node = values[0]
        words = []
        for each in self.file.below(node):
            words.append(f"{each.kind}:{each.text}" if each.kind not in _NAMES else each.text)
            if len(words) > _MAX_SHAPE:
                return f"#{id(node)}"
        return " ".join(words)

    def names_from(self, call: Node) -> set[str]:
        """Return the names that hold what a call gave, or something that was made of it."""
        found = {
            name
            for name, values in self.given.items()
            if any(each is call for value in values for each in self.file.below(value))
        }
        for _ in range(_MAX_STEPS if found else 0):
            more = {
                n for n, values in self.given.items() if any(self.has(v, found) for v in values)
            }
            if more <= found:
                break
            found |= more
        return found

    def has(self, node: Node, names: set[str]) -> bool:
        """Tell whether one of some names is in a value."""
        return any(each.kind in _NAMES and each.text in names for each in self.file.below(node))


def _bound(node: Node | None) -> Iterator[str]:
    if node is not None and node.kind == "identifier":
        yield node.text
    for kid in node.kids if node is not None and node.kind == "object_pattern" else ():
        value = kid.get("value")
        if kid.kind == "shorthand_property_identifier_pattern":
            yield kid.text
        elif value is not None and value.kind == "identifier":
            yield value.text


def _field(node: Node | None, name: str) -> Node | None:
    """Return what an object has under a name, also where the name alone stands."""
    for kid in node.kids if node is not None and node.kind == "object" else ():
        if kid.kind == "pair" and key_of(kid) == name:
            return kid.get("value")
        if kid.kind == "shorthand_property_identifier" and kid.text == name:
            return kid
    return None


def _bodies(file: ScriptFile, calls: list[Node]) -> Iterator[_Body]:
    """Yield the outermost functions that calls are in, each once."""
    seen = set[int]()
    for call in calls:
        outer = next((n for n in reversed([*file.around(call)]) if n.kind in FUNCTIONS), None)
        if outer is not None and id(outer) not in seen:
            seen.add(id(outer))
            yield _Body(file, outer)


def undecided(file: ScriptFile) -> Found:
    """Find writes of an item after a decision about what it held, which do not ask for it again."""
    if not any(each.text == "TableName" for kind in _KEYS for each in file.kinds[kind]):
        return
    for body in _bodies(file, [call for call, name, _ in file.calls if name.endswith(_READS)]):
        tests = [node for node in body.nodes if node.kind == "if_statement"][:_MAX_TESTS]
        known = []
        for read in [*body.uses(_READS)][:_MAX_READS] if tests else ():
            names = body.names_from(read.call)
            by = [test for test in tests if _compares(body, test.get("condition"), names)]
            known += [(read, names, by)] if by else []
        for use in body.uses(_WRITES) if known else ():
            for read, names, by in known:
                same = use.key == read.key if use.key else body.has(use.call, names)
                if use.table == read.table and same and _decided(body, by, use.call):
                    what = "another call may change the item between the decision and this write"
                    yield use.call, what
                    break


def _compares(body: _Body, condition: Node | None, names: set[str]) -> bool:
    """Tell whether a value is compared, not only asked whether it is there."""
    for each in body.file.below(condition) if condition is not None and names else ():
        left, right = each.get("left"), each.get("right")
        if left is None or right is None or not _ORDERED.intersection(each.marks):
            continue
        if _NOTHING.intersection((left.kind, right.kind, left.text, right.text)):
            continue
        words = {part.text for part in body.file.below(each)}
        equal = not {"<", ">", "<=", ">="}.intersection(each.marks)
        if equal and any(OWNER.search(word) for word in words):
            continue  # whose something is seldom changes
        if not words & {"$metadata", "httpStatusCode", "length"} and body.has(each, names):
            return True
    return False


def _decided(body: _Body, tests: list[Node], call: Node) -> bool:
    """Tell whether one of the tests leads to a call, or keeps it from being made."""
    inside = {id(each) for each in body.file.around(call)}
    for test in tests:
        then = test.get("consequence")
        last = (
            then.kids[-1]
            if then is not None and then.kind == "statement_block" and then.kids
            else then
        )
        ends = last is not None and last.kind in _ENDS
        if id(test) in inside or ((test.line, test.column) < (call.line, call.column) and ends):
            return True
    return False


def passed_on(file: ScriptFile) -> Found:
    """Find answers that are those of another function, whatever that answered."""
    calls = [
        call
        for call, name, arguments in file.calls
        if name.endswith("InvokeCommand")
        or (name.endswith(".invoke") and arguments and _field(arguments[0], "FunctionName"))
    ]
    for body in _bodies(file, calls):
        if any(each.text in _FAILURES for each in body.nodes):
            continue
        read = [each for each in body.nodes if each.text == "Payload" and _is_read(file, each)]
        inner = {id(found): found for each in read if (found := _nearest(file, each)) is not None}
        for function in inner.values():
            yield from _passed_on(file, _Body(file, function))


def _is_read(file: ScriptFile, node: Node) -> bool:
    """Tell whether a name is read of an object, and not written into one."""
    return node.kind in ("property_identifier", "shorthand_property_identifier_pattern") and (
        (around := file.parent(node)) is not None and around.kind != "pair"
    )


def _nearest(file: ScriptFile, node: Node) -> Node | None:
    return next((each for each in file.around(node) if each.kind in FUNCTIONS), None)


def _passed_on(file: ScriptFile, body: _Body) -> Found:
    names = {"Payload"}
    for _ in range(_MAX_STEPS):
        more = {
            name
            for name, values in body.given.items()
            if (some := [value for value in values if value.kind not in _NOTHING])
            and all(_whole(file, value, names) for value in some)
        }
        if more <= names:
            break
        names |= more
    what = "another function's answers are passed on, including its errors"
    for node in body.nodes:
        told: list[Node] = []
        if node.kind == "object" and _field(node, "statusCode") is not None:
            inner = _field(node, "body")
            told = [inner] if inner is not None else []
        elif node.kind == "call_expression":
            name, arguments = file.name(node.get("function")), given(node)
            told = arguments if ANSWERS.search(name) else arguments[1:2] if name in BACK else []
        if any(_whole(file, each, names) for each in told):
            yield node, what


def _whole(file: ScriptFile, node: Node, names: set[str], depth: int = 0) -> bool:
    """Tell whether a value is the whole answer of another function, in whatever form."""
    file.spend()
    if depth > 20:
        return False
    kind = node.kind
    if kind in _NAMES:
        return node.text in names
    if kind == "member_expression":
        last = node.get("property")
        return last is not None and last.text == "Payload"
    parts: list[Node | None] = []
    if kind == "call_expression":
        callee = node.get("function")
        last = callee.get("property") if callee is not None else None
        if file.name(callee) in _FORMS:
            parts = [*given(node)[:1]]
        elif callee is not None and last is not None and last.text in _METHODS:
            parts = [callee.get("object"), *given(node)[:1]]
    elif kind == "pair":
        parts = [node.get("value")]
    elif kind == "ternary_expression":
        parts = [*node.kids[1:]]
    elif kind in ("await_expression", "parenthesized_expression", "object"):
        found_by_itself = kind == "object" and _field(node, "statusCode") is not None
        parts = [] if found_by_itself else [*node.kids]
    return any(part is not None and _whole(file, part, names, depth + 1) for part in parts)


BETWEEN = {"undecided": undecided, "passed on": passed_on}
"""What is looked for, by the names that rules have for it."""
