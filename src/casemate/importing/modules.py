"""The modules that a function's handler brings in, and what names in them stand for.

Read as text, never imported. It knows assignments, returns of functions, attributes of `self`, and
names of other modules; what it does not know is None, and nothing is granted for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from casemate.audit.code.reading import Code, PythonFile
from casemate.importing.limits import MAX_MODULES

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Scope:
    """A module or function: what is given to each name in it."""

    def __init__(self, module: Module, outer: Scope | None, body: Scope | None = None) -> None:
        """Begin with no names. `body` is the function whose code a lambda is part of."""
        self.module = module
        self.outer = outer
        self.body = body or self
        self.globals: set[str] = set()
        self.mentioned: set[str] = set()
        """Names and attributes in the code of the function itself."""
        self.given: dict[str, list[ast.expr | None]] = {}
        """None stands for what is not known: parameters, loops, what is unpacked."""
        self.functions: dict[str, tuple[FunctionNode, Scope]] = {}

    def find(self, name: str) -> Scope | None:
        """Return the nearest scope that has a name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.given and name not in scope.functions:
            scope = scope.outer
        return scope


class Module:
    """One module of the function."""

    def __init__(self, name: str, file: PythonFile) -> None:
        """Look through it once."""
        self.name = name
        self.file = file
        self.attributes: dict[str, list[tuple[ast.expr, Scope]]] = {}
        """Of `self`, whatever the class."""
        self.functions: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, Scope]] = []
        """All of them, methods and inner ones, too."""
        self.top = Scope(self, None)
        self.calls: list[tuple[ast.Call, Scope]] = []
        self.reads: list[tuple[ast.Subscript, Scope]] = []
        self.returns: dict[int, list[tuple[ast.expr, Scope]]] = {}
        self.imported: dict[str, str] = {}
        """What names stand for."""
        self.brought: dict[str, None] = {}
        """All that is imported."""
        self._look()

    def _look(self) -> None:
        waiting: list[tuple[ast.AST, Scope, FunctionNode | None]] = [
            (node, self.top, None) for node in reversed(self.file.tree.body)
        ]
        while waiting:
            node, scope, owner = waiting.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = Scope(self, scope)
                scope.functions[node.name] = (node, inner)
                self.functions.append((node, inner))
                _parameters(node.args, inner)
                waiting += [(each, scope, owner) for each in node.decorator_list]
                waiting += [(each, scope, owner) for each in _defaults(node.args)]
                waiting += [(each, inner, node) for each in reversed(node.body)]
                continue
            if isinstance(node, ast.Lambda):
                inner = Scope(self, scope, scope.body)
                _parameters(node.args, inner)
                waiting.append((node.body, inner, node))
                continue
            self._take(node, scope, owner)
            waiting += [(each, scope, owner) for each in ast.iter_child_nodes(node)]

    def _take(self, node: ast.AST, scope: Scope, owner: FunctionNode | None) -> None:
        if isinstance(node, ast.Name):
            scope.body.mentioned.add(node.id)
        elif isinstance(node, ast.Attribute):
            scope.body.mentioned.add(node.attr)
        elif isinstance(node, ast.Call):
            self.calls.append((node, scope))
        elif isinstance(node, ast.Subscript):
            self.reads.append((node, scope))
        elif isinstance(node, ast.Return) and node.value is not None and owner is not None:
            self.returns.setdefault(id(owner), []).append((node.value, scope))
        elif isinstance(node, ast.Global):
            scope.globals.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        else:
            self._bind(node, scope)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom):
            base = self.absolute(node)
            for alias in node.names:
                dotted = f"{base}.{alias.name}".lstrip(".")
                self.imported[alias.asname or alias.name] = dotted
                self.brought[dotted] = None
            return
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self.imported[bound] = alias.name if alias.asname else bound
            self.brought[alias.name] = None

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._give(target, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            if node.value is not None:
                self._give(node.target, node.value, scope)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension, ast.AugAssign)):
            self._give(node.target, None, scope)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._give(node.optional_vars, node.context_expr, scope)
        elif isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.Assign):
                    for name in each.targets:
                        if isinstance(name, ast.Name):
                            self.attributes.setdefault(name.id, []).append((each.value, scope))

    def absolute(self, node: ast.ImportFrom) -> str:
        """Return the module that `from ... import` names, dots resolved."""
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        if not self.file.file.endswith("/__init__.py"):
            package = package[:-1]
        kept = package[: len(package) - (node.level - 1)]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def _give(self, target: ast.AST, value: ast.expr | None, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            home = self.top if target.id in scope.globals else scope
            home.given.setdefault(target.id, []).append(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(values):
                values = list(value.elts)
            for inner, each in zip(target.elts, values, strict=True):
                self._give(inner, each, scope)
        elif isinstance(target, ast.Starred):
            self._give(target.value, None, scope)
        elif (
            isinstance(target, ast.Attribute)
            and isinstance(target.value, ast.Name)
            and target.value.id in ("self", "cls")
        ):
            unknown = ast.Constant(None)
            self.attributes.setdefault(target.attr, []).append((value or unknown, scope))


def _parameters(arguments: ast.arguments, scope: Scope) -> None:
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        scope.given[each.arg] = [None]
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            scope.given[rest.arg] = [None]


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]


class Modules:
    """The modules of a function, found from its handler by what each imports."""

    def __init__(self, code: Code, known: dict[str, Module]) -> None:
        """Keep modules in `known`, for the functions that share them."""
        self._code = code
        self._known = known
        self._files: dict[str, str] = {}
        self.named: dict[str, Module] = {}
        self.unread: list[str] = []
        """Files that could not be parsed."""
        self.complete = True

    def of_entry(self, root: str, entry: str, files: tuple[str, ...]) -> Modules:
        """Read the modules under `root` that the file `entry` leads to."""
        names = module_names(root, files)
        self._files = {name: file for file, name in names.items()}
        waiting = [names[entry]] if entry in names else []
        while waiting and len(self.named) < MAX_MODULES:
            name = waiting.pop()
            if name in self.named or self._files[name] in self.unread:
                continue
            module = self._module(root, name)
            if module is None:
                self.unread.append(self._files[name])
                continue
            self.named[name] = module
            waiting += self._brought(module)
        self.complete = not waiting
        return self

    def of_text(self, file: PythonFile) -> Modules:
        """Take the code that stands in a template."""
        self.named["index"] = Module("index", file)
        return self

    def _module(self, root: str, name: str) -> Module | None:
        file = self._files[name]
        key = f"{root}\0{file}"
        if key not in self._known:
            found = self._code.python(file)
            if found is None:
                return None
            self._known[key] = Module(name, found)
        return self._known[key]

    def _brought(self, module: Module) -> Iterator[str]:
        for dotted in module.brought:
            yield from self._with_packages(dotted)

    def _with_packages(self, dotted: str) -> Iterator[str]:
        parts = dotted.split(".")[:32]
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name in self._files:
                yield name

    def reached(self, handler: str, others: frozenset[str]) -> set[Scope]:
        """Return the functions whose code a handler may come to, and what modules run at import.

        Every function counts whose name is mentioned in such code, whatever for, and every one with
        a decorator or a name such as `__init__`. Other handlers of the application do not, unless
        they are mentioned.
        """
        named: dict[str, list[Scope]] = {}
        waiting = [module.top for module in self.named.values()]
        for module in self.named.values():
            for node, scope in module.functions:
                named.setdefault(node.name, []).append(scope)
                own = node.decorator_list and node.name not in others
                if own or node.name == handler or node.name.startswith("__"):
                    waiting.append(scope)
        found: set[Scope] = set()
        while waiting:
            scope = waiting.pop()
            if scope not in found:
                found.add(scope)
                for name in scope.mentioned & named.keys():
                    waiting += named[name]
        return found

    def imports(self, module: str) -> bool:
        """Tell whether any of them brings in a module that is not theirs."""
        return any(
            name.split(".")[0] == module
            for each in self.named.values()
            for name in each.imported.values()
        )


def module_names(root: str, files: tuple[str, ...]) -> dict[str, str]:
    """Return the dotted name of each file of Python under a folder."""
    start = "" if root in ("", ".") else f"{root}/"
    found = {}
    for file in files:
        if file.endswith(".py") and file.startswith(start):
            path = file[len(start) :].removesuffix(".py").removesuffix("/__init__")
            found[file] = path.replace("/", ".")
    return found
