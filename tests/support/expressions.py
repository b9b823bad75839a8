"""Every regular expression in the source, and the inputs that would make a bad one slow."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

SOURCE = Path(__file__).parents[2] / "src"
_CALLS = frozenset(
    ("compile", "match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split")
)
_USE = re.compile(rf"\.\s*(?:{'|'.join(_CALLS)})\b")
_ANCHORED = frozenset(("fullmatch", "match"))
_KNOWN_METHODS = {
    "casemate.contracts.inference": {"fullmatch"},
    "casemate.policy.identifiers": {"fullmatch"},
}
"""How the expressions in a module's tables are used, which have no name of their own."""
_LONG = 8_000
_SHORT = _LONG // 4
_FIRST = (8, 12, 16, 20, 24, 28)
"""Repetitions that are tried first: none comes back from more if the time is exponential."""
_SUSPICIOUS = 0.010
"""CPU seconds above which a second, shorter input tells whether the time grows out of proportion:
a linear expression needs less than 1 ms for the long one."""
_MOST_GROWTH = 9.0
"""The long input has 4 times the characters: linear is 4 times the time, quadratic 16 times."""
_LADDER = (12_500, 25_000, 50_000, 100_000)
"""Characters of the worst inputs, tried one after the other."""
_ENOUGH = 0.050
"""CPU seconds of an input in proportion, beyond which no longer one is tried."""
_ASKED_LONG, _WORST = 6, 2
"""Inputs that took longest which are tried with more characters, and with the most."""
_MOST_GROWTH_OF_ALL = 20.0
"""The last has 8 times the characters of the first: linear is 8 times the time, quadratic 64."""
_MAX_EXCLUDED = 3
_MAX_PUMPS = 10
_MAX_PREFIXES = 3
_ENDS = ("\x00", "\n\x01")
_MAX_ENDS = 5


class Expression(NamedTuple):
    """One expression and how it is used."""

    where: str
    """`package.module:line`."""
    pattern: re.Pattern[Any]
    methods: frozenset[str]


class _Calls(ast.NodeVisitor):
    """Finds calls of `re`, and by which methods the names of compiled ones are used."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.Call, str]] = []
        self._name = ""

    def visit_Assign(self, node: ast.Assign) -> None:
        before, target = self._name, node.targets[0]
        self._name = target.id if isinstance(target, ast.Name) else ""
        self.generic_visit(node)
        self._name = before

    def visit_Attribute(self, node: ast.Attribute) -> None:
        before = self._name
        if isinstance(node.value, ast.Call):  # re.compile(...).match: used here and nowhere else
            self._name = f"={node.attr}"
        self.generic_visit(node)
        self._name = before

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "re"
            and function.attr in _CALLS
            and node.args
        ):
            self.found.append((node, self._name))
        self.generic_visit(node)


def _modules() -> Iterator[tuple[str, ast.Module, bool]]:
    """Yield each module with its name, and whether it can call `re` at all.

    Left out is what neither names `re` nor has anything that is called like one of its functions
    after a dot: there is no expression in it, and no use of one.
    """
    for path in sorted((SOURCE / "casemate").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text()
        calls_re = re.search(r"\bre\b", text) is not None
        if calls_re or _USE.search(text) is not None:
            yield name, ast.parse(text), calls_re


def _uses(tree: ast.Module) -> dict[str, set[str]]:
    """Return by which methods each name is used: `_NAME.fullmatch` and `x._NAME.sub`."""
    uses: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            value = node.value
            name = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
            if name:
                uses.setdefault(name, set()).add(node.attr)
    return uses


def expressions() -> tuple[list[Expression], list[str]]:
    """Return every expression, and the places of those that only exist while code runs."""
    callers: list[tuple[str, ast.Module, dict[str, set[str]]]] = []
    everywhere: dict[str, set[str]] = {}
    for name, tree, calls_re in _modules():
        here = _uses(tree)
        for used, by in here.items():
            everywhere.setdefault(used, set()).update(by)
        if calls_re:
            callers.append((name, tree, here))
    found: list[Expression] = []
    unknown: list[str] = []
    for name, tree, here in callers:
        calls = _Calls()
        calls.visit(tree)
        for call, target in calls.found:
            where = f"{name}:{call.lineno}"
            method = call.func.attr  # type: ignore[attr-defined]
            try:
                pattern = _value(name, call, compiled=method == "compile")
            except (NameError, AttributeError, KeyError):
                unknown.append(where)
                continue
            if method != "compile":
                methods = {method}
            elif target.startswith("="):
                methods = {target[1:]} & _CALLS
            else:
                # A private name is its module's own, unless others reach for it all the same.
                uses = here if target in here else everywhere
                methods = uses.get(target, set()) & _CALLS or _KNOWN_METHODS.get(name, set())
            found.append(Expression(where, pattern, frozenset(methods)))
    return found, unknown


def _value(module: str, call: ast.Call, *, compiled: bool) -> re.Pattern[Any]:
    """Evaluate a call's pattern as its module would; NameError if it needs what only runs."""
    namespace = dict(vars(importlib.import_module(module)))
    whole = ast.Expression(call if compiled else call.args[0])
    value = eval(compile(ast.fix_missing_locations(whole), module, "eval"), namespace)
    if isinstance(value, re.Pattern):
        return value
    return re.compile(value)


# -- hostile inputs ----------------------------------------------------------------------------


def _sample(parsed: Any, most: int = 2) -> str:
    """Return a text that a parsed expression (or a part of it) matches, or nearly."""
    return "".join(_of(op, value, most) for op, value in parsed)


def _of(op: Any, value: Any, most: int) -> str:
    if op is ops.LITERAL:
        return chr(value)
    if op is ops.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if op is ops.ANY:
        return "a"
    if op is ops.IN:
        return _of_set(value)
    if op is ops.BRANCH:
        return _sample(value[1][0], most)
    if op is ops.SUBPATTERN:
        return _sample(value[3], most)
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        low, high, inner = value
        return _sample(inner, most) * min(max(low, 1), high, max(low, most))
    if op is ops.ATOMIC_GROUP:
        return _sample(value, most)
    return ""


def _of_set(items: Any) -> str:
    negated = any(op is ops.NEGATE for op, _ in items)
    pattern = _matcher(items)
    for char in "a0A-_.+/ =<{\t\n\r,;:'\"\\()[]$%&@#*~^|!?}>`é\x00":
        if pattern(char) != negated:
            return char
    return next((chr(v) for op, v in items if op is ops.LITERAL), "a")


def _matcher(items: Any) -> Any:
    categories = {
        ops.CATEGORY_DIGIT: str.isdigit,
        ops.CATEGORY_NOT_DIGIT: lambda c: not c.isdigit(),
        ops.CATEGORY_SPACE: str.isspace,
        ops.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
        ops.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
        ops.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
    }

    def within(char: str) -> bool:
        for op, value in items:
            if op is ops.LITERAL and ord(char) == value:
                return True
            if op is ops.RANGE and value[0] <= ord(char) <= value[1]:
                return True
            if op is ops.CATEGORY and categories[value](char):
                return True
        return False

    return within


def _parts(parsed: Any, before: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before a part, and a text of the part, for each part at any depth."""
    for op, value in parsed:
        text = _of(op, value, 1)
        inner: list[Any] = []
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            inner = [value[2]]
            yield before, text
        elif op is ops.BRANCH:
            inner = list(value[1])
        elif op is ops.SUBPATTERN:
            inner = [value[3]]
        elif op is ops.ATOMIC_GROUP:
            inner = [value]
        elif op in (ops.ASSERT, ops.ASSERT_NOT):
            inner = [value[1]]
        for one in inner:
            yield before, _sample(one, 1)
            yield from _parts(one, before)
        before += text


def _excluded(parsed: Any) -> Iterator[str]:
    """Yield the characters that the negated sets of a parsed expression leave out."""
    for op, value in parsed:
        if op is ops.IN and value[0][0] is ops.NEGATE:
            yield from (chr(v) for o, v in value[1:] if o is ops.LITERAL)
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            yield from _excluded(value[2])
        elif op is ops.SUBPATTERN:
            yield from _excluded(value[3])
        elif op is ops.BRANCH:
            for one in value[1]:
                yield from _excluded(one)


def hostile(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """Yield prefixes, texts to be repeated and ends that may make an expression slow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    whole = _sample(parsed, 1)
    pumps = dict.fromkeys(
        text
        for before, part in _parts(parsed, "")
        for text in (part, before + part, whole[:-1], whole)
        if text
    )
    # What a set leaves out stops a repeat of it where nothing else does.
    excluded = tuple(dict.fromkeys(_excluded(parsed)))
    ends = dict.fromkeys((*_ENDS, *excluded))
    # Two of these in turn begin a part again and again that none of them ends: `\\"` in a string.
    pairs = ["".join(pair) for pair in itertools.permutations(excluded[:_MAX_EXCLUDED], 2)]
    prefixes = dict.fromkeys(("", *(before for before, _ in _parts(parsed, ""))))
    # What a part is a sample of may be one of the others, and is repeated once.
    repeated = dict.fromkeys((*list(pumps)[:_MAX_PUMPS], *pairs, " ", "a", "\\", '"'))
    for prefix in list(prefixes)[:_MAX_PREFIXES]:
        for pump in repeated:
            for end in list(ends)[:_MAX_ENDS]:
                yield prefix, pump, end


def _seconds(expression: Expression, text: str) -> float:
    data: Any = text
    if isinstance(expression.pattern.pattern, bytes):
        data = text.encode("latin-1", "replace")
    methods = expression.methods
    anchored = bool(methods) and methods <= _ANCHORED
    before = time.thread_time()
    if anchored:
        for method in methods:
            getattr(expression.pattern, method)(data)
    else:
        for _ in expression.pattern.finditer(data):
            pass
    return time.thread_time() - before


class _Input(NamedTuple):
    """A prefix, a text that is repeated behind it, and an end."""

    prefix: str
    pump: str
    end: str

    def text(self, length: int) -> str:
        return self.prefix + self.pump * (length // len(self.pump)) + self.end


def slow_inputs(
    expression: Expression, *, longest: bool = True
) -> tuple[str, str, str, float] | None:
    """Return prefix, pump and end that take out of proportion long, and by which factor.

    Without `longest` none has more than some thousand characters.
    """
    taken: list[tuple[float, _Input]] = []
    for each in itertools.starmap(_Input, hostile(expression.pattern)):
        # Short first: what is worse than quadratic would not come back from the long one.
        for count in _FIRST:
            text = each.text(count * len(each.pump))
            # Three times: whatever else the machine does may take a thread that long once.
            if all(_seconds(expression, text) > _SUSPICIOUS for _ in range(3)):
                return *each, float("inf")
        short = _seconds(expression, each.text(_SHORT))
        taken.append((short, each))
        if short >= _SUSPICIOUS / 32 and (growth := _growth(expression, each, short)):
            return *each, growth
    if not longest:
        return None
    return _grown(expression, [each for _, each in _longest(taken, _ASKED_LONG)])


def _growth(expression: Expression, each: _Input, short: float) -> float:
    """Return by which factor an input takes longer that has four times the characters.

    0 if it takes no time, or is in proportion.
    """
    # The shorter one first: with four times the characters a quadratic one takes 16 times as
    # long, and a worse one takes much longer than this for the shorter one as well.
    long = _seconds(expression, each.text(_LONG))
    if long < _SUSPICIOUS:
        return 0.0
    short = min(short, _seconds(expression, each.text(_SHORT)))
    if long <= _MOST_GROWTH * short:  # as most that take long are linear, and take it again
        return 0.0
    short = min(short, *(_seconds(expression, each.text(_SHORT)) for _ in range(2)))
    long = min(long, *(_seconds(expression, each.text(_LONG)) for _ in range(2)))
    growth = long / max(short, 1e-9)
    return growth if long > _SUSPICIOUS and growth > _MOST_GROWTH else 0.0


def _grown(expression: Expression, inputs: Sequence[_Input]) -> tuple[str, str, str, float] | None:
    """Return the one of some inputs that takes out of proportion long with many characters.

    What begins a part only every fiftieth character is quadratic there alone.
    """
    first, *others = _LADDER
    longer = [(_seconds(expression, each.text(first)), each) for each in inputs]
    for least, each in _longest(longer, _WORST):
        for length in others:
            allowed = max(_SUSPICIOUS, least * _MOST_GROWTH_OF_ALL * length / _LADDER[-1])
            text = each.text(length)
            taken = _seconds(expression, text)
            if taken > allowed and all(_seconds(expression, text) > allowed for _ in range(2)):
                return *each, taken / max(least, 1e-9)
            if taken > _ENOUGH:  # in proportion, each character up to what a bounded repeat has
                break
    return None


def _longest(taken: Sequence[tuple[float, _Input]], count: int) -> list[tuple[float, _Input]]:
    return sorted(taken, key=lambda one: one[0], reverse=True)[:count]
