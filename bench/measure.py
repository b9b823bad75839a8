"""The measurements that every target goes through: one cell, and the memory of a crowd."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from bench import load
from bench.client import Connection, Endpoint, Reply, encode, event, is_right
from bench.errors import MemoryUnreadableError
from bench.figures import p99, percentile
from bench.processes import pss
from bench.results import Cell
from bench.roles import LOAD, ByRole, microseconds
from bench.settings import Settings
from bench.targets.interface import Target

SETTLE = 0.5
"""Seconds between the first answer and the reading of the memory."""
SLOW_TIME = 9
"""Most seconds of load for a target that answers too slowly for the usual time."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Times of right answers in milliseconds, and how many were not right."""

    times_ms: list[float]
    failed: int


def latency(endpoint: Endpoint, count: int, seconds: float, every: float = 0.0) -> Latency:
    """Send up to `count` requests one after the other, for at most about `seconds`.

    With `every` one begins each so many seconds, or as soon as the one before has ended.
    Requests are made before and answers checked after the clock.
    """
    requests = [encode(endpoint, event(number)) for number in range(count)]
    times: list[float] = []
    replies: list[Reply | None] = []
    caller = _Caller(endpoint)
    start = time.perf_counter()
    gc.disable()
    try:
        for number, request in enumerate(requests):
            if every:
                time.sleep(max(0.0, start + number * every - time.perf_counter()))
            begun = time.perf_counter()
            if begun > start + seconds:
                break
            replies.append(caller.exchange(request))
            times.append((time.perf_counter() - begun) * 1000)
    finally:
        gc.enable()
        caller.close()
    right = [
        taken
        for number, (taken, reply) in enumerate(zip(times, replies, strict=True))
        if reply is not None and is_right(reply, number)
    ]
    return Latency(times_ms=right, failed=len(times) - len(right))


class _Caller:
    """A connection that is opened again, within the next request's time, when it was ended."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: Connection | None = Connection(endpoint)

    def exchange(self, request: bytes) -> Reply | None:
        """Return the reply, or None if there was no whole one."""
        try:
            if self._connection is None:
                self._connection = Connection(self._endpoint)
            reply = self._connection.exchange(request)
        except (OSError, ValueError):
            self.close()
            return None
        if not reply.keep:
            self.close()
        return reply

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def cell(target: Target, number: int, settings: Settings, say: Callable[[str], None]) -> Cell:
    """Measure one target in round `number`: start, memory, one connection, many, stop."""
    try:
        cold_ms = target.start()
        time.sleep(SETTLE)
        try:
            memory: int | None = pss(target.processes())
        except MemoryUnreadableError as error:
            say(str(error))
            memory = None
        latency(target.endpoint, 20, 1.0)
        before = target.processor_seconds()
        one = latency(target.endpoint, settings.latency_requests, settings.latency_time)
        after = target.processor_seconds()
        many, loaded_us = _many(target, one, settings)
    finally:
        target.stop()
    return Cell(
        target=target.name,
        handler=target.handler,
        round=number,
        isolation=target.isolation,
        cold_ms=cold_ms,
        memory=memory,
        p50_ms=percentile(one.times_ms, 0.5) if one.times_ms else None,
        p99_ms=p99(one.times_ms),
        samples=len(one.times_ms),
        per_second=many.per_second,
        loaded_p50_ms=many.p50_ms,
        answers=len(one.times_ms) + many.right,
        failed=one.failed + many.wrong + many.lost,
        alone_us=microseconds(before, after, len(one.times_ms)) if one.times_ms else {},
        loaded_us=loaded_us,
    )


def _many(target: Target, one: Latency, settings: Settings) -> tuple[load.Load, ByRole]:
    """Load a target over many connections, a slow one long enough to count something.

    Returns what was counted, and microseconds of processor time by right answer.

    A slow one is not warmed up either: it would still work on those requests while it is measured.
    """
    usual = percentile(one.times_ms, 0.5) / 1000 if one.times_ms else 0.0
    wave = usual * settings.connections
    if wave < settings.warm_up:
        load.run(target.endpoint, settings.connections, settings.warm_up)
    seconds = max(settings.throughput_time, min(math.ceil(2 * wave), SLOW_TIME))
    before = target.processor_seconds() | {LOAD: load.spent_by_load()}
    found = load.run(target.endpoint, settings.connections, seconds)
    after = target.processor_seconds() | {LOAD: load.spent_by_load()}
    return found, microseconds(before, after, found.right) if found.right else {}


def crowd(targets: Sequence[Target]) -> int:
    """Start all targets, each with its first right answer; return the bytes of them at rest."""
    try:
        for target in targets:
            target.start()
        time.sleep(SETTLE)
        return pss(process for target in targets for process in target.processes())
    finally:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda target: target.stop(), targets))
