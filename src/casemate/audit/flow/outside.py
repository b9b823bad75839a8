"""Calls of libraries: sinks are checked, and what comes of the call is told by the tables."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow import checks, definitions, formats, frameworks, names, texts
from casemate.audit.flow.library import (
    clean,
    contexts,
    functions,
    paths,
    patterns,
    safe,
    sources,
    special,
    table,
    telling,
)
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    ANYTHING,
    CLEAN,
    NONE,
    Bound,
    Const,
    External,
    Func,
    Ref,
    Taints,
    Text,
    Tup,
    Unknown,
    Value,
    few,
    join,
    known_text,
    options,
)

_CONTAINERS = {
    "collections.deque": "list",
    "queue.Queue": "queue",
    "queue.SimpleQueue": "queue",
    "queue.LifoQueue": "list",
    "asyncio.Queue": "queue",
    "multiprocessing.Queue": "queue",
}
_MAPPINGS = frozenset(
    (
        *("collections.OrderedDict", "collections.defaultdict", "configparser.ConfigParser"),
        *(
            "configparser.RawConfigParser",
            "configparser.SafeConfigParser",
            "ConfigParser.ConfigParser",
        ),
        *("types.SimpleNamespace", "werkzeug.datastructures.MultiDict", "collections.Counter"),
    )
)
_MADE = frozenset(("make_response", "make_parser", "connect", "client", "resource", "Session"))
_LONGEST = 200


def call(
    reader: Reader,
    name: str,
    receiver: Value | None,
    given: Arguments,
    state: State,
    node: ast.AST,
) -> Value:
    """Return what the call of a library gives."""
    if clean.never_returns(name):
        checked(reader, name, given, state, node)
        return definitions.NEVER
    frameworks.added(reader, name, given, state)
    if isinstance(receiver, Ref):
        of_object = _of_object(reader, name, receiver, given, state, node)
        if of_object is not None:
            return of_object
    checks.by_number(name, given, state)
    checks.by_verification(name, receiver, given, state)
    made = functions.call(reader, name, given, state, node)
    if made is not None:
        checked(reader, name, given, state, node, receiver)
        return made
    sink = checked(reader, name, given, state, node, receiver)
    if name in sources.CALLS:
        return sources.begin(reader, sources.CALLS[name], f"{name}()", node)
    if name in sources.RANDOM:
        return Unknown(frozenset((reader.source(contexts.RANDOM, f"{name}()", node),)))
    made = safe.result(reader, name, given, state, node)
    if made is not None:
        return made
    made = _container(reader, name, given, state)
    if made is not None:
        return made
    called = CLEAN
    if not frameworks.adds(name):
        called = _called_back(reader, name, given, state, node)
    stored = sources.is_stored(name)
    if clean.is_clean(name) or (sink and not stored and not _passes(name)):
        return Unknown(CLEAN, f"{name}()"[:_LONGEST])
    if name in clean.NUMBERS:
        return ANY_NUMBER
    if name in clean.TRUTHS:
        return ANY_BOOL
    return _passed_on(reader, name, receiver, given, called, state, node)


def _of_object(
    reader: Reader, name: str, receiver: Ref, given: Arguments, state: State, node: ast.AST
) -> Value | None:
    """Return what a method gives of objects that are known better: expressions, paths."""
    kind, _, method = name.rpartition(".")
    thing = state.things.get(receiver.number)
    if not isinstance(thing, Instance):
        return None
    if kind == paths.KIND:
        return paths.method(reader, receiver, method, given, state, node)
    if kind == "re.compile()":
        pattern = thing.attributes.get("=pattern")
        text = known_text(pattern) if pattern is not None else None
        return patterns.expression(reader, method, text, given, 0, state, node)
    if kind in functions.BUFFERS and method in ("write", "writelines", "writestr"):
        before = thing.attributes.get(texts.TEXT, Const(""))
        value = given.get(0) or Const("")
        whole = texts.concatenated(before, value, state)
        changed = {**thing.attributes, texts.TEXT: whole}
        state.things[receiver.number] = replace(thing, attributes=changed)
        return ANY_NUMBER
    if method in ("geturl", "getvalue", "read", "getbuffer") and texts.TEXT in thing.attributes:
        return thing.attributes[texts.TEXT]
    return None


_PASSING = frozenset(("deserialisation", "regex", "xml", "format"))


def _passes(name: str) -> bool:
    """Return whether a sink gives back what it was given."""
    return any(row.weakness in _PASSING for row in table.rows_of(name)) or name.endswith(
        ("Markup", "make_response", "mark_safe", "HTMLResponse", "tarfile.open", "ZipFile")
    )


def checked(
    reader: Reader,
    name: str,
    given: Arguments,
    state: State,
    node: ast.AST,
    receiver: Value | None = None,
) -> bool:
    """Tell of outside data in arguments of a sink; return whether it is one."""
    if name.endswith(").append_context"):  # of an application of Powertools
        for key, each in given.named.items():
            context = Unknown(CLEAN, name.replace("append_context", "context"))
            names.keep_item(context, key, state.baked(each), state)
    found = special.check(reader, name, given, state, node, receiver)
    if found is not None:
        return found
    rows = table.rows_of(name)
    for row in rows:
        value = given.get(row.place, *row.names)
        if value is None:
            continue
        taints = contexts.harmful(row.weakness, value, state, reader.kinds)
        if taints:
            reader.report(row.weakness, name, taints, node, row.confidence)
        contexts.look(reader, row.weakness, value, taints, state, node)
    if not rows:
        guessed(reader, name, given, state, node)
    return bool(rows)


def _container(reader: Reader, name: str, given: Arguments, state: State) -> Value | None:
    if name in _CONTAINERS:
        first = given.get(0)
        thing = state.things.get(first.number) if isinstance(first, Ref) else None
        items = thing.items if isinstance(thing, Sequence) else ()
        return reader.new(Sequence(items, None, _CONTAINERS[name]), state)
    if name in _MAPPINGS:
        first = given.get(1 if name.endswith("defaultdict") else 0)
        thing = state.things.get(first.number) if isinstance(first, Ref) else None
        known = dict(thing.known) if isinstance(thing, Mapping) else {}
        known.update({("str", key): value for key, value in given.named.items()})
        kind = name if "ConfigParser" in name else "dict"
        loose = name.endswith("defaultdict")
        return reader.new(Mapping(known, type=kind, open=loose), state)
    return None


def _called_back(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST
) -> Taints:
    """Read functions of the code that are given to a library: it may call them with what it has."""
    found: Taints = CLEAN
    rest = [each for each in given.all() if not isinstance(each, (Func, Bound))]
    for each in given.all():
        inner = each.function if isinstance(each, Bound) else each
        if not isinstance(inner, Func):
            continue
        taints = few(t for other in rest for t in state.deep(other))
        way = state.copy()
        needed = len(inner.node.args.args) - (len(each.arguments) if isinstance(each, Bound) else 0)
        passed: list[Value] = [*rest, *([Unknown(taints)] * needed)]
        passed = passed[: max(needed, 0)]
        if name.endswith(
            ("Thread", "Process", "submit", "run_in_executor", "Timer", "apply_async")
        ):
            passed = _of_thread(given, state, needed) or passed
        found |= state.deep(reader.call(each, Arguments(passed), way, node))
    return found


def _of_thread(given: Arguments, state: State, needed: int) -> list[Value]:
    value = given.named.get("args")
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    items = getattr(thing, "items", None)
    return list(items)[:needed] if isinstance(items, tuple) else []


def _passed_on(
    reader: Reader,
    name: str,
    receiver: Value | None,
    given: Arguments,
    called: Taints,
    state: State,
    node: ast.AST,
) -> Value:
    """Return what a call gives of which nothing is known: what it was given may be in it."""
    taints = few((*called, *(t for each in given.all() for t in state.deep(each))))
    method = name.rpartition(".")[2]
    thing = state.things.get(receiver.number) if isinstance(receiver, Ref) else None
    if isinstance(thing, Instance) and isinstance(receiver, Ref):
        if taints and not method.startswith(("get", "read", "find", "select", "is_")):
            thing = replace(thing, held=few(thing.held | taints))
            state.things[receiver.number] = thing
        if method == "setFeature" or (method.startswith("set_") and len(given.places) == 2):
            _set_option(receiver, thing, given, state)
        taints = few(taints | thing.held)
    elif receiver is not None:
        taints = few(taints | state.deep(receiver))
    if sources.is_stored(name):
        return sources.begin(reader, contexts.STORED, f"{name}()"[:_LONGEST], node)
    if method in clean.METHODS:
        return Unknown(CLEAN, f"{name}()"[:_LONGEST])
    if taints:
        how = ("call", name, getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        doubt = frozenset(
            taint.doubted() for taint in texts.derived(taints, state, how, part=False)
        )
        taints = safe.noted(doubt, name)
    kind = f"{name}()"[:_LONGEST] if name else ""
    if method[:1].isupper() or method in _MADE:
        options_of = {f"={key}": value for key, value in given.named.items()}
        return reader.new(Instance(0, options_of, kind, taints), state)
    return Unknown(taints, kind)


def _set_option(receiver: Ref, thing: Instance, given: Arguments, state: State) -> None:
    """Keep what was set on an object of a library: `parser.setFeature(name, True)`."""
    first, second = given.get(0), given.get(1)
    label = getattr(first, "name", None) or getattr(first, "value", None)
    if isinstance(label, str) and second is not None:
        changed = {**thing.attributes, f"={label.rpartition('.')[2]}": second}
        state.things[receiver.number] = replace(thing, attributes=changed)


def of_unknown(
    reader: Reader,
    receiver: Unknown,
    name: str,
    given: Arguments,
    state: State,
    node: ast.AST,
) -> Value:
    """Return what a method gives of something that is not known."""
    key = known_text(given.places[0]) if name == "get" and given.places else None
    kept = names.kept_item(receiver, key, state) if key is not None else None
    if kept is not None:
        return kept
    request = sources.of_request(reader, receiver, name, node)
    if request is not None:
        return asked(reader, request, given, state, node)
    if receiver.path and receiver.taints:
        return _of_data(reader, receiver, name, given, state, node)
    if receiver.type == "split":
        found = texts.method(receiver, name, given.places, state, node)
        if found is not None:
            return found
        return Text((receiver.taints,)) if name in ("pop", "__getitem__") else Unknown(CLEAN)
    if (not receiver.type or receiver.type.startswith(".")) and receiver.taints:
        guessed(reader, name, given, state, node)
        found = texts.method(receiver, name, given.places, state, node)
        if found is not None:
            return found
    if receiver.type in ("int", "exception"):
        return Unknown(receiver.taints)
    return call(reader, f"{receiver.type or '?'}.{name}", receiver, given, state, node)


_TEXTUAL = frozenset(dir(str)) - frozenset(("get", "items", "keys", "values", "copy", "index"))
_WHOLE = frozenset(
    (
        "items",
        "keys",
        "values",
        "copy",
        "to_dict",
        "dict",
        "model_dump",
        "read",
        "getvalue",
        "json",
        "decode",
        "body",
        "text",
        "lists",
        "stream",
        "aread",
        "form",
        "lower",
        "multi_items",
    )
)


def asked(reader: Reader, value: Value, given: Arguments, state: State, node: ast.AST) -> Value:
    """Return what a method of a request gives: `request.get_header("x")`."""
    first = given.get(0)
    name = known_text(first) if first is not None else None
    if isinstance(value, Unknown) and value.path and name is not None:
        return sources.narrowed(reader, value, f"({name[:60]!r})", node)
    return value


def _of_data(
    reader: Reader, receiver: Unknown, name: str, given: Arguments, state: State, node: ast.AST
) -> Value:
    """Return what a method of outside data gives: `args.get("x")`, `body.items()`."""
    if name in ("get", "getlist", "get_all", "pop", "getfirst", "getall", "getvalue", "getone"):
        key = given.get(0, "key")
        default = given.get(1, "default")
        label = f"[{str(key.value)[:60]!r}]" if isinstance(key, Const) else "[...]"
        found = sources.narrowed(reader, receiver, label, node)
        kind = given.named.get("type")
        if isinstance(kind, External) and kind.name in clean.NUMBERS:
            found = ANY_NUMBER
        if name in ("getlist", "get_all", "getall"):
            return reader.new(Sequence(None, found), state)
        return found if default is None or default == NONE else join(found, default)
    if name == "items":
        return _pairs(reader, receiver, state, node)
    if name in ("keys", "values") or (name in _WHOLE and name not in _TEXTUAL):
        return Unknown(receiver.taints, "", f"{receiver.path}.{name}()"[:_LONGEST])
    if name in ("format", "join"):
        extra = few(t for each in given.all() for t in state.deep(each))
        if name == "format":
            formats.chosen(reader, receiver, given, state, node)
        return Text((few(receiver.taints | extra),))
    if name == "save" and ".files" in receiver.path:
        telling.tell(reader, "path", f"{receiver.path}.save", given.get(0, "dst"), state, node)
    found_text = texts.method(receiver, name, given.places, state, node)
    if found_text is not None:
        return found_text
    if name in ("append", "update", "extend", "add", "setdefault"):
        return ANYTHING
    return Unknown(receiver.taints, "", f"{receiver.path}.{name}()"[:_LONGEST])


def _pairs(reader: Reader, receiver: Unknown, state: State, node: ast.AST) -> Value:
    value = sources.narrowed(reader, receiver, "[...]", node)
    key = sources.narrowed(reader, receiver, ".keys()", node)
    return reader.new(Sequence(None, Tup((key, value))), state)


_RUNNING = frozenset(
    (
        *("execute", "executemany", "executescript", "raw", "query", "fetch", "fetchrow"),
        *("fetchval", "fetch_all", "fetch_one"),
    )
)
"""Methods that run a statement, whatever library they are of."""


def guessed(reader: Reader, name: str, given: Arguments, state: State, node: ast.AST) -> None:
    """Look at a method that is called as a sink is, of an object that is not known."""
    first = given.get(0)
    name = name.rpartition(".")[2]
    if first is None or name not in _RUNNING:
        return
    owner = (
        node.func.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        else None
    )
    called = ast.unparse(owner).rpartition(".")[2].lower().strip("()_") if owner is not None else ""
    for option in options(first):
        start = ""
        if isinstance(option, Text) and isinstance(option.parts[0], str):
            start = option.parts[0].lstrip().lower()
        likely = start.startswith(table.SQL_VERBS) or (
            not start and called in table.SQL_OWNERS and name.startswith("execute")
        )
        taints = contexts.harmful("sql", option, state, reader.kinds) if likely else CLEAN
        if taints:
            confidence = "medium" if start else "low"
            reader.report("sql", f"{called or '?'}.{name}", taints, node, confidence)
