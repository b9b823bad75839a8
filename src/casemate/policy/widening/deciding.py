"""Decides whether policies permit what others before them did not, for every request there can be.

Requests fall into finitely many shapes. Of each, what the policies ask is read as formulas, and a
request that makes them differ is found or proved not to exist. Cedar itself decides each request
that is found, by both sets; where it disagrees, or a condition could not be read, that is said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from casemate.model.principal import Action
from casemate.policy.compiled import CompiledPolicies, built_in_policies
from casemate.policy.evaluation import MAX_ROLES, evaluate
from casemate.policy.widening.formula import (
    Flag,
    Formula,
    Opaque,
    Role,
    atoms_of,
    both,
    either,
    negated,
)
from casemate.policy.widening.languages import TooManyFormsError
from casemate.policy.widening.reading import Reading, fits, read_policy
from casemate.policy.widening.requests import request_of
from casemate.policy.widening.results import Permitted, Widening
from casemate.policy.widening.shapes import Shape, shapes
from casemate.policy.widening.solving import Assignment, TooHardError, Values, solve

MAX_SECONDS = 20.0
"""For two sets of policies; what is not decided by then counts as widened, and is named."""

_Policy = dict[str, Any]
_ASKS_ACTION = '{"Var": "action"}'
_Answer = tuple[Formula, Values, Assignment | str]
"""A formula, and what makes it true, or why that could not be decided."""


def widening(
    before: CompiledPolicies, after: CompiledPolicies, *, seconds: float = MAX_SECONDS
) -> Widening:
    """Return what some principal may after a change of policies and might not before."""
    until = time.monotonic() + seconds
    comparison = _Comparison(before, after, until)
    shown: list[Permitted] = []
    undecided: dict[str, None] = {}
    decided = late = 0
    for shape in shapes():
        if time.monotonic() > until:
            late += 1
            continue
        found = comparison.decide(shape)
        if isinstance(found, str):
            undecided[found] = None
            continue
        decided += 1
        if found is not None:
            shown.append(found)
    if late:
        undecided[f"{late} kinds of requests were not decided within {seconds:g} s"] = None
    return Widening(permitted=tuple(shown), undecided=tuple(undecided), shapes=decided)


class _Answers:
    """Answers that are worked out when they are asked for, once."""

    def __init__(self, answers: Iterator[_Answer]) -> None:
        self._known: list[_Answer] = []
        self._more = answers

    def __iter__(self) -> Iterator[_Answer]:
        yield from self._known
        for each in self._more:
            self._known.append(each)
            yield each


class _Comparison:
    """Two sets of policies, each policy with what tells it from others."""

    def __init__(self, before: CompiledPolicies, after: CompiledPolicies, until: float) -> None:
        self._sets = before, after
        self._until = until
        self._old, self._new = _keyed(before), _keyed(after)
        self._every = {**self._old, **self._new}
        self._changed = self._old.keys() ^ self._new.keys()
        self._read: dict[tuple[object, ...], Reading] = {}
        self._fitting: dict[Action, tuple[tuple[str, ...], Action | None]] = {}
        self._answers: dict[tuple[object, ...], _Answers] = {}

    def decide(self, shape: Shape) -> Permitted | str | None:
        """Return a request of the shape that is permitted now alone, None, or why not decided."""
        fitting, asked = self._fitting_to(shape.action)
        if self._changed.isdisjoint(fitting):
            return None
        group = (fitting, shape.principal, shape.resource, asked)
        if group not in self._answers:  # else another action about which all policies say the same
            read = {key: self._reading(key, shape) for key in fitting}
            self._answers[group] = _Answers(self._solved(shape, read))
        doubt = None
        for formula, values, found in self._answers[group]:
            where = f"{shape.action.value} of a {shape.principal.value}"
            if isinstance(found, str):
                return f"{where}: {found}"
            shown = self._confirmed(shape, found, values)
            if shown is not None:
                return shown
            doubt = f"{where}: {_doubt(formula, found)}"
        return doubt

    def _fitting_to(self, action: Action) -> tuple[tuple[str, ...], Action | None]:
        """Return the policies that are for an action, and it if their conditions ask for it."""
        if action not in self._fitting:
            keys = tuple(key for key, each in self._every.items() if fits(each, action))
            asking = any(_ASKS_ACTION in key for key in keys)
            self._fitting[action] = keys, action if asking else None
        return self._fitting[action]

    def _reading(self, key: str, shape: Shape) -> Reading:
        asked = shape.action if _ASKS_ACTION in key else None
        place = (key, shape.principal, shape.resource, asked)
        if place not in self._read:
            self._read[place] = read_policy(self._every[key], shape)
        return self._read[place]

    def _solved(self, shape: Shape, read: dict[str, Reading]) -> Iterator[_Answer]:
        """Yield the answers that there are, and why one of the formulas has none."""
        read = {key: each for key, each in read.items() if each != Reading(False, False)}
        if self._changed.isdisjoint(read):
            return
        values = Values(shape.names, (part for each in read.values() for part in each))
        for formula in self._formulas(read):
            try:
                found = solve(formula, values, until=self._until)
            except (TooHardError, TooManyFormsError) as error:
                yield formula, values, error.message
                return
            except RecursionError:
                yield formula, values, "the conditions are too deep within each other"
                return
            if found is not None:
                yield formula, values, found

    def _formulas(self, read: dict[str, Reading]) -> Iterator[Formula]:
        """Yield formulas one of which holds for a request that is permitted now alone.

        What is permitted now: a permit holds, no forbid does, nothing fails. What was not before:
        no permit held, or a forbid did that is gone, or something failed that is gone.
        """
        forbids = {key for key in read if self._every[key]["effect"] == "forbid"}
        denies = [each.fails for key, each in read.items() if key in self._new]
        denies += [read[key].true for key in read if key in forbids and key in self._new]
        permits = [key for key in read if key not in forbids]
        allowed = both(
            (
                either(read[key].true for key in permits if key in self._new),
                *(negated(each) for each in denies),
            )
        )
        added = either(read[key].true for key in permits if key not in self._old)
        never = (negated(read[key].true) for key in permits if key in self._old)
        yield both((added, allowed, *never))
        for key, each in read.items():
            if key in self._old and key not in self._new:
                yield both((each.fails, allowed))
                if key in forbids:
                    yield both((each.true, allowed))

    def _confirmed(self, shape: Shape, found: Assignment, values: Values) -> Permitted | None:
        """Return the request in words if Cedar decides about it as the formulas do."""
        if (
            sum(value is True for atom, value in found.items() if isinstance(atom, Role))
            > MAX_ROLES
        ):
            return None
        principal, resource = request_of(shape, found, values)
        granted = found.get(Flag("granted")) is True
        before, after = (
            evaluate(policies.policy_set, principal, shape.action, resource, granted)
            for policies in self._sets
        )
        if before.allowed or not after.allowed:
            return None
        return Permitted(
            principal=principal.text,
            roles=tuple(sorted(binding.role for binding in principal.bindings)),
            action=shape.action.value,
            resource=resource.text,
            granted=granted,
            internal=resource.internal,
            public=resource.public,
            by=after.reasons,
            before=before.why,
        )


def _doubt(formula: Formula, found: Assignment) -> str:
    conditions = sorted({a.condition for a in atoms_of(formula) if isinstance(a, Opaque)})
    if conditions:
        return f"the condition {conditions[0][:200]} is not read"
    return f"Cedar decides otherwise than was worked out ({len(found)} conditions)"


def _keyed(policies: CompiledPolicies) -> dict[str, _Policy]:
    """Return all policies by what they say, whatever they are called."""
    every: Sequence[_Policy] = (
        *built_in_policies().values(),
        *(policy.json for policy in policies.policies),
    )
    return {_said(policy): policy for policy in every}


def _said(policy: _Policy) -> str:
    return json.dumps({k: v for k, v in policy.items() if k != "annotations"}, sort_keys=True)
