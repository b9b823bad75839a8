"""Finds a rule by the id that a finding has."""

from __future__ import annotations

from functools import cache

from casemate.audit.finding import Description, Report
from casemate.audit.rule import Rule
from casemate.audit.rules.all import RULES


@cache
def _table() -> dict[str, Rule]:
    return {rule.id: rule for rule in RULES}


def rule_of(name: str, report: Report) -> Rule | Description | None:
    """Return the rule of that id, or as the report describes it, or None."""
    return next((one for one in report.described if one.id == name), None) or _table().get(name)
