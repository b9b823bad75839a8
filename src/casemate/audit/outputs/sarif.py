"""The report as SARIF 2.1.0, which GitHub, GitLab and editors read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import casemate
from casemate.audit.finding import Accepted, Description, Finding, Report, Severity
from casemate.audit.model import Place
from casemate.audit.outputs.rules import rule_of
from casemate.audit.rule import Rule
from casemate.shown_text import on_its_lines, on_one_line

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_SCORES = {
    Severity.INFO: "1.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}


def sarif_of(report: Report) -> str:
    """Return the report as SARIF."""
    every = [*report.findings, *(each.finding for each in report.accepted)]
    used = sorted({each.rule for each in every})
    results = [_result(each, used) for each in report.findings]
    results += [_suppressed(each, used) for each in report.accepted]
    run = {
        "tool": {
            "driver": {
                "name": "casemate audit",
                "version": casemate.__version__,
                "rules": [
                    _rule(rule) for name in used if (rule := rule_of(name, report)) is not None
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"description": {"text": "What was audited."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {
                        "level": "note",
                        "message": {"text": _clean(each.what)},
                        "locations": [_location(each.place)],
                    }
                    for each in report.unresolved[:1000]
                ],
            }
        ],
        "results": results,
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2)


def _rule(rule: Rule | Description) -> dict[str, Any]:
    tags = ["security", f"external/cwe/cwe-{rule.cwe:03d}", rule.owasp, f"risk-{rule.risk.value}"]
    return {
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": _clean(rule.title)},
        "fullDescription": {"text": _clean(rule.why)},
        "help": {"text": f"{_clean(rule.why)}\n\n{_clean(rule.fix)}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": [*tags, rule.attack] if rule.attack else tags,
            "security-severity": _SCORES[rule.severity],
        },
    }


def _clean(text: str) -> str:
    """Return a text on one line, and without what viewers make a link of (3.11.6)."""
    return on_one_line(text).replace("](", "] (")


def _location(place: Place) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {
                "uri": quote(place.file, safe="/", errors="replace"),
                "uriBaseId": "ROOT",
            },
            "region": {"startLine": max(place.line, 1), "startColumn": max(place.column, 1)},
        }
    }


def _result(finding: Finding, used: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": used.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": _clean(f"{finding.text}. {finding.fix}")},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"casemate/v2": finding.fingerprint},
        "properties": {
            "severity": finding.severity.value,
            "security-severity": _SCORES[finding.severity],
        },
    }
    if finding.instead:
        made["properties"]["instead"] = on_its_lines(finding.instead)
    if finding.function:
        made["locations"][0]["logicalLocations"] = [
            {"name": _clean(finding.function), "kind": "function"}
        ]
    if finding.also:
        made["relatedLocations"] = [
            {"id": number, **_location(also.place), "message": {"text": _clean(also.text)}}
            for number, also in enumerate(finding.also, 1)
        ]
    if finding.steps:
        steps = [
            {"location": {**_location(s.place), "message": {"text": _clean(s.text)}}}
            for s in finding.steps
        ]
        made["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return made


def _suppressed(accepted: Accepted, used: list[str]) -> dict[str, Any]:
    made = _result(accepted.finding, used)
    kind = "inSource" if accepted.by == "comment" else "external"
    why = " ".join(filter(None, (accepted.reason, accepted.until and f"(until {accepted.until})")))
    made["suppressions"] = [{"kind": kind, "justification": _clean(why or "baseline")}]
    return made
