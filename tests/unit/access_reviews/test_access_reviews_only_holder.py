"""Whether somebody else may approve grants is told by the accounts and policies of the node."""

from __future__ import annotations

import time
from typing import Any

import pytest

from casemate.access_reviews import OnlyHolder, only_holder
from casemate.model.account import PolicyFile
from casemate.model.facts import Actor
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.policy import CedarPolicy
from support.accounts import World


class CountingPolicy(CedarPolicy):
    asked = 0

    def allows(self, *about: Any, **others: Any) -> bool:
        self.asked += 1
        return super().allows(*about, **others)


ADA = Actor("user:ada", "192.0.2.1")
OWNER = RoleBinding(role="owner")


@pytest.fixture
def world() -> World:
    """Return accounts with the token of the first start, which is revoked once there is ada."""
    made = World()
    made.clock.now = time.time()
    made.person("ada", OWNER)
    return made


def alone(world: World, by: Actor = ADA, function: str = "cart", policy: Any = None) -> bool:
    return OnlyHolder(world.accounts, policy or CedarPolicy()).is_only("shop", function, by)


def without_first(world: World) -> World:
    ada = Principal(kind=PrincipalKind.USER, id="ada", bindings=(OWNER,))
    (first,) = [one for one in world.accounts.tokens.all() if one.created_by == "node"]
    world.run(world.accounts.tokens.revoke(first.id, by=ada))
    return world


def add_token(world: World, by: Principal, *bindings: RoleBinding) -> str:
    soon = world.clock() + 3600
    return world.run(world.accounts.tokens.add(f"of-{by.id}", bindings, soon, by=by)).token.id


def ada(world: World) -> Principal:
    return Principal(kind=PrincipalKind.USER, id="ada", bindings=(OWNER,))


def test_the_token_of_the_first_start_is_alone_until_there_is_somebody() -> None:
    world = World()
    world.clock.now = time.time()
    first = Actor(world.owner.text, "192.0.2.1")
    assert alone(world, first)
    world.person("ada", OWNER)
    assert not alone(world, first) and not alone(world)


def test_what_was_made_with_the_token_of_the_first_start_is_nobody_else() -> None:
    world = World()
    world.clock.now = time.time()
    (first,) = [one for one in world.accounts.tokens.all() if one.created_by == "node"]
    by = Principal(kind=PrincipalKind.TOKEN, id=first.id, bindings=(OWNER,))
    add_token(world, by, OWNER)
    assert alone(world, Actor(by.text, "192.0.2.1"))


def test_one_person_is_alone_whoever_else_may_only_deploy(world: World) -> None:
    without_first(world)
    assert alone(world)
    world.run(world.accounts.people.add("bob", (RoleBinding(role="developer"),), by=ada(world)))
    add_token(world, ada(world), RoleBinding(role="developer"))
    assert alone(world)


@pytest.mark.parametrize(
    ("binding", "function", "expected"),
    [
        (RoleBinding(role="operator"), "cart", False),
        (RoleBinding(role="operator", project="shop"), "cart", False),
        (RoleBinding(role="operator", project="other"), "cart", True),
        (RoleBinding(role="operator", project="shop", function="cart"), "cart", False),
        (RoleBinding(role="operator", project="shop", function="cart"), "pay", True),
        (RoleBinding(role="auditor"), "cart", True),
    ],
)
def test_somebody_with_the_right_counts_though_he_never_came(
    world: World, binding: RoleBinding, function: str, expected: bool
) -> None:
    without_first(world)
    world.run(world.accounts.people.add("bob", (binding,), by=ada(world)))
    assert alone(world, function=function) is expected
    world.run(world.accounts.people.set_disabled("bob", True, by=ada(world)))
    assert alone(world, function=function)


def test_what_ones_own_token_may_is_ones_own_and_anothers_is_not(world: World) -> None:
    without_first(world)
    own = add_token(world, ada(world), RoleBinding(role="operator"))
    assert alone(world) and alone(world, Actor(f"token:{own}", "192.0.2.1"))
    world.run(world.accounts.people.add("bob", (RoleBinding(role="operator"),), by=ada(world)))
    bob = Principal(kind=PrincipalKind.USER, id="bob", bindings=(RoleBinding(role="operator"),))
    add_token(world, bob, RoleBinding(role="operator"))
    world.run(world.accounts.people.set_disabled("bob", True, by=ada(world)))
    assert not alone(world), "his token does not end with that"


def test_policies_decide_who_may(world: World) -> None:
    world.person("bob", RoleBinding(role="operator"))
    without_first(world)
    policy = CedarPolicy()
    assert not alone(world, policy=policy)
    text = (
        'forbid (principal == Casemate::User::"bob", '
        'action == Casemate::Action::"grant:approve", resource);'
    )
    policy.activate(
        policy.prepare((PolicyFile(name="p", text=text, changed_at=0.0, changed_by="user:ada"),))
    )
    assert alone(world, policy=policy)


@pytest.mark.parametrize(
    "by", ["", "playbook:own", "user:nobody", "token:none", "anonymous:public"]
)
def test_who_is_not_known_to_have_the_right_is_not_the_only_one(world: World, by: str) -> None:
    without_first(world)
    assert not alone(world, Actor(by, ""))


def test_no_more_than_some_are_asked_about_and_somebody_may_be_behind_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_first(world)
    for name in ("bob", "cleo", "dan"):
        world.run(world.accounts.people.add(name, (RoleBinding(role="developer"),), by=ada(world)))
    policy = CountingPolicy()
    assert alone(world, policy=policy)
    asked = policy.asked
    for most, expected in ((asked, True), (asked - 1, False)):
        monkeypatch.setattr(only_holder, "_MOST_ASKED", most)
        assert alone(world, policy=policy) is expected
