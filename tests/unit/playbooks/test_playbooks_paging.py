"""Playbooks that tell people: by a fact that the monitor reads, once, and again when it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playbooks_world import ADA, World, finding

from casemate.model.account import PolicyFile
from casemate.model.facts import PeoplePaged
from casemate.model.playbook import Step
from casemate.monitor.protocol import AlertsState
from casemate.operations.findings import AlertChannel
from casemate.playbooks import performing

TEXT = """
title = "t"
approval = "none"
[when]
rules = ["mount-tried"]
[[actions]]
do = "page"
to = "{}"
message = "Somebody is getting out"
"""


def channel(name: str, on_call: str = "") -> AlertChannel:
    counts = dict.fromkeys(("waiting", "sent", "failed", "dropped", "folded", "silenced"), 0)
    given: dict[str, Any] = {"name": name, "kind": "mail", "server": "a:1", "level": "high"}
    return AlertChannel(**given, **counts, problem="", on_call=on_call, person="")


async def playing(to: str = "*", *channels: AlertChannel) -> tuple[World, list[PeoplePaged]]:
    world = await World().loaded()
    paged: list[PeoplePaged] = []
    world.facts.listen(PeoplePaged, paged.append)
    world.monitor.state = AlertsState(channels=channels, silences=(), signs_of_life=0)
    await world.playbooks.files.put("escape-tried", TEXT.format(to), ADA)
    return world, paged


@pytest.mark.parametrize("to", ["*", "pager", "primary"])
def test_people_are_told_and_told_that_it_is_over(to: str) -> None:
    async def scene() -> None:
        world, paged = await playing(to, channel("pager", "primary"))
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.DONE and run.acts[0].target == f"people:{to}@shop"
        [one] = paged
        assert (one.to, one.by, one.project, one.page) == (
            *(to, "playbook:escape-tried", "shop"),
            run.id,
        )
        assert one.message.startswith("Somebody is getting out (playbook escape-tried, finding")
        undone = await world.playbooks.undo(run.id, None, "a false alarm", ADA)
        assert undone.state is Step.UNDONE
        assert paged[1].message == "It is over: a false alarm" and paged[1].page != one.page

    asyncio.run(scene())


@pytest.mark.parametrize("channels", [(), (channel("pager", "primary"),)])
def test_a_page_that_reaches_nobody_has_failed(channels: tuple[AlertChannel, ...]) -> None:
    async def scene() -> None:
        world, paged = await playing("nobody", *channels)
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and not paged
        assert "no channel or rotation nobody" in run.acts[0].problem

    asyncio.run(scene())


def test_without_a_monitor_it_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performing, "AGAIN_SECONDS", (0.001,))

    async def scene() -> None:
        world, paged = await playing("*", channel("pager"))
        world.monitor.gone = True
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and not paged

    asyncio.run(scene())


def test_one_that_was_cut_short_is_known_as_the_same() -> None:
    async def scene() -> None:
        world, paged = await playing("*", channel("pager"))

        async def killed() -> None:
            if paged:
                raise asyncio.CancelledError

        world.playbooks._performing._acting._paging._durable = killed
        with pytest.raises(asyncio.CancelledError):
            await world.find(finding())
            await asyncio.gather(*world.playbooks._late)
            raise asyncio.CancelledError
        again = await World(world.store).loaded()
        again.monitor.state = world.monitor.state
        again.facts.listen(PeoplePaged, paged.append)
        await again.playbooks._resume()
        [run] = again.playbooks.runs
        assert run.state is Step.DONE and {one.page for one in paged} == {run.id}

    asyncio.run(scene())


def test_policy_can_forbid_it() -> None:
    async def scene() -> None:
        world, paged = await playing("*", channel("pager"))
        rule = 'forbid (principal, action == Casemate::Action::"alerts:page", resource);'
        file = PolicyFile(name="no", text=rule, changed_at=1.0, changed_by="user:ada")
        world.policy.activate(world.policy.prepare([file]))
        await world.find(finding())
        [run] = world.playbooks.runs
        assert run.state is Step.FAILED and not paged

    asyncio.run(scene())
