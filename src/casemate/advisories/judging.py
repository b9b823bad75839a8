"""Judges packages by advisories: which are affected, by what, and what could not be told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from casemate.advisories.database import Database
from casemate.advisories.entry import Block, Entry
from casemate.advisories.errors import (
    DatabaseMissingError,
    DatabaseUnreadableError,
    VersionError,
)
from casemate.advisories.packages import Ecosystem, Package
from casemate.advisories.place import Place
from casemate.advisories.ranges import affects, fixes
from casemate.advisories.severity import RANK, Severity
from casemate.advisories.standing import Problem, Trouble, look, standing_of
from casemate.advisories.versions import version_key

_MAX_KEPT = 200_000
"""Packages whose findings a `Judge` remembers."""
_MAX_BLOCKS = 20_000
"""Packages whose advisories it remembers, for further versions."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hole in one package, however many advisories tell of it."""

    package: Package
    id: str
    """The id of the first of `ids`; CVE, GHSA and PYSEC ids of one hole are all in there."""
    ids: tuple[str, ...]
    severity: Severity
    score: float | None
    vector: str | None
    malicious: bool
    known_exploited: bool
    likelihood: float | None
    fixed: tuple[str, ...]
    """The nearest version with it fixed, of each range that the version lies in."""
    summary: str


class NotJudged(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A package, or an advisory about it, that nothing can be said of, and why."""

    package: str
    reason: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What advisories say of packages. Clean is only what has none of the three."""

    findings: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    next_step: str | None = None

    @property
    def clean(self) -> bool:
        """Tell whether all was looked up in advisories that can be relied upon, and found clean."""
        return not (self.findings or self.not_judged or self.problems)


def judge(packages: Iterable[Package], place: Place, *, now: float | None = None) -> Judgement:
    """Return what the advisories in a place say of packages.

    Advisories that are missing, partial, unreadable or old are problems of the judgement, and what
    could not be looked up is named in it. Without packages there is nothing to judge.
    """
    wanted = sorted(set(packages))
    if not wanted:
        return Judgement()
    moment = time.time() if now is None else now
    try:
        with Database(place.database) as database:
            used = sorted({package.ecosystem for package in wanted})
            standing = standing_of(database.header, place, moment, used)
            found, unknown = Judge(database).judge(wanted)
    except (DatabaseMissingError, DatabaseUnreadableError) as error:
        missing = isinstance(error, DatabaseMissingError)
        kind = Trouble.MISSING if missing else Trouble.UNREADABLE
        reason = "there are no advisories" if missing else "the advisories cannot be read"
        return Judgement(
            not_judged=tuple(NotJudged(package=each.purl, reason=reason) for each in wanted),
            problems=(Problem(kind=kind, text=error.message),),
            warnings=look(place, moment).warnings,
            next_step=error.next_step,
        )
    return Judgement(
        findings=found,
        not_judged=unknown,
        problems=standing.problems,
        warnings=standing.warnings,
        next_step=standing.next_step,
    )


class Judge:
    """Judges many lists of packages by one open database, each package once."""

    def __init__(self, database: Database) -> None:
        """Judge by `database`, which stays open as long as this is used."""
        self._database = database
        self._blocks: dict[tuple[Ecosystem, str], Block | None] = {}
        self._kept: dict[Package, tuple[tuple[Finding, ...], tuple[NotJudged, ...]]] = {}

    def judge(
        self, packages: Iterable[Package]
    ) -> tuple[tuple[Finding, ...], tuple[NotJudged, ...]]:
        """Return findings, the gravest first, and what could not be told.

        Raises DatabaseUnreadableError.
        """
        findings: list[Finding] = []
        unknown: list[NotJudged] = []
        for package in packages:
            found, missed = self._one(package)
            findings += found
            unknown += missed
        findings.sort(key=_gravest_first)
        return tuple(findings), tuple(unknown)

    def _one(self, package: Package) -> tuple[tuple[Finding, ...], tuple[NotJudged, ...]]:
        kept = self._kept.get(package)
        if kept is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            kept = self._kept[package] = self._judge(package)
        return kept

    def _block(self, ecosystem: Ecosystem, name: str) -> Block | None:
        key = ecosystem, name
        if key not in self._blocks:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks[key] = self._database.block(ecosystem, name)
        return self._blocks[key]

    def _judge(self, package: Package) -> tuple[tuple[Finding, ...], tuple[NotJudged, ...]]:
        try:
            version_key(package.ecosystem, package.version)
        except VersionError as error:
            return (), (NotJudged(package=package.purl, reason=error.message.rstrip(".")),)
        block = self._block(package.ecosystem, package.name)
        if block is None:
            return (), ()
        matching, missed = [], []
        for entry in block.entries:
            affected, why = _affected(package, entry)
            if affected:
                matching.append(entry)
            elif why:
                missed.append(NotJudged(package=package.purl, reason=f"{entry.id}: {why}"))
        return tuple(_finding(package, group) for group in merged(matching)), tuple(missed)


def _affected(package: Package, entry: Entry) -> tuple[bool, str]:
    """Tell whether a package is affected, or why that cannot be told."""
    try:
        affected = affects(package.ecosystem, package.version, entry.ranges, entry.versions)
    except VersionError as error:
        return False, error.message.rstrip(".")
    # What names nothing that can be compared is malicious in all versions, or cannot be told.
    if not affected and entry.undecided and entry.malicious and not entry.ranges:
        return not entry.versions, entry.undecided
    return affected, "" if affected else entry.undecided


def merged(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return entries in groups that share ids or aliases, directly or over others."""
    if len(entries) < 2:
        return [[entry] for entry in entries]
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while (higher := above.setdefault(name, name)) != name:
            above[name] = name = above[higher]
        return name

    for entry in entries:
        for alias in entry.aliases:
            above[top(alias)] = top(entry.id)
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(top(entry.id), []).append(entry)
    return list(groups.values())


def _finding(package: Package, group: Sequence[Entry]) -> Finding:
    ids = sorted({each for entry in group for each in (entry.id, *entry.aliases)})
    rated = max(group, key=lambda entry: (RANK[entry.rating.severity], entry.rating.score or 0.0))
    likelihoods = [one.known.likelihood for one in group if one.known.likelihood is not None]
    malicious = any(entry.malicious for entry in group)
    ranges = [each for entry in group for each in entry.ranges]
    own = sorted(entry.id for entry in group)
    return Finding(
        package=package,
        id=own[0],
        ids=(own[0], *(each for each in ids if each != own[0])),
        severity=Severity.CRITICAL if malicious else rated.rating.severity,
        score=rated.rating.score,
        vector=rated.rating.vector,
        malicious=malicious,
        known_exploited=any(entry.known.exploited for entry in group),
        likelihood=max(likelihoods, default=None),
        fixed=fixes(package.ecosystem, package.version, tuple(dict.fromkeys(ranges))),
        summary=next((entry.summary for entry in group if entry.summary), ""),
    )


def _gravest_first(finding: Finding) -> tuple[object, ...]:
    return (
        not finding.malicious,
        not finding.known_exploited,
        # What nobody rated is not known to be harmless: it is told before what is.
        -(finding.score if finding.score is not None else 2.5 * RANK[finding.severity] or 6.9),
        finding.package,
        finding.id,
    )
