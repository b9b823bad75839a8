"""Graphs of packages in memory: a resolver over them, and every way to change a lock."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from casemate.advisories import Finding, Severity
from casemate.build.resolving import Hides, Offer, Resolved
from casemate.model.errors import InvalidInputError
from casemate.repair.steps import costs_of
from support.advisories import pypi


@cache
def parsed(text: str) -> Requirement:
    return Requirement(text)


def finding(
    package: str, version: str, id: str, *, score: float = 7.0, fixed: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        package=pypi(package, version),
        id=id,
        ids=(id,),
        severity=Severity.HIGH,
        score=score,
        vector=None,
        malicious=False,
        known_exploited=False,
        likelihood=None,
        fixed=fixed,
        summary="",
    )


@dataclass
class Graph:
    """Releases with what they need, what the project requires, and what has holes."""

    releases: dict[str, dict[str, list[str]]]
    required: list[str]
    holes: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: int = 0

    def of(self, package: str, version: str) -> tuple[Finding, ...]:
        return tuple(self.holes.get((package, version), ()))

    def offers(self, package: str) -> list[Offer]:
        return [
            Offer(v, InvalidInputError(r) if (r := self.refused.get((package, v))) else None)
            for v in sorted(self.releases.get(package, {}), key=Version)
        ]

    def versions(
        self, constraints: Sequence[str], *, loosened: frozenset[str], hides: Hides
    ) -> Resolved:
        self.asked += 1
        limits: dict[str, SpecifierSet] = {}
        for line in constraints:
            one = parsed(line)
            limits[one.name] = limits.get(one.name, SpecifierSet()) & one.specifier
        root = [parsed(r) for r in self.required]
        wanted = [(r.name, SpecifierSet() if r.name in loosened else r.specifier) for r in root]

        def fits(name: str, version: str) -> bool:
            limit = limits.get(name, SpecifierSet())
            return (
                limit.contains(version, prereleases=True)
                and (name, version) not in self.refused
                and not hides(name, version)
            )

        found = self._solve(wanted, {}, fits)
        return Resolved(found) if found is not None else Resolved(None, self._why(wanted))

    def _why(self, wanted: list[tuple[str, SpecifierSet]]) -> str:
        told = [f"you require {n}{s}" for n, s in wanted if str(s)]
        for name, releases in self.releases.items():
            for version, needs in releases.items():
                told += [f"{name}=={version} depends on {need}" for need in needs]
        return "Because " + " and ".join(told)

    def _solve(self, wanted, chosen, fits) -> dict[str, str] | None:
        if any(n in chosen and chosen[n] not in s for n, s in wanted):
            return None
        left = {n: self._candidates(n, wanted, fits) for n, _ in wanted if n not in chosen}
        if not left:
            return dict(chosen)
        name = min(left, key=lambda one: len(left[one]) if len(left[one]) < 2 else 2)
        for version in left[name]:
            needs = [parsed(one) for one in self.releases[name][version]]
            more = [(one.name, one.specifier) for one in needs]
            found = self._solve([*wanted, *more], {**chosen, name: version}, fits)
            if found is not None:
                return found
        return None

    def _candidates(self, name, wanted, fits) -> list[str]:
        """Return what is left of a package, the newest first."""
        return [
            version
            for version in sorted(self.releases.get(name, {}), key=Version, reverse=True)
            if fits(name, version) and all(version in s for n, s in wanted if n == name)
        ]

    def every_lock(self) -> list[dict[str, str]]:
        """Return all sets of versions that fit together: every version of whatever is needed."""
        found: list[dict[str, str]] = []

        def extend(chosen: dict[str, str], waiting: list[Requirement]) -> None:
            for one in waiting:
                if one.name in chosen and chosen[one.name] not in one.specifier:
                    return
            name = next((one.name for one in waiting if one.name not in chosen), None)
            if name is None:
                found.append(chosen)
                return
            for version, needs in self.releases.get(name, {}).items():
                extend({**chosen, name: version}, [*waiting, *map(parsed, needs)])

        extend({}, [*map(parsed, self.required)])
        return found

    def cost(self, old: Mapping[str, str], new: Mapping[str, str]) -> tuple[int, ...] | None:
        """Return packages with another version, then the sum of steps; None if one goes lower."""
        changed = [name for name in old if name in new and old[name] != new[name]]
        if any(Version(new[name]) < Version(old[name]) for name in changed):
            return None
        total = (0, 0, 0, 0)
        for name in changed:
            farther = [
                o.version for o in self.offers(name) if Version(o.version) > Version(old[name])
            ]
            steps = costs_of(old[name], farther)[farther.index(new[name]) + 1]
            total = tuple(map(sum, zip(total, steps, strict=True)))
        return (len(changed), *total)


def generated(seed: int) -> tuple[Graph, dict[str, str]]:
    """Return a graph with holes at some depth, and a lock that it had."""
    rng = random.Random(seed)
    names = [f"p{n}" for n in range(rng.randint(4, 6))]
    numbers = ["1.0", "1.0.1", "1.1", "2.0", "2.1"]
    releases: dict[str, dict[str, list[str]]] = {}
    for place, name in enumerate(names):
        releases[name] = {}
        for version in numbers[: rng.randint(3, 5)]:
            below = names[place + 1 :]
            chosen = rng.sample(below, min(len(below), rng.choice((0, 1, 1, 2))))
            if place < 2 and below and names[place + 1] not in chosen:
                chosen.append(names[place + 1])  # a chain, so that there is a depth of two
            low = rng.choice(("1.0", "1.0", "1.0.1"))
            ends = ("", "", "<2", "<2", "<1.1", ",!=1.1")
            releases[name][version] = [_need(rng, one, low, version, ends) for one in chosen]
    graph = Graph(releases, [names[0], *rng.sample(names[1:], rng.choice((0, 1)))])
    lock = graph.versions(
        [f"{name}<=1.0.1" for name in names], loosened=frozenset(), hides=lambda *_: False
    ).versions
    if lock is None:
        return generated(seed + 10_000)
    deep = [name for name in lock if name not in {names[0], names[1]}]
    for name in rng.sample(deep, min(len(deep), rng.randint(1, 2))):
        fixed = rng.choice([v for v in releases[name] if Version(v) > Version(lock[name])] or ["9"])
        for version in releases[name]:
            if Version(version) < Version(fixed):
                hole = finding(name, version, f"GHSA-{name}", fixed=(fixed,))
                graph.holes[name, version] = [hole]
    return graph, lock


def _need(rng: random.Random, name: str, low: str, own: str, ends: Sequence[str]) -> str:
    end = rng.choice(ends)
    if own.startswith("2") and end.startswith("<"):
        end = rng.choice(("", end))  # later releases forbid less, as they do
    return f"{name}>={low}{',' if end.startswith('<') else ''}{end}"
