"""Which holes of a lock some release is without, and why the others stay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from casemate.advisories import Finding
from casemate.build.resolving import Offer
from casemate.repair.holes import Holes, has, same
from casemate.repair.plan import Goal, Uncleared
from casemate.repair.resolver import Resolver
from casemate.repair.steps import is_lower

_NEEDS = re.compile(r"(\S{1,200}) depends? on (\S{1,200})")
_WANTS = re.compile(r"you require (\S{1,200})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_MOST_NAMED = 4
_MOST_SAID = 400


class Aims(NamedTuple):
    """What a change of a lock is for."""

    goals: tuple[Goal, ...]
    """The gravest first."""
    uncleared: tuple[Uncleared, ...]
    down: frozenset[str]
    """Packages that are without holes in earlier releases only."""

    def missed(self, goal: Goal, reason: str) -> Uncleared:
        """Return a goal as a hole that stays."""
        found = goal.finding
        return _uncleared(found, reason)


def aims_of(locked: Mapping[str, str], holes: Holes, resolver: Resolver) -> Aims:
    """Return which holes of a lock can be cleared, as far as each package alone is concerned."""
    goals: list[Goal] = []
    uncleared: list[Uncleared] = []
    down: set[str] = set()
    for name, version in sorted(locked.items()):
        found = holes.of(name, version)
        if not found:
            continue
        offers = [each for each in resolver.offers(name) if is_candidate(each.version, version)]
        newer = [each for each in offers if is_lower(version, each.version)]
        cleared = _cleared(name, found, _usable(newer), holes)
        if not cleared:
            older = [each for each in offers if is_lower(each.version, version)]
            cleared = _cleared(name, found, _usable(older), holes)
            down |= {name} if cleared else set()
        goals += [Goal(package=name, finding=each) for each in cleared]
        uncleared += [
            _uncleared(each, _reason(name, each, newer, holes))
            for each in found
            if each not in cleared
        ]
    goals.sort(key=lambda goal: _gravity(goal.finding))
    return Aims(tuple(goals), tuple(uncleared), frozenset(down))


def excluded_by(package: str, why: str) -> str:
    """Return which requirements keep a package from being changed, out of the resolver's words."""
    named = [
        f"{_plain(who)} needs {_plain(what)}"
        for who, what in _NEEDS.findall(why[:20_000])
        if _is_of(what, package)
    ]
    named += [
        f"the project itself requires {_plain(what)}"
        for what in _WANTS.findall(why[:20_000])
        if _is_of(what, package)
    ]
    if named:
        return f"excluded: {'; '.join(list(dict.fromkeys(named))[:_MOST_NAMED])}"
    return f"excluded by other requirements: {why[:_MOST_SAID]}"


def _cleared(
    name: str, found: Sequence[Finding], candidates: Sequence[str], holes: Holes
) -> list[Finding]:
    """Return the holes, the gravest first, that one of the releases is without all at once.

    A release with a hole that the locked one has not is none to change to.
    """
    left = [
        version
        for version in candidates
        if all(any(same(each, old) for old in found) for each in holes.of(name, version))
    ]
    cleared = []
    for each in found:
        without = [version for version in left if not has(holes, name, version, each)]
        if without:
            left = without
            cleared.append(each)
    return cleared


def _reason(name: str, hole: Finding, newer: Sequence[Offer], holes: Holes) -> str:
    """Return why no later release clears a hole."""
    without = [each for each in newer if not has(holes, name, each.version, hole)]
    if not without and hole.fixed:
        fixed = ", ".join(hole.fixed)
        return f"fixed in {fixed}, which no index has as a wheel that fits"
    if not without:
        return "no version is fixed"
    refused = [each.refused for each in without if each.refused is not None]
    if len(refused) == len(without):
        first = refused[0]
        return f"{first.message} {first.next_step or ''}".strip()[:_MOST_SAID]
    first_id = {each.id for one in without for each in holes.of(name, one.version)}
    others = ", ".join(sorted(first_id)[:_MOST_NAMED])
    return f"versions without it have other vulnerabilities: {others}"


def _usable(offers: Sequence[Offer]) -> list[str]:
    return [each.version for each in offers if each.refused is None]


def is_candidate(version: str, current: str) -> bool:
    """Tell whether a resolver would choose a version: no pre-release, unless there is one now."""
    try:
        return Version(current).is_prerelease or not Version(version).is_prerelease
    except InvalidVersion:
        return False


def _gravity(hole: Finding) -> tuple[bool, bool, float, str]:
    """Return what holes of several packages are sorted by."""
    score = hole.score if hole.score is not None else 6.9
    return (not hole.malicious, not hole.known_exploited, -score, hole.id)


def _uncleared(hole: Finding, reason: str) -> Uncleared:
    return Uncleared(
        package=hole.package.name,
        version=hole.package.version,
        id=hole.id,
        ids=hole.ids,
        severity=hole.severity,
        reason=reason,
    )


def _is_of(text: str, package: str) -> bool:
    match = _NAME.match(text)
    return match is not None and canonicalize_name(match.group()) == package


def _plain(text: str) -> str:
    return text.rstrip(",.;:")
