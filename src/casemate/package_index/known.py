"""What is asked of advisories: whether a package is an attack, and what mends a known hole."""

from __future__ import annotations

from typing import Protocol


class Known(Protocol):
    """Advisories, as far as installing needs them. Names are normalised."""

    def malicious(self, package: str, version: str) -> str | None:
        """Return the id of the record that says a release is an attack."""

    def mends(self, package: str, version: str) -> str | None:
        """Return the id of a hole that a release is the first to be without."""


class NothingKnown:
    """Stands where there are no advisories: nothing is exempt, nothing is known to be an attack."""

    def malicious(self, package: str, version: str) -> str | None:
        """Return None."""
        return None

    def mends(self, package: str, version: str) -> str | None:
        """Return None."""
        return None
