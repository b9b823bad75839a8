"""The built-in roles against a reference in plain Python, over everything that can be asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import PLAYBOOK, TRIGGERS, acting, function, project, thing, token, user

from casemate.model.principal import (
    ANONYMOUS,
    BUILT_IN_ROLES,
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CedarPolicy
from casemate.policy.actions import RULES

POLICY = CedarPolicy()

RECORDS = {"invocation:read", "log:read", "error:read", "denial:read"}
DATA = {
    *("bucket:read", "bucket:write", "bucket:list", "bucket:delete"),
    *("table:get", "table:put", "table:query", "table:delete", "queue:send", "topic:publish"),
}
DEAD_LETTERS = {"dead-letter:read", "dead-letter:content", "dead-letter:write"}
MAY: dict[str, set[str]] = {
    "owner": {action.value for action in Action} - {"secret:read", "egress:connect"},
    "developer": {
        *("function:read", "function:deploy", "function:alias", "function:invoke", "grant:read"),
        *("function:invoke-version", "trigger:fire", "advisories:read"),
        *("secret:list", "secret:write", "secret:lend", "queue:read", "token:write"),
        "secret:rotate",
        "invocation:status",
        *("queue:purge", "queue:drop", "table:drop", "bucket:drop"),
        *(RECORDS | DATA | DEAD_LETTERS),
    },
    "operator": {
        *("node:read", "node:backup", "node:audit", "function:read", "function:alias"),
        *("function:remove", "node:list", "node:drain", "node:place", "node:remove"),
        *("function:quarantine", "function:release", "restriction:write"),
        *("advisories:read", "advisories:write", "advisories:except", "secret:rotate"),
        "alerts:page",
        *("incidents:read", "incidents:write"),
        *("grant:read", "grant:approve", "vault:rotate", "queue:read", "queue:purge"),
        *("dead-letter:read", "dead-letter:write"),
        *RECORDS,
    },
    "auditor": {
        *("node:read", "node:audit", "access:read", "access:review", "function:read"),
        "node:list",
        *("grant:read", "secret:list", "account:read"),
        *("policy:read", "dead-letter:read", "journal:read", "findings:read", *RECORDS),
        "advisories:read",
        *("incidents:read",),
    },
    "invoker": {"function:invoke", "invocation:status"},
}
CONTAIN = {
    *("function:quarantine", "function:alias", "budget:write", "token:revoke"),
    *("restriction:write", "evidence:seal", "secret:rotate", "alerts:page"),
}
CAPABILITIES = {*DATA, "function:invoke", "secret:read", "egress:connect"}
KINDS = tuple(k for k in ResourceKind if k not in (ResourceKind.NODE, ResourceKind.PROJECT))
NAMES = {ResourceKind.HOST: "api.example.com:443"}


def in_force(binding: RoleBinding, resource: Resource) -> bool:
    if binding.project is None:
        return binding.function is None
    if binding.function is not None:
        return (resource.kind, resource.project, resource.name) == (
            ResourceKind.FUNCTION,
            binding.project,
            binding.function,
        )
    return resource.kind is not ResourceKind.NODE and resource.project == binding.project


def expected(principal: Principal, action: Action, resource: Resource, granted: bool) -> bool:
    """What should be decided, without Cedar."""
    if resource.kind not in RULES[action].resources:
        return False
    invoking = action is Action.FUNCTION_INVOKE
    if principal.kind is PrincipalKind.FUNCTION:
        own = principal.id.partition("/")[0] == resource.project
        exact = resource.kind not in (ResourceKind.NODE, ResourceKind.PROJECT)
        return granted and own and exact and action.value in CAPABILITIES
    if principal.kind is PrincipalKind.TRIGGER:
        its_own = principal.id.rpartition("/")[0] == f"{resource.project}/{resource.name}"
        return granted and invoking and its_own
    if principal.kind is PrincipalKind.PLAYBOOK:
        return granted and action.value in CONTAIN
    if invoking and resource.internal:
        return False
    if invoking and resource.public:
        return True
    return principal.kind is not PrincipalKind.ANONYMOUS and any(
        action.value in MAY.get(binding.role, set()) and in_force(binding, resource)
        for binding in principal.bindings
    )


def all_resources(name: str) -> list[Resource]:
    things = [
        thing(kind, f"{name}/{NAMES.get(kind, 'cart')}")
        for kind in KINDS
        if kind is not ResourceKind.FUNCTION
    ]
    functions = [
        function(f"{name}/cart", internal=internal, public=public)
        for internal, public in ((False, False), (True, False), (False, True), (True, True))
    ]
    return [NODE, project(name), *functions, *things]


@pytest.mark.parametrize("role", [*BUILT_IN_ROLES, "nobody"])
@pytest.mark.parametrize("scope", ["", "@shop", "@shop/cart", "@other"])
def test_the_whole_matrix_of_a_role(role: str, scope: str) -> None:
    principal = user(role + scope)
    for resource in all_resources("shop"):
        for action in Action:
            wanted = expected(principal, action, resource, False)
            assert POLICY.allows(principal, action, resource) is wanted, (action, resource)


@pytest.mark.parametrize(
    "principal", [acting(), *TRIGGERS, PLAYBOOK, ANONYMOUS], ids=lambda p: p.text
)
@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("name", ["shop", "other"])
def test_the_whole_matrix_of_who_has_no_roles(
    principal: Principal, granted: bool, name: str
) -> None:
    for resource in all_resources(name):
        for action in Action:
            wanted = expected(principal, action, resource, granted)
            found = POLICY.allows(principal, action, resource, granted=granted)
            assert found is wanted, (action, resource)


SMALL_NAMES = st.sampled_from(["shop", "shop2", "cart", "a"])
BINDINGS = st.builds(
    RoleBinding,
    role=st.sampled_from([*BUILT_IN_ROLES, "Owner", "owner ", "\u043ewner", "", "nobody", '"'])
    | st.text(max_size=8),
    project=st.none() | SMALL_NAMES | st.sampled_from(["", "*", "SHOP"]),
    function=st.none() | SMALL_NAMES | st.just(""),
)
PRINCIPALS = (
    st.builds(
        Principal,
        kind=st.sampled_from([PrincipalKind.USER, PrincipalKind.TOKEN]),
        id=SMALL_NAMES,
        bindings=st.lists(BINDINGS, max_size=4).map(tuple),
    )
    | st.builds(
        Principal,
        kind=st.just(PrincipalKind.FUNCTION),
        id=st.tuples(SMALL_NAMES, SMALL_NAMES).map("/".join),
        bindings=st.lists(BINDINGS, max_size=4).map(tuple),
    )
    | st.builds(
        Principal,
        kind=st.just(PrincipalKind.TRIGGER),
        id=st.tuples(SMALL_NAMES, SMALL_NAMES, SMALL_NAMES).map("/".join),
        bindings=st.lists(BINDINGS, max_size=4).map(tuple),
    )
    | st.builds(
        Principal,
        kind=st.just(PrincipalKind.PLAYBOOK),
        id=SMALL_NAMES,
        bindings=st.lists(BINDINGS, max_size=4).map(tuple),
    )
)
RESOURCES = st.one_of(
    st.just(NODE),
    SMALL_NAMES.map(project),
    st.builds(
        Resource,
        kind=st.just(ResourceKind.FUNCTION),
        project=SMALL_NAMES,
        name=SMALL_NAMES,
        internal=st.booleans(),
        public=st.booleans(),
    ),
    st.builds(Resource, kind=st.sampled_from(KINDS), project=SMALL_NAMES, name=SMALL_NAMES),
)


@settings(max_examples=400, deadline=None)
@given(PRINCIPALS, st.sampled_from(Action), RESOURCES, st.booleans())
def test_nothing_is_allowed_that_the_reference_does_not_allow(
    principal: Principal, action: Action, resource: Resource, granted: bool
) -> None:
    allowed = POLICY.allows(principal, action, resource, granted=granted)
    wanted = expected(principal, action, resource, granted)
    if resource.kind is ResourceKind.HOST:
        wanted = False  # these names have no port: no such host can exist
    assert allowed is wanted
    assert POLICY.decide(principal, action, resource, granted=granted).allowed is wanted


def test_roles_of_a_function_principal_do_not_count() -> None:
    hostile = Principal(
        kind=PrincipalKind.FUNCTION, id="shop/resize", bindings=(RoleBinding(role="owner"),)
    )
    for action in Action:
        for resource in all_resources("shop"):
            assert not POLICY.allows(hostile, action, resource)


def test_a_function_calls_itself_if_it_is_granted_that() -> None:
    itself = function("shop/resize", internal=True)
    assert POLICY.allows(acting(), Action.FUNCTION_INVOKE, itself, granted=True)
    assert not POLICY.allows(acting(), Action.FUNCTION_INVOKE, itself)


def test_a_binding_to_a_function_without_a_project_covers_nothing() -> None:
    odd = token(RoleBinding(role="owner", function="cart"))
    assert not POLICY.allows(odd, Action.FUNCTION_READ, function())
    assert not POLICY.allows(odd, Action.NODE_READ, NODE)


def test_reasons_name_the_policy_that_decided() -> None:
    secret = thing(ResourceKind.SECRET)
    assert POLICY.decide(user("owner"), Action.NODE_READ, NODE).reasons == ("casemate.owner",)
    decision = POLICY.decide(user("owner"), Action.SECRET_READ, secret)
    assert (decision.allowed, decision.reasons) == (False, ("casemate.secret-read",))
    nothing = POLICY.decide(user("invoker"), Action.NODE_READ, NODE)
    assert (nothing.allowed, nothing.reasons, nothing.errors) == (False, (), ())
    internal = function(internal=True)
    decision = POLICY.decide(user("owner"), Action.FUNCTION_INVOKE, internal)
    assert decision.reasons == ("casemate.internal-function",)
