"""Rights are decided again before each action of a run, not once at its begin."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace
from playbooks_world import ADA, World, finding
from test_playbooks_rotating import Granted

from casemate.model.errors import CasemateError, ConflictError
from casemate.model.playbook import PlaybookRun, Step
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.model.rotation import Rotation
from casemate.model.still import asked_again
from casemate.model.vault import NewValue, ValueForm

WHEN = 'title = "t"\n[when]\nrules = ["mount-tried"]\n'
THREE = "".join(
    f'[[actions]]\ndo = "{do}"\n' for do in ("quarantine", "freeze-alias", "withhold-secrets")
)
OWNER = Principal(kind=PrincipalKind.USER, id="ada", bindings=(RoleBinding(role="owner"),))


class Rights:
    """What a person may do: as often as it is asked until it is withdrawn."""

    def __init__(self, left: int) -> None:
        self.left = left

    def still(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConflictError("The token was revoked before this was done.")


async def _waiting(text: str = WHEN + THREE) -> tuple[World, PlaybookRun]:
    world = await World(control=Granted()).loaded()
    await world.playbooks.files.put("escape-tried", text, ADA)
    await world.find(finding(at=2e9))
    [run] = world.playbooks.runs
    assert run.state is Step.WAITS
    return world, run


def _states(run: PlaybookRun) -> list[Step]:
    return [act.state for act in run.acts]


def test_rights_that_are_taken_between_two_actions_count() -> None:
    async def play() -> None:
        world, run = await _waiting()
        quarantine, rights = world.control.quarantine, Rights(left=100)

        async def withdrawn(operation: Any, **named: Any) -> Any:
            found = await quarantine(operation, **named)
            rights.left = 0
            return found

        world.control.quarantine = withdrawn  # type: ignore[method-assign]
        with asked_again(rights.still):
            done = await world.playbooks.approve(run.id, ADA)
        assert _states(done) == [Step.DONE, Step.FAILED, Step.FAILED]
        assert "revoked" in done.acts[1].problem
        assert done.state is Step.FAILED
        assert not world.restrictions.all(None)

    asyncio.run(play())


def test_rights_that_are_taken_while_one_action_waits_count() -> None:
    async def play() -> None:
        world, run = await _waiting()
        rights = Rights(left=100)

        async def recorded() -> None:
            rights.left = 0  # while the journal is waited for

        world.playbooks._performing._durable = recorded
        with asked_again(rights.still):
            done = await world.playbooks.approve(run.id, ADA)
        assert _states(done) == [Step.FAILED] * 3
        assert not world.control.done
        assert not world.restrictions.all(None)

    asyncio.run(play())


def test_rights_that_are_taken_while_another_change_is_waited_for_count() -> None:
    async def play() -> None:
        world, run = await _waiting(WHEN + '[[actions]]\ndo = "roll-back"\n')
        set_alias, rights = world.control.set_alias, Rights(left=100)

        async def waits(operation: Any, **named: Any) -> Any:
            rights.left = 0
            return await set_alias(operation, **named)

        world.control.set_alias = waits  # type: ignore[method-assign]
        with asked_again(rights.still):
            done = await world.playbooks.approve(run.id, ADA)
        assert _states(done) == [Step.FAILED]
        assert not world.control.done

    asyncio.run(play())


def test_each_secret_of_a_rotation_is_decided_by_itself() -> None:
    async def play() -> None:
        world, run = await _waiting(WHEN + '[[actions]]\ndo = "rotate-secret"\n')
        value = NewValue(form=ValueForm.HEX, length=64)
        for name in ("db", "key"):
            world.secrets.put("shop", name)
            declared = Rotation(
                project="shop", name=name, value=value, overlap=60, by="user:ada", since=1.0
            )
            await world.rotations.declare(declared, ADA)
        rotate, rights = world.rotations.rotate, Rights(left=100)

        async def withdrawn(*given: Any, **named: Any) -> Any:
            found = await rotate(*given, **named)
            rights.left = 0
            return found

        world.rotations.rotate = withdrawn  # type: ignore[method-assign]
        with asked_again(rights.still):
            done = await world.playbooks.approve(run.id, ADA)
        assert _states(done) == [Step.FAILED]
        assert [world.secrets.in_use("shop", name) for name in ("db", "key")] == [2, 1]
        assert "key" in done.acts[0].problem

    asyncio.run(play())


def test_each_action_is_taken_back_by_a_right_of_its_own() -> None:
    async def play() -> None:
        world, run = await _waiting()
        await world.playbooks.approve(run.id, ADA)
        # Once before it is taken back, and once in the turn of the restriction that is lifted.
        with asked_again(Rights(left=2).still):
            done = await world.playbooks.undo(run.id, None, "r", ADA)
        assert _states(done) == [Step.DONE, Step.DONE, Step.UNDONE]
        assert "revoked" in done.acts[0].problem
        assert world.control.held

    asyncio.run(play())


@pytest.mark.parametrize("change", ["put", "remove"])
def test_what_is_changed_in_the_middle_goes_no_further(change: str) -> None:
    async def play() -> None:
        text = WHEN.replace("[when]", 'approval = "none"\n[when]') + THREE
        world = await World().loaded()
        await world.playbooks.files.put("escape-tried", text, ADA)
        quarantine = world.control.quarantine

        async def changed(operation: Any, **named: Any) -> Any:
            found = await quarantine(operation, **named)
            if change == "put":
                off = text.replace("[when]", "enabled = false\n[when]")
                await world.playbooks.files.put("escape-tried", off, ADA)
            else:
                await world.playbooks.files.remove("escape-tried", ADA)
            return found

        world.control.quarantine = changed  # type: ignore[method-assign]
        await world.find(finding(at=2e9))
        [run] = world.playbooks.runs
        assert _states(run) == [Step.DONE, Step.FAILED, Step.FAILED]
        assert "was changed" in run.acts[1].problem
        assert not world.restrictions.all(None)

    asyncio.run(play())


def test_what_is_changed_while_a_restriction_waits_for_its_turn_is_not_set() -> None:
    async def play() -> None:
        actions = '[[actions]]\ndo = "freeze-alias"\n'
        text = WHEN.replace("[when]", 'approval = "none"\n[when]') + actions
        world = await World().loaded()
        await world.playbooks.files.put("escape-tried", text, ADA)
        async with world.restrictions._turn:
            finding_it = asyncio.ensure_future(world.find(finding(at=2e9)))
            while not (runs := list(world.playbooks.runs)) or runs[0].acts[0].state != Step.BEGINS:
                await asyncio.sleep(0)
            await world.playbooks.files.remove("escape-tried", ADA)
        await finding_it
        [run] = world.playbooks.runs
        assert _states(run) == [Step.FAILED]
        assert "was changed" in run.acts[0].problem
        assert not world.restrictions.all(None)

    asyncio.run(play())


@pytest.mark.parametrize("who", ["owner", "auditor", "gone"])
def test_what_a_person_had_done_is_finished_by_what_he_may_do_now(who: str) -> None:
    async def play() -> None:
        world, run = await _waiting()

        async def killed(*_: Any, **_named: Any) -> Any:
            raise asyncio.CancelledError

        world.control.quarantine = killed  # type: ignore[method-assign]
        with suppress(asyncio.CancelledError):
            await world.playbooks.approve(run.id, ADA)
        again = await World(world.store).loaded()
        known = {
            "owner": OWNER,
            "auditor": replace(OWNER, bindings=(RoleBinding(role="auditor"),)),
        }
        again.playbooks._person = lambda text: known.get(who) if text == "user:ada" else None
        with suppress(CasemateError):
            await again.playbooks._resume()
        [left] = again.playbooks.runs
        wanted = Step.DONE if who == "owner" else Step.FAILED
        assert _states(left) == [wanted] * 3
        assert bool(again.control.held) is (who == "owner")

    asyncio.run(play())
