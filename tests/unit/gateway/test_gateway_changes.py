"""What is told of deployed functions: who changed what, from where, and what it is now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from test_gateway_control import READ, Node, pointing

from casemate.admission.grants import WideningError
from casemate.model.denial import Denial
from casemate.model.deployment import LIVE
from casemate.model.errors import CasemateError
from casemate.model.facts import (
    AliasMoved,
    Fact,
    FunctionRemoved,
    GrantsApproved,
    TriggerChanged,
    VersionDeployed,
)
from casemate.model.trigger import ResultTrigger, ScheduleTrigger
from support.facts import ADA, EVE

KINDS = (TriggerChanged, VersionDeployed, FunctionRemoved, AliasMoved, GrantsApproved, Denial)


def play(folder: Path, scene: Callable[[Node, list[Fact]], Awaitable[None]]) -> None:
    async def run() -> None:
        node, told = Node(folder), list[Fact]()
        for kind in KINDS:
            node.facts.listen(kind, told.append)
        await asyncio.wait_for(scene(node, told), 10)

    asyncio.run(run())


def is_by(fact: Fact, who: tuple[str, str]) -> bool:
    return (fact.by, fact.remote_address) == who and (fact.project, fact.function) == ("t", "f")


def test_a_deploy(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        version = await node.deploy()
        [fact] = told
        assert isinstance(fact, VersionDeployed)
        assert is_by(fact, ADA)
        assert (fact.version, fact.digest) == (1, version.digest)

    play(tmp_path, scene)


def test_an_approval_says_what_was_added(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        await node.deploy(grants=(READ,), approve=True)
        deployed, approved = told
        assert isinstance(deployed, VersionDeployed)
        assert isinstance(approved, GrantsApproved)
        assert is_by(approved, ADA)
        assert (approved.version, approved.added) == (1, (READ.text,))

    play(tmp_path, scene)


def test_a_deploy_that_would_have_widened_is_a_denial_with_an_address(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        await node.deploy()
        told.clear()
        with pytest.raises(WideningError):
            await node.deploy(grants=(READ,))
        [denial] = told
        assert isinstance(denial, Denial)
        assert is_by(denial, ADA)
        assert (denial.action, denial.resource) == ("function:deploy", "function:t/f")

    play(tmp_path, scene)


def changed(told: list[Fact]) -> list[tuple[str, str, str, str, bool]]:
    found = [fact for fact in told if isinstance(fact, TriggerChanged)]
    told.clear()
    return [(one.trigger, one.change, one.name, one.when, one.first) for one in found]


def test_what_invokes_a_function_is_told_as_it_changes(tmp_path: Path) -> None:
    nightly = ScheduleTrigger(name="nightly", cron="0 3 * * *", timezone="Europe/Berlin")
    often = ScheduleTrigger(name="nightly", every=60.0)
    result = ResultTrigger(name="result-1", function="g")

    async def scene(node: Node, told: list[Fact]) -> None:
        await node.deploy(triggers=(nightly, result), routes=["GET /a"], approve=True)
        assert changed(told) == [
            ("http", "added", "GET /a", "", True),
            ("result", "added", "result-1", "", True),
            ("schedule", "added", "nightly", "0 3 * * * Europe/Berlin", True),
        ]
        await node.deploy(triggers=(nightly, result), routes=["GET /a"])
        assert changed(told) == []
        await node.deploy(triggers=(often,), routes=["GET /a", "POST /b"], public=True)
        facts = list(told)
        assert changed(told) == [
            ("http", "added", "POST /b", "", False),
            ("public", "added", "", "", False),
            ("result", "removed", "result-1", "", False),
            ("schedule", "changed", "nightly", "every 60 s", False),
        ]
        assert all(is_by(fact, ADA) and fact.version == 3 for fact in facts)

    play(tmp_path, scene)


def test_an_alias_that_is_moved_tells_what_invokes_its_version(tmp_path: Path) -> None:
    nightly = ScheduleTrigger(name="nightly", cron="0 3 * * *")

    async def scene(node: Node, told: list[Fact]) -> None:
        await node.deploy(triggers=(nightly,))
        await node.deploy()
        told.clear()
        await node.control.set_alias(pointing("canary", {1: 100}), by=EVE)
        assert changed(told) == []
        await node.control.rollback("t", "f", 1, by=EVE)
        assert changed(told) == [("schedule", "added", "nightly", "0 3 * * * UTC", False)]
        await node.control.set_alias(pointing(LIVE, {2: 100}), by=ADA)
        assert changed(told) == [("schedule", "removed", "nightly", "", False)]

    play(tmp_path, scene)


def test_removals(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        for _ in range(2):
            await node.deploy()
        told.clear()
        await node.control.remove_version("t", "f", 1, by=EVE)
        await node.control.remove("t", "f", by=ADA)
        one, whole = told
        assert isinstance(one, FunctionRemoved) and is_by(one, EVE) and one.version == 1
        assert isinstance(whole, FunctionRemoved) and is_by(whole, ADA) and whole.version == 0

    play(tmp_path, scene)


def test_what_strangers_could_call_was_not_idle(tmp_path: Path) -> None:
    """Whichever version is live at the end, and whichever is removed first."""

    async def scene(node: Node, told: list[Fact]) -> None:
        for public, number in ((False, 0), (True, 0), (True, 1)):
            await node.deploy(public=public)
            await node.deploy()
            told.clear()
            if number:
                await node.control.remove_version("t", "f", number, by=EVE)
            else:
                await node.control.remove("t", "f", by=EVE)
            (gone,) = told
            assert isinstance(gone, FunctionRemoved) and gone.idle is not public

    play(tmp_path, scene)


def test_an_alias_and_a_rollback(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        for _ in range(3):
            await node.deploy()
        told.clear()
        await node.control.set_alias(pointing("canary", {1: 90, 2: 10}), by=EVE)
        await node.control.rollback("t", "f", None, by=ADA)
        await node.control.rollback("t", "f", 1, by=EVE)
        alias, back, further = told
        assert isinstance(alias, AliasMoved) and is_by(alias, EVE)
        assert (alias.alias, alias.version) == ("canary", 0)
        assert alias.targets == ((1, 90), (2, 10))
        assert isinstance(back, AliasMoved) and is_by(back, ADA)
        assert (back.alias, back.version, back.targets) == (LIVE, 2, ((2, 100),))
        assert isinstance(further, AliasMoved) and is_by(further, EVE)
        assert further.version == 1

    play(tmp_path, scene)


def test_what_failed_is_not_told(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        await node.deploy()
        told.clear()
        control = node.control
        for attempt in (
            lambda: control.remove("t", "nothing", by=ADA),
            lambda: control.remove_version("t", "f", 9, by=ADA),
            lambda: control.set_alias(pointing("x", {9: 100}), by=ADA),
            lambda: control.rollback("t", "f", None, by=ADA),
            lambda: control.rollback("t", "f", 9, by=ADA),
            lambda: control.deploy("t", "f", "0" * 64, approve=True, by=ADA),
        ):
            with pytest.raises(CasemateError):
                await attempt()
        assert told == []

    play(tmp_path, scene)


def test_who_reads_what_happens_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def scene(node: Node, told: list[Fact]) -> None:
        feed = node.facts.feed(VersionDeployed)
        waiting = asyncio.ensure_future(feed.take(60))
        await asyncio.sleep(0)
        node.control.stop()
        assert await asyncio.wait_for(waiting, 1) == ([], 0)
        assert feed.ended

    play(tmp_path, scene)
