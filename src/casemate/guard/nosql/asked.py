"""Queries that the function's code hands to an object by a method's name, whatever it belongs to.

A store of its own that knows the operators of MongoDB takes them as that does; a broker takes `+`
and `#` in the filter of a topic for any level (MQTT 5.0, 4.7), one of NATS `*` and `>`. A table
that stands for one of DynamoDB takes expressions by the same names.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MethodType
from typing import Any

from ..core import Guard
from ..lone_signs import origin_of_sign
from ..names import ASKS, OF_TABLES, READS_LEVELS, WATCHED
from ..origin import Span
from ..pieces import as_text
from ..quoted import judge
from ..searching import asks_plainly
from ..sink import CallHook
from ..spans import around
from ..standing import is_own, is_put_together
from ..verdict import Verdict
from . import told
from .drivers import EXPRESSIONS, MONGO, NAME, READING, check_document
from .languages import EXPRESSION, judge_graphql, judge_path, judge_search

_OPERATORS = ("$ne", "$gt", "$regex", "$in", "$exists", "$or", "$lt", "$gte", "$where")
"""What code has that takes operators, one of these at least."""
_MAX_TOPICS = 64
_MAX_QUERY = 16 * 1024
_QUERY_STRINGS = ("query_string", "simple_query_string")
_FIELD = re.compile(r"\w:[\w(\"*\[]")
_OPERATOR = re.compile(r"\b(?:AND|OR|NOT)\b")
"""What a query of Lucene's has beside words."""
_CHANGED = "stands for any level in the filter of a topic"
_DOCUMENT = re.compile(r"\s{0,9}(?:(?:query|mutation|subscription)\b[^{]{0,200})?\{\s{0,99}\w")
_ANY_LEVEL = {
    "/": re.compile(r"(?:(?<=/)|^)[+#](?=/|$)"),
    ".": re.compile(r"(?:(?<=\.)|^)[*>](?=\.|$)"),
}
_FIX_TOPIC = (
    "refuse values with the signs that stand for any level, `+`, `#` and `/`, or choose the topic "
    "from a collection in the code"
)


def _on_asked(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a query (BlockedError) of a store of the code's whose operators came from outside."""
    documents = [one for one in (*arguments, *named.values()) if isinstance(one, Mapping) and one]
    if documents and all(map(asks_plainly, documents)):
        return
    if documents and is_own(guard, function) and any(map(guard.constants.holds, _OPERATORS)):
        reads = getattr(function, "__name__", "") in READING
        check_document(guard, *documents, reads=reads)


def _on_subscribed(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block the filter of a topic (BlockedError) that the event has widened."""
    given = [*arguments[:1], *named.values()]
    for one in [part for item in given for part in (item if isinstance(item, list) else [item])][
        :_MAX_TOPICS
    ]:
        topic = one[0] if isinstance(one, tuple) and one else one
        if isinstance(topic, (str, bytes)) and any(sign in as_text(topic) for sign in "+#*>"):
            guard.check(NAME, topic, judge_topic)
            if not guard.is_own(topic) and is_put_together(guard, topic):
                guard.decide(NAME, functools.partial(_judge_signs, guard, topic))


def _on_levels(guard: Guard, text: Any, *_: Any) -> None:
    """Block a text (BlockedError) that the code cuts into levels of a topic, as `_on_subscribed`.

    Its code has the signs for any level, which it looks for in them.
    """
    if type(text) is not str or guard.constants.is_literal(text):
        return
    wild = "+" in text or "#" in text or "*" in text or ">" in text
    if wild and is_put_together(guard, text):
        guard.check(NAME, text, judge_topic)
        guard.decide(NAME, lambda: _judge_signs(guard, text))


def _judge_signs(guard: Guard, text: str | bytes) -> Verdict | None:
    """Judge levels that are one sign, which is the same object in the event and in the code.

    The event's it is taken for if the event has it as a text, and the code has put it in alone.
    """
    topic = as_text(text)
    levels = set(topic.split("/" if "/" in topic else ".")).intersection("+#*>")
    origin = origin_of_sign(guard, text, levels) if levels else None
    return Verdict(origin, _CHANGED, _FIX_TOPIC) if origin is not None else None


def judge_topic(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data stands for any level in a filter that the code has put together."""
    own = "".join(around(text, spans))
    levels = _ANY_LEVEL["/" if "/" in own else "."]
    if not any(map(str.isalnum, own)) or ("/" not in own and "." not in own):
        return None  # it is the event's to write
    for span in spans:
        found = levels.finditer(text)
        # A sign that the code has as well is no choice of its: each is one object.
        if span.checked != "member" and any(span.start <= m.start() < span.end for m in found):
            return Verdict(span.origin, _CHANGED, _FIX_TOPIC)
    return None


def _on_executed(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a document of GraphQL (BlockedError) that an engine of the code's own is given."""
    text = arguments[0] if arguments else None
    if not isinstance(text, str) or not is_own(guard, function):
        return
    if _DOCUMENT.match(text) is not None and is_put_together(guard, text):
        guard.check(NAME, text, judge_graphql)
    else:
        told.on_told(guard, function, arguments, named)


def _on_searched(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a query (BlockedError) that an engine of the code's own is given: JSONPath, Lucene."""
    given = (*arguments, *named.values())
    for one in (*given, *itertools.chain.from_iterable(map(_queries, given))):
        if type(one) is not str or not 1 < len(one) <= _MAX_QUERY or not is_own(guard, function):
            continue
        if one[0] == "$" and one[1] in ".[" and is_put_together(guard, one):
            guard.check(NAME, one, judge_path)
        elif _FIELD.search(one) and _OPERATOR.search(one) and is_put_together(guard, one):
            guard.check(NAME, one, _judge_lucene)
    told.on_told(guard, function, arguments, named)


def _queries(given: object) -> Iterator[str]:
    """Yield the queries of Lucene's in a document for an engine of search."""
    todo: list[object] = [given] if isinstance(given, Mapping) else []
    for _ in range(_MAX_TOPICS):
        if not todo:
            return
        item = todo.pop()
        if isinstance(item, Mapping):
            todo += item.values()
            asked = [item[name] for name in _QUERY_STRINGS if name in item]
            yield from (a["query"] for a in asked if isinstance(a, Mapping) and "query" in a)
        elif isinstance(item, (list, tuple)):
            todo += item


def _on_expressions(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block an expression (BlockedError) for a table of the code's that takes those of DynamoDB."""
    for name in EXPRESSIONS:
        text = named.get(name)
        if isinstance(text, str) and is_own(guard, function):
            guard.check(NAME, text, lambda t, spans: judge(t, spans, EXPRESSION))


def _judge_lucene(text: str, spans: Sequence[Span]) -> Verdict | None:
    own = "q".join(around(text, spans))
    # The code has written both, so that it is no sentence of somebody's.
    if _FIELD.search(own) is None or _OPERATOR.search(own) is None:
        return None
    return judge_search(text, spans)


def _on_told(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block what an object of the code's is asked by (BlockedError): a text, or a document."""
    told.on_told(guard, function, arguments, named)
    given = (*arguments, *named.values())
    made = [one for one in given if type(one) is dict and one and not asks_plainly(one)]
    # What the event has brought as it is may be looked at first: one that the code made is asked.
    own = [one for one in made if guard.whole(one) is None]
    if own and type(function) is MethodType and function.__name__ not in MONGO:
        _on_asked(guard, function, tuple(own), {})


def _on_found(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    _on_asked(guard, function, arguments, named)
    _on_searched(guard, function, arguments, named)


CALLS: dict[str, CallHook] = {
    READS_LEVELS: _on_levels,
    ASKS: _on_told,
    "execute": _on_executed,
    **dict.fromkeys((name for name in MONGO if name in WATCHED and name != "update"), _on_asked),
    **dict.fromkeys(("find", "find_one"), _on_found),
    **dict.fromkeys(("search", "findall"), _on_searched),
    "subscribe": _on_subscribed,
    **dict.fromkeys(OF_TABLES, _on_expressions),
}
