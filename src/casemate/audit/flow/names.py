"""Names and attributes: scopes, modules, classes, objects."""

from __future__ import annotations

import ast
import builtins
from dataclasses import replace

from casemate.audit.flow import texts
from casemate.audit.flow.library import sources, table
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Class, Instance, Mapping, Scope, Sequence, State
from casemate.audit.flow.values import (
    ANY_TEXT,
    ANYTHING,
    CLEAN,
    NONE,
    Bound,
    Const,
    External,
    Func,
    Method,
    Module,
    Ref,
    Text,
    Tup,
    Union,
    Unknown,
    Value,
    few,
    join,
    options,
    shallow,
    text_of,
)

_BUILTINS = frozenset(dir(builtins))
_KNOWN = {
    "os.name": Const("posix"),
    "sys.platform": Const("linux"),
    "os.sep": Const("/"),
    "os.path.sep": Const("/"),
    "string.digits": Const("0123456789"),
    "string.hexdigits": Const("0123456789abcdefABCDEF"),
    "string.ascii_letters": Const("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "string.ascii_lowercase": Const("abcdefghijklmnopqrstuvwxyz"),
    "string.ascii_uppercase": Const("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "typing.TYPE_CHECKING": Const(False),
}
"""Values of libraries that are known: functions run on Linux."""
_MAX_BASES = 12


def scope_of(number: int, state: State) -> Scope | None:
    """Return the scope of a number."""
    thing = state.things.get(number)
    return thing if isinstance(thing, Scope) else None


def load(reader: Reader, name: str, state: State, node: ast.AST) -> Value:
    """Return what a name stands for, looked for from the inside out."""
    frame = reader.frame
    number = frame.scope
    if name in frame.globals:
        number = module_scope(reader, frame.module, state)
    for _ in range(64):
        scope = scope_of(number, state)
        if scope is None:
            break
        if name in scope.names:
            return scope.names[name]
        number = scope.parent
    if name in _BUILTINS:
        return External(f"builtins.{name}")
    starred = _starred(reader, name, state, node)
    if starred is not None:
        return starred
    if name == "__name__":
        return ANY_TEXT
    return ANYTHING


def _starred(reader: Reader, name: str, state: State, node: ast.AST) -> Value | None:
    """Return what a name means that only `from library import *` can have brought."""
    scope = scope_of(module_scope(reader, reader.frame.module, state), state)
    libraries = [each[1:] for each in (scope.names if scope else ()) if each.startswith("*")]
    if not libraries or name.startswith("_"):
        return None
    known = [each for each in libraries if table.rows_of(f"{each}.{name}")]
    return external(reader, f"{(known or libraries)[-1]}.{name}", node)


def module_scope(reader: Reader, name: str, state: State) -> int:
    """Return the scope of a module that has been read."""
    return reader.scopes.get(name, 0)


def store(reader: Reader, name: str, value: Value, state: State) -> None:
    """Let a name stand for a value, in the scope where Python would."""
    frame = reader.frame
    number = frame.scope
    if name in frame.globals:
        number = module_scope(reader, frame.module, state)
    elif name in frame.nonlocals:
        scope = scope_of(number, state)
        number = scope.parent if scope is not None else 0
        while (scope := scope_of(number, state)) is not None and name not in scope.names:
            number = scope.parent
    if state.tests:
        state.stored(number, name)
    scope = scope_of(number, state)
    if scope is not None:
        state.things[number] = replace(scope, names={**scope.names, name: value})


def attribute(reader: Reader, value: Value, name: str, state: State, node: ast.AST) -> Value:
    """Return `value.name`."""
    if isinstance(value, Union):
        found = [
            attribute(reader, option, name, state, node)
            for option in value.options
            if option != NONE
        ]
        return join(*found) if found else ANYTHING
    if isinstance(value, Module):
        return _of_module(reader, value.name, name, state)
    if isinstance(value, (External, Unknown)):
        kept = _kept(value, name, state)
        if kept is not None:
            return kept
    if isinstance(value, External):
        return external(reader, f"{value.name}.{name}", node)
    if isinstance(value, Ref):
        return _of_thing(reader, value, name, state, node)
    if isinstance(value, Unknown):
        return _of_unknown(reader, value, name, node)
    if isinstance(value, (Const, Text, Tup)):
        return Method(value, name)
    return ANYTHING


_KEPT = -1
"""The scope of what code sets on things of libraries: `flask.g.user = ...`."""
_REQUEST, _OF_REQUESTS = "request", "request."


def carried(state: State) -> dict[str, Value]:
    """Return what code has set on a request, of which it is certain that it comes from outside."""
    scope = scope_of(_KEPT, state)
    found: dict[str, Value] = {}
    for label, value in scope.names.items() if scope is not None else ():
        sure = frozenset(t for t in state.deep(value) if not t.doubt)
        if label.startswith(_OF_REQUESTS) and sure:
            found[label] = state.baked(value) if sure == shallow(value) else Unknown(sure)
    return found


def carry(found: dict[str, Value], state: State) -> None:
    """Have a request what others have set on it."""
    scope = scope_of(_KEPT, state) or Scope({})
    if found:
        state.things[_KEPT] = replace(scope, names={**found, **scope.names})


def _label(owner: External | Unknown, name: str) -> str:
    kind = owner.name if isinstance(owner, External) else owner.type
    return f"{kind}.{name}" if kind else ""


def _keep(owner: External | Unknown, name: str, value: Value, state: State) -> None:
    label = _label(owner, name)
    scope = scope_of(_KEPT, state) or Scope({})
    if label and len(scope.names) < MAX_ITEMS:
        state.things[_KEPT] = replace(scope, names={**scope.names, label: value})


_CONTEXTS = "aws_lambda_powertools."


def keep_item(owner: Unknown, key: str, value: Value, state: State) -> None:
    """Keep what code sets on a request by a name: `request["user"] = ...` of aiohttp.

    `append_context(user=...)` of Powertools is read by `app.context["user"]`.
    """
    if _holds(owner):
        _keep(Unknown(CLEAN, _REQUEST), f"[{key}]", value, state)


def kept_item(owner: Unknown, key: str, state: State) -> Value | None:
    """Return what code has set on a request by a name, None if nothing."""
    return _kept(Unknown(CLEAN, _REQUEST), f"[{key}]", state) if _holds(owner) else None


def _holds(owner: Unknown) -> bool:
    powertools = owner.type.startswith(_CONTEXTS) and owner.type.endswith(").context")
    return owner.type == _REQUEST or powertools


def _kept(owner: External | Unknown, name: str, state: State) -> Value | None:
    scope = scope_of(_KEPT, state)
    return scope.names.get(_label(owner, name)) if scope is not None else None


def _of_module(reader: Reader, module: str, name: str, state: State) -> Value:
    inner = f"{module}.{name}"
    scope = scope_of(module_scope(reader, module, state), state)
    if scope is not None and name in scope.names:
        return scope.names[name]
    if reader.own(inner):
        return reader.module(inner, state)
    return ANYTHING


def external(reader: Reader, name: str, node: ast.AST) -> Value:
    """Return what a dotted name of a library stands for."""
    name = name[:200]
    if name in sources.REQUESTS:
        return Unknown(CLEAN, "request", name)
    if name in _KNOWN:
        return _KNOWN[name]
    if name in ("sys.argv",) and reader.entry is not None and reader.entry.shape == "main":
        return sources.begin(reader, reader.entry.event, "sys.argv", node)
    return External(name)


def _of_unknown(reader: Reader, value: Unknown, name: str, node: ast.AST) -> Value:
    found = sources.of_request(reader, value, name, node)
    if found is not None:
        return found
    if sources.is_request_attribute(name) and not value.taints:
        return Unknown(CLEAN, "request", f"app.{name}")
    if value.path and value.taints:
        if name.startswith("_") or name in _OF_TEXTS:
            return Method(value, name)
        return sources.narrowed(reader, value, f".{name}", node)
    if value.type in ("split", "int", "str"):
        return Method(value, name)
    return Unknown(value.taints, f"{value.type}.{name}"[:200] if value.type else f".{name}")


_OF_TEXTS = frozenset(dir(str)) | frozenset(dir(dict)) | {"read", "append", "getlist"}


def _of_thing(reader: Reader, value: Ref, name: str, state: State, node: ast.AST) -> Value:
    thing = state.things.get(value.number)
    if isinstance(thing, Instance):
        return _of_instance(reader, value, thing, name, state, node)
    if isinstance(thing, Class):
        found = class_attribute(reader, value.number, name, state)
        if isinstance(found, Func) and found.kind == "class":
            return Bound(found, (value,))
        if found is not None:
            return found
        return Const(thing.name) if name == "__name__" else ANYTHING
    if isinstance(thing, (Sequence, Mapping)):
        return Method(value, name)
    return ANYTHING


_OWN_NAMES = frozenset(
    ("tempfile.NamedTemporaryFile()", "tempfile.SpooledTemporaryFile()", "tempfile.TemporaryFile()")
)


def _of_instance(
    reader: Reader, value: Ref, thing: Instance, name: str, state: State, node: ast.AST
) -> Value:
    if name in thing.attributes:
        return thing.attributes[name]
    if name == "__class__" and thing.owner:
        return Ref(thing.owner)
    if name == "__dict__":
        known: dict[object, Value] = {("str", k): each for k, each in thing.attributes.items()}
        return reader.new(Mapping(known), state)
    if thing.owner:
        found = class_attribute(reader, thing.owner, name, state)
        if isinstance(found, Func):
            if found.kind == "static":
                return found
            if found.kind == "property":
                return reader.call(Bound(found, (value,)), Arguments(), state, node)
            first: Value = Ref(thing.owner) if found.kind == "class" else value
            return Bound(found, (first,))
        if found is not None:
            return found
        getter = class_attribute(reader, thing.owner, "__getattr__", state)
        if isinstance(getter, Func) and not name.startswith("__"):
            return reader.call(Bound(getter, (value,)), Arguments([Const(name)]), state, node)
    if sources.is_request_attribute(name):
        return Unknown(CLEAN, "request", f"app.{name}")
    if thing.type.startswith("pathlib.") and name in (
        "name",
        "stem",
        "suffix",
        "parent",
        "parents",
    ):
        return reader.path_attribute(value, name, state)
    kind = thing.type or outside_base(thing.owner, state)
    if name == "name" and kind in _OWN_NAMES:  # what is written into it does not choose its name
        given = [each for key, each in thing.attributes.items() if key[:1] == "="]
        return Unknown(few(t for each in given for t in state.deep(each)), f"{kind}.name")
    if kind.endswith("RequestHandler"):
        asked = sources.of_request(reader, Unknown(CLEAN, "request", "self"), name, node)
        if asked is not None and shallow(asked):
            return asked
    if name == "request" and kind and thing.owner:
        return Unknown(CLEAN, "request", "self.request")
    return Unknown(thing.held, f"{kind}.{name}"[:200] if kind else "")


def outside_base(owner: int, state: State) -> str:
    """Return the first class of a library that a class is made from."""
    todo, seen = [owner], set[int]()
    while todo and len(seen) < _MAX_BASES:
        number = todo.pop(0)
        thing = state.things.get(number)
        if number in seen or not isinstance(thing, Class):
            continue
        seen.add(number)
        for base in thing.bases:
            for option in options(base):
                if isinstance(option, External):
                    return option.name
                if isinstance(option, Unknown) and option.type:
                    return option.type
                if isinstance(option, Ref):
                    todo.append(option.number)
    return ""


def class_attribute(reader: Reader, owner: int, name: str, state: State) -> Value | None:
    """Return an attribute of a class or of those that it is made from."""
    todo, seen = [owner], set[int]()
    while todo and len(seen) < _MAX_BASES:
        number = todo.pop(0)
        thing = state.things.get(number)
        if number in seen or not isinstance(thing, Class):
            continue
        seen.add(number)
        scope = scope_of(thing.scope, state)
        if scope is not None and name in scope.names:
            return scope.names[name]
        for base in thing.bases:
            todo += [option.number for option in options(base) if isinstance(option, Ref)]
    return None


def set_attribute(reader: Reader, owner: Value, name: str, value: Value, state: State) -> None:
    """Set `owner.name = value`."""
    several = isinstance(owner, Union)
    for option in options(owner):
        if isinstance(option, (External, Unknown)):
            _keep(option, name, value, state)
        if isinstance(option, Module):
            number = module_scope(reader, option.name, state)
            scope = scope_of(number, state)
            if scope is not None:
                state.things[number] = replace(scope, names={**scope.names, name: value})
        if not isinstance(option, Ref):
            continue
        thing = state.things.get(option.number)
        if isinstance(thing, Instance):
            before = thing.attributes.get(name)
            new = join(before, value) if several and before is not None else value
            changed = {**thing.attributes, name: new}
            state.things[option.number] = replace(thing, attributes=changed)
        elif isinstance(thing, Class):
            scope = scope_of(thing.scope, state)
            if scope is not None:
                state.things[thing.scope] = replace(scope, names={**scope.names, name: value})


def name_(reader: Reader, node: ast.Name, state: State) -> Value:
    """Read a name."""
    return reader.load(node.id, state, node)


def attribute_(reader: Reader, node: ast.Attribute, state: State) -> Value:
    """Read `value.name`."""
    return reader.attribute(reader.evaluate(node.value, state), node.attr, state, node)


def imported(reader: Reader, node: ast.Import | ast.ImportFrom, state: State) -> None:
    """Read an import: modules of the files are read, others are names."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            value = reader.module(alias.name, state)
            if not alias.asname and "." in alias.name:
                value = reader.module(name, state)
            reader.store(alias.asname or name, value, state)
        return
    base = _absolute(reader, node)
    for alias in node.names:
        if alias.name == "*":
            _import_all(reader, base, state)
            continue
        value = _import_one(reader, base, alias.name, state, node)
        reader.store(alias.asname or alias.name, value, state)


def _absolute(reader: Reader, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = reader.frame.module.split(".")
    is_package = reader.frame.path.endswith("__init__.py")
    keep = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])


def _import_one(reader: Reader, base: str, name: str, state: State, node: ast.AST) -> Value:
    module = reader.module(base, state) if base else ANYTHING
    if isinstance(module, Module):
        value = _of_module(reader, module.name, name, state)
        if value != ANYTHING:
            return value
    inner = f"{base}.{name}" if base else name
    if reader.own(inner):
        return reader.module(inner, state)
    if isinstance(module, External):
        return external(reader, f"{module.name}.{name}", node)
    return ANYTHING


def _import_all(reader: Reader, base: str, state: State) -> None:
    module = reader.module(base, state)
    if isinstance(module, External):
        reader.store(f"*{module.name}", module, state)
    if not isinstance(module, Module):
        return
    scope = scope_of(module_scope(reader, module.name, state), state)
    for name, value in dict(scope.names if scope is not None else {}).items():
        if not name.startswith("_"):
            reader.store(name, value, state)


def text_like(value: Value, state: State) -> Value:
    """Return `str(value)`."""
    if isinstance(value, Union):
        return join(*(text_like(option, state) for option in value.options))
    if isinstance(value, Text):
        return value
    return text_of(texts.parts_of(value, state))
