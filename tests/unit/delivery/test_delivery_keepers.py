"""What was kept for somebody is handled by what that one may do when it begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from delivery_world import OK, World, ended, play

from casemate.delivery.verdict import KEEPER_DENIED, REDRIVER_DENIED, REDRIVER_GONE
from casemate.model.account import PolicyFile
from casemate.model.denial import DenialKind
from casemate.model.function import Delivery, HttpTrigger
from casemate.model.grant import Grant, GrantKind
from casemate.model.invocation import Outcome
from casemate.model.principal import ANONYMOUS, RoleBinding
from casemate.model.trigger import TriggerKind

F: dict[str, Any] = {"name": "f", "delivery": Delivery(attempts=3, backoff=0.02, backoff_most=0.1)}
INVOKER = RoleBinding(role="invoker")
ROUTE = HttpTrigger(method="POST", path="/orders", asynchronous=True)
Scene = Callable[[World], Awaitable[None]]


@pytest.fixture
def on(tmp_path: Path) -> Callable[[Scene], None]:
    return lambda scene: play(tmp_path, scene)


@pytest.mark.parametrize(
    ("bindings", "handled"),
    [
        ((), False),
        ((RoleBinding(role="auditor"),), False),
        ((RoleBinding(role="invoker", project="other"),), False),
        ((RoleBinding(role="invoker", project="t"),), True),
        ((INVOKER,), True),
        (None, True),  # a token of which nothing is known any more: its time was over long ago
    ],
)
@pytest.mark.parametrize("keeper", ["user:ada", "token:ci"])
def test_who_lost_the_right_to_invoke_has_nothing_handled_any_more(
    on: Callable[[Scene], None], keeper: str, bindings: Any, handled: bool
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.keepers.roles[keeper] = bindings
        await world.send("kept", kept_by=keeper, invocation="inv_1")
        await world.send("of nobody")
        world.delivery.start()
        await world.empty()
        assert sorted(world.values()) == (["kept"] if handled else []) + ["of nobody"]
        assert await world.dead() == ([] if handled else [(KEEPER_DENIED, 1)])
        told = [(one.by, one.kind, one.invocation, one.resource) for one in world.denied]
        expected = (keeper, DenialKind.AUTHORIZATION, "inv_1", "function:t/f")
        assert told == ([] if handled else [expected])

    on(scene)


MAY_CALL = (Grant(kind=GrantKind.FUNCTION, name="f", actions=("invoke",)),)


@pytest.mark.parametrize("taken", ["nothing", "grant", "function", "policy"])
def test_what_a_function_had_kept_is_decided_by_what_is_live_of_it(
    on: Callable[[Scene], None], taken: str
) -> None:
    """Nobody asked again: its events were handled after the grant was withdrawn."""

    async def scene(world: World) -> None:
        caller = {"name": "caller", "grants": MAY_CALL}
        await world.deploy(F, caller)
        await world.send(1, kept_by="function:t/caller")
        if taken == "grant":
            await world.deploy(F, {"name": "caller"})
        elif taken == "function":
            await world.deploy(F)
        elif taken == "policy":
            forbid = (
                '@id("p") forbid(principal == Casemate::Function::"t/caller", action, resource);'
            )
            file = PolicyFile(name="p", text=forbid, changed_at=1.0, changed_by="user:olga")
            world.policy.replace([file])
        world.delivery.start()
        await world.empty()
        assert bool(world.ran) is (taken == "nothing")
        assert [one for one, _ in await world.dead()] == [KEEPER_DENIED] * (taken != "nothing")

    on(scene)


@pytest.mark.parametrize(
    ("spec", "qualifier", "handled"),
    [
        ({"public": True}, "", True),  # everybody may
        ({"internal": True}, "", False),  # nobody from outside may any more
        ({}, "7", False),  # that is not live: a right of its own, which an invoker has not
    ],
)
def test_what_is_deployed_now_decides_too(
    on: Callable[[Scene], None], spec: dict[str, Any], qualifier: str, handled: bool
) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**F, **spec})
        world.keepers.roles["user:eve"] = () if handled else (INVOKER,)
        if qualifier:
            live = world.catalogue.closure

            def replaced(*asked: Any) -> Any:
                return live(*asked)._replace(is_live=False)

            world.catalogue.closure = replaced  # type: ignore[method-assign]
        await world.send(1, kept_by="user:eve", qualifier=qualifier)
        world.delivery.start()
        await world.empty()
        assert bool(world.ran) is handled
        assert [reason for reason, _ in await world.dead()] == [KEEPER_DENIED] * (not handled)

    on(scene)


@pytest.mark.parametrize(
    ("spec", "kind", "handled"),
    [
        ({"public": True}, TriggerKind.INVOKE, True),
        ({}, TriggerKind.INVOKE, False),
        ({}, TriggerKind.HTTP, False),
        ({"public": True, "internal": True}, TriggerKind.HTTP, False),
        # By its routes alone, since it has some.
        ({"public": True, "http": (ROUTE,)}, TriggerKind.HTTP, True),
        ({"public": True, "http": (ROUTE,)}, TriggerKind.INVOKE, False),
    ],
)
def test_what_is_closed_by_now_handles_nothing_of_who_has_no_token(
    on: Callable[[Scene], None], spec: dict[str, Any], kind: TriggerKind, handled: bool
) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**F, **spec})
        world.keepers.roles[ANONYMOUS.text] = ()
        await world.send("kept", kept_by=ANONYMOUS.text, kind=kind)
        world.delivery.start()
        await world.empty()
        assert bool(world.ran) is handled
        assert [reason for reason, _ in await world.dead()] == [KEEPER_DENIED] * (not handled)

    on(scene)


def test_a_policy_that_forbids_it_by_now_counts_and_each_attempt_is_asked_about(
    on: Callable[[Scene], None],
) -> None:
    text = """
@id("no-more")
forbid (
  principal == Casemate::Token::"ci",
  action == Casemate::Action::"function:invoke",
  resource
);
"""

    async def scene(world: World) -> None:
        await world.deploy(F)

        def failing(raw: Any) -> Any:
            file = PolicyFile(name="no", text=text, changed_at=1.0, changed_by="user:olga")
            world.policy.replace([file])
            return ended(Outcome.HANDLER_ERROR)

        world.answer = failing
        await world.send(1, kept_by="token:ci")
        world.delivery.start()
        await world.empty()
        assert len(world.ran) == 1, "the second attempt is not made"
        assert [reason for reason, _ in await world.dead()] == [KEEPER_DENIED]

    on(scene)


def test_who_sends_a_dead_letter_again_has_it_handled(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.keepers.roles["user:ada"] = ()
        await world.send(1, kept_by="user:ada")
        world.delivery.start()
        await world.empty()
        assert await world.dead() == [(KEEPER_DENIED, 1)]
        await world.data.redrive("t", "inbox", "f")
        await world.until(lambda: bool(world.ran))
        await world.empty()
        assert await world.dead() == [] and world.values() == [1]

    on(scene)


async def _given_up(world: World, **sent: Any) -> None:
    """Have an event fail, and be a dead letter."""
    world.answer = lambda raw: ended(Outcome.HANDLER_ERROR)
    await world.send(1, **sent)
    world.delivery.start()
    await world.until(lambda: bool(world.ran))
    await world.empty()
    world.answer = lambda raw: OK
    world.ran.clear()


FAILING_AT_ONCE: dict[str, Any] = {"name": "f", "delivery": Delivery(attempts=1)}
OPERATOR = RoleBinding(role="operator")


@pytest.mark.parametrize("kept_by", ["user:ada", ""])  # a trigger has events kept for nobody
@pytest.mark.parametrize(
    ("bindings", "handled"),
    [
        ((), False),
        ((INVOKER,), False),
        ((RoleBinding(role="operator", project="other"),), False),
        ((RoleBinding(role="operator", project="t"),), True),
        (None, True),  # its time was over long ago
    ],
)
def test_who_sent_a_dead_letter_again_is_asked_about_when_it_is_taken(
    on: Callable[[Scene], None], kept_by: str, bindings: Any, handled: bool
) -> None:
    """Before: what somebody had sent again ran for up to two weeks after the right was taken."""

    async def scene(world: World) -> None:
        await world.deploy(FAILING_AT_ONCE)
        await _given_up(world, kept_by=kept_by, invocation="inv_1")
        world.refusal = "not now"  # what is sent again waits
        await world.data.redrive("t", "inbox", "f", by="user:olga")
        world.keepers.roles["user:olga"] = bindings
        world.refusal = ""
        world.delivery.resume()
        await world.empty()
        assert len(world.ran) == handled
        assert await world.dead() == ([] if handled else [(REDRIVER_DENIED, 1)])
        told = [(one.by, one.kind, one.action, one.invocation) for one in world.denied]
        expected = ("user:olga", DenialKind.AUTHORIZATION, "dead-letter:write", "inv_1")
        assert told == ([] if handled else [expected])

    on(scene)


def test_who_was_sent_away_since_has_nothing_sent_again_handled(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(FAILING_AT_ONCE)
        world.keepers.roles["token:ops"] = (OPERATOR,)
        await _given_up(world)
        world.keepers.gone["token:ops"] = float("inf")
        await world.data.redrive("t", "inbox", "f", by="token:ops")
        await world.until(lambda: bool(world.denied))
        await world.empty()
        assert not world.ran and await world.dead() == [(REDRIVER_GONE, 1)]
        # Another one answers for it, and is asked about in the place of the first.
        await world.data.redrive("t", "inbox", "f")
        await world.until(lambda: bool(world.ran))
        await world.empty()
        assert await world.dead() == []

    on(scene)


@pytest.mark.parametrize("to", [None, "f", "g"])
def test_who_sent_it_to_another_function_must_still_be_let_invoke_that(
    on: Callable[[Scene], None], to: str | None
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(FAILING_AT_ONCE, {**FAILING_AT_ONCE, "name": "g"})
        await _given_up(world, kept_by="user:ada")
        # Whose dead letters it may handle, but which it may not invoke.
        text = """
@id("no-calls")
forbid (
  principal == Casemate::User::"olga",
  action == Casemate::Action::"function:invoke",
  resource
);
"""
        world.policy.replace(
            [PolicyFile(name="no", text=text, changed_at=1.0, changed_by="user:olga")]
        )
        world.keepers.roles["user:olga"] = (OPERATOR,)
        await world.data.redrive("t", "inbox", "f", by="user:olga", to=to)
        await world.until(lambda: bool(world.ran or world.denied))
        assert [one.reason for one in world.denied] == (
            [f"an event that was kept is not handled: {REDRIVER_DENIED}"] if to == "g" else []
        )
        assert bool(world.ran) is (to != "g")

    on(scene)


def test_what_an_earlier_release_has_sent_again_is_handled(on: Callable[[Scene], None]) -> None:
    """It did not say who."""

    async def scene(world: World) -> None:
        await world.deploy(FAILING_AT_ONCE)
        await _given_up(world, kept_by="user:ada")
        world.keepers.roles |= {"user:ada": (), "1": None}
        await world.data.redrive("t", "inbox", "f", by="1")
        await world.until(lambda: bool(world.ran))

    on(scene)


def test_what_was_decided_is_not_decided_anew_for_each_event(on: Callable[[Scene], None]) -> None:
    """A question that the cache of the policy does not answer takes hundreds of microseconds."""

    async def scene(world: World) -> None:
        await world.deploy(F)
        before = dict(world.policy._active.cache)
        await world.send(*range(200), kept_by="user:ada")
        world.delivery.start()
        await world.empty()
        assert len(world.ran) == 200
        assert len(world.policy._active.cache) - len(before) == 1

    on(scene)
