"""Measure how events are kept: enqueue with fsync, handing out and settling, and with many waiting.

    python -m bench.enqueue [--json] [--seconds S] [--folder DIR]

No node and no HTTP: this is the project's database alone, as the gateway uses it. The folder
decides what an fsync costs; give one on the disk that matters.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from bench.figures import p99, percentile
from casemate.data import Fate, NewMessage, Settlement, SqliteProjectData, Subscription
from casemate.vault.interface import DataKey, Purpose

WRITERS = 64
BATCH = 16
"""Messages that one lease hands out."""
SHALLOW, DEEP = 1_000, 200_000
"""Messages that wait while the time of a lease is taken."""
LEASES = 200
_PROJECT, _FUNCTION = "bench", "worker"
_BODY = (
    b'{"id":"0123456789abcdef","source":"/projects/bench/functions/worker",'
    b'"type":"casemate.invocation","time":1700000000.0,"kind":"invoke","trigger":"","subject":"",'
    b'"data":{"order":4711,"lines":["' + b"x" * 700 + b'"]},"detail":{}}'
)


class Enqueue(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Times are milliseconds."""

    writers: int
    bytes: int
    """Size of each event."""
    per_second: float
    """Events kept durably, each writer waiting for its own."""
    p50_ms: float
    p99_ms: float | None
    settled_per_second: float
    """Events leased, each batch in a call, and settled as done in another."""
    lease_shallow_ms: float
    """Processor time of one lease and its settlement with SHALLOW events waiting.

    What fsync takes beside it changes more from one moment to the next than from what waits.
    """
    lease_deep_ms: float
    """The same with DEEP."""

    @property
    def growth(self) -> float:
        """Return how many times longer a lease takes when many wait."""
        return self.lease_deep_ms / self.lease_shallow_ms


async def _key(project: str, purpose: Purpose, version: int | None) -> DataKey:
    text = f"{project}/{purpose}".encode()
    return DataKey(version=version or 1, key=hashlib.sha256(text).digest())


async def _writers(seconds: float, act: Callable[[], Awaitable[int]]) -> tuple[float, list[float]]:
    """Let WRITERS act for so long, each after its last; return how many a second, and the times."""
    end = time.perf_counter() + seconds
    times: list[float] = []
    done = 0

    async def write() -> None:
        nonlocal done
        while (begun := time.perf_counter()) < end:
            acted = await act()
            done += acted
            times.append((time.perf_counter() - begun) * 1e3)

    begun = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return done / (time.perf_counter() - begun), times


class _Inbox:
    def __init__(self, data: SqliteProjectData) -> None:
        self._data = data
        self._sent = 0

    async def send(self) -> int:
        self._sent += 1
        new = NewMessage(body=_BODY, invocation=f"inv_{self._sent:032x}")
        await self._data.send_many(_PROJECT, "inbox", _FUNCTION, [new])
        return 1

    async def handle(self, limit: int = BATCH) -> int:
        found = await self._data.lease(_PROJECT, "inbox", _FUNCTION, limit=limit, lease=60.0)
        ends = [
            Settlement(id=m.id, fence=m.fence, attempt=m.attempts, fate=Fate.DONE, status=200)
            for m in found
        ]
        return await self._data.settle(_PROJECT, "inbox", _FUNCTION, ends)

    async def fill(self, number: int) -> None:
        """Have so many wait."""
        info = await self._data.queue_info(_PROJECT, "inbox", _FUNCTION)
        for first in range(info.waiting, number, 1000):
            new = [NewMessage(body=_BODY)] * min(1000, number - first)
            await self._data.send_many(_PROJECT, "inbox", _FUNCTION, new)

    async def leases(self) -> float:
        times = []
        for _ in range(LEASES):
            begun = time.process_time()
            await self.handle(1)
            times.append((time.process_time() - begun) * 1e3)
        return percentile(times, 0.5)


async def measure(parent: Path, seconds: float) -> Enqueue:
    """Measure in a new folder below `parent`."""
    data = SqliteProjectData(parent / "data", _key)
    try:
        await data.subscribe(_PROJECT, [Subscription(function=_FUNCTION)])
        inbox = _Inbox(data)
        await _writers(min(1.0, seconds), inbox.send)
        rate, times = await _writers(seconds, inbox.send)
        # what was sent bounds what can be handled: longer would measure an empty inbox
        await inbox.fill(int(rate * seconds))
        handled, _ = await _writers(seconds / 2, inbox.handle)
        await data.purge(_PROJECT, "inbox", _FUNCTION)
        await inbox.fill(SHALLOW)
        shallow = await inbox.leases()
        await inbox.fill(DEEP)
        deep = await inbox.leases()
    finally:
        await data.close()
    return Enqueue(
        writers=WRITERS,
        bytes=len(_BODY),
        per_second=rate,
        p50_ms=percentile(times, 0.5),
        p99_ms=p99(times),
        settled_per_second=handled,
        lease_shallow_ms=shallow,
        lease_deep_ms=deep,
    )


def run(seconds: float, folder: Path | None = None) -> Enqueue:
    """Measure on the disk of `folder`, by default that of /var/tmp."""
    with tempfile.TemporaryDirectory(prefix="cmenq-", dir=folder or Path("/var/tmp")) as parent:
        return asyncio.run(measure(Path(parent), seconds))


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--folder", type=Path, help="where to keep the data (default: /var/tmp)")
    arguments = parser.parse_args()
    found = run(arguments.seconds, arguments.folder)
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found).decode()) + "\n")
        return
    sys.stdout.write(
        f"{found.writers} writers, {found.bytes} bytes: {found.per_second:,.0f}/s kept, "
        f"p50 {found.p50_ms:.2f} ms, p99 {found.p99_ms or 0:.2f} ms\n"
        f"leased and settled: {found.settled_per_second:,.0f}/s\n"
        "processor time of one lease and its settlement, p50: "
        f"{found.lease_shallow_ms:.2f} ms with {SHALLOW:,} waiting, "
        f"{found.lease_deep_ms:.2f} ms with {DEEP:,}\n"
    )


if __name__ == "__main__":
    main()
