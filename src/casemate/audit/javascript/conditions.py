"""Conditions: what they decide, and what they tell of data on either way."""

from __future__ import annotations

from casemate.audit.flow.state import Mapping, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    Const,
    Ref,
    Text,
    Union,
    Unknown,
    Value,
    known_text,
    options,
    shallow,
)
from casemate.audit.javascript import calls, checks, members, schemas, scopes
from casemate.audit.javascript.reader import Reader, Ways
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import (
    CLASS,
    UNDEFINED,
    name_of,
    thing_of,
    true_of,
)

_NONE: frozenset[str] = frozenset()
_EQUAL = ("===", "==", "!==", "!=")
_NO_QUERY = frozenset(("nosql",))
_LONGER = ((">", 0), (">=", 1))
"""Signs of comparisons, and from which length on they say that there is one."""


def decide(reader: Reader, node: Node | None, state: State) -> Ways:
    """Return the states in which a condition holds, and in which it does not.

    The state that is given is used up.
    """
    if node is None:
        return state, state.copy()
    reader.spend()
    if node.kind == "unary_expression" and "!" in node.marks:
        yes, no = decide(reader, node.get("argument"), state)
        return no, yes
    if node.kind == "binary_expression":
        found = _binary(reader, node, state)
        if found is not None:
            return found
    elif node.kind == "call_expression":
        reader.visited.add(id(node))
        found = _called(reader, node, state)
        if found is not None:
            return found
    elif node.kind in ("await_expression", "sequence_expression") and len(node.kids) == 1:
        return decide(reader, node.kids[0], state)
    elif node.kind == "identifier":
        known = scopes.find(node.text, reader.frame.scope, state)
        test = state.test(known[0], node.text) if known is not None else None
        if known is not None and test is not None:
            state.hold(known[0], node.text, None)
            return decide(reader, test[0], state)
    elif node.kind == "subscript_expression":
        return _looked_up(reader, node, state)
    return by_truth(reader.evaluate(node, state), state)


def by_truth(value: Value, state: State) -> Ways:
    """Return the ways on which a value counts as true, and as false."""
    known = true_of(value, state)
    if known is None:
        no = state.copy()
        schemas.told(value, state, holds=True)
        schemas.told(value, no, holds=False)
        return state, no
    return (state, None) if known else (None, state)


def remember(name: str, scope: int, node: Node, state: State) -> None:
    """Keep that a name has the outcome of a condition."""
    if node.kind in (
        "binary_expression",
        "call_expression",
        "unary_expression",
        "await_expression",
    ):
        names = frozenset(each.text for each in node.walk() if each.kind == "identifier")
        if len(names) <= 20 and name not in names:
            state.hold(scope, name, (node, names))


def guarded(reader: Reader, node: Node, state: State) -> bool:
    """Read `a && b()` and `a || b()` as a statement; tell whether it is one."""
    if node.kind != "binary_expression" or not {"&&", "||"} & set(node.marks):
        return False
    yes, no = decide(reader, node.get("left"), state.copy())
    went, stayed = (yes, no) if "&&" in node.marks else (no, yes)
    if went is not None:
        reader.evaluate(node.get("right"), went)
    both = merged([each for each in (went, stayed) if each is not None])
    if both is not None:
        state.become(both)
    return True


# -- operators -------------------------------------------------------------------------------------


def _binary(reader: Reader, node: Node, state: State) -> Ways | None:
    sign = node.marks[0] if node.marks else ""
    left, right = node.get("left"), node.get("right")
    if sign == "&&":
        yes, no = decide(reader, left, state)
        second = decide(reader, right, yes) if yes is not None else (None, None)
        return second[0], merged([each for each in (no, second[1]) if each is not None])
    if sign == "||":
        yes, no = decide(reader, left, state)
        second = decide(reader, right, no) if no is not None else (None, None)
        return merged([each for each in (yes, second[0]) if each is not None]), second[1]
    if sign in _EQUAL:
        one, other = reader.evaluate(left, state), reader.evaluate(right, state)
        searched = _searched(reader, left, sign, other, state)
        if searched is not None:
            return searched
        yes, no = _typed(reader, left, other, state) or equal(reader, one, other, state)
        return (no, yes) if sign in ("!==", "!=") else (yes, no)
    if sign == "in":
        one, other = reader.evaluate(left, state), reader.evaluate(right, state)
        return checks.member_of(one, other, state, by_name=True)
    if sign in ("<", ">", "<=", ">="):
        one, other = reader.evaluate(left, state), reader.evaluate(right, state)
        searched = _searched(reader, left, sign, other, state)
        if searched is not None:
            return searched
        known = compared(sign, one, other)
        if known is not None:
            return (state, None) if known else (None, state)
        no = state.copy()
        _has_length(reader, left, sign, other, state)
        if isinstance(other, Const) and (sign, other.value) in ((">=", 0), (">", -1)):
            schemas.found(one, state)
        elif isinstance(other, Const) and (sign, other.value) in (("<", 0), ("<=", -1)):
            schemas.found(one, no)
        return state, no
    return None


def _has_length(reader: Reader, left: Node | None, sign: str, other: Value, state: State) -> None:
    """Learn of `x.length > 3`, where it holds: what is one text or list is no operator.

    An object may have a `length` too, and is refused for it: no operator has that name.
    """
    name = left.get("property") if left is not None else None
    if left is None or left.kind != "member_expression" or name is None or name.text != "length":
        return
    least = other.value if isinstance(other, Const) else None
    if isinstance(least, (int, float)) and any(sign == s and least >= n for s, n in _LONGER):
        value = reader.evaluate(left.get("object"), state)
        checks.learned(state, value, _NONE, _NO_QUERY)


def _typed(reader: Reader, left: Node | None, other: Value, state: State) -> Ways | None:
    """Decide `typeof x === 'string'`."""
    if left is None or left.kind != "unary_expression" or "typeof" not in left.marks:
        return None
    value, wanted = reader.evaluate(left.get("argument"), state), known_text(other)
    known = known_text(type_of(value, state))
    if known is not None:
        return (state, None) if known == wanted else (None, state)
    yes, no = state, state.copy()
    if wanted == "string":
        checks.learned(yes, value, _NONE, checks.NO_OBJECT)
    elif wanted in ("number", "boolean", "bigint", "undefined"):
        checks.learned(yes, value, _NONE, checks.ALL)
    elif wanted == "object":
        checks.learned(no, value, _NONE, checks.NO_OBJECT)
    return yes, no


def _searched(
    reader: Reader, left: Node | None, sign: str, other: Value, state: State
) -> Ways | None:
    """Decide `list.indexOf(x) >= 0` and the like."""
    callee = left.get("function") if left is not None and left.kind == "call_expression" else None
    name = callee.get("property") if callee is not None else None
    if callee is None or name is None or name.text not in ("indexOf", "search") or left is None:
        return None
    if not isinstance(other, Const) or other.value not in (-1, 0):
        return None
    given = left.get("arguments")
    values = calls.arguments(reader, given, state) if given is not None else []
    receiver = reader.evaluate(callee.get("object"), state)
    if other.value == 0 and name.text == "indexOf" and values and sign in _EQUAL:
        yes, no = checks.begins(receiver, values[0], state)
        return (no, yes) if sign.startswith("!") else (yes, no)
    ways = checks.contained(receiver, values, state)
    if ways is None:
        return None
    absent = (other.value == -1 and sign in ("===", "==", "<=")) or (
        other.value == 0 and sign == "<"
    )
    return (ways[1], ways[0]) if absent else ways


def equal(reader: Reader, one: Value, other: Value, state: State) -> Ways:
    """Decide whether two values are the same."""
    if isinstance(one, Const) and isinstance(other, Const):
        same = one.value == other.value
        return (state, None) if same else (None, state)
    yes, no = state, state.copy()
    for value, fixed in ((one, other), (other, one)):
        if isinstance(fixed, Const) and not isinstance(value, Const):
            if isinstance(value, Ref) and fixed.value is None:
                return None, no
            checks.learned(yes, value, _NONE, checks.ALL)
            if fixed.value == -1:
                schemas.found(value, no)
            if fixed.value is None or isinstance(fixed.value, bool):  # `success === false`
                schemas.told(value, yes, holds=bool(fixed.value))
                schemas.told(value, no, holds=not fixed.value)
            if fixed.value in ("__proto__", "constructor", "prototype"):
                checks.learned(no, value, _NONE, frozenset(("attributes",)))
        elif not shallow(fixed) and isinstance(fixed, (Unknown, Text, Union)):
            checks.learned(yes, value, _NONE, checks.ALL)
    return yes, no


def compared(sign: str, left: Value, right: Value) -> bool | None:
    """Return the outcome of a comparison of known values, or None."""
    if not (isinstance(left, Const) and isinstance(right, Const)):
        return None
    one, other = left.value, right.value
    if sign in ("===", "=="):
        return one == other
    if sign in ("!==", "!="):
        return one != other
    if not (isinstance(one, (int, float)) and isinstance(other, (int, float))):
        return None
    return {"<": one < other, ">": one > other, "<=": one <= other, ">=": one >= other}.get(sign)


def type_of(value: Value, state: State) -> Value:
    """Return what `typeof` gives."""
    if isinstance(value, Const):
        kind = type(value.value).__name__
        known = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
        return Const(known.get(kind, "undefined"))
    if isinstance(value, Text):
        return Const("string")
    if isinstance(value, Unknown) and value.type == "int":
        return Const("number")
    thing = thing_of(value, state)
    if isinstance(thing, Mapping):
        return Const("function" if thing.type == "function" else "object")
    return Const("object") if thing is not None else ANYTHING


# -- calls -----------------------------------------------------------------------------------------


def _called(reader: Reader, node: Node, state: State) -> Ways | None:
    callee, given = node.get("function"), node.get("arguments")
    if callee is None or given is None or given.kind != "arguments":
        return None
    if callee.kind != "member_expression":
        function = reader.evaluate(callee, state)
        if isinstance(function, Ref) and function.number in reader.functions:
            return _entered(reader, function, UNDEFINED, given, node, state)
        values = calls.arguments(reader, given, state)
        return _known_function(reader, name_of(function, state), values, function, node, state)
    name = callee.get("property")
    receiver = reader.evaluate(callee.get("object"), state)
    if name is None:
        return None
    if len(options(receiver)) != 1:
        if name.text not in ("match", "startsWith"):
            return None
        values = calls.arguments(reader, given, state)
        return checks.by_method(reader, receiver, name.text, values, state, node)
    if isinstance(thing_of(receiver, state), Mapping):
        function = members.get(reader, receiver, name.text, state, node)
        if isinstance(function, Ref) and function.number in reader.functions:
            return _entered(reader, function, receiver, given, node, state)
    values = calls.arguments(reader, given, state)
    if isinstance(receiver, (Text, Unknown)):
        checks.called_on(receiver, name.text, values, state, node)
    found = checks.by_method(reader, receiver, name.text, values, state, node)
    if found is not None:
        return found
    return by_truth(calls.call_method(reader, receiver, name.text, values, state, node), state)


def _entered(
    reader: Reader, function: Ref, this: Value, given: Node, node: Node, state: State
) -> Ways | None:
    """Decide a call of a function of the code by what it returns on each way."""
    made = reader.functions[function.number]
    if made.native is not None or (made.node is not None and reader.stack.count(made.node)):
        return None
    values = calls.arguments(reader, given, state)
    ways: tuple[list[State], list[State]] = ([], [])
    calls.enter(reader, function, values, this, state, node, ways)
    if not ways[0] and not ways[1]:
        return None, None
    return merged(ways[0]), merged(ways[1])


def _known_function(
    reader: Reader, name: str, values: list[Value], function: Value, node: Node, state: State
) -> Ways:
    first = values[0] if values else UNDEFINED
    if name in ("isNaN", "Number.isNaN"):
        no = state.copy()
        return state, checks.learned(no, first, _NONE, checks.ALL) if name == "isNaN" else no
    if name.startswith("uuid") and name.endswith(".validate"):
        no = state.copy()
        return checks.learned(state, first, _NONE, checks.ALL), no
    if name in checks.SIGNED_BY_DISCORD:
        return checks.signed(reader, values, state)
    if name == "isFinite" or name.rpartition(".")[2] in checks.VALID:
        no = state.copy()
        return checks.learned(state, first, _NONE, checks.ALL), no
    return by_truth(calls.call(reader, function, values, UNDEFINED, state, node), state)


def _looked_up(reader: Reader, node: Node, state: State) -> Ways:
    """Decide `TABLE[x]`: it is one of its keys where there is something."""
    value = reader.evaluate(node.get("object"), state)
    key = reader.evaluate(node.get("index"), state)
    thing = thing_of(value, state)
    if isinstance(thing, Mapping) and shallow(key) and thing.known.keys() - {CLASS}:
        return checks.member_of(key, value, state, by_name=True)
    return by_truth(members.item(reader, value, key, state, node), state)
