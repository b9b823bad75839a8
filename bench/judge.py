"""The targets that Casemate sets itself, each compared with what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench import reasons
from bench.jitter import SPREAD, TOGETHER
from bench.reasons import MB
from bench.results import (
    CASEMATE_FORK,
    CASEMATE_INSTANCE,
    CASEMATE_REQUEST,
    MOST_DISCARDS,
    PLAIN,
    TABLES,
    Results,
)

GROWTH_NOISE = 1.10
"""Overhead counts as grown if the p50 with the most functions is over 1.1 times that with one."""
LEASE_NOISE = 1.25
"""Two measurements of the same with other load present differ by less than this."""
LANE_US = 50
"""Processor time of the gateway for a plain call of a reused instance, in microseconds."""
DEPLOYED = 500
MANY = 10_000
FORK = "fork-per-request"
RESTORED = 30
"""Of the typical handlers, as many as are to be restored after all but a few calls."""
HELD = 8
"""Calls held at once while instances are weighed."""
FUNCTIONS_FRAMEWORK = "functions-framework"
ASGI_UVLOOP = "functions-framework --asgi +uvloop"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One target. `met` is None if it was not measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    reason: str = ""
    """Of one that was missed: what was measured that says why."""


def why(verdict: Verdict, reason: str) -> Verdict:
    """Return a verdict with its reason, if it was missed."""
    return msgspec.structs.replace(verdict, reason=reason) if verdict.met is False else verdict


def at_most(what: str, value: float | None, limit: float, unit: str, more: str = "") -> Verdict:
    """Judge a value that must not be over a limit."""
    met = None if value is None else value <= limit
    return Verdict(
        what=what, wanted=f"<= {limit:g}{unit}", measured=_say(value, unit, more), met=met
    )


def at_least(what: str, value: float | None, limit: float, unit: str, more: str = "") -> Verdict:
    """Judge a value that must not be under a limit."""
    met = None if value is None else value >= limit
    return Verdict(
        what=what, wanted=f">= {limit:g}{unit}", measured=_say(value, unit, more), met=met
    )


def _say(value: float | None, unit: str, more: str) -> str:
    if value is None:
        return "not measured"
    digits = 0 if value >= 1000 or isinstance(value, int) else 1 if value >= 100 else 2
    return f"{value:.{digits}f}{unit}" + (f" ({more})" if more else "")


def _request(results: Results) -> list[Verdict]:
    request = CASEMATE_REQUEST
    p50, p99 = results.figures.paced_p50_ms, results.figures.paced_p99_ms
    paced = ["" if value is None else f"at 50/s: {value:.2f}" for value in (p50, p99)]

    def of(handler: str, field: str) -> float | None:
        return results.median(request, handler, field)

    def to(other: str, handler: str) -> float | None:
        return results.ratio(request, other, handler, "per_second")

    def by_one(handler: str) -> str:
        return reasons.alone(results, request, handler)

    def by_many(handler: str) -> str:
        return reasons.loaded(results, request, handler)

    def beside(other: str, handler: str) -> str:
        return reasons.compared(results, request, other, handler)

    plain = of(PLAIN, "p50_ms"), of(PLAIN, "p99_ms")
    return [
        why(
            at_most("request isolation, plain, p50", plain[0], 0.45, " ms", paced[0]), by_one(PLAIN)
        ),
        why(
            at_most("request isolation, plain, p99", plain[1], 1.5, " ms", paced[1]), by_one(PLAIN)
        ),
        why(
            at_least("request isolation, plain", of(PLAIN, "per_second"), 3000, "/s"),
            by_many(PLAIN),
        ),
        why(
            at_most("request isolation, pandas, p50", of(TABLES, "p50_ms"), 1, " ms"),
            by_one(TABLES),
        ),
        why(
            at_least("request isolation, pandas", of(TABLES, "per_second"), 1500, "/s"),
            by_many(TABLES),
        ),
        *(
            why(
                at_least(f"request isolation / {name}, {said}", to(other, handler), wanted, " x"),
                beside(other, handler),
            )
            for name, other, said, handler, wanted in (
                ("a fork each", CASEMATE_FORK, "plain", PLAIN, 6),
                ("a fork each", CASEMATE_FORK, "pandas", TABLES, 5),
                (FORK, FORK, "plain", PLAIN, 10),
                (FORK, FORK, "pandas", TABLES, 10),
                (FUNCTIONS_FRAMEWORK, FUNCTIONS_FRAMEWORK, "plain", PLAIN, 1),
            )
        ),
    ]


def _instance(results: Results) -> list[Verdict]:
    instance = CASEMATE_INSTANCE
    asgi = results.ratio(instance, ASGI_UVLOOP, PLAIN, "per_second")
    later = results.figures.asynchronous
    share = later.get("share")
    more = ""
    if share is not None:
        more = f"{later['sent_and_run']:,.0f}/s of {later['waited_for']:,.0f}/s"
    framework = results.ratio(instance, FUNCTIONS_FRAMEWORK, PLAIN, "per_second")
    lane = reasons.gateway(results, instance, PLAIN)
    return [
        why(
            at_least(
                "instance isolation, plain",
                results.median(instance, PLAIN, "per_second"),
                6000,
                "/s",
            ),
            reasons.loaded(results, instance, PLAIN),
        ),
        why(
            at_least("instance isolation / functions-framework, plain", framework, 3, " x"),
            reasons.compared(results, instance, FUNCTIONS_FRAMEWORK, PLAIN),
        ),
        why(
            at_least("instance isolation / its --asgi +uvloop, plain", asgi, 1.2, " x"),
            reasons.compared(results, instance, ASGI_UVLOOP, PLAIN),
        ),
        why(
            at_most("instance isolation, plain, of the gateway", lane, LANE_US, " us"),
            reasons.lane(results, instance, ASGI_UVLOOP, PLAIN),
        ),
        why(
            at_least("instance isolation, sent and run / waited for", share, 0.8, " x", more),
            reasons.later(results),
        ),
    ]


def _first_calls(results: Results) -> list[Verdict]:
    f = results.figures
    slowest = "" if f.first_kept_max_ms is None else f"slowest {f.first_kept_max_ms:.1f}"
    bare = f.bare_import_ms
    pandas = None if bare is None else f.first_gone_tables_ms
    more = "" if f.import_only_ms is None else f"import statement alone {f.import_only_ms:.0f}"
    what = "first call, zygote gone, pandas, p50: bare import + 10 ms"
    shared = "first call, zygote gone, pandas, p50, that of the same dependencies there"
    gone = "first call, zygote gone, plain, p50"

    def taken(field: str) -> str:
        return reasons.first_call(results, field)

    return [
        why(
            at_most("first call, zygote kept, p50", f.first_kept_ms, 3, " ms", slowest),
            taken("first_kept_ms"),
        ),
        why(at_most(gone, f.first_gone_plain_ms, 8, " ms"), taken("first_gone_plain_ms")),
        why(
            at_most(what, pandas, round((bare or 0) + 10, 1), " ms", more),
            taken("first_gone_tables_ms"),
        ),
        why(at_most(shared, f.first_shared_tables_ms, 15, " ms"), taken("first_shared_tables_ms")),
    ]


def _memory(results: Results) -> list[Verdict]:
    f = results.figures
    weight = None if f.instance_memory is None else f.instance_memory / MB
    crowd = None if f.crowd_memory is None or f.crowd != 50 else f.crowd_memory / MB
    rest = None if f.rest_memory is None else f.rest_memory / MB
    seen = "" if f.instances_seen is None else f"{f.instances_seen} processes for {HELD} calls"
    kept = "" if f.crowd_processes is None else f"{f.crowd_processes} processes"
    asked = max(results.settings.deployed) >= DEPLOYED
    past = ""
    if f.past_keep_memory is not None and f.empty_node_memory is not None:
        past = f"node {f.empty_node_memory / MB:.1f} MB before, {f.past_keep_memory / MB:.1f} after"
    return [
        why(
            at_most("one live plain instance, with its clean pages", weight, 2, " MB", seen),
            f"{seen}: each stands beside the copy that it is compared with" if seen else "",
        ),
        why(
            at_most("50 plain functions at rest, zygotes kept", crowd, 200, " MB", kept),
            reasons.rest(results),
        ),
        why(at_most("a plain function at rest", rest, 2.5, " MB"), reasons.rest(results)),
        at_most(
            "left of functions after their keep time", f.past_keep_processes, 0, " processes", past
        ),
        at_least("functions deployed on one node", f.deployed if asked else None, DEPLOYED, ""),
    ]


def _growth(results: Results) -> list[Verdict]:
    points = results.figures.overhead_ms
    few, many = (min(points), max(points)) if points else (0, 0)
    growth = points[many] / points[few] if len(points) > 1 and points[few] else None
    more = ", ".join(f"{count}: {value:.2f} ms" for count, value in sorted(points.items()))
    crowded = results.figures.many_ms
    ratio = crowded[max(crowded)] / crowded[1] if len(crowded) > 1 and crowded[1] else None
    beside = ", ".join(f"{count}: {value:.2f} ms" for count, value in sorted(crowded.items()))
    starts = results.figures.start_ms | results.figures.many_start_ms
    start = starts[max(starts)] / 1000 if results.figures.many_start_ms else None
    said = ", ".join(f"{count}: {value / 1000:.2f} s" for count, value in sorted(starts.items()))
    return [
        at_most("p50 with most / with one function deployed", growth, GROWTH_NOISE, " x", more),
        at_most(f"p50 with {MANY:,} functions / with one", ratio, GROWTH_NOISE, " x", beside),
        at_most(f"start of a node with {MANY:,} functions", start, 5, " s", said),
    ]


def _events(results: Results) -> list[Verdict]:
    found = results.figures.enqueue
    rate = None if found is None else found.per_second
    growth = None if found is None else found.growth
    spread = handled = ""
    if found is not None:
        spread = f"p50 {found.p50_ms:.2f} ms; settled {found.settled_per_second:,.0f}/s"
        handled = f"{found.lease_shallow_ms:.2f} ms and {found.lease_deep_ms:.2f} ms"
    return [
        at_least("events kept, with fsync, 64 writers", rate, 5000, "/s", spread),
        at_most(
            "lease with 200,000 waiting / with 1,000, processor time",
            growth,
            LEASE_NOISE,
            " x",
            handled,
        ),
    ]


def _schedules(results: Results) -> list[Verdict]:
    found = results.figures.jitter
    late = None if found is None else found.spread_p99_ms
    more = ""
    if found is not None:
        more = (
            f"p50 {found.spread_p50_ms:.2f} ms; of {TOGETHER} at one moment p50 "
            f"{found.together_p50_ms:.0f} ms, p99 {found.together_p99_ms or 0:.0f} ms"
        )
    return [at_most(f"events of {SPREAD} schedules, late, p99", late, 50, " ms", more)]


def _discards(results: Results) -> list[Verdict]:
    found = results.figures.discards
    count = None if found is None else found.restored
    more = "" if found is None else f"of {len(found.shares)}"
    what = f"typical handlers with {MOST_DISCARDS:.0%} discards or less"
    return [why(at_least(what, count, RESTORED, "", more), reasons.discards(results))]


def judge(results: Results) -> Sequence[Verdict]:
    """Compare a run with every target."""
    return (
        *_request(results),
        *_instance(results),
        *_first_calls(results),
        *_memory(results),
        *_discards(results),
        *_growth(results),
        *_events(results),
        *_schedules(results),
    )
