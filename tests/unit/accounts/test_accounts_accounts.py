"""The whole: first start, recovery, principals by name, upkeep."""

from __future__ import annotations

import asyncio

import pytest

from casemate.accounts.accounts import RECOVERED
from casemate.accounts.bindings import parse_binding
from casemate.accounts.service_tokens import RECOVERY_SECONDS
from casemate.model.errors import UnavailableError
from casemate.model.facts import SignedIn
from casemate.model.principal import ANONYMOUS, PrincipalKind
from support.accounts import NODE_OWNER, World


def test_the_first_start_makes_one_owner_and_no_other_start_does(world: World) -> None:
    assert world.owner.bindings == NODE_OWNER
    assert world.owner.expires_at is None
    text = world.owner_text
    world.start()
    assert world.owner_text == text
    assert len(world.store.by_id) == 1


def test_a_store_that_lost_its_tokens_makes_no_new_owner(world: World) -> None:
    world.store.by_id.clear()
    assert world.run(world.start().load()) is None


def test_keys_of_the_first_release_are_no_first_start() -> None:
    world = World()
    world.store.values.clear()
    assert world.run(world.start().load()) is None


def test_recovery_is_asked_for_and_short(world: World) -> None:
    world.store.by_id.clear()
    told: list[SignedIn] = []
    world.facts.listen(SignedIn, told.append)
    text = world.run(world.accounts.load(recover_owner=True))
    assert text is not None
    found = world.who(text)
    assert found is not None
    assert found.bindings == NODE_OWNER
    assert found.expires_at == world.clock() + RECOVERY_SECONDS
    # Said to be recorded, and it was not: whoever runs the node made itself an owner unseen.
    assert [(one.by, one.method) for one in told] == [(found.text, RECOVERED)]


def test_nobody_is_let_in_before_load(world: World) -> None:
    from casemate.accounts import Accounts

    fresh = Accounts(world.store, world.vault, roles=frozenset, happened=print)  # type: ignore[arg-type]
    assert fresh.authenticate(f"Bearer {world.owner_text}") is None


def test_principals_by_name(world: World) -> None:
    world.person("ada", parse_binding("developer@shop"))
    principal_of = world.accounts.principal_of
    assert principal_of("user:ada").bindings == (parse_binding("developer@shop"),)
    assert principal_of(f"token:{world.owner.id}") == world.owner
    assert principal_of("anonymous:public") is ANONYMOUS
    function = principal_of("function:shop/cart")
    assert (function.kind, function.id) == (PrincipalKind.FUNCTION, "shop/cart")


@pytest.mark.parametrize(
    "text",
    ["", "ada", "user:", "user:nobody", "token:x", "function:shop", "function:shop/cart\n",
     "function:../x", "anonymous:", "anonymous:other", "trigger:x", "USER:ada", "user:ada:b"],
)  # fmt: skip
def test_what_names_nobody(world: World, text: str) -> None:
    world.person("ada")
    assert world.accounts.principal_of(text) is None


def test_a_session_is_no_principal_of_its_own(world: World) -> None:
    world.person("ada", *NODE_OWNER)
    session = world.login("ada").token
    assert world.accounts.principal_of(f"token:{session.id}") is None


def test_refused_credentials_are_recorded(world: World) -> None:
    for _ in range(50):
        world.accounts._refusals.note(action="api", reason="no token", remote="10.0.0.1")
    assert len(world.denials) == 1
    world.clock.now += 60
    world.run(world.accounts.close())
    assert sum(d.count for d in world.denials) == 50


def test_upkeep_goes_on_when_the_store_fails(world: World, monkeypatch) -> None:
    monkeypatch.setattr("casemate.accounts.accounts.MAINTENANCE_SECONDS", 0.001)

    async def work() -> None:
        task = asyncio.create_task(world.accounts.maintain())
        world.clock.now += 1
        assert world.owner
        world.store.fault = UnavailableError("full")
        await asyncio.sleep(0.02)
        world.store.fault = None
        world.clock.now += 1
        assert world.owner
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert world.store.by_id[world.owner.id].last_used_at == world.clock()
