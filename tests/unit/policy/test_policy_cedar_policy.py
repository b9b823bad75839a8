"""Decisions of custom policies, the cache, and that whatever goes wrong is a denial."""

from __future__ import annotations

import threading

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from policy_samples import DEPLOYER, acting, function, policy_file, thing, user

from casemate.model.principal import NODE, Action, ResourceKind
from casemate.policy import CedarPolicy, Policy, PolicyError, cedar_policy

DEPLOY, INVOKE = Action.FUNCTION_DEPLOY, Action.FUNCTION_INVOKE
NO_READ = 'forbid (principal, action == Casemate::Action::"bucket:read", resource);'
OVERFLOW = (
    'forbid (principal, action == Casemate::Action::"bucket:read", resource)'
    " when { 9223372036854775807 + (if context.granted then 1 else 2) == 0 };"
)


def test_it_is_a_policy() -> None:
    policy: Policy = CedarPolicy()
    assert policy.revision == 1


def test_a_custom_role_and_a_forbid() -> None:
    policy = CedarPolicy([policy_file(DEPLOYER, "deployer")])
    deployer = user("deployer@shop")
    decision = policy.decide(deployer, DEPLOY, function())
    assert (decision.allowed, decision.reasons) == (True, ("deployer",))
    assert not policy.allows(deployer, DEPLOY, function("other/cart"))
    assert not policy.allows(deployer, Action.FUNCTION_REMOVE, function())
    decision = policy.decide(user("deployer", "owner"), DEPLOY, function(public=True))
    assert (decision.allowed, decision.reasons) == (False, ("deployer.cedar#2",))


def test_a_custom_forbid_takes_a_grant_away() -> None:
    policy = CedarPolicy([policy_file(NO_READ)])
    bucket = thing(ResourceKind.BUCKET)
    assert not policy.allows(acting(), Action.BUCKET_READ, bucket, granted=True)
    assert policy.allows(acting(), Action.BUCKET_LIST, bucket, granted=True)


def test_no_custom_permit_gives_more_than_a_grant() -> None:
    text = "permit (principal is Casemate::Function, action, resource);"
    policy = CedarPolicy([policy_file(text)])
    bucket = thing(ResourceKind.BUCKET)
    assert not policy.allows(acting(), Action.BUCKET_READ, bucket)
    assert not policy.allows(acting("evil/f"), Action.BUCKET_READ, bucket, granted=True)
    secret = thing(ResourceKind.SECRET)
    people = "permit (principal is Casemate::User, action, resource);"
    policy.replace([policy_file(people)])
    assert not policy.allows(user(), Action.SECRET_READ, secret)
    assert not policy.allows(user(), INVOKE, function(internal=True))


def test_an_error_in_a_policy_is_a_denial_with_the_error() -> None:
    policy = CedarPolicy([policy_file(OVERFLOW)])
    bucket = thing(ResourceKind.BUCKET)
    decision = policy.decide(user("owner"), Action.BUCKET_READ, bucket)
    assert not decision.allowed
    assert "custom.cedar#1" in decision.errors[0]
    assert not policy.allows(user("owner"), Action.BUCKET_READ, bucket)
    assert policy.allows(user("owner"), Action.BUCKET_LIST, bucket)


def test_the_cache_answers_without_cedar(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = CedarPolicy()
    assert policy.allows(user("invoker"), INVOKE, function())

    def broken(*_: object) -> None:
        raise AssertionError("was not cached")

    monkeypatch.setattr(cedar_policy, "evaluate", broken)
    assert policy.allows(user("invoker"), INVOKE, function())
    assert not policy.allows(user("invoker"), INVOKE, function("shop/b"))


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), RecursionError(), OSError()])
def test_any_failure_is_a_denial_and_is_not_kept(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = CedarPolicy()

    def broken(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(cedar_policy, "evaluate", broken)
        assert not policy.allows(user("owner"), Action.NODE_READ, NODE)
        decision = policy.decide(user("owner"), Action.NODE_READ, NODE)
        assert not decision.allowed
        assert type(error).__name__ in decision.errors[0]
    assert policy.allows(user("owner"), Action.NODE_READ, NODE)


@pytest.mark.parametrize("odd", [None, "owner", 7, object(), {"a": 1}, [1]])
def test_arguments_that_are_none_are_denied(odd: object) -> None:
    policy = CedarPolicy()
    assert not policy.allows(odd, Action.NODE_READ, NODE)  # type: ignore[arg-type]
    assert not policy.allows(user("owner"), odd, NODE)  # type: ignore[arg-type]
    assert not policy.allows(user("owner"), Action.NODE_READ, odd)  # type: ignore[arg-type]
    assert not policy.decide(user("owner"), odd, NODE).allowed  # type: ignore[arg-type]


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cedar_policy, "MAX_CACHED", 10)
    policy = CedarPolicy()
    for number in range(35):
        policy.allows(user("owner"), INVOKE, function(f"shop/f{number}"))
        assert len(policy._active.cache) <= 10


def test_what_cannot_exist_is_not_cached() -> None:
    policy = CedarPolicy()
    assert not policy.allows(user("owner"), INVOKE, function("shop/" + "a" * 100_000))
    assert policy._active.cache == {}


def test_a_change_is_in_force_at_once() -> None:
    policy = CedarPolicy()
    bucket = thing(ResourceKind.BUCKET)
    assert policy.allows(user("owner"), Action.BUCKET_READ, bucket)
    policy.replace([policy_file(NO_READ)])
    assert policy.revision == 2
    assert not policy.allows(user("owner"), Action.BUCKET_READ, bucket)
    policy.replace([])
    assert policy.revision == 3
    assert policy.allows(user("owner"), Action.BUCKET_READ, bucket)


def test_a_decision_under_way_during_a_change_poisons_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = CedarPolicy()
    bucket = thing(ResourceKind.BUCKET)
    deciding, changed = threading.Event(), threading.Event()
    real = cedar_policy.evaluate

    def slow(*arguments):
        decision = real(*arguments)
        deciding.set()
        changed.wait(10)
        return decision

    with monkeypatch.context() as patch:
        patch.setattr(cedar_policy, "evaluate", slow)
        thread = threading.Thread(
            target=policy.allows, args=(user("owner"), Action.BUCKET_READ, bucket)
        )
        thread.start()
        deciding.wait(10)
    policy.replace([policy_file(NO_READ)])
    changed.set()
    thread.join(10)
    assert not policy.allows(user("owner"), Action.BUCKET_READ, bucket)


def test_an_expired_principal_is_denied_even_from_the_cache() -> None:
    now = [100.0]
    policy = CedarPolicy(clock=lambda: now[0])
    owner = msgspec.structs.replace(user("owner"), expires_at=101.0)
    assert policy.allows(owner, Action.NODE_READ, NODE)
    now[0] = 101.0
    assert not policy.allows(owner, Action.NODE_READ, NODE)
    assert "expired" in policy.decide(owner, Action.NODE_READ, NODE).errors[0]


def test_only_true_is_granted() -> None:
    policy = CedarPolicy()
    bucket = thing(ResourceKind.BUCKET)
    assert policy.allows(acting(), Action.BUCKET_READ, bucket, granted=True)
    for odd in (1, "true", [0], object()):
        assert not policy.allows(acting(), Action.BUCKET_READ, bucket, granted=odd)  # type: ignore[arg-type]
        assert not policy.decide(acting(), Action.BUCKET_READ, bucket, granted=odd).allowed  # type: ignore[arg-type]


def test_invalid_files_are_refused_at_the_start() -> None:
    with pytest.raises(PolicyError, match=r"custom\.cedar:1"):
        CedarPolicy([policy_file("nonsense;")])


class Changes(RuleBasedStateMachine):
    """However files come and go, cached and fresh decisions agree with what is in force."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = CedarPolicy()
        self.forbidden: set[str] = set()

    @rule(action=st.sampled_from(["bucket:read", "bucket:list", "function:invoke"]))
    def toggle(self, action: str) -> None:
        self.forbidden ^= {action}
        self.policy.replace(
            policy_file(
                f'forbid (principal, action == Casemate::Action::"{name}", resource);',
                name.replace(":", "-"),
            )
            for name in self.forbidden
        )

    @rule()
    def refused(self) -> None:
        with pytest.raises(PolicyError):
            self.policy.replace([policy_file("forbid (principal, action, resource);")])

    @invariant()
    def agrees(self) -> None:
        owner = user("owner")
        for action, resource in (
            (Action.BUCKET_READ, thing(ResourceKind.BUCKET)),
            (Action.BUCKET_LIST, thing(ResourceKind.BUCKET)),
            (INVOKE, function()),
        ):
            wanted = action.value not in self.forbidden
            assert self.policy.allows(owner, action, resource) is wanted
            assert self.policy.decide(owner, action, resource).allowed is wanted


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
