"""Texts of JavaScript and TypeScript into syntax, within bounds, by tree-sitter.

Types, comments and brackets are left out while the tree is taken over: what is left is what runs.
Nothing here is recursive, so nesting costs no stack.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from casemate.audit.flow.limits import MAX_DEPTH, MAX_NODES
from casemate.audit.importers.aws.data import INSTALL, DataMissingError

if TYPE_CHECKING:
    from tree_sitter import Node as RawNode
    from tree_sitter import Parser

MAX_CHARACTERS = 600_000
"""Of a file that is parsed."""
MAX_SECONDS = 3.0
"""Of processor time for the parsing of one file."""
_CHUNK = 1 << 16
"""Given in pieces, since only then the parser asks whether to go on."""
SUFFIXES = ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx")
_GRAMMARS = {"ts": "typescript", "mts": "typescript", "cts": "typescript", "tsx": "tsx"}
_LEFT_OUT = frozenset(
    (
        *("comment", "type_annotation", "interface_declaration", "type_alias_declaration"),
        *("type_arguments", "type_parameters", "ambient_declaration", "function_signature"),
        *("implements_clause", "abstract_method_signature", "method_signature", "html_comment"),
        *("hash_bang_line", "index_signature", "asserts_annotation", "type_predicate_annotation"),
        *("predefined_type", "type_identifier", "generic_type", "union_type", "array_type"),
        *("literal_type", "object_type", "function_type", "readonly_type", "lookup_type"),
        *("intersection_type", "tuple_type", "parenthesized_type", "type_query", "empty_statement"),
        *("index_type_query", "conditional_type", "nested_type_identifier", "this_type"),
    )
)
_NAMES_OF_CLASSES = frozenset(("class_declaration", "abstract_class_declaration", "class"))
_INNER_FIRST = frozenset(
    ("parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression")
)
_INNER_LAST = frozenset(("type_assertion",))
_SIGNS = frozenset(("(", ")", "{", "}", "[", "]", ",", ";", ":", ".", "=>", '"', "'", "`", "${"))
"""What is only written to keep others apart; never the operator of anything."""
_TEXTS = frozenset(
    (
        *("identifier", "property_identifier", "private_property_identifier", "number"),
        *("shorthand_property_identifier", "shorthand_property_identifier_pattern"),
        *("string_fragment", "escape_sequence", "regex_pattern", "regex_flags", "type_identifier"),
        *("statement_identifier", "jsx_text", "jsx_identifier", "html_character_reference"),
    )
)


class Node:
    """One node of the syntax that runs."""

    __slots__ = ("column", "fields", "kids", "kind", "line", "marks", "text")

    def __init__(self, kind: str, line: int, column: int) -> None:
        """Begin without children."""
        self.kind = kind
        self.line = line
        self.column = column
        self.text = ""
        """Of leaves."""
        self.kids: list[Node] = _NO_KIDS
        self.fields: dict[str, Node] = _NO_FIELDS
        self.marks: tuple[str, ...] = ()
        """Words and signs: `async`, `static`, `const`, an operator."""

    def get(self, name: str) -> Node | None:
        """Return the child of a field."""
        return self.fields.get(name)

    def walk(self) -> Iterator[Node]:
        """Yield it and all that is below it."""
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo += reversed(node.kids)


_NO_KIDS: list[Node] = []
_NO_FIELDS: dict[str, Node] = {}
"""Of leaves, which are most: one for all, since nothing is put into them."""


class Parsed(NamedTuple):
    """The syntax of one file."""

    tree: Node
    broken: tuple[tuple[int, str], ...] = ()
    """Lines where it could not be understood; what is around them was."""


class SyntaxProblemError(Exception):
    """A file that is not looked at, and why."""


@cache
def _parser(grammar: str) -> Parser:
    """Return the parser of a grammar. Raises DataMissingError without the libraries."""
    package = "tree_sitter_javascript" if grammar == "javascript" else "tree_sitter_typescript"
    if find_spec("tree_sitter") is None or find_spec(package) is None:
        raise DataMissingError(
            f"JavaScript and TypeScript are parsed by the package {package}, which is not "
            "installed.",
            next_step=f"Install it: {INSTALL}",
        )
    from tree_sitter import Language, Parser

    if grammar == "javascript":
        import tree_sitter_javascript

        return Parser(Language(tree_sitter_javascript.language()))
    import tree_sitter_typescript

    if grammar == "tsx":
        return Parser(Language(tree_sitter_typescript.language_tsx()))
    return Parser(Language(tree_sitter_typescript.language_typescript()))


def parse(path: str, text: str) -> Parsed:
    """Return the syntax of a file. Raises SyntaxProblemError if it is not looked at."""
    if len(text) > MAX_CHARACTERS:
        raise SyntaxProblemError(f"it has more than {MAX_CHARACTERS} characters: not parsed")
    if "\0" in text:
        raise SyntaxProblemError("it is not text: not parsed")
    data = text.encode("utf-8", "replace")
    until = time.thread_time() + MAX_SECONDS
    parser = _parser(_GRAMMARS.get(path.rpartition(".")[2], "javascript"))
    try:
        raw = parser.parse(
            lambda at, _: data[at : at + _CHUNK],
            progress_callback=lambda *_: time.thread_time() > until,
        )
    except ValueError as error:
        parser.reset()
        raise SyntaxProblemError("it takes too long to parse") from error
    if raw is None:
        parser.reset()
        raise SyntaxProblemError("it takes too long to parse")
    return _taken_over(raw.root_node, data, until)


def _taken_over(root: RawNode, data: bytes, until: float) -> Parsed:
    """Take a tree over, node by node."""
    broken: list[tuple[int, str]] = []
    cursor = root.walk()
    top = Node("program", 1, 0)
    path: list[Node] = [top]
    count = 0
    if not cursor.goto_first_child():
        return Parsed(top)
    any_broken = root.has_error
    while True:
        raw = cursor.node
        kind = raw.type if raw is not None else ""
        if raw is not None:
            count += 1
            if count % 1_024 == 0 and time.thread_time() > until:
                raise SyntaxProblemError("it takes too long to parse")
            if count > MAX_NODES:
                raise SyntaxProblemError(f"it has more than {MAX_NODES} nodes: not checked")
            if any_broken and (raw.is_error or raw.is_missing):
                _note(broken, raw)
        entered = (
            raw is not None
            and kind not in _SIGNS
            and _take(raw, kind, cursor.field_name, path, data)
        )
        if entered and cursor.goto_first_child():
            if len(path) > MAX_DEPTH:
                raise SyntaxProblemError("it is nested too deeply: not checked")
            continue
        if entered:
            path.pop()
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return Parsed(top, tuple(broken))
            _close(path)
            if len(path) == 1 and cursor.node is not None and cursor.node.type == "program":
                return Parsed(top, tuple(broken))


def _note(broken: list[tuple[int, str]], raw: RawNode) -> None:
    if len(broken) < 5:
        broken.append((raw.start_point[0] + 1, "it is not JavaScript that can be parsed here"))


def _take(raw: RawNode, kind: str, field: str | None, path: list[Node], data: bytes) -> bool:
    """Add a node to the one it is in; tell whether it is entered, and then it is on the path."""
    parent = path[-1]
    named = raw.is_named
    if kind in _LEFT_OUT and not (kind == "type_identifier" and parent.kind in _NAMES_OF_CLASSES):
        return False
    if not named:
        if field == "operator" or (len(kind) < 12 and kind.isalpha()) or kind in ("*", "=", "..."):
            parent.marks = (*parent.marks, kind)
        return False
    if kind in ("accessibility_modifier", "override_modifier", "optional_chain"):
        parent.marks = (*parent.marks, kind)
        return False
    row, column = raw.start_point
    node = Node(kind, row + 1, column)
    if kind in _TEXTS:
        node.text = sys.intern(data[raw.start_byte : raw.end_byte].decode("utf-8", "replace"))
    elif raw.child_count == 0:
        node.text = data[raw.start_byte : min(raw.end_byte, raw.start_byte + 200)].decode(
            "utf-8", "replace"
        )
    if parent.kids is _NO_KIDS:
        parent.kids = [node]
    else:
        parent.kids.append(node)
    if field is not None:
        if parent.fields is _NO_FIELDS:
            parent.fields = {field: node}
        else:
            parent.fields.setdefault(field, node)
    path.append(node)
    return True


def _close(path: list[Node]) -> None:
    """Leave a node; brackets and types around an expression are replaced by what they hold."""
    node = path.pop()
    if not node.kids:
        return
    if node.kind in _INNER_FIRST:
        inner = node.kids[0]
    elif node.kind in _INNER_LAST:
        inner = node.kids[-1]
    else:
        return
    parent = path[-1]
    parent.kids[-1] = inner
    for name, each in parent.fields.items():
        if each is node:
            parent.fields[name] = inner
