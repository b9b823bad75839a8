"""What an audit finds, in the one form in which all outputs print it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum, StrEnum

import msgspec

from casemate.audit.model import Place, Unresolved
from casemate.audit.paths import Path
from casemate.audit.privileges.results import Privileges


class Risk(Enum):
    """The six risks of serverless computing that Casemate is made against."""

    RESPONSIBILITY = 1
    PERMISSIONS = 2
    INPUT = 3
    ERRORS = 4
    DEPENDENCIES = 5
    MONITORING = 6


class Severity(StrEnum):
    """How grave it is, from the least to the gravest."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return its number, from 0."""
        return _ORDER.index(self)

    def shifted(self, by: int) -> Severity:
        """Return one that is graver by so many steps, or milder."""
        return _ORDER[min(max(self.rank + by, 0), len(_ORDER) - 1)]


_ORDER = tuple(Severity)


class Step(msgspec.Struct, frozen=True):
    """One step of the way on which data reaches a sink."""

    place: Place
    text: str


class Also(msgspec.Struct, frozen=True):
    """Another place at which the cause of a finding shows."""

    rule: str
    place: Place
    text: str
    function: str
    fingerprint: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, at one place or at several that have one cause."""

    rule: str
    title: str
    severity: Severity
    risk: int
    place: Place
    text: str
    """What is wrong here, in one sentence."""
    fix: str
    function: str = ""
    subject: str = ""
    """What it is about, in a form that stays the same when lines move."""
    steps: tuple[Step, ...] = ()
    instead: str = ""
    """What can be pasted in its place: a policy of IAM, the grants of a manifest."""
    nth: int = 1
    """Which it is of those that are alike but for where they stand."""
    cause: str = ""
    """What it has in common with others that one change mends; empty where it stands alone."""
    also: tuple[Also, ...] = ()
    """Where else the same cause shows, in the order of severity and place."""

    @property
    def fingerprint(self) -> str:
        """Return what stays the same when lines, files and folders move and severities change."""
        folder, _, name = self.place.file.rpartition("/")
        about = self.subject or self.text
        if folder:
            about = about.replace(f"{folder}/", "")
        parts = (self.rule, name, self.function, about, str(self.nth))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def numbered(findings: Iterable[Finding]) -> list[Finding]:
    """Return them, those that are alike but for where they stand numbered in their order.

    So a baseline accepts as many of them as there were, and not one more in another folder.
    """
    seen = Counter[str]()
    told = []
    for each in findings:
        alike = each.fingerprint
        seen[alike] += 1
        told.append(msgspec.structs.replace(each, nth=seen[alike]))
    return told


FOLLOWED = {
    "PY-010": "DF-004",
    "PY-011": "DF-002",
    "PY-012": "DF-008",
    "JS-003": "DF-004",
    "JS-004": "DF-002",
    "JS-006": "DF-008",
    "JS-011": "DF-001",
}
"""Rules that see a call, and the rule that follows what comes into it from outside. Those that
`--fix` mends are told beside it (`PY-013`)."""


def followed(
    findings: Iterable[Finding], commands: Mapping[tuple[str, int], bool]
) -> list[Finding]:
    """Return findings without those that say less of a line than another says of it.

    What only sees a call is left out where data was followed to it and that is no milder, and of
    the command lines that it sees those of which all was checked before.
    """
    told = list(findings)
    known = {
        (each.rule, each.place.file, each.place.line): each.severity.rank
        for each in reversed(told)
        if each.rule.startswith("DF-")
    }
    return [
        each
        for each in told
        if known.get((FOLLOWED.get(each.rule, ""), each.place.file, each.place.line), -1)
        < each.severity.rank
        and not (each.rule == "JS-004" and commands.get((each.place.file, each.place.line), False))
    ]


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of one cause as one: the first of them, with where else it shows.

    What was accepted is left out before: a place that may stay does not hide the others.
    """
    first: dict[str, int] = {}
    also: dict[int, list[Also]] = {}
    told: list[Finding] = []
    for each in findings:
        at = first.setdefault(each.cause, len(told)) if each.cause else len(told)
        if at == len(told):
            told.append(each)
            continue
        place = Also(each.rule, each.place, each.text, each.function, each.fingerprint)
        also.setdefault(at, []).append(place)
    for at, places in also.items():
        told[at] = msgspec.structs.replace(told[at], also=tuple(places))
    return told


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that is known: somebody wrote down why it may stay."""

    finding: Finding
    by: str
    """`comment` or `baseline`."""
    reason: str = ""
    until: str = ""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule looks for, where it is none of this package: as who applied it tells it."""

    id: str
    title: str
    risk: Risk
    owasp: str
    cwe: int
    attack: str
    severity: Severity
    why: str
    fix: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that an audit has to say."""

    root: str
    applications: tuple[tuple[str, str, int], ...]
    """Name, importer, and how many functions, of each."""
    findings: tuple[Finding, ...]
    """The gravest first."""
    accepted: tuple[Accepted, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    privileges: tuple[Privileges, ...] = ()
    """Of functions that are granted something: what of it their code needs."""
    paths: tuple[Path, ...] = ()
    """Ways of an attacker, the worst first."""
    files: int = 0
    functions: int = 0
    rules: int = 0
    seconds: float = 0.0
    described: tuple[Description, ...] = ()
    """Rules that were applied elsewhere: by a node, to itself."""
    score: int | None = None
    """Of 100, where it is a node that was audited."""
    versions: dict[str, str] = {}
    """Of what the node stands on."""

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings that are as grave, or graver."""
        return tuple(f for f in self.findings if f.severity.rank >= severity.rank)
