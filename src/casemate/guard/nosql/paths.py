"""Expressions that pick parts of documents: JMESPath, JSONPath, jq, JSONata."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..sink import Patch
from ..verdict import Judge
from .languages import judge_graphql, judge_part, judge_path, judge_program, judge_search

_NAMES = (
    *("expression", "query", "string", "program", "path", "expr", "filter", "text", "source"),
    "regex",
)
_TABLE: dict[str, tuple[str, ...]] = {
    "jmespath": ("search", "compile"),
    "jmespath.parser": ("Parser.parse",),
    "jsonpath_ng": ("parse",),
    "jsonpath_ng.ext": ("parse",),
    "jsonpath_ng.parser": ("parse",),
    "jsonpath_ng.ext.parser": ("parse",),
    "jsonpath_rw": ("parse",),
    "jsonpath": ("jsonpath", "findall", "finditer", "compile"),
    "jq": ("compile", "first", "all", "text", "iter"),
    "pyjq": ("first", "all", "one", "compile"),
    "jsonata": ("Jsonata.__init__",),
    "objectpath": ("Tree.execute",),
    "pyjsonq": ("JsonQ.at",),
}
"""Functions and methods whose first argument is an expression."""
_SEARCHES: dict[str, tuple[str, ...]] = {"whoosh.qparser.default": ("QueryParser.parse",)}
"""The same for queries of search engines."""
_GRAPHQL: dict[str, tuple[str, ...]] = {"graphql.language.parser": ("Parser.__init__",)}
"""The same for documents of GraphQL."""
_PATTERNS: dict[str, tuple[str, ...]] = {"tinydb.queries": ("Query.matches", "Query.search")}
"""The same for patterns that choose documents."""
_JUDGES: dict[str, Judge] = {
    **dict.fromkeys(_SEARCHES, judge_search),
    **dict.fromkeys(_GRAPHQL, judge_graphql),
    **dict.fromkeys(_PATTERNS, judge_part),
}
_PROGRAMS = frozenset(("jq", "pyjq"))
_SECOND = frozenset((("jsonpath", "jsonpath"),))


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches by module."""

    def made(name: str, functions: tuple[str, ...]) -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            for path in functions:
                *steps, last = path.split(".")
                owner: Any = getattr(module, steps[0], None) if steps else module
                if owner is not None and callable(getattr(owner, last, None)):
                    second = (name, last) in _SECOND
                    usual: Judge = judge_program if name in _PROGRAMS else judge_path
                    judge = _JUDGES.get(name, usual)
                    _watch(guard, sink, owner, last, len(steps) + second, judge)

        return patch

    tables = _TABLE | _SEARCHES | _GRAPHQL | _PATTERNS
    return {name: made(name, functions) for name, functions in tables.items()}


def _watch(guard: Guard, sink: str, owner: Any, method: str, place: int, judge: Judge) -> None:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        expression = argument(arguments, named, place, *_NAMES)
        if guard.active and isinstance(expression, (str, bytes)):
            guard.check(sink, expression, judge)

    wrap(owner, method, before)
