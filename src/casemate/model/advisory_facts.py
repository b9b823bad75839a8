"""Facts of what is known of packages: advisories, holes, licences, and exceptions from them."""

from __future__ import annotations

from casemate.model.facts import Fact


class AdvisoriesImported(Fact, frozen=True, kw_only=True):
    """The node has other advisories in force."""

    source: str
    imported: float
    """When they were read from their source."""
    records: int


class AdvisoryExcepted(Fact, frozen=True, kw_only=True):
    """Somebody lets a function be deployed in spite of a known hole, or without advisories."""

    exception: str
    advisory: str
    """Empty: without advisories."""
    package: str
    reason: str
    expires_at: float


class HoleFound(Fact, frozen=True, kw_only=True):
    """A package of a live function has a known hole that was not known there before."""

    package: str
    """Name and version; empty for many, beyond those that are told one by one."""
    advisory: str
    severity: str
    malicious: bool
    known_exploited: bool
    fixed: tuple[str, ...]
    verdict: str
    """A `casemate.model.vulnerability.Verdict`."""
    reason: str
    count: int = 1


class LicencesFound(Fact, frozen=True, kw_only=True):
    """Packages of a live function have licences that may not be, and that were not known there."""

    found: tuple[str, ...]
    """Name, version and licence of each, up to
    `casemate.vulnerabilities.licence_watch.MAX_NAMED`."""
    verdict: str
    """`refused`, unless each of them is excepted."""
    reason: str
    """Of the first."""
    count: int = 1


class AdvisoriesUnreliable(Fact, frozen=True, kw_only=True):
    """What is live cannot be judged: advisories are missing, old, partial or unreadable."""

    reason: str
