"""How cost grows: the events, the copies and the charts; the measuring itself is a long run."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import msgspec
import pytest
from bench.charts import svg
from bench.growth import CONTRACT, COUNTS, SIZES, Growth, charts, padded, text
from bench.many import FOR_EACH_PROJECT, copies
from bench.results import Machine

from casemate.contracts import Contract
from support.core import version

MACHINE = Machine(
    processor="Made Up", cores=2, memory=1 << 30, kernel="6.1", python="3.11.0", load_before=0.1
)
WHOLE = Growth(
    machine=MACHINE,
    call_ms={1: 0.4, 10_000: 0.42},
    alone_ms={1: 0.4, 10_000: 0.41},
    start_ms={1: 900.0, 10_000: 2100.0},
    rate={"request": {1: 900.0, 64: 3000.0}, "instance": {1: 2000.0, 64: 8000.0}},
    loaded_ms={"request": {1: 1.0, 64: 20.0}, "instance": {1: 0.4, 64: 8.0}},
    size_ms={"request": {1_000: 0.5, 5_000_000: 60.0}},
)


@pytest.mark.parametrize("size", SIZES)
def test_events_have_the_size_that_is_said_and_satisfy_their_contract(size: int) -> None:
    event = padded(size)
    assert abs(len(json.dumps(event, separators=(",", ":"))) - size) < 10
    assert Contract(CONTRACT).is_valid(event)


def test_all_that_was_measured_is_drawn() -> None:
    made = charts(WHOLE)
    assert set(made) == {
        "functions-call",
        "functions-start",
        "connections-rate",
        "connections-latency",
        "sizes",
    }
    for chart in made.values():
        root = ElementTree.fromstring(svg(chart))
        assert any("python -m bench.growth" in (found.text or "") for found in root.iter())


def test_a_chart_of_a_busy_machine_says_so() -> None:
    busy = msgspec.structs.replace(WHOLE, machine=msgspec.structs.replace(MACHINE, load_before=7.2))
    assert all("busy, load 7" in chart.note for chart in charts(busy).values())
    assert not any("busy" in chart.note for chart in charts(WHOLE).values())


def test_what_was_not_measured_is_not_drawn() -> None:
    assert charts(Growth(machine=MACHINE)) == {}


def test_ratios_are_told() -> None:
    assert "10,000 functions: p50 0.42 ms, 1.02 x of a node with one; start 2.10 s" in text(WHOLE)


def test_copies_are_within_what_one_manifest_may_have() -> None:
    made = list(copies(version(name="plain-0", project="many-0"), COUNTS[-1]))
    assert len({(one.project, one.function) for one in made}) == COUNTS[-1]
    of_one = [one for one in made if one.project == "many-3"]
    assert len(of_one) == FOR_EACH_PROJECT
    assert all(one.spec.name == one.function for one in made)
    assert (made[0].project, made[0].function) == ("many-0", "plain-0")
