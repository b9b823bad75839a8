"""Conditions: what must be so where one has held, and where it has not."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TypeGuard

from casemate.audit.flow import characters
from casemate.audit.flow.checks import (
    NOTHING,
    QUOTES,
    Ways,
    by_method,
    by_other_start,
    by_own_address,
    by_same_signature,
    by_signature,
    learn_normal,
    learn_of,
    quantified,
)
from casemate.audit.flow.operators import compared
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Mapping, Sequence, State, all_of, merged
from casemate.audit.flow.values import (
    EVERY,
    Const,
    External,
    Method,
    Ref,
    Taint,
    Taints,
    Text,
    Tup,
    Unknown,
    Value,
    few,
    join,
    known_text,
    options,
    shallow,
    truth,
)

_EVERY = frozenset((EVERY,))
_CHOSEN = frozenset(("import", "code", "attributes", "deserialisation", "session"))
"""Sinks for which one of some single characters is no danger, whatever they are."""
_HOSTS = ("netloc", "hostname", "scheme", "domain", "suffix", "registered_domain")
MATCH = "match of "
_BETWEEN = "\x01"


def decide(reader: Reader, test: ast.expr, state: State) -> Ways:
    """Return the states in which a condition holds and in which it does not.

    The state that is given is used up.
    """
    reader.spend(test)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yes, no = decide(reader, test.operand, state)
        return no, yes
    if isinstance(test, ast.BoolOp):
        return _bool(reader, test, state)
    if isinstance(test, ast.NamedExpr):
        value = reader.evaluate(test.value, state)
        reader.assign(test.target, value, state)
        return decide(reader, test.target, state)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compare(reader, test, state)
    if isinstance(test, ast.Call):
        return _call(reader, test, state)
    value = reader.evaluate(test, state)
    if isinstance(test, ast.Name) and truth(value) is None:
        kept = state.test(reader.frame.scope, test.id)
        if kept is not None:
            return decide(reader, kept[0], state)
    ways = _ways(truth(value), state)
    for each, holds in zip(ways, (True, False), strict=True):
        if each is not None:
            narrow(reader, test, value, holds, each)
    _learn_from_match(value, ways[0])
    return ways


def _ways(known: bool | None, state: State) -> Ways:
    if known is None:
        return state.copy(), state
    return (state, None) if known else (None, state)


def narrow(reader: Reader, node: ast.expr, value: Value, holds: bool, state: State) -> None:
    """Keep only those of several values that are true, or that are not."""
    if not isinstance(node, ast.Name):
        return
    several = options(value)
    if len(several) < 2:
        return
    kept = [option for option in several if truth(option) in (None, holds)]
    if kept and len(kept) < len(several):
        reader.store(node.id, join(*kept), state)


def _bool(reader: Reader, test: ast.BoolOp, state: State) -> Ways:
    both = isinstance(test.op, ast.And)
    ended: list[State] = []
    at: State | None = state
    for each in test.values:
        if at is None:
            break
        yes, no = decide(reader, each, at)
        done = no if both else yes
        at = yes if both else no
        if done is not None:
            ended.append(done)
    return (at, merged(ended)) if both else (merged(ended), at)


# -- comparisons -----------------------------------------------------------------------------------


def _compare(reader: Reader, test: ast.Compare, state: State) -> Ways:
    op = test.ops[0]
    left = reader.evaluate(test.left, state)
    right = reader.evaluate(test.comparators[0], state)
    found = {compared(op, one, other, state) for one in options(left) for other in options(right)}
    ways = _ways(found.pop() if len(found) == 1 else None, state)
    negative = isinstance(op, (ast.NotEq, ast.NotIn, ast.IsNot))
    for each, outcome in zip(ways, (True, False), strict=True):
        if each is None:
            continue
        holds = outcome is not negative
        if isinstance(op, (ast.In, ast.NotIn)):
            _member(reader, test, left, right, holds, each)
        elif isinstance(op, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)):
            _equal(reader, test, left, right, holds, each)
        if isinstance(op, (ast.Eq, ast.NotEq, ast.Gt, ast.GtE)):
            _position(reader, test, right, outcome, op, each)
    return ways


def _position(
    reader: Reader, test: ast.Compare, right: Value, outcome: bool, op: ast.cmpop, state: State
) -> None:
    """Learn from `x.find("..") == -1`."""
    node = test.left
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr not in ("find", "count") or len(node.args) != 1:
        return
    nowhere = Const(-1) if node.func.attr == "find" else Const(0)
    missing = (right == nowhere and outcome is isinstance(op, ast.Eq)) or (
        isinstance(op, (ast.Gt, ast.GtE)) and not outcome
    )
    if isinstance(op, ast.NotEq):
        missing = right == nowhere and not outcome
    scratch = state.copy()
    needle = known_text(reader.evaluate(node.args[0], scratch))
    if missing and needle:
        value = reader.evaluate(node.func.value, scratch)
        _learn_missing(reader, node.func.value, value, needle, state)


def _equal(
    reader: Reader, test: ast.Compare, left: Value, right: Value, holds: bool, state: State
) -> None:
    for node, value, other in (
        (test.left, left, right),
        (test.comparators[0], right, left),
    ):
        if isinstance(other, Const):
            _keep(reader, node, value, other, holds, state)
        if not holds:
            continue
        by_same_signature(value, state)
        if _is_type_of(node) and isinstance(other, External):
            if other.name.removeprefix("builtins.") in _NO_OPERATORS:
                asked = reader.evaluate(node.args[0], state.copy())
                learn_of(shallow(asked), state, NOTHING, _QUERIES)
            continue
        if _is_part_of_checked(reader, node, state):
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("commonpath"):
            if not state.deep(other):
                scratch = state.copy()
                given = reader.evaluate(node.args[0], scratch)
                learn_normal(Unknown(scratch.deep(given)), state)
            continue
        if not state.deep(other) and not (isinstance(other, Const) and other.value in ("", None)):
            learn_of(_whole(value, state), state, NOTHING, _EVERY)
            _learn_host(reader, node, value, state)


def _is_type_of(node: ast.expr) -> TypeGuard[ast.Call]:
    """Return whether something is `type(x)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "type"
        and len(node.args) == 1
    )


def _whole(value: Value, state: State) -> Taints:
    """Return the data of a text, or of an object that stands for one, such as a path."""
    return state.deep(value) if isinstance(value, Ref) else shallow(value)


def _is_part_of_checked(reader: Reader, node: ast.expr, state: State) -> bool:
    """Return whether only a piece of a text is compared: `x[0] == "/"` tells little of it."""
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)


def _keep(
    reader: Reader, node: ast.expr, value: Value, other: Const, holds: bool, state: State
) -> None:
    """Of several values a name may have, keep those that can (or cannot) be equal to one."""
    if not isinstance(node, ast.Name) or len(options(value)) < 2:
        return
    kept = [
        option
        for option in options(value)
        if not isinstance(option, Const) or (option == other) is holds
    ]
    if other.value is None and holds:
        kept = [option for option in kept if not isinstance(option, (Text, Tup, Ref))]
    if kept and len(kept) < len(options(value)):
        reader.store(node.id, join(*kept), state)


def _member(
    reader: Reader, test: ast.Compare, left: Value, right: Value, holds: bool, state: State
) -> None:
    needle = known_text(left)
    if needle is not None and not holds:
        _learn_missing(reader, test.comparators[0], right, needle, state)
        return
    if not holds:
        return
    if getattr(test.comparators[0], "attr", "") == "parents" and not state.deep(left):
        learn_normal(right, state)
        return
    if isinstance(right, (Text, Const, Unknown)) and not _is_collection(right):
        allowed = known_text(right)
        if allowed is not None:
            learn_of(shallow(left), state, characters.all_but(allowed), NOTHING)
        return
    allowed_values = _members(right, state)
    if allowed_values is None:
        return
    signs = "".join(allowed_values)
    if allowed_values and all(len(each) == 1 for each in allowed_values):
        learn_of(shallow(left), state, characters.all_but(signs), _CHOSEN)
    else:
        learn_of(shallow(left), state, NOTHING, _EVERY)
        _learn_host(reader, test.left, left, state)


def _is_collection(value: Value) -> bool:
    """Return whether something of a library, or not known, is surely more than one text."""
    return isinstance(value, Unknown) and not value.taints


def _members(value: Value, state: State) -> list[str] | None:
    """Return the texts of a collection that nobody outside has chosen; None if somebody may."""
    out: list[str] = []
    for option in options(value):
        if isinstance(option, (External, Method)):
            return []
        if state.deep(option):
            return None
        thing = state.things.get(option.number) if isinstance(option, Ref) else option
        if isinstance(thing, Sequence):
            found = all_of(thing)
            known = options(found) if found is not None else ()
            items = thing.items if thing.items is not None else known
        elif isinstance(thing, Tup):
            items = thing.items
        elif isinstance(thing, Mapping):
            if thing.keys:
                return None
            out += [str(k[1]) for k in thing.known if isinstance(k, tuple) and len(k) == 2]
            continue
        else:
            out.append("..")
            continue
        out += [known_text(item) or ".." for item in items]
    return out


def _learn_missing(reader: Reader, node: ast.expr, value: Value, needle: str, state: State) -> None:
    """Know that a text has no `needle` in it."""
    if not needle:
        return
    inner = _without_ends(node)
    if inner is not None and needle in QUOTES:
        whole = reader.evaluate(inner, state)
        learn_of(shallow(whole), state, NOTHING, frozenset((f"inside {needle}",)))
    for option in options(value):
        if isinstance(option, (Text, Unknown)):
            learn_of(shallow(option), state, frozenset((needle,)), NOTHING)


def _without_ends(node: ast.expr) -> ast.expr | None:
    """Return `x` of `x[1:-1]`."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return None
    return node.value if ast.unparse(node.slice) == "1:-1" else None


def _learn_host(reader: Reader, node: ast.expr, value: Value, state: State) -> None:
    """Of an address whose host is one of those allowed, know that it is no danger."""
    marks = few(t for t in shallow(value) if any(s.startswith("host of ") for s in t.seen))
    for taint in marks:
        for seen in taint.seen:
            if seen.startswith("host of "):
                state.learn(int(seen.rpartition(" ")[2]), NOTHING, frozenset(("url", "redirect")))


# -- calls -----------------------------------------------------------------------------------------


def _call(reader: Reader, test: ast.Call, state: State) -> Ways:
    special = quantified(reader, test, state)
    if special is not None:
        return special
    name = test.func.id if isinstance(test.func, ast.Name) else ""
    if name == "bool" and len(test.args) == 1:
        return decide(reader, test.args[0], state)
    if name == "isinstance" and len(test.args) == 2:
        return _isinstance(reader, test, state)
    own = reader.deciding_call(test, state)
    if own is not None:
        return own
    value = reader.evaluate(test, state)
    ways = _ways(truth(value), state)
    if ways[0] is not None and isinstance(test.func, ast.Attribute):
        by_method(reader, test, test.func, ways[0])
    if ways[1] is not None and isinstance(test.func, ast.Attribute):
        by_other_start(reader, test, test.func, ways[1])
    if ways[0] is not None and ast.unparse(test.func).endswith("compare_digest"):
        by_signature(reader, test, ways[0])
    if ways[0] is not None:
        by_own_address(reader, test, ways[0])
    _learn_from_match(value, ways[0])
    return ways


def _learn_from_match(value: Value, state: State | None) -> None:
    """Know what a match of a regular expression tells of the text."""
    if state is None:
        return
    for option in options(value):
        if isinstance(option, Unknown) and option.type.startswith(MATCH):
            without = frozenset(option.type.removeprefix(MATCH).split(_BETWEEN)) - {""}
            learn_of(option.taints, state, without, NOTHING)


def match_of(taints: Iterable[Taint], without: frozenset[str]) -> Unknown:
    """Return the match of a regular expression, from which a condition learns."""
    return Unknown(frozenset(taints), MATCH + _BETWEEN.join(sorted(without)))


_NUMBERS = frozenset(("int", "float", "bool", "complex"))
_NO_OPERATORS = _NUMBERS | {"str", "bytes"}
"""Types that no operator of a query is of."""
_QUERIES = frozenset(("nosql",))
_OTHERS = _NUMBERS | {"bytes", "list", "dict", "tuple", "io.IOBase", "bytearray"}


def _isinstance(reader: Reader, test: ast.Call, state: State) -> Ways:
    value = reader.evaluate(test.args[0], state)
    kinds = ast.unparse(test.args[1])
    names = {kind.strip() for kind in kinds.strip("()").replace("|", ",").split(",")} - {""}
    known: bool | None = None
    if all(_surely_text(option) for option in options(value)):
        if "str" in names:
            known = True
        elif names <= _OTHERS:
            known = False
    ways = _ways(known, state)
    if ways[0] is not None and names and names <= _NUMBERS:
        learn_of(shallow(value), ways[0], characters.PLAIN, _EVERY)
    elif ways[0] is not None and names and names <= _NO_OPERATORS:
        learn_of(shallow(value), ways[0], NOTHING, _QUERIES)
    return ways


def _surely_text(value: Value) -> bool:
    if isinstance(value, Const):
        return isinstance(value.value, str)
    return isinstance(value, Text) and any(isinstance(part, str) for part in value.parts)
