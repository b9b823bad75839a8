"""The families of numbers that each function has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from casemate.metrics.exposition import labels
from casemate.metrics.families import Plain, Writer, write_plain
from casemate.model.metrics import Durations, FunctionMetrics, Measured, VersionMetrics

_AT_ONCE = 50
"""Histograms that are written without a pause."""

_COUNTS: tuple[Plain[FunctionMetrics], ...] = (
    Plain("cold_starts_total", "counter", "Calls that had a process started for their function.",
          lambda f: f.cold_starts),
    Plain("request_bytes_total", "counter", "Bytes of the events of calls.",
          lambda f: f.request_bytes),
    Plain("response_bytes_total", "counter", "Bytes of the answers of calls.",
          lambda f: f.response_bytes),
    Plain("log_lines_total", "counter", "Lines that the function wrote.", lambda f: f.log_lines),
    Plain("log_bytes_total", "counter", "Characters of these lines.", lambda f: f.log_bytes),
    Plain("egress_connections_total", "counter", "Connections to the network let through.",
          lambda f: f.connections),
    Plain("restores_total", "counter", "Processes that were made ready again after a call.",
          lambda f: f.restored),
    Plain("discards_total", "counter", "Processes that could not be made ready again.",
          lambda f: f.discarded),
    Plain("forks_total", "counter", "Processes that were made for one call alone.",
          lambda f: f.forks),
    Plain("custom_refused_total", "counter", "Own measurements that broke a bound.",
          lambda f: f.own_refused),
)  # fmt: skip
_NOW: tuple[Plain[FunctionMetrics], ...] = (
    Plain("running", "gauge", "Invocations that run.", lambda f: f.busy),
    Plain("spare_instances", "gauge", "Instances that wait for a call.", lambda f: f.spares),
    Plain("waiting_calls", "gauge", "Calls that wait for an instance.", lambda f: f.waiting),
    Plain("concurrency_limit", "gauge", "Most invocations that may run at once; 0: not in use.",
          lambda f: f.concurrency),
    Plain("resting_memory_bytes", "gauge", "Memory of its imported code, called or not.",
          lambda f: f.resting_bytes),
    Plain("inbox_messages", "gauge", "Kept events that wait for the function.",
          lambda f: f.inbox),
    Plain("inbox_oldest_seconds", "gauge", "For how long the oldest of them waits.",
          lambda f: f.inbox_age),
    Plain("inbox_dead_letters", "gauge", "Events that were given up.", lambda f: f.dead_letters),
)  # fmt: skip
_SHARED: tuple[Plain[VersionMetrics], ...] = (
    Plain("version_calls_total", "counter", "Calls of versions that share them.",
          lambda v: v.calls),
    Plain("version_failures_total", "counter", "Those of them that failed.", lambda v: v.failed),
)  # fmt: skip


def write(out: Writer, functions: Sequence[FunctionMetrics]) -> Iterator[None]:
    """Write the families of functions, pausing after each: there may be many functions."""
    named = [(labels({"project": one.project, "function": one.function}), one) for one in functions]
    out.family("casemate_invocations_total", "counter", "Invocations that ended, by how.")
    for of, one in named:
        for outcome, count in one.outcomes.items():
            out.sample(f'{of},outcome="{outcome}"', count)
    yield
    out.family("casemate_run_seconds", "histogram", "How long handlers ran.")
    yield from _histogram(out, [(of, one.run) for of, one in named])
    out.family("casemate_queue_wait_seconds", "histogram", "How long calls waited for an instance.")
    yield from _histogram(out, [(of, one.queue) for of, one in named])
    out.family("casemate_denials_total", "counter", "What was denied to a function, or of it.")
    for of, one in named:
        for kind, count in one.denials.items():
            out.sample(f'{of},kind="{kind}"', count)
    yield
    for family in (*_COUNTS, *_NOW):
        write_plain(out, family, named)
        yield
    yield from _versions(out, named)
    yield from _own(out, named)


def _histogram(out: Writer, named: Sequence[tuple[str, Durations]]) -> Iterator[None]:
    for number, (of, durations) in enumerate(named):
        out.durations(of, durations)
        if number % _AT_ONCE == _AT_ONCE - 1:
            yield
    yield


def _versions(out: Writer, named: Sequence[tuple[str, FunctionMetrics]]) -> Iterator[None]:
    """Write what is told of versions that share the calls of a function."""
    shared = [
        (f"{of},{labels({'version': str(version.version)})}", version)
        for of, one in named
        for version in one.versions
    ]
    for family in _SHARED:
        write_plain(out, family, shared)
    out.family("casemate_version_run_seconds", "histogram", "How long these versions ran.")
    yield from _histogram(out, [(of, version.run) for of, version in shared])


def _own(out: Writer, named: Sequence[tuple[str, FunctionMetrics]]) -> Iterator[None]:
    """Write what functions measure themselves."""
    own = [
        (f"{of},{labels({'name': name, 'unit': measured.unit})}", measured)
        for of, one in named
        for name, measured in one.own.items()
    ]
    out.family("casemate_custom_measurements_total", "counter", "Own measurements of functions.")
    for of, measured in own:
        out.sample(of, measured.count)
    yield
    shown: tuple[tuple[str, str, Callable[[Measured], float]], ...] = (
        ("added", "Sum of", lambda m: m.sum),
        ("min", "Least of", lambda m: m.least),
        ("max", "Greatest of", lambda m: m.most),
    )
    for name, text, value_of in shown:
        out.family(f"casemate_custom_{name}", "gauge", f"{text} these measurements.")
        for of, measured in own:
            out.sample(of, value_of(measured))
        yield
