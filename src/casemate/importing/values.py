"""What an expression stands for: a text, a client of AWS, an object of one, a client of HTTP.

Part of a text that is not known is `UNKNOWN` in it. What is not decided is None: nothing is granted
for it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from casemate.importing.aws_calls import BATCH, HTTP_CLIENTS, OBJECTS
from casemate.importing.limits import MAX_DEPTH, MAX_NODES
from casemate.importing.modules import FunctionNode, Module, Modules, Scope

UNKNOWN = "\0"
_MAX_TEXT = 4_096
_SDKS = ("boto3", "aioboto3", "aiobotocore.session")


@dataclass(frozen=True)
class Client:
    """A client or resource of boto3."""

    service: str


@dataclass(frozen=True)
class Session:
    """A session of boto3."""


@dataclass(frozen=True)
class Thing:
    """A table, bucket, queue or topic of boto3's resources. The name is as a text."""

    service: str
    kind: str
    name: str


@dataclass(frozen=True)
class Method:
    """A method of a client by its name: `get_paginator`."""

    service: str
    name: str


@dataclass(frozen=True)
class Web:
    """A client of HTTP, with the start of all its addresses."""

    base: str


Value = str | Client | Session | Thing | Method | Web


class Values:
    """Decides what expressions of a function's modules stand for."""

    def __init__(self, modules: Modules, environment: dict[str, str]) -> None:
        """Decide with these variables of the environment."""
        self._modules = modules
        self._environment = environment
        self._known: dict[tuple[int, int], Value | None] = {}
        self._left = MAX_NODES

    def of(self, node: ast.expr | None, scope: Scope, depth: int = 0) -> Value | None:
        """Return what an expression stands for; None if that is not decided."""
        if node is None or depth > MAX_DEPTH or self._left <= 0:
            return None
        key = (id(node), id(scope))
        if key not in self._known:
            self._left -= 1
            self._known[key] = None  # what leads to itself is not decided
            self._known[key] = self._decided(node, scope, depth + 1)
        return self._known[key]

    def text(self, node: ast.expr | None, scope: Scope, depth: int = 0) -> str:
        """Return a text, with UNKNOWN for what is not known of it."""
        found = self.of(node, scope, depth)
        return found[:_MAX_TEXT] if isinstance(found, str) else UNKNOWN

    def _decided(  # noqa: PLR0911 - one case for each kind of expression
        self, node: ast.expr, scope: Scope, depth: int
    ) -> Value | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self._name(node.id, scope, depth)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, scope, depth)
        if isinstance(node, ast.Call):
            return self._call(node, scope, depth)
        if isinstance(node, ast.Await):
            return self.of(node.value, scope, depth)
        if isinstance(node, ast.Subscript):
            return self._item(node, scope, depth)
        if isinstance(node, ast.JoinedStr):
            return "".join(
                self.text(
                    part.value if isinstance(part, ast.FormattedValue) else part, scope, depth
                )
                for part in node.values
            )[:_MAX_TEXT]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.text(node.left, scope, depth) + self.text(node.right, scope, depth)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self.of(node.values[0], scope, depth)
        return None

    def _name(self, name: str, scope: Scope, depth: int) -> Value | None:
        found = scope.find(name)
        if found is not None and name in found.given:
            return self._same([(each, found) for each in found.given[name]], depth)
        return self._foreign(scope.module.imported.get(name, ""), depth)

    def _same(self, given: list[tuple[ast.expr | None, Scope]], depth: int) -> Value | None:
        """Return what all expressions stand for, if that is one thing."""
        said = [(e, s) for e, s in given if not (isinstance(e, ast.Constant) and e.value is None)]
        values = {self.of(each, scope, depth) for each, scope in said[:8]}
        return values.pop() if len(values) == 1 and len(said) <= 8 else None

    def _foreign(self, dotted: str, depth: int) -> Value | None:
        """Return what a name of another of the modules stands for."""
        module, _, name = dotted.rpartition(".")
        found = self._modules.named.get(module)
        if found is None or not name:
            return None
        if name in found.top.given:
            return self._same([(each, found.top) for each in found.top.given[name]], depth)
        return self._foreign(found.imported.get(name, ""), depth + 1) if depth < MAX_DEPTH else None

    def _attribute(self, node: ast.Attribute, scope: Scope, depth: int) -> Value | None:
        owner = node.value
        if isinstance(owner, ast.Name) and owner.id in ("self", "cls"):
            given = scope.module.attributes.get(node.attr, [])
            return self._same(list(given), depth) if given else None
        return self._foreign(self.dotted(node, scope), depth)

    def dotted(self, node: ast.expr, scope: Scope) -> str:
        """Return a dotted name with imports followed; nothing if a name in it is given anew."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        found = scope.find(node.id)
        if found is not None and node.id in found.given:
            return ""
        parts.append(scope.module.imported.get(node.id, node.id))
        return ".".join(reversed(parts))

    # -- calls ---------------------------------------------------------------------------------

    def _call(  # noqa: PLR0911 - one case for each kind of call
        self, node: ast.Call, scope: Scope, depth: int
    ) -> Value | None:
        name = self.dotted(node.func, scope)
        sdk, _, what = name.rpartition(".")
        if sdk in _SDKS and what in ("client", "resource"):
            return self._client(node, scope, depth)
        if what in ("Session", "get_session") and (sdk in _SDKS or sdk == "boto3.session"):
            return Session()
        if name in HTTP_CLIENTS:
            base = argument(node, None, "base_url")
            return Web(self.text(base, scope, depth) if base is not None else "")
        if name in ("os.getenv", "os.environ.get"):
            return self._variable(
                argument(node, 0, "key"), argument(node, 1, "default"), scope, depth
            )
        own = self._own(node.func, name, scope)
        if own is not None:
            function, module = own
            returned = module.returns.get(id(function), [])
            return self._same([*returned], depth) if returned else None
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, scope, depth)
        return None

    def _client(self, node: ast.Call, scope: Scope, depth: int) -> Value | None:
        service = self.text(argument(node, 0, "service_name"), scope, depth)
        return Client(service) if UNKNOWN not in service else None

    def _method(
        self, node: ast.Call, called: ast.Attribute, scope: Scope, depth: int
    ) -> Value | None:
        owner = self.of(called.value, scope, depth)
        if isinstance(owner, Session) and called.attr in ("client", "resource", "create_client"):
            return self._client(node, scope, depth)
        if isinstance(owner, Client):
            made = OBJECTS.get((owner.service, called.attr))
            if made is not None:
                return Thing(
                    owner.service, made[0], self.text(argument(node, 0, made[1]), scope, depth)
                )
            if called.attr == "get_paginator":
                name = self.text(argument(node, 0, "operation_name"), scope, depth)
                return Method(owner.service, name)
        if isinstance(owner, Thing) and (owner.service, called.attr) == ("s3", "Object"):
            return owner
        if isinstance(owner, Thing) and called.attr == "batch_writer":
            return Thing(BATCH, owner.kind, owner.name)
        return None

    def _own(self, called: ast.expr, name: str, scope: Scope) -> tuple[FunctionNode, Module] | None:
        """Return the function of the modules that is called."""
        if isinstance(called, ast.Name):
            found = scope.find(called.id)
            if found is not None and called.id in found.functions:
                return found.functions[called.id][0], found.module
        module, _, last = name.rpartition(".")
        other = self._modules.named.get(module)
        if other is not None and last in other.top.functions:
            return other.top.functions[last][0], other
        return None

    # -- texts ---------------------------------------------------------------------------------

    def _item(self, node: ast.Subscript, scope: Scope, depth: int) -> Value | None:
        if self.dotted(node.value, scope) == "os.environ":
            return self._variable(node.slice, None, scope, depth)
        called = node.value.value if isinstance(node.value, ast.Await) else node.value
        if not isinstance(called, ast.Call) or not isinstance(called.func, ast.Attribute):
            return None
        if called.func.attr != "get_queue_url":  # which answers {"QueueUrl": ...}
            return None
        return self.text(argument(called, None, "QueueName"), scope, depth)

    def _variable(
        self, name: ast.expr | None, default: ast.expr | None, scope: Scope, depth: int
    ) -> Value | None:
        found = self.text(name, scope, depth)
        if found in self._environment:
            return self._environment[found]
        return self.of(default, scope, depth)


def argument(node: ast.Call, place: int | None, name: str) -> ast.expr | None:
    """Return an argument by its name or place; None if it is not there or unpacked."""
    for each in node.keywords:
        if each.arg == name:
            return each.value
    if place is None or place >= len(node.args):
        return None
    if any(isinstance(each, ast.Starred) for each in node.args[: place + 1]):
        return None
    return node.args[place]
