"""Actions that hold something back: done, resumed, undone, and never about whom a text names."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from playbooks_world import ADA, World, finding

from casemate.model.account import PolicyFile
from casemate.model.playbook import Step
from casemate.model.restriction import RestrictionKind
from casemate.playbooks import PlaybookError
from casemate.playbooks.reading import read_playbook

KINDS = ("freeze-alias", "cut-egress", "withhold-secrets", "block-address")
WHERE = {"entity": "src_endpoint.ip=192.0.2.66"}


def text(*does: str, approval: str = "none") -> str:
    actions = "".join(f'[[actions]]\ndo = "{one}"\n' for one in does)
    return (
        f'title = "t"\napproval = "{approval}"\n[when]\nrules = ["mount-tried"]\n'
        f"[bounds]\ntargets = 20\n{actions}"
    )


async def playing(*does: str) -> World:
    world = await World().loaded()
    await world.playbooks.files.put("escape-tried", text(*does), ADA)
    return world


def holds(world: World) -> dict[str, bool]:
    """Return what is held back of what the actions are about."""
    held = world.restrictions
    return {
        "freeze-alias": ("shop", "pay") in held._frozen,
        "cut-egress": held.hosts("shop", "pay") == ("*",),
        "withhold-secrets": held.withholds("shop", "pay", "any"),
        "block-address": held.blocks("shop", "192.0.2.66"),
    }


def now(**more: Any) -> Any:
    return finding(at=time.time() + 1, **{**WHERE, **more})


def test_each_is_done_and_undone() -> None:
    async def scene() -> None:
        world = await playing(*KINDS)
        await world.find(now())
        [run] = world.playbooks.runs
        assert run.state is Step.DONE, run
        assert all(holds(world).values())
        assert all(act.undo.startswith("casemate restrict lift res_") for act in run.acts)
        assert {one.by for one in world.restrictions.all(None)} == {"playbook:escape-tried"}
        undone = await world.playbooks.undo(run.id, None, "a false alarm", ADA)
        assert undone.state is Step.UNDONE and world.restrictions.all(None) == ()

    asyncio.run(scene())


@pytest.mark.parametrize("do", KINDS)
@pytest.mark.parametrize("died", ["before", "after"])
def test_one_that_was_cut_short_comes_to_the_same(do: str, died: str) -> None:
    """The node is killed once it is begun on record: before it is done, or after."""

    async def scene() -> None:
        world = await playing(do)
        genuine = world.restrictions.restrict

        async def killed(*given: Any, **more: Any) -> Any:
            if died == "after":
                await genuine(*given, **more)
            raise asyncio.CancelledError

        world.restrictions.restrict = killed  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await world.find(now())
            await asyncio.gather(*world.playbooks._late)
            [run] = world.playbooks.runs
            if run.state is Step.BEGINS:
                raise asyncio.CancelledError
        again = await World(world.store).loaded()
        await again.playbooks._resume()
        [run] = again.playbooks.runs
        assert run.state is Step.DONE and holds(again)[do]
        await again.playbooks.undo(run.id, None, "r", ADA)
        assert not holds(again)[do]

    asyncio.run(scene())


@pytest.mark.parametrize("do", KINDS)
def test_what_people_said_stays(do: str) -> None:
    async def scene() -> None:
        world = await playing(do)
        await world.find(now())
        [run] = world.playbooks.runs
        [held] = world.restrictions.all(None)
        # Lifted and said again by a person since.
        await world.restrictions.lift(held.id, "r", ADA)
        where = (held.kind, held.project, held.function, held.what)
        await world.restrictions.restrict(*where, reason="mine", by=ADA)
        undone = await world.playbooks.undo(run.id, None, "r", ADA)
        assert "user:ada holds it back since" in undone.acts[0].problem and holds(world)[do]
        # Lifted by hand: there is nothing to be taken back any more.
        await world.restrictions.lift(held.id, "r", ADA)
        undone = await world.playbooks.undo(run.id, None, "r", ADA)
        assert undone.state is Step.UNDONE

    asyncio.run(scene())


def test_what_was_held_back_before_is_not_taken_back() -> None:
    async def scene() -> None:
        world = await playing("freeze-alias")
        where = (RestrictionKind.ALIAS, "shop", "pay", "")
        await world.restrictions.restrict(*where, reason="mine", by=ADA)
        await world.find(now())
        [run] = world.playbooks.runs
        undone = await world.playbooks.undo(run.id, None, "r", ADA)
        assert "user:ada held it back before" in undone.acts[0].problem
        assert holds(world)["freeze-alias"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "entity",
    [
        "unmapped.decoy=x src_endpoint.ip=192.0.2.66",
        "src_endpoint.ip=192.0.2.66 actor.user.name=x",
        "src_endpoint.ip=192.0.2.0/24",
        "src_endpoint.ip=0.0.0.0/0",
        "src_endpoint.ip=evil",
        "resources.0.name=src_endpoint.ip=192.0.2.66",
        "\nsrc_endpoint.ip=192.0.2.66",
    ],
)
def test_nobody_has_others_blocked_by_what_he_sends(entity: str) -> None:
    async def scene() -> None:
        world = await playing("block-address")
        await world.find(now(entity=entity))
        assert list(world.playbooks.runs) == [] and world.restrictions.all(None) == ()

    asyncio.run(scene())


def test_of_ipv6_a_whole_caller_is_blocked() -> None:
    async def scene() -> None:
        world = await playing("block-address")
        await world.find(now(entity="src_endpoint.ip=2001:db8::1"))
        assert world.restrictions.blocks("shop", "2001:db8::ffff")

    asyncio.run(scene())


@pytest.mark.parametrize("do", KINDS)
def test_policy_may_forbid_it(do: str) -> None:
    async def scene() -> None:
        world = await playing(do)
        action = 'action == Casemate::Action::"restriction:write"'
        forbid = f"forbid (principal is Casemate::Playbook, {action}, resource);"
        world.policy.activate(
            world.policy.prepare(
                (PolicyFile(name="n", text=forbid, changed_at=1.0, changed_by="user:ada"),)
            )
        )
        await world.find(now())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and "may not restriction:write" in run.acts[0].problem
        assert world.restrictions.all(None) == ()

    asyncio.run(scene())


def test_a_function_that_is_gone_is_told() -> None:
    async def scene() -> None:
        world = await playing("cut-egress", "freeze-alias")
        world.control.gone.add("pay")
        await world.find(now())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and world.restrictions.all(None) == ()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (text("cut-egress", "cut-egress"), "two actions cut-egress"),
        (text("cut-egress") + 'host = "a b"\n', "is not a host"),
        (text("cut-egress") + 'host = "example.com:443"\n', "is not a host"),
        (text("cut-egress") + 'host = ""\n', "host"),
    ],
)
def test_files_that_mean_nothing_are_refused(file: str, message: str) -> None:
    with pytest.raises(PlaybookError, match=message):
        read_playbook(file.encode(), "x.toml")


# -- evidence --------------------------------------------------------------------------------------


def test_evidence_is_sealed_once_and_released_with_the_rest() -> None:
    async def scene() -> None:
        world = await playing("seal-evidence", "freeze-alias")
        await world.find(now(), incident="inc_7")
        [run] = world.playbooks.runs
        assert [act.target for act in run.acts] == ["incident:inc_7", "function:shop/pay"]
        assert world.kept.done == ["seal inc_7 by playbook:escape-tried"]
        await world.playbooks.undo(run.id, None, "r", ADA)
        assert world.kept.done[1:] == ["release evi_1 by user:ada"]

    asyncio.run(scene())


def test_what_is_of_no_incident_is_not_sealed() -> None:
    async def scene() -> None:
        world = await playing("seal-evidence")
        await world.find(now(), incident="")
        assert list(world.playbooks.runs) == []

    asyncio.run(scene())
