"""What all names and objects stand for at one point of the code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.values import (
    CLEAN,
    Const,
    Ref,
    Taint,
    Taints,
    Tup,
    Union,
    Unknown,
    Value,
    few,
    join,
    shallow,
    with_taints,
)

_DEPTH = 5
"""Objects inside one another that are searched for outside data."""
_SEARCHED = 400
_MANY = 160
"""Objects of one way, above which they are shared."""
_KEPT = 16
"""How often things are shared anew before ways that parted earlier are compared as a whole."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of a module, a function or a class."""

    names: dict[str, Value]
    parent: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list, a set, a queue. Its items one by one, or all together."""

    items: tuple[Value, ...] | None
    rest: Value | None = None
    kind: str = "list"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A dictionary, or a thing that keeps values by name."""

    known: dict[object, Value]
    rest: Value | None = None
    """What is kept under names that are not known."""
    keys: Taints = CLEAN
    type: str = "dict"
    open: bool = False
    """True if it may have more than is known."""
    sure: frozenset[object] = frozenset()
    """Names that were put after whatever is not known, which cannot have changed them."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An object: of a class of the code, or of a library's (`type`)."""

    owner: int
    attributes: dict[str, Value]
    type: str = ""
    held: Taints = CLEAN
    """What came into it that it may give back."""


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the analysed code."""

    name: str
    module: str
    scope: int
    bases: tuple[Value, ...] = ()
    fields: tuple[str, ...] = ()
    """Names that have a type in its body: what a data class is made of."""
    texts: frozenset[str] = frozenset()
    """Those of them whose type is that of a text or a number."""
    limits: tuple[tuple[str, frozenset[str]], ...] = ()
    """Of a model that checks its fields: which characters each cannot have."""


Test: TypeAlias = tuple[Any, frozenset[str]]
"""A condition, as the syntax of its language, and the names in it."""
Thing: TypeAlias = Scope | Sequence | Mapping | Instance | Class
Fact: TypeAlias = tuple[frozenset[str], frozenset[str]]
"""Characters that are not in it, sinks that it is safe for."""


class Things:
    """Objects by their numbers: those that all ways share, and those that this one has changed."""

    __slots__ = ("base", "earlier", "own")

    def __init__(
        self,
        base: dict[int, Thing],
        own: dict[int, Thing],
        earlier: tuple[tuple[dict[int, Thing], dict[int, Thing]], ...] = (),
    ) -> None:
        """Lay some over others. `earlier` is what was shared before, and the changes since."""
        self.base = base
        self.own = own
        self.earlier = earlier

    def get(self, number: int) -> Thing | None:
        """Return an object, or None."""
        found = self.own.get(number)
        return found if found is not None else self.base.get(number)

    def __getitem__(self, number: int) -> Thing:
        """Return an object that there is."""
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def __setitem__(self, number: int, thing: Thing) -> None:
        """Put an object in, on this way only."""
        self.own[number] = thing

    def __len__(self) -> int:
        """Return how many this way has changed."""
        return len(self.own)

    def copy(self) -> Things:
        """Return the same for another way."""
        return Things(self.base, dict(self.own), self.earlier)

    def settled(self) -> Things:
        """Return the same, shared by all that come later."""
        return Things({**self.base, **self.own}, {})

    def settle(self) -> None:
        """Share all, if there is so much that each way that parts from here costs."""
        if len(self.own) > _MANY:
            self.earlier = (*self.earlier[1 - _KEPT :], (self.base, self.own))
            self.base, self.own = {**self.base, **self.own}, {}

    def over(self, base: dict[int, Thing]) -> dict[int, Thing] | None:
        """Return what is changed of what was shared once, or None if that is not kept."""
        if base is self.base:
            return self.own
        found = self.own
        for shared, changed in reversed(self.earlier):
            found = {**changed, **found}
            if shared is base:
                return found
        return None

    def forget(self, number: int) -> None:
        """Drop an object that nothing can reach any more."""
        self.own.pop(number, None)


@dataclass(slots=True)
class State:
    """All objects by their numbers, and what conditions have told of data."""

    things: Things = field(default_factory=lambda: Things({}, {}))
    facts: dict[int, Fact] = field(default_factory=dict)
    """By form of data."""
    tests: dict[int, dict[str, Test]] = field(default_factory=dict)
    """Names that hold the outcome of a condition, by scope: those of one are never changed."""

    def copy(self) -> State:
        """Return a state that goes another way."""
        return State(self.things.copy(), dict(self.facts), dict(self.tests))

    def become(self, other: State) -> None:
        """Be as another state is."""
        self.things, self.facts, self.tests = other.things, other.facts, other.tests

    def stored(self, scope: int, name: str) -> None:
        """Forget outcomes of conditions about a name that has another value now."""
        held = self.tests.get(scope)
        if held is not None:
            self._test(scope, {n: t for n, t in held.items() if n != name and name not in t[1]})

    def test(self, scope: int, name: str) -> Test | None:
        """Return the condition whose outcome a name holds, or None."""
        held = self.tests.get(scope)
        return held.get(name) if held is not None else None

    def hold(self, scope: int, name: str, test: Test | None) -> None:
        """Remember the condition whose outcome a name holds; None forgets it."""
        others = {n: t for n, t in self.tests.get(scope, {}).items() if n != name}
        self._test(scope, others if test is None else {**others, name: test})

    def _test(self, scope: int, held: dict[str, Test]) -> None:
        if held:
            self.tests[scope] = held
        else:
            self.tests.pop(scope, None)

    def learn(self, form: int, without: frozenset[str], safe: frozenset[str]) -> None:
        """Know more of data in one form."""
        known = self.facts.get(form, (frozenset(), frozenset()))
        self.facts[form] = (known[0] | without, known[1] | safe)

    def known_of(self, taint: Taint) -> Fact:
        """Return what is known of data: since it was made, and from conditions passed."""
        without, safe = taint.without, taint.safe
        for form in taint.forms:
            fact = self.facts.get(form)
            if fact is not None:
                without, safe = without | fact[0], safe | fact[1]
        return without, safe

    def baked(self, value: Value) -> Value:
        """Return a value with what conditions have told of its data by now."""
        if not self.facts:
            return value
        change = {}
        for taint in shallow(value):
            without, safe = self.known_of(taint)
            if without != taint.without or safe != taint.safe:
                change[taint] = replace(taint, without=without, safe=safe)
        return with_taints(value, change) if change else value

    def kept(self, thing: Thing) -> Thing:
        """Return what is kept of a container: with what is known of its data now, not later."""
        if not self.facts:
            return thing
        if isinstance(thing, Sequence):
            items = None if thing.items is None else tuple(map(self.baked, thing.items))
            rest = None if thing.rest is None else self.baked(thing.rest)
            return replace(thing, items=items, rest=rest)
        if isinstance(thing, Mapping):
            rest = None if thing.rest is None else self.baked(thing.rest)
            known = {key: self.baked(each) for key, each in thing.known.items()}
            return replace(thing, known=known, rest=rest)
        return thing

    def deep(self, value: Value, depth: int = _DEPTH) -> Taints:
        """Return where a value, and all that it holds, comes from."""
        found: set[Taint] = set()
        seen: set[int] = set()
        todo: list[tuple[Value, int]] = [(value, depth)]
        while todo and len(seen) < _SEARCHED:
            item, left = todo.pop()
            if isinstance(item, Ref):
                if item.number in seen or left <= 0:
                    continue
                seen.add(item.number)
                thing = self.things.get(item.number)
                found |= held(thing)
                todo.extend((each, left - 1) for each in inside(thing))
            elif isinstance(item, (Union, Tup)):
                parts = item.options if isinstance(item, Union) else item.items
                todo.extend((each, left - 1) for each in parts if left > 0)
            else:
                found |= shallow(item)
        return few(found)


def held(thing: Thing | None) -> Taints:
    """Return what an object has of outside data beside its parts."""
    if isinstance(thing, Mapping):
        return thing.keys
    return thing.held if isinstance(thing, Instance) else CLEAN


def inside(thing: Thing | None) -> list[Value]:
    """Return the parts of an object."""
    if isinstance(thing, Sequence):
        rest = [thing.rest] if thing.rest is not None else []
        return [*(thing.items or ()), *rest]
    if isinstance(thing, Mapping):
        return [*thing.known.values(), *([thing.rest] if thing.rest is not None else [])]
    if isinstance(thing, Instance):
        return list(thing.attributes.values())
    return []


def merged(states: list[State]) -> State | None:
    """Return a state that may be any of those given, or None if there is none."""
    if not states:
        return None
    first = states[0]
    for other in states[1:]:
        first = _two(first, other)
    return first


def _two(one: State, other: State) -> State:
    if one is other:
        return one
    things = _things(one, other)
    facts = {}
    for form, (without, safe) in one.facts.items():
        known = other.facts.get(form)
        if known is not None:
            facts[form] = (without & known[0], safe & known[1])
    return State(things, facts, _tests(one.tests, other.tests))


def _tests(
    one: dict[int, dict[str, Test]], other: dict[int, dict[str, Test]]
) -> dict[int, dict[str, Test]]:
    """Return what both ways remember."""
    found = {}
    for scope, held in one.items():
        others = other.get(scope)
        if held is others:
            found[scope] = held
        elif others is not None:
            both = {name: test for name, test in held.items() if others.get(name) == test}
            if both:
                found[scope] = both
    return found


def _things(left: State, right: State) -> Things:
    one, other = left.things, right.things
    mine, others, base, earlier = one.own, other.own, one.base, one.earlier
    if base is not other.base:
        # One way has settled what the other has not: what they had in common is looked for.
        mine, others, base, earlier = _common(one, other)

    def joined(thing: Thing, second: Thing) -> Thing:
        if isinstance(thing, Scope) and isinstance(second, Scope):
            return _scopes(thing, second, left, right)
        return _joined(thing, second)

    own = dict(mine)
    # Most are the same: found without a step of Python for each.
    for number, thing in [(n, t) for n, t in others.items() if mine.get(n) is not t]:
        here = mine.get(number) or base.get(number)
        if here is None:
            own[number] = thing
        elif here is not thing:
            own[number] = joined(here, thing)
    for number in mine.keys() - others.keys():
        before = base.get(number)
        if before is not None:
            own[number] = joined(mine[number], before)
    return Things(base, own, earlier) if base else Things(own, {})


_Earlier = tuple[tuple[dict[int, Thing], dict[int, Thing]], ...]


def _common(
    one: Things, other: Things
) -> tuple[dict[int, Thing], dict[int, Thing], dict[int, Thing], _Earlier]:
    """Return what two ways have changed of the last that they shared, that, and what was before.

    To compare all that there is for each branch would take the square of a module's objects.
    """
    shared = [(one.base, one.earlier)]
    shared += [(b, one.earlier[:at]) for at, (b, _) in reversed(list(enumerate(one.earlier)))]
    for base, earlier in shared:
        others = other.over(base)
        mine = one.over(base) if others is not None else None
        if mine is not None and others is not None:
            return mine, others, base, earlier
    return {**one.base, **one.own}, {**other.base, **other.own}, {}, ()


def either(one: Value | None, other: Value | None) -> Value | None:
    """Return what one or the other is."""
    if one is None or other is None:
        return other if one is None else one
    return one if one is other else join(one, other)


def _names(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    out = dict(one)
    for name, value in other.items():
        mine = out.get(name)
        out[name] = value if mine is None or mine is value else join(mine, value)
    return out


def _scopes(one: Scope, other: Scope, left: State, right: State) -> Scope:
    """Join names: what is known of data on one way alone is kept with the value of that way."""
    names = dict(one.names)
    for name, value in other.names.items():
        mine = names.get(name)
        if mine is not value:
            theirs = right.baked(value)
            names[name] = theirs if mine is None else join(left.baked(mine), theirs)
    return replace(one, names=names)


def _joined(one: Thing, other: Thing) -> Thing:
    if isinstance(one, Instance) and isinstance(other, Instance):
        attributes = _names(one.attributes, other.attributes)
        return replace(one, attributes=attributes, held=few(one.held | other.held))
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return _sequences(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _mappings(one, other)
    return one


def _sequences(one: Sequence, other: Sequence) -> Sequence:
    rest = either(one.rest, other.rest)
    if one.items is not None and other.items is not None and len(one.items) == len(other.items):
        items = tuple(join(a, b) for a, b in zip(one.items, other.items, strict=True))
        return Sequence(items, rest, one.kind)
    return together(Sequence(None, either(all_of(one), all_of(other)), one.kind))


def all_of(thing: Sequence) -> Value | None:
    """Return what any item of a list may be, or None if it has none."""
    items = [*(thing.items or ()), *([thing.rest] if thing.rest is not None else [])]
    return join(*items) if items else None


def together(thing: Sequence) -> Sequence:
    """Return a list whose items are not told apart."""
    return Sequence(None, all_of(thing), thing.kind)


def _mappings(one: Mapping, other: Mapping) -> Mapping:
    known = dict(one.known)
    for key, value in other.known.items():
        mine = known.get(key)
        known[key] = value if mine is None or mine is value else join(mine, value)
    rest, keys = either(one.rest, other.rest), few(one.keys | other.keys)
    loose = one.open or other.open or one.known.keys() != other.known.keys()
    if len(known) > MAX_ITEMS:
        values = [*known.values(), *([rest] if rest is not None else [])]
        return Mapping({}, join(*values), keys, one.type, open=True)
    return Mapping(known, rest, keys, one.type, loose)


def same(one: State, other: State) -> bool:
    """Return whether two states tell the same of all objects."""
    if one.facts != other.facts:
        return False
    if one.things.base is not other.things.base:
        return False
    mine = one.things.own
    for number, thing in [(n, t) for n, t in other.things.own.items() if mine.get(n) is not t]:
        before = one.things.get(number)
        if before is not thing and before != thing:
            return False
    return True


def known_key(value: Value) -> object | None:
    """Return a key that is known, or None."""
    if isinstance(value, Const):
        return (value.kind, value.value)
    if isinstance(value, Tup):
        keys = tuple(known_key(item) for item in value.items)
        return None if None in keys else keys
    return None


def is_clean(value: Value) -> bool:
    """Return whether a value is anything that nobody outside has chosen."""
    return isinstance(value, Unknown) and not value.taints
