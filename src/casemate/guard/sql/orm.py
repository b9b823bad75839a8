"""Mappers of objects: which column is asked for is structure, and some take it by keyword.

`User.objects.filter(**event)` lets the event ask for any column and through every relation:
`password__startswith`, `_connector`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import wrap
from ..plain_names import is_plain
from ..sink import Patch
from ..standing import wrap_after
from ..verdict import Verdict
from .statements import NAME, check_statement
from .tokens import Dialect

_FIX_LOOKUP = (
    "name the columns in the code: filter(name=event['name']), or take them from a collection "
    "(`{k: v for k, v in event.items() if k in ALLOWED}`)"
)
_FIX_ORDER = "choose the column from a collection in the code (`if column not in ALLOWED: raise`)"
_MAX_DEPTH = 20
_COMPARISONS = frozenset(
    [
        *("exact", "iexact", "contains", "icontains", "startswith", "istartswith", "endswith"),
        *("iendswith", "gt", "gte", "lt", "lte", "in", "range", "isnull", "date", "year", "month"),
        *("day", "week_day", "hour", "quarter"),
    ]
)
"""Of Django; a pattern (`regex`) is more than a comparison."""
_PATTERNS = frozenset(("regex", "iregex", "regexp"))
_OF_PEEWEE = frozenset(
    [
        *("eq", "ne", "lt", "lte", "gt", "gte", "in", "is", "like", "ilike", "contains"),
        *("startswith", "endswith", "between"),
    ]
)
_MARK = "casemate_chosen"
"""On a query of Django's, which its copies keep: what the event has chosen in it."""


def compares(guard: Guard, keyword: object, comparisons: Collection[str] = _COMPARISONS) -> bool:
    """Tell whether a keyword compares one column of the model itself: `sold__gte`, `city`.

    By a pattern it does where the code names that comparison by itself.
    """
    if not isinstance(keyword, str) or keyword.startswith("_"):
        return False
    column, _, comparison = keyword.partition("__")
    if not is_plain(column):
        return False
    if comparison in _PATTERNS:
        return guard.constants.holds(comparison)
    return comparison == "" or comparison in comparisons


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


def _mark(guard: Guard, query_set: Any, names: list[str]) -> None:
    verdict = _chosen(guard, names, "chooses by which column rows are written", _FIX_LOOKUP)
    if verdict is not None:
        vars(query_set.query)[_MARK] = verdict


def patch_django_query(guard: Guard, module: ModuleType) -> None:
    """Watch Django's query sets: keywords of filters, names of columns, raw SQL."""
    queries: Any = vars(module)["QuerySet"]

    def lookups(arguments: tuple[Any, ...], named: dict[str, Any]) -> list[object]:
        return [*named, *(name for q in arguments[1:] for name in _names_in(q))]

    def before_get(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_lookups(guard, lookups(arguments, named))

    def before_filter(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_lookups(guard, [n for n in lookups(arguments, named) if not compares(guard, n)])

    def after_filter(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        """Note what was chosen: rows may be read by it, not written."""
        if guard.active:
            given = [n for n in lookups(arguments, named) if isinstance(n, str)]
            guard.decide(NAME, lambda: _mark(guard, result, given))

    def before_write(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        verdict = vars(arguments[0].query).get(_MARK)
        if verdict is not None:
            guard.decide(NAME, lambda: verdict)

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

    for name in ("filter", "exclude"):
        wrap(queries, name, before_filter)
        wrap_after(queries, name, after_filter)
    for name in ("get", "aget"):
        wrap(queries, name, before_get)
    for name in ("delete", "update"):  # what `adelete` and `aupdate` end in
        wrap(queries, name, before_write)
    wrap(queries, "order_by", lambda a, n: check_order(guard, a[1:]))
    for name in ("values", "values_list", "only", "defer", "distinct", "dates"):
        wrap(queries, name, before_columns)
    for name in ("annotate", "alias", "aggregate"):
        wrap(queries, name, lambda a, n: check_columns(guard, n))
    wrap(queries, "raw", before_raw)
    wrap(queries, "extra", before_extra)


def patch_django_q(guard: Guard, module: ModuleType) -> None:
    """Watch `Q(**event)`, whose keywords are those of a filter, and options beside."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_lookups(guard, [name for name in named if not compares(guard, name)])

    wrap(vars(module)["Q"], "__init__", before)


def _keywords(*paths: str, reads: Collection[str] | None = None) -> Patch:
    """Return a patch of methods that take columns by keyword.

    `reads`: of statements that only read, where a column may be chosen that is compared, by these
    comparisons beside equality.
    """

    def patch(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            check_lookups(
                guard, [n for n in named if reads is None or not compares(guard, n, reads)]
            )

        for path in paths:
            owner, _, name = path.partition(".")
            kind = getattr(module, owner, None)
            if callable(getattr(kind, name, None)):
                wrap(kind, name, before)

    return patch


PATCHES: dict[str, Patch] = {
    "django.db.models.query": patch_django_query,
    "django.db.models.query_utils": patch_django_q,
    "sqlalchemy.sql.selectable": _keywords("Select.filter_by", reads=()),
    "sqlalchemy.sql.dml": _keywords("DMLWhereBase.filter_by"),
    "sqlalchemy.orm.query": _keywords("Query.filter_by"),
    "tortoise.queryset": _keywords("QuerySet.filter", "QuerySet.exclude", "QuerySet.get"),
    "mongoengine.queryset.base": _keywords("BaseQuerySet.__call__", "BaseQuerySet.filter"),
    "peewee": _keywords(
        "Model.get_or_none", "ModelSelect.filter", "Model.filter", reads=_OF_PEEWEE
    ),
}
