"""When the node is audited, what is told of it, and what is remembered."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec
import pytest

from casemate.model.facts import Fact, NodeAudited, WeaknessFound
from casemate.node_audit import NodeAudit, auditing
from casemate.node_audit.state import HoleState, NodeState, Settings, changed
from support.parts import KeptValues

OPEN = Settings(address="http://0.0.0.0:80", loopback=False, tls=False)
CLOSED = Settings(address="http://127.0.0.1:80", loopback=True, tls=False)


class Node:
    """An audit on a node that the test changes."""

    def __init__(self, store: KeptValues | None = None) -> None:
        self.now = 1_795_000_000.0
        self.state = NodeState(now=self.now, settings=CLOSED)
        self.store = store or KeptValues()
        self.looked = 0
        self.gate: asyncio.Event | None = None
        self.told: list[Fact] = []
        self.audit = NodeAudit(
            self.store,  # type: ignore[arg-type]
            self.look,
            self.told.append,
            lambda: self.now,
        )

    async def look(self) -> NodeState:
        self.looked += 1
        if self.gate is not None:
            await self.gate.wait()
        return changed(self.state, now=self.now)

    def weak(self, *notes: str) -> None:
        self.state = changed(self.state, settings=OPEN, notes=notes)

    def of(self, kind: type[Fact]) -> list[Any]:
        return [one for one in self.told if isinstance(one, kind)]


def test_a_score_is_told_when_it_changes_and_is_remembered() -> None:
    async def run() -> None:
        node = Node()
        assert node.audit.score is None
        await node.audit.look()
        await node.audit.look()
        node.now += 60
        node.weak()
        await node.audit.look()
        assert [(one.before, one.score) for one in node.of(NodeAudited)] == [(-1, 100), (100, 60)]
        assert node.audit.score == 60
        again = Node(node.store)
        points = await again.audit.history(10)
        assert [one.score for one in points] == [60, 100]
        assert len(await again.audit.history(1)) == 1
        again.now = node.now + 60
        again.weak()
        await again.audit.look()
        assert again.told == [], "what was told before a restart is not told again"

    asyncio.run(run())


def test_something_grave_is_told_once_a_day() -> None:
    async def run() -> None:
        node = Node()
        node.weak()
        for _ in range(30):
            await node.audit.look()
            node.now += 3600
        found = node.of(WeaknessFound)
        assert len(found) == 2
        assert (found[0].rule, found[0].level) == ("NODE-005", "critical")
        assert found[0].mended_by.startswith("casemate serve")

    asyncio.run(run())


def test_a_clock_that_was_set_back_keeps_nothing_from_being_told() -> None:
    async def run() -> None:
        node = Node()
        node.weak()
        await node.audit.look()
        node.now -= 10 * 86_400
        await node.audit.look()
        assert len(node.of(WeaknessFound)) == 2

    asyncio.run(run())


def test_a_flood_of_weaknesses_is_folded() -> None:
    from casemate.model.node import PartHealth

    async def run() -> None:
        node = Node()
        parts = tuple(PartHealth(name=f"p{n}", ok=False) for n in range(90))
        node.state = changed(node.state, parts=parts)
        await node.audit.look()
        found = node.of(WeaknessFound)
        assert len(found) == auditing.MAX_TOLD + 1
        assert found[-1].count == 90 - auditing.MAX_TOLD
        await node.audit.look()
        assert len(node.of(WeaknessFound)) == auditing.MAX_TOLD + 1

    asyncio.run(run())


def test_who_asks_at_the_same_time_shares_one_look_and_what_is_fresh() -> None:
    async def run() -> None:
        node = Node()
        node.gate = asyncio.Event()
        asking = [asyncio.create_task(node.audit.report(None)) for _ in range(50)]
        await asyncio.sleep(0.01)
        node.gate.set()
        await asyncio.gather(*asking)
        assert node.looked == 1
        node.now += auditing.FRESH_SECONDS + 1
        await node.audit.report(None)
        assert node.looked == 2

    asyncio.run(run())


def test_a_report_of_a_project_has_nothing_of_others() -> None:
    from casemate.node_audit.state import DecoyOff

    async def run() -> None:
        node = Node()
        node.weak("alerts: gone")
        node.state = changed(
            node.state,
            versions={"Casemate": "1"},
            decoys_off=tuple(
                DecoyOff(project=name, kind="host", reason="x", by="user:ada")
                for name in ("shop", "mine")
            ),
        )
        whole = await node.audit.report(None)
        assert {one.id for one in whole.rules} == {"NODE-005", "NODE-014", "NODE-066"}
        assert whole.versions and whole.counts == {"critical": 1, "medium": 3}
        own = await node.audit.report("shop")
        text = msgspec.json.encode(own).decode()
        assert [one.subject for one in own.weaknesses] == ["decoy:shop/host"]
        assert own.score == 95 and own.versions == {}
        assert "mine" not in text and "0.0.0.0" not in text
        assert (await node.audit.report("nothing")).score == 100

    asyncio.run(run())


def test_it_is_judged_off_the_loop_and_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        seen: list[int] = []
        from casemate.node_audit import judging

        judge = judging.judge

        def noting(state: NodeState) -> Any:
            seen.append(threading.get_ident())
            return judge(state)

        monkeypatch.setattr(judging, "judge", noting)
        node = Node()
        await node.audit.look()
        assert seen and seen[0] != threading.get_ident()
        monkeypatch.setattr(auditing, "LOOK_SECONDS", 0.02)
        node.gate = asyncio.Event()
        with pytest.raises(TimeoutError):
            await node.audit.look()
        node.gate.set()
        await node.audit.look()

    asyncio.run(run())


def test_nothing_is_done_at_the_start_and_a_fault_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        node = Node()
        node.audit.start()
        await asyncio.sleep(0.01)
        assert node.looked == 0
        await node.audit.close()
        monkeypatch.setattr(auditing, "FIRST_SECONDS", 0.0)
        monkeypatch.setattr(auditing, "EVERY_SECONDS", 0.001)
        fails = Node()

        async def look() -> NodeState:
            fails.looked += 1
            raise RuntimeError("a part is gone")

        fails.audit._look = look
        fails.audit.start()
        until = time.monotonic() + 5
        while fails.looked < 3 and time.monotonic() < until:
            await asyncio.sleep(0.005)
        await fails.audit.close()
        assert fails.looked >= 3

    asyncio.run(run())


def test_scores_that_cannot_be_read_begin_anew() -> None:
    async def run() -> None:
        store = KeptValues()
        store.values["node audit"] = b"\xff{"
        node = Node(store)
        assert await node.audit.history(5) == ()
        await node.audit.look()
        assert len(await node.audit.history(5)) == 1

    asyncio.run(run())


def test_what_is_kept_stays_below_what_the_store_takes() -> None:
    async def run() -> None:
        from casemate.model.node import PartHealth

        node = Node()
        for number in range(40):
            node.now += 3600
            parts = tuple(
                PartHealth(name=f"{number}-{n}-" + "x" * 300, ok=False) for n in range(1200)
            )
            node.state = changed(node.state, parts=parts[: 1200 - number])
            await node.audit.look()
        assert len(node.store.values["node audit"]) < 1 << 20

    asyncio.run(run())


def test_what_is_kept_is_bounded_however_many_projects_there_are() -> None:
    """Else the node is not audited any more once a day has more than the store takes."""

    async def run() -> None:
        node = Node()
        holes = tuple(
            HoleState(project=f"p{p}", function="f" * 63, id=f"CVE-{n}", package="x 1", grave=True)
            for p in range(120)
            for n in range(100)
        )
        node.state = changed(node.state, holes=holes)
        for _ in range(12):
            node.now += 3600
            await node.audit.look()
        assert len(node.store.values["node audit"]) < 1 << 20
        told = node.of(WeaknessFound)
        assert len(told) == 12 + 2 * auditing.MAX_TOLD, "each look tells how many more there are"

    asyncio.run(run())
