"""Where each NoSQL driver takes its queries. All by wrappers: no audit event carries them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from .. import aws_calls
from ..core import Guard
from ..hooks import Before, argument, wrap
from ..notes import DERIVED
from ..origin import Span
from ..pieces import as_text
from ..quoted import judge
from ..sink import Patch
from ..sql import structure
from ..sql.tokens import Dialect
from ..verdict import Verdict
from .documents import Walk
from .languages import (
    EXPRESSION,
    FIX_SCALAR,
    LUA,
    judge_command,
    judge_glob,
    judge_index,
    judge_lucene,
)

NAME = "nosql"


def check_document(
    guard: Guard, *documents: Any, search: bool = False, reads: bool = False
) -> None:
    """Block a query (BlockedError) whose operators came from outside."""
    if guard.active and any(documents):
        walk = Walk(guard, search=search, reads=reads)

        def question() -> Verdict | None:
            return next((v for d in documents if d and (v := walk.verdict(d)) is not None), None)

        guard.decide(NAME, question)


# -- MongoDB ---------------------------------------------------------------------------------------

MONGO: dict[str, tuple[tuple[int, str], ...]] = {
    "find": ((1, "filter"), (2, "projection")),
    "find_one": ((1, "filter"), (2, "projection")),
    "find_raw_batches": ((1, "filter"),),
    "count_documents": ((1, "filter"),),
    "count": ((1, "filter"),),
    "delete_one": ((1, "filter"),),
    "delete_many": ((1, "filter"),),
    "remove": ((1, "spec_or_id"),),
    "update_one": ((1, "filter"), (2, "update")),
    "update_many": ((1, "filter"), (2, "update")),
    "update": ((1, "spec"), (2, "document")),
    "replace_one": ((1, "filter"), (2, "replacement")),
    "find_one_and_delete": ((1, "filter"),),
    "find_one_and_replace": ((1, "filter"), (2, "replacement")),
    "find_one_and_update": ((1, "filter"), (2, "update")),
    "find_and_modify": ((1, "query"), (2, "update")),
    "distinct": ((2, "filter"),),
    "aggregate": ((1, "pipeline"),),
    "aggregate_raw_batches": ((1, "pipeline"),),
}
"""Methods of collections with what of their arguments is a query."""
READING = frozenset(
    ("find", "find_one", "find_raw_batches", "count_documents", "count", "distinct", "aggregate")
)


def _patch_collection(guard: Guard, module: ModuleType) -> None:
    for name in ("Collection", "AsyncCollection", "AgnosticCollection"):
        owner = vars(module).get(name)
        for base in owner.__mro__ if isinstance(owner, type) else ():
            for method, places in MONGO.items():
                if method in vars(base) and base.__module__ == module.__name__:
                    _watch_documents(guard, base, method, places)
            if "bulk_write" in vars(base) and base.__module__ == module.__name__:
                _watch_bulk(guard, base, "requests")


def _watch_documents(
    guard: Guard, owner: Any, method: str, places: tuple[tuple[int, str], ...]
) -> None:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        documents = [argument(arguments, named, place, name) for place, name in places]
        check_document(guard, *documents, reads=method in READING)

    wrap(owner, method, before)


def _watch_bulk(guard: Guard, owner: Any, *names: str) -> None:
    """Watch writes of many: `UpdateOne(filter, update)` and the like."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = argument(arguments, named, 1, *names)
        for write in given if isinstance(given, (list, tuple)) else ():
            query = getattr(write, "_filter", None)
            if query is not None:  # what is only stored has none
                check_document(guard, query, getattr(write, "_doc", None))

    wrap(owner, "bulk_write", before)


def _patch_client(guard: Guard, module: ModuleType) -> None:
    for name in ("MongoClient", "AsyncMongoClient"):
        owner = vars(module).get(name)
        if isinstance(owner, type) and "bulk_write" in vars(owner):
            _watch_bulk(guard, owner, "models")


_MAP_REDUCE = ("map", "reduce", "finalize")


def _watch_commands(guard: Guard, owner: Any) -> None:
    """Watch `command({"aggregate": ...})` and `command("aggregate", ..., pipeline=[...])`."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        command = argument(arguments, named, 1, "command")
        if isinstance(command, str):
            guard.check(NAME, command, judge_command)
        elif isinstance(command, Mapping):
            guard.decide(NAME, lambda: _chosen(guard, command))
        given = command if isinstance(command, Mapping) else {}
        code = [d[name] for d in (given, named) for name in _MAP_REDUCE if name in d]
        check_document(guard, command, dict(named), {"$where": code})

    wrap(owner, "command", before)


def _chosen(guard: Guard, command: Mapping[Any, Any]) -> Verdict | None:
    name = next(iter(command), "")
    origin = guard.whole(command)
    if origin is not None:
        return Verdict(origin, "chooses the command", FIX_SCALAR)
    return judge_command(name, guard.spans(name)) if isinstance(name, str) else None


def _patch_database(guard: Guard, module: ModuleType) -> None:
    for name in ("Database", "AsyncDatabase"):
        owner = vars(module).get(name)
        if isinstance(owner, type):
            _watch_commands(guard, owner)
            if "aggregate" in vars(owner):
                _watch_documents(guard, owner, "aggregate", ((1, "pipeline"),))


# -- Redis -----------------------------------------------------------------------------------------

_SCRIPTS = frozenset(("EVAL", "EVAL_RO", "SCRIPT LOAD", "FUNCTION LOAD"))
_SEARCHES = frozenset(("FT.SEARCH", "FT.AGGREGATE"))
_PATTERNS = {"KEYS": 1, "PSUBSCRIBE": 1, "CONFIG GET": 1}


_LIMITS = re.compile(r"(?:EX|PX|EXAT|PXAT|COUNT|LIMIT \d{1,19}) \d{1,19}", re.IGNORECASE)
"""Options that say for how long, or how many."""
_FIX_CUT = "hand over the words of a command one by one: execute_command('SET', name, value)"


def _patch_redis(guard: Guard, module: ModuleType) -> None:
    for name in ("Redis", "Pipeline", "PubSub", "StrictRedis", "Valkey"):
        owner = vars(module).get(name)
        if isinstance(owner, type) and "execute_command" in vars(owner):
            wrap(owner, "execute_command", lambda a, n: check_command(guard, a[1:]))


def _patch_scripts(guard: Guard, module: ModuleType) -> None:
    """Watch scripts where they are registered: the server may know them when they are called."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_command(guard, ("SCRIPT LOAD", argument(arguments, named, 1, "script")))

    for name in ("ScriptCommands", "AsyncScriptCommands"):
        owner = vars(module).get(name)
        if isinstance(owner, type) and "register_script" in vars(owner):
            wrap(owner, "register_script", before)


def check_command(guard: Guard, words: tuple[Any, ...]) -> None:
    """Block a command (BlockedError) that the event has chosen, or a script that it has changed."""
    if guard.active and words:
        guard.decide(NAME, lambda: _command(guard, words))


def _cut(guard: Guard, command: str | bytes) -> Verdict | None:
    """Return a verdict if the code cut a line into a command, and data in it is many words."""
    made = guard.provenance.of(command)
    line = made.parts[0] if made is not None and made.kind == DERIVED and made.parts else ""
    for span in guard.spans(line) if isinstance(line, str) else ():
        part = line[span.start : span.end].strip()
        many = len(part.split()) > 1 and not _LIMITS.fullmatch(part)
        if many and span.exact and not span.vouched:
            return Verdict(span.origin, "becomes more than one argument", _FIX_CUT)
    return None


def _command(guard: Guard, words: tuple[Any, ...]) -> Verdict | None:
    command = words[0]
    if not isinstance(command, (str, bytes)):
        return None
    spans = guard.spans(command)
    verdict = judge_command(as_text(command), spans) if spans else None
    verdict = verdict or _cut(guard, command)
    if verdict is not None:
        return verdict
    name = as_text(command).upper()
    if name in _SCRIPTS and len(words) > 1 and isinstance(words[1], (str, bytes)):
        spans = guard.spans(words[1])
        return judge(as_text(words[1]), spans, LUA) if spans else None
    if name in _SEARCHES and len(words) > 2 and isinstance(words[2], (str, bytes)):
        spans = guard.spans(words[2])
        return judge_lucene(as_text(words[2]), spans) if spans else None
    for pattern in _patterns(name, words):
        spans = guard.spans(pattern)
        verdict = judge_glob(as_text(pattern), spans) if spans else None
        if verdict is not None:
            return verdict
    return None


def _patterns(name: str, words: tuple[Any, ...]) -> list[str | bytes]:
    """Return the arguments of a command that are patterns of keys."""
    found: list[Any] = []
    if name in _PATTERNS:
        found = list(words[1:])
    elif name in ("SCAN", "HSCAN", "SSCAN", "ZSCAN", "SORT"):
        marks = (b"MATCH", "MATCH", b"BY", "BY", b"GET", "GET")
        found = [after for before, after in itertools.pairwise(words) if before in marks]
    return [word for word in found if isinstance(word, (str, bytes))]


# -- AWS -------------------------------------------------------------------------------------------

_ANSI = (Dialect.ANSI,)
EXPRESSIONS = (
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "ConditionExpression",
    "UpdateExpression",
)
_CONDITIONS = ("ScanFilter", "QueryFilter", "KeyConditions", "Expected", "AttributeUpdates")
_STATEMENTS = {
    "dynamodb": ("Statement",),
    "athena": ("QueryString",),
    "rds-data": ("sql",),
    "redshift-data": ("Sql",),
    "timestream-query": ("QueryString",),
    "s3": ("Expression",),
}


@aws_calls.looking
def _check_aws(guard: Guard, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    if service not in _STATEMENTS:
        return
    statements = [parameters, *(s for s in parameters.get("Statements", ()) if s)]
    statements += [s for s in parameters.get("TransactStatements", ()) if s]
    for given in statements:
        for name in _STATEMENTS[service]:
            text = given.get(name) if isinstance(given, Mapping) else None
            if isinstance(text, str):
                guard.check("sql", text, lambda t, spans: structure.judge(t, spans, _ANSI))
    if service == "dynamodb":
        nested = [v for i in parameters.get("TransactItems", ()) for v in i.values()]
        for given in (parameters, *nested):
            for name in EXPRESSIONS:
                text = given.get(name)
                if isinstance(text, str):
                    guard.check(NAME, text, lambda t, spans: judge(t, spans, EXPRESSION))
            for name in _CONDITIONS:
                _check_conditions(guard, given.get(name))


def _check_conditions(guard: Guard, conditions: Any) -> None:
    """Block conditions of the older kind (BlockedError) whose operator the event has chosen."""
    for condition in conditions.values() if isinstance(conditions, Mapping) else ():
        for name in ("ComparisonOperator", "Action"):
            chosen = condition.get(name) if isinstance(condition, Mapping) else None
            if isinstance(chosen, str):
                guard.check(NAME, chosen, _judge_operator)


def _judge_operator(text: str, spans: Sequence[Span]) -> Verdict | None:
    chosen = next((s for s in spans if not s.vouched), None)
    return Verdict(chosen.origin, "brings an operator of the query", FIX_SCALAR) if chosen else None


# -- Elasticsearch and OpenSearch ------------------------------------------------------------------

_QUERYING = ("_search", "_count", "_delete_by_query", "_update_by_query", "_msearch", "_validate")
_SCRIPTING = ("_update", "_scripts")


def _patch_elastic(guard: Guard, module: ModuleType) -> None:
    """Watch a transport: method, path, and named or placed parameters and body."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        path = str(argument(arguments, named, 2, "target", "path", "url") or "")
        body = named.get("body")
        parameters = named.get("params")
        if any(part in path for part in _QUERYING):
            check_document(guard, body, search=True)
            for text in _query_strings(path, parameters, body):
                guard.check(NAME, text, judge_lucene)
        elif any(part in path for part in _SCRIPTING) and isinstance(body, Mapping):
            check_document(guard, {"script": body.get("script")}, search=True)

    for name in ("Transport", "AsyncTransport", "BaseClient"):
        owner = vars(module).get(name)
        if isinstance(owner, type) and "perform_request" in vars(owner):
            wrap(owner, "perform_request", before)


_INDEX_METHODS = ("search", "count", "delete_by_query", "update_by_query", "open_point_in_time")
_INDICES_METHODS = ("delete", "close", "put_settings", "put_mapping", "refresh", "get")


def _patch_indices(guard: Guard, module: ModuleType) -> None:
    """Watch the names of indices where they are given: in a path they have no origin any more."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = named.get("index")
        for index in given if isinstance(given, (list, tuple)) else (given,):
            if isinstance(index, str):
                guard.check(NAME, index, judge_index)

    for name in ("Elasticsearch", "AsyncElasticsearch", "OpenSearch", "AsyncOpenSearch"):
        _watch_indices(vars(module).get(name), _INDEX_METHODS, before)
    _watch_indices(vars(module).get("IndicesClient"), _INDICES_METHODS, before)


def _watch_indices(owner: Any, methods: Sequence[str], before: Before) -> None:
    for method in methods if isinstance(owner, type) else ():
        if method in vars(owner):
            wrap(owner, method, before)


def _query_strings(path: str, parameters: Any, body: Any) -> list[str]:
    found: list[Any] = [parameters.get("q")] if isinstance(parameters, Mapping) else []
    todo: list[Any] = [body]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            asked = item.get("query_string")
            if isinstance(asked, Mapping):
                found.append(asked.get("query"))
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
    return [text for text in found if isinstance(text, str)]


PATCHES: dict[str, Patch] = {
    "pymongo.synchronous.collection": _patch_collection,
    "pymongo.asynchronous.collection": _patch_collection,
    "pymongo.synchronous.database": _patch_database,
    "pymongo.asynchronous.database": _patch_database,
    "pymongo.synchronous.mongo_client": _patch_client,
    "pymongo.asynchronous.mongo_client": _patch_client,
    "pymongo.collection": _patch_collection,
    "pymongo.database": _patch_database,
    "mongomock.collection": _patch_collection,
    "redis.commands.core": _patch_scripts,
    "valkey.commands.core": _patch_scripts,
    "redis.client": _patch_redis,
    "redis.asyncio.client": _patch_redis,
    "valkey.client": _patch_redis,
    "valkey.asyncio.client": _patch_redis,
    "botocore.client": aws_calls.patch,
    "elasticsearch._sync.client._base": _patch_elastic,
    "elasticsearch._async.client._base": _patch_elastic,
    "elasticsearch._sync.client": _patch_indices,
    "elasticsearch._async.client": _patch_indices,
    "elasticsearch._sync.client.indices": _patch_indices,
    "elasticsearch._async.client.indices": _patch_indices,
    "opensearchpy.client": _patch_indices,
    "opensearchpy.client.indices": _patch_indices,
    "opensearchpy._async.client": _patch_indices,
    "opensearchpy._async.client.indices": _patch_indices,
    "elasticsearch.transport": _patch_elastic,
    "opensearchpy.transport": _patch_elastic,
    "opensearchpy._async.transport": _patch_elastic,
}
