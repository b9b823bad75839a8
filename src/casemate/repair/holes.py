"""What advisories say of any release that a change could lead to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from casemate.advisories import Database, Ecosystem, Finding, Judge, Package, Place

Tolerated = frozenset[tuple[str, str]]
"""Package and id of each hole that is left as it is."""


class Holes(Protocol):
    """The holes of releases. Several threads may ask."""

    def of(self, package: str, version: str) -> tuple[Finding, ...]:
        """Return the holes of a release, the gravest first."""


class KnownFindings:
    """The holes that the advisories of a place tell of. Use it in a `with`."""

    def __init__(self, place: Place) -> None:
        """Ask those in `place`. Raises DatabaseMissingError, DatabaseUnreadableError."""
        self._database = Database(place.database)
        self._judge = Judge(self._database, keeps=True)
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def __enter__(self) -> KnownFindings:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def of(self, package: str, version: str) -> tuple[Finding, ...]:
        """Return the holes of a release. Raises DatabaseUnreadableError."""
        key = (package, version)
        with self._lock:
            if key not in self._found:
                asked = Package(ecosystem=Ecosystem.PYPI, name=package, version=version)
                self._found[key] = self._judge.judge([asked])[0]
            return self._found[key]


def same(one: Finding, other: Finding) -> bool:
    """Tell whether two findings are of one hole: ids are grouped anew for each version."""
    return not set(one.ids).isdisjoint(other.ids)


def has(holes: Holes, package: str, version: str, hole: Finding) -> bool:
    """Tell whether a release has a hole."""
    return any(same(each, hole) for each in holes.of(package, version))


def tolerated(holes: Mapping[str, tuple[Finding, ...]]) -> Tolerated:
    """Return holes by package in the form in which they are looked up."""
    return frozenset(
        (package, id) for package, found in holes.items() for each in found for id in each.ids
    )


def is_hidden(holes: Holes, package: str, version: str, left: Tolerated) -> bool:
    """Tell whether a release has a hole that is not left as it is."""
    return any(
        all((package, id) not in left for id in each.ids) for each in holes.of(package, version)
    )
