"""Calls of libraries: sinks looked at, data made safe, functions called back, what is returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from casemate.audit.flow import texts
from casemate.audit.flow.library import contexts
from casemate.audit.flow.state import Instance, Mapping, Sequence, State, Thing, merged
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    Bound,
    Const,
    Method,
    Ref,
    Taint,
    Taints,
    Text,
    Union,
    Unknown,
    Value,
    few,
    known_text,
    options,
    shallow,
)
from casemate.audit.javascript import (
    answers,
    calls,
    fields,
    known,
    members,
    routes,
    schemas,
    signed,
    sinks,
    sources,
    validators,
)
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import CLASS, REACHED, UNDEFINED, name_of, thing_of

_LONGEST = 200
_SQL_WORDS = ("select ", "insert ", "update ", "delete ", "where ", "order by", "drop ", "call ")
_BY_NAME = frozenset(
    ("query", "execute", "raw", "rawQuery", "executeSql", "$queryRawUnsafe", "prepare", "exec")
)
_QUIET = frozenset(
    (
        *("console", "Math", "Number", "Date", "Symbol", "process", "crypto", "os", "perf_hooks"),
        *("uuid", "nanoid", "bcrypt", "bcryptjs", "performance", "clearTimeout", "winston", "pino"),
        *("@aws-lambda-powertools/logger", "@aws-lambda-powertools/tracer", "fs", "fs-extra"),
        *("@aws-lambda-powertools/metrics", "child_process", "jsonwebtoken", "nodemailer", "redis"),
        *("aws-sdk", "ioredis", "stripe", "twilio", "@sendgrid/mail", "moment", "dayjs", "luxon"),
    )
)
"""Packages whose results have nothing of what they were given, for what is looked at here."""


def call(reader: Reader, function: Value, given: list[Value], state: State, node: Node) -> Value:
    """Return what a call of something of a library gives."""
    name = name_of(function, state)
    receiver = function.receiver if isinstance(function, Method) else None
    if not name:
        return _of_unknown(reader, function, receiver, given, state, node)
    reader.watcher.called(reader, name, given, receiver, state, node, False)
    found = routes.registered(reader, name, receiver, given, state, node)
    if found is not None:
        return found
    answers.redirected(reader, name, given, state, node)
    answered = answers.sent(reader, name, receiver, given, state, node)
    if answered is not None:
        return answered
    chain = validators.chained(reader, name, receiver, given, state)
    if chain is not None:
        _called_back(reader, name, given, state, node)
        return chain
    if name == fields.JSON:
        return fields.validated(reader, function, given, state)
    checked = schemas.used(reader, name, receiver, given, state, node)
    if checked is not None:
        _called_back(reader, name, given, state, node)
        return checked
    if name.endswith(".findIndex") and given and isinstance(given[0], Ref):
        return _place_of(reader, given[0], state, node)
    _looked_at(reader, name, given, state, node)
    signed.addresses(reader, name, given, state, node)
    made = known.call(reader, name, given, receiver, state, node)
    if made is not None:
        return made
    _called_back(reader, name, given, state, node)
    return _result(reader, name, receiver, given, state)


def _place_of(reader: Reader, function: Ref, state: State, node: Node) -> Value:
    """Return what `list.findIndex(f)` gives of a list that a library gave: nothing from outside."""
    if function.number not in reader.functions:
        return Unknown(CLEAN)
    ways: tuple[list[State], list[State]] = ([], [])
    given: list[Value] = [Unknown(CLEAN), ANYTHING]
    calls.enter(reader, function, given, UNDEFINED, state.copy(), node, ways)
    return schemas.place_of(merged(ways[0]), state)


def make(reader: Reader, of: Value, given: list[Value], state: State, node: Node) -> Value:
    """Return an object of a class of a library."""
    name = name_of(of, state)
    if not name:
        return Unknown(few(t.doubted() for each in given for t in state.deep(each)))
    reader.watcher.called(reader, name, given, None, state, node, True)
    _looked_at(reader, name, given, state, node)
    made = known.made(reader, name, given, state, node)
    if made is not None:
        return made
    _called_back(reader, name, given, state, node)
    return instance(reader, name, given, state)


def tagged(
    reader: Reader, name: str, given: Node, holes: list[Value], state: State, node: Node
) -> Value:
    """Return what a tagged template gives: a statement with parameters, a text with escapes."""
    reader.watcher.called(reader, name, holes, None, state, node, False)
    if name in ("String.raw", "dedent", "outdent", "endent"):
        return reader.evaluate(given, state)
    return Unknown(CLEAN, f"{name}()"[:_LONGEST])


def instance(reader: Reader, name: str, given: list[Value], state: State) -> Value:
    """Return an object that keeps what it was made with."""
    attributes = {f"={number}": each for number, each in enumerate(given[:6])}
    every = few(t.doubted() for each in given for t in state.deep(each))
    held = _through(every, name, state)
    type = name if name.endswith("()") else f"{name}()"
    return reader.new(Instance(0, attributes, type[:_LONGEST], held), state)


def _result(
    reader: Reader, name: str, receiver: Value | None, given: list[Value], state: State
) -> Value:
    package, _ = sinks.split(name)
    quiet = (
        package in _QUIET
        or package in sinks.IS_DATABASE
        or package in sinks.IS_CLIENT
        or package.startswith(("@aws-sdk/", "aws-"))
    )
    if receiver is not None and calls.held_functions(reader, receiver, state):
        return receiver  # `middy(handler).use(...)`: what wraps a function goes on wrapping it
    objects = any(isinstance(each, Ref) for each in given)
    if objects and not quiet:
        return instance(reader, name, given, state)
    if quiet and (not given or name.count("(") > 4):
        return Unknown(CLEAN, f"{name}()"[:_LONGEST])
    if quiet:
        if any(word in name for word in ("aws-sdk", "createPool", "createConnection", "create")):
            attributes = {f"={number}": each for number, each in enumerate(given[:6])}
            return reader.new(Instance(0, attributes, f"{name}()"[:_LONGEST]), state)
        return Unknown(CLEAN, f"{name}()"[:_LONGEST])
    held = thing_of(receiver, state) if receiver is not None else None
    more = held.held if isinstance(held, Instance) else CLEAN
    taints = [t.doubted() for t in (*more, *(t for g in given for t in state.deep(g)))]
    return Unknown(_through(few(taints), name, state), f"{name}()"[:_LONGEST])


def _through(taints: Taints, name: str, state: State) -> Taints:
    """Return data after a call that is not known: what is said of it then is not of what it was."""
    known_ = frozenset(replace(t, safe=state.known_of(t)[1]) for t in taints)
    return texts.derived(known_, state, name, part=False)


def _of_unknown(
    reader: Reader, function: Value, receiver: Value | None, given: list[Value], state: State,
    node: Node,
) -> Value:  # fmt: skip
    """Return what a call gives of which it is not known what is called."""
    method = function.name if isinstance(function, Method) else ""
    callee = node.get("function")
    if not method and callee is not None and callee.kind == "member_expression":
        name = callee.get("property")
        method = name.text if name is not None else ""
    reader.watcher.unknown(reader, method, given, state, node)
    escaped = known.of_sql(f".{method}", given[0], state) if given else None
    if escaped is not None:
        return escaped
    if method in _BY_NAME and given and function != UNDEFINED:
        _by_name(reader, method, given[0], state, node)
    for each in _functions_in(reader, given, state):
        calls.given_back(reader, each, [ANYTHING, ANYTHING], state, node)
    reached = isinstance(function, Unknown) and function.type == REACHED
    of_itself = CLEAN if reached else shallow(function)
    of_given = (t for each in given for t in state.deep(each))
    return Unknown(few(t.doubted() for t in (*of_itself, *of_given)))


def _by_name(reader: Reader, method: str, first: Value, state: State, node: Node) -> None:
    """Look at a statement that something runs of which only the name of its method is known."""
    for option in options(first):
        if not isinstance(option, Text):
            continue
        text = "".join(part for part in option.parts if isinstance(part, str)).lower()
        if any(word in text for word in _SQL_WORDS):
            taints = contexts.harmful("sql", option, state, reader.kinds)
            if taints:
                reader.report("sql", method, taints, node, "medium")


def _options_of(reader: Reader, value: Value, state: State) -> Value:
    """Return what of a list of arguments may be options: none is behind `--`."""
    thing = thing_of(value, state)
    items = thing.items if isinstance(thing, Sequence) else None
    ends = [at for at, each in enumerate(items or ()) if known_text(each) == "--"]
    return reader.new(Sequence(items[: ends[0]]), state) if items is not None and ends else value


def _looked_at(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> None:
    """Report what comes to a sink."""
    if name.startswith("child_process.") and _shelled(reader, name, given, state, node):
        return
    for sink in sinks.of(name):
        if sink.weakness == "xml" and not _set(given, "noent", state):
            continue
        for place in sink.places:
            inner = any(each.startswith(f"{place}.") for each in sink.places)
            found = _at(place, given, reader, state, node)
            if sink.weakness == "argument":
                found = [_options_of(reader, value, state) for value in found]
            for value in found:
                if inner and isinstance(thing_of(value, state), Mapping):
                    continue  # of an object only the properties that are named
                at = name if not place.endswith("$where") else "$where"
                taints = _harmful(reader, sink.weakness, value, at, state)
                contexts.look(reader, sink.weakness, value, taints, state, node)
                if taints:
                    call = _shown(name)
                    placed = place.endswith("Expression") and sink.weakness == "nosql"
                    surely = not (placed and sinks.placed(taints, given, state))
                    confidence = sink.confidence if surely else "low"
                    reader.report(sink.weakness, call, taints, node, confidence)
                    break


def _set(given: list[Value], name: str, state: State) -> bool:
    """Return whether an option is, or may be, true."""
    for each in given[1:]:
        thing = thing_of(each, state)
        if isinstance(thing, Mapping):
            value = thing.known.get(name, thing.rest)
            if value is not None and not (isinstance(value, Const) and not value.value):
                return True
    return False


def _shown(name: str) -> str:
    return name.replace("()", "", 1) if name.count("()") == 1 and name.endswith("()") else name


def _harmful(reader: Reader, weakness: str, value: Value, name: str, state: State) -> Taints:
    judged = weakness
    if weakness == "nosql" and ("aws-sdk" in name or name == "$where"):
        judged = "sql"  # an expression, in which a text is enough
    found: set[Taint] = set()
    if judged == "nosql" and isinstance(value, Ref):
        for of, each in _asked(value, state):
            found |= contexts.harmful(of, each, state, reader.kinds)
        return few(found)
    for option in options(value):
        if weakness == "template" and not isinstance(option, (Text, Unknown)):
            continue
        if weakness == "code" and name in _TIMERS and not isinstance(option, Text):
            continue
        of = "sql" if weakness == "nosql" and isinstance(option, Text) else judged
        found |= contexts.harmful(of, option, state, reader.kinds)
    if not isinstance(value, Union) or weakness in ("template", "code", "nosql"):
        return few(found)
    return contexts.harmful(judged, value, state, reader.kinds) if found else CLEAN


_COMPARING = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin"))
"""Operators of MongoDB whose operand is a value, whatever it is: there is no operator in it."""
_OF_TEXTS = {
    **dict.fromkeys(("$where", "$function", "$accumulator", "body", "$expr"), "sql"),
    "$regex": "nosql",
}
"""What a text alone can harm, and what it is then."""


def _asked(value: Value, state: State) -> Iterator[tuple[str, Value]]:
    """Yield what stands in a query of MongoDB where an object would be an operator."""
    seen: set[int] = set()
    todo: list[tuple[Value, str]] = [(value, "")]
    while todo and len(seen) < _MAX_SEARCHED:
        item, key = todo.pop()
        for option in options(item):
            thing = thing_of(option, state)
            if isinstance(option, Ref):
                if option.number in seen:
                    continue
                seen.add(option.number)
            if isinstance(thing, Mapping):
                todo += [
                    (each, name)
                    for name, each in thing.known.items()
                    if isinstance(name, str) and name not in _COMPARING and name != CLASS
                ]
                todo += [(thing.rest, "")] if thing.rest is not None else []
                yield "nosql", Unknown(thing.keys)
            elif isinstance(thing, Sequence):
                todo += [(each, key) for each in _held_by(thing)]
            elif isinstance(option, Text):
                if key in _OF_TEXTS:
                    yield _OF_TEXTS[key], option
            elif not name_of(option, state).endswith(("ObjectId()", "RegExp()")):
                yield "nosql", option


_TIMERS = ("setTimeout", "setInterval", "setImmediate")


def _shelled(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> bool:
    """Look at a program that is started by a shell: its list is a command line."""
    if name.rpartition(".")[2] not in ("spawn", "spawnSync", "execFile", "execFileSync"):
        return False
    shell: Value = UNDEFINED
    for each in given[1:]:
        thing = thing_of(each, state)
        if isinstance(thing, Mapping) and "shell" in thing.known:
            shell = thing.known["shell"]
    program = known_text(given[0]) if given else None
    by_list = given[1] if len(given) > 1 else UNDEFINED
    asked = (program or "").rpartition("/")[2] in _SHELLS and isinstance(
        thing_of(by_list, state), Sequence
    )
    if not asked and not (isinstance(shell, Const) and shell.value):
        return False
    for value in (given[0], by_list) if given else ():
        taints = contexts.harmful("command", value, state, reader.kinds)
        if taints:
            reader.report("command", name, taints, node)
            return True
    return False


_SHELLS = ("sh", "bash", "cmd", "cmd.exe", "powershell", "zsh", "dash")


def _at(place: str, given: list[Value], reader: Reader, state: State, node: Node) -> list[Value]:
    """Return what stands at a place of the arguments."""
    number, _, path = place.partition(".")
    later = number.endswith("+")
    at = int(number.removesuffix("+"))
    if at >= len(given):
        return []
    values = given[at:] if later else [given[at]]
    if not path:
        return values
    for name in path.split("."):
        found: list[Value] = []
        for value in values:
            for option in options(value):
                thing = thing_of(option, state)
                plain = name.removesuffix("[]")
                if isinstance(thing, Mapping):
                    held = thing.known.get(plain, thing.rest)
                elif isinstance(option, Unknown) and option.taints and option.path:
                    held = members.get(reader, option, plain, state, node)
                else:
                    held = None
                if held is not None and name.endswith("[]"):
                    inner = thing_of(held, state)
                    found += list(inner.items or ()) if isinstance(inner, Sequence) else [held]
                elif held is not None:
                    found.append(held)
        values = found
    return values


def _called_back(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> None:
    """Call the functions that a library was given: with what it is, is not known."""
    package, _ = sinks.split(name)
    arguments: list[Value] = [ANYTHING, ANYTHING, ANYTHING]
    if package in _GRAPHS:  # of a query its sender chooses the arguments
        taint = reader.source("http", "args", node, "args")
        if not _LOOSE & reader.imported_packages:  # their types let texts and numbers in alone
            taint = replace(taint, safe=taint.safe | sources.NO_OBJECT)
        arguments[1] = Unknown(frozenset((taint,)), "", "args")
    for each in _functions_in(reader, given, state):
        calls.given_back(reader, each, arguments, state, node)


_GRAPHS = frozenset(
    (
        *("graphql", "@apollo/server", "apollo-server-lambda", "apollo-server", "graphql-yoga"),
        *("@graphql-tools/schema", "graphql-tools", "mercurius"),
    )
)
_LOOSE = frozenset(("graphql-type-json", "graphql-scalars", "graphql-upload", "graphql-type-any"))
"""Packages of types that let any object in."""
_MAX_SEARCHED = 300
_MAX_CALLED = 60


def _held_by(thing: Thing | None) -> Iterator[Value]:
    if isinstance(thing, Mapping):
        yield from thing.known.values()
    elif isinstance(thing, Sequence):
        yield from thing.items or ()
    elif isinstance(thing, Instance):
        yield from thing.attributes.values()
    rest = thing.rest if isinstance(thing, (Mapping, Sequence)) else None
    if rest is not None:
        yield rest


def _functions_in(reader: Reader, given: list[Value], state: State) -> list[Value]:
    """Return the functions among what a library is given: in objects, lists, methods of classes."""
    found: dict[Value, None] = {}
    seen: set[int] = set()
    todo = [each for each in given if isinstance(each, (Ref, Bound, Union))]
    while todo and len(seen) < _MAX_SEARCHED and len(found) < _MAX_CALLED:
        for option in options(todo.pop(0)):
            if isinstance(option, Bound):
                found[option] = None
            if not isinstance(option, Ref) or option.number in seen:
                continue
            seen.add(option.number)
            thing = state.things.get(option.number)
            made = reader.functions.get(option.number)
            of_class = made is not None and made.node is not None and "class" in made.node.kind
            if made is not None and not of_class:
                found[option] = None
            else:
                todo += [e for e in _held_by(thing) if isinstance(e, (Ref, Bound, Union))]
    return list(found)
