"""What is known of the language's own functions and of a few libraries: what they give."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from casemate.audit.flow import characters, texts
from casemate.audit.flow.library import safe
from casemate.audit.flow.state import Instance, Sequence, State
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    ANY_TEXT,
    ANYTHING,
    CLEAN,
    Const,
    Taints,
    Text,
    Unknown,
    Value,
    few,
    join,
    known_text,
    options,
    text_of,
)
from casemate.audit.javascript import calls, objects, patterns, sources
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import (
    UNDEFINED,
    true_of,
)

Made = Callable[[Any, list[Value], State, Node], Value | None]
_MARKUP = frozenset(("<", ">", "'", '"'))
_ENCODED = characters.all_but("-_.!~*'()%a")
_QUOTES = frozenset(("'", '"'))

_WITHOUT: dict[str, frozenset[str]] = {
    **dict.fromkeys(("encodeURIComponent", "querystring.escape"), _ENCODED),
    "encodeURI": frozenset(("<", ">", '"', " ", "\n", "\r", "|", "`", "{", "}", "\\")),
    **dict.fromkeys(
        (
            *("escape-html", "he.encode", "he.escape", "lodash.escape", "validator.escape"),
            *("html-entities.encode", "sanitize-html", "xss", "dompurify.sanitize", "escapeHtml"),
            *("isomorphic-dompurify.sanitize", "lodash.escape", "entities.encodeHTML", "_.escape"),
            *("underscore.escape", "html-escaper.escape", "DOMPurify.sanitize", "xss.filterXSS"),
            *("handlebars.escapeExpression", "handlebars.Utils.escapeExpression", "hono/html.html"),
        ),
        _MARKUP,
    ),
    **dict.fromkeys(
        (
            *("pg-format.literal", "pg-format.ident", "pg-format.string"),
        ),
        characters.PLAIN,
    ),
    "path.basename": frozenset(("/", "../")),
    "path.posix.basename": frozenset(("/", "../")),
    "path.win32.basename": frozenset(("/", "\\", "../")),
    "sanitize-filename": frozenset(("/", "\\", "../")),
    **dict.fromkeys(("slugify", "lodash.kebabCase", "lodash.camelCase", "lodash.snakeCase",
                     "@sindresorhus/slugify"), characters.all_but("-_a")),
    **dict.fromkeys(("lodash.escapeRegExp", "escape-string-regexp"), frozenset("()*+.[]{}^$|\\")),
    **dict.fromkeys(("shell-quote.quote", "shell-escape", "shescape.quote", "shescape.escape"),
                    frozenset(";|&$`\n")),
    "btoa": characters.all_but("+/=a"),
}  # fmt: skip
_SQL_ESCAPES = frozenset(("escape", "escapeId", "escapeLiteral", "escapeIdentifier"))
_SQL_CLIENTS = frozenset(
    ("mysql", "mysql2", "mariadb", "promise-mysql", "serverless-mysql", "sqlstring", "pg")
)
"""What the modules, pools and connections of clients of databases have in common."""
_SAME_TEXT = frozenset(
    (
        *("decodeURIComponent", "decodeURI", "unescape", "atob", "querystring.unescape"),
        *("he.decode", "structuredClone", "lodash.cloneDeep", "lodash.clone"),
        *("util.promisify", "Object.freeze", "Object.seal", "lodash.trim"),
        *("lodash.toLower", "Promise.resolve", "lodash.get", "pg-format"),
        "pg-format.format",
    )
)
_NUMBERS = frozenset(
    ("Number", "parseInt", "parseFloat", "Number.parseInt", "Number.parseFloat", "BigInt",
     "Math.floor", "Math.round", "Math.ceil", "Math.abs", "Math.max", "Math.min", "Math.trunc",
     "Math.random", "Date.now", "Date.parse", "lodash.toNumber", "lodash.toInteger")
)  # fmt: skip
_PARSERS = frozenset(
    (
        *(
            "JSON.parse",
            "querystring.parse",
            "qs.parse",
            "json5.parse",
            "js-yaml.load",
        ),
        *(
            "yaml.parse",
            "js-yaml.safeLoad",
            "Object.fromEntries",
        ),
        *(
            "secure-json-parse.parse",
            "@hapi/bourne.parse",
            "url.parse",
        ),
        *(
            "querystring.decode",
            "cookie.parse",
            "papaparse.parse",
        ),
        *(
            "xml2js.parseStringPromise",
            "@aws-sdk/util-dynamodb.unmarshall",
        ),
        *(
            "aws-sdk.DynamoDB.Converter.unmarshall",
            "ini.parse",
        ),
    )
)


def call(
    reader: Reader, name: str, given: list[Value], receiver: Value | None, state: State, node: Node
) -> Value | None:
    """Return what a known function gives; None if it is not one of these."""
    found = _TABLE.get(name)
    if found is not None:
        return found(reader, given, state, node)
    first = given[0] if given else UNDEFINED
    written = of_sql(name, first, state)
    if written is not None:
        return written
    without = _WITHOUT.get(name) or _WITHOUT.get(name.replace("()", ""))
    if without is not None:
        if name == "encodeURI" and isinstance(first, Text) and len(first.parts) > 1:
            return Text(
                tuple(  # what an address is written with, its host first, stays as it is
                    part if isinstance(part, str) else _cleaned(part, state, name, without)
                    for part in first.parts
                )
            )
        kept = _cleaned(few(state.deep(first)), state, name, without)
        return Text((kept,)) if kept else ANY_TEXT
    if name in _SAME_TEXT or name.rpartition(".")[2].startswith("captureAWS"):
        return first
    if name in _NUMBERS:
        text = known_text(first)
        if name in ("Number", "parseInt", "parseFloat") and text is not None and text.isdigit():
            return Const(int(text[:15]))
        return ANY_NUMBER
    if name in _PARSERS:
        return _parsed(first, state)
    if name.startswith("Buffer.from()") or name.startswith("Buffer.alloc"):
        return first if name == "Buffer.from" else ANYTHING
    return None


def of_sql(name: str, first: Value, state: State) -> Value | None:
    """Return a value as a client of a database writes it, or a statement that it fills in.

    `mysql2.createPool().escape`, `mysql2/promise.format`: None if the call is no such one. What has
    only the name of a method is taken for a client's: `.escape`.
    """
    package, _, method = name.replace("/", ".").partition(".")
    method = method.rpartition(".")[2]
    if package.partition("(")[0] not in _SQL_CLIENTS and package:
        return None
    if method in _SQL_ESCAPES:
        kept = _cleaned(few(state.deep(first)), state, name, characters.PLAIN)
        return Text((kept,)) if kept else ANY_TEXT
    if method == "format" and (package or _STATEMENT.match(_written(first))):
        return first
    return None


_STATEMENT = re.compile(r"\s{0,40}(?:select|insert|update|delete|replace|with|call)\s", re.I)


def _written(value: Value) -> str:
    """Return what a text begins with."""
    first = value.parts[0] if isinstance(value, Text) and value.parts else known_text(value)
    return first if isinstance(first, str) else ""


def _cleaned(taints: Taints, state: State, name: str, without: frozenset[str]) -> Taints:
    made = texts.derived(taints, state, name, part=True)
    return frozenset(
        replace(t, without=t.without | without, seen=(*t.seen, name)[-6:]) for t in made
    )


def made(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> Value | None:
    """Return an object of one of the language's own classes; None if it is another."""
    first = given[0] if given else UNDEFINED
    if name in ("URL", "url.URL"):
        value = first
        if len(given) > 1:
            value = texts.concatenated(given[1], first, state)
            if not _absolute(first) and not state.deep(first):
                value = given[1]
        attributes = {"=0": first, texts.TEXT: value, "href": value}
        return reader.new(Instance(0, attributes, "URL()"), state)
    if name == "RegExp":
        flags = given[1] if len(given) > 1 else Const("")
        return reader.new(Instance(0, {"=source": first, "=flags": flags}, "RegExp()"), state)
    if name in ("Set", "WeakSet"):
        known, each = patterns.elements(reader, first, state, node)
        items = tuple(known) if known is not None else None
        return reader.new(Sequence(items, None if items is not None else each, "set"), state)
    if name in ("Map", "WeakMap", "Headers"):
        return objects.map_of(reader, first, state, node)
    if name == "Array":
        return reader.new(
            Sequence(
                tuple(given) if len(given) != 1 else None, ANYTHING if len(given) == 1 else None
            ),
            state,
        )
    if name == "Promise":
        return objects.promise(reader, first, state, node)
    if name in ("Date", "Error", "Object", "TypeError", "Number", "Proxy"):
        return ANYTHING if name != "Error" else Unknown(CLEAN, "Error()")
    if name == "String":
        return _string(reader, given, state, node)
    return None


def _absolute(value: Value) -> bool:
    """Return whether a text may be a whole address, whatever base it is given with."""
    text = known_text(value)
    if text is not None:
        return "://" in text
    first = value.parts[0] if isinstance(value, Text) and value.parts else ""
    return isinstance(value, Unknown) or not isinstance(first, str)


def _string(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    value = given[0] if given else Const("")
    text = calls.as_text(reader, value, state)
    if isinstance(text, Unknown):
        safe_ = frozenset(replace(t, safe=t.safe | {"nosql", "attributes"}) for t in text.taints)
        return Text((safe_,)) if safe_ else ANY_TEXT
    return text


def _parsed(first: Value, state: State) -> Value:
    found = []
    for option in options(first):
        if isinstance(option, Unknown):
            taints = option.taints
            if any(state.known_of(t)[1] - t.safe >= sources.NO_OBJECT for t in taints):
                # It is known to be a text; what stands in it may be an object.
                taints = texts.derived(taints, state, "parsed", part=False)
            found.append(sources.parsed(replace(option, taints=taints)))
        elif isinstance(option, Const):
            found.append(ANYTHING)
        else:
            taints = few(
                replace(t, safe=t.safe - sources.NO_OBJECT, without=frozenset())
                for t in texts.derived(state.deep(option), state, "parsed", part=False)
            )
            found.append(Unknown(taints, "", "the data" if taints else ""))
    return join(*found) if found else ANYTHING


def _stringify(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    taints = few(state.deep(given[0])) if given else CLEAN
    inner = frozenset(
        replace(t, without=t.without | {"\n", "\r"}, safe=t.safe | {"nosql"})
        for t in texts.derived(taints, state, "JSON.stringify", part=True)
    )
    return Text(('"', inner, '"')) if inner else ANY_TEXT


def _path_join(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    parts: list[str | Taints] = []
    for number, each in enumerate(given):
        parts += ["/"] if number else []
        parts += [_normal(p, state) for p in texts.parts_of(each, state)]
    return text_of(parts)


def made_shorter(path: Value, state: State) -> Value:
    """Return a path as `path.normalize` and Express make it, before anything is opened."""
    return text_of([_normal(part, state) for part in texts.parts_of(path, state)])


def _normal(part: str | Taints, state: State) -> str | Taints:
    if isinstance(part, str):
        return part
    out = []
    for taint in part:
        without, safe_ = state.known_of(taint)
        out.append(replace(taint, without=without, safe=safe_ | {safe.NORMAL}))
    return few(out)


def _path_resolve(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    """Return a path made absolute: a part that begins with `/` takes the place of all before."""
    last = next((n for n in range(len(given) - 1, -1, -1) if state.deep(given[n])), None)
    if last is None:
        return _path_join(reader, given, state, node)
    parts = [_normal(p, state) for p in texts.parts_of(given[last], state)]
    rootless = parts and not isinstance(parts[0], str) and not _without_root(parts[0], state)
    if rootless or last == 0:
        rest = given[last + 1 :]
        tail: list[str | Taints] = []
        for each in rest:
            tail += ["/", *texts.parts_of(each, state)]
        return text_of([*parts, *tail])
    return _path_join(reader, given, state, node)


def _without_root(taints: Taints, state: State) -> bool:
    return all("/" in state.known_of(t)[0] for t in taints)


def _relative(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    taints = few(state.deep(given[1])) if len(given) > 1 else CLEAN
    return Unknown(texts.derived(taints, state, "relative", part=True), "=relative")


def _boolean(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    known = true_of(given[0], state) if given else False
    return ANY_BOOL if known is None else Const(known)


def _format(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    taints = few(t for each in given for t in state.deep(each))
    first = known_text(given[0]) if given else None
    return Text((first or "", taints)) if taints else ANY_TEXT


def _buffer(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    value = given[0] if given else UNDEFINED
    taints = frozenset(replace(t, without=frozenset()) for t in few(state.deep(value)))
    if isinstance(value, Unknown) and value.path:
        return Unknown(taints, "", value.path)
    return Unknown(taints)


def _cloud_event(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    return sources.event(reader, "topic", "event", node)


def _signed_url(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    """Return an address of AWS that was signed: the data in it chooses no host."""
    return ANY_TEXT


def _number_of(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    return ANY_BOOL


_TABLE: dict[str, Made] = {
    "String": _string,
    "JSON.stringify": _stringify,
    "path.join": _path_join,
    "path.posix.join": _path_join,
    "path.normalize": _path_join,
    "path.resolve": _path_resolve,
    "fs.realpathSync": _path_resolve,
    "path.relative": _relative,
    "Object.keys": objects.keys,
    "Reflect.ownKeys": objects.keys,
    "Object.getOwnPropertyNames": objects.keys,
    "Object.values": objects.values,
    "Object.entries": objects.entries,
    "Object.assign": objects.assign,
    "Object.create": objects.create,
    "Object.defineProperty": objects.define,
    "Promise.all": objects.all_of_them,
    "Promise.allSettled": objects.all_of_them,
    "Promise.race": objects.any_of_them,
    "Promise.any": objects.any_of_them,
    "Array.from": objects.array_from,
    "Array.of": objects.array_of,
    "Boolean": _boolean,
    "util.format": _format,
    "Buffer.from": _buffer,
    "Array.isArray": _number_of,
    "cloudevents.HTTP.toEvent": _cloud_event,
    "@aws-sdk/s3-request-presigner.getSignedUrl": _signed_url,
    "aws-sdk.S3().getSignedUrl": _signed_url,
    "aws-sdk.S3().getSignedUrlPromise": _signed_url,
}
