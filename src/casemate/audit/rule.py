"""The form of a rule: what it is called, what it looks for, and two examples that prove it.

A rule is an entry of a table. Its check is a pure function of the model and the files: it yields
what is wrong, and nothing about what is not known. The vulnerable and the fixed example are its
test and its part of the reference page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding, Risk, Severity, Step
from casemate.audit.model import Application, Function, Place, Reach
from casemate.audit.notes import bounded
from casemate.audit.past import Past
from casemate.audit.reached import runs
from casemate.audit.workspace import Workspace

__all__ = ["OWASP", "Check", "Entry", "Hit", "Risk", "Rule", "Subject", "entries"]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check has found."""

    place: Place
    text: str
    subject: str = ""
    function: Function | None = None
    severity: Severity | None = None
    """Of this one, where the context decides it; else that of the rule."""
    most: Severity = Severity.CRITICAL
    """The gravest that it is, whoever reaches it: a part of the way is not known."""
    steps: tuple[Step, ...] = ()
    instead: str = ""
    """What can be pasted in its place."""
    cause: str = ""
    """What it has in common with other hits that are told together with it."""


class Subject(msgspec.Struct, frozen=True):
    """What a check looks at."""

    application: Application
    workspace: Workspace
    code: Code
    today: str = "9999-12-31"
    """By which runtimes end, as `2026-11-27`."""
    past: Past | None = None
    """What the repository held before, if it is looked at."""


Check = Callable[[Subject], Iterable[Hit]]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, as the table has it."""

    id: str
    title: str
    risk: Risk
    owasp: str
    """Of the OWASP Serverless Top 10: `SAS-01` to `SAS-10`."""
    cwe: int
    attack: str = ""
    """MITRE ATT&CK technique, such as `T1552.001`."""
    severity: Severity
    by_reach: bool = False
    """True makes it graver by one where everybody can call the function, and milder where only
    the inside can."""
    why: str
    fix: str
    check: Check
    vulnerable: Mapping[str, str]
    """Files, by their names."""
    fixed: Mapping[str, str]

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Yield what the check finds, in the form of the report."""
        for hit in self.check(subject):
            optional = not self.id.startswith("SEC-") and _is_optional(hit, subject.application)
            severity = self._severity(hit)
            text = f"{hit.text} ({_OPTIONAL})" if optional else hit.text
            milder = self._left(hit, subject) if severity.rank > Severity.MEDIUM.rank else ""
            if milder:
                severity, text = Severity.MEDIUM, f"{text} ({milder})"
            yield Finding(
                rule=self.id,
                title=self.title,
                severity=severity.shifted(-1) if optional else severity,
                risk=self.risk.value,
                place=hit.place,
                text=bounded(text),
                fix=self.fix,
                function=bounded(hit.function.name) if hit.function is not None else "",
                subject=bounded(hit.subject),
                steps=tuple(Step(each.place, bounded(each.text)) for each in hit.steps),
                instead=hit.instead,
                cause=bounded(self._cause(hit)),
            )

    def _left(self, hit: Hit, subject: Subject) -> str:
        """Return why something grave is not what runs when it is deployed, or nothing."""
        if not self.id.startswith("SEC-00") and _IN_TESTS.search(hit.place.file):
            return "in a folder of tests"
        if not self.id.startswith(_OF_CODE) or hit.function is None:
            return ""
        return "" if runs(subject.code, subject.application, hit.place.file) else _LEFT

    def _cause(self, hit: Hit) -> str:
        """Return the cause of a hit. One secret is one cause, whichever rules know it."""
        if not hit.cause or self.id.startswith("SEC-"):
            return hit.cause
        return f"{self.id} {hit.cause}"

    def _severity(self, hit: Hit) -> Severity:
        return min(self._by_reach(hit), hit.most, key=lambda each: each.rank)

    def _by_reach(self, hit: Hit) -> Severity:
        base = hit.severity or self.severity
        if not self.by_reach or hit.function is None:
            return base
        reach = hit.function.reach
        if reach is Reach.PUBLIC:
            return base.shifted(1)
        return base.shifted(-1) if reach is Reach.INTERNAL else base


_OPTIONAL = "only with parameters other than the defaults"
_LEFT = "in a file that no handler reaches"
_OF_CODE = ("JS-", "PY-", "ID-011", "SEC-010")
_IN_TESTS = re.compile(
    r"(?:^|/)(?:tests|__tests__|__snapshots__|testdata|fixtures|spec|src/test|test/(?:resources"
    r"|fixtures|data|assets|integ[\w.-]{0,80}\.snapshot))/"
)
"""Below what is audited. A folder `test` alone may be what is deployed to a stage of that name."""


def _is_optional(hit: Hit, application: Application) -> bool:
    """Tell whether the defaults of a template's parameters do not make what was found."""
    name = hit.function.name if hit.function is not None else hit.subject
    return name in application.settings.get("optional", ())


OWASP = {
    "SAS-01": "Injection",
    "SAS-02": "Broken authentication",
    "SAS-03": "Sensitive data exposure",
    "SAS-04": "XML external entities",
    "SAS-05": "Broken access control",
    "SAS-06": "Security misconfiguration",
    "SAS-07": "Cross-site scripting",
    "SAS-08": "Insecure deserialization",
    "SAS-09": "Using components with known vulnerabilities",
    "SAS-10": "Insufficient logging and monitoring",
}
"""The OWASP Serverless Top 10 (2018), its order that of the OWASP Top 10 of 2017."""


class Entry(Protocol):
    """Makes a rule of a table whose rules are alike."""

    def __call__(
        self,
        id: str,
        title: str,
        severity: Severity,
        why: str,
        fix: str,
        check: Check,
        bad: Mapping[str, str],
        good: Mapping[str, str],
        cwe: int = ...,
        attack: str = ...,
        by_reach: bool = ...,
        risk: Risk = ...,
        owasp: str = ...,
    ) -> Rule: ...


def entries(
    risk: Risk, owasp: str, cwe: int, attack: str, over: Callable[[Check], Check] | None = None
) -> Entry:
    """Return what makes the rules of a table; `over` is put over each check.

    `risk`, `owasp`, `cwe` and `attack` are those of rules that name none of their own.
    """

    def entry(
        id: str,
        title: str,
        severity: Severity,
        why: str,
        fix: str,
        check: Check,
        bad: Mapping[str, str],
        good: Mapping[str, str],
        cwe: int = cwe,
        attack: str = attack,
        by_reach: bool = False,
        risk: Risk = risk,
        owasp: str = owasp,
    ) -> Rule:
        return Rule(
            id=id,
            title=title,
            risk=risk,
            owasp=owasp,
            cwe=cwe,
            attack=attack,
            severity=severity,
            by_reach=by_reach,
            why=why,
            fix=fix,
            check=check if over is None else over(check),
            vulnerable=bad,
            fixed=good,
        )

    return entry
