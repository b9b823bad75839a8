"""What rewritten code does most, written into a function instead of called by it.

The parts of a text and what it was derived from are kept in local names of the function until its
note is taken, by a method of the ring that is written in C:

    f"a {x}"      long(...) if len(t := f"a {(a := f"{x}")}") > 256 else
                  t if note((t, ("a ", None), a)) is not None else t
    f"a {x:>6}"   the same with note((t, ("a ", (">6",)), x))
    x.strip()     (t if (t := o.strip()) is not o and note((t, o)) is not None else t)
                  if type(o := x) is str and short else turned(...)
    x in ("a",)   x in ("a",) and (x in known or (all := all_found(x, ("a",))) or True)
                  if all is None else x in ("a",)

Names are used again by the next expression, and by none inside the same one. Nothing but a short
text stays in them: what is long or of another type is taken out at once.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

PREFIX, SUFFIX = "__casemate_", "__"
MAX_INLINE = 256
"""Characters of a text that is noted where it is made. As `quick.MAX_SHORT`."""
MAX_TURNED = 512
"""Characters of a text whose turned form is noted where it is made."""
TURNING = frozenset(
    ("capitalize", "casefold", "lower", "lstrip", "rstrip", "strip", "swapcase", "title", "upper")
)
"""Methods of a text that need no argument, and make about the same text of it."""
_MAX_NAMES = 32
PLAIN = re.compile(
    r"(?:[^{}]?[<>=^])?[+\- ]?z?#?0?\d{0,6}[,_]?(?:(?:\.\d{1,6})?[bdeEfFgGnoxX%]|s?)"
)
"""A format that any number has, or that only pads: what is formatted is no longer than its text."""
Part = str | tuple[str] | None
"""Of an f-string: what is written, how a value is formatted, or None where its text is noted."""
_SEES_LOCALS = frozenset(("dir", "eval", "exec", "locals", "vars"))
"""A function that uses one of these would see the names."""


class Room:
    """The local names that one function has to spare."""

    def __init__(self, *, has_body: bool = True) -> None:
        """Begin with all of them. A lambda has no body in which one could be set at first."""
        self._taken = 0
        self._flags: list[str] | None = [] if has_body else None
        self.formatted: frozenset[str] = frozenset()
        """Names that are only ever formatted: what they are given needs no note."""
        self.batches: dict[str, str] = {}
        """Names of lists that the function shows nobody, and those of the lists of their notes."""
        self.comprehended = False
        """True inside a comprehension, whose names are shared with the function around it."""

    @classmethod
    def of(cls, function: ast.AST) -> Room | None:
        """Return the room of a function; None if it would see names that are not its own."""
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in _SEES_LOCALS:
                return None
        return cls(has_body=isinstance(function, ast.Module))

    def flag(self) -> str | None:
        """Return a name for one expression alone, None at first; None if no name is left."""
        if self._flags is None or len(self._flags) >= _MAX_NAMES:
            return None
        self._flags.append(f"{PREFIX}f{len(self._flags)}{SUFFIX}")
        return self._flags[-1]

    def begun(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Return a function's body with its flags set at first, after its docstring."""
        if not self._flags:
            return body
        first = body[0]
        place = int(
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        )
        targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in self._flags]
        begun = ast.Assign(targets, ast.Constant(None))
        ast.copy_location(begun, body[min(place, len(body) - 1)])
        return [*body[:place], ast.fix_missing_locations(begun), *body[place:]]

    @contextmanager
    def names(self, count: int) -> Iterator[list[str] | None]:
        """Give names that nothing inside the expression gets; None if there are not so many."""
        first = self._taken
        if first + count > _MAX_NAMES:
            yield None
            return
        self._taken += count
        kind = "c" if self.comprehended else "t"
        try:
            yield [f"{PREFIX}{kind}{first + n}{SUFFIX}" for n in range(count)]
        finally:
            self._taken = first


def _read(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _set(name: str, value: ast.expr) -> ast.NamedExpr:
    return ast.NamedExpr(ast.Name(name, ast.Store()), value)


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_read(f"{PREFIX}{name}{SUFFIX}"), list(arguments), [])


def _constant(value: Any) -> ast.Constant:
    return ast.Constant(value)  # a tuple is one to the compiler, if not to its types


def noted(text: str, note: Sequence[ast.expr], *, needed: ast.expr | None = None) -> ast.expr:
    """Return what takes a note, if it is needed, and has the text itself for its value."""
    # `append` gives None each time: the compiler has one instruction for a jump by that, and the
    # text needs no place on the stack meanwhile, as it does after `or`.
    # What is never true comes first, so that the usual way has no jump at its end.
    taken: ast.expr = ast.Compare(
        _call("note", ast.Tuple(list(note), ast.Load())), [ast.IsNot()], [ast.Constant(None)]
    )
    test = taken if needed is None else ast.BoolOp(ast.And(), [needed, taken])
    return ast.IfExp(test, _read(text), _read(text))


def _at(node: ast.expr, made: ast.expr) -> ast.expr:
    ast.copy_location(made, node)
    return ast.fix_missing_locations(made)


def made(
    node: ast.JoinedStr, values: Sequence[ast.expr], names: Sequence[str]
) -> tuple[ast.expr, list[ast.expr], list[str]]:
    """Return an f-string that sets names for itself and its parts, its note, and these names."""
    text, *others = names
    unused = iter(others)
    set_names = {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
    template: list[Part] = []
    parts: list[ast.expr] = []
    held: list[ast.expr] = []
    taken: list[str] = [text]
    for value in values:
        if isinstance(value, ast.Constant):
            template.append(str(value.value))
            parts.append(value)
            continue
        specification = _plain_specification(value)
        template.append((specification,) if specification else None)
        inner = value.value if isinstance(value, ast.FormattedValue) and specification else None
        if isinstance(inner, ast.Name) and inner.id not in set_names:
            held.append(_read(inner.id))
            parts.append(value)
            continue
        name = next(unused)
        taken.append(name)
        held.append(_read(name))
        if isinstance(value, ast.FormattedValue) and inner is not None:
            value.value = _set(name, inner)
            parts.append(value)
        else:
            parts.append(ast.FormattedValue(_set(name, ast.JoinedStr([value])), -1, None))
    site = _constant(tuple(template))
    whole = _at(node, _set(text, ast.JoinedStr(parts)))
    return whole, [_read(text), site, *held], taken


def joined(node: ast.JoinedStr, values: Sequence[ast.expr], names: Sequence[str]) -> ast.expr:
    """Return an f-string whose parts are noted; one name for itself, and for each of these."""
    whole, note, taken = made(node, values, names)
    text, site, *held = note
    nothing = [_set(name, ast.Constant(None)) for name in taken]
    return _at(
        node,
        ast.IfExp(
            ast.Compare(_call("len", whole), [ast.Gt()], [ast.Constant(MAX_INLINE)]),
            _call("long", text, site, ast.Tuple(held, ast.Load()), *nothing),
            noted(taken[0], note),
        ),
    )


def _plain_specification(value: ast.expr) -> str:
    """Return how a value is padded or rounded, if by the words of the code alone; else nothing.

    Then the value is noted instead of the text, which is made again if a sink asks: that spares
    the memory of a text, and what has no format of its own, such as a file, is not formatted so.
    """
    if not isinstance(value, ast.FormattedValue) or value.conversion != -1:
        return ""
    specification = value.format_spec
    if not isinstance(specification, ast.JoinedStr) or len(specification.values) != 1:
        return ""
    (written,) = specification.values
    if not isinstance(written, ast.Constant) or not PLAIN.fullmatch(str(written.value)):
        return ""
    return str(written.value)


def chain_of(node: ast.expr) -> tuple[ast.expr, tuple[str, ...]]:
    """Return what methods without arguments are called on, one after the other, and their names."""
    methods: list[str] = []
    inner: ast.expr = node
    while (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and inner.func.attr in TURNING
        and not inner.args
        and not inner.keywords
    ):
        methods.append(inner.func.attr)
        inner = inner.func.value
    return inner, tuple(reversed(methods))


def chained(node: ast.expr, whole: ast.expr, methods: Sequence[str]) -> ast.expr:
    """Return a chain of methods as it is, without a note."""
    for method in methods:
        whole = ast.Call(ast.Attribute(whole, method, ast.Load()), [], [])
    return _at(node, whole)


def turned(
    node: ast.expr, whole: ast.expr, methods: Sequence[str], names: Sequence[str]
) -> ast.expr:
    """Return a chain of methods whose result is noted as made from what it began with."""
    text, owner = names

    def result() -> ast.expr:
        return chained(node, _read(owner), methods)

    is_text = ast.Compare(
        _call("type", _set(owner, whole)), [ast.Is()], [_read(f"{PREFIX}str{SUFFIX}")]
    )
    is_short = ast.Compare(_call("len", _read(owner)), [ast.LtE()], [ast.Constant(MAX_TURNED)])
    before_last = _constant(tuple(methods[:-1]))
    between = [before_last] if len(methods) > 1 else []
    # What it is called on is let go before the result is handed on.
    nothing = _set(owner, ast.Constant(None))
    slow = _call("turned", result(), _read(owner), before_last, nothing)
    return _at(
        node,
        ast.IfExp(
            ast.BoolOp(ast.And(), [is_text, is_short]),
            # Most are as they should be: a strip has nothing to strip, and returns its owner.
            noted(
                text,
                [_read(text), _read(owner), *between],
                needed=ast.Compare(_set(text, result()), [ast.IsNot()], [_read(owner)]),
            ),
            slow,
        ),
    )


def found(
    node: ast.Compare, texts: ast.Tuple, again: ast.expr, names: Sequence[str], flag: str | None
) -> ast.expr:
    """Return `x in ("a", "b")` that notes what was found, unless it is known already.

    The flag is None until all of the texts are known: most such loops end there.
    """
    left = node.left
    plain = ast.Compare(left, [ast.In()], node.comparators)
    if names:
        left, again = _set(names[0], left), _read(names[0])
    kept = ast.Compare(left, [ast.In()], node.comparators)
    known = ast.Compare(again, [ast.In()], [_read(f"{PREFIX}known{SUFFIX}")])
    ways: list[ast.expr] = [known, _call("found", again, texts)]
    if flag is not None:
        ways = [known, _set(flag, _call("all_found", again, texts)), ast.Constant(True)]
    either = ast.BoolOp(ast.And(), [kept, ast.BoolOp(ast.Or(), ways)])
    if flag is None:
        return _at(node, either)
    # The flag first: from then on the value is not even put aside. It is compared with None, which
    # is one instruction with the jump, and what is usual comes last, with no jump over the rest.
    unset = ast.Compare(_read(flag), [ast.Is()], [ast.Constant(None)])
    return _at(node, ast.IfExp(unset, either, copy.deepcopy(plain)))
