"""What metering a call takes by itself: processor time of its parts, each many times over.

A node meters all calls, so that there is none without it to compare with. The parts are those that
a call passes: its group's counter is read, the gateway waits for the reading and takes it, and the
recorder adds the record to its sums, of which there are 700 an hour (`bench.usage`). What the
reading takes as one more field of a message that is sent anyway is not in it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench import usage
from casemate.kernel.cgroups import cpu_microseconds
from casemate.sandbox.meter import Meter, Meters

_TIMES = 50_000
_RECORDS = 100_000
_UNIFIED = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
_READ_BYTES = 512


def parts() -> dict[str, float]:
    """Return microseconds of the processor by call, by part."""
    return {"reading": _reading(), "waiting": asyncio.run(_waiting()), "sums": _sums()}


def _each(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_TIMES):
        call()
    return (time.process_time() - began) / _TIMES * 1e6


def _reading() -> float:
    """Of the counter of the group that this process is in."""
    found = Path("/proc/self/cgroup").read_text().splitlines()
    group = next(line[3:] for line in found if line.startswith("0::"))
    root = next(each for each in _UNIFIED if Path(f"{each}/cgroup.procs").exists())
    file = os.open(f"{root}{group}/cpu.stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _each(lambda: cpu_microseconds(os.pread(file, _READ_BYTES, 0)))
    finally:
        os.close(file)


async def _waiting() -> float:
    loop = asyncio.get_running_loop()
    meters = Meters(loop)
    meter, used = Meter(loop, meters), 0

    def call() -> None:
        nonlocal used
        used += 900
        meter.ended(0.001).then(lambda _: None)
        meters.read(meter, used, last=False)

    took = _each(call)
    meters.close()
    return took


def _sums() -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(usage.with_records(Path(folder), _RECORDS)) as connection,
    ):
        return usage.counted(connection, _RECORDS // 5) / _RECORDS * 1e6
