"""Modules of the code's own that reach nothing but their arguments: an event may choose one.

`{"step": "text_case:upper"}` names a tool of a folder of tools. What such a module does is read in
its source, and it is not imported for that: whatever of it is called cannot do more than calculate.
"""

from __future__ import annotations

import ast
import collections
import datetime
import decimal
import functools
import os
import re
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, SourceFileLoader

from ..core import Guard
from ..plain_names import is_hidden

_HARMLESS = frozenset(
    [
        *("__future__", "abc", "base64", "binascii", "bisect", "calendar", "cmath", "collections"),
        *("colorsys", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum"),
        *("fractions", "functools", "hashlib", "heapq", "html", "io", "ipaddress", "itertools"),
        *("json", "math", "numbers", "pprint", "random", "re", "statistics", "string", "struct"),
        *("textwrap", "typing", "typing_extensions", "unicodedata", "urllib.parse", "uuid"),
        *("zlib",),
    ]
)
"""Modules that reach nothing but what they are given, but for names that `_NAMES` leaves out."""
_NAMES = {
    "csv": frozenset(
        [
            *("reader", "writer", "DictReader", "DictWriter", "Error", "Sniffer", "excel"),
            *("QUOTE_ALL", "QUOTE_MINIMAL", "QUOTE_NONE", "QUOTE_NONNUMERIC", "QUOTE_NOTNULL"),
        ]
    ),
    "io": frozenset(["BytesIO", "StringIO", "SEEK_END", "SEEK_SET"]),
    "pprint": frozenset(["pformat", "saferepr"]),
    "urllib.parse": frozenset(
        ["parse_qs", "parse_qsl", "quote", "quote_plus", "unquote", "unquote_plus", "urlencode"]
    ),
}
"""Of modules that have others as well, names that reach nothing."""
_MAKING_FILES = frozenset(("BytesIO", "StringIO"))
_WRITING = frozenset(("writer", "DictWriter"))
_OF_FILES = frozenset(
    [
        *("write", "writelines", "writerow", "writerows", "writeheader", "getvalue", "read"),
        *("readline", "readlines", "seek", "fieldnames", "line_num"),
    ]
)
"""Of files in memory, and of what csv writes into these."""
_REACHING = frozenset(
    [
        *("open", "eval", "exec", "compile", "__import__", "import_module", "getattr", "setattr"),
        *("delattr", "globals", "locals", "input", "breakpoint", "__builtins__", "__globals__"),
        *("__subclasses__", "__mro__", "__bases__", "__base__", "__code__", "__loader__"),
    ]
)
"""Names by which code reaches more than its arguments."""
_MAX_SOURCE = 64 * 1024
"""Bytes of a module that is read."""
_MAX_NODES = 5000
_NAMED = re.compile(r"(?:[a-z_]\w{0,40}[.:]){0,4}\w{1,60}", re.ASCII)
"""How a text names a function: `module:name`, `package.module.name`."""
_MAX_STEPS = 4
"""Names between the dots of a module's name."""
_MORE_REACHING = _REACHING | frozenset(
    [
        *("vars", "dir", "help", "exit", "quit", "type", "object", "memoryview", "get_type_hints"),
        *("ForwardRef", "make_dataclass", "gi_frame", "cr_frame", "ag_frame", "f_back"),
        *("f_globals", "f_builtins", "f_locals", "tb_frame", "tb_next", "gi_code", "cr_code"),
    ]
)
_BUILTINS = frozenset(
    [
        *("abs", "all", "any", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "filter"),
        *("float", "format", "frozenset", "hex", "int", "isinstance", "issubclass", "iter", "len"),
        *("list", "map", "max", "min", "next", "oct", "ord", "pow", "print", "range", "repr"),
        *("reversed", "round", "set", "slice", "sorted", "str", "sum", "super", "tuple", "zip"),
        *("property", "staticmethod", "classmethod", "callable", "ValueError", "TypeError"),
        *("KeyError", "IndexError", "LookupError", "ArithmeticError", "NotImplementedError"),
    ]
)
"""What is called by its name and reaches nothing but its arguments."""
_SPECIAL = frozenset(
    ["__init__", "__new__", "__post_init__", "__name__", "__doc__", "__all__", "__version__"]
)
_ALSO_TYPES = frozenset(("datetime", "abc"))
"""Names of modules that are names within harmless ones as well."""
_OWNER = frozenset(("self", "cls"))
_FOLLOWING = ("attrgetter", "reduce", "vars", "__dict__", "getmembers", "resolve_name", "locate")
"""Names by which code looks into a module where its `getattr` does not show it."""
_REFUSED = (
    *(ast.Global, ast.Delete, ast.With, ast.AsyncWith, ast.AsyncFunctionDef, ast.AsyncFor),
    *(ast.Await, ast.MatchClass),
)
_CHANGING = frozenset(
    name
    for kind in (dict, list, set, bytearray)
    for name in vars(kind)
    if name not in vars(frozenset) and name not in vars(bytes) and name not in vars(tuple)
    if name not in ("get", "items", "keys", "values")
)


def is_chosen_freely(guard: Guard, name: str) -> bool:
    """Tell whether a module is the code's own and does nothing but calculate.

    So do the packages that it is in, which are imported with it.
    """
    steps = name.split(".")
    if len(steps) > _MAX_STEPS or not all(map(str.isidentifier, steps)) or is_hidden(name):
        return False
    folders: Iterable[str] | None = None
    for number in range(len(steps)):
        full = ".".join(steps[: number + 1])
        spec = _found(full, folders)
        if spec is None:
            return False
        folders = spec.submodule_search_locations
        is_last = number == len(steps) - 1
        if spec.origin is None and not is_last and _are_within(guard, folders or ()):
            continue
        if not _is_plain_file(guard, full, spec):
            return False
    return True


def defines(module: str, name: str) -> bool:
    """Tell whether a module that is chosen freely defines a function or a class of this name."""
    package = sys.modules.get(module.rpartition(".")[0])
    spec = _found(module, getattr(package, "__path__", None))
    if name.startswith("_") or spec is None or not isinstance(spec.loader, SourceFileLoader):
        return False
    tree = ast.parse(spec.loader.get_data(str(spec.origin)))
    own = (one for one in tree.body if isinstance(one, (ast.FunctionDef, ast.ClassDef)))
    return any(one.name == name for one in own)


def _found(name: str, folders: Iterable[str] | None) -> ModuleSpec | None:
    """Return what would be imported, without importing anything."""
    module = sys.modules.get(name)
    if module is not None:
        return module.__spec__
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None if folders is None else list(folders))
        if spec is not None:
            return spec
    return None


def _are_within(guard: Guard, paths: Iterable[str]) -> bool:
    root = os.path.realpath(guard.root) + "/"
    found = [os.path.realpath(path) + "/" for path in paths]
    return bool(found) and all(path.startswith(root) for path in found)


def _is_plain_file(guard: Guard, name: str, spec: ModuleSpec) -> bool:
    path = spec.origin
    if path is None or not isinstance(spec.loader, SourceFileLoader):
        return False
    if not path.startswith(guard.root) or not _are_within(guard, (path,)):
        return False
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__file__", None) != path:
        return False
    if os.path.getsize(path) > _MAX_SOURCE:
        return False
    try:
        tree = ast.parse(spec.loader.get_data(path))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    read = _Source(tree)
    hides = not any(guard.constants.holds_word(word) for word in _FOLLOWING)
    return (hides or not read.modules) and read.is_plain()


class _Source:
    """Names of a module by what they stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes: list[ast.AST] = []
        for node in ast.walk(tree):
            self.nodes.append(node)
            if len(self.nodes) > _MAX_NODES:
                break
        self.modules: dict[str, str] = {}
        self.called: set[str] = set(_BUILTINS)
        """Names that may be called."""
        self.fields: set[str] = {"value", "name"}
        """Names of what the module's own classes hold."""
        self.given: set[str] = set()
        """Names of parameters: what the code hands over."""
        self.within = {id(n.value) for n in self.nodes if isinstance(n, ast.Attribute)}
        self.files: set[str] = set()
        """Names of files in memory, and of what writes into these."""
        self.is_harmless = len(self.nodes) <= _MAX_NODES and all(map(self._takes, self.nodes))
        if self.modules.keys() & _NAMES.keys() or self.called & (_MAKING_FILES | _WRITING):
            self._take_files()

    def _takes(self, node: ast.AST) -> bool:
        """Take a node's names; false if it imports what is not harmless."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name.partition(".")[0]] = alias.name
            return all(_is_harmless(alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            self.called.update(alias.asname or alias.name for alias in node.names)
            home = node.module or ""
            usual = all(_is_of(home, name) for name in names)
            return not node.level and _is_harmless(home) and usual
        if isinstance(node, ast.FunctionDef):
            self.called.add(node.name)
            return not is_hidden(node.name) or node.name.startswith("__")
        if isinstance(node, ast.ClassDef):
            self.called.add(node.name)
            self.fields.update(_fields(node))
            return not any(is_hidden(n) for n in (node.name, *_fields(node)) if n[:2] != "__")
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            self.fields.add(node.attr)
            return isinstance(node.value, ast.Name) and node.value.id in _OWNER
        if isinstance(node, ast.arg) and node.arg not in _OWNER:
            self.given.add(node.arg)
        return not isinstance(node, _REFUSED)

    def _take_files(self) -> None:
        """Take the names that stand for files in memory and nothing else."""
        stored = collections.Counter(
            n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        )
        for _ in range(2):  # what writes into a file comes after it
            made = collections.Counter(
                node.targets[0].id
                for node in self.nodes
                if isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and len(node.targets) == 1
                and self._is_file(node.value)
            )
            self.files = {name for name, count in made.items() if stored[name] == count}
        self.files -= self.given

    def _is_file(self, node: ast.expr) -> bool:
        """Tell whether an expression is a file in memory, or writes into one."""
        if isinstance(node, ast.Name):
            return node.id in self.files
        if not isinstance(node, ast.Call):
            return False
        name = self._called_of(node.func)
        if name in _MAKING_FILES:
            return True
        return name in _WRITING and bool(node.args) and self._is_file(node.args[0])

    def _called_of(self, function: ast.expr) -> str:
        """Return which of the names of `csv` and `io` is called, if it is one."""
        if isinstance(function, ast.Name):
            return function.id if function.id in self.called else ""
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            return function.attr if self.modules.get(function.value.id) in _NAMES else ""
        return ""

    def is_plain(self) -> bool:
        """Tell whether the module, its functions and its classes only calculate."""
        return (
            self.is_harmless
            and all(map(self._is_plain_statement, self.tree.body))
            and all(map(self._is_plain, self.nodes))
        )

    def _is_plain(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            if node.id in self.modules and id(node) not in self.within:
                return False
            return node.id not in _MORE_REACHING and _is_usual(node.id)
        if isinstance(node, ast.Attribute):
            return self._is_plain_attribute(node)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            return not self._is_given(node.value)
        if not isinstance(node, ast.Call):
            return True
        writes = self._called_of(node.func) in _WRITING
        return self._is_plain_call(node.func) and (not writes or self._is_file(node))

    def _is_plain_call(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Name):
            return function.id in self.called and function.id not in self.given
        if not isinstance(function, ast.Attribute):
            return False
        # What the code hands over may be a connection, whose methods do more than calculate.
        return not self._is_given(function.value) or function.attr in _plain_methods()

    def _is_given(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self.given

    def _is_plain_attribute(self, node: ast.Attribute) -> bool:
        name = node.attr
        home = self.modules.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if home == "re" and name == "compile":
            return True
        if name in _MORE_REACHING or not _is_usual(name):
            return False
        if home is not None:
            return _is_of(home, name)
        if name in _OF_FILES and self._is_file(node.value):
            return True
        if name in _CHANGING and self._is_given(node.value):
            return False
        return name in self.fields or name in _SPECIAL or name in _plain_methods()

    def _is_plain_statement(self, node: ast.stmt) -> bool:
        """Tell whether what stands at the module's beginning keeps nothing that an event may read.

        Texts can be secrets, wherever a module has them by a name.
        """
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            return True
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Constant)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [one.id for one in targets if isinstance(one, ast.Name)]
            if len(names) != len(targets) or any(map(is_hidden, set(names) - _SPECIAL)):
                return False
            kept = all(name.startswith("_") for name in names)
            return kept or node.value is None or self._is_plain_value(node.value)
        return False

    def _is_plain_value(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            pattern = value.func
            return (
                isinstance(pattern, ast.Attribute)
                and isinstance(pattern.value, ast.Name)
                and self.modules.get(pattern.value.id) == "re"
            )
        keys = {id(k) for n in ast.walk(value) if isinstance(n, ast.Dict) for k in n.keys}
        return not any(
            isinstance(n, (ast.Call, ast.JoinedStr))
            or (isinstance(n, ast.Constant) and not self._tells_nothing(n.value))
            for n in ast.walk(value)
            if id(n) not in keys
        )

    def _tells_nothing(self, value: object) -> bool:
        """Tell whether a constant is no text, or names what the module has: `"tasks:clean"`."""
        if not isinstance(value, (str, bytes)):
            return True
        name = value.replace(":", ".").rpartition(".")[2] if isinstance(value, str) else ""
        own = (n.name for n in self.tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
        return name in own and _NAMED.fullmatch(str(value)) is not None


@functools.cache
def _plain_methods() -> frozenset[str]:
    """Return the names that plain data has, which reach nothing but it."""
    kinds = (
        *(str, bytes, list, dict, set, frozenset, tuple, int, float, re.Pattern, re.Match),
        *(datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal),
    )
    own = frozenset(n for kind in kinds for n in dir(kind) if not n.startswith("_"))
    return own | {"digest", "hexdigest"}


def _fields(node: ast.ClassDef) -> list[str]:
    """Return what a class defines."""
    found: list[str] = []
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            found.append(one.name)
        elif isinstance(one, (ast.Assign, ast.AnnAssign)):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            found += [target.id for target in targets if isinstance(target, ast.Name)]
    return found


def _is_harmless(module: str) -> bool:
    return module == "collections.abc" or module in _HARMLESS


def _is_of(module: str, name: str) -> bool:
    """Tell whether a name of a harmless module reaches nothing."""
    return _is_given(name) and (module not in _NAMES or name in _NAMES[module])


def _is_given(name: str) -> bool:
    """Tell whether a name of a harmless module is none of another module's."""
    other = name in sys.stdlib_module_names and name not in _ALSO_TYPES
    return not other and not name.startswith("_") and name != "*" and name not in _MORE_REACHING


def _is_usual(name: str) -> bool:
    return not name.startswith("__") or name in _SPECIAL
