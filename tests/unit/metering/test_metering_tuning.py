"""Limits are proposed by what was used, with room above it, and not from too little."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.metering import shipped
from casemate.metering.tuning import LEAST_REQUESTS, Proposal, tune
from casemate.model.function import Fresh, FunctionSpec, Limits
from casemate.model.usage import Usage

PRICES = shipped("aws-lambda").on(date(2026, 11, 27))
MIB = 1 << 20


def proposed(spec: dict[str, Any] | None = None, **used: int) -> dict[str, Proposal]:
    hour = {"requests": 1000, "run_us": 100_000_000, "cpu_us": 40_000_000, "longest_us": 9_000_000}
    given: Any = {"limits": Limits(concurrency=2), **(spec or {})}
    function = FunctionSpec(name="f", handler="app:handler", **given)
    return {each.setting: each for each in tune(function, [Usage(**{**hour, **used})], PRICES)}


def test_memory_with_its_saving() -> None:
    found = proposed(peak=40 * MIB, memory_mb_ms=256 * 100_000)["limits.memory"]
    assert (found.now, found.proposed) == ("256MB", "64MB")
    assert found.saves == Decimal(192 * 100_000) / 1024 / 1000 * Decimal("0.0000166667")
    assert "40.0 MB" in found.why
    more = proposed(peak=250 * MIB)["limits.memory"]
    assert (more.proposed, more.saves) == ("384MB", 0)


@pytest.mark.parametrize("peak", [0, 150 * MIB, 200 * MIB])
def test_memory_that_fits_or_is_unknown_is_left(peak: int) -> None:
    assert "limits.memory" not in proposed(peak=peak)


def test_the_cpu() -> None:
    assert proposed(cpu_us=2_000_000)["limits.cpu"].proposed == "0.1"
    assert proposed(cpu_us=98_000_000)["limits.cpu"].proposed == "2"
    assert "limits.cpu" not in proposed()


def test_a_timeout_that_only_one_that_hangs_needs() -> None:
    assert proposed(longest_us=900_000)["limits.timeout"].proposed == "3s"
    assert proposed(longest_us=1000)["limits.timeout"].proposed == "1s"
    assert "limits.timeout" not in proposed()


def test_concurrency_of_its_busiest_hour() -> None:
    found = proposed({"limits": Limits(concurrency=16)}, run_us=3_600_000_000)
    assert found["limits.concurrency"].proposed == "5"
    assert "limits.concurrency" not in proposed({"limits": Limits(concurrency=2)})


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
