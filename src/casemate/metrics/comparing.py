"""Whether a version does worse than another one beside it: more errors, or slower, beyond chance.

Both are compared by what they did in the same time, with calls that were given to them by chance.
Each question is whether the share of bad calls is larger with the new one, by Fisher's exact test,
one-sided: how likely so many of the bad calls would be its by chance alone.

Looks before the end need more certainty than the last one, as there are many of them.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from casemate.model.metrics import SECONDS, Durations, VersionMetrics

LEAST_CALLS = 20
"""Of each version, before one is called no worse."""
CHANCE_AT_END = 0.05
CHANCE_BEFORE = 0.001
"""How likely a difference may be by chance that ends a trial early."""
MORE_FAILURES = 0.001
"""By how much the share of failures has to be larger, besides."""
SLOWER = 1.5
"""By how much the p95 has to be longer, besides."""
SLOWER_SECONDS = 0.005
_NEGLIGIBLE = 1e-12
_MOST_TERMS = 100_000


class Verdict(StrEnum):
    """What became of a comparison."""

    WORSE = "worse"
    NOT_WORSE = "not-worse"
    TOO_FEW = "too-few"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """It, and why."""

    verdict: Verdict
    reason: str


def compare(old: VersionMetrics, new: VersionMetrics, *, at_end: bool) -> Comparison:
    """Tell whether `new` does worse than `old`; before the end only what is all but certain."""
    chance = CHANCE_AT_END if at_end else CHANCE_BEFORE
    worse = _failures(old, new, chance) or _slowness(old.run, new.run, chance)
    if worse:
        return Comparison(verdict=Verdict.WORSE, reason=worse)
    for one in (new, old):
        if one.calls < LEAST_CALLS:
            reason = f"version {one.version} had {one.calls} calls, and {LEAST_CALLS} are needed"
            return Comparison(verdict=Verdict.TOO_FEW, reason=reason)
    return Comparison(
        verdict=Verdict.NOT_WORSE,
        reason=f"{_failed(old, new)}; p95 {_shown(new.run)}, and {_shown(old.run)}",
    )


def _failed(old: VersionMetrics, new: VersionMetrics) -> str:
    return (
        f"{new.failed} of {new.calls} calls failed, of version {old.version} "
        f"{old.failed} of {old.calls}"
    )


def _failures(old: VersionMetrics, new: VersionMetrics, chance: float) -> str:
    """Return in words that more of the new one's calls failed; empty if that may be chance."""
    if not new.calls or not old.calls:
        return ""
    if new.failed / new.calls <= old.failed / old.calls + MORE_FAILURES:
        return ""
    if by_chance(new.failed, new.calls, old.failed, old.calls) >= chance:
        return ""
    return _failed(old, new)


def _slowness(old: Durations, new: Durations, chance: float) -> str:
    """Return in words that the new one is slower; empty if that may be chance.

    Counted is what took longer than the class of durations that the old one's p95 is in.
    """
    before, after = old.quantile(0.95), new.quantile(0.95)
    if before is None or after is None:
        return ""
    if after <= max(before * SLOWER, before + SLOWER_SECONDS):
        return ""
    bound = next((n for n, most in enumerate(SECONDS) if before <= most), len(SECONDS))
    slow_old, slow_new = sum(old.counts[bound + 1 :]), sum(new.counts[bound + 1 :])
    if by_chance(slow_new, new.count, slow_old, old.count) >= chance:
        return ""
    return f"its p95 is {_shown(new)}, and was {_shown(old)}"


def by_chance(bad: int, of: int, other_bad: int, other_of: int) -> float:
    """Return how likely at least `bad` of all bad ones are among `of`, if that is chance alone."""
    total, all_bad = of + other_of, bad + other_bad
    least = max(0, all_bad - other_of)
    if bad <= least:
        return 1.0
    term = math.exp(
        _log_choose(all_bad, bad) + _log_choose(total - all_bad, of - bad) - _log_choose(total, of)
    )
    found = term
    for number in range(bad, min(all_bad, of, bad + _MOST_TERMS)):
        up = (all_bad - number) * (of - number)
        term *= up / ((number + 1) * (total - all_bad - of + number + 1))
        found += term
        if term < found * _NEGLIGIBLE:
            break
    return min(1.0, found)


def _log_choose(of: int, number: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)


def _shown(run: Durations) -> str:
    found = run.quantile(0.95)
    return "-" if found is None else f"{found * 1000:.1f} ms"
