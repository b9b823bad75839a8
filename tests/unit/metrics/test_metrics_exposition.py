"""What is written is read back by Prometheus' own parsers, whatever names and numbers there are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families as plain_parser

from casemate.metrics import Registry, functions
from casemate.metrics.exposition import Exposition, Format, escaped, labels, wanted
from casemate.model.invocation import Outcome
from casemate.model.metrics import SECONDS, Durations, Told

PARSERS = {Format.PLAIN: plain_parser, Format.OPEN: open_parser.text_string_to_metric_families}
FORMATS = pytest.mark.parametrize("form", list(Format))


def parsed(text: str, form: Format) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return each sample's value by its name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in PARSERS[form](text):
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in found.setdefault(sample.name, {}), f"{sample.name} {key} twice"
            found[sample.name][key] = sample.value
    return found


@FORMATS
@given(
    value=st.text(st.characters(blacklist_categories=("Cs",)), max_size=60),
    number=st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
)
def test_every_label_and_number_comes_back(form: Format, value: str, number: float) -> None:
    out = Exposition(form)
    out.family("casemate_t", "gauge", 'help with "quotes", \\ and\nlines')
    out.sample(labels({"a": value, "b": "x"}), number)
    found = parsed(out.text(), form)
    assert found["casemate_t"][("a", value), ("b", "x")] == number


@given(st.text(max_size=40))
def test_no_value_ends_its_label_or_line(value: str) -> None:
    text = escaped(value)
    assert "\n" not in text
    assert '"' not in text.replace("\\\\", "").replace('\\"', "")
    text.encode()


@pytest.mark.parametrize("number", [math.inf, -math.inf, 0, 0.0, -0.5, True])
@FORMATS
def test_numbers_at_the_edge(form: Format, number: float) -> None:
    out = Exposition(form)
    out.family("casemate_t", "gauge", "help")
    out.sample("", number)
    assert parsed(out.text(), form)["casemate_t"][()] == number


def full_registry() -> Registry:
    registry = Registry()
    for project, function in (("shop", "cart"), ("shop", 'odd"\\\n')):
        figures = registry.of(project, function)
        for outcome in Outcome:
            figures.outcomes[outcome] += 2
        figures.ran(0.0, 0.0009, cold=False)
        figures.ran(0.3, 0.001, cold=True)
        figures.ran(0.1, 99.0, cold=False)
        figures.denied("egress", 3)
        figures.own.add(
            (Told("orders", "", 2, 5.0, 2.0, 3.0), Told("kg", "kg", 1, -1.5, -1.5, -1.5))
        )
    return registry


@FORMATS
def test_functions_have_all_their_numbers(form: Format) -> None:
    out = Exposition(form)
    pauses = sum(1 for _ in functions.write(out, [one.told() for one in full_registry()]))
    assert pauses > 10  # whoever writes many functions lets others run in between
    found = parsed(out.text(), form)
    of = (("function", "cart"), ("project", "shop"))
    calls = found["casemate_invocations_total"]
    assert calls[("function", "cart"), ("outcome", "ok"), ("project", "shop")] == 2
    assert len(calls) == 2 * len(Outcome)
    buckets = found["casemate_run_seconds_bucket"]
    assert buckets[("function", "cart"), ("le", "0.001"), ("project", "shop")] == 2
    assert buckets[("function", "cart"), ("le", "30.0"), ("project", "shop")] == 2
    assert buckets[("function", "cart"), ("le", "+Inf"), ("project", "shop")] == 3
    assert found["casemate_run_seconds_count"][of] == 3
    assert found["casemate_run_seconds_sum"][of] == pytest.approx(99.0019)
    assert found["casemate_queue_wait_seconds_count"][of] == 3
    assert found["casemate_cold_starts_total"][of] == 1
    own = (("function", "cart"), ("name", "orders"), ("project", "shop"), ("unit", ""))
    values = [found[f"casemate_custom_{name}"][own] for name in ("added", "min", "max")]
    assert values == [5.0, 2.0, 3.0]
    assert found["casemate_custom_measurements_total"][own] == 2


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.PLAIN),
        ("*/*", Format.PLAIN),
        ("text/plain", Format.PLAIN),
        ("application/openmetrics-text", Format.OPEN),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format.OPEN),
        ("application/openmetrics-text; q=0.3, text/plain; q=0.5", Format.PLAIN),
        ("application/openmetrics-text;q=0", Format.PLAIN),
        ("application/openmetrics-text;q=nan", Format.PLAIN),
        ("application/openmetrics-text;q=-1", Format.PLAIN),
        ("APPLICATION/OpenMetrics-Text", Format.OPEN),
        (",;,=" * 1000, Format.PLAIN),
    ],
)
def test_the_format_is_the_one_asked_for(accept: str, form: Format) -> None:
    assert wanted(accept) is form


def test_durations_tell_their_quantiles_and_what_came_since() -> None:
    counts = [0] * (len(SECONDS) + 1)
    counts[4], counts[-1] = 99, 1
    told = Durations(counts=tuple(counts), seconds=3.0)
    assert told.count == 100
    assert 0.01 < (told.quantile(0.5) or 0) <= 0.025
    assert told.quantile(1.0) == SECONDS[-1]
    counts[4] += 10
    later = Durations(counts=tuple(counts), seconds=3.5)
    assert later.since(told).count == 10
    assert later.since(None) is later
    assert told.since(later) is told  # the count began anew
    assert Durations(counts=(0,) * len(counts), seconds=0.0).quantile(0.5) is None
