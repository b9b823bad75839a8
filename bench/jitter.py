"""Measure how late the events of schedules are: from their time until they are kept, with fsync.

    python -m bench.jitter [--json] [--seconds S] [--folder DIR]

No node and no HTTP: the schedule trigger on the project's database, as the gateway has it. Once
the schedules are due one after the other, once all at the same moment.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop

from bench.figures import p99, percentile
from casemate.data import SqliteProjectData, Subscription
from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec
from casemate.model.trigger import ScheduleTrigger
from casemate.operations.declaration import Operation
from casemate.operations.inboxes import Subscribe
from casemate.operations.positions import AdvancePosition
from casemate.triggers.schedule import Schedules
from casemate.vault.interface import DataKey, Purpose

SPREAD, TOGETHER = 100, 500
"""Schedules of one second, due one after the other, and due at the same moment."""
_PROJECT = "bench"
AnswerT = TypeVar("AnswerT")


class Jitter(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Times are milliseconds from when an event is due until it is kept."""

    events: int
    spread_p50_ms: float
    spread_p99_ms: float | None
    together_p50_ms: float
    """Of SPREAD schedules and TOGETHER ones: the last of those waits for all before it."""
    together_p99_ms: float | None


class _Timed(SqliteProjectData):
    """Notes for each event when it was kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _key)
        self.late: list[float] = []

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """See ProjectData."""
        done = await super().change(operation)
        if isinstance(operation, AdvancePosition):
            for _, _, message in operation.sends:
                due = msgspec.json.decode(message.body)["time"]
                self.late.append((time.time() - due) * 1e3)
        return done


async def _key(project: str, purpose: Purpose, version: int | None) -> DataKey:
    text = f"{project}/{purpose}".encode()
    return DataKey(version=version or 1, key=hashlib.sha256(text).digest())


def _version(number: int, anchor: float) -> Version:
    trigger = ScheduleTrigger(name="tick", every=1.0)
    spec = FunctionSpec(name=f"f{number}", handler="app:handler", triggers=(trigger,))
    return Version(
        project=_PROJECT,
        function=spec.name,
        number=1,
        digest="",
        spec=spec,
        created_at=anchor,
        created_by="",
    )


async def _lateness(folder: Path, anchors: Sequence[float], seconds: float) -> list[float]:
    """Return how late each event of schedules with these anchors is."""
    data = _Timed(folder)
    versions = [_version(number, anchor) for number, anchor in enumerate(anchors)]
    schedules = Schedules(data)
    try:
        functions = tuple(Subscription(function=version.function) for version in versions)
        await data.change(Subscribe(project=_PROJECT, subscriptions=functions))
        schedules.replace(versions)
        await asyncio.sleep(1.5)  # the positions are written first
        data.late.clear()
        await asyncio.sleep(seconds)
        return list(data.late)
    finally:
        await schedules.close()
        await data.close()


async def measure(parent: Path, seconds: float) -> Jitter:
    """Measure in new folders below `parent`."""
    now = time.time()
    anchors = [now + number / SPREAD - 1.0 for number in range(SPREAD)]
    spread = await _lateness(parent / "spread", anchors, seconds)
    together = await _lateness(parent / "together", [time.time() - 0.5] * TOGETHER, seconds)
    return Jitter(
        events=len(spread) + len(together),
        spread_p50_ms=percentile(spread, 0.5),
        spread_p99_ms=p99(spread),
        together_p50_ms=percentile(together, 0.5),
        together_p99_ms=p99(together),
    )


def run(seconds: float, folder: Path | None = None) -> Jitter:
    """Measure on the disk of `folder`, by default that of /var/tmp."""
    with tempfile.TemporaryDirectory(prefix="cmjit-", dir=folder or Path("/var/tmp")) as parent:
        return uvloop.run(measure(Path(parent), seconds))


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--folder", type=Path, help="where to keep the data (default: /var/tmp)")
    arguments = parser.parse_args()
    found = run(arguments.seconds, arguments.folder)
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found).decode()) + "\n")
        return
    sys.stdout.write(
        f"{SPREAD} schedules, one after the other: p50 {found.spread_p50_ms:.2f} ms, "
        f"p99 {found.spread_p99_ms or 0:.2f} ms late\n"
        f"{TOGETHER} schedules at the same moment: p50 {found.together_p50_ms:.2f} ms, "
        f"p99 {found.together_p99_ms or 0:.2f} ms late\n"
    )


if __name__ == "__main__":
    main()
