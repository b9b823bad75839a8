"""The form of a rule: what it is called, what it looks for, and two examples that prove it.

A rule is an entry of a table. Its check is a pure function of the model and the files: it yields
what is wrong, and nothing about what is not known. The vulnerable and the fixed example are its
test and its part of the reference page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding, Risk, Severity, Step
from casemate.audit.model import Application, Function, Place, Reach
from casemate.audit.workspace import Workspace

__all__ = ["OWASP", "Check", "Hit", "Risk", "Rule", "Subject"]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check has found."""

    place: Place
    text: str
    subject: str = ""
    function: Function | None = None
    severity: Severity | None = None
    """Of this one, where the context decides it; else that of the rule."""
    steps: tuple[Step, ...] = ()
    instead: str = ""
    """What can be pasted in its place."""


class Subject(msgspec.Struct, frozen=True):
    """What a check looks at."""

    application: Application
    workspace: Workspace
    code: Code
    today: str = "9999-12-31"
    """By which runtimes end, as `2026-11-27`."""


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
            yield Finding(
                rule=self.id,
                title=self.title,
                severity=self._severity(hit),
                risk=self.risk.value,
                place=hit.place,
                text=hit.text,
                fix=self.fix,
                function=hit.function.name if hit.function is not None else "",
                subject=hit.subject,
                steps=hit.steps,
                instead=hit.instead,
            )

    def _severity(self, hit: Hit) -> Severity:
        base = hit.severity or self.severity
        if not self.by_reach or hit.function is None:
            return base
        reach = hit.function.reach
        if reach is Reach.PUBLIC:
            return base.shifted(1)
        return base.shifted(-1) if reach is Reach.INTERNAL else base


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
