"""Checks of texts by their own methods, one character after the other."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TypeAlias

from casemate.audit.flow import characters
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Sequence, State
from casemate.audit.flow.values import (
    External,
    Ref,
    Taint,
    Tup,
    Unknown,
    Value,
    known_text,
    options,
    shallow,
)

NOTHING: frozenset[str] = frozenset()


QUOTES = ("'", '"')


def learn_of(
    taints: Iterable[Taint], state: State, without: frozenset[str], safe: frozenset[str]
) -> None:
    """Know more of data, in the form in which it was looked at."""
    for taint in taints:
        state.learn(taint.forms[0], without, safe)


Ways: TypeAlias = tuple[State | None, State | None]
"""The state in which a condition holds, and the one in which it does not."""


def by_method(reader: Reader, test: ast.Call, function: ast.Attribute, state: State) -> None:
    """Learn from `x.isdigit()`, `x.startswith("https://our.host/")`, and the like."""
    name = function.attr
    without = characters.by_method(name)
    ends = name in ("startswith", "endswith", "is_relative_to") and test.args
    if not without and not ends:
        return
    scratch = state.copy()
    value = reader.evaluate(function.value, scratch)
    if without:
        learn_of(shallow(value), state, without, NOTHING)
        return
    given = reader.evaluate(test.args[0], scratch)
    if name != "is_relative_to":
        _by_ends(value, given, name, state)
    elif not state.deep(given):
        learn_normal(value, state)


def by_other_start(reader: Reader, test: ast.Call, function: ast.Attribute, state: State) -> None:
    """Learn where `x.startswith("//")` does not hold: an address of another host begins so."""
    if function.attr != "startswith" or not test.args:
        return
    scratch = state.copy()
    value = reader.evaluate(function.value, scratch)
    texts = _texts(reader.evaluate(test.args[0], scratch), scratch)
    signs = frozenset(f"not {text}" for text in texts if text in _OTHER_HOSTS)
    if signs:
        learn_of(shallow(value), state, NOTHING, signs)


_OTHER_HOSTS = ("//", "/\\")
"""How an address begins that has a host and no scheme; browsers read `\\` as `/`."""


def _texts(value: Value, state: State) -> list[str]:
    """Return a known text, or those of a tuple in which every one is known."""
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    items = thing.items if isinstance(thing, (Tup, Sequence)) else (value,)
    texts = [known_text(item) for item in items or ()]
    return [text for text in texts if text is not None] if None not in texts else []


def _by_ends(value: Value, given: Value, name: str, state: State) -> None:
    text = known_text(given)
    taints = shallow(value)
    if text in (*QUOTES, "/"):
        learn_of(taints, state, NOTHING, frozenset((f"{name} {text}",)))
    if name == "endswith" or state.deep(given):
        return
    learn_normal(value, state)
    if text is None or text.strip("/"):
        learn_of(taints, state, NOTHING, frozenset(("object",)))
    starts = _texts(given, state)
    if starts and all(map(_names_host, starts)):
        learn_of(taints, state, NOTHING, frozenset(("url", "redirect")))


def _names_host(text: str) -> bool:
    """Return whether what begins so goes to one host: `https://a.example/`."""
    scheme, found, rest = text.partition("://")
    return bool(found) and scheme.isalpha() and "/" in rest and not rest.startswith("/")


def learn_normal(value: Value, state: State) -> None:
    """Know that a path whose `..` are gone is in the folder that it was compared with."""
    for taint in state.deep(value):
        if "normal path" in taint.safe:
            state.learn(taint.forms[0], NOTHING, frozenset(("path",)))


_DIGITS = characters.all_but("0123456789+-_.eE")
"""What `int` takes in no text but at its ends, as spaces, and a number of JSON never has."""
_NO_OBJECT = frozenset(("nosql",))


def by_number(name: str, given: Arguments, state: State) -> None:
    """Learn from `int(x)` of what it was given: where that is no number, nothing comes after."""
    if name == "builtins.int" and len(given.places) == 1 and not given.named:
        learn_of(shallow(given.places[0]), state, _DIGITS, _NO_OBJECT)


_OWN_ADDRESS = frozenset(
    (*("django.utils.http.url_has_allowed_host_and_scheme", "django.utils.http.is_safe_url"),)
)
"""What tells that an address leads to one of the hosts that it is given, or to the same one."""


def by_own_address(reader: Reader, test: ast.Call, state: State) -> None:
    """Learn from `url_has_allowed_host_and_scheme(x, allowed_hosts={request.get_host()})`."""
    by_name = next((each.value for each in test.keywords if each.arg == "url"), None)
    asked = test.args[0] if test.args else by_name
    called = getattr(test.func, "attr", getattr(test.func, "id", ""))
    if asked is None or not any(name.endswith(f".{called}") for name in _OWN_ADDRESS):
        return
    scratch = state.copy()
    function = reader.evaluate(test.func, scratch)
    if isinstance(function, External) and function.name in _OWN_ADDRESS:
        value = reader.evaluate(asked, scratch)
        learn_of(shallow(value), state, NOTHING, frozenset(("redirect",)))


SIGNED = "hmac.new("
"""How the type of a signature begins; the forms of what was signed follow."""


def by_signature(reader: Reader, test: ast.Call, state: State) -> None:
    """Learn from `hmac.compare_digest(hmac.new(KEY, x, "sha256").hexdigest(), given)`.

    Who has the key wrote it: it may be read as objects. It is no less data for all other sinks.
    """
    scratch = state.copy()
    function = reader.evaluate(test.func, scratch)
    if not isinstance(function, External) or not function.name.endswith(".compare_digest"):
        return
    for each in test.args:
        by_same_signature(reader.evaluate(each, scratch), state)


def by_same_signature(value: Value, state: State) -> None:
    """Know that what a signature was made of was written by who has the key."""
    for option in options(value):
        if isinstance(option, Unknown) and option.type.startswith(SIGNED):
            forms = option.type.removeprefix(SIGNED).partition(")")[0]
            for form in forms.split(",") if forms else ():
                state.learn(int(form), NOTHING, _NO_OBJECTS)


_NO_OBJECTS = frozenset(("deserialisation",))


def by_verification(name: str, receiver: Value | None, given: Arguments, state: State) -> None:
    """Learn from `public_key.verify(signature, x)` of `cryptography`, which raises otherwise."""
    asymmetric = name.startswith("cryptography.hazmat.primitives.") and name.endswith(".verify")
    if not asymmetric or len(given.places) < 2 or (receiver is not None and state.deep(receiver)):
        return
    for taint in state.deep(given.places[1]):
        state.learn(taint.forms[0], NOTHING, _NO_OBJECTS)


def quantified(reader: Reader, test: ast.Call, state: State) -> Ways | None:
    """Learn from `all(c in ALLOWED for c in x)` and `any(c in x for c in FORBIDDEN)`."""
    name = test.func.id if isinstance(test.func, ast.Name) else ""
    if name not in ("all", "any") or len(test.args) != 1:
        return None
    each = test.args[0]
    if not isinstance(each, (ast.GeneratorExp, ast.ListComp)) or len(each.generators) != 1:
        return None
    loop = each.generators[0]
    if loop.ifs:
        return None
    telling = name == "all"
    looped = reader.evaluate(loop.iter, state)
    other, certain = state.copy(), state.copy()
    known, any_of = reader.items(looped, certain, loop.iter)
    if known is not None and len(known) <= _MAX_KNOWN:
        at: State | None = certain
        for value in known:
            if at is None:
                break
            reader.assign(loop.target, value, at)
            at = reader.decide(each.elt, at)[0 if telling else 1]
    else:
        at = _each_holds(reader, each.elt, loop, looped, any_of, telling, certain)
    return (at, other) if telling else (other, at)


_MAX_KNOWN = 64


def _each_holds(
    reader: Reader,
    test: ast.expr,
    loop: ast.comprehension,
    looped: Value,
    any_of: Value,
    telling: bool,
    state: State,
) -> State | None:
    """Know of a whole text what is so of each of its characters."""
    reader.assign(loop.target, any_of, state)
    after = reader.decide(test, state.copy())[0 if telling else 1]
    if after is None:
        return state
    for form in {t.forms[0] for t in shallow(any_of)}:
        fact = after.facts.get(form)
        if fact is not None:
            learn_of(shallow(looped), state, fact[0], NOTHING)
    return state
