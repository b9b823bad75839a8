"""What one source file names, function by function: what its code may call, as far as can be read.

More is taken for named than is called, never less: where names are made up when the code runs,
that is told.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

DYNAMIC_NAMES = frozenset(
    (
        *("getattr", "eval", "exec", "compile", "globals", "locals", "vars", "dir"),
        *("attrgetter", "methodcaller", "getmembers", "getmembers_static", "getattr_static"),
        *("__dict__", "__subclasses__", "get_objects", "get_referrers"),
    )
)
"""What finds things by names that are texts, or all that there are."""
DYNAMIC_IMPORTS = frozenset(
    (
        *("import_module", "__import__", "spec_from_file_location", "run_module", "run_path"),
        *("resolve_name", "load_module", "exec_module", "entry_points", "iter_entry_points"),
        *("iter_modules", "walk_packages", "find_spec", "find_loader", "reload"),
        *("addsitedir", "__path__", "meta_path", "path_hooks"),
    )
)
_OF_BUILTINS = frozenset(("eval", "exec", "compile", "dir", "vars", "getattr", "globals", "locals"))
"""Of these, what is called by a name without a dot: others have methods of that name."""
PICKLES = frozenset(("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"))
"""Modules that call whatever data names."""
_ORDINARY = frozenset(
    (
        *("property", "cached_property", "staticmethod", "classmethod", "contextmanager"),
        *("asynccontextmanager", "lru_cache", "cache", "wraps", "overload", "abstractmethod"),
        *("setter", "getter", "deleter", "final", "override", "singledispatch", "total_ordering"),
        *("deprecated", "dataclass", "runtime_checkable", "no_type_check"),
    )
)
"""Decorators that register nothing: what they decorate is called by its name alone."""
_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_.:]{0,199}")
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Unit:
    """A function with all within it, or what of a module runs when it is imported."""

    file: str
    name: str
    """Empty for a module."""
    line: int = 0
    owner: str = ""
    """The class of a method."""
    always: bool = False
    """It may be called without being named: by the interpreter, or by who it is registered with."""
    bare: dict[str, int] = field(default_factory=dict)
    """Names without a dot, and the first line with each."""
    anywhere: dict[str, int] = field(default_factory=dict)
    """Names after a dot and in texts: they can be of anything."""
    prefixes: set[str] = field(default_factory=set)
    """What names that are made up begin with."""
    texts: set[str] = field(default_factory=set)
    """Texts that could be dotted names of modules."""
    dynamic: str = ""
    """What finds things by a name that is made up; empty: nothing does."""
    imports: str = ""
    """What imports by such a name."""


@dataclass
class Source:
    """What a file has."""

    units: list[Unit]
    defined: set[str]
    """Names that it defines, of methods as well."""
    imported: dict[str, tuple[str, str]]
    """Names that it imports from modules: of which module (`.` for one beside it), and what they
    are called there, by what they are called here; `*` for all."""
    modules: dict[str, str]
    """Names by which it has whole modules."""
    bases: dict[str, list[str]]
    """Bases of its classes."""
    exported: set[str]
    """What `__all__` names: who imports all of a package imports these of its modules."""


def read(file: str, tree: ast.Module, standard: Collection[str]) -> Source:
    """Return what a source file names; `standard` are modules that come with the interpreter."""
    source = Source([], set(), {}, {}, {}, set())
    reader = _Reader(file, source, standard)
    module = Unit(file, "", always=True)
    source.units.append(module)
    for node in ast.walk(tree):
        reader.bind(node)
    reader.body(tree.body, module, owner="")
    return source


class _Reader:
    """Reads one file into its units."""

    def __init__(self, file: str, source: Source, standard: Collection[str]) -> None:
        self._file = file
        self._standard = standard
        self._source = source
        self._stored: set[str] = set()

    def bind(self, node: ast.AST) -> None:
        """Note what a node binds a name to."""
        source = self._source
        if isinstance(node, ast.Import):
            for alias in node.names:
                source.modules[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = "." if node.level else node.module or ""
                source.imported[alias.asname or alias.name] = module, alias.name
                source.defined.add(alias.asname or alias.name)
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            source.defined.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self._stored.add(node.id)
            source.defined.add(node.id)
        elif isinstance(node, ast.arg):
            self._stored.add(node.arg)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            source.defined.add(node.attr)
        if isinstance(node, ast.ClassDef):
            bases = [_last(base) for base in node.bases]
            source.bases.setdefault(node.name, []).extend(bases)

    def body(self, body: list[ast.stmt], unit: Unit, *, owner: str) -> None:
        """Read statements into a unit; functions among them are units of their own."""
        for statement in body:
            self._statement(statement, unit, owner=owner)

    def _statement(self, node: ast.stmt, unit: Unit, *, owner: str) -> None:
        if isinstance(node, _FUNCTIONS):
            self._function(node, unit, owner)
        elif isinstance(node, ast.ClassDef):
            for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
                self._names(part, unit)
            self.body(node.body, unit, owner=node.name)
        elif any(isinstance(getattr(node, each, None), list) for each in ("body", "cases")):
            self._block(node, unit, owner)
        elif _is_list_of_names(node):
            texts = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            self._source.exported.update(each for each in texts if isinstance(each, str))
        else:
            self._names(node, unit)

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, unit: Unit, owner: str
    ) -> None:
        for outer in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if outer is not None:
                self._names(outer, unit)
        made = Unit(self._file, node.name, node.lineno, owner, always=self._is_called(node))
        self._source.units.append(made)
        for inner in (node.args, *node.body):
            self._names(inner, made)
        if node.name in ("__getattr__", "__getattribute__"):
            self._forgive(node, made)

    def _is_called(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Tell whether a function may be called by who does not name it."""
        if node.name.startswith("__") and node.name.endswith("__"):
            return True
        return not all(map(self._is_ordinary, node.decorator_list))

    def _is_ordinary(self, node: ast.expr) -> bool:
        """Tell whether a decorator is the interpreter's own, and registers nothing."""
        node = node.func if isinstance(node, ast.Call) else node
        if _last(node) not in _ORDINARY:
            return False
        if isinstance(node, ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in ("setter", "getter", "deleter"):
                return of in self._source.defined and of not in self._stored
            return self._source.modules.get(of, "") in self._standard
        name = _last(node)
        module, _ = self._source.imported.get(name, ("builtins", ""))
        own = name in self._source.defined and name not in self._source.imported
        return module in self._standard and not own

    def _block(self, node: ast.AST, unit: Unit, owner: str) -> None:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.stmt):
                self._statement(part, unit, owner=owner)
            elif isinstance(part, (ast.ExceptHandler, ast.match_case)):
                self._block(part, unit, owner)
            else:
                self._names(part, unit)

    def _names(self, root: ast.AST, unit: Unit) -> None:
        literal: set[int] = set()
        """Calls whose name is a text of the code."""
        for node in ast.walk(root):
            line = getattr(node, "lineno", unit.line)
            if isinstance(node, ast.Name):
                unit.bare.setdefault(node.id, line)
                if node.id in DYNAMIC_NAMES | DYNAMIC_IMPORTS and id(node) not in literal:
                    self._dynamic(node.id, unit)
            elif isinstance(node, ast.Attribute):
                if not self._is_of_module(node):
                    _name(node.attr, unit, line)
                if id(node) not in literal and _finds_by_name(node):
                    self._dynamic(node.attr, unit)
                if node.attr == "path" and _last(node.value) == "sys":
                    unit.imports = unit.imports or "sys.path"
            elif isinstance(node, ast.Constant) and type(node.value) is str:
                _text(node.value, unit, line)
            elif isinstance(node, ast.Call):
                literal |= _literal_call(node, unit)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node, unit, line)
            elif isinstance(node, ast.MatchClass):
                unit.anywhere.update(dict.fromkeys(node.kwd_attrs, line))

    def _is_of_module(self, node: ast.Attribute) -> bool:
        """Tell whether `x.name` is of a module that is imported as `x`, and `x` nothing else."""
        value = node.value
        if not isinstance(value, ast.Name) or value.id in self._stored:
            return False
        module = self._source.modules.get(value.id)
        return module is not None and module.partition(".")[0] in self._standard

    @staticmethod
    def _dynamic(name: str, unit: Unit) -> None:
        if name in DYNAMIC_IMPORTS:
            unit.imports = unit.imports or name
        unit.dynamic = unit.dynamic or name

    def _import(self, node: ast.Import | ast.ImportFrom, unit: Unit, line: int) -> None:
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.asname not in (None, alias.name):
                    unit.anywhere.setdefault(alias.name, line)
                if alias.name in DYNAMIC_NAMES | DYNAMIC_IMPORTS:
                    self._dynamic(alias.name, unit)
            names = [node.module or ""]
        for name in names:
            if name.partition(".")[0] in PICKLES:
                unit.dynamic = unit.imports = name

    @staticmethod
    def _forgive(node: ast.FunctionDef | ast.AsyncFunctionDef, unit: Unit) -> None:
        """Names that come to `__getattr__` are named where they are asked for."""
        given = {arg.arg for arg in node.args.args}
        for inner in ast.walk(node):
            if not isinstance(inner, ast.Call):
                continue
            if _last(inner.func) == "getattr":
                named = inner.args[1] if len(inner.args) > 1 else None
                if not (isinstance(named, ast.Name) and named.id in given):
                    return
            elif _last(inner.func) in DYNAMIC_NAMES | DYNAMIC_IMPORTS:
                return
        unit.dynamic = unit.dynamic if unit.imports or unit.dynamic != "getattr" else ""


def _finds_by_name(node: ast.Attribute) -> bool:
    """Tell whether `x.name` is something that finds things by texts."""
    of = node.value.id if isinstance(node.value, ast.Name) else ""
    if node.attr in _OF_BUILTINS:
        return of in ("builtins", "__builtins__")
    return node.attr in DYNAMIC_NAMES | DYNAMIC_IMPORTS


def _literal_call(node: ast.Call, unit: Unit) -> set[int]:
    """Return what of a call is no sign of made-up names, since the name is there to read."""
    called, name = node.func, _last(node.func)
    place = 1 if name == "getattr" else 0
    named = node.args[place] if len(node.args) > place else None
    if name in (
        "getattr",
        "import_module",
        "__import__",
        "attrgetter",
        "methodcaller",
        "find_spec",
    ):
        if isinstance(named, ast.Constant) and type(named.value) is str:
            return set() if named.value.startswith(".") else {id(called)}
        prefix = _prefix(named)
        if prefix and name == "getattr":
            unit.prefixes.add(prefix)
            return {id(called)}
    return set()


def _prefix(node: ast.AST | None) -> str:
    """Return what a text that is made up begins with, if that can be read."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        node = node.left
    else:
        return ""
    if isinstance(node, ast.Constant) and type(node.value) is str:
        found = _PART.match(node.value)
        return found[0] if found is not None else ""
    return ""


def _name(name: str, unit: Unit, line: int) -> None:
    unit.anywhere.setdefault(name, line)
    if name.startswith("_") and "__" in name[1:]:  # as the interpreter writes private names
        unit.anywhere.setdefault(name[name.index("__", 1) :], line)


def _text(text: str, unit: Unit, line: int) -> None:
    if not _TEXT.fullmatch(text):
        return
    for part in _PART.findall(text):
        _name(part, unit, line)
    unit.texts.add(text.replace(":", "."))


def _is_list_of_names(node: ast.stmt) -> bool:
    """Tell whether a statement sets `__all__`, which names what others may name."""
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, (ast.AugAssign, ast.AnnAssign))
        else []
    )
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _last(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def parts_of(texts: set[str]) -> Iterator[str]:
    """Give the dotted names that begin texts: of `a.b.c` also `a` and `a.b`."""
    for text in texts:
        parts = text.split(".")
        for count in range(1, len(parts) + 1):
            yield ".".join(parts[:count])
