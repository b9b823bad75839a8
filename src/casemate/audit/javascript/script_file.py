"""One file of JavaScript as rules look at it: nodes by kind, what is around them, names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from casemate.audit.javascript.syntax import Node, Parsed

FUNCTIONS = frozenset(
    (
        *("arrow_function", "function_expression", "function_declaration", "method_definition"),
        *("generator_function", "generator_function_declaration", "function"),
    )
)
_MAX_NAME = 12
_MAX_AROUND = 400
_MAX_WALKED = 1_500_000
"""Nodes of one file that are come to below others: functions within functions are walked again."""


class TooMuchError(Exception):
    """More is within one another than is looked at."""


class ScriptFile:
    """The syntax of one file, walked once for all that looks at it."""

    def __init__(self, file: str, parsed: Parsed) -> None:
        """Walk the tree."""
        self.file = file
        self.kinds: dict[str, list[Node]] = defaultdict(list)
        self._around: dict[int, Node] = {}
        for node in parsed.tree.walk():
            self.kinds[node.kind].append(node)
            for kid in node.kids:
                self._around[id(kid)] = node
        self._left = _MAX_WALKED
        self.imported = dict(self._imports())
        """What names stand for: `exec` for `child_process.exec`."""

    def spend(self) -> None:
        """Count a node that was come to. Raises TooMuchError when there were too many."""
        self._left -= 1
        if self._left < 0:
            raise TooMuchError

    def below(self, node: Node) -> Iterator[Node]:
        """Yield a node and all that is below it, within the bound."""
        for each in node.walk():
            self.spend()
            yield each

    def around(self, node: Node) -> Iterator[Node]:
        """Yield what a node is in, from the inside out."""
        for _ in range(_MAX_AROUND):
            found = self._around.get(id(node))
            if found is None:
                return
            yield found
            node = found

    def parent(self, node: Node) -> Node | None:
        """Return what a node is in."""
        return self._around.get(id(node))

    @cached_property
    def calls(self) -> list[tuple[Node, str, list[Node]]]:
        """Each call and each `new`, the name of what is called, and what it is given."""
        return [
            (node, self.name(node.get(field)), given(node))
            for kind, field in (("call_expression", "function"), ("new_expression", "constructor"))
            for node in self.kinds[kind]
        ]

    @cached_property
    def functions(self) -> list[tuple[Node, list[str]]]:
        """Each function and the names of its parameters; those without have an empty one."""
        return [(node, parameters(node)) for kind in FUNCTIONS for node in self.kinds[kind]]

    @cached_property
    def constants(self) -> dict[str, Node | None]:
        """What names stand for that the file gives once, and changes nowhere."""
        found: dict[str, list[Node | None]] = {}
        for each in self.kinds["variable_declarator"]:
            own = each.get("name")
            if own is not None and own.text:
                found.setdefault(own.text, []).append(each.get("value"))
        for each in self.kinds["assignment_expression"]:
            left = each.get("left")
            if left is not None and left.text:
                found.pop(left.text, None)
        return {name: given[0] for name, given in found.items() if len(given) == 1}

    @cached_property
    def taken(self) -> frozenset[str]:
        """The names of all parameters."""
        return frozenset(name for _, names in self.functions for name in names)

    def name(self, node: Node | None) -> str:
        """Return the dotted name of a value, with imports followed: `child_process.exec`.

        What is called on the way has brackets: `res.status().json`.
        """
        parts: list[str] = []
        called = ""
        while node is not None and len(parts) < _MAX_NAME:
            if node.kind == "member_expression":
                last = node.get("property")
                parts.append((last.text if last is not None else "") + called)
                node, called = node.get("object"), ""
            elif node.kind in ("identifier", "this"):
                text = node.text or "this"
                parts.append(self.imported.get(text, text) + called)
                return ".".join(reversed(parts))
            elif node.kind == "call_expression":
                required = _required(node)
                if required is not None:
                    return ".".join((required, *reversed(parts)))
                node, called = node.get("function"), "()"
            else:
                break
        return "." + ".".join(reversed(parts)) if parts else ""

    def _imports(self) -> Iterator[tuple[str, str]]:
        for node in self.kinds["variable_declarator"]:
            left, value = node.get("name"), node.get("value")
            package = _required(value) if value is not None else None
            if left is not None and package is not None:
                yield from _names(left, package)
        for node in self.kinds["import_statement"]:
            source = text_of(node.get("source"))
            for clause in node.kids if source else ():
                if clause.kind == "import_clause":
                    yield from _clause(clause, (source or "").removeprefix("node:"))


def _required(node: Node) -> str | None:
    """Return the package of `require('package')`."""
    callee = node.get("function")
    if node.kind == "call_expression" and callee is not None and callee.text == "require":
        package = text_of(next(iter(given(node)), None))
        return package.removeprefix("node:") if package else None
    return None


def _names(left: Node, package: str) -> Iterator[tuple[str, str]]:
    if left.kind == "identifier":
        yield left.text, package
    for kid in left.kids if left.kind == "object_pattern" else ():
        key, value = kid.get("key"), kid.get("value")
        if kid.kind == "shorthand_property_identifier_pattern":
            yield kid.text, f"{package}.{kid.text}"
        elif key is not None and value is not None and value.kind == "identifier":
            yield value.text, f"{package}.{key.text}"


def _clause(clause: Node, package: str) -> Iterator[tuple[str, str]]:
    for kid in clause.kids:
        if kid.kind == "identifier":
            yield kid.text, package
        elif kid.kind == "namespace_import" and kid.kids:
            yield kid.kids[-1].text, package
        elif kid.kind == "named_imports":
            for one in kid.kids:
                own, alias = one.get("name"), one.get("alias")
                if own is not None:
                    yield (alias or own).text, f"{package}.{own.text}"


def given(call: Node) -> list[Node]:
    """Return what a call is given, as it is written."""
    arguments = call.get("arguments")
    return arguments.kids if arguments is not None else []


def text_of(node: Node | None) -> str | None:
    """Return a text that stands in the code; None for all that is made while it runs."""
    if node is None or node.kind not in ("string", "template_string"):
        return None
    if any(kid.kind == "template_substitution" for kid in node.kids):
        return None
    return "".join(kid.text for kid in node.kids)


def parameters(function: Node) -> list[str]:
    """Return the names of a function's parameters."""
    one = function.get("parameter")
    if one is not None:
        return [one.text]
    several = function.get("parameters")
    return [_parameter(kid) for kid in several.kids] if several is not None else []


def _parameter(node: Node) -> str:
    inner = node.get("pattern") or node.get("left") or node
    return inner.text if inner.kind == "identifier" else ""


def property_of(node: Node, *names: str) -> Node | None:
    """Return what stands in an object under one of these names."""
    for pair in node.kids if node.kind == "object" else ():
        if pair.kind == "pair" and key_of(pair) in names:
            return pair.get("value")
    return None


def key_of(pair: Node) -> str:
    """Return the name of a pair in an object; empty for one that is made while it runs."""
    key = pair.get("key")
    return "" if key is None else key.text or text_of(key) or ""
