"""Rewrites a module's syntax tree so that it tells how its texts are made (`provenance.py`).

    f"a {x} b"            __casemate_join__(0b101, "a ", f"{x}", " b")
    "a " + x              __casemate_add__(0b01, "a ", x)
    text += "b"           if __casemate_short__(text):
                              text = __casemate_augment__(0b10, text, "b")
                          else:
                              text += "b"    # grows in place: a copy each time would not scale
    self.text += x        the same with __casemate_grows__, which is true of texts alone
    "a %s" % x            __casemate_percent__("a %s", x)
    ", ".join(xs)         __casemate_joined__(", ".join, xs)
    x.replace("a", "b")   __casemate_call__(x.replace, "a", "b")
    x[1:]                 __casemate_cut__(x, 1, None, None)
    x in allowed          __casemate_member__(x, allowed)
    x == "name"           __casemate_same__(x, "name")
    match x: case "name"  match __casemate_matched__(x, ("name",)): case "name"
    tree.xpath(x)         __casemate_watched__("xpath", tree.xpath, x)
    eval(x)               eval(__casemate_seen__("eval()", x))
    globals()[x]          globals()[__casemate_seen__("globals", x)]
    getattr(o, x)         __casemate_watched__("getattr", getattr, o, x)
    t.format(x)           __casemate_watched__("format", t.format, x)

The names are built-in while a function runs. Order and number of evaluations stay as they are,
and so do lines. `a + b` of two unknowns is followed as well, for a helper's `left + value + right`
is where statements are put together; what is a number by its look is left alone, for it would cost
numeric code.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
from types import CodeType

from .names import CALLED, FUNCTIONS, METHODS, NAMESPACES, SEEN, WATCHED

PREFIX, SUFFIX = "__casemate_", "__"
NAMES = (
    "join",
    "add",
    "augment",
    "short",
    "grows",
    "percent",
    "joined",
    "call",
    "cut",
    "member",
    "same",
    "differs",
    "matched",
    "seen",
    "watched",
)


def _is_text(node: ast.expr, names: frozenset[str]) -> bool:  # noqa: PLR0911
    """Tell whether an expression is surely, or by its look, a text."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, bytes))
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add):
            return _is_text(node.left, names) or _is_text(node.right, names)
        if isinstance(node.op, ast.Mult):
            return _is_literal(node.left) or _is_literal(node.right)
        return isinstance(node.op, ast.Mod) and _is_text(node.left, names)
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Slice)  # or a list; which it is, is seen when it runs
    if isinstance(node, ast.IfExp):
        return _is_text(node.body, names) or _is_text(node.orelse, names)
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
_LISTS = (ast.List, ast.Tuple, ast.ListComp, ast.Dict, ast.Set, ast.Compare, ast.BoolOp)


def _is_number(node: ast.expr, names: frozenset[str]) -> bool:  # noqa: PLR0911
    """Tell whether an expression is, by its look, no text: a number, or a list."""
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, (str, bytes))
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, _NUMERIC):
            return not (isinstance(node.op, ast.Mult) and _is_literal(node.left))
        return _is_number(node.left, names) or _is_number(node.right, names)
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


def _number_names(body: list[ast.stmt]) -> frozenset[str]:
    """Return the names that are only ever given what is no text, by its look."""
    numbers: set[str] = set()
    others: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            pairs: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [pair for target in node.targets for pair in _paired(target, node.value)]
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                pairs = [(node.target, node.value)]
            elif isinstance(node, (ast.For, ast.comprehension)):
                pairs = [(node.target, node.iter)]
                if not _is_range(node.iter):
                    others.update(n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
                    continue
            elif isinstance(node, ast.arg):
                others.add(node.arg)
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    (numbers if _is_number(value, frozenset()) else others).add(target.id)
    return frozenset(numbers - others)


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def _is_written(node: ast.expr) -> bool:
    """Tell whether an expression is a text of the code by its look: a literal, or `NAME`."""
    if isinstance(node, ast.Attribute):
        return node.attr.isupper()
    return _is_literal(node) or (isinstance(node, ast.Name) and node.id.isupper())


def _is_namespace(node: ast.expr) -> bool:
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


def _is_pattern(owner: ast.expr | None) -> bool:
    """Tell whether what is called is of `re` by its look: most that splits are texts."""
    return isinstance(owner, ast.Name) and (owner.id == "re" or owner.id.isupper())


def _loaded(target: ast.expr) -> ast.expr | None:
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


def _is_dotted(node: ast.expr) -> bool:
    """Tell whether an expression is a name, or an attribute of one: harmless to look up twice."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _text_names(body: list[ast.stmt]) -> frozenset[str]:
    """Return the names that are given a text somewhere below, whatever else they are given."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            pairs: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [pair for target in node.targets for pair in _paired(target, node.value)]
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                pairs = [(node.target, node.value)]
            for target, value in pairs:
                # A slice may be a list's, and its name be added to in every loop.
                if isinstance(value, ast.Subscript) or not isinstance(target, ast.Name):
                    continue
                if _is_text(value, frozenset()):
                    found.add(target.id)
    return frozenset(found)


def _paired(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return which target is given which value: `a, b = x, y` are two."""
    several = (ast.Tuple, ast.List)
    if isinstance(target, several) and isinstance(value, several):
        if len(target.elts) == len(value.elts):
            return list(zip(target.elts, value.elts, strict=True))
        return []
    return [(target, value)]


class Rewriter(ast.NodeTransformer):
    """Rewrites one module."""

    def __init__(self, module: ast.Module) -> None:
        """Take what is known of the module's names."""
        self._names = _text_names(module.body)
        self._numbers = _number_names(module.body)

    def _call(self, node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
        function = ast.Name(f"{PREFIX}{name}{SUFFIX}", ast.Load())
        call = ast.Call(function, list(arguments), [])
        ast.copy_location(function, node)
        return ast.copy_location(call, node)

    # -- what is left as it is -----------------------------------------------------------------

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Leave annotations: others read them."""
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        """Rewrite the value alone."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        returns, node.returns = node.returns, None
        self.generic_visit(node)
        node.returns = returns
        return node

    visit_FunctionDef = _visit_function  # noqa: N815
    visit_AsyncFunctionDef = _visit_function  # noqa: N815

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        """Leave patterns: they are no expressions."""
        if node.guard is not None:
            node.guard = self.visit(node.guard)
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        """Rewrite the value; a format specification has to stay an f-string."""
        node.value = self.visit(node.value)
        if isinstance(node.format_spec, ast.JoinedStr):
            node.format_spec.values = [
                self.visit(v) if isinstance(v, ast.FormattedValue) else v
                for v in node.format_spec.values
            ]
        return node

    def visit_TemplateStr(self, node: ast.AST) -> ast.AST:
        """Leave template strings (PEP 750): they keep their parts apart themselves."""
        return node

    # -- what is rewritten ---------------------------------------------------------------------

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Do an f-string of at least two parts."""
        values = [self.visit(value) for value in node.values]
        if len(values) < 2:
            node.values = values
            return node
        mask = 0
        parts: list[ast.expr] = []
        for number, value in enumerate(values):
            if isinstance(value, ast.Constant):
                mask |= 1 << number
                parts.append(value)
            else:
                parts.append(ast.copy_location(ast.JoinedStr([value]), value))
        constant = ast.copy_location(ast.Constant(mask), node)
        return self._call(node, "join", constant, *parts)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Do `+` and `%` where one side looks like a text."""
        text_left = _is_text(node.left, self._names)
        text_right = _is_text(node.right, self._names)
        literals = (_is_literal(node.left), _is_literal(node.right))
        tuple_right = isinstance(node.right, (ast.Tuple, ast.Dict))
        constant_left = isinstance(node.left, ast.Name) and node.left.id.isupper()
        number = _is_number(node.left, self._numbers) or _is_number(node.right, self._numbers)
        self.generic_visit(node)
        text = text_left or text_right or not number
        if isinstance(node.op, ast.Add) and text and not all(literals):
            mask = ast.copy_location(ast.Constant(literals[0] | literals[1] << 1), node)
            return self._call(node, "add", mask, node.left, node.right)
        if isinstance(node.op, ast.Mod) and (text_left or tuple_right or constant_left):
            return self._call(node, "percent", node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """Do `+=` of a text where the target can be evaluated twice."""
        target = node.target
        known = isinstance(target, ast.Name) and target.id in self._names
        is_text = _is_text(node.value, self._names) or known
        literal = _is_literal(node.value)
        number = _is_number(node.value, self._numbers) or _is_number(target, self._numbers)
        node.value = self.visit(node.value)
        load = _loaded(target)
        if load is None or not isinstance(node.op, ast.Add) or (number and not is_text):
            return node
        mask = ast.copy_location(ast.Constant(literal << 1), node)
        value = self._call(node, "augment", mask, load, node.value)
        noted = ast.copy_location(ast.Assign([target], value), node)
        return self._if_short(load, noted, node, "short" if is_text else "grows")

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        """Do `text = text + more` as `text += more`: the interpreter grows both in place."""
        target = node.targets[0]
        grown = node.value
        while isinstance(grown, ast.BinOp) and isinstance(grown.op, ast.Add):
            grown = grown.left
        if (
            len(node.targets) == 1
            and isinstance(target, ast.Name)
            and isinstance(grown, ast.Name)
            and grown is not node.value
            and grown.id == target.id
        ):
            plain = copy.deepcopy(node)
            self.generic_visit(node)
            return self._if_short(
                ast.copy_location(ast.Name(target.id, ast.Load()), node), node, plain
            )
        self.generic_visit(node)
        return node

    def _if_short(
        self, text: ast.expr, noted: ast.stmt, plain: ast.stmt, test_name: str = "short"
    ) -> ast.stmt:
        test = self._call(noted, test_name, text)
        return ast.copy_location(ast.If(test, [noted], [plain]), noted)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Do calls by name of what makes texts of texts, or checks one."""
        self.generic_visit(node)
        name = ""
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
        elif isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            name = node.func.id
        elif isinstance(node.func, ast.Name):
            return self._builtin(node, node.func.id)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in ("format", "format_map") and not isinstance(owner, (ast.Constant, type(None))):
            return self._watched(node, "format")
        if name == "get" and owner is not None and node.args and _is_namespace(owner):
            node.args[0] = self._seen(node.args[0], "globals")
        if name in WATCHED or (name == "split" and _is_pattern(owner)):
            return self._watched(node, name)
        if name != "join" and name not in CALLED:
            return node
        call = self._call(node, "joined" if name == "join" else "call", node.func, *node.args)
        call.keywords = node.keywords
        return call

    def _builtin(self, node: ast.Call, name: str) -> ast.Call:
        """Announce calls of what runs a text, or finds an attribute by it."""
        plain = bool(node.args) and not any(isinstance(a, ast.Starred) for a in node.args)
        if name in SEEN and plain and not isinstance(node.args[0], ast.Constant):
            node.args[0] = self._seen(node.args[0], f"{name}()")
        elif name == "getattr" and plain and len(node.args) > 1:
            if not isinstance(node.args[1], ast.Constant):
                return self._watched(node, name)
        elif name in WATCHED:
            return self._watched(node, name)
        return node

    def _seen(self, node: ast.expr, name: str) -> ast.Call:
        return self._call(node, "seen", ast.copy_location(ast.Constant(name), node), node)

    def _watched(self, node: ast.Call, name: str) -> ast.Call:
        named = ast.copy_location(ast.Constant(name), node)
        call = self._call(node, "watched", named, node.func, *node.args)
        call.keywords = node.keywords
        return call

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Do slices that are read."""
        self.generic_visit(node)
        cut = node.slice
        if _is_namespace(node.value) and not isinstance(cut, (ast.Slice, ast.Constant)):
            node.slice = self._seen(cut, "globals")
            return node
        if not (isinstance(cut, ast.Slice) and isinstance(node.ctx, ast.Load)):
            return node
        none = ast.copy_location(ast.Constant(None), node)
        return self._call(
            node, "cut", node.value, cut.lower or none, cut.upper or none, cut.step or none
        )

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Do `in` and `not in`, and `==` and `!=` with a text that the code has written."""
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        left, right, op = node.left, node.comparators[0], node.ops[0]
        if isinstance(op, (ast.Eq, ast.NotEq)):
            if _is_written(left) == _is_written(right):
                return node
            name = "same" if isinstance(op, ast.Eq) else "differs"
            return self._call(node, name, left, right)
        if not isinstance(op, (ast.In, ast.NotIn)) or isinstance(left, ast.Constant):
            return node
        found = self._call(node, "member", left, right)
        if isinstance(op, ast.In):
            return found
        return ast.copy_location(ast.UnaryOp(ast.Not(), found), node)

    def visit_Match(self, node: ast.Match) -> ast.Match:
        """Do the comparisons of a subject with the texts of its cases."""
        texts = [
            ast.Constant(pattern.value.value)
            for case in node.cases
            for pattern in ast.walk(case.pattern)
            if isinstance(pattern, ast.MatchValue)
            and isinstance(pattern.value, ast.Constant)
            and isinstance(pattern.value.value, (str, bytes))
        ]
        self.generic_visit(node)
        if texts:
            foreseen = ast.Tuple([ast.copy_location(t, node.subject) for t in texts], ast.Load())
            ast.copy_location(foreseen, node.subject)
            node.subject = self._call(node.subject, "matched", node.subject, foreseen)
        return node


def rewrite(module: ast.Module) -> ast.Module:
    """Return a module's tree, rewritten in place. RecursionError if it is nested too deeply."""
    Rewriter(module).visit(module)
    return module


def compile_rewritten(source: bytes, path: str) -> CodeType | None:
    """Return a module's rewritten code; None if it cannot be rewritten, or is not valid Python."""
    try:
        tree = ast.parse(importlib.util.decode_source(source), path)
        code: CodeType = compile(rewrite(tree), path, "exec", dont_inherit=True)
    except (SyntaxError, RecursionError, MemoryError, UnicodeDecodeError, ValueError):
        return None
    return code
