"""Built-in functions and the like, whose results are known better than those of a library."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from casemate.audit.flow import models, texts
from casemate.audit.flow.checks import SIGNED
from casemate.audit.flow.library import safe
from casemate.audit.flow.library.patterns import of_library
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.names import scope_of, text_like
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Class, Instance, Mapping, Scope, Sequence, State
from casemate.audit.flow.values import (
    ANY_NUMBER,
    ANY_TEXT,
    ANYTHING,
    CLEAN,
    NONE,
    Bound,
    Const,
    External,
    Func,
    Module,
    Ref,
    Taints,
    Text,
    Tup,
    Unknown,
    Value,
    join,
    known_text,
    options,
    shallow,
    truth,
)

Function = Callable[[Reader, Arguments, State, ast.AST], Value | None]


def call(reader: Reader, name: str, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Return what a function gives that is known here; None for others."""
    function = _FUNCTIONS.get(name)
    if function is not None:
        return function(reader, given, state, node)
    if name in safe.SAME:
        return given.get(0) or Const("")
    if name.startswith(("re.", "regex.")):
        return of_library(reader, name.partition(".")[2], given, state, node)
    return None


def _first(given: Arguments) -> Value:
    found = given.get(0)
    return found if found is not None else ANYTHING


def _str(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if not given.places:
        return Const("")
    value = given.places[0]
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Instance) and thing.owner:
        method = reader.attribute(value, "__str__", state, node)
        if isinstance(method, Bound):
            return reader.call(method, Arguments(), state, node)
    return text_like(value, state)


def _len(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    value = _first(given)
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    if isinstance(value, Const) and isinstance(value.value, (str, bytes)):
        return Const(len(value.value))
    if isinstance(thing, Tup):
        return Const(len(thing.items))
    if isinstance(thing, Sequence) and thing.items is not None and thing.rest is None:
        return Const(len(thing.items))
    if isinstance(thing, Mapping) and not thing.open and thing.rest is None:
        return Const(len(thing.known))
    return ANY_NUMBER


def _known(function: Callable[..., Any], otherwise: Value) -> Function:
    """Return a function that is computed where all that it is given is known."""

    def compute(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
        if given.named or given.rest is not None:
            return otherwise
        plain = [each.value for each in given.places if isinstance(each, Const)]
        if len(plain) != len(given.places) or any(
            isinstance(each, (str, bytes)) and len(each) > 64 for each in plain
        ):
            return otherwise
        try:
            return Const(function(*plain))
        except (TypeError, ValueError, ArithmeticError, LookupError):
            return otherwise

    return compute


def _bool(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    known = truth(_first(given)) if given.places else False
    return Const(known) if known is not None else join(Const(True), Const(False))


def _list(kind: str) -> Function:
    def make(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
        if not given.places:
            return reader.new(Sequence((), None, kind), state)
        known, any_of = reader.items(given.places[0], state, node)
        if known is not None and len(known) <= MAX_ITEMS:
            return reader.new(Sequence(tuple(known), None, kind), state)
        return reader.new(Sequence(None, any_of, kind), state)

    return make


def _tuple(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if not given.places:
        return Tup(())
    known, _ = reader.items(given.places[0], state, node)
    if known is not None:
        return Tup(tuple(known[:MAX_ITEMS]))
    return _list("list")(reader, given, state, node)


def _reversed(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    known, any_of = reader.items(_first(given), state, node)
    if known is not None and len(known) <= MAX_ITEMS:
        return reader.new(Sequence(tuple(known[::-1])), state)
    return reader.new(Sequence(None, any_of), state)


def _dict(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    first = given.get(0) if given.places else None
    thing = state.things.get(first.number) if isinstance(first, Ref) else None
    made = Mapping({})
    if isinstance(thing, Mapping):
        made = Mapping(dict(thing.known), thing.rest, thing.keys, open=thing.open)
    elif first is not None:
        if isinstance(first, Unknown) and first.path:
            return first
        taints = state.deep(first)
        made = Mapping({}, Unknown(taints), taints, open=True)
    known = dict(made.known)
    known.update({("str", key): value for key, value in given.named.items()})
    return reader.new(replace(made, known=known), state)


def _range(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    numbers = [each.value for each in given.places if isinstance(each, Const)]
    whole = [each for each in numbers if isinstance(each, int)]
    if len(whole) == len(given.places) and 0 < len(whole) <= 3 and (len(whole) < 3 or whole[2]):
        made = range(*whole)
        if len(made) <= MAX_ITEMS:
            return reader.new(Sequence(tuple(Const(n) for n in made)), state)
    return Unknown(CLEAN, "range")


def _enumerate(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    known, any_of = reader.items(_first(given), state, node)
    if known is not None and len(known) <= MAX_ITEMS:
        pairs = tuple(Tup((Const(number), each)) for number, each in enumerate(known))
        return reader.new(Sequence(pairs), state)
    return reader.new(Sequence(None, Tup((ANY_NUMBER, any_of))), state)


def _zip(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    found = [reader.items(each, state, node) for each in given.places]
    lists = [known for known, _ in found if known is not None]
    if found and len(lists) == len(found) and max(map(len, lists)) <= MAX_ITEMS:
        rows = tuple(Tup(row) for row in zip(*lists, strict=False))
        return reader.new(Sequence(rows), state)
    return reader.new(Sequence(None, Tup(tuple(any_of for _, any_of in found))), state)


def _map(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if len(given.places) < 2:
        return None
    found = [reader.items(each, state, node) for each in given.places[1:]]
    known = found[0][0]
    if len(found) == 1 and known is not None and len(known) <= 8:
        done = tuple(reader.call(given.places[0], Arguments([each]), state, node) for each in known)
        return reader.new(Sequence(done), state)
    each = reader.call(given.places[0], Arguments([any_of for _, any_of in found]), state, node)
    return reader.new(Sequence(None, each), state)


def _filter(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if len(given.places) < 2:
        return None
    known, any_of = reader.items(given.places[1], state, node)
    if known is not None and given.places[0] == NONE:
        kept = tuple(each for each in known if truth(each) is not False)
        return reader.new(Sequence(None, join(*kept) if kept else None), state)
    reader.call(given.places[0], Arguments([any_of]), state.copy(), node)
    return reader.new(Sequence(None, any_of), state)


def _reduce(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if len(given.places) < 2:
        return None
    known, any_of = reader.items(given.places[1], state, node)
    values = list(given.places[2:3]) + (known if known is not None else [any_of, any_of])
    value = values[0] if values else ANYTHING
    for each in values[1:16]:
        value = reader.call(given.places[0], Arguments([value, each]), state, node)
    return value


def _sorted(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    _, any_of = reader.items(_first(given), state, node)
    return reader.new(Sequence(None, any_of), state)


def _either(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """`next`, `min`, `max`, `sum`: one of the items."""
    if len(given.places) > 1:
        known, any_of = reader.items(given.places[0], state, node)
        return join(any_of, *given.places[1:])
    known, any_of = reader.items(_first(given), state, node)
    return known[0] if known and len(known) == 1 else any_of


def _getattr(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    name = known_text(given.get(1) or ANYTHING)
    owner = _first(given)
    if name is not None:
        return reader.attribute(owner, name, state, node)
    found: list[Value] = []
    for option in options(owner):
        if isinstance(option, Module):
            scope = scope_of(reader.scopes.get(option.name, 0), state)
            if scope is not None:
                found += [v for v in scope.names.values() if _callable(v, state)]
    if state.deep(given.get(1) or ANYTHING):
        reader.report(
            "import",
            "getattr",
            _outside(reader, state.deep(given.get(1) or ANYTHING)),
            node,
            "medium",
        )
    return join(*found) if found else Unknown(state.deep(owner))


def _outside(reader: Reader, taints: Taints) -> Taints:
    return frozenset(taint for taint in taints if reader.kinds[taint.source] != "random")


def _callable(value: Value, state: State) -> bool:
    if isinstance(value, Func):
        return True
    return isinstance(value, Ref) and isinstance(state.things.get(value.number), Class)


def _setattr(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    name = known_text(given.get(1) or ANYTHING)
    if name is not None and len(given.places) > 2:
        reader.set_attribute(given.places[0], name, given.places[2], state)
    return NONE


def _partial(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    if not given.places:
        return None
    return Bound(given.places[0], tuple(given.places[1:]), tuple(given.named.items()))


def _identity(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """`functools.wraps(f)` and its like: what they make gives back the function it decorates."""
    return External("builtins.classmethod_")


def _vars(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    value = given.get(0) if given.places else None
    if value is not None:
        return reader.attribute(value, "__dict__", state, node)
    scope = state.things.get(reader.frame.scope)
    if isinstance(scope, Scope):
        listed = list(scope.names.items())[:MAX_ITEMS]
        known: dict[object, Value] = {("str", name): each for name, each in listed}
        return reader.new(Mapping(known, open=True), state)
    return ANYTHING


def _join_path(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Join paths: what begins with `/` takes the place of what was before it."""
    out: Value = Const("")
    for number, value in enumerate(given.places):
        as_text = text_like(value, state)
        if number == 0:
            out = as_text
            continue
        joined: list[Value] = []
        for option in options(as_text):
            start = option.parts[0] if isinstance(option, Text) else known_text(option)
            absolute = isinstance(start, str) and start.startswith("/")
            free = isinstance(option, Text) and not isinstance(option.parts[0], str)
            harmless = free and all("/" in state.known_of(t)[0] for t in shallow(option))
            if absolute or (free and not harmless and shallow(option)):
                joined.append(option)
            else:
                joined.append(texts.all_together([out, Const("/"), option], state))
        out = join(*joined) if joined else out
    return out


def _path(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    text = _join_path(reader, given, state, node) or ANY_TEXT
    taints = state.deep(text)
    return reader.new(Instance(0, {texts.TEXT: text}, "pathlib.Path()", taints), state)


BUFFERS = frozenset(("io.StringIO()", "io.BytesIO()"))
"""Files in memory: what is written to them comes out again."""


def _buffer(name: str) -> Function:
    def make(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
        text = given.get(0, "initial_value", "initial_bytes") or Const("")
        return reader.new(Instance(0, {texts.TEXT: text}, f"{name}()"), state)

    return make


def _decode(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Decoders: what comes out can have any sign."""
    value = _first(given)
    taints = texts.derived(state.deep(value), state, ("decoded", *_at(node)), part=False)
    return Text((taints,))


def _parse(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Parsers of JSON and the like: objects of whatever the text says."""
    value = _first(given)
    if isinstance(value, Unknown) and value.path:
        return Unknown(value.taints, "", f"json({value.path})"[:200])
    taints = texts.derived(state.deep(value), state, ("parsed", *_at(node)), part=False)
    # Which part of what was written as one text comes out again is not known.
    taints = frozenset(t.doubted() if WRITTEN.intersection(t.seen) else t for t in taints)
    return Unknown(taints, "", "json" if taints else "")


def _validated(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Return a model that was made of data: its fields are as its class says."""
    if len(given.places) < 2:
        return None
    model, data = given.places[:2]
    known = isinstance(data, Unknown) and data.path.startswith("json(")
    parsed = data if known else _parse(reader, Arguments([data]), state, node)
    thing = state.things.get(model.number) if isinstance(model, Ref) else None
    if not isinstance(parsed, Unknown) or not parsed.taints or not isinstance(thing, Class):
        return parsed
    path = f"{thing.name}({parsed.path})"[:120]
    reader.narrow.update(models.limited(model, path, state))
    return Unknown(parsed.taints, "", path)


WRITTEN = frozenset(("json.dumps", "ujson.dumps", "orjson.dumps", "simplejson.dumps"))
"""What makes one text of an object."""


def _at(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _urlparse(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Return the parts of an address, of which the host is marked as its host."""
    value = text_like(_first(given), state)
    taints = texts.derived(shallow(value), state, ("urlparse", *_at(node)), part=True)
    host = frozenset(
        replace(
            taint,
            forms=(texts.form_of("host", taint.forms[0]), *taint.forms[1:]),
            seen=(*taint.seen, f"host of {taint.forms[1] if len(taint.forms) > 1 else 0}")[-6:],
        )
        for taint in taints
    )
    parts: dict[str, Value] = dict.fromkeys(("netloc", "hostname", "scheme"), Text((host,)))
    for name in ("path", "query", "fragment", "params", "username", "password", "port"):
        parts[name] = Text((taints,))
    parts[texts.TEXT] = value
    return reader.new(Instance(0, parts, "urllib.parse.urlparse()", shallow(value)), state)


def _signature(reader: Reader, given: Arguments, state: State, node: ast.AST) -> Value | None:
    """Return a signature, from which a comparison learns what was signed."""
    if len(given.places) < 2 or state.deep(given.places[0]):
        return None
    forms = sorted({taint.forms[0] for taint in state.deep(given.places[1])})[:8]
    return Unknown(CLEAN, SIGNED + ",".join(map(str, forms)) + ")")


_FUNCTIONS: dict[str, Function] = {
    models.VALIDATED: _validated,
    "hmac.new": _signature,
    "hmac.digest": _signature,
    "builtins.str": _str,
    "io.StringIO": _buffer("io.StringIO"),
    "io.BytesIO": _buffer("io.BytesIO"),
    "builtins.len": _len,
    "builtins.bool": _bool,
    "builtins.int": _known(int, ANY_NUMBER),
    "builtins.float": _known(float, ANY_NUMBER),
    "builtins.abs": _known(abs, ANY_NUMBER),
    "builtins.ord": _known(ord, ANY_NUMBER),
    "builtins.chr": _known(chr, ANY_TEXT),
    "builtins.hex": _known(hex, ANY_TEXT),
    "builtins.list": _list("list"),
    "builtins.set": _list("set"),
    "builtins.frozenset": _list("set"),
    "builtins.tuple": _tuple,
    "builtins.reversed": _reversed,
    "builtins.dict": _dict,
    "builtins.range": _range,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.sorted": _sorted,
    "functools.reduce": _reduce,
    "builtins.next": _either,
    "builtins.anext": _either,
    "builtins.min": _either,
    "builtins.max": _either,
    "builtins.sum": _either,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "functools.partial": _partial,
    "functools.wraps": _identity,
    "builtins.vars": _vars,
    "builtins.locals": _vars,
    "builtins.globals": _vars,
    "os.path.join": _join_path,
    "posixpath.join": _join_path,
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"), _path),
    "urllib.parse.urljoin": _join_path,
    "urllib.parse.urlparse": _urlparse,
    "urllib.parse.urlsplit": _urlparse,
    **dict.fromkeys(
        (
            *("urllib.parse.unquote", "urllib.parse.unquote_plus", "html.unescape"),
            *("base64.b64decode", "base64.urlsafe_b64decode", "base64.b32decode"),
            *("base64.b16decode", "binascii.unhexlify", "codecs.decode", "zlib.decompress"),
            *("gzip.decompress", "urllib.unquote", "urllib.unquote_plus", "base64.decodebytes"),
            *("base64.standard_b64decode", "binascii.a2b_base64", "bytes.fromhex"),
        ),
        _decode,
    ),
    **dict.fromkeys(
        (
            *("json.loads", "json.load", "ujson.loads", "orjson.loads", "simplejson.loads"),
            *("yaml.safe_load", "tomllib.loads", "msgpack.unpackb", "ast.literal_eval"),
            *("urllib.parse.parse_qs", "urllib.parse.parse_qsl", "csv.reader", "csv.DictReader"),
            *("xmltodict.parse", "flask.json.loads"),
        ),
        _parse,
    ),
}
