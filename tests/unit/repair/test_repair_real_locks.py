"""Repairs of locks of real requirements of years ago, over what was seen of the index then.

The file was made by `python -m bench.real_locks`: names, versions and requirements of the releases
that uv and the repair looked into, and what came out. Here the same is worked out in memory.
"""

from __future__ import annotations

import functools
import itertools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from casemate.advisories import Ecosystem, Place
from casemate.advisories.importing import Wanted, import_advisories
from casemate.repair import KnownFindings
from support.lock_graphs import parsed

FILE = Path(__file__).parent / "real-locks-2026-11-27.zip"
EXCERPT = Path(__file__).parents[1] / "advisories/pypa/pypa-advisories-2024-10-10.zip"
MACHINE: dict[str, Any] = {
    **default_environment(),
    "python_version": "3.11",
    "python_full_version": "3.11.7",
    "implementation_version": "3.11.7",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "extra": "",
}
with zipfile.ZipFile(FILE) as _archive:
    SEEN: dict[str, Any] = json.loads(_archive.read("real-locks.json"))
SETS: dict[str, Any] = SEEN["sets"]


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownFindings]:
    place = Place(tmp_path_factory.mktemp("advisories"))
    wanted = Wanted(source=str(EXCERPT), ecosystems=(Ecosystem.PYPI,), fewer=True)
    import_advisories(wanted, place)
    with KnownFindings(place) as found:
        yield found


def needs(text: str) -> Iterator[str]:
    """Yield a requirement as it is on this machine, without extras."""
    one = Requirement(text)
    if one.marker is None or one.marker.evaluate(MACHINE):
        yield f"{canonicalize_name(one.name)}{one.specifier}"


RELEASES: dict[str, dict[str, list[str]]] = SEEN["releases"]


@functools.cache
def needs_of(name: str, version: str) -> tuple[str, ...]:
    """Return what a release requires on this machine; of one that was not looked into, nothing."""
    return tuple(need for each in RELEASES[name].get(version, ()) for need in needs(each))


def deep(case: dict[str, Any]) -> set[str]:
    """Return the packages with holes that the project does not name itself."""
    named = {str(canonicalize_name(Requirement(each).name)) for each in case["requirements"]}
    return {each.split()[0] for each in case["holes"]} - named


def required(case: dict[str, Any]) -> list[Requirement]:
    """Return what a set requires, without the bounds that its repair had to change."""
    found = [Requirement(need) for each in case["requirements"] for need in needs(each)]
    return [Requirement(one.name) if one.name in case["loosened"] else one for one in found]


def repaired(case: dict[str, Any]) -> dict[str, str]:
    """Return the versions after the repair."""
    after = {**case["lock"], **{name: new for name, (_, new) in case["changes"].items()}}
    return {name: version for name, version in after.items() if version is not None}


def fits(versions: dict[str, str], wanted: list[Requirement]) -> bool:
    """Tell whether all that is reached from what is wanted fits; what is not locked is free."""
    waiting, met = list(wanted), set[str]()
    while waiting:
        one = waiting.pop()
        version = versions.get(one.name)
        if version is None:
            continue
        if not one.specifier.contains(version, prereleases=True):
            return False
        if one.name not in met:
            met.add(one.name)
            waiting += map(parsed, needs_of(one.name, version))
    return True


def reached(versions: dict[str, str], wanted: list[Requirement]) -> set[str]:
    waiting, met = [one.name for one in wanted], set[str]()
    while waiting:
        name = waiting.pop()
        if name in versions and name not in met:
            met.add(name)
            waiting += [parsed(each).name for each in needs_of(name, versions[name])]
    return met


DEEP = sorted(name for name, case in SETS.items() if deep(case))


def test_at_least_twenty_five_locks_have_holes_below_the_first_level() -> None:
    assert len(DEEP) >= 25
    assert all(SETS[name]["smallest"] for name in DEEP)


@pytest.mark.parametrize("name", DEEP)
def test_all_holes_are_cleared_and_what_is_left_fits(name: str, holes: KnownFindings) -> None:
    case = SETS[name]
    bare = {f"{n} {v}" for n, v in case["lock"].items() if holes.of(n, v)}
    assert bare == case["holes"].keys() and bare
    after = repaired(case)
    assert case["uncleared"] == [] and not [n for n, v in after.items() if holes.of(n, v)]
    assert fits(
        case["lock"], [Requirement(r) for each in case["requirements"] for r in needs(each)]
    )
    assert fits(after, required(case))
    changed = [(old, new) for old, new in case["changes"].values() if old and new]
    assert all(Version(old) < Version(new) for old, new in changed)
    assert not [new for _, new in changed if Version(new).is_prerelease]


@pytest.mark.parametrize("name", DEEP)
def test_no_fewer_packages_could_have_changed(name: str, holes: KnownFindings) -> None:
    """Exhaustively where few are to be changed, over every release that was looked into."""
    case = SETS[name]
    lock, wanted = case["lock"], required(case)
    fewest = sum(1 for old, new in case["changes"].values() if old and new)
    if fewest > 3 or len(lock) > 9:
        pytest.skip("too many to try all")
    newer = {
        n: [
            other
            for other in RELEASES[n]
            if Version(other) > Version(v)
            and not Version(other).is_prerelease
            and not holes.of(n, other)
        ]
        for n, v in lock.items()
    }
    # What only an extra needs is taken to be needed on.
    extras = lock.keys() - reached(lock, wanted)
    for size in range(fewest):
        for names in itertools.combinations(sorted(lock), size):
            for versions in itertools.product(*(newer[n] for n in names)):
                chosen = {**lock, **dict(zip(names, versions, strict=True))}
                left = reached(chosen, wanted) | extras
                clear = not any(holes.of(n, chosen[n]) for n in left)
                # A version that was never looked into says nothing of what it needs.
                assert not (clear and fits(chosen, wanted)), (names, versions)
