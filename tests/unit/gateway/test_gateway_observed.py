"""What the node tells of itself: asked for when somebody looks, and never twice at once."""

from __future__ import annotations

import asyncio
import re
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from casemate.admission import Catalogue
from casemate.dispatch.dispatcher import Load
from casemate.facts import FactStream
from casemate.gateway import depths as depths_module
from casemate.gateway import loop_lag
from casemate.gateway.depths import MOST_QUEUES, Depths, Found
from casemate.gateway.loop_lag import LoopLag
from casemate.gateway.observed import Observed, Parts, counting
from casemate.metrics import Registry
from casemate.metrics.exposition import Format
from casemate.metrics.families import Family
from casemate.metrics.figures import Timed
from casemate.model.denial import Denial, DenialKind
from casemate.model.errors import UnavailableError
from casemate.model.invocation import Outcome
from casemate.model.messages import Depth
from casemate.model.metrics import SECONDS, Durations
from casemate.model.node import NodeHealth, PartHealth
from casemate.monitor.protocol import ExportState, PlaceState, Status
from support.core import deployed, version

STATUS = Status(
    behind=5,
    current=True,
    problems=(),
    exports=(
        ExportState(
            name="lake", signal="logs", sent=9, refused=1, missed=2, behind=3, problem="It hangs."
        ),
    ),
    places=(PlaceState(name="usb", sent=4, failed=1, size=40, at=7.0, problem=""),),
    lag=Durations(counts=(3, *([0] * len(SECONDS))), seconds=0.001),
)


class Played:
    """The parts of a node."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.heads = 0
        self.status: Status | None = STATUS
        self.head_fails = False
        self.found = Found()
        self.tallies = SimpleNamespace(counts=lambda project, function: (5, 2, 9))
        self.busy = self.spares = self.reserved_memory = self.resting_memory = 3
        self.loaded = {("p", "f"): Load(1, 2, 3, 10, 4096)}

    def loads(self) -> dict[tuple[str, str], Load]:
        return self.loaded

    async def now(self) -> Found:
        return self.found

    async def head(self) -> Any:
        self.heads += 1
        if self.head_fails:
            raise UnavailableError("gone")
        await asyncio.sleep(0.01)
        return SimpleNamespace(size=77)

    def observed(self) -> Observed:
        recorder = SimpleNamespace(
            told=10, missed=1, waiting=2, trouble=lambda: "full", head=self.head, took=Timed(),
            aside=(0, 0, 0),
        )  # fmt: skip
        lag = LoopLag(asyncio.get_running_loop())
        lag.seen.add(0.002)
        health = NodeHealth(
            ok=False,
            ready=True,
            checked_at=1.0,
            parts=(PartHealth(name="vault", ok=True), PartHealth(name="disk", ok=False)),
        )
        return Observed(
            Parts(
                registry=self.registry,
                dispatcher=self,  # type: ignore[arg-type]
                client=SimpleNamespace(zygotes=4),  # type: ignore[arg-type]
                depths=self,  # type: ignore[arg-type]
                lag=lag,
                records=SimpleNamespace(lost_records=6),  # type: ignore[arg-type]
                recorder=recorder,  # type: ignore[arg-type]
                monitor=SimpleNamespace(status=self.status),  # type: ignore[arg-type]
                health=lambda: health,
                starts=lambda: {"recorder": 1, "egress": 0},
                connections=lambda: (8, 9),
                functions=lambda: 12,
                started_at=1000.0,
                audit_score=lambda: 83,
                store_age=lambda: 0.4,
                nodes=lambda: 3,
            )
        )


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_page_has_functions_parts_and_queues() -> None:
    async def run() -> str:
        played = Played()
        played.registry.of("p", "f").outcomes[Outcome.OK] += 2
        waits = Depth(kind="inbox", name="f", waiting=7, oldest_at=time.time() - 60, dead=1)
        queue = Depth(kind="queue", name="jobs", waiting=5, oldest_at=None, dead=0)
        played.found = Found({("p", "f"): waits}, {("p", "jobs"): queue})
        return await played.observed().exposition(Format.PLAIN)

    found = values(asyncio.run(run()))
    assert found["casemate_invocations_total", "p", "f", "ok"] == 2
    assert found["casemate_restores_total", "p", "f"] == 5
    assert found["casemate_waiting_calls", "p", "f"] == 3
    assert found["casemate_resting_memory_bytes", "p", "f"] == 4096
    assert found["casemate_inbox_messages", "p", "f"] == 7
    assert 59 < found["casemate_inbox_oldest_seconds", "p", "f"] < 65
    assert found["casemate_queue_messages", "p", "queue", "jobs"] == 5
    assert found["casemate_part_well", "disk"] == 0
    assert found["casemate_recording_stopped",] == 1
    assert found["casemate_journal_entries",] == 77
    assert found["casemate_process_starts_total", "egress"] == 0
    assert found["casemate_facts_lost_total",] == 1
    assert found["casemate_facts_aside",] == 3
    assert found["casemate_records_lost_total",] == 6
    assert found["casemate_functions",] == 12
    assert found["casemate_loop_lag_seconds_count",] == 1
    assert found["casemate_recorded_seconds_count",] == 0
    assert found["casemate_monitor_lag_seconds_count",] == 3
    assert found["casemate_export_sent_total", "lake", "logs"] == 9
    assert found["casemate_export_well", "lake", "logs"] == 0
    assert found["casemate_checkpoint_entries", "usb"] == 40
    assert found["casemate_checkpoint_place_well", "usb"] == 1
    assert found["process_resident_memory_bytes",] > 0


def test_who_asks_meanwhile_shares_the_answer() -> None:
    async def run() -> None:
        played = Played()
        observed = played.observed()
        pages = await asyncio.gather(*(observed.exposition(Format.PLAIN) for _ in range(20)))
        assert len(set(pages)) == 1 and played.heads == 1
        # One who goes away takes the answer from nobody.
        first = asyncio.ensure_future(observed.exposition(Format.PLAIN))
        second = asyncio.ensure_future(observed.exposition(Format.PLAIN))
        await asyncio.sleep(0)
        first.cancel()
        assert "casemate_build_info" in await second

    asyncio.run(run())


def test_without_a_monitor_all_else_is_told() -> None:
    async def run() -> str:
        played = Played()
        played.status = None
        return await played.observed().exposition(Format.PLAIN)

    text = asyncio.run(run())
    assert "casemate_monitor" not in text and "casemate_export" not in text
    assert "casemate_recorded_seconds_count" in text


def test_what_travels_says_what_the_page_says() -> None:
    async def run() -> tuple[str, list[Family]]:
        played = Played()
        for n in range(60):
            played.registry.of("p", f'f"{n}')
        observed = played.observed()
        page = await observed.exposition(Format.PLAIN)
        messages = list((await observed.families()).messages())
        for each in messages:
            # Each fits in a frame that the monitor takes, and is what it decodes.
            assert len(msgspec.msgpack.encode(each)) < 256 * 1024
            msgspec.msgpack.decode(msgspec.msgpack.encode(each), type=tuple[Family, ...])
        return page, [family for each in messages for family in each]

    page, families = asyncio.run(run())
    named = set(re.findall(r"^# TYPE (\S+) (\S+)", page, re.MULTILINE))
    told = {(family.name, family.kind) for family in families}
    # Families that have nothing to say stand on the page all the same.
    assert told <= named
    assert {name for name, _ in named - told} <= {
        name for name, _ in named if f"\n{name}{{" not in page and f"\n{name} " not in page
    }
    numbers = sum(len(each.samples) + 17 * len(each.durations) for each in families)
    assert numbers == sum(1 for line in page.splitlines() if line and not line.startswith("#"))


def test_without_a_recorder_all_else_is_told() -> None:
    async def run() -> str:
        played = Played()
        played.head_fails = True
        return await played.observed().exposition(Format.OPEN)

    text = asyncio.run(run())
    assert "casemate_journal_entries" not in text
    assert "casemate_recording_stopped 1" in text


def test_others_are_told_to_those_alone_who_may_see_all() -> None:
    async def run() -> None:
        played = Played()
        played.registry.of("p", "f")
        played.registry.of("q", "f")
        observed = played.observed()
        every = await observed.metrics(None, None)
        assert every.others is not None and len(every.functions) == 2
        one = await observed.metrics("p", None)
        assert one.others is None
        assert [f.project for f in one.functions] == ["p"]
        assert (await observed.metrics("p", "g")).functions == ()

    asyncio.run(run())


def test_facts_are_counted_for_functions_that_there_are() -> None:
    facts, catalogue = FactStream(), Catalogue()
    catalogue.replace((deployed(version(project="p", name="f")),))
    registry = counting(facts, catalogue)
    for name in ("f", "guess"):
        facts.happened(
            Denial(
                at=1.0,
                by="user:ada",
                project="p",
                function=name,
                kind=DenialKind.LOAD,
                action="a",
                resource="r",
                reason="r",
            )
        )
    assert registry.of("p", "f").denials == {"load": 1}
    assert registry.others.denials == {"load": 1}
    assert len(registry) == 1


class Waiting:
    """The data of projects."""

    def __init__(self, projects: int = 3, queues: int = 1) -> None:
        self.names = [f"p{number}" for number in range(projects)]
        self.queues = queues
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def open_projects(self) -> list[str]:
        return self.names

    async def read(self, wanted: Any) -> tuple[Depth, ...]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if wanted.project == "p1":
            raise UnavailableError("damaged")
        one = Depth(kind="inbox", name="f", waiting=1, oldest_at=None, dead=0)
        more = [
            Depth(kind="queue", name=f"q{n}", waiting=n, oldest_at=None, dead=0)
            for n in range(self.queues)
        ]
        return (one, *more)


def test_depths_are_looked_at_now_and_then_and_a_damaged_project_hides_no_other() -> None:
    async def run() -> None:
        data = Waiting()
        depths = Depths(data)  # type: ignore[arg-type]
        for _ in range(10):
            found = await depths.now()
        assert data.asked == 3
        assert set(found.inboxes) == {("p0", "f"), ("p2", "f")}
        assert set(found.queues) == {("p0", "q0"), ("p2", "q0")}
        await depths.close()

    asyncio.run(run())


def test_depths_are_bounded() -> None:
    async def run() -> None:
        data = Waiting(projects=1, queues=MOST_QUEUES + 50)
        assert len((await Depths(data).now()).queues) == MOST_QUEUES  # type: ignore[arg-type]
        many = Waiting(projects=depths_module.MOST_PROJECTS + 50, queues=0)
        await Depths(many).now()  # type: ignore[arg-type]
        assert many.asked == depths_module.MOST_PROJECTS

    asyncio.run(run())


def test_a_project_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depths_module, "LOOK_SECONDS", 0.05)

    async def run() -> None:
        data = Waiting()
        data.gate = asyncio.Event()
        depths = Depths(data)  # type: ignore[arg-type]
        assert await depths.now() == Found()
        assert await depths.now() == Found()
        assert data.asked == 1  # the first look still waits; there is no second one beside it
        await depths.close()

    asyncio.run(run())


def test_the_loop_s_lag_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "LOOK_SECONDS", 0.01)

    async def run() -> None:
        lag = LoopLag(asyncio.get_running_loop())
        lag.start()
        await asyncio.sleep(0.03)
        time.sleep(0.2)
        await asyncio.sleep(0.03)
        lag.close()
        told = lag.seen.told()
        assert told.count >= 2
        assert (told.quantile(1.0) or 0) >= 0.1
        lag.close()

    asyncio.run(run())
