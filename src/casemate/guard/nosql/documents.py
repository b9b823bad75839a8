"""Queries that are documents: which of their keys are operators, and are these from outside?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import Guard
from ..identity import identity
from ..notes import DERIVED
from ..origin import Origin
from ..pieces import as_text
from ..plain_names import is_hidden, is_of_all, is_of_one, is_plain, is_whose
from ..quoted import judge
from ..verdict import Verdict
from .languages import FIX_SCALAR, JAVASCRIPT, JSON, judge_lucene, judge_pattern

_MAX_NODES = 500_000
_CODE = frozenset(("$where", "$function", "$accumulator", "body", "init", "accumulate", "merge"))
_COMPARISONS = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"))
_ACCUMULATORS = frozenset(("$sum", "$avg", "$min", "$max", "$first", "$last"))
_PAGING = frozenset(("$limit", "$skip"))
_SCALARS = (str, int, float, bool, bytes)
_PATTERNS = frozenset(("$regex", "$regexp"))
_SCRIPTS = frozenset(("source", "inline"))


class Walk:
    """One look at a document."""

    def __init__(self, guard: Guard, *, search: bool = False, reads: bool = False) -> None:
        """`search`: the document is one of Elasticsearch's language, where any object is code.

        `reads`: it asks and changes nothing, so that the event may choose how a value is compared.
        """
        self._guard = guard
        self._search = search
        self._reads = reads

    def verdict(self, document: Any) -> Verdict | None:
        """Return a verdict if operators, or code, came from outside."""
        todo: list[tuple[Any, str]] = [(document, "")]
        for _ in range(_MAX_NODES):
            if not todo:
                return None
            item, key = todo.pop()
            verdict = None
            if isinstance(item, Mapping):
                verdict = self._mapping(item, key)
                todo += [
                    (value, name if isinstance(name, str) else "") for name, value in item.items()
                ]
            elif isinstance(item, (list, tuple)):
                todo += [(value, key) for value in item]
            elif isinstance(item, (str, bytes)):
                verdict = self._text(item, key)
            else:
                verdict = self._code(item)
            if verdict is not None:
                return verdict
        raise ValueError(f"the query has more than {_MAX_NODES} parts")

    def _mapping(self, item: Mapping[Any, Any], field: str) -> Verdict | None:
        whole = self._guard.whole(item)
        if self._search and whole is not None and item:
            words = "is an object of the query, where a value is meant"
            return Verdict(whole, words, FIX_SCALAR)
        spliced = self._spliced(item)
        if spliced is not None:
            return spliced
        for key in item:
            if not isinstance(key, str) or not (key.startswith("$") or "." in key):
                continue
            kept = self._kept(key) if whole is None else None
            if whole is None and kept is None and self._compares(field, key, item[key]):
                continue
            if self._pages(item, key, field):
                continue
            origin = whole or kept or self._of_key(key)
            if origin is not None and (whole is not None or key.startswith("$")):
                words = "brings an operator" if key[0] == "$" else "brings a path of fields"
                return Verdict(origin, f"{words} of the query", FIX_SCALAR)
        return None

    def _compares(self, field: str, key: str, value: Any) -> bool:
        """Tell whether a field that is not hidden is compared, or summed up, in a query alone."""
        if not self._reads or not isinstance(value, _SCALARS):
            return False
        if key in _ACCUMULATORS and isinstance(value, str):
            return not is_hidden(value.rpartition(".")[2].lstrip("$"))
        if key not in _COMPARISONS:
            return False
        # Whoever has to know all of it is let in by what is greater than nothing.
        if key != "$eq" and (is_whose(field) or (is_of_one(field) and not is_of_all(field))):
            return False
        return bool(field) and not field.startswith("$") and not is_hidden(field)

    def _pages(self, item: Mapping[Any, Any], key: str, field: str) -> bool:
        """Tell whether a stage of a query chooses how many documents are answered, or in order."""
        if not self._reads or field or len(item) != 1:
            return False
        value = item[key]
        if key in _PAGING:
            return type(value) is int and value >= 0
        ordered = key == "$sort" and isinstance(value, Mapping)
        return ordered and all(
            isinstance(name, str) and is_plain(name) and type(way) is int
            for name, way in value.items()
        )

    def _of_key(self, key: str) -> Origin | None:
        """Return where a key is from. The code's own `$gt` is another object than the event's."""
        taint = self._guard.taint
        own = taint.is_of(key) if taint is not None else None
        if own is not None:
            return own if self._guard.check_of(key) != "member" else None
        spans = self._guard.spans(key)
        chosen = next((s for s in spans if not s.vouched), None)
        return chosen.origin if chosen is not None else None

    def _kept(self, key: str) -> Origin | None:
        """Return where an operator is from that was read from JSON which the code has kept.

        The code's own is another object, and so is one that it has put together.
        """
        guard = self._guard
        own = key[0] != "$" or guard.constants.is_literal(key)
        made = None if own else guard.provenance.of(key)
        if own or (made is not None and made.kind != DERIVED) or guard.check_of(key) == "member":
            return None
        return guard.key(key)

    def _spliced(self, item: Mapping[Any, Any]) -> Verdict | None:
        """Judge the JSON that a document was read from, if the code put it together."""
        known = self._guard.provenance.objects.get(identity(item))
        if known is None or known[0] is not item:
            return None
        for source in known[1]:
            if isinstance(source, (str, bytes)):
                text, spans = as_text(source), self._guard.spans(source)
                if spans and text.lstrip()[:1] in ("{", "["):
                    covered = sum(s.end - s.start for s in spans)
                    verdict = judge(text, spans, JSON) if covered < len(text) else None
                    if verdict is not None:
                        return verdict
        return None

    def _text(self, item: str | bytes, key: str) -> Verdict | None:
        if key in _CODE or (self._search and key in _SCRIPTS):
            return self._judged(item, "code")
        if key in _PATTERNS:
            return self._judged(item, "pattern")
        if self._search and key == "query_string":
            return self._judged(item, "lucene")
        return None

    def _judged(self, item: str | bytes, kind: str) -> Verdict | None:
        spans = self._guard.spans(item)
        if not spans:
            return None
        text = as_text(item)
        if kind == "code":
            return judge(text, spans, JAVASCRIPT)
        return judge_pattern(text, spans) if kind == "pattern" else judge_lucene(text, spans)

    def _code(self, item: Any) -> Verdict | None:
        """Judge bson.Code and compiled patterns."""
        pattern = getattr(item, "pattern", None)
        if isinstance(pattern, (str, bytes)) and hasattr(item, "flags"):
            return self._judged(pattern, "pattern")
        return None
