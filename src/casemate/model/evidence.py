"""What was seen of a bundle while it ran: which of its packages were loaded, and when."""

from __future__ import annotations

import msgspec

MAX_OCCURRENCES = 20


class PackageEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one package.

    By the word of the function's own process, whose code can hide what it loads: good to find what
    is not needed, no proof that something is harmless.
    """

    name: str
    """As package indexes have it: lower case, `-`."""
    version: str
    at_import: bool = False
    """Loaded when the handler was imported."""
    at_call: bool = False
    """Loaded by a call, of which one in sixteen is looked at."""
    occurrences: tuple[str, ...] = ()
    """Files of it that were loaded, the first ones, as paths in the bundle."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a bundle's packages, all of them, by name; also of those never loaded."""

    digest: str
    packages: tuple[PackageEvidence, ...] = ()
    observed_at: float | None = None
    """Unix time of the last change; None: its handler was not imported since it was deployed."""

    def of(self, name: str) -> PackageEvidence | None:
        """Return what was seen of a package; None if there is no such, or nothing was seen."""
        return next((one for one in self.packages if one.name == name), None)
