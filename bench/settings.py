"""How much is measured: the full run and the quick one."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one run. Times are seconds."""

    rounds: int = 3
    latency_requests: int = 500
    """Sequential requests for each target, handler and round."""
    latency_time: float = 4.0
    """A slower target is measured with as many requests as fit in this time."""
    paced_requests: int = 300
    connections: int = 16
    warm_up: int = 1
    """Load before the throughput is counted."""
    throughput_time: int = 3
    crowd: int = 50
    """Functions at rest whose memory is summed."""
    peer_crowd: int = 50
    """The same of peers, which have a process for each."""
    first_calls: int = 30
    """Plain functions used for the first-call figures."""
    first_calls_tables: int = 6
    first_call_passes: int = 2
    imports: int = 5
    """Repetitions of the bare import of numpy and pandas."""
    deployed: tuple[int, ...] = (1, 50, 500)
    """Numbers of deployed functions between which the overhead must not grow."""
    shared_first_calls: int = 6
    """Pandas functions beside one of the same dependencies, for the first-call figure."""
    delivery_time: int = 4
    """Length of each part of the measurement of what runs later."""
    many: int = 10_000
    """Functions on one node, entered into its store; 0 leaves it out."""
    enqueue_time: float = 3.0
    """Length of each part of the measurement of how events are kept."""
    jitter_time: float = 10.0
    """Length of each part of the measurement of how late schedules are."""
    discard_calls: int = 100
    """Of each typical handler, after which it is asked how often it was not restored."""
    budget: float = 720.0
    """No new measurement is begun after this time."""


QUICK = Settings(
    rounds=1,
    latency_requests=300,
    latency_time=1.5,
    throughput_time=1,
    paced_requests=100,
    peer_crowd=10,
    first_calls=8,
    first_calls_tables=3,
    first_call_passes=1,
    imports=3,
    deployed=(1, 50),
    shared_first_calls=3,
    delivery_time=1,
    many=10_000,
    enqueue_time=1.0,
    jitter_time=3.0,
    discard_calls=30,
    budget=450.0,
)
