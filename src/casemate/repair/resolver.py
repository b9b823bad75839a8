"""The resolver as a plan sees it, and that of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from casemate.build.resolving import Hides, Offer, Resolved, Resolving
from casemate.repair.requirement_lines import RequirementLines


class Resolver(Protocol):
    """Says which versions fit together, and which releases there are."""

    def versions(
        self, constraints: Sequence[str], *, loosened: frozenset[str], hides: Hides
    ) -> Resolved:
        """Return versions that fit, with the requirements of some packages loosened."""

    def offers(self, package: str) -> list[Offer]:
        """Return the releases of a package that could be installed, the oldest first."""


class ProjectResolver:
    """uv, among what the indexes of a project may offer."""

    def __init__(self, resolving: Resolving, lines: RequirementLines) -> None:
        """Resolve by `resolving`; `lines` are the project's own requirements."""
        self._resolving = resolving
        self._lines = lines

    def versions(
        self, constraints: Sequence[str], *, loosened: frozenset[str], hides: Hides
    ) -> Resolved:
        """Return versions that fit. Raises CasemateError for what an index does wrong."""
        files = self._lines.loosened(loosened) if loosened else None
        return self._resolving.versions(constraints, files=files, hides=hides)

    def offers(self, package: str) -> list[Offer]:
        """Return the releases of a package that could be installed, the oldest first."""
        return self._resolving.offers(package)
