"""Conditions: what they decide, and what they tell of data on either way."""

from __future__ import annotations

from casemate.audit.flow import characters
from casemate.audit.flow.library import safe
from casemate.audit.flow.state import Instance, Mapping, Sequence, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    EVERY,
    Const,
    External,
    Method,
    Ref,
    Text,
    Unknown,
    Value,
    known_text,
    options,
    shallow,
)
from casemate.audit.javascript import calls, members, patterns, scopes
from casemate.audit.javascript.reader import Reader, Ways
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import (
    ALL_BUT_NAMES,
    CLASS,
    UNDEFINED,
    name_of,
    thing_of,
    true_of,
)

_ALL = frozenset((EVERY,))
_NONE: frozenset[str] = frozenset()
_NO_OBJECT = frozenset(("nosql", "attributes"))
_ADDRESS = frozenset(("url", "redirect"))
_EQUAL = ("===", "==", "!==", "!=")
_VALID = frozenset(
    (
        *(
            "isUUID",
            "isInt",
            "isNumeric",
            "isAlphanumeric",
            "isAlpha",
            "isHexadecimal",
            "isMongoId",
        ),
        *("isIn", "isFloat", "isDecimal", "isISO8601", "isDate", "isBoolean", "isPort", "isULID"),
        *("isCreditCard", "isMD5", "isHash", "isHexColor", "isIP", "isISBN", "isPostalCode"),
    )
)
_NUMERIC = frozenset(("isInteger", "isSafeInteger", "isFinite"))


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
        test = state.tests.get((known[0], node.text)) if known is not None else None
        if test is not None:
            del state.tests[known[0], node.text]  # type: ignore[index]
            return decide(reader, test[0], state)
    elif node.kind == "subscript_expression":
        return _looked_up(reader, node, state)
    return by_truth(reader.evaluate(node, state), state)


def by_truth(value: Value, state: State) -> Ways:
    """Return the ways on which a value counts as true, and as false."""
    known = true_of(value, state)
    if known is None:
        return state, state.copy()
    return (state, None) if known else (None, state)


def learned(state: State, value: Value, without: frozenset[str], safe_: frozenset[str]) -> State:
    """Know more of the data that a value is."""
    for taint in shallow(value):
        state.learn(taint.forms[0], without, safe_)
        if isinstance(value, Unknown) and value.type in ("=host", "=relative"):
            more = _ADDRESS if value.type == "=host" else frozenset(("path",))
            for form in taint.forms[1:2]:
                state.learn(form, _NONE, more)
    return state


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
            state.tests[scope, name] = (node, names)


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
        return _member_of(one, other, state, by_name=True)
    if sign in ("<", ">", "<=", ">="):
        one, other = reader.evaluate(left, state), reader.evaluate(right, state)
        searched = _searched(reader, left, sign, other, state)
        if searched is not None:
            return searched
        known = compared(sign, one, other)
        if known is not None:
            return (state, None) if known else (None, state)
        return state, state.copy()
    return None


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
        learned(yes, value, _NONE, _NO_OBJECT)
    elif wanted in ("number", "boolean", "bigint", "undefined"):
        learned(yes, value, _NONE, _ALL)
    elif wanted == "object":
        learned(no, value, _NONE, _NO_OBJECT)
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
    ways = contained(receiver, values, state)
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
            learned(yes, value, _NONE, _ALL)
            if fixed.value in ("__proto__", "constructor", "prototype"):
                learned(no, value, _NONE, frozenset(("attributes",)))
        elif not shallow(fixed) and isinstance(fixed, (Unknown, Text)):
            learned(yes, value, _NONE, _ALL)
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
    if name is None or len(options(receiver)) != 1:
        return None
    if isinstance(thing_of(receiver, state), Mapping):
        function = members.get(reader, receiver, name.text, state, node)
        if isinstance(function, Ref) and function.number in reader.functions:
            return _entered(reader, function, receiver, given, node, state)
    values = calls.arguments(reader, given, state)
    found = by_method(reader, receiver, name.text, values, state, node)
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
        return state, learned(no, first, _NONE, _ALL) if name == "isNaN" else no
    if name == "isFinite" or name.rpartition(".")[2] in _VALID:
        reader.evaluate(None, state)
        return learned(state, first, _NONE, _ALL), state.copy()
    return by_truth(calls.call(reader, function, values, UNDEFINED, state, node), state)


def by_method(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Ways | None:
    """Decide a call of a method; None if it tells nothing that is known here."""
    first = given[0] if given else UNDEFINED
    dotted = name_of(receiver, state)
    if name in ("test", "exec") and dotted == "RegExp()":
        return _matched(receiver, first, state)
    if name == "match" and name_of(first, state) == "RegExp()":
        return _matched(first, receiver, state)
    if name in ("includes", "has", "indexOf", "contains"):
        return contained(receiver, given, state)
    if name in ("hasOwnProperty", "hasOwn"):
        owner, key = (
            (receiver, first) if name == "hasOwnProperty" else (first, [*given, UNDEFINED][1])
        )
        return _member_of(key, owner, state)
    if name == "call" and dotted.endswith("hasOwnProperty") and len(given) > 1:
        return _member_of(given[1], first, state)
    if name == "startsWith":
        return _begins(receiver, first, state)
    if name in ("every", "some"):
        return _each(reader, receiver, name, first, state, node)
    if (dotted == "Number" and name in _NUMERIC) or name in _VALID:
        no = state.copy()
        return learned(state, first, _NONE, _ALL), no
    if dotted.startswith("uuid") and name == "validate":
        no = state.copy()
        return learned(state, first, _NONE, _ALL), no
    return None


def contained(receiver: Value, given: list[Value], state: State) -> Ways | None:
    """Decide whether something is one of those allowed, or has a sign in it."""
    first = given[0] if given else UNDEFINED
    sign = known_text(first)
    if sign is not None and shallow(receiver):
        no = state.copy()
        gone = frozenset((sign,)) | (frozenset(("../",)) if sign == ".." else _NONE)
        learned(no, receiver, gone, _NONE)
        return state, no
    if not shallow(first) or not trusted(receiver, state):
        return None
    no = state.copy()
    return learned(state, first, _NONE, _ALL), no


def trusted(receiver: Value, state: State) -> bool:
    """Return whether nothing of a collection comes from outside."""
    if isinstance(receiver, Const):
        return isinstance(receiver.value, str)
    thing = thing_of(receiver, state)
    if isinstance(thing, (Sequence, Mapping, Instance)):
        return not state.deep(receiver)
    if isinstance(receiver, (Unknown, Method, External)):
        return not shallow(receiver)
    return False


def _member_of(key: Value, owner: Value, state: State, *, by_name: bool = False) -> Ways:
    no = state.copy()
    if trusted(owner, state) and not isinstance(key, Const):
        learned(state, key, _NONE, ALL_BUT_NAMES if by_name else _ALL)
    return state, no


def _looked_up(reader: Reader, node: Node, state: State) -> Ways:
    """Decide `TABLE[x]`: it is one of its keys where there is something."""
    value = reader.evaluate(node.get("object"), state)
    key = reader.evaluate(node.get("index"), state)
    thing = thing_of(value, state)
    if isinstance(thing, Mapping) and shallow(key) and thing.known.keys() - {CLASS}:
        return _member_of(key, value, state, by_name=True)
    return by_truth(members.item(reader, value, key, state, node), state)


def _matched(expression: Value, value: Value, state: State) -> Ways:
    thing = thing_of(expression, state)
    no = state.copy()
    if not isinstance(thing, Instance):
        return state, no
    pattern = known_text(thing.attributes.get("=source", ANYTHING))
    flags = known_text(thing.attributes.get("=flags", UNDEFINED)) or ""
    if pattern is None:
        return state, no
    plain = pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    plain = plain.replace("\\/", "/")
    if plain.startswith("^") and "m" not in flags:
        learned(state, value, characters.by_expression(plain, whole=False), _NONE)
        if characters.by_expression(plain, whole=False):
            learned(state, value, _NONE, _NO_OBJECT)
        if plain.lower().startswith(("^https?://", "^https://", "^http://")):
            rest = plain.partition("://")[2]
            host = rest.partition("/")[0]
            if "/" in rest and host and not set(host) & set("*+[(|?"):
                learned(state, value, _NONE, _ADDRESS)
    learned(no, value, gone_by(plain, ""), _NONE)
    return state, no


def gone_by(pattern: str, by: str) -> frozenset[str]:
    """Return what cannot be in a text any more in which all matches are replaced."""
    alone = pattern.removeprefix("\\") if len(pattern) == 2 else pattern
    if alone == "." and pattern != "\\.":
        return _NONE
    if len(alone) == 1:
        return frozenset((alone,)) - set(by)
    if all(len(each.removeprefix("\\")) == 1 for each in pattern.split("|")):
        return frozenset(each.removeprefix("\\") for each in pattern.split("|")) - set(by)
    plain = {"\\.\\.": "..", "\\.\\.\\/": "../", "\\.\\./": "../"}.get(pattern)
    if plain is not None and not by:
        return frozenset((plain,)) if plain == ".." else _NONE  # `....//` becomes `../`
    return safe.replacing(pattern, by)


def _begins(receiver: Value, first: Value, state: State) -> Ways:
    """Decide `x.startsWith(...)`: of a path without `..`, and of an address with its host."""
    no = state.copy()
    text = known_text(first)
    if text is None and shallow(first):
        return state, no
    if isinstance(receiver, Unknown) and receiver.type == "=relative" and text == "..":
        return state, learned(no, receiver, _NONE, _NONE)
    for taint in shallow(receiver):
        if safe.NORMAL in state.known_of(taint)[1] and (text is None or text.startswith("/")):
            state.learn(taint.forms[0], _NONE, frozenset(("path",)))
    if text is not None:
        _, found, rest = text.partition("://")
        if found and "/" in rest:
            learned(state, receiver, _NONE, _ADDRESS)
        if text == "/":
            learned(state, receiver, _NONE, frozenset(("begins with /",)))
        if text in ("//", "/\\"):
            for taint in shallow(receiver):
                if "begins with /" in state.known_of(taint)[1]:
                    no.learn(taint.forms[0], _NONE, frozenset(("redirect",)))
        if text in (".", "..", "-", "/"):
            gone = {".": frozenset(("..", "../")), "-": frozenset(("-",))}.get(text, _NONE)
            learned(no, receiver, gone if text == "-" else _NONE, _NONE)
    return state, no


def _each(
    reader: Reader, receiver: Value, name: str, function: Value, state: State, node: Node
) -> Ways | None:
    """Decide `list.every(f)`: what `f` tells of one item holds for each."""
    if not (isinstance(function, Ref) and function.number in reader.functions):
        return None
    _, each = patterns.elements(reader, receiver, state, node)
    ways: tuple[list[State], list[State]] = ([], [])
    calls.enter(reader, function, [each, ANYTHING], UNDEFINED, state.copy(), node, ways)
    yes, no = merged(ways[0]), merged(ways[1])
    if name == "every":
        return yes, state
    return state, no
