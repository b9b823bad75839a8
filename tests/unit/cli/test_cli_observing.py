"""`top`, `metrics` and `trace`: what is counted and drawn, within 80 columns."""

from __future__ import annotations

import json
import time

import pytest

from casemate.cli.commands import top as top_module
from casemate.cli.rates import Looks
from casemate.cli.times_shown import short_seconds
from casemate.cli.trace_tree import rows
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.metrics import SECONDS, Durations, FunctionMetrics, Measured, Metrics
from casemate.model.metrics import Counting as Counted
from casemate.model.tracing import Span, span_of
from casemate.operations.traces import Trace, TraceSpan

EVIL = "\x1b[2J\x1b]0;x\x07"


def durations(**counts: int) -> Durations:
    found = [0] * (len(SECONDS) + 1)
    for place, count in counts.items():
        found[int(place[1:])] = count
    return Durations(counts=tuple(found), seconds=1.0)


def function(calls: int, name: str = "cart", **changes: object) -> FunctionMetrics:
    values: dict[str, object] = {
        "project": "shop",
        "function": name,
        "calls": calls,
        "outcomes": {"ok": calls},
        "run": durations(_3=calls),
    }
    return FunctionMetrics(**{**values, **changes})  # type: ignore[arg-type]


def metrics(at: float, *functions: FunctionMetrics, started_at: float = 1.0) -> Metrics:
    return Metrics(at=at, started_at=started_at, functions=functions)


class Counting:
    """Answers with one look after the other, then with the last one again."""

    def __init__(self, *looks: Metrics) -> None:
        self.looks = list(looks)
        self.asked: list[tuple[str | None, str | None, str | None]] = []

    async def __call__(
        self, project: str | None, function: str | None, node: str | None
    ) -> Metrics:
        self.asked.append((project, function, node))
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture
def counting(node, monkeypatch):
    monkeypatch.setattr(top_module, "LOOK_SECONDS", 0.01)

    def have(*looks: Metrics) -> Counting:
        counts = Counting(*looks)
        object.__setattr__(node.parts.service, "metrics", counts)
        return counts

    return have


def test_rates_are_of_what_came_between_two_looks() -> None:
    looks = Looks()
    looks.add(metrics(10.0, function(100)))
    looks.add(metrics(12.0, function(140, outcomes={"ok": 130}), function(4, "mail")))
    cart, mail = looks.rates()
    assert (cart.calls, cart.errors, mail.calls) == (20.0, 5.0, 2.0)
    assert cart.p50 is not None and 0.005 < cart.p50 <= 0.01
    looks.add(metrics(20.0, function(7), started_at=19.0))
    (anew,) = looks.rates()
    assert anew.calls == 0.0  # the node has started anew


def test_rates_are_of_the_last_looks_alone() -> None:
    looks = Looks()
    for second in range(100):
        looks.add(metrics(float(second), function(1000 if second else 0)))
    assert looks.rates()[0].calls == 0.0


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"), (0.0, "0.0ms"), (0.0008, "0.8ms"), (0.12, "120ms"), (1.5, "1.5s"),
        (59.9, "59.9s"), (240, "4m"), (3 * 3600, "3h"), (7 * 86400, "7d"),
    ],
)  # fmt: skip
def test_durations_are_short(seconds: float | None, shown: str) -> None:
    assert short_seconds(seconds) == shown


def test_top_shows_one_look_where_no_terminal_is(cli, counting) -> None:
    counts = counting(
        metrics(10.0, function(0)),
        metrics(11.0, function(1200, busy=3, spares=2, inbox=40, inbox_age=75.0)),
    )
    done = cli("top", "--project", "shop")
    assert done.code == 0, done.err
    first, head, row = done.out.splitlines()
    assert first.startswith("1.2k calls/s, 0 errors/s, 3 run, 40 wait")
    assert head.split() == [
        *("FUNCTION", "CALLS/S", "ERR/S", "~P50", "~P99"),
        *("COLD/S", "RUN", "IDLE", "WAIT", "AGE", "MEM"),
    ]
    assert row.split()[:3] == ["shop/cart", "1.2k", "0"]
    assert row.split()[6:10] == ["3", "2", "40", "1m"]
    assert counts.asked == [("shop", None, None)] * 2


def test_top_keeps_to_80_columns_and_to_one_line_each(cli, counting) -> None:
    long = function(999_999, name="a" * 63, outcomes={}, resting_bytes=2**40, inbox_age=1e6)
    evil = function(10**9, name=EVIL)
    counting(metrics(10.0), metrics(11.0, long, evil))
    lines = cli("top", "--once").out.splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines[1:]), lines
    assert "\x1b" not in "".join(lines).replace("\x1b[", "", 0)
    assert "…" in lines[2] or "…" in lines[3]


def of_nodes(at: float, calls: int, *nodes: str, missing: tuple[str, ...] = ()) -> Metrics:
    return Metrics(
        at=at,
        started_at=1.0,
        functions=(function(calls),),
        nodes=tuple(Counted(node=node, at=at, started_at=1.0) for node in nodes),
        missing=missing,
    )


def test_top_says_whose_counts_it_shows(cli, counting) -> None:
    counting(of_nodes(10.0, 0, "a-1", "b-2"), of_nodes(11.0, 9, "a-1", "b-2"))
    assert cli("top", "--once").out.startswith("2 nodes: 9 calls/s")
    counting(*(of_nodes(at, 9, "a-1", missing=("b-2" + EVIL,)) for at in (10.0, 11.0)))
    first, second, *_ = cli("top", "--once").out.splitlines()
    assert first.startswith("1 of 2 nodes: 0 calls/s")
    assert "told nothing: b-2" in second and "\x1b[2J" not in second
    counts = counting(of_nodes(10.0, 0, "b-2"), of_nodes(11.0, 3, "b-2"))
    assert cli("top", "--once", "--node", "b-2").out.startswith("node b-2: 3 calls/s")
    assert counts.asked == [(None, None, "b-2")] * 2


def test_rates_of_other_nodes_begin_anew() -> None:
    looks = Looks()
    looks.add(of_nodes(10.0, 100, "a-1", "b-2"))
    looks.add(of_nodes(11.0, 150, "a-1", "b-2"))
    assert looks.rates()[0].calls == 50.0
    looks.add(of_nodes(12.0, 1150, "a-1", "b-2", "c-3"))
    assert looks.rates()[0].calls == 0.0


def test_top_for_programs(cli, counting) -> None:
    counting(metrics(10.0, function(0)), metrics(11.0, function(5)))
    told = json.loads(cli("top", "--once", "--json").out)
    assert (told["at"], told["functions"][0]["calls"]) == (11.0, 5.0)


def test_top_takes_a_function_or_a_project(cli, counting, monkeypatch, node) -> None:
    async def there(_project: str, _function: str) -> None:
        """Stand for a function that was not called."""

    monkeypatch.setattr(node.control, "function", there)
    counts = counting(metrics(10.0), metrics(11.0))
    assert cli("top", "shop/cart").code == 0
    assert counts.asked == [("shop", "cart", None)] * 2
    assert cli("top", "shop/cart", "--project", "shop").code == 2


def test_metrics_shows_counts_and_what_functions_measure(cli, counting) -> None:
    own = {"orders": Measured(count=2, sum=5.0, least=2.0, most=3.0, unit="kg")}
    counting(metrics(11.0, function(12, outcomes={"ok": 10}, own=own, own_refused=3)))
    done = cli("metrics", "shop/cart")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][3:5] == ["~P50", "~P99"], "they are guessed within a class of durations"
    assert lines[1][:3] == ["shop/cart", "12", "2"]
    assert ["shop/cart", "orders", "2", "5", "2.5", "2", "3", "kg"] in lines
    assert "3 measurements broke a bound" in done.out
    told = json.loads(cli("metrics", "shop/cart", "--json").out)
    assert told["functions"][0]["own"]["orders"]["sum"] == 5.0


def test_metrics_of_nothing(cli, counting) -> None:
    counting(metrics(11.0))
    done = cli("metrics")
    assert done.code == 0
    assert "No function was called" in done.err


# -- traces ----------------------------------------------------------------------------------------


def span(number: int, parent: int | None, **changes: object) -> TraceSpan:
    values: dict[str, object] = {
        "id": f"{number:016x}",
        "parent": "" if parent is None else f"{parent:016x}",
        "name": "queue",
        "started_at": 100.0 + number,
        "ms": 500.0,
        "ok": True,
        "invocation": f"inv_{number}",
        "project": "shop",
        "function": f"f{number}",
        "version": 1,
        "outcome": "ok",
    }
    return TraceSpan(**{**values, **changes})  # type: ignore[arg-type]


def drawn(*spans: TraceSpan, width: int = 80) -> list[str]:
    return [line for line, _ in rows(Trace(id="t", spans=spans), width)]


def test_a_tree_has_its_branches_and_times() -> None:
    lines = drawn(
        span(1, None, name="invoke"), span(2, 1), span(3, 2, outcome="", name="run"), span(4, 1)
    )
    assert [line.split("  ")[0] for line in lines] == [
        "invoke shop/f1@1",
        "├ queue shop/f2@1",
        "│ └ run",
        "└ queue shop/f4@1",
    ]
    assert all(len(line) <= 80 for line in lines)
    bars = [line.index("█") for line in lines]
    assert bars == sorted(bars) and len(set(bars)) == 4


def test_how_a_span_ended_takes_room_from_the_bars() -> None:
    ended = {"outcome": "handler-error", "ok": False, "attempt": 2}
    [line] = drawn(span(1, None, name="bucket", project="pictures", function="shrink", **ended))
    assert "pictures/shrink@1 attempt 2 handler-error  " in line and len(line) <= 80
    assert "█" * 12 in line


def test_spans_whose_parents_are_not_shown_stand_at_the_top() -> None:
    assert [line[0] for line in drawn(span(1, 99), span(2, 98))] == ["q", "q"]


def test_circles_and_repeated_ids_are_drawn_once_each() -> None:
    assert len(drawn(span(1, 2), span(2, 1))) == 2
    assert len(drawn(span(1, 1))) == 1
    assert len(drawn(span(1, None), span(1, None), span(2, 1))) == 3
    assert len(drawn(*(span(n, (n + 1) % 50) for n in range(50)))) == 50


def test_no_name_steers_the_terminal_or_breaks_the_width() -> None:
    lines = drawn(span(1, None, function=EVIL * 9), span(2, 1, outcome="", name=EVIL, on="\n"))
    assert len(lines) == 5
    assert all(line.isprintable() and len(line) <= 80 for line in lines)
    assert len(drawn(span(1, None, function="x" * 100_000))) < 100_000 / 70


def test_what_a_span_is_of_goes_on_below_it_and_is_not_cut() -> None:
    key = "reports/2026-11/" + "n" * 44
    use: dict[str, object] = {"outcome": "", "name": "bucket.put", "on": f"bucket pictures {key}"}
    ended: dict[str, object] = {"outcome": "handler-error", "ok": False, "attempt": 2}
    spans = (
        span(1, None, project="p" * 30, function="f" * 30, **ended),
        span(2, 1, **use),
        span(3, 2, **use),
        span(4, 1),
    )
    lines = drawn(*spans)
    assert [line.split("  █")[0].rstrip() for line in lines] == [
        "queue",
        f"  {'p' * 30}/{'f' * 30}@1",
        f"{'  attempt 2 handler-error':56}500.0 ms",
        "├ bucket.put bucket pictures",
        f"│   {key}",
        f"{'│':56}500.0 ms",
        "│ └ bucket.put bucket pictures",
        f"│     {key}",
        f"{'│':56}500.0 ms",
        f"{'└ queue shop/f4@1':56}500.0 ms",
    ]
    assert all(len(line) <= 80 for line in lines)
    # Where programs read it a span is one line.
    [first, *_] = whole = [line for line, _ in rows(Trace(id="t", spans=spans), None)]
    assert len(whole) == 4 and all("500.0 ms" in line for line in whole)
    assert first.startswith(f"queue {'p' * 30}/{'f' * 30}@1 attempt 2 handler-error  ")


def test_a_deep_trace_stays_within_its_width() -> None:
    lines = drawn(*(span(n, n - 1 if n else None) for n in range(1000)))
    assert len(lines) == 1000
    assert all(len(line) <= 80 for line in lines)


def test_many_spans_are_drawn_in_linear_time() -> None:
    began = time.process_time()
    assert len(drawn(span(0, None), *(span(n, 0) for n in range(1, 20_000)))) == 20_000
    assert time.process_time() - began < 5


def test_a_trace_is_drawn_from_what_a_node_keeps(cli, node) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    first, second = (f"inv_{n:024x}" for n in (1, 2))
    values = {
        "project": "shop", "version": 3, "outcome": Outcome.OK, "status": 200, "queued_ms": 0.0,
        "run_ms": 40.0, "cold": False, "request_bytes": 0, "response_bytes": 0, "trace_id": trace,
    }  # fmt: skip
    node.control.invocation_records = [
        InvocationRecord(
            id=first, function="cart", trigger="http", started_at=100.0, span_id=span_of(first),
            spans=(Span(name="queue.send", on="queue jobs", start_ms=5.0, ms=1.0),),
            more_spans=7, **values,
        ),
        InvocationRecord(
            id=second, function="mail", trigger="queue", started_at=100.1, span_id=span_of(second),
            parent_id=span_of(first), **values | {"outcome": Outcome.TIMEOUT},
        ),
    ]  # fmt: skip
    done = cli("trace", first)
    assert done.code == 0, done.err
    head, *lines = done.out.splitlines()
    assert head.startswith(f"Trace {trace}, ")
    assert lines[0].startswith("http shop/cart@3 (+7 uses)")
    assert any(line.startswith("├ queue.send queue jobs") for line in lines)
    assert any("timeout" in line for line in lines)
    told = json.loads(cli("trace", trace, "--json").out)
    assert {one["invocation"] for one in told["spans"]} == {first, second}
    assert cli("trace", "inv_none").code == 3
