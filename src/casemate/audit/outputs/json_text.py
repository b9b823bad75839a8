"""The report as one JSON document."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from casemate.audit.finding import Finding, Report
from casemate.audit.outputs.rules import rule_of
from casemate.audit.privileges import Privileges

VERSION = 1


def json_of(report: Report) -> str:
    """Return the report as JSON. Its keys are kept from version to version."""
    document = {
        "version": VERSION,
        "root": report.root,
        "applications": [
            {"name": name, "kind": kind, "functions": count}
            for name, kind, count in report.applications
        ],
        "findings": [finding_fields(each, report) for each in report.findings],
        "accepted": [
            {
                **finding_fields(each.finding, report),
                "by": each.by,
                "reason": each.reason,
                "until": each.until,
            }
            for each in report.accepted
        ],
        "unresolved": [
            {**msgspec.to_builtins(each.place), "what": each.what} for each in report.unresolved
        ],
        "privileges": [privileges_fields(each) for each in report.privileges],
        "paths": [{**msgspec.to_builtins(each), "text": each.text} for each in report.paths],
        "counts": {"files": report.files, "functions": report.functions, "rules": report.rules},
        "seconds": report.seconds,
    }
    if report.score is not None:
        document |= {"score": report.score, "versions": report.versions}
    return json.dumps(document, indent=2, ensure_ascii=False)


def privileges_fields(each: Privileges) -> dict[str, Any]:
    """Return what a function needs beside what it is granted, as plain data."""
    return {
        "application": each.application,
        "function": each.function,
        **msgspec.to_builtins(each.place),
        "needed": [{"action": a, "resources": list(r)} for a, r in each.needed],
        "needless": [
            {
                "granted": surplus.pattern,
                "by": surplus.origin,
                "file": surplus.place.file,
                "line": surplus.place.line,
                "actions": list(surplus.actions),
                "resources": list(surplus.resources),
                "needed_by": list(surplus.others),
            }
            for surplus in each.surplus
        ],
        "wide": [
            {"actions": list(w.actions), "granted": list(w.granted), "named": list(w.named)}
            for w in each.wide
        ],
        "idle": [idle.resource for idle in each.idle],
        "undecided": [
            {"service": o.service, **msgspec.to_builtins(o.place), "why": o.what}
            for o in each.undecided
        ],
        "missing": list(each.missing),
        "minimal": each.minimal,
    }


def finding_fields(finding: Finding, report: Report) -> dict[str, Any]:
    """Return a finding as plain data."""
    rule = rule_of(finding.rule, report)
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity.value,
        "risk": finding.risk,
        "owasp": rule.owasp if rule is not None else "",
        "cwe": rule.cwe if rule is not None else 0,
        "attack": rule.attack if rule is not None else "",
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "function": finding.function,
        "text": finding.text,
        "fix": finding.fix,
        "fingerprint": finding.fingerprint,
        "instead": finding.instead,
        "steps": [{**msgspec.to_builtins(step.place), "text": step.text} for step in finding.steps],
        "also": [
            {
                "rule": also.rule,
                **msgspec.to_builtins(also.place),
                "function": also.function,
                "text": also.text,
                "fingerprint": also.fingerprint,
            }
            for also in finding.also
        ],
    }
