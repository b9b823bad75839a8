"""Calls of libraries: those that give values on, those that use rights, and all others."""

from __future__ import annotations

import ast
from collections.abc import Callable

from casemate.audit.privileges import (
    attributes,
    cloud,
    imports,
    operations,
    own,
    passing,
    web,
)
from casemate.audit.privileges.libraries import IGNORING, PREPARED, SIGNING, USES
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import (
    ANYTHING,
    CLOUD,
    DATA,
    HOLE,
    NONE,
    Box,
    Capability,
    Class,
    Context,
    External,
    Instance,
    Prepared,
    Session,
    Super,
    Text,
    Values,
    known_texts,
    texts,
)


def external(reader: Reader, each: External, given: Arguments, node: ast.AST) -> Values:
    known = _NAMED.get(each.name.removeprefix("builtins."))
    if known is not None:
        return known(reader, given, node)
    found = cloud.library(reader, each.name, given, node)
    if found is not None:
        return found
    last = each.name.rpartition(".")[2]
    made = web.library(reader, each.name, given, node)
    used = _used(reader, each.name, last, given, node)
    if used is not None:
        return used
    if last in SIGNING:
        return _signing(reader, last, given, node)
    if each.name in _PROGRAMS:
        _program(reader, given, node)
    if last in IGNORING:
        return passing.passed_over(reader, given, node)
    passed = passing.passed(reader, last, given, node)
    if passed is not None:
        return passed
    reader.escape(given.all(), node, each.name[:80])
    return made or DATA


def _signing(reader: Reader, last: str, given: Arguments, node: ast.AST) -> Values:
    """Tell for which service requests are signed by hand: what they ask is not read."""
    found = given.get(SIGNING[last], "service", "service_name", "aws_service")
    for name in known_texts(found) or (EVERY,):
        reader.open(name, node, f"{last} signs requests by hand")
    return DATA


def _used(reader: Reader, name: str, last: str, given: Arguments, node: ast.AST) -> Values | None:
    """Read a call of a library that uses rights and says which."""
    if not name.startswith("aws_lambda_powertools."):
        return None
    for (start, end), use in USES.items():
        if last == end and name.startswith(start):
            named = known_texts(given.get(use.place, *use.names)) if use.names else None
            for action in use.actions:
                for resource in named or (HOLE,):
                    operations.used(reader, action, resource, node)
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
            cloud.escaped(reader, each, node, "an unknown name (getattr)")
        elif isinstance(each, (Instance, Class)):
            reader.escape([each], node, "an unknown name (getattr)")
            found |= ANYTHING if _has_rights(reader, each) else DATA
        elif isinstance(each, (Context, Capability)):
            own.escaped(reader, each, node)
        elif each.kind == "module" or getattr(each, "name", "").startswith("boto"):
            reader.open(EVERY, node, "an unknown name of a module (getattr)")
    return found | DATA


def _has_rights(reader: Reader, each: Instance | Class) -> bool:
    owner = each.owner if isinstance(each, Instance) else each.number
    return any(value.kind in CLOUD for _, held in reader.state.of_class(owner) for value in held)


def _super(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    owner = reader.class_around()
    return frozenset((Super(owner),)) if owner >= 0 else DATA


def _dynamic(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    reader.open(EVERY, node, "code is built at run time")
    return ANYTHING


def _type(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    if len(given.places) > 1:
        reader.escape(given.all(), node, "a class that is built at run time")
        return DATA
    return DATA | frozenset(Class(v.owner) for v in given.get(0) if isinstance(v, Instance))


def _import(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    names = known_texts(given.get(0, "name"))
    if names is None:
        reader.open(EVERY, node, "a module is imported by an unknown name")
        return DATA
    return NONE.union(*(imports.module(reader, name.lstrip("."), node) for name in names))


def _environment(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    return attributes.environment(reader, given.get(0, "key"), given.get(1, "default"), node)


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
        reader.escape(given.get(2), node, "an unknown name (setattr)")
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
