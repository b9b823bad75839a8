"""Methods of values that no library made: of texts, promises, functions, maps, requests."""

from __future__ import annotations

from dataclasses import replace

from casemate.audit.flow import characters, texts
from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    ANY_TEXT,
    ANYTHING,
    Bound,
    Const,
    External,
    Ref,
    Taints,
    Text,
    Unknown,
    Value,
    few,
    join,
    known_text,
    shallow,
    text_of,
    with_taints,
)
from casemate.audit.javascript import answers, arrays, calls, carried, checks, members, sources
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED, key_of, thing_of

_SAME = frozenset(
    (
        *("trim", "trimStart", "trimEnd", "toLowerCase", "toUpperCase", "toLocaleLowerCase"),
        *("normalize", "slice", "substring", "substr", "at", "charAt", "toLocaleUpperCase"),
    )
)
_TRUTHS = frozenset(("startsWith", "endsWith", "includes", "has", "test", "hasOwnProperty"))
_NUMBERS = frozenset(("indexOf", "lastIndexOf", "charCodeAt", "codePointAt", "localeCompare"))
_ENCODED = characters.all_but("-_+/=a")
_TEXTUAL = (
    _SAME
    | _TRUTHS
    | _NUMBERS
    | {"split", "replace", "replaceAll", "concat", "padStart", "padEnd", "repeat", "match"}
    | {"matchAll", "toString", "search", "toFixed", "valueOf"}
)


def call(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Value | None:
    """Return what a method of a value gives; None if it is not one that is known here."""
    thing = thing_of(receiver, state)
    first = given[0] if given else UNDEFINED
    if name in ("then", "catch", "finally") and not _has(thing, name):
        return _promise(reader, receiver, name, given, state, node)
    if name in ("call", "apply", "bind") and _is_callable(reader, receiver):
        return _function(reader, receiver, name, given, state, node)
    if isinstance(thing, Sequence):
        return arrays.method(reader, receiver, thing, name, given, state, node)
    if isinstance(thing, Mapping):
        if thing.type == "map":
            return _of_map(reader, receiver, thing, name, given, state, node)
        if name == "hasOwnProperty" and not _has(thing, name):
            return ANY_BOOL
        return None
    if isinstance(thing, Instance):
        return _of_instance(reader, thing, receiver, name, given, state)
    if isinstance(receiver, Unknown):
        found = carried.of_context(reader, receiver, name, given, state)
        if found is None:
            found = answers.of_context(reader, receiver, name, given, state, node)
        if found is None:
            found = sources.called(reader, receiver, name, key_of(first), node)
        if found is not None:
            return found
        if _is_of_library(receiver):
            return None
    if isinstance(receiver, (Const, Text, Unknown)):
        return _of_data(reader, receiver, name, given, state, node)
    return None


def _is_of_library(value: Unknown) -> bool:
    """Return whether a value is what a library gave, and nothing of it came from outside."""
    named = value.type not in ("", "int", "process.env") and value.type[0] != "="
    return named and not value.taints


def _has(thing: object, name: str) -> bool:
    return isinstance(thing, Mapping) and name in thing.known


def _is_callable(reader: Reader, value: Value) -> bool:
    if isinstance(value, External):
        return not value.name.endswith("hasOwnProperty")
    return isinstance(value, Bound) or (isinstance(value, Ref) and value.number in reader.functions)


def _function(
    reader: Reader, function: Value, name: str, given: list[Value], state: State, node: Node
) -> Value:
    first = given[0] if given else UNDEFINED
    if name == "bind":
        return Bound(function, tuple(given) or (UNDEFINED,))
    rest = given[1:]
    if name == "apply" and rest:
        thing = thing_of(rest[0], state)
        known = isinstance(thing, Sequence) and thing.items is not None
        rest = list(thing.items or ()) if known and isinstance(thing, Sequence) else [ANYTHING]
    return calls.call(reader, function, rest, first, state, node)


def _promise(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Value:
    """Read `.then(f)`: a promise is what it will be."""
    first = given[0] if given else UNDEFINED
    if name == "then":
        if len(given) > 1:
            calls.given_back(reader, given[1], [ANYTHING], state, node)
        return (
            calls.call(reader, first, [receiver], UNDEFINED, state, node)
            if calls.is_function(reader, first)
            else receiver
        )
    if calls.is_function(reader, first):
        result = calls.given_back(reader, first, [ANYTHING], state, node)
        if name == "catch":
            return join(receiver, result)
    return receiver


def _of_map(
    reader: Reader, receiver: Value, thing: Mapping, name: str, given: list[Value], state: State,
    node: Node,
) -> Value | None:  # fmt: skip
    first = given[0] if given else UNDEFINED
    if name in ("get", "delete"):
        key = key_of(first)
        if key is not None and key in thing.known:
            return thing.known[key]
        return join(*thing.known.values(), *([thing.rest] if thing.rest else []), UNDEFINED)
    if name in ("set", "append"):
        members.put(reader, receiver, first, given[1] if len(given) > 1 else UNDEFINED, state, node)
        return receiver
    if name == "has":
        return ANY_BOOL
    if name == "keys":
        return reader.new(Sequence(None, members.keys_of(receiver, state)[1]), state)
    if name == "values":
        every = join(*thing.known.values(), *([thing.rest] if thing.rest else []), UNDEFINED)
        return reader.new(Sequence(None, every), state)
    if name == "entries":
        return receiver
    if name == "forEach" and given:
        every = join(*thing.known.values(), *([thing.rest] if thing.rest else []), UNDEFINED)
        key_ = members.keys_of(receiver, state)[1]
        calls.given_back(reader, first, [every, key_], state, node)
        return UNDEFINED
    return None


def _of_instance(
    reader: Reader, thing: Instance, receiver: Value, name: str, given: list[Value], state: State
) -> Value | None:
    first = given[0] if given else UNDEFINED
    if thing.type == "RegExp()":
        if name == "test":
            return ANY_BOOL
        if name == "exec":
            taints = texts.derived(shallow(first), state, name, part=True)
            return Unknown(taints, "=match")
    if thing.type in ("URL()", "url.parse()") and name in ("toString", "href", "toJSON"):
        return thing.attributes.get("=0", ANYTHING)
    if thing.type in ("URLSearchParams()",) and name in ("get", "getAll", "toString"):
        return Text((few(state.deep(thing.attributes.get("=0", UNDEFINED)) | thing.held),))
    return None


def _of_data(
    reader: Reader, value: Const | Text | Unknown, name: str, given: list[Value], state: State,
    node: Node,
) -> Value | None:  # fmt: skip
    """Return what a method of a text gives, or of an array of outside data."""
    if isinstance(value, Const) and value.value is None:
        return UNDEFINED
    if name in ("pop", "shift", "at") and members.is_parts(value):
        return members.segment(shallow(value))
    if name in arrays.WITH_FUNCTIONS and given:
        return arrays.outside(reader, value, name, given, state, node)
    if name == "toString" and _is_encoded(node, given):
        taints = shallow(value)
        return Text((frozenset(replace(t, without=t.without | _ENCODED) for t in taints),))
    if name in ("join", "toString", "toISOString", "flat", "reverse", "sort", "concat"):
        return _put_together(value, name, given, state)
    if name in _TEXTUAL:
        checks.called_on(value, name, given, state, node)
        found = _textual(reader, value, name, given, state, node)
        return (
            found
            if name not in checks.OF_TEXTS
            else with_taints(
                found, {t: replace(t, safe=t.safe | sources.NO_OBJECT) for t in shallow(found)}
            )
        )
    if isinstance(value, Unknown) and not value.type and (value.taints or value.path):
        for each in given:
            if calls.is_function(reader, each):
                calls.given_back(reader, each, [Unknown(value.taints)], state, node)
        if name in ("shift", "pop", "next"):
            return sources.part(reader, value, "[]", node) if value.path else value
        reader.watcher.unknown(reader, name, given, state, node)
        return Unknown(few(t.doubted() for t in value.taints))
    return None


def _is_encoded(node: Node, given: list[Value]) -> bool:
    """Tell whether bytes are written out: a text ignores what its `toString` is given."""
    if not given or known_text(given[0]) not in ("base64", "base64url", "hex"):
        return False
    callee = node.get("function")
    of = callee.get("object") if callee is not None else None
    made = of.get("function") if of is not None and of.kind == "call_expression" else None
    parts = [made.get(each) for each in ("object", "property")] if made is not None else []
    return [each.text for each in parts if each is not None] == ["Buffer", "from"]


def _put_together(
    value: Const | Text | Unknown, name: str, given: list[Value], state: State
) -> Value:
    taints = shallow(value)
    if name == "join":
        separator = known_text(given[0]) if given else ","
        return text_of((taints, separator or "", taints)) if taints else ANY_TEXT
    if name == "toString":
        if isinstance(value, Unknown) and value.type == "int":
            return ANY_TEXT
        if isinstance(value, Unknown):
            return Text((frozenset(replace(t, safe=t.safe | sources.NO_OBJECT) for t in taints),))
        return value
    if name == "concat" and not isinstance(value, Unknown):
        parts: Value = value
        for each in given:
            parts = texts.concatenated(parts, each, state)
        return parts
    extra = few(t for each in given for t in state.deep(each))
    return Unknown(few(taints | extra))


def _textual(
    reader: Reader, value: Const | Text | Unknown, name: str, given: list[Value], state: State,
    node: Node,
) -> Value:  # fmt: skip
    first = given[0] if given else UNDEFINED
    taints = shallow(value)
    if name in _SAME:
        return _same(value, taints, name, given, state, node)
    if name in _NUMBERS or name == "search":
        return ANY_NUMBER
    if name in _TRUTHS:
        return ANY_BOOL
    if name == "split":
        how = ("split", node.line, node.column)
        kind = members.PARTS_OF_PATH if known_text(first) == "/" else "=parts"
        return Unknown(texts.derived(taints, state, how, part=True), kind)
    if name in ("match", "matchAll"):
        return Unknown(texts.derived(taints, state, name, part=True), "=match")
    if name in ("replace", "replaceAll"):
        return replaced(
            reader, value, first, given[1] if len(given) > 1 else UNDEFINED, name, state, node
        )
    if name in ("toFixed",):
        return ANY_TEXT
    if name == "repeat":
        return Text((taints,))
    extra = few(t for each in given for t in state.deep(each))
    return Text((few(taints | extra),))


def _same(
    value: Const | Text | Unknown, taints: Taints, name: str, given: list[Value], state: State,
    node: Node,
) -> Value:  # fmt: skip
    text = known_text(value)
    if text is not None:
        if name in ("trim", "toLowerCase", "toUpperCase") and not given:
            made = {"trim": text.strip(), "toLowerCase": text.lower(), "toUpperCase": text.upper()}
            return Const(made[name])
        numbers = [g.value for g in given if isinstance(g, Const) and isinstance(g.value, int)]
        if name == "slice" and len(numbers) == len(given) and numbers:
            return Const(text[slice(*([*numbers[:2]] if len(numbers) > 1 else [numbers[0], None]))])
        return ANY_TEXT
    how: object = (
        name if name.startswith(("trim", "to", "norm")) else (name, node.line, node.column)
    )
    if isinstance(value, Text) and name.startswith(("trim", "to")):
        return value
    inner = texts.derived(taints, state, how, part=True)
    if name in _CUTTING and _is_behind_last(node):
        return members.segment(inner)
    return (
        Text((inner,))
        if not isinstance(value, Unknown) or not value.type.startswith("=parts")
        else Unknown(inner, value.type if name == "slice" else "")
    )


_CUTTING = frozenset(("slice", "substring", "substr"))


def _is_behind_last(node: Node) -> bool:
    """Tell whether a call is `name.slice(name.lastIndexOf('/') + 1)`: no slash is in the rest."""
    callee, arguments = node.get("function"), node.get("arguments")
    start = arguments.kids[0] if arguments is not None and len(arguments.kids) == 1 else None
    if (
        callee is None
        or start is None
        or start.kind != "binary_expression"
        or start.marks != ("+",)
    ):
        return False
    found, one, owner = start.get("left"), start.get("right"), callee.get("object")
    asked = found.get("function") if found is not None and found.kind == "call_expression" else None
    if asked is None or owner is None or one is None or one.text != "1":
        return False
    name, of = asked.get("property"), asked.get("object")
    slash = found.get("arguments") if found is not None else None
    written = [each.text for each in slash.walk() if each.text] if slash is not None else []
    known = name is not None and name.text == "lastIndexOf" and written == ["/"]
    return known and of is not None and _written(of) == _written(owner) != []


def _written(node: Node) -> list[tuple[str, str]]:
    """Return what an expression of names alone is written as; nothing for one that calls."""
    found = [(each.kind, each.text) for each in node.walk()]
    plain = all(
        kind in ("identifier", "member_expression", "property_identifier", "this")
        for kind, _ in found
    )
    return found if plain else []


_SIGNS = frozenset(" -_,;:@#%&=~!/")
"""What stands for itself in a regular expression, escaped or not."""
_ESCAPED = _SIGNS | frozenset("+.*?|$")
_GROUPS = ("$&", "$`", "$'", "$<", *(f"${n}" for n in range(10)))
"""What stands for a part of the text in what replaces it."""


def _sign_of(pattern: str | None) -> str | None:
    """Return the one sign that a regular expression finds, if it is one."""
    if pattern is None:
        return None
    if len(pattern) == 2 and pattern[0] == "\\" and pattern[1] in _ESCAPED:
        return pattern[1]
    return pattern if len(pattern) == 1 and pattern in _SIGNS else None


def _replaced_once(value: Text, old: str, new: str, state: State) -> Value | None:
    """Return `text.replace('a', 'b')` where its written parts tell what becomes of them.

    None if a written part behind data has `old` in it, or a part of it: whether that is the first
    one is known to the caller alone.
    """
    if len(value.parts) < 2 or any(group in new for group in _GROUPS):
        return None
    head = value.parts[0]
    if isinstance(head, str) and old in head:
        return text_of([head.replace(old, new, 1), *value.parts[1:]])
    for part in value.parts:
        if isinstance(part, str) and (old in part or _overlaps(part, old)):
            return None
    return texts.replaced(value, old, new, state)


def _overlaps(part: str, old: str) -> bool:
    """Tell whether a part begins with the end of a text, or ends with its beginning."""
    sizes = range(1, min(len(part), len(old)) + 1)
    return any(part.endswith(old[:n]) or part.startswith(old[-n:]) for n in sizes)


def replaced(
    reader: Reader, value: Value, old: Value, new: Value, name: str, state: State, node: Node
) -> Value:
    """Return a text in which something is replaced: signs that are gone from it are known."""
    if calls.is_function(reader, new):
        calls.given_back(reader, new, [Text((shallow(value),))], state, node)
    by = known_text(new)
    thing = thing_of(old, state)
    taints = shallow(value)
    if isinstance(thing, Instance):
        pattern = known_text(thing.attributes.get("=source", ANYTHING))
        flags = known_text(thing.attributes.get("=flags", UNDEFINED)) or ""
        every = "g" in flags
    else:
        pattern, every = known_text(old), name == "replaceAll"
        if pattern is not None and by is not None and every:
            whole = value if isinstance(value, Text) else Text((taints,))
            return texts.replaced(whole, pattern, by, state)
        if pattern and by is not None and isinstance(value, Text):
            written = _replaced_once(value, pattern, by, state)
            if written is not None:
                return written
        pattern = None
    sign = _sign_of(pattern) if isinstance(thing, Instance) and every else None
    apart = isinstance(value, Text) and len(value.parts) > 1
    if sign and by is not None and "$" not in by and apart and isinstance(value, Text):
        told: list[str | Taints] = []
        for part in value.parts:
            if isinstance(part, str):
                told.append(part.replace(sign, by))
            else:
                one = replaced(reader, Text((part,)), old, new, name, state, node)
                told.append(shallow(one))
        return text_of(told)
    how = ("replace", node.line, node.column)
    made = texts.derived(taints, state, how, part=False)
    kept = {t.forms[0]: state.known_of(t) for t in made}
    before = [state.known_of(t) for t in taints]
    common = frozenset.intersection(*(b[0] for b in before)) if before else frozenset()
    safe_ = frozenset.intersection(*(b[1] for b in before)) if before else frozenset()
    gone: frozenset[str] = frozenset()
    mapped = isinstance(thing, Instance) and every and pattern is not None and by is None
    if pattern is not None and by is not None and every:
        gone = checks.gone_by(pattern.replace("\\/", "/"), by)
        common = common - set(by)
        if by == "\\$&" and checks.gone_by(pattern, "") >= frozenset("(*+["):
            safe_, gone = safe_ | {"regex"}, frozenset()
    elif mapped and pattern is not None:
        gone = checks.gone_by(pattern, "") & frozenset("<>\"'&`")  # a table of entities
    del kept
    return Text(
        (
            frozenset(
                replace(t, without=common | gone, safe=safe_, seen=(*t.seen, name)[-6:])
                for t in made
            ),
        )
    )
