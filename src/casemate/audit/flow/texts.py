"""Texts put together and taken apart: `+`, f-strings, `%`, `format`, `join`, methods, slices."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from casemate.audit.flow.characters import TELLING
from casemate.audit.flow.limits import MAX_TEXT
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    ANY_TEXT,
    CLEAN,
    Const,
    Ref,
    Taints,
    Text,
    Tup,
    Union,
    Unknown,
    Value,
    few,
    join,
    known_text,
    options,
    shallow,
    text_of,
)

_SAME = frozenset(
    ("strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "casefold", "swapcase")
)
"""Methods whose result has no sign that tells something which the text had not."""
_PART = frozenset(
    ("split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix", "removesuffix")
)
_NUMBERS = frozenset(("find", "index", "rfind", "rindex", "count", "__len__"))
_TRUTHS = frozenset(
    (
        *("startswith", "endswith", "isalnum", "isalpha", "isdigit", "isdecimal", "isnumeric"),
        *("isidentifier", "isspace", "isupper", "islower", "istitle", "isascii", "isprintable"),
    )
)
_PURE = _SAME | _PART | _NUMBERS | _TRUTHS | {"replace", "encode", "decode", "zfill", "hex"}


TEXT = "=text"
"""Among the attributes of an object of a library: what it is as a text."""


def form_of(*parts: object) -> int:
    """Return the number of a form of data."""
    return hash(parts)


def derived(taints: Taints, state: State, how: object, *, part: bool) -> Taints:
    """Return data that went through something; `part`: it has no sign that was not there."""
    out = []
    for taint in taints:
        form = form_of(how, taint.forms[0])
        if not isinstance(how, str):
            state.facts.pop(form, None)
        if part:
            out.append(taint.formed((form, *taint.forms[:6]), taint.without))
        else:
            signed = state.known_of(taint)[1] & _LASTING
            new = taint.formed((form,), frozenset())
            out.append(replace(new, safe=new.safe | signed) if signed - new.safe else new)
    return few(out)


_LASTING = frozenset(("deserialisation",))
"""What is so of data in every form: who has the key has signed it, however it is decoded."""


def parts_of(value: Value, state: State) -> tuple[str | Taints, ...]:
    """Return a value as it is in a text."""
    if isinstance(value, Text):
        return value.parts
    if isinstance(value, Const):
        if isinstance(value.value, (str, int, float, bool)) or value.value is None:
            return (str(value.value)[:MAX_TEXT],)
        if isinstance(value.value, bytes):
            return (value.value.decode("latin-1")[:MAX_TEXT],)
        return (CLEAN,)
    if isinstance(value, Unknown) and value.type == "int":
        return (CLEAN,)
    if isinstance(value, Union):
        known = [parts_of(option, state) for option in value.options]
        if all(parts == known[0] for parts in known):
            return known[0]
        # Which of them it is, and so what is around the hole, is not known any more.
        return (few(taint for option in value.options for taint in state.deep(option)),)
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Instance) and TEXT in thing.attributes:
        return parts_of(thing.attributes[TEXT], state)
    return (state.deep(value),)


def concatenated(left: Value, right: Value, state: State) -> Value:
    """Return `left + right` of texts."""
    lefts, rights = options(left), options(right)
    if len(lefts) * len(rights) > 16:
        return text_of((*parts_of(left, state), *parts_of(right, state)))
    return join(
        *(
            text_of((*parts_of(one, state), *parts_of(other, state)))
            for one in lefts
            for other in rights
        )
    )


def all_together(values: Iterable[Value], state: State) -> Value:
    """Return values after one another as one text."""
    out: Value = Const("")
    for value in values:
        out = concatenated(out, value, state)
    return out


def percent(pattern: Value, value: Value, state: State) -> Value:
    """Return `pattern % value`."""
    text = known_text(pattern)
    if text is None or len(text) > MAX_TEXT:
        return text_of((*parts_of(pattern, state), state.deep(value)))
    given = list(value.items) if isinstance(value, Tup) else [value]
    out: list[str | Taints] = []
    at = used = 0
    while at < len(text):
        found = text.find("%", at)
        if found < 0:
            break
        out.append(text[at:found])
        end = found + 1
        name = ""
        if text[end : end + 1] == "(":
            close = text.find(")", end)
            if close < 0:
                break
            name, end = text[end + 1 : close], close + 1
        while end < len(text) and text[end] in "#0- +123456789.*":
            end += 1
        kind = text[end : end + 1]
        at = end + 1
        if kind == "%":
            out.append("%")
            continue
        if name:
            out += _named(value, name, state, kind)
        elif used < len(given):
            out += (CLEAN,) if kind in "dioxXeEfFgGc" else parts_of(given[used], state)
            used += 1
        else:
            out.append(state.deep(value))
    out.append(text[at:])
    return text_of(out)


def _named(value: Value, name: str, state: State, kind: str) -> tuple[str | Taints, ...]:
    if kind in "dioxXeEfFgG":
        return (CLEAN,)
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    known = getattr(thing, "known", {}).get(("str", name))
    return parts_of(known, state) if known is not None else (state.deep(value),)


def formatted(
    pattern: str,
    places: Sequence[Value],
    named: dict[str, Value],
    look: Callable[[Value, str], Value],
    state: State,
) -> Value:
    """Return `pattern.format(...)`; `look` follows `.name` and `[key]` of a field."""
    out: list[str | Taints] = []
    at = automatic = 0
    everything = few(t for value in (*places, *named.values()) for t in state.deep(value))
    while at < len(pattern):
        sign = pattern[at]
        if sign in "{}" and pattern[at + 1 : at + 2] == sign:
            out.append(sign)
            at += 2
        elif sign == "{":
            end = pattern.find("}", at)
            if end < 0:
                break
            field = pattern[at + 1 : end].partition("!")[0].partition(":")[0]
            name = field.partition(".")[0].partition("[")[0]
            if name == "":
                name, automatic = str(automatic), automatic + 1
            value: Value | None
            if name.isdigit() and len(name) < 4:
                value = places[int(name)] if int(name) < len(places) else None
            else:
                value = named.get(name)
            rest = field[len(field.partition(".")[0].partition("[")[0]) :]
            if value is not None and rest:
                value = look(value, rest)
            out += parts_of(value, state) if value is not None else (everything,)
            at = end + 1
        else:
            end = min(
                e for e in (pattern.find("{", at), pattern.find("}", at), len(pattern)) if e >= at
            )
            end = max(end, at + 1)
            out.append(pattern[at:end])
            at = end
    return text_of(out)


def call_known(text: str | bytes, name: str, given: list[Any]) -> Value | None:
    """Return the result of a method of a text that is known, with arguments that are."""
    if name not in _PURE or len(text) > MAX_TEXT:
        return None
    if any(not isinstance(each, (str, bytes, int, tuple)) and each is not None for each in given):
        return None
    if name == "zfill" and given and (not isinstance(given[0], int) or given[0] > MAX_TEXT):
        return None
    try:
        result = getattr(text, name)(*given)
    except (TypeError, ValueError, LookupError, AttributeError):
        return None
    if isinstance(result, (list, tuple)):
        return Tup(tuple(Const(each) for each in result[:MAX_TEXT]))
    return (
        Const(result) if not isinstance(result, (str, bytes)) or len(result) <= MAX_TEXT else None
    )


def replaced(value: Text, old: str, new: str, state: State) -> Value:
    """Return `value.replace(old, new)` with known arguments."""
    out: list[str | Taints] = []
    gone = frozenset((old,)) if old and old not in new else frozenset[str]()
    came = frozenset(sign for sign in TELLING if sign in new)
    for part in value.parts:
        if isinstance(part, str):
            out.append(part.replace(old, new)[:MAX_TEXT])
            continue
        taints = []
        for taint in part:
            form = form_of("replace", old, new, taint.forms[0])
            state.facts.pop(form, None)
            brings = came | ({".."} if ".." in new else set())
            without = (taint.without - brings) | _removed(gone, old)
            if new and new in (old * 2, "\\" + old) and old in ("'", '"'):
                without |= {old}
            seen = (*taint.seen, f".replace({old!r}, {new!r})")[-6:]
            forms = (form, *taint.forms[:6]) if not new else (form,)
            taints.append(replace(taint, forms=forms, without=without, seen=seen))
        out.append(few(taints))
    return text_of(out)


def _removed(gone: frozenset[str], old: str) -> frozenset[str]:
    """Return what is not there any more once `old` is replaced, all at the same time.

    `"....//".replace("../", "")` leaves `"../"`: more than one sign can come together again.
    """
    return gone if len(old) == 1 else frozenset()


def sliced(value: Value, node: ast.Slice, bounds: tuple[Value | None, ...], state: State) -> Value:
    """Return a part of a text or a tuple by known or unknown bounds."""
    numbers: list[Any] = [
        None if b is None else b.value if isinstance(b, Const) else b for b in bounds
    ]
    known = all(n is None or (isinstance(n, int) and not isinstance(n, bool)) for n in numbers)
    if isinstance(value, Const) and isinstance(value.value, (str, bytes)):
        if known and numbers[2] != 0:
            return Const(value.value[slice(*numbers)])
        return ANY_TEXT
    if isinstance(value, Tup):
        if known and numbers[2] != 0:
            return Tup(value.items[slice(*numbers)])
        return Unknown(shallow(value))
    if isinstance(value, Text):
        if known and numbers[2] in (None, 1):
            parts = _cut(value.parts, numbers[0], numbers[1])
            if parts is not None:
                return text_of(parts)
        whole = (node.lineno, node.col_offset, "slice")
        return Text((derived(shallow(value), state, whole, part=True),))
    return value


def rid_of(value: Value, sign: str, state: State) -> Value:
    """Return a text that is known to have a sign nowhere."""
    if not isinstance(value, (Text, Unknown)):
        return value
    gone = {sign, "../"} if sign == "/" else {sign}
    return Text((few(replace(t, without=t.without | gone) for t in shallow(value)),))


def _cut(parts: tuple[str | Taints, ...], start: Any, stop: Any) -> tuple[str | Taints, ...] | None:
    """Cut known characters off both ends, as far as they are known."""
    left = list(parts)
    if stop is not None:
        if stop < 0:
            last = left[-1]
            if not isinstance(last, str) or len(last) < -stop:
                return None
            left[-1] = last[:stop]
        elif isinstance(left[0], str) and len(left[0]) >= stop:
            left = [left[0][:stop]]
        else:
            return None
    if start:
        first = left[0]
        if start < 0 or not isinstance(first, str) or len(first) < start:
            return None
        left[0] = first[start:]
    return tuple(left)


def method(
    value: Value, name: str, given: list[Value], state: State, node: ast.AST
) -> Value | None:
    """Return what a method of a text gives, or None if it is none of a text."""
    how = (name, getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    taints = shallow(value)
    if name in _SAME:
        return Text((derived(taints, state, name, part=True),))
    if name in _PART:
        inner = derived(taints, state, how, part=True)
        separator = known_text(given[0]) if given else None
        if separator is None or len(separator) != 1 or len(given) != 1:
            return Unknown(inner, "split")
        without = frozenset(replace(t, without=t.without | {separator}) for t in inner)
        if name in ("split", "rsplit"):
            return Unknown(without, "split")
        if name == "partition":  # the rest may have it once more
            return Tup((Text((without,)), ANY_TEXT, Text((inner,))))
        if name == "rpartition":
            return Tup((Text((inner,)), ANY_TEXT, Text((without,))))
        return Text((inner,))
    if name in _NUMBERS:
        return ANY_NUMBER
    if name in _TRUTHS:
        return ANY_BOOL
    if name in ("encode", "decode"):
        return value if isinstance(value, Text) else Text((taints,))
    if name in ("ljust", "rjust", "center", "zfill", "expandtabs", "format", "format_map"):
        extra = few(t for each in given for t in state.deep(each))
        return Text((few(taints | extra),))
    if name == "replace" and len(given) >= 2:
        old, new = known_text(given[0]), known_text(given[1])
        if old is not None and new is not None:
            whole = value if isinstance(value, Text) else Text((taints,))
            return replaced(whole, old, new, state)
    if name in ("translate", "replace"):
        extra = few(t for each in given[1:] for t in state.deep(each))
        return Text((few(derived(taints, state, how, part=False) | extra),))
    return None
