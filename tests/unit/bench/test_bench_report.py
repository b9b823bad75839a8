"""Verdicts and tables from made-up runs."""

import json

import msgspec
import pytest
from bench import report
from bench.enqueue import Enqueue
from bench.errors import BenchError
from bench.jitter import Jitter
from bench.judge import at_least, at_most, judge
from bench.load import Load, parse
from bench.results import (
    CASEMATE_FORK,
    CASEMATE_INSTANCE,
    CASEMATE_REQUEST,
    Cell,
    Discards,
    Figures,
    Machine,
    Results,
)
from bench.settings import QUICK, Settings

MACHINE = Machine(
    processor="Made Up", cores=2, memory=1 << 30, kernel="6.1", python="3.11.0", load_before=0.1
)


def cell(target: str, handler: str, number: int, per_second: float, p50: float = 1.0) -> Cell:
    return Cell(
        target=target,
        handler=handler,
        round=number,
        isolation="none",
        cold_ms=100.0,
        memory=40_000_000,
        p50_ms=p50,
        p99_ms=2 * p50,
        samples=500,
        per_second=per_second,
        loaded_p50_ms=p50,
        answers=1000,
        failed=0,
    )


def results(cells: list[Cell], figures: Figures | None = None) -> Results:
    return Results(
        started_at=0.0,
        machine=MACHINE,
        settings=Settings(),
        cells=cells,
        figures=figures or Figures(),
    )


def enqueue(**fields: float) -> Enqueue:
    found = Enqueue(
        writers=64,
        bytes=900,
        per_second=8000.0,
        p50_ms=8.0,
        p99_ms=20.0,
        settled_per_second=9000.0,
        lease_shallow_ms=4.0,
        lease_deep_ms=4.2,
    )
    return msgspec.structs.replace(found, **fields)


def jitter(**fields: float) -> Jitter:
    found = Jitter(
        events=6000,
        spread_p50_ms=3.0,
        spread_p99_ms=11.0,
        together_p50_ms=100.0,
        together_p99_ms=180.0,
    )
    return msgspec.structs.replace(found, **fields)


def good() -> Results:
    cells = []
    for number, machine in enumerate((1.0, 0.5, 1.1)):
        for handler in ("plain", "tables"):
            cells += [
                cell(CASEMATE_REQUEST, handler, number, 4800 * machine, 0.4),
                cell(CASEMATE_FORK, handler, number, 700 * machine, 1.5),
                msgspec.structs.replace(
                    cell(CASEMATE_INSTANCE, handler, number, 16000 * machine, 0.2),
                    loaded_us={"gateway": 49.0},
                ),
                cell("fork-per-request", handler, number, 80 * machine, 25.0),
                cell("functions-framework", handler, number, 2000 * machine, 0.5),
                cell("functions-framework --asgi +uvloop", handler, number, 13000 * machine),
            ]
    figures = Figures(
        first_kept_ms=2.5,
        first_gone_plain_ms=7.0,
        first_gone_tables_ms=300.0,
        first_shared_tables_ms=14.0,
        bare_import_ms=290.0,
        instance_memory=1_200_000.0,
        crowd=50,
        crowd_memory=190_000_000,
        rest_memory=2_400_000.0,
        past_keep_processes=0,
        deployed=500,
        overhead_ms={1: 1.0, 50: 1.2, 500: 1.05},
        start_ms={1: 900.0, 500: 1400.0},
        many_ms={1: 0.4, 10_000: 0.43},
        many_start_ms={10_000: 2100.0},
        asynchronous={"waited_for": 6000.0, "sent_and_run": 5000.0, "share": 0.83},
        enqueue=enqueue(),
        jitter=jitter(),
        discards=discards(39),
    )
    return results(cells, figures)


def discards(restored: int) -> Discards:
    shares = {f"handler {n}": 0.01 if n < restored else 0.13 for n in range(42)}
    return Discards(shares=shares, reasons={"handler 41": "it has left something in /tmp"})


def test_what_is_not_restored_is_told_with_its_reason() -> None:
    run = good()
    run.figures.discards = discards(29)
    (verdict,) = (v for v in judge(run) if v.met is False)
    assert verdict.measured == "29 (of 42)"
    assert verdict.reason == "handler 41: it has left something in /tmp"


def test_a_live_instance_over_its_limit_is_told_with_how_many_processes_there_were() -> None:
    run = good()
    run.figures.instance_memory, run.figures.instances_seen = 2_220_000.0, 16
    (verdict,) = (v for v in judge(run) if v.met is False)
    assert "16 processes for 8 calls" in verdict.reason


def test_a_good_run_meets_every_target() -> None:
    found = judge(good())
    assert [verdict.what for verdict in found if verdict.met is not True] == []
    assert len(found) == 31


def test_an_empty_run_meets_no_target() -> None:
    assert {verdict.met for verdict in judge(results([]))} == {None}


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("first_kept_ms", 3.1, "zygote kept"),
        ("first_gone_plain_ms", 8.1, "gone, plain"),
        ("first_gone_tables_ms", 301.0, "bare import"),
        ("first_shared_tables_ms", 15.1, "same dependencies"),
        ("instance_memory", 2_100_000.0, "live plain"),
        ("crowd_memory", 201_000_000, "50 plain"),
        ("rest_memory", 2_600_000.0, "a plain function at rest"),
        ("many_start_ms", {10_000: 5001.0}, "start of a node"),
        ("many_ms", {1: 0.4, 10_000: 0.45}, "10,000 functions / with one"),
        ("asynchronous", {"waited_for": 10.0, "sent_and_run": 7.9, "share": 0.79}, "sent and run"),
        ("past_keep_processes", 1, "keep time"),
        ("deployed", 499, "deployed on one node"),
        ("overhead_ms", {1: 1.0, 500: 1.2}, "most / with one function"),
        ("enqueue", enqueue(per_second=4999.0), "events kept"),
        ("enqueue", enqueue(lease_deep_ms=5.1), "lease with 200,000"),
        ("jitter", jitter(spread_p99_ms=50.1), "schedules, late"),
        ("discards", discards(29), "typical handlers"),
    ],
)
def test_each_figure_over_its_limit_is_missed(field: str, value: object, what: str) -> None:
    run = good()
    setattr(run.figures, field, value)
    assert [what in verdict.what for verdict in judge(run) if verdict.met is False] == [True]


def test_pandas_is_not_judged_without_the_bare_import() -> None:
    run = good()
    run.figures.bare_import_ms = None
    assert [v.met for v in judge(run) if "bare import" in v.what] == [None]


def test_fewer_functions_at_rest_are_not_taken_for_fifty() -> None:
    run = good()
    run.figures.crowd = 10
    assert [v.met for v in judge(run) if "50 plain" in v.what] == [None]


def test_limits_are_inclusive() -> None:
    assert at_most("x", 5.0, 5, " ms").met
    assert at_least("x", 5.0, 5, " ms").met
    assert not at_most("x", 5.001, 5, " ms").met
    assert not at_least("x", 4.999, 5, " ms").met


def test_text_shows_medians_ratios_failures_and_gaps() -> None:
    run = good()
    run.not_measured.append("something: a reason")
    run.leftovers = 2
    text = report.text(run)
    assert "| 4,800 |" in " ".join(text.split())
    assert "6.86" in text  # 4800 / 700 in each round
    assert "2 processes were left behind" in text
    assert "- something: a reason" in text
    assert "MISSED" not in text


def test_tables_are_aligned() -> None:
    lines = report.table(["a", "bb"], [["long name", "1"], ["x", "1,000"]]).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith("| ---------")
    assert lines[1].endswith(":|") or lines[1].endswith(": |")


def test_json_holds_everything() -> None:
    whole = json.loads(report.as_json(good()))
    assert whole["format"] == 1
    assert len(whole["cells"]) == 36
    assert whole["figures"]["overhead_ms"] == {"1": 1.0, "50": 1.2, "500": 1.05}
    assert len(whole["targets"]) == 31
    assert {"what", "wanted", "measured", "met", "reason"} == set(whole["targets"][0])


def test_quick_is_less_than_the_default() -> None:
    assert QUICK.budget < Settings().budget
    assert QUICK.rounds <= Settings().rounds


@pytest.mark.parametrize("settings", [QUICK, Settings()])
def test_what_is_judged_as_a_median_is_made_of_several_first_calls(settings: Settings) -> None:
    passes = settings.first_call_passes
    counts = {
        "plain": settings.first_calls * passes,
        "tables": settings.first_calls_tables * passes,
        "shared": settings.shared_first_calls,
    }
    # Of two, the nearest rank is the smaller one.
    assert {name: count for name, count in counts.items() if count < 3} == {}


def test_load_result_is_read_among_other_output() -> None:
    line = (
        'RESULT {"per_second": 10.5, "p50_ms": 1.0, "p99_ms": 2.0, "right": 9, "wrong": 1, '
        '"lost": 0}'
    )
    expected = Load(per_second=10.5, p50_ms=1.0, p99_ms=2.0, right=9, wrong=1, lost=0)
    assert parse(f"Running 3s test\n{line}\n") == expected
    with pytest.raises(BenchError, match="no result"):
        parse("unable to connect")


def test_a_missed_target_is_told_with_what_was_measured_beside_it() -> None:
    run = good()
    parts = {"gateway": 300.0, "restorer": 700.4, "monitor": 0.1}
    run.cells = [
        msgspec.structs.replace(
            each, per_second=1500.0, p50_ms=5.0, alone_us={"gateway": 4000.0}, loaded_us=parts
        )
        if each.target == CASEMATE_REQUEST
        else msgspec.structs.replace(each, loaded_us={"server": 90.0, "gateway": 120.0})
        for each in run.cells
    ]
    run.figures.first_kept_ms = 9.0
    run.figures.first_us = {"first_kept_ms": {"supervisor": 2000.0}}
    run.figures.crowd_memory, run.figures.crowd_parts = 300_000_000, {"vault": 300e6}
    run.figures.asynchronous = {"waited_for": 10.0, "sent_and_run": 7.0, "share": 0.7}
    run.figures.asynchronous_us = {"sent_and_run": {"gateway": 900.0}, "waited_for": {"a": 50.0}}
    found = {each.what: each.reason for each in judge(run) if each.reason}
    assert found["request isolation, plain"] == (
        "1,000 us of processor time by call (restorer 700, gateway 300): "
        "2 cores have no time for more than 1,999/s"
    )
    assert "4,000 us" in found["request isolation, plain, p50"]
    assert found["request isolation / functions-framework, plain"].endswith(
        "of functions-framework 210 us (gateway 120, server 90)"
    )
    assert found["instance isolation, plain, of the gateway"].endswith("takes 90 us")
    assert found["first call, zygote kept, p50"].startswith("2,000 us")
    assert found["50 plain functions at rest, zygotes kept"] == "300 MB (vault 300)"
    assert "50 us (a 50) by call that is waited for" in str(found)
    assert "Why they were missed" in report.text(run) and "(vault 300)" in report.text(run)
    assert all(each.reason == "" for each in judge(good()))
