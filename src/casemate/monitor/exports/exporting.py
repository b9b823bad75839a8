"""All exports of a node: where they are is remembered with all else that the monitor remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from casemate.monitor.consumers import Happened
from casemate.monitor.exports import otlp
from casemate.monitor.exports.collector import Collector, Delivered, Password
from casemate.monitor.exports.lines import SyslogExport
from casemate.monitor.exports.readings import Readings
from casemate.monitor.exports.settings import Export, Otlp, Signal
from casemate.monitor.exports.stream import LendRecords, Remembered, Send, Stream
from casemate.monitor.protocol import ExportState, Numbers
from casemate.monitor.reaching import Reach

PLACES = 1000
"""From where on exports are told apart, for `Reach`."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Remembered]).decode


class Exporting:
    """It."""

    name = "exports"

    def __init__(
        self, streams: Sequence[Stream], readings: Mapping[str, Readings], every: float
    ) -> None:
        """Run these; numbers are wanted `every` so many seconds, 0: by nobody."""
        self._streams = streams
        self._readings = readings
        self.numbers_every = every

    def take(self, _batch: Sequence[Happened]) -> None:
        """See nothing: what is exported is no entry of the journal."""

    def remembered(self) -> bytes:
        """Return where all streams are."""
        return _encode({each.key: each.remembered() for each in self._streams})

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered; exports that are gone are left out. ValueError."""
        found = _decode(data)
        for each in self._streams:
            if each.key in found:
                each.recall(found[each.key])

    def on_change(self, changed: Callable[[], None]) -> None:
        """Tell `changed` when there is something new to remember."""
        for each in self._streams:
            each.changed = changed

    def numbers(self, told: Numbers) -> None:
        """Take a part of a set of numbers."""
        for each in self._readings.values():
            each.put(told)

    def states(self) -> tuple[ExportState, ...]:
        """Return how each is."""
        streams = tuple(each.state for each in self._streams)
        return (*streams, *(each.state for each in self._readings.values()))

    def problems(self) -> Iterable[str]:
        """Yield what does not arrive, and why."""
        for each in self.states():
            if each.problem:
                yield f"{each.signal} do not arrive at {each.name}: {each.problem}"

    async def run(self, lend: LendRecords) -> None:
        """Export for ever."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(stream.run(lend))
            for readings in self._readings.values():
                group.create_task(readings.run())
            await asyncio.Event().wait()


def exporting(
    settings: Mapping[str, Export], reach: Reach | None, password: Password, node: str
) -> Exporting:
    """Return what the settings name."""
    streams: list[Stream] = []
    readings: dict[str, Readings] = {}
    every: list[float] = []
    for place, (name, export) in enumerate(settings.items(), PLACES):
        if reach is None:
            raise RuntimeError("there is an export, and no way to it")
        if not isinstance(export, Otlp):
            syslog = SyslogExport(export, reach, place, node)
            streams.append(Stream(name, "logs", export.every, syslog.send))
            continue
        collector = Collector(export, reach, place, password)
        streams += _streams(name, export, collector, node)
        if "metrics" in export.signals:
            every.append(export.metrics_every)
            to = partial(collector.send, "metrics")
            readings[name] = Readings(name, export.metrics_every, to, node)
    return Exporting(streams, readings, min(every, default=0.0))


def _streams(name: str, export: Otlp, collector: Collector, node: str) -> Iterator[Stream]:
    async def traces(records: Sequence[Any]) -> Delivered:
        return await collector.send("traces", otlp.traces(node, records))

    async def logs(lines: Sequence[Any]) -> Delivered:
        return await collector.send("logs", otlp.logs(node, lines))

    ways: tuple[tuple[Signal, Send], ...] = (("traces", traces), ("logs", logs))
    for signal, send in ways:
        if signal in export.signals:
            yield Stream(name, signal, export.every, send)
