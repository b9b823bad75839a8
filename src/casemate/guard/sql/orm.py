"""Mappers of objects: which column is asked for is structure, and some take it by keyword.

`User.objects.filter(**event)` lets the event ask for any column and through every relation:
`password__startswith`, `_connector`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import wrap
from ..plain_names import is_plain
from ..sink import Patch
from ..verdict import Verdict
from .statements import NAME, check_statement
from .tokens import Dialect

_FIX_LOOKUP = (
    "name the columns in the code: filter(name=event['name']), or take them from a collection "
    "(`{k: v for k, v in event.items() if k in ALLOWED}`)"
)
_FIX_ORDER = "choose the column from a collection in the code (`if column not in ALLOWED: raise`)"
_MAX_DEPTH = 20


def check_lookups(guard: Guard, names: Iterable[object]) -> None:
    """Block a query (BlockedError) whose columns the event has chosen."""
    if guard.active:
        given = [name for name in names if isinstance(name, str)]
        words = "chooses the column, and what is asked of it"
        guard.decide(NAME, lambda: _chosen(guard, given, words, _FIX_LOOKUP))


def check_order(guard: Guard, names: Iterable[object]) -> None:
    """As `check_columns`, of an order: by a plain column of the model itself it may be."""
    own = [
        n for n in names if not (isinstance(n, str) and "__" not in n and is_plain(n.lstrip("-")))
    ]
    check_columns(guard, own)


def check_columns(guard: Guard, names: Iterable[object]) -> None:
    """Block an order or a selection (BlockedError) whose columns the event has chosen."""
    if guard.active:
        given = [name for name in names if isinstance(name, str)]
        guard.decide(NAME, lambda: _chosen(guard, given, "chooses the column", _FIX_ORDER))


def _chosen(guard: Guard, names: list[str], words: str, fix: str) -> Verdict | None:
    for name in names:
        for span in guard.spans(name):
            if span.exact and span.checked not in ("member", "constant", "pattern", "word"):
                return Verdict(span.origin, words, fix)
    return None


def _names_in(lookups: Any, depth: int = 0) -> list[object]:
    """Return the keywords of Django's `Q` objects."""
    found: list[object] = []
    for child in getattr(lookups, "children", ()) if depth < _MAX_DEPTH else ():
        found += child[:1] if isinstance(child, tuple) else _names_in(child, depth + 1)
    return found


def patch_django_query(guard: Guard, module: ModuleType) -> None:
    """Watch Django's query sets: keywords of filters, names of columns, raw SQL."""
    queries: Any = vars(module)["QuerySet"]

    def before_filter(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        lookups = [name for q in arguments[1:] for name in _names_in(q)]
        check_lookups(guard, (*named, *lookups))

    def before_columns(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_columns(guard, (*arguments[1:], *named))

    def before_raw(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        statement = arguments[1] if len(arguments) > 1 else named.get("raw_query")
        check_statement(guard, statement, (Dialect.ANSI,))

    def before_extra(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for given in (*arguments[1:], *named.values()):
            values = given.values() if isinstance(given, dict) else given
            for text in values if isinstance(values, (list, tuple, type({}.values()))) else ():
                if isinstance(text, str):
                    check_statement(guard, text, (Dialect.ANSI,))

    for name in ("filter", "exclude", "get", "aget"):
        wrap(queries, name, before_filter)
    wrap(queries, "order_by", lambda a, n: check_order(guard, a[1:]))
    for name in ("values", "values_list", "only", "defer", "distinct", "dates"):
        wrap(queries, name, before_columns)
    for name in ("annotate", "alias", "aggregate"):
        wrap(queries, name, lambda a, n: check_columns(guard, n))
    wrap(queries, "raw", before_raw)
    wrap(queries, "extra", before_extra)


def patch_django_q(guard: Guard, module: ModuleType) -> None:
    """Watch `Q(**event)`, whose keywords are those of a filter, and options beside."""
    wrap(vars(module)["Q"], "__init__", lambda a, n: check_lookups(guard, n))


def _keywords(*paths: str) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        for path in paths:
            owner, _, name = path.partition(".")
            kind = getattr(module, owner, None)
            if callable(getattr(kind, name, None)):
                wrap(kind, name, lambda a, n: check_lookups(guard, n))

    return patch


PATCHES: dict[str, Patch] = {
    "django.db.models.query": patch_django_query,
    "django.db.models.query_utils": patch_django_q,
    "sqlalchemy.sql.selectable": _keywords("Select.filter_by"),
    "sqlalchemy.sql.dml": _keywords("DMLWhereBase.filter_by"),
    "sqlalchemy.orm.query": _keywords("Query.filter_by"),
    "tortoise.queryset": _keywords("QuerySet.filter", "QuerySet.exclude", "QuerySet.get"),
    "mongoengine.queryset.base": _keywords("BaseQuerySet.__call__", "BaseQuerySet.filter"),
    "peewee": _keywords("Model.get_or_none", "ModelSelect.filter", "Model.filter"),
}
