"""What a check tells of data: allow-lists, expressions that match, how a text begins."""

from __future__ import annotations

from casemate.audit.flow import characters
from casemate.audit.flow.library import safe
from casemate.audit.flow.state import Instance, Mapping, Sequence, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    EVERY,
    Const,
    External,
    Method,
    Ref,
    Unknown,
    Value,
    known_text,
    shallow,
)
from casemate.audit.javascript import calls, patterns
from casemate.audit.javascript.reader import Reader, Ways
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import ALL_BUT_NAMES, UNDEFINED, name_of, thing_of

ALL = frozenset((EVERY,))
_NONE: frozenset[str] = frozenset()
NO_OBJECT = frozenset(("nosql", "attributes"))
_QUERIES = frozenset(("nosql",))
_ADDRESS = frozenset(("url", "redirect"))
VALID = frozenset(
    (
        *(
            "isUUID",
            "isInt",
            "isNumeric",
            "isAlphanumeric",
            "isAlpha",
            "isHexadecimal",
            "isMongoId",
        ),
        *("isIn", "isFloat", "isDecimal", "isISO8601", "isDate", "isBoolean", "isPort", "isULID"),
        *("isCreditCard", "isMD5", "isHash", "isHexColor", "isIP", "isISBN", "isPostalCode"),
    )
)
_NUMERIC = frozenset(("isInteger", "isSafeInteger", "isFinite"))

OF_TEXTS = frozenset(
    (
        *("trim", "trimStart", "trimEnd", "toLowerCase", "toUpperCase", "toLocaleLowerCase"),
        *("toLocaleUpperCase", "normalize", "substring", "substr", "charAt", "startsWith"),
        *("endsWith", "charCodeAt", "codePointAt", "localeCompare", "search", "split", "replace"),
        *("replaceAll", "padStart", "padEnd", "repeat", "match", "matchAll"),
    )
)
"""Methods that texts have and nothing else does that JSON can hold: of an object they throw."""
_OF_TEXTS_AND_LISTS = frozenset(("includes", "indexOf", "lastIndexOf"))


def called_on(value: Value, name: str, given: list[Value], state: State, node: Node) -> None:
    """Know that data is no object once a method of texts was called on it."""
    asked = known_text(given[0]) if given else None
    signs = asked is not None and any(not s.isalnum() and s not in "-_" for s in asked)
    # A list is searched for words, not for signs; and as a value it is no operator either.
    textual = name in OF_TEXTS or (signs and name in _OF_TEXTS_AND_LISTS)
    if not textual or "optional_chain" in node.marks:  # `x.trim?.()` throws for nothing
        return
    for taint in shallow(value):
        if "nosql" not in taint.safe:
            state.learn(taint.forms[0], _NONE, _QUERIES)


def learned(state: State, value: Value, without: frozenset[str], safe_: frozenset[str]) -> State:
    """Know more of the data that a value is."""
    for taint in shallow(value):
        state.learn(taint.forms[0], without, safe_)
        if isinstance(value, Unknown) and value.type in ("=host", "=relative"):
            more = _ADDRESS if value.type == "=host" else frozenset(("path",))
            for form in taint.forms[1:2]:
                state.learn(form, _NONE, more)
    return state


def by_method(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Ways | None:
    """Decide a call of a method; None if it tells nothing that is known here."""
    first = given[0] if given else UNDEFINED
    dotted = name_of(receiver, state)
    if name in ("test", "exec") and dotted == "RegExp()":
        return _matched(receiver, first, state)
    if name == "match" and name_of(first, state) == "RegExp()":
        return _matched(first, receiver, state)
    if name in ("includes", "has", "indexOf", "contains"):
        return contained(receiver, given, state)
    if name in ("hasOwnProperty", "hasOwn"):
        owner, key = (
            (receiver, first) if name == "hasOwnProperty" else (first, [*given, UNDEFINED][1])
        )
        return member_of(key, owner, state)
    if name == "call" and dotted.endswith("hasOwnProperty") and len(given) > 1:
        return member_of(given[1], first, state)
    if name == "startsWith":
        return begins(receiver, first, state)
    if name in ("every", "some"):
        return _each(reader, receiver, name, first, state, node)
    if (dotted == "Number" and name in _NUMERIC) or name in VALID:
        no = state.copy()
        return learned(state, first, _NONE, ALL), no
    if f"{dotted}.{name}" in SIGNED_BY_DISCORD:
        return signed(reader, given, state)
    if dotted.startswith("uuid") and name == "validate":
        no = state.copy()
        return learned(state, first, _NONE, ALL), no
    return None


SIGNED_BY_DISCORD = frozenset(
    (
        "tweetnacl.sign.detached.verify",
        "discord-interactions.verifyKey",
        "tweetnacl.default.sign.detached.verify",
    )
)
"""What checks that Discord, or who else has the key, wrote a request."""


def signed(reader: Reader, given: list[Value], state: State) -> Ways:
    """Know of what a service has signed that its shape is the service's: users choose texts."""
    no = state.copy()
    for value in given[:1]:
        for taint in state.deep(value):
            state.learn(reader.form_of(taint), _NONE, NO_OBJECT)
    return state, no


def contained(receiver: Value, given: list[Value], state: State) -> Ways | None:
    """Decide whether something is one of those allowed, or has a sign in it."""
    first = given[0] if given else UNDEFINED
    sign = known_text(first)
    if sign is not None and shallow(receiver):
        no = state.copy()
        gone = frozenset((sign,)) | (frozenset(("../",)) if sign == ".." else _NONE)
        learned(no, receiver, gone, _NONE)
        return state, no
    if not shallow(first) or not trusted(receiver, state):
        return None
    no = state.copy()
    return learned(state, first, _NONE, ALL), no


def trusted(receiver: Value, state: State) -> bool:
    """Return whether nothing of a collection comes from outside."""
    if isinstance(receiver, Const):
        return isinstance(receiver.value, str)
    thing = thing_of(receiver, state)
    if isinstance(thing, (Sequence, Mapping, Instance)):
        return not state.deep(receiver)
    if isinstance(receiver, (Unknown, Method, External)):
        return not shallow(receiver)
    return False


def member_of(key: Value, owner: Value, state: State, *, by_name: bool = False) -> Ways:
    no = state.copy()
    if trusted(owner, state) and not isinstance(key, Const):
        learned(state, key, _NONE, ALL_BUT_NAMES if by_name else ALL)
    return state, no


def _matched(expression: Value, value: Value, state: State) -> Ways:
    thing = thing_of(expression, state)
    no = state.copy()
    if not isinstance(thing, Instance):
        return state, no
    pattern = known_text(thing.attributes.get("=source", ANYTHING))
    flags = known_text(thing.attributes.get("=flags", UNDEFINED)) or ""
    if pattern is None:
        return state, no
    plain = pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    plain = plain.replace("\\/", "/")
    if plain.startswith("^") and "m" not in flags:
        learned(state, value, characters.by_expression(plain, whole=False), _NONE)
        if characters.by_expression(plain, whole=False):
            learned(state, value, _NONE, NO_OBJECT)
        if plain.lower().startswith(("^https?://", "^https://", "^http://")):
            host, slash, _ = plain.partition("://")[2].partition("/")
            if slash and _is_fixed(host):
                learned(state, value, _NONE, _ADDRESS)
        elif plain.endswith("$") and _is_fixed(plain[1:-1]):
            learned(state, value, _NONE, _ADDRESS)  # the name of a host, of one domain
    learned(no, value, gone_by(plain, ""), _NONE)
    return state, no


_OF_ADDRESSES = frozenset("/@:?#\\")


def _is_fixed(host: str) -> bool:
    """Return whether an expression matches hosts of one domain alone, with what is before it."""
    at = len(host) if len(host) < _LONGEST_HOST else 0
    while at and (host[at - 1].isalnum() or host[at - 1] in "-_" or host[at - 2 : at] == "\\."):
        at -= 2 if host[at - 2 : at] == "\\." else 1
    before, domain = host[:at], host[at:]
    if before and not (domain.startswith("\\.") or before.endswith(("\\.)", "\\.)?", "\\.)*"))):
        return False
    if before and not characters.by_expression(before, whole=True) >= _OF_ADDRESSES:
        return False
    return "\\." in domain.removeprefix("\\.")


_LONGEST_HOST = 300


def gone_by(pattern: str, by: str) -> frozenset[str]:
    """Return what cannot be in a text any more in which all matches are replaced."""
    alone = pattern.removeprefix("\\") if len(pattern) == 2 else pattern
    if alone == "." and pattern != "\\.":
        return _NONE
    if len(alone) == 1:
        return frozenset((alone,)) - set(by)
    if all(len(each.removeprefix("\\")) == 1 for each in pattern.split("|")):
        return frozenset(each.removeprefix("\\") for each in pattern.split("|")) - set(by)
    plain = {"\\.\\.": "..", "\\.\\.\\/": "../", "\\.\\./": "../"}.get(pattern)
    if plain is not None and not by:
        return frozenset((plain,)) if plain == ".." else _NONE  # `....//` becomes `../`
    return safe.replacing(pattern, by)


def begins(receiver: Value, first: Value, state: State) -> Ways:
    """Decide `x.startsWith(...)`: of a path without `..`, and of an address with its host."""
    no = state.copy()
    text = known_text(first)
    if text is None and shallow(first):
        return state, no
    if isinstance(receiver, Unknown) and receiver.type == "=relative" and text == "..":
        return state, learned(no, receiver, _NONE, _NONE)
    for taint in shallow(receiver):
        if safe.NORMAL in state.known_of(taint)[1] and (text is None or text.startswith("/")):
            state.learn(taint.forms[0], _NONE, frozenset(("path",)))
    if text is None or text.strip("/"):
        learned(state, receiver, _NONE, frozenset(("object",)))
    if text is not None:
        _, found, rest = text.partition("://")
        if found and "/" in rest:
            learned(state, receiver, _NONE, _ADDRESS)
        if text == "/":
            learned(state, receiver, _NONE, frozenset(("begins with /",)))
        if text in ("//", "/\\"):
            for taint in shallow(receiver):
                if "begins with /" in state.known_of(taint)[1]:
                    no.learn(taint.forms[0], _NONE, frozenset(("redirect",)))
        if text in (".", "..", "-", "/"):
            gone = {".": frozenset(("..", "../")), "-": frozenset(("-",))}.get(text, _NONE)
            learned(no, receiver, gone if text == "-" else _NONE, _NONE)
    return state, no


def _each(
    reader: Reader, receiver: Value, name: str, function: Value, state: State, node: Node
) -> Ways | None:
    """Decide `list.every(f)`: what `f` tells of one item holds for each."""
    if not (isinstance(function, Ref) and function.number in reader.functions):
        return None
    _, each = patterns.elements(reader, receiver, state, node)
    ways: tuple[list[State], list[State]] = ([], [])
    calls.enter(reader, function, [each, ANYTHING], UNDEFINED, state.copy(), node, ways)
    yes, no = merged(ways[0]), merged(ways[1])
    if name == "every":
        if yes is not None:
            _of_all(receiver, each, yes)
        return yes, state
    if not shallow(each):  # one of those of the code is it
        return yes, state
    if no is not None:
        _of_all(receiver, each, no)
    return state, no


def _of_all(receiver: Value, each: Value, state: State) -> None:
    """Know of a list from outside what is known of each of its items."""
    known = [state.known_of(taint) for taint in shallow(each)]
    if not known:
        return
    without = frozenset.intersection(*(one for one, _ in known))
    safe_ = frozenset.intersection(*(one for _, one in known))
    for taint in shallow(receiver):
        state.learn(taint.forms[0], without, safe_)
