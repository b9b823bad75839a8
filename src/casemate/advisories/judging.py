"""Judges packages by advisories: which are affected, by what, and what could not be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from casemate.advisories import limits
from casemate.advisories.database import Database
from casemate.advisories.entry import Block, Entry
from casemate.advisories.errors import (
    DatabaseMissingError,
    DatabaseUnreadableError,
    VersionError,
)
from casemate.advisories.packages import Ecosystem, Package
from casemate.advisories.place import Place
from casemate.advisories.ranges import Affected, Fix, forms
from casemate.advisories.severity import RANK, Severity
from casemate.advisories.standing import Problem, Trouble, look, standing_of


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
    symbols: tuple[str, ...] = ()
    """Functions, classes and modules that have the hole, by the advisories that name any."""


class NotJudged(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A package, or an advisory about it, that nothing can be said of, and why."""

    package: str
    reason: str
    id: str = ""
    """Of the advisory; empty where it is the package that cannot be judged."""


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


_Ranked = tuple[float, Finding]
"""A finding with what it is sorted by: the gravest has the lowest."""


class _Known:
    """The advisories about one package, made ready to be asked about many versions."""

    __slots__ = ("_alone", "_groups", "affected", "entries")

    def __init__(self, block: Block) -> None:
        self.entries = block.entries
        self.affected = [
            Affected(block.ecosystem, each.ranges, each.versions) for each in block.entries
        ]
        every = range(len(block.entries))
        # Where no two tell of one hole, no two of a part of them do.
        self._alone = all(len(group) == 1 for group in merged(block.entries, every))
        self._groups: dict[tuple[int, ...], _Hole] = {}

    def holes(self, matching: Sequence[int]) -> Iterator[_Hole]:
        """Give the holes that these of the advisories tell of."""
        groups = [[n] for n in matching] if self._alone else merged(self.entries, matching)
        for numbers in groups:
            found = self._groups.get(tuple(numbers))
            if found is None:
                found = _Hole([self.entries[number] for number in numbers], numbers)
                self._groups[tuple(numbers)] = found
            yield found


_Judged = tuple[tuple[_Ranked, ...], tuple[NotJudged, ...]]
Answer = tuple[tuple[Finding, ...], tuple[NotJudged, ...]]
"""Findings, the gravest first, and what could not be told."""
_NOTHING: _Judged = ((), ())


def judge_all(
    lists: Sequence[tuple[Package, ...]],
    place: Place,
    *,
    now: float,
    pause: Callable[[], None] = lambda: None,
) -> list[Judgement]:
    """Return what the advisories in a place say of many lists of packages; see `judge`."""
    if not any(lists):
        return [Judgement() for _ in lists]
    try:
        with Database(place.database) as database:
            standing = {
                used: standing_of(database.header, place, now, sorted(used))
                for used in {_used(packages) for packages in lists}
            }
            answers = Judge(database, pause).judge_all(lists)
    except (DatabaseMissingError, DatabaseUnreadableError):
        return [judge(packages, place, now=now) for packages in lists]
    return [
        Judgement(
            findings=found,
            not_judged=unknown,
            problems=standing[_used(packages)].problems,
            warnings=standing[_used(packages)].warnings,
            next_step=standing[_used(packages)].next_step,
        )
        if packages
        else Judgement()
        for packages, (found, unknown) in zip(lists, answers, strict=True)
    ]


def _used(packages: tuple[Package, ...]) -> frozenset[Ecosystem]:
    return frozenset(package.ecosystem for package in packages)


class Judge:
    """Judges lists of packages by one open database: equal lists once, each package once."""

    def __init__(
        self, database: Database, pause: Callable[[], None] = lambda: None, *, keeps: bool = False
    ) -> None:
        """Judge by `database`, which stays open as long as this is used.

        `pause` is called after every package; it may sleep. With `keeps` what is known of a
        package is made ready once, for those who ask about few packages again and again.
        """
        self._database = database
        self._pause = pause
        self._kept: dict[tuple[Ecosystem, str], _Known | None] | None = {} if keeps else None

    def judge(self, packages: Iterable[Package]) -> Answer:
        """Judge one list. Raises DatabaseUnreadableError."""
        return self.judge_all([tuple(packages)])[0]

    def judge_all(self, lists: Sequence[tuple[Package, ...]]) -> list[Answer]:
        """Judge many lists. Raises DatabaseUnreadableError."""
        distinct = dict.fromkeys(lists)
        versions: dict[tuple[Ecosystem, str], set[Package]] = {}
        for packages in distinct:
            for package in packages:
                versions.setdefault((package.ecosystem, package.name), set()).add(package)
        judged: dict[Package, _Judged] = {}
        for (ecosystem, name), named in versions.items():
            known = self._known(ecosystem, name)
            for package in named:
                found = _judge(package, known)
                if found is not _NOTHING:
                    judged[package] = found
            self._pause()
        answers = {packages: _answer(packages, judged) for packages in distinct}
        return [answers[packages] for packages in lists]

    def _known(self, ecosystem: Ecosystem, name: str) -> _Known | None:
        if self._kept is not None and (ecosystem, name) in self._kept:
            return self._kept[ecosystem, name]
        block = self._database.block(ecosystem, name)
        known = None if block is None else _Known(block)
        if self._kept is not None:
            self._kept[ecosystem, name] = known
        return known


def _answer(packages: tuple[Package, ...], judged: Mapping[Package, _Judged]) -> Answer:
    findings: list[_Ranked] = []
    unknown: list[NotJudged] = []
    for package in packages:
        found = judged.get(package)
        if found is not None:
            findings += found[0]
            unknown += found[1]
    findings.sort(key=itemgetter(0))
    return tuple([each for _, each in findings]), tuple(unknown)


def _judge(package: Package, known: _Known | None) -> _Judged:
    try:
        version = forms(package.ecosystem, package.version)
    except VersionError as error:
        return (), (NotJudged(package=package.purl, reason=error.message.rstrip(".")),)
    if known is None:
        return _NOTHING
    matching: dict[int, list[Fix]] = {}
    missed = []
    for number, affected in enumerate(known.affected):
        fixes = affected.look(version)
        entry = known.entries[number]
        # What names nothing that can be compared is malicious in all versions.
        nameless = entry.undecided and entry.malicious and not entry.ranges
        if fixes is not None or (nameless and not entry.versions):
            matching[number] = fixes or []
        elif why := affected.error or entry.undecided:
            missed.append(NotJudged(package=package.purl, reason=f"{entry.id}: {why}", id=entry.id))
    if not matching and not missed:
        return _NOTHING
    holes = known.holes(tuple(matching))
    return tuple((hole.rank, hole.finding(package, matching)) for hole in holes), tuple(missed)


def merged(entries: Sequence[Entry], numbers: Sequence[int]) -> list[list[int]]:
    """Return which of the entries share ids or aliases, directly or over others, in groups."""
    if len(numbers) < 2:
        return [[number] for number in numbers]
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while (higher := above.setdefault(name, name)) != name:
            above[name] = name = above[higher]
        return name

    for number in numbers:
        for alias in entries[number].aliases:
            above[top(alias)] = top(entries[number].id)
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(top(entries[number].id), []).append(number)
    return list(groups.values())


def _together(group: Sequence[Entry]) -> tuple[str, ...]:
    """Return what has a hole by all advisories of it that name anything; nothing if too many."""
    found = tuple(dict.fromkeys(name for entry in group for name in entry.symbols))
    return found if len(found) <= limits.MAX_SYMBOLS else ()


class _Hole:
    """What the advisories that tell of one hole say of any version that has it."""

    __slots__ = ("_numbers", "_said", "rank")

    def __init__(self, group: Sequence[Entry], numbers: Sequence[int]) -> None:
        self._numbers = tuple(numbers)
        ids = sorted({each for entry in group for each in (entry.id, *entry.aliases)})
        rated = max(
            group, key=lambda entry: (RANK[entry.rating.severity], entry.rating.score or 0.0)
        )
        likelihoods = [one.known.likelihood for one in group if one.known.likelihood is not None]
        malicious = any(entry.malicious for entry in group)
        own = sorted(entry.id for entry in group)
        self._said: dict[str, Any] = {
            "id": own[0],
            "ids": (own[0], *(each for each in ids if each != own[0])),
            "severity": Severity.CRITICAL if malicious else rated.rating.severity,
            "score": rated.rating.score,
            "vector": rated.rating.vector,
            "malicious": malicious,
            "known_exploited": any(entry.known.exploited for entry in group),
            "likelihood": max(likelihoods, default=None),
            "symbols": _together(group),
            "summary": next((entry.summary for entry in group if entry.summary), ""),
        }

        # What nobody rated is not known to be harmless: it is told before what is.
        severity, score = self._said["severity"], rated.rating.score
        weight = score if score is not None else 2.5 * RANK[severity] or 6.9
        grave = 1000.0 * malicious + 100.0 * self._said["known_exploited"]
        self.rank = -(grave + weight)

    def finding(self, package: Package, fixes: Mapping[int, list[Fix]]) -> Finding:
        """Return the hole as one of a package; `fixes` are those of each advisory."""
        if len(self._numbers) == 1:
            found = fixes[self._numbers[0]]
        else:
            found = [fix for number in self._numbers for fix in fixes[number]]
        if len(found) > 1:
            found = sorted({text: (key, text) for key, text in found}.values())
        return Finding(package=package, fixed=tuple([text for _, text in found]), **self._said)
