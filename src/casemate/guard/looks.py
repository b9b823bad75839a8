"""What an expression is by its look: a text, a number, or what may be evaluated twice."""

from __future__ import annotations

import ast
import collections
import re

from .names import (
    ENDS_OF_HEADS,
    FUNCTIONS,
    MEASURING,
    METHODS,
    NAMESPACES,
    OF_TABLES,
    OWN_KINDS,
    PARTS,
    PLACES,
    READS_HEAD,
    READS_LINES,
)

_LINE_ENDS = re.compile(r"\\n|\n|\\s")
_OF_LINES = ("\n", "\r\n")
_HOST = re.compile(r"[A-Za-z0-9-]\.[A-Za-z0-9-]")

_MATCHING = frozenset(("fullmatch", "match", "search"))
_ITERATING = frozenset(("finditer",))
_OF_MATCHES = frozenset(("m", "match", "mo"))
"""Names of what a function is given by `re.sub`."""
_OF_LEVELS = {
    "/": (frozenset("+#"),),
    ".": (frozenset("*>"), frozenset("*#")),
}
"""What stands for any level of a topic, by the sign between levels: MQTT, NATS and AMQP."""
_OF_TEMPLATES = frozenset(
    [
        *("body", "caption", "fmt", "form", "format", "greeting", "headline", "label", "line"),
        *("message", "msg", "pattern", "phrase", "subject", "template", "text", "title", "tmpl"),
        *("tpl", "wording"),
    ]
)
"""Words of names of what `%` fills."""


def is_text(node: ast.expr, names: frozenset[str]) -> bool:  # noqa: PLR0911
    """Tell whether an expression is surely, or by its look, a text."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, bytes))
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add):
            return is_text(node.left, names) or is_text(node.right, names)
        if isinstance(node.op, ast.Mult):
            return is_literal(node.left) or is_literal(node.right)
        return isinstance(node.op, ast.Mod) and is_text(node.left, names)
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Slice)  # or a list; which it is, is seen when it runs
    if isinstance(node, ast.IfExp):
        return is_text(node.body, names) or is_text(node.orelse, names)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            return node.func.attr in METHODS or node.func.attr == "join"
        return isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
    return False


_NUMERIC = (
    *(ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.MatMult),
    *(ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd),
)
_NUMBERS = frozenset(
    ("abs", "divmod", "float", "hash", "int", "len", "list", "max", "min", "ord", "pow", "range")
) | frozenset(("round", "set", "sorted", "sum", "time", "perf_counter", "timedelta", "tuple"))
_SHOWN = (ast.List, ast.Tuple, ast.Dict)
_LISTS = (ast.List, ast.Tuple, ast.ListComp, ast.Dict, ast.Set, ast.Compare, ast.BoolOp)


def is_number(node: ast.expr, names: frozenset[str]) -> bool:  # noqa: PLR0911
    """Tell whether an expression is, by its look, no text: a number, or a list."""
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, (str, bytes))
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, _NUMERIC):
            return not (isinstance(node.op, ast.Mult) and is_literal(node.left))
        return is_number(node.left, names) or is_number(node.right, names)
    if isinstance(node, ast.UnaryOp):
        return True
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        called = node.func.id if isinstance(node.func, ast.Name) else called
        return called in _NUMBERS
    return isinstance(node, _LISTS)


def _is_range(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "range"


def number_names(body: list[ast.stmt]) -> frozenset[str]:
    """Return the names that are only ever given what is no text, by its look."""
    numbers: set[str] = set()
    others: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            pairs = _given(node)
            if isinstance(node, (ast.For, ast.comprehension)):
                pairs = [(node.target, node.iter)]
                if not _is_range(node.iter):
                    others.update(n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
                    continue
            elif isinstance(node, ast.arg):
                others.add(node.arg)
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    (numbers if is_number(value, frozenset()) else others).add(target.id)
    return frozenset(numbers - others)


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def executed_statement(node: ast.expr) -> int:
    """Return the identity of a call `x.execute("SELECT ...", (y,))`; 0 of all else.

    Its statement is a literal, and nothing else that it is given is a text itself.
    """
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return 0
    plain = node.func.attr == "execute" and not node.keywords and 1 <= len(node.args) <= 2
    if not plain or not is_literal(node.args[0]):
        return 0
    return id(node) if isinstance(node.args[-1], _SHOWN) or len(node.args) == 1 else 0


def is_named_as_text(node: ast.expr) -> bool:
    """Tell whether a name says that it stands for a text with fields: `subject % values`."""
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return not _OF_TEMPLATES.isdisjoint(name.lower().split("_"))


def is_of_table(node: ast.expr) -> bool:
    """Tell whether an expression is one of a table's texts, by its name: `FILTERS[kind]`."""
    table: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        table = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        table = node.func.value if node.func.attr == "get" else None
    name = table.id if isinstance(table, ast.Name) else getattr(table, "attr", "")
    words = {word.removesuffix("s") for word in name.lower().split("_")}
    return name.isupper() or not _OF_TEMPLATES.isdisjoint(words)


def match_names(module: ast.AST) -> frozenset[str]:
    """Return the names that stand for what a pattern has matched, anywhere in a module."""
    found: set[str] = set()
    for node in ast.walk(module):
        targets: list[ast.expr] = []
        match node:
            case ast.Assign(targets=named, value=value) if _is_match(value, _MATCHING):
                targets = named
            case ast.NamedExpr(target=target, value=value) if _is_match(value, _MATCHING):
                targets = [target]
            case ast.For(target=target, iter=each) | ast.comprehension(target=target, iter=each):
                targets = [target] if _is_match(each, _ITERATING) else []
            case ast.arg(arg=name) if name in _OF_MATCHES:
                found.add(name)
        found.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(found)


def _is_match(node: ast.expr, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") in names


def begins_with_sign(node: ast.expr) -> bool:
    """Tell whether an expression is a sum that begins with a literal of one sign: `"'" + value`.

    If the rest is empty it is that very literal, which the event may have as well.
    """
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
        return False
    left = node.left
    if not isinstance(left, ast.Constant):
        return begins_with_sign(left)
    return isinstance(left.value, str) and len(left.value) == 1


def is_written(node: ast.expr) -> bool:
    """Tell whether an expression is the code's by its look: a literal, a tuple of some, `NAME`."""
    if isinstance(node, ast.Attribute):
        return node.attr.isupper()
    if isinstance(node, ast.Tuple):
        return any(map(is_literal, node.elts)) and all(
            isinstance(each, ast.Constant) for each in node.elts
        )
    return is_literal(node) or (isinstance(node, ast.Name) and node.id.isupper())


def form_of(node: ast.Call, name: str) -> str:
    """Return how a call is done: the most frequent are done in the fewest steps."""
    starred = any(isinstance(argument, ast.Starred) for argument in node.args)
    if name == "replace" and len(node.args) == 2 and not node.keywords and not starred:
        return "replaced"
    if name in OWN_KINDS or node.keywords or starred or len(node.args) > 1:
        return "call"
    return "given" if node.args else "called"


def is_name_of_host(node: ast.Constant) -> bool:
    """Tell whether a literal has a name as hosts have: `"example.com" in url` asks for one."""
    return isinstance(node.value, str) and _HOST.search(node.value) is not None


def reads_again(node: ast.Call) -> str:
    """Return how a call is announced that takes apart what the code may have written, by its look.

    Empty for all others: most texts are taken apart elsewhere than where a head of a message ends.
    """
    if not isinstance(node.func, ast.Attribute):
        return ""
    name, owner = node.func.attr, node.func.value
    if _reads_what_was_written(node, name):
        return READS_LINES
    if name in PARTS | PLACES and node.args and isinstance(node.args[0], ast.Constant):
        mark = node.args[0].value
        known = isinstance(mark, (str, bytes)) and mark in ENDS_OF_HEADS
        if known and (name in PARTS or mark not in ("\r\n", b"\r\n")):
            return READS_HEAD
    if name not in ("split", "splitlines") or not isinstance(owner, ast.Call):
        return ""
    held = owner.func if isinstance(owner.func, ast.Attribute) else None
    if held is not None and held.attr == "join" and isinstance(held.value, ast.Constant):
        return READS_LINES if held.value.value in _OF_LINES else ""
    return ""


def _reads_what_was_written(node: ast.Call, name: str) -> bool:
    """Tell whether a call is `file.getvalue()` or `file.seek(0)`, as before reading it again."""
    if node.keywords or name not in ("getvalue", "seek"):
        return False
    if name == "getvalue":
        return not node.args
    first = node.args[0] if len(node.args) == 1 else None
    return isinstance(first, ast.Constant) and first.value == 0


def reads_in_memory(node: ast.Call) -> bool:
    """Tell whether a call makes a file in memory of a text or bytes: to be read, by its look."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    given = len(node.args) == 1 and not isinstance(node.args[0], (ast.Constant, ast.Starred))
    return given and name in ("BytesIO", "StringIO")


def splits_head(node: ast.Call) -> bool:
    """Tell whether a call is `re.split` at an empty line, by its pattern."""
    if len(node.args) < 2 or not isinstance(node.func, ast.Attribute) or node.func.attr != "split":
        return False
    pattern = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    of_module = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    return of_module and isinstance(pattern, str) and len(_LINE_ENDS.findall(pattern)) > 1


def separators_of_levels(module: ast.Module) -> frozenset[str]:
    """Return where a module may cut topics: it has the signs that stand for any level of one."""
    signs: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and type(node.value) is str and len(node.value) < 4:
            signs.update(node.value)
    return frozenset(
        separator
        for separator, wild in _OF_LEVELS.items()
        if any(signs.issuperset(each) for each in wild)
    )


def cuts_at(node: ast.Call) -> str:
    """Return the sign at which a call cuts a text, or that it puts another for, by its look."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name not in PARTS and name != "replace":
        return ""
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and type(first.value) is str else ""


def is_call_of(node: ast.Call, name: str) -> bool:
    """Tell whether a call is of a function by this name."""
    return isinstance(node.func, ast.Name) and node.func.id == name


def part_taken(node: ast.Subscript) -> int | None:
    """Return which part is taken of a text that is split there, and nothing else of it."""
    value, which = node.value, node.slice
    if not isinstance(value, ast.Call) or getattr(value.func, "attr", "") != "split":
        return None
    first = isinstance(which, ast.UnaryOp) and isinstance(which.op, ast.USub)
    number = which.operand if isinstance(which, ast.UnaryOp) else which
    if not isinstance(number, ast.Constant) or type(number.value) is not int:
        return None
    return -number.value if first else number.value


def is_namespace(node: ast.expr) -> bool:
    """Tell whether an expression is `globals()` or the like, or a `__dict__`."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("__dict__", "__builtins__")
    if isinstance(node, ast.Name):
        return node.id == "__builtins__"
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in NAMESPACES
    )


def is_pattern(owner: ast.expr | None) -> bool:
    """Tell whether what is called is of `re` by its look: most that splits are texts."""
    return isinstance(owner, ast.Name) and (owner.id == "re" or owner.id.isupper())


def loaded(target: ast.expr) -> ast.expr | None:
    """Return an expression for a target's value, None if it must not be evaluated twice."""
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Attribute) and _is_dotted(target.value):
        return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)
    # By a name it may be an array's, of which every look is a copy.
    fixed = isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant)
    if fixed and isinstance(target, ast.Subscript) and _is_dotted(target.value):
        return ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
    return None


def texts_of(node: ast.expr) -> list[ast.expr] | None:
    """Return the texts of a collection of nothing but literals; None if it is another."""
    if not isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return None
    values = [e.value for e in node.elts if isinstance(e, ast.Constant)]
    texts: list[ast.expr] = [ast.Constant(value) for value in values if type(value) is str]
    return texts if texts and len(texts) == len(node.elts) else None


def _is_dotted(node: ast.expr) -> bool:
    """Tell whether an expression is a name, or an attribute of one: harmless to look up twice."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def text_names(body: list[ast.stmt]) -> frozenset[str]:
    """Return the names that are given a text somewhere below, whatever else they are given."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            for target, value in _given(node):
                # A slice may be a list's, and its name be added to in every loop.
                if isinstance(value, ast.Subscript) or not isinstance(target, ast.Name):
                    continue
                if is_text(value, frozenset()):
                    found.add(target.id)
    return frozenset(found)


def formatted_names(body: list[ast.stmt]) -> frozenset[str]:
    """Return the names that are only ever read to be formatted, as in `{name:<20}`.

    What is formatted is another text, of which no note says what it was made of.
    """
    loads: collections.Counter[str] = collections.Counter()
    others: set[str] = set()
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Name):
            loads[node.id] += isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
            loads[node.value.id] -= node.format_spec is not None
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            others.update(node.names)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            others.add(node.target.id)
    return frozenset(name for name, left in loads.items() if not left) - others


def bound_names(module: ast.Module) -> frozenset[str]:
    """Return the names that a module gives a meaning; what it takes whole from another has all."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {(each.asname or each.name).partition(".")[0] for each in node.names}
            found |= MEASURING if "*" in names else names
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
    return frozenset(found)


def renamed_functions(module: ast.Module) -> dict[str, str]:
    """Return what functions are called here that are known by their names elsewhere.

    `from ldap3.utils.conv import escape_filter_chars as escaped`.
    """
    return {
        each.asname: each.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
        if each.asname is not None and each.name in FUNCTIONS
    }


def _given(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Return which targets an assignment of any form gives which values; none for others."""
    if isinstance(node, ast.Assign):
        return [pair for target in node.targets for pair in _paired(target, node.value)]
    if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        return [(node.target, node.value)]
    return []


def _paired(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return which target is given which value: `a, b = x, y` are two."""
    several = (ast.Tuple, ast.List)
    if isinstance(target, several) and isinstance(value, several):
        if len(target.elts) == len(value.elts):
            return list(zip(target.elts, value.elts, strict=True))
        return []
    return [(target, value)]


_LEVELS = frozenset(
    ("debug", "info", "warning", "warn", "error", "critical", "exception", "log", "fatal")
)
"""Methods of loggers."""
_ALL_NAMES = frozenset(("locals", "vars", "eval", "exec"))
"""What reaches a name that is not written."""


def may_tell(handler: ast.ExceptHandler) -> bool:
    """Tell whether what is done with the name of an `except` can make a text of the exception.

    Not if there is none, nor by what raises from it, asks for its kind, or logs it: what is made of
    it by handlers of logs is seen as they are handed it (`handed_over.py`).
    """
    untold = {id(each) for node in ast.walk(ast.Module(handler.body, [])) for each in _untold(node)}
    return handler.name is not None and any(
        node.id in _ALL_NAMES or (node.id == handler.name and id(node) not in untold)
        for node in ast.walk(ast.Module(handler.body, []))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def _untold(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Raise):
        return [node.cause] if isinstance(node.cause, ast.Name) else []
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Name):
        return node.args[:1] if node.func.id == "isinstance" else []
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _LEVELS:
        return []
    given = node.args[node.func.attr == "log" :]
    form = given[0] if given else None
    # As `logging` has it: a format, and what it is of.
    if isinstance(form, ast.Constant) and isinstance(form.value, str) and "%" in form.value:
        return [each for each in given[1:] if isinstance(each, ast.Name)]
    return []


def is_field(node: ast.expr) -> bool:
    """Tell whether an expression is what a dictionary has under a name, `event["footer"]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        name: ast.expr = node.args[0]
        found = node.func.attr in ("get", "pop")
    else:
        name = node.slice if isinstance(node, ast.Subscript) else node
        found = isinstance(node, ast.Subscript)
    return found and isinstance(name, ast.Constant) and isinstance(name.value, str)


def is_given_expression(node: ast.Call, name: str) -> bool:
    """Tell whether a call is one of a table's that has an expression by name."""
    return name in OF_TABLES and any(
        keyword.arg is not None and keyword.arg.endswith("Expression") for keyword in node.keywords
    )
