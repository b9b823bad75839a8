"""Lists that a function fills with texts, joins and shows nobody: their notes are taken at once.

    lines = ["a"]              lines = ["a"]; b = []
    for row in rows:           for row in rows:
        lines.append(f"{x}")       lines.append((t := f"{(a := f"{x}")}"))
                                   b.append((t, (None,), a))
    "".join(lines)             __casemate_batched__("", lines, b)

Until it is joined nothing else has one of these texts, so nobody can ask about it. And none is too
long to be held: the function holds all of them itself.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

PREFIX, SUFFIX = "__casemate_", "__"
_APART = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp),
)
"""What has names of its own."""
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_NAMING = (ast.Name, ast.Attribute, ast.keyword, ast.Constant)
"""What is counted by itself, or has a name that is none of the function's."""


def private_lists(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """Return the names of such lists, and those of the lists of their notes.

    Such a name gets a list once, in a statement of the function's own body, and stands elsewhere
    for `append` and for what is joined by a literal alone.
    """
    begun = [name for statement in function.body if (name := _begun(statement))]
    if not begun:
        return {}
    uses: Counter[str] = Counter(begun)
    filled: set[str] = set()
    joined: set[str] = set()
    for node, inside in _own(function.body):
        name = appended_to(node)
        if name:
            uses[name] += 1
            if inside and appended(node) is not None:
                filled.add(name)
        name = joined_name(node)
        if name:
            uses[name] += 1
            joined.add(name)
    named = Counter(node.id for node in ast.walk(function) if isinstance(node, ast.Name))
    others = _named_otherwise(function)
    once = [
        name
        for name in sorted(filled & joined - others)
        if begun.count(name) == 1 and named[name] == uses[name]
    ]
    return {name: f"{PREFIX}b{number}{SUFFIX}" for number, name in enumerate(once)}


def _own(body: Sequence[ast.AST]) -> Iterator[tuple[ast.AST, bool]]:
    """Yield what a function does itself, and whether it does so in a loop."""
    todo: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while todo:
        node, inside = todo.pop()
        yield node, inside
        if not isinstance(node, _APART):
            within = inside or isinstance(node, _LOOPS)
            todo += [(child, within) for child in ast.iter_child_nodes(node)]


def _begun(statement: ast.stmt) -> str:
    """Return the name that a statement gives a new list, if it does that."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List):
        target = statement.targets[0]
        if len(statement.targets) == 1 and isinstance(target, ast.Name):
            return target.id
    return ""


def appended_to(node: ast.AST) -> str:
    """Return the name of what a statement appends to, if it does nothing else."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return ""
    call = node.value
    plain = len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred)
    if plain and isinstance(call.func, ast.Attribute) and call.func.attr == "append":
        return call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    return ""


def appended(node: ast.AST) -> ast.JoinedStr | None:
    """Return the f-string of at least two parts that such a statement appends."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        (text,) = node.value.args
        if isinstance(text, ast.JoinedStr) and len(text.values) > 1:
            return text
    return None


def joined_name(node: ast.AST) -> str:
    """Return the name of what a literal joins."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
        and type(node.func.value.value) is str
        and len(node.args) == 1
        and not node.keywords
        and isinstance(node.args[0], ast.Name)
    ):
        return node.args[0].id
    return ""


def _named_otherwise(function: ast.AST) -> set[str]:
    """Return all names that are given in other ways than by `ast.Name`: parameters, imports."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, _NAMING):
            continue
        for _, value in ast.iter_fields(node):
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, str):
                    found.add(each)
    return found


def with_notes(node: ast.Assign, notes: str) -> list[ast.stmt]:
    """Return the statement that begins a list, and one that begins that of its notes."""
    begun = ast.Assign([ast.Name(notes, ast.Store())], ast.List([], ast.Load()))
    ast.copy_location(begun, node)
    return [node, ast.fix_missing_locations(begun)]


def noting(node: ast.Expr, text: ast.expr, note: Sequence[ast.expr], notes: str) -> list[ast.stmt]:
    """Return the statement that appends a text, and one that appends its note."""
    if isinstance(node.value, ast.Call):
        node.value.args = [text]
    append = ast.Attribute(ast.Name(notes, ast.Load()), "append", ast.Load())
    taken = ast.Expr(ast.Call(append, [ast.Tuple(list(note), ast.Load())], []))
    ast.copy_location(taken, node)
    return [ast.fix_missing_locations(node), ast.fix_missing_locations(taken)]


def batched(node: ast.Call, notes: str) -> ast.expr:
    """Return the call that joins such a list, and takes its notes."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    function = ast.Name(f"{PREFIX}batched{SUFFIX}", ast.Load())
    call = ast.Call(function, [owner, *node.args, ast.Name(notes, ast.Load())], [])
    return ast.fix_missing_locations(ast.copy_location(call, node))
