"""What a node says of itself, in the form in which reports of the audit are printed."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from casemate.cli.client import connect
from casemate.cli.errors import CommandError
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment
from casemate.model.level import Level
from casemate.operations.node_audit import (
    AuditNode,
    ListNodeScores,
    NodeAuditReport,
    Weakness,
    WeaknessRule,
)

if TYPE_CHECKING:
    from casemate.audit import Finding, Report, Severity
    from casemate.audit.finding import Description


def node_report(project: str | None, only: Collection[str], without: Collection[str]) -> Report:
    """Ask the node, and return what it says as a report."""
    with connect() as client:
        told = client.call(AuditNode(project=project))
    return report_of(told, client.url, only, without)


def report_of(
    told: NodeAuditReport, url: str, only: Collection[str] = (), without: Collection[str] = ()
) -> Report:
    """Return what a node said as a report."""
    from casemate.audit import Report
    from casemate.audit.model import Place, Unresolved

    _require_known((*only, *without), told)
    described = {one.id: one for one in told.rules}
    for weakness in told.weaknesses:  # a node of another release may leave some out
        described.setdefault(weakness.rule, _unknown(weakness))
    left_out = f"{told.more} more findings, less severe than these" if told.more else ""
    return Report(
        root=url,
        applications=(),
        findings=tuple(
            _finding(one, described[one.rule])
            for one in told.weaknesses
            if (not only or one.rule in only) and one.rule not in without
        ),
        unresolved=(Unresolved(Place("node", 0, 0), left_out),) if left_out else (),
        rules=len(described),
        described=tuple(_description(one) for one in described.values()),
        score=told.score,
        versions=told.versions,
    )


def _require_known(names: Collection[str], told: NodeAuditReport) -> None:
    """Refuse a rule that there is not: what is asked by a wrong name would never fail."""
    from casemate.node_audit.judging import RULE_OF

    known = RULE_OF.keys() | {one.id for one in told.rules}
    for name in names:
        if name not in known:
            raise CommandError(
                f"There is no rule {name[:64]!r} of the node's audit.",
                next_step="See docs/howto/audit-a-node.md.",
            )


def _severity(level: Level) -> Severity:
    from casemate.audit import Severity

    return Severity.INFO if level is Level.INFORMATIONAL else Severity(level.value)


def _unknown(one: Weakness) -> WeaknessRule:
    return WeaknessRule(
        id=one.rule,
        title=one.rule,
        level=one.level,
        risk=1,
        owasp="SAS-06",
        cwe=693,
        attack="",
        why="",
    )


def _finding(one: Weakness, rule: WeaknessRule) -> Finding:
    from casemate.audit import Finding
    from casemate.audit.model import Place

    return Finding(
        rule=one.rule,
        title=rule.title,
        severity=_severity(one.level),
        risk=rule.risk,
        place=Place(one.subject, 0, 0),
        text=one.seen,
        fix=one.command,
        subject=one.subject,
    )


def _description(rule: WeaknessRule) -> Description:
    from casemate.audit.finding import Description, Risk

    known = {risk.value for risk in Risk}
    return Description(
        id=rule.id,
        title=rule.title,
        risk=Risk(rule.risk) if rule.risk in known else Risk.RESPONSIBILITY,
        owasp=rule.owasp,
        cwe=rule.cwe,
        attack=rule.attack,
        severity=_severity(rule.level),
        why=rule.why,
        fix="The command of each finding fixes it.",
    )


def print_history(*, json: bool) -> None:
    """Print how the score of the node changed, newest first."""
    with connect() as client:
        found = client.call(ListNodeScores())
    if json:
        print_json(found)
        return
    levels = tuple(level.value for level in reversed(Level))[:4]
    print_table(
        ("since", "score", *levels),
        [
            (moment(one.at), str(one.score), *(str(one.counts.get(name, 0)) for name in levels))
            for one in found.points
        ],
        empty="The node was not audited yet: `casemate audit node`.",
    )
