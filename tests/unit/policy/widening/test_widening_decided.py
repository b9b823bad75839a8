"""What is decided of two sets of policies is what Cedar decides, request by request."""

from __future__ import annotations

from random import Random

import pytest
from tests.support.policies import Request, compiled, requests, valid_policy

from casemate.model.principal import PrincipalKind, ResourceKind
from casemate.policy.compiled import CompiledPolicies
from casemate.policy.evaluation import covers, evaluate
from casemate.policy.widening import widening
from casemate.policy.widening.formula import Atom, Flag, Is, Like, Role, Same, with_atoms
from casemate.policy.widening.languages import matches
from casemate.policy.widening.reading import Reading, fits, read_policy
from casemate.policy.widening.shapes import (
    OWN_ID,
    OWN_NAME,
    OWN_PROJECT,
    PROJECT,
    RESOURCE_NAME,
    Shape,
)


def holds(atom: Atom, request: Request) -> bool:
    principal, _, resource, granted = request
    parts = principal.id.split("/", 2)
    own = {OWN_PROJECT: parts[0], OWN_NAME: parts[1] if len(parts) > 1 else "", OWN_ID: parts[-1]}
    names = {**own, PROJECT: resource.project, RESOURCE_NAME: resource.name}
    flags = {"granted": granted, "internal": resource.internal, "public": resource.public}
    match atom:
        case Role(role=role):
            return any(b.role == role and covers(b, resource) for b in principal.bindings)
        case Flag(flag=flag):
            return flags[flag]
        case Is(name=name, text=text):
            return names[name] == text
        case Same(one=one, other=other):
            return names[one] == names[other]
        case Like(form_of=name, form=form):
            return matches(form, names[name])
    raise AssertionError(f"{atom} is not read")


def disagreements(seed: int, policies: int, each: int) -> list[tuple[str, Request]]:
    """Requests of which a policy, alone with the built-in ones, says otherwise than its reading."""
    random, found = Random(seed), []
    for _ in range(policies):
        text = valid_policy(random)
        alone = compiled([text])
        policy = alone.policies[0]
        for request in requests(random, each):
            principal, action, resource, granted = request
            reading = read_policy(policy.json, Shape(principal.kind, action, resource.kind))
            if not fits(policy.json, action):
                reading = Reading(False, False)
            true = with_atoms(reading.true, lambda atom, r=request: holds(atom, r))
            fails = with_atoms(reading.fails, lambda atom, r=request: holds(atom, r))
            decision = evaluate(alone.policy_set, principal, action, resource, granted)
            decides = policy.id in decision.reasons
            if (
                bool(decision.errors) != fails
                or (policy.effect == "forbid" and not decision.errors and decides != true)
                or (policy.effect == "permit" and decision.allowed and decides != true)
            ):
                found.append((text, request))
    return found


def test_each_policy_is_read_as_cedar_evaluates_it() -> None:
    assert disagreements(seed=1, policies=15, each=12) == []


@pytest.mark.storm
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(2, 6))
def test_each_policy_is_read_as_cedar_evaluates_it_many_times(seed: int) -> None:
    assert disagreements(seed=seed, policies=100, each=60) == []


def widened(before: CompiledPolicies, after: CompiledPolicies, request: Request) -> bool:
    if not evaluate(after.policy_set, *request).allowed:
        return False
    return not evaluate(before.policy_set, *request).allowed


def shape_of(request: Request) -> tuple[PrincipalKind, str, ResourceKind]:
    return request[0].kind, request[1].value, request[2].kind


def pairs_missed(seed: int, pairs: int, each: int) -> tuple[list[object], int]:
    """Pairs of which trying finds what deciding does not; and how many trying finds."""
    random, missed, tried = Random(seed), [], 0
    for _ in range(pairs):
        common, old, new = (
            [valid_policy(random) for _ in range(random.randint(least, most))]
            for least, most in ((0, 3), (0, 2), (1, 4))
        )
        before, after = compiled(common + old), compiled(common + new)
        found = widening(before, after)
        assert found.undecided == ()
        kinds = {
            (p.principal.partition(":")[0], p.action, p.resource.partition(":")[0])
            for p in found.permitted
        }
        for request in requests(random, each):
            if widened(before, after, request):
                tried += 1
                if shape_of(request) not in kinds:
                    missed.append((common, old, new, request))
    return missed, tried


def test_whatever_trying_finds_is_decided() -> None:
    tried = 0
    for seed in range(8, 20):  # which of them widen what is tried changes with each new action
        missed, found = pairs_missed(seed=seed, pairs=3, each=100)
        assert missed == []
        tried += found
        if tried > 1:
            break
    assert tried > 1


@pytest.mark.storm
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(2, 8))
def test_whatever_trying_finds_is_decided_many_times(seed: int) -> None:
    assert pairs_missed(seed=seed, pairs=30, each=250)[0] == []
