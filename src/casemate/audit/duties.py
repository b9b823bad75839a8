"""Who carries which duty: the table of shared responsibility, with what was found of each.

The provider's duties end at a line that differs between platforms. Above it whatever nobody does is
not done: that is the first of the six risks.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.audit.finding import Finding, Severity
from casemate.audit.model import Application, Platform

YOU, PLATFORM, BOTH, HOST = "you", "the platform", "both", "who runs the node"


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """One duty, and who carries it where."""

    name: str
    what: str
    casemate: str
    casemate_how: str
    aws: str
    aws_how: str
    rules: tuple[str, ...]
    """Beginnings of the ids of rules that look at it."""


DUTIES = (
    Duty(
        name="patching of hosts",
        what="kernel and system below the functions",
        casemate=HOST,
        casemate_how="`casemate doctor` probes the kernel; updates are the distribution's",
        aws="AWS",
        aws_how="AWS patches its hosts",
        rules=(),
    ),
    Duty(
        name="runtimes",
        what="interpreter that runs the code",
        casemate=HOST,
        casemate_how="the host's Python; its version is in the manifest",
        aws=BOTH,
        aws_how="AWS patches a runtime until its end; you change to the next one",
        rules=("FN-001", "FN-002"),
    ),
    Duty(
        name="isolation",
        what="between functions, and between calls",
        casemate=PLATFORM,
        casemate_how="a sandbox for each function, a fresh process for each call",
        aws=BOTH,
        aws_how="AWS separates functions; processes are used again from call to call",
        rules=("PY-023", "CM-003"),
    ),
    Duty(
        name="configuration",
        what="limits, retries, encryption, defaults",
        casemate=BOTH,
        casemate_how="closed by default; each opening is an exception with a reason",
        aws=YOU,
        aws_how="each setting is yours, and many defaults are open",
        rules=("FN-", "DATA-", "API-01", "CM-", "ENV-", "OF-", "KN-", "CT-", "KUB-"),
    ),
    Duty(
        name="accounts",
        what="who may deploy, call and look",
        casemate=BOTH,
        casemate_how="calls need a token unless the manifest says otherwise; roles are yours",
        aws=YOU,
        aws_how="IAM, authorizers and user pools are yours",
        rules=("API-00", "ID-", "IAM-03"),
    ),
    Duty(
        name="permissions",
        what="what the code may use",
        casemate=BOTH,
        casemate_how="nothing without a grant; grants are approved, and compared with use",
        aws=YOU,
        aws_how="roles are yours; Access Analyzer compares them with use where you switch it on",
        rules=("IAM-", "PRIV-", "POL-", "FN-009", "FN-018", "FN-021", "CM-007", "CM-017"),
    ),
    Duty(
        name="data and network connectivity",
        what="encryption at rest and on the way, what can be reached",
        casemate=PLATFORM,
        casemate_how="everything stored is sealed; nothing is reached but granted hosts",
        aws=YOU,
        aws_how="keys, TLS and networks are yours; functions reach the whole internet",
        rules=("DATA-", "API-016", "API-018", "API-02", "API-03", "CM-009", "CM-011"),
    ),
    Duty(
        name="secrets",
        what="where they are, who reads them, how they change",
        casemate=BOTH,
        casemate_how="in the vault, granted one by one, masked in logs; code is yours",
        aws=YOU,
        aws_how="Secrets Manager is there; nothing makes you use it",
        rules=("SEC-", "FN-015"),
    ),
    Duty(
        name="logic",
        what="what the code does with an input",
        casemate=BOTH,
        casemate_how="contracts and the sink guard stop what is known; the rest is yours",
        aws=YOU,
        aws_how="the code is yours",
        rules=("DF-", "PY-0", "JS-0", "CM-001", "CM-004"),
    ),
    Duty(
        name="code and dependencies",
        what="packages, their vulnerabilities, their signatures",
        casemate=BOTH,
        casemate_how="locks and hashes are required; advisories are looked up in what you import",
        aws=YOU,
        aws_how="packages and layers are yours",
        rules=("DEP-", "FN-007", "FN-008", "FN-014"),
    ),
    Duty(
        name="errors",
        what="what callers are told, what becomes of failed events",
        casemate=PLATFORM,
        casemate_how="answers are sealed; failed events are dead letters",
        aws=YOU,
        aws_how="what a handler returns is sent; failed events are dropped after three tries",
        rules=(
            *("PY-001", "PY-002", "PY-029", "JS-002", "JS-012", "JS-013", "JS-021"),
            *("FN-006", "FN-020", "CM-006"),
        ),
    ),
    Duty(
        name="logs and alerts",
        what="what is kept, who is told",
        casemate=PLATFORM,
        casemate_how="a journal that cannot be rewritten, rules of detection, alerts that you name",
        aws=YOU,
        aws_how="groups, retention, traces and alarms are yours",
        rules=("FN-010", "FN-011", "FN-012", "FN-013", "FN-016", "FN-017", "API-012"),
    ),
)


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table for an application."""

    duty: str
    what: str
    who: str
    how: str
    evidence: str
    findings: int


def duties_of(
    platform: Platform, applications: Iterable[Application], findings: Iterable[Finding]
) -> list[Carried]:
    """Return the table for a platform; findings are the evidence of what is not done.

    Of an application of another platform only what its code has in it comes along: how it would be
    set up here nobody has written yet.
    """
    read = list(applications)
    own = sorted({each.platform.value for each in read if each.platform is not Platform.CODE})
    elsewhere = platform.value not in own
    found = [f for f in findings if not elsewhere or f.rule.startswith(_IN_CODE)]
    functions = sum(len(each.functions) for each in read)
    rows = []
    for duty in DUTIES:
        on_casemate = platform is Platform.CASEMATE
        about = [f for f in found if f.rule.startswith(duty.rules)] if duty.rules else []
        if not duty.rules:
            evidence = "not in the code: look at the host"
        elif about:
            evidence = _told(about) + (", in its code, which is the same here" if elsewhere else "")
        elif elsewhere and any(start.startswith(_IN_CODE) for start in duty.rules):
            evidence = "nothing found in its code, which is the same here"
        elif elsewhere:
            evidence = f"not known: it is set up for {', '.join(own) or 'no platform'}"
        else:
            evidence = f"nothing found in {functions} function(s)"
        rows.append(
            Carried(
                duty=duty.name,
                what=duty.what,
                who=duty.casemate if on_casemate else duty.aws,
                how=duty.casemate_how if on_casemate else duty.aws_how,
                evidence=evidence,
                findings=len(about),
            )
        )
    return rows


_IN_CODE = ("DF-", "PY-", "JS-", "DEP-", "SEC-")
"""Beginnings of the ids of rules about what an application takes along to another platform."""


def _told(about: list[Finding]) -> str:
    """Return how many findings there are, and the rules of the gravest."""
    grave = sum(f.severity.rank >= Severity.MEDIUM.rank for f in about)
    by_weight = sorted(about, key=lambda f: (-f.severity.rank, f.rule))
    shown = [*dict.fromkeys(f.rule for f in by_weight)]
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    rules = ", ".join(sorted(shown[:4]))
    return f"{len(about)} finding(s), {grave} of medium or more: {rules}{more}"
