"""Playbooks that have secrets get other values: once, within bounds, and taken back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from playbooks_world import ADA, Control, World, finding

from casemate.model.account import PolicyFile
from casemate.model.errors import ConflictError
from casemate.model.grant import Grant, GrantKind
from casemate.model.playbook import Step
from casemate.model.rotation import Rotation
from casemate.model.vault import NewValue, ValueForm

TEXT = """
title = "t"
approval = "none"
[when]
rules = ["mount-tried"]
[bounds]
targets = 20
[[actions]]
do = "rotate-secret"
"""


class Granted(Control):
    """A function that is granted secrets, in two versions."""

    secrets: tuple[str, ...] = ("db", "key", "manual")

    async def function(self, project: str, name: str) -> Any:
        found = await super().function(project, name)
        grants = [
            Grant(kind=GrantKind.SECRET, name=each, actions=("read",)) for each in self.secrets
        ]
        versions = [SimpleNamespace(spec=SimpleNamespace(grants=grants))]
        return SimpleNamespace(**vars(found), versions=versions)


async def playing(text: str = TEXT, *known: str) -> World:
    world = await World(control=Granted()).loaded()
    for name in known or ("db", "key"):
        world.secrets.put("shop", name)
        value = NewValue(form=ValueForm.HEX, length=64)
        await world.rotations.declare(
            Rotation(project="shop", name=name, value=value, overlap=60, by="user:ada", since=1.0),
            ADA,
        )
    world.secrets.put("shop", "manual")
    await world.playbooks.files.put("escape-tried", text, ADA)
    return world


def used(world: World) -> list[int]:
    return [world.secrets.in_use("shop", name) for name in ("db", "key", "manual")]


def test_all_that_can_be_are_rotated_and_taken_back() -> None:
    async def scene() -> None:
        world = await playing()
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.DONE and used(world) == [2, 2, 1]
        assert run.acts[0].undo == (
            "casemate secrets revert shop/db --reason TEXT; "
            "casemate secrets revert shop/key --reason TEXT"
        )
        assert await world.rotations.author("shop", "db") == "playbook:escape-tried"
        undone = await world.playbooks.undo(run.id, None, "a false alarm", ADA)
        assert undone.state is Step.UNDONE and used(world) == [3, 3, 1]

    asyncio.run(scene())


def test_one_of_them_by_its_name_and_without_an_overlap() -> None:
    async def scene() -> None:
        world = await playing(TEXT + 'secret = "key"\noverlap = 0\n')
        await world.find(finding())
        [run] = world.playbooks.runs
        assert used(world) == [1, 2, 1]
        undone = await world.playbooks.undo(run.id, None, "r", ADA)
        assert undone.state is Step.DONE and "overlap is over" in undone.acts[0].problem

    asyncio.run(scene())


@pytest.mark.parametrize("died", ["first", "last"])
def test_one_that_was_cut_short_rotates_each_once(died: str) -> None:
    async def scene() -> None:
        world = await playing()
        genuine = world.rotations.rotate

        async def killed(project: str, name: str, **more: Any) -> Any:
            if name == ("db" if died == "first" else "key"):
                raise asyncio.CancelledError
            return await genuine(project, name, **more)

        world.rotations.rotate = killed  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await world.find(finding())
            await asyncio.gather(*world.playbooks._late)
            raise asyncio.CancelledError
        again = World(world.store, world.control)
        again.secrets.held = world.secrets.held
        await again.loaded()
        await again.playbooks._resume()
        [run] = again.playbooks.runs
        assert run.state is Step.DONE and used(again) == [2, 2, 1]
        await again.playbooks.undo(run.id, None, "r", ADA)
        assert used(again) == [3, 3, 1]

    asyncio.run(scene())


@pytest.mark.parametrize("died", ["first", "last"])
def test_an_undoing_that_was_cut_short_is_ended_by_the_next(died: str) -> None:
    """Before, what it had gone back to was taken for a value that somebody else has set since."""

    async def scene() -> None:
        world = await playing()
        await world.find(finding())
        [run] = world.playbooks.runs
        genuine = world.rotations.back

        async def killed(project: str, name: str, **more: Any) -> Any:
            done = await genuine(project, name, **more)
            if name == ("db" if died == "first" else "key"):
                raise asyncio.CancelledError
            return done

        world.rotations.back = killed  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await world.playbooks.undo(run.id, None, "r", ADA)
        assert used(world) == [3, 2 if died == "first" else 3, 1]
        again = World(world.store, world.control)
        again.secrets.held = world.secrets.held
        await again.loaded()
        undone = await again.playbooks.undo(run.id, None, "r", ADA)
        assert (undone.state, undone.acts[0].problem) == (Step.UNDONE, "")
        assert used(again) == [3, 3, 1]

    asyncio.run(scene())


def test_one_that_fails_keeps_no_other_from_being_rotated() -> None:
    async def scene() -> None:
        world = await playing()
        genuine = world.rotations.rotate

        async def fails(project: str, name: str, **more: Any) -> Any:
            if name == "db":
                raise ConflictError("its function says no")
            return await genuine(project, name, **more)

        world.rotations.rotate = fails  # type: ignore[method-assign]
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and used(world) == [1, 2, 1]
        assert "db: its function says no" in run.acts[0].problem

    asyncio.run(scene())


def test_a_value_that_a_person_has_set_since_stays() -> None:
    async def scene() -> None:
        world = await playing()
        await world.find(finding())
        [run] = world.playbooks.runs
        world.secrets.put("shop", "db", "user:eve")
        undone = await world.playbooks.undo(run.id, None, "r", ADA)
        assert "db has a value of user:eve since" in undone.acts[0].problem
        assert used(world) == [3, 3, 1]

    asyncio.run(scene())


def test_a_function_without_such_secrets_is_told() -> None:
    async def scene() -> None:
        world = await playing(TEXT + 'secret = "manual"\n')
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and "can be rotated by the node" in run.acts[0].problem
        assert used(world) == [1, 1, 1]

    asyncio.run(scene())


def test_policy_can_forbid_it() -> None:
    async def scene() -> None:
        world = await playing()
        rule = 'forbid (principal, action == Casemate::Action::"secret:rotate", resource);'
        file = PolicyFile(name="no", text=rule, changed_at=1.0, changed_by="user:ada")
        world.policy.activate(world.policy.prepare([file]))
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and "may not secret:rotate" in run.acts[0].problem
        assert used(world) == [1, 1, 1]

    asyncio.run(scene())
