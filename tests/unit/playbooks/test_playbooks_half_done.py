"""Each action of playbooks made to fail at each of its steps: told, done again, and taken back."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, get_args

import pytest
from playbooks_world import ADA, World, finding
from test_playbooks_paging import channel
from test_playbooks_rotating import Granted

from casemate.model.errors import CasemateError, ConflictError, UnavailableError
from casemate.model.facts import PeoplePaged
from casemate.model.playbook import PlaybookAction, PlaybookRun, Step
from casemate.model.rotation import Rotation
from casemate.model.vault import NewValue, ValueForm
from casemate.monitor.protocol import AlertsState
from casemate.playbooks import needs, performing

DOES = sorted(str(each.__struct_config__.tag) for each in get_args(PlaybookAction))
FOR_EVER = ("revoke-token", "end-sessions")
"""What cannot be taken back, and says so."""
MORE = {"limit-calls": "calls = 5\n", "page": 'to = "*"\n'}
WHO = {"revoke-token": "token:ab12", "end-sessions": "user:eve", "block-caller": "user:eve"}
STEPS = ("prepare", "keep", "record", "before", "after", "end")
"""Before which of these, or after it is done, it fails."""


class Scene:
    """One playbook of one action, and all that it can change."""

    def __init__(self, do: str) -> None:
        self.do = do
        self.world = World(control=Granted())
        self.paged: list[PeoplePaged] = []

    async def begin(self) -> None:
        world = await self.world.loaded()
        world.monitor.state = AlertsState(channels=(channel("a"),), silences=(), signs_of_life=0)
        world.facts.listen(PeoplePaged, self.paged.append)
        for name in ("db", "key"):
            world.secrets.put("shop", name)
            value = NewValue(form=ValueForm.HEX, length=64)
            rotation = Rotation(
                project="shop", name=name, value=value, overlap=60, by="user:ada", since=1.0
            )
            await world.rotations.declare(rotation, ADA)
        text = (
            'title = "t"\napproval = "none"\n[when]\nrules = ["mount-tried"]\n'
            f'[[actions]]\ndo = "{self.do}"\n{MORE.get(self.do, "")}'
        )
        await world.playbooks.files.put("escape-tried", text, ADA)

    def state(self) -> dict[str, object]:
        """Return what is in force."""
        world = self.world
        control = world.control
        return {
            "held": dict(control.held),
            "live": control.live.get("shop/pay", ((2, 90), (1, 10))),
            "limits": set(world.kept.limits),
            "sealed": set(world.kept.sealed),
            "restrictions": {each.id for each in world.restrictions.all(None)},
            # The second version is what a playbook made; the third has the first one's value again.
            "rotated": {n for n in ("db", "key") if world.secrets.in_use("shop", n) == 2},
            "told": len({each.page for each in self.paged}) % 2,
        }

    def fail(self, step: str, error: Exception) -> None:
        """Have it fail once at a step."""
        performing = self.world.playbooks._performing
        acting, runs = performing._acting, self.world.playbooks.runs
        where: tuple[Any, str] = {
            "prepare": (acting, "prepare"),
            "keep": (runs, "put"),
            "record": (performing, "_durable"),
            "end": (runs, "put"),
        }.get(step, (acting, "do"))
        genuine, left = getattr(*where), {"end": 2}.get(step, 1)

        async def failing(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left or step == "after":
                found = await genuine(*given, **named)
            if not left:
                setattr(*where, genuine)
                raise error
            return found

        setattr(*where, failing)

    async def find(self) -> PlaybookRun:
        found = finding(
            at=time.time() + 1, who=WHO.get(self.do, ""), entity="src_endpoint.ip=192.0.2.66"
        )
        with suppress(CasemateError, RuntimeError):
            await self.world.find(found)
            await asyncio.gather(*self.world.playbooks._late)
        [run] = self.world.playbooks.runs
        return run


def differs(do: str, before: dict[str, object], now: dict[str, object]) -> bool:
    return before != now or do in FOR_EVER


@pytest.mark.parametrize("error", [ConflictError("no"), RuntimeError("not foreseen")], ids=str)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("do", DOES)
def test_one_that_fails_is_told_and_taken_back(do: str, step: str, error: Exception) -> None:
    async def play() -> None:
        scene = Scene(do)
        await scene.begin()
        before = scene.state()
        scene.fail(step, error)
        run = await scene.find()
        if step == "end":  # it is done, and nobody knows: it is done again, to the same end
            assert run.state is Step.BEGINS
            await scene.world.playbooks._resume()
            [run] = scene.world.playbooks.runs
            assert run.state is Step.DONE and differs(do, before, scene.state())
        else:
            assert run.state is Step.FAILED and run.acts[0].problem
            assert scene.world.steps[-1].step == "failed"
            assert differs(do, before, scene.state()) is (step == "after" or do in FOR_EVER)
        may = any(act.may_hold for act in run.acts)
        assert may is (step != "prepare") and bool(needs(run, undo=True)) is may
        if not may:
            with pytest.raises(ConflictError, match="nothing that is to be taken back"):
                await scene.world.playbooks.undo(run.id, None, "r", ADA)
            return
        undone = await scene.world.playbooks.undo(run.id, None, "r", ADA)
        if do in FOR_EVER or (do == "seal-evidence" and step != "end"):
            assert undone.state is not Step.UNDONE and undone.acts[0].problem
        elif do != "page":  # who was told that it is over need not have been told of it
            assert undone.state is Step.UNDONE and scene.state() == before

    asyncio.run(play())


@pytest.mark.parametrize("step", STEPS[:-1])
@pytest.mark.parametrize("do", DOES)
def test_one_that_failed_is_done_by_hand_and_taken_back(do: str, step: str) -> None:
    async def play() -> None:
        scene = Scene(do)
        await scene.begin()
        before = scene.state()
        scene.fail(step, ConflictError("no"))
        run = await scene.find()
        playbooks = scene.world.playbooks
        book, playbook = playbooks.files.usable("escape-tried")
        again = playbooks.planned(
            "escape-tried",
            finding(id=run.finding, who=WHO.get(do, ""), entity="src_endpoint.ip=192.0.2.66"),
            "inc_1",
        )
        assert again.id == run.id and book.playbook is playbook
        done = await playbooks.run_by_hand(again, ADA)
        assert done.state is Step.DONE and not done.acts[0].problem
        if do == "page":
            # Told once, by what it is known as.
            assert len({each.page for each in scene.paged}) == 1
            return
        assert differs(do, before, scene.state())
        undone = await playbooks.undo(run.id, None, "r", ADA)
        if do not in FOR_EVER:
            assert undone.state is Step.UNDONE and scene.state() == before

    asyncio.run(play())


@pytest.mark.parametrize("step", ["prepare", "before", "after"])
@pytest.mark.parametrize("do", DOES)
def test_what_cannot_be_done_at_the_moment_is_tried_again(
    do: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the vault is killed: it is there again a moment later."""
    monkeypatch.setattr(performing, "AGAIN_SECONDS", (0.0, 0.001))

    async def play() -> None:
        scene = Scene(do)
        await scene.begin()
        before = scene.state()
        scene.fail(step, UnavailableError("The vault is gone."))
        run = await scene.find()
        assert run.state is Step.DONE and not run.acts[0].problem
        assert differs(do, before, scene.state())

    asyncio.run(play())


def test_what_is_tried_again_waits_for_all_others_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(performing, "AGAIN_SECONDS", (0.0, 0.001))

    async def play() -> None:
        scene = Scene("rotate-secret")
        await scene.begin()
        text = scene.world.playbooks.files.book("escape-tried").text
        more = '[[actions]]\ndo = "quarantine"\n'
        await scene.world.playbooks.files.put("escape-tried", text + more, ADA)
        tried: list[bool] = []

        async def gone(*_: Any, **__: Any) -> Any:
            tried.append("shop/pay" in scene.world.control.held)
            raise UnavailableError("The vault is gone.")

        scene.world.rotations.rotate = gone  # type: ignore[method-assign]
        run = await scene.find()
        assert [act.state for act in run.acts] == [Step.FAILED, Step.DONE]
        assert "db: The vault is gone. key: The vault is gone." in run.acts[0].problem
        assert tried == [False] * 2 + [True] * 4  # two secrets, of which each was tried three times

    asyncio.run(play())


@pytest.mark.parametrize("do", [each for each in DOES if each not in FOR_EVER])
def test_undoing_that_was_cut_short_is_done_again(do: str) -> None:
    """The node is killed when all is taken back and nobody knows: the next word comes to it."""

    async def play() -> None:
        scene = Scene(do)
        await scene.begin()
        before = scene.state()
        run = await scene.find()
        assert run.state is Step.DONE
        playbooks = scene.world.playbooks
        genuine = playbooks.runs.put

        async def dies(_run: PlaybookRun) -> None:
            raise asyncio.CancelledError

        playbooks.runs.put = dies  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await playbooks.undo(run.id, None, "r", ADA)
        playbooks.runs.put = genuine  # type: ignore[method-assign]
        undone = await playbooks.undo(run.id, None, "r", ADA)
        assert undone.state is Step.UNDONE and not undone.acts[0].problem
        assert scene.state() == before

    asyncio.run(play())
