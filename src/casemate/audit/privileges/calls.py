"""Calls: of the function's own code, of libraries, of containers, and of what has rights."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable

from casemate.audit.privileges import attributes, cloud, own
from casemate.audit.privileges.libraries import IGNORING, PASSING, PREPARED, SIGNING, USES
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.program import Definition, Scope
from casemate.audit.privileges.reading import Arguments, Reader, StoppedError
from casemate.audit.privileges.values import (
    ANYTHING,
    CLOUD,
    DATA,
    HOLE,
    NONE,
    Bound,
    Box,
    Capability,
    Class,
    Context,
    External,
    Func,
    Instance,
    Method,
    Prepared,
    Session,
    Super,
    Text,
    Unknown,
    Value,
    Values,
    known_texts,
    texts,
)


def read(reader: Reader, node: ast.Call) -> Values:
    """Read a call in the code."""
    return call(reader, reader.value(node.func), arguments(reader, node), node)


def arguments(reader: Reader, node: ast.Call) -> Arguments:
    """Return what a call is given."""
    given = Arguments()
    for each in node.args:
        if isinstance(each, ast.Starred):
            given.rest |= attributes.items(reader, reader.value(each.value), each)
            given.open = True
        else:
            given.places.append(reader.value(each))
    for keyword in node.keywords:
        found = reader.value(keyword.value)
        if keyword.arg is not None:
            given.named[keyword.arg] = given.named.get(keyword.arg, NONE) | found
        else:
            _spread(reader, given, found)
    return given


def _spread(reader: Reader, given: Arguments, found: Values) -> None:
    """Take what `**` brings: by name where its keys are known."""
    for each in found:
        if isinstance(each, Box):
            names = known_texts(reader.state.keys.get(each.number, NONE))
            given.rest |= reader.state.got(each)
            for name in names or ():
                held = reader.state.got(each, name)
                given.named[name] = given.named.get(name, NONE) | held
            given.open = given.open or names is None
        else:
            given.rest |= {each}
            given.open = True


def call(reader: Reader, functions: Values, given: Arguments, node: ast.AST) -> Values:
    """Read a call of any of these."""
    found = NONE
    several = [v for v in functions if isinstance(v, Method) and v.receiver.kind in CLOUD]
    for each in functions:
        others = several if len(several) > 1 and each in several else ()
        reader.alternatives = tuple(v.receiver for v in others if v != each)
        found |= _one(reader, each, given, node)
    reader.alternatives = ()
    return found


def _one(reader: Reader, each: Value, given: Arguments, node: ast.AST) -> Values:
    match each:
        case Func():
            return _own(reader, each.number, given, None)
        case Bound():
            return _own(reader, each.function, given, each.receiver)
        case Class():
            return _made(reader, each, given, node)
        case Instance():
            method = attributes.of_class(reader, each.owner, "__call__", each, node)
            return call(reader, frozenset(v for v in method if v not in DATA), given, node) | DATA
        case Method():
            return _method(reader, each, given, node)
        case External():
            return _external(reader, each, given, node)
        case Unknown():
            reader.escape(given.all(), node, "what is not known")
            return ANYTHING
        case Text():
            reader.escape(given.all(), node, "what is not known")
            return DATA
        case _:
            return cloud.called(reader, each, given, node)


def enter(reader: Reader, handler: str, scope: Scope) -> None:
    """Call the handler, as its platform does."""
    first, *rest = handler.split(".")
    found = reader.state.names.get((scope, first), NONE)
    node = ast.Pass(lineno=1, col_offset=0)
    for name in rest:
        found = attributes.of(reader, found, name, node)
    if not found:
        raise StoppedError(f"it has no {handler[:80]}")
    context: Values = frozenset((Context(),)) if reader.own else DATA
    call(reader, found, Arguments([DATA, context]), node)


def called_from_outside(reader: Reader, each: Func | Bound) -> None:
    """Have a function read that a library calls, with data."""
    number = each.number if isinstance(each, Func) else each.function
    receiver = each.receiver if isinstance(each, Bound) else None
    if receiver is None and reader.defined[number].owner >= 0:
        receiver = Instance(reader.defined[number].owner)
    _own(reader, number, Arguments(open=True, rest=DATA), receiver)


def defaults(reader: Reader, number: int, node: Definition) -> None:
    """Let parameters hold their defaults."""
    scope = Scope("function", number)
    places = [*node.args.posonlyargs, *node.args.args]
    for parameter, default in zip(
        places[len(places) - len(node.args.defaults) :], node.args.defaults, strict=True
    ):
        reader.state.name(scope, parameter.arg, reader.value(default))
    for parameter, keyword in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if keyword is not None:
            reader.state.name(scope, parameter.arg, reader.value(keyword))


def _own(reader: Reader, number: int, given: Arguments, receiver: Value | None) -> Values:
    """Bind a call's arguments to a function's parameters; it is read in its turn."""
    node = reader.defined[number].node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return DATA
    reader.reach(number)
    scope = Scope("function", number)
    places: list[Values] = [frozenset((receiver,))] if receiver is not None else []
    places += given.places
    parameters = [*node.args.posonlyargs, *node.args.args]
    for at, parameter in enumerate(parameters):
        bound = places[at] if at < len(places) else NONE
        bound |= given.named.get(parameter.arg, NONE)
        if at >= len(places) and parameter.arg not in given.named and given.open:
            bound |= given.rest | DATA
        reader.state.name(scope, parameter.arg, bound)
    for parameter in node.args.kwonlyargs:
        bound = given.named.get(parameter.arg, NONE)
        reader.state.name(scope, parameter.arg, bound or (given.rest if given.open else NONE))
    if node.args.vararg is not None:
        box = Box(id(node.args.vararg))
        for at, each in enumerate(places[len(parameters) :]):
            reader.state.put(box, each, at)
        reader.state.put(box, given.rest)
        reader.state.name(scope, node.args.vararg.arg, frozenset((box,)))
    if node.args.kwarg is not None:
        _keywords(reader, node, given, scope)
    return reader.state.returns.get(number, NONE)


def _keywords(reader: Reader, node: Definition, given: Arguments, scope: Scope) -> None:
    kwarg = node.args.kwarg
    if kwarg is None:
        return
    box = Box(id(kwarg))
    taken = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
    for name, held in given.named.items():
        if name not in taken:
            reader.state.put(box, held, name)
            reader.state.key(box, frozenset((Text(name),)))
    if given.open:
        reader.state.put(box, given.rest | DATA)
        reader.state.key(box, DATA)
    reader.state.name(scope, kwarg.arg, frozenset((box,)))


def _made(reader: Reader, each: Class, given: Arguments, node: ast.AST) -> Values:
    """Make an object: `__init__`, or the fields of a data class in their order."""
    made = Instance(each.number)
    begin = attributes.of_class(reader, each.number, "__init__", made, node)
    own_begin = frozenset(v for v in begin if isinstance(v, (Bound, Func)))
    if own_begin:
        call(reader, own_begin, given, node)
        return frozenset((made,))
    definition = reader.defined[each.number].node
    fields = [
        inner.target.id
        for inner in getattr(definition, "body", ())
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    ]
    for at, name in enumerate(fields):
        held = given.places[at] if at < len(given.places) else NONE
        held |= given.named.get(name, NONE) | (given.rest if given.open else NONE)
        reader.state.attribute(each.number, name, held)
    if not fields:
        for held in (*given.places, *given.named.values()):
            for value in held:
                if value.kind in CLOUD or isinstance(value, (Instance, Func, Bound)):
                    reader.state.keep("*base", frozenset((value,)))
                    reader.escape([value], node, "the class that it is made from")
    return frozenset((made,))


# -- methods -----------------------------------------------------------------------------------


def _method(reader: Reader, each: Method, given: Arguments, node: ast.AST) -> Values:
    receiver = each.receiver
    match receiver:
        case Box():
            return _of_box(reader, receiver, each.name, given, node)
        case Text():
            return _of_text(reader, receiver, each.name, given, node)
        case Context() | Capability():
            return own.called(reader, receiver, each.name, given, node)
        case _:
            return cloud.method(reader, each, given, node)


def _of_box(reader: Reader, box: Box, name: str, given: Arguments, node: ast.AST) -> Values:
    state = reader.state
    held = state.got(box)
    for each in given.all():
        if isinstance(each, (Func, Bound)) and name in ("sort", "map"):
            call(reader, frozenset((each,)), Arguments([held, held]), node)
    match name:
        case "get" | "pop" | "setdefault" | "result" | "popitem" | "popleft" | "__getitem__":
            key = _key(given)
            if name == "setdefault":
                state.put(box, given.get(1, "default"), key)
                state.key(box, given.get(0))
            return state.got(box, key) | given.get(1, "default") | DATA
        case "append" | "add" | "appendleft" | "put" | "push":
            state.put(box, given.all())
        case "insert":
            state.put(box, given.get(1))
        case "extend" | "update" | "union" | "extendleft":
            for each in given.all():
                if isinstance(each, Box):
                    attributes.take_over(reader, box, each)
            for key, value in given.named.items():
                state.put(box, value, key)
                state.key(box, frozenset((Text(key),)))
            return frozenset((box,))
        case "items":
            inner, pair = Box(-8 * id(node) - 1), Box(-8 * id(node) - 2)
            state.put(pair, state.keys.get(box.number, NONE), 0)
            state.put(pair, held, 1)
            state.put(inner, frozenset((pair,)))
            return frozenset((inner,))
        case "values" | "copy" | "__iter__" | "fromkeys":
            if name != "values":
                return frozenset((box,))
            inner = Box(-8 * id(node) - 3)
            state.put(inner, held)
            return frozenset((inner,))
        case "keys":
            inner = Box(-8 * id(node) - 4)
            state.put(inner, state.keys.get(box.number, NONE))
            return frozenset((inner,))
        case _:
            return DATA | frozenset(v for v in held if name in _GIVING)
    return DATA


_GIVING = ("__next__", "send", "__enter__", "__aenter__", "exception", "__anext__", "throw")


def _key(given: Arguments) -> Hashable:
    found = known_texts(given.get(0))
    return found[0] if found is not None and len(found) == 1 else None


def _of_text(reader: Reader, receiver: Text, name: str, given: Arguments, node: ast.AST) -> Values:
    """Read a method of a text or of data."""
    from casemate.audit.privileges.expressions import joined

    if receiver.text != HOLE:
        match name:
            case "format":
                return _format(receiver.text, given)
            case "strip" | "lstrip" | "rstrip":
                return frozenset((Text(receiver.text.strip() if not given.places else HOLE),))
            case "lower":
                return frozenset((Text(receiver.text.lower()),))
            case "upper":
                return frozenset((Text(receiver.text.upper()),))
            case "join":
                held = attributes.items(reader, given.get(0), node)
                return joined([texts(held)]) if receiver.text == "" else DATA
            case _:
                return DATA
    last = name.rpartition(".")[2]
    if last in IGNORING:
        return _passed_over(reader, given, node)
    passed = _passed(reader, last, given, node)
    if passed is not None:
        return passed
    reader.escape(given.all(), node, f".{name[:60]}()")
    if "_" in name.strip("_"):
        # Nothing that has rights should have come here unseen; if one did, it is told.
        reader.recorder.lost(name, reader.place(node))
    return DATA


def _format(form: str, given: Arguments) -> Values:
    from casemate.audit.privileges.expressions import joined

    if given.open or HOLE in form:
        return DATA
    parts: list[list[str]] = []
    at, rest = 0, form
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, closed, rest = rest.partition("}")
        if not closed or "}" in before or "{" in name:
            return DATA
        held = (
            given.named.get(name, NONE)
            if name and not name.isdigit()
            else given.places[int(name or at)]
            if int(name or at) < len(given.places)
            else NONE
        )
        at += 1
        parts += [[before], texts(held) or [HOLE]]
    return joined([*parts, [rest]])


# -- libraries ---------------------------------------------------------------------------------


def _external(reader: Reader, each: External, given: Arguments, node: ast.AST) -> Values:
    known = _NAMED.get(each.name.removeprefix("builtins."))
    if known is not None:
        return known(reader, given, node)
    found = cloud.library(reader, each.name, given, node)
    if found is not None:
        return found
    last = each.name.rpartition(".")[2]
    used = _used(reader, each.name, last, given, node)
    if used is not None:
        return used
    if last in SIGNING:
        return _signing(reader, last, given, node)
    if each.name in _PROGRAMS:
        _program(reader, given, node)
    if last in IGNORING:
        return _passed_over(reader, given, node)
    passed = _passed(reader, last, given, node)
    if passed is not None:
        return passed
    reader.escape(given.all(), node, each.name[:80])
    return DATA


def _signing(reader: Reader, last: str, given: Arguments, node: ast.AST) -> Values:
    """Tell for which service requests are signed by hand: what they ask is not read."""
    found = given.get(SIGNING[last], "service", "service_name", "aws_service")
    for name in known_texts(found) or (EVERY,):
        reader.open(name, node, f"{last} signs requests by hand")
    return DATA


def _passed_over(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    for each in given.all():
        if isinstance(each, (Func, Bound)):
            reader.escape([each], node, "")
    return DATA


def _passed(reader: Reader, last: str, given: Arguments, node: ast.AST) -> Values | None:
    """Read a call that gives back what it is given or calls it; None if it is none."""
    if last not in PASSING:
        return None
    for name, held in given.named.items():
        # What gives attributes back as they were given by name: `SimpleNamespace(client=...)`.
        if any(not isinstance(v, (Text, External)) for v in held):
            reader.state.keep(name, held)
    every = given.all()
    found = frozenset(v for v in every if not isinstance(v, (Func, Method, Bound)))
    targets = frozenset(v for v in every if isinstance(v, (Func, Method, Bound, Class)))
    if targets:
        others = frozenset(v for v in every if v not in targets)
        held = NONE
        for each in others:
            held |= {each} if not isinstance(each, Box) else {each, *reader.state.got(each)}
        named = {k: v for k, v in given.named.items() if k not in ("target", "args", "kwargs")}
        for at, each in enumerate(given.get(-1, "kwargs")):
            if isinstance(each, Box) and at == 0:
                _spread(reader, inner := Arguments(), frozenset((each,)))
                named.update(inner.named)
        result = call(reader, targets, Arguments([], named, held, open=True), node)
        box = Box(id(node))
        reader.state.put(box, result | held)
        return found | targets | result | {box}
    return found | DATA


def _used(reader: Reader, name: str, last: str, given: Arguments, node: ast.AST) -> Values | None:
    """Read a call of a library that uses rights and says which."""
    if not name.startswith("aws_lambda_powertools."):
        return None
    for (start, end), use in USES.items():
        if last == end and name.startswith(start):
            named = known_texts(given.get(use.place, *use.names)) if use.names else None
            for action in use.actions:
                for resource in named or (HOLE,):
                    reader.recorder.need(action, resource, reader.place(node))
            return DATA
    for (start, end), _ in PREPARED.items():
        if last == end and name.startswith(start):
            named = known_texts(given.get(0, "table_name"))
            return frozenset((Prepared(last, named[0] if named and len(named) == 1 else HOLE),))
    return None


_PROGRAMS = frozenset(
    (
        *("os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.Popen"),
        *("subprocess.check_output", "subprocess.check_call", "os.execv", "os.execvp"),
        *("subprocess.getoutput", "os.spawnv", "asyncio.create_subprocess_exec"),
        "asyncio.create_subprocess_shell",
    )
)


def _program(reader: Reader, given: Arguments, node: ast.AST) -> None:
    """Tell of a program that may use the rights of the function."""
    first = given.get(0, "args")
    words: list[str] = []
    for each in first:
        if isinstance(each, Box):
            words += texts(reader.state.got(each, 0))
        else:
            words += texts(frozenset((each,)))
    for word in words or [HOLE]:
        name = word.split(maxsplit=1)[0].rpartition("/")[2] if word.strip() else HOLE
        if HOLE in name or name in ("aws", "python", "python3", "sh", "bash", "node", "terraform"):
            reader.open(EVERY, node, "a program is run that may use every right")


def _getattr(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    names = known_texts(given.get(1))
    found = given.get(2)
    if names is not None:
        for name in names:
            found |= attributes.of(reader, given.get(0), name, node)
        return found
    for each in given.get(0):
        if each.kind in CLOUD:
            cloud.escaped(reader, each, node, "a name that is not known (getattr)")
        elif isinstance(each, (Instance, Class)):
            reader.escape([each], node, "a name that is not known (getattr)")
            found |= ANYTHING if _has_rights(reader, each) else DATA
        elif isinstance(each, (Context, Capability)):
            own.escaped(reader, each, node)
        elif each.kind == "module" or getattr(each, "name", "").startswith("boto"):
            reader.open(EVERY, node, "a name of a module that is not known (getattr)")
    return found | DATA


def _has_rights(reader: Reader, each: Instance | Class) -> bool:
    owner = each.owner if isinstance(each, Instance) else each.number
    return any(value.kind in CLOUD for _, held in reader.state.of_class(owner) for value in held)


def _super(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    owner = reader.class_around()
    return frozenset((Super(owner),)) if owner >= 0 else DATA


def _dynamic(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    reader.open(EVERY, node, "code is made while it runs")
    return ANYTHING


def _type(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    if len(given.places) > 1:
        reader.escape(given.all(), node, "a class that is made while it runs")
        return DATA
    return DATA | frozenset(Class(v.owner) for v in given.get(0) if isinstance(v, Instance))


def _import(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    from casemate.audit.privileges import imports

    names = known_texts(given.get(0, "name"))
    if names is None:
        reader.open(EVERY, node, "a module is imported by a name that is not known")
        return DATA
    return NONE.union(*(imports.module(reader, name.lstrip("."), node) for name in names))


def _environment(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    return attributes.environment(reader, given.get(0, "key"), given.get(1, "default"))


def _globals(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    box = Box(-10 - reader.module_scope().number)
    reader.modules_as_maps[box] = reader.module_scope()
    for name, held in reader.state.inside(reader.module_scope()):
        reader.state.put(box, held, name)
    return frozenset((box,))


def _text(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    found = given.get(0)
    return frozenset(v for v in found if isinstance(v, Text)) or DATA


def _dict(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    box = Box(id(node))
    for key, held in given.named.items():
        reader.state.put(box, held, key)
        reader.state.key(box, frozenset((Text(key),)))
    if given.open:
        reader.state.put(box, given.rest | DATA)
        reader.state.key(box, DATA)
    for each in given.get(0):
        if isinstance(each, Box):
            attributes.take_over(reader, box, each)
    return frozenset((box,))


def _setattr(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    for name in known_texts(given.get(1)) or ():
        attributes.store(reader, given.get(0), name, given.get(2))
    if known_texts(given.get(1)) is None:
        reader.escape(given.get(2), node, "a name that is not known (setattr)")
    return DATA


def _next(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    return attributes.items(reader, given.get(0), node) | given.get(1)


def _zip(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    outer, inner = Box(id(node)), Box(-8 * id(node) - 5)
    for at, each in enumerate(given.places):
        reader.state.put(inner, attributes.items(reader, each, node), at)
    reader.state.put(outer, frozenset((inner,)))
    return frozenset((outer,))


def _enumerate(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    outer, inner = Box(id(node)), Box(-8 * id(node) - 5)
    reader.state.put(inner, DATA, 0)
    reader.state.put(inner, attributes.items(reader, given.get(0), node), 1)
    reader.state.put(outer, frozenset((inner,)))
    return frozenset((outer,))


def _session(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    return frozenset((Session(own=cloud.with_own_role(given)),))


_NAMED: dict[str, Callable[[Reader, Arguments, ast.AST], Values]] = {
    "getattr": _getattr,
    "setattr": _setattr,
    "super": _super,
    "type": _type,
    "eval": _dynamic,
    "exec": _dynamic,
    "compile": _dynamic,
    "__import__": _import,
    "importlib.import_module": _import,
    "os.environ.get": _environment,
    "os.getenv": _environment,
    "os.environ.setdefault": _environment,
    "globals": _globals,
    "locals": _globals,
    "str": _text,
    "dict": _dict,
    "next": _next,
    "anext": _next,
    "zip": _zip,
    "enumerate": _enumerate,
    "boto3.Session": _session,
    "boto3.session.Session": _session,
    "aioboto3.Session": _session,
    "aioboto3.session.Session": _session,
    "botocore.session.get_session": _session,
    "botocore.session.Session": _session,
    "aiobotocore.session.get_session": _session,
    "aiobotocore.session.AioSession": _session,
    "aiobotocore.get_session": _session,
}
