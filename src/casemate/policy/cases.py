"""Tests of policies: a TOML file says who asks for what, and what must come out. Needs no node.

policies = ["deployer.cedar"]

[[test]]
name = "a deployer deploys"
principal = "user:ada"
roles = ["deployer@shop"]
action = "function:deploy"
resource = "function:shop/cart"
expect = "allow"
by = "deployer"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from casemate.decoding import decodable, toml_of
from casemate.model.account import PolicyFile
from casemate.model.principal import (
    Action,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
)
from casemate.policy.compiled import CompiledPolicies, built_in_policies
from casemate.policy.errors import PolicyError, PolicyTextError, RequestNotDecidableError
from casemate.policy.evaluation import check_request, evaluate
from casemate.policy.files import read_bounded, read_policy_file
from casemate.policy.text import parse_action, parse_binding, parse_principal, parse_resource

MAX_TEST_BYTES = 256 * 1024
ALLOW, DENY = "allow", "deny"
_NEXT_STEP = "See docs/reference/policies.md, section Tests."


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    principal: str
    action: str
    resource: str
    expect: Literal["allow", "deny"]
    name: str = ""
    roles: tuple[str, ...] = ()
    granted: bool = False
    internal: bool = False
    public: bool = False
    by: str | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    test: Annotated[tuple[_Test, ...], msgspec.Meta(min_length=1)]
    policies: tuple[str, ...] = ()


class PolicyTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test that can be run."""

    name: str
    principal: Principal
    action: Action
    resource: Resource
    granted: bool
    expect: str
    by: str | None


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of one test."""

    __test__ = False

    name: str
    expected: str
    decided: str
    reasons: tuple[str, ...]
    errors: tuple[str, ...]
    passed: bool


class TestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of tests and the policy files that it names."""

    __test__ = False

    tests: tuple[PolicyTest, ...]
    policies: tuple[PolicyFile, ...]


def load_tests(path: Path) -> TestFile:
    """Read a file of tests. Policies are named relative to it. Raises PolicyError."""
    text = read_bounded(path, MAX_TEST_BYTES, "Name a file of tests, such as policy-tests.toml.")
    try:
        document = msgspec.convert(toml_of(text), decodable(_Document))
    except ValueError as error:
        raise PolicyError(str(error), file=str(path), next_step=_NEXT_STEP) from error
    return TestFile(
        tests=tuple(_test(path, number, t) for number, t in enumerate(document.test, 1)),
        policies=tuple(read_policy_file(path.parent / name) for name in document.policies),
    )


def _test(path: Path, number: int, given: _Test) -> PolicyTest:
    try:
        bindings = tuple(parse_binding(role) for role in given.roles)
        principal = parse_principal(given.principal, bindings)
        if bindings and principal.kind not in (PrincipalKind.USER, PrincipalKind.TOKEN):
            raise PolicyTextError(f"A {principal.kind.value} has no roles, expected none.")
        action = parse_action(given.action)
        resource = _resource(given)
        check_request(principal, action, resource)
    except (PolicyTextError, RequestNotDecidableError) as error:
        raise PolicyError(
            f"test {number}: {error.message}", file=str(path), next_step=_NEXT_STEP
        ) from error
    return PolicyTest(
        name=given.name or f"{principal.text} {action.value} {resource.text}",
        principal=principal,
        action=action,
        resource=resource,
        granted=given.granted,
        expect=given.expect,
        by=given.by,
    )


def _resource(given: _Test) -> Resource:
    resource = parse_resource(given.resource)
    if not (given.internal or given.public):
        return resource
    if resource.kind is not ResourceKind.FUNCTION:
        raise PolicyTextError(f"A {resource.kind.value} is neither internal nor public.")
    return msgspec.structs.replace(resource, internal=given.internal, public=given.public)


def run_tests(tests: Iterable[PolicyTest], policies: CompiledPolicies) -> tuple[TestResult, ...]:
    """Run tests against policies. PolicyError if a test names a role or policy there is not."""
    known = {policy.id for policy in policies.policies} | set(built_in_policies())
    return tuple(_run(test, policies, known) for test in tests)


def _run(test: PolicyTest, policies: CompiledPolicies, known: set[str]) -> TestResult:
    for binding in test.principal.bindings:
        _require(binding.role, policies.roles, f"{test.name}: the role")
    if test.by is not None:
        _require(test.by, known, f"{test.name}: the policy in `by`")
    decision = evaluate(
        policies.policy_set, test.principal, test.action, test.resource, test.granted
    )
    decided = ALLOW if decision.allowed else DENY
    return TestResult(
        name=test.name,
        expected=test.expect,
        decided=decided,
        reasons=decision.reasons,
        errors=decision.errors,
        passed=decided == test.expect and _decided_by(decision, test.by),
    )


def _decided_by(decision: Decision, policy: str | None) -> bool:
    return not decision.errors and (policy is None or policy in decision.reasons)


def _require(name: str, known: Sequence[str] | set[str] | frozenset[str], what: str) -> None:
    if name not in known:
        raise PolicyError(
            f"{what} is {name[:80]!r}, expected one of {', '.join(sorted(known))}.",
            next_step="Name the policy file that has it in `policies`, or fix the test.",
        )
