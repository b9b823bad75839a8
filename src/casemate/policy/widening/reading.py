"""Reads a policy as formulas: when it applies to requests of one shape, and when it fails.

Follows Cedar's evaluation: what stands behind a false part of `&&` is not asked, a policy that
fails is no policy, and our own rule that a decision with a failure is a denial. What is not read
here (arithmetic, records, addresses, a choice between texts) becomes an atom of its own: it may
come out any way, the same way wherever the same words stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from casemate.model.principal import Action, PrincipalKind, ResourceKind
from casemate.policy.actions import RULES
from casemate.policy.identifiers import ACTION, NODE_ID, ROLE, entity_type
from casemate.policy.widening.formula import (
    Flag,
    Formula,
    Is,
    Like,
    Opaque,
    Role,
    Same,
    both,
    either,
    negated,
)
from casemate.policy.widening.languages import matches
from casemate.policy.widening.shapes import (
    OWN_PROJECT,
    PROJECT,
    WITH_ROLES,
    Entity,
    Fixed,
    Free,
    Shape,
    Text,
    parts_of,
)

_NODE, _PROJECT = entity_type(ResourceKind.NODE), entity_type(ResourceKind.PROJECT)
_FUNCTION, _TRIGGER = entity_type(ResourceKind.FUNCTION), entity_type(PrincipalKind.TRIGGER)
_INSIDE = frozenset(
    entity_type(kind)
    for kind in ResourceKind
    if kind not in (ResourceKind.NODE, ResourceKind.PROJECT)
)
_THE_NODE = Entity(_NODE, (Fixed(NODE_ID),))
_CONTEXT = "context"


class Reading(NamedTuple):
    """When a condition is true, and when it fails."""

    true: Formula
    fails: Formula

    @property
    def false(self) -> Formula:
        """Return when it is false."""
        return both((negated(self.true), negated(self.fails)))


class _Several(NamedTuple):
    """A set that is written out."""

    items: tuple[_Value, ...]


_Value = Text | Entity | Reading | int | _Several | str
"""A text, an entity, a truth, a number, a set, or the context."""


class _NotReadError(Exception):
    """The expression is none that is read here."""


def fits(policy: dict[str, Any], action: Action) -> bool:
    """Tell whether the head of a policy is for an action."""
    scope = policy["action"]
    if scope["op"] == "All":
        return True
    named = {each["id"] for each in scope.get("entities") or (scope["entity"],)}
    groups = RULES[action].groups if scope["op"] == "in" else ()
    return not named.isdisjoint((action.value, *groups))


def read_policy(policy: dict[str, Any], shape: Shape) -> Reading:
    """Return when a policy applies to a request of the shape, and when it fails.

    Its head is for the action: see `fits`.
    """
    reader = _Reader(shape)
    reading = Reading(
        both(reader.scope(policy[part], part) for part in ("principal", "resource")),
        False,
    )
    for condition in policy["conditions"]:
        if reading.true is False:
            break
        found = reader.boolean(condition["body"])
        if condition["kind"] == "unless":
            found = Reading(found.false, found.fails)
        reading = _and(reading, found)
    return reading


def _and(one: Reading, other: Reading) -> Reading:
    return Reading(both((one.true, other.true)), either((one.fails, both((one.true, other.fails)))))


def _or(one: Reading, other: Reading) -> Reading:
    return Reading(
        either((one.true, both((one.false, other.true)))),
        either((one.fails, both((one.false, other.fails)))),
    )


class _Reader:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._variables: dict[str, _Value] = {
            "principal": shape.principal_entity,
            "resource": shape.resource_entity,
            "action": Entity(ACTION, (Fixed(shape.action.value),)),
            "context": _CONTEXT,
        }

    def scope(self, scope: dict[str, Any], part: str) -> Formula:
        """Return when the head of a policy fits."""
        value = self._variables[part]
        if not isinstance(value, Entity):
            raise _NotReadError
        operation = scope["op"]
        if operation == "All":
            return True
        if operation == "is":
            fits: Formula = value.type == scope["entity_type"]
            within = scope.get("in")
            return both((fits, self._in(value, _named(within["entity"])))) if within else fits
        named = [_named(each) for each in scope.get("entities") or (scope["entity"],)]
        if operation == "==":
            return _equal_entities(value, named[0])
        return either(self._in(value, each) for each in named)

    def boolean(self, expression: dict[str, Any]) -> Reading:
        """Return when an expression is true and when it fails; opaque where it is not read."""
        try:
            value, fails = self._read(expression)
            if not isinstance(value, Reading):
                raise _NotReadError
        except _NotReadError:
            key = json.dumps(expression, sort_keys=True)
            return Reading(Opaque(key, "true"), Opaque(key, "error"))
        return Reading(both((value.true, negated(fails))), either((value.fails, fails)))

    def _read(self, expression: dict[str, Any]) -> tuple[_Value, Formula]:  # noqa: PLR0911
        """Return the value of an expression, and when it fails besides."""
        [(operation, given)] = expression.items()
        if operation == "Var":
            return self._variables[given], False
        if operation == "Value":
            return _constant(given), False
        if operation == "Set":
            items = [self._read(each) for each in given]
            return _Several(tuple(v for v, _ in items)), either(f for _, f in items)
        if operation == "!":
            found = self.boolean(given["arg"])
            return Reading(found.false, found.fails), False
        if operation == "&&":
            return self._junction(given, _and, stop=False), False
        if operation == "||":
            return self._junction(given, _or, stop=True), False
        if operation == "if-then-else":
            return self._choice(given), False
        if operation == ".":
            return self._attribute(given)
        if operation in _TWO:
            left, left_fails = self._read(given["left"])
            right, right_fails = self._read(given["right"])
            fails = either((left_fails, right_fails))
            holds = fails is not True and _TWO[operation](self, left, right)
            return Reading(holds, False), fails
        if operation in _ONE:
            left, fails = self._read(given["left"])
            holds = fails is not True and _ONE[operation](self, left, given)
            return Reading(holds, False), fails
        raise _NotReadError

    def _junction(
        self, given: dict[str, Any], join: Callable[[Reading, Reading], Reading], *, stop: bool
    ) -> Reading:
        one = self.boolean(given["left"])
        ends = one.true if stop else one.false
        return one if ends is True else join(one, self.boolean(given["right"]))

    def _choice(self, given: dict[str, Any]) -> Reading:
        asked = self.boolean(given["if"])
        then, other = self.boolean(given["then"]), self.boolean(given["else"])
        return Reading(
            either((both((asked.true, then.true)), both((asked.false, other.true)))),
            either((asked.fails, both((asked.true, then.fails)), both((asked.false, other.fails)))),
        )

    def _attribute(self, given: dict[str, Any]) -> tuple[_Value, Formula]:
        value, fails = self._read(given["left"])
        if value == _CONTEXT and given["attr"] == "granted":
            return Reading(Flag("granted"), False), fails
        if not isinstance(value, Entity):
            raise _NotReadError
        found = self._attributes(value).get(given["attr"])
        if found is None:
            return Reading(False, False), True
        return found, either((fails, negated(self._known(value))))

    def _attributes(self, entity: Entity) -> dict[str, _Value]:
        """Return what `evaluation` gives an entity of that type."""
        if entity.type == _PROJECT:
            return {"project": entity.parts[0], "name": entity.parts[0]}
        if entity.type == _TRIGGER:
            return {"project": entity.parts[0], "function": entity.parts[1]}
        if entity.type not in _INSIDE:
            return {}
        names: dict[str, _Value] = {"project": entity.parts[0], "name": entity.parts[1]}
        if entity.type == _FUNCTION:
            asked = _equal_entities(entity, self._shape.resource_entity)
            for flag in ("internal", "public"):
                names[flag] = Reading(both((asked, Flag(flag))), False)
        return names

    def _known(self, entity: Entity) -> Formula:
        """Return when an entity is among those that Cedar is told of."""
        ends = (self._shape.principal_entity, self._shape.resource_entity)
        if entity in ends or entity.type == _NODE:
            return True
        known = [_equal_entities(entity, each) for each in ends]
        if entity.type == _PROJECT:
            names = self._shape.names
            known += [_equal(entity.parts[0], Free(n)) for n in (PROJECT, OWN_PROJECT)
                      if n in names and (n == PROJECT or self._is_function)]  # fmt: skip
        return either(known)

    @property
    def _is_function(self) -> bool:
        return self._shape.principal is PrincipalKind.FUNCTION

    def _in(self, inner: Entity, outer: Entity) -> Formula:
        same = _equal_entities(inner, outer)
        if outer.type == ACTION:
            groups = RULES[self._shape.action].groups
            asked = inner.parts == (Fixed(self._shape.action.value),)
            return either((same, asked and outer.parts[0] in {Fixed(name) for name in groups}))
        if outer.type == ROLE and inner.type != ROLE:
            role = outer.parts[0]
            if self._shape.principal not in WITH_ROLES or not isinstance(role, Fixed):
                return same
            return both((_equal_entities(inner, self._shape.principal_entity), Role(role.text)))
        if outer.type == _PROJECT and inner.type in _INSIDE:
            return both((self._known(inner), _equal(inner.parts[0], outer.parts[0])))
        if outer == _THE_NODE and (inner.type in _INSIDE or inner.type == _PROJECT):
            return self._known(inner)
        return same

    def equal(self, one: _Value, other: _Value) -> Formula:
        """Return when two values are equal."""
        if isinstance(one, Entity) and isinstance(other, Entity):
            return _equal_entities(one, other)
        if isinstance(one, Fixed | Free) and isinstance(other, Fixed | Free):
            return _equal(one, other)
        if isinstance(one, Reading) and isinstance(other, Reading):
            if one.fails is not False or other.fails is not False:
                raise _NotReadError
            return either((both((one.true, other.true)), both((one.false, other.false))))
        if type(one) is int and type(other) is int:
            return one == other
        raise _NotReadError

    def unequal(self, one: _Value, other: _Value) -> Formula:
        """Return when two values are not equal."""
        return negated(self.equal(one, other))

    def within(self, inner: _Value, outer: _Value) -> Formula:
        """Return when an entity is in another one, or in one of several."""
        outers = outer.items if isinstance(outer, _Several) else (outer,)
        found = []
        for each in outers:
            if not isinstance(inner, Entity) or not isinstance(each, Entity):
                raise _NotReadError
            found.append(self._in(inner, each))
        return either(found)

    def contains(self, several: _Value, one: _Value) -> Formula:
        """Return when a set contains a value."""
        if not isinstance(several, _Several):
            raise _NotReadError
        return either(self.equal(each, one) for each in several.items)

    def contains_all(self, several: _Value, others: _Value) -> Formula:
        """Return when a set contains each of another one."""
        if not isinstance(others, _Several):
            raise _NotReadError
        return both(self.contains(several, each) for each in others.items)

    def contains_any(self, several: _Value, others: _Value) -> Formula:
        """Return when a set contains one of another one."""
        if not isinstance(others, _Several):
            raise _NotReadError
        return either(self.contains(several, each) for each in others.items)

    def like(self, value: _Value, given: dict[str, Any]) -> Formula:
        """Return when a text has a form."""
        form = tuple(None if part == "Wildcard" else part["Literal"] for part in given["pattern"])
        if isinstance(value, Fixed):
            return matches(form, value.text)
        if not isinstance(value, Free):
            raise _NotReadError
        return Like(value.name, form)

    def has(self, value: _Value, given: dict[str, Any]) -> Formula:
        """Return when a value has an attribute."""
        if value == _CONTEXT:
            return bool(given["attr"] == "granted")
        if not isinstance(value, Entity):
            raise _NotReadError
        return both((given["attr"] in self._attributes(value), self._known(value)))

    def is_type(self, value: _Value, given: dict[str, Any]) -> Formula:
        """Return when a value is of a type, and in an entity if one is named."""
        if not isinstance(value, Entity):
            raise _NotReadError
        if value.type != given["entity_type"]:
            return False
        if "in" not in given:
            return True
        outer, fails = self._read(given["in"])
        if fails is not False:
            raise _NotReadError
        return self.within(value, outer)


def _compared(test: Callable[[int, int], bool]) -> Callable[[_Reader, _Value, _Value], Formula]:
    def compare(_reader: _Reader, one: _Value, other: _Value) -> Formula:
        if type(one) is not int or type(other) is not int:
            raise _NotReadError
        return test(one, other)

    return compare


_TWO: dict[str, Callable[[_Reader, Any, Any], Formula]] = {
    "==": _Reader.equal,
    "!=": _Reader.unequal,
    "in": _Reader.within,
    "contains": _Reader.contains,
    "containsAll": _Reader.contains_all,
    "containsAny": _Reader.contains_any,
    "<": _compared(lambda one, other: one < other),
    "<=": _compared(lambda one, other: one <= other),
    ">": _compared(lambda one, other: one > other),
    ">=": _compared(lambda one, other: one >= other),
}
_ONE: dict[str, Callable[[_Reader, _Value, dict[str, Any]], Formula]] = {
    "like": _Reader.like,
    "has": _Reader.has,
    "is": _Reader.is_type,
}


def _constant(given: Any) -> _Value:
    if isinstance(given, bool):
        return Reading(given, False)
    if isinstance(given, int):
        return given
    if isinstance(given, str):
        return Fixed(given)
    if isinstance(given, dict) and set(given) == {"__entity"}:
        return _named(given["__entity"])
    raise _NotReadError


def _named(entity: dict[str, str]) -> Entity:
    return Entity(entity["type"], parts_of(entity["type"], entity["id"]))


def _equal_entities(one: Entity, other: Entity) -> Formula:
    if one.type != other.type or len(one.parts) != len(other.parts):
        return False
    return both(_equal(a, b) for a, b in zip(one.parts, other.parts, strict=True))


def _equal(one: Text, other: Text) -> Formula:
    if isinstance(one, Fixed):
        one, other = other, one
    if isinstance(one, Fixed):
        return one == other
    if isinstance(other, Fixed):
        return Is(one.name, other.text)
    first, second = sorted((one.name, other.name))
    return True if first == second else Same(first, second)
