"""How far it is from one version to another: major, minor or patch, up or down."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from packaging.version import InvalidVersion, Version

Cost = tuple[int, ...]


class Step(StrEnum):
    """What of a version changes."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


def step_of(old: str, new: str) -> Step:
    """Return the foremost part in which two versions differ.

    Before 1.0 the second number is the major one, as authors use it (Semantic Versioning, 4).
    """
    try:
        one, other = Version(old), Version(new)
    except InvalidVersion:
        return Step.MAJOR
    left, right = _padded(one), _padded(other)
    if left[:2] != right[:2] or (left[1] == 0 and left[2] != right[2]):
        return Step.MAJOR
    return Step.MINOR if left[2] != right[2] else Step.PATCH


def _padded(version: Version) -> tuple[int, ...]:
    return (version.epoch, *version.release, 0, 0, 0)[:4]


def is_lower(one: str, other: str) -> bool:
    """Tell whether a version comes before another; what is no version does not."""
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def costs_of(current: str, farther: Sequence[str]) -> list[Cost]:
    """Return what it costs to stay, and to go to each of `farther`, which leads ever farther away.

    First counts whether the step is down, then whether it is a major or a minor one, then how
    many releases are passed.
    """
    costs: list[Cost] = [(0, 0, 0, 0)]
    for passed, version in enumerate(farther, start=1):
        step = step_of(current, version)
        down = int(is_lower(version, current))
        costs.append((down, int(step is Step.MAJOR), int(step is Step.MINOR), passed))
    return costs
