"""Trials end on the node by themselves, and what is tried leaves a way back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_gateway_control import Node, pointing

from casemate.api.control import Deployment
from casemate.gateway import trials
from casemate.gateway.trials import Trials, require_way_back
from casemate.model.deployment import LIVE, Alias, TrialTerms
from casemate.model.errors import ConflictError, NotFoundError, UnavailableError
from casemate.model.facts import AliasMoved, Fact, VersionDeployed
from casemate.model.function import HttpTrigger
from casemate.model.grant import QueueSpec, Resources
from casemate.model.trigger import QueueTrigger
from casemate.operations.trials import EndTrial, StartTrial
from support.facts import ADA, EVE
from support.waiting import until

ROUTE = (HttpTrigger(method="GET", path="/a"),)
TERMS = TrialTerms(weight=10, seconds=60)


def play(folder: Path, scene: Callable[[Node, list[AliasMoved]], Awaitable[None]]) -> None:
    async def run() -> None:
        node, told = Node(folder), list[Fact]()
        node.facts.listen(AliasMoved, told.append)
        node.facts.listen(VersionDeployed, lambda _: None)
        try:
            await asyncio.wait_for(scene(node, told), 20)  # type: ignore[arg-type]
        finally:
            node.control.stop()

    asyncio.run(run())


def trying(version: int, *, weight: int = 10, seconds: int = 60) -> StartTrial:
    terms = TrialTerms(weight=weight, seconds=seconds)
    return StartTrial(project="t", function="f", version=version, terms=terms)


def ending(alias: Alias, *, promote: bool) -> EndTrial:
    assert alias.trial is not None
    number, since = alias.trial.version, alias.changed_at
    return EndTrial(project="t", function="f", version=number, since=since, promote=promote)


async def two(node: Node) -> None:
    """Have versions 1 and 2, the first of which is live."""
    await node.deploy()
    await node.deploy()
    await node.control.rollback("t", "f", 1, by=ADA)


def served(node: Node) -> set[int]:
    found = [node.catalogue.find("t", "f") for _ in range(300)]
    return {version.number for version in found if version is not None}


def test_a_trial_that_nobody_ends_is_over_by_itself(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        told.clear()
        await node.control.start_trial(trying(2, weight=50, seconds=1), by=EVE)
        assert served(node) == {1, 2}
        await until(lambda: served(node) == {1})
        begun, over = told
        assert (begun.by, begun.why) == (EVE[0], "a trial began")
        assert begun.targets == ((1, 50), (2, 50)) and begun.until > 0
        assert (over.by, over.version, over.until) == ("", 1, 0.0)
        assert "nobody had promoted it" in over.why

    play(tmp_path, scene)


def test_it_is_promoted_or_gone_back_from_once(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        begun = await node.control.start_trial(trying(2), by=EVE)
        await node.control.end_trial(ending(begun, promote=True), by=EVE)
        assert served(node) == {2} and told[-1].why == "a trial ended: promoted"
        with pytest.raises(ConflictError):
            await node.control.end_trial(ending(begun, promote=False), by=EVE)
        begun = await node.control.start_trial(trying(1), by=EVE)  # an older one as well
        await node.control.end_trial(ending(begun, promote=False), by=EVE)
        assert served(node) == {2} and told[-1].why == "a trial ended: gone back"
        with pytest.raises(NotFoundError):
            await node.control.start_trial(trying(9), by=EVE)

    play(tmp_path, scene)


def test_a_rollback_or_a_deploy_in_between_is_not_undone(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        begun = await node.control.start_trial(trying(2, seconds=1), by=EVE)
        await node.control.rollback("t", "f", None, by=ADA)
        with pytest.raises(ConflictError):
            await node.control.end_trial(ending(begun, promote=True), by=EVE)
        await node.deploy()
        await asyncio.sleep(1.2)
        assert served(node) == {3}

    play(tmp_path, scene)


def test_one_that_ended_while_the_node_was_away_ends_when_it_is_back(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        begun = await node.control.start_trial(trying(2, seconds=1), by=EVE)
        node.control.stop()
        await asyncio.sleep(1.1)
        assert served(node) == {1, 2}
        again = Trials(node.control._aliases._lapse)
        again.follow(await node.control.functions())
        await until(lambda: served(node) == {1})
        assert begun.trial is not None and begun.trial.until < time.time()

    play(tmp_path, scene)


@pytest.mark.parametrize("ahead", [3600.0, 300 * 86_400.0])
def test_one_that_began_by_a_clock_that_was_ahead_ends_at_a_start(
    tmp_path: Path, ahead: float
) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        await node.control.start_trial(trying(2, seconds=60), by=EVE)
        [found] = await node.control.functions()
        [live] = found.aliases
        assert live.trial is not None
        trial = replace(live.trial, until=live.trial.until + ahead)
        ended: list[Alias] = []

        async def end(alias: Alias) -> None:
            ended.append(alias)
            raise ConflictError("over")

        again = Trials(end)
        live = replace(live, changed_at=live.changed_at + ahead, trial=trial)
        again.follow([replace(found, aliases=(live,))])
        await until(lambda: ended == [live])
        again.close()

    play(tmp_path, scene)


def test_an_end_that_fails_is_tried_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(trials, "RETRY_SECONDS", 0.05)

    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        await node.control.start_trial(trying(2, seconds=1), by=EVE)
        node.store.fault = UnavailableError("full")
        await until(lambda: served(node) == {1})
        assert node.store.fault is None

    play(tmp_path, scene)


def test_a_clock_that_is_set_back_does_not_prolong_it(tmp_path: Path, monkeypatch) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        await two(node)
        await node.control.start_trial(trying(2, seconds=1), by=EVE)
        clock = time.time
        monkeypatch.setattr(time, "time", lambda: clock() - 3600)
        await until(lambda: served(node) == {1})

    play(tmp_path, scene)


def test_a_deploy_as_a_trial(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[AliasMoved]) -> None:
        first = Deployment("t", "f", node.bundle())
        with pytest.raises(ConflictError):
            await node.control.deploy_all([first], approve=False, trial=TERMS, by=ADA)
        assert all(zygote.closed for zygote in node.client.opened)
        await node.deploy(http=ROUTE)
        again = Deployment("t", "f", node.bundle(http=ROUTE, description="new"))
        (version,) = await node.control.deploy_all([again], approve=False, trial=TERMS, by=ADA)
        (fact,) = told
        assert (fact.by, fact.why) == (ADA[0], "a trial began")
        assert served(node) == {1, version.number}
        await node.control.rollback("t", "f", None, by=ADA)
        without = Deployment("t", "f", node.bundle())
        with pytest.raises(ConflictError, match="leave a way back") as refused:
            await node.control.deploy_all([without], approve=False, trial=TERMS, by=ADA)
        assert refused.value.about == "t/f" and served(node) == {1}

    play(tmp_path, scene)


def test_what_is_tried_has_the_routes_and_queues_of_what_is_live(tmp_path: Path) -> None:
    queue = (QueueTrigger(name="q", queue="jobs"),)
    with_queue = Resources(queues=(QueueSpec(name="jobs"),))

    async def scene(node: Node, told: list[AliasMoved]) -> None:
        one = await node.deploy(http=ROUTE, triggers=queue, resources=with_queue, approve=True)
        other = await node.deploy(http=ROUTE)
        with pytest.raises(ConflictError, match="consumer of the queue jobs"):
            require_way_back(one, other.spec, other.number)
        require_way_back(other, one.spec, one.number)  # the newer of both declares them
        await node.control.set_alias(pointing(LIVE, {1: 100}), by=ADA)
        with pytest.raises(ConflictError, match="consumer of the queue jobs"):
            await node.control.start_trial(trying(2), by=ADA)
        assert served(node) == {1}

    play(tmp_path, scene)
