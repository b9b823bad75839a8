"""Limits are proposed by what was used, with room above it, and not from too little."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.metering import shipped
from casemate.metering.tuning import LEAST_REQUESTS, Peaks, Proposal, peaks_of, tune
from casemate.model.function import Fresh, FunctionSpec, Isolation, Limits
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.usage import Usage

PRICES = shipped("aws-lambda").on(date(2026, 11, 27))
MIB = 1 << 20
FEW = Peaks(at_once=1, cpu_us=400_000, throttled=False)


def proposed(
    spec: dict[str, Any] | None = None, peaks: Peaks | None = FEW, **used: int
) -> dict[str, Proposal]:
    hour = {"requests": 1000, "run_us": 100_000_000, "cpu_us": 40_000_000, "longest_us": 9_000_000}
    given: Any = {"limits": Limits(concurrency=2), **(spec or {})}
    function = FunctionSpec(name="f", handler="app:handler", **given)
    return {
        each.setting: each for each in tune(function, [Usage(**{**hour, **used})], PRICES, peaks)
    }


def ran(at: float, ms: float, cpu_us: int = 1000, **rest: Any) -> InvocationRecord:
    given: dict[str, Any] = {"outcome": Outcome.OK, "status": 200, "queued_ms": 0.0, **rest}
    return InvocationRecord(
        id="inv_1",
        project="t",
        function="f",
        version=1,
        trigger="invoke",
        started_at=at,
        run_ms=ms,
        cpu_us=cpu_us,
        cold=False,
        request_bytes=2,
        response_bytes=2,
        **given,
    )


def test_memory_with_its_saving() -> None:
    forked = {"fresh": Fresh.PROCESS}
    found = proposed(forked, peak=40 * MIB, memory_mb_ms=256 * 100_000)["limits.memory"]
    assert (found.now, found.proposed) == ("256MB", "64MB")
    assert found.saves == Decimal(192 * 100_000) / 1024 / 1000 * Decimal("0.0000166667")
    assert "40.0 MB" in found.why
    more = proposed(peak=250 * MIB)["limits.memory"]
    assert (more.proposed, more.saves) == ("384MB", 0)


@pytest.mark.parametrize("peak", [0, 150 * MIB, 200 * MIB])
def test_memory_that_fits_or_is_unknown_is_left(peak: int) -> None:
    assert "limits.memory" not in proposed({"fresh": Fresh.PROCESS}, peak=peak)


def test_less_memory_is_not_proposed_by_the_first_calls_of_processes_alone() -> None:
    """A limit that these fit killed every other call of a function whose processes are restored."""
    assert "limits.memory" not in proposed(peak=4 * MIB)
    assert "limits.memory" in proposed({"isolation": Isolation.INSTANCE}, peak=4 * MIB)


def test_more_cpu_where_calls_use_all_of_it() -> None:
    assert proposed(cpu_us=98_000_000)["limits.cpu"].proposed == "2"


@pytest.mark.parametrize(
    ("most", "found"), [(2_000, "0.1"), (12_000, "0.25"), (20_000, "0.5"), (60_000, None)]
)
def test_as_much_cpu_as_the_costliest_call_needs_at_once(most: int, found: str | None) -> None:
    """Its calls wait nearly all of their time, which says nothing of what they need at once."""
    proposal = proposed(peaks=FEW._replace(cpu_us=most), cpu_us=2_000_000).get("limits.cpu")
    assert (proposal and proposal.proposed) == found


def test_less_cpu_is_not_guessed() -> None:
    few = FEW._replace(cpu_us=1000)
    assert "limits.cpu" in proposed(peaks=few, cpu_us=2_000_000)
    assert "limits.cpu" not in proposed(peaks=None, cpu_us=2_000_000)
    again = {"isolation": Isolation.INSTANCE, "fresh": Fresh.PROCESS}
    for peaks, spec in ((few._replace(cpu_us=0), None), (few, again)):
        assert "limits.cpu" not in proposed(spec, peaks, cpu_us=2_000_000)


def test_a_timeout_that_only_one_that_hangs_needs() -> None:
    assert proposed(longest_us=900_000)["limits.timeout"].proposed == "3s"
    assert proposed(longest_us=1000)["limits.timeout"].proposed == "1s"
    assert "limits.timeout" not in proposed()


@pytest.mark.parametrize(("at_once", "found"), [(1, "2"), (5, "10"), (8, None), (16, None)])
def test_concurrency_has_room_for_a_burst(at_once: int, found: str | None) -> None:
    """Of 100 calls of 50 ms in an hour 0.001 run at once in the mean, and all of a burst do."""
    burst = [ran(1000.0 + number / 1e4, 50.0) for number in range(at_once)]
    later = [ran(2000.0 + number, 50.0) for number in range(100 - at_once)]
    peaks = peaks_of([*later, *burst], 100)
    assert peaks == Peaks(at_once, 1000, throttled=False)
    proposal = proposed(
        {"limits": Limits(concurrency=16)}, peaks, requests=100, run_us=5_000_000
    ).get("limits.concurrency")
    assert (proposal and proposal.proposed) == found


def test_concurrency_is_not_guessed() -> None:
    spec = {"limits": Limits(concurrency=16)}
    assert "limits.concurrency" in proposed(spec)
    assert "limits.concurrency" not in proposed(spec, None)
    assert "limits.concurrency" not in proposed(spec, FEW._replace(throttled=True))


def test_peaks_are_those_of_all_calls_or_unknown() -> None:
    waits = ran(10.0, 100.0, queued_ms=900.0, cpu_us=7)
    refused = ran(10.5, 0.0, cpu_us=0, outcome=Outcome.THROTTLED, status=429)
    assert peaks_of([waits, ran(10.95, 10.0), refused], 2) == Peaks(2, 1000, throttled=True)
    assert peaks_of([waits, ran(11.0, 10.0)], 2) == Peaks(1, 1000, throttled=False)
    assert peaks_of([waits, refused], 2) is None


def test_a_process_for_each_call_can_be_restored() -> None:
    assert proposed({"fresh": Fresh.PROCESS})["fresh"].proposed == "restored"
    assert "fresh" not in proposed()


def test_too_little_says_nothing() -> None:
    assert proposed(requests=LEAST_REQUESTS - 1, peak=MIB) == {}


@given(st.integers(1, 512 * MIB), st.integers(0, 10**12), st.integers(0, 10**9))
def test_nothing_is_proposed_below_what_was_used(peak: int, run_us: int, longest: int) -> None:
    found = proposed(peak=peak, run_us=run_us, longest_us=longest)
    if (memory := found.get("limits.memory")) is not None:
        assert float(memory.proposed.removesuffix("MB")) * MIB > peak
    if (timeout := found.get("limits.timeout")) is not None:
        assert float(timeout.proposed.removesuffix("s")) * 1e6 > longest
