"""Methods and comparisons of texts that rewritten code does where they stand, not by a call.

    x.startswith("a")     (affirmed(x, "startswith", "a") if x.startswith("a") else False)
                          if type(x) is str else given(x.startswith, "a")
    x.strip("a")          (t if (t := x.strip("a")) is not x and note((t, x)) is not None else t)
                          if type(x) is str and short else given(x.strip, "a")
    x.replace("a", "b")   (t if (t := x.replace("a", "b")) is not x and t != "b"
                          and note((t, "replaced", (x, "a", "b"), 0)) is not None else t)
                          if type(x) is str and short else replaced(x.replace, "a", "b")
    x[1:]                 as x.strip("a"), with cut(x, 1, None, None)
    x in SOME             (admitted(x, SOME) if x in SOME else False)
                          if type(SOME) in plain else member(x, SOME)
    x == "a"              (equal(x, "a") if x == "a" else False)
                          if type(x) is str else same(x, "a")

Most answers are no, of which nothing is noted: then nothing is called but what the code says. What
is no name is put aside in a local one, which is emptied before the expression has its value.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from .inlining import MAX_TURNED, PREFIX, SUFFIX, noted
from .notes import OF_MARKS, REPLACED

ASKING = frozenset(
    ("endswith", "isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier", "isnumeric")
) | {"startswith"}
"""Methods of a text that answer yes or no, of which a yes is noted."""
TRIMMING = frozenset(("lstrip", "removeprefix", "removesuffix", "rstrip", "strip"))
"""Methods of a text that take a text and leave a part of it."""


_ASKING = frozenset(("count_documents", "delete_many", "delete_one", "find", "find_one"))
"""Methods of stores, which are given a document by which they look for others."""
_MATCHES = frozenset(("fullmatch", "match", "search"))


def are_texts(nodes: Sequence[ast.expr]) -> bool:
    """Tell whether there are arguments, all of them texts that are written there."""
    return bool(nodes) and all(
        isinstance(node, ast.Constant) and type(node.value) is str for node in nodes
    )


def by_itself(node: ast.Call, owner: ast.expr, name: str) -> str:
    """Return what is called with what a method is of, instead of with the method."""
    arguments = node.args
    if name == "split":
        return ("split" if are_texts(arguments) else "") if arguments else "words"
    if name in ("partition", "rpartition"):
        return name if are_texts(arguments) else ""
    if name == "groups":
        return "" if arguments else "groups"
    if name == "group":
        return "group" if arguments and isinstance(arguments[0], ast.Constant) else ""
    written = isinstance(owner, ast.Constant) and type(owner.value) is str
    plain = len(arguments) == 1 and not node.keywords and not isinstance(arguments[0], ast.Starred)
    return "joined_by" if name == "join" and written and plain else ""


def match_form(node: ast.Call, name: str) -> str:
    """Return how a call is done that has the form of one that looks for a pattern in a text.

    Or of one that asks a store for what a document says.
    """
    plain = not node.keywords and not any(isinstance(each, ast.Starred) for each in node.args)
    if not plain or not isinstance(node.func, ast.Attribute):
        return ""
    if name in _ASKING:
        return "asked" if len(node.args) == 1 else ""
    if name not in _MATCHES:
        return ""
    return {1: "matched_by", 2: "matched_with"}.get(len(node.args), "")


def replaces_by_shorter(node: ast.Call, name: str) -> bool:
    """Tell whether a call replaces a text by one that is no longer, both written there."""
    if name != "replace" or len(node.args) != 2 or not are_texts(node.args):
        return False
    old, new = (str(each.value) for each in node.args if isinstance(each, ast.Constant))
    if new and old[:1] in OF_MARKS and any(map(str.isalpha, old)):
        return False  # it may fill a mark of a template
    return 0 < len(old) >= len(new)


def _read(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_read(f"{PREFIX}{name}{SUFFIX}"), list(arguments), [])


def _is(left: ast.expr, right: ast.expr) -> ast.Compare:
    return ast.Compare(left, [ast.Is()], [right])


class _Held:
    """A value that is asked for more than once: a name of the code's, or one to spare."""

    def __init__(self, value: ast.expr, names: Sequence[str]) -> None:
        own = isinstance(value, ast.Name)
        self.name = value.id if isinstance(value, ast.Name) else names[0]
        self.first: ast.expr = (
            value if own else ast.NamedExpr(ast.Name(self.name, ast.Store()), value)
        )
        """The first look at it, which puts it aside if need be."""
        self.emptied: list[ast.expr] = (
            [] if own else [ast.NamedExpr(ast.Name(self.name, ast.Store()), ast.Constant(None))]
        )
        """What empties the name, and is None."""

    def read(self) -> ast.Name:
        return _read(self.name)

    def taken(self) -> ast.expr:
        """The value, out of the name."""
        if not self.emptied:
            return self.read()
        both = ast.Tuple([self.read(), *self.emptied], ast.Load())
        return ast.Subscript(both, ast.Constant(0), ast.Load())

    def method(self, name: str) -> ast.expr:
        """A method of the value, which is out of the name by then."""
        found = ast.Attribute(self.read(), name, ast.Load())
        if not self.emptied:
            return found
        both = ast.Tuple([found, *self.emptied], ast.Load())
        return ast.Subscript(both, ast.Constant(0), ast.Load())

    def is_text(self) -> ast.expr:
        return _is(_call("type", self.first), _read(f"{PREFIX}str{SUFFIX}"))

    def is_short(self) -> ast.expr:
        return ast.Compare(_call("len", self.read()), [ast.LtE()], [ast.Constant(MAX_TURNED)])

    def no(self) -> ast.expr:
        """False, with the name emptied."""
        if not self.emptied:
            return ast.Constant(False)
        return ast.Compare(self.emptied[0], [ast.IsNot()], [ast.Constant(None)])


def names_for(value: ast.expr) -> int:
    """Return how many names putting a value aside takes."""
    return 0 if isinstance(value, ast.Name) else 1


def is_pure(node: ast.expr) -> bool:
    """Tell whether an expression may be evaluated twice, or not at all: literals, and a name."""
    if isinstance(node, ast.Tuple):
        return all(isinstance(each, ast.Constant) for each in node.elts)
    return isinstance(node, (ast.Constant, ast.Name))


def sets_no_name(*nodes: ast.expr | None) -> bool:
    """Tell whether expressions set no names, which could be those that hold another."""
    return not any(
        isinstance(each, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom))
        for node in nodes
        if node is not None
        for each in ast.walk(node)
    )


def _at(node: ast.expr, made: ast.expr) -> ast.expr:
    ast.copy_location(made, node)
    return ast.fix_missing_locations(made)


def asked_in_place(node: ast.Call, owner: ast.expr, name: str, names: Sequence[str]) -> ast.expr:
    """Return a call of what answers yes or no: a yes is noted."""
    held = _Held(owner, names)
    arguments = node.args
    answer = ast.Call(ast.Attribute(held.read(), name, ast.Load()), arguments, [])
    twice = copy.deepcopy(arguments)
    yes = _call("affirmed", held.read(), ast.Constant(name), *twice, *held.emptied)
    slow = _call("given" if arguments else "called", held.method(name), *copy.deepcopy(arguments))
    return _at(node, ast.IfExp(held.is_text(), ast.IfExp(answer, yes, held.no()), slow))


def trimmed_in_place(node: ast.Call, owner: ast.expr, name: str, names: Sequence[str]) -> ast.expr:
    """Return a call that leaves a part of a text, or replaces one, by what the code has written."""
    text, *others = names
    held = _Held(owner, others)
    call = ast.Call(ast.Attribute(held.read(), name, ast.Load()), node.args, [])
    form = "replaced" if name == "replace" else "given"
    slow = _call(form, held.method(name), *copy.deepcopy(node.args))
    if name != "replace":
        return _at(node, _part(held, text, call, slow))
    written = copy.deepcopy(node.args)
    parts = ast.Tuple([held.read(), *written], ast.Load())
    note = [_read(text), ast.Constant(REPLACED), parts, ast.Constant(0)]
    new = ast.Compare(_read(text), [ast.NotEq()], copy.deepcopy(node.args[1:]))
    return _at(node, _part(held, text, call, slow, note, new))


def cut_in_place(
    node: ast.Subscript, first: ast.expr, last: ast.expr, names: Sequence[str]
) -> ast.expr:
    """Return a slice without a step."""
    text, *others = names
    held = _Held(node.value, others)
    sliced = ast.Subscript(held.read(), node.slice, ast.Load())
    bounds = copy.deepcopy([first, last])
    slow = _call("cut", held.taken(), *bounds, ast.Constant(None))
    if not _is_one_sign(first, last):
        return _at(node, _part(held, text, sliced, slow))
    # A letter is anywhere: nothing is known of it, whatever it was cut from.
    letter = ast.Call(ast.Attribute(_read(text), "isalnum", ast.Load()), [], [])
    return _at(node, _part(held, text, sliced, slow, (), ast.UnaryOp(ast.Not(), letter)))


def _is_one_sign(first: ast.expr, last: ast.expr) -> bool:
    """Tell whether a slice has no more than one character, by its look."""
    none = isinstance(first, ast.Constant) and first.value in (None, 0)
    return none and isinstance(last, ast.Constant) and last.value == 1


def _part(
    held: _Held,
    text: str,
    made: ast.expr,
    slow: ast.expr,
    note: Sequence[ast.expr] = (),
    *needed: ast.expr,
) -> ast.expr:
    changed = ast.Compare(
        ast.NamedExpr(ast.Name(text, ast.Store()), made), [ast.IsNot()], [held.read()]
    )
    test = ast.BoolOp(ast.And(), [changed, *needed]) if needed else changed
    fast = noted(text, note or [_read(text), held.read()], needed=test)
    return ast.IfExp(ast.BoolOp(ast.And(), [held.is_text(), held.is_short()]), fast, slow)


def member_in_place(node: ast.Compare, names: Sequence[str]) -> ast.expr:
    """Return `x in SOME` that notes what is found."""
    left, right = node.left, node.comparators[0]
    held = _Held(left, names)
    is_plain = ast.Compare(
        _call("type", copy.deepcopy(right)), [ast.In()], [_read(f"{PREFIX}plain{SUFFIX}")]
    )
    found = ast.Compare(held.first, [ast.In()], [right])
    yes = _call("admitted", held.read(), copy.deepcopy(right), *held.emptied)
    slow = _call("member", copy.deepcopy(left), copy.deepcopy(right))
    return _at(node, ast.IfExp(is_plain, ast.IfExp(found, yes, held.no()), slow))


def compared_in_place(node: ast.Compare, names: Sequence[str], *, equal: bool) -> ast.expr:
    """Return `x == "text"`, or `x != "text"`, that notes what is the same."""
    right = node.comparators[0]
    held = _Held(node.left, names)
    same = ast.Compare(held.read(), [ast.Eq()], [right])
    yes = _call("equal", held.read(), copy.deepcopy(right), *held.emptied)
    fast: ast.expr = ast.IfExp(same, yes, held.no())
    if not equal:
        fast = ast.UnaryOp(ast.Not(), fast)
    slow = _call("same" if equal else "differs", held.taken(), copy.deepcopy(right))
    return _at(node, ast.IfExp(held.is_text(), fast, slow))
